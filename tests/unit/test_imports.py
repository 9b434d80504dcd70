"""What modules import: the reading of sources, the graph, and the host's prefilter against the parser."""

from __future__ import annotations

import json
import sys
import textwrap
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.imports import (
    GUARDED,
    LAZY,
    REQUIRED,
    Import,
    ImportGraph,
    ModuleSource,
    OptionalImport,
    broken_by,
    closure,
    mentions,
    optional_imports,
    scan_imports,
)
from zipstrap.worker import SCHEMA, worker_source


def _load() -> Any:
    module = types.ModuleType("import_scanner")
    exec(compile(worker_source("import_scanner"), "import_scanner.py", "exec"), module.__dict__)
    return module


scanner = _load()


def found(
    source: str, name: str = "pack.mod", *, is_package: bool = False
) -> list[tuple[str, tuple[str, ...], int, str]]:
    entries = scanner.find_imports(textwrap.dedent(source).encode(), name, is_package)
    return [(module, tuple(names), line, kind) for module, names, line, kind in entries]


def kinds(source: str) -> dict[str, str]:
    return {module: kind for module, _names, _line, kind in found(source)}


def test_plain_imports() -> None:
    assert found("import a, b.c as d; import e\nfrom f.g import h as i, j\nfrom k import *\n") == [
        ("a", (), 1, REQUIRED),
        ("b.c", (), 1, REQUIRED),
        ("e", (), 1, REQUIRED),
        ("f.g", ("h", "j"), 2, REQUIRED),
        ("k", ("*",), 3, REQUIRED),
    ]


@pytest.mark.parametrize(
    ("source", "name", "is_package", "module"),
    [
        ("from . import x", "a.b.c", False, "a.b"),
        ("from . import x", "a.b", True, "a.b"),
        ("from .y import x", "a.b.c", False, "a.b.y"),
        ("from .. import x", "a.b.c", False, "a"),
        ("from ..y.z import x", "a.b", True, "a.y.z"),
        ("from . import x", "a", True, "a"),
    ],
)
def test_relative_imports(source: str, name: str, is_package: bool, module: str) -> None:
    assert found(source, name, is_package=is_package) == [(module, ("x",), 1, REQUIRED)]


@pytest.mark.parametrize("source", ["from . import x", "from .. import x", "from ... import x"])
def test_a_relative_import_above_the_top_is_none(source: str) -> None:
    assert found(source, "top") == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("class A:\n  import x", REQUIRED),
        ("for i in y:\n  import x", REQUIRED),
        ("with y:\n  import x", REQUIRED),
        ("try:\n  pass\nfinally:\n  import x", REQUIRED),
        ("try:\n  import x\nfinally:\n  pass", REQUIRED),
        ("try:\n  import x\nexcept OSError:\n  pass", REQUIRED),
        ("try:\n  pass\nexcept OSError:\n  pass\nelse:\n  import x", REQUIRED),
        ("try:\n  import x\nexcept ImportError:\n  pass", GUARDED),
        ("try:\n  import x\nexcept (OSError, ModuleNotFoundError):\n  pass", GUARDED),
        ("try:\n  import x\nexcept Exception as e:\n  pass", GUARDED),
        ("try:\n  import x\nexcept builtins.ImportError:\n  pass", GUARDED),
        ("try:\n  import x\nexcept:\n  pass", GUARDED),
        ("try:\n  pass\nexcept ImportError:\n  import x", GUARDED),
        ("try:\n  pass\nexcept OSError:\n  import x", GUARDED),
        ("try:\n  pass\nexcept ImportError:\n  pass\nelse:\n  import x", GUARDED),
        ("try:\n  import x\nexcept* ImportError:\n  pass", GUARDED),
        ("with contextlib.suppress(ImportError):\n  import x", GUARDED),
        ("with contextlib.suppress(KeyError):\n  import x", REQUIRED),
        ("if sys.platform == 'win32':\n  import x", GUARDED),
        ("if y:\n  pass\nelif z:\n  import x", GUARDED),
        ("if y:\n  pass\nelse:\n  import x", GUARDED),
        ("if TYPE_CHECKING:\n  import x", GUARDED),
        ("match y:\n  case 1:\n    import x", GUARDED),
        ("class A:\n  if y:\n    import x", GUARDED),
        ("def f():\n  import x", LAZY),
        ("async def f():\n  if y:\n    import x", LAZY),
        ("class A:\n  def f(self):\n    class B:\n      import x", LAZY),
        ("if y:\n  def f():\n    try:\n      import x\n    except ImportError:\n      pass", LAZY),
        ("if __name__ == '__main__':\n  import x", LAZY),
        ("if '__main__' == __name__:\n  import x", LAZY),
        ("if __name__ != '__main__':\n  import x", GUARDED),
        ("if __name__ == '__main__':\n  pass\nelse:\n  import x", GUARDED),
    ],
)
def test_kinds(source: str, kind: str) -> None:
    assert kinds(source) == {"x": kind}


@pytest.mark.parametrize(
    ("source", "module", "names"),
    [
        ("importlib.import_module('x.y')", "x.y", ()),
        ("a = [import_module(name='x') for b in c]", "x", ()),
        ("import_module('x' 'y')", "xy", ()),
        ("import_module('.x', __package__)", "pack.x", ()),
        ("import_module('..x', package='a.b')", "a.x", ()),
        ("def f(a=__import__('x.y').y): pass", "x.y", ()),
        ("__import__('x', fromlist=['y', z])", "x", ("y",)),
        ("__import__('x', globals(), locals(), ('y',), 1)", "pack.x", ("y",)),
        ("__import__('', globals(), locals(), ['y'], level=1)", "pack", ("y",)),
    ],
)
def test_calls_with_a_literal_are_lazy(source: str, module: str, names: tuple[str, ...]) -> None:
    assert found(source) == [(module, names, 1, LAZY)]


@pytest.mark.parametrize(
    "source",
    ["import_module(x)", "import_module('x' + y)", "import_module('.x', y)", "import_module('.x')", "f('x')"],
)
def test_computed_calls_are_not_seen(source: str) -> None:
    assert found(source) == []


def test_lazy_modules_mean_nothing_before_3_15(monkeypatch: pytest.MonkeyPatch) -> None:
    source = """\
        __lazy_modules__ = ["a", "b"]
        __lazy_modules__ += ["c"]
        import a
        from b import x
        if y:
            import c
        import d
        try:
            import a.b, a
        finally:
            pass
        """
    monkeypatch.setattr(scanner, "HAS_LAZY_MODULES", False)
    assert [entry[3] for entry in found(source)] == [REQUIRED, REQUIRED, GUARDED, *[REQUIRED] * 3]
    monkeypatch.setattr(scanner, "HAS_LAZY_MODULES", True)
    # as 3.15.2 does it: a from-import asks for the module it names, and in a try nothing is lazy
    assert [entry[3] for entry in found(source)] == [*[GUARDED] * 3, *[REQUIRED] * 3]


def library(folder: Path, sources: dict[str, str]) -> dict[str, ModuleSource]:
    """Write *sources* ("a/__init__.py": text) and return them as modules."""
    modules = {}
    for place, text in sources.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        parts = Path(place).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        modules[".".join(parts[:-1] if is_package else parts)] = ModuleSource(path, is_package)
    return modules


SMALL = {
    "start.py": "import sys\nfrom pack import one, attribute\nimport far.away.module\n",
    "pack/__init__.py": "",
    "pack/one.py": "from . import two\ndef f():\n    import later\n",
    "pack/two.py": "try:\n    import guarded\nexcept ImportError:\n    pass\n",
    "pack/three.py": "",
    "far/__init__.py": "import near\n",
    "far/away/__init__.py": "",
    "far/away/module.py": "",
    "near.py": "",
    "later.py": "",
    "guarded.py": "import broken\n",
    "broken.py": "this is no Python\n",
}


def test_only_what_is_reached_is_parsed(tmp_path: Path) -> None:
    graph = scan_imports(Path(sys.executable), library(tmp_path, SMALL), ["start"], closure=True)
    assert graph.parsed == {
        *("start", "pack", "pack.one", "pack.two"),
        *("far", "far.away", "far.away.module", "near"),
    }
    assert graph.unparsed == {}
    assert closure(graph, ["start"]) == graph.parsed | {"sys"}
    assert Import("start", "pack.one", 2, REQUIRED) in graph.imports
    assert "pack.attribute" not in {entry.module for entry in graph.imports}


def test_guarded_imports_can_be_followed(tmp_path: Path) -> None:
    graph = scan_imports(
        Path(sys.executable), library(tmp_path, SMALL), ["pack.two"], closure=True, follow=[REQUIRED, GUARDED]
    )
    assert graph.parsed == {"pack", "pack.two", "guarded"}
    assert list(graph.unparsed) == ["broken"]
    assert graph.unparsed["broken"].startswith("SyntaxError")
    assert closure(graph, ["pack.two"]) == {"pack", "pack.two"}
    assert closure(graph, ["pack.two"], kinds=[REQUIRED, GUARDED]) == {
        "pack",
        "pack.two",
        "guarded",
        "broken",
    }


def test_without_closure_exactly_the_start_is_parsed(tmp_path: Path) -> None:
    modules = library(tmp_path, SMALL) | {"gone": ModuleSource(tmp_path / "gone.py", is_package=False)}
    start = ["start", "pack.one", "gone", "sys"]
    graph = scan_imports(Path(sys.executable), modules, start, closure=False)
    assert graph.parsed == {"start", "pack.one"}
    assert graph.unparsed["gone"].startswith("FileNotFoundError")


def test_a_null_byte_is_a_reason() -> None:
    with pytest.raises((SyntaxError, ValueError)):
        scanner.find_imports(b"import a\0", "m", False)


def test_the_worker_answers_by_the_protocol(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "m.py"
    source.write_text("import x\n'\\d'\n", encoding="utf-8")  # the escape would warn
    job, answer = tmp_path / "job.json", tmp_path / "answer.json"
    job.write_text(json.dumps({"modules": {"m": [str(source), False]}, "start": ["m"], "closure": True}))
    scanner.main([str(job), str(answer)])
    assert json.loads(answer.read_text()) == {
        "worker": "import_scanner",
        "schema": SCHEMA,
        "modules": {"m": [["x", [], 1, REQUIRED]]},
        "unparsed": {},
    }
    assert capfd.readouterr() == ("", "")


def graph_of(*imports: Import) -> ImportGraph:
    return ImportGraph(imports, frozenset(entry.importer for entry in imports), {})


def test_closure_takes_parents_and_survives_cycles() -> None:
    graph = graph_of(
        Import("a", "b.c", 1, REQUIRED), Import("b", "a", 1, REQUIRED), Import("b", "late", 2, LAZY)
    )
    assert closure(graph, ["a"]) == {"a", "b", "b.c"}
    assert closure(graph, ["b.c"]) == {"a", "b", "b.c"}
    assert closure(graph, []) == frozenset()


def test_broken_by_sorts_required_first() -> None:
    lazy, guarded = Import("a", "gone", 1, LAZY), Import("b", "gone", 2, GUARDED)
    inside, early, late = (
        Import("z", "gone.inside", 3, REQUIRED),
        Import("c", "gone", 2, REQUIRED),
        Import("c", "gone", 10, REQUIRED),
    )
    elsewhere, unkept = Import("a", "gone_not", 1, REQUIRED), Import("gone.inside", "gone", 1, REQUIRED)
    graph = graph_of(lazy, guarded, inside, late, early, elsewhere, unkept)
    kept = frozenset({"a", "b", "c", "z", "gone_not"})
    assert broken_by(graph, kept, frozenset({"gone"})) == (early, late, inside, guarded, lazy)
    assert broken_by(graph, kept, frozenset()) == ()


@pytest.mark.parametrize(
    "source",
    [
        "import test",
        "import a, b, test.support as c",
        "import a, \\\n  test",
        "import\\\r\n test",
        "x = 1;import test",
        "from test import x",
        "from\ttest.y import(x)",
        "from a import test",
        "from . import (b,  # :)\n  test)",
        "from .test import x",
        "from ..test.y import *",
        "from . \\\n import \\\n (b,\n test)",
        "lazy import test",
        "'import ('; from a import (b, # )\n test)",
        "import_module('test')",
        "importlib.import_module(\n  'test.support',\n)",
        "(import_module)('test')",
        "import_module('te' 'st')",
        "import_module('t\\x65st')",
        "import_module('.x', 'test')",
        "import_module(name='test')",
        "import_module(  # why\n 'test')",
        "import_module\\\n('test')",
        "__import__(r'test')",
        "__import__('''test''')",
        "__import__('a', fromlist=['test'])",
        "import ｔｅｓｔ",
        "# coding: latin-1\nimport tª, test  # \xe9",
    ],
)
def test_mentions(source: str) -> None:
    assert mentions(source.encode("latin-1" if "latin-1" in source else "utf-8"), ["a.test", "other"])


@pytest.mark.parametrize(
    "source",
    [
        "",
        "test = 1",
        "import tests, attest\nfrom a import test_b",
        "import a\ntest()",
        "from a import (b,\n c)\ntest()",
        "import a \\\n\ntest",
        "import_module('tests')\ntest",
        "import_module(name)\ntest",
        "def import_module(name, package=None): test",
        "importlib.import_module = test",
        "from importlib import import_module\n'test'",
        "# \xe9\ntest",
    ],
)
def test_does_not_mention(source: str) -> None:
    assert not mentions(source.encode(), ["test"])


def test_what_cannot_be_decoded_may_mention_anything() -> None:
    assert mentions(b"# coding: nonsense\n", ["test"])
    assert mentions(b"\xff\xfe", ["test"])
    assert not mentions(b"import test", [])


# Sources for the property: true statements in odd dress, between text that only looks like imports.
NAMES = ("test", "tests", "a", "b", "pack", "other")
gap = st.sampled_from([" ", "  ", "\t", " \\\n", "\\\n  ", " \\\r\n "])
inner = st.sampled_from(["", " ", "\n", "  # :)\n", "\r\n\t", " # import ('\n", '# "(\n'])
single = st.sampled_from(NAMES)
dotted = st.lists(single, min_size=1, max_size=3).map(".".join)
bound = st.tuples(single, st.sampled_from(["", " as c"])).map("".join)
module_list = st.lists(st.tuples(dotted, st.sampled_from(["", " as c"])).map("".join), min_size=1, max_size=3)
origin = st.tuples(st.sampled_from(["", ".", "..", ". .", "..."]), dotted | st.just("")).map("".join)


@st.composite
def plain_import(draw: st.DrawFn) -> str:
    return "import" + draw(gap) + ("," + draw(gap)).join(draw(module_list))


@st.composite
def from_import(draw: st.DrawFn) -> str:
    base = draw(origin.filter(bool))
    names = draw(st.lists(bound, min_size=1, max_size=3))
    head = "from" + draw(gap) + base + draw(gap) + "import"
    if draw(st.booleans()):
        return head + draw(gap) + ("," + draw(gap)).join(names)
    body = ",".join(draw(inner) + name + draw(inner) for name in names)
    return (
        head + draw(st.sampled_from(["", " ", "\\\n"])) + "(" + body + draw(st.sampled_from(["", ","])) + ")"
    )


@st.composite
def literal_text(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(["", "", ".", ".."])) + draw(dotted)
    cut = draw(st.integers(0, len(text)))
    return draw(
        st.sampled_from(
            [
                repr(text),
                f"r{text!r}",
                f'"""{text}"""',
                f"{text[:cut]!r} {text[cut:]!r}",
                f"({text!r})",
                "'" + "".join(f"\\x{ord(letter):02x}" for letter in text) + "'",
            ]
        )
    )


@st.composite
def import_call(draw: st.DrawFn) -> str:
    function = draw(
        st.sampled_from(["import_module", "importlib.import_module", "__import__", "(import_module)"])
    )
    more = draw(
        st.sampled_from(
            [
                "",
                ",",
                ", __package__",
                ", 'test'",
                ", package='a.test'",
                ", fromlist=['test']",
                ", {}, {}, ['b'], 1",
            ]
        )
    )
    name = draw(st.sampled_from(["", "name="]))
    if name and not more.startswith((", package=", ", fromlist=")):
        more = ""
    opening = draw(st.sampled_from(["(", " (", "(\n", "( # )\n"]))
    return function + opening + name + draw(literal_text()) + more + ")"


decoy = st.sampled_from(
    [
        *("x = 1", "'import ('", "x = 'from ( #'", "# import (", "'''import (\n # '''", "test()"),
        *(
            "x = '#)'",
            "y = {'a': (1,\n 2)}",
            "raise x from y",
            "'import \\\\'",
            "def f(): yield from (1,\n2)",
        ),
        *("import_module", "import_module(name)", "é = 1", "x = 'import_module(\"'"),
    ]
)
statement = plain_import() | from_import() | import_call() | decoy
line = st.lists(statement, min_size=1, max_size=3).map("; ".join)


@st.composite
def program(draw: st.DrawFn) -> str:
    text = ""
    for _ in range(draw(st.integers(1, 5))):
        opening = draw(st.sampled_from(["", "", "if x: ", "class A: ", "try: pass\nfinally: "]))
        text += opening + draw(line) + draw(st.sampled_from(["\n", "  # (\n", "\r\n", ";\n"]))
    return text


def covers(names: Sequence[str], modules: Iterable[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for module in modules for name in names)


@given(
    program(),
    st.lists(dotted, min_size=1, max_size=2),
    st.tuples(st.lists(single, min_size=1, max_size=3).map(".".join), st.booleans()),
)
def test_mentions_misses_nothing_that_the_parser_finds(
    source: str, names: list[str], importer: tuple[str, bool]
) -> None:
    data = source.encode()
    name, is_package = importer
    try:
        entries = scanner.find_imports(data, name, is_package)
    except SyntaxError:
        return  # two decoys on a line can make nonsense
    imported = {base for base, *_ in entries}
    imported |= {f"{base}.{member}" for base, members, *_ in entries for member in members}
    outside = [each for each in names if not covers([each], [name])]
    if covers(outside, imported):
        assert mentions(data, outside)


def test_what_is_optional_is_told_by_package_with_what_it_needs() -> None:
    broken = [
        Import("kept", "big.part", 3, LAZY),
        Import("kept.other", "big", 9, GUARDED),
        Import("kept", "small", 4, LAZY),
        Import("kept", "absent", 5, LAZY),
    ]
    graph = ImportGraph(
        (
            Import("big", "helper", 1, REQUIRED),
            Import("big", "kept", 2, REQUIRED),
            Import("big", "x", 3, LAZY),
        ),
        frozenset({"big"}),
        {},
    )
    sizes = {"big": 10, "big.part": 5, "helper": 1, "kept": 100, "small": 2, "x": 50}
    big, small = optional_imports(broken, graph, frozenset({"kept"}), sizes)
    assert big == OptionalImport("big", GUARDED, ("kept", "kept.other"), ("big", "big.part", "helper"), 16)
    assert small == OptionalImport("small", LAZY, ("kept",), ("small",), 2)
