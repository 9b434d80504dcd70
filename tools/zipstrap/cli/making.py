"""The verbs that make trees and archives: build and pack."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipstrap.config import CHOICES
from zipstrap.errors import FileError

from .arguments import PYTHON_HELP, add_selection, add_tree, add_verb, settings_of, size, target_of_arguments
from .terminal import by_reason, count, first_of, note_lines, print_json, progress

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.build import Built, Packed, Prepared
    from zipstrap.imports import Import, OptionalImport
    from zipstrap.manifest import Manifest
    from zipstrap.verify.report import Verification

__all__ = ["VERBS", "add_verbs", "broken_lines", "imports_to_json", "show_failure", "show_plan"]

#: what add_verbs adds
VERBS = ("build", "pack")

#: from which size on a component that few need is worth a line, in bytes
_LARGE = 20_000_000

#: how many packages of an account are shown without -v
_ACCOUNT = 25

#: how many of a list are shown without -v
_SHOWN = 8


def add_verbs(verbs: Any) -> None:
    """Add build and pack."""
    verb = add_verb(verbs, "build", _run_build, "pack, stage, hook, verify and report: the main job")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)
    verb.add_argument("-o", "--output", required=True, type=Path, metavar="TREE", help="the folder to make")
    verb.add_argument(
        "--extensions",
        choices=CHOICES["extensions"],
        help="where the extension modules are: on disk, or in the archive, which with the executable is all "
        "then: a Python of two files (layout fast, Linux) (default: disk)",
    )
    add_selection(verb)
    _add_max_size(verb, "the tree's files")
    add_tree(verb)

    verb = add_verb(verbs, "pack", _run_pack, "make the archive alone")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)
    verb.add_argument(
        "-o", "--output", required=True, type=Path, metavar="ARCHIVE", help="the file, or its folder"
    )
    add_selection(verb)
    _add_max_size(verb, "the archive")


def _add_max_size(verb: argparse.ArgumentParser, what: str) -> None:
    verb.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help=f"how much {what} may take, in bytes, or with K, M or G; if it is more, it is not made, and "
        "what it would hold is listed by size (default: no limit)",
    )


def _run_build(arguments: argparse.Namespace) -> int:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        # to find and to ask the target is mostly waiting, the rest of it mostly imports
        asking = pool.submit(target_of_arguments, arguments)
        settings = settings_of(arguments)
        from zipstrap.build import BuildFailed, build, prepare

        facts = asking.result()
    destination = Path(os.path.abspath(arguments.output))  # noqa: PTH100 - links in the name are the user's
    if arguments.dry_run:
        return show_plan(prepare(facts, settings), arguments)
    try:
        with progress(arguments) as show:
            built = build(facts, destination, settings, on_progress=show)
    except BuildFailed as failure:
        show_failure(failure.verification, arguments, {"tree": None, "target": facts.name})
        raise
    except FileError as failure:
        _show_account(failure, arguments, {"tree": None, "target": facts.name})
        raise
    if arguments.format == "json":
        print_json(_built_to_json(built))
    elif not arguments.quiet:
        sys.stdout.write(_built_to_text(built, verbose=arguments.verbose))
    return 0


def _show_account(failure: FileError, arguments: argparse.Namespace, what: Mapping[str, str | None]) -> None:
    """Print what takes how much of a result that is too large; *what* names it in JSON."""
    from zipstrap.size_account import TooLarge

    if not isinstance(failure, TooLarge):
        return
    account = failure.account
    if arguments.format == "json":
        packages = [{**dataclasses.asdict(package), "size": package.size} for package in account.packages]
        print_json(
            {"schema_version": 1, **what, "account": {**dataclasses.asdict(account), "packages": packages}}
        )
        return
    if arguments.quiet:
        return
    print(f"{account.size / 1e6:.2f} MB, of {account.limit / 1e6:.2f} MB that are allowed:")
    shown = account.packages if arguments.verbose else account.packages[:_ACCOUNT]
    for package in shown:
        words = [package.fixed, "traced" if package.traced and not package.fixed else ""]
        if package.required_by and not package.fixed:
            words.append(f"required by {first_of(package.required_by)}")
        if package.exclude in account.leave_out and package.exclude:
            words.append("leave it out")
        why = ", ".join(filter(None, words))
        archived = f"{package.in_archive / 1e3:9.1f} kB in the archive"
        print(f"  {package.size / 1e3:10.1f} kB  {archived}  {package.name}{why and f'  ({why})'}")
    if len(shown) < len(account.packages):
        print(f"  and {len(account.packages) - len(shown)} more (-v)")


def show_failure(
    verification: Verification, arguments: argparse.Namespace, what: Mapping[str, str | None]
) -> None:
    """Print what verify found wrong with what was made, and is not there; *what* names it in JSON."""
    from zipstrap.verify.report import verification_to_json, verification_to_text

    if arguments.format == "json":
        print_json({"schema_version": 1, **what, "verification": verification_to_json(verification)})
    elif not arguments.quiet:
        sys.stdout.write(verification_to_text(verification, verbose=arguments.verbose))


def _run_pack(arguments: argparse.Namespace) -> int:
    from zipstrap.build import pack, prepare

    settings = settings_of(arguments)
    facts = target_of_arguments(arguments)
    if arguments.dry_run:
        return show_plan(prepare(facts, settings, archive_only=True), arguments)
    destination = Path(os.path.abspath(arguments.output))  # noqa: PTH100
    try:
        with progress(arguments) as show:
            packed = pack(facts, destination, settings, on_progress=show)
    except FileError as failure:
        _show_account(failure, arguments, {"archive": None, "target": facts.name})
        raise
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "archive": str(packed.archive),
                "target": packed.facts.name,
                "size": packed.size,
                "sha256": packed.sha256,
                "members": len(packed.members),
                "must_be_on_disk": [{"path": path, "reason": reason} for path, reason in packed.on_disk],
                "broken_imports": imports_to_json(packed.broken),
                "optional_imports": _optional_to_json(packed.optional),
                "notes": list(packed.notes),
            }
        )
    elif not arguments.quiet:
        sys.stdout.write(_packed_to_text(packed))
    return 0


def show_plan(prepared: Prepared, arguments: argparse.Namespace) -> int:
    """Print what a build would do, and return the exit status."""
    plan = prepared.plan
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "target": plan.facts.name,
                "profile": plan.profile,
                "archive": plan.layout.library_archive,
                "members": [
                    {"name": member.name, "module": member.module, "component": member.component}
                    for member in plan.members
                ],
                "files": [
                    {"path": file.path, "kind": file.kind.value, "reason": file.reason} for file in plan.files
                ],
                "left_out": [{"path": item.entry.path, "reason": item.reason} for item in plan.left_out],
                "broken_imports": imports_to_json(prepared.broken),
                "optional_imports": _optional_to_json(prepared.optional),
                "notes": list(prepared.notes),
            }
        )
        return 0
    print(f"{plan.facts.name}, profile {plan.profile}; this is the plan, nothing is written")
    print(f"into {plan.layout.library_archive}: {count(len(plan.members), 'file')}")
    for member in plan.members if arguments.verbose else ():
        print(f"  {member.name}")
    print(f"on disk: {len(plan.files)} files, folders and links")
    for reason, paths in by_reason((file.path, file.reason) for file in plan.files).items():
        print(f"  {first_of(paths)}: {reason}")
    left_out = [item for item in plan.left_out if item.entry.kind != "junk"]
    print(f"left out: {count(len(left_out), 'file')}")
    for reason, paths in by_reason((item.entry.path, item.reason) for item in left_out).items():
        print(f"  {first_of(paths)}: {reason}")
    verbose = arguments.verbose
    for line in (
        *broken_lines(prepared.broken, verbose=verbose),
        *_optional_lines(prepared.optional, verbose=verbose),
        *note_lines(prepared.notes),
    ):
        print(line)
    return 0


def _built_to_text(built: Built, *, verbose: bool) -> str:
    from zipstrap.manifest import MANIFEST_NAME, manifest_digest
    from zipstrap.verify.report import verification_to_text

    manifest = built.manifest
    on_disk = sum(file.size for file in manifest.files)
    lines = [
        f"{built.tree}: {manifest.target.name}, profile {manifest.profile}",
        f"archive: {manifest.layout.library_archive}, {len(manifest.members)} members, "
        f"{manifest.archive_size / 1e6:.1f} MB, "
        f"sha256 {manifest.archive_sha256}",
        *_compression_lines(manifest),
        f"on disk: {len(manifest.files)} files, {on_disk / 1e6:.1f} MB",
        f"manifest: {MANIFEST_NAME}, sha256 {manifest_digest(manifest)}",
        f"modules: {built.compiled}, {built.from_cache} of them from the cache",
    ]
    if manifest.needs:
        needs = manifest.needs if verbose or len(manifest.needs) <= 8 else manifest.needs[:6]
        more = (
            f" and {len(manifest.needs) - len(needs)} more (-v)" if len(needs) < len(manifest.needs) else ""
        )
        lines.append(f"shared libraries needed of the system: {', '.join(needs)}{more}")
    static = sum(file.size for file in manifest.files if file.component == "static")
    if static > _LARGE:
        lines.append(f"{static / 1e6:.1f} MB of this are a static libpython: --exclude static leaves it out")
    lines += (
        *broken_lines(built.broken, verbose=verbose),
        *_optional_lines(built.optional, verbose=verbose),
        *note_lines(manifest.notes),
    )
    if built.verification is None:
        lines.append(
            "not verified: an unpacked library has nothing to show"
            if manifest.layout.name == "directory"
            else "not verified, as you asked: zipstrap verify does it"
        )
        return "\n".join(lines) + "\n"
    return "\n".join(lines) + "\n" + verification_to_text(built.verification, verbose=verbose)


def _compression_lines(manifest: Manifest) -> Iterator[str]:
    if manifest.compress == "stored":
        return
    # bytecode over a dictionary is stored, under a name that says so
    packed = [each for each in manifest.members if each.method or each.name.endswith(".zst")]
    size = sum(member.compressed_size for member in packed)
    hot = "; hot modules are stored" if manifest.hot == "usual" or manifest.hot_of else ""
    yield (
        f"compressed: {manifest.compress}, {len(packed)} members to {size / 1e6:.1f} MB{hot}"
        f"{'' if manifest.debug_ranges else '; no debug ranges'}"
    )


def _built_to_json(built: Built) -> dict[str, Any]:
    from zipstrap.manifest import MANIFEST_NAME, manifest_digest
    from zipstrap.verify.report import verification_to_json

    manifest = built.manifest
    return {
        "schema_version": 1,
        "tree": str(built.tree),
        "target": manifest.target.name,
        "profile": manifest.profile,
        "archive": {
            "path": manifest.layout.library_archive,
            "size": manifest.archive_size,
            "sha256": manifest.archive_sha256,
            "members": len(manifest.members),
        },
        "manifest": {"path": MANIFEST_NAME, "sha256": manifest_digest(manifest)},
        "modules": built.compiled,
        "from_cache": built.from_cache,
        "needs": list(manifest.needs),
        "broken_imports": imports_to_json(built.broken),
        "optional_imports": _optional_to_json(built.optional),
        "notes": list(manifest.notes),
        "verification": None if built.verification is None else verification_to_json(built.verification),
    }


def _packed_to_text(packed: Packed) -> str:
    lines = [
        f"{packed.archive}: {packed.facts.name}, {len(packed.members)} members, {packed.size / 1e6:.1f} MB, "
        f"sha256 {packed.sha256}"
    ]
    if packed.on_disk:
        lines.append(f"not in it, because they work from disk only: {len(packed.on_disk)} files")
        lines += (
            f"  {first_of(paths)}: {reason}" for reason, paths in by_reason(iter(packed.on_disk)).items()
        )
    lines += (
        *broken_lines(packed.broken, verbose=False),
        *_optional_lines(packed.optional, verbose=False),
        *note_lines(packed.notes),
    )
    return "\n".join(lines) + "\n"


def broken_lines(broken: Sequence[Import], *, verbose: bool) -> Iterator[str]:
    """Yield what to say of imports that lead to what is left out."""
    required = [item for item in broken if item.kind == "required"]
    others = [item for item in broken if item.kind != "required"]
    for item in required:
        yield f"warning: {item.importer} (line {item.line}) imports {item.module}, which is left out"
    if others and not verbose:
        count = len({item.importer for item in others})
        who = "1 module imports" if count == 1 else f"{count} modules import"
        yield f"{who} something left out, in functions or under conditions: -v lists them"
    for item in others if verbose else ():
        yield f"{item.importer} (line {item.line}, {item.kind}) imports {item.module}, which is left out"


def _optional_lines(optional: Sequence[OptionalImport], *, verbose: bool) -> Iterator[str]:
    """Yield what to say of imports in functions and under conditions that lead to what is left out."""
    if not optional:
        return
    yield (
        f"{count(len(optional), 'module or package', 'modules or packages')} left out "
        "that something imports in functions or under conditions; --include NAME takes one"
        + ("" if verbose or len(optional) <= _SHOWN else " (-v lists all)")
    )
    for each in optional if verbose else optional[:_SHOWN]:
        yield (
            f"  {each.name}: {count(len(each.modules), 'module')}, {each.size / 1e3:.0f} kB of files, "
            f"for {first_of(each.importers)}"
        )


def _optional_to_json(optional: Sequence[OptionalImport]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(each) for each in optional]


def imports_to_json(broken: Sequence[Import]) -> list[dict[str, Any]]:
    """Return *broken* as it is written in JSON."""
    return [
        {"importer": item.importer, "module": item.module, "line": item.line, "kind": item.kind}
        for item in broken
    ]
