"""What the importer of the ``fast`` layout starts from: a record in the library's archive.

It is the member :data:`RECORD_MEMBER`, the last one, in two parts. The first is read at every start: a
marshalled tuple of settings, and behind it the importer's own bytecode and that of the modules that every
start needs, which the tuple finds by their distance from the end. The second is read at the first other
import: a tuple that says where each member is, and holds what few starts need of the importer. The order of
the tuples' parts is that in which ``site_hooks/zipstrap_importer.py`` and ``zipstrap_importer_rest.py``
unpack them. The archive that the interpreter finds holds a shim, which knows where the record is.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archive import DEFLATED, STORED, ZSTANDARD, Member, MemberRecord
from .compress import is_frame, logical_name
from .data import preloaded_modules
from .errors import FileError, UnsupportedError
from .plan import FileKind, Plan, is_extension, is_of_machine

__all__ = [
    "RECORD_MEMBER",
    "SHIM_MEMBER",
    "Hasher",
    "covered_files",
    "digest_members",
    "hasher_of",
    "record_member",
    "shim_member",
]

RECORD_MEMBER = "zipstrap.boot"

#: the first module that a start reads from the archive that it finds
SHIM_MEMBER = "encodings/__init__.pyc"

#: what a start may hash with, the quickest first; _sha2 came in 3.12 and took _sha256's place
_HASHERS = (("_blake2", "blake2b"), ("_sha2", "sha256"), ("_sha256", "sha256"))
_DIGEST_SIZE = 32
_PIECE = 1 << 20

#: of a .pyc (PEP 552), in bytes
_HEAD = 16
_MARK_PLACE, _MARK_SIZE = 8, 3

_PACKAGE, _DEFLATED, _EXTENSION, _NAMESPACE, _UNCOMPILED = 1, 2, 4, 8, 16
_ZSTANDARD, _DICTIONARY, _ADAPTED = 32, 64, 128
_METHODS = {STORED: 0, DEFLATED: _DEFLATED, ZSTANDARD: _ZSTANDARD}

#: the importer's own parts; what else there is of a boot, each start runs once the importer is in its place
_PARTS = frozenset(
    {
        "boot_shim.py",
        "boot_generation.py",
        "boot_digests.py",
        "zipstrap_importer.py",
        "zipstrap_importer_rest.py",
        "zipstrap_importer_away.py",
    }
)

#: modules that list others by the kind of their finder, and those that read sources by path
_LISTING = {"pkgutil"}
_READING = {"archive": {"linecache", "tokenize"}}

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
    #: by which the importer knows that it has read this .pyc: the first bytes of its source's hash
    mark: bytes = bytes(_MARK_SIZE)

    def record(self) -> bytes:
        numbers = (self.offset, self.packed, self.size)
        return b"".join(
            (*(number.to_bytes(4, "little") for number in numbers), bytes([self.flags]), self.mark)
        )


def record_member(
    plan: Plan,
    bytecode: Mapping[str, bytes],
    pycs: Mapping[str, bytes],
    records: Sequence[MemberRecord],
) -> Member:
    """Return the last member of the library's archive. Pure.

    *bytecode* has the .pyc of the importer's parts and *pycs* those of the library's members, by the
    names of their sources; *records* say where these are in the archive. The data begins with an identity of
    all this, which is in front of the second tuple too: a start knows by it that the archive is its own.
    """
    adapted = _LISTING | _READING.get(plan.options.source, set())
    modules = sorted(_modules(plan, records, adapted, pycs), key=lambda place: place.name)
    files = sorted(_files(records), key=lambda place: place.name)
    core = bytecode["zipstrap_importer.py"][_HEAD:]
    boot = {
        name: pyc[_HEAD:]
        for name in preloaded_modules(plan.facts.feature_version)
        if name not in adapted and (pyc := _pyc_of(name, pycs)) is not None
    }
    second: Any = (
        bytecode["zipstrap_importer_rest.py"][_HEAD:],
        _lines(_on_disk(plan)),
        _extension_suffix(plan),
        _lines(plan.absent),
        *_index(modules, "."),
        *_index(files, "/"),
    )
    later = marshal.dumps(second, _MARSHAL)
    digests = _digests(records)
    # not copied once more: marshal reads each where it lies, and every start pays for each page
    # The importer keeps the end: modules that a start did not ask for, and what stands in for the archive.
    starts = [pyc[_HEAD:] for name, pyc in bytecode.items() if name not in _PARTS]
    blobs = (core, *starts, *boot.values(), bytecode["zipstrap_importer_away.py"][_HEAD:])
    places = [-sum(map(len, blobs[number:])) for number in range(len(blobs))]
    boot_start = 1 + len(starts)
    first: Any = (
        places[0],
        places[-1],
        tuple(boot),
        tuple(places[boot_start:-1]),
        *_settings(plan),
        tuple(places[1:boot_start]),
    )
    now = b"".join((marshal.dumps(first, _MARSHAL), *blobs))
    identity = hashlib.sha256(b"".join((digests, now, later))).digest()[:_IDENTITY_SIZE]
    sizes = len(now).to_bytes(4, "little") + len(later).to_bytes(4, "little")
    return Member(RECORD_MEMBER, b"".join((identity, sizes, now, identity, later)))


def _extension_suffix(plan: Plan) -> str | None:
    """Return what the names of the extension modules on disk end with; None where they are in the archive."""
    if plan.options.extensions == "archive":
        return None
    if plan.options.portable:
        return ""
    return plan.facts.extension_suffixes[0] if plan.facts.extension_suffixes else ""


def _index(places: Sequence[_Place], separator: str) -> tuple[tuple[str, ...], bytes]:
    """Return where each name's record is, and the records.

    For each package or folder, itself and a text, in turn: a line for each name in it, with the number of its
    record in two digits of base 64. The importer finds names in the texts, so that it need not make an object
    of each.
    """
    texts: dict[str, list[str]] = {}
    for number, place in enumerate(places):
        folder, _, last = place.name.rpartition(separator)
        digits = chr(48 + number // 64) + chr(48 + number % 64)
        texts.setdefault(folder, ["\n"]).append(f"{last}\t{digits}\n")
    names = (part for folder, lines in texts.items() for part in (folder, "".join(lines)))
    return tuple(names), b"".join(place.record() for place in places)


def shim_member(
    pyc: bytes, record: MemberRecord, data: bytes, *, digests: bool = False, one_archive: bool = False
) -> Member:
    """Return the member of the archive that is found: the shim's *pyc*, with the place of the record. Pure.

    *record* is that of the member *data*, which :func:`record_member` made, in the same archive if there is
    but *one_archive*. With *digests* the shim insists on those that :func:`digest_members` gives.
    """
    if pyc.count(_PLACE) != 1:
        raise FileError(
            "the shim's bytecode does not have its one place to be baked",
            file="site_hooks/boot_shim.py",
            cure="install zipstrap again",
        )
    head = data[: _IDENTITY_SIZE + 8]
    place = head + record.data_offset.to_bytes(4, "little") + bytes([digests, one_archive])
    return Member(SHIM_MEMBER, pyc.replace(_PLACE, place.ljust(len(_PLACE), b"\0")))


@dataclass(frozen=True, slots=True)
class Hasher:
    """What a start hashes with: a function of a module of the interpreter's own.

    *extension* is the module's path in the tree; empty if it is built in.
    """

    module: str
    function: str
    extension: str

    def digest(self, path: Path) -> str:
        """Return the digest of the file *path* in hexadecimal, as a start would get it."""
        made = hashlib.sha256() if self.function == "sha256" else hashlib.blake2b(digest_size=_DIGEST_SIZE)
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                made.update(piece)
        return made.hexdigest()


def hasher_of(plan: Plan) -> Hasher:
    """Return what a start of *plan* can hash with. Pure.

    BLAKE2b comes first: it takes a third of the time of the interpreter's own SHA-256, up to 3.10 a fifth (4
    MiB: 4 to 8 ms and 11 to 36 ms, measured). OpenSSL's SHA-256 takes 2 ms, by the processor's instructions
    for it, but is 3 to 27 ms to load. Raises :class:`UnsupportedError` where there is none.
    """
    for name, function in _HASHERS:
        if name in plan.facts.builtin_modules:
            return Hasher(name, function, "")
        for file in plan.files:
            folder, _, last = file.path.rpartition("/")
            if (
                file.kind is FileKind.EXTENSION
                and folder == plan.layout.dynload
                and last.partition(".")[0] == name
            ):
                return Hasher(name, function, file.path)
    names = " nor ".join(name for name, _ in _HASHERS)
    raise UnsupportedError(
        f"a start of {plan.facts.name} has nothing to hash with: neither {names} is built in or kept",
        cure="keep an extension module (--include _blake2), or use --guard stop",
    )


def covered_files(plan: Plan) -> tuple[str, ...]:
    """Return the files whose digests a start checks, the largest last. Pure.

    They are those that decide what it runs and are small, the module that hashes, and the library's archive.
    """
    layout, extension = plan.layout, hasher_of(plan).extension
    steering = (
        file.path
        for file in plan.files
        if file.kind is FileKind.HOOK and file.path.rpartition("/")[0] in layout.site_folders
    )
    return (*layout.path_files, *steering, *((extension,) if extension else ()), layout.library_archive)


def digest_members(plan: Plan, pyc: bytes, digests: Mapping[str, str]) -> tuple[Member, Member]:
    """Return the members beside the shim that check *digests*, by path: the *pyc*, and its data. Pure."""
    hasher = hasher_of(plan)
    expected: Any = (
        plan.layout.archive,
        hasher.module,
        hasher.function,
        hasher.extension,
        tuple(digests.items()),
    )
    # behind a head as that of a .pyc, so that the shim reads both alike
    data = bytes(_HEAD) + marshal.dumps(expected, _MARSHAL)
    return Member("zipstrap_digests.pyc", pyc), Member("zipstrap_digests", data)


def _digests(records: Iterable[MemberRecord]) -> bytes:
    return "".join(f"{record.name}\0{record.sha256}\0" for record in records).encode()


def _settings(plan: Plan) -> tuple[object, ...]:
    layout, options = plan.layout, plan.options
    return (
        layout.archive,
        layout.library,
        layout.dynload,
        layout.library_archive,
        layout.interpreter.rpartition("/")[0],
        layout.site_folders,
        plan.facts.cache_tag,
        options.optimize,
        options.source,
        "stop" if options.guard == "digest" else options.guard,
        options.zips == "sitecustomize",
        any(member.source_inside for member in plan.members),
    )


def _lines(names: Sequence[str]) -> str:
    """Return a text in which a name is found by a search for a whole line: one object, not one for each."""
    return "\n".join(("", *names, "")) if names else ""


def _on_disk(plan: Plan) -> tuple[str, ...]:
    inside = f"{plan.layout.library}/"
    # a package whose modules are in the archive is one of its folders, though some of it may lie on disk
    packed = {member.name.partition("/")[0] for member in plan.members if "/" in member.name}
    on_disk = {
        file.path.removeprefix(inside).partition("/")[0]
        for file in plan.files
        if file.path.startswith(inside)
    }
    if plan.options.portable:  # a folder that the index does not have is found on disk all the same
        on_disk = {name for name in on_disk if not (is_of_machine(name) or is_of_machine(f"{name}/"))}
    return tuple(sorted(on_disk - packed))


def _modules(
    plan: Plan, records: Sequence[MemberRecord], adapted: Collection[str], pycs: Mapping[str, bytes]
) -> Iterable[_Place]:
    members = {logical_name(record.name) for record in records}
    folders: set[str] = set()
    packages: set[str] = set()
    for record in records:
        folder = record.name.rpartition("/")[0]
        while folder:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
        unpacked = logical_name(record.name)
        stem, _, suffix = unpacked.rpartition(".")
        if suffix not in ("py", "pyc") or (suffix == "py" and f"{stem}.pyc" in members):
            continue
        if "." in stem:
            continue  # no import reaches it; it need be no identifier: _sysconfigdata_..._x86_64-linux-gnu
        flags = _DICTIONARY if is_frame(record.name) else _METHODS[record.method]
        if suffix == "py":
            flags |= _UNCOMPILED
        if stem.endswith("/__init__"):
            flags |= _PACKAGE
            stem = stem.removesuffix("/__init__")
            packages.add(stem)
        name = stem.replace("/", ".")
        if name in adapted:
            flags |= _ADAPTED
        pyc = b"" if suffix == "py" else _pyc_of(name, pycs) or b""
        mark = pyc[_MARK_PLACE : _MARK_PLACE + _MARK_SIZE].ljust(_MARK_SIZE, b"\0")
        yield _Place(name, flags, record.data_offset, record.compressed_size, record.size, mark)
    # a folder that is no package is a portion of a namespace package, as on disk
    for folder in folders - packages:
        if "." not in folder:
            yield _Place(folder.replace("/", "."), _NAMESPACE)
    yield from _extensions(plan)


def _extensions(plan: Plan) -> Iterable[_Place]:
    """Yield the extension modules, so that their folder need not be listed, unless something shadows them."""
    if plan.options.portable:
        return  # which there are, and how they are called, is the machine's
    layout = plan.layout
    inside = f"{layout.library}/"
    shadowing = {
        file.path.removeprefix(inside).partition("/")[0].partition(".")[0]
        for file in plan.files
        if file.path.startswith(inside) and not file.path.startswith(f"{layout.dynload}/")
    }
    for member in plan.members:
        if is_extension(member, plan):
            yield _Place(member.name.rpartition("/")[2].partition(".")[0], _EXTENSION)
    for file in plan.files:
        folder, _, name = file.path.rpartition("/")
        if file.kind is FileKind.EXTENSION and folder == layout.dynload and plan.facts.extension_suffixes:
            stem = name.removesuffix(plan.facts.extension_suffixes[0])
            if stem != name and "." not in stem and stem not in shadowing:
                yield _Place(stem, _EXTENSION)


def _files(records: Iterable[MemberRecord]) -> Iterable[_Place]:
    for record in records:
        if not record.name.endswith("/") and not logical_name(record.name).endswith(".pyc"):
            yield _Place(
                record.name,
                _METHODS[record.method],
                record.data_offset,
                record.compressed_size,
                record.size,
            )


def _pyc_of(module: str, pycs: Mapping[str, bytes]) -> bytes | None:
    stem = module.replace(".", "/")
    return pycs.get(f"{stem}.py") or pycs.get(f"{stem}/__init__.py")
