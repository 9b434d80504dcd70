"""Time starts of a tree: each import by ``-X importtime``, and whole starts without it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.bench.figures import Spread, spread
from zipstrap.bench.measure import Started, machine, measure, try_once
from zipstrap.verify.boots import Mode
from zipstrap.worker import clean_environment, last_line

from .waterfall import Import, least_of, read_importtime

__all__ = ["COMMAND", "Timed", "TimedStart", "time_starts"]

#: what each start runs: nothing; and nothing is written into the tree
COMMAND = ("-B", "-c", "pass")

#: in seconds; a start that takes longer has hung
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class TimedStart:
    """A mode and what its starts took; *problem* says why there are no figures, and is empty if there are.

    *elapsed* and *cpu* are of whole starts without the option, in ms; *imports* have their least times.
    """

    mode: str
    elapsed: Spread | None
    cpu: Spread | None
    imports: tuple[Import, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Timed:
    """What was timed: so many *runs* of each kind in each mode, on this *machine*."""

    runs: int
    machine: Mapping[str, str]
    starts: tuple[TimedStart, ...]


def time_starts(
    executable: Path, modes: Sequence[Mode], *, runs: int, environ: Mapping[str, str] | None = None
) -> Timed:
    """Start *executable* in each of *modes*, so often, one at a time and in turns.

    A mode that does not start has a problem instead of figures. Raises :class:`InterpreterError` if one that
    started before fails.
    """
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as name:
        started = Started(clean_environment(environ), Path(name))
        # absolute, not resolved: through which link an interpreter is started decides where it looks
        python = str(executable.absolute())
        commands = {mode.name: [python, *mode.arguments, *COMMAND] for mode in modes}
        # also reads the files once, so that the first run that counts is as the others
        problems = {mode: try_once(command, started) for mode, command in commands.items()}
        sound = {mode: command for mode, command in commands.items() if not problems[mode]}
        whole = measure(sound, started, runs) if sound else {}
        starts = []
        for mode in modes:
            imports: tuple[Import, ...] = ()
            problem = problems[mode.name]
            if not problem:
                imports, problem = _imports(
                    [python, "-X", "importtime", *commands[mode.name][1:]], started, runs
                )
            elapsed = cpu = None
            if not problem:
                elapsed = spread([run.elapsed for run in whole[mode.name]])
                cpu = spread([run.cpu for run in whole[mode.name]])
            starts.append(TimedStart(mode.name, elapsed, cpu, imports, problem))
    return Timed(runs, machine(), tuple(starts))


def _imports(command: Sequence[str], started: Started, runs: int) -> tuple[tuple[Import, ...], str]:
    read = []
    for _ in range(runs):
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=dict(started.environ),
                cwd=started.folder,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return (), str(error)
        imports = read_importtime(done.stderr.decode("utf-8", "backslashreplace"))
        if done.returncode or not imports:
            return (), f"exit status {done.returncode}: {last_line(done.stderr)}"
        read.append(imports)
    return least_of(read), ""
