"""The facts of a target interpreter: probed, or read from a file where the target cannot be run."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from .config import default_cache_folder
from .data import record_of
from .errors import FileError, InterpreterError, UnsupportedError, UsageError, cure_of
from .worker import clean_environment, last_line, run_worker

__all__ = [
    "NEWEST",
    "OLDEST",
    "Facts",
    "Found",
    "executable_in",
    "facts_from_json",
    "facts_to_json",
    "find_interpreter",
    "load_facts",
    "probe",
    "venv_base",
]

OLDEST = (3, 8)
NEWEST = (3, 15)

_SCHEMA = 1

_SUPPORTED = f"CPython {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
_VERSION = re.compile(r"(?:python|cpython)?(\d+(?:\.\d+){0,2}t?)")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a target interpreter said of itself.

    Paths are texts in the target's own notation: facts recorded on one machine can be read on another.
    """

    implementation: str
    version: tuple[int, int, int]
    release: str
    serial: int
    build: str
    os_name: str
    platform: str
    machine: str
    bits: int
    abiflags: str
    free_threaded: bool
    debug: bool
    cache_tag: str
    #: the four bytes that open this interpreter's .pyc files, as hexadecimal
    magic: str
    executable: str
    prefix: str
    exec_prefix: str
    platlibdir: str
    #: sys.path of a start with -I -S
    search_path: tuple[str, ...]
    #: the folder of the standard library
    library: str
    site_folders: tuple[str, ...]
    extension_suffixes: tuple[str, ...]
    builtin_modules: frozenset[str]
    frozen_modules: frozenset[str]
    libpython: str | None
    #: "builtin", the path of its extension module, or None
    zlib: str | None
    multiarch: str
    framework: str
    externally_managed: bool

    @property
    def feature_version(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.version[:2]

    @property
    def version_text(self) -> str:
        """The full version, e.g. ``3.13.0`` or ``3.15.0rc1``."""
        number = ".".join(map(str, self.version))
        level = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(self.release)
        return number if level is None else f"{number}{level}{self.serial}"

    @property
    def name(self) -> str:
        """How people call this interpreter, e.g. ``CPython 3.13.0`` with ``(free-threaded)``."""
        kinds = [word for word, on in (("free-threaded", self.free_threaded), ("debug", self.debug)) if on]
        return f"CPython {self.version_text}" + (f" ({', '.join(kinds)})" if kinds else "")

    @property
    def identity(self) -> str:
        """What bytecode depends on: this very build of the interpreter, as far as it tells."""
        parts = (self.implementation, self.version_text, self.magic, self.abiflags, self.platform, self.build)
        return "-".join(parts)

    def path(self, text: str) -> PurePath:
        """Return *text* as a path of the target's system."""
        return PureWindowsPath(text) if self.os_name == "nt" else PurePosixPath(text)


@dataclass(frozen=True, slots=True)
class Found:
    """An interpreter that was found, with what the user should know of the way to it."""

    facts: Facts
    notes: tuple[str, ...] = ()


def facts_to_json(facts: Facts) -> str:
    """Return *facts* as a JSON text that :func:`facts_from_json` reads back."""
    values = dataclasses.asdict(facts)
    values["builtin_modules"] = sorted(facts.builtin_modules)
    values["frozen_modules"] = sorted(facts.frozen_modules)
    return json.dumps({"schema_version": _SCHEMA, **values}, indent=1, sort_keys=True) + "\n"


def facts_from_json(text: str | bytes, source: str | Path) -> Facts:
    """Return the facts that *text* holds; *source* names it in errors."""
    try:
        values = json.loads(text)
        schema = values.get("schema_version")
        if schema == _SCHEMA:
            facts = _facts(values)
            _check_places(facts)
            return facts
        reason = f"schema_version is {schema!r}, not {_SCHEMA}"
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise FileError(
        f"these are not the facts of an interpreter ({reason})",
        file=source,
        cure="write the file anew with: zipstrap facts PYTHON -o FILE",
    )


def load_facts(path: Path) -> Facts:
    """Read facts from a file written by ``zipstrap facts``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", file=path, cure="name a file written by zipstrap facts"
        ) from error
    return facts_from_json(data, path)


def _facts(values: Mapping[str, Any]) -> Facts:
    return record_of(Facts, values)


def _check_places(facts: Facts) -> None:
    """Raise :class:`ValueError` unless every path is absolute and normalised: a tree's follow from them.

    An interpreter's own answer is normalised by :func:`probe`; a file may have been edited.
    """
    places = {
        "executable": (facts.executable,),
        "prefix": (facts.prefix,),
        "library": (facts.library,),
        "search_path": facts.search_path,
        "site_folders": facts.site_folders,
    }
    for name, texts in places.items():
        for text in texts:
            path = facts.path(text)
            plain = text.replace("/", "\\") if facts.os_name == "nt" else text
            if not path.is_absolute() or ".." in path.parts or str(path) != plain or "\0" in text:
                raise ValueError(f"{name} has {text!r}, which is no absolute, normalised path")
    folder = facts.path(facts.platlibdir)
    if folder.anchor or not folder.parts or ".." in folder.parts or "\0" in facts.platlibdir:
        raise ValueError(f"platlibdir is {facts.platlibdir!r}, which is no folder below the prefix")
    for name, text in (("abiflags", facts.abiflags), ("cache_tag", facts.cache_tag)):
        if not re.fullmatch(r"[\w.-]*", text):
            raise ValueError(f"{name} is {text!r}, which cannot be a part of a file's name")


def probe(executable: Path) -> Facts:
    """Run the probe in *executable* and return its facts, with normalised paths.

    Raises :class:`InterpreterError` for what is missing, cannot run or is no CPython of a supported version.
    """
    if not executable.exists():
        raise InterpreterError(
            "there is no such interpreter", file=executable, cure=f"name the path of a {_SUPPORTED}"
        )
    # by what this process may do, which need not be what its real user may
    may_run = os.access(executable, os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    if executable.is_dir() or not may_run:
        raise InterpreterError(
            "this is not an executable file", file=executable, cure=f"name the path of a {_SUPPORTED}"
        )
    try:
        answer = run_worker(executable, "probe", None, timeout=60)
    except OSError as error:
        raise _no_means(executable, error) from error
    except InterpreterError as error:
        if isinstance(error.__cause__, OSError) and cure_of(error.__cause__, ""):
            raise _no_means(executable, error.__cause__) from error
        # Pythons before 3.4 refuse the option -I before they see the probe
        called = _version_banner(executable)
        if called is not None and not called.startswith(("Python 3.8", "Python 3.9", "Python 3.1")):
            raise InterpreterError(
                f"this is {called}", file=executable, cure=f"name a {_SUPPORTED}"
            ) from error
        if called is None and _is_pyenv_shim(executable):
            raise InterpreterError(
                "this is a shim of pyenv, and the version that it stands for is not active here",
                file=executable,
                cure="name just the version, such as 3.13, or the interpreter below pyenv's versions folder",
            ) from error
        raise
    facts = _normalised(_facts(answer))
    if facts.feature_version > NEWEST:
        raise UnsupportedError(
            f"this is {facts.name}, newer than zipstrap knows", file=executable, cure=f"name a {_SUPPORTED}"
        )
    return facts


def _no_means(executable: Path, error: OSError) -> InterpreterError:
    return InterpreterError(
        f"the interpreter cannot be asked for its facts ({error.strerror or error})",
        file=executable,
        cure=cure_of(error, "see that temporary files can be made (TMPDIR), and try again"),
    )


def _normalised(facts: Facts) -> Facts:
    """Return *facts* with paths that hold no ``..``: a build may have one in its compiled-in search path."""

    def plain(text: str) -> str:
        return os.path.normpath(text) if text else text

    return dataclasses.replace(
        facts,
        prefix=plain(facts.prefix),
        library=plain(facts.library),
        search_path=tuple(map(plain, facts.search_path)),
        site_folders=tuple(map(plain, facts.site_folders)),
    )


def _is_pyenv_shim(executable: Path) -> bool:
    """Tell whether *executable* is a script of ``pyenv rehash``: it runs ``pyenv exec`` by its own name."""
    try:
        with executable.open("rb") as file:
            text = file.read(4096)
    except OSError:
        return False
    return text.startswith(b"#!") and b'/pyenv" exec ' in text


def _version_banner(executable: Path) -> str | None:
    try:
        done = subprocess.run(
            [str(executable), "-V"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = last_line(done.stdout)
    # not any line that begins so: pyenv's shims speak of "Python versions"
    return text if re.match(r"Python \d", text) else None


def executable_in(prefix: Path) -> Path:
    """Return the interpreter in the ``bin`` of *prefix*.

    Raises :class:`InterpreterError` unless there is exactly one: ``python3.13`` and ``python3.13t`` count,
    the links to them and ``python3.13-config`` do not.
    """
    found = sorted(
        path
        for path in (prefix / "bin").glob("python3.*")
        if re.fullmatch(r"python3\.\d+[a-z]*", path.name) and path.is_file()
    )
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"bin/{path.name}" for path in found)
        raise InterpreterError(f"has several interpreters: {names}", file=prefix, cure="name one by its path")
    raise InterpreterError(
        "is no tree, no virtual environment and no prefix with an interpreter in its bin",
        file=prefix,
        cure="name one, or an interpreter by its path",
    )


def venv_base(executable: Path) -> Path | None:
    """Return the base interpreter's path if *executable* belongs to a virtual environment, else None.

    PEP 405: ``pyvenv.cfg`` lies beside the executable or one folder above it, and ``home`` names the
    folder of the base interpreter.
    """
    for folder in (executable.parent, executable.parent.parent):
        try:
            lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        settings = {
            key.strip().lower(): value.strip()
            for key, mark, value in (line.partition("=") for line in lines)
            if mark
        }
        if "home" not in settings:
            continue
        home = Path(settings["home"])
        names = [executable.resolve().name, executable.name]
        version = (settings.get("version") or settings.get("version_info") or "").split(".")
        if len(version) > 1:
            names.append(f"python{version[0]}.{version[1]}")
        for name in (*names, "python3", "python"):
            if (home / name).exists():
                return home / name
    return None


def _of_pyenv(version: str, environ: Mapping[str, str]) -> Facts | None:
    """Return the facts of pyenv's newest interpreter of *version* if it is one: no other need be looked for.

    To load python-discovery, and to let it ask that interpreter once more, takes longer than all else.
    """
    found = _pyenv_candidates(version, environ)
    # pyenv-virtualenv keeps its environments there too
    if not found or venv_base(Path(found[0])) is not None:
        return None
    try:
        facts = probe(Path(found[0]))
    except (InterpreterError, UnsupportedError):
        return None  # the search may find another
    number = tuple(map(int, version.rstrip("t").split(".")))
    is_meant = facts.version[: len(number)] == number and facts.free_threaded == version.endswith("t")
    return facts if is_meant else None


def _by_version(version: str, environ: Mapping[str, str]) -> Path:
    import logging

    from python_discovery import DiskCache, PythonInfo, get_interpreter

    # what it says of a folder that it does not trust is nobody's business: it then keeps nothing
    logging.getLogger("python_discovery").addHandler(logging.NullHandler())

    def is_target(info: PythonInfo) -> bool:
        return info.implementation == "CPython"

    try:
        found = get_interpreter(
            f"cpython{version}",
            try_first_with=_pyenv_candidates(version, environ),
            cache=DiskCache(default_cache_folder(environ) / "discovery"),
            env=environ,
            predicate=is_target,
        )
    except (OSError, RuntimeError) as error:
        raise InterpreterError(
            f"CPython {version} cannot be looked for ({error})",
            cure=cure_of(_system_error(error), "name the path of its executable"),
        ) from error
    executable = found and (found.system_executable or found.executable)
    if not executable:
        raise InterpreterError(
            f"no CPython {version} was found on PATH or among pyenv's versions",
            cure="install it, or name the path of its executable",
        )
    return Path(executable)


def _system_error(error: OSError | RuntimeError) -> OSError:
    """Return the system's error in *error*: python-discovery tells of one by number and words only."""
    if isinstance(error, OSError):
        return error
    number = re.search(r"code (\d+)", str(error))
    code = int(number[1]) if number is not None else 0
    # the number may also be the exit status of an interpreter that was asked
    return OSError(code if os.strerror(code) in str(error) else 0, str(error))


def _pyenv_candidates(version: str, environ: Mapping[str, str]) -> list[str]:
    """Return pyenv's interpreters of *version*, newest first: its shims hide what is not activated."""
    root = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "~")).expanduser() / ".pyenv")
    feature = ".".join(version.rstrip("t").split(".")[:2]) + ("t" if version.endswith("t") else "")
    found = []
    for folder in (root / "versions").glob(version.rstrip("t") + "*"):
        rest = folder.name[len(version.rstrip("t")) :]
        executable = folder / "bin" / f"python{feature}"
        if (not rest or not rest[0].isdigit()) and executable.exists():
            found.append(executable)
    found.sort(
        key=lambda path: [int(part) for part in re.findall(r"\d+", path.parent.parent.name)], reverse=True
    )
    return [str(path) for path in found]


def find_interpreter(python: str | None, environ: Mapping[str, str] | None = None) -> Found:
    """Find the interpreter that *python* names and probe it.

    *python* is a path, a version such as ``3.13`` or ``3.13t``, or None for the one that runs zipstrap.
    An interpreter of a virtual environment is resolved to its base, and a note says so.
    """
    environ = os.environ if environ is None else environ
    version = None if python is None or os.sep in python else _VERSION.fullmatch(python)
    if python is None:
        executable = Path(sys.executable)
    elif version is not None and not Path(python).is_file():
        number = version[1].rstrip("t").split(".")
        if len(number) > 1 and not OLDEST <= (int(number[0]), int(number[1])) <= NEWEST:
            raise InterpreterError(f"Python {version[1]} is not supported", cure=f"name a {_SUPPORTED}")
        facts = _of_pyenv(version[1], environ)
        if facts is not None:
            return Found(facts)
        executable = _by_version(version[1], environ)
    elif not python:
        raise UsageError("the interpreter's name is empty", cure="name a path or a version such as 3.13")
    else:
        executable = Path(python).absolute()
        if os.sep not in python and not executable.exists():
            import shutil

            executable = Path(shutil.which(python, path=environ.get("PATH")) or executable)
    notes = []
    seen = {executable}
    # an environment may be made from another, and a damaged one may name itself
    while (base := venv_base(executable)) is not None and base not in seen:
        notes.append(f"{executable} belongs to a virtual environment; its base interpreter {base} is taken")
        executable = base
        seen.add(base)
    return Found(probe(executable), tuple(notes))
