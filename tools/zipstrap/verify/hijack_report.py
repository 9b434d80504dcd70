"""The hijack matrix, for people and for machines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Literal

from .hijack import Cell, Matrix, Outcome, Row, why_beyond
from .sarif import SarifResult, SarifRule, sarif_log

__all__ = ["cell_text", "matrix_to_json", "matrix_to_sarif", "matrix_to_text"]

_SCHEMA = 1

#: families of vectors, in the words of a heading
_FAMILIES = {
    "none": "without a vector",
    "environment": "variables of the environment",
    "start": "how the interpreter is started",
    "tree": "files added to the tree",
    "user": "files of the user's",
    "search": "what steers the search for the library",
    "loader": "variables of the dynamic loader and the C library, which come before the interpreter",
    "permissions": "what others may write to",
    "program": "what the library reads later, when a program asks for it",
}

_PROMISES = {
    "isolated": "the layout isolated refused all that a tree can refuse",
    "": "the layout {} promises no more than that a start is the tree's own where nothing was planted",
}


def cell_text(cell: Cell) -> str:
    """Return a cell in few words: control is in capitals, with the point of the start."""
    if cell.outcome is Outcome.CONTROL:
        return f"CONTROL {cell.point}"
    return str(cell.outcome)


def matrix_to_text(matrix: Matrix, *, verbose: bool = False) -> str:
    """Return the matrix as a table; with *verbose* also what got control, why, and what to do."""
    return "\n".join(_lines(matrix, verbose=verbose)) + "\n"


def _lines(matrix: Matrix, *, verbose: bool) -> Iterator[str]:
    yield f"{matrix.tree}: {matrix.target.name}, layout {matrix.layout.name}"
    name_width = max((len(row.vector.name) for row in matrix.rows), default=6)
    widths = [
        max([len(mode), *(len(cell_text(row.cells[number])) for row in matrix.rows)])
        for number, mode in enumerate(matrix.modes)
    ]
    heads = "  ".join(mode.ljust(width) for mode, width in zip(matrix.modes, widths, strict=True))
    yield f"{'code':<7}{'vector':<{name_width}}  {heads}".rstrip()
    for family, rows in groupby(matrix.rows, key=lambda row: row.vector.family):
        yield f"- {_FAMILIES[family]}"
        for row in rows:
            texts = zip(map(cell_text, row.cells), widths, strict=True)
            cells = "  ".join(text.ljust(width) for text, width in texts)
            yield f"{row.vector.code:<7}{row.vector.name:<{name_width}}  {cells}".rstrip()
            if verbose:
                yield from _row_lines(row)
    for number, mode in enumerate(matrix.modes):
        counts = Counter(row.cells[number].outcome for row in matrix.rows)
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        yield f"{mode}: {told}"
    yield from _untried_lines(matrix)
    broken = [row.vector.code for row in matrix.rows if any(cell.broken for cell in row.cells)]
    for reason, beyond in _beyond(matrix).items():
        yield f"beyond this tree: {', '.join(row.vector.code for row in beyond)}: {reason}"
    if broken:
        for row in matrix.rows:
            yield from (
                f"NOT REFUSED {row.vector.code} {row.vector.name} ({cell.mode}): {_who(cell)}"
                for cell in row.cells
                if cell.broken
            )
        yield f"NOT REFUSED as the layout {matrix.layout.name} promises: {', '.join(broken)}"
    else:
        yield _PROMISES.get(matrix.layout.name, _PROMISES[""]).format(matrix.layout.name)


def _beyond(matrix: Matrix) -> dict[str, list[Row]]:
    """Return what got control though the layout refuses all that can be refused, by the reason."""
    found: dict[str, list[Row]] = {}
    for row in matrix.rows if matrix.layout.path_files else ():
        reason = why_beyond(matrix.layout, row.vector)
        if reason and any(cell.outcome is Outcome.CONTROL for cell in row.cells):
            found.setdefault(reason, []).append(row)
    return found


def _untried_lines(matrix: Matrix) -> Iterator[str]:
    for row in matrix.rows:
        reasons = {cell.note for cell in row.cells if cell.outcome is Outcome.NOT_RUN}
        for reason in sorted(reasons):
            yield f"not run: {row.vector.code} {row.vector.name}: {reason}"
    if matrix.unknown:
        yield f"not tried: variables that no vector knows: {', '.join(matrix.unknown)}"


def _row_lines(row: Row) -> Iterator[str]:
    yield f"         {row.vector.title}"
    for cell in row.cells:
        if cell.outcome is Outcome.CONTROL or cell.note:
            yield f"         {cell.mode}: {_who(cell)}"
    if any(cell.outcome is Outcome.CONTROL for cell in row.cells):
        yield f"         why: {row.vector.cause}"
        yield f"         what to do: {row.vector.cure}"


def _who(cell: Cell) -> str:
    if cell.outcome is Outcome.CONTROL:
        note = f" ({cell.note})" if cell.note else ""
        return f"{cell.origin} got control {cell.point}{note}"
    return f"{cell.outcome}: {cell.note}" if cell.note else str(cell.outcome)


def matrix_to_json(matrix: Matrix) -> dict[str, Any]:
    """Return the matrix as JSON-able values."""
    return {
        "schema_version": _SCHEMA,
        "tree": str(matrix.tree),
        "target": matrix.target.name,
        "layout": matrix.layout.name,
        "passed": matrix.passed,
        "modes": list(matrix.modes),
        "vectors": [
            {
                "code": row.vector.code,
                "name": row.vector.name,
                "family": row.vector.family,
                "title": row.vector.title,
                "cause": row.vector.cause,
                "cure": row.vector.cure,
                "beyond": why_beyond(matrix.layout, row.vector),
                "cells": [
                    {
                        "mode": cell.mode,
                        "outcome": str(cell.outcome),
                        "point": None if cell.point is None else str(cell.point),
                        "origin": cell.origin,
                        "note": cell.note,
                        "promised": cell.claimed,
                    }
                    for cell in row.cells
                ],
            }
            for row in matrix.rows
        ],
        "unknown_variables": list(matrix.unknown),
    }


_Kind = Literal["fail", "pass", "open", "notApplicable"]

_KINDS: dict[Outcome, _Kind] = {
    Outcome.CONTROL: "fail",
    Outcome.REFUSED: "pass",
    Outcome.STOPPED: "pass",
    Outcome.FAILED: "pass",
    Outcome.NOT_RUN: "open",
    Outcome.ABSENT: "notApplicable",
}


def matrix_to_sarif(matrix: Matrix) -> dict[str, Any]:
    """Return the matrix as a SARIF log: one result a cell, and one for each variable that no vector knows.

    The level is error where the layout promises to refuse what got control, and warning elsewhere.
    """
    rules = [
        SarifRule(
            row.vector.code, row.vector.name, row.vector.title, row.vector.cause, row.vector.cure, "warning"
        )
        for row in matrix.rows
    ]
    results = [
        SarifResult(
            row.vector.code,
            f"{row.vector.title}, mode {cell.mode}: {_who(cell)}",
            kind=_KINDS[cell.outcome],
            level="error" if cell.broken else "warning",
            paths=(_path_in_tree(cell.origin),),
            about=cell.mode,
            properties={"mode": cell.mode, "outcome": str(cell.outcome), "promised": cell.claimed},
        )
        for row in matrix.rows
        for cell in row.cells
    ]
    return sarif_log(
        matrix.tree,
        rules,
        results,
        passed=matrix.passed,
        properties={
            "target": matrix.target.name,
            "layout": matrix.layout.name,
            "unknownVariables": list(matrix.unknown),
        },
    )


def _path_in_tree(origin: str) -> str:
    return origin.removeprefix("TREE/") if origin.startswith("TREE/") else "."
