"""What a build costs, against compileall over the same files: CPU time in pairs, memory, and a repeat.

    python benchmarks/bench_build.py [PYTHON] [--pairs N] [--changed]

Each pair runs both commands one after the other, so that a machine whose speed drifts treats them alike;
the ratio of CPU times (user and system, all processes) is taken pair by pair. ``--changed`` builds from a
copy of the interpreter's prefix, in which one module is changed for one more build of each round. Nothing is
judged here: the figures go into the documentation with this command.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from zipstrap.build import Settings, prepare
from zipstrap.interpreter import Facts, find_interpreter
from zipstrap.plan import Plan


@dataclass(frozen=True)
class Run:
    cpu: float
    wall: float
    peak: int


def run(command: list[str], environ: dict[str, str]) -> Run:
    """Run *command*; CPU time in seconds is of all its processes, memory in bytes of the largest."""
    start = os.times().elapsed
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in (0, 1)]
    process = os.posix_spawnp(command[0], command, environ, file_actions=actions)
    os.close(null)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return Run(usage.ru_utime + usage.ru_stime, os.times().elapsed - start, usage.ru_maxrss * 1024)


def copy_sources(plan: Plan, folder: Path) -> int:
    """Copy the sources of the modules that a build compiles, and nothing else."""
    items = [(member.name, member.source) for member in plan.members if member.module is not None]
    items += [(file.path, file.source) for file in plan.files if file.module is not None]
    for name, source in items:
        if source is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    return len(items)


def copy_prefix(facts: Facts, copy: Path) -> Path:
    """Copy the target's prefix, without tests and bytecode, and return the copy's interpreter."""
    if Path(facts.prefix) == Path("/usr"):
        raise SystemExit(f"{facts.name} shares its prefix with the system, which is not copied")
    shutil.copytree(
        facts.prefix,
        copy,
        symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "test", "site-packages"),
    )
    return copy / Path(facts.executable).relative_to(facts.prefix)


def without_bytecode(folder: Path) -> None:
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("python", nargs="?")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--changed", action="store_true", help="change one module for one more build")
    arguments = parser.parse_args()
    facts = find_interpreter(arguments.python).facts
    with tempfile.TemporaryDirectory(prefix="zipstrap-bench-") as name:
        folder = Path(name)
        if arguments.changed:
            facts = find_interpreter(str(copy_prefix(facts, folder / "prefix"))).facts
        sources = folder / "sources"
        count = copy_sources(prepare(facts, Settings()).plan, sources)
        environ = {**os.environ, "ZIPSTRAP_CACHE_DIR": str(folder / "cache")}
        build = [sys.executable, "-m", "zipstrap", "build", facts.executable, "-q", "--force"]
        build += ["-o", str(folder / "tree")]
        compileall = [facts.executable, "-m", "compileall", "-q", str(sources)]
        ratios, cold, warm, plain, changed = [], [], [], [], []
        for number in range(arguments.pairs):
            shutil.rmtree(folder / "cache", ignore_errors=True)
            shutil.rmtree(folder / "tree", ignore_errors=True)
            cold.append(run(build, environ))
            without_bytecode(sources)
            plain.append(run(compileall, environ))
            warm.append(run(build, environ))
            if arguments.changed:
                with Path(facts.library, "json/decoder.py").open("a") as stream:
                    stream.write(f"# {number}\n")
                changed.append(run(build, environ))
            ratios.append(cold[-1].cpu / plain[-1].cpu)
    median = statistics.median
    print(f"{facts.name}, {count} modules, {arguments.pairs} pairs; medians (smallest to largest)")
    print(f"compileall: {median(run.cpu for run in plain):.2f} s CPU")
    for what, runs in (("nothing cached", cold), ("nothing changed", warm), ("one module changed", changed)):
        if not runs:
            continue
        print(f"build, {what}: {median(run.cpu for run in runs):.2f} s CPU", end=", ")
        print(f"{median(run.wall for run in runs):.2f} s elapsed")
    print(f"ratio: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"peak memory of the largest process: {max(run.peak for run in cold) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
