"""The verb trace."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import add_verb, find, folder
from .terminal import count

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.trace import Trace
    from zipstrap.tracing import Traced

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("trace",)


def add_verbs(verbs: Any) -> None:
    """Add trace."""
    verb = add_verb(
        verbs, "trace", _run_trace, "run an application and write down what it imports and opens", formats=()
    )
    verb.usage = "zipstrap trace [OPTIONS] -- COMMAND ..."
    verb.add_argument("command", nargs="+", metavar="COMMAND", help="a program with its arguments, behind --")
    verb.add_argument(
        "-o",
        "--output",
        type=folder,
        default=Path("zipstrap-trace.json"),
        metavar="FILE",
        help="where the trace is written (default: zipstrap-trace.json)",
    )
    verb.add_argument(
        "--python",
        metavar="PYTHON",
        help="whose library counts, by path or version; a COMMAND that begins with an option is arguments of "
        "it (default: what COMMAND runs)",
    )
    verb.add_argument(
        "--any-status",
        action="store_true",
        help="write the trace of a command that fails or is interrupted too",
    )
    verb.add_argument("--force", action="store_true", help="replace a trace that is there")


def _run_trace(arguments: argparse.Namespace) -> int:
    from zipstrap.tracing import trace_command

    facts = find(arguments.python, arguments).facts if arguments.python is not None else None
    traced = trace_command(
        arguments.command,
        Path(os.path.abspath(arguments.output)),  # noqa: PTH100 - links in the name are the user's
        facts,
        force=arguments.force,
        any_status=arguments.any_status,
    )
    if not arguments.quiet:
        # stdout is the command's
        print("\n".join(_lines(traced, verbose=arguments.verbose)), file=sys.stderr)
    return traced.status


def _lines(traced: Traced, *, verbose: bool) -> Iterator[str]:
    trace = traced.trace
    yield f"{traced.file}: {trace.target.name}, {_processes(trace.processes)}"
    yield from _found(trace)
    yield from _listed("asked for and not there", trace.missing, verbose=verbose)
    yield from _listed("files of the library", trace.files, verbose=verbose)
    for other in trace.others:
        yield f"not of this interpreter: {other.name} ({other.executable}), {_processes(other.processes)}"
    shown = trace.unseen if verbose else trace.unseen[:3]
    for unseen in shown:
        yield f"not seen: {' '.join(unseen.command)} ({unseen.reason})"
    if len(shown) < len(trace.unseen):
        yield f"not seen: {len(trace.unseen) - len(shown)} more (-v)"


def _processes(number: int) -> str:
    return count(number, "process", "processes")


def _found(trace: Trace) -> Iterator[str]:
    counts = {
        origin: sum(module.origin == origin for module in trace.modules)
        for origin in ("library", "frozen", "builtin", "application")
    }
    start = sum(module.start for module in trace.modules)
    yield (
        f"{count(len(trace.modules), 'module')}: {counts['library']} of the library, {counts['frozen']} "
        f"frozen, {counts['builtin']} built in, {counts['application']} of the application; "
        f"{start} come with each start"
    )


def _listed(what: str, names: tuple[str, ...], *, verbose: bool) -> Iterator[str]:
    if names:
        shown = names if verbose or len(names) <= 6 else names[:5]
        more = f" and {len(names) - len(shown)} more (-v)" if len(shown) < len(names) else ""
        yield f"{what}: {', '.join(shown)}{more}"
