"""Compressing members: each way, the cache, the jobs, and what is missing."""

from __future__ import annotations

import random
import sys
import zlib
from pathlib import Path

import pytest
from zipstrap import compress
from zipstrap.archive import (
    DEFLATED,
    STORED,
    ZSTANDARD,
    BadArchive,
    Member,
    Rejection,
    read_archive,
    write_archive,
)
from zipstrap.compile import BytecodeCache
from zipstrap.compress import (
    DICTIONARY_MEMBER,
    LibraryReader,
    compress_members,
    frame_size,
    logical_name,
)
from zipstrap.errors import UsageError
from zipstrap.libraries import zstandard

DEFLATING = ("deflate", "libdeflate", "best")
WAYS = (*DEFLATING, "zstd", "dictionary")
WORDS = [b"def", b"return", b"self", b"import", b"None", b"class", b"for", b"lambda", b"yield", b"zip"]


def text(seed: int, size: int = 3000) -> bytes:
    chosen = random.Random(seed)
    return b" ".join(chosen.choice(WORDS) + b"%d" % chosen.randrange(50) for _ in range(size // 5))


MEMBERS = [
    *(Member(f"package/module{number}.pyc", text(number)) for number in range(40)),
    Member("package/data.txt", text(99)),
    Member("package/empty.txt", b""),
    Member("hot.pyc", text(7)),
    Member("random.pyc", random.Random(5).randbytes(500)),
]
WANTED = {member.name for member in MEMBERS} - {"hot.pyc"}


def packed(way: str, *, jobs: int = 1, cache: BytecodeCache | None = None) -> tuple[Member, ...]:
    return compress_members(members_for(way), WANTED, way, jobs=jobs, cache=cache)


def members_for(way: str) -> list[Member]:
    # zopfli takes 0.1 s for each
    return MEMBERS[37:] if way == "best" else MEMBERS


def archive_of(members: tuple[Member, ...], folder: Path) -> Path:
    path = folder / "archive.zip"
    with path.open("wb") as stream:
        write_archive(stream, members, mtime=0)
    return path


def test_stored_is_left_alone() -> None:
    assert packed("stored") == tuple(MEMBERS)


@pytest.mark.parametrize("way", WAYS)
def test_everything_comes_back(way: str, tmp_path: Path) -> None:
    with read_archive(archive_of(packed(way), tmp_path)) as archive:
        library = LibraryReader(archive)
        got = {name: library.read(name) for name in library.names if name != DICTIONARY_MEMBER}
    assert got == {member.name: member.data for member in members_for(way)}


@pytest.mark.parametrize("way", DEFLATING)
def test_what_deflates_is_read_by_zlib(way: str) -> None:
    by_name = {member.name: member for member in packed(way)}
    assert by_name["hot.pyc"].packed is None
    assert by_name["package/empty.txt"].packed is None
    # it would not become smaller
    assert by_name["random.pyc"].packed is None
    made = by_name["package/data.txt"].packed
    assert made is not None
    assert made[0] == DEFLATED
    assert zlib.decompress(made[1], -15) == text(99)


def test_each_way_is_smaller_than_the_one_before() -> None:
    data = text(3, 6000)
    sizes = []
    for way in DEFLATING:
        (made,) = compress_members([Member("a.pyc", data)], {"a.pyc"}, way, jobs=1, cache=None)
        assert made.packed is not None
        sizes.append(len(made.packed[1]))
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_zstd_is_a_method_of_zip() -> None:
    methods = {member.packed[0] for member in packed("zstd") if member.packed}
    assert methods == {ZSTANDARD}


def test_a_dictionary_makes_plain_members(tmp_path: Path) -> None:
    members = packed("dictionary")
    by_name = {member.name: member for member in members}
    assert "package/module3.pyc.zst" in by_name
    assert "package/module3.pyc" not in by_name
    assert {"hot.pyc", "random.pyc", "package/data.txt"} <= set(by_name)
    zstd = zstandard()
    content = zstd.decompress(by_name[DICTIONARY_MEMBER].data)
    frame = by_name["package/module3.pyc.zst"].data
    # what `zstd -d -D` does
    assert zstd.decompress(frame, zstd_dict=zstd.ZstdDict(content)) == text(3)
    assert frame_size(frame) == len(text(3))
    with read_archive(archive_of(members, tmp_path)) as archive:
        methods = {member.method for member in archive.members if member.name.endswith((".zst", ".pyc"))}
    assert methods == {STORED}


def test_too_few_for_a_dictionary_are_stored() -> None:
    few = MEMBERS[:3]
    assert compress_members(few, WANTED, "dictionary", jobs=1, cache=None) == tuple(few)


@pytest.mark.parametrize("way", WAYS)
def test_the_bytes_depend_on_neither_jobs_nor_cache(way: str, tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path / "cache")
    alone = packed(way)
    assert packed(way, jobs=4) == alone
    assert packed(way, jobs=2, cache=cache) == alone
    assert packed(way, cache=cache) == alone


def test_what_is_known_is_not_compressed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = BytecodeCache(tmp_path)
    before = packed("deflate", cache=cache)

    def never(*_: object, **__: object) -> bytes:
        raise AssertionError

    monkeypatch.setattr(compress.zlib, "compress", never)
    assert packed("deflate", cache=cache) == before
    with pytest.raises(AssertionError):
        packed("deflate")


def test_a_damaged_cache_is_not_believed(tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path)
    before = packed("dictionary", cache=cache)
    packs = sorted(tmp_path.iterdir())
    assert len(packs) == 3
    for pack in packs:
        data = bytearray(pack.read_bytes())
        data[-5] ^= 1
        pack.write_bytes(data)
    assert packed("dictionary", cache=cache) == before


@pytest.mark.parametrize("way", WAYS)
def test_progress_ends_with_all_of_them(way: str) -> None:
    told: list[tuple[int, int]] = []
    members = members_for(way)
    compress_members(members, WANTED, way, jobs=2, cache=None, on_progress=lambda *step: told.append(step))
    total = len([member for member in members if member.name in WANTED and member.data])
    assert told[-1] == (total, total)
    assert {step[1] for step in told} == {total}
    assert [step[0] for step in told] == sorted(step[0] for step in told)


@pytest.mark.parametrize(
    ("way", "module", "name"),
    [
        ("libdeflate", "deflate", "libdeflate"),
        ("best", "zopfli.zopfli", "zopfli"),
        ("zstd", zstandard().__name__, "Zstandard"),
        ("dictionary", zstandard().__name__, "Zstandard"),
    ],
)
def test_a_library_that_is_missing_is_told(
    way: str, module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=f"{name} is not installed") as caught:
        packed(way)
    if module != "compression.zstd":
        assert caught.value.cure == "pip install 'zipstrap[small]'"


@pytest.mark.parametrize("size", [0, 5, 255, 256, 300, 65791, 65792, 100_000])
def test_a_frame_tells_its_size(size: int) -> None:
    assert frame_size(zstandard().compress(bytes(size))) == size


def test_names() -> None:
    assert logical_name("os.pyc.zst") == "os.pyc"
    assert logical_name("os.pyc") == "os.pyc"
    assert logical_name(DICTIONARY_MEMBER) == DICTIONARY_MEMBER


def test_a_frame_that_is_none_is_refused(tmp_path: Path) -> None:
    members = [
        Member("bad.pyc.zst", b"abc") if member.name == "package/module3.pyc.zst" else member
        for member in packed("dictionary")
    ]
    with read_archive(archive_of(tuple(members), tmp_path)) as archive:
        library = LibraryReader(archive)
        assert library.read("package/module4.pyc") == text(4)
        with pytest.raises(BadArchive, match=r"bad\.pyc\.zst cannot be unpacked") as caught:
            library.read("bad.pyc")
    assert caught.value.kind == Rejection.ZSTANDARD_FRAME


def test_a_dictionary_that_is_gone_is_told(tmp_path: Path) -> None:
    members = tuple(member for member in packed("dictionary") if member.name != DICTIONARY_MEMBER)
    with read_archive(archive_of(members, tmp_path)) as archive, pytest.raises(BadArchive) as caught:
        LibraryReader(archive).read("package/module4.pyc")
    assert caught.value.kind == Rejection.NO_MEMBER
