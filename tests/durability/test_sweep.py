"""The harness itself: it finds what a careless command leaves, and passes a careful one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .sweep import End, Fault, Scene, sweep

CARELESS = """\
import sys
with open(sys.argv[1] + "/file", "w") as file:
    file.write("new")
"""

CAREFUL = """\
import os, sys
path = sys.argv[1] + "/file"
for name in ("a", "b"):
    if os.path.exists(path + name):
        os.unlink(path + name)
try:
    handle = os.open(path + "a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    left = b"new"
    while left:
        left = left[os.write(handle, left):]
    if os.fstat(handle).st_size != 3:
        raise OSError("lost")
    os.fsync(handle)
    os.rename(path + "a", path)
except OSError as error:
    sys.exit(str(error))
"""


def scene(folder: Path, script: str) -> Scene:
    def make(state: Path) -> None:
        state.mkdir()
        (state / "file").write_text("old")

    def boots(state: Path) -> str | None:
        text = (state / "file").read_text()
        return None if text in ("old", "new") else f"it holds {text!r}"

    def left(state: Path) -> list[str]:
        names = sorted(path.name for path in state.iterdir())
        text = (state / "file").read_text()
        return [] if (names, text) == (["file"], "new") else [f"{names}, {text!r}"]

    state = folder / "state"
    command = [sys.executable, "-c", script, state]
    return Scene("a file", state, make, command, boots, [End(command, left)], packages=())


pytestmark = pytest.mark.usefixtures("strace")


def test_a_careless_command_is_found(tmp_path: Path) -> None:
    result = sweep(scene(tmp_path, CARELESS))
    text = "\n".join(result.problems)
    for fault in (Fault.KILL, Fault.ENOSPC, Fault.EIO, Fault.SHORT, Fault.LOST):
        assert f"{fault} at" in text
    assert "does not boot: it holds ''" in text


def test_a_careful_command_passes(tmp_path: Path) -> None:
    result = sweep(scene(tmp_path, CAREFUL))
    assert result.problems == []
    assert result.missed == 0
    assert result.tried[Fault.KILL] == result.calls == 4
    assert str(result).startswith("a file: 4 calls that change files; tried: 4 kill, ")
