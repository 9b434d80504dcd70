"""The import scanner in every interpreter, on its own library."""

from __future__ import annotations

import json
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from zipstrap.imports import GUARDED, REQUIRED, ModuleSource, closure, mentions, scan_imports
from zipstrap.worker import WORKER_FLAGS, clean_environment

from .interpreters import Target, lack

EVERYDAY = ["json", "argparse", "subprocess"]


@lru_cache
def library(target: Target) -> dict[str, ModuleSource]:
    """Return the modules of the target's library that have sources, `test` left out."""
    code = "import os, json; print(json.dumps(os.path.dirname(os.__file__)))"
    done = subprocess.run(
        [target.executable, *WORKER_FLAGS, "-c", code],
        capture_output=True,
        env=clean_environment(),
        check=True,
    )
    root = Path(json.loads(done.stdout))
    modules = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] == "test" or not all(part.isidentifier() for part in parts) or not path.exists():
            continue  # site-packages and lib-dynload are no identifiers; Debian has dangling links
        is_package = parts[-1] == "__init__"
        modules[".".join(parts[:-1] if is_package else parts)] = ModuleSource(path, is_package)
    return modules


def test_closure_of_everyday_modules(target: Target) -> None:
    graph = scan_imports(target.executable, library(target), EVERYDAY, closure=True)
    assert graph.unparsed == {}
    reached = closure(graph, EVERYDAY)
    assert {*EVERYDAY, "json.decoder", "re", "signal", "threading", "os", "sys", "abc"} <= reached
    # what is reached and has a source is what was parsed
    assert graph.parsed == reached & library(target).keys()
    assert not {"test", "tkinter", "idlelib", "unittest"} & reached


def test_the_closure_is_what_the_interpreter_loads(target: Target) -> None:
    """Importing the modules for real loads every required module, and none that no import accounts for."""
    modules = library(target)
    graph = scan_imports(target.executable, modules, EVERYDAY, closure=True, follow=[REQUIRED, GUARDED])
    code = (
        "import sys; before = set(sys.modules)\n"
        f"import {', '.join(EVERYDAY)}\n"
        "import json; print(json.dumps([sorted(sys.modules), sorted(before)]))"
    )
    done = subprocess.run(
        [target.executable, *WORKER_FLAGS, "-c", code],
        capture_output=True,
        env=clean_environment(),
        check=True,
    )
    loaded, before = map(set, json.loads(done.stdout))
    assert closure(graph, EVERYDAY) & modules.keys() <= loaded
    assert (loaded - before) & modules.keys() <= closure(graph, EVERYDAY, kinds=[REQUIRED, GUARDED])


def test_subprocess_needs_its_guarded_imports(target: Target) -> None:
    """Under `if _mswindows` stands what subprocess cannot do without: required imports are not all."""
    graph = scan_imports(
        target.executable, library(target), ["subprocess"], closure=True, follow=[REQUIRED, GUARDED]
    )
    assert "selectors" not in closure(graph, ["subprocess"])
    assert "selectors" in closure(graph, ["subprocess"], kinds=[REQUIRED, GUARDED])


@pytest.mark.parametrize("place", [0, -1], ids=["oldest", "newest"])
def test_the_whole_library_parses(
    place: int, interpreters: list[Target], request: pytest.FixtureRequest
) -> None:
    if not interpreters:
        lack(request.config, "no interpreter here; name one in ZIPSTRAP_TEST_PYTHONS")
    target = interpreters[place]
    modules = library(target)
    graph = scan_imports(target.executable, modules, sorted(modules), closure=False)
    # Python 2 sources on purpose
    assert {name for name in graph.unparsed if not name.startswith("lib2to3.tests.data.")} == set()
    assert graph.parsed | graph.unparsed.keys() == modules.keys()
    importers = {entry.importer for entry in graph.imports if entry.module.partition(".")[0] == "test"}
    assert "multiprocessing.util" in importers
    mentioned = {name for name, source in modules.items() if mentions(source.path.read_bytes(), ["test"])}
    assert importers <= mentioned
    assert len(mentioned) < len(modules) / 4


def test_lazy_imports_of_3_15(target: Target, tmp_path: Path) -> None:
    sources = {
        "statement": "lazy import a\nlazy from b import c\nimport d\n",
        "listed": "__lazy_modules__ = ['a', 'b']\nimport a\nfrom b import c\nimport d\n",
    }
    modules = {}
    for name, text in sources.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        modules[name] = ModuleSource(path, is_package=False)
    graph = scan_imports(target.executable, modules, list(sources), closure=False)
    found = {
        name: {entry.module: entry.kind for entry in graph.imports if entry.importer == name}
        for name in sources
    }
    lazy = {"a": GUARDED, "b": GUARDED, "d": REQUIRED}
    if target.version >= (3, 15):
        assert (found, graph.unparsed) == ({"statement": lazy, "listed": lazy}, {})
    else:
        assert found == {"statement": {}, "listed": dict.fromkeys("abd", REQUIRED)}
        assert graph.unparsed.keys() == {"statement"}


def test_nothing_is_left_beside_the_sources(target: Target, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("import json\n'\\d'\n", encoding="utf-8")
    modules = {"m": ModuleSource(tmp_path / "m.py", is_package=False)}
    assert scan_imports(target.executable, modules, ["m"], closure=True).parsed == {"m"}
    assert list(tmp_path.iterdir()) == [tmp_path / "m.py"]
