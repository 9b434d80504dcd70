"""convert and restore under kills, full disks and broken ones: it boots each time, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from zipstrap.worker import clean_environment

from ..target.installations import (
    Installation,
    copy_installation,
    differences,
    link_installation,
    listing,
)
from ..target.interpreters import Target
from ..target.trees import usual
from .sweep import End, Fault, Scene, is_whole, parts, sweep

pytestmark = pytest.mark.usefixtures("strace")

_ZIPSTRAP = [sys.executable, "-m", "zipstrap"]

#: each kind of conversion: nothing is moved, or whatever can be
KINDS = {"default": (), "cleared": ("--source", "archive")}

_ASK = "import sys, json, decimal, email.message; print(sys.prefix, json.__file__)"


@pytest.fixture(scope="module")
def pristine(
    interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Installation, dict[str, object]]:
    """Give a copy of an interpreter, from which the states are made, and what is in it."""
    # a small one: what is moved one by one is many calls of one kind
    modules = ("__future__", "json", "decimal", "email.message", "runpy", "platform")
    copy = copy_installation(usual(interpreters), tmp_path_factory.mktemp("pristine") / "P", only=modules)
    return copy, dict(listing(copy.prefix))


def scene(name: str, folder: Path, pristine: tuple[Installation, dict[str, object]], kind: str) -> Scene:
    """Return the scene of ``convert`` or ``restore``."""
    original, before = pristine
    here = original.at(folder / "P")
    convert = [*_ZIPSTRAP, "convert", "-q", "--no-verify", *KINDS[kind], here.executable]
    restore = [*_ZIPSTRAP, "restore", "-q", here.executable]
    start = original
    if name == "restore":
        start = link_installation(original, folder / "converted")
        run([*_ZIPSTRAP, "convert", "-q", "--no-verify", *KINDS[kind], start.executable])

    def make(state: Path) -> None:
        link_installation(start, state)

    def boots(state: Path) -> str | None:
        done = run([here.executable, "-I", "-S", "-B", "-c", _ASK], check=False)
        if done.returncode != 0:
            return f"status {done.returncode}: {done.stderr[-500:]}"
        strange = [word for word in done.stdout.split() if not word.startswith(str(state))]
        return f"its library is {strange}" if strange else None

    def restored(state: Path) -> Sequence[str]:
        return differences(before, listing(state))

    def converted(state: Path) -> Sequence[str]:
        done = run([*_ZIPSTRAP, "convert", "--status", "--format", "json", here.executable])
        found = json.loads(done.stdout)["state"]
        wrong = [] if found == "converted" else [f"its state is {found}"]
        wrong += [str(path) for path in state.rglob("*.zipstrap-new")]
        run(restore)
        return [*wrong, *restored(state)]

    return Scene(
        f"{name}, {kind}",
        here.prefix,
        make,
        convert if name == "convert" else restore,
        boots,
        (End(convert, converted), End(restore, restored)),
    )


def run(command: Sequence[str | Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={**os.environ, **clean_environment()},
        timeout=120,
        check=check,
    )


@pytest.mark.parametrize("faults", parts().values(), ids=parts())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["convert", "restore"])
def test_it_boots_whatever_fails(
    name: str,
    kind: str,
    faults: Sequence[Fault],
    tmp_path: Path,
    pristine: tuple[Installation, dict[str, object]],
    record_property: Callable[[str, object], None],
) -> None:
    result = sweep(scene(name, tmp_path, pristine, kind), most=None if is_whole() else 3, faults=faults)
    record_property("sweep", str(result))
    assert result.problems == [], "\n".join([str(result), *result.problems])
    assert result.missed == 0
