"""Start an interpreter again and again while its prefix is changed as quickly as that goes.

Each start imports a few packages, and says of which generation its executable and each of its modules are.
They have to be of one. What changes the prefix runs in processes of its own.
"""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipstrap.worker import clean_environment

__all__ = ["ASK", "Storm", "start_changes", "storm"]

#: what each start runs: it ends with status 1 unless all is of one generation
ASK = """\
import json, decimal, argparse, asyncio, email.message, os, sys
own = os.readlink("/proc/self/exe").rpartition("/libexec/")[0]
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
strange = [path for path in files if not path.startswith(own + "/")]
print(own.rpartition("/")[2])
if strange or sys.base_prefix != own or not asyncio.run(asyncio.sleep(0, True)):
    sys.exit("of %s: %s, %s" % (own, sys.base_prefix, strange[:3]))
"""

#: swaps the link between two generations until stdin is closed, and prints how often
_SWAP = """\
import select, sys
from pathlib import Path
from zipstrap.durable import Root
from zipstrap.generations.change import rollback, swap
prefix, name, *numbers = sys.argv[1:]
prefix, numbers = Path(prefix), [int(number) for number in numbers]
count = 0
while not select.select([0], [], [], 0)[0]:
    for before, number in (numbers, numbers[::-1]):
        if count % 100 == 0:  # as the command does it
            rollback(prefix, number, verify=False)
        else:
            with Root(prefix) as root, root.locked():
                swap(root, name, number, before)
        count += 1
print(count)
"""

#: makes a generation, lets it be the current one for a moment, and removes what nobody needs any more
_COLLECT = """\
import json, select, subprocess, sys
from pathlib import Path
from zipstrap.generations.remove import collect
prefix, python, *options = sys.argv[1:]
made = removed = looked = 0
while not select.select([0], [], [], 0)[0]:
    install = [sys.executable, "-m", "zipstrap", "install", "-q", python, "--prefix", prefix, "--force"]
    subprocess.run([*install, "--no-verify", *options], check=True)
    made += 1
    for _ in range(4):
        removed += len(collect(Path(prefix), keep=1, grace=1.0).removed)
        looked += 1
print(json.dumps([made, removed, looked]))
"""


@dataclass
class Storm:
    """What has come of it."""

    starts: int = 0
    generations: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.starts} starts, {len(self.failures)} failures, of {len(self.generations)} generations "
            f"({', '.join(f'{count} of {name}' for name, count in self.generations.most_common(5))})"
        )


def storm(executables: Sequence[Path], starts: int, *, at_a_time: int = 8) -> Storm:
    """Start the *executables* in turn, *starts* times in all."""
    result = Storm()

    def start(number: int) -> None:
        done = subprocess.run(
            [executables[number % len(executables)], "-c", ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=120,
            check=False,
        )
        result.starts += 1
        if done.returncode or done.stderr:
            result.failures.append(f"status {done.returncode}: {done.stderr[-500:]}")
        else:
            result.generations[done.stdout.strip()] += 1

    with ThreadPoolExecutor(max_workers=at_a_time) as pool:
        list(pool.map(start, range(starts)))
    return result


@dataclass(frozen=True)
class Changes:
    """A process that changes a prefix."""

    process: subprocess.Popen[str]

    def end(self) -> Any:
        """Let it come to an end, and return what it says."""
        out, error = self.process.communicate("\n", timeout=120)
        assert self.process.returncode == 0, error
        return json.loads(out)


def start_changes(kind: str, *arguments: str | Path) -> Changes:
    """Start to ``swap`` or to ``collect``; the arguments are those of the scripts above."""
    script = {"swap": _SWAP, "collect": _COLLECT}[kind]
    return Changes(
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
    )
