"""Which modules stay stored: those that commands of the user import, or that traces name."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import InterpreterError, UsageError
from .interpreter import Facts
from .recorder import record_command
from .trace import check_traces, load_trace, make_trace
from .worker import cannot_run, last_line

__all__ = ["TRACE_MARK", "modules_of_commands"]

#: what a trace's path begins with, where a command could stand
TRACE_MARK = "@"

#: in seconds; whoever traces a server ends it himself
_TIMEOUT = 600.0


def modules_of_commands(facts: Facts, commands: Sequence[str], environ: Mapping[str, str]) -> frozenset[str]:
    """Run the interpreter of *facts* with each of *commands* and return what was imported of its library.

    A command is arguments as for a shell, or ``@`` and the path of a trace. Processes that it starts are
    included, where they run the same interpreter and inherit the environment. Raises :class:`UsageError` for
    a command that cannot be split or that fails: what it imports would then be a part only;
    :class:`InterpreterError` if the interpreter cannot be run or is not seen.
    """
    found: set[str] = set()
    for command in commands:
        if command.startswith(TRACE_MARK):
            path = command.removeprefix(TRACE_MARK)
            trace = load_trace(Path(path))
            check_traces({path: trace}, facts)
            found |= trace.of_library
        else:
            found |= _modules_of(facts, command, environ)
    return frozenset(found)


def _modules_of(facts: Facts, command: str, environ: Mapping[str, str]) -> frozenset[str]:
    executable = Path(facts.executable)
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise UsageError(
            f"--hot-of {command!r} cannot be split into arguments ({error})", cure="close its quotes"
        ) from error
    try:
        recording = record_command([str(executable), *arguments], environ, quiet=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"--hot-of {command!r} did not end within {_TIMEOUT:.0f} s",
            cure="name arguments with which the interpreter ends by itself",
        ) from error
    except UsageError as error:
        raise cannot_run(executable, error.__cause__ or error) from error
    if recording.status:
        raise UsageError(
            f"--hot-of {command!r} ended with status {recording.status}: {last_line(recording.stderr)}",
            file=executable,
            cure="name arguments with which this interpreter ends with status 0",
        )
    trace = make_trace(recording, facts)
    if not trace.processes:
        raise InterpreterError(
            f"with {command!r} this interpreter did not tell what it imports",
            file=executable,
            cure="name arguments without -I, -E and -S, and let it keep PYTHONPATH",
        )
    return trace.of_library
