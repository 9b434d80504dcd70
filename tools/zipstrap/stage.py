"""Carry a plan out: write the archive and every file of the tree into an empty folder."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

from .archive import Member, MemberRecord, write_archive
from .boot_record import record_member, shim_member
from .contents import Contents, SourceReader, bytecode_path
from .destination import writing
from .errors import FileError, cure_of
from .linkage import Linkage, plan_run_paths, read_elf, set_run_path
from .manifest import FileRecord
from .plan import FileKind, Plan, PlannedFile

__all__ = ["Staged", "Written", "digest_of", "stage", "write_archive_file"]

_ELF_KINDS = (FileKind.EXECUTABLE, FileKind.SHARED_LIBRARY, FileKind.EXTENSION)
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was hashed as it was written, and by what it is known again if nobody touches it."""

    sha256: str
    inode: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Staged:
    """What was written; *written* has every file with its hash, by path."""

    members: tuple[MemberRecord, ...]
    archive_size: int
    archive_sha256: str
    files: tuple[FileRecord, ...]
    written: Mapping[str, Written]


class _Hashing(io.RawIOBase):
    """A stream that hashes what is written through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = memoryview(cast("bytes", data))
        self._stream.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self.size


def write_archive_file(
    path: Path,
    contents: Iterable[Member],
    *,
    mtime: int,
    last: Callable[[Sequence[MemberRecord]], Member] | None = None,
) -> tuple[tuple[MemberRecord, ...], int, str]:
    """Write the archive and return its members, its size in bytes and its SHA-256."""
    with writing(path), path.open("wb", buffering=_CHUNK) as file:
        stream = _Hashing(file)
        members = write_archive(cast("BinaryIO", stream), contents, mtime=mtime, last=last)
    return members, stream.size, stream.digest.hexdigest()


def stage(
    plan: Plan, contents: Contents, reader: SourceReader, linkage: Linkage | None, folder: Path, *, mtime: int
) -> Staged:
    """Write everything that *plan* names into the empty *folder*."""
    for parent in sorted(_folders(plan, contents)):
        with writing(folder / parent):
            _make_folder(folder / parent)
    layout = plan.layout
    members: tuple[MemberRecord, ...] = ()
    size, sha256 = 0, ""
    records = []
    if plan.boot:
        members, size, sha256, found = _write_archives(plan, contents, folder, mtime=mtime)
        records.append(found)
    elif contents.members:
        members, size, sha256 = write_archive_file(folder / layout.archive, contents.members, mtime=mtime)
    if members:
        (folder / layout.library_archive).chmod(0o644)
    buffer = bytearray(_CHUNK)
    records += [_place(file, reader, folder, buffer) for file in plan.files]
    records += (
        _place(file, reader, folder, buffer)
        for file in _bytecode_files(plan.files, contents.bytecode, plan.facts.cache_tag)
    )
    _own_run_paths(plan, linkage, folder)
    files = tuple(_hashed(record, folder) for record in records)
    hashes = {record.path: record.sha256 for record in files if record.sha256 is not None}
    if members:
        hashes[layout.library_archive] = sha256
    return Staged(members, size, sha256, files, _written(hashes, folder))


def _write_archives(
    plan: Plan, contents: Contents, folder: Path, *, mtime: int
) -> tuple[tuple[MemberRecord, ...], int, str, FileRecord]:
    """Write the library's archive and the one that starts its importer, and return what was written."""
    made: list[Member] = []

    def last(records: Sequence[MemberRecord]) -> Member:
        made.append(record_member(plan, contents.boot, contents.modules, records))
        return made[0]

    layout = plan.layout
    library = folder / layout.library_archive
    members, size, sha256 = write_archive_file(library, contents.members, mtime=mtime, last=last)
    shim = shim_member(contents.boot["boot_shim.py"], members[-1], made[0].data)
    found = folder / layout.archive
    _, found_size, found_sha256 = write_archive_file(found, [shim], mtime=mtime)
    found.chmod(0o644)
    reason = "the interpreter finds it by its own search, and it starts the importer of the library's archive"
    return (
        members,
        size,
        sha256,
        FileRecord(layout.archive, FileKind.ARCHIVE.value, reason, "hooks", 0o644, found_size, found_sha256),
    )


def _written(hashes: Mapping[str, str], folder: Path) -> dict[str, Written]:
    with writing(folder):
        stats = {path: (folder / path).stat() for path in hashes}
    return {path: Written(hashes[path], seen.st_ino, seen.st_ctime_ns) for path, seen in stats.items()}


def _folders(plan: Plan, contents: Contents) -> set[str]:
    paths = [plan.layout.archive, plan.layout.library_archive, *(file.path for file in plan.files)]
    paths += (bytecode_path(path, plan.facts.cache_tag) for path in contents.bytecode)
    found = {file.path for file in plan.files if file.kind is FileKind.FOLDER}
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


def _make_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)  # whatever the umask


def _bytecode_files(
    files: Sequence[PlannedFile], bytecode: Mapping[str, bytes], cache_tag: str
) -> Iterable[PlannedFile]:
    for file in files:
        data = bytecode.get(file.path)
        if data is not None:
            yield PlannedFile(
                bytecode_path(file.path, cache_tag),
                FileKind.DATA,
                "bytecode of the module beside it: the tree need not be writable",
                component=file.component,
                data=data,
            )


def _place(file: PlannedFile, reader: SourceReader, folder: Path, buffer: bytearray) -> FileRecord:
    path = folder / file.path
    size, sha256 = 0, None
    with writing(path):
        if file.kind is FileKind.LINK:
            path.symlink_to(file.link or "")
        elif file.kind is not FileKind.FOLDER:
            data = file.data
            if data is None:
                # what was compiled, and not what the source may have become since
                data = reader.read(file.source or "") if file.module else reader.known(file.source or "")
            if data is not None:
                path.write_bytes(data)
                size, sha256 = len(data), hashlib.sha256(data).hexdigest()
            else:
                # hashed when the run paths in binaries are set
                _copy(Path(file.source or ""), path, buffer)
            path.chmod(file.mode)
    return FileRecord(
        path=file.path,
        kind=file.kind.value,
        reason=file.reason,
        component=file.component,
        mode=file.mode,
        size=size,
        sha256=sha256,
        link=file.link,
    )


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Turn an :class:`OSError` inside into a :class:`FileError`: the fault is not the destination's."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror or error})",
            file=source,
            cure=cure_of(
                error, "make the interpreter's files readable, and do not change them during a build"
            ),
        ) from error


def _copy(source: Path, path: Path, buffer: bytearray) -> None:
    """Copy a file, through *buffer* if need be: a fresh one for each piece costs more than the copying."""
    view = memoryview(buffer)
    with _reading(source):
        original = source.open("rb", buffering=0)
    with original, path.open("wb", buffering=0) as copy:
        if _copied_by_the_kernel(original, copy):
            return
        while True:
            with _reading(source):
                count = original.readinto(buffer)
            if not count:
                break
            written = 0
            while written < count:
                written += copy.write(view[written:count])


def _copied_by_the_kernel(original: FileIO, copy: FileIO) -> bool:
    """Let the kernel copy, which shares the blocks where the file system can; tell whether it did."""
    left = os.fstat(original.fileno()).st_size
    if not left or not hasattr(os, "copy_file_range"):
        return False
    # what fails here is tried again by hand, and then told
    with contextlib.suppress(OSError):
        while left and (count := os.copy_file_range(original.fileno(), copy.fileno(), left)):
            left -= count
    if left:
        original.seek(0)
        copy.seek(0)
        copy.truncate()
    return not left


def _own_run_paths(plan: Plan, linkage: Linkage | None, folder: Path) -> None:
    """Point the copied binaries at the tree's own libraries."""
    if linkage is None or linkage.private_loader is not None:
        return
    elves = [
        elf
        for file in plan.files
        if file.kind in _ELF_KINDS and (elf := read_elf(folder / file.path)) is not None
    ]
    private = {library.soname for library in linkage.private}
    for run_path, files in plan_run_paths(elves, folder / plan.layout.shared_libraries, private).items():
        set_run_path(files, run_path)


def digest_of(path: Path) -> tuple[int, str]:
    """Return size in bytes and SHA-256 of the file *path*."""
    with path.open("rb") as stream:
        return os.fstat(stream.fileno()).st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _hashed(record: FileRecord, folder: Path) -> FileRecord:
    if record.sha256 is not None or record.kind in (FileKind.LINK, FileKind.FOLDER):
        return record
    path = folder / record.path
    with writing(path):
        size, sha256 = digest_of(path)
    return dataclasses.replace(record, size=size, sha256=sha256)
