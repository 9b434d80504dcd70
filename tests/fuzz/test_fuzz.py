"""The short form of ``nox -s fuzz``: a few seconds of each part."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zipstrap.archive import BadArchive, read_archive

from .archives import archive, sound
from .readers import Others, mine, others, programs
from .run import mutate

SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_what_we_accept_all_read_alike(random: Random) -> None:
    raw = archive(random)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder, "archive.zip")
        path.write_bytes(raw)
        try:
            found = mine(path)
        except BadArchive:
            return
        with others(Path(folder), []) as readers:
            assert readers.disagreements(path, found) == []


def test_zipimport_of_this_interpreter_reads_what_we_accept(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    accepted = 0
    with others(tmp_path, [Path(sys.executable)]) as readers:
        for number in range(300):
            path.write_bytes(archive(Random(number)))
            try:
                found = mine(path)
            except BadArchive:
                continue
            accepted += 1
            assert readers.disagreements(path, found) == [], number
    assert accepted > 50


def test_mutations_neither_crash_nor_hang(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutate(3000, 1) == 0
    assert "none crashed" in capsys.readouterr().out


def test_most_sound_archives_are_accepted(tmp_path: Path) -> None:
    """Or nothing would be compared; what is refused has clashing names."""
    path = tmp_path / "archive.zip"
    kinds = set()
    for number in range(300):
        path.write_bytes(sound(Random(number)))
        try:
            with read_archive(path):
                kinds.add("accepted")
        except BadArchive as error:
            kinds.add(error.kind.value)
    assert "accepted" in kinds
    assert kinds - {"accepted"} <= {
        *("duplicate-name", "folded-name", "name-clash", "module-and-package", "made-by"),
        *("name-form", "name-device", "name-character", "extra-field"),
    }


@pytest.mark.skipif(not programs(), reason="neither unzip nor bsdtar is installed")
def test_disagreements_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a/b.py", b"pass\n")
    found = mine(path)
    readers = Others(tmp_path, {})
    assert readers.disagreements(path, found) == []
    assert len(readers.disagreements(path, {**found, "other": "0"})) == len(readers.names)
