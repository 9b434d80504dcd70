"""The kill sweep: let a command fail at each system call that changes files, and look at what is left.

A :class:`Scene` says what is run on what. :func:`record` runs it once under strace(1) and notes each call
that changes a file of the state. :func:`sweep` then runs it once for each of these calls and each
:class:`Fault`, on a fresh state, and afterwards asks the scene whether the interpreter boots, runs what comes
next, and asks whether that has left something behind.

Only the command's own process is traced, with its first thread, which does here what others would do: what
it starts is not to change the state.
It is a fork of a process that has loaded zipstrap (:mod:`.forked`), for a whole sweep is thousands of runs.

Where the environment variable ``ZIPSTRAP_TEST_SWEEP_RESULTS`` names a folder, what was tried is noted there,
and a sweep that was ended goes on where it was, as long as neither zipstrap nor the command's calls change.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

import zipstrap

from .forked import Forks

__all__ = [
    "Call",
    "End",
    "Fault",
    "Scene",
    "Sweep",
    "is_whole",
    "parts",
    "record",
    "strace_problem",
    "sweep",
]

#: system calls that may change a file; those that this machine does not have are left out (``?``)
_WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
_COPIES = ("copy_file_range", "sendfile", "ftruncate", "fallocate")
_MAKES = ("open", "openat", "openat2", "creat", "mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat")
_RENAMES = ("rename", "renameat", "renameat2")
_REMOVES = ("unlink", "unlinkat", "rmdir")
_SYNCS = ("fsync", "fdatasync", "syncfs")
_MARKS = (
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
)
_TIMES = ("utimensat", "futimesat", "setxattr", "fsetxattr", "lsetxattr", "removexattr", "fremovexattr")
_CALLS = (*_WRITES, *_COPIES, *_MAKES, *_RENAMES, *_REMOVES, *_SYNCS, *_MARKS, *_TIMES)

_LINE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)")
_OPENS = re.compile(r"O_CREAT|O_TRUNC")
_PLACE = re.compile(r"^\d+<(.*?)(?: \(deleted\))?>")


class Fault(StrEnum):
    """What happens at a call."""

    KILL = "kill"
    #: the system call fails
    ENOSPC = "ENOSPC"
    EIO = "EIO"
    #: a write ends in the middle, by a limit of the file's size, and the next one fails
    SHORT = "short"
    #: a write, or a copy by the kernel, is said to have written one byte, and has written none
    LOST = "lost"


#: which calls may fail with what, besides being killed at
_FAILING: Mapping[Fault, frozenset[str]] = {
    Fault.KILL: frozenset(_CALLS),
    Fault.ENOSPC: frozenset((*_WRITES, *_COPIES, *_MAKES, *_RENAMES, *_SYNCS)),
    Fault.EIO: frozenset((*_WRITES, *_COPIES, *_MAKES, *_RENAMES, *_REMOVES, *_SYNCS, *_MARKS, *_TIMES)),
    Fault.SHORT: frozenset(_WRITES),
    Fault.LOST: frozenset((*_WRITES, "copy_file_range")),
}


@dataclass(frozen=True, slots=True)
class End:
    """What is run after a fault: it ends with status 0, and *left* then says what is wrong in the state."""

    command: Sequence[str | Path]
    left: Callable[[Path], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Scene:
    """A command and the state that it changes.

    *make* makes the state, at a path that is not there yet; it is the same path each time. *boots* returns
    what is wrong with the interpreter in it, None if it boots. After a fault one of *ends* is run, in turn.
    """

    name: str
    state: Path
    make: Callable[[Path], None]
    command: Sequence[str | Path]
    boots: Callable[[Path], str | None]
    ends: Sequence[End]
    environ: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 300.0
    #: what the command imports
    packages: Sequence[str] = ("zipstrap",)


@dataclass(frozen=True, slots=True)
class Call:
    """The *number*-th call of *name* in the command's process, counted from 1, as strace showed it."""

    name: str
    number: int
    shown: str
    #: of a write: to which size the file has to be limited for it to end in its middle
    middle: int | None = None


@dataclass
class Sweep:
    """What a sweep has shown."""

    scene: str
    calls: int
    tried: collections.Counter[Fault] = field(default_factory=collections.Counter)
    #: faults that did not happen: the command took another way than when it was recorded
    missed: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        tried = ", ".join(f"{count} {fault}" for fault, count in self.tried.items())
        return (
            f"{self.scene}: {self.calls} calls that change files; tried: {tried}; "
            f"missed: {self.missed}; problems: {len(self.problems)}"
        )


def parts() -> dict[str, tuple[Fault, ...]]:
    """Return the faults of each test: in a whole sweep it is one by itself, so that several run at once."""
    return {fault.value: (fault,) for fault in Fault} if is_whole() else {"sample": tuple(Fault)}


def is_whole() -> bool:
    """Tell whether every call is to be tried, which takes long, and not a sample."""
    return os.environ.get("ZIPSTRAP_TEST_WHOLE_SWEEP", "") not in ("", "0")


def strace_problem() -> str | None:
    """Return why strace cannot be used here, or None."""
    if shutil.which("strace") is None:
        return "there is no strace; install it"
    done = subprocess.run(
        ["strace", "-e", "trace=none", "true"], capture_output=True, text=True, timeout=60, check=False
    )
    return None if done.returncode == 0 else f"strace does not work here: {done.stderr.strip()}"


def record(scene: Scene, forks: Forks) -> list[Call]:
    """Run the command undisturbed and return the calls that change the state; it must end well."""
    log = _log(scene)
    for _ in range(2):  # the first fills what caches there are
        _fresh(scene)
        done = forks.run(scene.command, strace=_strace(log), timeout=scene.timeout)
    assert done.returncode == 0, f"{scene.name}: undisturbed, it ends with {done.returncode}: {done.stderr}"
    problem = scene.boots(scene.state)
    assert problem is None, f"{scene.name}: undisturbed, it does not boot afterwards: {problem}"
    calls = list(_calls(log.read_text(errors="replace").splitlines(), str(scene.state)))
    assert calls, f"{scene.name}: no call that changes {scene.state} was seen"
    return calls


def sweep(scene: Scene, *, most: int | None = None, faults: Sequence[Fault] = tuple(Fault)) -> Sweep:
    """Try each of *faults* at each call that it can happen at; at *most* so many of each, evenly chosen."""
    # no bytecode of the host is written, so that calls are counted alike each time
    environ = {**os.environ, **scene.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    with Forks(scene.packages, environ, one_thread="zipstrap" in scene.packages) as forks:
        calls = record(scene, forks)
        result = Sweep(scene.name, len(calls))
        known = _Known(scene, calls)
        turn = itertools.cycle(scene.ends)
        for fault in faults:
            where = [call for call in calls if call.name in _FAILING[fault]]
            if fault is Fault.SHORT:
                where = [call for call in where if call.middle]
            for call in _sample(where, most):
                result.tried[fault] += 1
                end = next(turn)
                what = f"{fault} at {call.name} {call.number}, {call.shown}"
                found = known.get(what)
                if found is None:
                    missed = result.missed
                    problems = list(_try(scene, forks, call, fault, end, result))
                    found = (problems, result.missed - missed)
                    known.put(what, found)
                else:
                    result.missed += found[1]
                result.problems += (f"{what}: {problem}" for problem in found[0])
    shutil.rmtree(scene.state, ignore_errors=True)
    _log(scene).unlink(missing_ok=True)
    return result


class _Known:
    """What earlier runs of the same sweep have found, kept in a file, one line for each trial."""

    def __init__(self, scene: Scene, calls: Sequence[Call]) -> None:
        folder = os.environ.get("ZIPSTRAP_TEST_SWEEP_RESULTS")
        self._path = None
        self._found: dict[str, tuple[list[str], int]] = {}
        if not folder:
            return
        shown = "\n".join(f"{call.name} {call.number}" for call in calls)
        key = hashlib.sha256(f"{_sources()}\n{shown}".encode()).hexdigest()[:16]
        name = re.sub(r"\W+", "-", scene.name)
        self._path = Path(folder) / f"{name}-{key}.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), self._path.open(encoding="utf-8") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # the last one, of a run that was ended
                    what, problems, missed = json.loads(line)
                    self._found[what] = (problems, missed)

    def get(self, what: str) -> tuple[list[str], int] | None:
        """Return the problems of the trial *what* and how often its fault did not happen; None if unknown."""
        return self._found.get(_without_places(what))

    def put(self, what: str, found: tuple[list[str], int]) -> None:
        """Note what came of the trial *what*."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([_without_places(what), *found]) + "\n")


def _without_places(what: str) -> str:
    """Return *what* without what strace shows of a call: paths are others in each run."""
    return what.partition(",")[0]


@cache
def _sources() -> str:
    """Return a hash of all sources that a sweep depends on."""
    digest = hashlib.sha256()
    for folder in (Path(zipstrap.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _try(scene: Scene, forks: Forks, call: Call, fault: Fault, end: End, result: Sweep) -> Iterator[str]:
    _fresh(scene)
    log = _log(scene)
    done = forks.run(
        scene.command,
        strace=_strace(log, call, fault),
        limit=call.middle if fault is Fault.SHORT else None,
        timeout=scene.timeout,
    )
    seen = log.read_text(errors="replace")
    happened = done.returncode == -signal.SIGKILL if fault is Fault.KILL else "(INJECTED)" in seen
    if not happened and fault is not Fault.SHORT:
        result.missed += 1
    elif fault is not Fault.KILL and "Traceback (most recent call last)" in done.stderr:
        yield f"a traceback: {done.stderr}"
    problem = scene.boots(scene.state)
    if problem is not None:
        yield f"does not boot: {problem}"
    after = forks.run(end.command, timeout=scene.timeout)
    words = " ".join(map(str, end.command[-3:]))
    if after.returncode != 0:
        yield f"the next run ({words}) ends with {after.returncode}: {after.stderr}"
        return
    problem = scene.boots(scene.state)
    if problem is not None:
        yield f"does not boot after the next run ({words}): {problem}"
    left = end.left(scene.state)
    if left:
        yield f"after the next run ({words}): {'; '.join(left[:5])}"


def _sample(calls: Sequence[Call], most: int | None) -> Sequence[Call]:
    if most is None or len(calls) <= most:
        return calls
    return [calls[number * (len(calls) - 1) // (most - 1)] for number in range(most)]


def _fresh(scene: Scene) -> None:
    if scene.state.exists():
        shutil.rmtree(scene.state)
    scene.make(scene.state)


def _log(scene: Scene) -> Path:
    return scene.state.with_name(f"{scene.state.name}.strace")


def _strace(log: Path, call: Call | None = None, fault: Fault | None = None) -> list[str]:
    words = ["-o", str(log), "-y", "-s", "16", "-e", "signal=none"]
    words += ["-e", "trace=" + ",".join(f"?{name}" for name in _CALLS)]
    if call is not None and fault is not Fault.SHORT:
        what = {Fault.KILL: "signal=SIGKILL", Fault.LOST: "retval=1"}.get(
            fault or Fault.KILL, f"error={fault}"
        )
        words += ["-e", f"inject={call.name}:{what}:when={call.number}"]
    return words


def _calls(lines: Sequence[str], state: str) -> Iterator[Call]:
    counts: collections.Counter[str] = collections.Counter()
    sizes: dict[str, int] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, arguments, value = match.groups()
        counts[name] += 1
        if state not in arguments or (name.startswith("open") and not _OPENS.search(arguments)):
            continue
        middle = None
        if name in _WRITES and value.isdigit():
            place = _PLACE.match(arguments)
            file = place[1] if place else arguments
            middle = sizes.get(file, 0) + int(value) // 2
            sizes[file] = sizes.get(file, 0) + int(value)
        yield Call(name, counts[name], line[:200], middle)
