"""The verbs for people's own code: bundle, activate and deactivate."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import add_limits, add_verb, find, limits_of, positive, processors
from .terminal import print_changes, print_json, progress

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.interpreter import Facts
    from zipstrap.start_hooks import Start

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("bundle", "activate", "deactivate")

_TARGET = "a tree, a virtual environment, or an interpreter by path or version"


def add_verbs(verbs: Any) -> None:
    """Add bundle, activate and deactivate."""
    verb = add_verb(
        verbs, "bundle", _run_bundle, "put your own modules, packages and dependencies into an archive"
    )
    verb.add_argument(
        "what",
        nargs="+",
        metavar="PATH|NAME",
        help="a module, a package, a folder of them, a .zip or a wheel; with --from also the name of a "
        "distribution, such as requests or 'requests[socks]>=2'",
    )
    verb.add_argument(
        "-o", "--output", required=True, type=Path, metavar="NAME.zip", help="the archive to make"
    )
    verb.add_argument(
        "--python",
        metavar="PYTHON|TREE",
        help="for which interpreter: a tree, a path, a version such as 3.13 or 3.13t, or nothing for the one "
        "that runs zipstrap",
    )
    verb.add_argument(
        "--from",
        action="append",
        default=[],
        dest="places",
        type=Path,
        metavar="PLACE",
        help="where distributions are: a virtual environment, a site-packages folder, a folder of wheels or "
        "a wheel; repeatable",
    )
    verb.add_argument(
        "--no-deps", action="store_true", help="take the named distributions, and not what they need"
    )
    verb.add_argument(
        "--on-disk",
        action="append",
        default=[],
        metavar="NAME",
        help="keep this package, module or distribution beside the archive, as files; repeatable",
    )
    verb.add_argument(
        "--extensions",
        choices=("disk", "archive", "refuse", "omit"),
        default="disk",
        help="what becomes of packages with extension modules: they lie beside the archive, or in it, with "
        "what loads them from there, are an error, or go without them (default: disk)",
    )
    verb.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="files to leave out, by their names in the bundle, such as pkg/tests or **/*.md; repeatable",
    )
    verb.add_argument(
        "--optimize",
        type=int,
        choices=(-1, 0, 1, 2),
        default=-1,
        help="the level of the bytecode; -1 is that of an interpreter without options, 0 (default: -1)",
    )
    verb.add_argument(
        "--source",
        choices=("archive", "none"),
        default="archive",
        help="whether the sources are beside the bytecode, for tracebacks (default: archive)",
    )
    verb.add_argument(
        "--compress",
        default="stored",
        metavar="{stored,deflate,libdeflate,best,zstd}",
        help="how members are kept: as they are, deflated by zlib, by libdeflate or by zopfli (best), or by "
        "Zstandard (from 3.15 on) (default: stored)",
    )
    verb.add_argument(
        "--strict", action="store_true", help="make nothing where something would not work from an archive"
    )
    verb.add_argument(
        "--jobs", type=positive, metavar="N", help="compilers at a time (default: one a processor)"
    )
    verb.add_argument("--no-cache", action="store_true", help="compile everything anew")
    verb.add_argument("--force", action="store_true", help="replace a bundle that is there")
    verb.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    add_limits(verb)

    verb = add_verb(verbs, "activate", _run_activate, "let an interpreter import from bundles")
    verb.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="what zipstrap bundle has made")
    verb.add_argument("--python", metavar="PYTHON|TREE", help=f"{_TARGET} (default: what runs zipstrap)")
    verb.add_argument(
        "--with",
        choices=("pth", "user-pth", "pythonpath", "snippet", "._pth"),
        default="pth",
        dest="way",
        help="how: a .pth file in the site folder or in the user's, a line that sets PYTHONPATH, lines of "
        "code, or lines in the interpreter's ._pth file, from 3.11 on (default: pth)",
    )

    verb = add_verb(verbs, "deactivate", _run_deactivate, "take back what activate has written")
    verb.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="bundles; they may be gone")
    verb.add_argument("--python", metavar="PYTHON|TREE", help=f"{_TARGET} (default: what runs zipstrap)")


def _run_bundle(arguments: argparse.Namespace) -> int:
    from zipstrap.bundle.make import BundleRefused, BundleSettings, make_bundle, prepare_bundle
    from zipstrap.bundle.plan import Selecting
    from zipstrap.bundle.report import bundled_to_json, bundled_to_text, prepared_to_json, prepared_to_text

    settings = BundleSettings(
        optimize=arguments.optimize,
        source=arguments.source == "archive",
        compress=arguments.compress,
        selecting=Selecting(tuple(arguments.on_disk), tuple(arguments.exclude), arguments.extensions),
        dependencies=not arguments.no_deps,
        strict=arguments.strict,
        jobs=arguments.jobs or processors(),
        force=arguments.force,
        cache=not arguments.no_cache,
        limits=limits_of(arguments),
    )
    facts = _facts(arguments)
    as_json = arguments.format == "json"
    if arguments.dry_run:
        prepared = prepare_bundle(arguments.what, arguments.places, facts, settings)
        if as_json:
            print_json(prepared_to_json(prepared))
        else:
            sys.stdout.write(prepared_to_text(prepared, verbose=arguments.verbose))
        return 0
    destination = Path(os.path.abspath(arguments.output))  # noqa: PTH100 - links in the name are the user's
    try:
        with progress(arguments) as show:
            bundled = make_bundle(
                arguments.what, destination, facts, settings, places=arguments.places, on_progress=show
            )
    except BundleRefused as refused:
        if as_json:
            print_json(prepared_to_json(refused.prepared))
        elif not arguments.quiet:
            sys.stdout.write(prepared_to_text(refused.prepared, verbose=arguments.verbose))
        raise
    if as_json:
        print_json(bundled_to_json(bundled))
    elif not arguments.quiet:
        sys.stdout.write(bundled_to_text(bundled, verbose=arguments.verbose))
    return 0


def _facts(arguments: argparse.Namespace) -> Facts:
    if arguments.python is None or not Path(arguments.python).is_dir():
        return find(arguments.python, arguments).facts
    from zipstrap.start_hooks import executable_of

    # of a virtual environment the base is taken, as ever: its bytecode is the same
    executable = executable_of(arguments.python, lambda what: Path(what))
    return find(str(executable), arguments).facts


def _start(arguments: argparse.Namespace) -> Start:
    from zipstrap.start_hooks import start_of

    target = arguments.python or sys.executable
    return start_of(target, lambda what: Path(find(what, arguments).facts.executable))


def _run_activate(arguments: argparse.Namespace) -> int:
    from zipstrap.bundle.activate import activate
    from zipstrap.bundle.report import activation_to_json, activation_to_text

    activation = activate(
        arguments.bundles, _start(arguments), arguments.way, target=arguments.python or sys.executable
    )
    if arguments.format == "json":
        print_json(activation_to_json(activation))
        return 0
    if activation.text:
        # what is to be put somewhere is all of stdout, so that a shell can take it
        sys.stdout.write(activation.text)
    if not arguments.quiet:
        about = activation_to_text(activation, verbose=arguments.verbose)
        (sys.stderr if activation.text else sys.stdout).write(about)
    return 0


def _run_deactivate(arguments: argparse.Namespace) -> int:
    from zipstrap.bundle.activate import deactivate

    return print_changes(deactivate(arguments.bundles, _start(arguments)), arguments)
