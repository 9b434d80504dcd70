from __future__ import annotations

import io
import json
import re
import struct
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zipstrap.archive import Member, write_archive
from zipstrap.data import archive_rules
from zipstrap.plugins import (
    FAULTS,
    Fault,
    Limits,
    Plugins,
    Runtime,
    check_archive,
    checked_to_json,
    fault_lines,
    runtime_of,
    this_runtime,
)

from .recorded import facts_of

MAGIC_3_8, MAGIC_3_13 = struct.pack("<H", 3413) + b"\r\n", struct.pack("<H", 3571) + b"\r\n"

#: an interpreter that no test runs on
OTHER = Runtime(
    (3, 8, 18), MAGIC_3_8, "linux-aarch64", (".cpython-38-aarch64-linux-gnu.so", ".abi3.so", ".so")
)

ABOUT = {"schema_version": 1, "name": "one", "version": "1", "entry_point": "main:run"}


def plugin(files: dict[str, bytes], about: dict[str, object] = ABOUT) -> bytes:
    stream = io.BytesIO()
    members = {"plugin.json": json.dumps(about).encode(), "main.py": b"", **files}
    write_archive(stream, [Member(name, data) for name, data in members.items()], mtime=0)
    return stream.getvalue()


def kinds(data: bytes, runtime: Runtime = OTHER, api: str = "") -> list[str]:
    return [fault.kind for fault in check_archive(data, "one.zip", runtime=runtime, api=api).faults]


def problem(data: bytes, runtime: Runtime = OTHER) -> str:
    (fault,) = check_archive(data, "one.zip", runtime=runtime).faults
    return fault.problem


def test_bytecode_of_another_version_is_named() -> None:
    code = bytes(12) + b"N"
    assert kinds(plugin({"x.pyc": MAGIC_3_8 + code})) == []
    assert problem(plugin({"x.pyc": MAGIC_3_13 + code})) == (
        "'x.pyc' is bytecode of Python 3.13 (magic f30d0d0a), this is 3.8 (magic 550d0d0a)"
    )
    assert "of another version (magic 00000000)" in problem(plugin({"x.pyc": bytes(17)}))
    assert kinds(plugin({"x.pyc": MAGIC_3_8 + code, "x.py": b""})) == []
    assert kinds(plugin({"x.pyc": MAGIC_3_8 + code, "x.py": b"0"})) == ["bytecode"]
    assert kinds(plugin({"x.pyc": MAGIC_3_8 + struct.pack("<L", 4) + code})) == ["bytecode"]


@pytest.mark.parametrize(
    ("name", "machine", "words"),
    [
        ("x.cpython-38-aarch64-linux-gnu.so", 62, "for the machine x86_64, this is aarch64"),
        ("x.cpython-38-aarch64-linux-gnu.so", 183, "is not loaded from a plugin"),
        ("x.cpython-39-aarch64-linux-gnu.so", 183, "of another kind (.cpython-39-aarch64-linux-gnu.so)"),
        ("pkg/x.abi3.so", 40, "for the machine armv7l"),
        ("x.cp38-win_amd64.pyd", 62, "of another kind (.cp38-win_amd64.pyd)"),
    ],
)
def test_extension_modules_are_refused_with_the_cause(name: str, machine: int, words: str) -> None:
    data = b"\x7fELF\2\1" + bytes(12) + struct.pack("<H", machine) + bytes(44)
    assert words in problem(plugin({name: data}))


@pytest.mark.parametrize(
    ("clauses", "fits"),
    [
        ("", True),
        (">=3.8", True),
        (">=3.8.19", False),
        (">3.8", True),
        (">3.8.18", False),
        ("<=3.8", False),
        ("<3.9", True),
        ("==3.8", False),
        ("==3.8.*", True),
        ("!=3.8.*", False),
        ("==3.8.18", True),
        (">= 3.7 , < 4", True),
    ],
)
def test_versions_of_python(clauses: str, fits: bool) -> None:
    assert kinds(plugin({}, {**ABOUT, "requires_python": clauses})) == ([] if fits else ["python"])


@pytest.mark.parametrize(
    ("needs", "has", "fits"),
    [
        ("1", "1.0", True),
        ("1.2", "1.2", True),
        ("1.2", "1.10", True),
        ("1.2", "1.1", False),
        ("1", "2", False),
        ("2", "1", False),
        ("1", "", True),
        ("", "1", True),
    ],
)
def test_versions_of_the_interface(needs: str, has: str, fits: bool) -> None:
    assert kinds(plugin({}, {**ABOUT, "api": needs}), api=has) == ([] if fits else ["api"])


def test_all_that_is_wrong_is_told_at_once() -> None:
    about = {**ABOUT, "entry_point": "none:run", "requires_python": ">4", "platforms": ["none"]}
    data = plugin({"x.pyc": bytes(17), "y.pyd": b""}, about)
    assert kinds(data) == ["bytecode", "extension", "entry-point", "python", "platform"]
    assert {fault.plugin for fault in check_archive(data, "one.zip", runtime=OTHER).faults} == {"one"}


def test_what_is_compressed_is_bounded() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(2000))
    checked = check_archive(stream.getvalue(), "one.zip", limits=Limits(1000, 10000))
    assert [fault.kind for fault in checked.faults] == ["expansion"]


@given(st.binary(max_size=400), st.integers(0, 2000))
def test_bad_bytes_are_refused_or_harmless(noise: bytes, at: int) -> None:
    """Whatever is written over an archive, it is told in faults; what is accepted has the same content."""
    data = plugin({})
    at = min(at, len(data))
    checked = check_archive(data[:at] + noise + data[at + len(noise) :], "one.zip")
    assert not checked.ok or (checked.metadata is not None and checked.metadata.name == "one")


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=30)
@given(_JSON)
def test_metadata_may_be_anything(value: object) -> None:
    for key in (*ABOUT, "about", "at_unload", "api", "requires_python", "platforms", "extra"):
        checked = check_archive(plugin({}, {**ABOUT, key: value}), "one.zip", runtime=OTHER)
        assert {fault.kind for fault in checked.faults} <= FAULTS.keys()


def test_a_rule_of_archives_has_its_code() -> None:
    fault = Fault("name-parent", "the name leads out", "one.zip", "as the loader says")
    rule = archive_rules()["name-parent"]
    lines = list(fault_lines([fault, Fault("api", "needs 2", "one.zip", FAULTS["api"])]))
    assert lines[0] == f"  {rule.code} name-parent: the name leads out"
    assert lines[1].startswith("    what to do: ")
    assert lines[2] == "  api: needs 2"


def test_the_json_document() -> None:
    checked = check_archive(plugin({}), "one.zip", runtime=OTHER)
    document = json.loads(json.dumps(checked_to_json([checked], [])))
    assert document["schema_version"] == 1
    assert document["plugins"][0]["metadata"]["name"] == "one"
    assert (document["plugins"][0]["ok"], document["plugins"][0]["faults"]) == (True, [])


def test_the_runtime_of_recorded_facts() -> None:
    facts = facts_of("3.13")
    runtime = runtime_of(facts)
    assert runtime == Runtime(facts.version, MAGIC_3_13, "linux-x86_64", facts.extension_suffixes)


def test_kinds_of_faults_are_no_rules_of_archives() -> None:
    assert FAULTS.keys() & archive_rules().keys() == set()


def test_every_kind_is_on_the_page() -> None:
    page = Path(__file__).parents[2] / "docs/reference/plugins.md"
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {*FAULTS} <= listed


def test_the_host_loads_plugins_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "one.zip").write_bytes(
        plugin({"main.py": b"import util\ndef run(): return util.__name__\n", "util.py": b""})
    )
    with Plugins(str(tmp_path), namespace="host_plugins") as plugins:
        assert plugins.load().loaded == ("one",)
        assert plugins.call("one").value == "host_plugins.one.util"
    assert [name for name in sys.modules if name.startswith("host_plugins")] == []
    assert this_runtime().version == sys.version_info[:3]
