"""Measure what it costs to check an archive's integrity.

    python benchmarks/bench_verify.py [ARCHIVE...]

For each archive, or else for two of random members of about 5 MB in all, stored and deflated: to read its
structure by the strict rules, to hash it (SHA-256), and both with every member's data, its CRC and SHA-256.
The least of several runs, in ms, without the start of an interpreter or its imports.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from zipstrap.archive import Member, read_archive, write_archive
from zipstrap.stage import digest_of
from zipstrap.verify.integrity import member_digests

_RUNS = 15


def sample(path: Path, *, deflate: bool) -> Path:
    """Write about 5 MB in 550 members, as a library's archive has; bytecode deflates to about 0.42."""
    random = Random(5)
    plain = 12_000_000 if deflate else 5_000_000
    members = []
    for number in range(550):
        size = plain // 550
        data = random.randbytes(int(size * 0.42)) if deflate else random.randbytes(size)
        members.append(Member(f"package{number // 20}/module{number}.pyc", data.ljust(size, b"\0"), deflate))
    with path.open("wb") as stream:
        write_archive(stream, members, mtime=0)
    return path


def structure(path: Path) -> None:
    with read_archive(path):
        pass


def whole(path: Path) -> None:
    digest_of(path)
    with read_archive(path) as archive:
        member_digests(archive)


def best(function: Callable[[Path], object], path: Path) -> float:
    """Return the least time of several runs, in ms."""
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        function(path)
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archives", nargs="*", type=Path)
    archives = parser.parse_args().archives
    with tempfile.TemporaryDirectory() as folder:
        if not archives:
            archives = [
                sample(Path(folder, "stored.zip"), deflate=False),
                sample(Path(folder, "deflated.zip"), deflate=True),
            ]
        print("archive                        members      MB  structure  SHA-256  everything")
        for path in archives:
            with read_archive(path) as archive:
                count = len(archive.members)
            size = path.stat().st_size / 1e6
            figures = [best(function, path) for function in (structure, digest_of, whole)]
            print(f"{path.name:30} {count:7} {size:7.2f} " + " ".join(f"{each:9.1f}" for each in figures))


if __name__ == "__main__":
    main()
