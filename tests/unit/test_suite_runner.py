"""What became of a test file as a whole, read from exit statuses and from what regrtest prints."""

from __future__ import annotations

import pytest
from zipstrap.suite.cases import Outcome
from zipstrap.suite.runner import outcome_of_file

NO_TK = "test_x skipped -- no module named _tkinter\n"
DOCTESTS = "test test_x failed -- 1 of 9 doctests failed\n"
RAISED = """\
test test_x crashed -- Traceback (most recent call last):
  File "runtest.py", line 1, in _runtest_inner
ImportError: cannot import name 'y' from 'z'
"""


@pytest.mark.parametrize(
    ("status", "ended", "printed", "has_bad_cases", "outcome", "brief"),
    [
        (0, 0, "test_x passed", False, Outcome.PASSED, ""),
        (2, 2, "test test_x failed", True, Outcome.PASSED, ""),
        (2, 2, RAISED, False, Outcome.ERROR, "ImportError: cannot import name 'y' from 'z'"),
        (2, 2, DOCTESTS, False, Outcome.ERROR, "1 of 9 doctests failed"),
        (2, 2, "nothing that is known", False, Outcome.ERROR, "exit status 2"),
        (0, 0, NO_TK, False, Outcome.SKIPPED, "no module named _tkinter"),
        (4, 4, NO_TK, False, Outcome.SKIPPED, "no module named _tkinter"),
        (0, 0, "test_x skipped (resource denied)\n", False, Outcome.SKIPPED, "resource denied"),
        (4, 4, "test_x run no tests\n", False, Outcome.SKIPPED, "no tests ran"),
        (-11, None, "Fatal Python error", False, Outcome.CRASHED, "killed by SIGSEGV"),
        (-11, 0, "", False, Outcome.CRASHED, "killed by SIGSEGV"),
        (-200, None, "", False, Outcome.CRASHED, "killed by signal 200"),
        (0, None, "", False, Outcome.CRASHED, "exit status 0, in the middle of it"),
        (3, None, "", True, Outcome.CRASHED, "exit status 3, in the middle of it"),
        (None, None, "", False, Outcome.TIMED_OUT, ""),
    ],
)  # fmt: skip
def test_the_outcome_of_a_file(
    status: int | None, ended: int | None, printed: str, has_bad_cases: bool, outcome: Outcome, brief: str
) -> None:
    assert outcome_of_file(status, ended, printed, has_bad_cases=has_bad_cases) == (outcome, brief)
