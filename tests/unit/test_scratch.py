"""Nothing is written outside the scratch folder, whatever links or names say."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from zipstrap.data import vectors
from zipstrap.errors import FileError
from zipstrap.verify.scratch import PLANTS, _Slot, _Tries


@pytest.fixture
def slot(tmp_path: Path) -> _Slot:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return _Slot(scratch / "start", scratch / "copy", cast("_Tries", None), {})


@pytest.mark.parametrize("kind", ["module", "modules", "pth", "empty", "executable", "shell", "archive"])
def test_a_link_that_leads_out_is_not_followed(slot: _Slot, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = slot.tree.parent
    inside.mkdir()
    (inside / "lib").symlink_to(outside)
    for place in (inside / "lib" / "x", inside / "lib" / "new" / "x", outside / "x", inside / "../../../y/x"):
        with pytest.raises(FileError, match="leads out of the scratch copy"):
            PLANTS[kind](slot, place, vectors()["ZH101"])
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "y").exists()


def test_what_is_there_is_not_replaced(slot: _Slot, tmp_path: Path) -> None:
    inside = slot.tree.parent
    inside.mkdir()
    (inside / "file").write_text("kept")
    (tmp_path / "outside").write_text("kept")
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "dangling").symlink_to(tmp_path / "none")
    for name in ("file", "link", "dangling"):
        assert not PLANTS["module"](slot, inside / name, vectors()["ZH101"])
    assert (inside / "file").read_text() == (tmp_path / "outside").read_text() == "kept"
    assert not (tmp_path / "none").exists()
    assert PLANTS["module"](slot, inside / "new" / "module.py", vectors()["ZH101"])
