"""Carry a plan out: write the archive and every file of the tree into an empty folder."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from .archive import Member, MemberRecord, write_archive
from .boot_record import SHIM_MEMBER, covered_files, digest_members, hasher_of, record_member, shim_member
from .compress import own_name
from .contents import Contents, SourceReader, bytecode_path, content_of
from .destination import writing
from .errors import FileError, cure_of
from .linkage import Linkage, plan_run_paths, read_elf, set_run_path
from .manifest import FileRecord
from .plan import FileKind, Plan, PlannedFile, is_extension

__all__ = [
    "Copies",
    "Staged",
    "Written",
    "copy_file",
    "copying",
    "digest_of",
    "own_extensions",
    "stage",
    "write_archive_file",
    "write_archives",
]

_ELF_KINDS = (FileKind.EXECUTABLE, FileKind.SHARED_LIBRARY, FileKind.EXTENSION)
_CHUNK = 1 << 18

#: what a thread copies and hashes through: memory that is fresh for each file costs more than the copying
_BUFFER = 1 << 20
_threads = threading.local()


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
    last: Sequence[Callable[[Sequence[MemberRecord]], Member]] = (),
) -> tuple[tuple[MemberRecord, ...], int, str]:
    """Write the archive and return its members, its size in bytes and its SHA-256."""
    with writing(path), path.open("wb", buffering=_CHUNK) as file:
        stream = _Hashing(file)
        members = write_archive(cast("BinaryIO", stream), contents, mtime=mtime, last=last)
    return members, stream.size, stream.digest.hexdigest()


class Copies:
    """Files that are copied as they are, large ones by threads: the kernel and the hash need no Python.

    Small ones are copied when they are asked for: of each system call a thread comes back to Python, for
    which it has to wait, and the others then for it.
    """

    #: in bytes
    _WORTH_A_THREAD = 32 * 1024

    def __init__(self, pool: ThreadPoolExecutor, files: Iterable[PlannedFile], folder: Path) -> None:
        self._files = {file.path: file for file in files}
        self._folder = folder
        sizes = {path: _size_of(file) for path, file in self._files.items()}
        # the largest first, so that no thread is left with it at the end
        self._running = {
            path: pool.submit(_copy_and_hash, self._files[path], folder / path)
            for path in sorted(sizes, key=sizes.__getitem__, reverse=True)
            if sizes[path] >= self._WORTH_A_THREAD
        }

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def result(self, path: str) -> tuple[int, str | None]:
        """Return the size in bytes of the file *path* of the tree, and its SHA-256, if it is final."""
        running = self._running.get(path)
        return _copy_and_hash(self._files[path], self._folder / path) if running is None else running.result()


@contextlib.contextmanager
def copying(plan: Plan, folder: Path) -> Iterator[Copies]:
    """Copy the files of *plan* that are neither compiled nor packed into the empty *folder*, meanwhile."""
    packed = {member.source for member in plan.members}
    files = [
        file
        for file in plan.files
        if file.kind not in (FileKind.LINK, FileKind.FOLDER)
        and file.data is None
        and not file.module
        and file.source not in packed
    ]
    for parent in sorted(_folders(file.path for file in files)):
        with writing(folder / parent):
            _make_folder(folder / parent)
    pool = ThreadPoolExecutor(2, "copy")
    try:
        yield Copies(pool, files, folder)
    finally:
        pool.shutdown(cancel_futures=True)


def _size_of(file: PlannedFile) -> int:
    try:
        return os.stat(file.source or "").st_size  # noqa: PTH116 - one for each file
    except OSError:
        return 0  # the copy says what is wrong


def _copy_and_hash(file: PlannedFile, path: Path) -> tuple[int, str | None]:
    source = file.source or ""
    if file.kind not in _ELF_KINDS and _size_of(file) <= _CHUNK:
        # to read it, and once more to hash the copy, would cost more than the kernel saves
        with _reading(Path(source)):
            data = content_of(source)
        with writing(path):
            _write_new(path, data, file.mode)
        return len(data), hashlib.sha256(data).hexdigest()
    with writing(path):
        copy_file(Path(source), path)
        path.chmod(file.mode)
        # a binary's run path is still to be set
        return (0, None) if file.kind in _ELF_KINDS else digest_of(path)


def stage(
    plan: Plan,
    contents: Contents,
    reader: SourceReader,
    linkage: Linkage | None,
    folder: Path,
    copies: Copies,
    *,
    mtime: int,
) -> Staged:
    """Write everything that *plan* names into *folder*, which holds nothing but what *copies* puts there."""
    paths = [plan.layout.archive, plan.layout.library_archive, *(file.path for file in plan.files)]
    paths += (bytecode_path(path, plan.facts.cache_tag) for path in contents.bytecode)
    folders = {file.path for file in plan.files if file.kind is FileKind.FOLDER} | _folders(paths)
    for parent in sorted(folders):
        with writing(folder / parent):
            if not (folder / parent).is_dir():
                _make_folder(folder / parent)
    layout = plan.layout
    members: tuple[MemberRecord, ...] = ()
    size, sha256 = 0, ""
    library: _Library | None = None
    placed = [file for file in plan.files if file.kind in _ELF_KINDS]
    binaries = [_place(file, reader, folder, copies) for file in placed]
    _own_run_paths(plan, linkage, folder)
    with ThreadPoolExecutor(1, "hash") as pool:
        # the largest files, while the small ones are written
        hashed = {record.path: pool.submit(_hashed, record, folder) for record in binaries}
        if plan.boot:
            library = _write_library(plan, contents, (folder / layout.archive).parent, mtime=mtime)
            members, size, sha256 = library.members, library.size, library.sha256
        elif contents.members:
            members, size, sha256 = write_archive_file(folder / layout.archive, contents.members, mtime=mtime)
        if members:
            (folder / layout.library_archive).chmod(0o644)
        written = [file for file in plan.files if file.path not in hashed]
        written += _bytecode_files(plan.files, contents.bytecode, plan.facts.cache_tag)
        rest = {file.path: _place(file, reader, folder, copies) for file in written}
        places = dict.fromkeys([*(file.path for file in plan.files), *rest])
        files = tuple(hashed[path].result() if path in hashed else rest[path] for path in places)
    if library is not None and not layout.is_one_archive:
        files += (_write_found(plan, contents, library, folder.joinpath, mtime=mtime),)
    hashes = {record.path: record.sha256 for record in files if record.sha256 is not None}
    if members:
        hashes[layout.library_archive] = sha256
    return Staged(members, size, sha256, files, _written(hashes, folder))


def write_archives(plan: Plan, contents: Contents, folder: Path, *, mtime: int) -> dict[str, tuple[int, str]]:
    """Write the archives of *plan*, and nothing else, into *folder*.

    Returns the size in bytes and the SHA-256 of each by its name, in the order in which they are to be put
    in place: the one that the interpreter finds is the last.
    """
    layout = plan.layout
    library = folder / PurePosixPath(layout.library_archive).name
    if plan.boot:
        made = _write_library(plan, contents, folder, mtime=mtime)
        size, sha256 = made.size, made.sha256
        places = {file.path: Path(file.source) for file in plan.files if file.source is not None}
        # what else of an installation is hashed lies where it is, and stays there
        places |= {
            path: folder / PurePosixPath(path).name for path in (layout.archive, layout.library_archive)
        }
        found = _write_found(plan, contents, made, places.__getitem__, mtime=mtime)
        name = PurePosixPath(layout.archive).name
        written = {library.name: (size, sha256), name: (found.size, found.sha256 or "")}
    else:
        _, size, sha256 = write_archive_file(library, contents.members, mtime=mtime)
        written = {library.name: (size, sha256)}
    with writing(library):
        library.chmod(0o644)
    return written


@dataclass(frozen=True, slots=True)
class _Library:
    """The library's archive as it was written; *record* is what its importer starts from."""

    members: tuple[MemberRecord, ...]
    size: int
    sha256: str
    record: bytes


def _write_library(plan: Plan, contents: Contents, folder: Path, *, mtime: int) -> _Library:
    """Write the library's archive that our importer reads; if it is the only one, with what starts that."""
    made: list[Member] = []

    def record(records: Sequence[MemberRecord]) -> Member:
        made.append(record_member(plan, contents.boot, contents.modules, records))
        return made[0]

    def shim(records: Sequence[MemberRecord]) -> Member:
        return shim_member(contents.boot["boot_shim.py"], records[-1], made[0].data, one_archive=True)

    layout = plan.layout
    library = folder / PurePosixPath(layout.library_archive).name
    members, last = contents.members, [record]
    if layout.is_one_archive:
        members = tuple(
            dataclasses.replace(member, name=own_name(member.name)) if member.name == SHIM_MEMBER else member
            for member in members
        )
        last.append(shim)
    written, size, sha256 = write_archive_file(library, members, mtime=mtime, last=last)
    return _Library(written, size, sha256, made[0].data)


def _write_found(
    plan: Plan,
    contents: Contents,
    library: _Library,
    place_of: Callable[[str], Path],
    *,
    mtime: int,
) -> FileRecord:
    """Write the archive that starts the importer, last of all: it may hold digests of others.

    *place_of* says where a file of the tree is now.
    """
    layout, boot = plan.layout, contents.boot
    digests = plan.options.guard == "digest"
    members = [shim_member(boot["boot_shim.py"], library.members[-1], library.record, digests=digests)]
    if "boot_generation.py" in boot:
        members.append(Member("zipstrap_generation.pyc", boot["boot_generation.py"]))
    if digests:
        hasher = hasher_of(plan)
        with writing(place_of(layout.library_archive)):
            found = {path: hasher.digest(place_of(path)) for path in covered_files(plan)}
        members += digest_members(plan, boot["boot_digests.py"], found)
    path = place_of(layout.archive)
    _, size, sha256 = write_archive_file(path, members, mtime=mtime)
    path.chmod(0o644)
    reason = "the interpreter finds it by its own search, and it starts the importer of the library's archive"
    return FileRecord(layout.archive, FileKind.ARCHIVE.value, reason, "hooks", 0o644, size, sha256)


def _written(hashes: Mapping[str, str], folder: Path) -> dict[str, Written]:
    with writing(folder):
        stats = {path: os.stat(f"{folder}/{path}") for path in hashes}  # noqa: PTH116 - a thousand paths
    return {path: Written(hashes[path], seen.st_ino, seen.st_ctime_ns) for path, seen in stats.items()}


def _folders(paths: Iterable[str]) -> set[str]:
    found = set()
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


def _place(file: PlannedFile, reader: SourceReader, folder: Path, copies: Copies) -> FileRecord:
    path = f"{folder}/{file.path}"  # there are a thousand
    size = 0
    sha256: str | None = None
    if file.path in copies:
        size, sha256 = copies.result(file.path)
    elif file.kind is FileKind.LINK:
        with writing(path):
            _link(Path(path), file.link or "")
    elif file.kind is not FileKind.FOLDER:
        # what was compiled or packed, and not what the source may have become since
        data = reader.read(file.source or "") if file.data is None else file.data
        with writing(path):
            _write_new(path, data, file.mode)
        sha256 = reader.sha256(file.source or "") if file.data is None else hashlib.sha256(data).hexdigest()
        size = len(data)
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


def _write_new(path: str | Path, data: bytes, mode: int) -> None:
    """Write a file that is not there yet: a tree has so many that each system call counts."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        written = os.write(handle, data) if data else 0
        while written < len(data):
            written += os.write(handle, memoryview(data)[written:])
        # a disk that loses what it says it has written is found by this, and not by the hash of the data
        if os.fstat(handle).st_size != len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fchmod(handle, mode)  # whatever the umask
    finally:
        os.close(handle)


def _link(path: Path, target: str) -> None:
    try:
        path.symlink_to(target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise FileError(
            f"no link can be made ({error.strerror})",
            file=path,
            cure="choose a place on a file system that has symbolic links",
        ) from error


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


def copy_file(source: Path, path: Path) -> None:
    """Copy the bytes of *source* to *path*; the kernel shares their blocks where the file system can.

    Raises :class:`FileError` for a *source* that cannot be read, and OSError for what cannot be written.
    """
    with _reading(source):
        original = source.open("rb", buffering=0)
    with original, path.open("wb", buffering=0) as copy:
        if not _copied_by_the_kernel(original, copy):
            _copy_by_hand(source, original, copy)
        # a disk that loses what it says it has written is found by this, and not by the hash of the copy
        if os.fstat(original.fileno()).st_size != os.fstat(copy.fileno()).st_size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _copy_by_hand(source: Path, original: FileIO, copy: FileIO) -> None:
    buffer = _buffer()
    while True:
        with _reading(source):
            count = original.readinto(buffer)
        if not count:
            break
        written = 0
        while written < count:
            written += copy.write(buffer[written:count])


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
    files = [folder / file.path for file in plan.files if file.kind in _ELF_KINDS]
    _set_run_paths(files, linkage, folder / plan.layout.shared_libraries)


def own_extensions(plan: Plan, linkage: Linkage | None, reader: SourceReader) -> None:
    """Let *reader* give the extension modules that are packed with run paths as they would have on disk.

    What loads them goes by these: see ``site_hooks/zipstrap_extensions.py``.
    """
    members = [member for member in plan.members if is_extension(member, plan) and member.source]
    if not members or linkage is None or linkage.private_loader is not None:
        return
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as name:
        folder = Path(name)
        places = {folder / plan.layout.library / member.name: member.source or "" for member in members}
        for path, source in places.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(reader.read(source))
        reader.check()
        _set_run_paths(places, linkage, folder / plan.layout.shared_libraries)
        for path, source in places.items():
            reader.put(source, path.read_bytes())


def _set_run_paths(files: Iterable[Path], linkage: Linkage, folder: Path) -> None:
    elves = [elf for path in files if (elf := read_elf(path)) is not None]
    private = {library.soname for library in linkage.private}
    for run_path, paths in plan_run_paths(elves, folder, private).items():
        set_run_path(paths, run_path)


def _buffer() -> memoryview:
    """Return this thread's buffer."""
    buffer: memoryview | None = getattr(_threads, "buffer", None)
    if buffer is None:
        buffer = _threads.buffer = memoryview(bytearray(_BUFFER))
    return buffer


def digest_of(path: Path) -> tuple[int, str]:
    """Return size in bytes and SHA-256 of the file *path*."""
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.sha256()
        # in large pieces: a thread waits for the others after each
        buffer = _buffer()
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
        return size, digest.hexdigest()


def _hashed(record: FileRecord, folder: Path) -> FileRecord:
    if record.sha256 is not None:
        return record
    path = folder / record.path
    with writing(path):
        size, sha256 = digest_of(path)
    return dataclasses.replace(record, size=size, sha256=sha256)
