"""Pure but for reading: how large an archive of somebody else is, and ours with the same modules."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zipstrap.errors import FileError, UsageError

__all__ = ["Peer", "PeerSize", "Stored", "compare_peer", "module_of", "parse_peer", "read_peer", "total"]

#: fixed parts of a member's two headers and of the end record (PKWARE's APPNOTE, 4.3.7, 4.3.12, 4.3.16)
_HEADERS, _END = 30 + 46, 22


@dataclass(frozen=True, slots=True)
class Stored:
    """A member of an archive: its name, and the bytes that it takes as it lies there."""

    name: str
    packed: int


@dataclass(frozen=True, slots=True)
class Peer:
    """An archive that was named for comparison."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class PeerSize:
    """Sizes in bytes; *common* are the modules that the peer and every column of ours have."""

    name: str
    path: str
    size: int
    #: its modules as bytecode, and those as sources alone
    bytecode: int
    sources: int
    common: int
    #: an archive of the common modules alone: the peer's members, and those of each column, bytecode only
    peer: int
    ours: Mapping[str, int]
    #: modules of the peer that a column has not: its own, or of another version
    others: tuple[str, ...]


def parse_peer(text: str) -> Peer:
    """Return what ``NAME=ARCHIVE`` says. Raises UsageError for anything else."""
    name, mark, path = text.partition("=")
    if not (name and mark and path):
        raise UsageError(
            f"--peer {text!r} is not NAME=ARCHIVE", cure="write --peer pyinstaller=base_library.zip"
        )
    return Peer(name, Path(path))


def module_of(name: str) -> str | None:
    """Return the module of the archive's member *name*, or None for what is none."""
    stem, _, end = name.rpartition(".")
    if end not in ("py", "pyc") or not all(part.isidentifier() for part in stem.split("/")):
        return None
    return stem.replace("/", ".").removesuffix(".__init__")


def read_peer(path: Path) -> tuple[int, tuple[Stored, ...]]:
    """Return size and members of the archive *path*. Raises FileError if it cannot be read."""
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            return size, tuple(Stored(info.filename, info.compress_size) for info in archive.infolist())
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileError(
            f"cannot be read as an archive ({getattr(error, 'strerror', None) or error})",
            file=path,
            cure="name the library's archive of another program",
        ) from error


def total(members: Iterable[Stored]) -> int:
    """Return the size of an archive of *members* alone, in bytes, without comments and extra fields."""
    return _END + sum(_HEADERS + 2 * len(each.name.encode()) + each.packed for each in members)


def compare_peer(
    name: str,
    path: str,
    size: int,
    members: Iterable[Stored],
    columns: Mapping[str, Iterable[Stored]],
) -> PeerSize:
    """Compare *members* of a peer's archive with those of our *columns*, module by module. Pure."""
    theirs = _modules(members)
    ours = {column: _bytecode(stored) for column, stored in columns.items()}
    common = [module for module in theirs if all(module in modules for modules in ours.values())]
    return PeerSize(
        name=name,
        path=path,
        size=size,
        bytecode=sum(each.name.endswith(".pyc") for each in theirs.values()),
        sources=sum(each.name.endswith(".py") for each in theirs.values()),
        common=len(common),
        peer=total(theirs[module] for module in common),
        ours={column: total(modules[module] for module in common) for column, modules in ours.items()},
        others=tuple(sorted(set(theirs) - set(common))),
    )


def _modules(members: Iterable[Stored]) -> dict[str, Stored]:
    """Return the member of each module: the bytecode where there is both."""
    found: dict[str, Stored] = {}
    for each in members:
        module = module_of(each.name)
        if module is not None and not (module in found and each.name.endswith(".py")):
            found[module] = each
    return found


def _bytecode(members: Iterable[Stored]) -> dict[str, Stored]:
    return {name: each for name, each in _modules(members).items() if each.name.endswith(".pyc")}
