"""What a tree takes of a library, by profile and by what the user adds and takes away."""

from __future__ import annotations

import dataclasses
import functools
import re

import pytest
from zipstrap.data import components, extension_halves, matches, needed_modules, profiles
from zipstrap.errors import UsageError
from zipstrap.inventory import Inventory, Kind, LibraryFile, classify
from zipstrap.profiles import (
    EXCLUDED,
    Request,
    Selection,
    absent_modules,
    parse_request,
    select,
    start_modules,
)

from .recorded import LIBRARIES, facts_of, inventory_of

each_library = pytest.mark.parametrize("name", LIBRARIES)

COMPONENTS = [component.name for component in components()]


def request_of(
    name: str, profile: str = "standard", include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> Request:
    return parse_request(profile, include, exclude, inventory_of(name))


@functools.cache
def selected(
    name: str, profile: str = "standard", include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> Selection:
    """Select as a build does, but follow no imports: what the profile starts from is all that is reached."""
    request = request_of(name, profile, include, exclude)
    start = start_modules(request, inventory_of(name))
    reached = None
    if start is not None:
        reached = frozenset(start) | {
            parent for module in start for parent in (module.rpartition(".")[0], module.partition(".")[0])
        }
    return select(inventory_of(name), facts_of(name), request, reached)


def paths(selection: Selection) -> set[str]:
    return {entry.path for entry in selection.kept}


def reasons(selection: Selection) -> dict[str, str]:
    return {item.entry.path: item.reason for item in selection.left_out}


# ---- profiles --------------------------------------------------------------------------------------------


@each_library
@pytest.mark.parametrize("profile", profiles())
def test_everything_is_kept_or_left_out_with_a_reason(name: str, profile: str) -> None:
    selection = selected(name, profile)
    everything = {entry.path for entry in inventory_of(name).entries}
    assert paths(selection) | set(reasons(selection)) == everything
    assert not paths(selection) & set(reasons(selection))
    assert all(reasons(selection).values())
    assert selection.profile == profile


@each_library
def test_full_holds_standard_and_that_minimal(name: str) -> None:
    full, standard, minimal = (paths(selected(name, each)) for each in ("full", "standard", "minimal"))
    assert full > standard > minimal
    assert full == {entry.path for entry in inventory_of(name).entries if entry.kind is not Kind.JUNK}


@each_library
def test_standard_lacks_the_tests_and_useless_halves_only(name: str) -> None:
    selection = selected(name)
    components_kept = {entry.component for entry in selection.kept}
    assert not {"test", "static"} & components_kept
    for item in selection.left_out:
        assert (
            item.entry.kind is Kind.JUNK
            or item.entry.component in ("test", "static")
            or item.reason.startswith("the Python half of ")
        ), item


@each_library
def test_minimal_takes_what_no_import_statement_names(name: str) -> None:
    kept = selected(name, "minimal").kept_modules
    known = inventory_of(name).modules()
    hidden = {"_strptime", "_pylong", "_bootlocale", "linecache", "concurrent.futures.thread"}
    hidden |= {module for module in known if module.startswith("_sysconfigdata")}
    assert hidden & set(known) <= kept
    assert set(needed_modules()) & set(known) <= kept
    assert {module for module in known if module.startswith("encodings.")} <= kept


@each_library
@pytest.mark.parametrize("profile", profiles())
def test_the_licence_is_always_taken(name: str, profile: str) -> None:
    assert "LICENSE.txt" in paths(selected(name, profile))


@each_library
@pytest.mark.parametrize("profile", profiles())
def test_no_module_without_its_package(name: str, profile: str) -> None:
    """Folders without __init__ are namespaces; where there is one, it must come along."""
    known = inventory_of(name).modules()
    kept = selected(name, profile).kept_modules
    for module in kept:
        parent = module.rpartition(".")[0]
        while parent:
            assert parent not in known or parent in kept, module
            parent = parent.rpartition(".")[0]


def test_minimal_leaves_out_what_nothing_imports() -> None:
    selection = selected("3.13", "minimal")
    assert reasons(selection)["wave.py"] == "nothing in the profile minimal imports it"
    assert reasons(selection)["tkinter/__init__.py"].startswith("component tk, ")
    assert "unittest/__init__.py" not in paths(selection)


def test_minimal_takes_what_is_reached_with_its_data() -> None:
    inventory = inventory_of("3.13")
    selection = select(inventory, facts_of("3.13"), request_of("3.13", "minimal"), frozenset({"email"}))
    assert {"email/__init__.py", "email/architecture.rst", "LICENSE.txt"} <= paths(selection)
    assert "email/message.py" not in paths(selection)


def test_data_below_a_package_follows_it() -> None:
    files = ("a/__init__.py", "a/b/c/data.txt", "d/data.txt", "top.txt")
    inventory = classify([LibraryFile(path, path, 1, 0o644) for path in files], facts_of("3.13"))
    request = Request(profiles()["minimal"])
    assert paths(select(inventory, facts_of("3.13"), request, frozenset({"a"}))) == {
        "a/__init__.py",
        "a/b/c/data.txt",
        "top.txt",
    }


# ---- halves ----------------------------------------------------------------------------------------------


def test_halves_of_what_debian_splits_off_are_left_out() -> None:
    """_tkinter, _gdbm and _dbm are in packages of their own there."""
    left = reasons(selected("3.11-debian"))
    assert left["turtle.py"] == "the Python half of _tkinter, which this interpreter lacks"
    assert left["dbm/gnu.py"] == "the Python half of _gdbm, which this interpreter lacks"
    assert "turtle.py" in paths(selected("3.11-debian", "full"))


def test_halves_of_a_complete_build_stay() -> None:
    kept = paths(selected("3.13"))
    assert {"ssl.py", "tkinter/__init__.py", "sqlite3/__init__.py", "lzma.py", "curses/panel.py"} <= kept


@pytest.mark.parametrize("extension", extension_halves())
@pytest.mark.parametrize("where", ["nowhere", "built in", "lib-dynload"])
def test_halves_go_with_their_extension_module(extension: str, where: str) -> None:
    patterns = extension_halves()[extension]
    files = [re.sub(r"\*\*", "__init__.py", pattern) for pattern in patterns]
    if where == "lib-dynload":
        files.append(f"lib-dynload/{extension}.so")
    facts = dataclasses.replace(
        facts_of("3.13"), builtin_modules=frozenset({extension} if where == "built in" else ())
    )
    inventory = classify([LibraryFile(path, path, 1, 0o644) for path in files], facts)
    others = {
        path: half
        for path in files
        for half, other in extension_halves().items()
        if half != extension and matches(path, other)
    }
    kept = paths(select(inventory, facts, Request(profiles()["standard"])))
    if where == "nowhere":
        assert kept == set()
    else:
        assert kept == set(files) - set(others)


def test_an_included_half_stays() -> None:
    assert "dbm/gnu.py" in paths(selected("3.11-debian", include=("dbm.gnu",)))


# ---- what the user adds and takes away -------------------------------------------------------------------


@each_library
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_excluded_whole(name: str, component: str) -> None:
    selection = selected(name, "full", exclude=(component,))
    assert component not in {entry.component for entry in selection.kept}


@each_library
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_that_the_profile_leaves_out_is_included_whole(name: str, component: str) -> None:
    of_it = {entry.path for entry in inventory_of(name).entries if entry.component == component}
    assert of_it <= paths(selected(name, "minimal", include=(component,)))


def test_imports_are_followed_from_what_an_included_component_holds() -> None:
    start = start_modules(request_of("3.13", "minimal", include=("tk",)), inventory_of("3.13"))
    assert start is not None
    assert {"tkinter", "tkinter.ttk", "turtle", "_tkinter"} <= set(start)


def test_imports_are_not_followed_from_what_is_excluded() -> None:
    start = start_modules(request_of("3.13", "minimal", exclude=("json",)), inventory_of("3.13"))
    assert start is not None
    assert not [name for name in start if name.startswith("json")]


@pytest.mark.parametrize("profile", ["full", "standard"])
def test_profiles_that_take_all_start_nowhere(profile: str) -> None:
    assert start_modules(request_of("3.13", profile), inventory_of("3.13")) is None


def test_a_package_is_excluded_with_its_submodules_and_data() -> None:
    selection = selected("3.13", exclude=("email",))
    left = {path for path, reason in reasons(selection).items() if reason == EXCLUDED}
    everything = {entry.path for entry in inventory_of("3.13").entries if entry.kind is not Kind.JUNK}
    assert left == {path for path in everything if path.startswith("email/")}
    assert "email/architecture.rst" in left


def test_names_are_not_prefixes() -> None:
    selection = selected("3.13", exclude=("http",))
    assert "html/__init__.py" in paths(selection)
    selection = selected("3.13", exclude=("string",))
    assert "stringprep.py" in paths(selection)


def test_an_extension_module_is_excluded() -> None:
    selection = selected("3.13", exclude=("_sqlite3",))
    assert "_sqlite3" not in selection.kept_modules
    # its half is useless now, and it is told by the imports that this breaks
    assert "sqlite3" in selection.kept_modules


@pytest.mark.parametrize(
    ("include", "exclude", "kept", "left"),
    [
        # a module of an excluded component, and the other way round
        (("turtle",), ("tk",), "turtle.py", "tkinter/ttk.py"),
        (("test",), ("test.support",), "test/test_abc.py", "test/support/__init__.py"),
        # a submodule of an excluded package, with the package that it lies in
        (("email.message",), ("email",), "email/message.py", "email/charset.py"),
        (("email.message",), ("email",), "email/__init__.py", "email/charset.py"),
        (("email",), ("email.mime",), "email/charset.py", "email/mime/text.py"),
        (("email.mime.text",), ("email.mime",), "email/mime/__init__.py", "email/mime/audio.py"),
        # a module out of a component that the profile leaves out
        (("test.support",), (), "test/support/__init__.py", "test/test_abc.py"),
        (("test.support",), (), "test/__init__.py", "test/test_abc.py"),
    ],
)
def test_the_closer_name_wins(
    include: tuple[str, ...], exclude: tuple[str, ...], kept: str, left: str
) -> None:
    selection = selected("3.13", include=include, exclude=exclude)
    assert kept in paths(selection)
    assert left in reasons(selection)


# ---- what is refused -------------------------------------------------------------------------------------


def refused(
    name: str, profile: str = "standard", include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> list[str]:
    with pytest.raises(UsageError) as caught:
        request_of(name, profile, include, exclude)
    return str(caught.value).splitlines()


@each_library
def test_what_a_start_needs_is_not_excluded(name: str) -> None:
    for module in set(needed_modules()) & set(inventory_of(name).modules()):
        assert refused(name, exclude=(module,))[0] == f"--exclude {module}: a start depends on it"


@pytest.mark.parametrize(
    "module",
    ["abc", "stat", "posixpath", "genericpath", "_collections_abc", "_sitebuiltins", "linecache", "core"],
)
def test_also_not_what_is_frozen_today(module: str) -> None:
    """With frozen modules off, it is read from the library."""
    assert refused("3.13", exclude=(module,))[0] == f"--exclude {module}: a start depends on it"


def test_what_only_holds_something_needed_names_it() -> None:
    inventory = classify(
        [LibraryFile("os/__init__.py", "", 1, 0o644), LibraryFile("encodings/utf_8.py", "", 1, 0o644)],
        facts_of("3.13"),
    )
    with pytest.raises(UsageError, match=r"--exclude encodings\.utf_8: a start depends on it"):
        parse_request("standard", (), ("encodings.utf_8",), inventory)


@pytest.mark.parametrize("module", ["encodings.idna", "runpy", "importlib.metadata", "zipfile"])
def test_what_a_start_can_do_without_may_go(module: str) -> None:
    assert module not in selected("3.13", exclude=(module,)).kept_modules


def test_every_unknown_name_is_told_at_once_with_what_was_meant() -> None:
    lines = refused("3.13", "minimum", ("tkintr", "email.mesage", "nonesuch"), ("tests", "os", "junk"))
    assert lines[:-1] == [
        "there is no profile 'minimum'; known: full, standard, minimal",
        "--include tkintr: no component or module of this library; did you mean 'tkinter'?",
        "--include email.mesage: no component or module of this library; did you mean 'email.message'?",
        "--include nonesuch: no component or module of this library",
        "--exclude tests: no component or module of this library; did you mean 'test'?",
        "--exclude junk: no component or module of this library",
        "--exclude os: a start depends on it",
    ]
    assert re.match(r"  what to do: name components \(test, idle, ", lines[-1])


def test_no_name_is_both_included_and_excluded() -> None:
    assert refused("3.13", include=("tk", "json"), exclude=("json", "tk"))[:-1] == [
        "json is both included and excluded",
        "tk is both included and excluded",
    ]


def test_a_module_of_another_version_is_unknown() -> None:
    assert "distutils" in inventory_of("3.10").modules()
    assert "no component or module" in refused("3.13", exclude=("asyncore",))[0]
    # a component is known everywhere: one command line serves all versions
    assert selected("3.13", exclude=("distutils",)).kept


def test_an_empty_library_has_only_components() -> None:
    with pytest.raises(UsageError, match="--include json"):
        parse_request("standard", ("json", "tk"), (), Inventory("/lib", ()))


# ---- what hooks say of what is left out ------------------------------------------------------------------


@each_library
@pytest.mark.parametrize("profile", profiles())
def test_each_module_that_is_left_out_is_told_itself_or_by_its_package(name: str, profile: str) -> None:
    selection = selected(name, profile)
    told = {module for names in absent_modules(selection).values() for module in names}
    assert not told & selection.kept_modules
    tests = {entry.module for entry in inventory_of(name).entries if entry.component == "test"}
    assert not told & tests
    for module in selection.left_out_modules - tests:
        parts = module.split(".")
        ups = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        assert len(told & ups) == 1, module


def test_what_is_said_has_the_reason_and_what_to_do() -> None:
    texts = {
        module: text.replace("%s", module)
        for text, names in absent_modules(selected("3.13", "minimal", exclude=("csv",))).items()
        for module in names
    }
    assert texts["wave"] == (
        "zipstrap: this tree leaves out wave, of the component core: nothing in the profile minimal imports "
        "it; build it with --include wave to have it"
    )
    assert texts["tkinter"] == (
        "zipstrap: this tree leaves out tkinter: component tk, which the profile minimal leaves out; "
        "build it with --include tkinter to have it"
    )
    assert texts["csv"].endswith(
        "of the component core: excluded by name; build it without --exclude to have it"
    )
    assert "tkinter.ttk" not in texts
    assert absent_modules(selected("3.13", "full")) == {}


def test_a_half_is_no_use_without_the_other() -> None:
    facts = dataclasses.replace(facts_of("3.13"), builtin_modules=frozenset())
    inventory = inventory_of("3.13")
    less = dataclasses.replace(
        inventory, entries=tuple(each for each in inventory.entries if each.module != "_curses")
    )
    absent = absent_modules(select(less, facts, request_of("3.13")))
    said = next(text for text, names in absent.items() if "curses" in names)
    assert said.endswith(": the Python half of _curses, which this interpreter lacks")


def test_a_portable_archive_tells_of_core_modules_alone() -> None:
    selection = selected("3.13", "minimal")
    told, portable = (
        {module for names in absent_modules(selection, portable=portable).values() for module in names}
        for portable in (False, True)
    )
    assert {"wave", "tkinter", "_sqlite3"} <= told
    assert "wave" in portable
    assert not {"tkinter", "_sqlite3"} & portable
