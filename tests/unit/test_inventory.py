"""What a library holds: recorded ones whole, odd files one by one, and folders on disk."""

from __future__ import annotations

import dataclasses
import errno
import keyword
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.data import components
from zipstrap.errors import FileError, InterpreterError
from zipstrap.interpreter import Facts
from zipstrap.inventory import Entry, Inventory, Kind, LibraryFile, classify, scan_library, take_inventory
from zipstrap.manifest import MANIFEST_NAME

from .recorded import DATA, LIBRARIES, facts_of, inventory_of, library_of, library_text

each_library = pytest.mark.parametrize("name", LIBRARIES)

NAMES = {"core", "junk", *(component.name for component in components())}


def entry_of(path: str, *, facts: str = "3.13", **changes: Any) -> Entry:
    file = dataclasses.replace(LibraryFile(path, f"/somewhere/{path}", 100, 0o644), **changes)
    (entry,) = classify([file], facts_of(facts)).entries
    return entry


def by_path(name: str) -> dict[str, Entry]:
    return {entry.path: entry for entry in inventory_of(name).entries}


# ---- whole libraries -------------------------------------------------------------------------------------


@each_library
def test_records_are_in_the_form_that_is_documented(name: str) -> None:
    text = (DATA / "libraries" / f"{name}.json").read_text(encoding="utf-8")
    assert library_text(library_of(name)) == text


@each_library
def test_each_file_is_classified_once(name: str) -> None:
    inventory = inventory_of(name)
    assert [entry.path for entry in inventory.entries] == [file.path for file in library_of(name)]
    assert len({entry.path for entry in inventory.entries}) == len(inventory.entries)
    assert {entry.component for entry in inventory.entries} <= NAMES


@each_library
def test_modules_have_names_that_can_be_imported(name: str) -> None:
    for entry in inventory_of(name).entries:
        assert (entry.module is not None) == (entry.kind in (Kind.MODULE, Kind.PACKAGE, Kind.EXTENSION))
        for part in (entry.module or "").split(".") if entry.module else ():
            assert part.isidentifier() or part.startswith("_sysconfigdata_"), entry
            assert not keyword.iskeyword(part) or entry.component == "test", entry


@each_library
def test_modules_are_found_by_name(name: str) -> None:
    known = inventory_of(name).modules()
    wanted = {"abc", "asyncio", "email.message", "encodings.utf_8", "importlib.resources", "json", "os"}
    assert wanted <= set(known)
    assert known["json"].kind is Kind.PACKAGE
    assert known["email.message"].path == "email/message.py"


@each_library
def test_the_counts_are_those_of_a_library(name: str) -> None:
    counts = Counter(entry.kind for entry in inventory_of(name).entries)
    assert counts[Kind.MODULE] > 500
    assert counts[Kind.PACKAGE] > 40
    assert counts[Kind.EXTENSION] > 40
    assert counts[Kind.DATA] > 20


@each_library
def test_junk_is_bytecode_and_dangling_links_only(name: str) -> None:
    for entry in inventory_of(name).entries:
        assert (entry.kind is Kind.JUNK) == (entry.component == "junk")
        if entry.kind is Kind.JUNK:
            assert re.search(r"bytecode|which is not there", entry.note), entry


@each_library
def test_tests_are_in_their_component(name: str) -> None:
    for entry in inventory_of(name).entries:
        inside = any(part in ("test", "tests", "idle_test") for part in entry.path.split("/")[:-1])
        test_extension = entry.kind is Kind.EXTENSION and re.match(
            r"_test|_ctypes_test|_xxtestfuzz|xx", entry.module or ""
        )
        if entry.kind is not Kind.JUNK:
            assert (entry.component == "test") == bool(inside or test_extension), entry


@each_library
def test_components_do_not_split_a_package_with_its_data(name: str) -> None:
    """Of one folder without subfolders, everything has one component; lib-dynload and the top are mixed."""
    found: dict[str, set[str]] = {}
    for entry in inventory_of(name).entries:
        folder = entry.path.rpartition("/")[0]
        # the static libpython is not needed by what is beside it
        apart = folder in ("", "lib-dynload") or entry.component == "static"
        if not apart and entry.kind is not Kind.JUNK:
            found.setdefault(folder, set()).add(entry.component)
    assert {folder: names for folder, names in found.items() if len(names) > 1} == {}


@each_library
def test_the_sysconfig_data_is_a_module(name: str) -> None:
    found = [entry for entry in inventory_of(name).entries if entry.path.startswith("_sysconfigdata_")]
    assert found
    for entry in found:
        assert entry.kind is Kind.MODULE
        assert entry.module == entry.path.removesuffix(".py")


@each_library
def test_extension_modules_lose_their_suffix(name: str) -> None:
    for entry in inventory_of(name).entries:
        if entry.kind is Kind.EXTENSION:
            assert entry.path.startswith("lib-dynload/")
            assert entry.module is not None
            assert entry.module.isidentifier()


@each_library
def test_config_folders_are_data_for_developers(name: str) -> None:
    found = [entry for entry in inventory_of(name).entries if entry.path.startswith("config-")]
    assert found
    archives = {entry.path for entry in found if entry.path.endswith(".a")}
    assert {entry.path for entry in found if entry.component == "static"} == archives
    assert {entry.component for entry in found if entry.path not in archives} == {"dev"}
    assert {entry.kind for entry in found} <= {Kind.DATA, Kind.MODULE}
    # python-config.py is the one module-like file there, and its folder is no identifier
    assert {entry.module for entry in found} == {None}


@pytest.mark.parametrize(
    ("name", "path", "kind", "module", "component"),
    [
        ("3.8", "__phello__.foo.py", Kind.DATA, None, "core"),
        ("3.8", "lib2to3/Grammar.txt", Kind.DATA, None, "lib2to3"),
        ("3.8", "lib2to3/tests/data/py3_test_grammar.py", Kind.MODULE, None, "test"),
        ("3.8", "distutils/command/wininst-6.0.exe", Kind.DATA, None, "distutils"),
        ("3.8", "test/bad_coding.py", Kind.MODULE, "test.bad_coding", "test"),
        ("3.8", "ctypes/test/__init__.py", Kind.PACKAGE, "ctypes.test", "test"),
        ("3.10", "lib-dynload/_tkinter.cpython-310-x86_64-linux-gnu.so", Kind.EXTENSION, "_tkinter", "tk"),
        ("3.13", "LICENSE.txt", Kind.DATA, None, "core"),
        ("3.13", "turtle.py", Kind.MODULE, "turtle", "tk"),
        ("3.13", "idlelib/idle_test/__init__.py", Kind.PACKAGE, "idlelib.idle_test", "test"),
        ("3.13", "idlelib/idle.pyw", Kind.DATA, None, "idle"),
        ("3.13", "pydoc.py", Kind.MODULE, "pydoc", "pydoc"),
        ("3.13", "pydoc_data/_pydoc.css", Kind.DATA, None, "pydoc"),
        ("3.13", "email/architecture.rst", Kind.DATA, None, "core"),
        ("3.13", "xml/etree/ElementTree.py", Kind.MODULE, "xml.etree.ElementTree", "core"),
        ("3.13", "ensurepip/_bundled/pip-24.2-py3-none-any.whl", Kind.DATA, None, "venv"),
        ("3.13", "__pycache__/os.cpython-313.pyc", Kind.JUNK, None, "junk"),
        ("3.11-debian", "EXTERNALLY-MANAGED", Kind.DATA, None, "core"),
        ("3.11-debian", "sitecustomize.py", Kind.MODULE, "sitecustomize", "core"),
        ("3.14-debian", "sitecustomize.py", Kind.JUNK, None, "junk"),
        ("3.14-debian", "_distutils_system_mod.py", Kind.MODULE, "_distutils_system_mod", "distutils"),
        ("3.14-debian", "_sysconfig_vars__linux_x86_64-linux-gnu.json", Kind.DATA, None, "core"),
        ("3.14-debian", "config-3.14-x86_64-linux-gnu/libpython3.14.so", Kind.DATA, None, "dev"),
        ("3.15-debian", "profiling/sampling/_heatmap_assets/heatmap.js", Kind.DATA, None, "core"),
    ],
)
def test_known_files(name: str, path: str, kind: Kind, module: str | None, component: str) -> None:
    entry = by_path(name)[path]
    assert (entry.kind, entry.component) == (kind, component)
    if kind is not Kind.MODULE or module is not None:
        assert entry.module == module


def test_links_are_told_by_where_they_lead() -> None:
    debian = by_path("3.11-debian")
    inside = debian["_sysconfigdata__linux_x86_64-linux-gnu.py"]
    assert (inside.kind, inside.note) == (Kind.MODULE, "a link to _sysconfigdata__x86_64-linux-gnu.py")
    outside = debian["sitecustomize.py"]
    assert (outside.kind, outside.note) == (Kind.MODULE, "a link to /etc/python3.11/sitecustomize.py")
    dangling = by_path("3.15-debian")["sitecustomize.py"]
    assert dangling.note == "a link to /etc/python3.15/sitecustomize.py, which is not there"


# ---- odd files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "os.pyc", "os.pyo", "json/__pycache__/decoder.cpython-313.opt-1.pyc", "__pycache__/notes.txt",
        "os.py~",
        "os.py.orig", "os.py.rej", ".os.py.swp", "os.py.bak", ".DS_Store", "json/.DS_Store", "Thumbs.db",
    ],
)  # fmt: skip
def test_junk(path: str) -> None:
    entry = entry_of(path)
    assert (entry.kind, entry.component, entry.module) == (Kind.JUNK, "junk", None)
    assert entry.note


@pytest.mark.parametrize(
    "path",
    [
        "__phello__.foo.py", "json/two-words.py", "not-a-package/module.py", "json/a.b.py", "__init__.py.txt",
        "config-3.13-x86_64-linux-gnu/python-config.py", "_sysconfigdata.x.py", "json/_speedups.so", "1.py",
    ],
)  # fmt: skip
def test_what_no_import_can_name_is_data(path: str) -> None:
    assert (entry_of(path).kind, entry_of(path).module) == (Kind.DATA, None)


def test_an_init_at_the_top_is_no_package() -> None:
    assert entry_of("__init__.py").kind is Kind.MODULE


@pytest.mark.parametrize(
    ("facts", "path", "module"),
    [
        ("3.13", "lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", "_ssl"),
        ("3.13", "lib-dynload/_ssl.abi3.so", "_ssl"),
        ("3.13", "lib-dynload/_ssl.so", "_ssl"),
        ("3.13", "_ssl.so", "_ssl"),
        ("3.13t", "lib-dynload/_ssl.cpython-313t-x86_64-linux-gnu.so", "_ssl"),
        ("3.14d", "lib-dynload/_ssl.cpython-314d-x86_64-linux-gnu.so", "_ssl"),
        ("3.14-debian", "lib-dynload/_dbm.abi3-x86_64-linux-gnu.so", "_dbm"),
        ("macos-framework", "lib-dynload/_ssl.cpython-313-darwin.so", "_ssl"),
        ("windows", "lib-dynload/_ssl.pyd", "_ssl"),
    ],
)
def test_extension_modules(facts: str, path: str, module: str) -> None:
    entry = entry_of(path, facts=facts)
    assert (entry.kind, entry.module) == (Kind.EXTENSION, module)


def test_what_else_lies_beside_extension_modules_is_data() -> None:
    assert entry_of("lib-dynload/libcrypto-3.dll", facts="windows").kind is Kind.DATA
    assert entry_of("lib-dynload/Python-3.13.egg-info").kind is Kind.DATA


def test_of_one_name_a_package_wins_then_a_source() -> None:
    paths = ["a.py", "a/__init__.py", "b.py", "lib-dynload/a.so", "lib-dynload/b.so", "lib-dynload/c.so"]
    files = [LibraryFile(path, path, 1, 0o644) for path in paths]
    expected = {"a": "a/__init__.py", "b": "b.py", "c": "lib-dynload/c.so"}
    for order in (files, files[::-1]):
        modules = classify(order, facts_of("3.13")).modules()
        assert {name: entry.path for name, entry in modules.items()} == expected


PARTS = st.sampled_from(["a", "json", "test", "lib-dynload", "__pycache__", "x-y", "config-3", "lib2to3"])
ENDS = st.sampled_from(["m.py", "__init__.py", "m.so", "m.pyc", "data", "m.x.py", "é.py", ".py", "class.py"])


@given(st.lists(PARTS, max_size=3), ENDS, st.booleans())
def test_any_file_gets_a_kind_and_a_component(folders: list[str], end: str, broken: bool) -> None:
    entry = entry_of("/".join([*folders, end]), broken=broken, link="x" if broken else None)
    assert entry.component in NAMES
    assert (entry.component == "junk") == (entry.kind is Kind.JUNK)
    assert (entry.module is None) == (entry.kind in (Kind.DATA, Kind.JUNK))
    if broken:
        assert entry.kind is Kind.JUNK


# ---- folders on disk -------------------------------------------------------------------------------------


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """Give an interpreter whose library, in the test's folder, holds only what must be there."""
    library = tmp_path / "lib/python3.13"
    for path in ("os.py", "encodings/__init__.py", "lib-dynload/_ssl.so"):
        (library / path).parent.mkdir(parents=True, exist_ok=True)
        (library / path).write_text("x")
    return dataclasses.replace(
        facts_of("3.13"),
        prefix=str(tmp_path),
        library=str(library),
        search_path=(str(library), str(library / "lib-dynload")),
    )


def scanned(facts: Facts) -> dict[str, LibraryFile]:
    return {file.path: file for file in scan_library(facts)}


def test_a_scan_lists_files_with_size_and_mode(facts: Facts) -> None:
    library = Path(facts.library)
    (library / "pdb.py").write_text("four")
    (library / "pdb.py").chmod(0o755)
    (library / "os.pyc").write_text("not asked for its size")
    assert scanned(facts)["pdb.py"] == LibraryFile("pdb.py", str(library / "pdb.py"), 4, 0o755)
    assert [*scanned(facts)] == ["encodings/__init__.py", "lib-dynload/_ssl.so", "os.py", "os.pyc", "pdb.py"]


@pytest.mark.parametrize("name", ["site-packages", "dist-packages"])
@pytest.mark.parametrize("linked", [False, True])
def test_installed_packages_are_not_the_library(
    facts: Facts, tmp_path: Path, name: str, linked: bool
) -> None:
    folder = tmp_path / "packages" if linked else Path(facts.library, name)
    folder.mkdir()
    (folder / "six.py").touch()
    if linked:
        Path(facts.library, name).symlink_to(folder)
    assert not [path for path in scanned(facts) if "packages" in path]
    # deeper it is a folder like any other
    deeper = Path(facts.library, "encodings", name)
    deeper.mkdir()
    (deeper / "six.py").touch()
    assert f"encodings/{name}/six.py" in scanned(facts)


def test_links(facts: Facts, tmp_path: Path) -> None:
    library = Path(facts.library)
    (tmp_path / "outside.py").write_text("outside")
    (library / "inside.py").symlink_to("os.py")
    (library / "relative.py").symlink_to("../../outside.py")
    (library / "absolute.py").symlink_to(tmp_path / "outside.py")
    (library / "dangling.py").symlink_to("/nowhere/at/all.py")
    (library / "itself.py").symlink_to("itself.py")
    found = scanned(facts)
    seen = {path: (file.link, file.broken, file.leaves) for path, file in found.items() if file.link}
    assert seen == {
        "inside.py": ("os.py", False, False),
        "relative.py": ("../../outside.py", False, True),
        "absolute.py": (str(tmp_path / "outside.py"), False, True),
        "dangling.py": ("/nowhere/at/all.py", True, True),
        "itself.py": ("itself.py", True, False),
    }
    assert found["relative.py"].size == len("outside")


def test_links_to_folders_of_the_library_are_followed(facts: Facts) -> None:
    library = Path(facts.library)
    (library / "codecs_too").symlink_to("encodings")
    assert scanned(facts)["codecs_too/__init__.py"].source == str(library / "codecs_too/__init__.py")


@pytest.mark.parametrize("target", ["/", "..", "../python3.13-more"])
def test_links_to_folders_outside_are_not_followed(facts: Facts, target: str) -> None:
    """They may lead to the whole file system."""
    library = Path(facts.library)
    more = library.with_name("python3.13-more")
    more.mkdir()
    (more / "__init__.py").touch()
    before = {*scanned(facts)}
    (library / "json").symlink_to(target)
    assert {*scanned(facts)} - before == {"json"}
    (entry,) = (entry for entry in take_inventory(facts).entries if entry.path == "json")
    assert (entry.kind, entry.module) == (Kind.JUNK, None)
    assert entry.note == f"a link to a folder outside the library ({target})"


def test_a_library_that_is_a_farm_of_links_is_told(facts: Facts, tmp_path: Path) -> None:
    library = Path(facts.library)
    (library / "encodings").rename(tmp_path / "encodings")
    (library / "encodings").symlink_to(tmp_path / "encodings")
    with pytest.raises(InterpreterError, match="outside the library") as caught:
        scan_library(facts)
    assert caught.value.problem.file == facts.library
    assert str(tmp_path / "encodings") in caught.value.problem.text


@pytest.mark.parametrize("target", [".", "../encodings", "..", "again", "round"])
def test_links_that_go_round_end(facts: Facts, target: str) -> None:
    folder = Path(facts.library, "encodings")
    (folder / "round").symlink_to("again")
    before = {*scanned(facts)}
    (folder / "again").symlink_to(target)
    assert {*scanned(facts)} - before == {"encodings/again"}
    (entry,) = (entry for entry in take_inventory(facts).entries if entry.path == "encodings/again")
    assert (entry.kind, entry.note) == (Kind.JUNK, f"a link to {target}, which leads in a circle")


def test_extension_modules_behind_a_link_belong_to_the_library(facts: Facts, tmp_path: Path) -> None:
    """The search path names their folder, so it is the interpreter's own wherever it lies."""
    dynload = Path(facts.library, "lib-dynload")
    dynload.rename(tmp_path / "elsewhere")
    dynload.symlink_to(tmp_path / "elsewhere")
    assert take_inventory(facts).modules()["_ssl"].kind is Kind.EXTENSION


def test_a_link_whose_target_cannot_exist_is_dangling(facts: Facts) -> None:
    library = Path(facts.library)
    (library / "long.py").symlink_to("x" * 300)
    (library / "below.py").symlink_to("os.py/below")
    for name in ("long.py", "below.py"):
        assert scanned(facts)[name].broken
        (entry,) = (entry for entry in take_inventory(facts).entries if entry.path == name)
        assert entry.note.endswith("which is not there")


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.EACCES, "make it readable"), (errno.EMFILE, "ulimit -n")]
)
def test_what_cannot_be_listed_is_told_with_its_cure(
    facts: Facts, monkeypatch: pytest.MonkeyPatch, number: int, cure: str
) -> None:
    def fail(_folder: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(FileError, match="cannot be listed") as caught:
        scan_library(facts)
    assert (caught.value.problem.file, cure in caught.value.cure) == (facts.library, True)


def test_a_link_into_what_may_not_be_entered_is_told(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Path(facts.library, "closed.py")
    link.symlink_to("os.py")
    ask = os.stat

    def closed(path: str, *arguments: object, **options: object) -> object:
        if path == str(link):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return ask(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "stat", closed)
    with pytest.raises(FileError, match="cannot be looked at") as caught:
        scan_library(facts)
    assert caught.value.problem.file == str(link)


def test_a_library_reached_through_a_link_does_not_leave_itself(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(facts.library)
    Path(facts.library, "inside.py").symlink_to("os.py")
    moved = dataclasses.replace(facts, library=str(tmp_path / "linked"))
    assert not scanned(moved)["inside.py"].leaves


def test_extension_modules_of_another_prefix_are_found(facts: Facts, tmp_path: Path) -> None:
    elsewhere = tmp_path / "x86_64/lib/python3.13/lib-dynload"
    elsewhere.parent.mkdir(parents=True)
    Path(facts.library, "lib-dynload").rename(elsewhere)
    split = dataclasses.replace(facts, search_path=(facts.library, str(elsewhere)))
    assert scanned(split)["lib-dynload/_ssl.so"].source == str(elsewhere / "_ssl.so")
    assert take_inventory(split).modules()["_ssl"].kind is Kind.EXTENSION


def test_sockets_and_pipes_are_no_files(facts: Facts) -> None:
    os.mkfifo(Path(facts.library, "pipe"))
    assert "pipe" not in scanned(facts)


def test_without_an_unpacked_library_there_is_nothing_to_take(facts: Facts) -> None:
    Path(facts.library, "encodings/__init__.py").unlink()
    Path(facts.library, "encodings").rmdir()
    with pytest.raises(InterpreterError, match="no unpacked standard library") as caught:
        take_inventory(facts)
    assert facts.library in str(caught.value)


@pytest.mark.parametrize("made_here", [False, True])
def test_an_interpreter_that_boots_from_an_archive_is_told(
    facts: Facts, tmp_path: Path, made_here: bool
) -> None:
    Path(facts.library, "encodings/__init__.py").unlink()
    Path(facts.library, "encodings").rmdir()
    archive = tmp_path / "lib/python313.zip"
    chained = dataclasses.replace(facts, search_path=(str(archive), *facts.search_path))
    with pytest.raises(InterpreterError, match="no unpacked standard library there"):
        take_inventory(chained)  # the archive is on every search path, and seldom there
    archive.touch()
    if made_here:
        (tmp_path / MANIFEST_NAME).touch()
    with pytest.raises(InterpreterError, match="boots from an archive") as caught:
        take_inventory(chained)
    assert str(archive) in caught.value.problem.text
    assert caught.value.problem.file == facts.executable
    assert ("zipstrap made" in caught.value.problem.text) == made_here
    assert ("made from: an installed CPython 3.13.0" in caught.value.cure) == made_here


def test_an_inventory_of_nothing() -> None:
    assert Inventory("/lib", ()).modules() == {}
