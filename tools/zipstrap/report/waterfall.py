"""Pure: what ``-X importtime`` printed, as bars on a line of time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bar", "Import", "lay_out", "least_of", "read_importtime"]

#: CPython Python/import.c, import_find_and_load: two spaces a level; a name may hold anything
_LINE = re.compile(r"import time: +(?P<own>\d+) \| +(?P<total>\d+) \| (?P<indent>(?:  )*)(?P<name>\S.*)")


@dataclass(frozen=True, slots=True)
class Import:
    """An import that was timed; *own* is in µs and leaves out what it imported, which is *depth* + 1."""

    module: str
    depth: int
    own: float


@dataclass(frozen=True, slots=True)
class Bar:
    """An import on the line of time, in µs: from *start* for *own*, then what it imported, for *inner*."""

    module: str
    depth: int
    start: float
    own: float
    inner: float

    @property
    def total(self) -> float:
        """From its start to its end."""
        return self.own + self.inner


def read_importtime(text: str) -> tuple[Import, ...]:
    """Return the imports in what the option printed, in its order: a module after those that it imported."""
    found = (_LINE.fullmatch(line.rstrip("\r")) for line in text.split("\n"))
    return tuple(
        Import(match["name"], len(match["indent"]) // 2, float(match["own"])) for match in found if match
    )


def least_of(runs: Sequence[Sequence[Import]]) -> tuple[Import, ...]:
    """Return the imports of *runs*, each with the least of its own times: what else a machine does only adds.

    Runs that imported something else than the first did, or in another order, are left out.
    """
    if not runs:
        return ()
    alike = [run for run in runs if _names(run) == _names(runs[0])]
    return tuple(
        Import(each.module, each.depth, min(run[at].own for run in alike)) for at, each in enumerate(runs[0])
    )


def _names(run: Sequence[Import]) -> list[tuple[str, int]]:
    return [(each.module, each.depth) for each in run]


def lay_out(imports: Sequence[Import]) -> tuple[Bar, ...]:
    """Return a bar for each of *imports*, in the order in which they began.

    The option says how long an import took and what was within it, not when: each begins where the one
    before it ended, and what a module imports follows its own time, as imports mostly stand after finding,
    reading and unmarshalling, and before the rest of a module.
    """
    # a module is printed after what it imported: read backwards, it comes before
    bars: list[Bar] = []
    open_: list[list[int]] = [[]]
    tree: dict[int, list[int]] = {}
    for at in range(len(imports) - 1, -1, -1):
        depth = min(imports[at].depth, len(open_) - 1)
        del open_[depth + 1 :]
        open_[depth].insert(0, at)
        tree[at] = []
        open_.append(tree[at])
    totals: dict[int, float] = {}
    for at in range(len(imports)):  # what is within comes first
        totals[at] = imports[at].own + sum(totals[child] for child in tree[at])
    waiting = [(at, 0) for at in reversed(open_[0])]
    now = 0.0
    while waiting:
        at, depth = waiting.pop()
        own = imports[at].own
        bars.append(Bar(imports[at].module, depth, now, own, totals[at] - own))
        now += own
        waiting += [(child, depth + 1) for child in reversed(tree[at])]
    return tuple(bars)
