"""What the importer of the ``fast`` layout starts from: two marshalled tuples in the library's archive.

They are the member :data:`RECORD_MEMBER`, its last. The first tuple is read at every start: the importer's
own bytecode and that of the modules that every start needs. The second is read at the first other import:
where each member is, and what few starts need of the importer. The order of their parts is that in which
``site_hooks/zipstrap_importer.py`` unpacks them. The archive that the interpreter finds holds a shim, which
knows where the record is.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .archive import Member, MemberRecord
from .data import preloaded_modules
from .errors import FileError
from .plan import FileKind, Plan

__all__ = ["RECORD_MEMBER", "record_member", "shim_member"]

RECORD_MEMBER = "zipstrap.boot"

#: of a .pyc (PEP 552), in bytes
_HEAD = 16

_PACKAGE, _DEFLATED, _EXTENSION, _NAMESPACE, _UNCOMPILED = 1, 2, 4, 8, 16

#: marshal's version 2 knows no references and no interning, so equal values give equal bytes
_MARSHAL = 2

#: the constant of the shim that is baked: identity of the archive, offset and two sizes in it
_PLACE = b"zipstrap: the build puts this here."
_IDENTITY_SIZE = 16


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


def record_member(
    plan: Plan, bytecode: Mapping[str, bytes], pycs: Mapping[str, bytes], records: Sequence[MemberRecord]
) -> Member:
    """Return the last member of the library's archive. Pure.

    *bytecode* has the .pyc of the importer's two parts and *pycs* those of the library's members, by the
    names of their sources; *records* say where these are in the archive. The data begins with an identity of
    all this, which is in front of the second tuple too: a start knows by it that the archive is its own.
    """
    modules = sorted(_modules(plan, records), key=lambda place: place.name)
    files = sorted(_files(records), key=lambda place: place.name)
    boot = {
        name: pyc[_HEAD:]
        for name in preloaded_modules(plan.facts.feature_version)
        if (pyc := _pyc_of(name, pycs)) is not None
    }
    second: Any = (
        bytecode["zipstrap_importer_rest.py"][_HEAD:],
        "\n".join(place.name for place in modules),
        b"".join(place.record() for place in modules),
        "\n".join(place.name for place in files),
        b"".join(place.record() for place in files),
    )
    later = marshal.dumps(second, _MARSHAL)
    digests = "".join(f"{record.name}\0{record.sha256}\0" for record in records)
    core = bytecode["zipstrap_importer.py"][_HEAD:]
    identity = hashlib.sha256(b"".join((digests.encode(), core, later))).digest()[:_IDENTITY_SIZE]
    first: Any = (core, _settings(plan), tuple(boot), tuple(boot.values()))
    now = marshal.dumps(first, _MARSHAL)
    sizes = len(now).to_bytes(4, "little") + len(later).to_bytes(4, "little")
    return Member(RECORD_MEMBER, b"".join((identity, sizes, now, identity, later)))


def shim_member(pyc: bytes, record: MemberRecord, data: bytes) -> Member:
    """Return the member of the archive that is found: the shim's *pyc*, with the place of the record. Pure.

    *record* is that of the member *data*, which :func:`record_member` made.
    """
    if pyc.count(_PLACE) != 1:
        raise FileError(
            "the shim's bytecode does not have its one place to be baked",
            file="site_hooks/boot_shim.py",
            cure="install zipstrap again",
        )
    head = data[: _IDENTITY_SIZE + 8]
    place = head + record.data_offset.to_bytes(4, "little")
    return Member("encodings/__init__.pyc", pyc.replace(_PLACE, place.ljust(len(_PLACE), b"\0")))


def _settings(plan: Plan) -> tuple[object, ...]:
    layout, facts, options = plan.layout, plan.facts, plan.options
    inside = f"{layout.library}/"
    # a package whose modules are in the archive is one of its folders, though some of it may lie on disk
    packed = {member.name.partition("/")[0] for member in plan.members if "/" in member.name}
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
        tuple(sorted(on_disk - packed)),
        facts.cache_tag,
        facts.extension_suffixes[0] if facts.extension_suffixes else "",
        options.optimize,
        options.source,
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
        if "." in stem:
            continue  # no import reaches it; it need be no identifier: _sysconfigdata_..._x86_64-linux-gnu
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
        if "." not in folder:
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
