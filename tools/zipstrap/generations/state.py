"""What of a prefix is ours. The file system alone says it: there is no list that could disagree with it.

A generation is the folder ``lib/zipstrap/generations/N`` with a manifest; it is current when a link in the
prefix's ``bin`` leads to its executable. The time of the folder is when the generation was made, or when it
ceased to be current.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipstrap.data import record_of
from zipstrap.durable import Root
from zipstrap.errors import FileError
from zipstrap.layout import GENERATIONS
from zipstrap.manifest import Manifest, load_manifest
from zipstrap.stage import digest_of

__all__ = [
    "BIN",
    "KEPT",
    "RECORD_NAME",
    "Generation",
    "Kept",
    "Record",
    "State",
    "differences",
    "find_unfinished",
    "kept_place",
    "kept_to_json",
    "link_target",
    "number_of_link",
    "place_of",
    "read_record",
    "read_state",
    "record_to_json",
]

BIN = "bin"

#: of a generation: when it was made, and from what; the manifest holds nothing of the kind
RECORD_NAME = "zipstrap-generation.json"

#: what was left of the user's when a version was uninstalled: a file for each, by the executable's name
KEPT = f"{GENERATIONS.rpartition('/')[0]}/kept"

_SCHEMA = 1
_LINK = re.compile(rf"\.\./{GENERATIONS}/(?P<number>[1-9]\d*)/libexec/(?P<name>[^/]+)")
_NUMBER = re.compile(r"[1-9]\d*")


@dataclass(frozen=True, slots=True)
class Record:
    """What a generation's manifest does not say, because it differs from one installation to the next."""

    #: in UTC, as in RFC 3339
    made: str
    #: the interpreter that it was made of
    source: str
    #: folders of the prefix that this, or a generation before it, has made
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a version that was uninstalled has left to the user, so that it can be purged later."""

    #: where packages are, relative to the prefix
    site_folders: tuple[str, ...]
    #: folders of the prefix that its generations had made
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation that is whole enough to have a manifest; *name* is that of its executable."""

    number: int
    tree: Path
    manifest: Manifest
    record: Record | None
    #: when it was made or ceased to be current, in seconds since the epoch
    left: float

    @property
    def name(self) -> str:
        """The name of the executable, ``python3.13``: generations of one name take each other's place."""
        return self.manifest.layout.executable.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Bytes in its files."""
        return self.manifest.archive_size + sum(record.size for record in self.manifest.files)


@dataclass(frozen=True, slots=True)
class State:
    """What is installed below a prefix."""

    prefix: Path
    generations: tuple[Generation, ...]
    #: name in bin → number of the generation to which it leads, there or not
    links: Mapping[str, int]
    #: names in bin that a generation should have, and what is there instead
    replaced: Mapping[str, str]
    #: number → why this is no generation
    damaged: Mapping[int, str]
    #: what an earlier run left, relative to the prefix
    unfinished: tuple[str, ...]
    #: name of an executable that was uninstalled → what of the user's was kept
    kept: Mapping[str, Kept]

    @property
    def next_number(self) -> int:
        """The number that the next generation gets."""
        numbers = [generation.number for generation in self.generations]
        return max((0, *numbers, *self.damaged, *self.links.values())) + 1

    @property
    def folders(self) -> frozenset[str]:
        """The folders of the prefix that its generations have made, those that are uninstalled among them."""
        records = (*(each.record for each in self.generations), *self.kept.values())
        return frozenset(path for record in records if record for path in record.folders)

    def named(self, name: str) -> tuple[Generation, ...]:
        """Return the generations of the executable *name*, the oldest first."""
        return tuple(generation for generation in self.generations if generation.name == name)

    def names(self) -> tuple[str, ...]:
        """Return the names of executables that have generations or links."""
        return tuple(sorted({generation.name for generation in self.generations} | self.links.keys()))

    def current(self, name: str) -> Generation | None:
        """Return the generation to which the link *name* leads."""
        number = self.links.get(name)
        return next((each for each in self.named(name) if each.number == number), None)


def place_of(number: int) -> str:
    """Return where in a prefix the generation *number* is."""
    return f"{GENERATIONS}/{number}"


def link_target(number: int, name: str) -> str:
    """Return to what ``bin/NAME`` leads while the generation *number* is current."""
    return f"../{place_of(number)}/libexec/{name}"


def number_of_link(target: str | None, name: str) -> int | None:
    """Return the generation to which a link *name* with *target* leads; None if it is not one of ours."""
    found = _LINK.fullmatch(target or "")
    return int(found["number"]) if found is not None and found["name"] == name else None


def read_state(root: Root) -> State:
    """Read what is installed below *root*.

    Raises :class:`FileError` for what cannot be listed or read.
    """
    generations = []
    damaged = {}
    for entry in sorted(filter(_NUMBER.fullmatch, root.names(GENERATIONS)), key=int):
        number, place = int(entry), f"{GENERATIONS}/{entry}"
        seen = root.stat(place)
        if seen is None or not stat.S_ISDIR(seen.st_mode):
            damaged[number] = "is no folder"
            continue
        tree = root.path / place
        try:
            manifest = load_manifest(tree)
        except FileError as error:
            damaged[number] = f"its manifest {error.problem.text}"
            continue
        generations.append(Generation(number, tree, manifest, read_record(tree), seen.st_mtime))
    links = {}
    for name in root.names(BIN):
        number_or_none = number_of_link(root.read_link(f"{BIN}/{name}"), name)
        if number_or_none is not None:
            links[name] = number_or_none
    replaced = {
        name: _what_is(root, f"{BIN}/{name}")
        for name in sorted({generation.name for generation in generations} - links.keys())
    }
    return State(
        root.path,
        tuple(generations),
        links,
        replaced,
        damaged,
        tuple(find_unfinished(root, generations)),
        dict(_read_kept(root)),
    )


def kept_place(name: str) -> str:
    """Return where in a prefix it says what the executable *name* has left when it was uninstalled."""
    return f"{KEPT}/{name}.json"


def _read_kept(root: Root) -> Iterator[tuple[str, Kept]]:
    for entry in root.names(KEPT):
        name = entry.removesuffix(".json")
        if name == entry or entry.startswith("."):
            continue
        try:
            kept = record_of(Kept, json.loads(root.read_file(f"{KEPT}/{entry}") or b""))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if all(_is_below(path) for path in (*kept.site_folders, *kept.folders)):
            yield name, kept


def _is_below(path: str) -> bool:
    return "\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/"))


def kept_to_json(kept: Kept) -> str:
    """Return *kept* as the text of its file."""
    values = {
        "schema_version": _SCHEMA,
        "site_folders": list(kept.site_folders),
        "folders": list(kept.folders),
    }
    return json.dumps(values, indent=1) + "\n"


def _what_is(root: Root, path: str) -> str:
    target = root.read_link(path)
    if target is not None:
        return f"is a link to {target}"
    return "is missing" if not root.exists(path) else "is no link"


def find_unfinished(root: Root, generations: list[Generation]) -> Iterator[str]:
    """Yield what an earlier run left in the folders in which a run writes."""
    libraries = {generation.manifest.layout.library for generation in generations}
    fronts = [f"{library}{end}" for library in sorted(libraries) for end in _FRONT_FOLDERS]
    for folder in (GENERATIONS, KEPT, BIN, *fronts):
        yield from root.unfinished(folder)


_FRONT_FOLDERS = ("", "/encodings", "/encodings/__pycache__")


def read_record(tree: Path) -> Record | None:
    """Return the record of the generation *tree*, be it unfinished; None if it has none that can be read."""
    try:
        values = json.loads((tree / RECORD_NAME).read_bytes())
        return record_of(Record, values)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None  # the generation runs without it


def record_to_json(record: Record) -> str:
    """Return *record* as the text of its file."""
    values: dict[str, Any] = {
        "schema_version": _SCHEMA,
        "made": record.made,
        "source": record.source,
        "folders": list(record.folders),
    }
    return json.dumps(values, indent=1) + "\n"


def differences(generation: Generation, *, by_content: bool = False) -> list[str]:
    """Return what of a generation is no longer as it was made: paths, with the reason.

    Without *by_content* files are only looked at, which tells of most that goes wrong by accident.
    """
    manifest = generation.manifest
    expected = {
        record.path: (record.kind, record.size, record.sha256, record.link) for record in manifest.files
    }
    archive = manifest.layout.library_archive
    expected[archive] = ("archive", manifest.archive_size, manifest.archive_sha256, None)
    found = []
    for path, (kind, size, sha256, link) in sorted(expected.items()):
        whole = generation.tree / path
        try:
            seen = whole.lstat()
            if link is not None:
                same = stat.S_ISLNK(seen.st_mode) and str(whole.readlink()) == link
            elif kind == "folder":
                same = stat.S_ISDIR(seen.st_mode)
            else:
                same = stat.S_ISREG(seen.st_mode) and seen.st_size == size
                if same and by_content:
                    same = digest_of(whole)[1] == sha256
        except (FileNotFoundError, NotADirectoryError):
            found.append(f"{path} is missing")
            continue
        except OSError as error:
            found.append(f"{path} cannot be read ({error.strerror})")
            continue
        if not same:
            found.append(f"{path} is not what was installed")
    return found
