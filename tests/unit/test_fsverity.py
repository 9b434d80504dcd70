"""fs-verity's digests, by the kernel's own tool where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest
from zipstrap.errors import FileError
from zipstrap.fsverity import file_digest

#: as `fsverity digest` of fsverity-utils 1.5 prints them
KNOWN = {
    0: "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
}

#: around the sizes at which a block or a level of the tree is added: 4096, and 128 of them
SIZES = (0, 1, 4095, 4096, 4097, 8192, 128 * 4096 - 1, 128 * 4096, 128 * 4096 + 1, 128 * 128 * 4096 + 1)


@pytest.mark.parametrize("size", KNOWN)
def test_known_digests(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    assert file_digest(path) == KNOWN[size]


@pytest.mark.skipif(shutil.which("fsverity") is None, reason="fsverity is not installed")
@pytest.mark.parametrize("size", SIZES)
def test_as_the_tool_digests(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(Random(size).randbytes(size % 100_000).ljust(size, b"z"))
    done = subprocess.run(
        ["fsverity", "digest", "--compact", str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [file_digest(path)]


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        file_digest(tmp_path / "file")
