"""How the comparison of two sides is told: text, JSON and JUnit XML."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from zipstrap.suite.cases import CaseRun, Outcome, Pair, Side, Verdict
from zipstrap.suite.report import SuiteReport, TargetReport, suite_to_json, suite_to_junit, suite_to_text

PASSED = CaseRun(Outcome.PASSED)
FAILED = CaseRun(Outcome.FAILED, "AssertionError: <a> & \x00", "Traceback\n  <b> & \x1b[31m")
ABSENT = CaseRun(Outcome.NOT_RUN)


def pair(
    case: str, verdict: Verdict, one: tuple[CaseRun, ...], other: tuple[CaseRun, ...], reason: str = ""
) -> Pair:
    return Pair("test_x", case, verdict, one, other, reason, ("d.log", "a.log"))


SAME = pair("test_x", Verdict.SAME, (PASSED,), (PASSED,))
GOOD = pair("test_x.A.good", Verdict.SAME, (PASSED,), (PASSED,))
BAD_ON_BOTH = pair("test_x.A.bad", Verdict.SAME, (FAILED,), (FAILED,))
DIFFERS = pair("test_x.A.differs", Verdict.DIFFERS, (PASSED,) * 3, (FAILED,) * 3)
GAINED = pair("test_x.A.gained", Verdict.DIFFERS, (FAILED,) * 3, (PASSED,) * 3)
EXPLAINED = pair("test_x.A.folder", Verdict.EXPLAINED, (PASSED,), (FAILED,), "it asserts a folder")
UNSTABLE = pair("test_x.A.flaky", Verdict.UNSTABLE, (PASSED,) * 2, (FAILED, PASSED))
MISSING = [pair(f"test_x.B.m{number}", Verdict.DIFFERS, (PASSED,), (ABSENT,)) for number in range(8)]
EVERYTHING = (SAME, GOOD, BAD_ON_BOTH, DIFFERS, GAINED, EXPLAINED, UNSTABLE, *MISSING)


def report(*pairs: Pair) -> SuiteReport:
    return SuiteReport(
        (
            TargetReport(
                name="CPython 3.13.0",
                version=(3, 13),
                executable="/opt/bin/python3.13",
                layout="standard",
                user="nobody",
                folder=Path("suite"),
                selection="full",
                resources=("decimal",),
                files=("test_x",),
                seconds={Side.DIRECTORY: 60.0, Side.ARCHIVE: 90.0},
                pairs=pairs,
            ),
        )
    )


@pytest.mark.parametrize(
    ("pairs", "passed"),
    [
        ((SAME, GOOD), True),
        ((SAME, BAD_ON_BOTH, EXPLAINED, UNSTABLE), True),
        ((SAME, DIFFERS), False),
        ((SAME, GAINED), False),
        ((SAME, MISSING[0]), False),
    ],
)
def test_an_unexplained_difference_alone_fails(pairs: tuple[Pair, ...], passed: bool) -> None:
    assert report(*pairs).passed is passed
    assert suite_to_json(report(*pairs))["passed"] is passed
    assert ("no unexplained difference" in suite_to_text(report(*pairs))) is passed


def test_the_table() -> None:
    lines = suite_to_text(report(*EVERYTHING)).splitlines()
    header = next(number for number, line in enumerate(lines) if line.split()[:2] == ["directory", "archive"])
    assert lines[header].split("  ")[-7:] == [
        "directory", "archive", "differ", "lost", "one side only", "explained", "unstable",
    ]  # fmt: skip
    # the file itself is no case; eight cases did not run from the archive
    assert lines[header + 1].split()[2:] == ["14", "6", "10", "9", "8", "1", "1"]


def test_the_text_names_what_differs_and_why() -> None:
    text = suite_to_text(report(*EVERYTHING))
    for words in (
        "differs: test_x.A.differs\n  directory  passed\n  archive    failed: AssertionError",
        "a.log",
        "unstable: test_x.A.flaky\n  directory  passed\n  archive    failed, passed",
        "explained: test_x.A.folder",
        "because    it asserts a folder",
        "3 more cases did not run every time",
        "fails on both sides, so that it says nothing of the archive: 1",
        "run by nobody",
    ):
        assert words in text
    assert "test_x.B.m7" not in text
    assert "test_x.A.good" not in text
    assert "test_x.B.m7" in suite_to_text(report(*EVERYTHING), verbose=True)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("OSError: /a/tree-d/x", "OSError: /a/tree-z/x", False),
        ("[Errno 2] /tmp/zsabcdefgh/tmp/tmp1a2b3c4d", "[Errno 2] /tmp/zshgfedcba/tmp/tmpd4c3b2a1", False),
        ("OSError: /a/tree-d/x", "KeyError: 'x'", True),
    ],
)
def test_what_fails_on_both_sides_for_other_reasons_is_told(one: str, other: str, told: bool) -> None:
    bad = [(CaseRun(Outcome.FAILED, brief),) for brief in (one, other)]
    text = suite_to_text(report(pair("test_x.A.bad", Verdict.SAME, bad[0], bad[1])))
    assert ("for another reason: " + other in text) is told


def test_json_holds_all_that_is_not_the_same() -> None:
    values = json.loads(json.dumps(suite_to_json(report(*EVERYTHING))))
    assert values["schema_version"] == 1
    (target,) = values["targets"]
    assert target["figures"] == {
        "directory": 14, "archive": 6, "differ": 10, "lost": 9,
        "one_side_only": 8, "explained": 1, "unstable": 1,
    }  # fmt: skip
    assert target["outcomes"]["archive"] == {"failed": 4, "not run": 8, "passed": 2}
    cases = {each["case"]: each for each in target["pairs"]}
    assert set(cases) == {each.case for each in EVERYTHING} - {"test_x", "test_x.A.good", "test_x.A.bad"}
    assert cases["test_x.A.flaky"]["archive"]["outcomes"] == ["failed", "passed"]
    assert cases["test_x.A.folder"]["reason"] == "it asserts a folder"
    assert [each["case"] for each in target["bad_on_both"]] == ["test_x.A.bad"]


def test_junit_is_xml_with_a_case_for_each_pair() -> None:
    root = ElementTree.fromstring(suite_to_junit(report(*EVERYTHING)).encode())
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("15", "10", "2")
    cases = {case.get("name"): case for case in suite}
    assert len(cases) == 15
    failure = cases["test_x.A.differs"].find("failure")
    assert failure is not None
    assert failure.get("message") == "directory: passed; archive: failed"
    assert failure.text == "Traceback\n  <b> & \\x1b[31m"
    assert len(cases["test_x.A.good"]) == 0
    skipped = cases["test_x.A.folder"].find("skipped")
    assert skipped is not None
    assert "it asserts a folder" in skipped.attrib["message"]
