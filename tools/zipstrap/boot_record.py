"""What the importer of the ``fast`` layout knows before it opens the library's archive: one marshalled tuple.

It is the member :data:`RECORD_MEMBER` of the archive that the interpreter finds: the importer's own bytecode,
the bytecode of the modules that every start needs, and where each member of the library's archive is. The
order of its parts is that in which ``site_hooks/zipstrap_importer.py`` unpacks them.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .archive import Member, MemberRecord
from .data import preloaded_modules
from .errors import UnsupportedError
from .plan import FileKind, Plan

__all__ = ["RECORD_MEMBER", "Directory", "boot_members"]

#: the name is part of the importer's source too
RECORD_MEMBER = "zipstrap.boot"

#: of a .pyc (PEP 552), in bytes
_HEAD = 16

_PACKAGE, _DEFLATED, _EXTENSION, _NAMESPACE, _UNCOMPILED = 1, 2, 4, 8, 16

#: marshal's version 2 knows no references and no interning, so equal values give equal bytes
_MARSHAL = 2


@dataclass(frozen=True, slots=True)
class Directory:
    """The central directory of the library's archive: by it a start knows that the archive is its own.

    *offset*, *size* and *archive_size* are in bytes; *digest* is ``_imp.source_hash`` of the target.
    """

    offset: int
    size: int
    archive_size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """One line of an index: where the data of a member is."""

    name: str
    flags: int
    offset: int = 0
    packed: int = 0
    size: int = 0

    def record(self) -> bytes:
        return b"".join(
            number.to_bytes(4, "little") for number in (self.offset, self.packed, self.size, self.flags)
        )


def boot_members(
    plan: Plan,
    bytecode: Mapping[str, bytes],
    pycs: Mapping[str, bytes],
    records: Sequence[MemberRecord],
    directory: Directory,
) -> tuple[Member, ...]:
    """Return the members of the archive that the interpreter finds. Pure.

    *bytecode* has the .pyc of the shim and of the importer's two parts, by the names of their sources; *pycs*
    has those of the library's members; *records* say where these are in the library's archive. Raises
    :class:`UnsupportedError` for an archive of 4 GB.
    """
    if directory.archive_size >= 1 << 32:
        raise UnsupportedError(
            "the library's archive is larger than 4 GB, and its importer counts in 32 bits",
            cure="leave something out, or use --layout standard",
        )
    modules = sorted(_modules(plan, records), key=lambda place: place.name)
    files = sorted(_files(records), key=lambda place: place.name)
    boot = {
        name: pyc[_HEAD:]
        for name in preloaded_modules(plan.facts.feature_version)
        if (pyc := _pyc_of(name, pycs)) is not None
    }
    record: Any = (
        bytecode["zipstrap_importer.py"][_HEAD:],
        bytecode["zipstrap_importer_rest.py"][_HEAD:],
        _settings(plan, directory),
        tuple(boot),
        tuple(boot.values()),
        "\n".join(place.name for place in modules),
        b"".join(place.record() for place in modules),
        "\n".join(place.name for place in files),
        b"".join(place.record() for place in files),
    )
    return (
        Member("encodings/__init__.pyc", bytecode["boot_shim.py"]),
        Member(RECORD_MEMBER, marshal.dumps(record, _MARSHAL)),
    )


def _settings(plan: Plan, directory: Directory) -> tuple[object, ...]:
    layout, facts, options = plan.layout, plan.facts, plan.options
    inside = f"{layout.library}/"
    on_disk = {
        file.path.removeprefix(inside).partition("/")[0]
        for file in plan.files
        if file.path.startswith(inside)
    }
    return (
        layout.archive,
        layout.library,
        layout.dynload,
        layout.library_archive,
        layout.executable.rpartition("/")[0],
        layout.site_folders,
        tuple(sorted(on_disk)),
        directory.archive_size,
        directory.offset,
        directory.size,
        directory.digest,
        int.from_bytes(bytes.fromhex(facts.magic), "little"),
        facts.cache_tag,
        facts.extension_suffixes[0] if facts.extension_suffixes else "",
        options.optimize,
        options.source == "archive",
        options.guard,
        options.zips == "sitecustomize",
    )


def _modules(plan: Plan, records: Sequence[MemberRecord]) -> Iterable[_Place]:
    members = {record.name: record for record in records}
    folders: set[str] = set()
    packages: set[str] = set()
    for record in records:
        folder = record.name.rpartition("/")[0]
        while folder:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
        stem, _, suffix = record.name.rpartition(".")
        if suffix not in ("py", "pyc") or (suffix == "py" and f"{stem}.pyc" in members):
            continue
        if not all(part.isidentifier() for part in stem.split("/")):
            continue
        flags = _DEFLATED if record.method else 0
        if suffix == "py":
            flags |= _UNCOMPILED
        if stem.endswith("/__init__"):
            flags |= _PACKAGE
            stem = stem.removesuffix("/__init__")
            packages.add(stem)
        name = stem.replace("/", ".")
        yield _Place(name, flags, record.data_offset, record.compressed_size, record.size)
    # a folder that is no package is a portion of a namespace package, as on disk
    for folder in folders - packages:
        if all(part.isidentifier() for part in folder.split("/")):
            yield _Place(folder.replace("/", "."), _NAMESPACE)
    yield from _extensions(plan)


def _extensions(plan: Plan) -> Iterable[_Place]:
    """Yield the extension modules, so that their folder need not be listed, unless something shadows them."""
    layout = plan.layout
    inside = f"{layout.library}/"
    shadowing = {
        file.path.removeprefix(inside).partition("/")[0].partition(".")[0]
        for file in plan.files
        if file.path.startswith(inside) and not file.path.startswith(f"{layout.dynload}/")
    }
    for file in plan.files:
        folder, _, name = file.path.rpartition("/")
        if file.kind is FileKind.EXTENSION and folder == layout.dynload and plan.facts.extension_suffixes:
            stem = name.removesuffix(plan.facts.extension_suffixes[0])
            if stem != name and "." not in stem and stem not in shadowing:
                yield _Place(stem, _EXTENSION)


def _files(records: Iterable[MemberRecord]) -> Iterable[_Place]:
    for record in records:
        if not record.name.endswith((".pyc", "/")):
            yield _Place(
                record.name,
                _DEFLATED if record.method else 0,
                record.data_offset,
                record.compressed_size,
                record.size,
            )


def _pyc_of(module: str, pycs: Mapping[str, bytes]) -> bytes | None:
    stem = module.replace(".", "/")
    return pycs.get(f"{stem}.py") or pycs.get(f"{stem}/__init__.py")
