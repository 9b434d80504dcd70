"""Pack a CPython's standard library into the archive that it boots from, and prove where it booted from."""

from __future__ import annotations

import os

__all__ = ["__version__", "activate"]

__version__ = "0.1.0"


def activate(path: str | os.PathLike[str], *, first: bool = False) -> tuple[str, ...]:
    """Put the bundle *path*, and the folder that belongs to it, on ``sys.path`` of this process.

    They come last, or before all others with *first*; what is there already is not added again. Returns the
    entries. Raises :class:`ImportError` for what is no bundle, is for another Python, or lacks its folder.
    """
    import pkgutil

    # the code is the target's, which has no zipstrap: site_hooks/zipstrap_activate.py
    source = pkgutil.get_data("zipstrap.site_hooks", "zipstrap_activate.py")
    assert source is not None, "a loader without get_data"
    names: dict[str, object] = {"__name__": "zipstrap_activate"}
    exec(source, names)
    function = names["activate"]
    assert callable(function)
    entries: tuple[str, ...] = function(path, first)
    return entries
