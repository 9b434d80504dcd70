"""The guard that checks digests: what it covers is found before anything of the library runs."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from zipstrap.archive import Member, write_archive
from zipstrap.hooks import DIGEST_STATUS

from .interpreters import Target
from .trees import Tree, make_tree, run, usual, zipstrap


@pytest.fixture(scope="module")
def tree(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Give a tree; what a test changes, it changes back."""
    root = tmp_path_factory.mktemp("digests") / "T"
    options = ("--profile", "minimal", "--guard", "digest", "--zips", "pth", "--compress", "deflate")
    yield make_tree(target, root, *options)
    shutil.rmtree(root)


def covered(tree: Tree) -> dict[str, Path]:
    """Return the files that the guard covers in this layout, by what they are."""
    manifest = tree.manifest
    layout = manifest.layout
    found = {"archive": layout.library_archive, "hook": f"{layout.site}/zipstrap.pth"}
    for record in manifest.files:
        if record.path.startswith(f"{layout.dynload}/_blake2."):
            found["hasher"] = record.path
    return {kind: tree.root / path for kind, path in found.items()}


def test_a_sound_tree_starts(tree: Tree) -> None:
    assert tree.report["verification"]["passed"]
    assert tree.manifest.guard == "digest"
    probe = (
        "import sys; print('_blake2' in sys.modules, sys.flags.isolated); import hashlib; hashlib.blake2b()"
    )
    for options in ([], ["-I"], ["-S"], ["-O"]):
        done = tree.run(*options, "-c", probe)
        assert (done.returncode, done.stderr) == (0, "")
        # nobody's boot has a module more, unless it is built in
        assert done.stdout.split()[0] == str("hasher" not in covered(tree))


@pytest.mark.parametrize("kind", ["archive", "hook", "hasher"])
def test_what_is_covered_stops_the_start(tree: Tree, kind: str) -> None:
    if kind not in covered(tree):
        # built into the executable, which no digest of a tree's covers
        assert "_blake2" not in "".join(record.path for record in tree.manifest.files)
        return
    path = covered(tree)[kind]
    sound = path.read_bytes()
    mode = path.stat().st_mode
    # of the module that hashes: its name of itself, which the loader does not look at
    places = [len(sound) - 1] if kind == "hasher" else [0, len(sound) // 2, len(sound) - 1]
    try:
        for place in places:
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
            stopped(tree, path, "is not what was built: its blake2b is ")
        path.write_bytes(sound + b"\n")
        stopped(tree, path, "is not what was built: its blake2b is ")
        path.unlink()
        if kind == "hasher":
            stopped(tree, path, "cannot be loaded to check the others (")
        else:
            stopped(tree, path, "cannot be read (No such file or directory)")
    finally:
        path.write_bytes(sound)
        path.chmod(mode)
    assert tree.run("-c", "pass").returncode == 0


def stopped(tree: Tree, path: Path, words: str) -> None:
    for options in ([], ["-I", "-S"]):
        done = tree.run(*options, "-c", "print('never')")
        assert (done.returncode, done.stdout) == (DIGEST_STATUS, ""), done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"zipstrap: {path} {words}")
        assert line.endswith("; stopped")


def test_what_is_not_covered_is_for_verify(tree: Tree) -> None:
    """Sources on disk, which starts do not run; extension modules and the binaries are others."""
    path = tree.root / tree.manifest.layout.library / "json/__init__.py"
    sound = path.read_bytes()
    try:
        path.write_bytes(sound + b"\n")
        assert tree.run("-c", "import json").returncode == 0
        done = zipstrap("verify", tree.root, "--no-start")
        assert done.returncode == 1
        assert "ZS209" in done.stdout
    finally:
        path.write_bytes(sound)


def test_without_the_archive_that_checks_nothing_starts(tree: Tree) -> None:
    path = tree.root / tree.manifest.layout.archive
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        done = tree.run("-c", "print('never')")
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "init_fs_encoding" in done.stderr
    finally:
        aside.rename(path)


def test_digests_that_are_gone_stop_the_start(tree: Tree) -> None:
    path = tree.root / tree.manifest.layout.archive
    sound = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert sorted(members) == ["encodings/__init__.pyc", "zipstrap_digests", "zipstrap_digests.pyc"]
    try:
        for name in ("zipstrap_digests", "zipstrap_digests.pyc"):
            rest = [Member(other, data) for other, data in members.items() if other != name]
            with path.open("wb") as stream:
                write_archive(stream, rest, mtime=0)
            stopped(tree, path, "does not say what the tree was built with")
    finally:
        path.write_bytes(sound)


def test_nothing_that_hashes_is_taken_from_elsewhere(tree: Tree, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for name in ("_blake2", "_sha2", "_sha256", "hashlib"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    done = tree.run("-c", "pass", env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not mark.exists()


def test_where_it_does_not_go(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    for verb, options, words in (
        ("build", ["-o", tmp_path / "T", "--layout", "standard"], "does not go with the layout standard"),
        (
            "stage",
            ["--destdir", tmp_path / "T", "--prefix", "/usr", "--part", "indep"],
            "does not go with --part",
        ),
    ):
        done = zipstrap(verb, target.executable, *options, "--guard", "digest")
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert list(tmp_path.iterdir()) == []


def test_a_generation_is_guarded_alike(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    layout = ["--layout", "isolated"] if target.version >= (3, 11) else []
    options = ["--prefix", tmp_path / "P", "--profile", "minimal", "--guard", "digest", *layout]
    done = zipstrap("install", target.executable, *options)
    assert done.returncode == 0, done.stderr
    executable = tmp_path / "P/bin" / f"python{target.version[0]}.{target.version[1]}"
    archive = next(tmp_path.glob("P/lib/zipstrap/generations/1/lib/python*-library.zip"))
    made = Tree(tmp_path / "P/lib/zipstrap/generations/1", target, {})
    done = run([executable, "-c", "import sys; print(sys.prefix)"])
    assert done.stdout.strip() == str(made.root), done.stderr
    with archive.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"x")
    done = run([executable, "-c", "print('never')"])
    assert (done.returncode, done.stdout) == (DIGEST_STATUS, "")
    assert f"zipstrap: {archive} is not what was built" in done.stderr
