"""The launcher: what is started in the place of an interpreter that is to be nobody's but the tree's.

CPython takes its place from the name that it is started by (``argv[0]``, ``PYTHONEXECUTABLE``,
``__PYVENV_LAUNCHER__``: ``Modules/getpath.py``), and before it runs, the dynamic loader and the C library
have loaded what ``LD_PRELOAD``, ``LD_AUDIT``, ``LD_LIBRARY_PATH`` and ``GCONV_PATH`` say (ld.so(8)).
Nothing in the interpreter's own process is early enough. So a program without a loader comes first: it asks
the kernel where it lies (``/proc/self/exe``), makes that its ``argv[0]``, drops those variables, and
becomes the interpreter (execve(2)), which lies at a place that it holds, relative to its own.

The code is ``site_hooks/launcher_MACHINE.s``; what that assembles to is data, and a test compares the two.
"""

from __future__ import annotations

import posixpath
import struct

from .data import launchers
from .errors import UnsupportedError

__all__ = ["make_launcher"]

_ET_DYN = 3
_PT_LOAD, _PT_GNU_STACK = 1, 0x6474E551
_READ, _WRITE, _EXECUTE = 4, 2, 1
_SHT_PROGBITS, _SHT_STRTAB = 1, 3
_SHF_ALLOC, _SHF_EXECINSTR = 2, 4
_HEADER, _PROGRAM_HEADER, _SECTION_HEADER = 64, 56, 64
#: of the largest pages that a kernel may have: 64 KiB on 64-bit ARM
_ALIGNMENT = 0x10000


def make_launcher(machine: str, launcher: str, interpreter: str) -> bytes:
    """Return the file *launcher* of a tree, which starts the *interpreter*; both relative to its root. Pure.

    It is an ELF file (elf(5)) of one segment, which the kernel may load anywhere. Raises
    :class:`UnsupportedError` for a *machine*, as ``uname`` calls it, that there is no code for.
    """
    code = launchers().get(machine)
    if code is None:
        raise UnsupportedError(f"there is no launcher for {machine}", cure="use --layout fast")
    path = posixpath.relpath(f"/{interpreter}", posixpath.dirname(f"/{launcher}"))
    start = _HEADER + 2 * _PROGRAM_HEADER
    rest = code.code + path.encode("utf-8", "surrogateescape") + b"\0"
    size = start + len(rest)
    names = b"\0.text\0.shstrtab\0"
    sections = -(-(size + len(names)) // 8) * 8
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQI", _ET_DYN, code.elf_machine, 1, start, _HEADER, sections, 0)
    head += struct.pack("<HHHHHH", _HEADER, _PROGRAM_HEADER, 2, _SECTION_HEADER, 3, 2)
    head += struct.pack("<IIQQQQQQ", _PT_LOAD, _READ | _EXECUTE, 0, 0, 0, size, size, _ALIGNMENT)
    # without it, the stack could be run
    head += struct.pack("<IIQQQQQQ", _PT_GNU_STACK, _READ | _WRITE, 0, 0, 0, 0, 0, 16)
    # nothing needs the sections to run it, but strip, which packagers let loose on what is in bin
    table = bytes(_SECTION_HEADER)
    table += struct.pack(
        "<IIQQQQIIQQ", 1, _SHT_PROGBITS, _SHF_ALLOC | _SHF_EXECINSTR, start, start, len(rest), 0, 0, 4, 0
    )
    table += struct.pack("<IIQQQQIIQQ", 7, _SHT_STRTAB, 0, 0, size, len(names), 0, 0, 1, 0)
    return (head + rest + names).ljust(sections, b"\0") + table
