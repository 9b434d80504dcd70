"""What ``zipstrap inspect`` shows of real trees and archives: the table, every file, and JSON."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from .interpreters import Target
from .trees import Tree, make_tree, shared_tree, usual, zipstrap


@pytest.fixture(scope="session")
def tree(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return shared_tree(target, tmp_path_factory)


@pytest.fixture(scope="session")
def one(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("inspected-one") / "T"
    return make_tree(
        usual(interpreters), root, "--profile", "minimal", "--no-verify", "--compress", "deflate"
    )


@pytest.fixture(scope="session")
def plain(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    options = ("--layout", "standard", "--profile", "minimal", "--no-verify", "--compress", "deflate")
    return make_tree(usual(interpreters), tmp_path_factory.mktemp("inspected-plain") / "T", *options)


def told(path: Path) -> dict[str, Any]:
    done = zipstrap("inspect", path, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def add_up(values: dict[str, Any]) -> None:
    """Assert that the shares are those of the items."""
    shares, items = values["shares"], values["items"]
    for what, of_items in (("size", "size"), ("packed", "packed")):
        assert sum(share[what] for share in shares) == sum(item[of_items] for item in items)
    assert sum(share["files"] for share in shares) == len(items)
    assert abs(sum(share["part"] for share in shares) - 1) < 1e-9
    assert [share["packed"] for share in shares] == sorted(
        (share["packed"] for share in shares), reverse=True
    )


def test_tree_as_json(tree: Tree) -> None:
    values = told(tree.root)
    add_up(values)
    manifest = tree.manifest
    assert (values["target"], values["profile"]) == (manifest.target.name, "standard")
    archive = tree.root / manifest.layout.library_archive
    assert values["archive_size"] == archive.stat().st_size
    items = values["items"]
    # what is on disk is there, with its size and the reason
    on_disk = {item["path"]: item for item in items if item["origin"] != "archive"}
    for path, item in on_disk.items():
        file = tree.root / path
        assert item["reason"], path
        if file.is_file() and not file.is_symlink():
            assert item["size"] == file.stat().st_size, path
    found = {path.relative_to(tree.root).as_posix() for path in tree.root.rglob("*") if not path.is_dir()}
    assert found - set(on_disk) == {"zipstrap-manifest.json", manifest.layout.library_archive}
    extensions = {item["path"] for item in items if item["origin"] == "dynload"}
    assert extensions == {path for path in on_disk if path.startswith(f"{manifest.layout.dynload}/")}
    # what is in the archive is as zipfile sees it
    with zipfile.ZipFile(archive) as members:
        sizes = {member.filename: (member.file_size, member.compress_size) for member in members.infolist()}
    assert {i["path"]: (i["size"], i["packed"]) for i in items if i["origin"] == "archive"} == sizes
    assert all(reason and paths for reason, paths in values["left_out"].items())


def test_tree_as_table(tree: Tree) -> None:
    done = zipstrap("inspect", tree.root)
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert heading.startswith(
        f"{tree.root}: {tree.manifest.target.name}, profile standard, made by zipstrap "
    )
    head = next(number for number, line in enumerate(lines) if line.startswith("package "))
    rows = [line.split() for line in lines[head + 1 : lines.index("", head)]]
    shares = {
        (row[0], row[1]): float(row[-1].rstrip("%")) for row in rows if row[1] in ("archive", "directory")
    }
    assert ("encodings", "archive") in shares
    assert ("json", "archive") in shares
    assert 95 < sum(float(row[-1].rstrip("%")) for row in rows) < 105
    assert "why files are on disk:" in lines
    assert any(
        "lib-dynload" in line and "opens extension modules by path" in line for line in lines
    ) or not any(tree.root.glob("lib*/python3*/lib-dynload/*"))


def test_tree_as_tree(tree: Tree) -> None:
    done = zipstrap("inspect", tree.root, "--tree")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    start = lines.index("archive/")
    middle = lines.index("tree/")
    members = [line for line in lines[start:middle] if not line.endswith("/")]
    assert len(members) + sum(line.endswith("/") for line in lines[start + 1 : middle]) == middle - start - 1
    files = tree.manifest.members
    assert len(members) == sum(not member.name.endswith("/") for member in files)
    assert any(line.startswith("    decoder.pyc  ") for line in members)
    # every file on disk says why
    assert [line for line in lines[middle + 1 :] if not line.endswith(("/", ")"))] == []


def test_archive_alone(one: Tree) -> None:
    archive = one.root / one.manifest.layout.library_archive
    values = told(archive)
    add_up(values)
    assert values["target"] is None
    assert {item["origin"] for item in values["items"]} == {"archive"}
    packed, size = (sum(item[key] for item in values["items"]) for key in ("packed", "size"))
    assert packed < values["archive_size"] < size
    table = zipstrap("inspect", archive)
    assert table.stdout.startswith(f"{archive}: {len(values['items'])} members, ")
    assert zipstrap("inspect", archive, "--tree").stdout.count("\n") > len(values["items"])


def test_archive_that_pack_made_is_that_of_the_tree(plain: Tree, tmp_path: Path) -> None:
    options = ("--profile", "minimal", "--compress", "deflate")
    done = zipstrap("pack", plain.target.executable, "-o", tmp_path, *options, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    archive = Path(report["archive"])
    assert archive == tmp_path / Path(plain.manifest.layout.archive).name
    assert report["size"] == archive.stat().st_size
    assert report["must_be_on_disk"]
    hooks = {"sitecustomize", "zipstrap_absent", "zipstrap_guard", "zipstrap_zips"}
    ours = {i["path"]: i["size"] for i in told(archive)["items"]}
    theirs = {member.name: member.size for member in plain.manifest.members}
    # the hooks belong to a tree
    assert {name.partition(".")[0] for name in ours.keys() ^ theirs.keys()} <= hooks
    assert {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]} == set()


def test_damaged_archive_is_a_failed_check(one: Tree, tmp_path: Path) -> None:
    archive = tmp_path / "python.zip"
    data = bytearray((one.root / one.manifest.layout.archive).read_bytes())
    for damaged in (data[:-1], data[: len(data) // 2], data[1:], b"", b"no archive at all", data + b"more"):
        archive.write_bytes(damaged)
        done = zipstrap("inspect", archive)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert done.stderr.startswith(f"zipstrap: {archive}: ")
        assert "what to do: " in done.stderr


def test_broken_rule_has_its_code(one: Tree, tmp_path: Path) -> None:
    archive = tmp_path / "python.zip"
    raw = (one.root / one.manifest.layout.archive).read_bytes()
    archive.write_bytes(raw + b"more")
    done = zipstrap("inspect", archive)
    assert done.stderr.startswith(f"zipstrap: {archive}: ZS704 trailing-data: 4 bytes follow the end record")
    done = zipstrap("inspect", archive, "--format", "json")
    assert done.returncode == 1
    rejected = json.loads(done.stdout)["rejected"]
    assert rejected.items() >= {"code": "ZS704", "name": "trailing-data", "offset": len(raw)}.items()
    assert (rejected["file"], set(rejected)) == (str(archive), {*rejected, "cause", "cure", "problem"})
    # the data of the members is looked at too, and limits count
    archive.write_bytes(raw.replace(b"import", b"Import"))
    assert " ZS749 checksum: " in zipstrap("inspect", archive).stderr
    packed = one.root / one.manifest.layout.library_archive
    done = zipstrap("inspect", packed, "--max-member", "1K")
    assert (done.returncode, done.stdout) == (1, "")
    assert " ZS738 expansion: " in done.stderr
    assert zipstrap("inspect", packed, "--max-member", "1X").returncode == 2


@pytest.mark.parametrize("which", ["archive", "library_archive"])
def test_damaged_tree_is_said(one: Tree, tmp_path: Path, which: str) -> None:
    copy = tmp_path / "T"
    shutil.copytree(one.root, copy, symlinks=True)
    archive = copy / getattr(one.manifest.layout, which)
    os.truncate(archive, archive.stat().st_size - 100)
    assert zipstrap("inspect", copy).returncode == 1
    archive.unlink()
    done = zipstrap("inspect", copy)
    assert (done.returncode, done.stdout) == (4, "")
    assert str(archive) in done.stderr
    (copy / "zipstrap-manifest.json").write_text('{"schema_version": 1}')
    assert zipstrap("inspect", copy).returncode == 4


def test_what_is_neither(tmp_path: Path) -> None:
    for name in ("absent", "."):
        done = zipstrap("inspect", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (4, "")
        assert str(tmp_path) in done.stderr
