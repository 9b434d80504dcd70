"""The shared object that we write ourselves, as the reader of ELF files sees it."""

from __future__ import annotations

import struct
from pathlib import Path

from zipstrap.linkage import read_elf
from zipstrap.verify.native_marker import can_make_native, elf_marker


def test_it_is_an_elf_file_with_its_name_and_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "foreign.so"
    path.write_bytes(elf_marker(b"/marks", b"line\n", "foreign.so", ("/lib/one.so", "two.so.1")))
    elf = read_elf(path)
    assert elf is not None
    assert (elf.soname, elf.needed) == ("foreign.so", ("/lib/one.so", "two.so.1"))
    assert (elf.bits, elf.interpreter) == (64, None)


def test_the_code_finds_what_it_writes() -> None:
    data = elf_marker(b"/marks", b"line\n", "foreign.so")
    code = data.index(b"\xb8\x01\x01\x00\x00")  # mov eax, 257: where its init function begins
    operands = [at + 7 + struct.unpack_from("<i", data, at + 3)[0] for at in _leas(data, code)]
    assert [data[at : at + 6] for at in operands] == [b"/marks", b"line\n\0"]


def _leas(data: bytes, start: int) -> list[int]:
    first = data.index(b"\x48\x8d\x35", start)
    return [first, data.index(b"\x48\x8d\x35", first + 1)]


def test_where_it_can_be_made() -> None:
    assert can_make_native("x86_64", "linux")
    assert not can_make_native("x86_64", "darwin")
