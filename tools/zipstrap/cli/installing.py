"""The verbs of generations below a prefix: install, list, rollback, gc and uninstall."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import (
    PYTHON_HELP,
    add_selection,
    add_tree,
    add_verb,
    folder,
    positive,
    processors,
    settings_of,
    target_of_arguments,
)
from .making import show_failure, show_plan
from .terminal import print_json, progress

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.generations.change import Changed

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("install", "list", "rollback", "gc", "uninstall")


def add_verbs(verbs: Any) -> None:
    """Add install, list, rollback, gc and uninstall."""
    verb = add_verb(
        verbs,
        "install",
        _run_install,
        "make a generation below a prefix, and make it current; also an upgrade",
    )
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)
    _add_prefix(verb)
    add_selection(verb, force="make a new generation even if there is one with the same content")
    add_tree(verb)

    verb = add_verb(
        verbs, "list", _run_list, "tell what is installed below a prefix, and what is wrong there"
    )
    _add_prefix(verb)

    verb = add_verb(verbs, "rollback", _run_rollback, "make an earlier generation current again")
    verb.add_argument(
        "number",
        nargs="?",
        type=positive,
        metavar="N",
        help="the generation (default: the newest that is older than the current one)",
    )
    _add_prefix(verb)
    _add_python(verb, "--python", "the version to roll back, where several are installed, such as 3.13")
    verb.add_argument("--no-verify", action="store_true", help="do not let it start before it is current")

    verb = add_verb(verbs, "gc", _run_gc, "remove the generations that nobody needs")
    _add_prefix(verb)
    verb.add_argument(
        "--keep",
        type=_natural,
        default=1,
        metavar="N",
        help="how many of each version to keep besides the current one, to roll back to (default: 1)",
    )
    verb.add_argument(
        "--grace",
        type=_seconds,
        metavar="SECONDS",
        help="keep what was current less than this ago: a start may be on its way to it (default: 60)",
    )
    verb.add_argument(
        "--ignore-unreadable",
        action="store_true",
        help="take processes of other users, which may not be looked into, for no users of a generation",
    )
    verb.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")

    verb = add_verb(
        verbs, "uninstall", _run_uninstall, "remove all that install has made, and nothing of the user's"
    )
    _add_python(verb, "python", "the version to remove, such as 3.13 (default: all)")
    _add_prefix(verb)
    verb.add_argument(
        "--purge", action="store_true", help="remove the installed packages and their scripts too"
    )
    verb.add_argument("--force", action="store_true", help="even if processes still use it")


def _add_prefix(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--prefix", required=True, type=folder, metavar="P", help="the folder that has bin and lib"
    )


def _add_python(verb: argparse.ArgumentParser, name: str, about: str) -> None:
    options: dict[str, Any] = {} if name.startswith("-") else {"nargs": "?"}
    verb.add_argument(name, type=_executable_name, metavar="VERSION", help=about, **options)


def _executable_name(text: str) -> str:
    found = re.fullmatch(r"(?:python)?(3\.\d+t?d?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 3.13 or 3.13t")
    return f"python{found[1]}"


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")
    return number


def _prefix(arguments: argparse.Namespace) -> Path:
    return Path(os.path.abspath(arguments.prefix))  # noqa: PTH100 - links in the name are the user's


def _run_install(arguments: argparse.Namespace) -> int:
    from zipstrap.build import BuildFailed, prepare
    from zipstrap.generations.change import install

    settings = settings_of(arguments)
    facts = target_of_arguments(arguments)
    if arguments.dry_run:
        return show_plan(prepare(facts, settings, generation=True), arguments)
    try:
        with progress(arguments) as show:
            changed = install(facts, _prefix(arguments), settings, on_progress=show)
    except BuildFailed as failure:
        show_failure(failure.verification, arguments, {"generation": None})
        raise
    return _show_changed(changed, arguments)


def _run_rollback(arguments: argparse.Namespace) -> int:
    from zipstrap.build import BuildFailed
    from zipstrap.generations.change import rollback

    try:
        changed = rollback(
            _prefix(arguments),
            arguments.number,
            name=arguments.python,
            verify=not arguments.no_verify,
            jobs=processors(),
        )
    except BuildFailed as failure:
        show_failure(failure.verification, arguments, {"generation": None})
        raise
    return _show_changed(changed, arguments)


def _show_changed(changed: Changed, arguments: argparse.Namespace) -> int:
    from zipstrap.generations.report import changed_to_json, changed_to_text

    if arguments.format == "json":
        print_json(changed_to_json(changed))
    elif not arguments.quiet:
        sys.stdout.write(changed_to_text(changed, verbose=arguments.verbose))
    return 0


def _run_list(arguments: argparse.Namespace) -> int:
    from zipstrap.generations.report import list_prefix, listing_to_json, listing_to_text

    listing = list_prefix(_prefix(arguments))
    if arguments.format == "json":
        print_json(listing_to_json(listing))
    else:
        sys.stdout.write(listing_to_text(listing))
    return 0


def _run_gc(arguments: argparse.Namespace) -> int:
    from zipstrap.generations.remove import GRACE, collect
    from zipstrap.generations.report import collected_to_json, collected_to_text

    collected = collect(
        _prefix(arguments),
        keep=arguments.keep,
        grace=GRACE if arguments.grace is None else arguments.grace,
        dry_run=arguments.dry_run,
        ignore_unreadable=arguments.ignore_unreadable,
    )
    if arguments.format == "json":
        print_json(collected_to_json(collected))
    elif not arguments.quiet:
        sys.stdout.write(collected_to_text(collected))
    return 0


def _run_uninstall(arguments: argparse.Namespace) -> int:
    from zipstrap.generations.remove import uninstall
    from zipstrap.generations.report import uninstalled_to_json, uninstalled_to_text

    uninstalled = uninstall(
        _prefix(arguments), arguments.python, purge=arguments.purge, force=arguments.force
    )
    if arguments.format == "json":
        print_json(uninstalled_to_json(uninstalled))
    elif not arguments.quiet:
        sys.stdout.write(uninstalled_to_text(uninstalled))
    return 0
