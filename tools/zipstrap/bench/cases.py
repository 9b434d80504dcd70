"""What is run: columns (kinds of trees), rows (what is started in them) and conditions, read from data."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from typing import Any, TypeVar

from zipstrap.errors import Problem, UsageError

__all__ = [
    "BASE",
    "GIVEN",
    "BenchData",
    "Column",
    "Condition",
    "Measure",
    "Row",
    "bench_data",
    "choose",
    "imports_of",
    "with_base",
]

#: the column that the others are divided by
BASE = "directory"

#: the column of the tree that the user named
GIVEN = "tree"


class Condition(StrEnum):
    """Under what a row is run."""

    #: repeated runs; the library's entries are first among those of the interpreter
    WARM = "warm"
    #: repeated runs; twenty folders come before the library
    LAST = "last"
    #: each run finds none of the tree's files in the page cache
    COLD = "cold"
    #: each file operation takes some time longer
    SLOW = "slow"


class Measure(StrEnum):
    """What is measured."""

    TIME = "time"
    INSTRUCTIONS = "instructions"
    CALLS = "calls"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Column:
    """A kind of tree; *options* are settings of a build or of its plan."""

    name: str
    about: str
    layout: str
    options: Mapping[str, Any] = field(default_factory=dict)
    #: .pyc in the place of .py
    sourceless: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Something that is started; ``{empty}`` and ``{modules}`` in *arguments* are scripts."""

    name: str
    about: str
    arguments: tuple[str, ...]
    conditions: tuple[Condition, ...]
    #: whether the memory of processes that did this is measured
    memory: bool = False
    #: what has to be there besides the library
    program: str = ""

    @property
    def reads_environment(self) -> bool:
        """Whether ``PYTHONPATH`` and ``PYTHONHASHSEED`` count in it."""
        return not {"-I", "-E"} & set(self.arguments)


@dataclass(frozen=True, slots=True)
class BenchData:
    """What ``data/bench.json`` holds."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    #: names of modules, chosen by the rule that stands in the file
    modules: tuple[str, ...]


@functools.cache
def bench_data() -> BenchData:
    """Return the data of the bench."""
    text = resources.files("zipstrap.data").joinpath("bench.json").read_text(encoding="utf-8")
    values = json.loads(text)
    return BenchData(
        tuple(Column(**item) for item in values["columns"]),
        tuple(
            Row(
                **{
                    **item,
                    "arguments": tuple(item["arguments"]),
                    "conditions": tuple(map(Condition, item["conditions"])),
                }
            )
            for item in values["rows"]
        ),
        tuple(values["modules"]),
    )


_T = TypeVar("_T")


def choose(known: Mapping[str, _T], asked: str | None, what: str) -> tuple[_T, ...]:
    """Return those of *known* that *asked* names, joined by commas, in the order of *known*; or all.

    Raises UsageError with every name that is not known; *what* says of what kind they are.
    """
    if asked is None:
        return tuple(known.values())
    names = [name.strip() for name in asked.split(",") if name.strip()]
    problems = [Problem(f"there is no {what} {name!r}") for name in names if name not in known]
    if not names:
        problems = [Problem(f"no {what} is named")]
    if problems:
        raise UsageError(
            problems[0].text,
            others=problems[1:],
            cure=f"name some of: {', '.join(known)}; or all, by nothing",
        )
    return tuple(each for name, each in known.items() if name in names)


def imports_of(modules: Iterable[str]) -> str:
    """Return the text of a script that imports *modules*."""
    return "".join(f"import {name}\n" for name in modules)


def with_base(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return *columns* with the base, which has to be there, as the first of them."""
    base = next(column for column in bench_data().columns if column.name == BASE)
    return (base, *(column for column in columns if column.name != BASE))
