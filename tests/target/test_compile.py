"""Bytecode compiled in real interpreters: always the same bytes, and the same code as a plain compile()."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zipstrap.compile
from zipstrap.compile import BytecodeCache, Compiled, Source, compile_sources
from zipstrap.errors import InterpreterError
from zipstrap.worker import SCHEMA, clean_environment, worker_command, worker_script

from .interpreters import Target

#: Modules with large tables, many constants, sets, much nesting, or another encoding than the rest.
NAMED = (
    "_pydecimal", "_strptime", "argparse", "ast", "asyncio/base_events", "collections/__init__",
    "dataclasses", "encodings/cp1252", "encodings/idna", "enum", "functools", "html/entities",
    "http/__init__", "inspect", "locale", "mimetypes", "opcode", "pathlib", "re",
    "sqlite3/__init__", "stringprep", "subprocess", "tarfile", "token", "tokenize", "typing",
    "zipfile",
)  # fmt: skip

SYNTHETIC = {
    "sets.py": (
        "def f(x): return x in {'b', 'a', 'c d', 1, 2.5, (3, 'e'), None, b'f'}\n"
        "for g in {'p', 'q', 'r'}: pass\n"
    ),
    "same_sets.py": "a = lambda x: x in {'1 1', '2', '3'}\nb = lambda x: x in {'3', '2', '1 1'}\n",
    "alike.py": "a = 1, 1.0, True, (1,), (1.0,), (True,), 0.0, -0.0, (0.0,), (-0.0,), '1', b'1', 1j\n",
    "nan.py": "a = 1e999 - 1e999\nb = (1e999 * 0, 1e999)\ndef f(): return 1e999 - 1e999\n",
    "strings.py": "a = 'caf\\xe9', '\\ud800', 'x' * 300, 'name', 'no name', '\\U0001f600'\nd\xe9j\xe0 = a\n",
    "tuples.py": (
        "a = (1, (2, ('x', ('y z', (None, ...)))))\n"
        "b = ('x', ('y z', (None, ...)))\n"
        f"c = {tuple(range(300))}\n"
    ),
    "functions.py": (
        "class C:\n"
        "    'A class.'\n"
        "    def outer(self, a, /, b=(1, 2), *c, d: int = 3, **e):\n"
        "        'With a docstring.'\n"
        "        def inner(): return self, a, b, __class__\n"
        "        assert a, 'gone with -O'\n"
        "        return [inner() for _ in c if _ in d], {x: y for x, y in e}, (z for z in c), lambda q=a: q\n"
        "    async def later(self):\n"
        "        async with self as other: await other\n"
    ),
    "slices.py": "x = list(range(9))\na = x[1:2], x[1:2], x[:], x['a':(1, 2)] if 0 else x[::2]\n",
    "numbers.py": f"a = {10**40}, {-10**40}, 2147483647, 2147483648, -2147483648, -2147483649\n",
    "deep_tuples.py": "a = " + "(" * 60 + "1" + ",)" * 60 + "\n",
    "deep_lambdas.py": "a = " + "lambda: " * 60 + "1\n",
    "deep_functions.py": "".join(f"{' ' * n}def f{n}():\n" for n in range(90)) + " " * 90 + "pass\n",
    "empty.py": "",
}  # fmt: skip
ENCODED = {
    "latin.py": b"# -*- coding: latin-1 -*-\na = '\xe9'\n",
    "signature.py": b"\xef\xbb\xbfa = 'caf\xc3\xa9'\n",
    "windows.py": b"# coding: cp1252\r\nif 1:\r\n    a = '\x80'\r\n",
}
BROKEN = {
    "syntax.py": (b"x = 1\ny = = 2\n", "line 2: "),
    "indent.py": (b"if 1:\nx\n", "line 2: "),
    "nul.py": (b"x = 1\n\0\n", "null"),
    "utf8.py": (b"x = 1\ny = '\xff'\n", "utf-8"),
    "encoding.py": (b"# coding: no-such-thing\n", "no-such-thing"),
    "too_deep.py": (b"x = " + b"(" * 5000 + b")" * 5000, ""),
}

#: Compares what was compiled with a plain compile(), in the target: types, signs and every attribute.
COMPARE = """\
import _imp, importlib.util, json, marshal, struct, sys
MAGIC = importlib.util.MAGIC_NUMBER
def spelled(value):
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, complex):
        return "complex", struct.pack("<dd", value.real, value.imag)
    if isinstance(value, tuple):
        return "tuple", [spelled(item) for item in value]
    if isinstance(value, frozenset):
        return "frozenset", sorted(repr(spelled(item)) for item in value)
    if isinstance(value, slice):
        return "slice", [spelled(item) for item in (value.start, value.stop, value.step)]
    if isinstance(value, type(spelled.__code__)):
        return "code", {
            name: spelled(getattr(value, name))
            for name in dir(value)
            # deprecated and made from the line table, which is compared
            if name.startswith("co_") and name != "co_lnotab" and not callable(getattr(value, name))
        }
    return type(value).__name__, value
job = json.load(open(sys.argv[1], encoding="utf-8"))
problems = []
for filename, source, pyc in job["files"]:
    source, pyc = bytes.fromhex(source), bytes.fromhex(pyc)
    header = MAGIC + b"\\1\\0\\0\\0" + importlib.util.source_hash(source)
    if pyc[:16] != header:
        problems.append(filename + ": header " + pyc[:16].hex())
    plain = compile(source, filename, "exec", dont_inherit=True, optimize=job["optimize"])
    code = marshal.loads(pyc[16:])
    if spelled(code) != spelled(plain):
        problems.append(filename + ": other code")
    for name in code.co_names + code.co_varnames:
        if name is not sys.intern(name):
            problems.append(filename + ": not interned: " + name)
    if len(pyc) - 16 > len(marshal.dumps(plain)) * 1.05 + 64:
        problems.append(filename + ": larger than the plain form")
json.dump(problems, open(sys.argv[2], "w"))
"""

#: Runs the worker as it must never be run: other hash seed, other modules loaded, other folder.
DISTURBED = """\
import sys
import decimal, email.message, json, typing, unittest.case
kept = [sys.intern(text) for text in ("c d", "y z", "no name", "one two")]
sys.argv = sys.argv[1:]
with open(sys.argv[0], encoding="utf-8") as file:
    code = compile(file.read(), sys.argv[0], "exec")
exec(code, {"__name__": "__main__"})
"""


def library(target: Target) -> Path:
    command = [str(target.executable), "-I", "-S", "-c", "import os; print(os.path.dirname(os.__file__))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment())
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def sources(target: Target) -> list[Source]:
    """Give some sixty modules of the target's library, and sources made up to be difficult.

    With ZIPSTRAP_TEST_WHOLE_LIBRARY set (``nox -s bytecode``) all modules, the tests apart.
    """
    folder = library(target)
    whole = bool(os.environ.get("ZIPSTRAP_TEST_WHOLE_LIBRARY"))
    found = (path for path in folder.glob("**/*.py" if whole else "*.py") if path.is_file())
    every = sorted(path.relative_to(folder).as_posix() for path in found)
    if whole:
        every = [
            name
            for name in every
            if not {"test", "tests", "site-packages", "dist-packages"} & {*name.split("/")}
        ]
    names = {
        *(every if whole else ()),
        *every[:: len(every) // 35],
        *(f"{name}.py" for name in NAMED if (folder / f"{name}.py").is_file()),
    }
    real = [Source(name, f"lib/{name}", (folder / name).read_bytes()) for name in sorted(names)]
    made_up = {**{name: text.encode() for name, text in SYNTHETIC.items()}, **ENCODED}
    return [
        *real,
        *(Source(f"made_up/{name}", f"lib/made_up/{name}", data) for name, data in made_up.items()),
    ]


def build(target: Target, sources: list[Source], **options: Any) -> Compiled:
    defaults = {"optimize": 0, "jobs": 1, "cache": None, "identity": target.id}
    return compile_sources(target.executable, sources, **{**defaults, **options})


@pytest.fixture(scope="module")
def compiled(target: Target, sources: list[Source]) -> Compiled:
    return build(target, sources)


def test_everything_compiles(sources: list[Source], compiled: Compiled) -> None:
    assert compiled.failures == {}
    assert list(compiled.pycs) == [source.key for source in sources]
    assert len(sources) > 60


def test_order_chunks_and_parallelism_change_nothing(
    target: Target, sources: list[Source], compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipstrap.compile, "_WORTH_A_WORKER", 1)
    again = build(target, sources[::-1], jobs=3)
    assert [key for key, pyc in again.pycs.items() if compiled.pycs[key] != pyc] == []


@pytest.mark.parametrize("seed", ["1", "77"])
def test_hash_seed_loaded_modules_and_folder_change_nothing(
    seed: str, target: Target, sources: list[Source], compiled: Compiled, tmp_path: Path
) -> None:
    shuffled = sources[1::2] + sources[::2]
    job, answer, results = tmp_path / "job", tmp_path / "answer", tmp_path / "results"
    (tmp_path / "sources").write_bytes(b"".join(source.data for source in shuffled))
    index, offset = [], 0
    for source in shuffled:
        index.append([source.filename, offset, len(source.data)])
        offset += len(source.data)
    fields = {"optimize": 0, "sources": str(tmp_path / "sources"), "results": str(results), "index": index}
    job.write_bytes(marshal.dumps({"worker": "compile_worker", "schema": SCHEMA, **fields}, 2))
    with worker_script("compile_worker") as script:
        subprocess.run(
            [target.executable, "-S", "-B", "-W", "ignore", "-c", DISTURBED, script, job, answer],
            env={**clean_environment(), "PYTHONHASHSEED": seed},
            cwd=library(target),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    data = results.read_bytes()
    rows = json.loads(answer.read_text())["index"]
    pycs = {
        source.key: data[offset : offset + length]
        for source, (offset, length) in zip(shuffled, rows, strict=True)
    }
    assert [key for key, pyc in pycs.items() if compiled.pycs[key] != pyc] == []


@pytest.mark.parametrize("optimize", [0, 2])
def test_the_code_is_that_of_a_plain_compile(
    optimize: int, target: Target, sources: list[Source], compiled: Compiled, tmp_path: Path
) -> None:
    result = compiled if optimize == 0 else build(target, sources, optimize=optimize)
    files = [[source.filename, source.data.hex(), result.pycs[source.key].hex()] for source in sources]
    job, answer = tmp_path / "job", tmp_path / "answer"
    job.write_text(json.dumps({"optimize": optimize, "files": files}))
    subprocess.run(
        [target.executable, "-I", "-S", "-B", "-W", "ignore", "-c", COMPARE, job, answer],
        env=clean_environment(),
        check=True,
    )
    assert json.loads(answer.read_text()) == []


def test_the_bytecode_runs(target: Target, tmp_path: Path) -> None:
    source = (
        b"# coding: latin-1\n"
        b"import sys\n"
        b"def same(x): return x in {'one', 'two words', (3, -0.0), None}\n"
        b"assert same('one') and same((3, 0.0)) and same(None) and not same('three')\n"
        b"print(__name__, same.__code__.co_filename, ascii('\xe9'), [1, 2, 3][1:2])\n"
    )
    result = build(target, [Source("module", "lib/module.py", source)], optimize=1)
    (tmp_path / "module.pyc").write_bytes(result.pycs["module"])
    done = subprocess.run(
        [
            target.executable,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1]); import module",
            tmp_path,
        ],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "module lib/module.py '\\xe9' [2]\n"


def test_sources_that_do_not_compile_are_told(target: Target, tmp_path: Path) -> None:
    cache = BytecodeCache(tmp_path)
    broken = [Source(name, f"lib/{name}", data) for name, (data, _) in BROKEN.items()]
    good = Source("good.py", "lib/good.py", b"x = 1\n")
    result = build(target, [*broken, good], cache=cache)
    assert list(result.pycs) == ["good.py"]
    for name, (_, part) in BROKEN.items():
        assert part in result.failures[name].lower()
        assert "\n" not in result.failures[name]
    again = build(target, [good, *broken], cache=cache)
    assert (again.pycs, again.failures) == (result.pycs, result.failures)
    assert again.from_cache >= len(broken)


def test_a_damaged_cache_is_mended(target: Target, tmp_path: Path) -> None:
    sources = [Source("a", "lib/a.py", b"a = 1\n"), Source("b", "lib/b.py", b"b = 2\n")]
    cache = BytecodeCache(tmp_path)
    first = build(target, sources, cache=cache)
    (damaged,) = (path for path in tmp_path.rglob("*") if path.is_file())
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    again = build(target, sources, cache=cache)
    assert (again.pycs, again.from_cache) == (first.pycs, 1)
    assert build(target, sources, cache=cache).from_cache == 2


def test_a_crash_is_reported(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import os, sys\nsys.stderr.write('about to crash\\n')\nsys.stderr.flush()\nos.abort()\n"
    )

    def crash(executable: Path, _: Path, job: Path, answer: Path) -> list[str]:
        return worker_command(executable, script, job, answer)

    monkeypatch.setattr(zipstrap.compile, "worker_command", crash)
    with pytest.raises(InterpreterError, match="about to crash") as caught:
        build(target, [Source("a", "lib/a.py", b"a = 1\n")])
    assert caught.value.problem.file == str(target.executable)
