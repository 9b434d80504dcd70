"""Records of processes, the trace that is made of them, and what is wrong with one."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from zipstrap.data import profiles
from zipstrap.errors import FileError, UsageError
from zipstrap.inventory import Kind, LibraryFile, classify
from zipstrap.manifest import target_of
from zipstrap.profiles import Request, select, start_modules
from zipstrap.recorder import Process, Recording, parse_record
from zipstrap.trace import (
    Trace,
    TracedModule,
    check_traces,
    load_trace,
    main_process,
    make_trace,
    merge,
    trace_to_json,
)

from .recorded import facts_of

FACTS = facts_of("3.13")
LIBRARY = FACTS.library
PROCESS = Process(
    implementation="cpython",
    version=FACTS.version,
    build=FACTS.build,
    executable=FACTS.executable,
    base_executable=FACTS.executable,
    prefix=FACTS.prefix,
    library=LIBRARY,
    pid=7,
    start={"sys": "built-in", "os": "frozen", "encodings": f"{LIBRARY}/encodings/__init__.py"},
    modules={
        "json": f"{LIBRARY}/json/__init__.py",
        "_json": f"{LIBRARY}/lib-dynload/_json.so",
        "app": "/srv/app.py",
        "pip": f"{LIBRARY}/site-packages/pip/__init__.py",
        "made": "",
    },
    tried=frozenset({"json", "nothing", "nothing.below", "sitecustomize", "sys"}),
    files=frozenset(
        {
            f"{LIBRARY}/json/__init__.py",
            f"{LIBRARY}/lib2to3/Grammar.txt",
            f"{LIBRARY}/site-packages/pip/a.txt",
        }
    ),
    unseen=(("-I", ("python3", "-I", "x.py")),),
)


def recording(*processes: Process, pid: int = 7) -> Recording:
    return Recording(("app", "--all"), 0, pid, processes)


def traced(*processes: Process) -> Trace:
    return make_trace(recording(*processes), FACTS)


def origins(trace: Trace) -> dict[str, str]:
    return {module.name: module.origin for module in trace.modules}


# ---- records ---------------------------------------------------------------------------------------------


def test_a_record_is_read_and_what_is_cut_off_is_passed_over() -> None:
    facts = {
        "implementation": "cpython",
        "version": (3, 13, 0, "final", 0),
        "build": "3.13.0 (main)",
        "executable": "/p",
        "base_executable": "/b",
        "prefix": "/x",
        "library": "/l",
        "pid": 5,
    }
    lines = [
        ("python", facts),
        ("start", "sys", "built-in"),
        ("module", "a", "/l/a.py"),
        ("module", "a", "/elsewhere"),
        ("tried", "b"),
        ("file", "/l/\udcff"),
        ("unseen", "-S", ["python"]),
    ]
    text = "\n".join([*map(ascii, lines), "('module', 'cut", "1", "()", "('file',)"])
    process = parse_record(text)
    assert process == Process(
        "cpython", (3, 13, 0), "3.13.0 (main)", "/p", "/b", "/x", "/l", 5,
        start={"sys": "built-in"},
        modules={"a": "/l/a.py"},
        tried=frozenset({"b"}),
        files=frozenset({"/l/\udcff"}),
        unseen=(("-S", ("python",)),),
    )  # fmt: skip


def test_a_record_that_tells_of_no_interpreter_is_none() -> None:
    assert parse_record("('module', 'a', '')\n") is None
    assert parse_record("") is None


# ---- making ----------------------------------------------------------------------------------------------


def test_modules_have_their_origin() -> None:
    assert origins(traced(PROCESS)) == {
        "sys": "builtin",
        "os": "frozen",
        "encodings": "library",
        "json": "library",
        "_json": "library",
        "app": "application",
        "pip": "application",
        "made": "application",
    }
    assert {each.name for each in traced(PROCESS).modules if each.start} == {"sys", "os", "encodings"}


def test_files_are_those_of_the_library_that_are_no_modules_of_it() -> None:
    assert traced(PROCESS).files == ("lib2to3/Grammar.txt",)


def test_what_is_missing_was_asked_for_and_not_found() -> None:
    assert traced(PROCESS).missing == ("nothing",)


def test_a_module_of_the_library_in_one_process_counts() -> None:
    own = dataclasses.replace(PROCESS, pid=8, modules={"json": "/srv/json.py"})
    assert origins(traced(own))["json"] == "application"
    assert origins(traced(own, PROCESS))["json"] == "library"
    assert origins(traced(PROCESS, own))["json"] == "library"


def test_a_fork_tells_what_its_parent_did_not() -> None:
    fork = dataclasses.replace(PROCESS, pid=8, start={}, modules={"wave": f"{LIBRARY}/wave.py"})
    assert origins(traced(PROCESS, fork))["wave"] == "library"
    assert {each.name for each in traced(PROCESS, fork).modules if each.start} == {"sys", "os", "encodings"}


def test_another_interpreter_does_not_count_and_is_told() -> None:
    older = dataclasses.replace(
        PROCESS, version=(3, 9, 1), executable="/usr/bin/python3.9", modules={"wave": f"{LIBRARY}/wave.py"}
    )
    pypy = dataclasses.replace(PROCESS, implementation="pypy", build="3.10 [PyPy\n7.3]")
    trace = traced(PROCESS, older, older, pypy)
    assert trace.processes == 1
    assert "wave" not in origins(trace)
    assert [(each.name, each.processes) for each in trace.others] == [
        ("3.10 [PyPy 7.3]", 1),
        ("CPython 3.9.1", 2),
    ]


def test_the_interpreter_is_that_of_the_command_else_of_most() -> None:
    other = dataclasses.replace(PROCESS, pid=8, build="other")
    third = dataclasses.replace(PROCESS, pid=9, build="other")
    assert main_process(recording(other, third, PROCESS)) is PROCESS
    found = main_process(recording(other, PROCESS, third, pid=1))
    assert found is not None
    assert found.build == "other"
    assert main_process(recording()) is None


def test_a_start_alone_is_an_empty_trace() -> None:
    bare = dataclasses.replace(PROCESS, modules={"app": "/srv/app.py"}, files=frozenset())
    assert traced(bare).is_empty
    assert not traced(PROCESS).is_empty
    assert not traced(dataclasses.replace(bare, files=frozenset({f"{LIBRARY}/a.txt"}))).is_empty


# ---- merging ---------------------------------------------------------------------------------------------


def test_merged_traces_know_what_each_knows() -> None:
    one = traced(PROCESS)
    second = dataclasses.replace(
        PROCESS,
        modules={"nothing": "/srv/nothing.py", "os": "frozen", "app": f"{LIBRARY}/app.py"},
        files=frozenset({f"{LIBRARY}/b.txt"}),
        unseen=(),
    )
    both = merge([one, traced(second)])
    assert both.processes == 2
    assert both.missing == ("nothing.below",)
    assert both.files == ("b.txt", "lib2to3/Grammar.txt")
    assert origins(both)["app"] == "library"
    assert {each.name for each in both.modules if each.start} == {"sys", "encodings"}
    assert len(both.commands) == 2
    assert merge([one]) == one


# ---- the file --------------------------------------------------------------------------------------------


def test_a_trace_is_read_back(tmp_path: Path) -> None:
    trace = traced(PROCESS, dataclasses.replace(PROCESS, version=(3, 9, 1)))
    file = tmp_path / "trace.json"
    file.write_text(trace_to_json(trace))
    assert load_trace(file) == trace
    assert LIBRARY not in trace_to_json(trace)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": 2}, "schema_version 2"),
        ({"made_by": "somebody"}, "made by 'somebody'"),
        ({"made_by": None}, "AttributeError"),
        ({"modules": [{"name": 1}]}, "name is 1"),
        ({"modules": [{"name": "a", "origin": "heaven", "start": False}]}, "no origin 'heaven'"),
        ({"files": "a"}, "files is 'a'"),
        ({"target": None}, "TypeError"),
        ({"commands": None}, "TypeError"),
    ],
)
def test_what_is_no_trace_is_told(change: dict[str, object], told: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text(json.dumps({**json.loads(trace_to_json(traced(PROCESS))), **change}))
    with pytest.raises(FileError, match=re.escape(told)) as caught:
        load_trace(file)
    assert str(file) in str(caught.value)
    assert "zipstrap trace" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"3", b"null", b"\xff", b"[" * 100_000])
def test_noise_is_no_trace(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_bytes(data)
    with pytest.raises(FileError, match="is not a trace of this zipstrap"):
        load_trace(file)


def test_a_trace_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        load_trace(tmp_path / "trace.json")


def test_every_trace_that_does_not_fit_is_told_at_once() -> None:
    trace = traced(PROCESS)
    older = dataclasses.replace(
        trace, target=dataclasses.replace(trace.target, name="CPython 3.9.1", version=(3, 9, 1))
    )
    mac = dataclasses.replace(trace, target=dataclasses.replace(trace.target, platform="darwin"))
    empty = dataclasses.replace(trace, files=(), modules=(TracedModule("sys", "builtin", start=True),))
    patch = dataclasses.replace(trace, target=dataclasses.replace(trace.target, version=(3, 13, 9)))
    check_traces({"a": trace, "b": patch}, FACTS)
    with pytest.raises(UsageError) as caught:
        check_traces({"older": older, "fits": trace, "mac": mac, "empty": empty}, FACTS)
    told = str(caught.value)
    assert "older: is a trace of CPython 3.9.1 on linux" in told
    assert "mac: is a trace of CPython 3.13.0 on darwin" in told
    assert "empty: holds no module beyond those that each start imports" in told
    assert "fits" not in told
    assert target_of(FACTS).name in told


# ---- the profile -----------------------------------------------------------------------------------------

FILES = (
    "a/__init__.py", "a/b.py", "a/c.py", "a/data.txt", "a/other.txt", "d.py", "LICENSE.txt", "os.py",
    "lib-dynload/_d.cpython-313-x86_64-linux-gnu.so", "lib-dynload/_e.cpython-313-x86_64-linux-gnu.so",
)  # fmt: skip


def test_a_profile_takes_what_the_trace_names_and_no_more() -> None:
    inventory = classify([LibraryFile(path, path, 1, 0o644) for path in FILES], FACTS)
    assert {entry.module for entry in inventory.entries if entry.kind is Kind.EXTENSION} == {"_d", "_e"}
    request = Request(
        profiles()["trace"], modules=frozenset({"a.b", "_d", "nowhere"}), files=frozenset({"a/data.txt"})
    )
    start = start_modules(request, inventory)
    assert start == ("_d", "a.b", "os")
    selection = select(inventory, FACTS, request, frozenset({"_d", "a.b", "a", "os"}))
    assert {entry.path for entry in selection.kept} == {
        "a/__init__.py", "a/b.py", "a/data.txt", "LICENSE.txt", "os.py",
        "lib-dynload/_d.cpython-313-x86_64-linux-gnu.so",
    }  # fmt: skip
    reasons = {item.entry.path: item.reason for item in selection.left_out}
    assert reasons["a/other.txt"] == reasons["d.py"] == "nothing in the profile trace imports it"


def test_a_package_that_is_included_comes_with_its_data() -> None:
    inventory = classify([LibraryFile(path, path, 1, 0o644) for path in FILES], FACTS)
    request = Request(profiles()["trace"], include=("a",))
    selection = select(inventory, FACTS, request, frozenset())
    assert {"a/__init__.py", "a/c.py", "a/other.txt"} <= {entry.path for entry in selection.kept}
