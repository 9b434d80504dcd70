"""Where results go: a destination is complete or absent, and only zipstrap's own work is replaced."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import FileError, UsageError

__all__ = ["check_destination", "new_file", "new_folder", "writing"]


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


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextlib.contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """Yield an empty folder beside *destination* that becomes it when the block ends well.

    When the block raises, the folder is removed and *destination* stays as it was.
    """
    with writing(destination.parent):
        work = Path(
            tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".zipstrap", dir=destination.parent)
        )
    try:
        yield work
        with writing(destination):
            work.chmod(0o755)
            _replace_folder(work, destination)
    except BaseException:
        _remove(work)
        raise


def _replace_folder(work: Path, destination: Path) -> None:
    if not destination.is_dir() or _is_empty_folder(destination):
        work.rename(destination)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".old", dir=destination.parent))
    destination.rename(old / destination.name)
    try:
        work.rename(destination)
    except BaseException:
        (old / destination.name).rename(destination)
        old.rmdir()
        raise
    _remove(old)


def _remove(folder: Path) -> None:
    # what remains after this is hidden beside the destination; the first error matters more than that
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_file(destination: Path) -> Iterator[Path]:
    """Yield a path beside *destination* that becomes it when the block ends well."""
    with writing(destination.parent):
        handle, name = tempfile.mkstemp(
            prefix=f".{destination.name}.", suffix=".zipstrap", dir=destination.parent
        )
        os.close(handle)
    work = Path(name)
    try:
        yield work
        with writing(destination):
            work.chmod(0o644)
            work.replace(destination)
    except BaseException:
        work.unlink(missing_ok=True)
        raise
