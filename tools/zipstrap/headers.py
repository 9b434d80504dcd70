"""The C headers of an interpreter, which compilers of extension modules read. They are not in its library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .interpreter import Facts

__all__ = ["find_headers", "headers_folder"]

_MACHINE = "pyconfig.h"


def headers_folder(facts: Facts) -> str:
    """Return where sysconfig expects the headers, relative to the prefix (scheme ``posix_prefix``)."""
    major, minor = facts.feature_version
    return f"include/python{major}.{minor}{facts.abiflags}"


def find_headers(facts: Facts) -> dict[str, Path]:
    """Return the headers of an interpreter that is here: path relative to a prefix → file.

    Debian keeps the one that differs between machines apart, for all of its machines, and has another in its
    place that includes the right one. A tree is for one machine, and gets that. There are none where the
    interpreter was installed without, and for the facts of another machine.
    """
    place = headers_folder(facts)
    prefix = Path(facts.prefix)
    found = {
        f"{place}/{path.relative_to(prefix / place).as_posix()}": path for path in _files(prefix / place)
    }
    if found and facts.multiarch:
        own = prefix / "include" / facts.multiarch / place.removeprefix("include/") / _MACHINE
        if own.is_file():
            found[f"{place}/{_MACHINE}"] = own
    return dict(sorted(found.items()))


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(above, name)).suffix == ".h" and path.is_file())
