"""The manifest: what a tree is made of, with hashes; the ground for verify, upgrade and undo.

It holds no path outside the tree and nothing that depends on who built it, when or where: two builds of the
same interpreter with the same options have the same manifest, byte for byte.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import stat
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from . import __version__
from .archive import MemberRecord
from .data import record_of
from .errors import FileError
from .interpreter import Facts
from .inventory import Kind
from .layout import GENERATIONS, Landmark, Layout
from .plan import Plan

__all__ = [
    "MANIFEST_NAME",
    "FileRecord",
    "Manifest",
    "Target",
    "is_tree",
    "load_manifest",
    "make_manifest",
    "manifest_bytes",
    "manifest_digest",
    "manifest_to_json",
    "target_of",
]

_T = TypeVar("_T")

MANIFEST_NAME = "zipstrap-manifest.json"

_CURE = "name a tree that zipstrap build made"

_SCHEMA = 1

#: in bytes; one of all modules, tests among them, is of 2 MB
_MAX_SIZE = 64 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """What the tree's checks need to know of the interpreter in it."""

    name: str
    version: tuple[int, int, int]
    build: str
    platform: str
    machine: str
    abiflags: str
    free_threaded: bool
    cache_tag: str
    magic: str
    extension_suffixes: tuple[str, ...]
    #: "builtin", "extension" or None
    zlib: str | None

    @property
    def feature_version(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.version[:2]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file, link or folder of the tree; *path* is relative to its root."""

    path: str
    kind: str
    reason: str
    component: str
    mode: int
    size: int = 0
    sha256: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a tree is made of."""

    made_by: str
    target: Target
    layout: Layout
    profile: str
    optimize: int
    source: str
    compress: str
    #: modules that stay stored: usual or none, and those that the interpreter imports with these arguments
    hot: str
    hot_of: tuple[str, ...]
    debug_ranges: bool
    guard: str
    zips: str
    #: in the layout isolated off or on, else empty
    site: str
    #: where the extension modules are: disk or archive
    extensions: str
    #: of the archive that holds the library's modules
    archive_size: int
    archive_sha256: str
    members: tuple[MemberRecord, ...]
    files: tuple[FileRecord, ...]
    #: reason → paths below the library's folder that the tree does not take
    left_out: Mapping[str, tuple[str, ...]]
    #: shared libraries that the tree needs of the system it runs on
    needs: tuple[str, ...]
    notes: tuple[str, ...]


def target_of(facts: Facts) -> Target:
    """Return what of *facts* does not depend on where the interpreter lies."""
    zlib = facts.zlib if facts.zlib in ("builtin", None) else "extension"
    return Target(
        name=facts.name,
        version=facts.version,
        build=facts.build,
        platform=facts.platform,
        machine=facts.machine,
        abiflags=facts.abiflags,
        free_threaded=facts.free_threaded,
        cache_tag=facts.cache_tag,
        magic=facts.magic,
        extension_suffixes=facts.extension_suffixes,
        zlib=zlib,
    )


def make_manifest(
    plan: Plan,
    members: Sequence[MemberRecord],
    archive_size: int,
    archive_sha256: str,
    files: Sequence[FileRecord],
    needs: Sequence[str],
    notes: Sequence[str],
) -> Manifest:
    """Put together what a build knows of the tree that it has staged."""
    items = sorted(
        (item.reason, item.entry.path) for item in plan.left_out if item.entry.kind is not Kind.JUNK
    )
    return Manifest(
        made_by=f"zipstrap {__version__}",
        target=target_of(plan.facts),
        layout=plan.layout,
        profile=plan.profile,
        optimize=plan.options.optimize,
        source=plan.options.source,
        compress=plan.options.compress,
        hot=plan.options.hot,
        hot_of=tuple(map(_without_folder, plan.options.hot_of)),
        debug_ranges=plan.options.debug_ranges is not False,
        guard=plan.options.guard,
        zips=plan.options.zips,
        site=plan.options.site,
        extensions=plan.options.extensions,
        archive_size=archive_size,
        archive_sha256=archive_sha256,
        members=tuple(members),
        files=tuple(sorted(files, key=lambda file: file.path)),
        left_out={
            reason: tuple(path for _, path in group)
            for reason, group in itertools.groupby(items, key=lambda item: item[0])
        },
        needs=tuple(needs),
        notes=tuple(notes),
    )


def _without_folder(command: str) -> str:
    """Return of a trace the name alone: a manifest holds no path outside the tree."""
    return f"@{Path(command).name}" if command.startswith("@") else command


def manifest_to_json(manifest: Manifest) -> str:
    """Return the manifest as canonical JSON: sorted keys, one file or member a line."""
    values = {
        "schema_version": _SCHEMA,
        **{field.name: getattr(manifest, field.name) for field in fields(manifest)},
    }
    lines = []
    for name, value in sorted(values.items()):
        if name in ("files", "members"):
            kind = FileRecord if name == "files" else MemberRecord
            items = [field.name for field in fields(kind)]
            records = ",\n  ".join(_line({item: getattr(record, item) for item in items}) for record in value)
            lines.append(f' "{name}": [\n  {records}\n ]')
        else:
            value = dataclasses.asdict(value) if isinstance(value, Target | Layout) else value
            lines.append(f' "{name}": {_line(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


@functools.cache
def _names(kind: Hashable) -> tuple[str, ...]:
    """Return the names of the dataclass *kind*: there are a thousand records of two."""
    return tuple(field.name for field in fields(cast("Any", kind)))


def _line(value: object) -> str:
    # without an indent json takes its quick way, twenty times quicker for a thousand records (measured)
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def manifest_digest(manifest: Manifest) -> str:
    """Return the SHA-256, in hexadecimal, of what :func:`manifest_to_json` gives: that of the file."""
    return hashlib.sha256(manifest_to_json(manifest).encode()).hexdigest()


def is_tree(folder: Path) -> bool:
    """Tell whether *folder* is a tree that a zipstrap of any version made: its manifest says so."""
    try:
        return _is_ours(manifest_bytes(folder)) and not folder.is_symlink()
    except FileError:
        return False


# a tree is asked for when a build begins, and again when it is replaced: there are few at a time
@functools.lru_cache(maxsize=2)
def _is_ours(data: bytes) -> bool:
    """Tell whether the manifest *data* was made by a zipstrap of any version; pure."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return False
    made_by = values.get("made_by") if isinstance(values, dict) else None
    return isinstance(made_by, str) and made_by.startswith("zipstrap ")


def load_manifest(folder: Path, data: bytes | None = None) -> Manifest:
    """Read the manifest of the tree *folder*; *data* is what was read of it before.

    Raises :class:`FileError` when it has none that can be read, or one that is no plain file, or that names
    a path outside the tree: whoever removes or compares by it must not be led elsewhere.
    """
    path = folder / MANIFEST_NAME
    try:
        values = json.loads(manifest_bytes(folder) if data is None else data)
    except (ValueError, RecursionError) as error:
        raise FileError(f"is not JSON ({error})", file=path, cure=_CURE) from error
    try:
        return _manifest(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(
            f"is not a manifest of this version ({type(error).__name__}: {error})",
            file=path,
            cure="use the zipstrap that made the tree, or build it anew (--force replaces it)",
        ) from error


def manifest_bytes(folder: Path) -> bytes:
    """Return the bytes of the manifest of *folder*; raises :class:`FileError` if they cannot be read."""
    path = folder / MANIFEST_NAME
    try:
        status = path.lstat()
        # before opening: to open a pipe may wait forever
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_SIZE:
            raise FileError("is no plain file of a manifest's size", file=path, cure=_CURE)
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and (folder / GENERATIONS).is_dir():
            raise FileError(
                "is a prefix with generations, and no tree itself",
                file=folder,
                cure=f"name its interpreter (bin/python3.X), or one of the trees in {GENERATIONS}",
            ) from error
        if isinstance(error, FileNotFoundError) and folder.is_dir():
            raise FileError(
                f"is no tree: it has no {MANIFEST_NAME}",
                file=folder,
                cure=f"{_CURE}; only verify and hooks look at an interpreter, by its path (bin/python3.X)",
            ) from error
        raise FileError(f"cannot be read ({error.strerror})", file=path, cure=_CURE) from error


def _manifest(values: dict[str, Any]) -> Manifest:
    schema = values["schema_version"]
    if schema != _SCHEMA or not values["made_by"].startswith("zipstrap "):
        raise ValueError(f"schema_version {schema!r}, made by {values['made_by']!r}")
    # trees that were made before there were launchers start their interpreter itself
    layout = {"interpreter": values["layout"]["executable"], **values["layout"]}
    manifest = _record(
        Manifest,
        # trees that were made before there was a choice have them on disk
        {"extensions": "disk", **{name: value for name, value in values.items() if name != "schema_version"}},
        target=_record(Target, values["target"]),
        layout=_record(
            Layout, layout, landmarks=tuple(_record(Landmark, each) for each in layout["landmarks"])
        ),
        members=tuple(_record(MemberRecord, each) for each in values["members"]),
        files=tuple(_record(FileRecord, each) for each in values["files"]),
        left_out={reason: _strings(paths) for reason, paths in values["left_out"].items()},
    )
    for place in _places(manifest):
        if "\0" in place or place.startswith("/") or not {"", ".", ".."}.isdisjoint(place.split("/")):
            raise ValueError(f"{place!r} is not a path inside the tree")
    return manifest


def _places(manifest: Manifest) -> Iterator[str]:
    layout = manifest.layout
    yield from (
        layout.executable,
        layout.interpreter,
        layout.archive,
        layout.library_archive,
        layout.library,
        layout.dynload,
        layout.site,
    )
    yield layout.shared_libraries
    yield from layout.executable_links
    yield from layout.site_folders
    yield from (landmark.path for landmark in layout.landmarks)
    yield from (record.path for record in manifest.files)


def _record(kind: type[_T], values: Mapping[str, Any], **made: Any) -> _T:
    if unknown := sorted(values.keys() - set(_names(cast("Hashable", kind)))):
        raise ValueError(f"there is no {unknown[0]} in a {kind.__name__}")
    return record_of(kind, values, **made)


def _strings(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values!r} is no list of strings")
    return tuple(values)
