"""Find the interpreters that the tests run against.

Sources, best first: ``ZIPSTRAP_TEST_PYTHONS`` (paths, joined by ``os.pathsep``), pyenv's versions, names on
``PATH``, and ``/usr/bin``. Nothing is believed by name: every candidate is run and says what it is.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest
from zipstrap.worker import clean_environment

__all__ = [
    "MINORS",
    "Hidden",
    "Target",
    "discover",
    "find_python2",
    "found",
    "hiding_works",
    "lack",
    "lack_version",
    "sendable",
]

#: As they were before a fixture gave the tests a home of their own.
_ENVIRON, _HOME = dict(os.environ), Path.home()

#: The versions that zipstrap packs; a test run wants one interpreter of each.
MINORS = tuple((3, minor) for minor in range(8, 16))

#: What a candidate says of itself, one line each. Debian is known by its own ``site``.
_ASK = """\
import os, sys
with open(os.path.join(os.path.dirname(os.__file__), "site.py"), encoding="utf-8") as f:
    debian = "dist-packages" in f.read()
for line in (sys.implementation.name, *sys.version_info[:3], sys.abiflags, debian, sys.executable):
    print(line)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """An interpreter under test; *id* is ``3.13``, ``3.13t``, ``3.14d`` or ``3.11-debian``."""

    executable: Path
    version: tuple[int, int]
    id: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    executable: Path
    version: tuple[int, int, int]
    flags: str
    debian: bool

    @property
    def name(self) -> str:
        return f"{self.version[0]}.{self.version[1]}{self.flags}"


_FOUND = pytest.StashKey[list[Target]]()


def found(config: pytest.Config) -> list[Target]:
    """Return the interpreters of this machine; they are looked for once in a run."""
    if _FOUND not in config.stash:
        sent = getattr(config, "workerinput", {}).get("interpreters")
        config.stash[_FOUND] = discover() if sent is None else [_received(each) for each in sent]
    return config.stash[_FOUND]


def lack(config: pytest.Config, what: str) -> NoReturn:
    """Skip the test because *what* is missing; fail it where the run was told to require all."""
    if config.getoption("--require-targets"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def lack_version(config: pytest.Config, name: str) -> NoReturn:
    """Skip or fail the test because no interpreter of version *name* was found."""
    lack(config, f"no CPython {name} here; name one in ZIPSTRAP_TEST_PYTHONS")


def sendable(config: pytest.Config) -> list[tuple[str, int, int, str]]:
    """Return what :func:`found` returns, in a form that goes to another process of the same run."""
    return [(str(each.executable), *each.version, each.id) for each in found(config)]


def _received(sent: tuple[str, int, int, str]) -> Target:
    executable, major, minor, name = sent
    return Target(Path(executable), (major, minor), name)


def discover(environ: Mapping[str, str] = _ENVIRON, home: Path = _HOME) -> list[Target]:
    """Return one target for each version and build found, and a Debian one beside a plain one.

    Of several candidates for one id, the first source wins; within pyenv, the newest patch version.
    """
    sources = [
        _ask_all(_named(environ)),
        _newest_first(_ask_all(_in_pyenv(environ, home))),
    ]
    seen = {each.version[:2] for source in sources for each in source}
    # shims are slow to run: ask only those that could add something
    sources.append(_ask_all(_on_path(environ, without=seen)))
    sources.append(_ask_all(_pythons(Path("/usr/bin").glob("python3*"))))
    known = [each for source in sources for each in source if each.version[:2] in MINORS]

    chosen: dict[str, _Found] = {}
    for each in sorted(known, key=lambda each: each.debian):
        chosen.setdefault(each.name, each)
    taken = {each.executable for each in chosen.values()}
    for each in known:
        if each.debian and each.executable not in taken:
            chosen.setdefault(f"{each.name}-debian", each)
    order = sorted(chosen.items(), key=lambda item: (item[1].version[:2], item[0]))
    return [Target(each.executable, each.version[:2], name) for name, each in order]


def find_python2(environ: Mapping[str, str] = _ENVIRON, home: Path = _HOME) -> Path | None:
    """Return a Python 2.7 that runs, or None."""
    candidates = [*_versions(environ, home).glob("2.7*/bin/python2.7")]
    if on_path := shutil.which("python2.7", path=environ.get("PATH")):
        candidates.append(Path(on_path))
    for candidate in candidates:
        if _run([str(candidate), "-E", "-S", "-c", "print(27)"]) == "27\n":
            return candidate
    return None


def _named(environ: Mapping[str, str]) -> Iterator[Path]:
    for name in environ.get("ZIPSTRAP_TEST_PYTHONS", "").split(os.pathsep):
        if name:
            yield Path(name)


def _versions(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("PYENV_ROOT") or home / ".pyenv", "versions")


def _in_pyenv(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    return _pythons(_versions(environ, home).glob("*/bin/python3.*"))


def _pythons(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in sorted(paths) if re.fullmatch(r"python3(\.\d+t?d?)?", path.name))


def _on_path(environ: Mapping[str, str], without: Iterable[tuple[int, ...]]) -> Iterator[Path]:
    for minor in MINORS:
        if minor not in without:
            name = "python{}.{}".format(*minor)
            for suffix in ("", "t"):
                if path := shutil.which(name + suffix, path=environ.get("PATH")):
                    yield Path(path)


def _newest_first(known: Iterable[_Found]) -> list[_Found]:
    return sorted(known, key=lambda each: each.version, reverse=True)


def _ask_all(candidates: Iterable[Path]) -> list[_Found]:
    files = dict.fromkeys(path.resolve() for path in candidates if os.access(path, os.X_OK))
    with ThreadPoolExecutor(4) as pool:
        return [answer for answer in pool.map(_ask, files) if answer]


def _ask(candidate: Path) -> _Found | None:
    lines = (_run([str(candidate), "-I", "-S", "-c", _ASK]) or "").splitlines()
    if len(lines) != 7 or lines[0] != "cpython":
        return None
    _, major, minor, micro, flags, debian, executable = lines
    return _Found(
        Path(executable).resolve(), (int(major), int(minor), int(micro)), flags, debian == str(True)
    )


def _run(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None


#: Runs inside the new mount namespace: paths up to ``--``, then the command. 125 means that hiding failed.
_HIDE = """\
for path; do
    shift
    if [ "$path" = -- ]; then exec "$@"; fi
    if [ -d "$path" ]; then mount -t tmpfs none "$path"; else mount --bind /dev/null "$path"; fi || exit 125
done
"""


def _namespace() -> list[str]:
    return ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


@dataclasses.dataclass(frozen=True, slots=True)
class Hidden:
    """Paths that a command shall not see: a folder is empty, a file is /dev/null, so no regular file.

    The rest of the machine sees no change: the mounts live in a namespace of the command's own.
    """

    paths: tuple[Path, ...]

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """Return the command line that runs *command* without the paths."""
        for path in self.paths:
            if not path.exists():
                raise FileNotFoundError(f"{path}: there is nothing to hide")
        paths = [str(path.resolve()) for path in self.paths]
        return [*_namespace(), "sh", "-c", _HIDE, "sh", *paths, "--", *map(str, command)]

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* without the paths; its exit status is not checked, but that hiding worked is."""
        done = subprocess.run(
            self.command(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=env,
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
        if done.returncode == 125:
            raise OSError(f"the paths could not be hidden: {done.stderr.strip()}")
        return done


def hiding_works(folder: Path) -> bool:
    """Tell whether this machine lets us mount over *folder* and a file of its own."""
    inner, file = folder / "inner", folder / "file"
    inner.mkdir()
    (inner / "seen").touch()
    file.write_text("seen")
    try:
        done = Hidden((inner, file)).run(["sh", "-c", 'ls "$1"; cat "$2"', "sh", inner, file])
    except OSError:
        return False
    return done.returncode == 0 and not done.stdout
