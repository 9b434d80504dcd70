"""Count what does not vary with the load: instructions, system calls, files opened."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.errors import InterpreterError
from zipstrap.verify.kernel_log import parse_kernel_log
from zipstrap.worker import last_line

from .measure import Started

__all__ = [
    "Calls",
    "Counter",
    "count_calls",
    "count_instructions",
    "find_counter",
    "find_tracer",
    "parse_cachegrind",
    "parse_calls",
    "parse_perf",
]


@dataclass(frozen=True, slots=True)
class Counter:
    """A tool that counts instructions: *command* goes before what is counted, *read* reads its stderr."""

    name: str
    command: tuple[str, ...]
    read: Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Calls:
    """What the kernel saw of a start."""

    #: system calls in all
    calls: int
    #: files opened with success, each as often as it was
    opens: int
    #: files opened below the tree's root that are no shared libraries, each once
    files: int
    #: shared libraries and extension modules opened below the tree's root, each once
    extensions: int
    #: opening or asking for a file that is not there
    misses: int


def parse_cachegrind(text: str) -> int | None:
    """Return the number of instructions in what valgrind printed to stderr, if it is there."""
    found = re.search(r"I +refs: +([\d,]+)", text)
    return None if found is None else int(found[1].replace(",", ""))


def parse_perf(text: str) -> int | None:
    """Return the number of instructions in what ``perf stat -x,`` printed; None where nothing counts."""
    found = re.search(r"^(\d+),[^,]*,instructions", text, flags=re.MULTILINE)
    return None if found is None else int(found[1])


_PERF = Counter("perf", ("perf", "stat", "-x,", "-e", "instructions:u", "--"), parse_perf)
_CACHEGRIND = Counter(
    "cachegrind",
    # children too: a launcher becomes the interpreter
    (
        *("valgrind", "--trace-children=yes", "--tool=cachegrind", "--cache-sim=no"),
        *("--cachegrind-out-file=/dev/null", "--"),
    ),
    parse_cachegrind,
)


def find_counter(started: Started) -> Counter | str:
    """Return the first tool that counts here, or why none does: a virtual machine may have none."""
    reasons = []
    for counter in (_PERF, _CACHEGRIND):
        tool = counter.command[0]
        if shutil.which(tool) is None:
            reasons.append(f"there is no {tool}")
            continue
        done = _run([*counter.command, "true"], started)
        if done.returncode == 0 and counter.read(done.stderr) is not None:
            return counter
        reasons.append(f"{tool} counts nothing here ({last_line(done.stderr.encode())})")
    return ", and ".join(reasons)


def count_instructions(counter: Counter, command: Sequence[str], started: Started, times: int = 1) -> int:
    """Return the instructions of a run of *command*, the median of so many *times*.

    Raises InterpreterError if it fails under the tool.
    """
    counts = []
    for _ in range(times):
        done = _run([*counter.command, *command], started)
        count = counter.read(done.stderr)
        if done.returncode or count is None:
            raise InterpreterError(
                f"it does not run under {counter.name} ({last_line(done.stderr.encode())})",
                file=command[0],
                cure="leave instructions out of --measures",
            )
        counts.append(count)
    return int(statistics.median_low(counts))


_TRACE = ("strace", "-f", "-y", "-qq", "-e", "signal=none")


def find_tracer(started: Started) -> str:
    """Return why system calls cannot be counted here, or nothing."""
    if shutil.which("strace") is None:
        return "there is no strace"
    done = _run([*_TRACE, "-o", "/dev/null", "true"], started)
    return "" if done.returncode == 0 else f"strace may not trace here ({last_line(done.stderr.encode())})"


def count_calls(command: Sequence[str], started: Started, root: Path) -> Calls:
    """Run *command*, whose tree is *root*, and return what the kernel saw of it.

    Raises InterpreterError if it fails under strace.
    """
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder:
        log = Path(folder, "log")
        done = _run([*_TRACE, "-o", str(log), *command], started)
        if done.returncode:
            raise InterpreterError(
                f"it does not run under strace ({last_line(done.stderr.encode())})",
                file=command[0],
                cure="leave calls out of --measures",
            )
        return parse_calls(log.read_text(encoding="utf-8", errors="surrogateescape"), str(root))


_CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_UNFINISHED = " <unfinished ...>"
_OPENS = ("open", "openat", "openat2")
_SHARED = re.compile(r"\.so(?:\.\d[\w.]*)?$")


def parse_calls(text: str, root: str) -> Calls:
    """Return what a log of ``strace -f -y -o`` says, for the tree at *root*. Pure."""
    calls = opens = misses = 0
    for name, rest in _whole_calls(text):
        calls += 1
        if rest.endswith("ENOENT (No such file or directory)"):
            misses += 1
        elif name in _OPENS and "O_DIRECTORY" not in rest and re.search(r"\)\s+= \d", rest):
            opens += 1
    opened = [path for path in parse_kernel_log(text).opened if path.startswith(f"{root}/")]
    extensions = sum(_SHARED.search(path) is not None for path in opened)
    return Calls(calls, opens, len(opened) - extensions, extensions, misses)


def _whole_calls(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and rest of each call; one that another thread interrupted is put together."""
    begun: dict[tuple[str, str], str] = {}
    for line in text.split("\n"):
        if match := _CALL.match(line):
            if match["rest"].endswith(_UNFINISHED):
                begun[match["pid"], match["name"]] = match["rest"].removesuffix(_UNFINISHED)
            else:
                yield match["name"], match["rest"]
        elif match := _RESUMED.match(line):
            yield match["name"], begun.pop((match["pid"], match["name"]), "") + match["rest"]
    # such as exit_group, from which nobody comes back
    for (_, name), rest in begun.items():
        yield name, rest


def _run(words: Sequence[str], started: Started) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*started.prefix, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**started.environ, "PYTHONHASHSEED": "0"},
        cwd=started.folder,
        check=False,
    )
