"""Look at plugins without loading them: read an archive once, check its form, content and metadata."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import stat
import sys
import sysconfig
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from .archive_reader import ZSTANDARD, Limits, Refused, Source, open_archive, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = [
    "FAULTS",
    "MAX_ARCHIVE",
    "METADATA",
    "SCHEMA_VERSION",
    "USUAL_LIMITS",
    "Checked",
    "Content",
    "Fault",
    "Faulty",
    "Folder",
    "Metadata",
    "Module",
    "Runtime",
    "check_archive",
    "check_folder",
    "compared",
    "fault_of",
    "is_api",
    "read_plugin",
    "this_runtime",
]

#: the member that makes an archive a plugin, and the version of its form
METADATA = "plugin.json"
SCHEMA_VERSION = 1

#: the largest archive that is read unless another limit is given, in bytes
MAX_ARCHIVE = 64 << 20

USUAL_LIMITS = Limits(member=64 << 20, total=256 << 20)
_MAX_METADATA = 64 << 10
_SUFFIX = ".zip"
_NAME = re.compile("[A-Za-z](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_ENTRY_POINT = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<names>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*([0-9]+(?:\.[0-9]+){0,2})(\.\*)?\s*")
_API = re.compile("([0-9]{1,9})(?:[.]([0-9]{1,9}))?")

#: Bytecode's magic numbers by version, of the releases: Include/internal/pycore_magic_number.h. It only
#: words a message; what decides is whether the number is the interpreter's own.
_MAGIC = {3413: "3.8", 3425: "3.9", 3439: "3.10", 3495: "3.11", 3531: "3.12", 3571: "3.13", 3627: "3.14"}

#: ELF's e_machine, by what `uname -m` says
_MACHINES = {
    3: "i686",
    21: "ppc64le",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
}

#: Why a plugin or a folder is refused, or what went wrong with one, and what to do. A rule of the strict
#: reader that is broken has that rule's name as its kind.
FAULTS = {
    "folder": "name a folder of plugins that is there and can be read",
    "owner": "give it to root or to the user who runs the application: chown",
    "writable": "let nobody but its owner write there: chmod go-w",
    "file-link": "put the archive itself into the folder",
    "not-a-file": "remove it from the folder",
    "unreadable": "check the file's permissions",
    "changed": "try again when whoever writes it is done; put a new one there by renaming it",
    "too-large": "make the archive smaller, or raise the limit",
    "digest": "find out who put it there, or give the application its SHA-256",
    "no-metadata": "put a plugin.json at the root of the archive",
    "metadata": "mend plugin.json; the reference has its keys",
    "no-entry-point": 'name it in plugin.json, for example "entry_point": "module:function"',
    "entry-point": "let entry_point and at_unload name what the archive holds",
    "duplicate": "leave one of them in the folder",
    "api": "take a release of the plugin for this version of the application",
    "python": "take a release of the plugin for this version of Python",
    "platform": "take a release of the plugin for this platform",
    "bytecode": "make the archive with the interpreter that is to load it, or of sources alone",
    "extension": "install what has extension modules beside the application, not in the plugin",
    "namespace": "give Plugins another namespace",
    "absent": "put its archive into the folder",
    "import": "tell the plugin's author; the traceback says where",
    "call": "tell the plugin's author; the traceback says where",
    "unload": "tell the plugin's author; the traceback says where",
    "exit": "tell the plugin's author: a plugin returns, it does not end the application",
}
_CURE_ARCHIVE = "make the archive anew, with zipstrap bundle or zip -X; the name in brackets is the rule"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: its kind, a key of :data:`FAULTS` or a rule of the strict reader, and where.

    *plugin* is the plugin's name where it is known. *traceback* is the text of it, if something was raised.
    """

    kind: str
    problem: str
    file: str
    cure: str
    plugin: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.problem} [{self.kind}]\n  what to do: {self.cure}"


@dataclass(frozen=True)
class Metadata:
    """What ``plugin.json`` says. *entry_point* and *at_unload* are ``module:function``.

    *api* is the least version of the application's interface, ``MAJOR.MINOR``; *requires_python* has clauses
    such as ``>=3.8,<3.14``; *platforms* are names as of ``sysconfig.get_platform()``. *extra* is for the
    application.
    """

    name: str
    version: str
    entry_point: str
    about: str = ""
    at_unload: str = ""
    api: str = ""
    requires_python: str = ""
    platforms: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def module_name(self) -> str:
        """The name of its package in the namespace; names that are equal here are duplicates."""
        return self.name.lower().replace("-", "_")


@dataclass(frozen=True)
class Runtime:
    """The interpreter that a plugin is for.

    *magic* is what its bytecode begins with, four bytes; *platform* is as of ``sysconfig.get_platform()``.
    """

    version: tuple[int, int, int]
    magic: bytes
    platform: str
    extension_suffixes: tuple[str, ...]


def this_runtime() -> Runtime:
    """Return the interpreter that runs this."""
    return Runtime(
        (sys.version_info[0], sys.version_info[1], sys.version_info[2]),
        importlib.util.MAGIC_NUMBER,
        sysconfig.get_platform(),
        tuple(importlib.machinery.EXTENSION_SUFFIXES),
    )


@dataclass(frozen=True)
class Checked:
    """An archive that was looked at: it may be loaded if there are no *faults*. *size* is in bytes."""

    file: str
    sha256: str
    size: int
    metadata: Metadata | None
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.faults


class Faulty(Exception):  # noqa: N818 - it reads as what it says
    """Faults on their way to a report."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__(faults)


def fault_of(kind: str, problem: str, file: str, plugin: str = "", tb: str = "") -> Fault:
    """Return a fault with the cure that its kind has."""
    return Fault(kind, problem, file, FAULTS.get(kind, _CURE_ARCHIVE), plugin, tb)


class Folder:
    """An open folder of plugins; *descriptor* is None where files cannot be opened relative to one."""

    def __init__(self, path: str, *, check_owner: bool) -> None:
        self.path = os.path.realpath(path)
        self.check_owner = check_owner and hasattr(os, "geteuid")
        self.descriptor: int | None = None
        try:
            if os.open in os.supports_dir_fd and os.listdir in os.supports_fd:
                self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.names = sorted(os.listdir(self.path if self.descriptor is None else self.descriptor))
            faults = tuple(self._trust()) if self.check_owner else ()
        except OSError as error:
            self.close()
            raise Faulty(fault_of("folder", f"cannot be read ({error.strerror})", path)) from None
        if faults:
            self.close()
            raise Faulty(*faults)

    def _trust(self) -> Iterator[Fault]:
        """Yield why others could put something here: they may write to the folder, or exchange one above."""
        yield from _trust(os.stat(self.path if self.descriptor is None else self.descriptor), self.path)
        above = self.path
        while above != os.path.dirname(above):
            above = os.path.dirname(above)
            yield from _trust(os.stat(above), above, above=True)

    def archives(self) -> list[str]:
        """Return the names of what could be a plugin, in order."""
        return [name for name in self.names if name.endswith(_SUFFIX) and not name.startswith(".")]

    def look(self, name: str) -> tuple[int, ...]:
        """Return by what a file is known to be the same: its number, size and times."""
        status = self._status(name)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def _status(self, name: str) -> os.stat_result:
        if self.descriptor is None:
            return os.lstat(os.path.join(self.path, name))
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def read(self, name: str, max_size: int) -> bytes:
        """Return the bytes of the regular file *name*, or raise why not."""
        file = os.path.join(self.path, name)
        try:
            # before opening: to open a device may do something, and to open a FIFO may wait forever
            mode = self._status(name).st_mode
            if stat.S_ISLNK(mode):
                raise Faulty(fault_of("file-link", "is a symbolic link", file))
            if not stat.S_ISREG(mode):
                raise Faulty(fault_of("not-a-file", "is no regular file", file))
            flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
            flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            place = {} if self.descriptor is None else {"dir_fd": self.descriptor}
            descriptor = os.open(file if self.descriptor is None else name, flags, **place)
            with io.FileIO(descriptor) as stream:
                return self._read(stream, file, max_size)
        except OSError as error:
            raise Faulty(fault_of("unreadable", f"cannot be read ({error.strerror})", file)) from None
        except MemoryError:
            raise Faulty(fault_of("too-large", "does not fit into memory", file)) from None

    def _read(self, stream: io.FileIO, file: str, max_size: int) -> bytes:
        before = os.fstat(stream.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise Faulty(fault_of("not-a-file", "is no regular file", file))
        if self.check_owner:
            faults = tuple(_trust(before, file))
            if faults:
                raise Faulty(*faults)
        if before.st_size > max_size:
            problem = f"has {before.st_size} bytes, over {max_size}"
            raise Faulty(fault_of("too-large", problem, file))
        parts = []
        left = before.st_size + 1
        while left:
            part = stream.read(left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        after = os.fstat(stream.fileno())
        if left != 1 or (before.st_size, before.st_mtime_ns, before.st_ctime_ns) != (
            after.st_size,
            after.st_mtime_ns,
            after.st_ctime_ns,
        ):
            raise Faulty(fault_of("changed", "was written to while it was read", file))
        return b"".join(parts)

    def close(self) -> None:
        """Close the folder."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _trust(status: os.stat_result, file: str, *, above: bool = False) -> Iterator[Fault]:
    """Yield why *file* may be another's: whose it is, and who may write to it."""
    if status.st_uid not in (0, os.geteuid()):
        problem = f"belongs to the user {status.st_uid}, neither root nor the one who runs this"
        yield fault_of("owner", problem, file)
    # in a sticky folder, such as /tmp, nobody exchanges what is another's
    if status.st_mode & 0o022 and not (above and status.st_mode & stat.S_ISVTX):
        problem = f"can be written to by others (mode {stat.S_IMODE(status.st_mode):04o})"
        yield fault_of("writable", problem, file)


class Module(NamedTuple):
    """A module of an archive: its member, and the member that is its source."""

    member: str
    source: str
    is_package: bool


class Content:
    """The bytes of an archive that was found sound, and what is where in it."""

    def __init__(self, file: str, data: bytes, sha256: str, names: Sequence[str]) -> None:
        self.file = file
        self.data = data
        self.sha256 = sha256
        self.names = frozenset(names)
        self.modules = _modules(names)
        self.folders = frozenset(
            name[:index]
            for name in names
            for index in range(len(name))
            if name[index] == "/" and "." not in name[:index]
        )
        #: what `import` finds first within the plugin
        self.top = frozenset(
            [name for name in self.modules if name and "." not in name]
            + [name for name in self.folders if "/" not in name]
        )
        self._lock = threading.Lock()
        self._archive = open_archive(
            Source(io.BytesIO(data), len(data)), None, Limits(sys.maxsize, sys.maxsize)
        )

    def read(self, name: str) -> bytes:
        """Return a member's data, which was checked before: the bytes are the same."""
        with self._lock:
            return self._archive.read(name)


def _modules(names: Iterable[str]) -> dict[str, Module]:
    """Return what can be imported, by dotted name: packages before modules, bytecode before sources."""
    found: dict[str, Module] = {}
    every = set(names)
    for name in sorted(every):
        stem, dot, suffix = name.rpartition(".")
        if not dot or suffix not in ("py", "pyc"):
            continue
        folder, _, last = stem.rpartition("/")
        is_package = last == "__init__"
        # a dot would part the name: nothing imports __pycache__/x.cpython-313.pyc
        if "." in stem:
            continue
        dotted = (folder if is_package else stem).replace("/", ".")
        known = found.get(dotted)
        if known is None or (is_package, suffix == "pyc") > (known.is_package, known.member.endswith("c")):
            source = stem + ".py"
            found[dotted] = Module(name, source if source in every else "", is_package)
    return found


def check_archive(
    data: bytes,
    file: str,
    *,
    runtime: Runtime | None = None,
    api: str = "",
    limits: Limits = USUAL_LIMITS,
) -> Checked:
    """Check the archive *data*, read from *file*: its form, the content of every member, and its metadata.

    *runtime* is the interpreter that is to load it (default: this one), *api* the version of the
    application's interface. Nothing of the archive is executed.
    """
    return _check(data, file, runtime or this_runtime(), api, limits)[0]


def _check(
    data: bytes, file: str, runtime: Runtime, api: str, limits: Limits
) -> tuple[Checked, Content | None]:
    sha256 = hashlib.sha256(data).hexdigest()
    faults: list[Fault] = []
    metadata = None
    content = None
    try:
        archive = open_archive(Source(io.BytesIO(data), len(data)), None, limits)
        names = [member.name for member in archive.members]
        modules = _modules(names)
        raw = None
        for member in archive.members:
            if member.method == ZSTANDARD and runtime.version < (3, 14):
                problem = "%s is packed by Zstandard, which Python %d.%d cannot read"
                values = (shown(member.name), *runtime.version[:2])
                faults.append(fault_of("later-method", problem % values, file))
                continue
            body = archive.read(member.name)
            if member.name == METADATA:
                raw = body
            faults += _code_faults(member.name, body, modules, archive.read, runtime, file)
        if not faults or raw is not None:
            metadata, told = _metadata(raw, file, modules)
            faults += told
        if metadata is not None:
            faults += _runtime_faults(metadata, runtime, api, file)
        if not faults:
            content = Content(file, data, sha256, names)
    except Refused as refused:
        place = "" if refused.offset is None else f" (at byte {refused.offset})"
        faults.append(fault_of(refused.kind.value, refused.problem + place, file))
    except MemoryError:
        faults.append(fault_of("too-large", "does not fit into memory", file))
    name = "" if metadata is None else metadata.name
    named = tuple(Fault(each.kind, each.problem, each.file, each.cure, name) for each in faults)
    return Checked(file, sha256, len(data), metadata, named), content


def _code_faults(
    name: str,
    data: bytes,
    modules: Mapping[str, Module],
    read: Callable[[str], bytes],
    runtime: Runtime,
    file: str,
) -> Iterator[Fault]:
    """Yield what keeps the member *name* from being loaded by *runtime*."""
    stem, _, suffix = name.rpartition(".")
    if suffix in ("so", "pyd"):
        yield _extension_fault(name, data, runtime, file)
    if suffix != "pyc":
        return
    folder, _, last = stem.rpartition("/")
    dotted = (folder if last == "__init__" else stem).replace("/", ".")
    module = modules.get(dotted)
    if module is None or module.member != name:
        return  # data, such as __pycache__: nothing imports it
    flags = int.from_bytes(data[4:8], "little")
    if data[:4] != runtime.magic:
        number = int.from_bytes(data[:2], "little")
        version = _MAGIC.get(number)
        of = f"Python {version}" if version and data[2:4] == b"\r\n" else "another version"
        problem = "%s is bytecode of %s (magic %s), this is %d.%d (magic %s)"
        values = (shown(name), of, data[:4].hex(), *runtime.version[:2], runtime.magic.hex())
        yield fault_of("bytecode", problem % values, file)
    elif len(data) < 17 or flags > 3:
        yield fault_of("bytecode", f"{shown(name)} has no header of bytecode (PEP 552)", file)
    elif module.source:
        source = read(module.source)
        if flags == 0:
            agrees = data[12:16] == (len(source) & 0xFFFFFFFF).to_bytes(4, "little")
        elif runtime.magic == importlib.util.MAGIC_NUMBER:
            agrees = data[8:16] == importlib.util.source_hash(source)
        else:
            agrees = True  # each version hashes in its own way
        if not agrees:
            problem = f"{shown(name)} is not the bytecode of {shown(module.source)}"
            yield fault_of("bytecode", problem, file)


def _extension_fault(name: str, data: bytes, runtime: Runtime, file: str) -> Fault:
    base = name.rpartition("/")[2]
    suffix = base[base.index(".") :]
    machine = runtime.platform.rpartition("-")[2]
    number = int.from_bytes(data[18:20], "big" if data[5:6] == b"\2" else "little")
    if suffix not in runtime.extension_suffixes:
        problem = "%s is an extension module of another kind (%s) than this interpreter loads (%s)"
        problem %= (shown(name), suffix, ", ".join(runtime.extension_suffixes))
    elif runtime.platform.startswith("linux") and data[:4] != b"\x7fELF":
        problem = f"{shown(name)} is an extension module of another system: it is no ELF file"
    elif runtime.platform.startswith("linux") and _MACHINES.get(number, machine) != machine:
        problem = "%s is an extension module for the machine %s, this is %s"
        problem %= (shown(name), _MACHINES[number], machine)
    else:
        problem = f"{shown(name)} is an extension module, which is not loaded from a plugin"
    return fault_of("extension", problem, file)


_TEXTS = ("name", "version", "entry_point", "about", "at_unload", "api", "requires_python")


def _metadata(
    raw: bytes | None, file: str, modules: Mapping[str, Module]
) -> tuple[Metadata | None, list[Fault]]:
    if raw is None:
        return None, [fault_of("no-metadata", f"there is no {METADATA} at its root", file)]

    def wrong(problem: str, kind: str = "metadata") -> Fault:
        return fault_of(kind, f"{METADATA}: {problem}", file)

    if len(raw) > _MAX_METADATA:
        return None, [wrong(f"has {len(raw)} bytes, over {_MAX_METADATA}")]
    try:
        values = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return None, [wrong(f"is no JSON that can be read ({str(error)[:200]})")]
    if not isinstance(values, dict):
        return None, [wrong("is no object")]
    faults = []
    # true and 1.0 are equal to 1 too
    if json.dumps(values.get("schema_version")) != str(SCHEMA_VERSION):
        faults.append(wrong(f"schema_version is not {SCHEMA_VERSION}"))
    known = {*_TEXTS, "schema_version", "platforms", "extra"}
    faults += [wrong(f"there is no key {shown(key)}") for key in values if key not in known]
    texts = {key: values.get(key, "") for key in _TEXTS}
    for key, text in texts.items():
        if not isinstance(text, str) or not text.isprintable() or len(text) > 1000:
            faults.append(wrong(f"{key} is no text of one line"))
    platforms, extra = values.get("platforms", []), values.get("extra", {})
    if not isinstance(platforms, list) or not all(isinstance(each, str) for each in platforms):
        faults.append(wrong("platforms is no list of texts"))
    if not isinstance(extra, dict):
        faults.append(wrong("extra is no object"))
    if faults:
        return None, faults
    if not _NAME.fullmatch(texts["name"]):
        faults.append(wrong("name is missing, or is not made of letters, digits, - and _"))
    if not texts["version"]:
        faults.append(wrong("version is missing"))
    if texts["api"] and not is_api(texts["api"]):
        faults.append(wrong("api is not MAJOR or MAJOR.MINOR"))
    if texts["requires_python"] and _clauses(texts["requires_python"]) is None:
        faults.append(wrong("requires_python has no clauses such as >=3.8,<3.14"))
    if not texts["entry_point"]:
        faults.append(wrong("there is no entry_point", "no-entry-point"))
    for key in ("entry_point", "at_unload"):
        if not texts[key]:
            continue
        match = _ENTRY_POINT.fullmatch(texts[key])
        if match is None:
            faults.append(wrong(f"{key} is not module:function", "entry-point"))
        elif match["module"] not in modules:
            problem = "{} names the module {}, which is not in the archive".format(key, match["module"])
            faults.append(wrong(problem, "entry-point"))
    metadata = Metadata(platforms=tuple(platforms), extra=extra, **texts)
    # without a sound name nothing can be said of it as a plugin
    return (metadata if _NAME.fullmatch(metadata.name) else None), faults


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def is_api(text: str) -> bool:
    """Tell whether *text* is a version of an interface: ``MAJOR`` or ``MAJOR.MINOR``."""
    return _API.fullmatch(text) is not None


def _runtime_faults(metadata: Metadata, runtime: Runtime, api: str, file: str) -> Iterator[Fault]:
    """Yield why what *metadata* asks for is not there."""
    if api and metadata.api:
        have, need = _API.fullmatch(api), _API.fullmatch(metadata.api)
        if have is not None and need is not None:
            major, minor = int(have[1]), int(have[2] or 0)
            if (major, minor) < (int(need[1]), int(need[2] or 0)) or major != int(need[1]):
                problem = f"needs the interface {metadata.api}, this application has {api}"
                yield fault_of("api", problem, file)
    for clause in _clauses(metadata.requires_python) or ():
        if not _holds(clause, runtime.version):
            problem = "is for Python {}, this is {}.{}.{}".format(metadata.requires_python, *runtime.version)
            yield fault_of("python", problem, file)
            break
    if metadata.platforms and runtime.platform not in metadata.platforms:
        problem = "is for {}, this is {}".format(", ".join(map(shown, metadata.platforms)), runtime.platform)
        yield fault_of("platform", problem, file)


class _Clause(NamedTuple):
    operator: str
    version: tuple[int, ...]
    is_prefix: bool


def _clauses(text: str) -> list[_Clause] | None:
    """Return what ``requires_python`` asks for; None if it cannot be read."""
    found = []
    for part in text.split(",") if text else ():
        match = _CLAUSE.fullmatch(part)
        if match is None or (match[3] and match[1] not in ("==", "!=")):
            return None
        found.append(_Clause(match[1], tuple(map(int, match[2].split("."))), bool(match[3])))
    return found


def _holds(clause: _Clause, version: tuple[int, int, int]) -> bool:
    want = clause.version if clause.is_prefix else (*clause.version, 0, 0)[:3]
    have = version[: len(want)]
    return {
        ">=": have >= want,
        "<=": have <= want,
        "==": have == want,
        "!=": have != want,
        "<": have < want,
        ">": have > want,
    }[clause.operator]


def check_folder(
    folder: str,
    *,
    runtime: Runtime | None = None,
    api: str = "",
    check_owner: bool = True,
    digests: Mapping[str, str] | None = None,
    limits: Limits = USUAL_LIMITS,
    max_size: int = MAX_ARCHIVE,
) -> tuple[tuple[Checked, ...], tuple[Fault, ...]]:
    """Check each archive ``*.zip`` of *folder*, by name; return them, and what is wrong with the folder.

    With *check_owner*, the folder, those above it and the archives must belong to root or to the user of
    this process, and nobody else may write to them (POSIX modes; access lists are not looked at). *digests*
    maps plugins' names to the SHA-256 of their archives: others are refused then. *max_size* bounds an
    archive, in bytes. The other arguments are those of :func:`check_archive`.
    """
    try:
        with Folder(folder, check_owner=check_owner) as opened:
            read = {
                name: read_plugin(opened, name, runtime or this_runtime(), api, limits, max_size)
                for name in opened.archives()
            }
    except Faulty as faulty:
        return (), faulty.faults
    return tuple(each[0] for each in compared(list(read.values()), digests)), ()


def read_plugin(
    folder: Folder, name: str, runtime: Runtime, api: str, limits: Limits, max_size: int
) -> tuple[Checked, Content | None]:
    """Read and check the archive *name* of *folder*; what it holds is returned if nothing is wrong."""
    file = os.path.join(folder.path, name)
    try:
        data = folder.read(name, max_size)
    except Faulty as faulty:
        return Checked(file, "", 0, None, faulty.faults), None
    return _check(data, file, runtime, api, limits)


def compared(
    read: list[tuple[Checked, Content | None]], digests: Mapping[str, str] | None
) -> list[tuple[Checked, Content | None]]:
    """Return *read* with what is wrong with them together, or by what the application expects."""
    by_name: dict[str, list[str]] = {}
    for checked, _ in read:
        if checked.metadata is not None:
            by_name.setdefault(checked.metadata.module_name, []).append(checked.file)
    done = []
    for checked, content in read:
        more = []
        if checked.metadata is not None:
            name = checked.metadata.name
            others = [file for file in by_name[checked.metadata.module_name] if file != checked.file]
            if others:
                problem = "is the plugin {}, and so is {}".format(name, ", ".join(others))
                more.append(fault_of("duplicate", problem, checked.file, name))
            if digests is not None and digests.get(name, "").lower() != checked.sha256:
                problem = f"has the SHA-256 {checked.sha256}, which is not the one expected"
                if name not in digests:
                    problem = f"no SHA-256 is known for the plugin {name}"
                more.append(fault_of("digest", problem, checked.file, name))
        if more:
            faults = (*checked.faults, *more)
            checked = Checked(checked.file, checked.sha256, checked.size, checked.metadata, faults)
            content = None
        done.append((checked, content))
    return done
