"""Which modules a command imports, as the interpreter itself tells: ``-X importtime``."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import InterpreterError, UsageError
from .worker import cannot_run, last_line

__all__ = ["imported_modules", "modules_of_commands"]

#: "import time:       120 |        340 |   json.decoder", indented by depth
_LINE = re.compile(rb"^import time: +\d+ \| +\d+ \| +(?P<module>\S+)\s*$", re.MULTILINE)

#: in seconds; whoever traces a server ends it himself
_TIMEOUT = 600.0


def imported_modules(printed: bytes) -> frozenset[str]:
    """Return the modules that *printed*, the stderr of a command under ``-X importtime``, names."""
    return frozenset(match["module"].decode("utf-8", "replace") for match in _LINE.finditer(printed))


def modules_of_commands(
    executable: Path, commands: Sequence[str], environ: Mapping[str, str]
) -> frozenset[str]:
    """Run *executable* with each of *commands*, arguments as for a shell, and return what was imported.

    Processes that such a command starts are included where they write to the same stderr and heed
    ``PYTHONPROFILEIMPORTTIME``. Raises :class:`UsageError` for a command that cannot be split or that fails:
    what it imports would then be a part only; :class:`InterpreterError` if the interpreter cannot be run.
    """
    found: set[str] = set()
    for command in commands:
        try:
            arguments = shlex.split(command)
        except ValueError as error:
            raise UsageError(
                f"--hot-of {command!r} cannot be split into arguments ({error})", cure="close its quotes"
            ) from error
        try:
            done = subprocess.run(
                [str(executable), "-X", "importtime", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**environ, "PYTHONPROFILEIMPORTTIME": "1"},
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(
                f"--hot-of {command!r} did not end within {_TIMEOUT:.0f} s",
                cure="name arguments with which the interpreter ends by itself",
            ) from error
        except OSError as error:
            raise cannot_run(executable, error) from error
        if done.returncode:
            printed = _LINE.sub(b"", done.stderr)
            raise UsageError(
                f"--hot-of {command!r} ended with status {done.returncode}: {last_line(printed)}",
                file=executable,
                cure="name arguments with which this interpreter ends with status 0",
            )
        modules = imported_modules(done.stderr)
        if not modules:
            raise InterpreterError(
                f"with {command!r} this interpreter did not tell what it imports",
                file=executable,
                cure="name arguments that do not close or redirect stderr",
            )
        found |= modules
    return frozenset(found)
