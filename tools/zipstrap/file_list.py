"""What was staged, as tools for packages read it: mtree(5), one path a line, sorted.

The form is that of NetBSD's ``mtree`` and of libarchive, whose ``bsdtar -cf - @FILE`` packs what it lists.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .destination import writing

__all__ = ["ListedFile", "list_tree", "to_mtree"]


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file, folder or link; *path* is relative to the folder that was listed, *size* is in bytes."""

    path: str
    #: file, dir or link, as mtree calls them
    type: str
    mode: int
    size: int = 0
    sha256: str | None = None
    link: str | None = None


def list_tree(folder: Path) -> tuple[ListedFile, ...]:
    """Return all that is in *folder*, sorted by path; the folder itself is not among it.

    Raises :class:`FileError` for what cannot be read.
    """
    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            with writing(path, cure="make it readable"):
                found.append(_listed(path, path.relative_to(folder).as_posix()))
    return tuple(sorted(found, key=lambda each: each.path))


def _listed(path: Path, name: str) -> ListedFile:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        # what lstat says of a link's mode is the system's, and the same for all
        return ListedFile(name, "link", 0o777, link=os.readlink(path))  # noqa: PTH115 - a text
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return ListedFile(name, "dir", mode)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return ListedFile(name, "file", mode, status.st_size, digest)


def to_mtree(files: Iterable[ListedFile], *, below: str = "", time: int | None = None) -> str:
    """Return *files* as mtree(5), with their paths *below* a folder; *time* is in seconds since 1970. Pure.

    Bytes that are no printable ASCII are written as a backslash and three octal digits, as vis(3) does.
    """
    lines = ["#mtree"]
    start = f"./{below.strip('/')}/" if below.strip("/") else "./"
    for each in files:
        words = [f"{_escaped(start + each.path)} type={each.type} mode={each.mode:04o}"]
        if each.type == "file":
            words += [f"size={each.size}", f"sha256digest={each.sha256}"]
        if each.link is not None:
            words.append(f"link={_escaped(each.link)}")
        if time is not None:
            words.append(f"time={time}.0")
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def _escaped(path: str) -> str:
    plain: Sequence[int] = [byte for byte in range(33, 127) if byte not in b"\\#"]
    return "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in os.fsencode(path))
