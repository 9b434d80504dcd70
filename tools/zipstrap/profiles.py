"""What of the library a tree takes: a profile, what is included and excluded, and what that breaks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from .data import ProfileData, components, extension_halves, matches, needed_modules, profiles
from .errors import Problem, UsageError
from .interpreter import Facts
from .inventory import Entry, Inventory, Kind

__all__ = [
    "EXCLUDED",
    "HALF",
    "TRACE_PROFILE",
    "LeftOut",
    "Request",
    "Selection",
    "absent_modules",
    "parse_request",
    "select",
    "start_modules",
    "takes",
]

#: how the reason of a module begins that the target has no use for
HALF = "the Python half of "

#: the profile that is made of traces
TRACE_PROFILE = "trace"

#: the reason of what the user leaves out, apart from what the profile does
EXCLUDED = "excluded by name"


@dataclass(frozen=True, slots=True)
class Request:
    """A profile with what the user adds and takes away: components, modules and packages by name."""

    profile: ProfileData
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: what a trace names: modules, and files by their paths below the library's folder
    modules: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


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
        known_profiles = ", ".join(name for name, each in profiles().items() if not each.traced)
        problems.append(Problem(f"there is no profile {profile!r}; known: {known_profiles}"))
    known = {component.name for component in components()} | {"core"} | set(inventory.modules())
    for option, names in (("--include", include), ("--exclude", exclude)):
        for name in names:
            if name not in known:
                import difflib  # only for mistakes

                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                problems.append(Problem(f"{option} {name}: no component or module of this library{hint}"))
    for name in sorted({*exclude} & known):
        needed = [module for module in needed_modules() if _inside(module, (name,))]
        if needed or name == "core":
            what = "it" if name in (*needed, "core") else needed[0]
            problems.append(Problem(f"--exclude {name}: a start depends on {what}"))
    problems += (Problem(f"{name} is both included and excluded") for name in sorted({*exclude} & {*include}))
    if problems:
        raise UsageError(
            str(problems[0]),
            others=problems[1:],
            cure="name components "
            + f"({', '.join(component.name for component in components())}) or modules of the library",
        )
    return Request(profiles()[profile], tuple(include), tuple(exclude))


def takes(request: Request, component: str) -> bool:
    """Tell whether *request* takes the *component*, of which the library itself may hold nothing."""
    if component in request.exclude:
        return False
    return component in request.include or component not in request.profile.without


def start_modules(
    request: Request, inventory: Inventory, further: Collection[str] = ()
) -> tuple[str, ...] | None:
    """Return the modules from which imports are followed, or None when the profile takes all.

    They are what the profile names, what a start needs, what is included and the *further* ones that there
    are, without what is excluded.
    """
    if request.profile.start is None:
        return None
    named = (*needed_modules(), *request.profile.start)
    return tuple(
        name
        for name, entry in sorted(inventory.modules().items())
        if (
            matches(name, named)
            or name in further
            or name in request.modules
            or _inside(name, request.profile.whole)
            or _closeness(entry, request.include) >= 0
        )
        and not _is_excluded(entry, request)
    )


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
    if _is_excluded(entry, request):
        return EXCLUDED
    if _closeness(entry, request.include) >= 0 or _holds_included(entry, request):
        return None
    if entry.component in request.profile.without:
        return f"component {entry.component}, which the profile {request.profile.name} leaves out"
    for extension, patterns in lacking.items():
        if matches(entry.path, patterns):
            return f"{HALF}{extension}, which this interpreter lacks"
    if reached is not None and not _reached(entry, reached, request):
        return f"nothing in the profile {request.profile.name} imports it"
    return None


def absent_modules(selection: Selection, *, portable: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the modules that a tree leaves out, by what is to be said of one (``%s``) whose import fails.

    Of a package that is left out whole it is the package alone. The tests do not count: whether an
    installation has them (distributions package them apart) must not show in a tree that has none. For the
    same reason a *portable* archive tells of core modules alone.
    """
    left_out, kept = selection.left_out_modules, selection.kept_modules
    texts: dict[str, set[str]] = {}
    for item in selection.left_out:
        entry = item.entry
        name = entry.module
        if name is None or name not in left_out or entry.component == "test":
            continue
        of_machine = entry.kind is Kind.EXTENSION or item.reason.startswith((HALF, "component "))
        if portable and of_machine:
            continue
        parent = name.rpartition(".")[0]
        if parent and parent not in kept:
            continue
        which = "" if item.reason.startswith("component ") else f", of the component {entry.component}"
        text = f"zipstrap: this tree leaves out %s{which}: {item.reason}"
        if item.reason == EXCLUDED:
            text += "; build it without --exclude to have it"
        elif not item.reason.startswith(HALF):
            text += "; build it with --include %s to have it"
        texts.setdefault(text, set()).add(name)
    return {text: tuple(sorted(names)) for text, names in sorted(texts.items())}


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


def _closeness(entry: Entry, names: Iterable[str]) -> int:
    """Return how closely *names* name *entry*: -1 not at all, 0 its component, n with a name of n parts."""
    where = entry.module or entry.path.rpartition("/")[0].replace("/", ".")
    return max(
        (
            len(name.split(".")) if _inside(where, (name,)) else 0
            for name in names
            if name == entry.component or _inside(where, (name,))
        ),
        default=-1,
    )


def _is_excluded(entry: Entry, request: Request) -> bool:
    """Tell whether *entry* is excluded, and by a name at least as close as any that includes it."""
    excluded = _closeness(entry, request.exclude)
    return (
        excluded >= 0
        and excluded >= _closeness(entry, request.include)
        and not _holds_included(entry, request)
    )


def _holds_included(entry: Entry, request: Request) -> bool:
    """Tell whether *entry* is a package in which something is included: without it, that is no use."""
    return entry.kind is Kind.PACKAGE and any(name.startswith(f"{entry.module}.") for name in request.include)


def _reached(entry: Entry, reached: frozenset[str], request: Request) -> bool:
    if entry.path in request.files:
        return True
    if entry.module is not None:
        return entry.module in reached
    if request.profile.traced:
        return "/" not in entry.path
    folder = entry.path.rpartition("/")[0]
    while folder:
        if folder.replace("/", ".") in reached:
            return True
        folder = folder.rpartition("/")[0]
    return "/" not in entry.path  # the licence and markers lie at the top
