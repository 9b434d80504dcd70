"""The verbs that change an installation where it stands: convert and restore."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from zipstrap.config import CHOICES
from zipstrap.errors import UsageError

from .arguments import PYTHON_HELP, add_making, add_verb, settings_of
from .terminal import by_reason, count, first_of, note_lines, print_json, progress

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.build import Settings
    from zipstrap.conversion import Conversion
    from zipstrap.convert import Converted, InPlace, ToConvert
    from zipstrap.verify.report import Verification

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("convert", "restore")


def add_verbs(verbs: Any) -> None:
    """Add convert and restore."""
    verb = add_verb(verbs, "convert", _run_convert, "let an installation boot from archives where it stands")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)
    verb.add_argument(
        "--layout",
        choices=[layout for layout in CHOICES["layout"] if layout not in ("directory", "isolated")],
        help="who reads the archives: our importer, or zipimport (default: fast)",
    )
    add_making(verb)
    verb.add_argument(
        "--clear",
        action=argparse.BooleanOptionalAction,
        help="move what the archives stand for out of the library's folder, into a store beside them "
        "(default: only where the sources are not to be files)",
    )
    verb.add_argument(
        "--guard",
        choices=CHOICES["guard"],
        help="what a start does when the library is not the installation's own (default: off)",
    )
    verb.add_argument(
        "--zips",
        choices=("sitecustomize", "off"),
        help="whether each start adds the archives of a zips folder (default: off)",
    )
    verb.add_argument("--no-verify", action="store_true", help="leave it unverified, and say so")
    verb.add_argument("--force", action="store_true", help="convert what a package manager owns")
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
    how.add_argument("--status", action="store_true", help="say how far it is converted, and change nothing")

    verb = add_verb(verbs, "restore", _run_restore, "put a converted installation back as it was")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)


def _run_convert(arguments: argparse.Namespace) -> int:
    from zipstrap.convert import (
        ConvertFailed,
        convert,
        find_in_place,
        is_as_asked,
        plan_conversion,
        status_of,
    )
    from zipstrap.interpreter import probe

    settings = _settings(arguments)
    place = find_in_place(arguments.python)
    state, conversion = status_of(place)
    if arguments.status:
        return _show_status(place, state, conversion, arguments)
    if arguments.dry_run:
        if conversion is not None:
            if state == "converted" and not is_as_asked(conversion, settings, clear=arguments.clear):
                state += " with other options: it would be undone, and converted with these"
            return _show_status(place, state, conversion, arguments)
        return _show_plan(
            plan_conversion(probe(place.executable), settings, clear=arguments.clear), arguments
        )
    try:
        with progress(arguments) as show:
            done = convert(place, settings, clear=arguments.clear, on_progress=show)
    except ConvertFailed as failure:
        _show_failure(place, failure.verification, arguments)
        raise
    if arguments.format == "json":
        print_json(_converted_to_json(done))
    elif not arguments.quiet:
        sys.stdout.write(_converted_to_text(done, verbose=arguments.verbose))
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    import dataclasses

    settings = settings_of(arguments)
    if settings.layout == "directory":
        raise UsageError("an installation has the layout directory already", cure="choose fast or standard")
    # nobody asked an installation for more than it had: a configuration for builds is not for these
    options = dataclasses.replace(
        settings.options, guard=arguments.guard or "off", zips=arguments.zips or "off"
    )
    return dataclasses.replace(settings, options=options)


def _run_restore(arguments: argparse.Namespace) -> int:
    from zipstrap.convert import find_in_place, restore

    place = find_in_place(arguments.python)
    done = restore(place)
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "executable": str(place.executable),
                "found": done.found or "it was not converted",
                "restored": bool(done.found),
                "moved_back": done.moved_back,
                "notes": list(done.notes),
            }
        )
        return 0
    if not arguments.quiet:
        if done.found:
            print(f"{place.executable}: {done.found}; it is as it was before")
            if done.moved_back:
                print(f"moved back: {_moved(done.moved_back)}")
        else:
            print(f"{place.executable}: it was not converted; there is nothing to restore")
        for line in note_lines(done.notes):
            print(line)
    return 0


def _show_status(
    place: InPlace, state: str, conversion: Conversion | None, arguments: argparse.Namespace
) -> int:
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "executable": str(place.executable),
                "state": state,
                "conversion": None if conversion is None else _conversion_to_json(place, conversion),
            }
        )
        return 0
    print(f"{place.executable}: {state}")
    for line in () if conversion is None else _conversion_lines(place, conversion):
        print(line)
    return 0


def _show_plan(todo: ToConvert, arguments: argparse.Namespace) -> int:
    plan, lib = todo.prepared.plan, todo.place.lib
    names = [str(lib.parent / plan.layout.library_archive), str(lib.parent / plan.layout.archive)]
    members = {member.name for member in plan.members}
    inside = f"{plan.layout.library}/"
    on_disk = [
        (file.path, file.reason)
        for file in plan.files
        if file.source is not None
        and file.path.startswith(inside)
        and file.path.removeprefix(inside) not in members
    ]
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "executable": str(todo.place.executable),
                "target": todo.facts.name,
                "layout": plan.layout.name,
                "archives": list(dict.fromkeys(names)),
                "members": sorted(members),
                "moved": list(todo.moves),
                "stays": [{"path": path, "reason": reason} for path, reason in on_disk],
                "notes": list(todo.notes),
            }
        )
        return 0
    print(f"{todo.place.executable}: {todo.facts.name}; this is the plan, nothing is changed")
    for name in dict.fromkeys(names):
        print(f"put in: {name}" + (f", {count(len(members), 'file')}" if name == names[0] else ""))
    if todo.moves:
        print(f"moved into {lib / todo.place.store}: {_moved(len(todo.moves))}")
        for path in todo.moves if arguments.verbose else ():
            print(f"  {path}")
    else:
        print("moved: nothing; the library's files stay where they are")
    print(f"not in the archive: {count(len(on_disk), 'file')}")
    for reason, paths in by_reason(iter(on_disk)).items():
        print(f"  {first_of(paths)}: {reason}")
    for line in note_lines(todo.notes):
        print(line)
    return 0


def _show_failure(place: InPlace, verification: Verification, arguments: argparse.Namespace) -> None:
    from zipstrap.verify.report import verification_to_json, verification_to_text

    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "executable": str(place.executable),
                "conversion": None,
                "verification": verification_to_json(verification),
            }
        )
    elif not arguments.quiet:
        sys.stdout.write(verification_to_text(verification, verbose=arguments.verbose))


def _converted_to_text(done: Converted, *, verbose: bool) -> str:
    from zipstrap.verify.report import verification_to_text

    place = done.place
    if done.already:
        lines = [f"{place.executable}: it is converted already; zipstrap restore puts it back"]
    else:
        lines = [f"{place.executable}: {done.conversion.target} boots from {place.lib / place.archive}"]
    if done.found and not done.already:
        lines.insert(0, f"{place.executable}: {done.found}; that was undone first")
    lines += _conversion_lines(place, done.conversion)
    lines += note_lines(done.notes)
    text = "\n".join(lines) + "\n"
    if done.verification is not None:
        return text + verification_to_text(done.verification, verbose=verbose)
    return text if done.already else text + "not verified, as you asked: zipstrap verify does it\n"


def _conversion_lines(place: InPlace, conversion: Conversion) -> list[str]:
    lines = [f"layout: {conversion.layout}, by {conversion.made_by}"]
    lines += [
        f"archive: {place.lib / archive.name}, {archive.size / 1e6:.1f} MB, sha256 {archive.sha256}"
        for archive in conversion.archives
    ]
    moved = (
        f"{count(len(conversion.moves), 'file or folder')} of the library, and " if conversion.moves else ""
    )
    lines.append(f"store: {place.lib / place.store}, with {moved}what restore needs to know")
    return lines


def _moved(number: int) -> str:
    return f"{number} files and folders" if number != 1 else "1 file or folder"


def _conversion_to_json(place: InPlace, conversion: Conversion) -> dict[str, Any]:
    return {
        "made_by": conversion.made_by,
        "target": conversion.target,
        "layout": conversion.layout,
        "source": conversion.source,
        "archives": [
            {"path": str(place.lib / archive.name), "size": archive.size, "sha256": archive.sha256}
            for archive in conversion.archives
        ],
        "store": str(place.lib / place.store),
        "moved": [move.path for move in conversion.moves],
    }


def _converted_to_json(done: Converted) -> dict[str, Any]:
    from zipstrap.verify.report import verification_to_json

    return {
        "schema_version": 1,
        "executable": str(done.place.executable),
        "already": done.already,
        "found": done.found,
        "conversion": _conversion_to_json(done.place, done.conversion),
        "notes": list(done.notes),
        "verification": None if done.verification is None else verification_to_json(done.verification),
    }
