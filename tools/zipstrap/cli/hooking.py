"""The verb hooks, with its own verbs: list, install, remove and migrate."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import add_verb, find
from .terminal import note_lines, print_changes, print_json

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.start_hooks import Hook, Start

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("hooks",)

_TARGET = "a tree, a virtual environment, or an interpreter by path or version"


def add_verbs(verbs: Any) -> None:
    """Add hooks."""
    about = "list, install, remove and migrate what runs at each start"
    group = verbs.add_parser("hooks", help=about, description=about[0].upper() + about[1:] + ".")
    inner = group.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, run, text in (
        ("list", _run_list, "list what a start reads: whose it is, what it runs, in which order"),
        ("install", _run_install, "install what adds the archives of a zips folder"),
        ("remove", _run_remove, "remove what install and migrate have written, and nothing else"),
        ("migrate", _run_migrate, "let import lines of .pth files go on from 3.18 on (PEP 829)"),
    ):
        verb = add_verb(inner, name, run, text)
        verb.add_argument("target", metavar="TARGET", help=_TARGET)
        if name == "install":
            verb.add_argument(
                "--kind",
                choices=("pth", "start", "sitecustomize"),
                default="pth",
                help="by which kind of file; start from 3.15 on (default: pth)",
            )
            verb.add_argument("--user", action="store_true", help="in the user's site folder")
        elif name == "migrate":
            verb.add_argument("files", nargs="*", metavar="FILE.pth", help="only these (default: all)")


def _start(arguments: argparse.Namespace) -> Start:
    from zipstrap.start_hooks import start_of

    return start_of(arguments.target, lambda what: Path(find(what, arguments).facts.executable))


def _run_list(arguments: argparse.Namespace) -> int:
    from zipstrap.start_hooks import list_start

    start = _start(arguments)
    hooks, notes = list_start(start)
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "executable": str(start.executable),
                "version": f"{start.version[0]}.{start.version[1]}",
                "folders": [{"kind": each.kind, "path": str(each.path)} for each in start.folders],
                "hooks": [_hook_to_json(each) for each in hooks],
                "notes": list(notes),
            }
        )
    elif not arguments.quiet:
        print(f"{start.executable}, Python {start.version[0]}.{start.version[1]}")
        for each in start.folders:
            print(f"{each.kind} folder: {each.path}")
        for line in (*(line for hook in hooks for line in _hook_lines(hook)), *note_lines(notes)):
            print(line)
        if not hooks:
            print("no hooks")
    return 0


def _hook_lines(hook: Hook) -> Iterator[str]:
    place = f"{hook.order}." if hook.order is not None else "-"
    yield f"{place} {hook.path} ({hook.origin}; works with {hook.works})"
    for line in hook.runs:
        yield f"   runs {line}"
    for path in hook.adds:
        yield f"   adds {path}"
    for problem in hook.problems:
        yield f"   problem: {problem}"


def _hook_to_json(hook: Hook) -> dict[str, Any]:
    return {
        "path": str(hook.path),
        "kind": hook.kind,
        "origin": hook.origin,
        "order": hook.order,
        "runs": list(hook.runs),
        "adds": list(hook.adds),
        "works": hook.works,
        "problems": list(hook.problems),
    }


def _run_install(arguments: argparse.Namespace) -> int:
    from zipstrap.start_hooks import install

    return print_changes(install(_start(arguments), arguments.kind, user=arguments.user), arguments)


def _run_remove(arguments: argparse.Namespace) -> int:
    from zipstrap.start_hooks import remove

    return print_changes(remove(_start(arguments)), arguments)


def _run_migrate(arguments: argparse.Namespace) -> int:
    from zipstrap.start_hooks import migrate

    return print_changes(migrate(_start(arguments), arguments.files), arguments)
