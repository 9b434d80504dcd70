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
_HEADER, _PROGRAM_HEADER = 64, 56
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
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQI", _ET_DYN, code.elf_machine, 1, start, _HEADER, 0, 0)
    head += struct.pack("<HHHHHH", _HEADER, _PROGRAM_HEADER, 2, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", _PT_LOAD, _READ | _EXECUTE, 0, 0, 0, size, size, _ALIGNMENT)
    # without it, the stack could be run
    head += struct.pack("<IIQQQQQQ", _PT_GNU_STACK, _READ | _WRITE, 0, 0, 0, 0, 0, 16)
    return head + rest
