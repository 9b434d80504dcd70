"""What is printed, and how progress is shown."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zipstrap.start_hooks import Change

__all__ = ["by_reason", "count", "first_of", "note_lines", "print_changes", "print_json", "progress", "steps"]


def print_json(values: object) -> None:
    """Print *values* as JSON."""
    json.dump(values, sys.stdout, indent=1)
    sys.stdout.write("\n")


def print_changes(changes: Sequence[Change], arguments: argparse.Namespace) -> int:
    """Print the files that were written or removed, as *arguments* ask for; return the exit status."""
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "files": [{"path": str(change.path), "done": change.done} for change in changes],
            }
        )
    elif not arguments.quiet:
        for change in changes:
            print(f"{change.done}: {change.path}")
        if not changes:
            print("nothing to do")
    return 0


def by_reason(items: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the paths of *items*, which are pairs of path and reason, by reason."""
    groups: dict[str, list[str]] = {}
    for path, reason in items:
        groups.setdefault(reason, []).append(path)
    return groups


def count(number: int, what: str, several: str = "") -> str:
    """Return *number* with *what*, in the plural (*several*, if it is not with an s) if need be."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def first_of(paths: Sequence[str]) -> str:
    """Return the first of *paths*, and how many more there are."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def note_lines(notes: Sequence[str]) -> Iterator[str]:
    """Yield a line for each note."""
    for note in notes:
        yield f"note: {note}"


@contextlib.contextmanager
def progress(arguments: argparse.Namespace) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows progress: a bar on a terminal, nothing elsewhere."""
    if arguments.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling and compressing", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@contextlib.contextmanager
def steps(arguments: argparse.Namespace) -> Iterator[Callable[[str, int, int], None] | None]:
    """Yield what shows named steps: a bar on a terminal, a line now and then elsewhere."""
    if arguments.quiet:
        yield None
        return
    if not sys.stderr.isatty():
        import time

        told = [("", 0.0)]

        def tell(what: str, done: int, total: int) -> None:
            # hours may pass: whoever reads a log of CI wants to see that it goes on
            if what != told[0][0] or time.monotonic() - told[0][1] > 60 or done == total:
                told[0] = (what, time.monotonic())
                print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show
