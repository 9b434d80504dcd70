"""``zipstrap_compile`` under kills, full disks and broken ones: it boots, and the next run finishes."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.durability.sweep import End, Scene, is_whole, sweep
from tests.target.installations import copy_installation
from tests.target.interpreters import Target
from tests.target.trees import run, usual, zipstrap

pytestmark = pytest.mark.usefixtures("strace")


def test_it_boots_whatever_fails(
    tmp_path: Path, interpreters: list[Target], record_property: Callable[[str, object], None]
) -> None:
    target = usual(interpreters)
    modules = ("json", "decimal", "venv")
    small = copy_installation(target, tmp_path / "I", only=modules)
    done = zipstrap(
        "stage",
        small.executable,
        "--destdir",
        tmp_path / "D",
        "--prefix",
        "/usr",
        "--source-only",
        "--layout",
        "standard",
        "--no-verify",
        "-q",
    )
    assert done.returncode == 0, done.stderr
    state = tmp_path / "P"
    python = state / "bin" / f"python{target.id}"

    def make(place: Path) -> None:
        shutil.copytree(tmp_path / "D/usr", place, symlinks=True)

    def boots(_place: Path) -> str | None:
        done = run([python, "-I", "-B", "-c", "import json, decimal, venv; print(json.__file__)"])
        if done.returncode or done.stderr:
            return f"status {done.returncode}: {done.stderr[-500:]}"
        return None if str(state) in done.stdout else f"its library is {done.stdout}"

    def left(place: Path) -> Sequence[str]:
        wrong = [str(path) for path in place.rglob("*.zipstrap-new")]
        (archive,) = place.glob("lib/python3*.zip")
        with zipfile.ZipFile(archive) as members:
            names = set(members.namelist())
            wrong += [name for name in names if name.endswith(".py") and f"{name}c" not in names]
            wrong += [bad] if (bad := members.testzip()) else []
        sources = list(place.rglob("venv/*.py"))
        wrong += [
            f"{path} has no bytecode"
            for path in sources
            if not list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))
        ]
        return wrong if sources else ["no source lies on disk"]

    command = [python, "-I", "-B", "-m", "zipstrap_compile"]
    scene = Scene("compile", state, make, command, boots, [End(command, left)])
    result = sweep(scene, most=None if is_whole() else 2)
    record_property("sweep", str(result))
    assert result.problems == [], "\n".join([str(result), *result.problems])
    assert result.missed == 0
