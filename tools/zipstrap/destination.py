"""Where results go: a destination is complete or absent, and only zipstrap's own work is replaced."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import FileError, UsageError

__all__ = ["check_destination", "check_tree_path", "new_file", "new_folder", "writing"]

_TOKEN = re.compile(r"\$(?:\{(?:ORIGIN|LIB|PLATFORM)\}|ORIGIN|LIB|PLATFORM)")


@contextlib.contextmanager
def writing(path: Path, cure: str = "free some space or choose another folder") -> Iterator[None]:
    """Turn an :class:`OSError` inside into a :class:`FileError` that names the file."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"cannot be written or read ({error.strerror or error})", file=error.filename or path, cure=cure
        ) from error


def check_destination(
    destination: Path, *, force: bool, is_ours: Callable[[Path], bool], apart_from: Path | None = None
) -> None:
    """Raise unless *destination* can be made.

    What is there is replaced only with *force*, and only if *is_ours* knows it (or it is an empty folder).
    *apart_from* is the target's library: nothing is built inside it, nor over it.
    """
    if not destination.parent.is_dir():
        raise FileError("there is no such folder", file=destination.parent, cure="create it, or name another")
    if apart_from is not None:
        library, place = Path(os.path.realpath(apart_from)), Path(os.path.realpath(destination))
        if place.is_relative_to(library) or library.is_relative_to(place):
            raise UsageError(
                f"the destination and the library that is packed ({apart_from}) lie in each other",
                file=destination,
                cure="name a destination outside the interpreter's own library",
            )
    if not os.path.lexists(destination):
        return
    if not force:
        raise FileError("exists already", file=destination, cure="name another destination, or use --force")
    if destination.is_symlink() or not (_is_empty_folder(destination) or is_ours(destination)):
        raise FileError(
            "was not made by zipstrap, so --force does not replace it",
            file=destination,
            cure="move it away, or name another destination",
        )


def check_tree_path(destination: Path) -> None:
    """Raise if a Linux interpreter at *destination* would not work, or could not be verified.

    The dynamic loader replaces ``$ORIGIN``, ``$LIB`` and ``$PLATFORM`` in every path that it is given
    (ld.so(8)), also where a longer word begins with them (glibc, ``elf/dl-load.c``). A line break would tear
    the lines of ``python -v`` and of ``/proc/self/maps``.
    """
    for path in (os.path.abspath(destination), os.path.realpath(destination)):  # noqa: PTH100
        token = _TOKEN.search(path)
        if token is not None:
            reason = f"the dynamic loader replaces {token[0]} in it, and would find no extension module"
        elif "\n" in path:
            reason = "there is a line break in it, and what verify reads are lines"
        else:
            continue
        raise UsageError(
            f"a tree cannot have this path: {reason}", file=repr(path), cure="name another destination"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextlib.contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """Yield an empty folder beside *destination* that becomes it when the block ends well.

    When the block raises, the folder is removed and *destination* stays as it was. A :class:`FileError` then
    names the file as it would have been called.
    """
    with _making(destination):
        work = Path(
            tempfile.mkdtemp(prefix=_work_prefix(destination), suffix=".zipstrap", dir=destination.parent)
        )
    try:
        yield work
        with writing(destination):
            work.chmod(0o755)
            _replace_folder(work, destination)
    except FileError as error:
        _remove(work)
        _rename_in(error, work, destination)
        raise
    except BaseException:
        _remove(work)
        raise


@contextlib.contextmanager
def _making(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(
            f"nothing can be made in this folder ({error.strerror or error})",
            file=destination.parent,
            cure="free some space, or choose a folder that you may write to",
        ) from error


def _work_prefix(destination: Path) -> str:
    # a name has at most 255 bytes, and random letters and a suffix follow
    return "." + os.fsdecode(os.fsencode(destination.name)[:200]) + "."


def _rename_in(error: FileError, work: Path, destination: Path) -> None:
    """Let *error* name the destination, not what stood in for it and is gone."""
    for problem in (error.problem, *error.others):
        if problem.file is not None and Path(problem.file).is_relative_to(work):
            problem.file = str(destination / Path(problem.file).relative_to(work))


def _replace_folder(work: Path, destination: Path) -> None:
    if not destination.is_dir() or _is_empty_folder(destination):
        work.rename(destination)
        return
    old = Path(tempfile.mkdtemp(prefix=_work_prefix(destination), suffix=".old", dir=destination.parent))
    try:
        destination.rename(old / destination.name)
        work.rename(destination)
    except BaseException:
        if not os.path.lexists(destination) and (old / destination.name).exists():
            (old / destination.name).rename(destination)
        _remove(old)
        raise
    try:
        _remove(old)
    except BaseException:  # an interrupt: what replaces it is in place, so this goes all the same
        _remove(old)
        raise


def _remove(folder: Path) -> None:
    # what remains after this is hidden beside the destination; the first error matters more than that
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_file(destination: Path) -> Iterator[Path]:
    """Yield a path beside *destination* that becomes it when the block ends well."""
    with _making(destination):
        handle, name = tempfile.mkstemp(
            prefix=_work_prefix(destination), suffix=".zipstrap", dir=destination.parent
        )
        os.close(handle)
    work = Path(name)
    try:
        yield work
        with writing(destination):
            work.chmod(0o644)
            work.replace(destination)
    except FileError as error:
        work.unlink(missing_ok=True)
        _rename_in(error, work, destination)
        raise
    except BaseException:
        work.unlink(missing_ok=True)
        raise
