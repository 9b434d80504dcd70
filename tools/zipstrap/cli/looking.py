"""The verbs that look at what is there: verify, inspect, report, audit and facts."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipstrap.errors import FileError, InterpreterError, UsageError

from .arguments import PYTHON_HELP, add_limits, add_verb, find, limits_of, positive, processors
from .terminal import print_json, steps

if TYPE_CHECKING:  # imported where it is used: --version and --help stay quick
    from zipstrap.verify.report import Verification

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("verify", "inspect", "report", "audit", "facts")


def add_verbs(verbs: Any) -> None:
    """Add verify, inspect, report, audit and facts."""
    verb = add_verb(
        verbs,
        "verify",
        _run_verify,
        "check where a tree or an interpreter boots from",
        formats=("text", "json", "sarif"),
    )
    verb.add_argument("what", metavar="TREE|PYTHON", help="a tree, or an interpreter by path or version")
    verb.add_argument(
        "--strict", action="store_true", help="demand the archive with frozen modules off; warnings fail"
    )
    verb.add_argument("--kernel", action="store_true", help="ask a third witness, the kernel, through strace")
    verb.add_argument(
        "--jobs", type=positive, metavar="N", help="starts at a time (default: one a processor)"
    )

    verb.add_argument(
        "--expect",
        metavar="DIGEST",
        help="the SHA-256 of the tree's manifest, as its build printed it: all that the manifest lists is "
        "hashed before anything is started",
    )
    verb.add_argument(
        "--no-start", action="store_true", help="start nothing; checks of starts are then not run"
    )
    verb.add_argument(
        "--hijack",
        action="store_true",
        help="instead, try every known way to put foreign code into a start, in a scratch copy of the tree, "
        "and tell who got control",
    )
    verb.add_argument(
        "--vector",
        action="append",
        metavar="CODE",
        help="with --hijack: only this one, by its code or name; repeatable",
    )
    add_limits(verb)

    verb = add_verb(verbs, "inspect", _run_inspect, "show what is inside, sizes, and why a file is on disk")
    verb.add_argument("what", type=Path, metavar="TREE|ARCHIVE", help="a tree that was built, or an archive")
    verb.add_argument(
        "--tree", action="store_true", help="every file under its folder, not a table by package"
    )
    add_limits(verb)
    instead = verb.add_mutually_exclusive_group()
    instead.add_argument(
        "--fsverity",
        action="store_true",
        help="print the fs-verity digest of each file instead (SHA-256, blocks of 4096 bytes, no salt)",
    )
    instead.add_argument(
        "--sbom",
        choices=("cyclonedx", "spdx"),
        help="write the tree's bill of materials instead, as JSON; its interpreter is asked for versions",
    )

    verb = add_verb(verbs, "report", _run_report, "make a page to look at: sizes, starts, files, checks")
    verb.add_argument("what", type=Path, metavar="TREE|ARCHIVE", help="a tree that was built, or an archive")
    verb.add_argument(
        "-o", "--output", type=Path, metavar="PAGE", required=True, help="write the page there, as HTML"
    )
    verb.add_argument("--force", action="store_true", help="replace a page that zipstrap made")
    verb.add_argument(
        "--starts",
        type=positive,
        metavar="N",
        help="how often each mode is started to be timed, with and without -X importtime (default: 9)",
    )
    verb.add_argument(
        "--no-start",
        action="store_true",
        help="start nothing: no times, and the same page for the same tree, byte for byte",
    )
    verb.add_argument(
        "--jobs", type=positive, metavar="N", help="starts at a time for verify (default: one a processor)"
    )
    verb.add_argument(
        "--expect",
        metavar="DIGEST",
        help="the SHA-256 of the tree's manifest, as its build printed it; see verify",
    )
    add_limits(verb)

    verb = add_verb(
        verbs, "audit", _run_audit, "find what would not work from an archive, with file and line"
    )
    verb.add_argument(
        "what",
        nargs="?",
        metavar="PYTHON|PATH",
        help="the library of an interpreter, by path or version, or your own code: a package, a folder or a "
        ".py file (default: the library of the interpreter that runs zipstrap)",
    )
    verb.add_argument(
        "--python", metavar="PYTHON", help="what reads the code at PATH (default: what runs zipstrap)"
    )

    verb = add_verb(verbs, "facts", _run_facts, "tell what zipstrap knows of an interpreter", ())
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="write them there, not to stdout")


def _run_verify(arguments: argparse.Namespace) -> int:
    from zipstrap.verify.integrity import OtherManifest
    from zipstrap.verify.report import verification_to_json, verification_to_text

    if arguments.hijack:
        return _run_hijack(arguments)
    if arguments.vector:
        raise UsageError("--vector is for --hijack", cure="add --hijack, or leave it out")
    try:
        verification = _verification(arguments)
    except OtherManifest as error:
        if arguments.format == "json":
            print_json(
                {
                    "schema_version": 1,
                    "tree": str(Path(arguments.what).absolute()),
                    "passed": False,
                    "code": error.code,
                    "expected": error.expected,
                    "found": error.found,
                }
            )
        elif arguments.format == "sarif":
            from zipstrap.verify.sarif import manifest_to_sarif

            print_json(manifest_to_sarif(Path(arguments.what), error.code, error.problem.text))
        raise
    if arguments.format == "json":
        print_json(verification_to_json(verification))
    elif arguments.format == "sarif":
        from zipstrap.verify.sarif import verification_to_sarif

        print_json(verification_to_sarif(verification))
    elif not arguments.quiet:
        sys.stdout.write(verification_to_text(verification, verbose=arguments.verbose))
    return 0 if verification.passed else 1


def _run_hijack(arguments: argparse.Namespace) -> int:
    from zipstrap.data import vectors
    from zipstrap.manifest import is_tree
    from zipstrap.verify.hijack_report import matrix_to_json, matrix_to_sarif, matrix_to_text
    from zipstrap.verify.scratch import hijack_tree

    others = [
        name
        for name, given in (
            ("--strict", arguments.strict),
            ("--kernel", arguments.kernel),
            ("--expect", arguments.expect),
            ("--no-start", arguments.no_start),
        )
        if given
    ]
    if others:
        raise UsageError(f"{', '.join(others)} does not go with --hijack", cure="verify the tree once more")
    tree = Path(arguments.what)
    if not tree.exists():
        raise FileError("there is no such file or folder", file=tree, cure="name a tree")
    if not is_tree(tree):
        inside = next((folder for folder in tree.resolve().parents if is_tree(folder)), None)
        raise UsageError(
            "--hijack copies what it attacks, and this is no tree that zipstrap built",
            file=tree,
            cure=f"name the tree that it is in: {inside}"
            if inside
            else "name a tree: zipstrap build makes one, and a prefix has them in lib/zipstrap/generations",
        )
    by_name = {name.lower(): code for code, vector in vectors().items() for name in (code, vector.name)}
    unknown = [each for each in arguments.vector or () if each.lower() not in by_name]
    if unknown:
        raise UsageError(
            f"there is no vector {', '.join(unknown)}",
            cure="name a code or a name from zipstrap verify --hijack, such as ZH101",
        )
    with steps(arguments) as on_progress:
        matrix = hijack_tree(
            tree,
            jobs=arguments.jobs or processors(),
            only=[by_name[each.lower()] for each in arguments.vector or ()],
            on_progress=on_progress,
        )
    if arguments.format == "json":
        print_json(matrix_to_json(matrix))
    elif arguments.format == "sarif":
        print_json(matrix_to_sarif(matrix))
    elif not arguments.quiet:
        sys.stdout.write(matrix_to_text(matrix, verbose=arguments.verbose))
    return 0 if matrix.passed else 1


def _verification(arguments: argparse.Namespace) -> Verification:
    from zipstrap.convert import check_archives_are_there
    from zipstrap.verify.run import verify_interpreter, verify_tree

    jobs = arguments.jobs or processors()
    limits = limits_of(arguments)
    if Path(arguments.what).is_dir():
        return verify_tree(
            Path(arguments.what),
            jobs=jobs,
            strict=arguments.strict,
            kernel=arguments.kernel,
            limits=limits,
            expect=arguments.expect,
            start=not arguments.no_start,
        )
    if os.sep in arguments.what and not Path(arguments.what).exists():
        raise InterpreterError(
            "there is no such tree or interpreter",
            file=arguments.what,
            cure="name a tree that zipstrap build made, or a CPython by path or version",
        )
    if os.sep in arguments.what:
        check_archives_are_there(Path(arguments.what))
    found = find(arguments.what, arguments)
    return verify_interpreter(
        found.facts,
        jobs=jobs,
        strict=arguments.strict,
        kernel=arguments.kernel,
        limits=limits,
        expect=arguments.expect,
        start=not arguments.no_start,
    )


def _run_inspect(arguments: argparse.Namespace) -> int:
    from zipstrap.archive import BadArchive
    from zipstrap.inspection import (
        fsverity_digests,
        inspect_path,
        inspection_to_json,
        inspection_to_text,
        rejection_to_json,
    )

    if arguments.sbom is not None:
        from zipstrap.sbom import bill_of_materials

        sys.stdout.write(bill_of_materials(arguments.what, arguments.sbom, os.environ))
        return 0
    if arguments.fsverity:
        digests = fsverity_digests(arguments.what)
        if arguments.format == "json":
            files = [{"path": path, "fsverity": f"sha256:{digest}"} for path, digest in digests.items()]
            print_json({"schema_version": 1, "path": str(arguments.what.absolute()), "files": files})
        else:
            sys.stdout.writelines(f"sha256:{digest} {path}\n" for path, digest in digests.items())
        return 0
    try:
        inspection = inspect_path(arguments.what, limits=limits_of(arguments))
    except BadArchive as error:
        if arguments.format == "json":
            print_json(rejection_to_json(arguments.what, error))
        print(f"zipstrap: {error}", file=sys.stderr)
        return error.exit_status
    if arguments.format == "json":
        print_json(inspection_to_json(inspection))
    else:
        sys.stdout.write(inspection_to_text(inspection, as_tree=arguments.tree))
    return 0


def _run_report(arguments: argparse.Namespace) -> int:
    from zipstrap.destination import check_destination, new_file
    from zipstrap.report.page import is_page, page_to_html
    from zipstrap.report.run import RUNS, report_on

    def is_ours(path: Path) -> bool:
        with path.open("rb") as stream:
            return is_page(stream.read(4096))

    page_path = arguments.output
    replace = is_ours if arguments.force else None
    check_destination(page_path, force=arguments.force, is_ours=is_ours)
    page = report_on(
        arguments.what,
        start=not arguments.no_start,
        runs=arguments.starts or RUNS,
        jobs=arguments.jobs or processors(),
        expect=arguments.expect,
        limits=limits_of(arguments),
    )
    data = page_to_html(page).encode("utf-8", "backslashreplace")
    with new_file(page_path, replace=replace) as path:
        path.write_bytes(data)
    passed = page.verdict.passed
    if arguments.format == "json":
        print_json(
            {
                "schema_version": 1,
                "page": str(page_path.absolute()),
                "size": len(data),
                "passed": passed,
                "codes": list(page.verdict.codes),
            }
        )
    elif not arguments.quiet:
        print(f"{page_path.absolute()}: {page.title}, {page.about}")
        print(page.verdict.text)
        for check in page.checks:
            if check.status in ("failed", "warned"):
                print(f"{check.status.upper()} {check.code} {check.name}: {check.title}")
                if arguments.verbose:
                    print("\n".join(f"  found: {finding}" for finding in check.findings))
    return 1 if passed is False else 0


def _run_audit(arguments: argparse.Namespace) -> int:
    from zipstrap.audit import audit, is_code
    from zipstrap.audit_report import audit_to_json, audit_to_text

    if arguments.what is not None and is_code(arguments.what):
        audited = audit(Path(arguments.what), python=find(arguments.python, arguments).facts)
    elif arguments.python is not None:
        raise UsageError(
            "--python is for code at a PATH, and this is no folder and no .py file",
            cure="name the interpreter alone to audit its library, or a path of code",
        )
    else:
        audited = audit(find(arguments.what, arguments).facts)
    if arguments.format == "json":
        print_json(audit_to_json(audited))
    elif not arguments.quiet:
        sys.stdout.write(audit_to_text(audited, verbose=arguments.verbose))
    return 0 if audited.passed else 1


def _run_facts(arguments: argparse.Namespace) -> int:
    from zipstrap.destination import check_destination, new_file
    from zipstrap.interpreter import facts_to_json

    destination = arguments.output
    if destination is not None:
        check_destination(destination, force=None, is_ours=lambda _path: False)
    text = facts_to_json(find(arguments.python, arguments).facts)
    if destination is None:
        sys.stdout.write(text)
    else:
        with new_file(destination) as path:
            path.write_text(text, encoding="utf-8")
    return 0
