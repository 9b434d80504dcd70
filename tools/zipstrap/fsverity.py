"""fs-verity's digest of a file, as ``fsverity digest`` prints it, without the kernel's help.

The format is the kernel's (``Documentation/filesystems/fsverity.rst``, "fs-verity descriptor" and "Merkle
tree"): SHA-256, blocks of 4096 bytes, no salt.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import FileError, cure_of

__all__ = ["file_digest", "fsverity_digest"]

_BLOCK = 4096
_HASH = 32
_SHA256 = 1
#: version, algorithm, log2 of the block's size, salt's size, reserved, data's size, root, salt, reserved
_DESCRIPTOR = struct.Struct("<BBBBIQ64s32s144s")


def file_digest(path: Path) -> str:
    """Return the fs-verity digest of the file *path*, in hexadecimal; raises :class:`FileError`."""
    try:
        with path.open("rb") as stream:
            return fsverity_digest(iter(lambda: stream.read(_BLOCK), b""))
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", file=path, cure=cure_of(error, "make the file readable")
        ) from error


def fsverity_digest(blocks: Iterable[bytes]) -> str:
    """Return the fs-verity digest of a file of these *blocks*, each of 4096 bytes but the last one."""
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for block in blocks:
            size += len(block)
            yield block

    level = _hashed(counted())
    while len(level) > _HASH:
        level = _hashed(level[index : index + _BLOCK] for index in range(0, len(level), _BLOCK))
    # of an empty file the root is all zeros
    descriptor = _DESCRIPTOR.pack(1, _SHA256, _BLOCK.bit_length() - 1, 0, 0, size, level, b"", b"")
    return hashlib.sha256(descriptor).hexdigest()


def _hashed(blocks: Iterable[bytes]) -> bytes:
    return b"".join(hashlib.sha256(block.ljust(_BLOCK, b"\0")).digest() for block in blocks)
