"""The comparison of the ecosystem run, without any package."""

from __future__ import annotations

from pathlib import Path

import pytest

from .run import SCRIPTS, Result, Run, compare, load_cases, normalise, table, write_page


def test_every_script_belongs_to_a_case() -> None:
    cases = load_cases()
    assert sorted(case.script for case in cases) == sorted(path.name for path in SCRIPTS.glob("use_*.py"))
    assert len({case.name for case in cases}) == len(cases)
    assert all(set(case.needs) <= {"headers", "libpython"} for case in cases)


@pytest.mark.parametrize(
    "first, second",
    [
        ("<C object at 0x7f3a12bc90>", "<C object at 0x7f3a12bd40>"),
        ("1 passed in 0.12s", "1 passed in 1.40s"),
        ('connect to 127.0.0.1:40213: "GET /"', 'connect to 127.0.0.1:51000: "GET /"'),
        ("127.0.0.1 - - [21/Nov/2026 02:19:17] GET", "127.0.0.1 - - [21/Nov/2026 02:20:00] GET"),
        ("/x/dir/tree/lib/python3.13/json/decoder.py", "/x/zip/tree/lib/python3.13/json/decoder.py"),
        ("/x/dir/tmp/tmp8hcqqma9/a", "/x/zip/tmp/tmp3n0vzui8/a"),
        ("pid=4711", "pid=815"),
        ("a\nencodings.cp437 /lib/encodings/cp437.py\nb", "a\nb"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced(first: str, second: str) -> None:
    lines = normalise(first, Path("/x/dir"))
    assert lines == normalise(second, Path("/x/zip"))
    assert normalise("\n".join(lines), Path("/x/dir")) == lines


@pytest.mark.parametrize(
    "first, second",
    [
        ('File "/x/dir/tree/lib/python3.13/json/decoder.py", line 3', 'File "<frozen json>", line 3'),
        ("../../tree/lib/json.py:346: in loads", "/x/zip/tree/lib/json.py:346: in loads"),
        ("line 12", "line 13"),
        ("['json']", "[]"),
        ("json /x/dir/tree/lib/json.py", "json /x/zip/tree/lib/python313.zip/json.py"),
    ],
)
def test_what_differs_by_the_side_is_kept(first: str, second: str) -> None:
    runs = {"dir": Run(0, normalise(first, Path("/x/dir"))), "zip": Run(0, normalise(second, Path("/x/zip")))}
    assert compare(runs)[0] == "different"


def test_outcomes() -> None:
    assert compare({"dir": Run(0, ["a"]), "zip": Run(0, ["a"])}) == ("same", [])
    assert compare({"dir": Run(1, ["a"]), "zip": Run(1, ["a"])}) == ("fails", [])
    assert compare({"dir": Run(0, ["a"]), "zip": Run(1, ["a"])})[0] == "different"
    assert compare({"dir": Run(None, ["a"]), "zip": Run(None, ["a"])}) == ("fails", [])


def test_table_in_a_page(tmp_path: Path) -> None:
    case = load_cases()[0]
    results = [
        Result(case.name, "3.9.18", "same"),
        Result(case.name, "3.15.2", "not installable", "no wheel"),
    ]
    page = tmp_path / "page.md"
    page.write_text("# T\n<!-- results: begin -->\nold\n<!-- results: end -->\nend\n")
    write_page(page, table(results, [case]))
    text = page.read_text()
    assert f"| {case.name} | same | not installable (1) |" in text
    assert "\n1. no wheel\n" in text
    assert "old" not in text
    assert text.endswith("<!-- results: end -->\nend\n")
