"""What the bench found, for people and for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import BASE, Condition
from .counters import Calls
from .figures import Spread
from .memory import PROCESSES, Memory
from .peers import PeerSize

__all__ = [
    "BenchReport",
    "CaseReport",
    "Cell",
    "ColumnReport",
    "NotMeasured",
    "bench_to_json",
    "bench_to_text",
]

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """A row in a column. Times are ratios to the base in the same round; the base itself has none."""

    cpu: Spread | None = None
    elapsed: Spread | None = None
    instructions: int | None = None
    calls: Calls | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class CaseReport:
    """A row under a condition."""

    row: str
    condition: Condition
    about: str
    pairs: int
    #: medians of the base, in ms; None where it was not measured
    base_cpu: float | None
    base_elapsed: float | None
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """A kind of tree; sizes in bytes, of all its files and of what holds the library's modules."""

    name: str
    about: str
    tree_size: int
    library_size: int
    files: int


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """What was asked for and was not measured, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All that the bench found."""

    target: str
    executable: str
    tree: str | None
    profile: str
    pairs: int
    #: what each file operation takes longer under ``slow``, in ms
    latency: float
    machine: Mapping[str, str]
    #: how the instructions were counted, and how a cold cache was made; empty if they were not
    counter: str
    cold_by: str
    #: standard modules that the row of that name imports
    modules: tuple[str, ...]
    #: those of the list that a column cannot import, and why
    absent: Mapping[str, str]
    columns: tuple[ColumnReport, ...]
    cases: tuple[CaseReport, ...]
    peers: tuple[PeerSize, ...]
    not_measured: tuple[NotMeasured, ...]
    notes: tuple[str, ...]

    @property
    def measured(self) -> bool:
        """Whether there is any figure."""
        return bool(self.cases or self.peers)


def bench_to_json(report: BenchReport) -> dict[str, Any]:
    """Return *report* as values for JSON."""
    values = dataclasses.asdict(report)
    return {"schema_version": _SCHEMA, "base": BASE, **values}


def bench_to_text(report: BenchReport) -> str:
    """Return *report* as tables."""
    lines = [*_head(report), ""]
    for case in report.cases:
        lines += [*_case(case), ""]
    timed = [case for case in report.cases if case.base_elapsed is not None]
    if timed:
        lines += [*_summary(timed, report), ""]
    lines += [*_sizes(report), ""]
    for peer in report.peers:
        lines += [*_peer(peer), ""]
    lines += [f"not measured: {each.what}: {each.reason}" for each in report.not_measured]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def _head(report: BenchReport) -> Iterator[str]:
    yield f"{report.target} ({report.executable}), profile {report.profile}, {report.pairs} pairs"
    if report.tree is not None:
        yield f"tree: {report.tree}"
    yield "machine: " + ", ".join(f"{name} {value}" for name, value in report.machine.items())
    if report.counter:
        yield f"instructions: counted by {report.counter}"
    if any(cell.memory is not None for case in report.cases for cell in case.cells.values()):
        yield f"memory: of one process, the mean of {PROCESSES} that are alive at once"
    if report.cold_by:
        yield f"cold: {report.cold_by}"
    if any(case.condition is Condition.SLOW for case in report.cases):
        yield f"slow: {report.latency:g} ms more for each file operation, injected by strace"
    width = max(len(column.name) for column in report.columns)
    for column in report.columns:
        yield f"  {column.name:{width}}  {column.about}"
    yield (
        f"Times are ratios to the column {BASE} in the same round: median (quartiles); "
        "what the column control differs from 1 by is chance."
    )


def _case(case: CaseReport) -> Iterator[str]:
    about = f"{case.row}, {case.condition}: {case.about}"
    if case.base_elapsed is not None:
        took = [] if case.base_cpu is None else [f"{case.base_cpu:.1f} ms of CPU time"]
        about += f"; {BASE}: {', '.join((*took, f'{case.base_elapsed:.1f} ms elapsed'))}"
    yield about
    base = case.cells[BASE]
    rows = []
    for name, cell in case.cells.items():
        words = {
            "CPU": _spread(cell.cpu, is_base=name == BASE and case.base_cpu is not None),
            "elapsed": _spread(cell.elapsed, is_base=name == BASE and case.base_elapsed is not None),
        }
        if cell.instructions is not None:
            words["M instructions"] = (
                f"{cell.instructions / 1e6:.1f}{_by(cell.instructions, base.instructions)}"
            )
        if cell.calls is not None:
            words["calls"] = str(cell.calls.calls)
            words["opens"] = str(cell.calls.opens)
            words["misses"] = str(cell.calls.misses)
            words["files"] = str(cell.calls.files)
        if cell.memory is not None:
            resident = None if base.memory is None else base.memory.resident
            words["resident KiB"] = f"{cell.memory.resident:.0f}{_by(cell.memory.resident, resident)}"
            words["private"] = f"{cell.memory.private:.0f}"
            words["shared"] = f"{cell.memory.shared:.0f}"
        rows.append((name, words))
    yield from _table(rows)


def _spread(spread: Spread | None, *, is_base: bool) -> str:
    if spread is None:
        return "1" if is_base else ""
    return f"{spread.median:.3f} ({spread.low:.3f} to {spread.high:.3f})"


def _by(value: float, base: float | None) -> str:
    return f" ({value / base:.3f})" if base else ""


def _table(rows: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """Yield the lines of a table; a heading without any word under it is left out."""
    heads = list(dict.fromkeys(head for _, words in rows for head, word in words.items() if word))
    widths = {head: max(len(head), *(len(words.get(head, "")) for _, words in rows)) for head in heads}
    first = max(len(name) for name, _ in rows)
    yield f"  {'':{first}}  " + "  ".join(f"{head:>{widths[head]}}" for head in heads)
    for name, words in rows:
        cells = (f"{words.get(head, ''):>{widths[head]}}" for head in heads)
        yield f"  {name:{first}}  {'  '.join(cells)}".rstrip()


def _summary(cases: Sequence[CaseReport], report: BenchReport) -> Iterator[str]:
    yield "medians: CPU time, and elapsed time under cold and slow"
    rows = []
    for case in cases:
        waits = case.condition in (Condition.COLD, Condition.SLOW)
        words = {}
        for column in report.columns:
            cell = case.cells.get(column.name)
            spread = cell and (cell.elapsed if waits else cell.cpu)
            words[column.name] = "1" if column.name == BASE else f"{spread.median:.2f}" if spread else "-"
        rows.append((f"{case.row}, {case.condition}", words))
    yield from _table(rows)


def _sizes(report: BenchReport) -> Iterator[str]:
    yield "sizes: MB of what holds the library's modules, of the whole tree, and how many files"
    yield from _table(
        [
            (
                column.name,
                {
                    "library": f"{column.library_size / 1e6:.2f}",
                    "tree": f"{column.tree_size / 1e6:.2f}",
                    "files": str(column.files),
                },
            )
            for column in report.columns
        ]
    )


def _peer(peer: PeerSize) -> Iterator[str]:
    kinds = f"{peer.bytecode} modules as bytecode, {peer.sources} as sources"
    yield f"{peer.name}: {peer.path}, {peer.size} bytes, {kinds}"
    if not peer.common:
        yield "  no module of it is in every column"
        return
    yield f"  an archive of the {peer.common} modules alone that every column has, ours as bytecode:"
    yield from _table(
        [
            (name, {"bytes": str(size), "of the peer's": f"{size / peer.peer:.3f}"})
            for name, size in ((peer.name, peer.peer), *peer.ours.items())
        ]
    )
    if peer.others:
        yield f"  not compared: {', '.join(peer.others[:5])}" + (
            f" and {len(peer.others) - 5} more" if len(peer.others) > 5 else ""
        )
