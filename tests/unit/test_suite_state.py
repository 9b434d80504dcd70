"""What a run leaves for the next one, and what of it still counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from zipstrap.errors import UsageError
from zipstrap.suite.cases import CaseRun, FileRun, Outcome, Side
from zipstrap.suite.state import Store, locked

CASES = {
    "a": CaseRun(Outcome.PASSED),
    "b": CaseRun(Outcome.FAILED, "AssertionError: ä", "Traceback\n…"),
    "c": CaseRun(Outcome.SKIPPED, "no such thing"),
}


def run(outcome: Outcome = Outcome.PASSED) -> FileRun:
    return FileRun("test.test_x.test_y", Side.ARCHIVE, outcome, "", 1.25, "y.1.log", CASES)


def store(folder: Path, key: str = "k") -> Store:
    return Store(folder, {Side.DIRECTORY: "d", Side.ARCHIVE: key})


def load(store: Store, timeout: float = 10.0) -> tuple[FileRun, ...]:
    return store.load(Side.ARCHIVE, "test.test_x.test_y", timeout)


def save(store: Store, *runs: FileRun, timeout: float = 10.0) -> None:
    store.save(Side.ARCHIVE, "test.test_x.test_y", runs, timeout)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    assert load(store(tmp_path)) == ()
    save(store(tmp_path), run())
    assert load(store(tmp_path)) == (run(),)
    save(store(tmp_path), run(), run(Outcome.CRASHED))
    assert load(store(tmp_path)) == (run(), run(Outcome.CRASHED))
    assert store(tmp_path).load(Side.DIRECTORY, "test.test_x.test_y", 10.0) == ()
    assert store(tmp_path).seconds() == {"test.test_x.test_y": 1.25}


def test_runs_of_another_tree_do_not_count(tmp_path: Path) -> None:
    save(store(tmp_path), run())
    assert load(store(tmp_path, key="another")) == ()
    # its durations still tell what takes long
    assert store(tmp_path, key="another").seconds() == {"test.test_x.test_y": 1.25}


@pytest.mark.parametrize(("timeout", "counts"), [(5.0, True), (10.0, True), (11.0, False)])
def test_what_took_too_long_is_run_again_if_it_may_take_longer(
    tmp_path: Path, timeout: float, counts: bool
) -> None:
    save(store(tmp_path), run(Outcome.TIMED_OUT), timeout=10.0)
    assert bool(load(store(tmp_path), timeout)) is counts
    save(store(tmp_path), run(), timeout=10.0)
    assert load(store(tmp_path), timeout)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1, "key": "k"}', '{"schema": 0}', "\xff"])
def test_a_damaged_file_is_as_none(tmp_path: Path, text: str) -> None:
    save(store(tmp_path), run())
    (path,) = tmp_path.glob("results/archive/*.json")
    path.write_text(text, encoding="latin-1")
    assert load(store(tmp_path)) == ()
    assert store(tmp_path).seconds() == {}


def test_a_folder_is_for_one_run_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    with locked(folder), pytest.raises(UsageError, match="another run"), locked(folder):
        pytest.fail("it was given away twice")
    with locked(folder):
        assert folder.is_dir()
