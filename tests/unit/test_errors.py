"""Errors say what was wrong, with which file, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from zipstrap import errors
from zipstrap.errors import FileError, Problem, UsageError, ZipstrapError

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


@pytest.mark.parametrize(
    ("file", "text"),
    [(None, "is odd"), ("/opt/x", "/opt/x: is odd"), (Path("/opt/x"), "/opt/x: is odd")],
)
def test_a_problem_names_its_file(file: str | Path | None, text: str) -> None:
    assert str(Problem("is odd", file)) == text


def test_all_problems_come_before_the_cure() -> None:
    error = FileError(
        "is odd", file="/a", cure="mend it", others=[Problem("is odder", "/b"), Problem("so so")]
    )
    assert str(error) == "/a: is odd\n/b: is odder\nso so\n  what to do: mend it"
    assert (error.problem.text, error.problem.file, error.cure) == ("is odd", "/a", "mend it")
    assert [other.file for other in error.others] == ["/b", None]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_caught_by_the_base_and_shows_its_text(kind: type[ZipstrapError]) -> None:
    with pytest.raises(ZipstrapError, match="what to do: mend it") as caught:
        raise kind("is odd", cure="mend it")
    assert caught.value.args == (str(caught.value),)


def test_exit_statuses_are_those_of_the_reference() -> None:
    assert {kind.__name__: kind.exit_status for kind in KINDS} == {
        "ArchiveError": 4,
        "FileError": 4,
        "InterpreterError": 3,
        "UnsupportedError": 5,
        "UsageError": 2,
        "ZipstrapError": 4,
    }


def test_a_cure_is_not_optional() -> None:
    with pytest.raises(TypeError, match="cure"):
        UsageError("is odd")  # type: ignore[call-arg]
