"""What a record says of its cases, and how two sides are compared; no process is run here."""

from __future__ import annotations

import json

import pytest
from zipstrap.suite.cases import (
    CaseRun,
    FileRun,
    Known,
    Outcome,
    Side,
    Verdict,
    judge,
    read_record,
    to_be_repeated,
)

P, F, E, S, N = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED, Outcome.NOT_RUN


def record(*events: dict[str, object]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def started(name: str) -> dict[str, object]:
    return {"event": "start", "id": name}


def stopped(name: str) -> dict[str, object]:
    return {"event": "stop", "id": name}


def told(name: str, outcome: str, brief: str = "", text: str = "") -> dict[str, object]:
    return {"event": "outcome", "id": name, "outcome": outcome, "brief": brief, "text": text, "part": ""}


END = {"event": "end", "status": 0}


def outcomes(text: str) -> dict[str, Outcome]:
    return {name: run.outcome for name, run in read_record(text)[0].items()}


def test_each_case_has_its_outcome() -> None:
    text = record(
        {"event": "begin", "worker": "suite_worker", "schema": 1, "version": [3, 13, 0]},
        started("a"), told("a", "passed"), stopped("a"),
        started("b"), told("b", "failed", "AssertionError: 1 != 2", "Traceback ..."), stopped("b"),
        started("c"), told("c", "skipped", "no such thing here"), stopped("c"),
        END,
    )  # fmt: skip
    cases, status, unsupported = read_record(text)
    assert cases == {
        "a": CaseRun(P),
        "b": CaseRun(F, "AssertionError: 1 != 2", "Traceback ..."),
        "c": CaseRun(S, "no such thing here"),
    }
    assert (status, unsupported) == (0, "")


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ([], P),  # subtests alone, and none of them failed
        (["passed"], P),
        (["failed", "passed"], F),  # a subtest, then the case itself
        (["skipped", "failed", "error", "failed"], E),
        (["passed", "error"], E),  # the clean-up
        (["expected failure"], Outcome.EXPECTED),
        (["unexpected success"], Outcome.UNEXPECTED),
    ],
)
def test_of_several_outcomes_the_worst_counts(given: list[str], counted: Outcome) -> None:
    text = record(started("a"), *(told("a", each) for each in given), stopped("a"), END)
    assert outcomes(text) == {"a": counted}


def test_fixtures_and_doctests_have_no_start() -> None:
    text = record(
        told("setUpClass (test.test_x.Y)", "error", "OSError: no"), told("doctest of test.x", "passed"), END
    )
    assert outcomes(text) == {"setUpClass (test.test_x.Y)": E, "doctest of test.x": P}


def test_cases_of_one_name_are_numbered() -> None:
    text = record(started("a"), stopped("a"), started("a"), told("a", "failed"), stopped("a"), END)
    assert outcomes(text) == {"a": P, "a #2": F}


def test_addresses_are_no_part_of_a_name() -> None:
    one, two = (
        record(started(f"a (<x object at {address}>)"), stopped("a"), END)
        for address in ("0x7f1200aa", "0x7f99bb01")
    )
    assert outcomes(one) == outcomes(two) == {"a (<x object at 0x…>)": P}


def test_what_was_running_when_the_record_breaks_off_crashed() -> None:
    text = record(started("a"), told("a", "passed"), stopped("a"), started("b"))
    cases, status, _ = read_record(text + '{"event": "outco')
    assert {name: run.outcome for name, run in cases.items()} == {"a": P, "b": Outcome.CRASHED}
    assert status is None


def test_a_record_of_nothing() -> None:
    assert read_record("") == ({}, None, "")
    assert read_record(record({"event": "end", "unsupported": "Python 3.7"})) == ({}, None, "Python 3.7")


def run(side: Side, cases: dict[str, Outcome], outcome: Outcome = P, brief: str = "") -> FileRun:
    runs = {name: CaseRun(each) for name, each in cases.items()}
    return FileRun("test_x", side, outcome, brief, 1.0, f"{side}.log", runs)


def directory(*runs: dict[str, Outcome]) -> list[FileRun]:
    return [run(Side.DIRECTORY, each) for each in runs]


def archive(*runs: dict[str, Outcome]) -> list[FileRun]:
    return [run(Side.ARCHIVE, each) for each in runs]


def verdicts(
    one: list[FileRun], other: list[FileRun], known: tuple[Known, ...] = ()
) -> dict[str, tuple[Verdict, bool]]:
    return {pair.case: (pair.verdict, pair.one_sided) for pair in judge("test_x", one, other, known)}


SAME = (Verdict.SAME, False)


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ([P], [P], Verdict.SAME),
        ([F], [F], Verdict.SAME),
        ([P], [F], Verdict.DIFFERS),
        ([F], [P], Verdict.DIFFERS),
        ([P], [S], Verdict.DIFFERS),
        ([S], [S], Verdict.SAME),
        ([F], [E], Verdict.DIFFERS),
        ([P, P, P], [F, F, F], Verdict.DIFFERS),
        ([P, P], [F, P], Verdict.UNSTABLE),
        ([P, F], [F, F], Verdict.UNSTABLE),
        ([P, F], [F, P], Verdict.UNSTABLE),
        ([P, P], [F, E], Verdict.UNSTABLE),
    ],
)
def test_verdicts(one: list[Outcome], other: list[Outcome], verdict: Verdict) -> None:
    found = verdicts(directory(*({"a": each} for each in one)), archive(*({"a": each} for each in other)))
    assert found == {"test_x": SAME, "a": (verdict, False)}


def test_a_case_of_one_side_only_differs() -> None:
    assert verdicts(directory({"a": P, "b": P}), archive({"a": P})) == {
        "test_x": SAME,
        "a": SAME,
        "b": (Verdict.DIFFERS, True),
    }
    # a case that is skipped on the other side did run there
    assert verdicts(directory({"a": P}), archive({"a": S}))["a"] == (Verdict.DIFFERS, False)


def test_a_file_of_one_side_only_differs() -> None:
    assert verdicts(directory({"a": P}), []) == {
        "test_x": (Verdict.DIFFERS, True),
        "a": (Verdict.DIFFERS, True),
    }


def test_a_file_that_crashes_differs_with_all_that_it_did_not_run() -> None:
    crashed = run(Side.ARCHIVE, {"a": P, "b": Outcome.CRASHED}, Outcome.CRASHED, "killed by SIGSEGV")
    found = verdicts(directory({"a": P, "b": P, "c": P}), [crashed])
    assert found == {
        "test_x": (Verdict.DIFFERS, False),
        "a": SAME,
        "b": (Verdict.DIFFERS, False),
        "c": (Verdict.DIFFERS, True),
    }


def test_the_table_explains_a_difference_and_nothing_else() -> None:
    known = (Known(("test_x.Path.*",), "it asserts a folder", (3, 8), (3, 15)),)
    one = directory({"test_x.Path.a": P, "test_x.Other.a": P, "test_x.Path.same": P})
    other = archive({"test_x.Path.a": F, "test_x.Other.a": F, "test_x.Path.same": P})
    pairs = {pair.case: pair for pair in judge("test_x", one, other, known)}
    assert pairs["test_x.Path.a"].verdict is Verdict.EXPLAINED
    assert pairs["test_x.Path.a"].reason == "it asserts a folder"
    assert pairs["test_x.Other.a"].verdict is Verdict.DIFFERS
    assert pairs["test_x.Path.same"].verdict is Verdict.SAME


def test_the_table_does_not_excuse_chance() -> None:
    known = (Known(("a",), "it asserts a folder", (3, 8), (3, 15)),)
    assert verdicts(directory({"a": P}, {"a": P}), archive({"a": F}, {"a": P}), known)["a"] == (
        Verdict.UNSTABLE,
        False,
    )


@pytest.mark.parametrize(
    ("one", "other", "runs", "again"),
    [
        (P, F, 1, True),
        (P, F, 2, True),
        (P, F, 3, False),
        (P, P, 1, False),
    ],
)
def test_what_seems_to_differ_is_run_again(one: Outcome, other: Outcome, runs: int, again: bool) -> None:
    pairs = judge("test_x", directory(*[{"a": one}] * runs), archive(*[{"a": other}] * runs))
    assert to_be_repeated(pairs, runs, 3) is again


def test_what_varies_is_not_run_again() -> None:
    pairs = judge("test_x", directory({"a": P}, {"a": P}), archive({"a": F}, {"a": P}))
    assert not to_be_repeated(pairs, 2, 3)
