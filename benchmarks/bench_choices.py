"""What each way to compress costs and gives for one interpreter: archive, empty start, many imports.

    python benchmarks/bench_choices.py [PYTHON] [--pairs N] [--best] [--keep FOLDER]

Every choice is a tree of the layout ``fast``, compared with the same library unpacked (layout ``directory``).
Each pair starts both, one after the other, so that a machine whose speed drifts treats them alike; the ratio
of CPU times (user and system) is taken pair by pair, and the median is shown with the quartiles. Imported are
all public modules of the library that import in the unpacked tree. Nothing is judged here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from zipstrap.build import Settings, build
from zipstrap.interpreter import find_interpreter
from zipstrap.plan import Options

CHOICES: dict[str, dict[str, str]] = {
    "stored": {"compress": "stored"},
    "--preset fast": {"preset": "fast", "compress": ""},
    "deflate": {"compress": "deflate"},
    "libdeflate": {"compress": "libdeflate"},
    "best": {"compress": "best"},
    "zstd": {"compress": "zstd"},
    "dictionary": {"compress": "dictionary"},
    "--preset small": {"preset": "small", "compress": ""},
}

#: what opens windows or pages, runs something, or is another system's
_NOT = "antigravity|ensurepip|idlelib|lib2to3|msilib|test|this|tkinter|turtle|turtledemo|venv|pydoc_data"
LIST = f"""\
import os, re, sys
names = {{path.partition(".")[0] for path in os.listdir(os.path.dirname(os.__file__))}}
for name in sorted(names):
    if name.isidentifier() and not name.startswith("_") and not re.fullmatch("{_NOT}", name):
        try:
            __import__(name)
            print(name)
        except ImportError:
            pass
"""


def cpu(python: Path, *arguments: str) -> float:
    """Run *python* and return its CPU time in seconds."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in (0, 1, 2)]
    command = [str(python), "-I", *arguments]
    process = os.posix_spawn(python, command, os.environ, file_actions=actions)
    os.close(null)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return usage.ru_utime + usage.ru_stime


def told(ratios: list[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("python", nargs="?")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--best", action="store_true", help="by zopfli too: some minutes")
    arguments = parser.parse_args()
    facts = find_interpreter(arguments.python).facts
    jobs = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="zipstrap-choices-") as name:
        folder = Path(name)

        def made(number: int, layout: str, options: Options) -> tuple[Path, int]:
            settings = Settings(layout=layout, options=options, jobs=jobs, verify=False)
            built = build(facts, folder / str(number), settings)
            manifest = built.manifest
            return built.tree / manifest.layout.executable, manifest.archive_size

        directory, _ = made(0, "directory", Options())
        listed = subprocess.run([directory, "-I", "-W", "ignore", "-c", LIST], capture_output=True, text=True)
        modules = listed.stdout.split()
        script = folder / "imports.py"
        script.write_text(f"import {', '.join(modules)}\n")
        many = ("-W", "ignore", str(script))
        print(
            f"{facts.name}, {arguments.pairs} pairs; CPU as ratio to the unpacked library, median (quartiles)"
        )
        print(f"| choice | archive, bytes | of stored | empty start | {len(modules)} modules |")
        print("|---|---:|---:|---|---|")
        largest = 0
        for number, (choice, options) in enumerate(CHOICES.items(), 1):
            late = {"zstd": (3, 15), "dictionary": (3, 14)}.get(choice, (3, 8))
            if facts.feature_version < late or (choice == "best" and not arguments.best):
                continue
            python, size = made(number, "fast", Options(**options))  # type: ignore[arg-type]
            largest = largest or size
            columns = []
            for run in (("-c", "pass"), many):
                cpu(directory, *run), cpu(python, *run)
                columns.append(
                    told([1 / (cpu(directory, *run) / cpu(python, *run)) for _ in range(arguments.pairs)])
                )
            print(f"| `{choice}` | {size:,} | {size / largest:.2f} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
