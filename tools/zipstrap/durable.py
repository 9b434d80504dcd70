"""Changes that survive a kill and a power cut, below one folder that is held open.

Whatever is changed here is old or new at every instant: it is written beside its place, flushed to the disk,
renamed, and then the folder is flushed (rename(2) alone orders nothing). Paths are relative to the folder and
are walked one name at a time, from descriptor to descriptor, so that a link that somebody puts in the way
leads nowhere (``O_NOFOLLOW``). Only one process changes a folder at a time: see :meth:`Root.locked`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from .errors import FileError, cure_of

__all__ = [
    "NEW_SUFFIX",
    "OpenAncestor",
    "Root",
    "open_ancestors",
    "unfinished_name",
]

#: of what is being written; whoever holds the lock may remove what has this name
NEW_SUFFIX = ".zipstrap-new"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CURE = "see that the file system can be written to and is not full, and run the command again"


@contextlib.contextmanager
def _failing(path: Path) -> Iterator[None]:
    """Turn an :class:`OSError` inside into a :class:`FileError` that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        cure = cure_of(error, _CURE)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = "is, or is behind, a link or a file where a folder was expected"
            cure = "put back the folder that was there, or choose another prefix"
        elif error.errno == errno.EXDEV:
            reason = "would have to be renamed into another file system, or out of a container's image"
            cure = "choose what renames no folder (convert: --no-clear), or a place on one file system"
        elif error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            cure = "choose a place on a file system that has locks (flock) and can flush, such as a local one"
        elif error.errno == errno.EROFS:
            cure = "choose a prefix on a file system that can be written to"
        elif error.errno in (errno.EACCES, errno.EPERM):
            cure = "run it as the user who owns the prefix, or choose another one"
        elif error.errno == errno.ENOSPC:
            cure = "free some space on that file system, and run the command again"
        raise FileError(f"cannot be changed ({reason})", file=path, cure=cure) from error


class Root:
    """A folder, held open: what is changed below it is durable, and stays below it.

    Each method takes a *path* relative to the folder, with ``/`` and without ``..``, and raises
    :class:`FileError` when the system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # the folder itself may be named through links: they are the user's
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            problem = f"cannot be opened ({error.strerror})"
            cure = cure_of(error, "see that you may look into it")
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                problem = "is no folder" if error.errno != errno.ENOENT else "there is no such folder"
                cure = "name a folder that is there, with bin and lib in it"
            raise FileError(problem, file=path, cure=cure) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield a descriptor of the folder that holds *path*, and the last part of *path*."""
        parts = _parts(path)
        with _failing(self.path / path), contextlib.ExitStack() as stack:
            handle = self._handle
            for part in parts[:-1]:
                handle = os.open(part, _FOLDER, dir_fd=handle)
                stack.callback(os.close, handle)
            yield handle, parts[-1]

    @contextlib.contextmanager
    def locked(self, path: str = "") -> Iterator[None]:
        """Hold the lock of the folder *path* (or of this one), after waiting for whoever has it.

        The system gives the lock up when its process ends, however it ends (flock(2)), so one of a dead
        process never blocks. It is a lock on the folder's descriptor: there is no lock file to be left.
        """
        with _failing(self.path / path):
            handle = self._open_folder(path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            except BaseException:
                os.close(handle)
                raise
        try:
            yield
        finally:
            os.close(handle)

    def is_locked(self, path: str = "") -> bool:
        """Tell whether somebody holds the lock of the folder *path*."""
        with _failing(self.path / path):
            handle = self._open_folder(path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(handle)
        return False

    def _open_folder(self, path: str) -> int:
        if not path:
            return os.open(".", _FOLDER, dir_fd=self._handle)
        with self._parent(path) as (handle, name):
            return os.open(name, _FOLDER, dir_fd=handle)

    def stat(self, path: str) -> os.stat_result | None:
        """Return the state of *path* itself, not of what it links to; None if it is not there.

        An empty *path* is this folder.
        """
        if not path:
            return os.fstat(self._handle)
        try:
            with self._parent(path) as (handle, name):
                return os.stat(name, dir_fd=handle, follow_symlinks=False)
        except FileError as error:
            if _cause(error) == errno.ENOENT:
                return None
            raise

    def exists(self, path: str) -> bool:
        """Tell whether *path* is there, be it a link to nothing."""
        return self.stat(path) is not None

    def read_link(self, path: str) -> str | None:
        """Return to what the link *path* leads; None if it is absent or not a link."""
        try:
            with self._parent(path) as (handle, name):
                return os.readlink(name, dir_fd=handle)
        except FileError as error:
            if _cause(error) in (errno.ENOENT, errno.EINVAL):
                return None
            raise

    def read_file(self, path: str) -> bytes | None:
        """Return what the file *path* holds; None if it is absent."""
        try:
            with self._parent(path) as (handle, name):
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
                with open(opened, "rb") as stream:  # noqa: PTH123 - a descriptor
                    return stream.read()
        except FileError as error:
            if _cause(error) == errno.ENOENT:
                return None
            raise

    def names(self, path: str = "") -> list[str]:
        """Return the sorted names in the folder *path*; none if it is absent."""
        try:
            with _failing(self.path / path):
                handle = self._open_folder(path)
        except FileError as error:
            if _cause(error) == errno.ENOENT:
                return []
            raise
        try:
            with _failing(self.path / path):
                return sorted(os.listdir(handle))  # noqa: PTH208 - a descriptor
        finally:
            os.close(handle)

    def make_folders(self, path: str, mode: int = 0o755) -> list[str]:
        """Make the folder *path* and those above it that are missing; return those that were made."""
        made = []
        parts = _parts(path)
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            try:
                with self._parent(folder) as (handle, name):
                    try:
                        os.mkdir(name, mode, dir_fd=handle)
                    except FileExistsError:
                        # a link to a folder is none
                        os.close(os.open(name, _FOLDER, dir_fd=handle))
                        continue
                    made.append(folder)
                    os.chmod(name, mode, dir_fd=handle)  # whatever the umask; what was just made is no link
                    os.fsync(handle)
            except BaseException:
                for each in reversed(made):
                    with contextlib.suppress(FileError):  # the first error matters more
                        self._remove_made(each)
                raise
        return made

    def _remove_made(self, path: str) -> None:
        with self._parent(path) as (folder, name), contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=folder)

    def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Make *path* a file that holds *data*, replacing a file or a link that is there."""
        with self._parent(path) as (folder, name):
            new = _new_name(name)
            _remove_all(new, folder)
            handle = os.open(
                new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
            )
            try:
                try:
                    _write_all(handle, data)
                    if os.fstat(handle).st_size != len(data):
                        raise OSError(errno.EIO, os.strerror(errno.EIO))  # what it said was not so
                    os.fchmod(handle, mode)
                    os.fsync(handle)
                finally:
                    os.close(handle)
                os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                _unlink(new, folder)
                raise
            os.fsync(folder)

    def write_link(self, path: str, target: str) -> None:
        """Make *path* a link to *target*, replacing a file or a link that is there."""
        with self._parent(path) as (folder, name):
            new = _new_name(name)
            _remove_all(new, folder)
            os.symlink(target, new, dir_fd=folder)
            try:
                os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                _unlink(new, folder)
                raise
            os.fsync(folder)

    def touch(self, path: str) -> None:
        """Set the times of *path* to now."""
        with self._parent(path) as (folder, name):
            os.utime(name, dir_fd=folder, follow_symlinks=False)

    def rename(self, path: str, to: str, *, flush: bool = True) -> None:
        """Rename *path*; what is at *to*, if anything, is replaced as by rename(2).

        Without *flush* the folders are not flushed: whoever renames many does it once, by
        :meth:`flush_folder`.
        """
        with self._parent(path) as (source, name), self._parent(to) as (folder, new):
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=folder)
            if not flush:
                return
            os.fsync(folder)
            if not os.path.samestat(os.fstat(source), os.fstat(folder)):
                os.fsync(source)

    def remove(self, path: str) -> None:
        """Remove the file or the link *path*; one that is not there is gone already."""
        if not self.exists(path):
            return  # on a file system that cannot be written to, unlink(2) would not say so
        with self._parent(path) as (folder, name):
            if _unlink(name, folder):
                os.fsync(folder)

    def remove_folder(self, path: str) -> bool:
        """Remove the folder *path* if it is empty, and tell whether it is gone; a link to one is none."""
        seen = self.stat(path)
        if seen is None:
            return True
        if not stat.S_ISDIR(seen.st_mode):
            return False
        with self._parent(path) as (folder, name):
            try:
                os.rmdir(name, dir_fd=folder)
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
            os.fsync(folder)
        return True

    def remove_tree(self, path: str) -> None:
        """Remove the folder *path* with all in it.

        It first gets the name of something unfinished, so that nobody takes for whole what a kill may leave
        in part.
        """
        with self._parent(path) as (folder, name):
            doomed = name
            if not name.endswith(NEW_SUFFIX):
                doomed = _new_name(name)
                _remove_all(doomed, folder)
                try:
                    os.rename(name, doomed, src_dir_fd=folder, dst_dir_fd=folder)
                except FileNotFoundError:
                    return
                os.fsync(folder)
            _remove_all(doomed, folder)
            os.fsync(folder)

    def unfinished(self, path: str = "") -> list[str]:
        """Return what in the folder *path* was being written, or removed, when its process ended."""
        prefix = f"{path}/" if path else ""
        return [prefix + name for name in self.names(path) if name.endswith(NEW_SUFFIX)]

    def clear_unfinished(self, path: str = "") -> list[str]:
        """Remove what is unfinished in the folder *path*, and return it; the lock must be held."""
        found = self.unfinished(path)
        for each in found:
            with self._parent(each) as (folder, name):
                _remove_all(name, folder)
                os.fsync(folder)
        return found

    def set_time(self, path: str, mtime_ns: int) -> None:
        """Set when the file or folder *path* (this one if it is empty) was last changed, in ns."""
        with _failing(self.path / path):
            if not path:
                os.utime(self._handle, ns=(os.fstat(self._handle).st_atime_ns, mtime_ns))
                return
        with self._parent(path) as (handle, name):
            seen = os.stat(name, dir_fd=handle, follow_symlinks=False)
            os.utime(name, ns=(seen.st_atime_ns, mtime_ns), dir_fd=handle, follow_symlinks=False)

    def note(self, name: str, value: bytes | None) -> bool:
        """Keep *value* with this folder itself, as an extended attribute; None removes it.

        Unlike a file, that does not change the folder's time. Returns False where the file system has no
        extended attributes.
        """
        with _failing(self.path):
            try:
                if value is not None:
                    os.setxattr(self._handle, name, value)
                elif self.noted(name) is not None:
                    os.removexattr(self._handle, name)
            except OSError as error:
                if error.errno in (errno.ENOTSUP, errno.EPERM):
                    return False
                raise
            os.fsync(self._handle)
        return True

    def noted(self, name: str) -> bytes | None:
        """Return what :meth:`note` has kept as *name*, or None."""
        try:
            return os.getxattr(self._handle, name)
        except OSError:
            return None

    def flush_folder(self, path: str = "") -> None:
        """Flush the names in the folder *path* to the disk."""
        with _failing(self.path / path):
            handle = self._open_folder(path)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def sync(self, path: str) -> None:
        """Flush the folder *path* and all in it to the disk."""
        with _failing(self.path / path):
            handle = self._open_folder(path)
            try:
                _sync_all(handle)
            finally:
                os.close(handle)


def _parts(path: str) -> Sequence[str]:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is no path below a folder")
    return parts


def unfinished_name(path: str) -> str:
    """Return what *path*, relative to a root, is called while it is being written or removed."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_new_name(name)}"


def _new_name(name: str) -> str:
    return f".{name}{NEW_SUFFIX}"


def _cause(error: FileError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def _unlink(name: str, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]  # a write may be short


def _remove_all(name: str, folder: int) -> None:
    """Remove *name*, whatever it is, with all in it, and follow no link on the way."""
    try:
        handle = os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        _unlink(name, folder)
        return
    try:
        if not os.fstat(handle).st_mode & stat.S_IWUSR:
            os.fchmod(handle, 0o700)  # a read-only tree is ours all the same
        for entry in os.listdir(handle):  # noqa: PTH208 - a descriptor
            _remove_all(entry, handle)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=folder)


def _sync_all(folder: int) -> None:
    for name in os.listdir(folder):
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            handle = os.open(name, _FOLDER, dir_fd=folder)
            try:
                _sync_all(handle)
            finally:
                os.close(handle)
        elif stat.S_ISREG(mode):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    os.fsync(folder)


@dataclass(frozen=True, slots=True)
class OpenAncestor:
    """A folder above a prefix that others than its owner can write to, so that they can replace it."""

    path: Path
    mode: int
    owner: int

    def __str__(self) -> str:
        return f"{self.path} (mode {stat.S_IMODE(self.mode):04o}, owner {self.owner})"


def open_ancestors(path: Path, trusted: Sequence[int] = (0,)) -> list[OpenAncestor]:
    """Return *path*, if it is there, and the folders above it that others can write to.

    Others are all but this user and *trusted*. A sticky folder, such as /tmp, is none of them: what lies in
    it can be renamed only by its owner.
    """
    known = {os.geteuid(), *trusted}
    found = []
    real = Path(os.path.realpath(path))
    for folder in (real, *real.parents):
        try:
            seen = folder.stat()
        except OSError:
            continue
        foreign = seen.st_uid not in known
        by_others = seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not seen.st_mode & stat.S_ISVTX
        if foreign or by_others:
            found.append(OpenAncestor(folder, seen.st_mode, seen.st_uid))
    return found
