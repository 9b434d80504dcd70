"""The library's archive: a deterministic ZIP writer and a strict reader.

Both are our own. :mod:`zipfile` puts the clock and the order of the calls into what it writes, and accepts
archives that :mod:`zipimport` reads otherwise. The format is PKWARE's APPNOTE 6.3, without its zip64 part:
zipimport reads that only since 3.13 (``Lib/zipimport.py``).
"""

from __future__ import annotations

import hashlib
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from time import gmtime
from types import ModuleType, TracebackType
from typing import BinaryIO, Self

from .data import archive_rules
from .errors import ArchiveError, FileError, Problem, UnsupportedError, UsageError
from .libraries import zstandard
from .portable import archive_reader
from .portable.archive_reader import (
    CENTRAL_HEADER,
    CENTRAL_SIGNATURE,
    DOS_FOLDER,
    END_RECORD,
    END_SIGNATURE,
    FLAG_UTF8,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    NEEDS_ZSTANDARD,
    name_conflicts,
    read_members,
    shown,
)

__all__ = [
    "DEFLATED",
    "EARLIEST_TIME",
    "LATEST_TIME",
    "STORED",
    "ZSTANDARD",
    "Archive",
    "BadArchive",
    "Limits",
    "Member",
    "MemberInfo",
    "MemberRecord",
    "Rejection",
    "archive_time",
    "name_problem",
    "read_archive",
    "write_archive",
]


#: What a DOS date can say, in seconds since 1970, UTC: 1980-01-01 00:00:00 to 2107-12-31 23:59:58.
EARLIEST_TIME = 315532800
LATEST_TIME = 4354819198

# All bits set in a count, size or offset means "look in the zip64 record", so one less is the greatest.
_MAX_COUNT = 0xFFFF - 1
_MAX_SIZE = 0xFFFFFFFF - 1

_MADE_BY_UNIX = 3 << 8 | 20
_NEEDS_STORED = 10
_NEEDS_DEFLATE_OR_FOLDER = 20
_ATTRIBUTES_FILE = (stat.S_IFREG | 0o644) << 16
_ATTRIBUTES_FOLDER = (stat.S_IFDIR | 0o755) << 16 | DOS_FOLDER

# The reader's part of this module's interface. It is in a file of its own because it also runs where plugins
# are loaded.
STORED = archive_reader.STORED
DEFLATED = archive_reader.DEFLATED
ZSTANDARD = archive_reader.ZSTANDARD
Limits = archive_reader.Limits
MemberInfo = archive_reader.MemberInfo
Rejection = archive_reader.Rejection
name_problem = archive_reader.name_problem

_LIMITS = Limits()


class BadArchive(ArchiveError):  # noqa: N818 - it reads as what it says
    """An archive that the strict reader refuses.

    *kind* says which rule is broken and *code* is that rule's stable code, ``ZS7nn``; *offset* is the byte in
    the file where that shows, or None if no one byte does.
    """

    exit_status = 1

    def __init__(self, problem: str, *, kind: Rejection, offset: int | None, file: Path) -> None:
        self.kind = kind
        self.offset = offset
        rule = archive_rules()[kind.value]
        self.code = rule.code
        self.cause = rule.cause
        place = "" if offset is None else f" (at byte {offset})"
        super().__init__(
            f"{rule.code} {rule.name}: {problem}{place}", file=file, cure=_in_a_sentence(rule.cure)
        )


def _in_a_sentence(text: str) -> str:
    return text[0].lower() + text[1:].removesuffix(".")


@dataclass(frozen=True, slots=True)
class Member:
    """What the writer puts in. A name that ends in ``/`` is a folder, which has no data.

    With *deflate* the data is deflated, unless that would not make it smaller, or it is more than the reader
    expands (:class:`Limits`). With *packed* it was compressed before: a compression method, and what that
    made of the data. *sha256* is the hexadecimal digest of the data where somebody has it already. Members
    with a *rank* come first, in its order; the others, and those of one rank, are ordered by their names.
    """

    name: str
    data: bytes
    deflate: bool = False
    packed: tuple[int, bytes] | None = None
    sha256: str = ""
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """What the writer wrote. Sizes and *data_offset*, from the archive's first byte, are in bytes.

    *sha256* is the hexadecimal digest of the data before compression.
    """

    name: str
    size: int
    compressed_size: int
    method: int
    crc: int
    sha256: str
    data_offset: int


def archive_time(environ: Mapping[str, str]) -> int:
    """Return the time for an archive's members, in seconds since 1970, UTC.

    That is ``SOURCE_DATE_EPOCH`` of *environ* (reproducible-builds.org), moved into what a DOS date can say,
    and without it (or if it is empty) 1980-01-01: the clock never enters. Raises :class:`UsageError` if it is
    no whole number.
    """
    text = environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return EARLIEST_TIME
    # int() would take spaces, underscores and other alphabets' digits too
    if not re.fullmatch("-?[0-9]{1,20}", text):
        raise UsageError(
            f"SOURCE_DATE_EPOCH is no whole number of seconds: {text[:80]!r}",
            cure="set it to seconds since 1970, such as `date +%s` prints, or unset it",
        )
    return _clamp(int(text))


def write_archive(
    stream: BinaryIO,
    members: Iterable[Member],
    *,
    mtime: int,
    last: Sequence[Callable[[Sequence[MemberRecord]], Member]] = (),
) -> tuple[MemberRecord, ...]:
    """Write *members* as an archive to *stream* and return what was written, in the archive's order.

    Each of *last* makes one more member of what was written before it, an index for example; they come last,
    whatever their names.

    The bytes depend only on the members, whatever their order, on *mtime* (seconds since 1970, UTC; moved
    into what a DOS date can say) and, for deflated members, on the zlib in use. *stream* is only written to,
    front to back; offsets count from its position at the call. Raises :class:`ArchiveError` for names that
    the reader would refuse, before anything is written, and :class:`UnsupportedError` for what would need
    zip64 or expand beyond the reader's limits, maybe after a part was written. Errors of *stream* pass
    through.
    """
    ordered = _checked(members)
    time, date = _dos_time(mtime)
    records: list[MemberRecord] = []
    directory = bytearray()
    offset = expanded = 0
    for name, member in _and_last(ordered, last, records):
        size = len(member.data)
        _refuse_zip64(size, f"the member {member.name!r} has {size} bytes")
        method, body = member.packed or (STORED, member.data)
        expands = size <= _LIMITS.member and expanded + size <= _LIMITS.total
        if member.deflate and method == STORED and expands:
            packed = zlib.compress(member.data, 9, wbits=-15)
            if len(packed) < size:
                method, body = DEFLATED, packed
        if method != STORED:
            if not expands:
                raise UnsupportedError(
                    f"the member {member.name!r} is compressed and would expand beyond what is read",
                    cure="store it as it is",
                )
            expanded += size
        is_dir = name.endswith(b"/")
        crc = zlib.crc32(member.data)
        needs = _NEEDS_DEFLATE_OR_FOLDER if is_dir or method == DEFLATED else _NEEDS_STORED
        # in local and central headers alike
        common = (
            NEEDS_ZSTANDARD if method == ZSTANDARD else needs,
            0 if name.isascii() else FLAG_UTF8,
            method,
            time,
            date,
            crc,
            len(body),
            size,
            len(name),
            0,
        )
        data_offset = offset + LOCAL_HEADER.size + len(name)
        end = data_offset + len(body)
        _refuse_zip64(end, f"the archive grows over 4 GiB with the member {member.name!r}")
        _write_all(stream, LOCAL_HEADER.pack(LOCAL_SIGNATURE, *common) + name)
        _write_all(stream, body)
        attributes = _ATTRIBUTES_FOLDER if is_dir else _ATTRIBUTES_FILE
        directory += CENTRAL_HEADER.pack(
            CENTRAL_SIGNATURE, _MADE_BY_UNIX, *common, 0, 0, 0, attributes, offset
        )
        directory += name
        records.append(
            MemberRecord(
                name=member.name,
                size=size,
                compressed_size=len(body),
                method=method,
                crc=crc,
                sha256=member.sha256 or hashlib.sha256(member.data).hexdigest(),
                data_offset=data_offset,
            )
        )
        offset = end
    count = len(records)
    _refuse_zip64(len(directory), f"the names of {count} members are too long")
    _write_all(stream, directory)
    _write_all(stream, END_RECORD.pack(END_SIGNATURE, 0, 0, count, count, len(directory), offset, 0))
    return tuple(records)


def _and_last(
    ordered: Sequence[tuple[bytes, Member]],
    last: Sequence[Callable[[Sequence[MemberRecord]], Member]],
    records: Sequence[MemberRecord],
) -> Iterator[tuple[bytes, Member]]:
    yield from ordered
    for make in last:
        yield from _checked([make(records)])


def _checked(members: Iterable[Member]) -> list[tuple[bytes, Member]]:
    """Return *members* in the archive's order, with their encoded names, or raise for all that are wrong."""
    taken = list(members)
    problems = []
    good = []
    for member in taken:
        reason = name_problem(member.name)
        if reason is None and member.name.endswith("/") and member.data:
            reason = f"is a folder's, but it has {len(member.data)} bytes of data"
        if reason is None:
            good.append(member)
        else:
            problems.append(f"a member's name {reason}: {shown(member.name)}")
    # code points sort as their UTF-8 bytes do
    good.sort(key=lambda member: member.name)
    problems += [problem for _, _, problem in name_conflicts([member.name for member in good])]
    good.sort(key=lambda member: (member.rank is None, member.rank or 0))
    if problems:
        raise ArchiveError(
            problems[0],
            cure="give each member one relative path, its parts joined by single slashes",
            others=[Problem(text) for text in problems[1:]],
        )
    if len(taken) > _MAX_COUNT:
        raise UnsupportedError(
            f"the archive would have {len(taken)} members",
            cure=f"{_SPLIT}: {_MAX_COUNT} members are the most without zip64",
        )
    return [(member.name.encode(), member) for member in good]


_SPLIT = "leave components out or split the archive"


def _refuse_zip64(number: int, problem: str) -> None:
    if number > _MAX_SIZE:
        raise UnsupportedError(problem, cure=f"{_SPLIT}: zip64 is read by no zipimport before 3.13")


def _write_all(stream: BinaryIO, data: bytes | bytearray) -> None:
    written = stream.write(data)
    # an unbuffered stream may take a part only
    while written < len(data):
        written += stream.write(memoryview(data)[written:])


def _clamp(mtime: int) -> int:
    return max(EARLIEST_TIME, min(LATEST_TIME, mtime))


def _dos_time(mtime: int) -> tuple[int, int]:
    """Return the DOS time and date (APPNOTE 4.4.6) of *mtime*, rounded down to even seconds."""
    year, month, day, hour, minute, second, *_ = gmtime(_clamp(mtime))
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


class _Source(archive_reader.Source):
    """The bytes of an archive's file."""

    __slots__ = ("path",)

    def __init__(self, path: Path, stream: FileIO, size: int) -> None:
        super().__init__(stream, size)
        self.path = path

    def at(self, offset: int, size: int) -> bytes:
        try:
            return super().at(offset, size)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def bad(self, kind: Rejection, problem: str, offset: int | None) -> BadArchive:
        return BadArchive(problem, kind=kind, offset=offset, file=self.path)

    def zstandard(self) -> ModuleType:
        try:
            return zstandard()
        except UsageError as error:
            raise ImportError(str(error.problem)) from None


class Archive(archive_reader.Archive):
    """An open archive whose structure was found sound; a context manager.

    *path* is its file and *members* is what it holds, in the order of the central directory. The members'
    data is checked as it is read: :meth:`read` raises :class:`BadArchive`, and :class:`FileError` if the file
    cannot be read. Not for use by several threads at once.
    """

    __slots__ = ("path",)

    def __init__(self, source: _Source, members: tuple[MemberInfo, ...]) -> None:
        super().__init__(source, members)
        self.path = source.path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_archive(path: Path, *, version: tuple[int, int] | None = None, limits: Limits = _LIMITS) -> Archive:
    """Open the archive *path* and check its structure; the members' data is checked when it is read.

    Accepted is one form, which all readers read alike: what :func:`write_archive` writes, and the plain
    archives of zipfile and Info-ZIP, those of python.org's embeddable packages and of Pyodide among them. One
    end record at the very end, members side by side from the first byte to the central directory and in its
    order, each local header as the central one says. *version* is the feature version of the interpreter that
    is to read it: what its zipimport cannot decompress is refused too. Memory stays within the file's size
    and *limits*, whatever its headers claim. Raises :class:`BadArchive` for anything else, and
    :class:`FileError` if the file cannot be read.
    """
    try:
        # before opening: to open a FIFO may wait forever
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileError(
                "this is no regular file", file=path, cure="name an archive, such as python313.zip"
            )
        # unbuffered, so that nothing is read that was not asked for
        stream = FileIO(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        source = _Source(path, stream, stream.seek(0, 2))
        return Archive(source, read_members(source, version, limits))
    except OSError as error:
        stream.close()
        raise _unreadable(path, error) from error
    except BaseException:
        stream.close()
        raise


def _unreadable(path: Path, error: Exception) -> FileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return FileError(f"cannot be read: {reason}", file=path, cure="check the path and its permissions")
