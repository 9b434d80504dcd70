"""The audit: what the scanner finds in small sources, and what is said of it."""

from __future__ import annotations

import json
import sys
import textwrap
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from zipstrap.audit import (
    Audit,
    AuditEntry,
    Finding,
    FoundPattern,
    Use,
    Verdict,
    audit,
    audit_entries,
    code_rules,
    is_code,
    judge_code,
    judge_library,
    scan_uses,
)
from zipstrap.audit_report import audit_to_json, audit_to_text
from zipstrap.data import split_rules
from zipstrap.errors import FileError, UsageError
from zipstrap.interpreter import NEWEST, OLDEST
from zipstrap.plan import disk_reason
from zipstrap.worker import SCHEMA, UNSUPPORTED_STATUS, worker_source

from .recorded import DATA, LIBRARIES, facts_of, inventory_of

KEYS: dict[str, list[str]] = json.loads((DATA / "zip_unsafe_keys.json").read_text(encoding="utf-8"))


def _load() -> Any:
    module = types.ModuleType("path_scanner")
    exec(compile(worker_source("path_scanner"), "path_scanner.py", "exec"), module.__dict__)
    return module


scanner = _load()


def found(source: str, **options: Any) -> list[tuple[int, str, str, str]]:
    """Return (line, scope, kind, origin) of what is found in *source*."""
    entries, _ = scanner.find_uses(textwrap.dedent(source).encode(), "pack.mod", **options)
    return [(line, scope, kind, origin) for line, scope, kind, origin, _text, _main in entries]


def done(source: str, **options: Any) -> list[tuple[int, str, str]]:
    """Return (line, kind, origin) of what is done with a path in *source*."""
    return [(line, kind, origin) for line, _scope, kind, origin in found(source, **options) if origin]


# ---- the scanner: uses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("print(__file__)", "__file__"),
        ("x = __path__[0]", "__path__"),
        ("import os; x = os.__file__", "module file"),
        ("x = getattr(m, '__file__', None)", "module file"),
        ("x = globals()['__file__']", "module file"),
        ("x = g.get('__file__')", "module file"),
        ("x = m.__path__", "__path__"),
        ("x = m.__cached__", "__cached__"),
        ("x = __spec__.origin", "origin"),
        ("x = m.__spec__.origin", "origin"),
        ("import inspect; x = inspect.getsourcefile(f)", "source file"),
        ("from inspect import getfile as g; x = g(f)", "source file"),
        ("import sys; x = sys._stdlib_dir", "library path"),
        ("import sysconfig; x = sysconfig.get_path('stdlib')", "library path"),
        ("import sysconfig as s; x = s.get_makefile_filename()", "library path"),
        ("import os, sys; x = os.path.join(sys.prefix, 'lib')", "prefix"),
        ("import linecache; linecache.getline(f, 1)", "linecache"),
        ("import linecache; linecache.getlines(f)", "linecache"),
        ("ok = frame.f_code.co_filename == f", "co_filename"),
        ("name = code.co_filename\nok = name.startswith('x')", "co_filename"),
        ("ok = isinstance(loader, machinery.SourceFileLoader)", "loader"),
        ("import zipimport; x = zipimport._zip_directory_cache", "zipimport"),
        ("from zipimport import _zip_directory_cache", "zipimport"),
        ("import imp; imp.find_module('x')", "imp"),
        ("import pkg_resources", "pkg_resources"),
        ("from pkg_resources import resource_filename", "pkg_resources"),
        ("import ctypes; ctypes.CDLL('./lib/x.so')", "ctypes"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-m', 'x'])", "runs python"),
    ],
)
def test_a_use_is_found(source: str, kind: str) -> None:
    assert kind in [each[2] for each in found(source)]


@pytest.mark.parametrize(
    "source",
    [
        '"""About __file__, os.__file__ and open(__file__)."""',
        "# open(__file__)",
        "x = '__file__'",
        "m.__file__ = 'x'",
        "hasattr(m, '__path__')",
        "x = request.origin",
        "import sys; print(sys.prefix)",
        "import sysconfig; sysconfig.get_path('purelib')",
        "import linecache; linecache.getline(f, 1, g)",
        "import linecache; linecache.getlines(f, module_globals=g)",
        "import ctypes; ctypes.CDLL('libc.so.6')",
        "import ctypes; ctypes.CDLL('/usr/lib/libc.so.6')",
        "import sys; sys.path.insert(0, 'x')",
        "import sys; sys.path = old = sys.path[:]",
        "open('data.txt').read()",
    ],
)
def test_nothing_is_found(source: str) -> None:
    assert found(source) == []


# ---- the scanner: what becomes of a path -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("open(p)", "opens"),
        ("os.listdir(p)", "lists"),
        ("os.walk(p)", "lists"),
        ("glob.glob(p)", "lists"),
        ("os.path.isfile(p)", "checks"),
        ("os.path.isdir(p)", "checks"),
        ("os.stat(p)", "checks"),
        ("shutil.copytree(p, 'x')", "opens"),
        ("tokenize.open(p)", "opens"),
        ("subprocess.run(['sh', p])", "runs"),
        ("subprocess.Popen([sys.executable, p])", "runs"),
        ("importlib.machinery.SourceFileLoader('x', p)", "loads"),
        ("importlib.util.spec_from_file_location('x', p)", "loads"),
        ("runpy.run_path(p)", "loads"),
        ("ctypes.CDLL(p)", "loads"),
        ("sys.path.insert(0, p)", "path entry"),
        ("pathlib.Path(p).read_text()", "opens"),
        ("(pathlib.Path(p) / 'x').open()", "opens"),
        ("pathlib.Path(p).iterdir()", "lists"),
        ("pathlib.Path(p).exists()", "checks"),
        ("tkinter.PhotoImage(file=p)", "opens"),
        ("config.read([p])", "opens"),
    ],
)
def test_what_is_done_with_a_path(call: str, kind: str) -> None:
    source = (
        "import os, sys, glob, shutil, tokenize, subprocess, importlib, runpy, ctypes, pathlib, tkinter\n"
        f"p = os.path.join(os.path.dirname(__file__), 'x')\n{call}\n"
    )
    assert (3, kind, "__file__") in done(source)


@pytest.mark.parametrize(
    "source",
    [
        "HERE = dirname(__file__)\ndef f():\n    open(join(HERE, 'x'))",
        "def here():\n    return dirname(__file__)\nopen(here() + 'x')",
        "class A:\n    def g(self):\n        self.p = __file__\n    def f(self):\n        open(self.p)",
        "class A:\n    p = __file__\n    def f(self):\n        open(self.p)",
        "def f(p):\n    open(p)\nf(__file__)",
        "def f(*, p):\n    open(p)\nf(p=__file__)",
        "def f(p=__file__):\n    open(p)",
        "class A:\n    def f(self, p):\n        open(p)\n    def g(self):\n        self.f(__file__)",
        "class A:\n    def here(self):\n        return __file__\n    def f(self):\n        open(self.here())",
        "for p in [__file__]:\n    open(p)",
        "[open(p) for p in (__file__,)]",
        "a, b = split(__file__)\nopen(a)",
        "open(f'{__file__}.txt')",
        "open((p := __file__))",
        "x = __file__ if y else None\nopen(x)",
        "with open(__file__) as f:\n    pass",
        "def f():\n    async def g():\n        open(__file__)",
        "try:\n    pass\nexcept OSError:\n    open(__file__)",
    ],
)
def test_a_path_is_followed(source: str) -> None:
    assert [(kind, origin) for _line, kind, origin in done(source)] == [("opens", "__file__")]


@pytest.mark.parametrize(
    "source",
    [
        "text = open(__file__).read()\nlist(text)\nos.path.exists(text)",
        "n = len(__file__)\nopen(n)",
        "def f():\n    p = __file__\ndef g(p):\n    open(p)",
        "class A:\n    p = __file__\n    def f(self):\n        open(p)",
    ],
)
def test_what_is_no_path_is_not_followed(source: str) -> None:
    assert [kind for _line, kind, _origin in done(source)] in ([], ["opens"])
    assert not [line for line, _kind, _origin in done(source) if line > 1]


def test_the_entries_of_the_search_path_are_followed() -> None:
    assert done("import os, sys\nfor p in sys.path:\n    os.listdir(p)") == [(3, "lists", "sys.path")]


def test_scopes_and_main() -> None:
    source = """\
    class A:
        def f(self):
            return __file__
    if __name__ == "__main__":
        open(__file__)
    """
    entries, _ = scanner.find_uses(textwrap.dedent(source).encode())
    assert [(line, scope, in_main) for line, scope, _kind, _origin, _text, in_main in entries] == [
        (3, "A.f", False),
        (5, "", True),
        (5, "", True),
    ]
    assert entries[0][4] == "return __file__"


def test_pkg_resources_in_a_try_is_optional() -> None:
    source = "try:\n    import pkg_resources\nexcept ImportError:\n    pass"
    assert found(source) == [(2, "", "pkg_resources", "optional")]


def test_a_path_that_another_module_imports(tmp_path: Path) -> None:
    sources = {
        "pack/__init__.py": "HERE = dirname(__file__)\ndef at(n):\n    return HERE + n\n",
        "pack/a.py": "from . import HERE as H\nopen(H)\n",
        "pack/b.py": "import pack\nopen(pack.HERE)\n",
        "pack/c.py": "from pack import at\nopen(at('x'))\n",
        "pack/d.py": "HERE = 1\nopen(HERE)\n",
    }
    uses = scan(tmp_path, sources)
    opened = [(use.path, use.line, use.origin) for use in uses if use.kind == "opens"]
    assert opened == [
        ("pack/a.py", 2, "__file__"),
        ("pack/b.py", 2, "__file__"),
        ("pack/c.py", 2, "__file__"),
    ]


def scan(folder: Path, sources: dict[str, str]) -> tuple[Use, ...]:
    files = []
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        files.append((name, str(path), module, path.name == "__init__.py"))
    return scan_uses(Path(sys.executable), files)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    uses = scan(tmp_path, {"bad.py": "open(__file__\n", "good.py": "print(__file__)\n"})
    assert [(use.path, use.kind) for use in uses] == [("bad.py", "unreadable"), ("good.py", "__file__")]
    assert "SyntaxError" in uses[0].text


def test_the_worker_refuses_an_interpreter_that_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tmp_path / "answer"
    monkeypatch.setattr(scanner.sys, "version_info", (3, 7, 1))
    assert scanner.main(["no such job", str(answer)]) == UNSUPPORTED_STATUS
    assert json.loads(answer.read_text()) == {
        "worker": "path_scanner",
        "schema": SCHEMA,
        "unsupported": "cpython 3.7",
    }


# ---- the table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", audit_entries(), ids=lambda entry: entry.name)
def test_an_entry_says_all_that_people_need(entry: AuditEntry) -> None:
    assert entry.verdict in (Verdict.ON_DISK, Verdict.IMPORTER, Verdict.FALSE_ALARM, Verdict.NOT_EQUAL)
    assert entry.about
    assert entry.why
    assert entry.since <= NEWEST
    assert entry.until >= OLDEST
    # a difference that remains comes with what to do; what is on disk names it
    assert entry.remedy or entry.verdict is not Verdict.NOT_EQUAL
    assert entry.files or entry.verdict is not Verdict.ON_DISK
    kinds = {kind for pattern in entry.found for kind in pattern.kinds}
    assert kinds <= ALL_KINDS


USES = {
    "__file__", "module file", "__cached__", "__path__", "origin", "source file", "library path", "prefix",
}  # fmt: skip
DONE = {"opens", "lists", "checks", "runs", "loads", "path entry"}
OTHERS = {"ctypes", "runs python", "co_filename", "linecache", "loader", "zipimport", "imp", "pkg_resources"}
ALL_KINDS = USES | DONE | OTHERS


@pytest.mark.parametrize("kind", sorted(ALL_KINDS | {"extension", "unreadable"}))
@pytest.mark.parametrize("origin", ["", *sorted(USES - {"prefix"}), "prefix", "sys.path", "co_filename"])
def test_there_is_a_rule_for_every_use_in_people_s_code(kind: str, origin: str) -> None:
    (finding,) = judge_code([Use("a.py", "a", 1, "", kind, origin if kind in DONE else "")])
    assert finding.verdict in (Verdict.BREAKS, Verdict.LOOK, Verdict.WORKS)
    assert finding.why
    assert finding.remedy or finding.verdict is Verdict.WORKS


def test_every_rule_for_code_decides_something() -> None:
    deciding = set()
    for kind in ALL_KINDS | {"extension", "unreadable"}:
        for origin in ("", *USES, "sys.path"):
            rule = next(r for r in code_rules() if kind in r.kinds and (not r.origins or origin in r.origins))
            deciding.add(code_rules().index(rule))
    assert deciding == set(range(len(code_rules())))


@pytest.mark.parametrize("version", KEYS)
def test_every_known_difference_has_an_entry(version: str) -> None:
    major, minor = map(int, version.split("."))
    named = {entry.name for entry in audit_entries() if entry.since <= (major, minor) <= entry.until}
    assert set(KEYS[version]) - named == set()
    assert len(KEYS[version]) > 30


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_table_and_the_split_agree(name: str) -> None:
    """What an entry has on disk is there by split.json, and nothing of the library is new without sources."""
    facts = facts_of(name)
    paths = {entry.path for entry in inventory_of(name).entries if entry.kind != "junk"}
    _, named, _, _ = judge_library([], facts.feature_version, paths)
    assert [each.name for each in named if each.verdict is Verdict.NEW] == []
    on_disk = [each.name for each in named if each.verdict is Verdict.ON_DISK]
    assert {"lib-dynload, site-packages/dist-packages, config-*", "test"} <= set(on_disk)


def test_every_reason_of_the_split_has_an_entry() -> None:
    """An entry with the verdict on disk names files that the rule is about."""
    disk = [entry for entry in audit_entries() if entry.verdict is Verdict.ON_DISK]
    for rule in split_rules():
        names = {pattern.partition("/")[0].partition("*")[0].removesuffix(".py") for pattern in rule.paths}
        assert any(
            path.partition("/")[0].partition("*")[0].removesuffix(".py") in names
            for entry in disk
            for path in entry.files
        ), rule.reason


# ---- the judgement ---------------------------------------------------------------------------------------

LIBRARY = ("venv/__init__.py", "venv/scripts/common/activate", "json/__init__.py", "pydoc.py", "linecache.py")


def judged(use: Use, library: tuple[str, ...] = LIBRARY, version: tuple[int, int] = (3, 13)) -> Finding:
    findings, _, _, _ = judge_library([use], version, library)
    return findings[0]


def test_what_the_table_does_not_know_is_new() -> None:
    finding = judged(Use("json/__init__.py", "json", 7, "load", "opens", "__file__"))
    assert finding.verdict is Verdict.NEW
    assert "audit.json" in finding.remedy


def test_what_lies_on_disk_is_told_with_the_reason_of_the_split() -> None:
    finding = judged(Use("venv/__init__.py", "venv", 7, "EnvBuilder.install_scripts", "lists", "__file__"))
    assert (finding.verdict, finding.entry) == (Verdict.ON_DISK, "venv")
    assert finding.why == disk_reason("venv/__init__.py", (3, 13))


def test_a_use_beside_those_that_are_known_is_on_disk_too() -> None:
    finding = judged(Use("venv/__init__.py", "venv", 7, "something_new", "opens", "__file__"))
    assert (finding.verdict, finding.entry) == (Verdict.ON_DISK, "")


def test_what_the_importer_makes_equal() -> None:
    finding = judged(Use("linecache.py", "linecache", 7, "updatecache", "opens", "module file"))
    assert (finding.verdict, finding.entry) == (Verdict.IMPORTER, "linecache")


def test_another_kind_of_use_in_a_known_place_is_new() -> None:
    finding = judged(Use("linecache.py", "linecache", 7, "updatecache", "loads", "module file"))
    assert finding.verdict is Verdict.NEW


def test_a_source_that_the_interpreter_cannot_read_is_new() -> None:
    assert judged(Use("venv/__init__.py", "venv", 1, "", "unreadable")).verdict is Verdict.NEW


def test_an_entry_without_its_files_is_absent() -> None:
    _, named, _, _ = judge_library([], (3, 13), LIBRARY)
    verdicts = {each.name: each.verdict for each in named}
    assert verdicts["EXTERNALLY-MANAGED"] is Verdict.ABSENT
    assert verdicts["-O/-OO"] is Verdict.IMPORTER
    assert "zipimport:threads" not in verdicts  # from 3.10 on


def test_an_entry_that_the_sources_no_longer_show_is_stale() -> None:
    _, _, stale, _ = judge_library([], (3, 13), LIBRARY)
    assert "linecache" in stale
    _, _, stale, _ = judge_library(
        [Use("linecache.py", "linecache", 7, "updatecache", "opens", "module file")], (3, 13), LIBRARY
    )
    assert "linecache" not in stale


def test_what_is_on_disk_for_nothing_is_told() -> None:
    use = Use("venv/__init__.py", "venv", 7, "EnvBuilder.install_scripts", "lists", "__file__")
    reasons = {rule.paths[0]: rule.reason for rule in split_rules()}
    _, _, _, needless = judge_library([], (3, 13), (*LIBRARY, "turtledemo/rosette.py"))
    assert reasons["turtledemo/**"] in needless
    _, _, _, needless = judge_library([use], (3, 13), LIBRARY)
    assert reasons["venv/**"] not in needless


def test_the_split_losing_a_file_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipstrap.audit.disk_reason", lambda *_: None)
    _, named, _, _ = judge_library([], (3, 13), ("test/__init__.py", "json/__init__.py"))
    (lost,) = [each for each in named if each.verdict is Verdict.NEW]
    assert lost.name == "test"
    assert "split.json" in lost.why


def test_of_the_grammars_only_texts_need_the_disk() -> None:
    use = Use("lib2to3/pygram.py", "lib2to3.pygram", 7, "", "__file__")
    texts = ("lib2to3/pygram.py", "lib2to3/Grammar.txt")
    assert judged(use, texts, (3, 11)).verdict is Verdict.ON_DISK
    pickles = (*texts, "lib2to3/Grammar3.11.7.final.0.pickle")
    assert judged(use, pickles, (3, 11)).verdict is Verdict.FALSE_ALARM


def test_code_under_main_is_for_people_to_look_at() -> None:
    use = Use("a.py", "a", 3, "", "opens", "__file__")
    assert judge_code([use])[0].verdict is Verdict.BREAKS
    (finding,) = judge_code([replace(use, in_main=True)])
    assert finding.verdict is Verdict.LOOK
    assert "by its path" in finding.why


def test_a_pattern_fits_by_module_scope_and_kind() -> None:
    pattern = FoundPattern(("a.*",), ("f", "g.*"), frozenset({"opens"}))
    use = Use("a/b.py", "a.b", 1, "f", "opens")
    assert pattern.fits(use)
    assert pattern.fits(replace(use, scope="g.h"))
    assert not pattern.fits(replace(use, scope="h"))
    assert not pattern.fits(replace(use, module="b"))
    assert not pattern.fits(replace(use, kind="lists"))


# ---- people's own code -----------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "pack"
    (root / "sub" / "__pycache__").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "__init__.py").write_text("from pathlib import Path\nHERE = Path(__file__).parent\n")
    (root / "sub" / "__init__.py").write_text("from .. import HERE\ntext = (HERE / 'x.txt').read_text()\n")
    (root / "sub" / "_fast.cpython-313-x86_64-linux-gnu.so").touch()
    (root / "sub" / "__pycache__" / "x.py").write_text("open(__file__)")
    (root / ".git" / "x.py").write_text("open(__file__)")
    return root


def audited(path: Path) -> Audit:
    """Audit *path* with the interpreter of the tests; of its facts only the executable is asked for."""
    return audit(path, python=replace(facts_of("3.13"), executable=sys.executable))


def test_a_package_of_one_s_own(package: Path) -> None:
    result = audited(package)
    breaking = [
        (each.use.path, each.use.line, each.use.kind)
        for each in result.findings
        if each.verdict is Verdict.BREAKS
    ]
    assert breaking == [
        ("sub/__init__.py", 2, "opens"),
        ("sub/_fast.cpython-313-x86_64-linux-gnu.so", 1, "extension"),
    ]
    assert not result.passed
    assert result.read == 2


def test_a_single_module(tmp_path: Path) -> None:
    path = tmp_path / "mod.py"
    path.write_text("import json\n")
    assert audited(path).passed
    path.write_text("import os\nos.listdir(os.path.dirname(__file__))\n")
    assert not audited(path).passed


def test_a_path_may_be_relative(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(package.parent)
    absolute, relative = audited(package), audited(Path("pack"))
    assert relative.findings == absolute.findings
    monkeypatch.chdir(package)
    assert audited(Path()).findings == absolute.findings


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none", None, "no folder and no module"),
        ("a.whl", "", "archive"),
        ("a.txt", "", "no folder and no module"),
        ("folder/a.txt", "", "no Python code"),
    ],
)
def test_what_cannot_be_audited(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with pytest.raises(FileError, match=words):
        audited(path.parent if "/" in name else path)


def test_code_needs_an_interpreter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--python"):
        audit(tmp_path)


@pytest.mark.parametrize(
    ("what", "code"), [("3.13", False), ("3.13t", False), ("a.py", True), ("a.whl", True), ("python3", False)]
)
def test_code_and_interpreters_are_told_apart(what: str, code: bool) -> None:
    assert is_code(what) is code


def test_a_folder_is_code_but_a_version_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "3.13").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not is_code("3.13")
    assert is_code("./3.13")
    assert is_code(str(tmp_path))


# ---- the reports -----------------------------------------------------------------------------------------


def test_the_report_of_code(package: Path) -> None:
    result = audited(package)
    text = audit_to_text(result)
    assert "sub/__init__.py:2: opens a file, by __file__: text = (HERE / 'x.txt').read_text()" in text
    assert "importlib.resources" in text
    assert text.endswith("2 uses would not work from an archive\n")
    values = audit_to_json(result)
    assert values["schema_version"] == 1
    assert (values["what"], values["passed"]) == ("code", False)
    assert {"path", "line", "scope", "kind", "origin", "text", "in_main", "verdict", "why", "remedy"} <= set(
        values["findings"][0]
    )
    json.dumps(values)


def library_audit(*uses: Use) -> Audit:
    findings, named, stale, needless = judge_library(uses, (3, 13), LIBRARY)
    return Audit(
        "CPython 3.13.0",
        "/x/lib",
        is_library=True,
        read=3,
        findings=findings,
        entries=named,
        stale=stale,
        needless=needless,
        unread=2,
    )


def test_the_report_of_a_library() -> None:
    use = Use("linecache.py", "linecache", 100, "updatecache", "opens", "module file", "open(fullname)")
    result = library_audit(use)
    assert result.passed
    text = audit_to_text(result)
    assert "in linecache.py:100" in text
    assert "nothing new" in text
    assert "known, but not in this library" in text
    assert "linecache.py:100: open(fullname)" in audit_to_text(result, verbose=True)


def test_the_report_of_something_new() -> None:
    use = Use("json/__init__.py", "json", 7, "load", "opens", "__file__", "open(__file__)")
    result = library_audit(use)
    assert not result.passed
    text = audit_to_text(result)
    assert "json/__init__.py:7 in load: opens a file, by __file__: open(__file__)" in text
    assert "1 new finding: somebody has to look" in text
