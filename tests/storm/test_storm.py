"""Starts while the prefix is upgraded and cleared; the whole of it with ``nox -s storm``."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.durability.forked import Forks
from tests.storm.storm import start_changes, storm
from tests.target.installations import copy_installation
from tests.target.interpreters import Target
from tests.target.trees import run, usual, zipstrap

WHOLE = os.environ.get("ZIPSTRAP_TEST_WHOLE_STORM", "") not in ("", "0")
STARTS, ROUNDS = (1000, 200) if WHOLE else (80, 1)

#: of generations that differ in their bytes
OTHER = ("--compress", "deflate")

Tell = Callable[[str, object], None]


def tell(record_property: Tell, text: str) -> None:
    record_property("storm", text)


@pytest.fixture
def target(interpreters: list[Target]) -> Target:
    return usual(interpreters)


@pytest.fixture
def prefix(target: Target, tmp_path: Path) -> Path:
    """Give a prefix with the generations 1 and 2, and a virtual environment beside it."""
    prefix = tmp_path / "P"
    for options in ((), OTHER):
        done = zipstrap("install", target.executable, "--prefix", prefix, "--exclude", "dev", *options)
        assert done.returncode == 0, done.stderr
    python = prefix / "bin" / name_of(target)
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "E"], check=True)
    return prefix


def name_of(target: Target) -> str:
    return f"python{target.id}"


def executables(prefix: Path, target: Target) -> list[Path]:
    return [prefix / "bin" / name_of(target), prefix.parent / "E/bin/python"]


def test_starts_while_the_link_is_swapped(prefix: Path, target: Target, record_property: Tell) -> None:
    changes = start_changes("swap", prefix, name_of(target), "1", "2")
    seen = storm(executables(prefix, target), STARTS)
    swaps = changes.end()
    tell(record_property, f"{seen}; {swaps} swaps")
    assert seen.failures == []
    assert isinstance(swaps, int)
    assert swaps >= STARTS
    assert set(seen.generations) == {"1", "2"}


def test_starts_while_generations_are_made_and_removed(
    prefix: Path, target: Target, record_property: Tell
) -> None:
    changes = start_changes("collect", prefix, target.executable, "--exclude", "dev")
    seen = storm(executables(prefix, target), STARTS)
    made, removed, looked = changes.end()
    tell(record_property, f"{seen}; {made} generations made, {removed} removed in {looked} runs of gc")
    assert seen.failures == []
    assert removed > 0


def test_eight_installers_at_once(
    target: Target, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, record_property: Tell
) -> None:
    """Half of them install one thing and half another; each round ends with one of each, and whole."""
    prefix = tmp_path / "P"
    # a small interpreter: the whole of it is 1600 installations
    small = copy_installation(target, tmp_path_factory.mktemp("small") / "I", only=("json", "decimal"))
    install = ("install", small.executable, "--prefix", prefix, "--no-verify")
    kinds = (install, (*install, *OTHER))
    with contextlib.ExitStack() as stack:
        forks = [stack.enter_context(Forks(("zipstrap",), os.environ)) for _ in range(8)]
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=8))
        for number in range(ROUNDS):
            _round(number, forks, pool, kinds, prefix, prefix / "bin" / name_of(target))
    tell(record_property, f"{ROUNDS} rounds of 8 installers: one result each")


def _round(
    number: int,
    forks: Sequence[Forks],
    pool: ThreadPoolExecutor,
    kinds: Sequence[Sequence[str | Path]],
    prefix: Path,
    python: Path,
) -> None:
    commands = [[sys.executable, "-m", "zipstrap", *kinds[place % 2]] for place in range(8)]
    done = list(pool.map(lambda fork, words: fork.run(words, timeout=300), forks, commands))
    assert [each.returncode for each in done] == [0] * 8, [each.stderr for each in done]
    made = sum("is made" in each.stdout for each in done)
    assert made == (2 if number % 4 == 0 else 0), [each.stdout for each in done]
    listed = zipstrap("list", "--prefix", prefix).stdout
    assert "problem" not in listed
    assert len(listed.splitlines()) == 3
    started = run([python, "-c", "import json"])
    assert (started.returncode, started.stderr) == (0, "")
    if number % 4 == 3:  # the next begins from nothing
        assert zipstrap("uninstall", "--prefix", prefix).returncode == 0
        assert list(prefix.iterdir()) == []
    if WHOLE:
        print(f"round {number}", flush=True)
