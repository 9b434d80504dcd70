"""The memory of several processes that are alive at once."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.errors import InterpreterError

from .measure import Started

__all__ = ["HOLD", "PROCESSES", "Memory", "measure_memory", "parse_rollup", "why_no_memory"]

#: how many are alive at once
PROCESSES = 8

#: Ends a script: it says that it is there, and waits until its stdin is closed.
HOLD = 'import sys\nsys.stdout.write("!")\nsys.stdout.flush()\nsys.stdin.read()\n'


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one of the processes, in KiB, the mean of all.

    *proportional* counts a page that several share by each one's part; *private* and *shared* are resident.
    """

    resident: float
    proportional: float
    private: float
    shared: float


def parse_rollup(text: str) -> Memory:
    """Return what ``/proc/PID/smaps_rollup`` says (proc(5), Linux 4.14 and later). Pure.

    Raises KeyError for a text that is none.
    """
    kib = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, flags=re.MULTILINE)}
    return Memory(
        kib["Rss"],
        kib["Pss"],
        kib["Private_Clean"] + kib["Private_Dirty"],
        kib["Shared_Clean"] + kib["Shared_Dirty"],
    )


def why_no_memory() -> str:
    """Return why memory cannot be measured here, or nothing."""
    try:
        parse_rollup(Path("/proc/self/smaps_rollup").read_text(encoding="ascii"))
    except (OSError, KeyError):
        return "this system has no /proc/PID/smaps_rollup"
    return ""


def measure_memory(command: Sequence[str], started: Started) -> Memory:
    """Start *command*, whose script ends with :data:`HOLD`, eight times, and measure when all are there.

    Raises InterpreterError if one ends before that.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(PROCESSES):
            processes.append(  # noqa: PERF401 - those that were started are ended if the next cannot be
                subprocess.Popen(
                    [*started.prefix, *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=dict(started.environ),
                    cwd=started.folder,
                )
            )
        for process in processes:
            assert process.stdout is not None
            if process.stdout.read(1) != b"!":
                raise InterpreterError(
                    "it ended before its memory could be measured",
                    file=command[0],
                    cure="leave memory out of --measures",
                )
        found = [
            parse_rollup(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))
            for process in processes
        ]
    finally:
        for process in processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
        for process in processes:
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    return Memory(
        *(
            statistics.fmean(getattr(each, name) for each in found)
            for name in ("resident", "proportional", "private", "shared")
        )
    )
