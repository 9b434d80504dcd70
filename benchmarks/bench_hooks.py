"""What the start-up hooks cost: starts of trees with hooks against starts of one without, in pairs.

    python benchmarks/bench_hooks.py [PYTHON] [--pairs N]

In each round every tree starts once with ``-c pass``, one after the other and each round in another order, so
that a machine whose speed drifts treats them alike. The differences (CPU time: user and system; elapsed time)
are taken round by round, from the start of the tree without hooks. Where valgrind is there, it counts
instructions, with one hash seed for all: they do not vary. Nothing is judged here: the figures go into the
documentation with this command.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.build import Settings, build
from zipstrap.hooks import START_SINCE
from zipstrap.interpreter import Facts, find_interpreter
from zipstrap.plan import Options
from zipstrap.worker import clean_environment

BARE = Options(guard="off", zips="off")
HOOKED = {"hooks": Options(), "zips=pth": Options(zips="pth"), "zips=start": Options(zips="start")}


@dataclass(frozen=True)
class Run:
    """Times of a start, in ms."""

    cpu: float
    wall: float


def start(command: Sequence[str], environ: Mapping[str, str]) -> Run:
    """Start *command* and wait for its end."""
    before = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), environ)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - before
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return Run((usage.ru_utime + usage.ru_stime) * 1e3, wall * 1e3)


def instructions(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Count the instructions of a start."""
    counter = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(
        [*counter, *command],
        env={**environ, "PYTHONHASHSEED": "0"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    refs = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if refs is None:
        raise SystemExit(f"valgrind tells no number of instructions: {done.stderr}")
    return int(refs[1].replace(",", ""))


def make_trees(facts: Facts, folder: Path) -> dict[str, list[str]]:
    """Build the trees and return the command that starts each."""
    commands = {}
    for name, options in {"bare": BARE, **HOOKED}.items():
        if options.zips != "start" or facts.feature_version >= START_SINCE:
            settings = Settings(
                profile="minimal", layout="standard", exclude=("dev",), options=options, verify=False
            )
            built = build(facts, folder / name, settings)
            commands[name] = [str(built.tree / built.manifest.layout.executable), "-c", "pass"]
    return commands


def spread(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("python", nargs="?")
    parser.add_argument("--pairs", type=int, default=100)
    arguments = parser.parse_args()
    facts = find_interpreter(arguments.python).facts
    environ = clean_environment()
    runs: dict[str, list[Run]] = {}
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="zipstrap-bench-") as folder:
        commands = make_trees(facts, Path(folder))
        names = list(commands)
        for name in names:
            start(commands[name], environ)  # the first start reads from the disk
            runs[name] = []
        for pair in range(arguments.pairs):
            at = pair % len(names)
            for name in names[at:] + names[:at]:
                runs[name].append(start(commands[name], environ))
        if shutil.which("valgrind"):
            counts = {name: instructions(commands[name], environ) for name in names}
    bare = runs.pop("bare")
    print(f"{facts.name}, {arguments.pairs} pairs; medians (quartiles) of the differences from no hooks")
    print(f"no hooks: {statistics.median(run.cpu for run in bare):.1f} ms CPU", end=", ")
    print(f"{statistics.median(run.wall for run in bare):.1f} ms elapsed")
    for name, hooked in runs.items():
        cpu = [one.cpu - other.cpu for one, other in zip(hooked, bare, strict=True)]
        wall = [one.wall - other.wall for one, other in zip(hooked, bare, strict=True)]
        print(f"{name}: {spread(cpu)} ms CPU, {spread(wall)} ms elapsed", end="")
        print(f", {(counts[name] - counts['bare']) / 1e6:+.2f} M instructions" if counts else "")


if __name__ == "__main__":
    main()
