"""Changes below a folder: old or new at every instant, and never outside of it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from zipstrap.durable import NEW_SUFFIX, Root, open_ancestors
from zipstrap.errors import FileError

HOLDER = """\
import sys
from pathlib import Path
from zipstrap.durable import Root
with Root(Path(sys.argv[1])) as root, root.locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with Root(tmp_path) as opened:
        yield opened


def test_a_file_is_written_and_replaced(root: Root, tmp_path: Path) -> None:
    root.make_folders("a/b")
    root.write_file("a/b/c", b"one", 0o755)
    root.write_file("a/b/c", b"two", 0o640)
    assert (tmp_path / "a/b/c").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o640
    assert root.names("a/b") == ["c"]


def test_modes_are_those_asked_for_whatever_the_umask(root: Root, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert root.make_folders("a/b") == ["a", "a/b"]
        assert root.make_folders("a/b") == []
        root.write_file("a/b/c", b"", 0o644)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")] == [
        0o755,
        0o755,
        0o644,
    ]


def test_a_link_replaces_a_link_and_a_file(root: Root) -> None:
    root.write_link("link", "one")
    root.write_link("link", "two")
    assert root.read_link("link") == "two"
    root.write_file("file", b"")
    assert (root.read_link("file"), root.read_link("none"), root.read_file("none")) == (None, None, None)
    root.write_link("file", "three")
    assert root.read_link("file") == "three"


def test_a_write_that_fails_leaves_what_was_there(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write_file("file", b"old")

    def fail(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("write", "fsync", "rename"):
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(FileError, match=r"No space left on device[^$]*free some space"):
                root.write_file("file", b"new")
    assert (root.read_file("file"), root.names()) == (b"old", ["file"])


def test_short_writes_are_gone_on_with(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:3]))
    root.write_file("file", b"0123456789")
    assert root.read_file("file") == b"0123456789"


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root.write_file("way/out/file", b""),
        lambda root: root.write_link("way/out/link", "x"),
        lambda root: root.make_folders("way/out"),
        lambda root: root.remove("way/out/kept"),
        lambda root: root.rename("way/out/kept", "kept"),
        lambda root: root.sync("way/out"),
        lambda root: root.names("way/out"),
    ],
)
def test_no_link_is_followed(root: Root, tmp_path: Path, change: Callable[[Root], object]) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "kept").write_text("x", encoding="utf-8")
    root.make_folders("way")
    (tmp_path / "way/out").symlink_to(outside)
    with pytest.raises(FileError, match="a link or a file where a folder was expected"):
        change(root)
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_tree_with_links_is_removed_and_what_they_lead_to_stays(root: Root, tmp_path: Path) -> None:
    root.make_folders("kept")
    root.make_folders("tree/read-only")
    root.write_file("kept/file", b"")
    root.write_file("tree/read-only/file", b"", 0o444)
    (tmp_path / "tree/read-only/link").symlink_to(tmp_path / "kept")
    (tmp_path / "tree/read-only").chmod(0o555)
    root.remove_tree("tree")
    root.remove_tree("tree")
    assert (root.names(), root.names("kept")) == (["kept"], ["file"])


def test_what_is_unfinished_is_known_and_cleared(root: Root, tmp_path: Path) -> None:
    (tmp_path / f".tree{NEW_SUFFIX}/sub").mkdir(parents=True)
    (tmp_path / f".file{NEW_SUFFIX}").write_text("x", encoding="utf-8")
    root.write_file("whole", b"")
    found = [f".file{NEW_SUFFIX}", f".tree{NEW_SUFFIX}"]
    assert root.unfinished() == found
    assert root.clear_unfinished() == found
    assert root.names() == ["whole"]


def test_what_is_unfinished_is_no_obstacle(root: Root, tmp_path: Path) -> None:
    for name in ("file", "link"):
        (tmp_path / f".{name}{NEW_SUFFIX}/sub").mkdir(parents=True)
    root.write_file("file", b"new")
    root.write_link("link", "new")
    assert root.names() == ["file", "link"]


def test_only_an_empty_folder_is_removed(root: Root) -> None:
    root.make_folders("a/b")
    assert [root.remove_folder(path) for path in ("a", "a/b", "a/b", "a")] == [False, True, True, True]


@pytest.mark.parametrize("path", ["", "/etc", "../x", "a/../../x"])
def test_a_path_stays_below(root: Root, path: str) -> None:
    with pytest.raises(ValueError, match="no path below a folder"):
        root.write_file(path, b"")


def test_the_lock_is_held_by_one_and_given_up_by_the_dead(root: Root, tmp_path: Path) -> None:
    script = tmp_path / "holder.py"
    script.write_text(HOLDER, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as second:
            assert second.stdout is not None
            os.set_blocking(second.stdout.fileno(), False)
            assert second.stdout.read() is None  # it waits
            os.set_blocking(second.stdout.fileno(), True)
            first.kill()
            assert second.stdout.readline() == b"held\n"
            second.kill()
    with root.locked():
        pass


def test_every_file_and_folder_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/file").write_text("x", encoding="utf-8")
    (tmp_path / "a/b/link").symlink_to("nowhere")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    with Root(tmp_path.parent) as above:
        above.sync(tmp_path.name)
    names = {os.path.relpath(path, tmp_path) for path in synced}
    assert names == {".", "a", "a/b", "a/file"}


def test_ancestors_that_others_can_write_to_are_told(tmp_path: Path) -> None:
    inner = tmp_path / "open/inner"
    inner.mkdir(parents=True)
    before = [found.path for found in open_ancestors(inner)]
    (tmp_path / "open").chmod(0o777)
    assert [found.path for found in open_ancestors(inner) if found.path not in before] == [tmp_path / "open"]
    (tmp_path / "open").chmod(0o1777)
    assert [found.path for found in open_ancestors(inner)] == before


def test_times_are_set_without_following_links(root: Root, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    for path in ("file", "link", ""):
        root.set_time(path, 1_000_000_007)
        assert (tmp_path / path).lstat().st_mtime_ns == 1_000_000_007
    root.set_time("link", 5)
    assert (tmp_path / "file").stat().st_mtime_ns == 1_000_000_007
    with pytest.raises(FileError, match="cannot be changed"):
        root.set_time("missing", 5)


def test_a_note_is_kept_with_the_folder_and_leaves_its_time(root: Root, tmp_path: Path) -> None:
    root.set_time("", 7)
    if not root.note("user.zipstrap.test", b"one"):
        pytest.skip("this file system has no extended attributes")
    assert root.noted("user.zipstrap.test") == b"one"
    assert root.note("user.zipstrap.test", None)
    assert root.note("user.zipstrap.test", None)
    assert root.noted("user.zipstrap.test") is None
    assert os.listxattr(tmp_path) == []
    assert tmp_path.stat().st_mtime_ns == 7


def test_many_are_renamed_and_flushed_once(root: Root, tmp_path: Path) -> None:
    root.make_folders("a")
    root.write_file("a/file", b"one")
    root.rename("a/file", "file", flush=False)
    for folder in ("a", ""):
        root.flush_folder(folder)
    assert root.names() == ["a", "file"]
    seen = root.stat("")
    assert seen is not None
    assert stat.S_ISDIR(seen.st_mode)


def test_a_write_that_was_none_is_an_error(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", lambda _handle, data: len(data))
    with pytest.raises(FileError, match="cannot be changed"):
        root.write_file("file", b"one")
    assert root.names() == []


def test_folders_that_cannot_be_flushed_are_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []

    def fsync(handle: int) -> None:
        flushed.append(handle)
        if len(flushed) == 3:
            raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os, "fsync", fsync)
    with Root(tmp_path) as root, pytest.raises(FileError, match="Input/output error"):
        root.make_folders("a/b/c/d")
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_a_link_is_no_folder_to_be_removed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with Root(tmp_path) as root:
        assert not root.remove_folder("link")
        assert root.remove_folder("elsewhere")
        with pytest.raises(FileError, match="there is no such folder"):
            Root(tmp_path / "none")
