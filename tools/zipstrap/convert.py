"""The verbs convert and restore: an installation boots from archives where it stands, and is put back.

The archives come before the library's folder in the search, so they are put in whole, the one that the
interpreter finds as the last, and only then is anything moved out of the folder. Restoring goes the other
way. What is moved is renamed into a store beside the archives, so that it comes back as it was. The journal
in the store is written before the first change that it undoes; after an interruption, at whatever point, the
next run of either verb undoes what it finds, and goes on from there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from . import __version__
from .archive import archive_time, read_archive
from .build import Prepared, Settings, contents_of, prepare
from .contents import Contents
from .conversion import (
    JOURNAL_NAME,
    KEPT_FOLDER,
    Conversion,
    Folder,
    Move,
    NewArchive,
    State,
    conversion_from_json,
    conversion_to_json,
    moves_of,
    store_of,
)
from .durable import NEW_SUFFIX, Root, open_ancestors
from .errors import FileError, InterpreterError, Problem, UnsupportedError, UsageError
from .interpreter import Facts, find_interpreter, probe, venv_base
from .layout import archive_path
from .manifest import is_tree
from .owners import owners_of
from .stage import digest_of, write_archives
from .verify.report import Verification
from .verify.run import verify_interpreter
from .worker import clean_environment

__all__ = [
    "ConvertFailed",
    "Converted",
    "InPlace",
    "Restored",
    "ToConvert",
    "check_archives_are_there",
    "convert",
    "find_in_place",
    "is_as_asked",
    "plan_conversion",
    "restore",
    "status_of",
]

#: the time of the archives' folder before the first change, in ns: on the folder itself while there is no
#: journal, so that no kill loses it
_TIME_NOTE = "user.zipstrap.mtime"

#: what keeps a file that came to the place of one that is put back
_KEPT_SUFFIX = ".zipstrap-kept"

#: bytes after an archive's end, so that nobody finds the directory (a comment has at most 65,535)
_RETIRED = 1 << 17

_LONGEST_NAME = 255

_PYCACHE = "__pycache__"

_SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})

_Writer = Callable[[Path], tuple[NewArchive, ...]]


@dataclass(frozen=True, slots=True)
class InPlace:
    """Where an installation has its archives: *lib* is their folder, *archive* the name of the one found."""

    executable: Path
    prefix: Path
    lib: Path
    archive: str

    @property
    def store(self) -> str:
        """The name of the store in *lib*."""
        return store_of(self.archive)


@dataclass(frozen=True, slots=True)
class ToConvert:
    """What a conversion will do."""

    place: InPlace
    facts: Facts
    prepared: Prepared
    #: below the archives' folder: what is moved into the store, and out of which folders
    moves: tuple[str, ...]
    changed: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Converted:
    """A conversion that was made, or that was there already."""

    place: InPlace
    conversion: Conversion
    #: what was there when it began, in words; empty if there was nothing
    found: str = ""
    already: bool = False
    verification: Verification | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """An installation that is as it was."""

    place: InPlace
    found: str
    #: how many files and folders came back, and what else there is to say
    moved_back: int = 0
    notes: tuple[str, ...] = ()


class ConvertFailed(FileError):  # noqa: N818 - it reads as what it says
    """The converted interpreter did not pass verify, so it was put back."""

    exit_status = 1

    def __init__(self, executable: Path, verification: Verification) -> None:
        self.verification = verification
        super().__init__(
            "the converted interpreter did not pass verify, and was put back as it was",
            file=executable,
            cure="see the checks that failed above; --no-verify keeps such a conversion for a closer look",
        )


# ---- where ------------------------------------------------------------------------------------------------


def find_in_place(python: str | None, environ: Mapping[str, str] | None = None) -> InPlace:
    """Find the installation that *python* names: a path, a version, or None for what runs zipstrap.

    One that is converted is known by its journal, so that it is found even if somebody has broken its
    archives and it does not start. Raises :class:`UsageError` for a virtual environment, with its base.
    """
    import sys

    named = Path(sys.executable) if python is None else Path(python)
    if python is None or os.sep in python:
        base = venv_base(named.absolute())
        if base is not None:
            raise UsageError(
                f"this is a virtual environment of {base}, and shares its library",
                file=named,
                cure=f"name {base}: whatever becomes of its library becomes of all its environments'",
            )
        place = _by_journal(Path(os.path.realpath(named)))
        if place is not None:
            return place
    return _place_of(find_interpreter(python, environ).facts)


def check_archives_are_there(executable: Path) -> None:
    """Raise if *executable* is of a converted installation whose archives somebody has taken away.

    It may not start then, or run the library of the prefix that is compiled into it.
    """
    place = _by_journal(Path(os.path.realpath(executable)))
    if place is None:
        return
    with Root(place.lib) as root:
        conversion = _journal(root, place)
        missing = [
            archive.name
            for archive in (conversion.archives if conversion else ())
            if not root.exists(archive.name)
        ]
    if missing:
        raise FileError(
            "is missing: zipstrap convert had put it there",
            file=place.lib / missing[0],
            others=[Problem("is missing too", place.lib / name) for name in missing[1:]],
            cure=f"zipstrap restore {place.executable} puts the installation back as it was, and convert "
            "converts it anew",
        )


def _by_journal(executable: Path) -> InPlace | None:
    for prefix in executable.parents:
        for path in sorted(prefix.glob(f"lib*/*-original/{JOURNAL_NAME}")):
            try:
                conversion = conversion_from_json(path.read_bytes(), path)
            except (OSError, FileError):
                continue
            if prefix / conversion.executable == executable:
                archive = path.parent.name.removesuffix("-original") + ".zip"
                return InPlace(executable, prefix, path.parent.parent, archive)
    return None


def _place_of(facts: Facts) -> InPlace:
    if facts.os_name != "posix":
        raise UnsupportedError(
            f"{facts.name} is no POSIX installation; only these are converted in place",
            file=facts.executable,
            cure="use zipstrap pack, which makes the archive alone",
        )
    archive = Path(archive_path(facts))
    return InPlace(
        Path(os.path.realpath(facts.executable)),
        Path(os.path.realpath(facts.prefix)),
        Path(os.path.realpath(archive.parent)),
        archive.name,
    )


def _check_place(place: InPlace, facts: Facts, *, force: bool, converted: bool = False) -> list[str]:
    """Raise unless the installation can be converted; return what there is to note.

    One that is *converted* has archives, which are ours.
    """
    if is_tree(place.prefix):
        raise UsageError(
            "this interpreter is in a tree that zipstrap made, and boots from its archive already",
            file=place.prefix,
            cure="zipstrap build and zipstrap install make such trees; convert is for installations",
        )
    library = Path(os.path.realpath(facts.library))
    if str(archive_path(facts)) not in facts.search_path:
        raise UnsupportedError(
            f"{facts.name} does not look for {place.archive}: a ._pth file or whoever embeds it decides",
            file=facts.executable,
            cure="use zipstrap build, which makes a tree of its own",
        )
    if library.parent != place.lib or not place.executable.is_relative_to(place.prefix):
        raise UnsupportedError(
            f"the library ({library}), the archive's folder ({place.lib}) and the executable "
            "do not lie in one prefix",
            file=facts.executable,
            cure="use zipstrap build, which makes a tree of its own",
        )
    owners = owners_of(facts)
    if owners and not force:
        raise UsageError(
            f"this interpreter is not yours alone: {owners[0]}",
            file=place.executable,
            others=[Problem(owner) for owner in owners[1:]],
            cure="use zipstrap build, which makes a tree beside it; --force converts it all the same, and "
            "has to be restored before whatever manages it changes it",
        )
    for folder in (place.lib, library):
        _check_writable(folder)
    if library.stat().st_dev != place.lib.stat().st_dev:
        raise UnsupportedError(
            "the library is on another file system than the folder of its archive",
            file=library,
            cure="use zipstrap build, which makes a tree of its own",
        )
    for name in () if converted else (place.archive, _library_archive(place)):
        if os.path.lexists(place.lib / name):
            raise FileError(
                "is there already, and zipstrap did not put it there",
                file=place.lib / name,
                cure="move it away, and run the command again",
            )
    return [f"it is converted although {owner}" for owner in owners] + [
        f"others can change what is in {ancestor}" for ancestor in open_ancestors(place.lib)
    ]


def _library_archive(place: InPlace) -> str:
    """Return the name of the archive that the layout fast puts beside the one that is found."""
    return f"{place.archive.removesuffix('.zip')}-library.zip"


def _check_writable(folder: Path) -> None:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise FileError(
            "is on a file system that is mounted read-only",
            file=folder,
            cure="mount it for writing, or use zipstrap build, which makes a tree elsewhere",
        )
    may = os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    if not may:
        raise FileError(
            "cannot be changed by this user",
            file=folder,
            cure="run it as the user who owns the installation, or use zipstrap build",
        )


# ---- what -------------------------------------------------------------------------------------------------


def plan_conversion(
    facts: Facts, settings: Settings, *, clear: bool | None = None, environ: Mapping[str, str] | None = None
) -> ToConvert:
    """Work out what a conversion will do, without changing anything.

    Everything that can be read from an archive goes in, whatever *settings* select. With *clear* what the
    archives stand for is moved out of the library's folder; None is for yes, unless the sources stay there.
    Raises :class:`UsageError` and others for what cannot be converted: see the text of each.
    """
    place = _place_of(facts)
    notes = _check_place(place, facts, force=settings.force)
    settings = _of_all(settings)
    prepared = prepare(facts, settings, in_place=True, environ=environ)
    moves: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    if clear is None:
        clear = prepared.plan.options.source != "disk"
    if clear:
        moves, changed = _moves(facts, prepared)
        if any(path.endswith(".py") for path in moves):
            notes.append(
                "the sources are moved: programs that run already do not find what they have not imported "
                "yet; --no-clear leaves the sources where they are"
            )
    return ToConvert(place, facts, prepared, moves, changed, (*notes, *prepared.notes))


def _of_all(settings: Settings) -> Settings:
    return dataclasses.replace(settings, profile="full", include=(), exclude=())


def is_as_asked(conversion: Conversion, settings: Settings, *, clear: bool | None) -> bool:
    """Tell whether *conversion* was made with these options."""
    return conversion.asked in ("", _asked(settings, clear=clear))


def _asked(settings: Settings, *, clear: bool | None) -> str:
    """Return, as JSON, the options that decide what a conversion does."""
    values = {"layout": settings.layout, "clear": clear, **dataclasses.asdict(settings.options)}
    return json.dumps(values, sort_keys=True)


def _moves(facts: Facts, prepared: Prepared) -> tuple[tuple[str, ...], tuple[str, ...]]:
    plan = prepared.plan
    library = Path(os.path.realpath(facts.library))
    inside = f"{plan.layout.library}/"
    landmarks = {landmark.path.removeprefix(inside) for landmark in plan.layout.landmarks}
    members = {member.name for member in plan.members if member.source is not None}
    files = set() if plan.options.source == "disk" else members - landmarks
    modules = {name for name in members if name.endswith(".py")}
    moved, changed = moves_of(_tree(library), files, modules, facts.cache_tag)
    return (
        tuple(f"{library.name}/{path}" for path in moved),
        tuple(f"{library.name}/{path}".rstrip("/") for path in changed),
    )


def _tree(library: Path) -> dict[str, list[str]]:
    """Return the names in each folder of the library by its path; links are not followed."""
    tree: dict[str, list[str]] = {}
    left = [""]
    while left:
        folder = left.pop()
        try:
            with os.scandir(library / folder) as listing:
                entries = list(listing)
        except OSError as error:
            raise FileError(
                f"this folder of the library cannot be listed ({error.strerror})",
                file=library / folder,
                cure="run it as the user who owns the installation",
            ) from error
        tree[folder] = [entry.name for entry in entries]
        left += (
            f"{folder}/{entry.name}".lstrip("/")
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and (folder or entry.name not in _SITE_FOLDERS)
        )
    return tree


# ---- convert ----------------------------------------------------------------------------------------------


def convert(
    place: InPlace,
    settings: Settings,
    *,
    clear: bool | None = None,
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Let the installation boot from archives where it stands; see :func:`plan_conversion`.

    What an interrupted run has left is undone first, and so is a conversion with other options. Raises
    :class:`ConvertFailed` when the interpreter does not pass verify, and others as :func:`plan_conversion`
    does; the installation is then as it was before it was ever converted.
    """
    environ = os.environ if environ is None else environ
    with Root(place.lib) as root, root.locked():
        conversion = _journal(root, place)
        _clear_archives(root, place)
        others = False
        if conversion is not None and not _what_is_not_whole(root, place, conversion):
            if is_as_asked(conversion, settings, clear=clear):
                return Converted(place, conversion, "it is converted", already=True)
            others = True
            # what cannot be done is said while nothing is undone yet
            facts = probe(place.executable)
            _check_place(place, facts, force=settings.force, converted=True)
            prepare(facts, _of_all(settings), in_place=True, environ=environ)
        found, _, notes = _undo(root, place, conversion)
        found += " with other options" if others else ""
        todo = plan_conversion(probe(place.executable), settings, clear=clear, environ=environ)
        contents = contents_of(todo.prepared, settings, environ, on_progress)
        try:
            conversion = _make(root, todo, _writer(todo, contents, environ), _asked(settings, clear=clear))
            verification = _verified(place, settings) if settings.verify else None
            conversion = dataclasses.replace(conversion, state=State.CONVERTED)
            root.write_file(f"{place.store}/{JOURNAL_NAME}", conversion_to_json(conversion))
        except BaseException as error:
            _undo_after(root, place, error)
            raise
    return Converted(place, conversion, found, verification=verification, notes=(*notes, *todo.notes))


def _writer(todo: ToConvert, contents: Contents, environ: Mapping[str, str]) -> _Writer:
    mtime = archive_time(environ)

    def write(folder: Path) -> tuple[NewArchive, ...]:
        written = write_archives(todo.prepared.plan, contents, folder, mtime=mtime)
        for name, expected in written.items():
            if digest_of(folder / name) != expected:
                raise FileError(
                    "does not hold what was written to it",
                    file=folder / name,
                    cure="see to the disk and its file system, and run the command again",
                )
        return tuple(NewArchive(name, size, sha256) for name, (size, sha256) in written.items())

    return write


def _make(root: Root, todo: ToConvert, write: _Writer, asked: str) -> Conversion:
    """Change the installation, in the order in which it boots at every instant."""
    place, plan = todo.place, todo.prepared.plan
    folders = tuple(_seen(root, path) for path in dict.fromkeys(("", *todo.changed)))
    moves = tuple(Move(path, _kept_name(path)) for path in todo.moves)
    root.note(_TIME_NOTE, str(folders[0].mtime_ns).encode("ascii"))
    work = _work(place)
    root.make_folders(f"{work}/{KEPT_FOLDER}")
    archives = write(place.lib / work)
    conversion = Conversion(
        made_by=f"zipstrap {__version__}",
        state=State.CONVERTING,
        target=todo.facts.name,
        executable=place.executable.relative_to(place.prefix).as_posix(),
        layout=plan.layout.name,
        source=plan.options.source,
        archives=archives,
        moves=moves,
        folders=folders,
        asked=asked,
    )
    root.write_file(f"{work}/{JOURNAL_NAME}", conversion_to_json(conversion))
    root.sync(work)
    root.rename(work, place.store)
    root.note(_TIME_NOTE, None)  # the journal has it
    for archive in archives:
        root.rename(f"{place.store}/{archive.name}", archive.name)
    _check_boots(place)
    for move in moves:
        root.rename(move.path, f"{place.store}/{KEPT_FOLDER}/{move.kept}", flush=False)
    for folder in (f"{place.store}/{KEPT_FOLDER}", *todo.changed) if moves else ():
        root.flush_folder(folder)
    return conversion


def _seen(root: Root, path: str) -> Folder:
    status = root.stat(path)
    if status is None:
        raise FileError("has just gone", file=root.path / path, cure="do not change the library meanwhile")
    return Folder(path, stat.S_IMODE(status.st_mode), status.st_mtime_ns, tuple(root.names(path)))


def _kept_name(path: str) -> str:
    name = quote(path, safe="")
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(os.fsencode(path)).hexdigest()


def _work(place: InPlace) -> str:
    """Return how the store is called before it is whole, and when it is being removed."""
    return f".{place.store}{NEW_SUFFIX}"


def _check_boots(place: InPlace) -> None:
    """Raise unless the interpreter starts, and takes its first module from the archive that it finds."""
    ask = "import sys; print(sys.modules['encodings'].__spec__.loader.archive)"
    try:
        done = subprocess.run(
            [str(place.executable), "-I", "-S", "-c", ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    else:
        if done.returncode == 0 and Path(done.stdout.strip()).parent == place.lib:
            return
        problem = (done.stderr or done.stdout).strip().rpartition("\n")[2] or f"status {done.returncode}"
    raise InterpreterError(
        f"does not boot from the archive that was put at {place.lib / place.archive} ({problem})",
        file=place.executable,
        cure="use zipstrap build, whose tree can be looked at; this installation was put back",
    )


def _verified(place: InPlace, settings: Settings) -> Verification:
    verification = verify_interpreter(probe(place.executable), jobs=settings.jobs)
    if not verification.passed:
        raise ConvertFailed(place.executable, verification)
    return verification


def _undo_after(root: Root, place: InPlace, error: BaseException) -> None:
    """Undo what was done before *error*; should that fail too, *error* says what to do."""
    try:
        _undo(root, place, _journal(root, place))
    except FileError as second:
        if isinstance(error, FileError):
            error.cure = f"{error.cure}; then run zipstrap restore: {second.problem}"


# ---- restore ----------------------------------------------------------------------------------------------


def restore(place: InPlace) -> Restored:
    """Put the installation back as it was; one that is not converted stays as it is.

    Raises :class:`FileError` before anything is changed, where an archive is no longer the one that was put
    there: it may be somebody's. What somebody has removed from the store cannot come back: then it is raised
    at the end.
    """
    with Root(place.lib) as root, root.locked():
        conversion = _journal(root, place)
        _clear_archives(root, place)
        found, moved, notes = _undo(root, place, conversion)
        gone = [move.path for move in conversion.moves if not root.exists(move.path)] if conversion else []
    if gone:
        raise FileError(
            f"is gone: it was neither in its place nor in the store; all but {len(gone)} of "
            f"{len(conversion.moves) if conversion else 0} is as it was",
            file=place.lib / gone[0],
            others=[Problem("is gone", place.lib / path) for path in gone[1:5]],
            cure="put it back from a backup, or install the interpreter anew",
        )
    return Restored(place, found, moved, tuple(notes))


def status_of(place: InPlace) -> tuple[str, Conversion | None]:
    """Return in words how far the installation is converted, and its journal if it has one."""
    with Root(place.lib) as root:
        conversion = _journal(root, place)
        if conversion is None:
            return (
                "an interrupted run has left something" if _debris(root, place) else "not converted"
            ), None
        problem = _what_is_not_whole(root, place, conversion)
        return (f"interrupted: {problem}" if problem else "converted"), conversion


def _journal(root: Root, place: InPlace) -> Conversion | None:
    path = f"{place.store}/{JOURNAL_NAME}"
    data = root.read_file(path)
    if data is None and root.exists(place.store):
        raise FileError(
            "is missing, and only it says what has to go where",
            file=root.path / path,
            cure=f"put it back; without it, the names in {KEPT_FOLDER} beside it say where they belong",
        )
    if data is None and not root.exists(_work(place)):
        _check_store(root, place)
    return None if data is None else conversion_from_json(data, root.path / path)


def _check_store(root: Root, place: InPlace) -> None:
    """Raise if there is an archive of ours although there is no store that says how to undo it."""
    archives = [name for name in (place.archive, _library_archive(place)) if root.exists(name)]
    modules = [name for each in archives for name in _modules_of(place.lib / each)]
    if not modules or is_tree(place.prefix):
        return
    library = f"python{place.archive[6]}.{place.archive[7:].removesuffix('.zip')}"
    gone = sum(not (place.lib / library / f"{name.removesuffix('c')}").exists() for name in modules)
    names = " and ".join(archives)
    cure = f"{gone} modules are in no other place: put {place.store} back, or install the interpreter anew"
    if not gone:
        cure = (
            f"the folder {library} has all that is in it: if zipstrap convert made it, remove {names}, in "
            "this order, and the interpreter is as it was; if zipstrap stage did, leave it"
        )
    raise FileError(
        f"zipstrap made this archive, and beside it is no {place.store}, which says how to undo a conversion",
        file=place.lib / archives[0],
        cure=cure,
    )


def _modules_of(path: Path) -> list[str]:
    """Return the modules with bytecode in an archive that zipstrap may have written; none if it is another.

    What the strict reader accepts has the form that zipstrap gives it.
    """
    try:
        with read_archive(path) as archive:
            names = [member.name for member in archive.members]
    except (FileError, OSError):
        return []
    return [
        name for name in names if name.endswith(".pyc") and not name.startswith(("zipstrap", "sitecustomize"))
    ]


def _debris(root: Root, place: InPlace) -> bool:
    return root.exists(_work(place)) or root.noted(_TIME_NOTE) is not None


def _what_is_not_whole(root: Root, place: InPlace, conversion: Conversion) -> str:
    """Return what of the conversion is not as it should be; empty if all is."""
    if conversion.state is not State.CONVERTED:
        return "the conversion did not come to its end"
    for archive in conversion.archives:
        if not root.exists(archive.name):
            return f"{archive.name} is missing"
        if not _is_ours(root, archive):
            return f"{archive.name} is not what was put there"
    kept = set(root.names(f"{place.store}/{KEPT_FOLDER}"))
    out = [move for move in conversion.moves if move.kept not in kept]
    gone = sum(not root.exists(move.path) for move in out)
    if gone:
        return f"{gone} of {len(conversion.moves)} are neither in the store nor in their places"
    return f"{len(out)} of {len(conversion.moves)} are back in their places" if out else ""


def _is_ours(root: Root, archive: NewArchive, *, retired: bool = False) -> bool:
    seen = root.stat(archive.name)
    sizes = (archive.size, archive.size + _RETIRED) if retired else (archive.size,)
    if seen is None or not stat.S_ISREG(seen.st_mode) or seen.st_size not in sizes:
        return False
    data = root.read_file(archive.name) or b""
    return hashlib.sha256(data[: archive.size]).hexdigest() == archive.sha256 and not any(
        data[archive.size :]
    )


def _undo(root: Root, place: InPlace, conversion: Conversion | None) -> tuple[str, int, list[str]]:
    """Undo what there is of a conversion; return what was found, how much was moved back, and notes."""
    if conversion is None:
        found = "an interrupted run had left something, which is removed" if _debris(root, place) else ""
        root.remove_tree(_work(place))
        noted = root.noted(_TIME_NOTE)
        _put_time_back(root, int(noted) if noted is not None and noted.isdigit() else None)
        return found, 0, []
    problem = _what_is_not_whole(root, place, conversion)
    found = f"it was interrupted: {problem}" if problem else "it was converted"
    _check_archives(root, conversion)
    notes: list[str] = []
    for folder in conversion.folders[1:]:
        root.clear_unfinished(folder.path)
    moved = sum(_put_back(root, place, move, notes) for move in conversion.moves)
    for folder in conversion.folders[1:] if moved else ():
        root.flush_folder(folder.path)
    if len(conversion.archives) > 1:
        _retire(root, place, conversion.archives[-1])
    # the one that the interpreter finds goes first: from then on it boots from the folder again
    for archive in reversed(conversion.archives):
        root.remove(archive.name)
    for folder in conversion.folders[1:]:
        if _is_as_it_was(root, folder, notes):
            root.set_time(folder.path, folder.mtime_ns)
            root.flush_folder(folder.path)
    _check_emptied(root, place)
    root.note(_TIME_NOTE, str(conversion.folders[0].mtime_ns).encode("ascii"))
    root.remove_tree(place.store)
    as_it_was = _is_as_it_was(root, conversion.folders[0], notes)
    _put_time_back(root, conversion.folders[0].mtime_ns if as_it_was else None)
    return found, moved, notes


def _clear_archives(root: Root, place: InPlace) -> None:
    """Remove what an interrupted :func:`_retire` has left."""
    root.remove(f".{place.archive}{NEW_SUFFIX}")


def _retire(root: Root, place: InPlace, archive: NewArchive) -> None:
    """Let starts that begin now pass over the small *archive*, while those that have begun still read it.

    zipimport reads the directory at an archive's end, and later opens the archive again for a member. Where
    no directory is at the end, it is no archive, and the folder comes next; the member is where it was.
    """
    data = root.read_file(archive.name)
    if data is None or len(data) != archive.size:
        return
    try:
        root.write_file(archive.name, data + bytes(_RETIRED))
        # as long as a start takes, those that have begun are through
        subprocess.run(
            [str(place.executable), "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    except (FileError, OSError, subprocess.TimeoutExpired):
        pass  # a full disk, say: it is removed all the same, and a start just then may fail


def _put_time_back(root: Root, mtime_ns: int | None) -> None:
    if mtime_ns is not None:
        root.set_time("", mtime_ns)
    root.note(_TIME_NOTE, None)


def _check_archives(root: Root, conversion: Conversion) -> None:
    foreign = [
        archive.name
        for archive in conversion.archives
        if root.exists(archive.name) and not _is_ours(root, archive, retired=True)
    ]
    if foreign:
        raise FileError(
            "is not what zipstrap convert put there, so it is not removed",
            file=root.path / foreign[0],
            others=[Problem("is not either", str(root.path / name)) for name in foreign[1:]],
            cure="move it away, and run the command again",
        )


def _put_back(root: Root, place: InPlace, move: Move, notes: list[str]) -> bool:
    kept = f"{place.store}/{KEPT_FOLDER}/{move.kept}"
    if not root.exists(kept):
        if not root.exists(move.path):
            notes.append(f"{root.path / move.path} is gone: it is neither in its place nor in the store")
        return False
    parent = move.path.rpartition("/")[0]
    if root.make_folders(parent):
        notes.append(f"{root.path / parent} had been removed, and is there again")
    _make_way(root, move.path, kept, notes)
    root.rename(kept, move.path, flush=False)
    return True


def _make_way(root: Root, path: str, kept: str, notes: list[str]) -> None:
    """See to what has come to *path* meanwhile: bytecode can be made again, all else is kept."""
    seen = root.stat(path)
    if seen is None:
        return
    folder, _, name = path.rpartition("/")
    if name == _PYCACHE and stat.S_ISDIR(seen.st_mode):
        for entry in root.names(path):
            if not _is_bytecode(entry):
                free = _free(root, f"{kept}/{entry}")
                root.rename(f"{path}/{entry}", free)
                notes.append(f"{root.path / path / PurePosixPath(free).name} came meanwhile, and is kept")
        notes.append(f"{root.path / path} came meanwhile, with bytecode only: the one before it is back")
        root.remove_tree(path)
    elif PurePosixPath(folder).name == _PYCACHE and _is_bytecode(name):
        notes.append(f"{root.path / path} came meanwhile: the one before it is back")
    else:
        free = _free(root, path + _KEPT_SUFFIX)
        root.rename(path, free)
        notes.append(f"{root.path / path} came meanwhile, and is now {PurePosixPath(free).name}")


def _is_bytecode(name: str) -> bool:
    # importlib writes beside it first: json.cpython-313.pyc.139872
    return name.endswith(".pyc") or ".pyc." in name


def _free(root: Root, path: str) -> str:
    return next(each for each in (path, *(f"{path}.{n}" for n in range(1, 10_000))) if not root.exists(each))


def _is_as_it_was(root: Root, folder: Folder, notes: list[str]) -> bool:
    """Tell whether *folder* holds the names that it had: else its time is that of what came or went."""
    names = tuple(root.names(folder.path))
    if names == folder.names:
        return True
    others = sorted(set(names) ^ set(folder.names))
    notes.append(f"{root.path / folder.path} holds other files than before: {', '.join(others[:5])}")
    return False


def _check_emptied(root: Root, place: InPlace) -> None:
    left = root.names(f"{place.store}/{KEPT_FOLDER}")
    if left:
        raise FileError(
            f"holds what zipstrap did not put there: {', '.join(left[:5])}",
            file=root.path / place.store / KEPT_FOLDER,
            cure="move it away, and run zipstrap restore again",
        )
