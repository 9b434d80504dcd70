"""From a plan to bytes: read the sources, compile them in the target, make the archive's members."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .archive import Member, name_problem
from .compile import BytecodeCache, Compiled, Source, compile_sources
from .compress import compress_members
from .data import import_order
from .errors import FileError, Problem
from .plan import Plan, PlannedFile, PlannedMember

__all__ = [
    "Contents",
    "SourceReader",
    "bytecode_path",
    "content_of",
    "make_contents",
    "namespace_members",
]

#: namespace folders need an entry of their own: zipimport makes them up only from 3.14 on (measured)
_IMPLICIT_FOLDERS_SINCE = (3, 14)


#: in bytes, of a file that is not as long as it says, or very long
_PIECE = 1 << 20

#: apart from the names of the library's members and files
_BOOT = "boot:"


class SourceReader:
    """Reads each file of the library once: what is examined, compiled and packed is the same bytes."""

    def __init__(self) -> None:
        self._read: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}
        self._problems: dict[str, Problem] = {}

    def read(self, path: str) -> bytes:
        """Return the content of *path*; a failure is collected and reported by :meth:`check`."""
        data = self._read.get(path)
        if data is None:
            try:
                data = content_of(path)
            except OSError as error:
                self._problems[path] = Problem(f"cannot be read ({error.strerror or error})", path)
                data = b""
            self._read[path] = data
        return data

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of the content of *path*, in hexadecimal: it is asked for more than once."""
        digest = self._digests.get(path)
        if digest is None:
            digest = self._digests[path] = hashlib.sha256(self.read(path)).hexdigest()
        return digest

    def put(self, path: str, data: bytes) -> None:
        """Let *data* be the content of *path*: what is packed differs from what is installed."""
        self._read[path] = data
        self._digests.pop(path, None)

    def known(self, path: str) -> bytes | None:
        """Return the content of *path* if it was read before."""
        return self._read.get(path)

    def check(self) -> None:
        """Raise one :class:`FileError` for everything that could not be read."""
        problems = list(self._problems.values())
        if problems:
            raise FileError(
                problems[0].text,
                file=problems[0].file,
                others=problems[1:],
                cure="make the library's files readable, and do not change the library during a build",
            )


def content_of(path: str) -> bytes:
    """Return what is in the file *path*, without the layers of a stream, which cost more than to read it.

    Raises OSError for what cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        expected = os.fstat(handle).st_size
        data = os.read(handle, expected + 1)
        if len(data) == expected:
            return data
        pieces = [data]
        while pieces[-1]:
            pieces.append(os.read(handle, _PIECE))
        return b"".join(pieces)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a plan holds, as bytes."""

    members: tuple[Member, ...]
    #: bytecode of the modules that lie on disk, by the path of their source in the tree
    bytecode: Mapping[str, bytes]
    #: sources that do not compile and are kept as data, with the compiler's message
    not_compiled: Mapping[str, str]
    from_cache: int
    compiled: int
    #: bytecode of the importer's parts and of the library's members, by the names of their sources
    boot: Mapping[str, bytes]
    modules: Mapping[str, bytes]


def bytecode_path(source: str, cache_tag: str) -> str:
    """Return where the bytecode of *source* belongs (PEP 3147)."""
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{cache_tag}.pyc"


def make_contents(
    plan: Plan,
    reader: SourceReader,
    *,
    jobs: int,
    cache: BytecodeCache | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Contents:
    """Read and compile everything that *plan* names.

    Raises :class:`FileError` for files that cannot be read or have names that no archive can hold, and for
    sources that do not compile although they should: all of a kind in one error.
    """
    _check_names(plan.members)
    modules = [member for member in plan.members if member.module is not None]
    on_disk = [file for file in plan.files if file.module is not None]
    sources = [
        Source(member.name, member.filename, _data(member, reader), _digest(member, reader))
        for member in modules
    ]
    sources += [Source(file.path, file.path, _data(file, reader), _digest(file, reader)) for file in on_disk]
    if not plan.options.bytecode:
        sources.clear()  # they were read, and that is all
    sources += [Source(f"{_BOOT}{item.name}", item.filename, _data(item, reader)) for item in plan.boot]
    # bytecode is counted twice, when it is compiled and when it is compressed
    to_compress = sum(item.compress_bytecode + item.compress_rest for item in plan.members)
    done = 0

    def count(further: int, _: int) -> None:
        if on_progress is not None:
            on_progress(done + further, len(sources) + to_compress)

    for member in plan.members:
        _data(member, reader)
    reader.check()
    compiled = compile_sources(
        Path(plan.facts.executable),
        sources,
        optimize=plan.options.optimize,
        jobs=jobs,
        cache=cache,
        identity=plan.facts.identity,
        on_progress=count,
        debug_ranges=plan.options.debug_ranges is not False,
    )
    _check_failures(compiled.failures, modules, on_disk)
    members: list[Member] = []
    wanted = set()
    for item in plan.members:
        for made, compress in _members(item, plan, reader, compiled):
            members.append(made)
            if compress:
                wanted.add(made.name)
    done = len(sources)
    to_compress = len(wanted)
    members += namespace_members(members, plan.facts.feature_version)
    packed = compress_members(
        members, wanted, plan.options.compress, jobs=jobs, cache=cache, on_progress=count
    )
    return Contents(
        members=packed,
        bytecode={file.path: compiled.pycs[file.path] for file in on_disk if file.path in compiled.pycs},
        not_compiled=dict(compiled.failures),
        from_cache=compiled.from_cache,
        compiled=len(sources),
        boot={item.name: compiled.pycs[f"{_BOOT}{item.name}"] for item in plan.boot},
        modules={item.name: compiled.pycs[item.name] for item in modules if item.name in compiled.pycs},
    )


def _check_names(members: Sequence[PlannedMember]) -> None:
    problems = [
        Problem(f"the name of this file {reason}, so that no archive can hold it", member.source)
        for member in members
        if (reason := name_problem(member.name)) is not None
    ]
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="rename it, move it out of the library, or leave out the package that holds it (--exclude)",
        )


def _data(item: PlannedMember | PlannedFile, reader: SourceReader) -> bytes:
    return item.data if item.data is not None else reader.read(item.source or "")


def _digest(item: PlannedMember | PlannedFile, reader: SourceReader) -> str:
    return reader.sha256(item.source or "") if item.data is None else ""


def _check_failures(
    failures: Mapping[str, str], modules: list[PlannedMember], on_disk: list[PlannedFile]
) -> None:
    allowed = {item.name for item in modules if item.may_not_compile}
    allowed |= {item.path for item in on_disk if item.may_not_compile}
    origins: dict[str, str | None] = {item.name: item.source for item in modules}
    origins.update((item.path, item.source) for item in on_disk)
    problems = [
        Problem(f"does not compile: {message}", origins[name])
        for name, message in sorted(failures.items())
        if name not in allowed
    ]
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="mend the source, or leave the module out with --exclude",
        )


def _members(
    item: PlannedMember, plan: Plan, reader: SourceReader, compiled: Compiled
) -> Iterator[tuple[Member, bool]]:
    """Yield what *item* becomes, each with whether it is to be compressed."""
    pyc = compiled.pycs.get(item.name)
    if pyc is not None:
        name = f"{item.name.removesuffix('.py')}.pyc"
        sha256 = compiled.digests.get(item.name, "")
        rank = import_order(plan.facts.feature_version).get(item.module or "")
        yield Member(name, pyc, sha256=sha256, rank=rank), item.compress_bytecode
    if pyc is None or plan.options.source == "archive" or item.source_inside:
        yield Member(item.name, _data(item, reader), sha256=_digest(item, reader)), item.compress_rest


def namespace_members(members: Sequence[Member], version: tuple[int, int]) -> list[Member]:
    """Return the entries that zipimport of *version* needs for folders which are no packages."""
    if version >= _IMPLICIT_FOLDERS_SINCE:
        return []
    return [Member(f"{folder}/", b"") for folder in _namespace_folders(members)]


def _namespace_folders(members: Sequence[Member]) -> list[str]:
    """Return the folders that hold something but are no packages."""
    folders: set[str] = set()
    packages: set[str] = set()
    for member in members:
        folder, _, name = member.name.rpartition("/")
        if name in ("__init__.pyc", "__init__.py"):
            packages.add(folder)
        while folder:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return sorted(folders - packages)
