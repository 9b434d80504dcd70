"""Where results go: a destination is complete or absent, and only zipstrap's own work is replaced."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import FileError, UsageError

__all__ = ["check_destination", "check_tree_path", "new_file", "new_folder", "working_folder", "writing"]

_WORK_SUFFIX = ".zipstrap"
_MINUTE = 60.0

_TOKEN = re.compile(r"\$(?:\{(?:ORIGIN|LIB|PLATFORM)\}|ORIGIN|LIB|PLATFORM)")


@contextlib.contextmanager
def writing(path: str | Path, cure: str = "free some space or choose another folder") -> Iterator[None]:
    """Turn an :class:`OSError` inside into a :class:`FileError` that names the file."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"cannot be written or read ({error.strerror or error})", file=error.filename or path, cure=cure
        ) from error


def check_destination(
    destination: Path,
    *,
    force: bool | None,
    is_ours: Callable[[Path], bool],
    apart_from: Path | None = None,
) -> None:
    """Raise unless *destination* can be made.

    What is there is replaced only with *force*, and only if *is_ours* knows it (or it is an empty folder).
    None is for a verb that replaces nothing, and has no such option.
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
        cure = "name another destination"
        if force is not None:
            cure += ", or use --force"
        raise FileError("exists already", file=destination, cure=cure)
    if destination.is_symlink() or not _is_empty_folder(destination):
        _check_ours(destination, destination, is_ours)


def _there_already(destination: Path) -> FileError:
    return FileError("exists already", file=destination, cure="name another destination, or try again")


def _check_ours(path: Path, destination: Path, is_ours: Callable[[Path], bool]) -> None:
    if path.is_symlink() or not is_ours(path):
        raise _not_ours(destination)


def _not_ours(destination: Path) -> FileError:
    return FileError(
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
def new_folder(destination: Path, *, replace: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield an empty folder beside *destination* that becomes it when the block ends well.

    What has come to *destination* in the meantime is kept, and an error: it is replaced only if *replace*
    knows it. When the block raises, the folder is removed and *destination* stays as it was. A
    :class:`FileError` then names the file as it would have been called.
    """
    with _making(destination):
        _clear_away(destination)
        work = Path(
            tempfile.mkdtemp(prefix=_work_prefix(destination), suffix=_WORK_SUFFIX, dir=destination.parent)
        )
    try:
        with _locked(work):
            yield work
        with writing(destination):
            work.chmod(0o755)
            if replace is not None and os.path.lexists(destination) and not _is_empty_folder(destination):
                _replace_folder(work, destination, replace)
            else:
                _put_folder(work, destination)
    except FileError as error:
        _remove(work)
        _rename_in(error, work, destination)
        raise
    except BaseException:
        _remove(work)
        raise


@contextlib.contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty, hidden folder in *folder*, which is made if need be; it is gone after the block.

    So what is made in it can be moved to its place by rename(2). A *folder* that was made is removed again
    when the block raises, if it is empty. A :class:`FileError` of the block names files without it.
    """
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    inside = folder / "stage"
    work = None
    try:
        with _making(inside):
            folder.mkdir(parents=True, exist_ok=True)
            for each in missing:
                each.chmod(0o755)  # whatever the umask
            _clear_away(inside)
            work = Path(tempfile.mkdtemp(prefix=_work_prefix(inside), suffix=_WORK_SUFFIX, dir=folder))
        with _locked(work):
            yield work
        _remove(work)
    except BaseException as error:
        if work is not None:
            _remove(work)
            if isinstance(error, FileError):
                _rename_in(error, work, folder)
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()
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


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on *folder*: the system gives it up when this process ends, however it ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _clear_away(destination: Path) -> None:
    """Remove what builds of *destination* left that were killed: their folders, which nobody holds locked."""
    prefix = _work_prefix(destination)
    for entry in list(destination.parent.iterdir()):
        if not (entry.name.startswith(prefix) and entry.name.endswith(_WORK_SUFFIX)):
            continue
        with contextlib.suppress(OSError):
            # one that was made this minute may not be locked yet
            if entry.is_symlink() or time.time() - entry.stat().st_mtime < _MINUTE:
                continue
            with _locked(entry):
                shutil.rmtree(entry)


def _rename_in(error: FileError, work: Path, destination: Path) -> None:
    """Let *error* name the destination, not what stood in for it and is gone."""
    for problem in (error.problem, *error.others):
        if problem.file is not None and Path(problem.file).is_relative_to(work):
            problem.file = str(destination / Path(problem.file).relative_to(work))


def _put_folder(work: Path, destination: Path) -> None:
    try:
        # rename(2) puts a folder over nothing, or over an empty folder, and over nothing else
        work.rename(destination)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _there_already(destination) from error
        raise


def _replace_folder(work: Path, destination: Path, replace: Callable[[Path], bool]) -> None:
    old = Path(tempfile.mkdtemp(prefix=_work_prefix(destination), suffix=".old", dir=destination.parent))
    try:
        destination.rename(old / destination.name)
        # looked at again now that nobody else can put something in its place
        _check_ours(old / destination.name, destination, replace)
        _put_folder(work, destination)
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
def new_file(destination: Path, *, replace: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a path beside *destination* that becomes it when the block ends well; see :func:`new_folder`."""
    with _making(destination):
        handle, name = tempfile.mkstemp(
            prefix=_work_prefix(destination), suffix=_WORK_SUFFIX, dir=destination.parent
        )
        os.close(handle)
    work = Path(name)
    try:
        yield work
        with writing(destination):
            work.chmod(0o644)
            _put_file(work, destination, replace)
    except FileError as error:
        work.unlink(missing_ok=True)
        _rename_in(error, work, destination)
        raise
    except BaseException:
        work.unlink(missing_ok=True)
        raise


def _put_file(work: Path, destination: Path, replace: Callable[[Path], bool] | None) -> None:
    if replace is not None and os.path.lexists(destination):
        _check_ours(destination, destination, replace)
        work.replace(destination)
        return
    try:
        os.link(work, destination)  # unlike rename(2), it never replaces
    except FileExistsError as error:
        raise _there_already(destination) from error
    except OSError:  # a file system without hard links
        if os.path.lexists(destination):
            raise _there_already(destination) from None
        work.replace(destination)
    else:
        work.unlink()
