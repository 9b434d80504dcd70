"""A destination is complete or absent, and nobody else's work is replaced, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from zipstrap import destination as places
from zipstrap.destination import check_destination, new_file, new_folder
from zipstrap.errors import FileError, UsageError


def ours(path: Path) -> bool:
    marked = path / "mark" if path.is_dir() else path
    return marked.is_file() and marked.read_text() == "ours"


def our_folder(path: Path) -> Path:
    path.mkdir()
    (path / "mark").write_text("ours")
    return path


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_folder_appears_when_it_is_done(tmp_path: Path) -> None:
    with new_folder(tmp_path / "tree") as work:
        (work / "file").write_text("x")
        assert not (tmp_path / "tree").exists()
    assert names(tmp_path) == ["tree"]
    assert names(tmp_path / "tree") == ["file"]
    assert (tmp_path / "tree").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FileError("full", cure="free some")])
def test_a_failure_leaves_nothing(tmp_path: Path, error: BaseException | type[BaseException]) -> None:
    for make in (new_folder, new_file):
        with pytest.raises(BaseException, match=r".*"), make(tmp_path / "tree"):
            raise error
    assert names(tmp_path) == []


def put_file(path: Path) -> None:
    path.write_text("precious")


def put_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis").write_text("precious")


def put_ours(path: Path) -> None:
    our_folder(path)


@pytest.mark.parametrize("put", [put_file, put_folder, put_ours])
def test_what_appears_in_the_meantime_is_kept(tmp_path: Path, put: Callable[[Path], None]) -> None:
    with pytest.raises(FileError, match="exists already"), new_folder(tmp_path / "tree") as work:
        (work / "file").write_text("x")
        put(tmp_path / "tree")
        before = names(tmp_path / "tree") if put is not put_file else []
    assert names(tmp_path) == ["tree"]
    assert put is put_file or names(tmp_path / "tree") == before


@pytest.mark.parametrize("put", [put_file, put_folder])
def test_what_appears_in_the_meantime_is_kept_by_force_too(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    with (
        pytest.raises(FileError, match="was not made by zipstrap"),
        new_folder(tmp_path / "tree", replace=ours) as work,
    ):
        (work / "file").write_text("x")
        put(tmp_path / "tree")
    assert names(tmp_path) == ["tree"]
    found = tmp_path / "tree"
    assert (found if put is put_file else found / "thesis").read_text() == "precious"


def test_ours_is_replaced_by_force(tmp_path: Path) -> None:
    our_folder(tmp_path / "tree")
    with new_folder(tmp_path / "tree", replace=ours) as work:
        (work / "file").write_text("x")
    assert names(tmp_path) == ["tree"]
    assert names(tmp_path / "tree") == ["file"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with new_folder(tmp_path / "tree", replace=ours) as work:
        (work / "file").write_text("x")
    assert names(tmp_path / "tree") == ["file"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_that_appears_in_the_meantime_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(*_arguments: object) -> None:
            raise PermissionError(1, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    with new_file(tmp_path / "first") as work:
        work.write_text("x")
    assert (tmp_path / "first").read_text() == "x"
    with pytest.raises(FileError, match="exists already"), new_file(tmp_path / "archive") as work:
        work.write_text("x")
        (tmp_path / "archive").write_text("precious")
    with (
        pytest.raises(FileError, match="was not made by zipstrap"),
        new_file(tmp_path / "archive", replace=ours) as work,
    ):
        work.write_text("x")
    assert (tmp_path / "archive").read_text() == "precious"
    (tmp_path / "archive").write_text("ours")
    with new_file(tmp_path / "archive", replace=ours) as work:
        work.write_text("x")
    assert (tmp_path / "archive").read_text() == "x"
    assert names(tmp_path) == ["archive", "first"]


def test_what_a_killed_build_left_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, young = tmp_path / ".tree.dead.zipstrap", tmp_path / ".tree.young.zipstrap"
    other = tmp_path / ".another.dead.zipstrap"
    for folder in (dead, young, other):
        folder.mkdir()
    with new_folder(tmp_path / "tree") as living:
        for folder in (dead, other, living):
            os.utime(folder, (0, 0))
        with new_folder(tmp_path / "tree2"), pytest.raises(FileError), new_folder(tmp_path / "tree"):
            assert living.is_dir()  # somebody holds it
            (tmp_path / "tree").mkdir()
            (tmp_path / "tree" / "x").mkdir()
        (tmp_path / "tree" / "x").rmdir()
        assert not dead.exists()
    assert names(tmp_path) == [".another.dead.zipstrap", ".tree.young.zipstrap", "tree", "tree2"]


def test_the_checks_before_a_build(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()

    def check(path: Path, *, force: bool | None = False) -> None:
        check_destination(path, force=force, is_ours=ours, apart_from=library)

    check(tmp_path / "new")
    with pytest.raises(FileError, match="no such folder"):
        check(tmp_path / "nowhere" / "tree")
    for inside in (library / "tree", tmp_path):
        with pytest.raises(UsageError, match="lie in each other"):
            check(inside, force=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileError, match=r"(?s)exists already.*use --force"):
        check(empty)
    with pytest.raises(FileError, match="exists already") as caught:
        check(empty, force=None)  # of a verb without that option
    assert "--force" not in str(caught.value)
    check(empty, force=True)
    our_folder(tmp_path / "ours")
    check(tmp_path / "ours", force=True)
    (tmp_path / "link").symlink_to("ours")
    for foreign in (tmp_path / "link", our_folder(tmp_path / "theirs")):
        (tmp_path / "theirs" / "mark").write_text("theirs") if (tmp_path / "theirs").is_dir() else None
        with pytest.raises(FileError, match="was not made by zipstrap"):
            check(foreign, force=True)


@pytest.mark.parametrize("name", ["a$ORIGIN", "${LIB}x", "a\nb"])
def test_paths_that_a_tree_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a tree cannot have this path"):
        places.check_tree_path(tmp_path / name)
    places.check_tree_path(tmp_path / "$HOME")
