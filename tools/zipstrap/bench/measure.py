"""Start commands in turns and tell what each start took."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.errors import InterpreterError
from zipstrap.worker import last_line

__all__ = ["Run", "Started", "machine", "measure", "try_once"]

#: in seconds; a first run that takes longer has hung
_TIMEOUT = 300


@dataclass(frozen=True, slots=True)
class Started:
    """How something is started, alike in every column."""

    environ: Mapping[str, str]
    #: an empty folder: with -m and -c it is on sys.path
    folder: Path
    #: what goes before the command
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What a start took, in ms: user and system time of the process, and elapsed time."""

    cpu: float
    elapsed: float


def machine() -> dict[str, str]:
    """Return on what this runs: processor, number of processors, system."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
                break
    except OSError:
        pass
    return {
        "processor": model,
        "processors": str(os.cpu_count() or 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def try_once(command: Sequence[str], started: Started) -> str:
    """Run *command* and return why it cannot be measured, or nothing."""
    try:
        done = subprocess.run(
            [*started.prefix, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(started.environ),
            cwd=started.folder,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"exit status {done.returncode}: {last_line(done.stderr)}"


def measure(
    commands: Mapping[str, Sequence[str]],
    started: Started,
    pairs: int,
    *,
    before: Callable[[str], None] | None = None,
    on_round: Callable[[int], None] | None = None,
) -> dict[str, list[Run]]:
    """Run each of *commands* once in each of *pairs* rounds, and return the runs by name.

    Rounds begin with another command each, so that a machine whose speed drifts treats them alike. *before*
    is called with the name before each run. Raises InterpreterError for a run that fails.
    """
    names = list(commands)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(pairs):
        at = number % len(names)
        for name in names[at:] + names[:at]:
            if before is not None:
                before(name)
            runs[name].append(_run(commands[name], started))
        if on_round is not None:
            on_round(number + 1)
    return runs


def _run(command: Sequence[str], started: Started) -> Run:
    words = [*started.prefix, *command]
    environ = dict(started.environ)
    at = time.perf_counter()
    with _child(words, environ, started.folder) as process:
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - at
        process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise InterpreterError(
            f"a run that went well before has failed (exit status {process.returncode})",
            file=command[0],
            cure=f"see what this says: {' '.join(words)}",
        )
    return Run((usage.ru_utime + usage.ru_stime) * 1e3, elapsed * 1e3)


@contextlib.contextmanager
def _child(
    words: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that is gone, whatever happens."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
        cwd=folder,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
