"""Whether a tree is byte for byte what its manifest lists, and the manifest the one that was expected.

Nothing is started, and nothing that the manifest says is followed before its own digest was found right.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import Archive, Limits, read_archive
from zipstrap.destination import writing
from zipstrap.errors import FileError, UsageError
from zipstrap.manifest import MANIFEST_NAME, Manifest, manifest_bytes
from zipstrap.stage import Written, digest_of

__all__ = [
    "Integrity",
    "OtherManifest",
    "check_integrity",
    "checked_digest",
    "expect_manifest",
    "member_digests",
]


#: more gain little: reading and comparing is done by one at a time
_THREADS = 4


class OtherManifest(FileError):  # noqa: N818 - it reads as what it says
    """The manifest is not the one that was expected, so nothing of the tree can be believed."""

    code = "ZS211"
    exit_status = 1

    def __init__(self, tree: Path, expected: str, found: str) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f"{self.code} other-manifest: its SHA-256 is {found}, not {expected}",
            file=tree / MANIFEST_NAME,
            cure="fetch the tree again, or take the digest from the build that made it; nothing was started",
        )


@dataclass(frozen=True, slots=True)
class Integrity:
    """What hashing found: files by path as this process hashed them, and what is not as the manifest says."""

    hashed: Mapping[str, Written]
    #: paths of the tree, and members as ``ARCHIVE/NAME``
    changed: tuple[str, ...]


def checked_digest(text: str) -> str:
    """Return the SHA-256 that *text* is, in lower case; raises :class:`UsageError` if it is none."""
    digest = text.lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UsageError(
            f"{text!r} is no SHA-256 in hexadecimal",
            cure="give the manifest's digest, which zipstrap build prints",
        )
    return digest


def expect_manifest(tree: Path, digest: str) -> bytes:
    """Return the manifest of *tree*, or raise :class:`OtherManifest` if *digest* is not its SHA-256."""
    data = manifest_bytes(tree)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise OtherManifest(tree, digest, found)
    return data


def check_integrity(
    tree: Path,
    manifest: Manifest,
    *,
    known: Mapping[str, Written] | None = None,
    limits: Limits | None = None,
) -> Integrity:
    """Hash everything that *manifest* lists: the archive, each of its members, and each file.

    *known* are files that this process hashed before: those that nobody has touched since are not read again.
    """
    expected = {record.path: record.sha256 for record in manifest.files if record.sha256 is not None}
    place = manifest.layout.library_archive
    if manifest.archive_sha256:
        expected[place] = manifest.archive_sha256
    hashed: dict[str, Written] = {}
    changed = []
    for path, sha256 in expected.items():
        found = _hashed(tree / path, None if known is None else known.get(path))
        if found is None or found.sha256 != sha256:
            changed.append(path)
        if found is not None:
            hashed[path] = found
    changed += [
        record.path
        for record in manifest.files
        if record.link is not None and _link(tree / record.path) != record.link
    ]
    if manifest.archive_sha256:
        fresh = known is None or known.get(place) != hashed.get(place)
        if place not in changed and fresh:
            changed += _changed_members(tree / place, manifest, limits)
    return Integrity(hashed, tuple(changed))


def _hashed(path: Path, known: Written | None) -> Written | None:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if known is not None and (known.inode, known.ctime_ns) == (status.st_ino, status.st_ctime_ns):
            return known
        with writing(path, "run this as a user who can read all of the tree"):
            sha256 = digest_of(path)[1]
    except FileNotFoundError:
        return None
    return Written(sha256, status.st_ino, status.st_ctime_ns)


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def _changed_members(path: Path, manifest: Manifest, limits: Limits | None) -> list[str]:
    place = manifest.layout.library_archive
    try:
        with read_archive(
            path, version=manifest.target.feature_version, limits=limits or Limits()
        ) as archive:
            found = member_digests(archive)
    except FileError:
        return [place]
    expected = {member.name: member.sha256 for member in manifest.members}
    return [
        f"{place}/{name}" for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    ]


def member_digests(archive: Archive) -> dict[str, str]:
    """Return each member of *archive* with the SHA-256 of its data, as it is when unpacked.

    Inflating and hashing let other threads run, so that each takes a part.
    """
    names = archive.names
    count = _THREADS

    def part(first: int) -> dict[str, str]:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names[first::count]}

    with ThreadPoolExecutor(count, "hash") as pool:
        parts = list(pool.map(part, range(count)))
    return {name: parts[index % count][name] for index, name in enumerate(names)}
