"""Removing generations that nobody needs: old ones, or all of a version."""

from __future__ import annotations

import csv
import os
import posixpath
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.durable import Root, unfinished_name
from zipstrap.errors import FileError, Problem, UnsupportedError, UsageError
from zipstrap.layout import Layout

from .change import (
    FRONT_MARKS,
    above,
    changing,
    is_our_config,
    is_ours,
    remove_folders,
    remove_own_folders,
)
from .state import (
    BIN,
    KEPT,
    Generation,
    Kept,
    State,
    differences,
    kept_place,
    kept_to_json,
    place_of,
    read_state,
)
from .users import Process, find_users, held_file

__all__ = ["GRACE", "Collected", "Judged", "Uninstalled", "collect", "uninstall"]

#: how long after a swap the generation before is kept, in seconds: a start that has resolved the link, and is
#: seen nowhere yet, needs some ms
GRACE = 60.0

_FEW = 3

#: kinds of files, as in a manifest
_LOADED = ("shared library", "extension")


@dataclass(frozen=True, slots=True)
class Judged:
    """A generation, and why it is kept; one that is not kept has no reason."""

    generation: Generation
    kept: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of the generations of a prefix."""

    prefix: Path
    judged: tuple[Judged, ...]
    dry_run: bool
    notes: tuple[str, ...]

    @property
    def removed(self) -> tuple[Generation, ...]:
        """Those that are gone, or would be."""
        return tuple(each.generation for each in self.judged if not each.kept)


def collect(
    prefix: Path,
    *,
    keep: int = 1,
    grace: float = GRACE,
    dry_run: bool = False,
    ignore_unreadable: bool = False,
) -> Collected:
    """Remove the generations that are not current, but for the *keep* newest of each version.

    None is removed that a process uses, or that was current less than *grace* seconds ago. A process that may
    not be looked into may use any, unless *ignore_unreadable*.
    """
    with changing(prefix) as (root, cleared):
        state = read_state(root)
        notes = [f"removed what an earlier run had left: {path}" for path in cleared]
        notes += [
            f"{prefix / place_of(number)}: {reason}; it is left" for number, reason in state.damaged.items()
        ]
        judged = []
        for name in state.names():
            for generation, reason in _spared(state, name, keep, grace):
                kept = reason or _in_use(generation, ignore_unreadable=ignore_unreadable)
                if not kept and not dry_run:
                    kept = _remove_unused(root, generation, ignore_unreadable=ignore_unreadable)
                judged.append(Judged(generation, kept))
    return Collected(prefix, tuple(sorted(judged, key=_number)), dry_run, tuple(notes))


def _number(judged: Judged) -> int:
    return judged.generation.number


def _spared(state: State, name: str, keep: int, grace: float) -> Iterator[tuple[Generation, str]]:
    """Yield each generation of *name*, and why it is kept whoever uses it; the newest first."""
    current = state.current(name)
    spare = keep
    for generation in reversed(state.named(name)):
        age = time.time() - generation.left
        if current is None:
            yield generation, f"no generation is current: bin/{name} {_instead(state, name)}"
        elif generation is current:
            yield generation, "current"
        elif spare and not differences(generation):
            spare -= 1
            yield generation, f"one of the newest {keep} to roll back to"
        elif age < grace:
            # also a time in the future: somebody has set the clock back
            yield generation, f"it was current {max(age, 0):.0f} s ago: a start may be on its way to it"
        else:
            yield generation, ""


def _instead(state: State, name: str) -> str:
    if name in state.links:
        return f"leads to generation {state.links[name]}, which is not there"
    return state.replaced.get(name, "is missing")


def _in_use(generation: Generation, *, ignore_unreadable: bool, tree: Path | None = None) -> str:
    """Return how *generation*, which may lie at another *tree* by now, is used; empty if it is not."""
    tree = tree or generation.tree
    layout = generation.manifest.layout
    seen = find_users(tree, layout.interpreter)
    if seen.users:
        return _say(seen.users)
    held, is_known = held_file(tree, _loaded_files(generation, tree))
    if held is not None:
        return f"a process that is not seen from here has {held} open, or runs it"
    if seen.unreadable and not is_known and not ignore_unreadable:
        return (
            f"{len(seen.unreadable)} processes may not be looked into, such as {seen.unreadable[-1].number} "
            f"({seen.unreadable[-1].name}), and there are no leases that would say what is open: run "
            "this as root, or with --ignore-unreadable if none of them runs this Python"
        )
    return ""


def _loaded_files(generation: Generation, tree: Path) -> list[str]:
    """Return what of *tree* processes run, map or hold open, the executable first."""
    layout = generation.manifest.layout
    paths = [layout.interpreter, layout.archive, layout.library_archive]
    paths += (record.path for record in generation.manifest.files if record.kind in _LOADED)
    return [path for path in dict.fromkeys(paths) if os.path.lexists(tree / path)]


def _say(users: Sequence[Process]) -> str:
    more = f" and {len(users) - _FEW} more processes" if len(users) > _FEW else ""
    return ", ".join(str(user) for user in users[:_FEW]) + more


def _remove_unused(root: Root, generation: Generation, *, ignore_unreadable: bool) -> str:
    """Remove *generation* unless somebody has come to use it; return how, if so.

    It is looked at once more when it has another name, by which no start can find it.
    """
    place = place_of(generation.number)
    doomed = unfinished_name(place)
    root.rename(place, doomed)
    kept = "it was not looked at"
    try:
        kept = _in_use(generation, ignore_unreadable=ignore_unreadable, tree=root.path / doomed)
    finally:
        if kept:
            root.rename(doomed, place)
    if not kept:
        root.remove_tree(doomed)
    return kept


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """What was removed, and what of the user's is left; paths are relative to the prefix."""

    prefix: Path
    removed: tuple[Generation, ...]
    kept: tuple[str, ...]
    purged: tuple[str, ...]
    notes: tuple[str, ...]


def uninstall(
    prefix: Path, name: str | None = None, *, purge: bool = False, force: bool = False
) -> Uninstalled:
    """Remove all generations of the executable *name*, or of all, with everything that belongs to them.

    What the user has installed is kept, unless *purge*, which also takes what an earlier run has kept. Raises
    :class:`FileError` for a generation that a process uses, unless *force*.
    """
    with changing(prefix) as (root, cleared):
        state = read_state(root)
        known = sorted({*state.names(), *(state.kept if purge else ())})
        if name is not None and name not in known:
            raise _not_there(state, name)
        names = known if name is None else [name]
        others_there = [each for each in state.names() if each not in names]
        if purge and others_there:
            raise UsageError(
                f"--purge would take what {', '.join(others_there)} may use too: they share bin and share",
                cure="leave --purge out, and remove packages with pip; it is for the last version",
            )
        _check_no_heir(root, state, [each for each in names if each not in state.names()])
        notes = [f"removed what an earlier run had left: {path}" for path in cleared]
        doomed = [generation for each in names for generation in state.named(each)]
        if not force:
            _check_unused(doomed)
        others = [generation for generation in state.generations if generation not in doomed]
        layouts = {each.name: each.manifest.layout for each in doomed}
        sites = {each: layout.site_folders for each, layout in layouts.items()}
        sites |= {each: kept.site_folders for each, kept in state.kept.items() if each not in layouts}
        belongings = {each: _belongings(root, found) for each, found in sites.items()}
        folders = set(state.folders)
        for each in layouts:
            if belongings[each]:  # before what else says where that is goes
                root.make_folders(KEPT)
                kept = Kept(sites[each], tuple(sorted(folders)))
                root.write_file(kept_place(each), kept_to_json(kept).encode())
        for each in (each for each in names if each in state.names()):
            notes += _remove_links(root, state, each, others)
        for layout in layouts.values():
            _remove_front(root, layout)
        for each in names if purge else ():
            folders |= _purge(root, belongings[each])
        remove_folders(root, folders, others)
        for generation in doomed:
            root.remove_tree(place_of(generation.number))
        for each in {*names, *state.kept}:
            if not any(_is_there(root, path) for path in belongings[each]):
                root.remove(kept_place(each))
        remove_own_folders(root, folders)
        ours = sorted({path for each in names for path in belongings[each]})
        left = [path for path in ours if _is_there(root, path)]
        left_by_others = [each for each in state.kept if each not in names and root.exists(kept_place(each))]
    notes += [
        f"{prefix / place_of(number)}: {reason}; it is left" for number, reason in state.damaged.items()
    ]
    notes += [
        f"packages of {each} are left since it was uninstalled: --purge removes them"
        for each in left_by_others
    ]
    purged = tuple(path for path in ours if path not in left)
    return Uninstalled(prefix, tuple(doomed), tuple(left), purged, tuple(notes))


def _check_no_heir(root: Root, state: State, gone: Sequence[str]) -> None:
    """Raise if another installation has come to the folders that the executables *gone* have left."""
    for name in gone:
        for site in state.kept[name].site_folders:
            library = f"{site.rpartition('/')[0]}/os.py"
            if _is_there(root, library):
                raise FileError(
                    f"is of another installation, which may use the packages that {name} has left",
                    file=root.path / library,
                    cure="remove packages with its pip instead",
                )


def _not_there(state: State, name: str) -> UsageError:
    there = f"installed are {', '.join(state.names())}" if state.names() else "nothing is installed"
    cure = f"name another one: {there}"
    if name in state.kept:
        cure = f"to remove the packages that were kept when it was uninstalled, use --purge; {there}"
    return UsageError(f"there is no {name} in {state.prefix}", cure=cure)


def _check_unused(generations: Sequence[Generation]) -> None:
    problems = []
    for generation in generations:
        try:
            used = _in_use(generation, ignore_unreadable=False)
        except UnsupportedError as error:
            used = error.problem.text
        if used:
            problems.append(Problem(used, generation.tree))
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="end these processes, or use --force: what they import from then on fails",
        )


def _remove_links(root: Root, state: State, name: str, others: Sequence[Generation]) -> Iterator[str]:
    """Remove ``bin/NAME`` and the names that lead to it; another version takes over python3 and python."""
    rest = [other for other in others if state.links.get(other.name) == other.number]
    heir = max(rest, key=lambda other: other.manifest.target.version, default=None)
    for end in ("", "-config"):
        own = name + end
        if end and not is_our_config(root, own):
            continue
        heirs = heir is not None and (not end or is_our_config(root, heir.name + end))
        for link in root.names(BIN):
            if root.read_link(f"{BIN}/{link}") != own:
                continue
            if heir is not None and heirs and link in (f"python3{end}", f"python{end}"):
                root.write_link(f"{BIN}/{link}", heir.name + end)
                yield f"bin/{link} leads to {heir.name}{end} now"
            else:
                root.remove(f"{BIN}/{link}")
        if end:
            root.remove(f"{BIN}/{own}")
    if name in state.links:
        root.remove(f"{BIN}/{name}")
    elif root.exists(f"{BIN}/{name}") and not is_ours(root, name):
        what = state.replaced.get(name, "is no link")
        yield f"bin/{name} {what}, and zipstrap did not install that: it is left"


def _remove_front(root: Root, layout: Layout) -> None:
    for file, mark in FRONT_MARKS.items():
        path = f"{layout.library}/{file}"
        if (root.read_file(path) or b"").startswith(mark):
            root.remove(path)
    cache = f"{layout.library}/encodings/__pycache__"
    for name in root.names(cache):
        if name.startswith("__init__.") and name.endswith(".pyc"):
            root.remove(f"{cache}/{name}")
    for folder in (cache, f"{layout.library}/encodings", layout.dynload):
        root.remove_folder(folder)


def _belongings(root: Root, site_folders: Sequence[str]) -> list[str]:
    """Return what the user has installed: what is in the site folders, and what packages have elsewhere.

    A site folder that is a link belongs to the user as such; what it leads to is not looked at.
    """
    found = []
    for site in site_folders:
        if _is_there(root, site) and root.read_link(site) is not None:
            found.append(site)
            continue
        for name in root.names(site) if _is_there(root, site) else []:
            found.append(f"{site}/{name}")
            if name.endswith(".dist-info"):
                found += _listed(root, site, f"{site}/{name}/RECORD")
    return sorted(set(found))


def _listed(root: Root, site: str, record: str) -> Iterator[str]:
    """Yield what a package's RECORD names that lies in the prefix, and in no site folder."""
    data = root.read_file(record) or b""
    for row in csv.reader(data.decode("utf-8", "surrogateescape").splitlines()):
        # "../../../bin/tool", relative to the site folder
        path = posixpath.normpath(f"{site}/{row[0]}") if row else ""
        if path and not path.startswith(("../", "/", f"{site}/")) and _is_there(root, path):
            yield path


def _is_there(root: Root, path: str) -> bool:
    """Tell whether *path* is in the prefix: what is behind a link that the user has put in is elsewhere."""
    try:
        return root.exists(path)
    except FileError:
        return False


def _purge(root: Root, belongings: Sequence[str]) -> set[str]:
    """Remove what the user has installed, and return the folders that it was in."""
    parents: set[str] = set()
    for path in belongings:
        if _is_there(root, path):  # its folder may have gone with another
            root.remove_tree(path)
        parents |= set(above(path))
    return parents
