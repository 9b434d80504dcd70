"""The outcome of verify as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from zipstrap.data import checks
from zipstrap.linkage import Library, Linkage
from zipstrap.verify.boots import MODES, Boot, Origin
from zipstrap.verify.checks import judge
from zipstrap.verify.evidence import Evidence, Writable
from zipstrap.verify.report import Verification, verification_to_json, verification_to_text

from .test_checks import (
    ARCHIVE,
    BOOTS,
    EXECUTABLE,
    FAILURES,
    LIBRARY,
    MODULES,
    NO_START,
    ROOT,
    SOUND,
    _module,
)

NAMED = Path("/srv/me/tree")
WAY_IN = (Writable("/opt", "everybody"),)


def outcome(evidence: Evidence = SOUND, **changes: Any) -> Verification:
    evidence = dataclasses.replace(evidence, **changes)
    return Verification(NAMED, evidence, judge(evidence))


def text(verification: Verification, *, verbose: bool = False) -> list[str]:
    return verification_to_text(verification, verbose=verbose).splitlines()


# ---- the verdict -----------------------------------------------------------------------------------------


def test_sound_evidence_is_verified() -> None:
    verification = outcome()
    assert verification.passed
    assert verification.codes == ()
    assert text(verification)[-1] == "verified"


def test_a_warning_is_verified_unless_all_is_wanted() -> None:
    lax = outcome(ways_in=WAY_IN, strict=False)
    assert (lax.passed, lax.codes) == (True, ("ZS602",))
    assert text(lax)[-1] == "verified, with warnings: ZS602"
    strict = outcome(ways_in=WAY_IN, strict=True)
    assert (strict.passed, strict.codes) == (False, ("ZS602",))
    assert text(strict)[-1] == "NOT VERIFIED: ZS602"


def test_what_could_not_be_looked_at_is_in_the_last_line() -> None:
    missing = {"source_hashes": "it gave no answer", "linkage": "cannot be read"}
    verification = outcome(missing=missing, linkage=None, strict=False)
    unseen = "ZS203 (it gave no answer), ZS502 (cannot be read), ZS503 (cannot be read)"
    assert text(verification)[-1] == f"verified, but not looked at: {unseen}"
    assert verification_to_json(verification)["not_looked_at"] == ["ZS203", "ZS502", "ZS503"]
    warned = outcome(missing={"source_hashes": "no"}, ways_in=WAY_IN, strict=False)
    assert text(warned)[-1] == "verified, with warnings: ZS602, but not looked at: ZS203 (no)"
    assert verification_to_json(outcome(strict=False))["not_looked_at"] == []


@pytest.mark.parametrize("code", checks())
def test_every_check_fails_the_whole_as_its_severity_says(code: str) -> None:
    changed = dataclasses.replace(FAILURES[code][0](SOUND))
    # ZS308 is judged with --strict alone
    verification = outcome(changed, strict=code == "ZS308")
    assert verification.codes == (code,)
    assert verification.passed is (checks()[code].severity == "warning")


def test_what_follows_is_no_root() -> None:
    verification = outcome(archive=None)
    assert verification.codes == ("ZS101",)
    follows = outcome(
        archive=None,
        modules={"plain": (*MODULES, _module("abc", Origin.FOREIGN, "/usr/lib/python3.13/abc.py"))},
        boots=BOOTS[:1],
    )
    assert follows.codes == ("ZS101",)
    assert "also ZS301 foreign-library, which follows from ZS101" in text(follows)


# ---- text ------------------------------------------------------------------------------------------------


def test_the_text_names_each_module_of_a_plain_start_with_its_origin() -> None:
    lines = text(outcome())
    assert lines[0] == "/srv/me/tree: CPython 3.13.0, layout standard"
    assert lines[1] == "mode plain: 3 modules (1 archive, 1 builtin, 1 frozen); the witnesses agree on all"
    assert lines[2].split() == ["sys", "builtin"]
    assert lines[4].split() == ["encodings", "archive", f"{ARCHIVE}/encodings/__init__.pyc"]
    assert lines[5].startswith("mode -X frozen_modules=off: 3 modules")


def test_verbose_text_names_the_modules_of_every_start() -> None:
    quiet, verbose = text(outcome()), text(outcome(), verbose=True)
    assert sum(line.startswith("  encodings ") for line in quiet) == 1
    assert sum(line.startswith("  encodings ") for line in verbose) == len(BOOTS)


def test_the_text_counts_disagreement() -> None:
    doubtful = (*MODULES, _module("os", None, None, agree=False, reason="only the log names it"))
    lines = text(outcome(modules={"plain": doubtful}, boots=BOOTS[:1]))
    assert lines[1].endswith("1 unseen); the witnesses agree on 3 of 4")
    assert any("found: os (plain): only the log names it" in line for line in lines)


def test_the_text_of_a_fault_says_what_why_and_what_to_do() -> None:
    lines = text(outcome(outside_run_paths=((EXECUTABLE, "/nonexistent"),)))
    data = checks()["ZS503"]
    at = lines.index(f"FAILED ZS503 run-path-outside: {data.title}")
    assert lines[at + 1 : at + 4] == [
        f"  found: {EXECUTABLE} looks for libraries in /nonexistent",
        f"  why: {data.cause}",
        f"  what to do: {data.cure}",
    ]


def test_the_text_shows_ten_findings_of_a_kind_and_counts_the_rest() -> None:
    many = outcome(uncompiled=tuple(f"{LIBRARY}/m{number}.py" for number in range(25)))
    lines = [line for line in text(many) if line.startswith("  found: ")]
    assert len(lines) == 11
    assert lines[-1] == "  found: 15 more of this kind"
    told = {check["code"]: check for check in verification_to_json(many)["checks"]}
    assert len(told["ZS205"]["findings"]) == 25


def test_the_text_gives_the_reason_of_what_was_not_run() -> None:
    lines = text(outcome(strict=False))
    assert "not run: ZS308 not-from-archive: asked for with --strict" in lines
    (passed,) = (line for line in lines if "checks passed" in line)
    assert "ZS308" not in passed
    assert passed.startswith(f"{len(checks()) - 5} of {len(checks())} checks passed: ZS101")


def test_the_text_of_a_start_that_failed() -> None:
    lines = text(outcome(NO_START(SOUND)))
    assert "mode plain: failed: exit status 3: it printed nothing" in lines
    assert lines[-1] == "NOT VERIFIED: ZS306"


# ---- JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", checks())
def test_json_names_every_check_and_what_it_found(code: str) -> None:
    verification = outcome(FAILURES[code][0](SOUND))
    values = json.loads(json.dumps(verification_to_json(verification)))
    assert [check["code"] for check in values["checks"]] == list(checks())
    by_code = {check["code"]: check for check in values["checks"]}
    assert by_code[code]["findings"]
    assert by_code[code]["cause"] == checks()[code].cause
    assert by_code[code]["cure"] == checks()[code].cure
    assert values["passed"] is verification.passed
    roots = tuple(each for each, check in by_code.items() if check["status"] in ("failed", "warned"))
    assert roots == verification.codes == (code,)
    for check in values["checks"]:
        assert (check["status"] == "consequence") is bool(check["because"])
        assert bool(check["reason"]) is (check["status"] in ("not run", "consequence"))


def test_json_names_every_module_with_origin_and_witnesses() -> None:
    values = verification_to_json(outcome())
    assert values["schema_version"] == 1
    assert values["tree"] == str(NAMED)
    assert [boot["mode"] for boot in values["boots"]] == [boot.mode.name for boot in BOOTS]
    encodings = values["boots"][0]["modules"][2]
    assert encodings == {
        "module": "encodings",
        "origin": "archive",
        "path": str(ROOT / ARCHIVE / "encodings/__init__.pyc"),
        "witnesses": {"loader": "archive", "log": "archive"},
        "agree": True,
        "note": "",
    }
    assert values["boots"][0]["modules"][0]["witnesses"] == {"loader": "builtin", "log": None}
    assert values["boots"][0]["opened"] == list(BOOTS[0].opened or ())


def test_json_of_a_start_that_was_not_run() -> None:
    values = verification_to_json(
        outcome(boots=(*BOOTS[:1], Boot(MODES[1], "not run", "it exists from 3.99")))
    )
    boot = values["boots"][1]
    assert (boot["status"], boot["reason"]) == ("not run", "it exists from 3.99")
    assert (boot["modules"], boot["sys_path"], boot["prefix"]) == ([], [], None)


def test_json_lists_what_the_tree_needs_of_the_system() -> None:
    linkage = Linkage(ROOT / EXECUTABLE, (), (Library("libc.so.6", Path("/lib/libc.so.6"), ()),), (), None)
    assert verification_to_json(outcome(linkage=linkage))["needs"] == ["libc.so.6"]
    assert verification_to_json(outcome(linkage=None, missing={"linkage": "Linux only"}))["needs"] == []
