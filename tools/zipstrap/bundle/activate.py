"""The verbs activate and deactivate: how an interpreter gets to a bundle, in each way that Python offers."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import read_archive
from zipstrap.durable import Root
from zipstrap.errors import FileError, UnsupportedError, UsageError
from zipstrap.manifest import is_tree
from zipstrap.start_files import extension_line, is_ours, marked, read_pth, was_ours
from zipstrap.start_hooks import (
    BY_INTERPRETER,
    Change,
    PathEntry,
    Start,
    origin_of_path_file,
    search_path,
    writable_folder,
    write_hooks,
)

from .record import BundleRecord, check_fits, disk_folder_of, load_bundle

__all__ = ["WAYS", "Activation", "Shadow", "activate", "deactivate", "pth_name", "shadows", "top_level_names"]

#: Lines in a file of the site folder or the user's, an environment variable, code, a line of the ``._pth``.
WAYS = ("pth", "user-pth", "pythonpath", "snippet", "._pth")

_BY = b"activate"
_LINE_MARK = "# zipstrap activate: "
#: the first version that reads ``._pth`` files elsewhere than on Windows (Modules/getpath.py)
_ISOLATED_SINCE = (3, 11)
#: where the path file is the tree's own: a start with another one ends
_IN_ISOLATED = "use --with snippet, or build the tree with --layout fast"
#: the first that reads ``.pth`` files as UTF-8 whatever the locale (Lib/site.py)
_PTH_UTF8_SINCE = (3, 13)

_SNIPPET = """\
# {names}: for CPython {version}, from zipstrap activate
import sys
from importlib.util import MAGIC_NUMBER

if MAGIC_NUMBER.hex() != {magic!r}:
    raise ImportError({refusal})
for entry in [
{entries}
]:
    if entry not in sys.path:
        sys.path.append(entry)
"""

_SNIPPET_LOADER = """
import {loader}

{loader}.add_archive({archive!a})
"""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A module that several entries have: which one *wins*, and what it *hides*, in the path's order."""

    name: str
    wins: str
    hides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """What was done. *text* is what the user has to put somewhere, *undo* how it is taken back.

    *path* is ``sys.path`` of a start from now on, *entries* are those of the bundles; *missing* are entries
    that somebody has named and that are not there.
    """

    way: str
    entries: tuple[str, ...]
    changes: tuple[Change, ...]
    text: str
    undo: str
    path: tuple[PathEntry, ...]
    missing: tuple[PathEntry, ...]
    shadows: tuple[Shadow, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Opened:
    path: Path
    record: BundleRecord

    @property
    def entries(self) -> tuple[str, ...]:
        """What of it has to be on ``sys.path``."""
        folder = disk_folder_of(self.path, self.record)
        return (str(self.path), *([] if folder is None else [str(folder)]))


def activate(bundles: Sequence[Path], start: Start, way: str, *, target: str) -> Activation:
    """Make the *bundles* importable in each *start* of an interpreter, by one of :data:`WAYS`.

    *target* is how the user names the interpreter. Raises errors of :mod:`zipstrap.errors`, for a bundle of
    another version among others, before anything is written.
    """
    if way not in WAYS:
        raise UsageError(f"there is no way {way!r}", cure=f"choose one of {', '.join(WAYS)}")
    paths = dict.fromkeys(Path(os.path.abspath(each)) for each in bundles)  # noqa: PTH100 - links are the user's
    opened = []
    for path in paths:
        if not path.exists():
            raise FileError(
                "there is no such bundle", file=path, cure="make it: zipstrap bundle PATH… -o NAME.zip"
            )
        each = _Opened(path, load_bundle(path))
        check_fits(each.record, start.facts, path)
        opened.append(each)
    entries = tuple(dict.fromkeys(entry for each in opened for entry in each.entries))
    _check_start(start, way)
    for each in opened:
        if each.record.extension_loader and way in ("pythonpath", "._pth"):
            raise UsageError(
                "its extension modules are in the archive, and what loads them has to be started, which "
                f"{'PYTHONPATH' if way == 'pythonpath' else 'a ._pth file'} cannot do",
                file=each.path,
                cure="use --with pth, user-pth or snippet, or zipstrap.activate in the program",
            )
    before = search_path(start)
    notes = [
        f"{entry.path} is on sys.path already, by {entry.by}: it counts once"
        for entry in before
        if entry.path in entries
    ]
    changes: tuple[Change, ...] = ()
    text = ""
    undo = shlex.join(["zipstrap", "deactivate", *map(str, paths), "--python", target])
    added = tuple(PathEntry(entry, way) for entry in entries)
    if way == "pythonpath":
        text, undo = _python_path(entries)
        after = _merged(added, before)
    elif way == "snippet":
        text, undo = _snippet(opened, entries), "take these lines out again"
        after = _merged(before, added)
    elif way == "._pth":
        changes = _isolated(opened, start)
        own = [entry for entry in before if entry.by == str(start.isolated)]
        after = _merged(own, added, before)  # what its lines say comes before what site adds
    else:
        changes = _pth(opened, start, user=way == "user-pth")
        after = search_path(start)
        order = [entry.path for entry in after if entry.path in entries]
        if order != list(entries):
            notes.append("the files are read in the order of their names: " + ", ".join(order))
    return Activation(
        way=way,
        entries=entries,
        changes=changes,
        text=text,
        undo=undo,
        path=after,
        # the interpreter's own, such as an archive that it looks for by default, nobody has named
        missing=tuple(entry for entry in after if entry.by != BY_INTERPRETER and not _exists(entry.path)),
        shadows=_shadows_of(opened, after, start),
        notes=tuple(notes),
    )


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - never raises


def _merged(*parts: Iterable[PathEntry]) -> tuple[PathEntry, ...]:
    found: dict[str, PathEntry] = {}
    for part in parts:
        for entry in part:
            found.setdefault(entry.path, entry)
    return tuple(found.values())


def _check_start(start: Start, way: str) -> None:
    """Raise where a start would not look at what is to be written."""
    if way == "._pth":
        if start.version < _ISOLATED_SINCE:
            raise UnsupportedError(
                f"Python {start.version[0]}.{start.version[1]} reads no ._pth files on this system",
                file=start.executable,
                cure="use --with pth",
            )
        if start.isolated is None:
            raise UsageError(
                "this interpreter has no ._pth file, and one would replace its whole sys.path",
                file=f"{start.executable}._pth",
                cure="use --with pth",
            )
        if _is_of_a_tree(start.isolated):
            raise UsageError(
                "this ._pth file is part of a tree, which starts with no other",
                file=start.isolated,
                cure=_IN_ISOLATED,
            )
        return
    if start.isolated is None or way == "snippet":
        return
    cure = _IN_ISOLATED if _is_of_a_tree(start.isolated) else "use --with ._pth"
    if way == "pythonpath":
        raise UsageError(
            "this interpreter does not look at the environment: it has a ._pth file",
            file=start.isolated,
            cure=cure,
        )
    if not any(line.partition("#")[0].strip() == "import site" for line in _lines(start.isolated)):
        raise UsageError(
            "this interpreter reads no site folder: its ._pth file has no import site line",
            file=start.isolated,
            cure=cure,
        )


def _is_of_a_tree(path: Path) -> bool:
    return origin_of_path_file(path, path.read_bytes()) != "foreign"


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8", "surrogateescape").splitlines()


# ---- the ways --------------------------------------------------------------------------------------------


def _python_path(entries: Sequence[str]) -> tuple[str, str]:
    _check_texts(entries, os.pathsep, "PYTHONPATH separates paths by it")
    value = shlex.quote(os.pathsep.join(entries))
    return (
        f"export PYTHONPATH={value}${{PYTHONPATH:+{os.pathsep}$PYTHONPATH}}\n",
        "unset PYTHONPATH, or set it to what it was",
    )


def _snippet(opened: Sequence[_Opened], entries: Sequence[str]) -> str:
    record = opened[0].record
    names = ", ".join(each.path.name for each in opened)
    refusal = f"{names}: made for CPython {record.version}, and this is another; see zipstrap bundle --python"
    text = _SNIPPET.format(
        names=" ".join(names.split()).encode("ascii", "backslashreplace").decode(),
        version=record.version,
        magic=record.magic,
        refusal=ascii(refusal),
        entries="\n".join(f"    {entry!a}," for entry in entries),
    )
    return text + "".join(
        _SNIPPET_LOADER.format(loader=each.record.extension_loader, archive=each.entries[0])
        for each in opened
        if each.record.extension_loader
    )


def _check_texts(entries: Iterable[str], characters: str, why: str) -> None:
    for entry in entries:
        wrong = next((each for each in entry if each in characters), None)
        if wrong is not None:
            raise UsageError(
                f"there is {wrong!r} in this path, and {why}", file=entry, cure="put the bundle elsewhere"
            )


#: where :meth:`str.splitlines` splits
_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\0"


def _text_in(folder: Path, entry: str) -> str:
    """Return *entry* as a line of a file in *folder*: relative where both are in one tree, which may move."""
    tree = next((each for each in (folder, *folder.parents) if is_tree(each)), None)
    if tree is None or not Path(entry).is_relative_to(tree):
        return entry
    text = os.path.relpath(entry, folder)
    return text if text.startswith("../") else f"./{text}"


def pth_name(bundle: Path) -> str:
    """Return the name of the file in a site folder that activates *bundle*."""
    return f"zipstrap-{bundle.stem}.pth"


def _pth(opened: Sequence[_Opened], start: Start, *, user: bool) -> tuple[Change, ...]:
    folder = writable_folder(start, user=user)
    files: dict[str, bytes] = {}
    for each in opened:
        name = pth_name(each.path)
        _check_texts(each.entries, _BREAKS, "a .pth file has one path a line")
        lines = [_text_in(folder, entry) for entry in each.entries]
        if any(line != line.rstrip() for line in lines):
            raise UsageError("this path ends in a space", file=each.path, cure="put the bundle elsewhere")
        if each.record.extension_loader:
            lines.append(extension_line(lines[0]))
        data = marked(_encoded("".join(f"{line}\n" for line in lines), start, each.path), _BY)
        other = _named_in(folder / name, start)
        if name in files or (other and Path(other[0]) != each.path and os.path.lexists(other[0])):
            raise FileError(
                f"activates another bundle of that name, {other[0] if other else each.path}",
                file=folder / name,
                cure="deactivate that one first, or give this one another name",
            )
        files[name] = data
    return write_hooks(folder, files, _BY)


def _encoded(text: str, start: Start, bundle: Path) -> bytes:
    encoding = "utf-8" if start.version >= _PTH_UTF8_SINCE else start.encoding
    try:
        return text.encode(encoding)
    except (UnicodeEncodeError, LookupError) as error:
        raise UsageError(
            f"this path cannot be written as {encoding}, by which this interpreter reads .pth files",
            file=bundle,
            cure="put the bundle elsewhere, or use another --with",
        ) from error


def _named_in(path: Path, start: Start) -> tuple[str, ...]:
    """Return the entries that the file *path* of ours names; none if it is not there or not ours."""
    if path.is_symlink() or not path.is_file():
        return ()
    data = path.read_bytes()
    if not was_ours(data, _BY):
        return ()
    return read_pth(data, str(path.parent), start.version, start.encoding).adds


def _isolated(opened: Sequence[_Opened], start: Start) -> tuple[Change, ...]:
    path = start.isolated
    assert path is not None
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    lines = text.splitlines()
    for each in opened:
        _check_texts(each.entries, _BREAKS + "#", "it would end the line of a ._pth file")
        named = _text_in(path.parent, each.entries[0])
        for entry in each.entries:
            line = f"{_text_in(path.parent, entry)}  {_LINE_MARK}{named}"
            if line not in lines:
                lines.append(line)
    return (_rewrite(path, text, lines),)


def _rewrite(path: Path, text: str, lines: Sequence[str]) -> Change:
    """Replace the ._pth file *path*, which held *text*; it is old or new."""
    new = "".join(f"{line}\n" for line in lines)
    if lines == text.splitlines():
        return Change(path, "kept")
    with Root(path.parent) as root, root.locked():
        root.write_file(path.name, new.encode("utf-8", "surrogateescape"))
    return Change(path, "written")


# ---- and back --------------------------------------------------------------------------------------------


def deactivate(bundles: Sequence[Path], start: Start) -> tuple[Change, ...]:
    """Remove what :func:`activate` has written for *bundles*, which need not be there any more.

    A file that was changed since is kept, and said.
    """
    wanted = {os.path.abspath(each) for each in bundles}  # noqa: PTH100 - links are the user's
    changes = []
    for folder in dict.fromkeys([*(each.path for each in start.folders), start.user_site]):
        if not folder.is_dir():
            continue
        with Root(folder) as root, root.locked():
            for name in root.names():
                if not (name.startswith("zipstrap-") and name.endswith(".pth")):
                    continue
                entries = _named_in(folder / name, start)
                if wanted.isdisjoint(entries):
                    continue
                if is_ours(root.read_file(name) or b"", _BY):
                    root.remove(name)
                    changes.append(Change(folder / name, "removed"))
                else:
                    changes.append(Change(folder / name, "kept: it was changed after zipstrap wrote it"))
    if start.isolated is not None:
        change = _without_lines(start.isolated, wanted)
        changes += [] if change is None else [change]
    return tuple(changes)


def _without_lines(path: Path, bundles: set[str]) -> Change | None:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    lines = text.splitlines()

    def is_of(line: str) -> bool:
        _, mark, named = line.partition(_LINE_MARK)
        return bool(mark) and os.path.normpath(path.parent / named.strip()) in bundles

    left = [line for line in lines if not is_of(line)]
    return None if left == lines else _rewrite(path, text, left)


# ---- what wins -------------------------------------------------------------------------------------------


def shadows(
    entries: Sequence[tuple[str, Mapping[str, bool]]], names: Iterable[str], inside: frozenset[str]
) -> tuple[Shadow, ...]:
    """Return for those of *names* that come from more than one place which one wins. Pure.

    *entries* are those of ``sys.path`` with the names that each has: True for a module or a package, False
    for a part of a namespace package. *inside* are modules that are built in or frozen, and always win.
    Parts of a namespace hide nothing, and a module anywhere hides all of them (PEP 420).
    """
    found = []
    for name in sorted(set(names)):
        places = [(entry, has[name]) for entry, has in entries if name in has]
        modules = [entry for entry, is_module in places if is_module]
        if name in inside:
            wins = "the interpreter itself"
        elif modules:
            wins = modules[0]
        else:
            continue
        hides = tuple(entry for entry, _ in places if entry != wins)
        if hides:
            found.append(Shadow(name, wins, hides))
    return tuple(found)


def top_level_names(entry: Path, suffixes: Sequence[str]) -> dict[str, bool]:
    """Return what can be imported from the folder or archive *entry*; see :func:`shadows`.

    *suffixes* are the endings of the interpreter's extension modules. An entry that cannot be read has none.
    """
    endings = (".py", ".pyc", *suffixes)
    found: dict[str, bool] = {}

    def add(name: str, *, is_module: bool) -> None:
        if name.isidentifier():
            found[name] = found.get(name, False) or is_module

    def module_of(name: str) -> str | None:
        return next((name.removesuffix(each) for each in endings if name.endswith(each)), None)

    try:
        if entry.is_dir():
            with os.scandir(entry) as items:
                for item in items:
                    if item.is_dir():
                        if item.name.isidentifier():
                            inner = os.listdir(item.path)  # noqa: PTH208 - names are all that is asked for
                            is_package = any(module_of(each) == "__init__" for each in inner)
                            add(item.name, is_module=is_package)
                    elif (name := module_of(item.name)) is not None:
                        add(name, is_module=True)
        elif entry.is_file():
            with read_archive(entry) as archive:
                for name in archive.names:
                    top, _, rest = name.partition("/")
                    if "/" not in name:
                        if (stem := module_of(name)) is not None and name.endswith((".py", ".pyc")):
                            add(stem, is_module=True)
                    elif rest.endswith((".py", ".pyc")):
                        add(top, is_module=rest in ("__init__.py", "__init__.pyc"))
    except (OSError, FileError):
        return {}
    return found


def _shadows_of(opened: Sequence[_Opened], path: Sequence[PathEntry], start: Start) -> tuple[Shadow, ...]:
    facts = start.facts
    names = {name for each in opened for name in (*each.record.modules, *each.record.on_disk)}
    entries = [(entry.path, top_level_names(Path(entry.path), facts.extension_suffixes)) for entry in path]
    return shadows(entries, names, facts.builtin_modules | facts.frozen_modules)
