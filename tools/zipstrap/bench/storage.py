"""First runs and slow storage: files that are not in the page cache, operations that take longer."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from zipstrap.destination import writing
from zipstrap.errors import UsageError
from zipstrap.worker import last_line

from .measure import Started

__all__ = [
    "drop_all",
    "files_below",
    "forget",
    "may_drop",
    "resident",
    "slow_prefix",
    "why_not_cold",
    "why_not_slow",
]

#: for the whole machine; proc(5)
_DROP = Path("/proc/sys/vm/drop_caches")

#: What goes over the wire on a network drive when nothing is known of it yet: names that are looked up, files
#: that are opened and read, folders that are listed. strace takes the ``?`` for: where there is such a call.
_OPERATIONS = (
    "?open,?openat,?openat2,?stat,?lstat,?newfstatat,?statx,?access,?faccessat,?faccessat2,"
    "?readlink,?readlinkat,?read,?pread64,?getdents,?getdents64"
)


def files_below(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the plain files below *folders*; links are left where they lead."""
    return tuple(
        path
        for folder in folders
        for place, _folders, names in os.walk(folder)
        for path in (Path(place, name) for name in names)
        if path.is_file() and not path.is_symlink()
    )


def forget(files: Iterable[Path]) -> None:
    """Ask the kernel to drop the pages of *files* from its cache; what is not yet written stays.

    The names of files and folders stay known to it.
    """
    for path in files:
        with writing(path, "leave cold out of --conditions"):
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(number)


def may_drop() -> None:
    """Raise UsageError unless this process may empty the page cache."""
    if not os.access(_DROP, os.W_OK):
        raise UsageError(
            "--cold empties the page cache of the whole machine, which only root on Linux may",
            file=_DROP,
            cure="run as root, or leave it out: then the trees' own files are dropped",
        )


def drop_all() -> None:
    """Drop the page cache and the names of files, of the whole machine; only root may.

    Raises FileError where that is not allowed.
    """
    with writing(_DROP, "run as root, or leave --cold out: then the tree's files alone are dropped"):
        os.sync()
        _DROP.write_text("3\n")


def why_not_cold(files: Sequence[Path]) -> str:
    """Write *files* to the disk, drop them, and return why this does not make a cold cache, or nothing."""
    if not hasattr(os, "posix_fadvise"):
        return "this system has no posix_fadvise"
    for path in files:
        with writing(path), path.open("rb") as file:
            os.fsync(file.fileno())
    forget(files)
    largest = max(files, key=lambda path: path.stat().st_size)
    left = resident(largest)
    if left is None:
        return "this system does not tell which pages are in memory"
    # pages that something else has mapped may stay
    return f"{left:.0%} of {largest} stays in memory: its file system is there" if left > 0.1 else ""


def resident(path: Path) -> float | None:
    """Return how much of *path* is in the page cache, as a part of 1; None where nothing tells."""
    size = path.stat().st_size
    pages = -(-size // mmap.PAGESIZE)
    vector = (ctypes.c_ubyte * pages)()
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
    except (OSError, AttributeError):
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        held = ctypes.c_char.from_buffer(mapped)
        failed = mincore(ctypes.c_void_p(ctypes.addressof(held)), ctypes.c_size_t(size), vector)
        # the map cannot be closed while something points into it
        del held
    return None if failed else sum(page & 1 for page in vector) / pages


def slow_prefix(latency: float) -> tuple[str, ...]:
    """Return what makes each file operation of a command take *latency* ms longer, by strace.

    Every operation of the process counts, those of the dynamic loader too, alike in all columns. The kernel
    alone decides what an operation is, so nothing that goes around libc is missed; that stopping a process
    takes some 0.02 ms as well counts as latency.
    """
    return (
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "signal=none",
        "-e",
        f"trace={_OPERATIONS}",
        "-e",
        f"inject={_OPERATIONS}:delay_enter={max(1, round(latency * 1000))}",
    )


def why_not_slow(latency: float, started: Started) -> str:
    """Return why operations cannot be made slow here, or nothing."""
    if shutil.which("strace") is None:
        return "there is no strace, which injects the latency"
    with contextlib.suppress(OSError):
        done = subprocess.run(
            [*slow_prefix(latency), "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(started.environ),
            cwd=started.folder,
            check=False,
        )
        if done.returncode == 0:
            return ""
        return f"strace (5.3 or later is needed) injects no latency here: {last_line(done.stderr)}"
    return "strace cannot be run"
