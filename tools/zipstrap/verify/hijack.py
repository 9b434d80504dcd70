"""Who got control of a start: the judging half of the hijack matrix. Pure.

A vector (``data/hijack.json``) is a way to put foreign code into a start; ``scratch.py`` tries it for real
and says what was seen; here that becomes a cell of the matrix.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from zipstrap.data import Vector, harmless_variables, not_variables, vectors
from zipstrap.hooks import STOP_STATUS
from zipstrap.layout import Layout
from zipstrap.manifest import Target

from .boots import MODES, Mode

__all__ = [
    "Cell",
    "Matrix",
    "Outcome",
    "Point",
    "Row",
    "Seen",
    "claims",
    "judge_start",
    "modes_of",
    "read_marks",
    "reason_not_tried",
    "unknown_variables",
    "variables_in",
    "why_beyond",
]


class Outcome(StrEnum):
    """What became of one vector in one mode."""

    CONTROL = "control"
    REFUSED = "refused"
    STOPPED = "stopped by the guard"
    FAILED = "start fails"
    NOT_RUN = "not run"
    ABSENT = "does not apply"


class Point(StrEnum):
    """Where in a start foreign code first had control, the earliest first."""

    LOADER = "before the interpreter"
    LIBRARY = "in place of the library"
    SITE = "while site runs"
    BEFORE_PROGRAM = "before the program"
    PROGRAM = "in the program's imports"
    PROMPT = "at the prompt"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one start did.

    *status* is negative for a signal and None where there is none, with a *failure* that says why. *marks*
    are the lines that foreign code wrote. *foreign* are the modules from outside the tree, with their places,
    as the program saw them after its imports; None if it did not come to that. *answers* tells whether it
    would have, and *at_prompt* whether it was typed at one.
    """

    status: int | None
    stderr: str
    marks: tuple[Mapping[str, object], ...]
    foreign: tuple[tuple[str, str], ...] | None
    answers: bool = True
    at_prompt: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """Who got control in one mode: *origin* is what did, and *note* what else is to be said."""

    mode: str
    outcome: Outcome
    point: Point | None = None
    origin: str = ""
    note: str = ""
    #: whether the tree's layout promises to refuse this
    claimed: bool = False

    @property
    def broken(self) -> bool:
        """Whether foreign code got control although the layout promises to refuse it."""
        return self.claimed and self.outcome is Outcome.CONTROL


@dataclass(frozen=True, slots=True)
class Row:
    """One vector, in every mode."""

    vector: Vector
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """What came of every vector that was tried on *tree*.

    *unknown* are variables that the interpreter seems to read and no vector knows; they were not tried.
    """

    tree: Path
    target: Target
    layout: Layout
    modes: tuple[str, ...]
    rows: tuple[Row, ...]
    unknown: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no vector got control that the layout promises to refuse."""
        return not any(cell.broken for row in self.rows for cell in row.cells)


def claims(layout: Layout, vector: Vector) -> bool:
    """Tell whether a tree of *layout* promises to refuse *vector*.

    Every layout promises that a start is the tree's own where nothing was planted. One whose ``sys.path`` is
    fixed by a file promises the rest as well, but for what it cannot refuse.
    """
    return vector.family == "none" or (bool(layout.path_files) and not why_beyond(layout, vector))


def why_beyond(layout: Layout, vector: Vector) -> str:
    """Return why no tree of *layout* can refuse *vector*; nothing where one could."""
    if vector.before and not layout.has_launcher:
        return f"{vector.before}, and this tree has no launcher"
    return vector.beyond


def modes_of(layout: Layout) -> tuple[tuple[str, Mode], ...]:
    """Return the modes that a tree of *layout* is started in, each with the name that the matrix shows.

    Where every start is isolated, ``-I`` has nothing to change.
    """
    wanted = {mode.name: mode for mode in MODES}
    if layout.path_files:
        return ((layout.name, wanted["plain"]),)
    return tuple((name, wanted[name]) for name in ("plain", "-I"))


def reason_not_tried(vector: Vector, target: Target, have: Iterable[str]) -> tuple[Outcome, str] | None:
    """Return why *vector* is not tried on *target*; None if it is. *have* is what there is of its needs."""
    if not vector.since <= target.feature_version <= vector.until:
        first = ".".join(map(str, vector.since))
        return Outcome.ABSENT, f"it is there from {first} on"
    if "debug build" in vector.needs and "d" not in target.abiflags:
        return Outcome.ABSENT, "only debug builds read it"
    lacking = vector.needs - set(have)
    return next((why for need, why in _WITHOUT.items() if need in lacking), None)


_WITHOUT: Mapping[str, tuple[Outcome, str]] = {
    "libpython": (Outcome.ABSENT, "libpython is linked into the executable"),
    "launcher": (Outcome.ABSENT, "this tree has no launcher"),
    "link": (Outcome.ABSENT, "the executable has no other name in this tree"),
    "native": (Outcome.NOT_RUN, "no shared object can be made for this machine: there is no cc"),
    "locale": (Outcome.NOT_RUN, "there is no locale C.utf8 here to make another of"),
    "writable ancestor": (
        Outcome.REFUSED,
        "there is nothing to use: no folder above can be changed by others",
    ),
    "writable file": (
        Outcome.REFUSED,
        "there is nothing to use: nothing of the tree can be changed by others",
    ),
    "another user": (Outcome.NOT_RUN, "only root can act as another user"),
}


def judge_start(
    mode: str, seen: Seen, *, usual: Iterable[tuple[str, str]] = (), claimed: bool = False
) -> Cell:
    """Judge one start. *usual* are foreign modules that are there without any vector."""
    guard = next((line for line in seen.stderr.splitlines() if line.startswith("zipstrap: ")), "")
    if seen.marks:
        points = [(_point(mark, seen.at_prompt), str(mark["origin"])) for mark in seen.marks]
        point, origin = min(points, key=lambda each: list(Point).index(each[0]))
        others = [each for _, each in points if each != origin]
        note = f"and {', '.join(dict.fromkeys(others))}" if others else guard
        return Cell(mode, Outcome.CONTROL, point, origin, note, claimed)
    if seen.foreign is not None:
        foreign = [item for item in seen.foreign if item not in set(usual)]
        if foreign:
            module, place = foreign[0]
            return Cell(mode, Outcome.CONTROL, Point.LIBRARY, f"{module} from {place}", guard, claimed)
        return Cell(mode, Outcome.REFUSED, claimed=claimed)
    if seen.status == STOP_STATUS and guard:
        return Cell(mode, Outcome.STOPPED, note=guard, claimed=claimed)
    if not seen.answers and seen.status == 0:
        return Cell(mode, Outcome.REFUSED, claimed=claimed)
    last = seen.failure or _last_line(seen.stderr) or f"exit status {seen.status}"
    return Cell(mode, Outcome.FAILED, note=last, claimed=claimed)


def _point(mark: Mapping[str, object], at_prompt: bool) -> Point:  # noqa: FBT001 - of a start
    if mark["kind"] == "native":
        return Point.LOADER
    running = mark["running"]
    loaded = mark["loaded"]
    assert isinstance(running, list)
    assert isinstance(loaded, list)
    if "__main__" in running:
        return Point.PROMPT if at_prompt else Point.PROGRAM
    if "site" in running:
        return Point.SITE
    if "site" in loaded and "encodings" in loaded:
        return Point.BEFORE_PROGRAM
    return Point.LIBRARY


def read_marks(text: str) -> tuple[Mapping[str, object], ...]:
    """Return what foreign code wrote into the file of marks: a Python literal a line.

    Raises ValueError for what it did not write.
    """
    found = []
    for line in text.splitlines():
        mark = ast.literal_eval(line)
        if not isinstance(mark, dict) or not {"kind", "origin", "running", "loaded"} <= mark.keys():
            raise ValueError(line)
        found.append(mark)
    return tuple(found)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception)\b|Fatal Python error", line)]
    return (errors or lines or [""])[-1]


# ---- variables -------------------------------------------------------------------------------------------

#: it begins with plain letters, which is what a search is quick for
_VARIABLE = re.compile(rb"PY(?:THON[A-Z0-9_]*[A-Z]|VENV_LAUNCHER__)")
_PART_OF_A_WORD = re.compile(rb"[A-Za-z0-9]")


def variables_in(data: bytes) -> frozenset[str]:
    """Return what in a binary or a source *data* looks like a variable that an interpreter reads. Pure.

    In marshalled code a letter of what follows may stick to a name (PYTHONUSERBASEN): it goes where the rest
    is known.
    """
    known = _known()
    found = set()
    for match in _VARIABLE.finditer(data):
        start = match.start()
        while data[start - 1 : start] == b"_":
            start -= 1
        if _PART_OF_A_WORD.match(data[start - 1 : start]):
            continue
        name = data[start : match.end()].decode()
        shorter = (name[:-count] if count else name for count in range(4))
        found.add(next((each for each in shorter if each in known), name))
    return frozenset(found)


def unknown_variables(found: Iterable[str]) -> tuple[str, ...]:
    """Return those of *found* that the data neither tries nor knows to be no variables, sorted."""
    return tuple(sorted(set(found) - _known()))


def _known() -> frozenset[str]:
    tried = {name for vector in vectors().values() for name in vector.environ}
    return frozenset(tried | harmless_variables().keys() | not_variables() | {"PYTHON"})
