"""What varies between versions, profiles and components, as JSON beside its loaders."""

from __future__ import annotations

import dataclasses
import functools
import json
import pkgutil
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

__all__ = [
    "ArchiveRule",
    "BundleRule",
    "BundledPart",
    "CheckData",
    "Component",
    "LauncherCode",
    "MachineRule",
    "ProfileData",
    "SplitRule",
    "Vector",
    "archive_rules",
    "boot_modules",
    "bundle_rules",
    "bundled_parts",
    "checks",
    "components",
    "extension_halves",
    "foreign_names",
    "harmless_variables",
    "hot_modules",
    "import_order",
    "launchers",
    "machine_rules",
    "matches",
    "needed_modules",
    "not_variables",
    "preloaded_modules",
    "profiles",
    "record_of",
    "split_rules",
    "two_file_rules",
    "vectors",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Component:
    """A named part of the library."""

    name: str
    about: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Paths that lie on disk beside the archive, why, and for which feature versions."""

    paths: tuple[str, ...]
    reason: str
    since: tuple[int, int]
    until: tuple[int, int]
    #: patterns; where the library holds a file of these, the rule does not count
    unless: tuple[str, ...] = ()
    #: of which layouts; none for all
    layouts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineRule:
    """Paths of the library that are for one kind of machine, and why."""

    paths: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ProfileData:
    """A selection of components and modules."""

    name: str
    about: str
    without: frozenset[str]
    halves: bool
    whole: tuple[str, ...]
    #: None takes every module; otherwise only these (patterns of names) and what they import
    start: tuple[str, ...] | None
    #: whether imports under a condition are followed too
    guarded: bool = True
    #: whether it needs a trace, which says what is taken besides
    traced: bool = False


@dataclass(frozen=True, slots=True)
class CheckData:
    """A check of verify: its stable code, what it asserts, why it fails and what to do then."""

    code: str
    name: str
    severity: str
    title: str
    cause: str
    cure: str
    #: codes whose findings are consequences of this one
    masks: frozenset[str]


@dataclass(frozen=True, slots=True)
class ArchiveRule:
    """A rule of the strict reader: its stable code, what it asserts, why it matters and what to do."""

    code: str
    name: str
    title: str
    cause: str
    cure: str


@dataclass(frozen=True, slots=True)
class BundledPart:
    """Code by others that is compiled into modules of some versions, and how it is named elsewhere."""

    name: str
    modules: tuple[str, ...]
    #: beginnings of names; a binary that asks for such a shared library has the code from there
    libraries: tuple[str, ...]
    since: tuple[int, int]
    until: tuple[int, int]
    #: what CPython's sources bundle, for what no module tells
    version: str | None
    purl: str
    #: vendor and product
    cpe: str | None
    licence: str | None


@dataclass(frozen=True, slots=True)
class BundleRule:
    """Names of files and folders that a bundle leaves out of what it is given, and why."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LauncherCode:
    """The machine code of a launcher, for one kind of machine; *elf_machine* is its number in ELF files."""

    machine: str
    elf_machine: int
    code: bytes


@dataclass(frozen=True, slots=True)
class Vector:
    """A way to put foreign code into a start, and how it is tried.

    *environ*, *plant* (place → what is put there), *without* (what is removed), *argv0* and *executable* have
    places in braces, which :mod:`zipstrap.verify.scratch` fills in. *needs* names what must be there.
    """

    code: str
    name: str
    family: str
    title: str
    since: tuple[int, int]
    until: tuple[int, int]
    needs: frozenset[str]
    start: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    plant: Mapping[str, str]
    without: tuple[str, ...]
    argv0: str | None
    executable: str | None
    #: why nothing in a tree can refuse it; empty where something can
    beyond: str
    #: why only a launcher can refuse it, which the interpreter's own process comes too late for; else empty
    before: str
    cause: str
    cure: str


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether *path* matches one of *patterns*: ``*`` stops at a slash, ``**`` does not."""
    return _compiled(tuple(patterns)).fullmatch(path) is not None


@functools.cache
def components() -> tuple[Component, ...]:
    """Return the components in the order in which they are tried."""
    return tuple(
        Component(item["name"], item["about"], tuple(item["patterns"]))
        for item in _load("components")["components"]
    )


@functools.cache
def extension_halves() -> Mapping[str, tuple[str, ...]]:
    """Return extension module → patterns of its Python halves."""
    return {name: tuple(patterns) for name, patterns in _load("halves")["halves"].items()}


@functools.cache
def split_rules() -> tuple[SplitRule, ...]:
    """Return the rules that put parts of the library on disk."""
    return tuple(
        SplitRule(
            tuple(item["paths"]),
            item["reason"],
            _feature(item.get("since", "3.0")),
            _feature(item.get("until", "3.99")),
            tuple(item.get("unless", ())),
            tuple(item.get("layouts", ())),
        )
        for item in _load("split")["rules"]
    )


@functools.cache
def two_file_rules() -> Mapping[str, tuple[MachineRule, ...]]:
    """Return what becomes of parts that lie on disk elsewhere where none may: ``packed``, ``left_out``."""
    return {
        kind: tuple(MachineRule(tuple(item["paths"]), item["reason"]) for item in items)
        for kind, items in _load("split")["two_files"].items()
    }


@functools.cache
def machine_rules() -> tuple[MachineRule, ...]:
    """Return the rules that tell what of a library is for one kind of machine."""
    return tuple(MachineRule(tuple(item["paths"]), item["reason"]) for item in _load("machine")["rules"])


@functools.cache
def profiles() -> Mapping[str, ProfileData]:
    """Return the profiles by name."""
    return {
        name: ProfileData(
            name,
            item["about"],
            frozenset(item["without"]),
            item["halves"],
            tuple(item.get("whole", ())),
            tuple(item["start"]) if "start" in item else None,
            item.get("guarded", True),
            item.get("traced", False),
        )
        for name, item in _load("profiles")["profiles"].items()
    }


@functools.cache
def boot_modules() -> tuple[str, ...]:
    """Return patterns of the modules that a start may read from the archive."""
    data = _load("boot")
    return (*data["needed"], *data["others"])


@functools.cache
def needed_modules() -> tuple[str, ...]:
    """Return the modules, each absent from some version, that a start cannot do without."""
    return tuple(_load("boot")["needed"])


@functools.cache
def preloaded_modules(version: tuple[int, int]) -> tuple[str, ...]:
    """Return the modules that an empty start of *version* reads from the archive, in their order."""
    return tuple(
        name
        for rule in _load("boot")["preloaded"]
        if _feature(rule.get("since", "3.0")) <= version <= _feature(rule.get("until", "3.99"))
        for name in rule["modules"]
    )


@functools.cache
def hot_modules() -> frozenset[str]:
    """Return the modules that many programs import, in one version or another."""
    return frozenset(_load("hot")["modules"])


@functools.cache
def import_order(version: tuple[int, int]) -> Mapping[str, int]:
    """Return the modules that have a place of their own in an archive for *version*, with its number.

    A version that the data does not have gets the order of the newest.
    """
    orders = {_feature(text): lines for text, lines in _load("import_order")["modules"].items()}
    lines = orders.get(version) or orders[max(orders)]
    return {name: number for number, name in enumerate(" ".join(lines).split())}


@functools.cache
def checks() -> Mapping[str, CheckData]:
    """Return the checks by code, in order."""
    return {
        item["code"]: CheckData(**{**item, "masks": frozenset(item["masks"])})
        for item in _load("checks")["checks"]
    }


@functools.cache
def bundled_parts() -> tuple[BundledPart, ...]:
    """Return the parts by others that may be compiled into an interpreter."""
    return tuple(
        BundledPart(
            item["name"],
            tuple(item["modules"]),
            tuple(item.get("libraries", ())),
            _feature(item.get("since", "3.0")),
            _feature(item.get("until", "3.99")),
            item.get("version"),
            item["purl"],
            item.get("cpe"),
            item.get("licence"),
        )
        for item in _load("bundled")["parts"]
    )


@functools.cache
def archive_rules() -> Mapping[str, ArchiveRule]:
    """Return the rules of the strict reader by name, in the order of their codes."""
    return {item["name"]: ArchiveRule(**item) for item in _load("archive_rules")["rules"]}


@functools.cache
def launchers() -> Mapping[str, LauncherCode]:
    """Return the code of launchers by machine, as ``uname`` calls it."""
    return {
        item["machine"]: LauncherCode(
            item["machine"], item["elf_machine"], bytes.fromhex("".join(item["code"]))
        )
        for item in _load("launchers")["launchers"]
    }


@functools.cache
def vectors() -> Mapping[str, Vector]:
    """Return the ways to put foreign code into a start by code, in order."""
    return {
        item["code"]: Vector(
            item["code"],
            item["name"],
            item["family"],
            item["title"],
            _feature(item["since"]),
            _feature(item["until"]),
            frozenset(item["needs"]),
            item["start"],
            tuple(item.get("arguments", ())),
            item.get("environ", {}),
            item.get("plant", {}),
            tuple(item.get("without", ())),
            item.get("argv0"),
            item.get("executable"),
            item.get("beyond", ""),
            item.get("before", ""),
            item["cause"],
            item["cure"],
        )
        for item in _load("hijack")["vectors"]
    }


@functools.cache
def harmless_variables() -> Mapping[str, str]:
    """Return the variables of an interpreter's environment that name no code, each with a value."""
    return dict(_load("hijack")["variables"])


@functools.cache
def not_variables() -> frozenset[str]:
    """Return words in interpreters and libraries that look like such a variable, and are none."""
    return frozenset(_load("hijack")["not_variables"])


@functools.cache
def foreign_names() -> tuple[str, ...]:
    """Return the names, without a suffix, under which foreign modules are put into a folder."""
    return tuple(_load("hijack")["modules"])


def record_of(kind: type[_T], values: Mapping[str, Any], **made: Any) -> _T:
    """Return the dataclass *kind* of what JSON holds; fields in *made* are taken as they are.

    A file may hold anything: raises KeyError for what is missing, and TypeError for a value of another type
    than the field's, inside tuples too. Other keys are passed over.
    """
    for name, annotation in _fields(cast("Hashable", kind)):
        if name not in made:
            made[name] = _of_type(name, values[name], annotation)
    return kind(**made)


_COLLECTIONS: Mapping[str, type] = {"tuple": tuple, "frozenset": frozenset}
_ITEMS: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "None": type(None)}


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, str(field.type)) for field in dataclasses.fields(kind))


@functools.cache
def _parts(annotation: str) -> tuple[str, frozenset[type], int | None]:
    """Return the collection (or nothing), the types of its items, and how many they are, if that is fixed."""
    collection, _, rest = annotation.partition("[")
    if collection not in _COLLECTIONS:
        collection, rest = "", annotation
    names = rest.partition(",")[0].rstrip("]")
    fixed = collection == "tuple" and not rest.endswith("...]")
    return (
        collection,
        frozenset(_ITEMS[name] for name in names.split(" | ")),
        rest.count(",") + 1 if fixed else None,
    )


def _of_type(name: str, value: Any, annotation: str) -> Any:
    collection, types, count = _parts(annotation)
    if not collection and type(value) in types:
        return value
    items = value if collection else [value]
    if (
        not isinstance(items, list | tuple)
        or not all(type(item) in types for item in items)
        or (count is not None and len(items) != count)
    ):
        raise TypeError(f"{name} is {value!r}, not {annotation}")
    return _COLLECTIONS[collection](value) if collection else value


@functools.cache
def bundle_rules() -> tuple[tuple[BundleRule, ...], BundleRule]:
    """Return what a bundle leaves out, anywhere and of a distribution's metadata."""
    values = _load("bundle")
    anywhere, metadata = values["left_out"], values["metadata"]
    return (
        tuple(BundleRule(tuple(item["names"]), item["reason"]) for item in anywhere),
        BundleRule(tuple(metadata["names"]), metadata["reason"]),
    )


def _load(name: str) -> Any:
    data = pkgutil.get_data(__name__, f"{name}.json")
    assert data is not None, "a loader without get_data"
    return json.loads(data)


def _feature(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


@functools.cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    stars = {"**": ".*", "*": "[^/]*"}
    texts = (
        "".join(stars.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", pattern))
        for pattern in patterns
    )
    # of no patterns at all, the one that matches nothing
    return re.compile("|".join(texts) if patterns else r"(?!)", re.DOTALL)
