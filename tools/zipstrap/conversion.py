"""What an interpreter that is converted in place keeps: the journal, and what is out of its place.

The store lies beside the archives, on the same file system, so that what goes there and comes back is only
renamed: it keeps inode, owner, mode, links and times.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .data import record_of
from .errors import FileError
from .interpreter import Facts
from .layout import archive_path

__all__ = [
    "JOURNAL_NAME",
    "KEPT_FOLDER",
    "Conversion",
    "Folder",
    "Move",
    "NewArchive",
    "State",
    "conversion_from_json",
    "conversion_of",
    "conversion_to_json",
    "moves_of",
    "store_of",
]

JOURNAL_NAME = "journal.json"
KEPT_FOLDER = "files"

_SCHEMA = 1
_PYCACHE = "__pycache__"


class State(StrEnum):
    """How far a conversion is."""

    CONVERTING = "converting"
    CONVERTED = "converted"


@dataclass(frozen=True, slots=True)
class NewArchive:
    """An archive that was put in; *name* is that in the folder of the archives, *size* in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Move:
    """Something that was moved: *path* below the archives' folder, *kept* its name in the store."""

    path: str
    kept: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was: *path* below the archives' folder, which is empty for itself; time in ns."""

    path: str
    mode: int
    mtime_ns: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """The journal of a conversion: what is done, and what undoes it."""

    made_by: str
    state: State
    target: str
    #: below the prefix
    executable: str
    layout: str
    source: str
    #: in the order in which they are put in
    archives: tuple[NewArchive, ...]
    moves: tuple[Move, ...]
    #: those that something is moved out of, and the archives' own folder first
    folders: tuple[Folder, ...]
    #: what was asked for, as JSON; empty in the journals of older versions
    asked: str = ""


def store_of(archive: str) -> str:
    """Return the name of the store beside *archive* (``python313.zip``)."""
    return f"{archive.removesuffix('.zip')}-original"


def conversion_to_json(conversion: Conversion) -> bytes:
    """Return the journal's content."""
    values = {"schema_version": _SCHEMA, **dataclasses.asdict(conversion)}
    return (json.dumps(values, sort_keys=True, indent=1) + "\n").encode("ascii")


def conversion_from_json(data: bytes, source: str | Path) -> Conversion:
    """Return the conversion whose journal holds *data*; *source* names it in errors.

    Raises :class:`FileError` for what zipstrap did not write, and for a path that leads out of its folder.
    """
    try:
        return _conversion(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FileError(
            f"is no journal of a conversion ({type(error).__name__}: {error})",
            file=source,
            cure="put back the file that zipstrap convert wrote; it says what has to go where",
        ) from error


def _conversion(values: dict[str, Any]) -> Conversion:
    schema = values["schema_version"]
    if schema != _SCHEMA:
        raise ValueError(f"schema_version is {schema!r}, not {_SCHEMA}")
    conversion = record_of(
        Conversion,
        values,
        state=State(values["state"]),
        archives=tuple(record_of(NewArchive, each) for each in values["archives"]),
        moves=tuple(record_of(Move, each) for each in values["moves"]),
        folders=tuple(record_of(Folder, each) for each in values["folders"]),
        asked=str(values.get("asked", "")),
    )
    _check_places(conversion)
    return conversion


def _check_places(conversion: Conversion) -> None:
    plain = [each.name for each in conversion.archives] + [each.kept for each in conversion.moves]
    places = [conversion.executable, *(each.path for each in conversion.moves)]
    places += [each.path for each in conversion.folders if each.path]
    for place in (*plain, *places):
        if "\0" in place or place.startswith("/") or not {"", ".", ".."}.isdisjoint(place.split("/")):
            raise ValueError(f"{place!r} is not a path below the prefix")
    for name in plain:
        if "/" in name:
            raise ValueError(f"{name!r} is not a name")


def conversion_of(facts: Facts) -> Conversion | None:
    """Return how the interpreter is converted, or None if it is not."""
    archive = Path(archive_path(facts))
    path = archive.parent / store_of(archive.name) / JOURNAL_NAME
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return conversion_from_json(data, path)


def moves_of(
    tree: Mapping[str, Collection[str]],
    files: Collection[str],
    modules: Collection[str],
    cache_tag: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what of a library is moved away, and out of which folders; pure.

    *tree* has the names in each folder of the library by the folder's path, which is empty for its own;
    names that are no keys are files or links. *files* are the paths of those that go, *modules* those of
    sources whose bytecode in ``__pycache__`` goes, by *cache_tag*. A folder of which everything goes is moved
    as one.
    """

    def goes(path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if path in files:
            return True
        above, _, last = folder.rpartition("/")
        if last != _PYCACHE or not name.endswith(".pyc"):
            return False
        module, _, tag = name.partition(".")
        source = f"{above}/{module}.py" if above else f"{module}.py"
        return source in modules and tag.startswith((f"{cache_tag}.pyc", f"{cache_tag}.opt-"))

    def gone(folder: str) -> tuple[list[str], list[str], bool]:
        moved: list[str] = []
        changed: list[str] = []
        whole = bool(tree[folder])
        for name in sorted(tree[folder]):
            path = f"{folder}/{name}" if folder else name
            if path in tree:
                below, changed_below, all_of_it = gone(path)
                moved += [path] if all_of_it else below
                changed += [] if all_of_it else changed_below
                whole &= all_of_it
            elif goes(path):
                moved.append(path)
            else:
                whole = False
        if any(path.rpartition("/")[0] == folder for path in moved):
            changed.append(folder)
        return moved, changed, whole

    moved, changed, _ = gone("")
    return tuple(sorted(moved)), tuple(sorted(changed))
