"""The databases of package managers, without their tools."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from zipstrap import owners
from zipstrap.interpreter import Facts
from zipstrap.owners import owners_of

from .recorded import facts_of

DPKG = "var/lib/dpkg/info/python3.13-minimal.list"
APK = "P:musl\nF:lib\nR:libc.so\n\nP:python3\nF:nowhere/bin\nR:python3.13\nF:nowhere/lib\nR:x\n"


@pytest.fixture
def facts() -> Facts:
    return dataclasses.replace(
        facts_of("3.13"),
        executable="/nowhere/bin/python3.13",
        prefix="/nowhere",
        library="/nowhere/lib/python3.13",
        externally_managed=False,
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_one_that_nobody_knows_has_no_owner(facts: Facts, tmp_path: Path) -> None:
    write(tmp_path / DPKG, "/nowhere/bin/python3.12\n/nowhere/bin\n/other/nowhere/bin/python3.13\n")
    write(tmp_path / "lib/apk/db/installed", "P:python3\nF:nowhere\nR:python3.13\n")
    assert owners_of(facts, tmp_path) == ()


@pytest.mark.parametrize(
    "path, text, owner",
    [
        (DPKG, "/.\n/nowhere/bin/python3.13\n", "the Debian package python3.13-minimal"),
        (DPKG, "/nowhere/lib/python3.13/os.py\n", "the Debian package python3.13-minimal"),
        ("lib/apk/db/installed", APK, "the Alpine package python3"),
        ("usr/lib/apk/db/installed", APK, "the Alpine package python3"),
        (
            "var/lib/pacman/local/python-3.13.0-1/files",
            "%FILES%\nnowhere/bin/\nnowhere/bin/python3.13\n",
            "the Arch package python-3.13.0-1",
        ),
    ],
)
def test_a_database_names_its_owner(facts: Facts, tmp_path: Path, path: str, text: str, owner: str) -> None:
    write(tmp_path / path, text)
    assert owners_of(facts, tmp_path) == (f"it belongs to {owner}",)


def test_what_was_listed_before_usr_was_merged_is_found(facts: Facts, tmp_path: Path) -> None:
    merged = dataclasses.replace(facts, executable="/usr/nowhere/bin/python3.13")
    write(tmp_path / DPKG, "/nowhere/bin/python3.13\n")
    assert len(owners_of(merged, tmp_path)) == 1


def test_the_marker_counts_as_an_owner(facts: Facts, tmp_path: Path) -> None:
    (owner,) = owners_of(dataclasses.replace(facts, externally_managed=True), tmp_path)
    assert "PEP 668" in owner


def test_conda_owns_its_environments(facts: Facts, tmp_path: Path) -> None:
    write(tmp_path / "env/conda-meta/python-3.13.json", "{}")
    (owner,) = owners_of(dataclasses.replace(facts, prefix=str(tmp_path / "env")), tmp_path)
    assert "conda" in owner


@pytest.mark.parametrize(
    "script, owner",
    [
        ('[ "$6" = /nowhere/bin/python3.13 ] && echo python3', "it belongs to the RPM package python3"),
        ("exit 1", None),
    ],
)
def test_rpm_is_asked_if_it_is_there(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, owner: str | None
) -> None:
    write(tmp_path / "var/lib/rpm/rpmdb.sqlite", "")
    tool = tmp_path / "bin/rpm"
    write(tool, f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(owners.shutil, "which", lambda name: str(tool) if name == "rpm" else None)
    assert owners_of(facts, tmp_path) == (() if owner is None else (owner,))


def test_without_rpm_what_lies_in_usr_may_be_its_own(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "usr/lib/sysimage/rpm/rpmdb.sqlite", "")
    monkeypatch.setattr(owners.shutil, "which", lambda _name: None)
    assert owners_of(facts, tmp_path) == ()
    (owner,) = owners_of(dataclasses.replace(facts, executable="/usr/nowhere/python3.13"), tmp_path)
    assert "no rpm to ask" in owner
