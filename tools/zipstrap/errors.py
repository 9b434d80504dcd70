"""The errors that zipstrap raises: what was wrong, with which file, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = [
    "ArchiveError",
    "FileError",
    "InterpreterError",
    "Problem",
    "UnsupportedError",
    "UsageError",
    "ZipstrapError",
    "cure_of",
]


class Problem:
    """One thing that is wrong, with the file it is wrong with."""

    __slots__ = ("file", "text")

    def __init__(self, text: str, file: str | Path | None = None) -> None:
        self.text = text
        self.file = None if file is None else str(file)

    def __str__(self) -> str:
        return self.text if self.file is None else f"{self.file}: {self.text}"


class ZipstrapError(Exception):
    """Base of every error meant for people.

    *problem* says what was wrong, *file* with which file, *cure* what to do about it. *others* are further
    problems of the same kind, found in the same run and reported with this one.
    """

    exit_status: int = 4

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        cure: str,
        others: Sequence[Problem] = (),
    ) -> None:
        self.problem = Problem(problem, file)
        self.cure = cure
        self.others = tuple(others)
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [str(self.problem), *(str(other) for other in self.others)]
        return "\n".join(lines) + f"\n  what to do: {self.cure}"


class UsageError(ZipstrapError):
    """The command line or the configuration asks for something that makes no sense."""

    exit_status = 2


class InterpreterError(ZipstrapError):
    """The target interpreter is missing or cannot be used."""

    exit_status = 3


class FileError(ZipstrapError):
    """A file could not be read or written."""

    exit_status = 4


class ArchiveError(FileError):
    """An archive is not of the form that zipstrap writes and reads."""


class UnsupportedError(ZipstrapError):
    """What was asked for cannot be done for this target."""

    exit_status = 5


def cure_of(error: OSError, otherwise: str) -> str:
    """Return what to do about *error*: this machine's limits may be the cause, *otherwise* the file is."""
    return _LIMITS.get(error.errno or 0, otherwise)


_LIMITS: Mapping[int, str] = {
    errno.EMFILE: "raise the limit of open files for this process (ulimit -n), and try again",
    errno.ENFILE: "raise the system's limit of open files, or close other programs, and try again",
    errno.ENOMEM: "free some memory, or raise its limit (ulimit -v), and try again",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or end some, and try again",
    errno.ENOSPC: "free some space in the folder of temporary files, or set TMPDIR to another",
}
