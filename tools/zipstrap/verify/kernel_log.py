"""Read what strace wrote: the files that the kernel saw opened, a witness outside of Python.

The form is that of ``strace -f -y -o FILE`` (strace 4.26 and later; measured with 6.1). Without ``-y`` the
paths are those that were asked for, and links stay as they are.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["STRACE_OPTIONS", "KernelLog", "library_files", "parse_kernel_log"]

#: The ``?`` keeps strace from failing where a system has no such call (aarch64 has no ``open``).
STRACE_OPTIONS = ("-f", "-y", "-qq", "-e", "trace=?open,?openat,?openat2,?execve", "-e", "signal=none")


@dataclass(frozen=True, slots=True)
class KernelLog:
    """The programs that were started and the files that were opened with success, each once, in order.

    Folders that were listed are not among the files.
    """

    executed: tuple[str, ...]
    opened: tuple[str, ...]


_CALL = re.compile(r"^(?:(?:\[pid +)?(?P<pid>\d+)\]? +)?(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?:(?:\[pid +)?(?P<pid>\d+)\]? +)?<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_UNFINISHED = re.compile(r"\s*<unfinished \.\.\.>$")
_RESULT = re.compile(
    r"^(?P<arguments>.*)\)\s+= (?P<value>-?\d+)(?:<(?P<real>/.*)>)?(?:\(deleted\))?(?: .*)?$"
)
_FOLDER = re.compile(r"^(?:AT_FDCWD|\d+)<(?P<path>/[^>]*)>")
_STRING = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
_LIBRARY = re.compile(r"\.(?:zip|pyc?|pth|start|_pth)$|\.so(?:\.\d[\w.]*)?$|/pyvenv\.cfg$")


def parse_kernel_log(text: str) -> KernelLog:
    """Return what *text* says was executed and opened. Pure; lines of any other form are passed over."""
    executed: dict[str, None] = {}
    opened: dict[str, None] = {}
    unfinished: dict[tuple[str, str], str] = {}
    for line in text.split("\n"):
        if match := _RESUMED.search(line):
            rest = unfinished.pop((match["pid"] or "", match["name"]), "") + match["rest"]
        elif match := _CALL.search(line):
            rest = match["rest"]
            if _UNFINISHED.search(rest):
                unfinished[match["pid"] or "", match["name"]] = _UNFINISHED.sub("", rest)
                continue
        else:
            continue
        result = _RESULT.search(rest)
        if result is None or int(result["value"]) < 0:
            continue
        path = _asked_for(result["arguments"])
        if path is None:
            continue
        if match["name"] == "execve":
            executed[path] = None
        elif match["name"] in ("open", "openat", "openat2") and "O_DIRECTORY" not in result["arguments"]:
            opened[path if result["real"] is None else _unescape(result["real"])] = None
    return KernelLog(tuple(executed), tuple(opened))


def library_files(opened: Iterable[str]) -> tuple[str, ...]:
    """Return those of *opened* that hold code or steer a start: archives, modules, libraries, hooks."""
    return tuple(path for path in opened if _LIBRARY.search(path))


def _asked_for(arguments: str) -> str | None:
    string = _STRING.search(arguments)
    if string is None:
        return None
    path = _unescape(string["text"])
    folder = _FOLDER.search(arguments)
    return posixpath.join(_unescape(folder["path"]), path) if folder else path


def _unescape(text: str) -> str:
    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        if code[:1].isdigit():
            return bytes([int(code, 8) & 0xFF])
        return _ESCAPES.get(code, code)

    return os.fsdecode(_ESCAPE.sub(one, os.fsencode(text)))
