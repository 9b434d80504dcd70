"""The verb inspect: what a tree or an archive holds, how large it is, and why a file is on disk."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archive import DEFLATED, STORED, ZSTANDARD, BadArchive, Limits, read_archive
from .compress import frame_size, is_frame
from .errors import FileError
from .fsverity import file_digest
from .manifest import MANIFEST_NAME, Manifest, is_tree, load_manifest, manifest_bytes

__all__ = [
    "Inspection",
    "Item",
    "Share",
    "fsverity_digests",
    "inspect_path",
    "inspection_to_json",
    "inspection_to_text",
    "rejection_to_json",
    "shares",
    "size_text",
]

_SCHEMA = 1

_METHODS = {STORED: "stored", DEFLATED: "deflate", ZSTANDARD: "zstd"}
_OVER_DICTIONARY = "zstd over the dictionary"
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Item:
    """A member of the archive or a file of the tree; sizes in bytes, *packed* as it takes room."""

    path: str
    origin: str
    size: int
    packed: int
    reason: str = ""
    #: how a member of the archive is kept
    method: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found."""

    path: Path
    manifest: Manifest | None
    archive_size: int
    items: tuple[Item, ...]
    #: of the file that the manifest was read from
    manifest_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What a package or a top-level file takes of the whole."""

    name: str
    origin: str
    files: int
    size: int
    packed: int
    part: float


def inspect_path(path: Path, *, limits: Limits | None = None) -> Inspection:
    """Look at a tree or an archive, whose members are all read, within *limits*.

    Raises :class:`FileError` for anything else, and :class:`zipstrap.archive.BadArchive` for an archive that
    the strict reader refuses.
    """
    limits = limits or Limits()
    path = path.absolute()
    if path.is_dir():
        manifest = load_manifest(path)
        archive = path / manifest.layout.library_archive
        unpacked = manifest.layout.name == "directory"
        members = [] if unpacked else [*_members(archive, limits, manifest)]
        if manifest.layout.archive != manifest.layout.library_archive:
            list(
                _members(path / manifest.layout.archive, limits, manifest)
            )  # raises if it is none; it is one of the files
        files = [
            Item(
                record.path,
                _origin(record.kind, record.path, manifest),
                record.size,
                record.size,
                record.reason,
            )
            for record in manifest.files
        ]
        sha256 = hashlib.sha256(manifest_bytes(path)).hexdigest()
        size = 0 if unpacked else archive.stat().st_size
        return Inspection(path, manifest, size, (*members, *files), sha256)
    size = _size(path)
    with path.open("rb") as file:
        if file.read(len(_ELF)) == _ELF:
            raise FileError(
                "is an executable or a library, and neither a tree nor an archive",
                file=path,
                cure=_instead(path),
            )
    return Inspection(path, None, size, tuple(_members(path, limits, None)))


def _instead(executable: Path) -> str:
    real = executable.resolve()
    tree = next((folder for folder in real.parents if is_tree(folder)), None)
    if tree is not None:
        return f"name the tree that it is in: {tree}"
    return "name a tree or an archive; zipstrap facts and zipstrap verify look at an interpreter"


def _members(path: Path, limits: Limits, manifest: Manifest | None) -> Iterator[Item]:
    version = None if manifest is None else manifest.target.feature_version
    with read_archive(path, version=version, limits=limits) as archive:
        for member in archive.members:
            size, method = member.size, _METHODS[member.method]
            data = archive.read(member.name)  # raises if it is damaged
            if is_frame(member.name):
                size, method = frame_size(data), _OVER_DICTIONARY
            yield Item(member.name, "archive", size, member.compressed_size, method=method)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", file=path, cure="name a tree or an archive"
        ) from error


def _origin(kind: str, path: str, manifest: Manifest) -> str:
    return (
        "dynload" if kind == "extension" and path.startswith(f"{manifest.layout.dynload}/") else "directory"
    )


def shares(inspection: Inspection) -> tuple[Share, ...]:
    """Return the shares by package, the largest first."""
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in inspection.items:
        groups[_package(item, inspection.manifest), item.origin].append(item)
    total = sum(item.packed for item in inspection.items) or 1
    found = [
        Share(
            name,
            origin,
            len(items),
            sum(item.size for item in items),
            packed := sum(item.packed for item in items),
            packed / total,
        )
        for (name, origin), items in groups.items()
    ]
    return tuple(sorted(found, key=lambda share: (-share.packed, share.name, share.origin)))


def _package(item: Item, manifest: Manifest | None) -> str:
    path = item.path
    if item.origin != "archive" and manifest is not None:
        path = path.removeprefix(f"{manifest.layout.library}/")
    folder, slash, _ = path.partition("/")
    if slash:
        return "bytecode of single modules" if folder == "__pycache__" else folder
    name = path.partition(".")[0]
    return name or path


def fsverity_digests(path: Path) -> dict[str, str]:
    """Return the fs-verity digests of the files of a tree, by their paths, or that of an archive alone."""
    if not path.is_dir():
        return {path.name: file_digest(path)}
    manifest = load_manifest(path)
    places = {record.path for record in manifest.files if record.sha256 is not None}
    places |= {MANIFEST_NAME} | ({manifest.layout.library_archive} if manifest.archive_sha256 else set())
    return {place: file_digest(path / place) for place in sorted(places)}


def rejection_to_json(path: Path, error: BadArchive) -> dict[str, Any]:
    """Return why the archive *path*, or one of the tree *path*, was refused."""
    return {
        "schema_version": _SCHEMA,
        "path": str(path.absolute()),
        "rejected": {
            "code": error.code,
            "name": error.kind.value,
            "file": error.problem.file,
            "offset": error.offset,
            "problem": error.problem.text,
            "cause": error.cause,
            "cure": error.cure,
        },
    }


def inspection_to_json(inspection: Inspection) -> dict[str, Any]:
    """Return everything as JSON-able values."""
    manifest = inspection.manifest
    return {
        "schema_version": _SCHEMA,
        "path": str(inspection.path),
        "target": None if manifest is None else manifest.target.name,
        "profile": None if manifest is None else manifest.profile,
        "manifest_sha256": inspection.manifest_sha256,
        "archive_size": inspection.archive_size,
        "shares": [dataclasses.asdict(share) for share in shares(inspection)],
        "items": [dataclasses.asdict(item) for item in inspection.items],
        "left_out": {} if manifest is None else dict(manifest.left_out),
        "needs": [] if manifest is None else list(manifest.needs),
        "notes": [] if manifest is None else list(manifest.notes),
    }


def inspection_to_text(inspection: Inspection, *, as_tree: bool = False) -> str:
    """Return a table of shares, or with *as_tree* every file under its folder, for people."""
    lines = [*_heading(inspection)]
    lines += _tree_lines(inspection.items) if as_tree else _table_lines(inspection)
    return "\n".join(lines) + "\n"


def _heading(inspection: Inspection) -> Iterator[str]:
    manifest = inspection.manifest
    if manifest is None:
        yield f"{inspection.path}: {len(inspection.items)} members, {size_text(inspection.archive_size)}"
        return
    yield f"{inspection.path}: {manifest.target.name}, profile {manifest.profile}, made by {manifest.made_by}"
    yield f"manifest: {MANIFEST_NAME}, sha256 {inspection.manifest_sha256}"
    packed = [item for item in inspection.items if item.origin == "archive"]
    on_disk = [item for item in inspection.items if item.origin != "archive"]
    place = manifest.layout.library_archive
    yield f"archive: {len(packed)} members, {size_text(inspection.archive_size)} in {place}"
    yield from _method_lines(packed)
    yield f"on disk: {len(on_disk)} files, {size_text(sum(item.packed for item in on_disk))}"
    for reason, paths in manifest.left_out.items():
        yield f"left out: {len(paths)} file{'' if len(paths) == 1 else 's'}: {reason}"
    if manifest.needs:
        yield f"needs of the system: {', '.join(manifest.needs)}"


def _method_lines(items: Iterable[Item]) -> Iterator[str]:
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if not item.path.endswith("/"):
            groups[item.method].append(item)
    for method, members in sorted(groups.items()):
        size, packed = (sum(sizes) for sizes in zip(*((m.size, m.packed) for m in members), strict=True))
        yield f"  {method}: {len(members)} members, {size_text(size)} in {size_text(packed)}"


def _table_lines(inspection: Inspection) -> Iterator[str]:
    rows = [
        (
            share.name,
            share.origin,
            str(share.files),
            size_text(share.size),
            size_text(share.packed),
            f"{share.part:6.1%}",
        )
        for share in shares(inspection)
    ]
    head = ("package", "origin", "files", "size", "room", "share")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
    reasons = defaultdict(list)
    for item in inspection.items:
        if item.reason:
            reasons[item.reason].append(item.path)
    if reasons:
        yield ""
        yield "why files are on disk:"
    for reason, paths in reasons.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"  {paths[0]}{more}: {reason}"


def _tree_lines(items: Iterable[Item]) -> Iterator[str]:
    shown: tuple[str, ...] = ()
    for item in sorted(items, key=lambda item: (item.origin != "archive", item.path.split("/"))):
        if item.path.endswith("/"):
            continue  # an entry for a folder, which is shown with what it holds
        place = "archive" if item.origin == "archive" else "tree"
        *folders, name = (place, *item.path.strip("/").split("/"))
        for depth, folder in enumerate(folders):
            if shown[: depth + 1] != tuple(folders[: depth + 1]):
                yield f"{'  ' * depth}{folder}/"
        shown = tuple(folders)
        reason = f"  ({item.reason})" if item.reason else ""
        yield f"{'  ' * len(folders)}{name}  {size_text(item.size)}{reason}"


def size_text(number: int) -> str:
    """Return *number*, of bytes, as people read it: ``543 kB``."""
    if number < 10_000:
        return f"{number} B"
    return f"{number / 1000:.0f} kB" if number < 10_000_000 else f"{number / 1_000_000:.1f} MB"
