"""Which part a file belongs to, and what the list of files looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from zipstrap.destdir import part_of
from zipstrap.destination import working_folder
from zipstrap.errors import FileError, UnsupportedError, UsageError
from zipstrap.file_list import ListedFile, list_tree, to_mtree
from zipstrap.layout import standard_layout, with_libdir

from .recorded import facts_of

LIBRARY = "lib/python3.13"


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("bin/python3.13", "executable", "arch"),
        ("bin/python3", "link", "arch"),
        ("lib/libpython3.13.so.1.0", "shared library", "arch"),
        (f"{LIBRARY}/lib-dynload/_json.cpython-313-x86_64-linux-gnu.so", "extension", "arch"),
        (f"{LIBRARY}/lib-dynload", "folder", "arch"),
        (f"{LIBRARY}/_sysconfigdata__linux_x86_64-linux-gnu.py", "source", "arch"),
        (f"{LIBRARY}/__pycache__/_sysconfigdata__linux_x86_64-linux-gnu.cpython-313.pyc", "data", "arch"),
        (f"{LIBRARY}/config-3.13-x86_64-linux-gnu/Makefile", "data", "arch"),
        (f"{LIBRARY}/build-details.json", "data", "arch"),
        ("zipstrap-manifest.json", None, "arch"),
        ("lib/python313.zip", "archive", "indep"),
        ("lib/python313-library.zip", None, "indep"),
        (f"{LIBRARY}/json/__init__.py", "data", "indep"),
        (f"{LIBRARY}/test/lib-dynload/x.py", "data", "indep"),
        (f"{LIBRARY}/site-packages", "folder", "indep"),
    ],
)
def test_what_is_for_one_machine_is_told_from_the_rest(path: str, kind: str | None, part: str) -> None:
    assert part_of(path, kind, LIBRARY, f"{LIBRARY}/lib-dynload") == part


def test_shared_libraries_may_lie_in_a_multiarch_folder() -> None:
    layout = standard_layout(facts_of("3.13"))
    moved = with_libdir(layout, "lib/x86_64-linux-gnu/")
    assert moved.shared_libraries == "lib/x86_64-linux-gnu"
    assert moved.archive == layout.archive


def test_a_folder_that_the_interpreter_does_not_look_into_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"looks for lib/python313\.zip and lib/python3\.13"):
        with_libdir(standard_layout(facts_of("3.13")), "lib64")


@pytest.mark.parametrize("name", ["3.8-lib64", "3.12-fedora"])
def test_lib64_is_where_such_an_interpreter_looks(name: str) -> None:
    layout = standard_layout(facts_of(name))
    assert with_libdir(layout, "lib64").shared_libraries == "lib64"
    with pytest.raises(UnsupportedError, match="use --libdir lib64"):
        with_libdir(layout, "lib")


@pytest.mark.parametrize("libdir", ["/usr/lib", "../lib", "lib/../lib64", "lib//x", "/"])
def test_what_is_no_folder_below_the_prefix_is_refused(libdir: str) -> None:
    with pytest.raises(UsageError, match="no folder below the prefix"):
        with_libdir(standard_layout(facts_of("3.13")), libdir)


def test_the_list_is_sorted_and_escaped(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir(mode=0o755)
    (tmp_path / "b" / "a name#1\\é").write_bytes(b"x")
    (tmp_path / "b" / "a name#1\\é").chmod(0o640)
    (tmp_path / "a").symlink_to("to there")
    (tmp_path / "b").chmod(0o755)
    assert to_mtree(list_tree(tmp_path), below="/usr", time=7) == (
        "#mtree\n"
        "./usr/a type=link mode=0777 link=to\\040there time=7.0\n"
        "./usr/b type=dir mode=0755 time=7.0\n"
        "./usr/b/a\\040name\\0431\\134\\303\\251 type=file mode=0640 size=1 sha256digest="
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 time=7.0\n"
    )


def test_the_list_of_nothing_has_its_first_line() -> None:
    assert to_mtree([ListedFile("a", "dir", 0o700)], below="/") == "#mtree\n./a type=dir mode=0700\n"
    assert to_mtree([]) == "#mtree\n"


def test_a_working_folder_is_gone_after_it_was_used_and_after_a_failure(tmp_path: Path) -> None:
    made = tmp_path / "new" / "D"
    with pytest.raises(FileError, match="D/x: no") as caught, working_folder(made) as folder:
        (folder / "x").write_bytes(b"")
        raise FileError("no", file=folder / "x", cure="none")
    assert caught.value.problem.file == str(made / "x")
    assert not made.parent.exists()
    with working_folder(made) as folder:
        (folder / "x").rename(made / "x") if (folder / "x").exists() else (made / "x").write_bytes(b"")
    assert os.listdir(made) == ["x"]
