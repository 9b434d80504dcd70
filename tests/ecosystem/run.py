"""Use well-known packages from an unpacked library and from an archive, and compare what they print.

    python tests/ecosystem/run.py PYTHON... [--only NAME]... [-o FOLDER]

For each PYTHON two trees are built, ``dir`` (layout ``directory``) and ``zip`` (layout ``fast``), each with a
virtual environment made by the tree's own venv. The packages of ``packages.json`` are downloaded once, as
wheels, and installed into both without an index. Then each script of ``scripts/`` runs on both sides.

In FOLDER: ``wheels/``; per interpreter ``dir/`` and ``zip/``, whose paths are equally long, and ``results/``
with one JSON file a case. A case with a result is not run again, unless its script has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from zipstrap.errors import ZipstrapError
from zipstrap.interpreter import find_interpreter

T = TypeVar("T")

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
#: the sides; the names are equally long, so that lines which are cut to a width are cut alike
SIDES = {"dir": "directory", "zip": "fast"}
SCHEMA_VERSION = 1
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

_ASK = """\
import json, os, sys, sysconfig
include = sysconfig.get_path("include")
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "minor": "%d.%d" % sys.version_info[:2],
    "include": include if os.path.exists(os.path.join(include, "Python.h")) else None,
}))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One use of one package: an entry of ``packages.json``."""

    name: str
    #: distributions to install, as pip takes them
    requires: tuple[str, ...]
    script: str
    #: first version that it is for; last one
    since: str = "3.8"
    until: str = "3.99"
    #: ``headers``: of the interpreter, to build an extension; ``libpython``: a shared one
    needs: tuple[str, ...] = ()
    #: seconds for the script
    timeout: int = 300


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What PYTHON is."""

    executable: Path
    version: str
    minor: str
    #: the folder of Python.h, if it is there
    include: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a script did on one side; the text is normalised."""

    status: int | None
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a case: same, different, not installable, or fails.

    ``fails`` is a failure on both sides alike, which shows nothing.
    """

    case: str
    python: str
    outcome: str
    reason: str = ""
    installed: Mapping[str, str] = field(default_factory=dict)
    #: what the result was made with; another fingerprint makes it stale
    fingerprint: str = ""
    difference: list[str] = field(default_factory=list)
    runs: Mapping[str, Run] = field(default_factory=dict)


class ProblemError(Exception):
    """The run cannot go on."""


class OverdueError(ProblemError):
    """A command took too long; *output* is what it printed till then."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


def load_cases() -> list[Case]:
    """Return the cases of ``packages.json``."""
    data: Any = json.loads((HERE / "packages.json").read_text(encoding="utf-8"))
    cases = []
    for entry in data["cases"]:
        entry.update({key: tuple(entry.get(key, ())) for key in ("requires", "needs")})
        cases.append(Case(**entry))
    return cases


# what differs from run to run, whichever side it is
_NOISE: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
        (r"\b0x[0-9a-fA-F]{6,}\b", "0xADDRESS"),
        (r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b", "UUID"),
        (r"\b\d{12,}\b", "NUMBER"),
        (r"\bwhen=\d+\.\d+", "when=TIME"),
        (r"\b[0-9a-f]{32,}\b", "HEX"),
        (r"wheels(/[0-9a-f]{2}){3}/", "wheels/XX/"),
        (r"sha256[=:][\w=-]+", "sha256=HASH"),
        (r"(127\.0\.0\.1|localhost|0\.0\.0\.0)(:|', |\", )\d{4,5}\b", r"\1\2PORT"),
        # the importer keeps the archive open: other descriptors are free
        (r"fd=\d+", "fd=FD"),
        (r"(FileIO name=|errpipe_(read|write) += |fds_to_keep += \{)\d+", r"\1FD"),
        (r'\btime="\d+\.\d+"', 'time="TIME"'),
        (r"\bport[ =:]+\d{4,5}\b", "port PORT"),
        (r"(SERVER_PORT(:| =)?\s+)'\d+'", r"\1'PORT'"),
        (r"\b(pid|PID|process|Process)([ =:\[]+)\d+", r"\1\2PID"),
        (r"\[\d\d/\w{3}/\d{4}[ :]\d\d:\d\d:\d\d[^\]]*\]", "[DATE]"),
        (r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d( GMT)?", "DATE"),
        (r"\b\w{3,9} \d\d, \d{4} - \d\d:\d\d:\d\d", "DATE"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?( ?[+-]\d\d:?\d\d|Z)?", "DATE"),
        (r"\b\d\d:\d\d:\d\d([.,]\d+)?\b", "TIME"),
        (r"\b\d+\.\d+=setup\[[\d.]+\](\+cmd\[[\d.,]+\])?", "TIME"),
        (r"\b\d+(\.\d+)? ?(s|ms|µs|ns|seconds?|sec|milliseconds)\b", "TIME"),
        (r"\b\d+(\.\d+)? ?([kM]B/s|[kM]i?B)\b", "SIZE"),
        (r"^\d+ (INFO|WARNING|DEBUG|ERROR)\b", r"\1"),
        (r"'/mp-\w{8}'", "'/mp-TEMPORARY'"),
        (r"(?<![a-z])tmp-?[a-z0-9_]{8}", "TEMPORARY"),
        (r"\bsize=\d+", "size=SIZE"),
        (r"\bpip-([a-z-]+)-[a-z0-9_]{8}\b", r"pip-\1-TEMPORARY"),
        (r"[ \t]+$", ""),
        # importlib.metadata looks into every archive on sys.path by zipfile, which reads names by this codec
        (r"^encodings\.cp437 .*\n", ""),
    )
]


def normalise(text: str, side: Path) -> list[str]:
    """Return the lines of *text* without what differs from run to run and from side to side."""
    text = text.replace(str(side), "SIDE").replace(str(side)[1:], "SIDE")
    for pattern, replacement in _NOISE:
        text = pattern.sub(replacement, text)
    return text.split("\n")


def compare(runs: Mapping[str, Run]) -> tuple[str, list[str]]:
    """Return the outcome of two runs and, for a difference, its lines."""
    first, second = (runs[side] for side in SIDES)
    sheets = [[*run.lines, f"exit status of the script: {run.status}"] for run in (first, second)]
    difference = list(difflib.unified_diff(sheets[0], sheets[1], "dir", "zip", lineterm="", n=2))
    if difference:
        return "different", difference
    return ("same" if first.status == 0 else "fails"), []


class Ecosystem:
    """The run for one interpreter."""

    def __init__(self, interpreter: Interpreter, folder: Path, wheels: Path, cases: Sequence[Case]) -> None:
        name = hashlib.sha256(os.fsencode(interpreter.executable)).hexdigest()[:6]
        self.interpreter = interpreter
        self.folder = folder / f"{interpreter.version}-{name}"
        self.wheels = wheels
        self.cases = cases
        self.results = self.folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)

    # -- the trees and the environments

    def tree(self, side: str) -> Path:
        return self.folder / side / "tree"

    def tree_python(self, side: str) -> Path:
        return self.tree(side) / "bin" / f"python{self.interpreter.minor}"

    def environment_python(self, side: str) -> Path:
        return self.folder / side / "env" / "bin" / "python"

    def build_trees(self, *, anew: bool) -> None:
        """Build what is not there, and forget the results when a tree is another than it was."""
        for side, layout in SIDES.items():
            if self.tree(side).exists() and not anew:
                continue
            self.tree(side).parent.mkdir(parents=True, exist_ok=True)
            command = [
                *self.zipstrap(),
                "build",
                str(self.interpreter.executable),
                "-o",
                str(self.tree(side)),
            ]
            finish([*command, "--layout", layout, "--force", "-q"], timeout=600)

    @staticmethod
    def zipstrap() -> list[str]:
        return [sys.executable, "-m", "zipstrap"]

    def make_environments(self) -> None:
        for side in SIDES:
            folder = self.folder / side / "env"
            if not (folder / "bin" / "python").exists():
                finish(
                    [self.tree_python(side), "-m", "venv", "--without-pip", folder], env=self.variables(side)
                )

    def variables(self, side: str) -> dict[str, str]:
        """Return the environment of everything that runs on *side*: the same for both, but for paths."""
        home = self.folder / side / "home"
        temporary = self.folder / side / "tmp"
        for folder in (home, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        variables = {
            "PATH": f"{self.folder / side / 'env' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "COLUMNS": "160",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "1577836800",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_PROGRESS_BAR": "off",
            "PIP_ROOT_USER_ACTION": "ignore",
            "ECO_TREE": str(self.tree(side)),
            "ECO_TREE_PYTHON": str(self.tree_python(side)),
            "ECO_PIP": str(next(iter((self.folder / "pip").glob("pip-*.whl")), "")),
            "ECO_PYTHON": str(self.interpreter.executable),
            "ECO_ZIPSTRAP": json.dumps(self.zipstrap()),
        }
        if self.interpreter.include:
            # a tree has no headers
            variables["CPATH"] = self.interpreter.include
        return variables

    # -- the packages

    def pip(self, side: str) -> list[str | Path]:
        """Return a command: pip run from its wheel, so that it need not be installed."""
        wheel = next(iter((self.folder / "pip").glob("pip-*.whl")))
        return [self.environment_python(side), wheel / "pip"]

    def download(self, cases: Sequence[Case]) -> dict[str, str]:
        """Fetch the wheels of *cases*; return the reason for each case whose wheels are not to be had."""
        reasons_file = self.folder / "wheels.json"
        known: dict[str, str] = {}
        if reasons_file.exists():
            known = json.loads(reasons_file.read_text(encoding="utf-8"))
        if not list(self.folder.glob("pip/pip-*.whl")):
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
            command += ["--python-version", self.interpreter.minor, "-d", str(self.folder / "pip"), "pip"]
            finish(command, env=os.environ)
        new = [case for case in cases if case.name not in known and case.requires]
        wanted = sorted({each for case in new for each in case.requires})
        if wanted and self._download(wanted):
            for case in new:
                known[case.name] = self._download(case.requires)
        else:
            known.update({case.name: "" for case in new})
        reasons_file.write_text(json.dumps(known, indent=1), encoding="utf-8")
        return {name: reason for name, reason in known.items() if reason}

    def _download(self, requires: Iterable[str]) -> str:
        # With the settings of whoever runs this: they say where packages come from.
        settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command: list[str | Path] = [
            *self.pip("dir"),
            "download",
            "-q",
            "--only-binary",
            ":all:",
            "--no-cache-dir",
        ]
        command += ["--find-links", self.wheels, "-d", self.wheels, *requires]
        try:
            done = call(command, env=settings, timeout=900)
        except OverdueError:
            return "the wheels did not come in time"
        if done.returncode == 0:
            return ""
        errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
        text = errors[-1].removeprefix("ERROR: ") if errors else "pip download failed"
        # the host of the index is nobody's business
        return re.sub(r"\(from versions:.*|\bhttps?://\S+", "", text).strip()[:200]

    def install(self, cases: Sequence[Case]) -> dict[str, str]:
        """Install what *cases* need into both environments; return it, by distribution."""
        marker = self.folder / "installed.json"
        wanted = sorted({each for case in cases for each in case.requires} | {"pip"})
        state: dict[str, Any] = {}
        if marker.exists():
            state = json.loads(marker.read_text(encoding="utf-8"))
        if not set(wanted) <= set(state.get("wanted", [])):

            def one(side: str) -> str:
                command = [*self.pip(side), "install", "-q", *wanted]
                return finish(command, env=self.variables(side), timeout=1800)

            both(one)
            found = both(lambda side: finish([*self.pip(side), "freeze", "--all"], env=self.variables(side)))
            if found["dir"] != found["zip"]:
                raise ProblemError("the sides got other versions:\n" + "\n".join(found.values()))
            pairs = (line.partition("==") for line in found["dir"].splitlines())
            state = {"wanted": wanted, "versions": {name.lower(): version for name, _, version in pairs}}
            marker.write_text(json.dumps(state, indent=1), encoding="utf-8")
        versions: dict[str, str] = state["versions"]
        return versions

    # -- the cases

    def fingerprint(self, case: Case) -> str:
        text = hashlib.sha256(repr(case).encode())
        for path in (SCRIPTS / case.script, SCRIPTS / "show.py"):
            text.update(path.read_bytes())
        for side in SIDES:
            text.update((self.tree(side) / "zipstrap-manifest.json").read_bytes())
        return text.hexdigest()[:16]

    def kept(self, case: Case) -> Result | None:
        """Return the result that an earlier run left, if it is of this script and these trees."""
        path = self.results / f"{case.name}.json"
        if not path.exists():
            return None
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        result = result_of(data)
        return result if result.fingerprint == self.fingerprint(case) else None

    def keep(self, result: Result) -> Result:
        path = self.results / f"{result.case}.json"
        text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(result)}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return result

    def run_case(self, case: Case, versions: Mapping[str, str]) -> Result:
        def one(side: str) -> Run:
            work = self.folder / side / "work" / case.name
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            log = self.folder / side / "logs" / f"{case.name}.txt"
            log.parent.mkdir(exist_ok=True)
            command = [self.environment_python(side), SCRIPTS / case.script]
            try:
                done = call(command, env=self.variables(side), cwd=work, timeout=case.timeout)
            except OverdueError as error:
                lines = normalise(error.output, self.folder / side)
                return Run(None, [*lines, f"not done in {case.timeout} s"])
            log.write_text(done.stdout, encoding="utf-8", errors="surrogateescape")
            return Run(done.returncode, normalise(done.stdout, self.folder / side))

        runs = both(one)
        outcome, difference = compare(runs)
        names = [re.split(r"[\[<>=!~ ;]", each)[0].lower() for each in case.requires]
        reason = f"exit status {runs['dir'].status} on both sides" if outcome == "fails" else ""
        return Result(
            case=case.name,
            python=self.interpreter.version,
            outcome=outcome,
            reason=reason,
            installed={name: versions.get(name, "?") for name in names},
            fingerprint=self.fingerprint(case),
            difference=difference,
            runs=runs,
        )

    def run(self, only: Sequence[str], *, fresh: bool) -> list[Result]:
        """Run the cases, or those named; return the results of all that were asked for."""
        self.build_trees(anew=fresh)
        self.make_environments()
        chosen = [case for case in self.cases if not only or case.name in only]
        reasons = self.download(chosen)
        for case in chosen:
            if not version_key(case.since) <= version_key(self.interpreter.minor) <= version_key(case.until):
                reasons[case.name] = f"is for {case.since} to {case.until}"
            elif "headers" in case.needs and not self.interpreter.include:
                reasons[case.name] = "this interpreter came without Python.h"
            elif "libpython" in case.needs and not list(self.tree("dir").glob("lib/libpython*")):
                reasons[case.name] = "this interpreter came without a shared libpython"
        possible = [case for case in chosen if case.name not in reasons]
        versions = self.install(possible)
        results = []
        for case in chosen:
            result = None if fresh else self.kept(case)
            if case in possible:
                if result is None or result.outcome == "not installable":
                    result = self.keep(self.run_case(case, versions))
            else:
                fingerprint = self.fingerprint(case)
                missing = Result(case.name, self.interpreter.version, "not installable", reasons[case.name])
                result = self.keep(replace(missing, fingerprint=fingerprint))
            say(f"{self.interpreter.version} {case.name}: {result.outcome} {result.reason}".rstrip())
            results.append(result)
        return results


def version_key(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def both(work: Callable[[str], T]) -> dict[str, T]:
    """Do *work* for both sides at a time."""
    with ThreadPoolExecutor(len(SIDES)) as pool:
        return dict(zip(SIDES, pool.map(work, SIDES), strict=True))


def call(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a command; what it writes to stderr comes among what it writes to stdout.

    Nothing that it started is left. Raises :class:`OverdueError` after *timeout* seconds.
    """
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="surrogateescape",
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    overdue = False
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        overdue = True
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if overdue:
        output, _ = process.communicate()
        raise OverdueError(f"not done in {timeout:.0f} s: {command[0]}", output)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def finish(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 300
) -> str:
    """Run a command that has to succeed; return what it printed."""
    done = call(command, env=env, timeout=timeout)
    if done.returncode:
        words = " ".join(str(word) for word in command)
        raise ProblemError(f"exit status {done.returncode} of {words}\n{done.stdout[-4000:]}")
    return done.stdout


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def look_at(python: str) -> Interpreter:
    """Return what PYTHON is: a path or a version, as for ``zipstrap build``."""
    try:
        executable = Path(find_interpreter(python).facts.executable)
    except ZipstrapError as error:
        raise ProblemError(str(error)) from error
    facts = json.loads(finish([executable, "-I", "-c", _ASK]))
    return Interpreter(executable, facts["version"], facts["minor"], facts["include"])


def table(results: Iterable[Result], cases: Sequence[Case]) -> str:
    """Return the results as a table in Markdown: a package a row, a version a column."""
    by_key = {(each.case, each.python): each for each in results}
    versions = sorted({python for _, python in by_key}, key=version_key)
    names = [case.name for case in cases if any((case.name, version) in by_key for version in versions)]
    reasons: dict[str, int] = {}
    lines = ["| | " + " | ".join(versions) + " |", "|---|" + "---|" * len(versions)]
    for name in names:
        cells = []
        for version in versions:
            result = by_key.get((name, version))
            if result is None:
                cells.append("not run")
                continue
            text = result.outcome
            if result.reason:
                number = reasons.setdefault(result.reason, len(reasons) + 1)
                text += f" ({number})"
            cells.append(text)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines).rstrip() + "\n"


def write_page(page: Path, text: str) -> None:
    """Put the table between the two marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ProblemError(f"{page} lacks {BEGIN} or {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def result_of(data: dict[str, Any]) -> Result:
    """Return a stored result, compared anew: what counts as a difference may have changed since."""
    del data["schema_version"]
    runs = {
        side: Run(run["status"], normalise("\n".join(run["lines"]), Path("/SIDE")))
        for side, run in data.pop("runs").items()
    }
    result = Result(**data, runs=runs)
    if not runs:
        return result
    outcome, difference = compare(runs)
    return replace(result, outcome=outcome, difference=difference)


def stored_results(folder: Path) -> list[Result]:
    """Return every result in *folder*, whichever run made it."""
    results = []
    for path in sorted(folder.glob("*/results/*.json")):
        results.append(result_of(json.loads(path.read_text(encoding="utf-8"))))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "pythons", metavar="PYTHON", nargs="*", help="a path or a version; none: show what is in FOLDER"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a case; repeatable")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/ecosystem"), metavar="FOLDER")
    parser.add_argument("--fresh", action="store_true", help="build the trees anew and run every case again")
    parser.add_argument("--page", type=Path, help="write the table of all results in FOLDER into this page")
    options = parser.parse_args(arguments)
    cases = load_cases()
    if unknown := set(options.only) - {case.name for case in cases}:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(c.name for c in cases)}")
    folder = options.output.absolute()
    results = []
    try:
        for python in options.pythons:
            ecosystem = Ecosystem(look_at(python), folder, folder / "wheels", cases)
            results += ecosystem.run(options.only, fresh=options.fresh)
        if options.page:
            write_page(options.page, table(stored_results(folder), cases))
    except ProblemError as error:
        say(f"ecosystem: {error}")
        return 2
    if not options.pythons:
        results = stored_results(folder)
    print(table(results, cases), end="")
    bad = [each for each in results if each.outcome in ("different", "fails")]
    for each in bad:
        print(f"\n== {each.python} {each.case}: {each.outcome} {each.reason}")
        print("\n".join(each.difference[:60]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
