"""Pure: what a run of a test file says of its cases, and what two sides of it say of each other."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from zipstrap.data import matches

__all__ = [
    "CaseRun",
    "FileRun",
    "Known",
    "Outcome",
    "Pair",
    "Side",
    "Verdict",
    "judge",
    "read_record",
    "stable",
    "to_be_repeated",
]


class Side(StrEnum):
    """Where the library is."""

    DIRECTORY = "directory"
    ARCHIVE = "archive"


class Outcome(StrEnum):
    """What became of a case, or of a test file as a whole."""

    PASSED = "passed"
    EXPECTED = "expected failure"
    SKIPPED = "skipped"
    UNEXPECTED = "unexpected success"
    FAILED = "failed"
    ERROR = "error"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    #: the other side ran it
    NOT_RUN = "not run"


#: Of several outcomes of one case (its subtests, its clean-up), the one that counts: the last of these.
_WORST = (
    Outcome.PASSED,
    Outcome.EXPECTED,
    Outcome.SKIPPED,
    Outcome.UNEXPECTED,
    Outcome.FAILED,
    Outcome.ERROR,
    Outcome.CRASHED,
    Outcome.TIMED_OUT,
)


class Verdict(StrEnum):
    """What a pair of outcomes says."""

    SAME = "same"
    DIFFERS = "differs"
    #: it differs, and the table of known differences says why
    EXPLAINED = "explained"
    #: one side alone gives more than one outcome
    UNSTABLE = "unstable"


@dataclass(frozen=True, slots=True)
class CaseRun:
    """The outcome of one case in one run; *brief* is the first line of what was raised, or why it skips."""

    outcome: Outcome
    brief: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class FileRun:
    """One run of one test file on one side.

    *outcome* is that of the file itself: ``passed`` if it ran to its end, whatever became of its cases;
    ``skipped``, ``error`` (something was raised outside of the cases), ``crashed``, ``timed out``.
    *seconds* is its duration, *log* the path of what it printed.
    """

    name: str
    side: Side
    outcome: Outcome
    brief: str
    seconds: float
    log: str
    cases: Mapping[str, CaseRun]


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the table of known differences: cases (patterns), why they differ, and where."""

    cases: tuple[str, ...]
    reason: str
    since: tuple[int, int]
    until: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A case on both sides: an outcome for each run, in order. The file itself is a case of its own name."""

    file: str
    case: str
    verdict: Verdict
    directory: tuple[CaseRun, ...]
    archive: tuple[CaseRun, ...]
    reason: str = ""
    #: the logs of the first run, directory and archive; empty if there is none
    logs: tuple[str, str] = ("", "")

    @property
    def is_file(self) -> bool:
        """Whether this is the test file as a whole."""
        return self.case == self.file

    @property
    def one_sided(self) -> bool:
        """Whether only one side ran it."""
        return _outcomes(self.directory) == {Outcome.NOT_RUN} or _outcomes(self.archive) == {Outcome.NOT_RUN}

    @property
    def sometimes_absent(self) -> bool:
        """Whether a run of its file did not come to it."""
        return Outcome.NOT_RUN in _outcomes((*self.directory, *self.archive))


def read_record(text: str) -> tuple[dict[str, CaseRun], int | None, str]:
    """Turn the lines of ``suite_worker`` into cases, the runner's exit status, and why it would not run.

    The status is None if the record breaks off; a case that was then running is ``crashed``. The second case
    of one name is ``NAME #2``. A torn last line is passed over.
    """
    cases: dict[str, CaseRun] = {}
    seen: Counter[str] = Counter()
    status: int | None = None
    unsupported = ""
    running: tuple[str, list[CaseRun]] | None = None

    def put(name: str, runs: list[CaseRun]) -> None:
        seen[name] += 1
        cases[name if seen[name] == 1 else f"{name} #{seen[name]}"] = _worst(runs)

    for line in text.splitlines():
        try:
            event = json.loads(line)
            kind = event["event"]
            if kind == "start":
                running = (stable(event["id"]), [])
            elif kind == "stop":
                if running is not None:
                    put(*running)
                running = None
            elif kind == "outcome":
                run = CaseRun(Outcome(event["outcome"]), event["brief"], event["text"])
                if running is not None:
                    running[1].append(run)
                else:
                    put(stable(event["id"]), [run])
            elif kind == "end":
                status = event.get("status")
                unsupported = event.get("unsupported", "")
        except (ValueError, KeyError, TypeError):
            continue
    if running is not None:
        put(running[0], [*running[1], CaseRun(Outcome.CRASHED, "the process ended in the middle of it")])
    return cases, status, unsupported


def _worst(runs: Sequence[CaseRun]) -> CaseRun:
    """Return the run that counts. A case without an outcome has passed: its subtests said nothing else."""
    return max(runs, key=lambda run: _WORST.index(run.outcome), default=CaseRun(Outcome.PASSED))


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


def stable(name: str) -> str:
    """Return *name* without what changes from process to process."""
    return _ADDRESS.sub("0x…", name)


def _outcomes(runs: Iterable[CaseRun]) -> frozenset[Outcome]:
    return frozenset(run.outcome for run in runs)


_ABSENT = CaseRun(Outcome.NOT_RUN)


def judge(
    name: str,
    directory: Sequence[FileRun],
    archive: Sequence[FileRun],
    known: Sequence[Known] = (),
) -> tuple[Pair, ...]:
    """Compare all runs of the test file *name*, and return a pair for each case, and one for the file itself.

    A side without a run (its suite has no such file) has not run the case. Outcomes count over all runs of a
    side: if they vary, the case is unstable; if each side has one of its own, it differs.
    """
    sides = (directory, archive)
    logs = (directory[0].log if directory else "", archive[0].log if archive else "")
    names = dict.fromkeys(case for runs in sides for run in runs for case in run.cases)
    pairs = [_pair(name, name, [_of_file(runs) for runs in sides], known, logs)]
    pairs += [
        _pair(
            name,
            case,
            [tuple(run.cases.get(case, _ABSENT) for run in runs) or (_ABSENT,) for runs in sides],
            known,
            logs,
        )
        for case in names
    ]
    return tuple(pairs)


def _of_file(runs: Sequence[FileRun]) -> tuple[CaseRun, ...]:
    return tuple(CaseRun(run.outcome, run.brief) for run in runs) or (_ABSENT,)


def _pair(
    file: str,
    case: str,
    sides: Sequence[tuple[CaseRun, ...]],
    known: Sequence[Known],
    logs: tuple[str, str],
) -> Pair:
    directory, archive = (_outcomes(runs) for runs in sides)
    verdict, reason = Verdict.SAME, ""
    if len(directory) > 1 or len(archive) > 1:
        verdict = Verdict.UNSTABLE
    elif directory != archive:
        verdict = Verdict.DIFFERS
        row = next((row for row in known if matches(case, row.cases)), None)
        if row is not None:
            verdict, reason = Verdict.EXPLAINED, row.reason
    return Pair(file, case, verdict, sides[0], sides[1], reason, logs)


def to_be_repeated(pairs: Iterable[Pair], runs: int, wanted: int) -> bool:
    """Tell whether a file that ran *runs* times, of *wanted* at most, has to be run again.

    It has to while a case of it seems to differ for no known reason: chance would not repeat itself.
    """
    return runs < wanted and any(pair.verdict is Verdict.DIFFERS for pair in pairs)
