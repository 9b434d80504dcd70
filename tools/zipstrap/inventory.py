"""What the target's library holds: every file, classified, with its component."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .data import components, matches
from .errors import FileError, InterpreterError, cure_of
from .interpreter import Facts

__all__ = ["Entry", "Inventory", "Kind", "LibraryFile", "classify", "scan_library", "take_inventory"]

_SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})
_DYNLOAD = "lib-dynload"
#: as manifest.py calls it, which is built on this module
_MANIFEST = "zipstrap-manifest.json"
#: what the system says of a link whose target does not exist
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class Kind(StrEnum):
    """What a file of the library is."""

    MODULE = "module"
    PACKAGE = "package"
    DATA = "data"
    EXTENSION = "extension"
    JUNK = "junk"


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A file as it was found: *path* is relative to the library's folder, *source* is where it is read."""

    path: str
    source: str
    size: int
    mode: int
    #: where a symbolic link points, as it is written; None for a plain file
    link: str | None = None
    #: a link that leads to no file: its target is missing, or is a folder that is not followed
    broken: bool = False
    #: a link whose target lies outside the library
    leaves: bool = False
    #: a broken link whose target is there: a folder outside the library, or else it leads in a circle
    unfollowed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A classified file of the library."""

    path: str
    source: str
    kind: Kind
    component: str
    size: int
    mode: int
    #: the module that this file is the source or the binary of
    module: str | None = None
    #: why a file is junk, or what is unusual about it
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every file of the target's library, sorted by path."""

    library: str
    entries: tuple[Entry, ...]

    def modules(self) -> dict[str, Entry]:
        """Return the importable modules by name: of one name, a package wins, then a source.

        The library's folder comes before ``lib-dynload`` on ``sys.path``, and in one folder packages go
        first (``importlib._bootstrap_external.FileFinder``, and zipimport's search order).
        """
        order = (Kind.EXTENSION, Kind.MODULE, Kind.PACKAGE)
        named = [entry for entry in self.entries if entry.module is not None]
        named.sort(key=lambda entry: order.index(entry.kind))
        return {entry.module: entry for entry in named if entry.module is not None}


def take_inventory(facts: Facts) -> Inventory:
    """Read the target's library from disk and classify it.

    Raises :class:`InterpreterError` when there is no unpacked library, :class:`FileError` for what cannot be
    read.
    """
    return classify(scan_library(facts), facts)


def scan_library(facts: Facts) -> tuple[LibraryFile, ...]:
    """List the files of the target's library; folders of installed packages are not part of it.

    Extension modules are listed below ``lib-dynload``, wherever the target has them.
    """
    library = Path(facts.library)
    if not _is_folder(library / "encodings"):
        raise _no_library(facts, library)
    name = "DLLs" if facts.os_name == "nt" else _DYNLOAD
    dynload = next((Path(entry) for entry in facts.search_path if facts.path(entry).name == name), None)
    roots = tuple(os.path.realpath(folder) for folder in (library, dynload) if folder is not None)
    found = list(_walk(str(library), roots, "", (roots[0],)))
    farm = next((file for file in found if file.path == "encodings"), None)
    if farm is not None:  # not followed: no start is possible without it, and the rest will be links as well
        raise InterpreterError(
            f"encodings, which every start needs, is a link to a folder outside the library ({farm.link})",
            file=library,
            cure="name the interpreter of the installation that the links lead to, or copy the library whole",
        )
    if dynload is not None and _is_folder(dynload) and not dynload.is_relative_to(library):
        found += _walk(str(dynload), roots, f"{_DYNLOAD}/", (roots[1],))
    return tuple(sorted(found, key=lambda file: file.path))


def _no_library(facts: Facts, library: Path) -> InterpreterError:
    archive = next(
        (
            entry
            for entry in facts.search_path
            if facts.path(entry).suffix.lower() == ".zip" and os.path.isfile(entry)  # noqa: PTH113 - a text
        ),
        None,
    )
    if archive is None:
        return InterpreterError(
            f"{facts.name} has no unpacked standard library there",
            file=library,
            cure="name an interpreter whose library is a folder; zipstrap inspect shows archives",
        )
    made, cure = "", "name an installation of the same version whose library is a folder"
    if os.path.isfile(os.path.join(facts.prefix, _MANIFEST)):  # noqa: PTH113, PTH118 - a text
        made = f", in a tree that zipstrap made ({facts.prefix})"
        cure = f"name the interpreter that this tree was made from: an installed {facts.name}"
    return InterpreterError(
        f"this interpreter boots from an archive, {archive}{made}, "
        "and has no unpacked standard library to make another from",
        file=facts.executable,
        cure=cure,
    )


def _walk(folder: str, roots: tuple[str, ...], prefix: str, here: tuple[str, ...]) -> Iterable[LibraryFile]:
    """List *folder*; *here* are the real paths of its parents and itself, to end where links go round.

    *roots* are the real paths of the library's folders: links to other folders are not followed.
    """
    try:
        with os.scandir(folder) as listing:
            children = sorted(listing, key=lambda child: child.name)
    except OSError as error:
        raise FileError(
            f"this folder of the library cannot be listed ({error.strerror})",
            file=folder,
            cure=cure_of(error, "make it readable for the user who builds"),
        ) from error
    for child in children:
        path = prefix + child.name
        if prefix == "" and child.name in _SITE_FOLDERS:
            continue
        if child.name == "__pycache__":
            # one piece of junk: there are thousands of files in these folders, and none is of interest
            yield LibraryFile(path, child.path, 0, 0o755)
            continue
        if child.is_symlink():
            real = _followed(child, roots, here)
            if real is not None:
                yield from _walk(child.path, roots, f"{path}/", (*here, real))
            else:
                yield _link(child, path, roots)
        elif child.is_dir():
            yield from _walk(child.path, roots, f"{path}/", (*here, f"{here[-1]}/{child.name}"))
        elif child.name.endswith((".pyc", ".pyo")):
            yield LibraryFile(path, child.path, 0, 0o644)  # junk: not worth asking for
        elif child.is_file(follow_symlinks=False):
            try:
                status = child.stat(follow_symlinks=False)
            except OSError as error:
                raise _unreadable(child.path, error) from error
            yield LibraryFile(path, child.path, status.st_size, stat.S_IMODE(status.st_mode))


def _is_folder(path: Path | os.DirEntry[str]) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to itself, or behind what may not be entered
        return False


def _is_inside(real: str, roots: tuple[str, ...]) -> bool:
    return any(Path(real).is_relative_to(root) for root in roots)


def _followed(child: os.DirEntry[str], roots: tuple[str, ...], here: tuple[str, ...]) -> str | None:
    """Return the folder of the library to which the link *child* leads, unless it leads round; else None.

    A link out of the library may lead to anything, the whole file system among it.
    """
    if not _is_folder(child):
        return None
    real = os.path.realpath(child.path)
    return real if real not in here and _is_inside(real, roots) else None


def _link(child: os.DirEntry[str], path: str, roots: tuple[str, ...]) -> LibraryFile:
    try:
        target = str(Path(child.path).readlink())
        status = os.stat(child.path)  # noqa: PTH116 - a text
    except OSError as error:
        if error.errno == errno.ELOOP:
            return LibraryFile(path, child.path, 0, 0o777, target, broken=True, unfollowed=True)
        if error.errno not in _NOT_THERE:
            raise _unreadable(child.path, error) from error
        leaves = not _is_inside(os.path.realpath(child.path), roots)
        return LibraryFile(path, child.path, 0, 0o777, target, broken=True, leaves=leaves)
    leaves = not _is_inside(os.path.realpath(child.path), roots)
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        return LibraryFile(
            path, child.path, 0, 0o777, target, broken=True, leaves=leaves, unfollowed=is_folder
        )
    return LibraryFile(
        path, child.path, status.st_size, stat.S_IMODE(status.st_mode), target, broken=False, leaves=leaves
    )


def _unreadable(path: str, error: OSError) -> FileError:
    return FileError(
        f"this file of the library cannot be looked at ({error.strerror or error})",
        file=path,
        cure=cure_of(
            error, "make it readable for the user who builds, and do not change the library during a build"
        ),
    )


def classify(files: Iterable[LibraryFile], facts: Facts) -> Inventory:
    """Classify *files*; pure."""
    return Inventory(facts.library, tuple(_entry(file, facts) for file in files))


def _entry(file: LibraryFile, facts: Facts) -> Entry:
    kind, module, note = _kind(file, facts)
    extension = module if kind is Kind.EXTENSION else None
    return Entry(
        path=file.path,
        source=file.source,
        kind=kind,
        component="junk" if kind is Kind.JUNK else _component(file.path, extension),
        size=file.size,
        mode=file.mode,
        module=module,
        note=note,
    )


def _kind(file: LibraryFile, facts: Facts) -> tuple[Kind, str | None, str]:
    *folders, name = file.path.split("/")
    if file.unfollowed:
        note = f"a link to a folder outside the library ({file.link})"
        return Kind.JUNK, None, note if file.leaves else f"a link to {file.link}, which leads in a circle"
    if file.broken:
        return Kind.JUNK, None, f"a link to {file.link}, which is not there"
    if "__pycache__" in (*folders, name) or name.endswith((".pyc", ".pyo")):
        return Kind.JUNK, None, "bytecode made by another run"
    if name.endswith(("~", ".orig", ".rej", ".swp", ".bak")) or name in {".DS_Store", "Thumbs.db"}:
        return Kind.JUNK, None, "left behind by an editor or a patch"
    note = f"a link to {file.link}" if file.link is not None else ""
    if folders == [_DYNLOAD] or not folders:
        suffix = next((end for end in facts.extension_suffixes if name.endswith(end)), None)
        if suffix is not None:
            return Kind.EXTENSION, name.removesuffix(suffix), note
    if folders[:1] == [_DYNLOAD]:
        return Kind.DATA, None, note
    if name.endswith(".py") and all(part.isidentifier() for part in folders):
        stem = name.removesuffix(".py")
        if stem == "__init__" and folders:
            return Kind.PACKAGE, ".".join(folders), note
        if stem.isidentifier() or _is_plain_name(stem):
            return Kind.MODULE, ".".join([*folders, stem]), note
    return Kind.DATA, None, note


def _is_plain_name(stem: str) -> bool:
    # _sysconfigdata__linux_x86_64-linux-gnu is imported by name although it is no identifier
    return stem.startswith("_sysconfigdata") and "." not in stem


def _component(path: str, extension: str | None) -> str:
    known = path if extension is None else f"{_DYNLOAD}/{extension}"
    return next((part.name for part in components() if matches(known, part.patterns)), "core")
