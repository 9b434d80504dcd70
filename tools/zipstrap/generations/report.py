"""What people and machines read of generations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipstrap.durable import Root, open_ancestors
from zipstrap.verify.report import verification_to_json, verification_to_text

from .change import Changed
from .remove import Collected, Uninstalled
from .state import Generation, State, differences, place_of, read_state

__all__ = [
    "Listing",
    "changed_to_json",
    "changed_to_text",
    "collected_to_json",
    "collected_to_text",
    "list_prefix",
    "listing_to_json",
    "listing_to_text",
    "uninstalled_to_json",
    "uninstalled_to_text",
]

_FEW = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """What is installed below a prefix, and what is wrong with it."""

    state: State
    #: number → what of the generation is not as it was installed
    changed: Mapping[int, tuple[str, ...]]
    #: whether another run is changing the prefix: then what looks unfinished is being made
    busy: bool
    #: folders that others can write to, and so replace what is installed
    open_folders: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it should be, one line each."""
        return tuple(_problems(self))


def list_prefix(prefix: Path) -> Listing:
    """Look at *prefix*, and change nothing; files are only looked at, not read.

    Raises :class:`FileError` when it cannot be opened.
    """
    with Root(prefix) as root:
        busy = root.is_locked()
        state = read_state(root)
    changed = {each.number: tuple(differences(each)) for each in state.generations}
    return Listing(
        state,
        {number: found for number, found in changed.items() if found},
        busy,
        tuple(str(folder) for folder in open_ancestors(prefix)),
    )


def _problems(listing: Listing) -> Iterator[str]:
    state = listing.state
    numbers = {each.number for each in state.generations}
    for name, number in state.links.items():
        if number not in numbers:
            yield f"bin/{name} leads to generation {number}, which is not there: install anew, or roll back"
    for name, reason in state.replaced.items():
        yield f"bin/{name} {reason}: no generation of it is current"
    for number, reason in state.damaged.items():
        yield f"{place_of(number)}: {reason}"
    for number, found in listing.changed.items():
        more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
        yield f"generation {number}: {', '.join(found[:_FEW])}{more}"
    for path in state.unfinished:
        if listing.busy:
            yield f"{path} is being made or removed by another run"
        else:
            yield f"{path} was left by a run that was ended: the next change of this prefix removes it"
    for folder in listing.open_folders:
        yield f"others can write to {folder}, and replace what is in it"


def listing_to_text(listing: Listing) -> str:
    """Return *listing* for people."""
    state = listing.state
    lines = [] if state.generations or state.links else [f"{state.prefix}: nothing is installed"]
    for name in state.names():
        lines.append(f"{state.prefix}/bin/{name}")
        for each in state.named(name):
            current = "current" if state.links.get(name) == each.number else "       "
            made, source = _made(each), _source(each)
            lines.append(
                f"  {each.number:>3} {current}  {each.manifest.target.name}, {each.manifest.profile}, "
                f"{each.manifest.layout.name}, {each.size / 1e6:.1f} MB, made {made} from {source}"
            )
    lines += (
        f"packages of {name} are left since it was uninstalled (uninstall --purge removes them)"
        for name in state.kept
        if name not in state.names()
    )
    if listing.busy:
        lines.append("another run is changing this prefix")
    lines += (f"problem: {problem}" for problem in listing.problems)
    return "\n".join(lines) + "\n"


def _made(generation: Generation) -> str:
    if generation.record is not None:
        return generation.record.made
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(generation.left))


def _source(generation: Generation) -> str:
    return generation.record.source if generation.record is not None else "an unknown interpreter"


def listing_to_json(listing: Listing) -> dict[str, Any]:
    """Return *listing* for machines."""
    state = listing.state
    return {
        "schema_version": 1,
        "prefix": str(state.prefix),
        "current": dict(state.links),
        "generations": [_generation_to_json(each, state) for each in state.generations],
        "unfinished": list(state.unfinished),
        "kept": sorted(state.kept),
        "busy": listing.busy,
        "problems": list(listing.problems),
    }


def _generation_to_json(generation: Generation, state: State) -> dict[str, Any]:
    manifest = generation.manifest
    return {
        "number": generation.number,
        "executable": generation.name,
        "current": state.links.get(generation.name) == generation.number,
        "target": manifest.target.name,
        "profile": manifest.profile,
        "layout": manifest.layout.name,
        "size": generation.size,
        "archive_sha256": manifest.archive_sha256,
        "made": _made(generation),
        "made_by": manifest.made_by,
        "source": generation.record.source if generation.record is not None else None,
    }


def changed_to_text(changed: Changed, *, verbose: bool) -> str:
    """Return what install or rollback did, for people."""
    link = changed.prefix / "bin" / changed.name
    if changed.what == "unchanged":
        line = f"{link}: generation {changed.number} is current already, with this content"
    else:
        made = "made, and" if changed.what == "made" else "there already, and"
        before = "" if changed.before is None else f"; it was generation {changed.before}"
        line = f"{link}: generation {changed.number} is {made} current now{before}"
    lines = [line, *(f"note: {note}" for note in changed.notes)]
    text = "\n".join(lines) + "\n"
    if changed.verification is not None:
        if verbose:
            return text + verification_to_text(changed.verification, verbose=True)
        text += f"{verification_to_text(changed.verification, verbose=False).splitlines()[-1]}\n"
    elif changed.what == "made":
        text += "not verified, as you asked: zipstrap verify does it\n"
    return text


def changed_to_json(changed: Changed) -> dict[str, Any]:
    """Return what install or rollback did, for machines."""
    return {
        "schema_version": 1,
        "prefix": str(changed.prefix),
        "executable": changed.name,
        "generation": changed.number,
        "before": changed.before,
        "what": changed.what,
        "notes": list(changed.notes),
        "verification": None if changed.verification is None else verification_to_json(changed.verification),
    }


def collected_to_text(collected: Collected) -> str:
    """Return what gc did, for people."""
    gone = "would be removed" if collected.dry_run else "removed"
    lines = [
        f"{each.generation.number:>3} {each.generation.name}: {'kept: ' + each.kept if each.kept else gone}"
        for each in collected.judged
    ]
    size = sum(generation.size for generation in collected.removed)
    word = "to be freed" if collected.dry_run else "freed"
    lines.append(
        f"{len(collected.removed)} of {len(collected.judged)} generations, {size / 1e6:.1f} MB {word}"
    )
    return "\n".join([*lines, *(f"note: {note}" for note in collected.notes)]) + "\n"


def collected_to_json(collected: Collected) -> dict[str, Any]:
    """Return what gc did, for machines."""
    return {
        "schema_version": 1,
        "prefix": str(collected.prefix),
        "dry_run": collected.dry_run,
        "generations": [
            {
                "number": each.generation.number,
                "executable": each.generation.name,
                "size": each.generation.size,
                "removed": not each.kept,
                "kept_because": each.kept,
            }
            for each in collected.judged
        ],
        "notes": list(collected.notes),
    }


def uninstalled_to_text(uninstalled: Uninstalled) -> str:
    """Return what uninstall did, for people."""
    numbers = ", ".join(f"{each.number} ({each.name})" for each in uninstalled.removed)
    lines = [
        f"{uninstalled.prefix}: removed the generations {numbers}"
        if numbers
        else f"{uninstalled.prefix}: nothing was installed"
    ]
    if uninstalled.purged:
        lines.append(f"removed what you had installed: {', '.join(uninstalled.purged)}")
    if uninstalled.kept:
        lines.append("kept, because you installed it (--purge removes it too):")
        lines += (f"  {path}" for path in uninstalled.kept)
    return "\n".join([*lines, *(f"note: {note}" for note in uninstalled.notes)]) + "\n"


def uninstalled_to_json(uninstalled: Uninstalled) -> dict[str, Any]:
    """Return what uninstall did, for machines."""
    return {
        "schema_version": 1,
        "prefix": str(uninstalled.prefix),
        "removed": [{"number": each.number, "executable": each.name} for each in uninstalled.removed],
        "kept": list(uninstalled.kept),
        "purged": list(uninstalled.purged),
        "notes": list(uninstalled.notes),
    }
