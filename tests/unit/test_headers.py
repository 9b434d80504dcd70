"""The C headers of an interpreter, and what a tree has of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from zipstrap.headers import find_headers, headers_folder
from zipstrap.imports import imported_by
from zipstrap.layout import generation_layout, tree_layout
from zipstrap.plan import FileKind, header_files
from zipstrap.profiles import parse_request, start_modules, takes

from .recorded import facts_of, inventory_of


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Give a prefix with headers as Debian has them."""
    for path in (
        "include/python3.13/Python.h",
        "include/python3.13/pyconfig.h",
        "include/python3.13/cpython/object.h",
        "include/python3.13/notes.txt",
        "include/x86_64-linux-gnu/python3.13/pyconfig.h",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def test_headers_are_found_with_the_own_machines(prefix: Path) -> None:
    facts = dataclasses.replace(facts_of("3.13"), prefix=str(prefix), multiarch="x86_64-linux-gnu")
    assert headers_folder(facts) == "include/python3.13"
    assert headers_folder(dataclasses.replace(facts, abiflags="t")) == "include/python3.13t"
    found = {path: source.relative_to(prefix).as_posix() for path, source in find_headers(facts).items()}
    assert found == {
        "include/python3.13/Python.h": "include/python3.13/Python.h",
        "include/python3.13/cpython/object.h": "include/python3.13/cpython/object.h",
        "include/python3.13/pyconfig.h": "include/x86_64-linux-gnu/python3.13/pyconfig.h",
    }
    other = find_headers(dataclasses.replace(facts, multiarch="aarch64-linux-gnu"))
    assert other["include/python3.13/pyconfig.h"] == prefix / "include/python3.13/pyconfig.h"
    assert find_headers(dataclasses.replace(facts, prefix=str(prefix / "none"))) == {}


def test_a_tree_gets_them_with_what_tells_of_them(prefix: Path) -> None:
    facts = dataclasses.replace(facts_of("3.13"), prefix=str(prefix), abiflags="")
    headers = {"include/python3.13/Python.h": prefix / "include/python3.13/Python.h"}
    layout = tree_layout(facts, "fast")
    libraries = ("/a/libpython3.13.so.1.0", "/a/libz.so.1", "/a/libpython3.so")
    files = {file.path: file for file in header_files(facts, layout, headers, libraries)}
    links = {path: file.link for path, file in files.items() if file.kind is FileKind.LINK}
    assert links == {
        "bin/python3-config": "python3.13-config",
        "bin/python-config": "python3.13-config",
        "lib/libpython3.13.so": "libpython3.13.so.1.0",
    }
    assert files["bin/python3.13-config"].mode == 0o755
    assert {file.component for file in files.values()} == {"dev"}
    generation = {file.path for file in header_files(facts, generation_layout(layout), headers, ())}
    assert generation == {*headers, "libexec/python3.13-config"}
    assert list(header_files(facts, layout, {}, libraries)) == []


def test_who_takes_a_component_of_which_the_library_has_nothing() -> None:
    inventory = inventory_of("3.13")
    for profile, include, exclude, expected in (
        ("standard", (), (), True),
        ("standard", (), ("dev",), False),
        ("minimal", (), (), False),
        ("minimal", ("dev",), (), True),
    ):
        assert takes(parse_request(profile, include, exclude, inventory), "dev") is expected


def test_a_profile_that_follows_imports_begins_with_those_of_hooks_too() -> None:
    inventory = inventory_of("3.13")
    request = parse_request("minimal", (), (), inventory)
    names = imported_by([b"import a.b, fcntl\nfrom os import path\ndef f():\n    import turtle\n"])
    assert names == {"a.b", "fcntl", "os", "os.path", "turtle"}
    usual, more = (start_modules(request, inventory, further) or () for further in ((), names))
    assert set(more) - set(usual) == {"fcntl", "turtle"}
    assert set(usual) <= set(more)
    excluded = parse_request("minimal", (), ("turtle",), inventory)
    assert "turtle" not in (start_modules(excluded, inventory, names) or ())
