"""Shared objects that say that they were loaded, and end the process: what loader variables are tried with.

On x86-64 Linux we write the ELF file ourselves, so that no compiler need be there; elsewhere ``cc`` makes it.
Layout of the file: System V ABI, ``elf(5)``; the code makes three system calls and needs no library.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from zipstrap.errors import FileError

__all__ = ["can_make_native", "compiled_marker", "elf_marker", "make_native"]

_PAGE = 0x1000
_MACHINE = "x86_64"

_DT_NEEDED, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_INIT, _DT_SONAME = 1, 5, 6, 10, 11, 12, 14
_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551


def can_make_native(machine: str, platform: str) -> bool:
    """Tell whether a shared object can be made here for interpreters of *machine* and *platform*."""
    return platform == "linux" and (machine == _MACHINE or shutil.which("cc") is not None)


def make_native(
    path: Path, machine: str, marks: Path, line: bytes, soname: str, needed: Sequence[str] = ()
) -> None:
    """Write a shared object to *path* that appends *line* to the file *marks* and ends the process.

    Nothing may be at *path*. The object has the name *soname*, and loads the libraries *needed*, by path.
    Raises :class:`FileError` if the compiler that is needed on machines but x86-64 fails.
    """
    if machine == _MACHINE:
        with path.open("xb") as stream:
            stream.write(elf_marker(bytes(marks), line, soname, needed))
    else:
        compiled_marker(path, bytes(marks), line, soname, needed)
    path.chmod(0o755)


def elf_marker(marks: bytes, line: bytes, soname: str, needed: Sequence[str] = ()) -> bytes:
    """Return a shared object for x86-64 Linux, see :func:`make_native`. Pure."""
    names = [soname.encode(), *(name.encode() for name in needed)]
    strings = b"\0" + b"".join(name + b"\0" for name in names)
    offsets = [1 + sum(len(name) + 1 for name in names[:count]) for count in range(len(names))]

    header, programs = 64, 4 * 56
    code_at = header + programs
    # openat(AT_FDCWD, marks, O_WRONLY | O_CREAT | O_APPEND, 0666); write(it, line); exit_group(0)
    code = bytearray()
    code += b"\xb8" + struct.pack("<i", 257) + b"\xbf" + struct.pack("<i", -100)
    path_operand = len(code) + 3
    code += b"\x48\x8d\x35" + bytes(4)  # lea rsi, [rip + marks]
    code += b"\xba" + struct.pack("<i", 0o2101) + b"\x41\xba" + struct.pack("<i", 0o666) + b"\x0f\x05"
    code += b"\x89\xc7" + b"\xb8" + struct.pack("<i", 1)
    line_operand = len(code) + 3
    code += b"\x48\x8d\x35" + bytes(4)  # lea rsi, [rip + line]
    code += b"\xba" + struct.pack("<i", len(line)) + b"\x0f\x05"
    code += b"\x31\xff" + b"\xb8" + struct.pack("<i", 231) + b"\x0f\x05"
    path_at = len(code)
    line_at = path_at + len(marks) + 1
    struct.pack_into("<i", code, path_operand, path_at - (path_operand + 4))
    struct.pack_into("<i", code, line_operand, line_at - (line_operand + 4))
    code += marks + b"\0" + line

    symbols_at = -(-(code_at + len(code)) // 8) * 8
    strings_at = symbols_at + 24  # the one symbol that each table has, of zeros
    text_size = strings_at + len(strings)
    dynamic_at = -(-text_size // _PAGE) * _PAGE  # a page of its own: glibc writes into it
    entries = [(_DT_SONAME, offsets[0]), *((_DT_NEEDED, offset) for offset in offsets[1:])]
    entries += [
        (_DT_INIT, code_at),
        (_DT_STRTAB, strings_at),
        (_DT_STRSZ, len(strings)),
        (_DT_SYMTAB, symbols_at),
        (_DT_SYMENT, 24),
        (0, 0),
    ]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)

    ident = b"\x7fELF\2\1\1" + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, header, 0, 0, 64, 56, 4, 0, 0, 0)
    head += _program(_PT_LOAD, 5, 0, text_size, _PAGE)
    head += _program(_PT_LOAD, 6, dynamic_at, len(dynamic), _PAGE)
    head += _program(_PT_DYNAMIC, 6, dynamic_at, len(dynamic), 8)
    head += _program(_PT_GNU_STACK, 6, 0, 0, 16)
    text = (head + code).ljust(symbols_at, b"\0") + bytes(24) + strings
    return text.ljust(dynamic_at, b"\0") + dynamic


def _program(kind: int, flags: int, at: int, size: int, align: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, align)


_SOURCE = """\
#include <fcntl.h>
#include <unistd.h>
static const char line[] = {%s};
__attribute__((constructor)) static void loaded(void) {
    static const char marks[] = {%s, 0};
    int file = open(marks, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file >= 0 && write(file, line, sizeof line) >= 0) { _exit(0); }
    _exit(1);
}
"""


def compiled_marker(path: Path, marks: bytes, line: bytes, soname: str, needed: Sequence[str] = ()) -> None:
    """Let ``cc`` write the shared object to *path*, see :func:`make_native`."""
    source = _SOURCE % tuple(", ".join(map(str, data)) for data in (line, marks))
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-Wl,--no-as-needed"]
    try:
        subprocess.run(
            [*command, "-o", str(path), "-x", "c", "-", "-x", "none", *needed],
            input=source.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise FileError(
            f"the compiler made no shared object ({error})", file=path, cure="see that cc works"
        ) from error
