"""The record that the importer starts from, and the shim that knows its place."""

from __future__ import annotations

import dataclasses
import hashlib
import marshal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from zipstrap.archive import MemberRecord
from zipstrap.boot_record import (
    RECORD_MEMBER,
    covered_files,
    digest_members,
    hasher_of,
    record_member,
    shim_member,
)
from zipstrap.data import preloaded_modules
from zipstrap.errors import FileError, UnsupportedError
from zipstrap.hooks import HookFile
from zipstrap.inventory import Inventory
from zipstrap.layout import tree_layout
from zipstrap.plan import FileKind, Options, Plan, PlannedFile, make_plan
from zipstrap.profiles import parse_request, select

from .recorded import facts_of, inventory_of

PACKAGE, DEFLATED, EXTENSION, NAMESPACE, UNCOMPILED, ADAPTED = 1, 2, 4, 8, 16, 128
HEAD = b"\0" * 16
BYTECODE = {
    "zipstrap_importer.py": HEAD + b"short part",
    "zipstrap_importer_rest.py": HEAD + b"rest",
    "zipstrap_importer_away.py": HEAD + b"away",
}
PLACE = b"zipstrap: the build puts this here."


def planned(name: str = "3.13", **options: Any) -> Plan:
    facts = facts_of(name)
    inventory: Inventory = inventory_of(name)
    selection = select(inventory, facts, parse_request("standard", (), (), inventory))
    return make_plan(facts, tree_layout(facts, "fast"), selection, Options(**options), (), ())


PLAN = planned()


def member(name: str, at: int = 100, size: int = 30, packed: int = 30, method: int = 0) -> MemberRecord:
    return MemberRecord(name, size, packed, method, 0, "0" * 64, at)


def unpacked(data: bytes) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the two tuples of a record, by the sizes in its head."""
    now = int.from_bytes(data[16:20], "little")
    later = int.from_bytes(data[20:24], "little")
    assert len(data) == 24 + now + 16 + later
    assert data[24 + now : 40 + now] == data[:16]
    return marshal.loads(data[24 : 24 + now]), marshal.loads(data[40 + now :])


def blobs(data: bytes) -> list[bytes]:
    """Return the importer's bytecode and that of the modules of the first part, as the places in it say."""
    now = data[24 : 24 + int.from_bytes(data[16:20], "little")]
    core, away, _, places, *_ = marshal.loads(now)
    return [now[start:end] for start, end in pairwise([core, *places, away, None])]


def index(names: tuple[str, ...], records: bytes, separator: str = ".") -> dict[str, tuple[int, ...]]:
    rows = [records[at : at + 16] for at in range(0, len(records), 16)]
    numbers = [tuple(int.from_bytes(row[at : at + 4], "little") for at in (0, 4, 8, 12)) for row in rows]
    found = {}
    for folder, text in zip(names[::2], names[1::2], strict=True):
        assert text.startswith("\n")
        for line in text.splitlines()[1:]:
            name, _, (high, low) = line.partition("\t")
            path = f"{folder}{separator}{name}" if folder else name
            found[path] = numbers[(ord(high) - 48) * 64 + ord(low) - 48]
    assert len(found) == len(numbers)
    return found


def modules_of(*records: MemberRecord, plan: Plan = PLAN) -> dict[str, tuple[int, ...]]:
    _, later = unpacked(record_member(plan, BYTECODE, {}, records).data)
    found = index(later[4], later[5])
    return {name: row for name, row in found.items() if not row[3] & EXTENSION}


def with_file(path: str) -> Plan:
    return dataclasses.replace(PLAN, files=(*PLAN.files, PlannedFile(path, FileKind.SOURCE, "a test")))


def test_parts_lie_where_the_importer_unpacks_them() -> None:
    made = record_member(PLAN, BYTECODE, {"encodings/__init__.py": HEAD + b"code"}, [member("a.py")])
    assert made.name == RECORD_MEMBER
    now, later = unpacked(made.data)
    assert now[2] == ("encodings",)
    assert now[4:8] == (
        PLAN.layout.archive,
        PLAN.layout.library,
        PLAN.layout.dynload,
        PLAN.layout.library_archive,
    )
    assert blobs(made.data) == [b"short part", b"code", b"away"]
    assert later[0] == b"rest"


def test_what_is_left_out_is_found_as_a_whole_line() -> None:
    plan = dataclasses.replace(PLAN, absent=("a", "b.c"))
    assert unpacked(record_member(plan, BYTECODE, {}, []).data)[1][3] == "\na\nb.c\n"
    assert unpacked(record_member(PLAN, BYTECODE, {}, []).data)[1][3] == ""


def test_boot_modules_come_without_the_head_of_their_pyc() -> None:
    wanted = preloaded_modules(PLAN.facts.feature_version)
    pycs = {f"{name.replace('.', '/')}.py": HEAD + name.encode() for name in wanted}
    data = record_member(PLAN, BYTECODE, pycs, []).data
    assert unpacked(data)[0][2] == wanted
    assert blobs(data) == [b"short part", *(name.encode() for name in wanted), b"away"]


def test_what_has_to_see_the_sources_in_the_archive_comes_not_with_the_boot_set() -> None:
    pycs = {"linecache.py": HEAD + b"code"}
    names = {
        source: unpacked(record_member(planned(source=source), BYTECODE, pycs, []).data)[0][2]
        for source in ("archive", "disk")
    }
    assert names == {"archive": (), "disk": ("linecache",)}
    found = modules_of(member("linecache.pyc"), member("pkgutil.pyc"), plan=planned(source="archive"))
    assert {name: row[3] for name, row in found.items()} == {"linecache": ADAPTED, "pkgutil": ADAPTED}
    found = modules_of(member("linecache.pyc"), member("pkgutil.pyc"))
    assert {name: row[3] for name, row in found.items()} == {"linecache": 0, "pkgutil": ADAPTED}


def test_a_module_and_its_source() -> None:
    found = modules_of(member("a.py", 10), member("a.pyc", 50, 7, 7))
    assert found == {"a": (50, 7, 7, 0)}


def test_a_source_that_does_not_compile() -> None:
    assert modules_of(member("bad.py", 10)) == {"bad": (10, 30, 30, UNCOMPILED)}


def test_a_deflated_member() -> None:
    assert modules_of(member("a.pyc", 10, 99, 30, method=8)) == {"a": (10, 30, 99, DEFLATED)}


def test_packages_and_namespaces() -> None:
    found = modules_of(member("p/__init__.pyc"), member("p/q/r.pyc"), member("n/data.txt"))
    assert {name: row[3] for name, row in found.items()} == {
        "p": PACKAGE,
        "p.q": NAMESPACE,
        "p.q.r": 0,
        "n": NAMESPACE,
    }


def test_names_need_be_no_identifiers() -> None:
    found = modules_of(member("_sysconfigdata__linux_x86_64-linux-gnu.pyc"), member("a.b.pyc"))
    assert list(found) == ["_sysconfigdata__linux_x86_64-linux-gnu"]


def test_files_are_all_but_bytecode_and_folders() -> None:
    records = [member("a.py"), member("a.pyc"), member("p/"), member("p/data.txt", 7, 9, 5, 8)]
    _, later = unpacked(record_member(PLAN, BYTECODE, {}, records).data)
    found = index(later[6], later[7], "/")
    assert found == {"a.py": (100, 30, 30, 0), "p/data.txt": (7, 5, 9, DEFLATED)}


def extensions(plan: Plan) -> set[str]:
    _, later = unpacked(record_member(plan, BYTECODE, {}, []).data)
    return {name for name, row in index(later[4], later[5]).items() if row[3] & EXTENSION}


def test_extension_modules_are_listed() -> None:
    assert "_json" in extensions(PLAN)


def test_extension_modules_in_the_archive_are_listed_and_have_no_suffix() -> None:
    plan = planned(extensions="archive")
    assert "_json" in extensions(plan)
    _, later = unpacked(record_member(plan, BYTECODE, {}, []).data)
    assert later[2] is None
    assert unpacked(record_member(PLAN, BYTECODE, {}, []).data)[1][2] == PLAN.facts.extension_suffixes[0]
    name = f"lib-dynload/_json{PLAN.facts.extension_suffixes[0]}"
    _, later = unpacked(record_member(plan, BYTECODE, {}, [member(name, 7, 9, 9)]).data)
    assert index(later[6], later[7], "/") == {name: (7, 9, 9, 0)}


def test_the_librarys_own_encodings_is_found_where_the_shim_has_its_name() -> None:
    found = modules_of(member("encodings/__init__.pyc.library", 7), member("encodings/utf_8.pyc", 9))
    assert {name: (row[0], row[3]) for name, row in found.items()} == {
        "encodings": (7, PACKAGE),
        "encodings.utf_8": (9, 0),
    }


@pytest.mark.parametrize("name", ["_json.py", "_json/__init__.py"])
def test_a_file_in_the_library_hides_an_extension_module(name: str) -> None:
    plan = with_file(f"{PLAN.layout.library}/{name}")
    assert extensions(PLAN) - extensions(plan) == {"_json"}


def test_the_same_gives_the_same_bytes_and_other_content_another_identity() -> None:
    records = [member("a.pyc"), member("b.pyc")]
    first = record_member(PLAN, BYTECODE, {}, records).data
    assert record_member(planned(), dict(BYTECODE), {}, list(records)).data == first
    changed = [records[0], dataclasses.replace(records[1], sha256="1" * 64)]
    assert record_member(PLAN, BYTECODE, {}, changed).data[:16] != first[:16]
    other = {**BYTECODE, "zipstrap_importer.py": HEAD + b"other part"}
    assert record_member(PLAN, other, {}, records).data[:16] != first[:16]


def test_a_record_has_a_part_of_the_hash_of_the_source() -> None:
    pycs = {"a.py": b"magic..." + bytes(range(1, 9)) + b"code"}
    data = record_member(PLAN, BYTECODE, pycs, [member("a.pyc"), member("b.pyc")]).data
    _, later = unpacked(data)
    found = index(later[4], later[5])
    assert found["a"][3] >> 8 == int.from_bytes(bytes([1, 2, 3]), "little")
    assert found["b"][3] >> 8 == 0


@pytest.mark.parametrize("source", ["archive", "disk", "none"])
def test_settings_say_where_the_sources_are(source: str) -> None:
    now, _ = unpacked(record_member(planned(source=source), BYTECODE, {}, []).data)
    assert now[12] == source


def test_the_shim_gets_the_place() -> None:
    made = record_member(PLAN, BYTECODE, {}, [])
    shim = shim_member(b"<" + PLACE + b">", member(RECORD_MEMBER, 70000), made.data)
    assert shim.name == "encodings/__init__.pyc"
    assert len(shim.data) == len(PLACE) + 2
    assert shim.data[1:25] == made.data[:24]
    assert int.from_bytes(shim.data[25:29], "little") == 70000
    assert shim.data[29] == 0
    alone = shim_member(PLACE, member(RECORD_MEMBER, 70000), made.data, one_archive=True)
    assert (alone.data[:29], alone.data[29]) == (shim.data[1:30], 1)


@pytest.mark.parametrize("pyc", [b"nothing", PLACE * 2])
def test_a_shim_without_its_one_place_is_refused(pyc: bytes) -> None:
    made = record_member(PLAN, BYTECODE, {}, [])
    with pytest.raises(FileError, match="one place"):
        shim_member(pyc, member(RECORD_MEMBER), made.data)


# ---- digests ---------------------------------------------------------------------------------------------


def test_the_shim_knows_that_digests_are_to_be_checked() -> None:
    made = record_member(PLAN, BYTECODE, {}, [])
    for digests in (False, True):
        shim = shim_member(PLACE, member(RECORD_MEMBER, 70000), made.data, digests=digests)
        assert shim.data[28] == digests


@pytest.mark.parametrize(
    ("name", "module", "function", "is_builtin"),
    [
        ("3.8", "_blake2", "blake2b", False),
        ("3.13", "_blake2", "blake2b", False),
        ("3.14-debian", "_blake2", "blake2b", True),
    ],
)
def test_a_start_hashes_with_what_is_there(name: str, module: str, function: str, is_builtin: bool) -> None:
    plan = planned(name)
    hasher = hasher_of(plan)
    assert (hasher.module, hasher.function, not hasher.extension) == (module, function, is_builtin)
    covered = covered_files(plan)
    assert covered[-1] == plan.layout.library_archive
    assert covered[:-1] == (() if is_builtin else (hasher.extension,))
    assert is_builtin or hasher.extension.startswith(f"{plan.layout.dynload}/_blake2.")


@pytest.mark.parametrize(("name", "module"), [("3.8", "_sha256"), ("3.13", "_sha2")])
def test_without_blake2_it_is_sha_256(name: str, module: str) -> None:
    plan = without(planned(name), "_blake2")
    hasher = hasher_of(plan)
    assert (hasher.module, hasher.function) == (module, "sha256")
    with pytest.raises(UnsupportedError, match="nothing to hash with") as caught:
        hasher_of(without(plan, module))
    assert caught.value.exit_status == 5


def without(plan: Plan, module: str) -> Plan:
    kept = tuple(file for file in plan.files if f"/{module}." not in file.path)
    assert len(kept) == len(plan.files) - 1
    return dataclasses.replace(plan, files=kept)


def test_what_steers_a_start_is_covered(tmp_path: Path) -> None:
    facts = facts_of("3.14-debian")
    inventory = inventory_of("3.14-debian")
    selection = select(inventory, facts, parse_request("standard", (), (), inventory))
    hook = HookFile("site", "zipstrap.pth", b"", "a reason")
    plan = make_plan(facts, tree_layout(facts, "isolated"), selection, Options(guard="digest"), [hook], ())
    layout = plan.layout
    covered = covered_files(plan)
    assert covered == (*layout.path_files, f"{layout.site}/zipstrap.pth", layout.library_archive)
    path = tmp_path / "file"
    path.write_bytes(b"text")
    digest = hasher_of(plan).digest(path)
    assert digest == hashlib.blake2b(b"text", digest_size=32).hexdigest()
    code, data = digest_members(plan, HEAD + b"code", dict.fromkeys(covered, digest))
    assert (code.name, code.data) == ("zipstrap_digests.pyc", HEAD + b"code")
    assert marshal.loads(data.data[16:]) == (
        layout.archive,
        "_blake2",
        "blake2b",
        "",
        tuple((path, digest) for path in covered),
    )


def test_starts_are_run_by_their_place() -> None:
    more = {
        **BYTECODE,
        "boot_shim.py": HEAD,
        "boot_digests.py": HEAD,
        "zipstrap_isolated.py": HEAD + b"start",
    }
    data = record_member(PLAN, more, {}, []).data
    now, _ = unpacked(data)
    (place,) = now[-1]
    end = 24 + int.from_bytes(data[16:20], "little")
    assert data[end + place : end] == b"startaway"  # the importer keeps what stands at the end
    assert unpacked(record_member(PLAN, BYTECODE, {}, []).data)[0][-1] == ()


def test_what_lies_behind_4_gb_is_refused() -> None:
    with pytest.raises(OverflowError):
        modules_of(member("a.pyc", 1 << 32))
