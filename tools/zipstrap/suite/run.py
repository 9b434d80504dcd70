"""Run the suite of an interpreter from both trees, until what differs is known to differ."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from zipstrap.build import Settings, build
from zipstrap.destination import writing
from zipstrap.errors import UnsupportedError
from zipstrap.interpreter import Facts
from zipstrap.manifest import MANIFEST_NAME
from zipstrap.worker import worker_source

from .cases import FileRun, Known, Pair, Side, judge, to_be_repeated
from .report import SuiteReport, TargetReport
from .runner import Runner, Tester, Tree, ordinary_user
from .selection import in_order, known_differences, named, smoke, suite_data
from .state import Store, locked

__all__ = ["RUNS", "Progress", "SuiteSettings", "TreeMaker", "run_suite"]

#: What is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

#: Makes a tree: facts, where, side, and the settings.
TreeMaker = Callable[[Facts, Path, Side, "SuiteSettings"], Path]

#: A file with a case that differs is run this often at most, on each side; in the short form once less.
RUNS = 3


@dataclass(frozen=True, slots=True)
class SuiteSettings:
    """What the user asked for."""

    targets: tuple[Facts, ...]
    #: where the trees, logs and results of a run are; the tester has to reach it
    folder: Path
    #: test files by name; without any, *smoke* decides
    tests: tuple[str, ...] = ()
    smoke: bool = False
    #: the layout of the archive's side
    layout: str = "standard"
    jobs: int = 1
    #: for each test file, in seconds
    timeout: float = 600.0


def run_suite(
    settings: SuiteSettings, on_progress: Progress | None = None, *, make_tree: TreeMaker | None = None
) -> SuiteReport:
    """Run the suite of each target and compare. What an interrupted run left is taken up.

    Raises UsageError for a test file that a suite has not, InterpreterError for a tree that the tester cannot
    run, UnsupportedError for an interpreter without its ``test`` package, and what ``build`` raises.
    """
    for facts in settings.targets:
        _check_suite(facts)
    tester = ordinary_user()
    progress = on_progress or (lambda _what, _done, _total: None)
    with locked(settings.folder):
        # all trees first: what is wrong with the last interpreter is not to be told hours later
        works = [
            _prepare(facts, settings, tester, progress, make_tree or _make_tree) for facts in settings.targets
        ]
        try:
            names = _selected(works, settings)
            return SuiteReport(tuple(work.run(names[work.folder.name], progress) for work in works))
        finally:
            for work in works:
                work.open_trees()


def _check_suite(facts: Facts) -> None:
    if not Path(facts.library, "test", "libregrtest", "main.py").is_file():
        raise UnsupportedError(
            f"{facts.name} has no test package, or only a part of it",
            file=Path(facts.library, "test"),
            cure="install it (Debian: libpython3.X-testsuite; Fedora: python3.X-test), "
            "or name an interpreter built from source",
        )


def _selected(works: Sequence[_Work], settings: SuiteSettings) -> dict[str, tuple[str, ...]]:
    """Return the test files that are to be run, by the name of each target's folder."""
    suites = {
        work.folder.name: tuple(dict.fromkeys(name for names in work.listed.values() for name in names))
        for work in works
    }
    if settings.tests:
        return named(suites, settings.tests)
    return {suite: smoke(names) for suite, names in suites.items()} if settings.smoke else suites


def _prepare(
    facts: Facts, settings: SuiteSettings, tester: Tester, progress: Progress, make_tree: TreeMaker
) -> _Work:
    """Make both trees, and ask each for its suite."""
    folder = settings.folder / _folder_name(facts)
    with writing(folder):
        folder.mkdir(exist_ok=True)
        # mkdtemp and a strict umask would keep the tester out
        for place in (settings.folder, folder):
            place.chmod(place.stat().st_mode | 0o555)
    trees = {}
    for number, side in enumerate(Side):
        progress(f"{facts.name}: building", number, 2)
        trees[side] = _tree(facts, folder, side, settings, tester, make_tree)
    asking = Runner(tester, timeout=settings.timeout, resources=())
    answers = {side: asking.ask(tree) for side, tree in trees.items()}
    resources = tuple(
        each for each in suite_data().resources if all(each in known for _, known in answers.values())
    )
    return _Work(
        facts,
        settings,
        tester,
        folder,
        resources,
        Runner(tester, timeout=settings.timeout, resources=resources),
        trees,
        {side: names for side, (names, _) in answers.items()},
        Store(folder, {side: tree.key for side, tree in trees.items()}),
    )


def _folder_name(facts: Facts) -> str:
    """Return a short name: two interpreters of one version get two."""
    mark = hashlib.sha256(facts.executable.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{facts.version_text}{facts.abiflags}-{mark}"


def _tree(
    facts: Facts, folder: Path, side: Side, settings: SuiteSettings, tester: Tester, make_tree: TreeMaker
) -> Tree:
    # of equal length, because some tests depend on the length of a path
    root = folder / {Side.DIRECTORY: "tree-d", Side.ARCHIVE: "tree-z"}[side]
    if root.is_dir() and not tester.changed:
        _protect(root, protect=False)
    executable = make_tree(facts, root, side, settings)
    headers = _add_headers(facts, root)
    if not tester.changed:
        _protect(root, protect=True)
    with writing(root):
        digest = hashlib.sha256((root / MANIFEST_NAME).read_bytes())
    settled = (*suite_data().resources, tester.name, str(root), headers)
    for text in (worker_source("suite_worker"), *settled):
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    return Tree(side, root, executable, digest.hexdigest())


def _make_tree(facts: Facts, root: Path, side: Side, settings: SuiteSettings) -> Path:
    layout = "directory" if side is Side.DIRECTORY else settings.layout
    built = build(facts, root, Settings(profile="full", layout=layout, jobs=settings.jobs, force=True))
    return built.tree / built.manifest.layout.executable


def _add_headers(facts: Facts, root: Path) -> str:
    """Copy the headers of the interpreter, if it has any, and return their folder's name.

    A tree has none, because nothing that runs needs them; but many cases build an extension module.
    """
    major, minor = facts.feature_version
    folder = f"include/python{major}.{minor}{facts.abiflags}"
    source = Path(facts.prefix, folder)
    if not (source / "pyconfig.h").is_file():
        return ""
    with writing(root):
        shutil.copytree(source, root / folder, dirs_exist_ok=True)
        for place, _folders, files in os.walk(root / "include"):
            os.chmod(place, 0o755)  # noqa: PTH101
            for name in files:
                os.chmod(os.path.join(place, name), 0o644)  # noqa: PTH101, PTH118
    return folder


def _protect(root: Path, *, protect: bool) -> None:
    """Forbid the user who owns the tree to write in its folders, as where a system installed it; or allow."""
    for folder, _folders, _files in os.walk(root):
        mode = os.stat(folder).st_mode  # noqa: PTH116
        os.chmod(folder, mode & ~0o222 if protect else mode | 0o200)  # noqa: PTH101


@dataclass(frozen=True, slots=True)
class _Work:
    """What there is to do for one target."""

    facts: Facts
    settings: SuiteSettings
    tester: Tester
    folder: Path
    resources: tuple[str, ...]
    runner: Runner
    trees: Mapping[Side, Tree]
    #: the test files that each side's suite lists
    listed: Mapping[Side, Sequence[str]]
    store: Store

    def run(self, names: tuple[str, ...], progress: Progress) -> TargetReport:
        """Run and compare the test files *names*."""
        runs = self._first(names, progress)
        pairs = self._judged(names, runs, progress)
        return TargetReport(
            name=self.facts.name,
            version=self.facts.feature_version,
            executable=self.facts.executable,
            layout=self.settings.layout,
            user=self.tester.name,
            folder=self.folder,
            selection="named" if self.settings.tests else "smoke" if self.settings.smoke else "full",
            resources=self.resources,
            files=names,
            seconds={
                side: sum(run.seconds for name in names for run in runs[side, name][:1]) for side in Side
            },
            pairs=pairs,
        )

    def open_trees(self) -> None:
        """Let the user who owns the trees remove them as any other folder."""
        if not self.tester.changed:
            for tree in self.trees.values():
                _protect(tree.root, protect=False)

    def _sides(self, name: str) -> tuple[Side, ...]:
        return tuple(side for side in Side if name in self.listed[side])

    def _run(self, side: Side, name: str, before: tuple[FileRun, ...]) -> tuple[FileRun, ...]:
        log = self.store.log(side, name, len(before) + 1)
        runs = (*before, self.runner.run(self.trees[side], name, log))
        self.store.save(side, name, runs, self.settings.timeout)
        return runs

    def _first(self, names: Sequence[str], progress: Progress) -> dict[tuple[Side, str], tuple[FileRun, ...]]:
        """Run each file once on each side, several at a time; both sides of a file under the same load."""
        runs: dict[tuple[Side, str], tuple[FileRun, ...]] = {}
        missing = []
        for name in in_order(names, self.store.seconds()):
            for side in Side:
                before = self.store.load(side, name, self.settings.timeout)
                runs[side, name] = before
                if not before and side in self._sides(name):
                    missing.append((side, name))
        total = sum(len(self._sides(name)) for name in names)
        done = total - len(missing)
        what = f"{self.facts.name}: testing"
        progress(what, done, total)
        with ThreadPoolExecutor(max_workers=self.settings.jobs) as pool:
            waiting: dict[Future[tuple[FileRun, ...]], tuple[Side, str]] = {
                pool.submit(self._run, side, name, ()): (side, name) for side, name in missing
            }
            try:
                while waiting:
                    ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in ended:
                        runs[waiting.pop(future)] = future.result()
                        done += 1
                        progress(what, done, total)
            except BaseException:
                self.runner.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return runs

    def _judged(
        self,
        names: Sequence[str],
        runs: dict[tuple[Side, str], tuple[FileRun, ...]],
        progress: Progress,
    ) -> tuple[Pair, ...]:
        """Compare, and run again, one at a time, what seems to differ. *runs* gets what is run."""
        known = known_differences(self.facts.feature_version)
        pairs = {name: self._judge(name, runs, known) for name in names}
        wanted = RUNS - self.settings.smoke
        suspects = [name for name in names if to_be_repeated(pairs[name], self._count(name, runs), wanted)]
        what = f"{self.facts.name}: testing again what seems to differ"
        try:
            for number, name in enumerate(suspects):
                while to_be_repeated(pairs[name], self._count(name, runs), wanted):
                    progress(what, number, len(suspects))
                    for side in self._sides(name):
                        runs[side, name] = self._run(side, name, runs[side, name])
                    pairs[name] = self._judge(name, runs, known)
        except BaseException:
            self.runner.stop()
            raise
        return tuple(pair for name in names for pair in pairs[name])

    def _count(self, name: str, runs: Mapping[tuple[Side, str], tuple[FileRun, ...]]) -> int:
        return min(len(runs[side, name]) for side in self._sides(name))

    def _judge(
        self, name: str, runs: Mapping[tuple[Side, str], tuple[FileRun, ...]], known: Sequence[Known]
    ) -> tuple[Pair, ...]:
        return judge(name, runs[Side.DIRECTORY, name], runs[Side.ARCHIVE, name], known)
