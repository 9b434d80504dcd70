"""The bench on real trees; and the one figure that may gate: the instructions of an empty start."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from zipstrap.bench import run as bench_run
from zipstrap.bench.cases import BASE, GIVEN, Column, bench_data
from zipstrap.bench.counters import count_calls, count_instructions, find_counter, find_tracer
from zipstrap.bench.measure import Started, measure, try_once
from zipstrap.bench.memory import PROCESSES, measure_memory, why_no_memory
from zipstrap.bench.sides import Side, check_side, make_side
from zipstrap.bench.storage import files_below, forget, resident, slow_prefix, why_not_cold, why_not_slow
from zipstrap.errors import InterpreterError, UsageError
from zipstrap.interpreter import Found, probe
from zipstrap.worker import clean_environment

from .interpreters import Target
from .trees import Tree, make_tree, usual, zipstrap

#: An empty start of the layout fast may take this much of the instructions that it takes unpacked. What is
#: promised of its time is less; this bound is for what somebody adds to every start by accident. Measured
#: with the profile standard: 0.86 to 0.91 (docs/how-to/benchmark.md).
BOUND = 0.95

COLUMNS = {column.name: column for column in bench_data().columns}


def started(folder: Path) -> Started:
    return Started({**clean_environment(), "HOME": str(folder)}, folder)


def side(column: Column, target: Target, root: Path) -> Side:
    return make_side(
        column, probe(target.executable), root, profile="minimal", optimize=0, jobs=2, cache=True
    )


@pytest.mark.parametrize("version", [(3, 8), (3, 13)], ids=["3.8", "3.13"])
def test_an_empty_start_takes_few_instructions(
    version: tuple[int, int], interpreters: Sequence[Target], tmp_path: Path
) -> None:
    """The number does not vary with the load, so it may decide; times are recorded, never judged."""
    target = next((each for each in interpreters if each.version == version), None)
    if target is None:
        pytest.skip(f"no CPython {version[0]}.{version[1]} here")
    how = started(tmp_path)
    counter = find_counter(how)
    if isinstance(counter, str):
        pytest.skip(f"instructions cannot be counted: {counter}")
    counts = {}
    for number, name in enumerate((BASE, "fast")):
        made = side(COLUMNS[name], target, tmp_path / f"t{number}")
        counts[name] = count_instructions(counter, [str(made.executable), "-B", "-c", "pass"], how)
    assert counts["fast"] <= BOUND * counts[BASE], counts


def test_what_a_launcher_starts_is_counted(interpreters: Sequence[Target], tmp_path: Path) -> None:
    """Not the launcher alone, which is done when the interpreter begins."""
    target = usual(interpreters)
    if target.version < (3, 11):
        pytest.skip("no CPython 3.11 or later here, and before it there is no layout isolated")
    how = started(tmp_path)
    counter = find_counter(how)
    if isinstance(counter, str):
        pytest.skip(f"instructions cannot be counted: {counter}")
    made = side(COLUMNS["isolated"], target, tmp_path / "T")
    assert count_instructions(counter, [str(made.executable), "-B", "-c", "pass"], how) > 10_000_000


@pytest.fixture(scope="module")
def tree(interpreters: Sequence[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Give a small tree; whoever measures it leaves it as it is."""
    root = tmp_path_factory.mktemp("bench") / "T"
    return make_tree(usual(interpreters), root, "--profile", "minimal", "--layout", "fast", "--no-verify")


def test_the_verb_measures_a_tree(tree: Tree, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in files_below([tree.root])}
    done = zipstrap(
        *("bench", tree.root, "--python", tree.target.executable, "--pairs", "2", "--columns", "control"),
        *("--rows", "plain,modules", "--conditions", "warm,last,cold", "--measures", "time,calls"),
        *("-o", tmp_path / "x.json", "-o", tmp_path / "x.svg"),
        *("--peer", f"itself={tree.root / tree.manifest.layout.library_archive}"),
    )
    assert done.returncode == 0, done.stderr
    values = json.loads((tmp_path / "x.json").read_text())
    assert [column["name"] for column in values["columns"]] == [BASE, "control", GIVEN]
    assert values["profile"] == "minimal"
    assert values["absent"].keys() | set(values["modules"]) == set(bench_data().modules)
    skipped = {each["what"] for each in values["not_measured"]}
    cases = {(case["row"], case["condition"]): case for case in values["cases"]}
    wanted = {(row, each) for row in ("plain", "modules") for each in ("warm", "last", "cold")}
    # what a machine lacks is told, and nothing else is missing
    assert cases.keys() == {case for case in wanted if case[1] not in skipped}
    assert skipped <= {"cold", "calls"}
    for case in cases.values():
        assert case["base_elapsed"] > 0
        assert case["base_cpu"] > 0
        assert case["cells"][GIVEN]["elapsed"]["count"] == 2
    if "calls" not in skipped:
        cells = cases["modules", "warm"]["cells"]
        assert 0 < cells[GIVEN]["calls"]["files"] <= 5 < cells[BASE]["calls"]["files"]
    (peer,) = values["peers"]
    assert peer["ours"][GIVEN] == peer["peer"]
    assert ElementTree.fromstring((tmp_path / "x.svg").read_text()).tag.endswith("svg")
    assert "modules, warm: " in done.stdout
    assert not [note for note in values["notes"] if "wrote" in note]
    # not even the time at which a file was written has changed
    assert {path: path.stat().st_mtime_ns for path in files_below([tree.root])} == before


def test_slow_storage_and_memory(tree: Tree) -> None:
    done = zipstrap(
        *("bench", tree.target.executable, "--pairs", "1", "--columns", "control", "--rows", "plain"),
        *("--conditions", "slow,warm", "--measures", "time,memory", "--latency", "0.1", "--format", "json"),
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    skipped = {each["what"] for each in values["not_measured"]}
    cases = {case["condition"]: case for case in values["cases"]}
    assert skipped <= {"slow", "memory"}
    assert cases.keys() | skipped >= {"warm", "slow"}
    if "slow" in cases:
        # the processor's time would be that of strace
        assert cases["slow"]["base_cpu"] is None
        assert cases["slow"]["cells"]["control"]["elapsed"]["count"] == 1
    if "memory" not in skipped:
        assert cases["warm"]["cells"]["control"]["memory"]["private"] > 0


def test_without_tools_it_says_what_was_not_measured(tree: Tree, tmp_path: Path) -> None:
    done = zipstrap(
        *("bench", tree.target.executable, "--pairs", "1", "--columns", "control", "--rows", "plain"),
        *("--conditions", "slow", "--format", "json"),
        env={"PATH": str(tmp_path)},
    )
    # nothing at all was measured: no success
    assert done.returncode == 1, done.stderr
    values = json.loads(done.stdout)
    reasons = {each["what"]: each["reason"] for each in values["not_measured"]}
    assert reasons["slow"] == "there is no strace, which injects the latency"
    assert reasons["calls"] == "there is no strace"
    assert reasons["instructions"] == "there is no perf, and there is no valgrind"
    assert values["cases"] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--rows", "plain,nonsense"), "there is no row 'nonsense'"),
        (("--columns", "x,y"), "there is no column 'y'"),
        (("--conditions", "hot"), "there is no condition 'hot'"),
        (("--latency", "-1"), "is no time in ms"),
        (("--peer", "x"), "is not NAME=ARCHIVE"),
        (("--python", "3.13"), "--python is for a TREE"),
    ],
)
def test_a_slip_is_told_before_anything_is_built(arguments: Sequence[str], named: str) -> None:
    done = zipstrap("bench", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr


def test_a_report_replaces_nothing(tree: Tree, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("kept")
    done = zipstrap("bench", tree.root, "-o", path)
    assert done.returncode == 4
    assert str(path) in done.stderr
    assert path.read_text() == "kept"


def test_the_interpreter_of_a_tree_is_found_or_asked_for(
    tree: Tree, interpreters: Sequence[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, notes = bench_run.interpreter_of(tree.root, str(tree.target.executable))
    assert (facts.executable, notes) == (str(tree.target.executable), ())

    def none(_python: str | None) -> Found:
        raise InterpreterError("none was found", cure="install it")

    with monkeypatch.context() as patched:
        patched.setattr(bench_run, "find_interpreter", none)
        with pytest.raises(InterpreterError, match="name it with --python"):
            bench_run.interpreter_of(tree.root)
    with monkeypatch.context() as patched:
        other = replace(facts, build="another")
        patched.setattr(bench_run, "find_interpreter", lambda _python: Found(other, ()))
        assert "is another build" in bench_run.interpreter_of(tree.root)[1][0]
    strange = [each for each in interpreters if each.version != tree.target.version]
    if not strange:
        pytest.skip("there is only one interpreter here")
    with pytest.raises(UsageError, match="the tree is of"):
        bench_run.interpreter_of(tree.root, str(strange[0].executable))


def test_a_sourceless_tree_runs_without_sources(target: Target, tmp_path: Path) -> None:
    made = side(COLUMNS["sourceless"], target, tmp_path / "t")
    check_side(made, ())
    library = next(path for path in files_below([made.root]) if path.name.startswith("contextlib."))
    assert library.name == "contextlib.pyc"
    assert not [path for path in files_below([library.parent]) if path.name.endswith(f".{target.id}.pyc")]


def test_columns_have_their_binaries_in_common(interpreters: Sequence[Target], tmp_path: Path) -> None:
    """Else what a copy of libpython happens to cost would be taken for the cost of a layout."""
    facts, binaries = probe(usual(interpreters).executable), dict[str, Path]()
    sides = [
        make_side(
            COLUMNS[name],
            facts,
            tmp_path / f"t{number}",
            profile="minimal",
            optimize=0,
            jobs=2,
            cache=True,
            binaries=binaries,
        )
        for number, name in enumerate((BASE, "fast"))
    ]
    assert sides[0].executable.samefile(sides[1].executable)
    assert sides[0].tree_size != sides[1].tree_size
    for each in sides:
        check_side(each, ())
        assert not list(each.root.rglob("*.link"))


def test_a_column_that_runs_another_library_is_told(tree: Tree, tmp_path: Path) -> None:
    strange = Side("fast", "", tmp_path, tree.executable, 0, 0, 0, ())
    with pytest.raises(InterpreterError, match="the column fast would run what lies in"):
        check_side(strange, ())


def test_a_module_that_cannot_be_imported_is_told(tree: Tree) -> None:
    found = check_side(
        Side(GIVEN, "", tree.root, tree.executable, 0, 0, 0, ()), ["os", "no_such_module_here"]
    )
    assert list(found) == ["no_such_module_here"]


def test_runs_take_turns(tree: Tree, tmp_path: Path) -> None:
    """Each round begins with another, and each has its own *before*."""
    order: list[str] = []
    command = [str(tree.executable), "-I", "-S", "-c", "pass"]
    rounds: list[int] = []
    runs = measure(
        {"a": command, "b": command, "c": command},
        started(tmp_path),
        4,
        before=order.append,
        on_round=rounds.append,
    )
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert rounds == [1, 2, 3, 4]
    assert all(run.elapsed > 0 and run.cpu > 0 for each in runs.values() for run in each)


def test_a_run_that_fails_is_no_figure(tree: Tree, tmp_path: Path) -> None:
    command = [str(tree.executable), "-c", "raise SystemExit(3)"]
    with pytest.raises(InterpreterError, match="exit status 3"):
        measure({"a": command}, started(tmp_path), 1)
    assert try_once(command, started(tmp_path)).startswith("exit status 3")
    assert try_once([str(tmp_path / "none")], started(tmp_path))
    if not why_no_memory():
        with pytest.raises(InterpreterError, match="ended before"):
            measure_memory(command, started(tmp_path))


def test_memory_is_that_of_eight(tree: Tree, tmp_path: Path) -> None:
    if reason := why_no_memory():
        pytest.skip(reason)
    log = tmp_path / "log"
    large = f"import os, sys; open({str(log)!r}, 'a').write('x'); held = bytearray(os.urandom(1 << 24)); "
    hold = "sys.stdout.write('!'); sys.stdout.flush(); sys.stdin.read()"
    found = measure_memory([str(tree.executable), "-c", large + hold], started(tmp_path))
    assert log.read_text() == "x" * PROCESSES
    assert found.private > 1 << 14  # KiB
    assert found.private + found.shared == pytest.approx(found.resident)
    assert found.private <= found.proportional <= found.resident


def test_calls_are_those_of_the_command(tree: Tree, tmp_path: Path) -> None:
    if reason := find_tracer(started(tmp_path)):
        pytest.skip(reason)
    (tmp_path / "seen").write_text("x")
    few = [str(tree.executable), "-B", "-I", "-c", "pass"]
    more = [*few[:-1], f"for _ in range(10): open({str(tmp_path / 'seen')!r}).close()"]
    plain, opening = (count_calls(each, started(tmp_path), tree.root) for each in (few, more))
    assert opening.opens == plain.opens + 10
    assert opening.calls > plain.calls + 20
    assert opening.files == plain.files  # it is not below the tree
    assert (count_calls(more, started(tmp_path), tmp_path)).files >= 1


def test_latency_makes_operations_slower(tree: Tree, tmp_path: Path) -> None:
    """A start has more than 40 of them, and none can take less than what is injected."""
    if reason := why_not_slow(20, started(tmp_path)):
        pytest.skip(reason)
    command = [str(tree.executable), "-B", "-I", "-S", "-c", "pass"]
    slow = replace(started(tmp_path), prefix=slow_prefix(20))
    runs = measure({"slow": command}, slow, 1)
    assert runs["slow"][0].elapsed > 40 * 20


def test_what_is_forgotten_is_not_in_memory(tree: Tree, tmp_path: Path) -> None:
    path = tmp_path / "some"
    path.write_bytes(os.urandom(1 << 20))
    if reason := why_not_cold([path]):
        pytest.skip(reason)
    path.read_bytes()
    assert resident(path) == 1.0
    forget([path])
    assert resident(path) == 0.0
