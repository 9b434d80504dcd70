"""Arguments, printing and exit statuses. stdout is data, stderr is everything else."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .config import CHOICES, load_config
from .errors import FileError, InterpreterError, UsageError, ZipstrapError

if TYPE_CHECKING:  # imported where they are used: --version and --help stay quick
    from .build import Built, Packed, Prepared, Settings
    from .imports import Import
    from .interpreter import Facts, Found
    from .manifest import Manifest
    from .verify.report import Verification

__all__ = ["main"]

#: from which size on a component that few need is worth a line, in bytes
_LARGE = 20_000_000

_PROFILES = "standard, minimal or full"
_PYTHON_HELP = "a path, a version such as 3.13 or 3.13t, or nothing for the interpreter that runs zipstrap"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0 ok, 1 a check failed, 2 usage, 3 interpreter missing or unusable, 4 input or output failed, 5 not
    supported for this target, 130 interrupted.
    """
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold bytes that are no text
    try:
        with _interrupts():
            arguments = _parser().parse_args(argv)
            return int(arguments.run(arguments))
    except ZipstrapError as error:
        print(f"zipstrap: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("zipstrap: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read stdout has gone; Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _failed(
            error.strerror or str(error), error.filename, "see that the file is there, and the disk not full"
        )
    except MemoryError:
        return _failed("there is not enough memory", None, "give it more, or use --jobs 1")


def _failed(problem: str, file: str | None, cure: str) -> int:
    failure = FileError(problem, file=file, cure=cure)
    print(f"zipstrap: {failure}", file=sys.stderr)
    return failure.exit_status


def _open_streams() -> None:
    """Give a stream that was closed by the caller a place to go, before another file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(opened, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Let the first interrupt, termination or hang-up raise KeyboardInterrupt, and no other one.

    What is done then is clearing away, which a second signal would stop halfway.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]

    def interrupt(_number: int, _frame: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    try:
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup is to be respected
                before[number] = signal.signal(number, interrupt)
    except ValueError:
        pass  # not the main thread: whoever called has its own signals
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, cure=f"see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="zipstrap",
        description="Pack a CPython's standard library into pythonXY.zip, stage a tree around it, "
        "and prove where it boots from.",
    )
    parser.add_argument("--version", action="version", version=f"zipstrap {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    verb = _verb(verbs, "build", _run_build, "pack, stage, hook, verify and report: the main job")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=_PYTHON_HELP)
    verb.add_argument("-o", "--output", required=True, type=Path, metavar="TREE", help="the folder to make")
    _add_selection(verb)
    verb.add_argument(
        "--layout",
        choices=CHOICES["layout"],
        help="where things go; directory leaves the library unpacked, to compare with (default: fast)",
    )
    verb.add_argument(
        "--guard",
        choices=CHOICES["guard"],
        help="what the start-up guard does when the library is not the tree's own (default: report)",
    )
    verb.add_argument(
        "--zips",
        choices=CHOICES["zips"],
        help="what adds the archives of the zips folder at each start; start from 3.15 on "
        "(default: sitecustomize)",
    )
    verb.add_argument("--no-verify", action="store_true", help="leave the tree unverified, and say so")

    verb = _verb(verbs, "pack", _run_pack, "make the archive alone")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=_PYTHON_HELP)
    verb.add_argument(
        "-o", "--output", required=True, type=Path, metavar="ARCHIVE", help="the file, or its folder"
    )
    _add_selection(verb)

    verb = _verb(verbs, "verify", _run_verify, "check where a tree or an interpreter boots from")
    verb.add_argument("what", metavar="TREE|PYTHON", help="a tree, or an interpreter by path or version")
    verb.add_argument(
        "--strict", action="store_true", help="demand the archive with frozen modules off; warnings fail"
    )
    verb.add_argument("--kernel", action="store_true", help="ask a third witness, the kernel, through strace")
    verb.add_argument(
        "--jobs", type=_positive, metavar="N", help="starts at a time (default: one a processor)"
    )

    verb = _verb(verbs, "inspect", _run_inspect, "show what is inside, sizes, and why a file is on disk")
    verb.add_argument("what", type=Path, metavar="TREE|ARCHIVE", help="a tree that was built, or an archive")
    verb.add_argument(
        "--tree", action="store_true", help="every file under its folder, not a table by package"
    )

    verb = _verb(
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
        "--jobs", type=_positive, metavar="N", help="test files at a time (default: one a processor)"
    )
    verb.add_argument(
        "--timeout", type=_positive, default=600, metavar="S", help="for each test file (default: 600)"
    )

    verb = _verb(
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
        "--pairs", type=_positive, default=30, metavar="N", help="rounds of each case (default: 30)"
    )
    verb.add_argument(
        "--latency",
        type=_milliseconds,
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
        "--jobs", type=_positive, metavar="N", help="compilers at a time (default: one a processor)"
    )
    verb.add_argument("--no-cache", action="store_true", help="compile everything anew")

    verb = _verb(verbs, "audit", _run_audit, "find what would not work from an archive, with file and line")
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

    verb = _verb(verbs, "facts", _run_facts, "tell what zipstrap knows of an interpreter")
    verb.add_argument("python", nargs="?", metavar="PYTHON", help=_PYTHON_HELP)
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="write them there, not to stdout")
    return parser


def _verb(
    verbs: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
    formats: Sequence[str] = ("text", "json"),
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + "."
    )
    verb.set_defaults(run=run)
    if name != "facts":
        verb.add_argument("--format", choices=formats, default="text", help="what stdout holds")
    if name != "inspect":
        loudness = verb.add_mutually_exclusive_group()
        if name != "facts":
            loudness.add_argument("-v", "--verbose", action="store_true", help="say more")
        loudness.add_argument("-q", "--quiet", action="store_true", help="errors only")
    return verb


def _add_selection(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--profile", metavar="NAME", help=f"{_PROFILES} (default: standard)")
    verb.add_argument(
        "--include", action="append", metavar="NAME", help="a component or module to take; repeatable"
    )
    verb.add_argument(
        "--exclude", action="append", metavar="NAME", help="a component or module to leave; repeatable"
    )
    verb.add_argument(
        "--optimize", type=int, choices=CHOICES["optimize"], help="the level of the bytecode (default: 0)"
    )
    verb.add_argument(
        "--source",
        choices=CHOICES["source"],
        help="where the sources are: in the archive beside the bytecode, as files in the library's folder "
        "for tools that open them by path, or nowhere (default: disk in the layout fast, else archive)",
    )
    verb.add_argument(
        "--preset",
        choices=CHOICES["preset"],
        help="what --compress, --hot, --source and --debug-ranges are unless given: fast (deflate, the usual "
        "modules stored) or small (libdeflate, or the dictionary where it can be read; no debug ranges, no "
        "sources)",
    )
    verb.add_argument(
        "--compress",
        choices=CHOICES["compress"],
        help="how members are kept: as they are, deflated by zlib, by libdeflate or by zopfli (best), by "
        "Zstandard (from 3.15 on) or by Zstandard over a dictionary of their own (layout fast, from 3.14 on) "
        "(default: stored)",
    )
    verb.add_argument(
        "--hot",
        choices=CHOICES["hot"],
        help="which modules stay stored when the others are compressed: the usual ones, which many programs "
        "import, or none (default: none)",
    )
    verb.add_argument(
        "--hot-of",
        action="append",
        metavar="ARGS",
        help="run the interpreter with these arguments, and keep what it imports stored too; repeatable",
    )
    verb.add_argument(
        "--debug-ranges",
        choices=CHOICES["debug_ranges"],
        help="whether bytecode says to which columns it belongs, which tracebacks mark from 3.11 on "
        "(default: yes)",
    )
    verb.add_argument(
        "--jobs", type=_positive, metavar="N", help="compilers at a time (default: one a processor)"
    )
    verb.add_argument("--no-cache", action="store_true", help="compile everything anew")
    verb.add_argument(
        "--force",
        action="store_true",
        help="replace a destination that zipstrap made; nothing may be running from it",
    )
    verb.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    verb.add_argument("--facts", type=Path, metavar="FILE", help="take the facts of PYTHON from this file")


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def _milliseconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.001 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in ms, from 0.001 to 10000")
    return number


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _settings(arguments: argparse.Namespace) -> Settings:
    """Turn arguments, environment and configuration files into settings, and check them."""
    from .build import Settings
    from .plan import Options

    config = load_config(Path.cwd(), os.environ)

    def setting(name: str, default: Any) -> Any:
        given = getattr(arguments, name, None)
        return config.get(name, default) if given is None else given

    options = Options(
        optimize=setting("optimize", 0),
        source=setting("source", ""),
        compress=setting("compress", ""),
        guard=setting("guard", "report"),
        zips=setting("zips", "sitecustomize"),
        preset=setting("preset", ""),
        hot=setting("hot", ""),
        hot_of=tuple(setting("hot_of", ())),
        debug_ranges={"yes": True, "no": False, "": None}[setting("debug_ranges", "")],
    )
    return Settings(
        profile=setting("profile", "standard"),
        layout=setting("layout", "fast"),
        include=tuple(setting("include", ())),
        exclude=tuple(setting("exclude", ())),
        options=options,
        jobs=setting("jobs", _processors()),
        force=arguments.force,
        verify=not getattr(arguments, "no_verify", False),
        cache=not arguments.no_cache,
    )


def _target(arguments: argparse.Namespace) -> Facts:
    from .interpreter import load_facts

    if arguments.facts is not None:
        if arguments.python is not None:
            raise UsageError("PYTHON and --facts are both given", cure="give one of them")
        facts = load_facts(arguments.facts)
        if not Path(facts.executable).is_file():
            raise InterpreterError(
                "the interpreter that these facts are of is not here",
                file=facts.executable,
                cure="build where it is: its own compiler makes the bytecode",
            )
        return facts
    return _find(arguments.python, arguments).facts


def _find(python: str | None, arguments: argparse.Namespace) -> Found:
    from .interpreter import find_interpreter

    found = find_interpreter(python)
    if not arguments.quiet:
        for note in found.notes:
            print(f"note: {note}", file=sys.stderr)
    return found


@contextlib.contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows progress: a bar on a terminal, nothing elsewhere."""
    if arguments.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling and compressing", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@contextlib.contextmanager
def _steps(arguments: argparse.Namespace) -> Iterator[Callable[[str, int, int], None] | None]:
    """Yield what shows named steps: a bar on a terminal, a line now and then elsewhere."""
    if arguments.quiet:
        yield None
        return
    if not sys.stderr.isatty():
        import time

        told = [("", 0.0)]

        def tell(what: str, done: int, total: int) -> None:
            # hours may pass: whoever reads a log of CI wants to see that it goes on
            if what != told[0][0] or time.monotonic() - told[0][1] > 60 or done == total:
                told[0] = (what, time.monotonic())
                print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


def _run_build(arguments: argparse.Namespace) -> int:
    from .build import BuildFailed, build, prepare
    from .verify.report import verification_to_json, verification_to_text

    settings = _settings(arguments)
    facts = _target(arguments)
    destination = Path(os.path.abspath(arguments.output))  # noqa: PTH100 - links in the name are the user's
    if arguments.dry_run:
        return _show_plan(prepare(facts, settings), arguments)
    try:
        with _progress(arguments) as show:
            built = build(facts, destination, settings, on_progress=show)
    except BuildFailed as failure:
        if arguments.format == "json":
            _print_json(
                {
                    "schema_version": 1,
                    "tree": None,
                    "target": facts.name,
                    "verification": verification_to_json(failure.verification),
                }
            )
        elif not arguments.quiet:
            sys.stdout.write(verification_to_text(failure.verification, verbose=arguments.verbose))
        raise
    if arguments.format == "json":
        _print_json(_built_to_json(built))
    elif not arguments.quiet:
        sys.stdout.write(_built_to_text(built, verbose=arguments.verbose))
    return 0


def _run_pack(arguments: argparse.Namespace) -> int:
    from .build import pack, prepare

    settings = _settings(arguments)
    facts = _target(arguments)
    if arguments.dry_run:
        return _show_plan(prepare(facts, settings, archive_only=True), arguments)
    with _progress(arguments) as show:
        packed = pack(facts, Path(os.path.abspath(arguments.output)), settings, on_progress=show)  # noqa: PTH100
    if arguments.format == "json":
        _print_json(
            {
                "schema_version": 1,
                "archive": str(packed.archive),
                "target": packed.facts.name,
                "size": packed.size,
                "sha256": packed.sha256,
                "members": len(packed.members),
                "must_be_on_disk": [{"path": path, "reason": reason} for path, reason in packed.on_disk],
                "broken_imports": _imports_to_json(packed.broken),
                "notes": list(packed.notes),
            }
        )
    elif not arguments.quiet:
        sys.stdout.write(_packed_to_text(packed))
    return 0


def _run_test(arguments: argparse.Namespace) -> int:
    from .suite.report import suite_to_json, suite_to_junit, suite_to_text
    from .suite.run import SuiteSettings, run_suite
    from .suite.selection import divide

    pythons, tests = divide(arguments.words)
    if tests and (arguments.smoke or arguments.full):
        raise UsageError("test files and --smoke or --full are both given", cure="give one of them")
    settings = SuiteSettings(
        targets=tuple(_find(python, arguments).facts for python in pythons or (None,)),
        folder=Path(os.path.abspath(arguments.output)),  # noqa: PTH100
        tests=tests,
        smoke=arguments.smoke,
        layout=arguments.layout,
        jobs=arguments.jobs or _processors(),
        timeout=float(arguments.timeout),
    )
    try:
        with _steps(arguments) as show:
            report = run_suite(settings, show)
    except KeyboardInterrupt:
        print("zipstrap: interrupted; the same command takes up what is missing", file=sys.stderr)
        return 130
    if arguments.format == "json":
        _print_json(suite_to_json(report))
    elif arguments.format == "junit":
        sys.stdout.write(suite_to_junit(report))
    elif not arguments.quiet:
        sys.stdout.write(suite_to_text(report, verbose=arguments.verbose))
    return 0 if report.passed else 1


def _run_bench(arguments: argparse.Namespace) -> int:
    from .bench.cases import Condition, Measure, bench_data, choose
    from .bench.peers import parse_peer
    from .bench.plot import bench_to_svg
    from .bench.report import BenchReport, bench_to_json, bench_to_text
    from .bench.run import BenchSettings, interpreter_of, run_bench
    from .destination import check_destination, new_file

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
        check_destination(destination, force=False, is_ours=lambda _path: False)
    tree = Path(arguments.what) if arguments.what is not None and Path(arguments.what).is_dir() else None
    notes: tuple[str, ...] = ()
    if tree is not None:
        facts, notes = interpreter_of(tree, arguments.python)
    elif arguments.python is not None:
        raise UsageError("--python is for a TREE", cure="name the interpreter alone, or a tree and --python")
    else:
        facts = _find(arguments.what, arguments).facts
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
        jobs=arguments.jobs or _processors(),
        cache=not arguments.no_cache,
    )
    with _steps(arguments) as show:
        report = run_bench(settings, show, notes=notes)
    for destination in arguments.output:
        with new_file(destination) as path:
            path.write_text(render(report, destination.suffix[1:].lower()), encoding="utf-8")
    if arguments.format != "text" or not arguments.quiet:
        sys.stdout.write(render(report, arguments.format))
    return 0 if report.measured else 1


def _run_verify(arguments: argparse.Namespace) -> int:
    from .verify.report import verification_to_json, verification_to_text

    verification = _verification(arguments)
    if arguments.format == "json":
        _print_json(verification_to_json(verification))
    elif not arguments.quiet:
        sys.stdout.write(verification_to_text(verification, verbose=arguments.verbose))
    return 0 if verification.passed else 1


def _verification(arguments: argparse.Namespace) -> Verification:
    from .verify.run import verify_interpreter, verify_tree

    jobs = arguments.jobs or _processors()
    if Path(arguments.what).is_dir():
        return verify_tree(Path(arguments.what), jobs=jobs, strict=arguments.strict, kernel=arguments.kernel)
    if os.sep in arguments.what and not Path(arguments.what).exists():
        raise InterpreterError(
            "there is no such tree or interpreter",
            file=arguments.what,
            cure="name a tree that zipstrap build made, or a CPython by path or version",
        )
    found = _find(arguments.what, arguments)
    return verify_interpreter(found.facts, jobs=jobs, strict=arguments.strict, kernel=arguments.kernel)


def _run_inspect(arguments: argparse.Namespace) -> int:
    from .archive import BadArchive
    from .inspection import inspect_path, inspection_to_json, inspection_to_text

    try:
        inspection = inspect_path(arguments.what)
    except BadArchive as error:
        print(f"zipstrap: {error}", file=sys.stderr)
        return 1
    if arguments.format == "json":
        _print_json(inspection_to_json(inspection))
    else:
        sys.stdout.write(inspection_to_text(inspection, as_tree=arguments.tree))
    return 0


def _run_audit(arguments: argparse.Namespace) -> int:
    from .audit import audit, is_code
    from .audit_report import audit_to_json, audit_to_text

    if arguments.what is not None and is_code(arguments.what):
        audited = audit(Path(arguments.what), python=_find(arguments.python, arguments).facts)
    elif arguments.python is not None:
        raise UsageError(
            "--python is for code at a PATH, and this is no folder and no .py file",
            cure="name the interpreter alone to audit its library, or a path of code",
        )
    else:
        audited = audit(_find(arguments.what, arguments).facts)
    if arguments.format == "json":
        _print_json(audit_to_json(audited))
    elif not arguments.quiet:
        sys.stdout.write(audit_to_text(audited, verbose=arguments.verbose))
    return 0 if audited.passed else 1


def _run_facts(arguments: argparse.Namespace) -> int:
    from .destination import check_destination, new_file
    from .interpreter import facts_to_json

    destination = arguments.output
    if destination is not None:
        check_destination(destination, force=False, is_ours=lambda _path: False)
    text = facts_to_json(_find(arguments.python, arguments).facts)
    if destination is None:
        sys.stdout.write(text)
    else:
        with new_file(destination) as path:
            path.write_text(text, encoding="utf-8")
    return 0


# ---- what is printed -------------------------------------------------------------------------------------


def _print_json(values: object) -> None:
    json.dump(values, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _show_plan(prepared: Prepared, arguments: argparse.Namespace) -> int:
    plan = prepared.plan
    if arguments.format == "json":
        _print_json(
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
                "broken_imports": _imports_to_json(prepared.broken),
                "notes": list(prepared.notes),
            }
        )
        return 0
    print(f"{plan.facts.name}, profile {plan.profile}; this is the plan, nothing is written")
    print(f"into {plan.layout.library_archive}: {_count(len(plan.members), 'file')}")
    for member in plan.members if arguments.verbose else ():
        print(f"  {member.name}")
    print(f"on disk: {len(plan.files)} files, folders and links")
    for reason, paths in _by_reason((file.path, file.reason) for file in plan.files).items():
        print(f"  {_first_of(paths)}: {reason}")
    left_out = [item for item in plan.left_out if item.entry.kind != "junk"]
    print(f"left out: {_count(len(left_out), 'file')}")
    for reason, paths in _by_reason((item.entry.path, item.reason) for item in left_out).items():
        print(f"  {_first_of(paths)}: {reason}")
    for line in (*_broken_lines(prepared.broken, verbose=arguments.verbose), *_note_lines(prepared.notes)):
        print(line)
    return 0


def _by_reason(items: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for path, reason in items:
        groups.setdefault(reason, []).append(path)
    return groups


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _first_of(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _built_to_text(built: Built, *, verbose: bool) -> str:
    from .verify.report import verification_to_text

    manifest = built.manifest
    on_disk = sum(file.size for file in manifest.files)
    lines = [
        f"{built.tree}: {manifest.target.name}, profile {manifest.profile}",
        f"archive: {manifest.layout.library_archive}, {len(manifest.members)} members, "
        f"{manifest.archive_size / 1e6:.1f} MB, "
        f"sha256 {manifest.archive_sha256}",
        *_compression_lines(manifest),
        f"on disk: {len(manifest.files)} files, {on_disk / 1e6:.1f} MB",
        f"modules: {built.compiled}, {built.from_cache} of them from the cache",
    ]
    if manifest.needs:
        needs = manifest.needs if verbose or len(manifest.needs) <= 8 else manifest.needs[:6]
        more = (
            f" and {len(manifest.needs) - len(needs)} more (-v)" if len(needs) < len(manifest.needs) else ""
        )
        lines.append(f"shared libraries needed of the system: {', '.join(needs)}{more}")
    dev = sum(file.size for file in manifest.files if file.component == "dev")
    if dev > _LARGE:
        lines.append(
            f"{dev / 1e6:.1f} MB of this are for builders of extension modules: --exclude dev leaves them out"
        )
    lines += (*_broken_lines(built.broken, verbose=verbose), *_note_lines(manifest.notes))
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
    from .verify.report import verification_to_json

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
        "modules": built.compiled,
        "from_cache": built.from_cache,
        "needs": list(manifest.needs),
        "broken_imports": _imports_to_json(built.broken),
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
            f"  {_first_of(paths)}: {reason}" for reason, paths in _by_reason(iter(packed.on_disk)).items()
        )
    lines += (*_broken_lines(packed.broken, verbose=False), *_note_lines(packed.notes))
    return "\n".join(lines) + "\n"


def _broken_lines(broken: Sequence[Import], *, verbose: bool) -> Iterator[str]:
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


def _imports_to_json(broken: Sequence[Import]) -> list[dict[str, Any]]:
    return [
        {"importer": item.importer, "module": item.module, "line": item.line, "kind": item.kind}
        for item in broken
    ]


def _note_lines(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield f"note: {note}"
