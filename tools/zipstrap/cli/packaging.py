"""The verbs for packagers: stage and compile."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipstrap.errors import UsageError

from .arguments import (
    PYTHON_HELP,
    add_selection,
    add_tree,
    add_verb,
    find,
    folder,
    settings_of,
    target_of_arguments,
)
from .making import broken_lines, imports_to_json, show_failure, show_plan
from .terminal import count, note_lines, print_json, progress

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from zipstrap.build import Settings
    from zipstrap.destdir import StagedFiles

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("stage", "compile")


def add_verbs(verbs: Any) -> None:
    """Add stage and compile."""
    verb = add_verb(verbs, "stage", _run_stage, "put a tree's files below a DESTDIR, for a package")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=PYTHON_HELP)
    verb.add_argument(
        "--destdir", required=True, type=folder, metavar="D", help="what stands for / while packaging"
    )
    verb.add_argument("--prefix", required=True, metavar="PREFIX", help="where the tree will lie, e.g. /usr")
    verb.add_argument(
        "--libdir",
        metavar="LIBDIR",
        help="where shared libraries go, below the prefix: the interpreter's platlibdir, or a folder in it "
        "such as lib/x86_64-linux-gnu (default: lib)",
    )
    verb.add_argument(
        "--part",
        choices=("all", "indep", "arch"),
        default="all",
        help="everything; what is the same for all machines (archives, sources, data); or the rest, which is "
        "for this one (default: all)",
    )
    verb.add_argument(
        "--source-only",
        action="store_true",
        help="no bytecode: the archive holds sources, until zipstrap compile has run where it is installed "
        "(layout standard)",
    )
    verb.add_argument("--manifest", action="store_true", help="the manifest too, in a prefix of its own")
    verb.add_argument(
        "--file-list", type=Path, metavar="FILE", help="write what was staged there, as mtree(5)"
    )
    add_selection(verb, force=None)
    add_tree(verb)

    verb = add_verb(
        verbs, "compile", _run_compile, "compile the library of a tree that was staged with --source-only"
    )
    verb.add_argument("what", metavar="TREE|PYTHON", help="a prefix, or an interpreter by path or version")


def _run_stage(arguments: argparse.Namespace) -> int:
    from zipstrap.build import BuildFailed, prepare
    from zipstrap.destdir import stage_below

    settings = _settings(arguments)
    facts = target_of_arguments(arguments)
    if arguments.dry_run:
        return show_plan(prepare(facts, settings), arguments)
    try:
        with progress(arguments) as show:
            staged = stage_below(
                facts,
                Path(os.path.abspath(arguments.destdir)),  # noqa: PTH100 - links in the name are the user's
                arguments.prefix,
                settings,
                part=arguments.part,
                with_manifest=arguments.manifest,
                file_list=arguments.file_list,
                on_progress=show,
            )
    except BuildFailed as failure:
        show_failure(failure.verification, arguments, {"tree": None, "target": facts.name})
        raise
    if arguments.format == "json":
        print_json(_staged_to_json(staged))
    elif not arguments.quiet:
        sys.stdout.write(_staged_to_text(staged, verbose=arguments.verbose))
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = settings_of(arguments)
    options = dataclasses.replace(settings.options, portable=arguments.part != "all")
    layout = settings.layout
    if arguments.source_only:
        wrong = {
            "--layout": arguments.layout not in (None, "standard"),
            "--source": options.source not in ("", "archive"),
            "--compress": options.compress not in ("", "stored"),
            "--preset": options.preset != "",
            "--optimize": options.optimize != 0,
        }
        others = ", ".join(name for name, is_given in wrong.items() if is_given)
        if others:
            raise UsageError(
                f"--source-only does not go with {others}: "
                "the archive of the layout standard then holds the sources, stored",
                cure="leave out one of them",
            )
        layout = "standard"
        options = dataclasses.replace(options, source="only", compress="stored")
    return dataclasses.replace(settings, options=options, layout=layout, libdir=arguments.libdir or "")


def _staged_to_text(staged: StagedFiles, *, verbose: bool) -> str:
    from zipstrap.verify.report import verification_to_text

    files = [each for each in staged.files if each.type == "file"]
    folders = sum(each.type == "dir" for each in staged.files)
    links = len(staged.files) - folders - len(files)
    parts = {"all": "", "indep": ", the part for all machines", "arch": ", the part for this machine"}
    lines = [
        f"{staged.destdir}: {staged.manifest.target.name} for {staged.prefix}{parts[staged.part]}",
        f"{count(len(files), 'file')} of {sum(each.size for each in files) / 1e6:.1f} MB, "
        f"{count(folders, 'folder')}, {count(links, 'link')}",
    ]
    if staged.there_before:
        lines.append(f"{staged.there_before} of them were there already, the same")
    lines += (*broken_lines(staged.broken, verbose=verbose), *note_lines(staged.manifest.notes))
    if staged.verification is None:
        return "\n".join((*lines, "not verified")) + "\n"
    return "\n".join(lines) + "\n" + verification_to_text(staged.verification, verbose=verbose)


def _staged_to_json(staged: StagedFiles) -> dict[str, Any]:
    from zipstrap.verify.report import verification_to_json

    verification = staged.verification
    return {
        "schema_version": 1,
        "destdir": str(staged.destdir),
        "prefix": staged.prefix,
        "part": staged.part,
        "target": staged.manifest.target.name,
        "files": [dataclasses.asdict(each) for each in staged.files],
        "there_before": staged.there_before,
        "needs": list(staged.manifest.needs),
        "broken_imports": imports_to_json(staged.broken),
        "notes": list(staged.manifest.notes),
        "verification": None if verification is None else verification_to_json(verification),
    }


def _run_compile(arguments: argparse.Namespace) -> int:
    from zipstrap.compile_tree import compile_tree

    compiled = compile_tree(arguments.what, lambda what: find(what, arguments).facts)
    if arguments.format == "json":
        print_json({"schema_version": 1, **dataclasses.asdict(compiled)})
    elif not arguments.quiet:
        print(
            f"{compiled.archive}: {count(compiled.added, 'module')} compiled, and {compiled.on_disk} on disk"
        )
        for failure in compiled.failures:
            print(f"not compiled: {failure}")
    return 0
