"""Try the whole hijack matrix on every interpreter of this machine: ``python tests/hijack/run.py [ID...]``.

For each interpreter a tree of the layout fast and, from 3.11 on, one of isolated are built; every vector is
tried in every mode. Prints the matrix of all versions as a table in Markdown, as it is in
docs/explanation/hijacked-starts.md. Exit status 1 if a layout yields to what it promises to refuse, or if an
interpreter reads a variable that the data does not know; 3 without interpreters.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from zipstrap import cli
from zipstrap.data import vectors
from zipstrap.verify.hijack import Matrix, Outcome
from zipstrap.verify.hijack_report import matrix_to_json
from zipstrap.verify.scratch import hijack_tree

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.target.interpreters import Target, discover

LAYOUTS = ("fast", "isolated")
#: mode of the matrix → its letter in the table
LETTERS = {"plain": "P", "-I": "I", "isolated": "X"}


def matrices(target: Target, folder: Path) -> Iterable[Matrix]:
    """Build trees of *target* in *folder* and try every vector on them."""
    for layout in LAYOUTS:
        if layout == "isolated" and target.version < (3, 11):
            continue
        tree = folder / f"{target.id}-{layout}"
        options = ["--layout", layout, "--exclude", "dev", "-q"]
        if cli.main(["build", str(target.executable), "-o", str(tree), *options]) != 0:
            raise SystemExit(f"{target.id}: no tree of the layout {layout} could be built")
        yield hijack_tree(tree, jobs=os.cpu_count() or 1)


def table(found: Mapping[str, Sequence[Matrix]]) -> str:
    """Return the vectors by interpreter; a cell has the letters of the modes in which one got control."""
    lines = [
        "| code | vector | " + " | ".join(found) + " |",
        "|---|---|" + "---|" * len(found),
    ]
    for code, vector in vectors().items():
        cells = [_cell(code, each) for each in found.values()]
        link = f"[{code}](../reference/hijack-vectors.md#{code.lower()})"
        lines.append(f"| {link} | {vector.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(code: str, found: Sequence[Matrix]) -> str:
    cells = [cell for each in found for row in each.rows if row.vector.code == code for cell in row.cells]
    if all(cell.outcome is Outcome.ABSENT for cell in cells):
        return ""
    if any(cell.outcome is Outcome.NOT_RUN for cell in cells):
        return "?"
    got = [LETTERS[cell.mode] for cell in cells if cell.outcome is Outcome.CONTROL]
    return " ".join(got) or "–"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the module's docstring says."""
    parser = argparse.ArgumentParser(description="Try the whole hijack matrix on every interpreter here.")
    parser.add_argument("targets", nargs="*", metavar="ID", help="3.13, 3.13t, 3.11-debian; all without")
    parser.add_argument("-o", "--output", type=Path, help="a folder for the matrices as JSON")
    given = parser.parse_args(arguments)
    targets = [each for each in discover() if not given.targets or each.id in given.targets]
    if not targets:
        print("no such interpreter is here; name some in ZIPSTRAP_TEST_PYTHONS", file=sys.stderr)
        return 3
    found: dict[str, list[Matrix]] = {}
    bad = []
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder:
        for target in targets:
            found[target.id] = []
            for matrix in matrices(target, Path(folder)):
                found[target.id].append(matrix)
                print(f"{target.id}, {matrix.layout.name}: {_counts(matrix)}", file=sys.stderr)
                bad += [
                    f"{target.id}, {matrix.layout.name}: {row.vector.code} {row.vector.name}"
                    for row in matrix.rows
                    if any(cell.broken for cell in row.cells)
                ]
                bad += [f"{target.id} reads {name}, which no vector knows" for name in matrix.unknown]
                if given.output is not None:
                    path = given.output / f"{target.id}-{matrix.layout.name}.json"
                    path.write_text(json.dumps(matrix_to_json(matrix), indent=1) + "\n", encoding="utf-8")
    print(table(found))
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


def _counts(matrix: Matrix) -> str:
    cells = [cell for row in matrix.rows for cell in row.cells]
    return ", ".join(
        f"{sum(cell.outcome is outcome for cell in cells)} {outcome}"
        for outcome in Outcome
        if any(cell.outcome is outcome for cell in cells)
    )


if __name__ == "__main__":
    sys.exit(main())
