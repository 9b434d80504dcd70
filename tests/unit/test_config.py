"""Settings from files and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from zipstrap.config import CHOICES, KEYS, load_config
from zipstrap.errors import FileError, UsageError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_is_set_by_nobody(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}) == {}
    assert load_config(tmp_path / "nowhere", {}) == {}


@pytest.mark.parametrize(("name", "table"), [("zipstrap.toml", ""), ("pyproject.toml", "[tool.zipstrap]\n")])
def test_both_files_hold_the_same_settings(tmp_path: Path, name: str, table: str) -> None:
    write(tmp_path, name, table + 'profile = "minimal"\nexclude = ["dev", "tk"]\noptimize = 2\n')
    assert load_config(tmp_path, {}) == {"profile": "minimal", "exclude": ["dev", "tk"], "optimize": 2}


def test_zipstrap_toml_stands_alone(tmp_path: Path) -> None:
    """Two files are not mixed: what holds can be read in one place."""
    write(tmp_path, "zipstrap.toml", 'profile = "full"\n')
    write(tmp_path, "pyproject.toml", '[tool.zipstrap]\nprofile = "minimal"\njobs = 3\n')
    assert load_config(tmp_path, {}) == {"profile": "full"}


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.ruff]\nline-length = 110\n"])
def test_a_pyproject_of_others_sets_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path, "pyproject.toml", text)
    assert load_config(tmp_path, {}) == {}


def test_the_environment_goes_over_files(tmp_path: Path) -> None:
    write(tmp_path, "zipstrap.toml", 'profile = "full"\ncompress = "deflate"\njobs = 1\n')
    environ = {"ZIPSTRAP_PROFILE": "minimal", "ZIPSTRAP_JOBS": "4", "ZIPSTRAP_INCLUDE": "tk, idle,,venv ,"}
    assert load_config(tmp_path, environ) == {
        "profile": "minimal",
        "compress": "deflate",
        "jobs": 4,
        "include": ["tk", "idle", "venv"],
    }


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    write(tmp_path, "zipstrap.toml", "jobs = 1\n")
    assert load_config(tmp_path, {"ZIPSTRAP_JOBS": "", "ZIPSTRAP_PROFILE": ""}) == {"jobs": 1}


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_has_a_variable(tmp_path: Path, key: str) -> None:
    text, value = {str: ("x", "x"), int: ("2", 2), list: ("a,b", ["a", "b"])}[KEYS[key]]
    if key in CHOICES:
        value = CHOICES[key][-1]
        text = str(value)
    found: Any = load_config(tmp_path, {f"ZIPSTRAP_{key.upper()}": text})
    assert found == {key: value}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("optimize = 7\n", "optimize is 7, not one of 0, 1, 2"),
        ('zips = "all"\n', "zips is 'all', not one of"),
        ("jobs = -4\n", "jobs is -4, not a whole number above 0"),
    ],
)
def test_a_value_that_is_none_of_the_choices(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, "zipstrap.toml", text)
    with pytest.raises(UsageError, match=told) as caught:
        load_config(tmp_path, {})
    assert caught.value.problem.file == str(path)
    name, _, value = text.strip().replace('"', "").partition(" = ")
    with pytest.raises(UsageError, match=f"ZIPSTRAP_{name.upper()} is"):
        load_config(tmp_path / "nowhere", {f"ZIPSTRAP_{name.upper()}": value})


def test_a_tool_section_that_is_no_table(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool]\nzipstrap = 3\n")
    with pytest.raises(UsageError, match=r"tool.zipstrap is no table"):
        load_config(tmp_path, {})


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "zipstrap.toml",
        'profil = "full"\noptimize = "2"\nexclude = ["tk", 3]\ninclude = "tk"\njobs = true\n',
    )
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {"ZIPSTRAP_JOBS": "many"})
    assert str(caught.value).splitlines() == [
        f"{path}: there is no setting 'profil'",
        f"{path}: optimize is '2', not a whole number",
        f"{path}: exclude is ['tk', 3], not a list of texts",
        f"{path}: include is 'tk', not a list of texts",
        f"{path}: jobs is True, not a whole number",
        "ZIPSTRAP_JOBS is 'many', not a whole number",
        f"  what to do: known settings: {', '.join(KEYS)}",
    ]


@pytest.mark.parametrize("data", [b"profile = \n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_what_is_not_toml_is_told_with_its_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "zipstrap.toml"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is not TOML") as caught:
        load_config(tmp_path, {})
    assert caught.value.problem.file == str(path)


def test_what_cannot_be_read_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "zipstrap.toml"
    path.mkdir()
    with pytest.raises(FileError, match="cannot be read") as caught:
        load_config(tmp_path, {})
    assert caught.value.problem.file == str(path)
