"""The plan of a tree, on recorded libraries and on libraries made up by hypothesis."""

from __future__ import annotations

import dataclasses
import functools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.data import SplitRule, boot_modules, hot_modules, matches, split_rules, two_file_rules
from zipstrap.errors import UnsupportedError, UsageError
from zipstrap.hooks import HookFile, hook_files
from zipstrap.inventory import Inventory, Kind, LibraryFile, classify
from zipstrap.layout import library_layout, tree_layout, two_file_layout
from zipstrap.plan import FileKind, Options, Plan, PlannedFile, PlannedMember, disk_reason, make_plan, readers
from zipstrap.profiles import parse_request, select, start_modules

from .recorded import LIBRARIES, facts_of, inventory_of

each_library = pytest.mark.parametrize("name", LIBRARIES)

GUARD = hook_files((3, 13), guard="report")
SITE_HOOK = HookFile("site", "zipstrap.pth", b"import zipstrap_zips\n", "adds the zips")


@functools.cache
def planned(
    name: str,
    profile: str = "full",
    exclude: tuple[str, ...] = (),
    *,
    hooks: tuple[HookFile, ...] = (*GUARD, SITE_HOOK),
    libraries: tuple[str, ...] = (),
    inventory: Inventory | None = None,
    facts: Any = None,
    only_archive: bool = False,
    layout: str = "standard",
    traced: tuple[str, ...] = (),
    **options: Any,
) -> Plan:
    facts = facts or facts_of(name)
    inventory = inventory or inventory_of(name)
    request = parse_request(profile, (), exclude, inventory)
    start = start_modules(request, inventory)
    selection = select(inventory, facts, request, None if start is None else frozenset(start))
    places = library_layout(facts) if only_archive else tree_layout(facts, layout)
    if options.get("extensions") == "archive" and layout == "fast":
        places = two_file_layout(facts)
    return make_plan(facts, places, selection, Options(**options), hooks, libraries, traced)


def files(plan: Plan) -> dict[str, PlannedFile]:
    return {file.path: file for file in plan.files}


def members(plan: Plan) -> dict[str, PlannedMember]:
    return {member.name: member for member in plan.members}


# ---- on disk or in the archive ---------------------------------------------------------------------------


@each_library
def test_everything_kept_lies_in_one_place(name: str) -> None:
    plan = planned(name, hooks=())
    landmarks = {landmark.path for landmark in plan.layout.landmarks}
    on_disk = {file.source for file in plan.files if file.source and file.path not in landmarks}
    packed = {member.source for member in plan.members}
    kept = {entry.source for entry in inventory_of(name).entries if entry.kind is not Kind.JUNK}
    assert on_disk - {plan.facts.executable} | packed == kept
    assert not on_disk & packed


@each_library
@pytest.mark.parametrize("profile", ["full", "standard", "minimal"])
def test_no_package_lies_in_two_places(name: str, profile: str) -> None:
    """A submodule is looked for where its package was found, nowhere else."""
    plan = planned(name, profile, hooks=())
    packed = {member.module for member in plan.members if member.module}
    on_disk = {file.module for file in plan.files if file.module}
    assert not packed & on_disk
    for place, other in ((packed, on_disk), (on_disk, packed)):
        for module in place:
            parent = module.rpartition(".")[0]
            while parent:
                assert parent not in other, module
                parent = parent.rpartition(".")[0]


@each_library
def test_everything_on_disk_says_why(name: str) -> None:
    plan = planned(name)
    assert all(file.reason for file in plan.files)


@each_library
def test_extension_modules_lie_in_dynload(name: str) -> None:
    plan = planned(name)
    found = [file for file in plan.files if file.kind is FileKind.EXTENSION]
    assert len(found) > 40
    assert all(file.path.startswith(f"{plan.layout.dynload}/") for file in found)
    assert not [member for member in plan.members if member.name.startswith("lib-dynload/")]


# ---- two files -------------------------------------------------------------------------------------------


def two_files(name: str, **options: Any) -> Plan:
    return planned(name, layout="fast", hooks=GUARD, extensions="archive", **options)


@each_library
@pytest.mark.parametrize("profile", ["full", "standard", "minimal"])
def test_beside_the_archive_of_two_files_lies_what_the_interpreter_looks_for(name: str, profile: str) -> None:
    plan = two_files(name, profile=profile)
    layout = plan.layout
    assert layout.archive == layout.library_archive
    landmarks = {landmark.path for landmark in layout.landmarks}
    beside = {file.path for file in plan.files}
    assert beside == {layout.executable, *layout.executable_links, *landmarks, layout.site}
    extensions = [entry for entry in inventory_of(name).entries if entry.kind is Kind.EXTENSION]
    left_out = {item.entry.path for item in plan.left_out}
    assert {entry.path for entry in extensions} <= {*members(plan), *left_out}
    assert any(entry.path in members(plan) for entry in extensions)
    assert not any(member.module for member in plan.members if member.name.startswith("lib-dynload/"))


@each_library
def test_all_that_two_files_do_not_take_says_why(name: str) -> None:
    plan = two_files(name)
    taken = {member.source for member in plan.members} | {file.source for file in plan.files}
    kept = {entry.source for entry in inventory_of(name).entries if entry.kind is not Kind.JUNK}
    left_out = {item.entry.source: item.reason for item in plan.left_out}
    assert kept - taken == {source for source in kept if source in left_out} - taken
    assert all(reason for reason in left_out.values())
    packages = {item.entry.module for item in plan.left_out if item.reason.startswith("venv copies")}
    assert "venv" in packages
    assert not [member for member in plan.members if member.name.startswith(("venv/", "idlelib/"))]
    # what may not be lost with a file
    assert any(member.name.startswith("LICENSE") for member in plan.members) == any(
        entry.path in ("LICENSE", "LICENSE.txt") for entry in inventory_of(name).entries
    )


def test_what_decompresses_is_not_compressed_itself() -> None:
    plan = two_files("3.13", compress="deflate")
    by_module = {
        member.name.split("/")[1].split(".")[0]: member for member in plan.members if "lib-dyn" in member.name
    }
    assert not by_module["zlib"].compress_rest
    assert by_module["_ssl"].compress_rest


def test_the_sources_of_two_files_are_in_the_archive_or_nowhere() -> None:
    assert two_files("3.13").options.source == "archive"
    assert two_files("3.13", source="none").options.source == "none"
    assert two_files("3.13", preset="small").options.source == "none"
    with pytest.raises(UsageError, match="--source disk one of many"):
        two_files("3.13", source="disk")


def test_two_files_need_our_importer_and_no_file_of_a_hook() -> None:
    with pytest.raises(UnsupportedError, match="layout standard has not"):
        planned("3.13", extensions="archive")
    with pytest.raises(UsageError, match=r"--layout isolated needs one") as caught:
        planned("3.13", layout="isolated", hooks=GUARD, extensions="archive")
    assert caught.value.cure == "use --layout fast"
    with pytest.raises(UsageError, match=r"zipstrap\.pth is one"):
        planned("3.13", layout="fast", hooks=(SITE_HOOK,), extensions="archive")


def test_two_files_have_no_archive_of_digests() -> None:
    with pytest.raises(UsageError, match="--guard digest needs two") as caught:
        two_files("3.13", guard="digest")
    assert caught.value.exit_status == 2
    assert two_files("3.13", guard="stop").options.guard == "stop"


def test_two_file_rules_are_for_what_lies_on_disk_elsewhere() -> None:
    patterns = {pattern for rule in split_rules() for pattern in rule.paths}
    for rules in two_file_rules().values():
        assert {pattern for rule in rules for pattern in rule.paths} <= patterns


#: rules and patterns that no recorded library has a file for
ELSEWHERE = {
    "LICENSE": "some distributions name it so",
    "usercustomize.py": "an administrator may put one there",
}


def used(rule: SplitRule, pattern: str) -> bool:
    return any(
        rule.since <= facts_of(name).feature_version <= rule.until
        and any(matches(entry.path, (pattern,)) for entry in inventory_of(name).entries)
        for name in LIBRARIES
    )


@pytest.mark.parametrize("rule", split_rules(), ids=lambda rule: rule.paths[0])
def test_every_rule_is_of_use(rule: SplitRule) -> None:
    assert rule.reason
    assert rule.since <= rule.until
    for pattern in rule.paths:
        assert used(rule, pattern) != (pattern in ELSEWHERE), pattern


@pytest.mark.parametrize(
    ("path", "version", "on_disk"),
    [
        ("venv/__init__.py", (3, 8), True),
        ("xmlrpc/server.py", (3, 8), False),
        ("xmlrpc/server.py", (3, 10), False),
        ("xmlrpc/server.py", (3, 11), True),
        ("distutils/core.py", (3, 8), True),
        ("distutils/core.py", (3, 9), False),
        ("_sysconfig_vars__linux.json", (3, 13), False),
        ("_sysconfig_vars__linux.json", (3, 14), True),
        ("json/__init__.py", (3, 13), False),
        ("ctypes/test/test_files.py", (3, 8), False),
        ("test/support/__init__.py", (3, 13), True),
        ("lib2to3/pytree.py", (3, 11), True),
    ],
)
def test_rules_by_version(path: str, version: tuple[int, int], on_disk: bool) -> None:
    assert (disk_reason(path, version) is not None) is on_disk


def test_rule_does_not_count_where_a_file_is_there() -> None:
    pickle = "lib2to3/Grammar3.11.7.final.0.pickle"
    assert disk_reason("lib2to3/pytree.py", (3, 11), {"lib2to3/pytree.py", pickle}) is None
    assert disk_reason("lib2to3/pytree.py", (3, 11), {"lib2to3/pytree.py"}) is not None


def test_debians_links() -> None:
    plan = planned("3.11-debian")
    # out of the library: a copy on disk, where it shadows nothing of the administrator's
    copy = files(plan)["lib/python3.11/sitecustomize.py"]
    assert (copy.kind, copy.link) == (FileKind.SOURCE, None)
    assert members(plan)["sitecustomize.py"].data == GUARD[0].data
    libpython = files(plan)["lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.so"]
    assert (libpython.kind, libpython.link) == (FileKind.DATA, None)
    # inside it: a module like any other
    assert members(plan)["_sysconfigdata__linux_x86_64-linux-gnu.py"].module is not None


def test_dangling_links_are_left_out_and_told() -> None:
    plan = planned("3.14-debian")
    assert "lib/python3.14/sitecustomize.py" not in files(plan)
    assert "dangling links of the library are left out: sitecustomize.py" in plan.notes
    assert not [note for note in planned("3.13").notes if "dangling" in note]


# ---- what every tree has ---------------------------------------------------------------------------------


@each_library
@pytest.mark.parametrize("profile", ["full", "standard", "minimal"])
def test_the_licence_lies_on_disk(name: str, profile: str) -> None:
    plan = planned(name, profile)
    assert f"{plan.layout.library}/LICENSE.txt" in files(plan)
    assert not [note for note in plan.notes if "LICENSE" in note]


@pytest.mark.parametrize("dangling", [False, True])
def test_a_library_without_its_licence_is_told(dangling: bool) -> None:
    """Debian's images without documentation have a dangling link."""
    entries = [entry for entry in inventory_of("3.13").entries if entry.path != "LICENSE.txt"]
    if dangling:
        link = LibraryFile("LICENSE.txt", "", 0, 0o777, "/usr/share/doc/copyright", broken=True, leaves=True)
        entries += classify([link], facts_of("3.13")).entries
    plan = planned("3.13", inventory=Inventory("/lib", tuple(entries)))
    assert [note for note in plan.notes if "no LICENSE.txt" in note]


@each_library
def test_the_landmark_os_is_on_disk_up_to_3_10(name: str) -> None:
    plan = planned(name)
    landmark = f"{plan.layout.library}/os.py"
    if plan.facts.version < (3, 11):
        found = files(plan)[landmark]
        # never imported, so it has no bytecode
        assert (found.kind, found.module) == (FileKind.DATA, None)
        assert found.source == f"{plan.facts.library}/os.py"
    else:
        assert landmark not in files(plan)
    assert members(plan)["os.py"].module == "os"


@each_library
def test_folders_that_may_be_empty(name: str) -> None:
    plan = planned(name)
    for path in (plan.layout.dynload, plan.layout.site):
        assert files(plan)[path].kind is FileKind.FOLDER


def test_lib_dynload_is_there_also_where_it_is_empty() -> None:
    entries = tuple(entry for entry in inventory_of("3.13").entries if entry.kind is not Kind.EXTENSION)
    plan = planned("3.13", inventory=Inventory("/lib", entries))
    assert files(plan)["lib/python3.13/lib-dynload"].kind is FileKind.FOLDER
    assert not [path for path in files(plan) if path.startswith("lib/python3.13/lib-dynload/")]


def test_the_interpreter_and_its_names() -> None:
    plan = planned("3.13")
    executable = files(plan)["bin/python3.13"]
    assert (executable.source, executable.mode) == ("/opt/python3.13/bin/python3.13", 0o755)
    links = {file.path: file.link for file in plan.files if file.kind is FileKind.LINK}
    assert links == {"bin/python3": "python3.13", "bin/python": "python3.13"}


def test_shared_libraries_come_along_once() -> None:
    path = "/opt/python3.13/lib/libpython3.13.so.1.0"
    plan = planned("3.13", libraries=(path, "/opt/lib/libz.so.1", path))
    found = [file for file in plan.files if file.kind is FileKind.SHARED_LIBRARY]
    assert {file.path: file.source for file in found} == {
        "lib/libpython3.13.so.1.0": path,
        "lib/libz.so.1": "/opt/lib/libz.so.1",
    }
    assert len(found) == 2


def test_hooks_go_where_they_belong() -> None:
    plan = planned("3.11-debian")
    for hook in GUARD:
        member = members(plan)[hook.name]
        assert (member.data, member.component) == (hook.data, "hooks")
        assert member.filename == f"lib/python3.11/{hook.name}"
    hook_file = files(plan)["lib/python3.11/dist-packages/zipstrap.pth"]
    assert (hook_file.kind, hook_file.data) == (FileKind.HOOK, SITE_HOOK.data)


def test_a_hook_of_an_earlier_run_is_replaced() -> None:
    old = LibraryFile("zipstrap_guard.py", "/old/zipstrap_guard.py", 1, 0o644)
    entries = (*inventory_of("3.13").entries, *classify([old], facts_of("3.13")).entries)
    plan = planned("3.13", inventory=Inventory("/lib", entries))
    found = [member for member in plan.members if member.name == "zipstrap_guard.py"]
    assert [member.data is not None for member in found] == [True]


@each_library
def test_modes_are_plain(name: str) -> None:
    assert {file.mode for file in planned(name).files} <= {0o644, 0o755, 0o777}
    assert all(file.kind is FileKind.LINK for file in planned(name).files if file.mode == 0o777)


@each_library
def test_only_tests_may_hold_what_does_not_compile(name: str) -> None:
    plan = planned(name)
    items: list[PlannedMember | PlannedFile] = [*plan.members, *plan.files]
    for item in items:
        assert item.may_not_compile == (item.component == "test")


def test_an_archive_alone_has_no_interpreter_and_no_hooks() -> None:
    plan = planned("3.13", hooks=(), only_archive=True)
    assert not [file for file in plan.files if file.kind in (FileKind.EXECUTABLE, FileKind.LINK)]
    assert all(file.path for file in plan.files)
    assert not [member for member in plan.members if member.component == "hooks"]


def test_windows_extension_modules_keep_their_folder() -> None:
    facts = facts_of("windows")
    found = [LibraryFile(path, path, 1, 0o644) for path in ("os.py", "LICENSE.txt", "lib-dynload/_ssl.pyd")]
    plan = planned("", facts=facts, inventory=classify(found, facts), hooks=(), only_archive=True)
    assert "DLLs/_ssl.pyd" in files(plan)
    assert [*members(plan)] == ["os.py"]


# ---- options ---------------------------------------------------------------------------------------------


@each_library
def test_stored_means_stored(name: str) -> None:
    for member in planned(name, compress="stored").members:
        assert (member.compress_bytecode, member.compress_rest) == (False, False)


@each_library
def test_deflate_spares_what_a_start_reads(name: str) -> None:
    """It is read before zlib can be imported. Sources are not read at a start, so they are deflated."""
    for member in planned(name, compress="deflate").members:
        if member.component != "hooks":
            boots = member.module is not None and matches(member.module, boot_modules())
            assert (member.compress_bytecode, member.compress_rest) == (not boots, True), member
    assert not members(planned(name, compress="deflate"))["encodings/idna.py"].compress_bytecode


def test_hooks_are_never_deflated() -> None:
    for member in planned("3.13", compress="deflate").members:
        if member.component == "hooks":
            assert (member.compress_bytecode, member.compress_rest) == (False, False)


@pytest.mark.parametrize(
    ("name", "zlib", "exclude", "note"),
    [
        ("3.13", None, (), "CPython 3.13.0 has no zlib: "),
        ("3.13", "extension", ("zlib",), "zlib is left out: "),
        ("3.13", "extension", (), None),
        ("3.11-debian", "builtin", (), None),
    ],
)
def test_deflate_without_zlib_is_stored_and_told(
    name: str, zlib: str | None, exclude: tuple[str, ...], note: str | None
) -> None:
    facts = dataclasses.replace(facts_of(name), zlib=zlib)
    plan = planned(name, exclude=exclude, facts=facts, compress="deflate")
    deflated = [member for member in plan.members if member.compress_rest or member.compress_bytecode]
    told = [each for each in plan.notes if "everything is stored" in each]
    assert bool(deflated) == (note is None)
    assert [each[: len(note)] for each in told] == [note] if note else told == []
    # without being asked to deflate there is nothing to tell
    quiet = planned(name, exclude=exclude, facts=facts, compress="stored")
    assert not [each for each in quiet.notes if "stored" in each]


# ---- presets ---------------------------------------------------------------------------------------------


def resolved_of(name: str, **options: Any) -> Options:
    layout = options.pop("layout", "standard")
    return planned(name, layout=layout, **options).options


@each_library
def test_without_a_preset_nothing_is_compressed(name: str) -> None:
    found = resolved_of(name, compress="")
    assert (found.compress, found.hot, found.source, found.debug_ranges) == (
        "stored",
        "none",
        "archive",
        True,
    )


@each_library
def test_the_preset_fast(name: str) -> None:
    plan = planned(name, preset="fast", compress="", layout="fast")
    found = plan.options
    assert (found.compress, found.hot, found.source, found.debug_ranges) == ("deflate", "usual", "disk", True)
    stored = {member.module for member in plan.members if member.module and not member.compress_bytecode}
    assert stored >= hot_modules() & {member.module for member in plan.members}
    assert any(member.compress_bytecode for member in plan.members)


@pytest.mark.parametrize(
    ("name", "layout", "compress"),
    [
        ("3.8", "fast", "libdeflate"),
        ("3.13", "fast", "libdeflate"),
        ("3.14-debian", "fast", "dictionary"),
        ("3.14-debian", "standard", "libdeflate"),
        ("3.15-debian", "fast", "dictionary"),
        ("3.15-debian", "standard", "libdeflate"),
    ],
)
def test_the_preset_small(name: str, layout: str, compress: str) -> None:
    found = resolved_of(name, preset="small", compress="", layout=layout)
    assert (found.compress, found.hot, found.source) == (compress, "none", "none")
    assert (found.debug_ranges, found.optimize) == (False, 0)


def test_options_override_a_preset() -> None:
    found = resolved_of(
        "3.14-debian", preset="small", compress="best", source="archive", debug_ranges=True, hot="usual"
    )
    assert (found.compress, found.source, found.debug_ranges, found.hot) == ("best", "archive", True, "usual")


@pytest.mark.parametrize(
    ("name", "layout", "compress", "exclude", "reason"),
    [
        ("3.14-debian", "fast", "zstd", (), "zipimport that does not know Zstandard"),
        ("3.14-debian", "standard", "dictionary", (), "only the importer of the layouts fast"),
        ("3.13", "fast", "dictionary", (), "no module _zstd, which came with 3.14"),
        ("3.14-debian", "fast", "dictionary", ("_zstd",), "no module _zstd, or it is left out"),
    ],
)
def test_what_the_tree_could_not_read_is_refused(
    name: str, layout: str, compress: str, exclude: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(UnsupportedError, match=reason) as caught:
        planned(name, compress=compress, layout=layout, exclude=exclude)
    assert "--compress best" in caught.value.cure


def test_without_zstd_the_preset_small_does_with_libdeflate() -> None:
    found = resolved_of("3.14-debian", preset="small", compress="", layout="fast", exclude=("_zstd",))
    assert found.compress == "libdeflate"


def test_zstd_spares_what_a_start_reads() -> None:
    for member in planned("3.15-debian", compress="zstd").members:
        boots = member.module is not None and matches(member.module, boot_modules())
        assert member.component == "hooks" or member.compress_bytecode != boots


def test_traced_modules_stay_stored() -> None:
    plan = planned("3.13", compress="deflate", traced=("json.decoder", "no.such"))
    stored = {member.name for member in plan.members if not member.compress_bytecode and member.module}
    assert "json/decoder.py" in stored
    assert "json/encoder.py" not in stored


def test_the_fast_layout_may_compress_what_a_start_reads() -> None:
    """Its importer has these in its record, and decompresses whatever else is asked for."""
    plan = planned("3.13", compress="deflate", layout="fast")
    assert members(plan)["encodings/idna.py"].compress_bytecode


def test_without_sources_the_loss_is_told() -> None:
    assert [note for note in planned("3.13", source="none").notes if "tracebacks" in note]
    assert not [note for note in planned("3.13").notes if "tracebacks" in note]


# ---- order and paths -------------------------------------------------------------------------------------


@each_library
def test_the_order_is_that_of_names_whatever_the_disk_says(name: str) -> None:
    plan = planned(name)
    assert [member.name for member in plan.members] == sorted(members(plan))
    assert [file.path for file in plan.files] == sorted(files(plan))
    shuffled = list(inventory_of(name).entries)
    random.Random(0).shuffle(shuffled)
    again = planned(name, inventory=Inventory(inventory_of(name).library, tuple(shuffled)))
    assert (again.members, again.files) == (plan.members, plan.files)


@each_library
def test_file_names_of_code_lie_below_the_library(name: str) -> None:
    plan = planned(name)
    for member in plan.members:
        if member.module is None:
            assert member.filename == ""
        else:
            assert member.filename == f"{plan.layout.library}/{member.name}"
            assert member.is_package == member.name.endswith("/__init__.py")


def faults(plan: Plan) -> list[str]:
    """Return what cannot be written: a name used twice, a file in a folder's place, a way out."""
    paths = [file.path for file in plan.files] + [plan.layout.archive]
    names = [member.name for member in plan.members]
    found = [path for path in {*paths} if paths.count(path) > 1]
    found += [name for name in {*names} if names.count(name) > 1]
    plain = {file.path for file in plan.files if file.kind is not FileKind.FOLDER} | {plan.layout.archive}
    for path in (*paths, *names):
        parts = path.split("/")
        if "" in parts or ".." in parts or path.startswith("/"):
            found.append(path)
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in plain:
                found.append(path)
            parent = parent.rpartition("/")[0]
    return found


@each_library
@pytest.mark.parametrize("profile", ["full", "minimal"])
def test_a_plan_can_be_written(name: str, profile: str) -> None:
    libraries = ("/usr/lib/libpython.so.1",)
    assert faults(planned(name, profile, libraries=libraries)) == []


def test_faults_are_found() -> None:
    plan = planned("3.13")
    hook = PlannedFile(plan.layout.archive, FileKind.HOOK, "in the way")
    assert faults(dataclasses.replace(plan, files=(*plan.files, hook))) == [plan.layout.archive]
    below = PlannedFile("bin/python3.13/x", FileKind.DATA, "below a file")
    assert faults(dataclasses.replace(plan, files=(*plan.files, below))) == ["bin/python3.13/x"]


FOLDERS = st.sampled_from(
    [
        "",
        "json/",
        "test/",
        "venv/",
        "lib-dynload/",
        "encodings/",
        "config-3/",
        "pydoc_data/",
        "xmlrpc/",
        "x/y/",
    ]
)
NAMES = st.sampled_from(
    ["m.py", "__init__.py", "m.so", "data.txt", "sitecustomize.py", "zipstrap_guard.py", "zipstrap_zips.py",
     "zipstrap.pth", "LICENSE.txt", "m.pyc", "x"]
)  # fmt: skip


@given(
    paths=st.sets(st.builds(str.__add__, FOLDERS, NAMES), max_size=25),
    name=st.sampled_from(["3.8", "3.10", "3.11-debian", "3.12-fedora", "3.13t", "3.14d", "split-prefix"]),
    hooks=st.sampled_from([(), GUARD, (*GUARD, SITE_HOOK)]),
    compress=st.sampled_from(["stored", "deflate"]),
    profile=st.sampled_from(["full", "standard", "minimal"]),
)
def test_whatever_the_library_holds_no_two_things_have_one_name(
    paths: set[str], name: str, hooks: tuple[HookFile, ...], compress: str, profile: str
) -> None:
    # one thing on a real disk is a file or a folder
    paths -= {path for path in paths if any(other.startswith(f"{path}/") for other in paths)}
    found = sorted({"os.py", "encodings/__init__.py", *paths})
    facts = facts_of(name)
    inventory = classify([LibraryFile(path, f"/x/{path}", 1, 0o644) for path in found], facts)
    plan = planned(name, profile, facts=facts, inventory=inventory, hooks=hooks, compress=compress)
    assert faults(plan) == []


@pytest.mark.parametrize(
    ("options", "modules"),
    [
        ({}, set()),
        ({"compress": "stored", "preset": "small"}, set()),
        ({"compress": "best"}, {"zlib"}),
        ({"preset": "fast"}, {"zlib"}),
        ({"preset": "small"}, {"zlib", "_zstd"}),
        ({"compress": "zstd"}, {"zlib", "_zstd"}),
        ({"compress": "deflate", "preset": "small"}, {"zlib"}),
    ],
)
def test_what_reads_a_compressed_archive(options: dict[str, str], modules: set[str]) -> None:
    assert readers(Options(**options)) == modules
