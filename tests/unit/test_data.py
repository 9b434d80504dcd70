"""The data beside the code: readable, without contradiction, and of use."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from zipstrap import data
from zipstrap.data import (
    boot_modules,
    components,
    extension_halves,
    import_order,
    matches,
    needed_modules,
    profiles,
    split_rules,
)
from zipstrap.interpreter import NEWEST, OLDEST

from .recorded import DATA, LIBRARIES, facts_of, inventory_of

FILES = sorted(
    path.name for path in resources.files("zipstrap.data").iterdir() if path.name.endswith(".json")
)


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_is(name: str) -> None:
    values = json.loads(resources.files("zipstrap.data").joinpath(name).read_text(encoding="utf-8"))
    assert isinstance(values.get("comment"), str)


@pytest.mark.parametrize(
    ("path", "pattern", "matched"),
    [
        ("os.py", "os.py", True),
        ("osxpy", "os.py", False),
        ("test/a/b.py", "test/**", True),
        ("test", "test/**", False),
        ("a/test/b.py", "*/test/**", True),
        ("a/b/test/c.py", "*/test/**", False),
        ("lib-dynload/_testcapi", "lib-dynload/_test*", True),
        ("lib-dynload/_test/x", "lib-dynload/_test*", False),
        ("config-3.13-x86/Makefile", "config-*/**", True),
        ("encodings.idna", "encodings.*", True),
        ("encodings", "encodings.*", False),
        ("a\nb", "*", True),
        ("os.py/x", "os.py", False),
        ("test/a\nb", "test/**", True),
        ("", "*", True),
        ("a|b", "a", False),
    ],
)
def test_patterns(path: str, pattern: str, matched: bool) -> None:
    assert matches(path, ("nothing", pattern)) is matched
    assert not matches(path, ())


def test_components_have_names_of_their_own() -> None:
    names = [component.name for component in components()]
    assert len(set(names)) == len(names)
    assert not {"core", "junk", "hooks"} & set(names)
    assert all(component.about and component.patterns for component in components())


@pytest.mark.parametrize("component", components(), ids=lambda component: component.name)
def test_every_pattern_of_a_component_finds_something(component: data.Component) -> None:
    paths = {
        f"lib-dynload/{entry.module}" if entry.path.startswith("lib-dynload/") else entry.path
        for name in LIBRARIES
        for entry in inventory_of(name).entries
    }
    for pattern in component.patterns:
        assert any(matches(path, (pattern,)) for path in paths), pattern


#: extension modules with halves that no recorded library has
WINDOWS = {"_msi"}


@pytest.mark.parametrize("extension", extension_halves())
def test_every_half_is_there_somewhere(extension: str) -> None:
    paths = {entry.path for name in LIBRARIES for entry in inventory_of(name).entries}
    for pattern in extension_halves()[extension]:
        found = any(matches(path, (pattern,)) for path in paths)
        assert found != (extension in WINDOWS), pattern


def test_profiles_name_components() -> None:
    names = {component.name for component in components()}
    for profile in profiles().values():
        assert profile.without <= names
        assert profile.about
    assert {"full", "standard", "minimal"} <= set(profiles())


@pytest.mark.parametrize("profile", [each for each in profiles().values() if each.start])
def test_every_start_module_is_known_to_some_version(profile: data.ProfileData) -> None:
    known = {module for name in LIBRARIES for module in inventory_of(name).modules()}
    for name in LIBRARIES:
        known |= facts_of(name).builtin_modules | facts_of(name).frozen_modules
    assert profile.start is not None
    unknown = [
        pattern for pattern in profile.start if not any(matches(module, (pattern,)) for module in known)
    ]
    assert unknown == []
    assert len(set(profile.start)) == len(profile.start)


def test_split_rules_are_for_versions_that_are_supported() -> None:
    for rule in split_rules():
        assert rule.paths
        assert rule.since <= NEWEST
        assert rule.until >= OLDEST


def test_what_a_start_needs_is_among_what_it_may_read() -> None:
    assert set(needed_modules()) <= set(boot_modules())
    assert all(name.replace(".", "").isidentifier() for name in needed_modules())


#: those of a tree; a foreign one ran the hooks of another installation
RECORDED_STARTS = [path for path in sorted((DATA / "boots").glob("*.json")) if "foreign" not in path.stem]


@pytest.mark.parametrize("path", RECORDED_STARTS, ids=lambda path: path.stem)
def test_recorded_starts_read_nothing_else(path: Path) -> None:
    """What they took from an archive or a folder, hooks of ours included."""
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    read = {
        module["spec_name"]
        for module in modules
        if any(name.endswith(("zipimporter", "SourceFileLoader")) for name in module["loader"])
    }
    assert {name for name in read if not matches(name, boot_modules())} <= {"__main__"}
    assert {"encodings", "encodings.aliases", "encodings.utf_8"} <= read


def test_what_a_start_needs_is_there_in_some_version() -> None:
    for module in needed_modules():
        assert any(module in inventory_of(name).modules() for name in LIBRARIES), module


@pytest.mark.parametrize("minor", range(OLDEST[1], NEWEST[1] + 1))
def test_each_version_has_an_order_of_imports(minor: int) -> None:
    values = json.loads(resources.files("zipstrap.data").joinpath("import_order.json").read_text("utf-8"))
    assert f"3.{minor}" in values["modules"]  # or the newest would stand in for it
    order = import_order((3, minor))
    assert list(order.values()) == list(range(len(order)))
    # a module is read before what it imports, and public ones in the order of their names
    assert order["json"] < order["json.decoder"] < order["json.scanner"]
    assert order["argparse"] < order["base64"] < order["calendar"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_the_order_of_imports_names_is_there(name: str) -> None:
    order = import_order(facts_of(name).feature_version)
    missing = order.keys() - inventory_of(name).modules().keys()
    # which Debian has in a package of its own
    assert [module for module in missing if module.partition(".")[0] != "tkinter"] == []


def test_an_unknown_version_has_the_newest_order_of_imports() -> None:
    assert import_order((3, NEWEST[1] + 1)) == import_order(NEWEST)
