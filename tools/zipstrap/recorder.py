"""Run a command, and read what each Python process of it imported and opened of its library.

The worker ``import_recorder`` records, from inside of each process that inherits the environment; see there
for what a record holds. What it says is taken here as it is; :mod:`zipstrap.trace` makes sense of it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import FileError, UsageError, cure_of
from .worker import worker_source

__all__ = ["Process", "Recording", "parse_record", "record_command"]

#: in seconds: how long a command that was interrupted, and then terminated, may take to end
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """What one process, or one interpreter in it, recorded."""

    implementation: str
    version: tuple[int, int, int]
    build: str
    executable: str
    base_executable: str
    prefix: str
    #: the folder that ``os`` is said to lie in
    library: str
    pid: int
    #: name → place: a path, "built-in", "frozen" or nothing
    start: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    tried: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    #: reason and command line of each interpreter that was started out of sight
    unseen: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """What a command left behind: its exit status (below 0, a signal's number) and its processes."""

    command: tuple[str, ...]
    status: int
    pid: int
    processes: tuple[Process, ...]
    interrupted: bool = False
    #: the last of what it printed to stderr, where that was captured
    stderr: bytes = b""


def record_command(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    quiet: bool = False,
    timeout: float | None = None,
) -> Recording:
    """Run *command* and return what its processes recorded; a *quiet* one gets no input and prints nowhere.

    An interrupt is the command's to heed: it is waited for, and what it recorded counts. Raises
    :class:`UsageError` for a command that cannot be started, :class:`FileError` where no record can be kept,
    and :class:`subprocess.TimeoutExpired` after *timeout* seconds.
    """
    if not command or not command[0]:
        raise UsageError(
            "there is no command to trace", cure="name it behind --: zipstrap trace -- app --help"
        )
    with tempfile.TemporaryDirectory(prefix="zipstrap-trace-", ignore_cleanup_errors=True) as folder:
        place = Path(os.path.realpath(folder))
        records = place / "records"
        try:
            records.mkdir()
            (place / "sitecustomize.py").write_text(worker_source("import_recorder"), encoding="utf-8")
        except OSError as error:
            raise FileError(
                f"what is recorded cannot be kept there ({error.strerror})",
                file=place,
                cure=cure_of(error, "set TMPDIR to a folder that can be written"),
            ) from error
        paths = [str(place), *filter(None, [environ.get("PYTHONPATH", "")])]
        # an empty PYTHONPATH is none, but an empty part of it is the current folder
        status, pid, interrupted, stderr = _run(
            command, {**environ, "PYTHONPATH": os.pathsep.join(paths)}, quiet=quiet, timeout=timeout
        )
        texts = [path.read_text(encoding="ascii") for path in sorted(records.iterdir())]
    processes = tuple(process for text in texts if (process := parse_record(text)) is not None)
    return Recording(tuple(command), status, pid, processes, interrupted, stderr)


def _run(
    command: Sequence[str], environ: Mapping[str, str], *, quiet: bool, timeout: float | None
) -> tuple[int, int, bool, bytes]:
    silence = subprocess.DEVNULL if quiet else None
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=silence, stdout=silence, stderr=errors if quiet else None, env=environ
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(
                f"this command cannot be run ({reason})",
                file=command[0],
                cure="name a program, by its path or as PATH finds it",
            ) from error
        interrupted = False
        try:
            status = process.wait(timeout)
        except KeyboardInterrupt:
            # whoever presses Ctrl-C interrupts the command too, and it may have things to put in order
            interrupted = True
            status = _end(process)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        errors.seek(0)
        return status, process.pid, interrupted, errors.read()


def _end(process: subprocess.Popen[bytes]) -> int:
    for end in (process.terminate, process.kill):
        try:
            return process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            end()
    return process.wait()


def parse_record(text: str) -> Process | None:
    """Return the process that *text*, the lines of a record, tells of; None if it tells nothing. Pure.

    A line that is cut off, by a disk that is full, is passed over.
    """
    facts: dict[str, Any] | None = None
    start: dict[str, str] = {}
    modules: dict[str, str] = {}
    tried: set[str] = set()
    files: set[str] = set()
    unseen: dict[tuple[str, tuple[str, ...]], None] = {}
    for line in text.splitlines():
        try:
            word, *values = ast.literal_eval(line)
            if word == "python":
                (facts,) = values
            elif word == "start":
                start[values[0]] = values[1]
            elif word == "module":
                modules.setdefault(values[0], values[1])
            elif word == "tried":
                tried.add(values[0])
            elif word == "file":
                files.add(values[0])
            elif word == "unseen":
                unseen[values[0], tuple(values[1])] = None
        except (SyntaxError, ValueError, TypeError, IndexError):
            continue
    if facts is None:
        return None
    return Process(
        implementation=facts["implementation"],
        version=tuple(facts["version"][:3]),
        build=facts["build"],
        executable=facts["executable"],
        base_executable=facts["base_executable"],
        prefix=facts["prefix"],
        library=facts["library"],
        pid=facts["pid"],
        start=start,
        modules=modules,
        tried=frozenset(tried),
        files=frozenset(files),
        unseen=tuple(unseen),
    )
