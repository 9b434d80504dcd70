from __future__ import annotations

import base64
import hashlib
import io
import os
import random
import re
import struct
import sys
import time
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zipstrap import archive
from zipstrap.archive import (
    DEFLATED,
    EARLIEST_TIME,
    LATEST_TIME,
    STORED,
    ZSTANDARD,
    BadArchive,
    Limits,
    Member,
    MemberInfo,
    MemberRecord,
    Rejection,
    archive_time,
    name_problem,
    read_archive,
    write_archive,
)
from zipstrap.data import archive_rules, checks
from zipstrap.errors import ArchiveError, FileError, UnsupportedError, UsageError
from zipstrap.libraries import zstandard

TIME = 1_580_608_922  # 2020-02-02 02:02:02 UTC
TEXT = b"x = 1\n" * 40


def written(members: Iterable[Member], mtime: int = TIME) -> bytes:
    stream = io.BytesIO()
    write_archive(stream, members, mtime=mtime)
    return stream.getvalue()


def sample() -> bytes:
    return written(
        [
            Member("pkg/", b""),
            Member("pkg/__init__.py", TEXT, deflate=True),
            Member("pkg/é.txt", b"stored"),
            Member("empty", b""),
        ]
    )


def contents(path: Path) -> dict[str, bytes]:
    with read_archive(path) as opened:
        return {name: opened.read(name) for name in opened.names}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "python313.zip"


# --- the writer


def test_golden_bytes() -> None:
    data = b"A=1\n"
    crc = bytes.fromhex("2b78d708")
    assert zlib.crc32(data).to_bytes(4, "little") == crc
    clock, date = b"\x41\x10", b"\x42\x50"  # 02:02:02; 2020-02-02
    plain = b"\x0a\0\0\0\0\0" + clock + date + crc + b"\4\0\0\0\4\0\0\0\4\0\0\0"
    folder = b"\x14\0\0\0\0\0" + clock + date + b"\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0"
    golden = (
        (b"PK\x03\x04" + plain + b"a.py" + data)
        + (b"PK\x03\x04" + folder + b"d/")
        + (b"PK\x01\x02\x14\x03" + plain + b"\0\0\0\0\0\0\0\0\xa4\x81\0\0\0\0a.py")
        + (b"PK\x01\x02\x14\x03" + folder + b"\0\0\0\0\0\0\x10\0\xed\x41\x26\0\0\0d/")
        + b"PK\x05\x06\0\0\0\0\2\0\2\0"
        b"\x62\0\0\0"
        b"\x46\0\0\0"
        b"\0\0"
    )
    assert written([Member("d/", b""), Member("a.py", data)]) == golden


def test_empty_archive(file: Path) -> None:
    file.write_bytes(written([]))
    assert file.read_bytes() == b"PK\x05\x06" + bytes(18)
    assert contents(file) == {}


def test_records_tell_what_was_written() -> None:
    stream = io.BytesIO()
    text, plain = write_archive(stream, [Member("b", b"abc"), Member("a", TEXT, deflate=True)], mtime=TIME)
    raw = stream.getvalue()
    assert plain == MemberRecord(
        "b", 3, 3, STORED, zlib.crc32(b"abc"), hashlib.sha256(b"abc").hexdigest(), raw.index(b"abc")
    )
    assert (text.name, text.size, text.method, text.crc) == ("a", len(TEXT), DEFLATED, zlib.crc32(TEXT))
    assert text.sha256 == hashlib.sha256(TEXT).hexdigest()
    packed = raw[text.data_offset : text.data_offset + text.compressed_size]
    assert zlib.decompress(packed, wbits=-15) == TEXT


def test_stays_stored_when_deflate_gains_nothing() -> None:
    noise = random.Random(1).randbytes(1000)
    stored = written([Member("a", noise), Member("b", b"")])
    assert written([Member("a", noise, deflate=True), Member("b", b"", deflate=True)]) == stored


def test_order_is_that_of_the_utf8_names(file: Path) -> None:
    names = ["z", "a/b", "a-b", "a/", "\U00010000", "\uffff", "é", "B"]
    file.write_bytes(written([Member(name, b"") for name in names]))
    with read_archive(file) as opened:
        assert opened.names == tuple(sorted(names, key=str.encode))


def test_ranks_come_first(file: Path) -> None:
    ranks = {"z": 0, "a/b": 7, "a-b": 3, "B": 3, "é": None, "C": None}
    members = [Member(name, b"", rank=rank) for name, rank in ranks.items()]
    file.write_bytes(written(members))
    with read_archive(file) as opened:
        assert opened.names == ("z", "B", "a-b", "a/b", "C", "é")
    assert written(members[::-1]) == file.read_bytes()


def test_ranks_hide_no_conflict() -> None:
    with pytest.raises(ArchiveError, match="a/b"):
        written([Member("a", b"", rank=1), Member("c", b"", rank=0), Member("a/b", b"")])
    with pytest.raises(ArchiveError, match="two members have the name 'a'"):
        written([Member("a", b"", rank=1), Member("c", b"", rank=2), Member("a", b"", rank=3)])


def test_zipfile_sees_plain_entries() -> None:
    with zipfile.ZipFile(io.BytesIO(sample())) as opened:
        assert opened.testzip() is None
        infos = {info.filename: info for info in opened.infolist()}
        assert opened.comment == b""
    assert {name: info.flag_bits for name, info in infos.items()} == {
        "empty": 0,
        "pkg/": 0,
        "pkg/__init__.py": 0,
        "pkg/é.txt": 0x800,
    }
    assert {name: info.extract_version for name, info in infos.items()} == {
        "empty": 10,
        "pkg/": 20,
        "pkg/__init__.py": 20,
        "pkg/é.txt": 10,
    }
    for info in infos.values():
        assert info.date_time == (2020, 2, 2, 2, 2, 2)
        assert (info.create_system, info.extra, info.comment) == (3, b"", b"")
        assert info.external_attr >> 16 == (0o40755 if info.is_dir() else 0o100644)


@pytest.mark.parametrize(
    "mtime, expected",
    [
        (-(10**12), (1980, 1, 1, 0, 0, 0)),
        (0, (1980, 1, 1, 0, 0, 0)),
        (EARLIEST_TIME, (1980, 1, 1, 0, 0, 0)),
        (EARLIEST_TIME + 3, (1980, 1, 1, 0, 0, 2)),
        (LATEST_TIME, (2107, 12, 31, 23, 59, 58)),
        (LATEST_TIME + 1, (2107, 12, 31, 23, 59, 58)),
        (10**20, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_time_is_utc_and_clamped(
    mtime: int, expected: tuple[int, ...], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XYZ-13")
        time.tzset()
        file.write_bytes(written([Member("a", b"")], mtime))
    time.tzset()
    with read_archive(file) as opened:
        assert opened.members[0].date_time == expected


BAD_NAMES = {
    "": "is empty",
    "a\0b": "NUL",
    "a\\b": "backslash",
    "/": "absolute",
    "/a": "absolute",
    "C:a": "drive letter",
    "c:/a": "drive letter",
    "..": "parent",
    "a/../b": "parent",
    "a/../": "parent",
    ".": "not normalised",
    "./a": "not normalised",
    "a/./b": "not normalised",
    "a//b": "not normalised",
    "a//": "not normalised",
    "a\udc80": "UTF-8",
    "é" * 512: "1024 bytes long",
    "a/" + "é" * 128: "a part of 256 bytes",
    "aux.py": "device of Windows",
    "a/LPT1": "device of Windows",
    "nul .txt/b": "device of Windows",
    "COM².pyc": "device of Windows",
    "a\x1bb": "'\\\\x1b'",
    "a\x7f": "'\\\\x7f'",
    "a?": r"'\?'",
    "ab:c": "':'",
    "a./b": r"'\.'",
    "a /b": "' '",
    "...": r"'\.'",
    "a;1": "';1'",
    "a;": "';'",
    "e\u0301": "NFC",
}


@pytest.mark.parametrize("name, reason", BAD_NAMES.items(), ids=[ascii(name[:9]) for name in BAD_NAMES])
def test_writer_refuses_bad_names(name: str, reason: str) -> None:
    stream = io.BytesIO()
    with pytest.raises(ArchiveError, match=reason):
        write_archive(stream, [Member("good", b""), Member(name, b"")], mtime=0)
    assert stream.getvalue() == b""


def test_names_that_only_look_bad_are_written(file: Path) -> None:
    names = [
        *(
            "..a",
            ".a",
            "a b",
            "a/..b/",
            "a;b",
            "console",
            "com",
            "com10",
            "aux-1.py",
            "é",
            "ſ",
            "²",
            "①",
            "fi",
        ),
        *("é" * 127 + "b", "/".join(["é" * 127] * 4) + "/abc", "a.py", "a.pyc", "b/__init__.py", "b/c.py"),
    ]
    file.write_bytes(written([Member(name, b"") for name in names]))
    assert set(contents(file)) == set(names)


@pytest.mark.parametrize(
    "names, reason",
    [
        (["a", "b", "a"], "two members have the name 'a'"),
        (["d/", "d/"], "two members have the name 'd/'"),
        (["d", "d/"], "'d' is a file, and a folder for 'd/'"),
        (["d", "d-e", "d/e/f"], "'d' is a file, and a folder for 'd/e/f'"),
        (["d", "D"], "'D' and 'd' are one name where case is not told apart"),
        (["D/a", "d/b"], "'D' and 'd' are one name"),
        (["D", "d/b"], "'D' and 'd' are one name"),
        (["d/E/a", "d/e/b"], "'d/E' and 'd/e' are one name"),
        (["straße", "STRASSE"], "are one name"),
        (["Å", "å"], "are one name"),
        (["a.py", "a/__init__.pyc"], "'a.py' and 'a/__init__.pyc' are one module"),
        (["b/a.pyc", "b/a/__init__.py"], "'b/a.pyc' and 'b/a/__init__.py' are one module"),
        (["a.pyc.zst", "a/__init__.pyc.zst"], "are one module"),
    ],
)
def test_writer_refuses_clashing_names(names: list[str], reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        written([Member(name, b"") for name in names])


def test_writer_refuses_a_folder_with_data() -> None:
    with pytest.raises(ArchiveError, match="has 1 bytes of data: 'd/'"):
        written([Member("d/", b"x")])


def test_writer_reports_all_bad_names_at_once() -> None:
    with pytest.raises(ArchiveError) as caught:
        written([Member("/a", b""), Member("b", b""), Member("b", b""), Member("c//", b"")])
    assert len(caught.value.others) == 2
    assert caught.value.cure


def test_writer_refuses_more_members_than_zip64_begins_with(file: Path) -> None:
    members = [Member(f"{number:x}", b"") for number in range(65535)]
    with pytest.raises(UnsupportedError, match="65535 members"):
        written(members)
    file.write_bytes(written(members[1:]))
    with read_archive(file) as opened:
        assert len(opened.members) == 65534


@pytest.mark.parametrize(
    "limit, members, reason",
    [
        (99, [Member("a", bytes(100), deflate=True)], "'a' has 100 bytes"),
        # 31 + 50 bytes for each
        (161, [Member("a", bytes(50)), Member("b", bytes(50))], "over 4 GiB with the member 'b'"),
        # 10 * 31 bytes of members, 10 * 47 of directory
        (469, [Member(str(number), b"") for number in range(10)], "names of 10 members"),
    ],
)
def test_writer_refuses_what_needs_zip64(
    limit: int, members: list[Member], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive._MAX_SIZE == 0xFFFFFFFE
    monkeypatch.setattr(archive, "_MAX_SIZE", limit)
    with pytest.raises(UnsupportedError, match=reason):
        written(members)
    monkeypatch.setattr(archive, "_MAX_SIZE", limit + 1)
    assert written(members)


def test_streams_that_take_little_and_cannot_be_sought(file: Path) -> None:
    class Drip(io.RawIOBase):
        taken = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.taken += bytes(data[:7])
            return min(7, len(data))

    stream = Drip()
    write_archive(stream, [Member("a", TEXT), Member("b", TEXT, deflate=True)], mtime=TIME)  # type: ignore[arg-type]
    assert stream.taken == written([Member("a", TEXT), Member("b", TEXT, deflate=True)])


def test_writer_holds_no_second_copy() -> None:
    members = [Member(str(number), bytes(1 << 20)) for number in range(16)]
    with open(os.devnull, "wb") as stream:
        tracemalloc.start()
        write_archive(stream, members, mtime=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1 << 20


# --- the time


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({}, 315532800),
        ({"SOURCE_DATE_EPOCH": "1580608922"}, TIME),
        ({"SOURCE_DATE_EPOCH": "0001580608922"}, TIME),
        ({"SOURCE_DATE_EPOCH": ""}, 315532800),
        ({"SOURCE_DATE_EPOCH": "0"}, 315532800),
        ({"SOURCE_DATE_EPOCH": "-1"}, 315532800),
        ({"SOURCE_DATE_EPOCH": "4354819199"}, 4354819198),
        ({"SOURCE_DATE_EPOCH": "9" * 20}, 4354819198),
    ],
)
def test_archive_time(environ: dict[str, str], expected: int) -> None:
    assert archive_time(environ) == expected


@pytest.mark.parametrize("text", [" 1", "1\n", "1.5", "1_0", "+1", "0x10", "١", "now", "--1", "9" * 5000])
def test_malformed_source_date_epoch(text: str) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        archive_time({"SOURCE_DATE_EPOCH": text})


# --- round trips

PARTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\/"), min_size=1, max_size=8
)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join).filter(lambda name: name_problem(name) is None)


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


@st.composite
def trees(draw: st.DrawFn) -> list[Member]:
    names = draw(st.lists(NAMES, unique_by=lambda name: folded(name.partition("/")[0]), max_size=8))
    names += [f"{name}/more" for name in names if draw(st.booleans())]
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    members = [
        Member(name, draw(st.binary(max_size=60)) * draw(st.integers(1, 50)), draw(st.booleans()))
        for name in names
        if name not in folders
    ]
    return members + [Member(folder + "/", b"") for folder in folders if draw(st.booleans())]


@settings(deadline=None)
@given(trees(), st.integers(0, 2**33), st.randoms())
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, members: list[Member], mtime: int, rng: random.Random
) -> None:
    raw = written(members, mtime)
    expected = {member.name: member.data for member in members}
    with zipfile.ZipFile(io.BytesIO(raw)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == expected
        infos = {info.filename: info for info in opened.infolist()}
    path = tmp_path_factory.getbasetemp() / "round-trip.zip"
    path.write_bytes(raw)
    assert contents(path) == expected

    shuffled = list(members)
    rng.shuffle(shuffled)
    stream = io.BytesIO()
    records = write_archive(stream, iter(shuffled), mtime=mtime)
    assert stream.getvalue() == raw

    with read_archive(path) as mine:
        for info, record in zip(mine.members, records, strict=True):
            theirs = infos[info.name]
            same = (info.size, info.compressed_size, info.method, info.crc)
            assert same == (theirs.file_size, theirs.compress_size, theirs.compress_type, theirs.CRC)
            assert same == (record.size, record.compressed_size, record.method, record.crc)
            assert (info.name, info.data_offset) == (record.name, record.data_offset)
            assert (info.flags, info.date_time) == (theirs.flag_bits, theirs.date_time)
            assert (info.header_offset, info.is_dir) == (theirs.header_offset, theirs.is_dir())


@settings(deadline=None)
@given(trees(), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_reads_what_zipfile_writes(
    tmp_path_factory: pytest.TempPathFactory, members: list[Member], method: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "zipfile.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        for member in members:
            opened.writestr(member.name, member.data)
    assert contents(path) == {member.name: member.data for member in members}


def test_reads_files_and_folders_that_zipfile_packs(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "mod.py").write_bytes(TEXT)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        opened.write(folder, "pkg")
        opened.write(folder / "mod.py", "pkg/mod.py")
    with zipfile.ZipFile(file, "a") as opened:
        opened.mkdir("more")
    assert contents(file) == {"pkg/": b"", "pkg/mod.py": TEXT, "more/": b""}


# `zip -9 -r` of Info-ZIP 3.0: extra fields, a folder, and flag bit 1 on stored and deflated members
INFO_ZIP = base64.b64decode(
    "UEsDBAoAAgAAAEEQQlDCQSQ1AwAAAAMAAAAIABwAbm90ZS50eHRVVAkAA5otNl6aLTZedXgLAAEEAAAAAAQAAAAAYWJjUEsDBAoA"
    "AAAAAEEQQlAAAAAAAAAAAAAAAAAEABwAcGtnL1VUCQADmi02Xr/SAGt1eAsAAQQAAAAABAAAAABQSwMEFAACAAgAQRBCUN+jYnkL"
    "AAAA8AAAAA8AHABwa2cvX19pbml0X18ucHlVVAkAA5otNl6aLTZedXgLAAEEAAAAAAQAAAAAq1CwVTDkqhgxJABQSwECHgMKAAIA"
    "AABBEEJQwkEkNQMAAAADAAAACAAYAAAAAAABAAAApIEAAAAAbm90ZS50eHRVVAUAA5otNl51eAsAAQQAAAAABAAAAABQSwECHgMK"
    "AAAAAABBEEJQAAAAAAAAAAAAAAAABAAYAAAAAAAAABAA7UFFAAAAcGtnL1VUBQADmi02XnV4CwABBAAAAAAEAAAAAFBLAQIeAxQA"
    "AgAIAEEQQlDfo2J5CwAAAPAAAAAPABgAAAAAAAEAAACkgYMAAABwa2cvX19pbml0X18ucHlVVAUAA5otNl51eAsAAQQAAAAABAAA"
    "AABQSwUGAAAAAAMAAwDtAAAA1wAAAAAA"
)


def test_reads_what_info_zip_writes(file: Path) -> None:
    file.write_bytes(INFO_ZIP)
    assert contents(file) == {"note.txt": b"abc", "pkg/": b"", "pkg/__init__.py": TEXT}


def test_archive_tells_its_path_and_closes(file: Path) -> None:
    file.write_bytes(sample())
    with read_archive(file) as opened:
        assert opened.path == file
        assert opened.names == tuple(member.name for member in opened.members)
        assert [member.name for member in opened.members if member.is_dir] == ["pkg/"]
    with pytest.raises(ValueError, match="closed"):
        opened.read("pkg/é.txt")


# --- refusals, one by one

CRC = zlib.crc32(b"abc")
LOCAL_FIELDS = [
    *("signature", "needed", "flags", "method", "time", "date"),
    *("crc", "packed", "size", "name_size", "extra_size"),
]
CENTRAL_FIELDS = [
    *("signature", "made", "needed", "flags", "method", "time", "date"),
    *("crc", "packed", "size", "name_size", "extra_size", "comment_size"),
    *("disk", "internal", "external", "offset"),
]
END_FIELDS = ["signature", "disk", "directory_disk", "here", "count", "size", "offset", "comment_size"]


def _header(base: dict[str, Any], entry: dict[str, Any], mine: str) -> dict[str, Any]:
    header = {"signature": b"PK\3\4" if mine == "local_" else b"PK\1\2"} | base
    header |= {key.removeprefix(mine): value for key, value in entry.items() if key.startswith(mine)}
    for what in ("name", "extra", "comment"):
        header.setdefault(what + "_size", len(header[what]))
    return header


def craft(
    *entries: dict[str, Any],
    end: dict[str, Any] | None = None,
    before: bytes = b"",
    between: bytes = b"",
    directory_tail: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Make an archive of one stored ``abc`` for each of *entries*.

    An entry's keys replace fields of both its headers, or of one with ``local_`` or ``central_`` before
    them; ``raw`` is the data. *end* replaces fields of the end record.
    """
    out = bytearray(before)
    directory = bytearray()
    for number, entry in enumerate(entries):
        raw = entry.get("raw", b"abc")
        base: dict[str, Any] = {
            "offset": len(out), "needed": 10, "flags": 0, "method": 0, "time": 0, "date": 33, "crc": CRC,
            "packed": len(raw), "size": 3, "name": b"m%d" % number, "extra": b"",
            "made": 788, "disk": 0, "internal": 0, "external": 0, "comment": b"",
        }  # fmt: skip
        base |= {key: value for key, value in entry.items() if not key.startswith(("local_", "central_"))}
        local, central = (_header(base, entry, mine) for mine in ("local_", "central_"))
        out += struct.pack("<4s5H3L2H", *(local[field] for field in LOCAL_FIELDS))
        out += local["name"] + local["extra"] + raw
        directory += struct.pack("<4s6H3L5H2L", *(central[field] for field in CENTRAL_FIELDS))
        directory += central["name"] + central["extra"] + central["comment"]
    out += between
    directory += directory_tail
    last = {
        "signature": b"PK\5\6", "disk": 0, "directory_disk": 0, "here": len(entries), "count": len(entries),
        "size": len(directory), "offset": len(out), "comment_size": 0,
    } | (end or {})  # fmt: skip
    return bytes(out + directory + struct.pack("<4s4H2LH", *(last[field] for field in END_FIELDS)) + after)


def test_crafted_archives_are_sound_by_default(file: Path) -> None:
    file.write_bytes(craft({}, {}, {"made": 20, "extra": b"UT\5\0\1" + bytes(4)}))
    assert contents(file) == {"m0": b"abc", "m1": b"abc", "m2": b"abc"}


FRAME = zstandard().compress(b"abc")
LOCATOR = b"PK\6\7" + bytes(16)
INNER = craft({})
FOLDER = {"name": b"d/", "raw": b"", "size": 0, "crc": 0}


def unix(mode: int) -> dict[str, Any]:
    return {"external": mode << 16}


REFUSED = {
    "nothing": (b"", "no-end-record"),
    "another format": (b"\x7fELF" * 100, "no-end-record"),
    "an end record cut off": (craft()[:-1], "no-end-record"),
    "a comment": (craft({}, end={"comment_size": 2}, after=b"hi"), "comment"),
    "the longest comment": (craft({}, end={"comment_size": 65535}, after=bytes(65535)), "comment"),
    "a comment that is not there": (craft({}, end={"comment_size": 2}), "comment"),
    "one byte after the end": (craft({}, after=b"\n"), "trailing-data"),
    "much after the end": (craft({}, after=bytes(1000)), "trailing-data"),
    "a zip64 locator": (craft({}, directory_tail=LOCATOR), "zip64"),
    "a zip64 locator in a comment": (craft({"central_comment": LOCATOR}), "zip64"),
    "an archive in the comment": (craft({}, end={"comment_size": len(INNER)}, after=INNER), "end-records"),
    "an end record in the comment": (craft({}, end={"comment_size": 22}, after=craft()), "end-records"),
    "an end record in a comment that is one": (
        craft({}, end={"comment_size": 24}, after=craft(end={"comment_size": 3}) + b"hi"),
        "end-records",
    ),
    "a member's comment": (craft({"central_comment": b"hi"}), "comment"),
    "zip64 by its count": (craft({}, end={"here": 65535, "count": 65535}), "zip64"),
    "zip64 by its offset": (craft({}, end={"offset": 0xFFFFFFFF}), "zip64"),
    "zip64 by a member's size": (craft({"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}), "zip64"),
    "zip64 by a member's offset": (craft({"central_offset": 0xFFFFFFFF}), "zip64"),
    "a zip64 field, central": (craft({"central_extra": b"\1\0\0\0"}), "zip64"),
    "a zip64 field, local": (craft({"local_extra": b"\1\0\0\0"}), "zip64"),
    "another disk": (craft({}, end={"disk": 1}), "split"),
    "a directory on another disk": (craft({}, end={"directory_disk": 1}), "split"),
    "members on other disks": (craft({}, end={"here": 0}), "split"),
    "a member on another disk": (craft({"disk": 1}), "split"),
    "a directory too long": (craft({}, end={"size": 49}), "directory-bounds"),
    "a directory longer than the file": (craft({}, end={"size": 0xFFFFFFFE}), "directory-bounds"),
    "a directory beyond the file": (craft({}, end={"offset": 0xFFFFFFFE}), "directory-bounds"),
    "a directory too early": (craft({}, end={"offset": 34}), "prepended-data"),
    "a directory too short": (craft({}, end={"size": 47}), "prepended-data"),
    "a prefix, offsets unchanged": (b"#!sh\n" + craft({}), "prepended-data"),
    "a prefix, offsets adjusted": (craft({}, before=b"#!sh\n"), "prepended-data"),
    "a prefix of no members": (craft(before=b"#!sh\n"), "prepended-data"),
    "an archive in an archive, cut off": (
        written([Member("a", INNER), Member("b", b"")])[: 31 + len(INNER)],
        "prepended-data",
    ),
    "more entries than fit": (craft({}, end={"here": 2, "count": 2}), "entry-count"),
    "many more entries than fit": (craft({}, end={"here": 65534, "count": 65534}), "entry-count"),
    "fewer entries than there are": (craft({}, {}, end={"here": 1, "count": 1}), "entry-count"),
    "surplus in the directory": (craft({}, directory_tail=b"\0"), "entry-count"),
    "no central header": (craft({"central_signature": b"PK\3\4"}), "central-header"),
    "a central header cut off": (
        craft({"central_extra": (b"\n\0\x20\0" + bytes(32)) * 2}, {}, end={"here": 3, "count": 3}),
        "central-header",
    ),
    "nothing known in an extra field": (craft({"extra": b"\xfe\xca\0\0"}), "extra-field"),
    "no time in an extra field": (craft({"extra": b"UT\0\0"}), "extra-field"),
    "an owner cut off": (craft({"extra": b"ux\1\0\1"}), "extra-field"),
    "a key in an extra field": (craft({"extra": b"\1\x99\7\0" + bytes(7)}), "extra-field"),
    "a link in an extra field": (craft({"local_extra": b"nu\3\0abc"}), "extra-field"),
    "a central name too long": (craft({"central_name_size": 3}), "central-header"),
    "a central extra field too long": (craft({"central_extra_size": 4}), "central-header"),
    "a central comment too long": (craft({"central_comment_size": 1}), "central-header"),
    "an extra field's head cut off": (craft({"central_extra": b"\x55\x54\0"}), "extra-field"),
    "an extra field's data cut off": (craft({"central_extra": b"\x55\x54\2\0\0"}), "extra-field"),
    "a local extra field cut off": (craft({"local_extra": b"\x55\x54\2\0\0"}), "extra-field"),
    "an empty name": (craft({"name": b""}), "name"),
    "a name not normalised": (craft({"name": b"a//b"}), "name"),
    "an absolute name": (craft({"name": b"/etc/passwd"}), "name-absolute"),
    "a parent's name": (craft({"name": b"a/../../b"}), "name-parent"),
    "a name with a backslash": (craft({"name": b"a\\b"}), "name-backslash"),
    "a name with a NUL": (craft({"name": b"a.py\0.txt"}), "name-nul"),
    "a name with a drive": (craft({"name": b"C:/a"}), "name-drive"),
    "a device's name": (craft({"name": b"lib/Aux.py"}), "name-device"),
    "a name with an escape": (craft({"name": b"a\x1b[2J"}), "name-character"),
    "a name with a stream": (craft({"name": b"a.py:b"}), "name-character"),
    "a name that ends in a dot": (craft({"name": b"a.py."}), "name-character"),
    "a name with a version": (craft({"name": b"a.py;1"}), "name-character"),
    "a name too long": (craft({"name": b"a" * 256}), "name-length"),
    "a path too long": (craft({"name": b"a/" * 511 + b"bc"}), "name-length"),
    "a name not composed": (craft({"name": b"e\xcc\x81", "flags": 0x800}), "name-form"),
    "a name that is not UTF-8": (craft({"name": b"a\xff", "flags": 0x800}), "name-encoding"),
    "a surrogate's name": (craft({"name": b"\xed\xb2\x80", "flags": 0x800}), "name-encoding"),
    "a name of no known encoding": (craft({"name": "é".encode()}), "name-encoding"),
    "a second name": (craft({"extra": b"\x75\x70\0\0"}), "second-name"),
    "one name twice": (craft({"name": b"a"}, {}, {"name": b"a"}), "duplicate-name"),
    "two cases of a name": (craft({"name": b"a"}, {}, {"name": b"A"}), "folded-name"),
    "two cases of a folder": (craft({"name": b"a/b"}, {"name": b"A/c"}), "folded-name"),
    "a file and a folder of another case": (craft({"name": b"a/b"}, {"name": b"A"}), "folded-name"),
    "one name, folded": (
        craft({"name": "straße".encode(), "flags": 0x800}, {"name": b"strasse"}),
        "folded-name",
    ),
    "a module and a package": (craft({"name": b"a.py"}, {"name": b"a/__init__.py"}), "module-and-package"),
    "bytecode and a package": (
        craft({"name": b"b/a/__init__.pyc"}, {"name": b"b/a.pyc"}),
        "module-and-package",
    ),
    "a file and a folder": (craft({"name": b"a/b"}, {"name": b"a"}), "name-clash"),
    "encrypted": (craft({"flags": 1}), "encrypted"),
    "strongly encrypted": (craft({"flags": 0x40}), "encrypted"),
    "headers masked": (craft({"flags": 0x2000}), "encrypted"),
    "a data descriptor": (craft({"flags": 8}), "data-descriptor"),
    "patch data": (craft({"flags": 0x20}), "flags"),
    "a later version": (craft({"needed": 21}), "version"),
    "a later version of Zstandard": (craft({"needed": 64, "method": 93}), "version"),
    "VMS": (craft({"made": 2 << 8 | 20}), "made-by"),
    "an unknown system": (craft({"made": 255 << 8 | 20}), "made-by"),
    "DOS, and a name beyond ASCII": (
        craft({"made": 20, "name": "é".encode(), "flags": 0x800}),
        "made-by",
    ),
    "a link": (craft(unix(0o120777)), "link"),
    "a link of DOS": (craft(unix(0o120777) | {"made": 20}), "link"),
    "a pipe": (craft(unix(0o010644)), "special-file"),
    "a device": (craft(unix(0o020644)), "special-file"),
    "a folder by its mode": (craft(unix(0o040755)), "special-file"),
    "a folder by its mark": (craft({"external": 0x10}), "special-file"),
    "a volume's label": (craft({"made": 20, "external": 8}), "special-file"),
    "a file by its mode": (craft(FOLDER | unix(0o100644)), "special-file"),
    "an unknown method": (craft({"method": 12}), "method"),
    "stored of another size": (craft({"size": 4}), "sizes"),
    "stored, claiming much": (craft({"size": 0xFFFFFFFE}), "sizes"),
    "deflated beyond what deflate can": (
        craft({"method": 8, "raw": b"\3\0", "size": 2065}),
        "sizes",
    ),
    "a member that expands": (
        craft({"method": 8, "raw": b"\3" * 70_000, "size": 64 << 20 | 1}),
        "expansion",
    ),
    "a frame that expands": (craft({"needed": 63, "method": 93, "size": 64 << 20 | 1}), "expansion"),
    "members that expand": (craft(*[{"needed": 63, "method": 93, "size": 64 << 20}] * 17), "expansion"),
    "a folder with data": (craft({"name": b"d/"}), "folder-data"),
    "a folder with a CRC": (craft({"name": b"d/", "raw": b"", "size": 0}), "folder-data"),
    "no local header": (craft({"local_signature": b"PK\1\2"}), "local-header"),
    "no room for a local header": (craft({"central_offset": 0, "central_name": b"m" * 60}), "local-header"),
    "a local extra field beyond all": (craft({"local_extra_size": 65535}), "local-header"),
    "another local version": (craft({"local_needed": 20}), "local-mismatch"),
    "another local flag": (craft({"local_flags": 0x800}), "local-mismatch"),
    "another local method": (craft({"local_method": 8}), "local-mismatch"),
    "another local time": (craft({"local_time": 1}), "local-mismatch"),
    "another local date": (craft({"local_date": 1}), "local-mismatch"),
    "another local CRC": (craft({"local_crc": 0}), "local-mismatch"),
    "another local packed size": (craft({"local_packed": 0}), "local-mismatch"),
    "another local size": (craft({"local_size": 0xFFFFFFFF}), "local-mismatch"),
    "another local name": (craft({"local_name": b"mx"}), "local-mismatch"),
    "a longer local name": (craft({"local_name": b"m0x"}), "local-mismatch"),
    "one member at two names": (craft({}, {"central_offset": 0}), "overlap"),
    "a member inside another": (craft({"raw": INNER, "size": len(INNER)}, {"central_offset": 32}), "overlap"),
    "a member over the next": (craft({"packed": 4, "size": 4}, {}), "overlap"),
    "a member over the directory": (craft({"packed": 4, "size": 4}), "overlap"),
    "members in another order": (
        craft({"local_name": b"m1", "central_offset": 35}, {"local_name": b"m0", "central_offset": 0}),
        "order",
    ),
    "a member behind the others": (craft({}, {"central_offset": 0xFFFFFFFE}), "gap"),
    "a gap between members": (craft({"packed": 2, "size": 2}, {}), "gap"),
    "a gap before the directory": (craft({}, between=b"?"), "gap"),
}


@pytest.mark.parametrize("raw, kind", REFUSED.values(), ids=REFUSED)
def test_reader_refuses(raw: bytes, kind: str, file: Path) -> None:
    file.write_bytes(raw)
    with pytest.raises(BadArchive) as caught:
        read_archive(file)
    error = caught.value
    assert error.kind == kind
    assert str(error).startswith(f"{file}: ")
    assert error.cure
    assert error.offset is not None or kind == Rejection.NO_END_RECORD
    if error.offset is not None:
        assert 0 <= error.offset <= len(raw)
        assert f"at byte {error.offset})" in error.problem.text
    rule = archive_rules()[kind]
    assert (error.code, error.exit_status) == (rule.code, 1)
    # its own code, and no other
    assert re.findall(r"ZS\d+", str(error)) == [rule.code]


def test_rules_have_codes_of_their_own() -> None:
    assert list(archive_rules()) == [kind.value for kind in Rejection]
    codes = [rule.code for rule in archive_rules().values()]
    assert codes == [f"ZS7{number:02}" for number in range(1, len(codes) + 1)]
    assert not set(codes) & set(checks())


@pytest.mark.parametrize("version", [(3, 8), (3, 14), (3, 15), None])
def test_method_of_a_later_interpreter(version: tuple[int, int] | None, file: Path) -> None:
    file.write_bytes(craft({}, {"method": ZSTANDARD, "needed": 63, "raw": FRAME}))
    if version is None or version >= (3, 15):
        with read_archive(file, version=version) as opened:
            assert opened.read("m1") == b"abc"
        return
    with pytest.raises(
        BadArchive, match=r"'m1' is packed by Zstandard, which 3[.](8|14) cannot read"
    ) as caught:
        read_archive(file, version=version)
    assert caught.value.kind == Rejection.LATER_METHOD
    assert caught.value.offset == file.read_bytes().index(b"PK\1\2", file.read_bytes().index(b"PK\1\2") + 1)


def test_limits_can_be_set(file: Path) -> None:
    file.write_bytes(written([Member(name, TEXT, deflate=True) for name in "abc"]))
    room = 3 * len(TEXT)
    for limits in (Limits(), Limits(len(TEXT), room)):
        with read_archive(file, limits=limits) as opened:
            assert opened.read("c") == TEXT
    for limits, member in ((Limits(len(TEXT) - 1, room), "a"), (Limits(len(TEXT), room - 1), "c")):
        with pytest.raises(BadArchive, match=f"'{member}' expand") as caught:
            read_archive(file, limits=limits)
        assert caught.value.kind == Rejection.EXPANSION
    # what is stored does not expand
    file.write_bytes(written([Member("a", TEXT)]))
    with read_archive(file, limits=Limits(0, 0)) as opened:
        assert opened.read("a") == TEXT


def test_writer_stays_within_the_limits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(len(TEXT), 2 * len(TEXT))
    monkeypatch.setattr(archive, "_LIMITS", limits)
    members = [Member("a", TEXT + b"#", deflate=True)]
    members += [Member(name, TEXT, deflate=True) for name in "bcd"]
    file.write_bytes(written(members))
    with read_archive(file, limits=limits) as opened:
        assert [member.method for member in opened.members] == [STORED, DEFLATED, DEFLATED, STORED]
    with pytest.raises(UnsupportedError, match="'a' is compressed and would expand"):
        written([Member("a", TEXT + b"#", packed=(DEFLATED, b"?"))])


# --- what others make


def embeddable(path: Path, names: Iterable[str]) -> None:
    """Write an archive as python.org's embeddable packages have it.

    PC/layout/main.py writes it on Windows with zipfile: bytecode, deflated, in the order in which folders are
    listed, without entries for folders.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            info = zipfile.ZipInfo(name, (2024, 10, 7, 5, 3, 58))
            info.create_system = 0
            info.external_attr = 0o100666 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, TEXT)


def test_reads_the_embeddable_form(file: Path) -> None:
    names = ["abc.pyc", "aifc.pyc", "_aix_support.pyc", "__future__.pyc", "asyncio/base_events.pyc"]
    names += ["asyncio/__init__.pyc", "lib2to3/Grammar3.13.0.final.0.pickle", "this.pyc", "LICENSE.txt"]
    embeddable(file, names)
    assert contents(file) == dict.fromkeys(names, TEXT)


def test_reads_the_form_of_pyodide(file: Path) -> None:
    """Sources and folders, in the order of their paths, as shutil.make_archive packs them."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in (
            "_sysconfigdata__emscripten_wasm32-emscripten.py",
            "json/",
            "re/",
            "abc.py",
            "json/tool.py",
        ):
            info = zipfile.ZipInfo(name, (2026, 8, 1, 12, 0, 0))
            info.external_attr = (0o40755 << 16 | 0x10) if name.endswith("/") else 0o100755 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
            opened.writestr(info, b"" if name.endswith("/") else TEXT)
    assert contents(file)["json/tool.py"] == TEXT
    assert contents(file)["re/"] == b""


PEERS = os.environ.get("ZIPSTRAP_TEST_PEERS", "")


@pytest.mark.skipif(not PEERS, reason="ZIPSTRAP_TEST_PEERS names no archives of others")
@pytest.mark.parametrize("name", PEERS.split(os.pathsep))
def test_reads_the_archives_of_others(name: str) -> None:
    with zipfile.ZipFile(name) as opened:
        assert contents(Path(name)) == {each: opened.read(each) for each in opened.namelist()}


PACKED = zlib.compress(b"abc", wbits=-15)
UNREADABLE = {
    "another CRC": (craft({"crc": 1}), "checksum"),
    "other data": (craft({"raw": b"abd"}), "checksum"),
    "no deflate stream": (craft({"method": 8, "raw": b"\xff\xff"}), "deflate-stream"),
    "no deflate data": (craft({"method": 8, "raw": b"", "size": 0, "crc": 0}), "deflate-stream"),
    "a deflate stream cut off": (craft({"method": 8, "raw": PACKED[:-1]}), "deflate-stream"),
    "data after a deflate stream": (craft({"method": 8, "raw": PACKED + b"\0"}), "deflate-stream"),
    "more than was declared": (craft({"method": 8, "raw": PACKED, "size": 2}), "deflate-stream"),
    "something where nothing was declared": (
        craft({"method": 8, "raw": PACKED, "size": 0}),
        "deflate-stream",
    ),
    "less than was declared": (craft({"method": 8, "raw": PACKED, "size": 4}), "deflate-stream"),
    "no frame": (craft({"method": ZSTANDARD}), "zstandard-frame"),
    "a frame cut off": (craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME[:-1]}), "zstandard-frame"),
    "data after a frame": (
        craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME + b"\0"}),
        "zstandard-frame",
    ),
    "two frames": (
        craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME * 2, "size": 6}),
        "zstandard-frame",
    ),
    "a frame of more": (
        craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME, "size": 2}),
        "zstandard-frame",
    ),
    "a frame of less": (
        craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME, "size": 4}),
        "zstandard-frame",
    ),
    "a frame of other data": (craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME, "crc": 1}), "checksum"),
}


@pytest.mark.parametrize("raw, kind", UNREADABLE.values(), ids=UNREADABLE)
def test_reader_refuses_a_member(raw: bytes, kind: str, file: Path) -> None:
    file.write_bytes(raw)
    with read_archive(file) as opened, pytest.raises(BadArchive) as caught:
        opened.read("m0")
    assert caught.value.kind == kind
    assert caught.value.offset is not None


def test_reader_has_no_such_member(file: Path) -> None:
    file.write_bytes(sample())
    with read_archive(file) as opened, pytest.raises(BadArchive, match="no member 'pkg'") as caught:
        opened.read("pkg")
    assert caught.value.kind == Rejection.NO_MEMBER


def test_a_frame_is_read(file: Path) -> None:
    file.write_bytes(craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME}))
    with read_archive(file) as opened:
        assert opened.read("m0") == b"abc"


def test_a_frame_without_the_library_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(craft({"needed": 63, "method": ZSTANDARD, "raw": FRAME}))
    monkeypatch.setitem(sys.modules, zstandard().__name__, None)
    with (
        read_archive(file) as opened,
        pytest.raises(BadArchive, match="Zstandard is not installed") as caught,
    ):
        opened.read("m0")
    assert caught.value.kind == Rejection.METHOD_NOT_READABLE
    assert "zipstrap[small]" in caught.value.cure


def test_what_was_compressed_before_is_written_as_it_is(file: Path) -> None:
    members = [
        Member("a.txt", b"abc", packed=(DEFLATED, PACKED)),
        Member("b.txt", b"abc", packed=(ZSTANDARD, FRAME)),
        Member("c.txt", b"abc"),
    ]
    with file.open("wb") as stream:
        written = write_archive(stream, members, mtime=0)
    assert [(record.method, record.compressed_size) for record in written] == [
        (DEFLATED, len(PACKED)),
        (ZSTANDARD, len(FRAME)),
        (STORED, 3),
    ]
    with read_archive(file) as opened:
        assert [opened.read(name) for name in opened.names] == [b"abc"] * 3
    with zipfile.ZipFile(file) as other:
        # APPNOTE 4.4.3.2: 6.3 for Zstandard
        assert [info.extract_version for info in other.infolist()] == [20, 63, 10]
        assert other.read("a.txt") == b"abc"


def test_every_rejection_is_seeded() -> None:
    elsewhere = {
        Rejection.NO_MEMBER,
        Rejection.SHRUNK,
        Rejection.MEMORY,
        Rejection.METHOD_NOT_READABLE,
        Rejection.LATER_METHOD,
    }
    seeded = {kind for _, kind in [*REFUSED.values(), *UNREADABLE.values()]}
    assert seeded == set(Rejection) - elsewhere


def test_file_that_shrinks_while_open(file: Path) -> None:
    file.write_bytes(sample())
    with read_archive(file) as opened:
        os.truncate(file, 40)
        with pytest.raises(BadArchive) as caught:
            opened.read("pkg/é.txt")
    assert caught.value.kind == Rejection.SHRUNK


def test_memory_that_runs_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(**_: int) -> None:
        raise MemoryError

    file.write_bytes(sample())
    monkeypatch.setattr(zlib, "decompressobj", exhausted)
    with read_archive(file) as opened, pytest.raises(BadArchive) as caught:
        opened.read("pkg/__init__.py")
    assert caught.value.kind == Rejection.MEMORY


def test_a_bomb_is_inflated_no_further_than_declared(file: Path) -> None:
    bomb = zlib.compress(bytes(1 << 26), 9, wbits=-15)
    file.write_bytes(craft({"method": 8, "raw": bomb, "size": 1000}))
    with read_archive(file) as opened:
        tracemalloc.start()
        with pytest.raises(BadArchive, match="inflates to more than its 1000 bytes"):
            opened.read("m0")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("what", ["missing", "folder", "fifo", "NUL"])
def test_what_is_no_file(what: str, tmp_path: Path) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "NUL":
        path = tmp_path / "a\0b"
    with pytest.raises(FileError) as caught:
        read_archive(path)
    assert not isinstance(caught.value, ArchiveError)
    assert str(path) in str(caught.value)


# --- damage of every kind


def seen(path: Path) -> tuple[tuple[MemberInfo, ...], list[bytes]]:
    with read_archive(path) as opened:
        return opened.members, [opened.read(name) for name in opened.names]


@pytest.mark.parametrize("raw", [sample(), INFO_ZIP], ids=["ours", "zip"])
def test_one_changed_byte_is_refused_or_changes_nothing(raw: bytes, file: Path) -> None:
    """What is not refused lies in fields that the reader does not use, such as a member's permissions."""
    file.write_bytes(raw)
    expected = seen(file)
    refused = 0
    for index, byte in enumerate(raw):
        values = {byte ^ 1 << bit for bit in range(8)} | {0, 0xFF, byte + 1 & 0xFF, byte - 1 & 0xFF} - {byte}
        for value in values - {byte}:
            file.write_bytes(raw[:index] + bytes([value]) + raw[index + 1 :])
            try:
                assert seen(file) == expected, (index, value)
            except BadArchive:
                refused += 1
    assert refused > 5 * len(raw)


@pytest.mark.parametrize("raw", [sample(), INFO_ZIP, craft(), written([Member("a", INNER)])])
def test_cut_off_anywhere_is_refused(raw: bytes, file: Path) -> None:
    for length in range(len(raw)):
        file.write_bytes(raw[:length])
        with pytest.raises(BadArchive):
            read_archive(file)


@given(st.binary(max_size=200), st.binary(max_size=22))
def test_noise_is_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes, end: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.zip"
    path.write_bytes(noise + b"PK\5\6" + end)
    # the one archive that holds nothing
    if path.read_bytes() == craft():
        return
    with pytest.raises(BadArchive):
        read_archive(path)


EDITS = st.lists(
    st.tuples(
        st.integers(0, len(sample()) - 1), st.sampled_from(["<B", "<H", "<L"]), st.integers(0, 2**32 - 1)
    ),
    min_size=1,
    max_size=4,
)


@given(EDITS)
def test_any_damage_raises_only_our_errors_or_is_read_as_zipfile_does(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, str, int]]
) -> None:
    raw = bytearray(sample())
    for index, form, value in edits:
        size = struct.calcsize(form)
        place = min(index, len(raw) - size)
        struct.pack_into(form, raw, place, value & (1 << 8 * size) - 1)
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(raw)
    try:
        mine = contents(path)
    except BadArchive:
        return
    # edits that change nothing, or agree in a header and its twin
    with zipfile.ZipFile(path) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == mine
