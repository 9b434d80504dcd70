"""The strict reader of archives, for either floor: 3.8 syntax, the standard library alone.

:mod:`zipstrap.archive` reads with it on the host; :mod:`zipstrap.portable.plugins` takes it along to where
plugins are loaded. The format is PKWARE's APPNOTE 6.3, without its zip64 part.
"""

from __future__ import annotations

import importlib
import re
import stat
import struct
import unicodedata
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType
    from typing import BinaryIO

__all__ = [
    "CENTRAL_HEADER",
    "CENTRAL_SIGNATURE",
    "DEFLATED",
    "DOS_FOLDER",
    "END_RECORD",
    "END_SIGNATURE",
    "FLAG_UTF8",
    "LOCAL_HEADER",
    "LOCAL_SIGNATURE",
    "NEEDS_ZSTANDARD",
    "STORED",
    "ZSTANDARD",
    "Archive",
    "Limits",
    "MemberInfo",
    "Refused",
    "Rejection",
    "Source",
    "name_conflicts",
    "name_problem",
    "open_archive",
    "read_members",
    "shown",
]

#: Compression methods, APPNOTE 4.4.5.
STORED = 0
DEFLATED = 8
ZSTANDARD = 93

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
CENTRAL_HEADER = struct.Struct("<4s6H3L5H2L")
END_RECORD = struct.Struct("<4s4H2LH")
LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
_ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE = 20

# All bits set in a count, size or offset means "look in the zip64 record".
_ZIP64_COUNT = 0xFFFF
_ZIP64_SIZE = 0xFFFFFFFF
# what every file system takes: NAME_MAX of Linux, PATH_MAX of macOS
_MAX_PART = 255
_MAX_NAME = 1023
_MAX_COMMENT = 0xFFFF

_FLAG_ENCRYPTED = 0x0001
_FLAG_DESCRIPTOR = 0x0008
_FLAG_STRONG_ENCRYPTION = 0x0040
FLAG_UTF8 = 0x0800
_FLAG_MASKED = 0x2000
# Bits 1 and 2 only say how hard deflate tried; `zip -9` sets one.
_FLAGS_TOLERATED = FLAG_UTF8 | 0x0006

_EXTRA_ZIP64 = 0x0001
_EXTRA_UNICODE_PATH = 0x7075
# Times and owners, by NTFS and by Info-ZIP for Unix. Others hold types, links, names, sizes or keys that one
# reader heeds and another does not.
_EXTRA_TIMES, _EXTRA_OWNER = 0x5455, 0x7875
_EXTRA_SIZES = frozenset({(0x000A, 32), (0x5855, 8), (0x5855, 12), (0x7855, 0), (0x7855, 4)})

# By other systems unzip reads names and attributes in other ways (its mapname, by "hostnum").
_SYSTEM_FAT, _SYSTEM_UNIX = 0, 3
DOS_FOLDER = 0x10
# read-only, hidden, system and "archive"; the others are a volume's label (unzip passes it over) or a device
_DOS_PLAIN = 0x27

NEEDS_ZSTANDARD = 63
# Lib/zipimport.py of 3.15
_ZSTANDARD_SINCE = (3, 15)
# unzip passes a member over that needs more than 4.6
_GREATEST_VERSION = 20

# One deflate match gives at most 258 bytes and costs at least two bits.
_MAX_INFLATION = 258 * 8 // 2


class Rejection(str, Enum):
    """Why the reader refuses an archive; the values are stable, and so are the codes of the rules."""

    NO_END_RECORD = "no-end-record"
    END_RECORDS = "end-records"
    COMMENT = "comment"
    TRAILING_DATA = "trailing-data"
    ZIP64 = "zip64"
    SPLIT = "split"
    DIRECTORY_BOUNDS = "directory-bounds"
    PREPENDED_DATA = "prepended-data"
    ENTRY_COUNT = "entry-count"
    CENTRAL_HEADER = "central-header"
    EXTRA_FIELD = "extra-field"
    NAME = "name"
    NAME_ABSOLUTE = "name-absolute"
    NAME_PARENT = "name-parent"
    NAME_BACKSLASH = "name-backslash"
    NAME_NUL = "name-nul"
    NAME_DRIVE = "name-drive"
    NAME_DEVICE = "name-device"
    NAME_CHARACTER = "name-character"
    NAME_LENGTH = "name-length"
    NAME_ENCODING = "name-encoding"
    NAME_FORM = "name-form"
    SECOND_NAME = "second-name"
    DUPLICATE_NAME = "duplicate-name"
    FOLDED_NAME = "folded-name"
    NAME_CLASH = "name-clash"
    MODULE_AND_PACKAGE = "module-and-package"
    ENCRYPTED = "encrypted"
    DATA_DESCRIPTOR = "data-descriptor"
    FLAGS = "flags"
    VERSION = "version"
    MADE_BY = "made-by"
    LINK = "link"
    SPECIAL_FILE = "special-file"
    METHOD = "method"
    LATER_METHOD = "later-method"
    SIZES = "sizes"
    EXPANSION = "expansion"
    FOLDER_DATA = "folder-data"
    LOCAL_HEADER = "local-header"
    LOCAL_MISMATCH = "local-mismatch"
    OVERLAP = "overlap"
    ORDER = "order"
    GAP = "gap"
    # found only when a member is read
    NO_MEMBER = "no-member"
    METHOD_NOT_READABLE = "method-not-readable"
    DEFLATE_STREAM = "deflate-stream"
    ZSTANDARD_FRAME = "zstandard-frame"
    CHECKSUM = "checksum"
    SHRUNK = "shrunk"
    MEMORY = "memory"

    # as of StrEnum, which is younger
    __str__ = str.__str__


class Refused(Exception):  # noqa: N818 - it reads as what it says
    """An archive breaks the rule *kind*; *offset* is the byte where that shows, if one does."""

    def __init__(self, problem: str, kind: Rejection, offset: int | None) -> None:
        self.problem = problem
        self.kind = kind
        self.offset = offset
        super().__init__(problem)


@dataclass(frozen=True)
class Limits:
    """How far the reader lets compressed members expand, in bytes: each of them, and all together.

    What is stored takes no more than its room in the file, and is not counted.
    """

    member: int = 64 << 20
    total: int = 1 << 30


_LIMITS = Limits()


@dataclass(frozen=True)
class MemberInfo:
    """What an archive says of a member. Sizes and offsets, from the file's first byte, are in bytes.

    *date_time* is year, month, day, hour, minute, second as written: nothing says that such a day exists.
    """

    name: str
    size: int
    compressed_size: int
    method: int
    crc: int
    flags: int
    date_time: tuple[int, int, int, int, int, int]
    header_offset: int
    data_offset: int

    @property
    def is_dir(self) -> bool:
        """Whether this is a folder's entry."""
        return self.name.endswith("/")


def shown(name: str) -> str:
    """Return *name* as a message shows it."""
    return ascii(name if len(name) <= 200 else name[:197] + "...")


def name_problem(name: str) -> str | None:
    """Return what is wrong with *name* as a member's, as the rest of a sentence, or None."""
    fault = _name_fault(name)
    return None if fault is None else fault[1]


#: names of devices that Windows finds in every folder, whatever their case and extension
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"}
)

#: Nearly all names: nothing below can be wrong with them but their length and a device.
_PLAIN_PART = "[A-Za-z0-9_+-]+(?:[.][A-Za-z0-9_+-]+)*"
_PLAIN = re.compile(f"{_PLAIN_PART}(?:/{_PLAIN_PART})*/?")

#: Control characters, which unzip leaves out of names; what no name on Windows has, where zipfile writes an
#: underscore; and a version of VMS, which unzip cuts off.
_ODD = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*]|[. ](?=/|$)|;[0-9]*(?=/|$)')


def _name_fault(name: str) -> tuple[Rejection, str] | None:
    """Return the rule that *name* breaks, and how, as the rest of a sentence; None if it breaks none."""
    fault = None if _PLAIN.fullmatch(name) else _odd_name_fault(name)
    if fault is not None:
        return fault
    parts = _unslashed(name).split("/")
    size = len(name.encode())
    if size > _MAX_NAME:
        return Rejection.NAME_LENGTH, f"is {size} bytes long, over {_MAX_NAME}"
    if size > _MAX_PART and (longest := max(len(part.encode()) for part in parts)) > _MAX_PART:
        return Rejection.NAME_LENGTH, f"has a part of {longest} bytes, over {_MAX_PART}"
    for part in parts:
        if part.partition(".")[0].rstrip(" ").lower() in _DEVICES:
            return Rejection.NAME_DEVICE, f"is that of a device of Windows, {shown(part)}"
    return None


def _odd_name_fault(name: str) -> tuple[Rejection, str] | None:
    if not name:
        return Rejection.NAME, "is empty"
    if "\0" in name:
        return Rejection.NAME_NUL, "holds a NUL"
    if "\\" in name:
        return Rejection.NAME_BACKSLASH, "holds a backslash"
    if name.startswith("/"):
        return Rejection.NAME_ABSOLUTE, "is absolute"
    if name[1:2] == ":" and name[0].isascii() and name[0].isalpha():
        return Rejection.NAME_DRIVE, "starts with a drive letter"
    parts = _unslashed(name).split("/")
    if ".." in parts:
        return Rejection.NAME_PARENT, "leads to a parent folder"
    if "" in parts or "." in parts:
        return Rejection.NAME, "is not normalised"
    if (odd := _ODD.search(name)) is not None:
        return Rejection.NAME_CHARACTER, f"holds {odd[0]!a}, which readers change or leave out"
    try:
        name.encode()
    except UnicodeEncodeError:
        return Rejection.NAME_ENCODING, "cannot be written as UTF-8"
    if not unicodedata.is_normalized("NFC", name):
        return Rejection.NAME_FORM, "is not in Unicode's form NFC, into which bsdtar and macOS bring it"
    return None


def _unslashed(name: str) -> str:
    return name[:-1] if name.endswith("/") else name


def _folded(name: str) -> str:
    """Return what names have in common that a file system may take for one.

    That is canonical caseless matching (Unicode 3.13, D145), by which ext4, APFS and f2fs fold; NTFS and HFS+
    find fewer names equal. Compatibility forms (NFKC) stay apart on all of them, and zipimport looks for the
    very name.
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def name_conflicts(names: Sequence[str]) -> Iterator[tuple[Rejection, str, str]]:
    """Yield the rule that some of *names* break together, the name of the later one, and how."""
    ordered = sorted(names)
    for name in _duplicates(ordered):
        yield Rejection.DUPLICATE_NAME, name, f"two members have the name {shown(name)}"
    for file, name in _clashes(ordered):
        yield Rejection.NAME_CLASH, file, f"{shown(file)} is a file, and a folder for {shown(name)}"
    places: dict[str, str] = {}
    seen: set[str] = set()
    for name in dict.fromkeys(ordered):
        place = _unslashed(name)
        # folders too: what two of them hold would get mixed up
        while place and place not in seen:
            seen.add(place)
            if (known := places.setdefault(_folded(place), place)) != place:
                problem = f"{shown(known)} and {shown(place)} are one name where case is not told apart"
                yield Rejection.FOLDED_NAME, name, problem
                break
            place = place.rpartition("/")[0]
    every = set(ordered)
    for name in ordered:
        package, init, suffix = name.rpartition("/__init__.")
        if init and suffix in _MODULE_SUFFIXES:
            for other in _MODULE_SUFFIXES:
                if f"{package}.{other}" in every:
                    module = f"{package}.{other}"
                    problem = f"{shown(module)} and {shown(name)} are one module"
                    yield Rejection.MODULE_AND_PACKAGE, module, problem


#: the last one is our importer's: bytecode over a dictionary
_MODULE_SUFFIXES = ("py", "pyc", "pyc.zst")


def _duplicates(ordered: Sequence[str]) -> list[str]:
    """Return the names that stand more than once in the sorted *ordered*, each once."""
    twice = (name for name, following in zip(ordered, ordered[1:]) if name == following)
    return list(dict.fromkeys(twice))


def _clashes(ordered: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each file of the sorted *ordered* that is also a folder, with a name that makes it one."""
    for name in ordered:
        if not name.endswith("/"):
            index = bisect_left(ordered, name + "/")
            if index < len(ordered) and ordered[index].startswith(name + "/"):
                yield name, ordered[index]


def _from_dos_time(time: int, date: int) -> tuple[int, int, int, int, int, int]:
    return (
        (date >> 9) + 1980,
        date >> 5 & 0xF,
        date & 0x1F,
        time >> 11,
        time >> 5 & 0x3F,
        (time & 0x1F) * 2,
    )


class Source:
    """The bytes of an archive, in a binary *stream* of *size* bytes that can seek."""

    __slots__ = ("_lock", "size", "stream")

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        # several threads may read
        self._lock = Lock()

    def at(self, offset: int, size: int) -> bytes:
        """Return *size* bytes at *offset*; the caller has seen that they lie within the file."""
        chunks = []
        missing = size
        with self._lock:
            self.stream.seek(offset)
            while missing:
                chunk = self.stream.read(missing)
                if not chunk:
                    raise self.bad(Rejection.SHRUNK, "the file became shorter", offset + size - missing)
                chunks.append(chunk)
                missing -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def bad(self, kind: Rejection, problem: str, offset: int | None) -> Exception:
        """Return what is raised for the rule *kind*; the host has an error of its own."""
        return Refused(problem, kind, offset)

    def zstandard(self) -> ModuleType:
        """Return what decompresses Zstandard; raises :class:`ImportError` that says why there is none."""
        # the standard library has it from 3.14 on
        return importlib.import_module("compression.zstd")


class _Entry(NamedTuple):
    """One header of the central directory, at *position* in the file."""

    position: int
    name: str
    raw_name: bytes
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed_size: int
    size: int
    header_offset: int
    needed: int


class Archive:
    """An open archive whose structure was found sound; a context manager.

    *members* is what it holds, in the order of the central directory. The members' data is checked as it is
    read. Not for use by several threads at once.
    """

    __slots__ = ("_by_name", "_source", "members")

    def __init__(self, source: Source, members: tuple[MemberInfo, ...]) -> None:
        self.members = members
        self._source = source
        self._by_name = {member.name: member for member in members}

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, in the order of the central directory."""
        return tuple(self._by_name)

    def read(self, name: str) -> bytes:
        """Return the data of the member *name*, its size and CRC-32 checked.

        At most one byte more than the declared size is inflated. Raises what the source's ``bad`` returns.
        """
        source = self._source
        member = self._by_name.get(name)
        if member is None:
            raise source.bad(Rejection.NO_MEMBER, f"there is no member {shown(name)}", None)
        try:
            data = source.at(member.data_offset, member.compressed_size)
            if member.method == DEFLATED:
                data = self._inflated(member, data)
            elif member.method == ZSTANDARD:
                data = self._from_frame(member, data)
        except MemoryError:
            raise source.bad(
                Rejection.MEMORY, f"{shown(name)} does not fit into memory", member.data_offset
            ) from None
        if zlib.crc32(data) != member.crc:
            raise source.bad(
                Rejection.CHECKSUM, f"the data of {shown(name)} does not match its CRC", member.data_offset
            )
        return data

    def _inflated(self, member: MemberInfo, packed: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=-15)
        try:
            # a limit of 0 would mean none
            data = inflater.decompress(packed, member.size + 1)
        except zlib.error as error:
            problem = f"cannot be inflated ({error})"
        else:
            if len(data) > member.size:
                problem = f"inflates to more than its {member.size} bytes"
            elif not inflater.eof:
                problem = "has a deflate stream without an end"
            elif inflater.unused_data:
                problem = "has data after the end of its deflate stream"
            elif len(data) < member.size:
                problem = f"inflates to {len(data)} bytes, not {member.size}"
            else:
                return data
        raise self._source.bad(
            Rejection.DEFLATE_STREAM, f"{shown(member.name)} {problem}", member.data_offset
        )

    def _from_frame(self, member: MemberInfo, packed: bytes) -> bytes:
        """Return the content of one Zstandard frame (RFC 8878): more of them are what nobody writes."""
        try:
            zstd = self._source.zstandard()
        except ImportError as error:
            raise self._source.bad(
                Rejection.METHOD_NOT_READABLE,
                f"{shown(member.name)} is packed by method {ZSTANDARD}: {error}",
                member.header_offset,
            ) from None
        expander = zstd.ZstdDecompressor()
        try:
            data: bytes = expander.decompress(packed, member.size + 1)
        except zstd.ZstdError as error:
            problem = f"cannot be decompressed ({error})"
        else:
            if len(data) > member.size:
                problem = f"decompresses to more than its {member.size} bytes"
            elif not expander.eof:
                problem = "has a Zstandard frame without an end"
            elif expander.unused_data:
                problem = "has data after the end of its Zstandard frame"
            elif len(data) < member.size:
                problem = f"decompresses to {len(data)} bytes, not {member.size}"
            else:
                return data
        raise self._source.bad(
            Rejection.ZSTANDARD_FRAME, f"{shown(member.name)} {problem}", member.data_offset
        )

    def close(self) -> None:
        """Close the file; :meth:`read` must not be called after it."""
        self._source.stream.close()


def open_archive(
    source: Source,
    version: tuple[int, int] | None = None,
    limits: Limits = Limits(),
) -> Archive:
    """Check the structure of the archive in *source*; the members' data is checked when it is read.

    *version* is the feature version of the interpreter whose zipimport is to read it, if one is. Raises what
    ``source.bad`` returns, which is :class:`Refused`.
    """
    return Archive(source, read_members(source, version, limits))


def read_members(source: Source, version: tuple[int, int] | None, limits: Limits) -> tuple[MemberInfo, ...]:
    """Return what the archive in *source* holds, in the order of the central directory."""
    count, offset, size = _read_end(source)
    entries = _read_directory(source, count, offset, size)
    _check_names(source, entries)
    _check_methods(source, entries, version, limits)
    data_offsets = _read_local_headers(source, entries, offset)
    return tuple(
        MemberInfo(
            name=entry.name,
            size=entry.size,
            compressed_size=entry.compressed_size,
            method=entry.method,
            crc=entry.crc,
            flags=entry.flags,
            date_time=_from_dos_time(entry.time, entry.date),
            header_offset=entry.header_offset,
            data_offset=data_offsets[entry.header_offset],
        )
        for entry in entries
    )


def _read_end(source: Source) -> tuple[int, int, int]:
    """Return how many entries the central directory has, its offset and its size."""
    position = source.size - END_RECORD.size
    tail = source.at(position, END_RECORD.size) if position >= 0 else b""
    if not tail.startswith(END_SIGNATURE):
        raise _no_end(source)
    _, disk, directory_disk, here, count, size, offset, comment = END_RECORD.unpack(tail)
    if comment:
        raise source.bad(Rejection.COMMENT, f"the end record announces {comment} bytes of comment", position)
    locator = position - _ZIP64_LOCATOR_SIZE
    # zipfile, and zipimport from 3.13, believe a zip64 record before this one
    if (
        _ZIP64_COUNT in (disk, directory_disk, here, count)
        or _ZIP64_SIZE in (size, offset)
        or (locator >= 0 and source.at(locator, 4) == _ZIP64_LOCATOR_SIGNATURE)
    ):
        raise source.bad(Rejection.ZIP64, "this is a zip64 archive", position)
    if disk or directory_disk or here != count:
        raise source.bad(Rejection.SPLIT, "this is one part of a split archive", position)
    if offset + size != position and (other := _other_end(source, position)) is not None:
        problem = f"another end record, at byte {other}, counts this one as its comment"
        raise source.bad(Rejection.END_RECORDS, problem, position)
    if size > position or offset + size > position:
        raise source.bad(
            Rejection.DIRECTORY_BOUNDS,
            f"the central directory, {size} bytes at {offset}, runs into the end record",
            position,
        )
    if offset + size < position:
        problem = (
            f"{position - offset - size} bytes belong to nothing: the offsets do not count from the start"
        )
        raise source.bad(Rejection.PREPENDED_DATA, problem, position)
    if count * CENTRAL_HEADER.size > size:
        problem = f"{count} entries do not fit into a central directory of {size} bytes"
        raise source.bad(Rejection.ENTRY_COUNT, problem, position)
    return count, offset, size


def _other_end(source: Source, last: int) -> int | None:
    """Return where before *last* an end record lies whose comment reaches the file's end."""
    start = max(0, last - _MAX_COMMENT)
    tail = source.at(start, last - start)
    index = tail.rfind(END_SIGNATURE)
    while index >= 0:
        comment = int.from_bytes(tail[index + END_RECORD.size - 2 : index + END_RECORD.size], "little")
        if index + END_RECORD.size <= len(tail) and start + index + END_RECORD.size + comment == source.size:
            return start + index
        index = tail.rfind(END_SIGNATURE, 0, index)
    return None


def _no_end(source: Source) -> Exception:
    """Tell why the file does not end in an end record without a comment."""
    start = max(0, source.size - END_RECORD.size - _MAX_COMMENT)
    tail = source.at(start, source.size - start)
    index = tail.rfind(END_SIGNATURE, 0, max(0, len(tail) - END_RECORD.size + len(END_SIGNATURE)))
    if index < 0:
        problem = "there is no end record: the file is cut off, or no ZIP archive"
        return source.bad(Rejection.NO_END_RECORD, problem, None)
    comment = int.from_bytes(tail[index + END_RECORD.size - 2 : index + END_RECORD.size], "little")
    surplus = len(tail) - index - END_RECORD.size
    if comment != surplus and (other := _other_end(source, start + index)) is not None:
        problem = f"the comment of the end record at byte {other} holds another one"
        return source.bad(Rejection.END_RECORDS, problem, start + index)
    if comment == surplus:
        return source.bad(Rejection.COMMENT, f"there is a comment of {comment} bytes", start + index)
    problem = f"{surplus} bytes follow the end record"
    return source.bad(Rejection.TRAILING_DATA, problem, start + index + END_RECORD.size)


def _read_directory(source: Source, count: int, offset: int, size: int) -> list[_Entry]:
    directory = source.at(offset, size)
    entries = []
    index = 0
    for _ in range(count):
        entry, index = _read_entry(source, directory, index, offset)
        entries.append(entry)
    if index != size:
        problem = f"{size - index} bytes of the central directory follow its {count} entries"
        raise source.bad(Rejection.ENTRY_COUNT, problem, offset + index)
    return entries


def _read_entry(source: Source, directory: bytes, index: int, base: int) -> tuple[_Entry, int]:
    """Return the entry at *index* of the central directory, and where the next one begins."""
    position = base + index
    name_start = index + CENTRAL_HEADER.size
    if name_start > len(directory):
        raise source.bad(Rejection.CENTRAL_HEADER, "a central header is cut off", position)
    signature, *numbers = CENTRAL_HEADER.unpack_from(directory, index)
    made, needed, flags, method, time, date, crc, packed, size, name_size, extra_size, comment_size, *rest = (
        numbers
    )
    disk, _, attributes, header_offset = rest
    if signature != CENTRAL_SIGNATURE:
        raise source.bad(Rejection.CENTRAL_HEADER, "there is no central header where one must be", position)
    extra_start = name_start + name_size
    comment_start = extra_start + extra_size
    end = comment_start + comment_size
    if end > len(directory):
        raise source.bad(Rejection.CENTRAL_HEADER, "a central header runs out of the directory", position)
    raw_name = directory[name_start:extra_start]
    name = _decoded_name(source, raw_name, flags, position)
    # before the flags and sizes: it says better what they mean
    if _ZIP64_SIZE in (packed, size, header_offset) or disk == _ZIP64_COUNT:
        raise source.bad(Rejection.ZIP64, f"{shown(name)} needs zip64", position)
    _check_extra(source, directory[extra_start:comment_start], name, base + extra_start)
    if comment_size:
        problem = f"{shown(name)} has {comment_size} bytes of comment"
        raise source.bad(Rejection.COMMENT, problem, base + comment_start)
    if disk:
        raise source.bad(Rejection.SPLIT, f"{shown(name)} lies in another part of the archive", position)
    if needed > (NEEDS_ZSTANDARD if method == ZSTANDARD else _GREATEST_VERSION):
        raise source.bad(Rejection.VERSION, f"{shown(name)} needs version {needed / 10} of ZIP", position)
    _check_flags(source, flags, name, position)
    if method not in (STORED, DEFLATED, ZSTANDARD):
        raise source.bad(
            Rejection.METHOD, f"{shown(name)} is packed by the unknown method {method}", position
        )
    if (method == STORED and packed != size) or (method == DEFLATED and size > packed * _MAX_INFLATION):
        problem = f"{shown(name)} cannot have {size} bytes when {packed} are in the archive"
        raise source.bad(Rejection.SIZES, problem, position)
    if name.endswith("/") and (size or crc):
        raise source.bad(Rejection.FOLDER_DATA, f"the folder {shown(name)} has data", position)
    _check_kind(source, made, attributes, name, position)
    entry = _Entry(
        position, name, raw_name, flags, method, time, date, crc, packed, size, header_offset, needed
    )
    return entry, end


def _check_kind(source: Source, made: int, attributes: int, name: str, position: int) -> None:
    """Refuse what is neither a file nor a folder, or is not of the kind that its name says."""
    if made >> 8 not in (_SYSTEM_FAT, _SYSTEM_UNIX):
        problem = f"{shown(name)} was packed on the system {made >> 8}, whose attributes are read variously"
        raise source.bad(Rejection.MADE_BY, problem, position)
    if made >> 8 == _SYSTEM_FAT and not name.isascii():
        problem = f"{shown(name)} was packed on DOS or Windows, from whose code page unzip converts it"
        raise source.bad(Rejection.MADE_BY, problem, position)
    # whatever the system: some readers do not look at it
    mode = attributes >> 16
    if stat.S_ISLNK(mode):
        raise source.bad(Rejection.LINK, f"{shown(name)} is a symbolic link", position)
    is_folder = name.endswith("/")
    usual = stat.S_IFDIR if is_folder else stat.S_IFREG
    marks = attributes & 0xFF & ~_DOS_PLAIN
    if stat.S_IFMT(mode) not in (0, usual) or marks not in (0, DOS_FOLDER if is_folder else 0):
        kind = "folder" if is_folder else "file"
        problem = f"{shown(name)} is no {kind} by its attributes, {attributes:#010x}"
        raise source.bad(Rejection.SPECIAL_FILE, problem, position)


def _decoded_name(source: Source, raw: bytes, flags: int, position: int) -> str:
    # Without the flag, readers guess at anything but ASCII.
    encoding = "UTF-8" if flags & FLAG_UTF8 else "ASCII"
    try:
        name = raw.decode(encoding)
    except UnicodeDecodeError:
        problem = f"the name {raw[:200]!r} is not {encoding}, as its flags say"
        raise source.bad(Rejection.NAME_ENCODING, problem, position) from None
    fault = _name_fault(name)
    if fault is not None:
        raise source.bad(fault[0], f"the name {shown(name)} {fault[1]}", position)
    return name


def _check_flags(source: Source, flags: int, name: str, position: int) -> None:
    if flags & (_FLAG_ENCRYPTED | _FLAG_STRONG_ENCRYPTION | _FLAG_MASKED):
        raise source.bad(Rejection.ENCRYPTED, f"{shown(name)} is encrypted", position)
    if flags & _FLAG_DESCRIPTOR:
        raise source.bad(Rejection.DATA_DESCRIPTOR, f"{shown(name)} has a data descriptor", position)
    if flags & ~_FLAGS_TOLERATED:
        raise source.bad(Rejection.FLAGS, f"{shown(name)} has the unknown flags {flags:#06x}", position)


def _check_extra(source: Source, extra: bytes, name: str, position: int) -> None:
    """Refuse extra fields (APPNOTE 4.5) that are cut off, or that change a name or a size."""
    index = 0
    while index < len(extra):
        field = int.from_bytes(extra[index : index + 2], "little")
        end = index + 4 + int.from_bytes(extra[index + 2 : index + 4], "little")
        if len(extra) - index < 4 or end > len(extra):
            problem = f"an extra field of {shown(name)} is cut off"
            raise source.bad(Rejection.EXTRA_FIELD, problem, position + index)
        if field == _EXTRA_ZIP64:
            raise source.bad(Rejection.ZIP64, f"{shown(name)} has a zip64 extra field", position + index)
        if field == _EXTRA_UNICODE_PATH:
            problem = f"{shown(name)} has a second name in an extra field"
            raise source.bad(Rejection.SECOND_NAME, problem, position + index)
        if not _is_usual(field, extra[index + 4 : end]):
            problem = f"{shown(name)} has an extra field of the kind {field:#06x} and {end - index - 4} bytes"
            raise source.bad(Rejection.EXTRA_FIELD, problem, position + index)
        index = end


def _is_usual(field: int, data: bytes) -> bool:
    """Tell whether *data* is what Info-ZIP and others write into times and owners; bsdtar fails at some."""
    size = len(data)
    if field == _EXTRA_TIMES:
        # says which of three times there are; the central header has the first alone
        return size > 0 and data[0] < 8 and size in (5, 1 + 4 * bin(data[0]).count("1"))
    if field == _EXTRA_OWNER:
        # version 1, then user and group, each with its size
        return size == 11 and data[:2] == b"\1\4" and data[6] == 4
    return (field, size) in _EXTRA_SIZES


def _check_names(source: Source, entries: Sequence[_Entry]) -> None:
    for kind, name, problem in name_conflicts([entry.name for entry in entries]):
        # of two members that have this name the later one is at fault
        position = [entry.position for entry in entries if entry.name == name][-1]
        raise source.bad(kind, problem, position)


def _check_methods(
    source: Source, entries: Sequence[_Entry], version: tuple[int, int] | None, limits: Limits
) -> None:
    """Refuse what zipimport of *version* cannot decompress, and what expands beyond *limits*."""
    total = 0
    for entry in entries:
        if entry.method == STORED:
            continue
        if entry.method == ZSTANDARD and version is not None and version < _ZSTANDARD_SINCE:
            problem = (
                f"{shown(entry.name)} is packed by Zstandard, which {version[0]}.{version[1]} cannot read"
            )
            raise source.bad(Rejection.LATER_METHOD, problem, entry.position)
        total += entry.size
        if entry.size > limits.member or total > limits.total:
            problem = (
                f"{shown(entry.name)} expands to {entry.size} bytes, over {limits.member}"
                if entry.size > limits.member
                else f"the members up to {shown(entry.name)} expand to {total} bytes, over {limits.total}"
            )
            raise source.bad(Rejection.EXPANSION, problem, entry.position)


def _read_local_headers(source: Source, entries: Sequence[_Entry], end: int) -> dict[int, int]:
    """Return where each header's data begins; *end* is where the central directory does.

    The members must lie side by side: what no member claims could be read by others as if it were one.
    """
    data_offsets: dict[int, int] = {}
    free = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        offset = entry.header_offset
        if offset < free:
            problem = f"{shown(entry.name)} overlaps the member before it"
            raise source.bad(Rejection.OVERLAP, problem, offset)
        if offset > free:
            kind = Rejection.GAP if free else Rejection.PREPENDED_DATA
            raise source.bad(kind, f"{offset - free} bytes belong to no member", free)
        data_offset = _read_local_header(source, entry, end)
        data_offsets[offset] = data_offset
        free = data_offset + entry.compressed_size
        if free > end:
            problem = f"{shown(entry.name)} runs into the central directory"
            raise source.bad(Rejection.OVERLAP, problem, offset)
    if free < end:
        raise source.bad(
            Rejection.GAP if free else Rejection.PREPENDED_DATA,
            f"{end - free} bytes before the central directory belong to no member",
            free,
        )
    # bsdtar reading a stream, and unzip, go by the local headers
    for entry, following in zip(entries, entries[1:]):
        if following.header_offset < entry.header_offset:
            problem = f"{shown(following.name)} lies before {shown(entry.name)}, but is listed after it"
            raise source.bad(Rejection.ORDER, problem, following.position)
    return data_offsets


def _read_local_header(source: Source, entry: _Entry, end: int) -> int:
    """Return where the data of *entry* begins, after its local header was found to agree."""
    offset = entry.header_offset
    name = shown(entry.name)
    name_start = offset + LOCAL_HEADER.size
    extra_start = name_start + len(entry.raw_name)
    if extra_start > end:
        problem = f"the local header of {name} runs into the central directory"
        raise source.bad(Rejection.LOCAL_HEADER, problem, offset)
    header = source.at(offset, extra_start - offset)
    signature, needed, flags, method, time, date, crc, packed, size, *lengths = LOCAL_HEADER.unpack_from(
        header
    )
    name_size, extra_size = lengths
    if signature != LOCAL_SIGNATURE:
        raise source.bad(Rejection.LOCAL_HEADER, f"there is no local header for {name}", offset)
    for what, here, there in (
        ("version", needed, entry.needed),
        ("flags", flags, entry.flags),
        ("method", method, entry.method),
        ("time", (date, time), (entry.date, entry.time)),
        ("CRC", crc, entry.crc),
        ("compressed size", packed, entry.compressed_size),
        ("size", size, entry.size),
        ("name", (name_size, header[LOCAL_HEADER.size :]), (len(entry.raw_name), entry.raw_name)),
    ):
        if here != there:
            problem = f"the {what} of {name} in its local header is not that in the central directory"
            raise source.bad(Rejection.LOCAL_MISMATCH, problem, offset)
    data_offset: int = extra_start + extra_size
    if data_offset > end:
        problem = f"the local header of {name} runs into the central directory"
        raise source.bad(Rejection.LOCAL_HEADER, problem, offset)
    if extra_size:
        _check_extra(source, source.at(extra_start, extra_size), entry.name, extra_start)
    return data_offset
