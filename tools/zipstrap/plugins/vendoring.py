"""The copy of the plugin loader that an application takes along."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from zipstrap.destination import check_destination, new_folder, writing

__all__ = ["PACKAGE", "vendor"]

#: the name by which an application imports the copy
PACKAGE = "zipstrap_plugins"

#: its modules, as they are here
_MODULES = ("archive_reader.py", "plugin_checks.py", "plugin_imports.py", "plugins.py")

_INIT = """\
# Written by zipstrap plugins vendor; do not change.
\"\"\"Plugins of an application: archives in a folder, checked, loaded, called, reloaded and unloaded.\"\"\"

from .archive_reader import Limits
from .plugin_checks import (
    FAULTS,
    MAX_ARCHIVE,
    METADATA,
    SCHEMA_VERSION,
    Checked,
    Fault,
    Metadata,
    Runtime,
    check_archive,
    check_folder,
    is_api,
    this_runtime,
)
from .plugins import Called, Plugins, Report

__all__ = [
    "FAULTS",
    "MAX_ARCHIVE",
    "METADATA",
    "SCHEMA_VERSION",
    "Called",
    "Checked",
    "Fault",
    "Limits",
    "Metadata",
    "Plugins",
    "Report",
    "Runtime",
    "check_archive",
    "check_folder",
    "is_api",
    "this_runtime",
]
"""


def vendor(folder: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write the package :data:`PACKAGE` into *folder*, and return its files.

    It has 3.8 syntax and needs the standard library alone. With *force*, a copy that is there is replaced,
    and nothing else. Raises :class:`FileError`, and then nothing was changed.
    """
    destination = folder / PACKAGE
    check_destination(destination, force=force, is_ours=_is_ours)
    with new_folder(destination, replace=_is_ours if force else None) as work, writing(work):
        for name, data in _files().items():
            (work / name).write_bytes(data)
            (work / name).chmod(0o644)
    return tuple(destination / name for name in _files())


def _files() -> dict[str, bytes]:
    modules = {name: resources.files("zipstrap.portable").joinpath(name).read_bytes() for name in _MODULES}
    # the annotations are for type checkers too (PEP 561)
    return {"__init__.py": _INIT.encode(), **modules, "py.typed": b""}


def _is_ours(path: Path) -> bool:
    """Tell whether *path* is a copy, of whatever version: its first line says so."""
    try:
        return (path / "__init__.py").read_bytes().startswith(_INIT.encode().partition(b"\n")[0])
    except OSError:
        return False
