"""The verb plugins, with its own verbs: list, check and vendor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import PYTHON_HELP, add_verb, find
from .terminal import print_json

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("plugins",)


def add_verbs(verbs: Any) -> None:
    """Add plugins."""
    about = "check an application's plugins, and take their loader along"
    group = verbs.add_parser("plugins", help=about, description=about[0].upper() + about[1:] + ".")
    inner = group.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, run, text in (
        ("list", _run_list, "list the plugins of a folder, and what keeps any from being loaded"),
        ("check", _run_check, "check the plugins of a folder; exit status 1 when one would be refused"),
    ):
        verb = add_verb(inner, name, run, text)
        verb.add_argument("folder", metavar="FOLDER", type=Path, help="where the archives *.zip are")
        verb.add_argument("--python", metavar="PYTHON", help=f"what is to load them: {PYTHON_HELP}")
        verb.add_argument(
            "--api", default="", metavar="VERSION", help="the version of the application's interface"
        )
        verb.add_argument(
            "--any-owner", action="store_true", help="do not look at who could write to the folder"
        )
    vendor = add_verb(
        inner, "vendor", _run_vendor, "write the package zipstrap_plugins, which loads them, into a folder"
    )
    vendor.add_argument(
        "folder", metavar="FOLDER", type=Path, help="of an application, or site-packages of a tree"
    )
    vendor.add_argument("--force", action="store_true", help="replace a copy that is there, and nothing else")


def _run_list(arguments: argparse.Namespace) -> int:
    _show(arguments)
    return 0


def _run_check(arguments: argparse.Namespace) -> int:
    return 0 if _show(arguments) else 1


def _show(arguments: argparse.Namespace) -> bool:
    """Print what is in the folder; tell whether nothing is wrong."""
    from zipstrap.errors import FileError, UsageError
    from zipstrap.plugins import check_folder, checked_to_json, fault_lines, is_api, runtime_of

    if arguments.api and not is_api(arguments.api):
        raise UsageError(
            f"--api {arguments.api} is no version of an interface", cure="give MAJOR or MAJOR.MINOR"
        )
    if not arguments.folder.is_dir():
        raise FileError("there is no such folder", file=arguments.folder, cure="name a folder of plugins")
    facts = find(arguments.python, arguments).facts
    checked, faults = check_folder(
        str(arguments.folder),
        runtime=runtime_of(facts),
        api=arguments.api,
        check_owner=not arguments.any_owner,
    )
    if arguments.format == "json":
        print_json(checked_to_json(checked, faults))
    elif not arguments.quiet:
        for fault in faults:
            print(f"{fault.file}: no plugin is loaded from here")
            print("\n".join(fault_lines([fault])))
        for each in checked:
            about = each.metadata
            what = "no plugin" if about is None else f"{about.name} {about.version}, {about.entry_point}"
            print(f"{'ok' if each.ok else 'REFUSED'} {each.file}: {what}")
            if about is not None and about.about and arguments.verbose:
                print(f"  {about.about}")
            for line in fault_lines(each.faults):
                print(line)
        if not checked and not faults:
            print("no plugins")
    return not faults and all(each.ok for each in checked)


def _run_vendor(arguments: argparse.Namespace) -> int:
    from zipstrap.plugins import vendor

    files = vendor(arguments.folder, force=arguments.force)
    if arguments.format == "json":
        print_json({"schema_version": 1, "files": [str(file) for file in files]})
    elif not arguments.quiet:
        for file in files:
            print(f"written: {file}")
    return 0
