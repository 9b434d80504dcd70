"""install, upgrade, rollback, gc and uninstall under kills, full disks and broken ones.

Whatever happens, ``bin/pythonX.Y`` starts the old generation or the new one, or is not there where that is
the old or the new state; the same command again, or another, leaves nothing of the one that was ended.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.durability.sweep import End, Fault, Scene, is_whole, parts, sweep
from tests.target.installations import copy_installation
from tests.target.interpreters import Target
from tests.target.trees import run, usual, zipstrap

pytestmark = pytest.mark.usefixtures("strace")

_ZIPSTRAP = [sys.executable, "-m", "zipstrap"]

#: few files, so that few calls are the same; their interpreter is a small copy for the same reason
_SMALL = ("--source", "archive", "--no-verify", "-q")
_MODULES = ("json", "decimal")
_OTHER = ("--optimize", "1")

_ASK = """\
import json, os, sys
own = os.readlink("/proc/self/exe").rpartition("/libexec/")[0]
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
print(json.dumps([own, sys.base_prefix, [path for path in files if not path.startswith(own + "/")]]))
"""

#: which generations may be current while the command runs, and which are there at its end; None: no link
VERBS: dict[str, tuple[tuple[int | None, ...], tuple[int, ...]]] = {
    "install": ((None, 1), (1,)),
    "upgrade": ((1, 2), (1, 2)),
    "rollback": ((1, 2), (1, 2)),
    "gc": ((2,), (2,)),
    "uninstall": ((2, None), ()),
    "purge": ((2, None), ()),
}


@pytest.fixture(scope="module")
def target(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Target:
    target = usual(interpreters)
    copy = copy_installation(target, tmp_path_factory.mktemp("small") / "I", only=_MODULES)
    return Target(copy.executable, target.version, target.id)


@pytest.fixture(scope="module")
def states(target: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Give prefixes with no, one and two generations, and one with two and a package."""
    folder = tmp_path_factory.mktemp("states")
    found = {number: folder / str(number) for number in range(3)}
    found[0].mkdir()
    for number, options in ((1, ()), (2, _OTHER)):
        shutil.copytree(found[number - 1], found[number], symlinks=True)
        done = zipstrap("install", target.executable, "--prefix", found[number], *_SMALL, *options)
        assert done.returncode == 0, done.stderr
    # with a package, of which something lies outside of its folder
    found[3] = folder / "3"
    shutil.copytree(found[2], found[3], symlinks=True)
    site = next(found[3].glob("lib/python3*/site-packages"))
    for path, text in (
        (site / "greet/__init__.py", "x = 1\n"),
        (site / "greet-1.dist-info/RECORD", "greet/__init__.py,,\n../../../bin/greet,,\n"),
        (found[3] / "bin/greet", "#!/bin/sh\n"),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return found


def scene(verb: str, folder: Path, states: dict[int, Path], target: Target) -> Scene:
    prefix, name = folder / "P", f"python{target.id}"
    python = prefix / "bin" / name
    install = [*_ZIPSTRAP, "install", target.executable, "--prefix", prefix, *_SMALL]
    gc = [*_ZIPSTRAP, "gc", "-q", "--prefix", prefix, "--keep", "0", "--grace", "0"]
    uninstall = [*_ZIPSTRAP, "uninstall", "-q", "--prefix", prefix]
    command = {
        "install": install,
        "upgrade": [*install, *_OTHER],
        "rollback": [*_ZIPSTRAP, "rollback", "-q", "--no-verify", "1", "--prefix", prefix],
        "gc": gc,
        "uninstall": uninstall,
        "purge": [*uninstall, "--purge"],
    }[verb]
    current, numbers = VERBS[verb]
    start = states[{"install": 0, "upgrade": 1, "purge": 3}.get(verb, 2)]

    def make(state: Path) -> None:
        # nothing of a generation is ever written to, so the files may be the same
        shutil.copytree(start, state, symlinks=True, copy_function=os.link)

    def boots(state: Path) -> str | None:
        if not os.path.lexists(python):
            # at the end it may be uninstalled, then with all that belongs to it
            return None if None in current or not any(state.iterdir()) else f"there is no {python}"
        done = run([python, "-I", "-S", "-B", "-c", _ASK])
        if done.returncode != 0 or done.stderr:
            return f"status {done.returncode}: {done.stderr[-500:]}"
        own, base_prefix, strange = json.loads(done.stdout)
        if strange or base_prefix != own:
            return f"it is of {own}, {base_prefix} and {strange}"
        return None if int(own.rpartition("/")[2]) in current else f"it is of {own}"

    def finished(state: Path) -> Sequence[str]:
        done = zipstrap("list", "--prefix", state, "--format", "json")
        if done.returncode:
            return [done.stderr]
        listed = json.loads(done.stdout)
        found = tuple(each["number"] for each in listed["generations"])
        wrong = [*listed["problems"], *(str(path) for path in state.rglob("*.zipstrap-new"))]
        if found != numbers:
            wrong.append(f"the generations are {found}")
        return wrong

    def gone(state: Path) -> Sequence[str]:
        return [str(path) for path in state.rglob("*")]

    same = End(command, gone if verb in ("uninstall", "purge") else finished)
    other = command if verb == "purge" else uninstall
    return Scene(verb, prefix, make, command, boots, (same, End(other, gone)))


@pytest.mark.parametrize("faults", parts().values(), ids=parts())
@pytest.mark.parametrize("verb", VERBS)
def test_it_boots_whatever_fails(
    verb: str,
    faults: Sequence[Fault],
    tmp_path: Path,
    states: dict[int, Path],
    target: Target,
    record_property: Callable[[str, object], None],
) -> None:
    result = sweep(scene(verb, tmp_path, states, target), most=None if is_whole() else 2, faults=faults)
    record_property("sweep", str(result))
    assert result.problems == [], "\n".join([str(result), *result.problems])
