"""The manifest: written canonically, read back, and not believed when it is damaged."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zipstrap import __version__
from zipstrap.archive import MemberRecord
from zipstrap.errors import FileError
from zipstrap.hooks import hook_files
from zipstrap.inventory import Kind
from zipstrap.layout import standard_layout
from zipstrap.manifest import (
    MANIFEST_NAME,
    FileRecord,
    Manifest,
    is_tree,
    load_manifest,
    make_manifest,
    manifest_to_json,
    target_of,
)
from zipstrap.plan import Options, Plan, make_plan
from zipstrap.profiles import parse_request, select

from .recorded import LIBRARIES, facts_of, inventory_of

MEMBER = MemberRecord("os.pyc", 100, 100, 0, 7, "ab" * 32, 64)
FILES = (
    FileRecord("lib/python3.13/LICENSE.txt", "data", "the licence", "core", 0o644, 5, "cd" * 32),
    FileRecord("bin/python3", "link", "another name", "core", 0o777, link="python3.13"),
    FileRecord("lib/python3.13/lib-dynload", "folder", "a landmark", "core", 0o755),
)


def plan_of(name: str, profile: str = "standard") -> Plan:
    facts, inventory = facts_of(name), inventory_of(name)
    selection = select(inventory, facts, parse_request(profile, (), ("dev",), inventory))
    hooks = hook_files(facts.feature_version, guard="stop")
    return make_plan(facts, standard_layout(facts), selection, Options(1, "none", "deflate", "stop"), hooks)


def manifest_of(name: str = "3.13") -> Manifest:
    return make_manifest(plan_of(name), [MEMBER], 1000, "ef" * 32, FILES, ["libc.so.6"], ["a note"])


def written(folder: Path, text: str | bytes) -> Path:
    (folder / MANIFEST_NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    manifest = manifest_of(name)
    assert load_manifest(written(tmp_path, manifest_to_json(manifest))) == manifest
    assert is_tree(tmp_path)


def test_it_says_what_the_tree_is_made_of() -> None:
    manifest = manifest_of()
    assert manifest.made_by == f"zipstrap {__version__}"
    assert (manifest.profile, manifest.optimize, manifest.source) == ("standard", 1, "none")
    assert (manifest.compress, manifest.guard) == ("deflate", "stop")
    assert [record.path for record in manifest.files] == sorted(record.path for record in FILES)
    left = {path for paths in manifest.left_out.values() for path in paths}
    assert left == {item.entry.path for item in plan_of("3.13").left_out if item.entry.kind is not Kind.JUNK}
    assert set(manifest.left_out) >= {
        "component test, which the profile standard leaves out",
        "excluded by name",
    }


def test_it_does_not_tell_where_it_was_made() -> None:
    """Two installations of one interpreter give one manifest."""
    text = manifest_to_json(manifest_of("3.13"))
    assert "/opt/python3.13" not in text
    facts = facts_of("3.13")
    moved = dataclasses.replace(
        facts, executable="/srv/py", prefix="/srv", library="/srv/lib", zlib="/srv/zlib.so"
    )
    assert target_of(moved) == target_of(facts)


@pytest.mark.parametrize(
    ("zlib", "told"), [("builtin", "builtin"), (None, None), ("/opt/lib-dynload/zlib.so", "extension")]
)
def test_zlib_is_told_without_its_path(zlib: str | None, told: str | None) -> None:
    assert target_of(dataclasses.replace(facts_of("3.13"), zlib=zlib)).zlib == told


def test_the_text_is_canonical() -> None:
    text = manifest_to_json(manifest_of())
    values = json.loads(
        text, object_pairs_hook=lambda pairs: [name for name, _ in pairs] == sorted(dict(pairs))
    )
    assert values is True
    for record in json.loads(text)["files"]:
        assert f"  {json.dumps(record, sort_keys=True)}" in text.replace(",\n", "\n").splitlines()
    assert text.isascii()
    backwards = make_manifest(
        plan_of("3.13"), [MEMBER], 1000, "ef" * 32, FILES[::-1], ["libc.so.6"], ["a note"]
    )
    assert manifest_to_json(backwards) == text


@pytest.mark.parametrize("path", ["lib/plain", "lib/a}, {b", "lib/}, {"])
def test_each_file_has_a_line(path: str) -> None:
    files = (dataclasses.replace(FILES[0], path=path), *FILES[1:])
    text = manifest_to_json(dataclasses.replace(manifest_of(), files=files))
    lines = [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith("  {")]
    assert path in [line.get("path") for line in lines]
    assert len(lines) == len(files) + 1
    assert manifest_to_json(dataclasses.replace(manifest_of(), files=())).count("\n  {") == 1


# ---- damage ----------------------------------------------------------------------------------------------


def change(*keys: str | int, to: Any) -> Callable[[Any], None]:
    def apply(values: Any) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = to

    return apply


def drop(*keys: str | int) -> Callable[[Any], None]:
    def apply(values: Any) -> None:
        for key in keys[:-1]:
            values = values[key]
        del values[keys[-1]]

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        change("schema_version", to=2),
        change("made_by", to="somebody"),
        change("made_by", to=None),
        change("colour", to="green"),
        change("files", to=None),
        change("files", 0, to="bin/python3"),
        change("files", 0, "mode", to="0755"),
        change("files", 0, "colour", to="green"),
        change("members", 0, "size", to=None),
        change("left_out", to=[]),
        change("layout", "landmarks", to=[{}]),
        change("layout", "search_path", to=[1]),
        change("target", to=None),
        change("target", "name", to=3),
        change("target", "version", to=[3]),
        change("target", "version", to=[3, "x"]),
        change("target", "version", to=[3, 13, "0"]),
        change("target", "version", to=[3, 13, True]),
        change("target", "version", to="313"),
        change("target", "extension_suffixes", to=".so"),
        change("layout", "site_folders", to=None),
        change("layout", "site_folders", to=[1]),
        change("layout", "landmarks", 0, "is_folder", to=1),
        change("left_out", to={"why": "text"}),
        change("left_out", to={"why": [1]}),
        change("optimize", to=True),
        drop("schema_version"),
        drop("layout", "archive"),
        drop("layout", "site_folders"),
        drop("files", 0, "path"),
        drop("target", "magic"),
        drop("archive_sha256"),
    ],
)
def test_damage_is_told_with_the_file(tmp_path: Path, damage: Callable[[Any], None]) -> None:
    values = json.loads(manifest_to_json(manifest_of()))
    damage(values)
    with pytest.raises(FileError, match="is not a manifest of this version") as caught:
        load_manifest(written(tmp_path, json.dumps(values)))
    assert caught.value.problem.file == str(tmp_path / MANIFEST_NAME)
    # one of another version may still be replaced
    made_by = values.get("made_by") if isinstance(values, dict) else None
    assert is_tree(tmp_path) == (isinstance(made_by, str) and made_by.startswith("zipstrap "))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "lib/../../x", "lib//x", "", ".", "lib/./x", "lib/", "a\0b"]
)
@pytest.mark.parametrize(
    "place",
    [
        ("files", 0, "path"),
        ("layout", "archive"),
        ("layout", "executable"),
        ("layout", "executable_links", 0),
        ("layout", "library"),
        ("layout", "dynload"),
        ("layout", "site"),
        ("layout", "site_folders", 0),
        ("layout", "shared_libraries"),
        ("layout", "landmarks", 0, "path"),
    ],
)
def test_paths_that_lead_out_of_the_tree_are_refused(
    tmp_path: Path, place: tuple[str | int, ...], path: str
) -> None:
    values = json.loads(manifest_to_json(manifest_of()))
    change(*place, to=path)(values)
    with pytest.raises(FileError, match="is not a path inside the tree"):
        load_manifest(written(tmp_path, json.dumps(values)))


@pytest.mark.parametrize("text", ["", "{", b"\xff\xff", "nul", "[" * 100_000])
def test_what_is_not_json(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(FileError, match="is not JSON"):
        load_manifest(written(tmp_path, text))


@pytest.mark.parametrize("text", ["null", "[]", "3", '"text"', "{}"])
def test_what_is_no_object_of_ours(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileError, match="is not a manifest of this version"):
        load_manifest(written(tmp_path, text))


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "pipe"])
def test_what_is_no_plain_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / MANIFEST_NAME
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "elsewhere").write_text(manifest_to_json(manifest_of()))
        path.symlink_to("elsewhere")
    with pytest.raises(FileError) as caught:
        load_manifest(tmp_path)
    assert caught.value.problem.file == str(tmp_path if kind == "missing" else path)
    assert not is_tree(tmp_path)


def test_a_link_to_a_tree_is_not_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    written(tree, manifest_to_json(manifest_of()))
    (tmp_path / "link").symlink_to(tree)
    assert is_tree(tree)
    assert not is_tree(tmp_path / "link")
