"""What a conversion moves, and its journal."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from zipstrap.conversion import (
    Conversion,
    Folder,
    Move,
    NewArchive,
    State,
    conversion_from_json,
    conversion_to_json,
    moves_of,
    store_of,
)
from zipstrap.errors import FileError

TAG = "cpython-313"

TREE = {
    "": ["__pycache__", "json", "ast.py", "os.py", "venv", "empty"],
    "__pycache__": [f"ast.{TAG}.pyc", f"ast.{TAG}.opt-1.pyc", "ast.cpython-312.pyc", f"mine.{TAG}.pyc"],
    "json": ["__init__.py", "tool.py", "__pycache__"],
    "json/__pycache__": [f"__init__.{TAG}.pyc", f"tool.{TAG}.opt-2.pyc"],
    "venv": ["__init__.py", "scripts", "__pycache__"],
    "venv/__pycache__": [f"__init__.{TAG}.pyc"],
    "venv/scripts": ["activate"],
    "empty": [],
}

MODULES = {"ast.py", "os.py", "json/__init__.py", "json/tool.py", "venv/__init__.py"}


def test_a_folder_goes_as_one_if_all_of_it_goes() -> None:
    moved, changed = moves_of(TREE, MODULES - {"os.py"}, MODULES, TAG)
    assert moved == (
        f"__pycache__/ast.{TAG}.opt-1.pyc",
        f"__pycache__/ast.{TAG}.pyc",
        "ast.py",
        "json",
        "venv/__init__.py",
        "venv/__pycache__",
    )
    assert changed == ("", "__pycache__", "venv")


def test_bytecode_goes_without_its_sources() -> None:
    moved, changed = moves_of(TREE, (), {"json/__init__.py", "json/tool.py"}, TAG)
    assert moved == ("json/__pycache__",)
    assert changed == ("json",)


def test_bytecode_of_another_module_keeps_its_folder() -> None:
    moved, _ = moves_of(TREE, (), {"json/tool.py"}, TAG)
    assert moved == (f"json/__pycache__/tool.{TAG}.opt-2.pyc",)


def test_nothing_goes_where_nothing_is_packed() -> None:
    assert moves_of(TREE, (), (), TAG) == ((), ())


CONVERSION = Conversion(
    made_by="zipstrap 1",
    state=State.CONVERTED,
    target="CPython 3.13.0",
    executable="bin/python3.13",
    layout="fast",
    source="disk",
    archives=(NewArchive("python313-library.zip", 7, "ab"), NewArchive("python313.zip", 8, "cd")),
    moves=(Move("python3.13/json", "python3.13%2Fjson"),),
    folders=(Folder("", 0o755, 1, ("python3.13",)), Folder("python3.13", 0o755, 2, ("json",))),
)


def test_the_journal_is_read_as_it_was_written() -> None:
    assert conversion_from_json(conversion_to_json(CONVERSION), "journal") == CONVERSION


def test_the_store_has_the_name_of_the_archive() -> None:
    assert store_of("python313t.zip") == "python313t-original"


@pytest.mark.parametrize(
    "changed",
    [
        {"executable": "/bin/python3.13"},
        {"executable": "bin/../../python"},
        {"archives": (NewArchive("../python313.zip", 7, "ab"),)},
        {"archives": (NewArchive("a/python313.zip", 7, "ab"),)},
        {"moves": (Move("../x", "x"),)},
        {"moves": (Move("x", "../x"),)},
        {"moves": (Move("x", "a/x"),)},
        {"moves": (Move("x\0", "x"),)},
        {"folders": (Folder("..", 0, 0, ()),)},
    ],
)
def test_a_journal_does_not_lead_out(changed: dict[str, object]) -> None:
    data = conversion_to_json(dataclasses.replace(CONVERSION, **changed))
    with pytest.raises(FileError, match="is no journal"):
        conversion_from_json(data, Path("journal"))


@pytest.mark.parametrize("change", ["schema_version", "state", "archives", "moves"])
def test_a_journal_of_another_kind_is_refused(change: str) -> None:
    values = json.loads(conversion_to_json(CONVERSION))
    values[change] = "other"
    with pytest.raises(FileError, match="is no journal"):
        conversion_from_json(json.dumps(values).encode(), "journal")
    del values[change]
    with pytest.raises(FileError, match="is no journal"):
        conversion_from_json(json.dumps(values).encode(), "journal")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_journal_is_refused(data: bytes) -> None:
    with pytest.raises(FileError, match="is no journal"):
        conversion_from_json(data, "journal")
