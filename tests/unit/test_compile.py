"""The canonical form of marshalled data, the cache, and what happens when a worker misbehaves."""

from __future__ import annotations

import marshal
import math
import stat
import struct
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zipstrap.compile
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.compile import BytecodeCache, Compiled, Source, compile_sources
from zipstrap.config import default_cache_folder
from zipstrap.errors import InterpreterError
from zipstrap.worker import worker_source

HOST = Path(sys.executable)

needs_sh = pytest.mark.skipif(
    not Path("/bin/sh").exists(), reason="imitates an interpreter by a shell script"
)


def load_worker() -> types.ModuleType:
    module = types.ModuleType("compile_worker")
    exec(compile(worker_source("compile_worker"), "compile_worker.py", "exec"), module.__dict__)
    return module


worker: Any = load_worker()


# --- constants ---


def spelled(value: object) -> object:
    """Return something that is equal for constants of the same types and the same bits only."""
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, complex):
        return "complex", struct.pack("<dd", value.real, value.imag)
    if isinstance(value, tuple):
        return "tuple", tuple(spelled(item) for item in value)
    if isinstance(value, frozenset):
        return "frozenset", sorted(repr(spelled(item)) for item in value)
    if isinstance(value, types.CodeType):
        return "code", {
            name: spelled(getattr(value, name))
            for name in dir(value)
            # deprecated and made from the line table, which is compared
            if name.startswith("co_") and name != "co_lnotab" and not callable(getattr(value, name))
        }
    return type(value).__name__, value


def apart(value: Any) -> Any:
    """Copy *value* so that equal parts are different objects, wherever Python lets them be."""
    if isinstance(value, tuple):
        return tuple([apart(item) for item in value])
    if isinstance(value, frozenset):
        return frozenset([apart(item) for item in sorted(value, key=lambda item: repr(spelled(item)))])
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return bytes(bytearray(value))
    if isinstance(value, float):
        return struct.unpack("<d", struct.pack("<d", value))[0]
    return value


def together(value: Any, seen: dict[str, Any]) -> Any:
    """Copy *value* so that equal parts are the same objects, and strings are interned."""
    if isinstance(value, tuple):
        value = tuple([together(item, seen) for item in value])
    elif isinstance(value, frozenset):
        items = sorted(value, key=lambda item: repr(spelled(item)), reverse=True)
        value = frozenset([together(item, seen) for item in items])
    elif isinstance(value, str):
        value = sys.intern(value)
    return seen.setdefault(repr(spelled(value)), value)


leaves = (
    st.none()
    | st.booleans()
    | st.just(...)
    | st.integers(-3, 3)
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([0.0, -0.0, 1.0, math.nan, -math.nan, 1j, -0j])
    | st.text(st.characters(), max_size=4)
    | st.sampled_from(["a", "name", "no name", "é", "\ud800", "x" * 300, "x y" * 100, ""])
    | st.binary(max_size=4)
)
constants = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5).map(tuple)
        | st.frozensets(inner, max_size=5)
        | inner.map(lambda item: (item, item))
        | leaves.map(lambda item: (item,) * 260)
    ),
    max_leaves=12,
)


def canonical(value: Any) -> bytes:
    data: bytes = worker.canonical(marshal.dumps(value))
    return data


@given(constants)
def test_the_same_value_comes_back(value: object) -> None:
    assert spelled(marshal.loads(canonical(value))) == spelled(value)


@given(constants)
def test_the_form_depends_on_the_value_alone(value: object) -> None:
    form = canonical(value)
    assert canonical(apart(value)) == form
    assert canonical(together(value, {})) == form
    assert canonical(marshal.loads(form)) == form


def flags_and_references(data: bytes) -> tuple[int, list[int]]:
    """Return how many objects are flagged, and the numbers referred to; knows only what the test writes."""
    used: list[int] = []
    flagged = at = 0
    while at < len(data):
        kind = chr(data[at] & 0x7F)
        at += 1
        if kind == "r":
            used += struct.unpack_from("<i", data, at)
            assert used[-1] < flagged
            at += 4
            continue
        flagged += data[at - 1] >> 7
        if kind in "zZ":
            at += 1 + data[at]
        elif kind == ")":
            at += 1
        elif kind in "(>i":
            at += 4
        elif kind in "suaAt":
            at += 4 + struct.unpack_from("<i", data, at)[0]
        elif kind == "l":
            at += 4 + 2 * abs(struct.unpack_from("<i", data, at)[0])
        elif kind in "gy":
            at += 8 if kind == "g" else 16
        else:
            assert kind in "NTF."
    return flagged, used


@given(constants)
def test_what_is_flagged_is_referred_to(value: object) -> None:
    flagged, used = flags_and_references(canonical((value, value)))
    assert set(used) == set(range(flagged))


LOOKALIKES = [
    1,
    1.0,
    True,
    0,
    0.0,
    -0.0,
    False,
    1j,
    "1",
    b"1",
    (1,),
    (1.0,),
    (True,),
    (0.0,),
    (-0.0,),
    ("1",),
]


@pytest.mark.parametrize("first", LOOKALIKES, ids=repr)
def test_what_only_looks_equal_stays_apart(first: object) -> None:
    value = tuple((first, other, other, first) for other in LOOKALIKES)
    assert spelled(marshal.loads(canonical(value))) == spelled(value)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 1000])
def test_long_and_short_tuples(size: int) -> None:
    value = (tuple(range(size)), "between", tuple(range(size)), frozenset(range(size)))
    assert marshal.loads(canonical(value)) == value
    back = marshal.loads(canonical(value))
    assert back[0] is back[2]


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, {1, 2}, (1, [2]), frozenset({1}).union({2}) and ([],)], ids=repr
)
def test_an_unknown_type_is_an_error(value: object) -> None:
    with pytest.raises(worker.UnknownFormatError, match=r"marshal type '[\[{<]'"):
        canonical(value)


def test_code_in_a_frozenset_is_an_error() -> None:
    with pytest.raises(worker.UnknownFormatError):
        canonical(frozenset([compile("1", "f", "eval")]))


def test_data_after_the_end_is_an_error() -> None:
    with pytest.raises(worker.UnknownFormatError, match="goes on"):
        worker.canonical(marshal.dumps(1) + b"N")


def test_names_are_interned_and_prose_is_not() -> None:
    code = compile("some.attribute_of_it = 'some_word', 'some prose'", "f", "exec")
    form = worker.canonical(marshal.dumps(code))
    name, word, prose = (
        form[form.index(text) - 2] & 0x7F for text in (b"attribute_of_it", b"some_word", b"some prose")
    )
    assert (chr(name), chr(word), chr(prose)) == ("Z", "Z", "z")


# --- code ---

literals = st.one_of(
    leaves.filter(lambda value: value is not ...).map(repr),
    st.frozensets(st.sampled_from(["1", "'a'", "'b c'", "(1, 2.0)", "None", "-0.0"]), min_size=1).map(
        lambda items: "x in {" + ", ".join(sorted(items)) + "}"
    ),
    st.sampled_from(
        ["1e999 - 1e999", "lambda: x", "[y for y in x]", "(1, (1.0, (True, -0.0)))", "x[1:2]", "..."]
    ),
)


@given(st.lists(literals.filter(lambda text: "nan" not in text and "inf" not in text), max_size=6))
def test_code_comes_back_equal(expressions: list[str]) -> None:
    body = "".join(f"  yield {text}\n" for text in expressions) or "  pass\n"
    source = f"class C:\n def f(self, x, *, k=0):\n{body}\n".encode("utf-8", "surrogatepass")
    code = compile(source, "folder/name.py", "exec", dont_inherit=True)
    form = worker.canonical(marshal.dumps(code))
    assert spelled(marshal.loads(form)) == spelled(code)
    assert worker.canonical(form) == form


def test_code_objects_are_never_merged() -> None:
    same = tuple(compile("a = 0", "f", "exec") for _ in range(2))
    first, second = marshal.loads(canonical(same))
    assert first == second
    assert first is not second


def test_deep_nesting_does_not_end_the_worker() -> None:
    value: tuple[Any, ...] = ()
    for _ in range(1500):
        value = (value, 1)
    plain = marshal.dumps(value)
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(limit + 6000)
        form = worker.canonical(plain)
    finally:
        sys.setrecursionlimit(limit)
    assert marshal.dumps(marshal.loads(form)) == plain


def test_a_form_that_gives_other_code_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile("x = 1", "f", "exec")
    other = canonical(compile("x = 2", "f", "exec"))
    plain, real = marshal.dumps(code), worker.canonical
    monkeypatch.setattr(worker, "canonical", lambda data: other if data == plain else real(data) + b"N")
    with pytest.raises(worker.UnknownFormatError, match="other code"):
        worker.checked(plain, code)


# --- running workers ---


def build(sources: list[Source], **options: Any) -> Compiled:
    return compile_sources(
        **{
            "executable": HOST,
            "sources": sources,
            "optimize": 0,
            "jobs": 1,
            "cache": None,
            "identity": "host",
            **options,
        }
    )


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def imitate(tmp_path: Path) -> Callable[[str], Path]:
    """Give a maker of interpreters that are shell scripts."""

    def make(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\nfor answer; do :; done\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


ONE = [Source("one", "one.py", b"x = 1\n")]


def test_nothing_to_compile_starts_nothing() -> None:
    assert build([], executable=Path("/nonexistent")) == Compiled({}, {}, 0)


def test_two_sources_of_one_key() -> None:
    with pytest.raises(ValueError, match="same key"):
        build(ONE * 2)


@needs_sh
@pytest.mark.parametrize(
    "script, message",
    [
        ("echo 'disk on fire' >&2; exit 3", "disk on fire"),
        ("echo 'last words' >&2; kill -9 $$", "last words"),
        ("exit 0", "it printed nothing"),
        ("echo '{}' >$answer", "gave no answer"),
        ('echo \'{"worker": "compile_worker", "schema": 0, "index": []}\' >$answer', "gave no answer"),
        ('echo \'{"worker": "compile_worker", "schema": 1, "index": []}\' >$answer', "not 1 results"),
        (
            'echo \'{"worker": "compile_worker", "schema": 1, "index": [[0, 20]]}\' >$answer; echo >results',
            "that is none",
        ),
        (
            'echo \'{"worker": "compile_worker", "schema": 1, "index": [7]}\' >$answer; echo >results',
            "that is none",
        ),
        ('echo \'{"unsupported": "PyPy"}\' >$answer; exit 64', "this is PyPy"),
    ],
)
def test_a_worker_that_fails_is_reported(
    script: str, message: str, imitate: Callable[[str], Path], temporary: Path
) -> None:
    executable = imitate(script)
    with pytest.raises(InterpreterError, match=message) as caught:
        build(ONE, executable=executable)
    assert caught.value.problem.file == str(executable)
    assert list(temporary.iterdir()) == []


def test_an_interpreter_that_is_not_there(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(InterpreterError, match="cannot be run"):
        build(ONE, executable=tmp_path / "python")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_behind(
    error: type[BaseException], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = start(*arguments, **options)
        started.append(process)
        return process

    def interrupt(done: int, total: int) -> None:
        if done:
            raise error

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(zipstrap.compile, "_WORTH_A_WORKER", 1)
    sources = [Source(str(number), "f.py", b"x = [1, 2]\n" * 2000) for number in range(20)]
    with pytest.raises(error):
        build(sources, jobs=2, on_progress=interrupt)
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)
    assert list(temporary.iterdir()) == []


def test_progress_counts_every_source(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    cache = BytecodeCache(tmp_path)
    build(ONE, cache=cache)
    sources = [*ONE, *(Source(str(number), "f.py", b"pass") for number in range(5))]
    build(sources, cache=cache, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (1, 6)
    assert seen[-1] == (6, 6)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    "jobs, sizes, chunks",
    [
        (4, [10, 10], 1),
        (4, [400_000, 300_000, 1], 3),
        (2, [400_000, 300_000, 200_000, 100_000], 2),
        (0, [400_000, 300_000], 1),
        (8, [1_000_000], 1),
        (1, [], 0),
    ],
)
def test_no_more_workers_than_useful(jobs: int, sizes: list[int], chunks: int) -> None:
    sources = [Source(str(number), "f", bytes(size)) for number, size in enumerate(sizes)]
    made = zipstrap.compile._chunks(sources, jobs)
    assert len(made) == chunks
    assert sorted(source.key for chunk in made for source in chunk) == sorted(
        source.key for source in sources
    )


# --- cache ---


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_known_is_not_compiled_again(tmp_path: Path) -> None:
    sources = [*ONE, Source("bad", "bad.py", b"x ="), Source("same", "one.py", b"x = 1\n")]
    first = build(sources, cache=BytecodeCache(tmp_path))
    again = build(sources[::-1], cache=BytecodeCache(tmp_path), executable=Path("/nonexistent"))
    assert first.from_cache == 0
    assert (again.pycs, again.failures, again.from_cache) == (first.pycs, first.failures, 3)
    assert first.pycs["one"] == first.pycs["same"]
    assert len(entries(tmp_path)) == 1
    assert build([Source("more", "more.py", b"y = 1\n")], cache=BytecodeCache(tmp_path)).from_cache == 0
    assert build(sources, cache=BytecodeCache(tmp_path)).from_cache == 3


@pytest.mark.parametrize(
    "change",
    [
        {"sources": [Source("one", "one.py", b"x = 2\n")]},
        {"sources": [Source("one", "two.py", b"x = 1\n")]},
        {"optimize": 1},
        {"identity": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_matters_is_in_the_key(change: dict[str, Any], tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path)
    build(ONE, cache=cache)
    assert build(**{"sources": ONE, "cache": cache, **change}).from_cache == 0


def test_the_worker_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = BytecodeCache(tmp_path)
    build(ONE, cache=cache)
    monkeypatch.setattr(zipstrap.compile, "worker_source", lambda name: worker_source(name) + "# changed\n")
    assert build(ONE, cache=cache).from_cache == 0


TWO = [*ONE, Source("two", "two.py", b"x = 2\n")]


def test_a_damaged_pack_is_mended(tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path)
    first = build(TWO, cache=cache)
    (pack,) = entries(tmp_path)
    data = pack.read_bytes()
    places = {*range(len(data))[::7], *range(40), len(data) - 1}
    for damaged in (
        b"",
        data[:10],
        data[:-1],
        *(data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :] for at in places),
    ):
        pack.write_bytes(damaged)
        known = cache.load(pack.name)
        assert {result.pyc for result in known.values()} <= set(first.pycs.values())
    assert len(known) < 2
    again = build(TWO, cache=cache)
    assert again.pycs == first.pycs
    assert build(TWO, cache=cache).from_cache == 2


def test_what_a_run_did_not_use_goes_when_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = BytecodeCache(tmp_path)
    build(ONE, cache=cache)
    monkeypatch.setattr(BytecodeCache, "_ROOM", 10)
    build([Source("new", "new.py", b"z = 1\n")], cache=cache)
    assert build([Source("new", "new.py", b"z = 1\n")], cache=cache).from_cache == 1
    assert build(ONE, cache=cache).from_cache == 0


def test_what_may_pass_is_not_remembered(tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path)
    cache.save("pack", {"ab" * 32: zipstrap.compile._Result(None, "MemoryError", lasting=False)}, ())
    assert cache.load("pack") == {}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = BytecodeCache(tmp_path / "file" / "cache")
    assert build(ONE, cache=cache) == build(ONE)
    assert build(ONE, cache=cache).from_cache == 0


@pytest.mark.parametrize("what", ["folder", "pack"])
def test_what_others_can_change_is_not_trusted(what: str, tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path / "cache")
    build(ONE, cache=cache)
    (pack,) = entries(tmp_path)
    assert pack.stat().st_mode & 0o777 == 0o600
    (pack if what == "pack" else cache.folder).chmod(0o777)
    assert build(ONE, cache=cache).from_cache == 0
    cache.folder.chmod(0o700)
    pack.chmod(0o600)
    assert build(ONE, cache=cache).from_cache == 1


def test_a_cache_leaves_no_partial_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    cache = BytecodeCache(tmp_path)
    monkeypatch.setattr(Path, "replace", fail)
    assert build(ONE, cache=cache) == build(ONE)
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    "environ, folder",
    [
        ({"ZIPSTRAP_CACHE_DIR": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/own/home"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/own/home"}, "/xdg/zipstrap"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/own/home"}, "/own/home/.cache/zipstrap"),
        ({"ZIPSTRAP_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": "/own/home"}, "/own/home/.cache/zipstrap"),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], folder: str) -> None:
    assert default_cache_folder(environ) == Path(folder)
