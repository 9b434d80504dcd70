"""The verb trace: run an application, and write down what it imports and opens of its library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .destination import check_destination, new_file
from .errors import FileError, InterpreterError, UsageError
from .interpreter import OLDEST, Facts, find_interpreter
from .recorder import Recording, record_command
from .trace import Trace, load_trace, main_process, make_trace, trace_to_json

__all__ = ["CommandFailed", "Traced", "trace_command"]

_SEEN = (
    "let it start Python without -I, -E and -S, hand on the environment it was given, and have no ._pth file "
    "beside it, as trees of the layout isolated do"
)


@dataclass(frozen=True, slots=True)
class Traced:
    """A trace that was written; *status* is the command's exit status, as a shell would give it."""

    file: Path
    trace: Trace
    status: int


class CommandFailed(FileError):  # noqa: N818 - it reads as what it says
    """The command that was traced failed, so no trace was written; *status* is its exit status."""

    def __init__(self, command: Sequence[str], status: int) -> None:
        self.exit_status = status
        how = f"was ended by signal {status - 128}" if status > 128 else f"ended with status {status}"
        super().__init__(
            f"the command {how}, so what it imports may be a part only, and no trace was written",
            file=command[0],
            cure="let it end well, or use --any-status if that is how it ends",
        )


def trace_command(
    command: Sequence[str],
    destination: Path,
    facts: Facts | None,
    *,
    force: bool = False,
    any_status: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Traced:
    """Run *command* and write its trace to *destination*; complete or absent.

    The trace is of the interpreter of *facts*, or of the one that the command runs. A command that begins
    with an option is arguments of that interpreter. Raises :class:`CommandFailed` for one that fails, unless
    *any_status*, and errors for what cannot be run or was not seen.
    """
    environ = os.environ if environ is None else environ
    check_destination(destination, force=force, is_ours=_is_trace)
    folder = destination.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):  # else a long run would be lost
        raise FileError("nothing can be written to this folder", file=folder, cure="name another destination")
    if command and command[0].startswith("-"):
        if facts is None:
            raise UsageError(
                f"the command begins with an option ({command[0]}), which is one of an interpreter's",
                cure="name the interpreter with --python, or in front of the option",
            )
        command = [facts.executable, *command]
    recording = record_command(command, environ)
    if recording.interrupted and not any_status:
        raise KeyboardInterrupt
    status = recording.status if recording.status >= 0 else 128 - recording.status
    if status and not any_status:
        raise CommandFailed(command, status)
    trace = make_trace(recording, facts or _facts_of(recording, environ))
    if not trace.processes:
        seen = ", ".join(f"{each.name} ({each.executable})" for each in trace.others)
        raise UsageError(
            f"the command ran no {trace.target.name} that was seen, but {seen or 'no Python at all'}",
            file=command[0],
            cure=f"name the interpreter that it runs; {_SEEN}",
        )
    if trace.is_empty:
        raise UsageError(
            "the command imported nothing of the library beyond what each start imports",
            file=command[0],
            cure=f"name a command that runs the application; {_SEEN}",
        )
    with new_file(destination, replace=_is_trace if force else None) as path:
        path.write_text(trace_to_json(trace), encoding="utf-8")
    return Traced(destination, trace, status)


def _facts_of(recording: Recording, environ: Mapping[str, str]) -> Facts:
    process = main_process(recording)
    if process is None:
        raise UsageError(
            "no Python was seen in what this command ran",
            file=recording.command[0],
            cure=f"name a command that runs Python; {_SEEN}",
        )
    if process.implementation != "cpython" or process.version < OLDEST:
        raise InterpreterError(
            f"the command runs on {process.implementation} {'.'.join(map(str, process.version))}",
            file=process.executable,
            cure="run it on a CPython 3.8 to 3.15",
        )
    return find_interpreter(process.base_executable or process.executable, environ).facts


def _is_trace(path: Path) -> bool:
    try:
        load_trace(path)
    except FileError:
        return False
    return True
