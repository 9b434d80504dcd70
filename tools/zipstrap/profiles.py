"""What of the library a tree takes: a profile, what is included and excluded, and what that breaks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .data import ProfileData, components, extension_halves, matches, profiles
from .errors import Problem, UsageError
from .interpreter import Facts
from .inventory import Entry, Inventory, Kind

__all__ = ["EXCLUDED", "LeftOut", "Request", "Selection", "parse_request", "select", "start_modules"]

#: without these no interpreter starts, whatever a profile or an option says
_INDISPENSABLE = ("encodings", "codecs", "io", "abc", "site", "os")


#: the reason of what the user leaves out, apart from what the profile does
EXCLUDED = "excluded by name"


@dataclass(frozen=True, slots=True)
class Request:
    """A profile with what the user adds and takes away: components, modules and packages by name."""

    profile: ProfileData
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of the library that the tree does not take."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What a tree takes of the library, and what it leaves."""

    profile: str
    kept: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def kept_modules(self) -> frozenset[str]:
        """Names of the modules taken."""
        return frozenset(entry.module for entry in self.kept if entry.module is not None)

    @property
    def left_out_modules(self) -> frozenset[str]:
        """Names of the modules left out."""
        names = (item.entry.module for item in self.left_out if item.entry.kind is not Kind.JUNK)
        return frozenset(name for name in names if name is not None) - self.kept_modules


def parse_request(
    profile: str, include: Sequence[str], exclude: Sequence[str], inventory: Inventory
) -> Request:
    """Check names against what the library holds; every unknown name is reported, in one error."""
    problems: list[Problem] = []
    if profile not in profiles():
        problems.append(Problem(f"there is no profile {profile!r}; known: {', '.join(profiles())}"))
    known = {component.name for component in components()} | {"core"} | set(inventory.modules())
    for option, names in (("--include", include), ("--exclude", exclude)):
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                problems.append(Problem(f"{option} {name}: no component or module of this library{hint}"))
    problems += (
        Problem(f"--exclude {name}: no interpreter starts without it")
        for name in sorted({*exclude} & {*_INDISPENSABLE, "core"})
    )
    problems += (Problem(f"{name} is both included and excluded") for name in sorted({*exclude} & {*include}))
    if problems:
        raise UsageError(
            str(problems[0]),
            others=problems[1:],
            cure="name components "
            + f"({', '.join(component.name for component in components())}) or modules of the library",
        )
    return Request(profiles()[profile], tuple(include), tuple(exclude))


def start_modules(request: Request, inventory: Inventory) -> tuple[str, ...] | None:
    """Return the modules from which imports are followed, or None when the profile takes all."""
    if request.profile.start is None:
        return None
    known = inventory.modules()
    whole = (*request.profile.whole, *request.include)
    inside = [name for name in known if _inside(name, whole)]
    return tuple(dict.fromkeys([*(name for name in request.profile.start if name in known), *inside]))


def select(
    inventory: Inventory, facts: Facts, request: Request, reached: frozenset[str] | None = None
) -> Selection:
    """Decide for each file of the library whether the tree takes it; pure.

    *reached* holds the modules found by following imports from :func:`start_modules`.
    """
    lacking = _lacking_halves(inventory, facts) if not request.profile.halves else {}
    kept: list[Entry] = []
    left_out: list[LeftOut] = []
    for entry in inventory.entries:
        reason = _reason_to_leave(entry, request, lacking, reached)
        if reason is None:
            kept.append(entry)
        else:
            left_out.append(LeftOut(entry, reason))
    return Selection(request.profile.name, tuple(kept), tuple(left_out))


def _reason_to_leave(
    entry: Entry, request: Request, lacking: dict[str, tuple[str, ...]], reached: frozenset[str] | None
) -> str | None:
    if entry.kind is Kind.JUNK:
        return entry.note
    if entry.component in request.exclude or _belongs(entry, request.exclude):
        return EXCLUDED
    if entry.component in request.include or _belongs(entry, request.include):
        return None
    if entry.component in request.profile.without:
        return f"component {entry.component}, which the profile {request.profile.name} leaves out"
    for extension, patterns in lacking.items():
        if matches(entry.path, patterns):
            return f"the Python half of {extension}, which this interpreter lacks"
    if reached is not None and not _reached(entry, reached):
        return f"nothing in the profile {request.profile.name} imports it"
    return None


def _lacking_halves(inventory: Inventory, facts: Facts) -> dict[str, tuple[str, ...]]:
    present = set(facts.builtin_modules)
    present.update(
        entry.module
        for entry in inventory.entries
        if entry.kind is Kind.EXTENSION and entry.module is not None
    )
    return {name: patterns for name, patterns in extension_halves().items() if name not in present}


def _inside(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def _belongs(entry: Entry, names: Iterable[str]) -> bool:
    """Tell whether *entry* is one of the modules *names*, or lies in one of those packages."""
    if entry.module is not None:
        return _inside(entry.module, names)
    folder = entry.path.rpartition("/")[0].replace("/", ".")
    return bool(folder) and _inside(folder, names)


def _reached(entry: Entry, reached: frozenset[str]) -> bool:
    if entry.module is not None:
        return entry.module in reached
    folder = entry.path.rpartition("/")[0]
    while folder:
        if folder.replace("/", ".") in reached:
            return True
        folder = folder.rpartition("/")[0]
    return "/" not in entry.path  # the licence and markers lie at the top
