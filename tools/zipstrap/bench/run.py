"""Measure the columns against the unpacked library, row by row and condition by condition."""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.destination import writing
from zipstrap.errors import InterpreterError, UnsupportedError, UsageError
from zipstrap.interpreter import Facts, find_interpreter
from zipstrap.manifest import Manifest, load_manifest, target_of
from zipstrap.worker import clean_environment, last_line

from .cases import (
    BASE,
    Column,
    Condition,
    Measure,
    Row,
    bench_data,
    imports_of,
    with_base,
)
from .counters import Calls, Counter, count_calls, count_instructions, find_counter, find_tracer
from .figures import ratios, spread
from .measure import Run, Started, machine, measure, try_once
from .memory import HOLD, Memory, measure_memory, why_no_memory
from .peers import Peer, compare_peer, read_peer
from .report import BenchReport, CaseReport, Cell, ColumnReport, NotMeasured
from .sides import Side, check_side, given_side, make_side
from .storage import drop_all, files_below, forget, may_drop, slow_prefix, why_not_cold, why_not_slow

__all__ = ["BenchSettings", "Progress", "interpreter_of", "run_bench"]

#: What is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

#: how many folders come before the library under ``last``
_FOLDERS = 20

#: Where distributions keep the wheel of pip that ensurepip would install.
_WHEELS = ("/usr/share/python-wheels", "/usr/share/python3-wheels")


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What the user asked for."""

    facts: Facts
    #: a tree to measure beside the others
    tree: Path | None = None
    columns: tuple[Column, ...] = dataclasses.field(default_factory=lambda: bench_data().columns)
    rows: tuple[Row, ...] = dataclasses.field(default_factory=lambda: bench_data().rows)
    conditions: tuple[Condition, ...] = tuple(Condition)
    measures: tuple[Measure, ...] = tuple(Measure)
    pairs: int = 30
    #: what each file operation takes longer under ``slow``, in ms
    latency: float = 0.5
    #: empty the whole machine's page cache, not the trees' files alone
    drop: bool = False
    peers: tuple[Peer, ...] = ()
    jobs: int = 1
    cache: bool = True


def interpreter_of(tree: Path, python: str | None = None) -> tuple[Facts, tuple[str, ...]]:
    """Return the interpreter that *tree* was made from, or the one named, with what the user should know.

    A manifest holds no path outside the tree, so the interpreter is looked for by its version. Raises
    InterpreterError if there is none, UsageError if the one named is of another version.
    """
    target = load_manifest(tree).target
    version = ".".join(map(str, target.version)) + ("t" if target.free_threaded else "")
    try:
        found = find_interpreter(python or version)
    except InterpreterError as error:
        if python is not None:
            raise
        raise InterpreterError(
            f"the tree is of {target.name}, and that interpreter, from which the other columns are made, "
            f"was not found ({error.problem})",
            file=tree,
            cure="name it with --python",
        ) from error
    facts = found.facts
    if (facts.version, facts.abiflags) != (target.version, target.abiflags):
        raise (UsageError if python else InterpreterError)(
            f"the tree is of {target.name}, and this is {facts.name}",
            file=facts.executable,
            cure="name the interpreter that the tree was made from with --python",
        )
    notes = list(found.notes)
    if target_of(facts) != target:
        notes.append(f"{facts.executable} is another build than the one that the tree was made from")
    return facts, tuple(notes)


def run_bench(
    settings: BenchSettings, on_progress: Progress | None = None, *, notes: Sequence[str] = ()
) -> BenchReport:
    """Make the columns in a folder of temporary files, measure, and return what was found.

    What cannot be measured here is told in the report. Raises what ``build`` raises, UsageError for peers
    or options that make no sense, UnsupportedError where processes cannot be measured at all.
    """
    if not hasattr(os, "wait4"):
        raise UnsupportedError("this system does not tell what a process took", cure="run it on Linux")
    if settings.drop:
        may_drop()
    peers = [(peer, *read_peer(peer.path)) for peer in settings.peers]
    with tempfile.TemporaryDirectory(prefix="zipstrap-bench-") as name:
        folder = Path(name).resolve()
        bench = _Bench(settings, on_progress or (lambda _what, _done, _total: None), folder)
        bench.prepare()
        cases = bench.cases()
        archives = {side.name: side.members for side in bench.sides if side.members}
        return BenchReport(
            target=settings.facts.name,
            executable=settings.facts.executable,
            tree=None if settings.tree is None else str(settings.tree),
            profile=bench.profile,
            pairs=settings.pairs,
            latency=settings.latency,
            machine={
                **machine(),
                "load": f"{bench.load:.1f} before, {os.getloadavg()[0]:.1f} after",
            },
            counter=bench.counted_by,
            cold_by=bench.cold_by,
            modules=bench.modules,
            absent=bench.absent,
            columns=tuple(
                ColumnReport(side.name, side.about, side.tree_size, side.library_size, side.files)
                for side in bench.sides
            ),
            cases=cases,
            peers=tuple(
                compare_peer(peer.name, str(peer.path), size, members, archives)
                for peer, size, members in peers
            ),
            not_measured=tuple(bench.not_measured),
            notes=(*notes, *bench.notes),
        )


class _Bench:
    """A run of the bench; what it finds out on its way is kept for the report."""

    def __init__(self, settings: BenchSettings, progress: Progress, folder: Path) -> None:
        self.settings = settings
        self.progress = progress
        self.folder = folder
        self.manifest: Manifest | None = None if settings.tree is None else load_manifest(settings.tree)
        self.profile = "standard" if self.manifest is None else self.manifest.profile
        self.sides: list[Side] = []
        self.modules: tuple[str, ...] = ()
        self.absent: dict[str, str] = {}
        self.not_measured: list[NotMeasured] = []
        self.notes: list[str] = []
        self.load = 0.0
        self.counted_by = ""
        self.cold_by = ""
        self._program: Path | None = None
        self._files: dict[str, tuple[Path, ...]] = {}

    # ---- what is there before anything is measured ---------------------------------------------------

    def prepare(self) -> None:
        """Make the columns and what is run in them."""
        columns = with_base(self.settings.columns)
        binaries: dict[str, Path] = {}
        for number, column in enumerate(columns):
            self.progress("building", number, len(columns))
            # names of one length: a path's length is part of what a start costs
            root = self.folder / f"t{number:02}"
            try:
                side = make_side(
                    column,
                    self.settings.facts,
                    root,
                    profile=self.profile,
                    optimize=0 if self.manifest is None else self.manifest.optimize,
                    jobs=self.settings.jobs,
                    cache=self.settings.cache,
                    binaries=binaries,
                )
            except UnsupportedError as error:
                # another layout may be there all the same, but not the one that all are compared with
                if column.name == BASE:
                    raise
                self.not_measured.append(NotMeasured(f"column {column.name}", error.problem.text))
            else:
                self.sides.append(side)
        if self.manifest is not None and self.settings.tree is not None:
            self.sides.append(given_side(self.settings.tree.resolve(), self.manifest))
        self.progress("building", len(columns), len(columns))
        named = bench_data().modules
        for side in self.sides:
            for name, reason in check_side(side, named).items():
                self.absent.setdefault(name, f"{side.name}: {reason}")
        self.modules = tuple(name for name in named if name not in self.absent)
        if self.absent:
            missing = ", ".join(self.absent)
            self.notes.append(
                f"{len(self.modules)} of {len(named)} modules are imported; not every column has {missing}"
            )
        self._write_scripts()
        self.load = os.getloadavg()[0]

    def _write_scripts(self) -> None:
        texts = {"empty": "", "modules": imports_of(self.modules)}
        with writing(self.folder):
            for name in ("cwd", "home", "scripts", "program"):
                (self.folder / name).mkdir()
            for number in range(_FOLDERS):
                (self.folder / f"path{number:02}").mkdir()
            for name, text in texts.items():
                self._script(name).write_text(text, encoding="utf-8")
                self._script(f"{name}-hold").write_text(text + HOLD, encoding="utf-8")

    def _script(self, name: str) -> Path:
        return self.folder / "scripts" / f"{name}.py"

    def _unpack_pip(self) -> str:
        """Unpack the interpreter's own pip for all columns, and return why that cannot be, or nothing."""
        bundled = Path(self.settings.facts.library, "ensurepip", "_bundled")
        wheels = [wheel for folder in (bundled, *map(Path, _WHEELS)) for wheel in folder.glob("pip-*.whl")]
        if not wheels:
            return "the interpreter brings no wheel of pip (ensurepip)"
        program = self.folder / "program"
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                archive.extractall(program)
        except (OSError, zipfile.BadZipFile) as error:
            return f"{wheels[0]} cannot be unpacked ({error})"
        done = subprocess.run(
            [str(self.sides[0].executable), "-m", "compileall", "-q", str(program)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._started(Condition.WARM).environ,
            cwd=self.folder / "cwd",
            check=False,
        )
        if done.returncode:
            return f"pip cannot be compiled: {last_line(done.stderr or done.stdout)}"
        self._program = program
        return ""

    # ---- how something is started --------------------------------------------------------------------

    def _started(self, condition: Condition, row: Row | None = None) -> Started:
        environ = {**clean_environment(), "HOME": str(self.folder / "home")}
        folders = []
        if condition is Condition.LAST:
            folders = [str(self.folder / f"path{number:02}") for number in range(_FOLDERS)]
        if row is not None and row.program and self._program is not None:
            folders.append(str(self._program))
        if folders:
            environ["PYTHONPATH"] = os.pathsep.join(folders)
        prefix = slow_prefix(self.settings.latency) if condition is Condition.SLOW else ()
        return Started(environ, self.folder / "cwd", prefix)

    def _command(self, side: Side, row: Row) -> list[str]:
        scripts = {"{empty}": str(self._script("empty")), "{modules}": str(self._script("modules"))}
        # -B: nothing is written into a tree, also where the environment is ignored
        return [str(side.executable), "-B", *(scripts.get(word, word) for word in row.arguments)]

    def _command_held(self, side: Side, row: Row) -> list[str]:
        name = "modules-hold" if "{modules}" in row.arguments else "empty-hold"
        return [str(side.executable), "-B", str(self._script(name))]

    # ---- measuring -----------------------------------------------------------------------------------

    def cases(self) -> tuple[CaseReport, ...]:
        """Measure every case that was asked for."""
        settings = self.settings
        rows = self._rows()
        conditions = self._conditions()
        counter, tracer, memory = self._tools()
        before = self._names()
        found = []
        for row in rows:
            for condition in conditions:
                if condition in row.conditions:
                    tools = (counter, tracer, memory) if condition is Condition.WARM else (None, False, False)
                    case = self._case(row, condition, *tools)
                    if case is not None:
                        found.append(case)
        written = sorted(self._names() - before)
        if written:
            self.notes.append(f"the runs wrote {len(written)} files into the trees, such as {written[0]}")
        if not found and settings.measures:
            self.notes.append("nothing that was asked for was measured")
        return tuple(found)

    def _names(self) -> set[str]:
        return {str(path) for path in files_below(side.root for side in self.sides)}

    def _rows(self) -> list[Row]:
        rows = []
        for row in self.settings.rows:
            reason = self._unpack_pip() if row.program else ""
            if reason:
                self.not_measured.append(NotMeasured(row.name, reason))
            else:
                rows.append(row)
        return rows

    def _conditions(self) -> list[Condition]:
        """Return the conditions that can be had here."""
        if Measure.TIME not in self.settings.measures:
            # nothing else is measured under any other
            return [Condition.WARM]
        found = []
        for condition in self.settings.conditions:
            reason = ""
            if condition is Condition.COLD:
                reason = self._prepare_cold()
            elif condition is Condition.SLOW:
                reason = why_not_slow(self.settings.latency, self._started(Condition.WARM))
            if reason:
                self.not_measured.append(NotMeasured(condition.value, reason))
            else:
                found.append(condition)
        return found

    def _prepare_cold(self) -> str:
        common = [self.folder / "scripts", self.folder / "program"]
        self._files = {side.name: files_below([side.root, *common]) for side in self.sides}
        if self.settings.drop:
            self.cold_by = "the whole page cache is emptied before each run (drop_caches)"
            return ""
        for files in self._files.values():
            reason = why_not_cold(files)
            if reason:
                return reason
        self.cold_by = (
            "the tree's own files are dropped from the page cache before each run (posix_fadvise); "
            "their names stay known to the kernel"
        )
        return ""

    def _make_cold(self, name: str) -> None:
        if self.settings.drop:
            drop_all()
        else:
            forget(self._files[name])

    def _tools(self) -> tuple[Counter | None, bool, bool]:
        """Return what counts instructions, and whether calls and memory can be measured."""
        measures, started = self.settings.measures, self._started(Condition.WARM)
        counter: Counter | None = None
        reasons = {}
        if Measure.INSTRUCTIONS in measures:
            tool = find_counter(started)
            if isinstance(tool, str):
                reasons[Measure.INSTRUCTIONS] = tool
            else:
                counter = tool
                self.counted_by = tool.name
        if Measure.CALLS in measures:
            reasons[Measure.CALLS] = find_tracer(started)
        if Measure.MEMORY in measures:
            reasons[Measure.MEMORY] = why_no_memory()
        self.not_measured += [NotMeasured(name.value, reason) for name, reason in reasons.items() if reason]
        return counter, reasons.get(Measure.CALLS) == "", reasons.get(Measure.MEMORY) == ""

    def _case(
        self,
        row: Row,
        condition: Condition,
        counter: Counter | None,
        tracer: bool,  # noqa: FBT001
        memory: bool,  # noqa: FBT001
    ) -> CaseReport | None:
        name = f"{row.name}, {condition}"
        started = self._started(condition, row)
        sides = []
        for side in self.sides:
            reason = ""
            if "PYTHONPATH" in started.environ and not side.reads_environment:
                reason = "its starts read no PYTHONPATH"
            reason = reason or try_once(self._command(side, row), started)
            if reason:
                self.not_measured.append(NotMeasured(f"{name}, {side.name}", reason))
            else:
                sides.append(side)
        if not any(side.name == BASE for side in sides):
            return None
        cells = {side.name: Cell() for side in sides}
        runs: dict[str, list[Run]] = {}
        if Measure.TIME in self.settings.measures and condition in self.settings.conditions:
            runs = self._timed(name, row, condition, sides, started)
            cells = _with_times(cells, runs, condition)
        for side in sides:
            cells[side.name] = dataclasses.replace(
                cells[side.name],
                instructions=self._instructions(name, row, side, counter, started),
                calls=self._calls(name, row, side, started) if tracer else None,
                memory=self._memory(name, row, side, started) if memory and row.memory else None,
            )
        base = runs.get(BASE)
        number = f"{len(self.modules)} " if "{modules}" in row.arguments else ""
        return CaseReport(
            row=row.name,
            condition=condition,
            about=f"{number}{row.about}",
            pairs=self.settings.pairs if base else 0,
            base_cpu=statistics.median(run.cpu for run in base)
            if base and condition is not Condition.SLOW
            else None,
            base_elapsed=statistics.median(run.elapsed for run in base) if base else None,
            cells=cells,
        )

    def _timed(
        self, name: str, row: Row, condition: Condition, sides: Sequence[Side], started: Started
    ) -> dict[str, list[Run]]:
        pairs = self.settings.pairs
        try:
            return measure(
                {side.name: self._command(side, row) for side in sides},
                started,
                pairs,
                before=self._make_cold if condition is Condition.COLD else None,
                on_round=lambda number: self.progress(name, number, pairs),
            )
        except InterpreterError as error:
            self.not_measured.append(NotMeasured(name, str(error.problem)))
            return {}

    def _instructions(
        self, name: str, row: Row, side: Side, counter: Counter | None, started: Started
    ) -> int | None:
        if counter is None:
            return None
        self.progress(f"{name}: instructions", 0, 1)
        # with -I and -E the hash seed cannot be fixed, so chance has a small part in it
        times = 1 if row.reads_environment else 3
        try:
            return count_instructions(counter, self._command(side, row), started, times)
        except InterpreterError as error:
            self.not_measured.append(NotMeasured(f"{name}, {side.name}, instructions", str(error.problem)))
            return None

    def _calls(self, name: str, row: Row, side: Side, started: Started) -> Calls | None:
        try:
            return count_calls(self._command(side, row), started, side.root)
        except InterpreterError as error:
            self.not_measured.append(NotMeasured(f"{name}, {side.name}, calls", str(error.problem)))
            return None

    def _memory(self, name: str, row: Row, side: Side, started: Started) -> Memory | None:
        try:
            return measure_memory(self._command_held(side, row), started)
        except InterpreterError as error:
            self.not_measured.append(NotMeasured(f"{name}, {side.name}, memory", str(error.problem)))
            return None


def _with_times(
    cells: Mapping[str, Cell], runs: Mapping[str, Sequence[Run]], condition: Condition
) -> dict[str, Cell]:
    """Return *cells* with the ratios of *runs*. Under slow, the time of the processor is that of strace."""
    base = runs.get(BASE, ())
    found = {}
    for name, cell in cells.items():
        if name == BASE or not runs:
            found[name] = cell
            continue
        cpu = ratios([run.cpu for run in runs[name]], [run.cpu for run in base])
        elapsed = ratios([run.elapsed for run in runs[name]], [run.elapsed for run in base])
        found[name] = dataclasses.replace(
            cell,
            cpu=spread(cpu) if cpu and condition is not Condition.SLOW else None,
            elapsed=spread(elapsed) if elapsed else None,
        )
    return found
