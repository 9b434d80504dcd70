"""Compress the archive's members, on all processors and cached by content.

The bytes depend on the members, on the choice and on the version of the library that compresses, never on the
number of jobs or on what the cache holds. The choices are those of ``--compress``:

stored      nothing is compressed.
deflate     zlib at level 9: nothing to install.
libdeflate  the same format, smaller: libdeflate at level 12.
best        the same format, smaller again and a hundred times slower: zopfli.
zstd        Zstandard at level 19, in ZIP's method 93, which zipimport reads from 3.15 on.
dictionary  each module's bytecode as a Zstandard frame over one dictionary that is trained on all of it. ZIP
            has no method for that, so the frames are members of their own, ``json/decoder.pyc.zst``, and
            the dictionary is one, :data:`DICTIONARY_MEMBER`: ``unzip`` and ``zstd -d -D`` unpack them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

from .archive import DEFLATED, ZSTANDARD, Archive, BadArchive, Member, Rejection
from .compile import BytecodeCache
from .errors import UsageError
from .libraries import libdeflate, zopfli, zstandard

__all__ = [
    "DICTIONARY_MEMBER",
    "FRAME_SUFFIX",
    "LibraryReader",
    "compress_members",
    "frame_size",
    "is_frame",
    "logical_name",
    "own_name",
]

#: itself a frame, without a dictionary
DICTIONARY_MEMBER = "zipstrap.dictionary.zst"
FRAME_SUFFIX = ".zst"

#: of the library's own bytecode of a module, where a hook has its name in the archive
_OWN_SUFFIX = ".library"

_FRAMED = ".pyc" + FRAME_SUFFIX
_LEVEL = 19

#: Dictionaries of these parts of what they are trained on are tried, within the bounds in bytes: which one
#: gives the least in all depends on the modules. A process that needs the dictionary holds it twice (in
#: Python's object and in the library's), hence the upper bound.
_DICTIONARY_PARTS = (8, 12, 16, 24, 32)
_LEAST_DICTIONARY, _GREATEST_DICTIONARY = 16 << 10, 768 << 10
#: quick, and near enough to compare dictionaries
_TRIAL_LEVEL = 6

#: Below this the trainer has too little to go by.
_LEAST_SAMPLES = 10

_Progress = Callable[[int, int], None]


def logical_name(name: str) -> str:
    """Return what the member *name* is when it is unpacked: ``os.pyc`` for ``os.pyc.zst``.

    And ``encodings/__init__.pyc`` for what :func:`own_name` makes of it.
    """
    if name.endswith(f".pyc{_OWN_SUFFIX}"):
        return name.removesuffix(_OWN_SUFFIX)
    return name.removesuffix(FRAME_SUFFIX) if is_frame(name) else name


def is_frame(name: str) -> bool:
    """Tell whether the member *name* is a Zstandard frame, to be unpacked over the archive's dictionary."""
    return name.endswith(_FRAMED)


def own_name(name: str) -> str:
    """Return where the library's own *name* (a .pyc) is, in an archive in which a hook has that name."""
    return f"{name}{_OWN_SUFFIX}"


def frame_size(data: bytes) -> int:
    """Return the size in bytes of what the Zstandard frame *data* unpacks to, 0 if it does not say.

    See RFC 8878, 3.1.1.1.
    """
    if len(data) < 5:
        return 0
    descriptor = data[4]
    single = descriptor >> 5 & 1
    start = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[descriptor >> 6]
    size = int.from_bytes(data[start : start + width], "little")
    return size + 256 if width == 2 else size


def compress_members(
    members: Sequence[Member],
    wanted: Collection[str],
    choice: str,
    *,
    jobs: int,
    cache: BytecodeCache | None,
    on_progress: _Progress | None = None,
) -> tuple[Member, ...]:
    """Return *members* with those named in *wanted* compressed by *choice*, where that makes them smaller.

    *on_progress* is called in this thread with how many are done, and how many there are. Raises
    :class:`UsageError` if the library for *choice* is not installed.
    """
    if choice == "stored":
        return tuple(members)
    chosen = [member for member in members if member.name in wanted and member.data]
    progress = on_progress or (lambda _done, _total: None)
    if choice != "dictionary":
        bodies = _compressed(chosen, _method(choice), jobs, cache, progress)
        return tuple(_packed(member, bodies) for member in members)
    framed = [member for member in chosen if member.name.endswith(".pyc")]
    plain = [member for member in chosen if not member.name.endswith(".pyc")]
    total = len(chosen)
    bodies = _compressed(plain, _method("libdeflate"), jobs, cache, lambda done, _: progress(done, total))
    dictionary = _dictionary(framed, cache)
    if dictionary is None:
        frames = _Bodies(ZSTANDARD, {})
    else:
        done_before = len(plain)
        frames = _compressed(
            framed,
            _with_dictionary(dictionary),
            jobs,
            cache,
            lambda done, _: progress(done_before + done, total),
        )
    made = []
    for member in members:
        frame = frames.by_name.get(member.name)
        if frame is not None:
            made.append(Member(member.name + FRAME_SUFFIX, frame, rank=member.rank))
        else:
            made.append(_packed(member, bodies))
    if dictionary is not None:
        made.append(Member(DICTIONARY_MEMBER, _frame(dictionary)))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Bodies:
    """What a compression method made of members, by their names."""

    method: int
    by_name: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Method:
    """A way to compress; *identity* names all that the bytes depend on besides the data."""

    number: int
    identity: str
    compress: Callable[[bytes], bytes]


def _packed(member: Member, bodies: _Bodies) -> Member:
    body = bodies.by_name.get(member.name)
    return member if body is None else replace(member, packed=(bodies.method, body))


def _method(choice: str) -> _Method:
    if choice == "deflate":
        return _Method(
            DEFLATED,
            f"zlib {zlib.ZLIB_RUNTIME_VERSION} 9",
            lambda data: zlib.compress(data, 9, wbits=-15),
        )
    if choice == "libdeflate":
        deflate = libdeflate()
        return _Method(
            DEFLATED,
            f"libdeflate {_version('deflate')} 12",
            lambda data: bytes(deflate.deflate_compress(data, 12)),
        )
    if choice == "best":
        library = zopfli()
        # in a zlib container: two bytes before, four after
        return _Method(
            DEFLATED,
            f"zopfli {_version('zopfli')} 15",
            lambda data: bytes(library.compress(data, numiterations=15)[2:-4]),
        )
    if choice == "zstd":
        return _Method(ZSTANDARD, f"{_zstandard_version()} {_LEVEL}", _frame)
    raise UsageError(f"{choice!r} is no way to compress", cure="see zipstrap build --help")


def _with_dictionary(content: bytes) -> _Method:
    zstd = zstandard()
    dictionary = zstd.ZstdDict(content)
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _LEVEL,
        # there is one dictionary, and ZIP has a checksum of its own
        parameter.dict_id_flag: 0,
        parameter.checksum_flag: 0,
    }
    digest = hashlib.sha256(content).hexdigest()
    return _Method(
        ZSTANDARD,
        f"{_zstandard_version()} {_LEVEL} {digest}",
        lambda data: bytes(zstd.compress(data, options=options, zstd_dict=dictionary)),
    )


def _frame(data: bytes) -> bytes:
    return bytes(zstandard().compress(data, level=_LEVEL))


def _zstandard_version() -> str:
    return f"zstd {zstandard().zstd_version}"


def _version(distribution: str) -> str:
    from importlib.metadata import version  # 15 ms

    return version(distribution)


def _compressed(
    members: Sequence[Member],
    method: _Method,
    jobs: int,
    cache: BytecodeCache | None,
    progress: _Progress,
) -> _Bodies:
    """Compress each of *members*; those that do not become smaller are not in the result."""
    # a dictionary is another one for each set of modules, and all of them share a pack, which is bounded
    pack = f"compressed-{_digest(method.identity.rpartition(' ')[0].encode())[:32]}"
    keys = {
        member.name: _digest(json.dumps([method.identity, _digest(member.data)]).encode())
        for member in members
    }
    known = {} if cache is None else cache.load_bytes(pack)
    missing = {keys[member.name]: member.data for member in members if keys[member.name] not in known}
    done = len(members) - len(missing)
    progress(done, len(members))
    if missing:
        # what takes longest comes first; the libraries let go of the interpreter's lock (measured)
        order = sorted(missing, key=lambda key: (-len(missing[key]), key))
        with ThreadPoolExecutor(max(1, min(jobs, len(order)))) as pool:
            running = {pool.submit(method.compress, missing[key]): key for key in order}
            try:
                for future in as_completed(running):
                    known[running[future]] = future.result()
                    done += 1
                    progress(done, len(members))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if cache is not None:
            cache.save_bytes(pack, known, frozenset(keys.values()))
    return _Bodies(
        method.number,
        {member.name: body for member in members if len(body := known[keys[member.name]]) < len(member.data)},
    )


def _dictionary(members: Iterable[Member], cache: BytecodeCache | None) -> bytes | None:
    """Train a dictionary on *members*; None if they are too few, or too much alike, for one."""
    samples = [member.data for member in sorted(members, key=lambda member: member.name)]
    if len(samples) < _LEAST_SAMPLES:
        return None
    total = sum(map(len, samples))
    sizes = sorted(
        {
            max(_LEAST_DICTIONARY, min(_GREATEST_DICTIONARY, total // part >> 10 << 10))
            for part in _DICTIONARY_PARTS
        }
    )
    digests = [_digest(sample) for sample in samples]
    key = _digest(json.dumps([_zstandard_version(), sizes, _TRIAL_LEVEL, digests]).encode())
    pack = "dictionaries"
    known = {} if cache is None else cache.load_bytes(pack)
    if key not in known:
        best = _best_dictionary(samples, sizes)
        if best is None:
            return None
        known[key] = best
        if cache is not None:
            cache.save_bytes(pack, known, (key,))
    return known[key]


def _best_dictionary(samples: Sequence[bytes], sizes: Sequence[int]) -> bytes | None:
    """Return the dictionary that makes the least of *samples* and of itself; the smaller one of equals."""
    zstd = zstandard()
    best: tuple[int, bytes] | None = None
    for size in sizes:
        try:
            dictionary = zstd.train_dict(samples, size)
        except zstd.ZstdError:
            continue
        content = bytes(dictionary.dict_content)
        total = len(zstd.compress(content, _TRIAL_LEVEL)) + sum(
            len(zstd.compress(sample, _TRIAL_LEVEL, zstd_dict=dictionary)) for sample in samples
        )
        if best is None or total < best[0]:
            best = total, content
    return None if best is None else best[1]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class LibraryReader:
    """The members of a library's archive as they are when unpacked, by their names then; frames included."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._members = {logical_name(name): name for name in archive.names}
        # the library's own before what stands in for it
        self._members |= {
            unpacked: name for name in archive.names if (unpacked := logical_name(name)) != name
        }
        self._dictionary: object = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the archive's order."""
        return tuple(self._members)

    def read(self, name: str) -> bytes:
        """Return the data of *name*; raises what :meth:`zipstrap.archive.Archive.read` does."""
        member = self._members.get(name, name)
        data = self._archive.read(member)
        return self._from_frame(member, data) if is_frame(member) and member != name else data

    def _from_frame(self, member: str, data: bytes) -> bytes:
        kind = Rejection.METHOD_NOT_READABLE
        try:
            zstd = zstandard()
            kind = Rejection.ZSTANDARD_FRAME
            if self._dictionary is None:
                packed = self._archive.read(DICTIONARY_MEMBER)
                self._dictionary = zstd.ZstdDict(_expanded(zstd, packed, None))
            return _expanded(zstd, data, self._dictionary)
        except UsageError as error:
            problem: object = error.problem
        except ValueError as error:
            problem = error
        raise BadArchive(
            f"{member} cannot be unpacked: {problem}", kind=kind, offset=None, file=self._archive.path
        )


#: no module's bytecode is larger; a frame may claim anything
_GREATEST = 64 << 20


def _expanded(zstd: Any, data: bytes, dictionary: object) -> bytes:
    """Return the content of the one frame *data*; ValueError says what is wrong with it."""
    expander = zstd.ZstdDecompressor(dictionary)
    try:
        content: bytes = expander.decompress(data, _GREATEST)
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from error
    if not expander.eof or expander.unused_data:
        raise ValueError("it is not one whole frame")
    return content
