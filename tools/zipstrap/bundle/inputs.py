"""What people hand in: modules, packages, folders, archives and wheels, as one list of files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import Limits, read_archive
from zipstrap.data import bundle_rules, matches
from zipstrap.errors import FileError, Problem, UsageError, cure_of

__all__ = ["Input", "InputFile", "is_left_out", "read_code", "read_members", "unreadable"]

_ARCHIVES = (".zip", ".whl")
#: what says that a folder is a project, and not what is imported
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file for the bundle.

    *name* is where it goes, below an entry of ``sys.path``; *shown* is how people know it. Its content is in
    *data*, or in the file *path*. *distribution* is the canonical name of the one that it came with.
    """

    name: str
    shown: str
    path: Path | None = None
    data: bytes | None = None
    distribution: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """What a path holds: *files*, those *left_out* (name for people, reason), and what to note."""

    files: tuple[InputFile, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def is_left_out(name: str) -> str | None:
    """Return why the file *name*, relative and with ``/``, never goes into a bundle; None if it may. Pure."""
    rules, _ = bundle_rules()
    parts = name.split("/")
    return next((rule.reason for rule in rules if any(matches(part, rule.names) for part in parts)), None)


def read_code(path: Path, limits: Limits) -> Input:
    """Return what *path* holds: a module, a package, or a folder or archive of them.

    A package is a folder with an ``__init__.py``, and keeps its name; of any other folder the content is
    taken. An archive's members expand no further than *limits*. Raises :class:`FileError` for what is not
    there or cannot be read, :class:`UsageError` for what could not be imported, and
    :class:`~zipstrap.archive.BadArchive` for an archive that the strict reader refuses.
    """
    if path.suffix in _ARCHIVES and path.is_file():
        return _sorted_out(read_members(path, limits))
    if path.suffix == ".py" and not path.is_dir():
        return _module(path)
    if path.is_dir():
        return _folder(path)
    if not os.path.lexists(path):
        raise FileError(
            "there is no such file or folder",
            file=path,
            cure="name a .py file, a folder, a .whl or a .zip; a distribution's name needs a --from",
        )
    raise UsageError(
        "this is neither a module nor a folder, nor an archive of them",
        file=path,
        cure="name a .py file, a folder, a .whl or a .zip",
    )


def _module(path: Path) -> Input:
    name = path.name
    if name == "__init__.py":
        raise UsageError("this is a part of a package", file=path, cure=f"name its folder, {path.parent}")
    _check_importable(path.stem, path)
    if not path.is_file():
        raise FileError("there is no such file", file=path, cure="name a .py file that is there")
    return Input((InputFile(name, str(path), path),))


def _folder(path: Path) -> Input:
    is_package = (path / "__init__.py").is_file()
    prefix = ""
    if is_package:
        name = path.resolve().name if path.name in ("", "..") else path.name
        _check_importable(name, path)
        prefix = f"{name}/"
    files, notes = _walk(path)
    made = [InputFile(f"{prefix}{name}", str(path / name), path / name) for name in files]
    if not made:
        raise FileError("there is nothing in this folder", file=path, cure="name one that holds modules")
    project = [name for name in _PROJECT if not is_package and (path / name).is_file()]
    if project:
        notes.append(
            f"{path} holds {project[0]}: all of it is in the bundle; if a package or src was meant, name that"
        )
    found = _sorted_out(made)
    return Input(found.files, found.left_out, tuple(notes))


def _check_importable(name: str, path: Path) -> None:
    if not name.isidentifier():
        raise UsageError(
            f"nothing can be imported by the name {name!r}",
            file=path,
            cure="rename it: a module's name is a word",
        )


def _walk(path: Path) -> tuple[list[str], list[str]]:
    """Return the files below *path*, with ``/``, in order; and notes of links to folders."""

    def fail(error: OSError) -> None:
        raise FileError(
            f"this folder cannot be listed ({error.strerror})",
            file=error.filename,
            cure=cure_of(error, "make it readable"),
        ) from error

    names = []
    notes = []
    for folder, folders, files in os.walk(path, onerror=fail):
        below = Path(folder).relative_to(path)
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        notes += [
            f"{Path(folder, name)} is a link to a folder, and is not followed" for name in sorted(linked)
        ]
        # an environment that lies in a project is no part of it
        folders[:] = sorted(
            name
            for name in folders
            if name not in linked
            and is_left_out(name) is None
            and not Path(folder, name, "pyvenv.cfg").is_file()
        )
        names += [(below / name).as_posix() for name in sorted(files)]
    return names, notes


def read_members(path: Path, limits: Limits) -> list[InputFile]:
    """Return the files in the archive *path*, each read and its checksum compared."""
    with read_archive(path, limits=limits) as archive:
        return [
            InputFile(name, f"{path}/{name}", data=archive.read(name))
            for name in archive.names
            if not name.endswith("/")
        ]


def _sorted_out(files: Iterable[InputFile]) -> Input:
    kept = []
    left_out = []
    for file in files:
        reason = is_left_out(file.name)
        if reason is None:
            kept.append(file)
        else:
            left_out.append((file.shown, reason))
    return Input(tuple(kept), tuple(left_out))


def unreadable(files: Iterable[InputFile]) -> Iterator[Problem]:
    """Yield a problem for each of *files* that is no regular file: reading it would not end."""
    for file in files:
        if file.path is not None and file.path.exists() and not file.path.is_file():
            yield Problem("is no regular file", file.path)
