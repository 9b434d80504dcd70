"""From a plan to bytes, with a compiler that is made up."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from zipstrap import contents
from zipstrap.archive import DEFLATED, Member
from zipstrap.compile import Compiled, Source
from zipstrap.contents import Contents, SourceReader, bytecode_path, make_contents
from zipstrap.errors import FileError
from zipstrap.hooks import HookFile
from zipstrap.inventory import LibraryFile, classify
from zipstrap.layout import standard_layout
from zipstrap.plan import FileKind, Options, Plan, make_plan
from zipstrap.profiles import parse_request, select
from zipstrap.stage import copying, stage

from .recorded import facts_of

HOOK = HookFile("archive", "sitecustomize.py", b"hook", "checks the boot")
LIBRARY = {
    "os.py": b"os",
    "encodings/__init__.py": b"encodings",
    "venv/__init__.py": b"venv",
    "venv/scripts/activate": b"activate",
    "xml/dom/spec.txt": b"data without packages",
    "test/bad.py": b"does not compile",
    "space/module.py": b"in a namespace",
}


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """Give the list of what was compiled; what says so does not compile."""
    seen: list[Source] = []

    def compile_sources(_executable: Path, sources: Sequence[Source], **_options: Any) -> Compiled:
        seen.extend(sources)
        bad = {source.key for source in sources if b"does not compile" in source.data}
        return Compiled(
            {source.key: b"pyc of " + source.data for source in sources if source.key not in bad},
            dict.fromkeys(bad, "line 1: invalid syntax"),
            from_cache=1,
        )

    monkeypatch.setattr(contents, "compile_sources", compile_sources)
    return seen


def plan_of(folder: Path, library: dict[str, bytes], name: str = "3.13", **options: Any) -> Plan:
    files = []
    for path, data in sorted(library.items()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        files.append(LibraryFile(path, str(folder / path), len(data), 0o644))
    facts = facts_of(name)
    inventory = classify(files, facts)
    selection = select(inventory, facts, parse_request("full", (), (), inventory))
    return make_plan(facts, standard_layout(facts), selection, Options(**options), [HOOK])


def made(plan: Plan) -> Contents:
    return make_contents(plan, SourceReader(), jobs=1, cache=None)


def names(found: Contents) -> list[str]:
    return [member.name for member in found.members]


def test_modules_are_bytecode_with_their_sources(tmp_path: Path, compiled: list[Source]) -> None:
    found = made(plan_of(tmp_path, LIBRARY, "3.14-debian"))
    assert sorted(names(found)) == [
        "encodings/__init__.py",
        "encodings/__init__.pyc",
        "os.py",
        "os.pyc",
        "sitecustomize.py",
        "sitecustomize.pyc",
        "space/module.py",
        "space/module.pyc",
        "xml/dom/spec.txt",
    ]
    by_name = {member.name: member.data for member in found.members}
    assert (by_name["os.pyc"], by_name["os.py"]) == (b"pyc of os", b"os")
    assert by_name["sitecustomize.pyc"] == b"pyc of hook"
    assert {source.filename for source in compiled} >= {
        "lib/python3.14/os.py",
        "lib/python3.14/venv/__init__.py",
    }


def test_modules_without_their_sources(tmp_path: Path) -> None:
    found = names(made(plan_of(tmp_path, LIBRARY, "3.14-debian", source="none")))
    assert sorted(found) == [
        "encodings/__init__.pyc",
        "os.pyc",
        "sitecustomize.pyc",
        "space/module.pyc",
        "xml/dom/spec.txt",
    ]


def test_modules_on_disk_get_bytecode_of_their_own(tmp_path: Path) -> None:
    found = made(plan_of(tmp_path, LIBRARY))
    assert dict(found.bytecode) == {"lib/python3.13/venv/__init__.py": b"pyc of venv"}


@pytest.mark.parametrize(
    ("name", "folders"),
    [("3.8", ["space/", "xml/", "xml/dom/"]), ("3.13", ["space/", "xml/", "xml/dom/"]), ("3.14-debian", [])],
)
def test_folders_without_a_package_have_entries_up_to_3_13(
    tmp_path: Path, name: str, folders: list[str]
) -> None:
    found = made(plan_of(tmp_path, LIBRARY, name))
    entries = [member for member in found.members if member.name.endswith("/")]
    assert entries == [Member(folder, b"") for folder in folders]


def test_tests_that_do_not_compile_are_data(tmp_path: Path) -> None:
    # on disk, as all of the tests; and inside the archive, as those of a package
    library = {**LIBRARY, "ctypes/__init__.py": b"", "ctypes/test/bad.py": b"does not compile"}
    found = made(plan_of(tmp_path, library, source="none"))
    assert set(found.not_compiled) == {"lib/python3.13/test/bad.py", "ctypes/test/bad.py"}
    assert "lib/python3.13/test/bad.py" not in found.bytecode
    assert [name for name in names(found) if "bad" in name] == ["ctypes/test/bad.py"]


def test_what_should_compile_and_does_not_is_told_at_once(tmp_path: Path) -> None:
    library = {**LIBRARY, "a.py": b"does not compile", "venv/b.py": b"does not compile"}
    with pytest.raises(FileError) as caught:
        made(plan_of(tmp_path, library))
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/a.py: does not compile: line 1: invalid syntax",
        f"{tmp_path}/venv/b.py: does not compile: line 1: invalid syntax",
        "  what to do: mend the source, or leave the module out with --exclude",
    ]


def test_what_vanished_is_told_at_once(tmp_path: Path, compiled: list[Source]) -> None:
    plan = plan_of(tmp_path, LIBRARY)
    for path in ("os.py", "xml/dom/spec.txt"):
        (tmp_path / path).unlink()
    with pytest.raises(FileError, match="cannot be read") as caught:
        made(plan)
    problems = [caught.value.problem, *caught.value.others]
    assert {problem.file for problem in problems} == {f"{tmp_path}/os.py", f"{tmp_path}/xml/dom/spec.txt"}
    assert compiled == []


def test_names_that_no_archive_can_hold_are_told_at_once(tmp_path: Path, compiled: list[Source]) -> None:
    odd = [os.fsdecode(b"xml/caf\xe9.txt"), "xml/back\\slash.txt"]
    plan = plan_of(tmp_path, {**LIBRARY, **dict.fromkeys(odd, b"data")})
    with pytest.raises(FileError, match="no archive can hold it") as caught:
        made(plan)
    problems = [caught.value.problem, *caught.value.others]
    assert {problem.file for problem in problems} == {f"{tmp_path}/{name}" for name in odd}
    assert "rename it" in caught.value.cure
    assert compiled == []


@pytest.mark.parametrize("gone", ["venv/scripts/activate", "the interpreter"])
def test_what_vanishes_before_it_is_copied_is_no_fault_of_the_destination(tmp_path: Path, gone: str) -> None:
    for name in ("library", "tree"):
        (tmp_path / name).mkdir()
    python = tmp_path / "python"
    python.touch()
    plan = plan_of(tmp_path / "library", LIBRARY)
    # its executable is one of a recorded interpreter, which is not here
    files = tuple(
        dataclasses.replace(file, source=str(python)) if file.kind is FileKind.EXECUTABLE else file
        for file in plan.files
    )
    plan = dataclasses.replace(plan, files=files)
    found = made(plan)
    path = python if gone == "the interpreter" else tmp_path / "library" / gone
    path.unlink()
    with (
        pytest.raises(FileError, match="cannot be read") as caught,
        copying(plan, tmp_path / "tree") as copies,
    ):
        stage(plan, found, SourceReader(), None, tmp_path / "tree", copies, mtime=0)
    assert caught.value.problem.file == str(path)
    assert "space" not in caught.value.cure


def test_a_place_that_cannot_be_written_is_told_with_its_own_cure(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "library", LIBRARY)
    with (
        pytest.raises(FileError, match="cannot be written") as caught,
        copying(plan, tmp_path / "absent") as copies,
    ):
        stage(plan, made(plan), SourceReader(), None, tmp_path / "absent", copies, mtime=0)
    assert str(caught.value.problem.file).startswith(str(tmp_path / "absent"))
    assert "space" in caught.value.cure


def test_deflate_is_as_planned(tmp_path: Path) -> None:
    found = made(
        plan_of(
            tmp_path,
            {name: data * 50 for name, data in {**LIBRARY, "json.py": b"json"}.items()},
            "3.14-debian",
            compress="deflate",
        )
    )
    deflated = {member.name for member in found.members if member.packed}
    assert {member.packed[0] for member in found.members if member.packed} == {DEFLATED}
    assert {"json.pyc", "json.py", "os.py", "xml/dom/spec.txt"} <= deflated
    assert not {"os.pyc", "encodings/__init__.pyc", "sitecustomize.pyc", "sitecustomize.py"} & deflated


def test_counts(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, LIBRARY)
    found = made(plan)
    modules = [*(member.module for member in plan.members), *(file.module for file in plan.files)]
    assert (found.compiled, found.from_cache) == (len(modules) - modules.count(None), 1)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    reader = SourceReader()
    assert reader.read(str(path)) == b"first"
    path.write_bytes(b"second")
    assert reader.read(str(path)) == b"first"
    reader.check()


def test_a_plan_of_nothing_is_empty(tmp_path: Path) -> None:
    plan = dataclasses.replace(plan_of(tmp_path, LIBRARY), members=(), files=())
    assert made(plan) == Contents((), {}, {}, from_cache=1, compiled=0, boot={}, modules={})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("lib/python3.13/venv/__init__.py", "lib/python3.13/venv/__pycache__/__init__.cpython-313.pyc"),
        ("lib/python3.13/pydoc.py", "lib/python3.13/__pycache__/pydoc.cpython-313.pyc"),
    ],
)
def test_where_bytecode_lies(source: str, expected: str) -> None:
    assert bytecode_path(source, "cpython-313") == expected
