"""The verbs that compare with the unpacked library: test and bench."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from zipstrap.config import CHOICES
from zipstrap.errors import UsageError

from .arguments import add_verb, find, milliseconds, positive, processors
from .terminal import print_json, steps

__all__ = ["VERBS", "add_verbs"]

#: what add_verbs adds
VERBS = ("test", "bench")


def add_verbs(verbs: Any) -> None:
    """Add test and bench."""
    verb = add_verb(
        verbs,
        "test",
        _run_test,
        "run CPython's own suite from a directory and from the archive, and compare",
        formats=("text", "json", "junit"),
    )
    verb.add_argument(
        "words",
        nargs="*",
        metavar="PYTHON|TESTNAME",
        help="interpreters by path or version (default: the one that runs zipstrap), and test files such as "
        "test_json (default: all)",
    )
    which = verb.add_mutually_exclusive_group()
    which.add_argument("--smoke", action="store_true", help="a selection of about a minute")
    which.add_argument("--full", action="store_true", help="every test file; so it is without names")
    verb.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("zipstrap-test"),
        metavar="FOLDER",
        help="trees, logs and results; what is there is taken up (default: zipstrap-test)",
    )
    verb.add_argument(
        "--layout",
        choices=[layout for layout in CHOICES["layout"] if layout != "directory"],
        default="fast",
        help="of the archive's side (default: fast)",
    )
    verb.add_argument(
        "--jobs", type=positive, metavar="N", help="test files at a time (default: one a processor)"
    )
    verb.add_argument(
        "--timeout", type=positive, default=600, metavar="S", help="for each test file (default: 600)"
    )

    verb = add_verb(
        verbs,
        "bench",
        _run_bench,
        "measure a tree, and each kind of tree, against the unpacked library",
        formats=("text", "json", "svg"),
    )
    verb.add_argument(
        "what",
        nargs="?",
        metavar="TREE|PYTHON",
        help="a tree that was built, or an interpreter by path or version (default: what runs zipstrap)",
    )
    verb.add_argument(
        "--python", metavar="PYTHON", help="what TREE was made from (default: looked for by its version)"
    )
    verb.add_argument(
        "-o",
        "--output",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="write the report there too, as JSON or SVG if its name ends so, else as text; repeatable",
    )
    verb.add_argument("--columns", metavar="NAMES", help="kinds of trees, joined by commas (default: all)")
    verb.add_argument("--rows", metavar="NAMES", help="what is started, joined by commas (default: all)")
    verb.add_argument(
        "--conditions",
        metavar="NAMES",
        help="warm, last (on the path), cold, slow, joined by commas (default: all)",
    )
    verb.add_argument(
        "--measures",
        metavar="NAMES",
        help="time, instructions, calls, memory, joined by commas (default: all)",
    )
    verb.add_argument(
        "--pairs", type=positive, default=30, metavar="N", help="rounds of each case (default: 30)"
    )
    verb.add_argument(
        "--latency",
        type=milliseconds,
        default=0.5,
        metavar="MS",
        help="what each file operation takes longer on slow storage (default: 0.5)",
    )
    verb.add_argument(
        "--cold",
        action="store_true",
        help="for the condition cold, empty the whole machine's page cache, as root; without it, the tree's "
        "own files are dropped from it",
    )
    verb.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=ARCHIVE",
        help="compare sizes with another program's archive of the library; repeatable",
    )
    verb.add_argument(
        "--jobs", type=positive, metavar="N", help="compilers at a time (default: one a processor)"
    )
    verb.add_argument("--no-cache", action="store_true", help="compile everything anew")


def _run_test(arguments: argparse.Namespace) -> int:
    from zipstrap.suite.report import suite_to_json, suite_to_junit, suite_to_text
    from zipstrap.suite.run import SuiteSettings, run_suite
    from zipstrap.suite.selection import divide

    pythons, tests = divide(arguments.words)
    if tests and (arguments.smoke or arguments.full):
        raise UsageError("test files and --smoke or --full are both given", cure="give one of them")
    settings = SuiteSettings(
        targets=tuple(find(python, arguments).facts for python in pythons or (None,)),
        folder=Path(os.path.abspath(arguments.output)),  # noqa: PTH100
        tests=tests,
        smoke=arguments.smoke,
        layout=arguments.layout,
        jobs=arguments.jobs or processors(),
        timeout=float(arguments.timeout),
    )
    try:
        with steps(arguments) as show:
            report = run_suite(settings, show)
    except KeyboardInterrupt:
        print("zipstrap: interrupted; the same command takes up what is missing", file=sys.stderr)
        return 130
    if arguments.format == "json":
        print_json(suite_to_json(report))
    elif arguments.format == "junit":
        sys.stdout.write(suite_to_junit(report))
    elif not arguments.quiet:
        sys.stdout.write(suite_to_text(report, verbose=arguments.verbose))
    return 0 if report.passed else 1


def _run_bench(arguments: argparse.Namespace) -> int:
    from zipstrap.bench.cases import Condition, Measure, bench_data, choose
    from zipstrap.bench.peers import parse_peer
    from zipstrap.bench.plot import bench_to_svg
    from zipstrap.bench.report import BenchReport, bench_to_json, bench_to_text
    from zipstrap.bench.run import BenchSettings, interpreter_of, run_bench
    from zipstrap.destination import check_destination, new_file

    def render(report: BenchReport, form: str) -> str:
        if form == "json":
            return json.dumps(bench_to_json(report), indent=1) + "\n"
        return bench_to_svg(report) if form == "svg" else bench_to_text(report)

    data = bench_data()
    columns = choose({column.name: column for column in data.columns}, arguments.columns, "column")
    rows = choose({row.name: row for row in data.rows}, arguments.rows, "row")
    conditions = choose({each.value: each for each in Condition}, arguments.conditions, "condition")
    measures = choose({each.value: each for each in Measure}, arguments.measures, "measure")
    peers = tuple(map(parse_peer, arguments.peer))
    for destination in arguments.output:
        check_destination(destination, force=None, is_ours=lambda _path: False)
    tree = Path(arguments.what) if arguments.what is not None and Path(arguments.what).is_dir() else None
    notes: tuple[str, ...] = ()
    if tree is not None:
        facts, notes = interpreter_of(tree, arguments.python)
    elif arguments.python is not None:
        raise UsageError("--python is for a TREE", cure="name the interpreter alone, or a tree and --python")
    else:
        facts = find(arguments.what, arguments).facts
    settings = BenchSettings(
        facts=facts,
        tree=tree,
        columns=columns,
        rows=rows,
        conditions=conditions,
        measures=measures,
        pairs=arguments.pairs,
        latency=arguments.latency,
        drop=arguments.cold,
        peers=peers,
        jobs=arguments.jobs or processors(),
        cache=not arguments.no_cache,
    )
    with steps(arguments) as show:
        report = run_bench(settings, show, notes=notes)
    for destination in arguments.output:
        with new_file(destination) as path:
            path.write_text(render(report, destination.suffix[1:].lower()), encoding="utf-8")
    if arguments.format != "text" or not arguments.quiet:
        sys.stdout.write(render(report, arguments.format))
    return 0 if report.measured else 1
