"""Which processes use a generation, as the kernel tells it.

Two witnesses are asked. ``/proc`` names the processes that run its executable, or have a file of it mapped
or open; some it does not let everybody look into, and it has none of other containers. A lease (fcntl(2))
names nobody, and leaves out nobody: the kernel grants one for writing only if no process of the whole system
has the file open, runs it or has it mapped. Where there are no leases, as on network file systems, a process
that may not be looked into may use anything.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.errors import UnsupportedError

__all__ = ["Process", "Seen", "find_users", "held_file"]

#: in the flags of /proc/PID/stat (include/linux/sched.h, PF_KTHREAD): a thread of the kernel runs no program
_KERNEL_THREAD = 0x0020_0000


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and how it uses a generation; *name* is the kernel's, of 15 characters at most."""

    number: int
    name: str
    how: str

    def __str__(self) -> str:
        return f"process {self.number} ({self.name}) {self.how}"


@dataclass(frozen=True, slots=True)
class Seen:
    """The processes that use a folder, and those that may not be looked into."""

    users: tuple[Process, ...]
    unreadable: tuple[Process, ...]


def find_users(folder: Path, executable: str, proc: Path = Path("/proc")) -> Seen:
    """Return who uses something in *folder*, a tree with its *executable*.

    Raises :class:`UnsupportedError` where there is no *proc* that could tell.
    """
    if not (proc / "self" / "maps").exists():
        raise UnsupportedError(
            "there is no /proc here that says which processes run",
            file=proc,
            cure="mount it, or run this where it is: without it nobody knows what is in use",
        )
    real = Path(os.path.realpath(folder))
    inside = f"{real}/"
    identity = None
    with contextlib.suppress(OSError):
        seen = (real / executable).stat()
        identity = (seen.st_dev, seen.st_ino)
    users, unreadable = [], []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            how = _use(entry, inside, identity)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except PermissionError:
            if not _is_of_the_kernel(entry):
                unreadable.append(Process(int(entry.name), _name(entry), "may not be looked into"))
            continue
        if how is not None:
            users.append(Process(int(entry.name), _name(entry), how))
    return Seen(_sorted(users), _sorted(unreadable))


def _sorted(processes: Sequence[Process]) -> tuple[Process, ...]:
    return tuple(sorted(processes, key=lambda process: process.number))


def _use(process: Path, inside: str, identity: tuple[int, int] | None) -> str | None:
    """Return how *process* uses what begins with *inside*; None if it does not."""
    executable = process / "exe"
    try:
        if os.readlink(executable).startswith(inside):  # noqa: PTH115 - it may end in " (deleted)"
            return "runs it"
        seen = executable.stat()  # the same by another path, of a bind mount for example
        if identity == (seen.st_dev, seen.st_ino):
            return "runs it"
    except FileNotFoundError:
        pass  # a thread of the kernel, a zombie, or an executable that is gone
    text = f" {inside}".encode("utf-8", "surrogateescape")
    with (process / "maps").open("rb") as maps:
        if any(text in line for line in maps):
            return "has a file of it mapped"
    for number in _entries(process / "fd"):
        with contextlib.suppress(FileNotFoundError):
            place = os.readlink(process / "fd" / number)  # noqa: PTH115 - a file or none
            if f"{place}/".startswith(inside):
                return "has a file of it open"
    return None


def _entries(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries)


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return "?"


def _is_of_the_kernel(process: Path) -> bool:
    try:
        rest = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return bool(int(rest[6]) & _KERNEL_THREAD)
    except (OSError, ValueError, IndexError):
        return False


def held_file(tree: Path, paths: Sequence[str]) -> tuple[str | None, bool]:
    """Return the first of the files *paths* in *tree* that some process uses, and whether that is known.

    It is not known where the file system has no leases, or this user may take none: they are for the owner.
    """
    for path in paths:
        try:
            held = _is_held(tree / path)
        except OSError:
            return None, False
        if held:
            return path, True
    # what never says no would have said nothing: with a file that is open here the answer has to be another
    try:
        with (tree / paths[0]).open("rb"):
            return None, _is_held(tree / paths[0])
    except OSError:
        return None, False


#: of <linux/fcntl.h>; the module fcntl has no name for it
_F_SETSIG = 10


def _is_held(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # who opens the file in the meantime waits, and sends a signal; that one does nothing by default
        fcntl.fcntl(handle, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        raise
    finally:
        os.close(handle)
    return False
