"""The verb hooks: what a start runs before a program, and to install, remove and migrate hooks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .archive import read_archive
from .durable import Root
from .errors import FileError, Problem, UnsupportedError, UsageError, ZipstrapError
from .hooks import START_SINCE, built_files, hook_kind, list_hooks, zips_files
from .interpreter import Facts, executable_in, probe
from .layout import path_file_text
from .manifest import is_tree, load_manifest
from .start_files import Told, is_ours, migrated, read_isolated, read_pth, read_start, was_ours
from .worker import run_worker

__all__ = [
    "BY_INTERPRETER",
    "Change",
    "Folder",
    "Hook",
    "PathEntry",
    "Start",
    "executable_of",
    "install",
    "list_start",
    "migrate",
    "origin_of_path_file",
    "remove",
    "search_path",
    "start_of",
    "writable_folder",
    "write_hooks",
]

#: what of the environment decides which hooks a start reads
_VARIABLES = ("PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONUSERBASE")

#: what an entry of ``sys.path`` is by that the interpreter works out by itself
BY_INTERPRETER = "the interpreter"

_WORKS = {
    "_pth": "3.11 and later",
    "start": "3.15 and later",
    "sitecustomize": "all versions",
    "usercustomize": "all versions",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """A site folder: *kind* is venv, user or site."""

    kind: str
    path: Path


@dataclass(frozen=True, slots=True)
class Start:
    """From where a start of an interpreter reads hooks, in its order."""

    version: tuple[int, int]
    executable: Path
    folders: tuple[Folder, ...]
    user_site: Path
    #: sys.path before site has added to it
    path: tuple[Path, ...]
    isolated: Path | None
    encoding: str
    python_path: tuple[str, ...]
    facts: Facts


@dataclass(frozen=True, slots=True)
class Hook:
    """A start-up file and what becomes of it. *order* is its place among those that run, from 1."""

    path: Path
    kind: str
    #: ours; changed: it was ours, and was edited; foreign
    origin: str
    order: int | None
    runs: tuple[str, ...]
    adds: tuple[str, ...]
    works: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PathEntry:
    """An entry of ``sys.path``, and what put it there."""

    path: str
    by: str


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to a file: written, removed or kept as it was."""

    path: Path
    done: str


def start_of(what: str, find: Callable[[str], Path], environ: Mapping[str, str] | None = None) -> Start:
    """Ask *what*, a tree, a virtual environment or what *find* finds an interpreter by, for its folders."""
    environ = os.environ if environ is None else environ
    executable = executable_of(what, find)
    facts = probe(executable)
    chosen = {name: environ[name] for name in _VARIABLES if environ.get(name)}
    answer = run_worker(executable, "site_scanner", {"environ": chosen})
    version = (answer["version"][0], answer["version"][1])
    names = (answer["executable"], answer["real_executable"])
    isolated = [path for name in names if (path := Path(f"{name}._pth")).is_file()]
    seen = dict.fromkeys((kind, path) for kind, path in answer["folders"])
    return Start(
        version=version,
        executable=Path(answer["executable"]),
        folders=tuple(Folder(kind, Path(path)) for kind, path in seen),
        user_site=Path(answer["user_site"]),
        path=tuple(Path(entry) for entry in answer["path"]),
        isolated=isolated[0] if isolated and version >= (3, 11) else None,
        encoding=answer["encoding"],
        python_path=tuple(filter(None, chosen.get("PYTHONPATH", "").split(os.pathsep))),
        facts=facts,
    )


def executable_of(what: str, find: Callable[[str], Path]) -> Path:
    """Return the interpreter of *what*: a tree, a virtual environment, or what *find* finds one by."""
    folder = Path(what).absolute()
    if not folder.is_dir():
        return folder if os.sep in what and folder.exists() else find(what)
    if is_tree(folder):
        return folder / load_manifest(folder).layout.executable
    if (folder / "pyvenv.cfg").is_file() and (folder / "bin/python").exists():
        return folder / "bin/python"
    return executable_in(folder)


def list_start(start: Start) -> tuple[tuple[Hook, ...], tuple[str, ...]]:
    """Return the hooks of a start, those that run first in their order, and what else there is to note."""
    notes = [
        f"PYTHONPATH names {entry}, which is not there: the interpreter passes over it"
        for entry in start.python_path
        if not Path(entry).exists()
    ]
    notes += [
        f"the {each.kind} folder {each.path} is not there" for each in start.folders if not each.path.is_dir()
    ]
    hooks: list[Hook] = []
    site_runs = True
    if start.isolated is not None:
        data = start.isolated.read_bytes()
        told = read_isolated(data, str(start.isolated.parent))
        hook = _hook(start.isolated, "_pth", b"", _with_missing(told, told.adds))
        hooks.append(dataclasses.replace(hook, origin=origin_of_path_file(start.isolated, data)))
        site_runs = bool(told.runs)
    pths, starts, modules = [], [], []
    seen: set[Path] = set()
    added: list[str] = []
    for folder in start.folders:
        if folder.path in seen or not folder.path.is_dir():
            continue
        seen.add(folder.path)
        found = list_hooks([folder.path])
        added.append(str(folder.path))
        for path in sorted(found, key=lambda path: path.name):
            data = found[path] or b""
            kind = hook_kind(path.name)
            if kind == "pth":
                told = read_pth(data, str(folder.path), start.version, start.encoding)
                told = _with_missing(told, told.adds)
                if path.name.startswith("."):
                    text = "begins with a dot: it is passed over from 3.13 on"
                    told = dataclasses.replace(told, problems=(*told.problems, text))
                    if start.version >= (3, 13):
                        told = Told(problems=told.problems)
                added += told.adds
                replaced = start.version >= START_SINCE and path.with_suffix(".start") in found
                hook = _hook(path, "pth", data, told)
                if replaced and told.runs:
                    text = f"its import lines do not run: {path.stem}.start does their work"
                    hook = dataclasses.replace(hook, runs=(), problems=(*hook.problems, text))
                pths.append(hook)
            elif kind == "start":
                told = read_start(data)
                if start.version < START_SINCE and path.with_suffix(".pth") not in found:
                    text = "nothing reads it: .start files are there from 3.15 on"
                    told = dataclasses.replace(told, problems=(*told.problems, text))
                starts.append(_hook(path, "start", data, told))
    entries = [*start.python_path, *map(str, start.path), *added]
    for name in ("sitecustomize", "usercustomize"):
        modules += _customizing(name, entries, start)
    order = [*pths, *(starts if start.version >= START_SINCE else ()), *modules]
    number = 0
    for each in order:
        runs = site_runs and each.order != 0 and (each.runs or each.adds)
        number += bool(runs)
        hooks.append(dataclasses.replace(each, order=number if runs else None))
    if start.version < START_SINCE:
        hooks += starts
    return tuple(hooks), tuple(notes)


def search_path(start: Start) -> tuple[PathEntry, ...]:
    """Return what ``sys.path`` of a start will be, but for the script's folder and what code adds.

    The rules are those of ``Lib/site.py``: an entry is added once, and a path in a ``.pth`` file only where
    there is something.
    """
    found: dict[str, PathEntry] = {}

    def add(path: str, by: str) -> None:
        found.setdefault(path, PathEntry(path, by))

    site_runs = True
    if start.isolated is not None:
        site_runs = bool(read_isolated(start.isolated.read_bytes(), str(start.isolated.parent)).runs)
    else:
        for each in start.python_path:
            add(os.path.abspath(each), "PYTHONPATH")  # noqa: PTH100 - texts
    for entry in start.path:
        add(str(entry), BY_INTERPRETER if start.isolated is None else str(start.isolated))
    for folder in dict.fromkeys(start.folders) if site_runs else ():
        if not folder.path.is_dir():
            continue
        add(str(folder.path), f"the {folder.kind} folder")
        hooks = list_hooks([folder.path])
        for path in sorted(hooks, key=lambda path: path.name):
            hidden = path.name.startswith(".") and start.version >= (3, 13)
            if path.suffix == ".pth" and not hidden:
                told = read_pth(hooks[path] or b"", str(folder.path), start.version, start.encoding)
                for each in told.adds:
                    if _exists(each):
                        add(each, str(path))
    return tuple(found.values())


def _with_missing(told: Told, adds: Iterable[str]) -> Told:
    missing = [f"{path} is not there: the interpreter passes over it" for path in adds if not _exists(path)]
    return dataclasses.replace(told, problems=(*told.problems, *missing))


def origin_of_path_file(path: Path, data: bytes) -> str:
    """Return whose the ._pth file *path* with *data* is: ours, ours but changed, or foreign.

    That of an isolated tree is ours, by the tree's manifest. Raises :class:`FileError` for a manifest that
    cannot be read.
    """
    real = path.resolve()
    tree = real.parent.parent
    if not is_tree(tree):
        return "foreign"
    layout = load_manifest(tree).layout
    place = real.relative_to(tree).as_posix()
    if place not in layout.path_files:
        return "foreign"
    return "ours" if data == path_file_text(layout, place).encode() else "changed"


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - never raises


def _hook(path: Path, kind: str, data: bytes, told: Told) -> Hook:
    works = _WORKS.get(kind) or ("all versions, import lines up to 3.17" if told.runs else "all versions")
    verbs = (b"hooks", b"activate")
    ours = any(is_ours(data, by) for by in verbs) or built_files().get(path.name) == data
    changed = any(was_ours(data, by) for by in verbs)
    origin = "ours" if ours else "changed" if changed else "foreign"
    return Hook(path, kind, origin, None, told.runs, told.adds, works, told.problems)


def _customizing(name: str, entries: Sequence[str], start: Start) -> list[Hook]:
    found: list[Hook] = []
    chained = False
    for entry in dict.fromkeys(entries):
        place = _module_in(Path(entry), name)
        if place is None:
            continue
        data = place.read_bytes() if place.is_file() else b""
        told = Told(runs=(f"import {name}",))
        hook = _hook(place, name, data, told)
        in_archive = Path(entry).is_file()
        if in_archive and _is_zipstrap(Path(entry)):
            hook = dataclasses.replace(hook, origin="ours")
        if found and not chained:
            text = f"is not run: {found[-1].path} comes first"
            hook = dataclasses.replace(hook, runs=(), problems=(text,))
        # a tree's own runs the next one
        chained = in_archive and hook.origin == "ours"
        found.append(hook)
    if name == "usercustomize" and not any(each.kind == "user" for each in start.folders):
        text = "is not run: the user's site folder is off in this start"
        found = [dataclasses.replace(each, runs=(), problems=(text,)) for each in found]
    return found


def _module_in(entry: Path, name: str) -> Path | None:
    if entry.is_dir():
        # a dangling link, as Debian has where nobody has configured anything, is none
        names = sorted(
            path.name for path in entry.iterdir() if hook_kind(path.name) == name and path.exists()
        )
        return entry / names[0] if names else None
    if entry.is_file():
        try:
            with read_archive(entry) as archive:
                inside = [each for each in archive.names if each.partition(".")[0] == name]
        except FileError:
            return None
        return entry / inside[0] if inside else None
    return None


def _is_zipstrap(archive: Path) -> bool:
    with read_archive(archive) as opened:
        return any(name.startswith(("zipstrap_guard.", "zipstrap_zips.")) for name in opened.names)


def writable_folder(start: Start, *, user: bool) -> Path:
    """Return the folder for a start-up file, which need not be there; raises :class:`UsageError` for none."""
    if user:
        if not any(folder.kind == "user" for folder in start.folders):
            raise UsageError(
                "this interpreter does not read the user's site folder: it is a virtual environment's, "
                "or PYTHONNOUSERSITE is set",
                file=start.user_site,
                cure="leave out --user",
            )
        return start.user_site
    folders = [folder.path for folder in start.folders if folder.kind != "user"]
    if not folders:
        raise UsageError("there is no site folder", file=start.executable, cure="use --user")
    # of several, as in Debian, the first that is there
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def install(start: Start, kind: str, *, user: bool = False) -> tuple[Change, ...]:
    """Install the hook that adds the archives of a zips folder; what is there already stays as it is.

    *kind* is pth, start or sitecustomize. Raises one :class:`FileError` for all files of others that are in
    the way; nothing is written then.
    """
    if kind == "start" and start.version < START_SINCE:
        raise UnsupportedError(
            f"Python {start.version[0]}.{start.version[1]} reads no .start files",
            file=start.executable,
            cure="use --kind pth",
        )
    folder = writable_folder(start, user=user)
    if kind == "sitecustomize":
        _check_first(start, folder)
    return write_hooks(folder, zips_files(kind))


def _check_first(start: Start, folder: Path) -> None:
    """Raise if a start would run another ``sitecustomize`` than one in *folder*."""
    site_folders = [each.path for each in start.folders]
    before = site_folders[: site_folders.index(folder)]
    for entry in (*map(Path, start.python_path), *start.path, *before):
        place = _module_in(entry, "sitecustomize")
        # a tree's own runs the next one
        if place is not None and not (entry.is_file() and _is_zipstrap(entry)):
            raise FileError(
                f"comes before the one that would be put into {folder}, which would never run",
                file=place,
                cure="nothing was written: choose another --kind",
            )


def migrate(start: Start, names: Sequence[str] = ()) -> tuple[Change, ...]:
    """Give each ``.pth`` file with import lines, or those of *names*, a ``.start`` file for them."""
    pths = {
        path: data
        for folder in start.folders
        for path, data in (list_hooks([folder.path]) if folder.path.is_dir() else {}).items()
        if path.name.endswith(".pth") and data is not None
    }
    wanted = [path for path in pths if not names or {path.name, str(path)} & set(names)]
    unknown = [name for name in names if not any(name in (path.name, str(path)) for path in wanted)]
    if unknown:
        raise UsageError(
            f"no start of this interpreter reads {', '.join(unknown)}",
            file=start.executable,
            cure="name .pth files as zipstrap hooks list shows them",
        )
    changes: list[Change] = []
    plans: list[tuple[Path, dict[str, bytes]]] = []
    for path in wanted:
        told = read_pth(pths[path] or b"", str(path.parent), (3, 8), start.encoding)
        if told.runs:
            plans.append((path.parent, migrated(path.name)))
    _check_ours(folder / name for folder, files in plans for name in files)
    for folder, files in plans:
        changes += write_hooks(folder, files)
    return tuple(changes)


def _check_ours(paths: Iterable[Path], by: bytes = b"hooks") -> None:
    problems = [
        Problem("is there already, and is not zipstrap's, or was changed", path)
        for path in paths
        if os.path.lexists(path) and not _is_our_file(path, by)
    ]
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="nothing was written: move it away, or choose another kind or folder",
        )


def _is_our_file(path: Path, by: bytes) -> bool:
    return not path.is_symlink() and path.is_file() and is_ours(path.read_bytes(), by)


def write_hooks(folder: Path, files: Mapping[str, bytes], by: bytes = b"hooks") -> tuple[Change, ...]:
    """Write *files* into *folder*, which is made if need be, for the verb *by*; each is old or new.

    Raises one :class:`FileError` for all files of others that are in the way; nothing is written then.
    """
    _check_ours((folder / name for name in files), by)
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    inside = folder.relative_to(there).as_posix()
    changes = []
    with Root(there) as root, root.locked():
        if inside != ".":
            root.make_folders(inside)
        for name, data in files.items():
            place = name if inside == "." else f"{inside}/{name}"
            same = root.read_file(place) == data
            if not same:
                root.write_file(place, data)
            changes.append(Change(folder / name, "kept" if same else "written"))
    return tuple(changes)


def remove(start: Start) -> tuple[Change, ...]:
    """Remove the files that install and migrate have written; what was edited since is kept, and said."""
    changes = []
    for path in dict.fromkeys(folder.path for folder in start.folders):
        if not path.is_dir():
            continue
        with Root(path) as root, root.locked():
            # first what a start reads, then what that calls
            names = sorted(root.names(), key=lambda name: (name.endswith(".py"), name))
            for name in names:
                if not name.endswith((".pth", ".start", ".py")) or (path / name).is_symlink():
                    continue
                try:
                    data = root.read_file(name) or b""
                except ZipstrapError:
                    continue
                if is_ours(data):
                    root.remove(name)
                    changes.append(Change(path / name, "removed"))
                    if name.endswith(".py"):
                        _remove_bytecode(root, name.removesuffix(".py"))
                elif was_ours(data):
                    changes.append(Change(path / name, "kept: it was changed after zipstrap wrote it"))
    return tuple(changes)


def _remove_bytecode(root: Root, module: str) -> None:
    for name in root.names("__pycache__"):
        if name.startswith(f"{module}.") and name.endswith(".pyc"):
            root.remove(f"__pycache__/{name}")
    if root.exists("__pycache__"):
        root.remove_folder("__pycache__")
