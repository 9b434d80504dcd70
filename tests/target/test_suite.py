"""CPython's own suite from both trees, for a few files; and that a difference is found, if there is one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from zipstrap.build import Settings, build
from zipstrap.errors import UnsupportedError, UsageError
from zipstrap.interpreter import Facts, probe
from zipstrap.manifest import load_manifest
from zipstrap.suite.cases import Outcome, Side, Verdict
from zipstrap.suite.report import SuiteReport
from zipstrap.suite.run import SuiteSettings, run_suite

from .interpreters import Target
from .trees import usual

#: Goes into the test package of both trees. HERE is a file that is there only if the library is a folder.
SEEDED = """\
import bisect, os, sys, unittest

HERE = os.path.isfile(bisect.__file__)

class Seeded(unittest.TestCase):
    def test_same(self):
        self.assertTrue(True)

    def test_fails_on_both(self):
        self.fail("everywhere")

    def test_fails_from_the_archive(self):
        self.assertTrue(HERE, "seeded\\nand more lines")

    def test_is_skipped_from_the_archive(self):
        if not HERE:
            self.skipTest("not here")

    def test_has_a_part_that_fails_from_the_archive(self):
        for number in range(3):
            with self.subTest(number=number, where=object()):
                self.assertTrue(HERE or number != 1)

    def test_is_known_to_need_a_folder(self):
        self.assertTrue(HERE)

    @unittest.expectedFailure
    def test_is_expected_to_fail(self):
        self.fail("as expected")

if HERE:
    class OnlyFromAFolder(unittest.TestCase):
        def test_one(self):
            pass
"""
#: Crashes from the archive, after one case.
CRASHES = """\
import bisect, os, unittest

class Crashes(unittest.TestCase):
    def test_a(self):
        pass

    def test_b(self):
        if not os.path.isfile(bisect.__file__):
            os.abort()

    def test_c(self):
        pass
"""
#: Cannot be imported from the archive.
RAISES = """\
import bisect, os, unittest
if not os.path.isfile(bisect.__file__):
    raise ImportError("seeded")

class Raises(unittest.TestCase):
    def test_a(self):
        pass
"""
#: Never ends, with a child that would go on alone.
HANGS = """\
import signal, subprocess, sys, unittest

class Hangs(unittest.TestCase):
    def test_a(self):
        subprocess.run([sys.executable, "-c", "import signal; signal.pause()", "zipstrap-hangs"])
"""
FILES = {
    "test_zs_seeded": SEEDED,
    "test_zs_crashes": CRASHES,
    "test_zs_raises": RAISES,
    "test_zs_hangs": HANGS,
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Give a folder that every user can reach: those of pytest are closed, and tests may run as root."""
    path = Path(tempfile.mkdtemp(prefix="zipstrap-suite-"))
    path.chmod(0o755)
    yield path
    for place, folders, _files in os.walk(path):
        for name in folders:
            if not Path(place, name).is_symlink():
                Path(place, name).chmod(0o755)
    shutil.rmtree(path)


def make_tree(facts: Facts, root: Path, side: Side, settings: SuiteSettings) -> Path:
    """Make a tree as ``zipstrap test`` does, but once, with our test files and without large libraries."""
    if not root.exists():
        layout = "directory" if side is Side.DIRECTORY else settings.layout
        build(facts, root, Settings(profile="full", exclude=("dev", "static"), layout=layout, verify=False))
        for name, text in FILES.items():
            (root / load_manifest(root).layout.library / "test" / f"{name}.py").write_text(text)
    return root / load_manifest(root).layout.executable


def run(target: Target, folder: Path, tests: Sequence[str], timeout: float = 300.0) -> SuiteReport:
    facts = probe(target.executable)
    settings = SuiteSettings((facts,), folder, tuple(tests), jobs=2, timeout=timeout)
    return run_suite(settings, make_tree=make_tree)


def two(interpreters: Sequence[Target]) -> list[Target]:
    """Return the oldest, whose suite is made otherwise, and the usual one."""
    return list(dict.fromkeys((*interpreters[:1], usual(interpreters))))


@pytest.mark.parametrize("number", [0, 1], ids=["oldest", "usual"])
def test_a_few_files_are_the_same(number: int, interpreters: list[Target], folder: Path) -> None:
    targets = two(interpreters)
    if number >= len(targets):
        pytest.skip("the oldest interpreter here is the usual one")
    report = run(targets[number], folder, ["test_bisect", "test_colorsys", "test_generators"])
    (result,) = report.targets
    assert report.passed, result.of(Verdict.DIFFERS)
    assert [len(result.of(verdict)) for verdict in Verdict] == [len(result.pairs), 0, 0, 0]
    assert result.ran(Side.DIRECTORY) == result.ran(Side.ARCHIVE) == len(result.pairs) - 3
    assert result.ran(Side.ARCHIVE) > 30
    assert not result.bad_on_both
    # doctests are cases, whoever runs them: the file itself (3.8) or unittest
    assert any("test_generators.__test__" in pair.case for pair in result.pairs)
    assert os.geteuid() != 0 or result.user == "nobody"


def test_seeded_differences_are_found(
    interpreters: list[Target], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipstrap.suite import run as module
    from zipstrap.suite.cases import Known

    known = Known(("**.test_is_known_to_need_a_folder",), "it asserts a folder", (3, 8), (3, 15))
    monkeypatch.setattr(module, "known_differences", lambda _version: (known,))
    report = run(usual(interpreters), folder, ["test_zs_seeded", "test_zs_crashes", "test_zs_raises"])
    (result,) = report.targets
    assert not report.passed
    differing = {
        pair.case.rpartition(".")[2]: (pair.directory[0].outcome.value, pair.archive[0].outcome.value)
        for pair in result.of(Verdict.DIFFERS)
    }
    assert differing == {
        "test_fails_from_the_archive": ("passed", "failed"),
        "test_is_skipped_from_the_archive": ("passed", "skipped"),
        "test_has_a_part_that_fails_from_the_archive": ("passed", "failed"),
        "test_one": ("passed", "not run"),
        "test_zs_crashes": ("passed", "crashed"),
        "test_b": ("passed", "crashed"),
        "test_c": ("passed", "not run"),
        "test_zs_raises": ("passed", "error"),
        "test_a": ("passed", "not run"),
    }
    briefs = {pair.case.rpartition(".")[2]: pair.archive[0].brief for pair in result.of(Verdict.DIFFERS)}
    assert briefs["test_fails_from_the_archive"].endswith("seeded")
    assert briefs["test_zs_crashes"] == "killed by SIGABRT"
    assert briefs["test_zs_raises"] == "ImportError: seeded"
    (explained,) = result.of(Verdict.EXPLAINED)
    assert explained.reason == "it asserts a folder"
    assert [pair.case.rpartition(".")[2] for pair in result.bad_on_both] == ["test_fails_on_both"]
    # what differs was run three times, each with its log
    (pair,) = (
        pair for pair in result.of(Verdict.DIFFERS) if pair.case.endswith("test_fails_from_the_archive")
    )
    assert len(pair.directory) == len(pair.archive) == 3
    logs = sorted(result.folder.glob("logs/archive/test_zs_seeded.*.log"))
    assert [log.name[-6:] for log in logs] == [".1.log", ".2.log", ".3.log"]
    assert list(map(Path, pair.logs)) == [result.folder / "logs/directory" / logs[0].name, logs[0]]


def test_a_file_that_hangs_is_ended_with_all_it_started(interpreters: list[Target], folder: Path) -> None:
    report = run(usual(interpreters), folder, ["test_zs_hangs"], timeout=2.0)
    (pair, *_) = report.targets[0].pairs
    assert (pair.directory[0].outcome, pair.archive[0].outcome) == (Outcome.TIMED_OUT,) * 2
    assert report.targets[0].bad_on_both
    commands = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(entry.read_bytes())
        except OSError:  # it has ended meanwhile
            continue
    assert not any(str(folder).encode() in command for command in commands)


def test_what_was_run_is_not_run_again(
    interpreters: list[Target], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipstrap.suite.runner import Runner

    target = usual(interpreters)
    names = []
    original = Runner.run

    def counted(self, tree, name, log):  # type: ignore[no-untyped-def]
        names.append((tree.side.value, name))
        return original(self, tree, name, log)

    monkeypatch.setattr(Runner, "run", counted)
    first = run(target, folder, ["test_bisect"])
    names.clear()
    again = run(target, folder, ["test_bisect", "test_keyword"])
    assert sorted(names) == [("archive", "test_keyword"), ("directory", "test_keyword")]
    assert set(first.targets[0].pairs) <= set(again.targets[0].pairs)


def test_an_unknown_test_file_is_a_usage_error(interpreters: list[Target], folder: Path) -> None:
    with pytest.raises(UsageError, match="test_no_such_thing"):
        run(usual(interpreters), folder, ["test_no_such_thing"])


def test_an_interpreter_without_its_suite_is_not_supported(
    interpreters: list[Target], folder: Path, tmp_path: Path
) -> None:
    import dataclasses

    facts = dataclasses.replace(probe(usual(interpreters).executable), library=str(tmp_path))
    with pytest.raises(UnsupportedError, match="test package"):
        run_suite(SuiteSettings((facts,), folder))
