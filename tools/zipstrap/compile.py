"""Compile sources in the target, byte for byte the same every time, and remember the results by content.

The worker ``compile_worker`` does the compiling; what it writes depends on the source, the file name, the
optimization level, the target and the worker's own text alone. So results may come from a cache, and from any
number of workers in any order.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import marshal
import mmap
import os
import queue
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .destination import writing
from .errors import InterpreterError
from .worker import (
    SCHEMA,
    cannot_run,
    clean_environment,
    read_answer,
    worker_command,
    worker_script,
    worker_source,
)

__all__ = ["BytecodeCache", "Compiled", "Source", "compile_sources"]

_WORKER = "compile_worker"

#: A further worker costs about 40 ms to start, in which another one compiles so much (bytes, measured).
_WORTH_A_WORKER = 256 * 1024

_LENGTH = struct.Struct("<Q")

#: Magic, flags and hash of a .pyc (PEP 552).
_PYC_HEADER = 16
_UNCHECKED_HASH = b"\x01\0\0\0"


@dataclass(frozen=True, slots=True)
class Source:
    """A source to compile. *key* names it in the result, *filename* is what its code objects will carry.

    *sha256* is the hexadecimal digest of the data where somebody has it already.
    """

    key: str
    filename: str
    data: bytes
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The .pyc of each source by its key, and why a source did not compile ("line 3: invalid syntax").

    *from_cache* is how many of both were known before. *digests* has the SHA-256 of .pyc files by the same
    keys: the cache keeps it with each, and an archive's manifest names it.
    """

    pycs: Mapping[str, bytes]
    failures: Mapping[str, str]
    from_cache: int
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one source: a .pyc, or a message."""

    pyc: bytes | None
    message: str = ""
    #: whether it will always be so
    lasting: bool = True
    #: of the .pyc, where it is known
    sha256: str = ""


class BytecodeCache:
    """Results of compilation, one file ("pack") for each target and set of options.

    A pack is a line that names its form, the length of its index, the index as JSON (key → kind, offset,
    length and digest), and the results one after the other. A result that does not have its digest counts as
    absent. A pack is replaced as a whole: any number of processes may share the folder, and what is lost when
    two replace it at once is compiled again. A folder that cannot be read or written is no error.

    One file, because 600 small ones cost as much as canonicalising the library (measured: 0.3 s).
    """

    _FORM = b"zipstrap bytecode 2\n"
    _IS_PYC, _IS_MESSAGE = "pyc", "message"
    #: results that a run did not use are kept as long as a pack stays below this, in bytes
    _ROOM = 64 << 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, pack: str, wanted: Collection[str] | None = None) -> dict[str, _Result]:
        """Return the results in *pack* (a file name) by their keys, without those that are damaged.

        With *wanted*, only these are looked at: a pack also holds what other profiles need.

        Nothing is taken that another user could have put there: what a pack holds becomes code.
        """
        try:
            with (self.folder / pack).open("rb") as file:
                if not (_is_own(self.folder.stat()) and _is_own(os.fstat(file.fileno()))):
                    return {}
                # mapped, since most of it may be for others
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError):  # an empty file cannot be mapped
            return {}
        start = len(self._FORM) + _LENGTH.size
        if len(data) < start or bytes(data[: len(self._FORM)]) != self._FORM:
            return {}
        (length,) = _LENGTH.unpack(data[len(self._FORM) : start])
        try:
            index = json.loads(bytes(data[start : start + length]))
            blob = data[start + length :]
            return {
                key: _Result(body, sha256=digest)
                if kind == self._IS_PYC
                else _Result(None, str(body, "utf-8", "surrogatepass"))
                for key, (kind, offset, size, digest) in index.items()
                if (wanted is None or key in wanted)
                # what is hashed is what is kept, and not the file, which might change
                and hashlib.sha256(body := bytes(blob[offset : offset + size])).hexdigest() == digest
            }
        except (ValueError, TypeError, AttributeError):
            return {}

    def load_bytes(self, pack: str) -> dict[str, bytes]:
        """Return what :meth:`save_bytes` left in *pack*, for results that are no bytecode."""
        return {key: result.pyc for key, result in self.load(pack).items() if result.pyc is not None}

    def save_bytes(self, pack: str, known: Mapping[str, bytes], used: Collection[str]) -> None:
        """Replace *pack* as :meth:`save` does."""
        self.save(pack, {key: _Result(data) for key, data in known.items()}, used)

    def save(self, pack: str, known: Mapping[str, _Result], used: Collection[str]) -> None:
        """Replace *pack* by *known*; what is not in *used* goes when there is no more room."""
        bodies: dict[str, tuple[str, bytes]] = {}
        room = self._ROOM
        for key in sorted(known, key=lambda key: (key not in used, key)):
            result = known[key]
            if result.pyc is not None:
                kind, body = self._IS_PYC, result.pyc
            else:
                kind, body = self._IS_MESSAGE, result.message.encode("utf-8", "surrogatepass")
            room -= len(body)
            if result.lasting and (room >= 0 or key in used):
                bodies[key] = kind, body
        index: dict[str, tuple[str, int, int, str]] = {}
        offset = 0
        for key, (kind, body) in bodies.items():
            index[key] = kind, offset, len(body), known[key].sha256 or hashlib.sha256(body).hexdigest()
            offset += len(body)
        head = json.dumps(index).encode()
        part = self.folder / f"{pack}.{os.getpid()}.part"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_own(self.folder.stat()):
                return
            try:
                with open(part, "xb", opener=_private) as file:
                    file.write(self._FORM + _LENGTH.pack(len(head)) + head)
                    file.writelines(body for _, body in bodies.values())
                part.replace(self.folder / pack)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError:
            return  # full or read-only: the next run compiles again


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_own(status: os.stat_result) -> bool:
    """Tell whether only this user, or root, can change a file or folder."""
    owned = not hasattr(os, "geteuid") or status.st_uid in (0, os.geteuid())
    return owned and not status.st_mode & 0o022


def compile_sources(
    executable: Path,
    sources: Sequence[Source],
    *,
    optimize: int,
    jobs: int,
    cache: BytecodeCache | None,
    identity: str,
    on_progress: Callable[[int, int], None] | None = None,
    debug_ranges: bool = True,
) -> Compiled:
    """Compile *sources* with the target *executable*, in at most *jobs* processes.

    *optimize* is 0, 1 or 2. Without *debug_ranges* the bytecode does not say to which columns of a line it
    belongs, as with ``-X no_debug_ranges`` (3.11+; before, it never does). *identity* names the target for
    the cache: two targets of the same identity write the same bytecode. *on_progress* is called in this
    thread with how many sources are done, and how many there are. The result does not depend on *jobs*, the
    order of *sources* or the state of *cache*.

    A source that does not compile is no error here: see :attr:`Compiled.failures`. Raises
    :class:`InterpreterError` if the target cannot be run, dies or answers wrongly, ValueError if two sources
    have the same key.
    """
    if len({source.key for source in sources}) != len(sources):
        raise ValueError("two sources have the same key")
    results: dict[str, _Result] = {}
    known: dict[str, _Result] = {}
    keys: dict[str, str] = {}
    pack = ""
    if cache is not None:
        prefix = _key_prefix(identity, optimize, debug_ranges=debug_ranges)
        pack = hashlib.sha256(prefix.encode()).hexdigest()[:32]
        keys = {source.key: _cache_key(prefix, source) for source in sources}
        known = cache.load(pack, frozenset(keys.values()))
        results = {source.key: known[keys[source.key]] for source in sources if keys[source.key] in known}
    from_cache = len(results)
    missing = [source for source in sources if source.key not in results]
    chunks = _chunks(missing, jobs)

    def count(done: int) -> None:
        if on_progress is not None:
            on_progress(from_cache + done, len(sources))

    count(0)
    for source, result in _run(executable, chunks, optimize, debug_ranges, count) if chunks else ():
        results[source.key] = result
    if cache is not None and missing:
        known = cache.load(pack)
        known.update((keys[source.key], results[source.key]) for source in missing)
        cache.save(pack, known, frozenset(keys.values()))
    pycs: dict[str, bytes] = {}
    failures: dict[str, str] = {}
    digests: dict[str, str] = {}
    for source in sources:
        result = results[source.key]
        if result.pyc is None:
            failures[source.key] = result.message
        else:
            pycs[source.key] = result.pyc
            if result.sha256:
                digests[source.key] = result.sha256
    return Compiled(pycs, failures, from_cache, digests)


def _key_prefix(identity: str, optimize: int, *, debug_ranges: bool) -> str:
    worker = hashlib.sha256(worker_source(_WORKER).encode()).hexdigest()
    return json.dumps([identity, optimize, worker, *([] if debug_ranges else ["no_debug_ranges"])])


def _cache_key(prefix: str, source: Source) -> str:
    # JSON keeps the parts apart and spells lone surrogates in ASCII
    parts = [prefix, source.filename, source.sha256 or hashlib.sha256(source.data).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _chunks(sources: Iterable[Source], jobs: int) -> list[list[Source]]:
    """Divide *sources* among at most *jobs* workers, about the same number of bytes to each."""
    by_size = sorted(sources, key=lambda source: (-len(source.data), source.key))
    total = sum(len(source.data) for source in by_size)
    count = max(1, min(jobs, len(by_size), -(-total // _WORTH_A_WORKER)))
    chunks: list[list[Source]] = [[] for _ in range(count)]
    loads = [0] * count
    for source in by_size:
        least = loads.index(min(loads))
        chunks[least].append(source)
        loads[least] += len(source.data) + 1
    return [chunk for chunk in chunks if chunk]


def _run(
    executable: Path,
    chunks: Sequence[Sequence[Source]],
    optimize: int,
    debug_ranges: bool,  # noqa: FBT001
    count: Callable[[int], None],
) -> Iterator[tuple[Source, _Result]]:
    """Run one worker for each chunk, all at once, and yield what became of each source."""
    with (
        tempfile.TemporaryDirectory(prefix="zipstrap-") as folder,
        worker_script(_WORKER) as script,
        contextlib.ExitStack() as workers,
    ):
        steps: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        running = []
        for number, chunk in enumerate(chunks):
            base = Path(folder, str(number))
            with writing(base, "free some space there, or let TMPDIR name another folder"):
                base.mkdir()
                _write_job(base, chunk, optimize)
            options = [] if debug_ranges else ["-X", "no_debug_ranges"]
            command = worker_command(executable, script, base / "job", base / "answer.json")
            # what the compiler warns of was for the author of the source
            command[1:1] = ["-W", "ignore", *options]
            running.append(workers.enter_context(_worker(command, base, number, steps)))
        done = [0] * len(chunks)
        for _ in chunks:
            # a worker's output ends when it does, after which nothing more is to be read of it
            while True:
                number, size = steps.get()
                if not size:
                    break
                # something else in the target may print too
                done[number] = min(done[number] + size, len(chunks[number]))
                count(sum(done))
            returncode = running[number].wait()
            base = Path(folder, str(number))
            rows = _rows(executable, base, len(chunks[number]), returncode)
            with (base / "results").open("rb") as file:
                for source, row in zip(chunks[number], rows, strict=True):
                    yield source, _result(executable, row, file)


def _write_job(base: Path, chunk: Sequence[Source], optimize: int) -> None:
    index = []
    offset = 0
    with (base / "sources").open("wb") as file:
        for source in chunk:
            file.write(source.data)
            index.append([source.filename, offset, len(source.data)])
            offset += len(source.data)
    job = {
        "worker": _WORKER,
        "schema": SCHEMA,
        "optimize": optimize,
        "sources": str(base / "sources"),
        "results": str(base / "results"),
        "index": index,
    }
    (base / "job").write_bytes(marshal.dumps(job, 2))


@contextlib.contextmanager
def _worker(
    command: Sequence[str], base: Path, number: int, steps: queue.SimpleQueue[tuple[int, int]]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker by its *command*, which does not outlive the context.

    How much it prints goes to *steps* as (number, bytes), and (number, 0) when its output ends.
    """
    executable = Path(command[0])
    with (base / "stderr").open("wb") as stderr:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=clean_environment(),
                cwd=base,
            )
        except OSError as error:
            raise cannot_run(executable, error) from error
    assert process.stdout is not None
    reader = threading.Thread(target=_count_output, args=(process.stdout, number, steps), daemon=True)
    try:
        try:
            reader.start()
        except RuntimeError as error:
            raise cannot_run(executable, OSError(errno.EAGAIN, str(error))) from error
        yield process
    finally:
        process.kill()
        process.wait()
        if reader.ident is not None:
            reader.join()
        process.stdout.close()


def _count_output(output: IO[bytes], number: int, steps: queue.SimpleQueue[tuple[int, int]]) -> None:
    while size := len(os.read(output.fileno(), 4096)):
        steps.put((number, size))
    steps.put((number, 0))


def _rows(executable: Path, base: Path, length: int, returncode: int) -> list[object]:
    printed = (base / "stderr").read_bytes()
    answer = read_answer(executable, _WORKER, base / "answer.json", returncode, printed)
    rows = answer.get("index")
    if not isinstance(rows, list) or len(rows) != length:
        raise _wrong(executable, f"not {length} results")
    return rows


def _result(executable: Path, row: object, file: IO[bytes]) -> _Result:
    match row:
        case [str(message), bool(lasting)]:
            return _Result(None, message, lasting)
        case [int(offset), int(length)] if offset == file.tell() and length > _PYC_HEADER:
            pyc = file.read(length)
            if len(pyc) == length and pyc[4:8] == _UNCHECKED_HASH:
                return _Result(pyc, sha256=hashlib.sha256(pyc).hexdigest())
    raise _wrong(executable, f"a result {row!r} that is none")


def _wrong(executable: Path, what: str) -> InterpreterError:
    return InterpreterError(
        f"{_WORKER} answered wrongly in this interpreter: {what}",
        file=executable,
        cure="check that this is a CPython 3.8 to 3.15, and that the temporary folder's disk is not full",
    )
