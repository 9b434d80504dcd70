"""What atheris drives: our reader, on the bytes as they are and on an archive described by them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["zipstrap.archive"]):
    from zipstrap.archive import BadArchive, read_archive

_FILE = os.memfd_create("archive")
_PATH = Path(f"/proc/self/fd/{_FILE}")


def read(raw: bytes) -> None:
    """Read *raw* whole; anything but BadArchive is a crash."""
    os.ftruncate(_FILE, 0)
    os.pwrite(_FILE, raw, 0)
    try:
        with read_archive(_PATH) as opened:
            for name in opened.names:
                opened.read(name)
    except BadArchive:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
