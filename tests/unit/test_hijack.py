"""Judging who got control of a start, and the matrix as text, JSON and SARIF."""

from __future__ import annotations

import dataclasses
import json
import string
from collections.abc import Mapping
from pathlib import Path

import pytest
from zipstrap.data import Vector, foreign_names, harmless_variables, not_variables, vectors
from zipstrap.interpreter import NEWEST, OLDEST
from zipstrap.layout import Layout, tree_layout
from zipstrap.manifest import Target, target_of
from zipstrap.verify.hijack import (
    Cell,
    Matrix,
    Outcome,
    Point,
    Row,
    Seen,
    claims,
    judge_start,
    modes_of,
    read_marks,
    reason_not_tried,
    unknown_variables,
    variables_in,
)
from zipstrap.verify.hijack_report import cell_text, matrix_to_json, matrix_to_sarif, matrix_to_text
from zipstrap.verify.sarif import manifest_to_sarif, verification_to_sarif
from zipstrap.verify.scratch import PLACES, PLANTS, STARTS

from tests.hijack.run import table

from .recorded import facts_of
from .sarif_shape import faults
from .test_checks import FAILURES, SOUND
from .test_report import outcome

NAME = "3.13"
TREE = Path("/srv/me/tree")


def layout(name: str = "fast") -> Layout:
    return tree_layout(facts_of(NAME), name)


#: as for a machine that there is no launcher for
WITHOUT_LAUNCHER = dataclasses.replace(layout("isolated"), interpreter=layout().executable)


def target(name: str = NAME) -> Target:
    return target_of(facts_of(name))


def mark(*running: str, loaded: tuple[str, ...] = ("encodings", "site")) -> Mapping[str, object]:
    return {"kind": "python", "origin": "there", "running": list(running), "loaded": list(loaded)}


def seen(**changes: object) -> Seen:
    values: dict[str, object] = {"status": 0, "stderr": "", "marks": (), "foreign": ()}
    return Seen(**{**values, **changes})  # type: ignore[arg-type]


# ---- the data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vectors().values(), ids=lambda vector: vector.code)
def test_a_vector_can_be_tried_and_told_of(vector: Vector) -> None:
    assert OLDEST <= vector.since <= vector.until
    assert vector.since <= NEWEST
    assert vector.start in STARTS
    assert set(vector.plant.values()) <= PLANTS.keys()
    for text in (vector.title, vector.cause, vector.cure):
        assert text.strip() == text != ""
    assert vector.cause[-1] == vector.cure[-1] == "."
    assert vector.title[-1] != "."
    texts = [*vector.plant, *vector.environ.values(), *vector.without, vector.argv0, vector.executable]
    for text in filter(None, texts):
        named = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert named <= PLACES


def test_codes_and_names_are_unique_and_in_order() -> None:
    codes = list(vectors())
    assert codes == sorted(set(codes))
    names = [vector.name.lower() for vector in vectors().values()]
    assert len(set(names)) == len(names)


def test_no_variable_is_two_things() -> None:
    tried = {name for vector in vectors().values() for name in vector.environ}
    assert not tried & harmless_variables().keys()
    assert not (tried | harmless_variables().keys()) & not_variables()
    assert "sitecustomize" in foreign_names()


# ---- who got control -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "loaded", "at_prompt", "point"),
    [
        (("encodings", "_frozen_importlib"), (), False, Point.LIBRARY),
        (("codecs", "_frozen_importlib", "encodings"), ("encodings",), False, Point.LIBRARY),
        (("sitecustomize", "_frozen_importlib", "site"), ("encodings", "site"), False, Point.SITE),
        (("readline", "_frozen_importlib"), ("encodings", "site"), False, Point.BEFORE_PROGRAM),
        (("colorsys", "_frozen_importlib", "__main__"), ("encodings", "site"), False, Point.PROGRAM),
        (("colorsys", "_frozen_importlib", "__main__"), ("encodings", "site"), True, Point.PROMPT),
        (("__main__",), ("encodings", "site"), True, Point.PROMPT),
        (("__main__", "runpy"), ("encodings", "site"), False, Point.PROGRAM),
    ],
)
def test_the_point_is_told_by_whose_code_runs(
    running: tuple[str, ...], loaded: tuple[str, ...], at_prompt: bool, point: Point
) -> None:
    cell = judge_start("plain", seen(marks=(mark(*running, loaded=loaded),), at_prompt=at_prompt))
    assert (cell.outcome, cell.point, cell.origin) == (Outcome.CONTROL, point, "there")


def test_native_code_comes_before_the_interpreter() -> None:
    marks = ({"kind": "native", "origin": "x.so", "running": [], "loaded": []},)
    assert judge_start("plain", seen(marks=marks)).point is Point.LOADER


def test_the_earliest_of_several_is_told_and_the_others_named() -> None:
    late = {**mark("colorsys", "__main__"), "origin": "late"}
    cell = judge_start("plain", seen(marks=(late, mark("x", "site"))))
    assert (cell.point, cell.origin, cell.note) == (Point.SITE, "there", "and late")


def test_a_foreign_library_has_control_without_a_mark() -> None:
    found = (("encodings", "/usr/lib/python3.13/encodings"), ("mine", "/srv/mine.py"))
    cell = judge_start("plain", seen(foreign=found))
    assert (cell.outcome, cell.point) == (Outcome.CONTROL, Point.LIBRARY)
    assert cell.origin == "encodings from /usr/lib/python3.13/encodings"
    assert judge_start("plain", seen(foreign=found[1:]), usual=found[1:]).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("changes", "outcome", "note"),
    [
        ({}, Outcome.REFUSED, ""),
        # what answered has come to its end, whatever came after
        ({"status": 1}, Outcome.REFUSED, ""),
        ({"foreign": None, "answers": False}, Outcome.REFUSED, ""),
        # a start without an answer has refused nothing
        ({"foreign": None}, Outcome.FAILED, "exit status 0"),
        (
            {"foreign": None, "status": 1, "stderr": "x\nModuleNotFoundError: No module\n\nCurrent thread"},
            Outcome.FAILED,
            "ModuleNotFoundError: No module",
        ),
        (
            {"foreign": None, "status": None, "failure": "no end after 60 s"},
            Outcome.FAILED,
            "no end after 60 s",
        ),
        (
            {"foreign": None, "status": 121, "stderr": "zipstrap: no\n"},
            Outcome.STOPPED,
            "zipstrap: no",
        ),
        ({"foreign": None, "status": 121, "stderr": "no\n"}, Outcome.FAILED, "no"),
        ({"foreign": None, "status": 2, "stderr": "zipstrap: no\n"}, Outcome.FAILED, "zipstrap: no"),
    ],
)
def test_what_got_no_control(changes: dict[str, object], outcome: Outcome, note: str) -> None:
    cell = judge_start("plain", seen(**changes))
    assert (cell.outcome, cell.note, cell.point) == (outcome, note, None)


def test_control_before_the_guard_stops_is_control() -> None:
    cell = judge_start("plain", seen(status=121, stderr="zipstrap: stopped\n", marks=(mark("os"),)))
    assert (cell.outcome, cell.note) == (Outcome.CONTROL, "zipstrap: stopped")


def test_marks_are_read_and_nothing_else() -> None:
    line = ascii(dict(mark("os")))
    assert read_marks(f"{line}\n{line}\n") == (mark("os"), mark("os"))
    for text in ("1\n", "{}\n", "__import__('os')\n"):
        with pytest.raises(ValueError, match=r".*"):
            read_marks(text)


def test_what_is_promised() -> None:
    for vector in vectors().values():
        assert claims(layout("fast"), vector) is (vector.family == "none")
        assert claims(layout("isolated"), vector) is not bool(vector.beyond)
        assert claims(WITHOUT_LAUNCHER, vector) is not bool(vector.beyond or vector.before)
    assert {vector.family for vector in vectors().values() if vector.beyond} == {"permissions"}
    before = {vector.family for vector in vectors().values() if vector.before}
    assert before == {"environment", "start", "loader"}


def test_the_modes_of_a_layout() -> None:
    assert [name for name, _ in modes_of(layout("standard"))] == ["plain", "-I"]
    assert [(name, mode.arguments) for name, mode in modes_of(layout("isolated"))] == [("isolated", ())]


EVERYTHING = {"libpython", "link", "native", "writable ancestor", "writable file", "another user"}


def test_what_is_not_tried_has_a_reason() -> None:
    assert reason_not_tried(vectors()["ZH101"], target(), ()) is None
    absent = reason_not_tried(vectors()["ZH306"], target(), EVERYTHING)
    assert absent == (Outcome.ABSENT, "it is there from 3.15 on")
    presite = vectors()["ZH112"]
    assert reason_not_tried(presite, target(), EVERYTHING) == (Outcome.ABSENT, "only debug builds read it")
    assert reason_not_tried(presite, target("3.14d"), EVERYTHING) is None
    for code in vectors():
        if vectors()[code].since <= (3, 14):
            lacking = reason_not_tried(vectors()[code], target("3.14d"), ())
            assert (lacking is None) is not bool(vectors()[code].needs - {"debug build"})
    ancestor = vectors()["ZH701"]
    # that there is nothing to use comes before who could use it
    assert reason_not_tried(ancestor, target(), ())[0] is Outcome.REFUSED  # type: ignore[index]
    assert reason_not_tried(ancestor, target(), {"writable ancestor"})[0] is Outcome.NOT_RUN  # type: ignore[index]
    assert reason_not_tried(ancestor, target(), EVERYTHING) is None


# ---- variables -------------------------------------------------------------------------------------------


def test_variables_are_found_in_binaries() -> None:
    data = b"\0PYTHONPATH\0PYTHONUSERBASEN\0s\x0cPYTHON_FOO_BARz\0__PYVENV_LAUNCHER__\0"
    data += b"MYPYTHONX\0xPYTHONY\0_PYTHON_Z"
    found = variables_in(data)
    assert found == {"PYTHONPATH", "PYTHONUSERBASE", "PYTHON_FOO_BAR", "__PYVENV_LAUNCHER__", "_PYTHON_Z"}
    assert unknown_variables(found) == ("PYTHON_FOO_BAR", "_PYTHON_Z")
    assert variables_in(b"PYTHONHOME") == {"PYTHONHOME"}
    assert variables_in(b"") == frozenset()


# ---- telling of it ---------------------------------------------------------------------------------------


def matrix(*cells: Cell, name: str = "fast", code: str = "ZH101", unknown: tuple[str, ...] = ()) -> Matrix:
    modes = tuple(cell.mode for cell in cells)
    row = Row(vectors()[code], cells)
    return Matrix(TREE, target(), layout(name), modes, (row,), unknown)


CONTROL = Cell("plain", Outcome.CONTROL, Point.LIBRARY, "FOREIGN/encodings.py")
REFUSED = Cell("-I", Outcome.REFUSED)
BROKEN = Cell("isolated", Outcome.CONTROL, Point.SITE, "TREE/lib/x.pth", claimed=True)


def test_control_fails_only_what_was_promised() -> None:
    assert matrix(CONTROL, REFUSED).passed
    assert not matrix(BROKEN, name="isolated").passed
    assert matrix(Cell("isolated", Outcome.STOPPED, claimed=True), name="isolated").passed


def test_the_table() -> None:
    lines = matrix_to_text(matrix(CONTROL, REFUSED, unknown=("PYTHON_NEW",))).splitlines()
    assert lines[0] == f"/srv/me/tree: {target().name}, layout fast"
    assert lines[1].split() == ["code", "vector", "plain", "-I"]
    assert lines[2] == "- variables of the environment"
    assert lines[3] == "ZH101  PYTHONPATH  CONTROL in place of the library  refused"
    assert lines[4:6] == ["plain: 1 control", "-I: 1 refused"]
    assert lines[6] == "not tried: variables that no vector knows: PYTHON_NEW"
    assert "where nothing was planted" in lines[7]
    verbose = matrix_to_text(matrix(CONTROL, REFUSED), verbose=True)
    vector = vectors()["ZH101"]
    assert "plain: FOREIGN/encodings.py got control in place of the library" in verbose
    assert f"what to do: {vector.cure}" in verbose


def test_a_broken_promise_is_the_last_word() -> None:
    lines = matrix_to_text(matrix(BROKEN, name="isolated")).splitlines()
    assert lines[-2] == "NOT REFUSED ZH101 PYTHONPATH (isolated): TREE/lib/x.pth got control while site runs"
    assert lines[-1] == "NOT REFUSED as the layout isolated promises: ZH101"


def test_what_is_beyond_a_tree_is_named_where_the_layout_refuses_the_rest() -> None:
    preloaded = Cell("isolated", Outcome.CONTROL, Point.LOADER, "x.so")
    without = dataclasses.replace(matrix(preloaded, name="isolated", code="ZH601"), layout=WITHOUT_LAUNCHER)
    told = matrix_to_text(without)
    assert f"beyond this tree: ZH601: {vectors()['ZH601'].before}, and this tree has no launcher" in told
    assert "beyond this tree" not in matrix_to_text(matrix(preloaded, code="ZH601"))
    shared = matrix(preloaded, name="isolated", code="ZH701")
    assert f"beyond this tree: ZH701: {vectors()['ZH701'].beyond}" in matrix_to_text(shared)


def test_what_was_not_run_is_told_with_its_reason() -> None:
    told = matrix_to_text(matrix(Cell("plain", Outcome.NOT_RUN, note="there is no cc"), code="ZH601"))
    assert "not run: ZH601 LD_PRELOAD: there is no cc" in told
    assert "1 not run" in told


def test_the_json_document() -> None:
    document = json.loads(json.dumps(matrix_to_json(matrix(CONTROL, REFUSED))))
    assert (document["schema_version"], document["passed"], document["modes"]) == (1, True, ["plain", "-I"])
    (vector,) = document["vectors"]
    assert (vector["code"], vector["beyond"]) == ("ZH101", "")
    assert vector["cells"][0] == {
        "mode": "plain",
        "outcome": "control",
        "point": "in place of the library",
        "origin": "FOREIGN/encodings.py",
        "note": "",
        "promised": False,
    }
    assert vector["cells"][1]["point"] is None


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_sound_sarif(outcome: Outcome) -> None:
    point = Point.SITE if outcome is Outcome.CONTROL else None
    cell = Cell("plain", outcome, point, "TREE/lib/python 3.13/ü.pth" if point else "", "why")
    log = json.loads(json.dumps(matrix_to_sarif(matrix(cell))))
    assert faults(log) == []
    (result,) = log["runs"][0]["results"]
    assert (result["kind"] == "fail") is (outcome is Outcome.CONTROL)
    assert result["properties"]["outcome"] == cell_text(cell).lower().partition(" while")[0]


def test_a_broken_promise_is_an_error_in_sarif() -> None:
    levels = {
        result["level"]
        for each in (matrix(CONTROL), matrix(BROKEN, name="isolated"))
        for result in matrix_to_sarif(each)["runs"][0]["results"]
    }
    assert levels == {"warning", "error"}
    run = matrix_to_sarif(matrix(BROKEN, name="isolated"))["runs"][0]
    assert run["invocations"][0]["exitCode"] == 1
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "lib/x.pth", "uriBaseId": "TREE"}
    assert run["originalUriBaseIds"]["TREE"]["uri"] == "file:///srv/me/tree/"


@pytest.mark.parametrize("code", FAILURES)
def test_every_finding_of_verify_is_sound_sarif(code: str) -> None:
    verification = outcome(FAILURES[code][0](SOUND), strict=code == "ZS308")
    log = json.loads(json.dumps(verification_to_sarif(verification)))
    assert faults(log) == []
    run = log["runs"][0]
    failed = {result["ruleId"]: result["level"] for result in run["results"] if result["kind"] == "fail"}
    assert failed[code] in ("error", "warning")
    assert run["invocations"][0]["exitCode"] == (0 if verification.passed else 1)


def test_what_verify_could_not_look_at_is_open_in_sarif() -> None:
    log = verification_to_sarif(outcome(missing={"source_hashes": "it gave no answer"}, strict=False))
    assert faults(log) == []
    kinds = [(result["ruleId"], result["kind"]) for result in log["runs"][0]["results"]]
    assert kinds == [("ZS203", "open")]


def test_another_manifest_is_sound_sarif() -> None:
    log = manifest_to_sarif(TREE, "ZS211", "it is another one")
    assert faults(log) == []
    assert log["runs"][0]["results"][0]["ruleId"] == "ZS211"


def test_the_table_of_versions_has_a_letter_for_each_mode_that_yields() -> None:
    got = [matrix(CONTROL, REFUSED), matrix(BROKEN, name="isolated")]
    absent = [matrix(Cell("plain", Outcome.ABSENT), Cell("-I", Outcome.ABSENT))]
    unknown = [matrix(Cell("plain", Outcome.NOT_RUN), REFUSED)]
    refused = [matrix(Cell("plain", Outcome.STOPPED), REFUSED)]
    lines = table({"3.13": got, "3.8": absent, "3.9": unknown, "3.10": refused}).splitlines()
    assert lines[0] == "| code | vector | 3.13 | 3.8 | 3.9 | 3.10 |"
    (line,) = [line for line in lines if "PYTHONPATH" in line]
    assert line.endswith("| PYTHONPATH | P X |  | ? | – |")


def test_the_shape_knows_faults() -> None:
    log = matrix_to_sarif(matrix(CONTROL))
    log["runs"][0]["results"][0]["kind"] = "pass"
    log["runs"][0]["results"][0]["odd"] = 1
    assert len(faults(log)) == 2
