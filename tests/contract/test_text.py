"""What no file of the project may hold: a path of somebody's machine, a note to do something later."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Homes of people and of root, as an absolute path; the parts are apart so that this file does not hold one.
HOME = re.compile(rb"(?<![\w.$}~-])/(?:root|home/[A-Za-z0-9_]+|Users/[A-Za-z0-9_]+)" + rb"/")
LATER = re.compile(rb"\b(?:" + b"TO" + b"DO|FIX" + rb"ME)\b")


def project_files() -> list[Path]:
    """Return the files that are, or would be, committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("git says which files are the project's, and this is no checkout")
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name.decode() for name in done.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("pattern", [HOME, LATER], ids=["home", "later"])
def test_no_file_holds_it(pattern: re.Pattern[bytes]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]!r}"
        for path in project_files()
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (HOME, b'x = "/ro' + b'ot/.cache/x"', True),
        (HOME, b"/ho" + b"me/someone/src", True),
        (HOME, b"$PREFIX/root/x", False),
        (HOME, b"/homework/", False),
        (LATER, b"# TO" + b"DO: later", True),
        (LATER, b"TODOS", False),
    ],
)
def test_the_patterns_find_what_they_should(pattern: re.Pattern[bytes], text: bytes, matches: bool) -> None:
    assert bool(pattern.search(text)) is matches
