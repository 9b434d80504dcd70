"""Compare our reader with others, and fuzz it: ``nox -s fuzz``.

    python tests/fuzz/run.py [--accepted N] [--runs N] [--seed N] [PYTHON...]

Archives are generated, sound and broken ones; whatever our reader accepts is then read by zipfile, by the
zipimport of each PYTHON, by unzip and by bsdtar, until N archives were accepted. Then atheris drives the
reader for the given number of runs, within 256 MB and 5 s each; without atheris the mutations are our own.
Exits with 1 if anything disagrees, crashes, hangs or takes more.
"""

from __future__ import annotations

import argparse
import collections
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.archives import archive, mutated, sound
from fuzz.readers import mine, others
from zipstrap.archive import BadArchive, read_archive

_MEMORY = 256 << 20


def differential(accepted: int, seed: int, pythons: list[Path]) -> int:
    """Compare until *accepted* archives were; return how many disagreed."""
    refused: collections.Counter[str] = collections.Counter()
    seen = wrong = 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder, "archive.zip")
        with others(Path(folder), pythons) as readers:
            while seen < accepted:
                raw = archive(Random(f"{seed} {seen + refused.total()}"))
                path.write_bytes(raw)
                try:
                    found = mine(path)
                except BadArchive as error:
                    refused[error.kind.value] += 1
                    continue
                seen += 1
                for text in readers.disagreements(path, found):
                    wrong += 1
                    print(
                        f"archive {seed} {seen + refused.total() - 1}: we found {found}\n  {text}", flush=True
                    )
            names = ", ".join(readers.names)
    total = refused.total()
    seconds = time.monotonic() - start
    print(f"{seen + total} archives, seed {seed}: {total} refused by {len(refused)} rules")
    print(f"{seen} accepted, and read by {names}: {wrong} disagreements, {seconds:.0f} s")
    return wrong


def one(path: str, raw: bytes) -> bool:
    """Read *raw*, all members; tell whether it was accepted. Anything but BadArchive is a crash."""
    Path(path).write_bytes(raw)
    try:
        with read_archive(Path(path)) as opened:
            for name in opened.names:
                opened.read(name)
    except BadArchive:
        return False
    return True


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def mutate(runs: int, seed: int) -> int:
    """Read *runs* archives, each mutated from the last that was accepted or generated anew."""
    random = Random(seed)
    base = sound(random)
    before = _most_memory()
    accepted = 0
    slowest = 0.0
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
        for _ in range(runs):
            raw = mutated(random, base) if random.random() < 0.7 else archive(random)
            start = time.monotonic()
            if one(file.name, raw):
                accepted += 1
                base = raw if len(raw) < 4096 and random.random() < 0.8 else sound(random)
            slowest = max(slowest, time.monotonic() - start)
    memory = _most_memory() - before
    print(f"{runs} runs of our own mutations, seed {seed}: {accepted} accepted, none crashed")
    print(
        f"the slowest took {slowest * 1000:.0f} ms, and {memory >> 20} MiB of memory more than at the start"
    )
    return int(memory > _MEMORY or slowest > 5)


def with_atheris(runs: int, seed: int) -> int:
    """Let atheris drive the reader in a process of its own, which libFuzzer ends."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number in range(200):
            (corpus / str(number)).write_bytes(sound(Random(f"corpus {number}")))
        limits = [f"-runs={runs}", f"-seed={seed}", "-max_len=4096", "-timeout=5", "-rss_limit_mb=256"]
        command = [sys.executable, str(Path(__file__).with_name("target.py")), *limits, str(corpus)]
        start = time.monotonic()
        done = subprocess.run(
            command, check=False, capture_output=True, encoding="utf-8", errors="replace", cwd=folder
        )
        lines = done.stderr.splitlines()
        finished = next((line for line in reversed(lines) if line.startswith("Done ")), None)
        if done.returncode or finished is None:
            print("\n".join(lines[-60:]), file=sys.stderr)
            return 1
        memory = next((line.split("rss:")[1].split()[0] for line in reversed(lines) if "rss:" in line), "?")
        seconds = time.monotonic() - start
        print(f"atheris, seed {seed}: {finished.lower()} ({seconds:.0f} s)")
        print(f"no crash, no run over 5 s, no more than 256 MB of memory (at the end {memory})")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accepted", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("pythons", nargs="*", type=Path, metavar="PYTHON")
    arguments = parser.parse_args()
    given = [Path(name) for name in os.environ.get("ZIPSTRAP_TEST_PYTHONS", "").split(os.pathsep) if name]
    wrong = (
        differential(arguments.accepted, arguments.seed, arguments.pythons or given)
        if arguments.accepted
        else 0
    )
    if arguments.runs:
        try:
            import atheris  # noqa: F401
        except ImportError:
            wrong += mutate(arguments.runs, arguments.seed)
        else:
            wrong += with_atheris(arguments.runs, arguments.seed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
