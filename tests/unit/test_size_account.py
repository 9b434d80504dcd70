"""What a result weighs by package, and what to leave out of it."""

from __future__ import annotations

import dataclasses

from zipstrap.archive import MemberRecord
from zipstrap.imports import GUARDED, LAZY, REQUIRED, Import, ImportGraph
from zipstrap.layout import tree_layout
from zipstrap.manifest import FileRecord
from zipstrap.size_account import PackageSize, SizeAccount, TooLarge, make_account, weigh

from .recorded import facts_of, inventory_of

LAYOUT = tree_layout(facts_of("3.13"), "fast")
INVENTORY = inventory_of("3.13")


def member(name: str, size: int) -> MemberRecord:
    return MemberRecord(name, size * 2, size, 8, 0, "0" * 64, 0)


def file(path: str, size: int) -> FileRecord:
    return FileRecord(path, "data", "", "core", 0o644, size)


def graph(*imports: tuple[str, str, str]) -> ImportGraph:
    return ImportGraph(
        tuple(Import(importer, module, 1, kind) for importer, module, kind in imports), frozenset(), {}
    )


def account(
    sizes: dict[str, int], limit: int, found: ImportGraph, traced: tuple[str, ...] = ()
) -> SizeAccount:
    packages = {name: PackageSize(name, size) for name, size in sizes.items()}
    return make_account(packages, sum(sizes.values()), limit, INVENTORY, found, traced)


def test_bytecode_sources_and_extension_modules_count_for_their_package() -> None:
    library = LAYOUT.library
    found = weigh(
        [member("json/__init__.pyc", 10), member("json/decoder.pyc.zst", 5), member("wave.pyc", 3)],
        [
            file(f"{library}/json/__init__.py", 100),
            file(f"{library}/wave.py", 30),
            file(f"{library}/__pycache__/wave.cpython-313.pyc", 7),
            file(f"{LAYOUT.dynload}/_json.cpython-313-x86_64-linux-gnu.so", 50),
            file(f"{LAYOUT.site}/README.txt", 1),
            file(f"{LAYOUT.shared_libraries}/libpython3.13.so.1.0", 1000),
            file(LAYOUT.executable, 200),
            file(LAYOUT.archive, 9),
        ],
        LAYOUT,
    )
    assert {name: (each.in_archive, each.on_disk) for name, each in found.items()} == {
        "json": (15, 100),
        "wave": (3, 37),
        "_json": (0, 50),
        "(the rest)": (0, 10),
        "(the interpreter)": (0, 1200),
    }


def test_what_gains_most_is_left_out_with_what_imports_it() -> None:
    sizes = {"os": 50, "idlelib": 100, "turtledemo": 20, "wave": 40, "json": 70, "tkinter": 10}
    imports = graph(
        ("turtledemo.__main__", "idlelib.colorizer", REQUIRED),
        ("idlelib", "tkinter", GUARDED),
        ("wave", "json", LAZY),
    )
    made = account(sizes, 200, imports, ())
    assert made.leave_out == ("json", "idlelib", "turtledemo")
    assert made.least == 50
    by_name = {package.name: package for package in made.packages}
    assert by_name["idlelib"].required_by == ("turtledemo",)
    assert by_name["json"].required_by == ()
    assert (by_name["os"].fixed, by_name["os"].exclude) == ("starts read it", "")
    assert [package.size for package in made.packages] == sorted(sizes.values(), reverse=True)


def test_what_the_application_or_a_start_needs_stays_with_all_it_imports() -> None:
    sizes = {"os": 50, "json": 70, "wave": 40, "re": 30}
    imports = graph(("os", "re", REQUIRED), ("json", "wave", REQUIRED))
    made = account(sizes, 1, imports, ("json.decoder",))
    assert made.leave_out == ()
    assert made.least == 190
    assert {package.name for package in made.packages if package.traced} == {"json"}


def test_components_are_left_out_by_their_names_and_what_is_no_module_stays() -> None:
    folder = next(path for path in (entry.path for entry in INVENTORY.entries) if path.startswith("config-"))
    sizes = {folder.partition("/")[0]: 60, "LICENSE": 5, "(the interpreter)": 500}
    made = account(sizes, 510, graph())
    assert made.leave_out == ("dev",)
    fixed = {package.name: package.fixed for package in made.packages}
    assert fixed["LICENSE"] == "it is no module"
    assert fixed["(the interpreter)"] == "it runs everything"


def test_what_no_package_has_is_told_too() -> None:
    made = make_account({"wave": PackageSize("wave", 10)}, 25, 1, INVENTORY, graph(), ())
    assert sum(package.size for package in made.packages) == 25
    assert made.packages[0].fixed == "every result has them"


def test_the_error_says_what_to_leave_out_or_that_it_is_not_enough() -> None:
    made = SizeAccount(100, 60, (), ("wave", "json"), 50)
    error = TooLarge("/tree", made)
    assert error.exit_status == 1
    assert "/tree: this takes 100 bytes, 40 more than --max-size allows" in str(error)
    assert "--exclude wave --exclude json" in str(error)
    less = TooLarge("/tree", dataclasses.replace(made, least=70))
    assert "70 bytes stay" in str(less)
    assert "--exclude" not in str(less)
