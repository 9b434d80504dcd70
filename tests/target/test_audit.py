"""The audit of each interpreter's own library: everything is known, and what is new is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import lru_cache
from pathlib import Path

import pytest
from zipstrap.audit import Audit, Verdict, audit
from zipstrap.interpreter import Facts, probe

from .interpreters import Target

KEYS: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "unit/data/zip_unsafe_keys.json").read_text(encoding="utf-8")
)


@lru_cache
def facts_of(target: Target) -> Facts:
    return probe(target.executable)


@lru_cache
def audit_of(target: Target) -> Audit:
    return audit(facts_of(target))


def test_nothing_is_new(target: Target) -> None:
    result = audit_of(target)
    new = [
        f"{each.use.path}:{each.use.line} {each.use.text}" for each in result.findings if is_new(each.verdict)
    ]
    assert new == []
    assert [f"{each.name}: {each.why}" for each in result.entries if is_new(each.verdict)] == []
    assert result.passed
    # the scanner did read the library, and found what is in every one
    assert result.read > 400
    found = {(each.use.module, each.use.kind) for each in result.findings}
    assert {("inspect", "module file"), ("turtle", "__file__"), ("linecache", "opens")} <= found


def is_new(verdict: Verdict) -> bool:
    return verdict is Verdict.NEW


def test_every_known_difference_is_named(target: Target) -> None:
    """Each with a verdict, and a false alarm with the reason why it is one."""
    named = {each.name: each for each in audit_of(target).entries}
    assert [key for key in KEYS["{}.{}".format(*target.version)] if key not in named] == []
    assert all(each.about and each.why for each in named.values())


def test_no_entry_is_stale(target: Target) -> None:
    assert audit_of(target).stale == ()


@pytest.fixture
def seeded(target: Target, tmp_path: Path) -> tuple[Facts, Path]:
    """Give the facts of an interpreter whose library is a copy of a part, and that copy."""
    facts = facts_of(target)
    library = tmp_path / "library"
    for name in ("encodings", "json"):
        shutil.copytree(
            Path(facts.library) / name, library / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(Path(facts.library) / "linecache.py", library)
    return dataclasses.replace(facts, library=str(library)), library


def test_a_copy_of_the_library_holds_nothing_new(seeded: tuple[Facts, Path]) -> None:
    facts, _ = seeded
    assert audit(facts).passed


def test_a_new_use_is_told_with_file_and_line(seeded: tuple[Facts, Path]) -> None:
    facts, library = seeded
    path = library / "json/tool.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    seed = [
        "import os as _os",
        "def _colours():",
        "    with open(_os.path.join(_os.path.dirname(__file__), 'colours.json')) as file:",
        "        return file.read()",
    ]
    path.write_text("\n".join([*lines, *seed]) + "\n", encoding="utf-8")
    result = audit(facts)
    assert not result.passed
    new = [each.use for each in result.findings if each.verdict is Verdict.NEW]
    line = len(lines) + 3
    assert {(use.path, use.line, use.scope, use.kind) for use in new} == {
        ("json/tool.py", line, "_colours", "__file__"),
        ("json/tool.py", line, "_colours", "opens"),
    }
    assert new[0].text == seed[2].strip()


def test_syntax_that_only_the_target_knows_is_read(seeded: tuple[Facts, Path], target: Target) -> None:
    """The target reads its own library: what is new in its grammar does not hide a use."""
    facts, library = seeded
    source = "match = __file__\n"
    if target.version >= (3, 10):
        source = "match x:\n    case 1:\n        open(__file__)\n"
    if target.version >= (3, 11):
        source = "try:\n    pass\nexcept* OSError:\n    open(__file__)\n"
    if target.version >= (3, 12):
        source = "def f[T](x: T) -> T:\n    return open(f'{__file__!r:{'>'}9}')\n"
    if target.version >= (3, 14):
        source = "x = t'{open(__file__)}'\n"
    (library / "brand_new.py").write_text(source, encoding="utf-8")
    uses = [each.use for each in audit(facts).findings if each.use.path == "brand_new.py"]
    assert ("opens" if target.version >= (3, 10) else "__file__") in {use.kind for use in uses}
