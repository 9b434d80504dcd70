"""Compile sources in the target, byte for byte the same every time, and remember the results by content.

The worker ``compile_worker`` does the compiling; what it writes depends on the source, the file name, the
optimization level, the target and the worker's own text alone. So results may come from a cache, and from any
number of workers in any order.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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

__all__ = ["BytecodeCache", "Compiled", "Source", "compile_sources", "default_cache_folder"]

_WORKER = "compile_worker"

#: A further worker costs about 40 ms to start, in which another one compiles so much (bytes, measured).
_WORTH_A_WORKER = 256 * 1024

#: Magic, flags and hash of a .pyc (PEP 552).
_PYC_HEADER = 16
_UNCHECKED_HASH = b"\x01\0\0\0"


@dataclass(frozen=True, slots=True)
class Source:
    """A source to compile. *key* names it in the result, *filename* is what its code objects will carry."""

    key: str
    filename: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Compiled:
    """The .pyc of each source by its key, and why a source did not compile ("line 3: invalid syntax").

    *from_cache* is how many of both were known before.
    """

    pycs: Mapping[str, bytes]
    failures: Mapping[str, str]
    from_cache: int


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one source: a .pyc, or a message."""

    pyc: bytes | None
    message: str = ""
    #: whether it will always be so
    lasting: bool = True


class BytecodeCache:
    """Results of compilation in a folder, one file each, named by what they were made from.

    An entry carries a digest of itself, so a damaged or truncated one counts as absent. An entry appears
    complete or not at all, so any number of processes may share the folder. A folder that cannot be written,
    or read, is not an error: the cache then holds nothing.
    """

    #: Part of every entry's digest: change it whenever the form of an entry changes.
    _FORM = b"zipstrap bytecode 1\n"
    _IS_PYC, _IS_MESSAGE = b"P", b"M"
    _DIGEST_SIZE = 32

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writable = True
        self._numbers = itertools.count()

    def _path(self, key: str) -> str:
        # text, because building 600 Path objects takes longer than reading the files
        return f"{self.folder}/{key[:2]}/{key[2:]}"

    def _digest(self, key: str, body: bytes) -> bytes:
        digest = hashlib.sha256(self._FORM + key.encode())
        digest.update(body)
        return digest.digest()

    def get(self, key: str) -> _Result | None:
        """Return what is known under *key* (hexadecimal), or None."""
        try:
            with open(self._path(key), "rb", buffering=0) as file:  # noqa: PTH123
                digest, body = file.read(self._DIGEST_SIZE), file.readall()
        except OSError:
            return None
        if digest != self._digest(key, body):
            return None
        if body.startswith(self._IS_PYC):
            return _Result(body[1:])
        return _Result(None, body[1:].decode("utf-8", "surrogatepass"))

    def put(self, key: str, result: _Result) -> None:
        """Remember *result* under *key*, if it is lasting and the folder can be written."""
        if not result.lasting or not self._writable:
            return
        if result.pyc is not None:
            body = self._IS_PYC + result.pyc
        else:
            body = self._IS_MESSAGE + result.message.encode("utf-8", "surrogatepass")
        path = self._path(key)
        part = f"{path}.{os.getpid()}-{next(self._numbers)}.part"
        try:
            try:
                file = open(part, "xb", buffering=0)  # noqa: PTH123, SIM115
            except FileNotFoundError:
                Path(part).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = open(part, "xb", buffering=0)  # noqa: PTH123, SIM115
            try:
                with file:
                    _write_all(file, self._digest(key, body) + body)
                os.replace(part, path)  # noqa: PTH105
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part)  # noqa: PTH108
                raise
        except OSError:
            # full, read-only, no folder: the next entry would fare no better
            self._writable = False


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def default_cache_folder(environ: Mapping[str, str]) -> Path:
    """Return ``ZIPSTRAP_CACHE_DIR``, or ``zipstrap`` under ``XDG_CACHE_HOME`` or ``~/.cache``.

    A relative ``XDG_CACHE_HOME`` does not count, as the XDG base directory specification says.
    """
    if own := environ.get("ZIPSTRAP_CACHE_DIR"):
        return Path(own)
    shared = environ.get("XDG_CACHE_HOME", "")
    if shared and Path(shared).is_absolute():
        return Path(shared, "zipstrap")
    home = environ.get("HOME")
    return (Path(home) if home else Path("~").expanduser()) / ".cache" / "zipstrap"


def compile_sources(
    executable: Path,
    sources: Sequence[Source],
    *,
    optimize: int,
    jobs: int,
    cache: BytecodeCache | None,
    identity: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Compiled:
    """Compile *sources* with the target *executable*, in at most *jobs* processes.

    *optimize* is 0, 1 or 2. *identity* names the target for the cache: two targets of the same identity write
    the same bytecode. *on_progress* is called in this thread with how many sources are done, and how many
    there are. The result does not depend on *jobs*, the order of *sources* or the state of *cache*.

    A source that does not compile is no error here: see :attr:`Compiled.failures`. Raises
    :class:`InterpreterError` if the target cannot be run, dies or answers wrongly, ValueError if two sources
    have the same key.
    """
    if len({source.key for source in sources}) != len(sources):
        raise ValueError("two sources have the same key")
    results: dict[str, _Result] = {}
    cache_keys: dict[str, str] = {}
    if cache is not None:
        prefix = _key_prefix(identity, optimize)
        for source in sources:
            cache_key = cache_keys[source.key] = _cache_key(prefix, source)
            known = cache.get(cache_key)
            if known is not None:
                results[source.key] = known
    from_cache = len(results)
    missing = [source for source in sources if source.key not in results]
    chunks = _chunks(missing, jobs)

    def count(done: int) -> None:
        if on_progress is not None:
            on_progress(from_cache + done, len(sources))

    count(0)
    for source, result in _run(executable, chunks, optimize, count) if chunks else ():
        results[source.key] = result
        if cache is not None:
            cache.put(cache_keys[source.key], result)
    pycs: dict[str, bytes] = {}
    failures: dict[str, str] = {}
    for source in sources:
        result = results[source.key]
        if result.pyc is None:
            failures[source.key] = result.message
        else:
            pycs[source.key] = result.pyc
    return Compiled(pycs, failures, from_cache)


def _key_prefix(identity: str, optimize: int) -> str:
    worker = hashlib.sha256(worker_source(_WORKER).encode()).hexdigest()
    return json.dumps([identity, optimize, worker])


def _cache_key(prefix: str, source: Source) -> str:
    # JSON keeps the parts apart and spells lone surrogates in ASCII
    parts = [prefix, source.filename, hashlib.sha256(source.data).hexdigest()]
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
            base.mkdir()
            _write_job(base, chunk, optimize)
            running.append(workers.enter_context(_worker(executable, script, base, number, steps)))
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
    (base / "job.json").write_text(json.dumps(job), encoding="utf-8")


@contextlib.contextmanager
def _worker(
    executable: Path, script: Path, base: Path, number: int, steps: queue.SimpleQueue[tuple[int, int]]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker, which does not outlive the context.

    How much it prints goes to *steps* as (number, bytes), and (number, 0) when its output ends.
    """
    command = worker_command(executable, script, base / "job.json", base / "answer.json")
    # what the compiler warns of was for the author of the source
    command[1:1] = ["-W", "ignore"]
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
        reader.start()
        yield process
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def _count_output(output: IO[bytes], number: int, steps: queue.SimpleQueue[tuple[int, int]]) -> None:
    while size := len(os.read(output.fileno(), 4096)):
        steps.put((number, size))
    steps.put((number, 0))


def _rows(executable: Path, base: Path, length: int, returncode: int) -> list[object]:
    printed = (base / "stderr").read_bytes()
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
                return _Result(pyc)
    raise _wrong(executable, f"a result {row!r} that is none")


def _wrong(executable: Path, what: str) -> InterpreterError:
    return InterpreterError(
        f"{_WORKER} answered wrongly in this interpreter: {what}",
        file=executable,
        cure="check that this is a CPython 3.8 to 3.15, and that the temporary folder's disk is not full",
    )
