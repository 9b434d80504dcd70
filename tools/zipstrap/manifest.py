"""The manifest: what a tree is made of, with hashes; the ground for verify, upgrade and undo.

It holds no path outside the tree and nothing that depends on who built it, when or where: two builds of the
same interpreter with the same options have the same manifest, byte for byte.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import __version__
from .archive import MemberRecord
from .errors import FileError
from .interpreter import Facts
from .inventory import Kind
from .layout import Landmark, Layout
from .plan import Plan

__all__ = [
    "MANIFEST_NAME",
    "FileRecord",
    "Manifest",
    "Target",
    "is_tree",
    "load_manifest",
    "make_manifest",
    "manifest_to_json",
    "target_of",
]

MANIFEST_NAME = "zipstrap-manifest.json"

_SCHEMA = 1


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
    guard: str
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
        guard=plan.options.guard,
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


def manifest_to_json(manifest: Manifest) -> str:
    """Return the manifest as canonical JSON."""
    values = {"schema_version": _SCHEMA, **dataclasses.asdict(manifest)}
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def is_tree(folder: Path) -> bool:
    """Tell whether *folder* is a tree that zipstrap made: its manifest says so."""
    try:
        load_manifest(folder)
    except FileError:
        return False
    return not folder.is_symlink()


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of the tree *folder*; raises :class:`FileError` when it has none that can be read."""
    path = folder / MANIFEST_NAME
    cure = "name a tree that zipstrap build made"
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", file=path, cure=cure) from error
    except ValueError as error:
        raise FileError(f"is not JSON ({error})", file=path, cure=cure) from error
    try:
        return _manifest(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(
            f"is not a manifest of this version ({type(error).__name__}: {error})", file=path, cure=cure
        ) from error


def _manifest(values: dict[str, Any]) -> Manifest:
    schema = values.pop("schema_version")
    if schema != _SCHEMA or not values["made_by"].startswith("zipstrap "):
        raise ValueError(f"schema_version {schema!r}, made by {values['made_by']!r}")
    target, layout = values.pop("target"), values.pop("layout")
    return Manifest(
        target=Target(**_tuples(target)),
        layout=_layout(layout),
        members=tuple(MemberRecord(**member) for member in values.pop("members")),
        files=tuple(FileRecord(**file) for file in values.pop("files")),
        left_out={reason: tuple(paths) for reason, paths in values.pop("left_out").items()},
        **_tuples(values),
    )


def _layout(values: dict[str, Any]) -> Layout:
    landmarks = tuple(Landmark(**landmark) for landmark in values.pop("landmarks"))
    return Layout(landmarks=landmarks, **_tuples(values))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
