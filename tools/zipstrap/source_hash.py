"""Hash bytes as the import system of a target does (``_imp.source_hash``, PEP 552)."""

from __future__ import annotations

import _imp
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .worker import run_worker

__all__ = ["hashes_as_here", "hashes_of_blob", "source_hashes"]


def hashes_as_here(version: tuple[int, int]) -> bool:
    """Tell whether a target of *version* hashes as this process does: with SipHash-1-3, since 3.11."""
    return version >= (3, 11)


def source_hashes(
    executable: Path, version: tuple[int, int], magic: str, data: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Return the hash of each of *data* by the *magic* number (hexadecimal) of the target.

    Before 3.11 it was another hash than the host's, so the interpreter itself is asked. Raises
    :class:`InterpreterError` if that fails.
    """
    if hashes_as_here(version):
        key = int.from_bytes(bytes.fromhex(magic), "little")
        return tuple(_imp.source_hash(key, item) for item in data)
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder:
        blob = Path(folder, "data")
        blob.write_bytes(b"".join(data))
        return hashes_of_blob(executable, blob, [len(item) for item in data])


def hashes_of_blob(executable: Path, blob: Path, sizes: Iterable[int]) -> tuple[bytes, ...]:
    """Return the hash of each piece of the file *blob*, taken by the interpreter itself.

    Raises :class:`InterpreterError` if that fails, and LookupError, TypeError or ValueError for an answer
    that is none.
    """
    sizes = list(sizes)
    answer = run_worker(executable, "source_hasher", {"blob": str(blob), "sizes": sizes})
    hashes = tuple(bytes.fromhex(text) for text in answer["hashes"])
    if len(hashes) != len(sizes):
        raise ValueError("the answer has another number of hashes than the job")
    return hashes
