"""Shared libraries of real interpreters: what is found, and a copied executable that stays with its own."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from zipstrap import linkage
from zipstrap.linkage import Linkage

from .interpreters import Hidden, Target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files and /proc")

MAPS = "import sys; sys.stdout.write(open('/proc/self/maps').read())"
# which extension modules of a folder can be loaded, and from where; each with its package's own needs
LOAD = """\
import importlib.machinery, importlib.util, json, sys, warnings
warnings.simplefilter("ignore")
answer = {}
for path in json.load(sys.stdin):
    name = path.rpartition("/")[2].partition(".")[0]
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        answer[name] = "loaded"
    except Exception as error:
        answer[name] = type(error).__name__
json.dump(answer, sys.stdout)
"""


@functools.cache
def modules_of(executable: Path) -> tuple[Path, ...]:
    code = "import sys; print(*(p for p in sys.path if p.endswith('lib-dynload')))"
    done = subprocess.run([executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return tuple(sorted(Path(done.stdout.strip()).glob("*.so")))


@functools.cache
def linkage_of(executable: Path) -> Linkage:
    return linkage.resolve_linkage(executable, modules_of(executable))


def maps_of(executable: Path, environment: dict[str, str], *more: Path) -> tuple[str, ...]:
    done = subprocess.run(
        [executable, "-S", "-I", "-c", MAPS, *more],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return mapped_objects(done.stdout)


def mapped_objects(maps: str) -> tuple[str, ...]:
    """Return the shared objects in the text of /proc/PID/maps."""
    paths = (line.split(None, 5)[5] for line in maps.splitlines() if len(line.split(None, 5)) == 6)
    return tuple(dict.fromkeys(path for path in paths if ".so" in Path(path).name))


def libpythons(mapped: Iterable[str]) -> list[Path]:
    return [Path(path) for path in mapped if Path(path).name.startswith("libpython")]


@dataclass(frozen=True, slots=True)
class Tree:
    root: Path
    executable: Path
    modules: tuple[Path, ...]
    files: tuple[Path, ...]


def stage(target: Target, root: Path) -> Tree:
    """Copy the executable, what is private and the extension modules to where a tree has them.

    The rest of the library is linked to the original's: it is not what is tested here.
    """
    found = linkage_of(target.executable)
    dynload = root / "lib" / "python{}.{}".format(*target.version) / "lib-dynload"
    dynload.mkdir(parents=True)
    (root / "bin").mkdir()
    for path in modules_of(target.executable)[0].parent.parent.iterdir():
        if path.name not in ("lib-dynload", "site-packages", "__pycache__"):
            (dynload.parent / path.name).symlink_to(path)
    executable = Path(shutil.copy2(target.executable.resolve(), root / "bin"))
    libraries = [Path(shutil.copy2(each.path, root / "lib" / each.soname)) for each in found.private]
    modules = tuple(Path(shutil.copy2(path, dynload)) for path in modules_of(target.executable))
    return Tree(root, executable, modules, (executable, *libraries, *modules))


def detach(target: Target, tree: Tree) -> None:
    found = linkage_of(target.executable)
    if found.private_loader is None:
        elves = [elf for path in tree.files if (elf := linkage.read_elf(path))]
        plan = linkage.plan_run_paths(elves, tree.root / "lib", [each.soname for each in found.private])
        for run_path, paths in plan.items():
            assert linkage.set_run_path(paths, run_path) == paths


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Target], Tree]:
    @functools.cache
    def tree(target: Target) -> Tree:
        made = stage(target, tmp_path_factory.mktemp("tree").resolve() / "first")
        detach(target, made)
        # it was moved since
        root = made.root.rename(made.root.with_name("moved"))

        def moved(path: Path) -> Path:
            return root / path.relative_to(made.root)

        return Tree(
            root, moved(made.executable), tuple(map(moved, made.modules)), tuple(map(moved, made.files))
        )

    return tree


def by_pyelftools(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        elf = ELFFile(file)
        found: dict[str, Any] = {"needed": [], "soname": None, "rpath": [], "runpath": []}
        found["interpreter"] = None
        segment: Any
        tag: Any
        for segment in elf.iter_segments():
            if segment["p_type"] == "PT_INTERP":
                found["interpreter"] = segment.get_interp_name()
            if isinstance(segment, DynamicSegment):
                for tag in segment.iter_tags():
                    if tag.entry.d_tag == "DT_NEEDED":
                        found["needed"].append(tag.needed)
                    elif tag.entry.d_tag == "DT_SONAME":
                        found["soname"] = tag.soname
                    elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                        name = tag.entry.d_tag[3:].lower()
                        found[name] = getattr(tag, name).split(":")
        return found


def test_reads_what_pyelftools_reads(target: Target) -> None:
    found = linkage_of(target.executable)
    some = modules_of(target.executable)[::4]
    assert some
    for path in (target.executable, *some, *(each.path for each in (*found.private, *found.system[:4]))):
        elf = linkage.read_elf(path)
        assert elf is not None
        assert {
            "needed": list(elf.needed),
            "soname": elf.soname,
            "rpath": list(elf.rpath),
            "runpath": list(elf.runpath),
            "interpreter": elf.interpreter,
        } == by_pyelftools(path), path


def test_libpython_is_private_where_the_executable_asks_for_it(target: Target) -> None:
    found = linkage_of(target.executable)
    elf = linkage.read_elf(target.executable.resolve())
    assert elf is not None
    asked = [name for name in elf.needed if name.startswith("libpython")]
    carried = [each.soname for each in found.private if each.soname.startswith("libpython")]
    assert carried == ([] if found.private_loader else asked)
    assert {each.soname for each in found.system} >= {"libc.so.6"} or "musl" in (elf.interpreter or "")
    # the executable itself runs, so nothing of its own can be missing
    assert not [each for each in found.missing if target.executable.resolve() in each.needed_by]


def test_what_is_mapped_is_what_was_resolved(target: Target, clean_env: dict[str, str]) -> None:
    found = linkage_of(target.executable)
    expected = {each.path.resolve() for each in (*found.private, *found.system)}
    mapped = {Path(path) for path in maps_of(target.executable, clean_env)}
    # extension modules are no one's NEEDED
    mapped -= {path.resolve() for path in modules_of(target.executable)}
    assert mapped
    assert mapped <= expected


def test_a_moved_tree_maps_its_own_libpython(
    target: Target, trees: Callable[[Target], Tree], clean_env: dict[str, str]
) -> None:
    found = linkage_of(target.executable)
    tree = trees(target)
    # CI actions set LD_LIBRARY_PATH to the installation that they bring, which has a libpython of this name
    original = str(found.libpython.path.parent) if found.libpython else str(tree.root)
    mapped = maps_of(tree.executable, {**clean_env, "LD_LIBRARY_PATH": original})
    own = libpythons(mapped)
    assert all(path.is_relative_to(tree.root) for path in own)
    assert bool(own) == (found.libpython is not None)


def test_an_overridable_run_path_loses_to_the_environment(
    target: Target, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    found = linkage_of(target.executable)
    if found.libpython is None:
        pytest.skip("libpython is part of this executable, or belongs to its loader")
    tree = stage(target, tmp_path.resolve() / "tree")
    linkage.set_run_path([tree.executable], "$ORIGIN/../lib", overridable=True)
    environment = {**clean_env, "LD_LIBRARY_PATH": str(found.libpython.path.parent)}
    (theirs,) = libpythons(maps_of(tree.executable, environment))
    assert not theirs.is_relative_to(tree.root)
    (own,) = libpythons(maps_of(tree.executable, clean_env))
    assert own.is_relative_to(tree.root)


def test_modules_load_as_before_and_ask_nothing_of_the_original(
    target: Target, trees: Callable[[Target], Tree], clean_env: dict[str, str]
) -> None:
    tree = trees(target)

    def load(executable: Path, paths: Iterable[Path]) -> dict[str, str]:
        # modules that CPython has for its own tests may end the process when they are loaded twice
        names = [str(path) for path in paths if not path.name.startswith(("_test", "xx", "_xx"))]
        done = subprocess.run(
            [executable, "-S", "-I", "-c", LOAD],
            input=json.dumps(names),
            env=clean_env,
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(done.stdout))

    after = load(tree.executable, tree.modules)
    assert "loaded" in after.values()
    assert after == load(target.executable, modules_of(target.executable))
    if linkage_of(target.executable).private_loader is None:
        for path in tree.files:
            elf = linkage.read_elf(path)
            assert elf is not None
            assert all(element.startswith("$ORIGIN") for element in (*elf.rpath, *elf.runpath)), path


def test_a_tree_loads_its_modules_without_the_original_ones(
    target: Target,
    trees: Callable[[Target], Tree],
    hidden: Callable[[Iterable[Path]], Hidden],
    clean_env: dict[str, str],
) -> None:
    found = linkage_of(target.executable)
    tree = trees(target)
    away = [modules_of(target.executable)[0].parent, *(each.path for each in found.private)]
    code = "import _ctypes, _hashlib, _ssl; " + MAPS
    done = hidden(away).run([tree.executable, "-S", "-I", "-c", code], env=clean_env)
    assert done.returncode == 0, done.stderr
    mapped = mapped_objects(done.stdout)
    assert all(path.is_relative_to(tree.root) for path in libpythons(mapped))
    ours = {path.name.split(".")[0] for path in map(Path, mapped) if path.is_relative_to(tree.root)}
    assert ours >= {"_ctypes", "_hashlib", "_ssl"}


def digests(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.mark.parametrize("run_path", ["", "$ORIGIN/../lib", "$ORIGIN/../" + "a-longer-way/" * 20 + "lib"])
def test_same_input_gives_the_same_bytes(target: Target, tmp_path: Path, run_path: str) -> None:
    # the last run path fits nowhere, so patchelf writes it
    originals = [target.executable.resolve(), *modules_of(target.executable)[:3]]
    copies = []
    for folder in (tmp_path / "a", tmp_path / "quite another" / "place"):
        folder.mkdir(parents=True)
        copies.append([Path(shutil.copy2(path, folder)) for path in originals])
        linkage.set_run_path(copies[-1], run_path)
    assert digests(copies[0]) == digests(copies[1])
    for path, original in zip(copies[0], originals, strict=True):
        elf, before = linkage.read_elf(path), linkage.read_elf(original)
        assert elf is not None
        assert before is not None
        assert (elf.rpath, elf.runpath) == ((run_path,) if run_path else (), ())
        assert (elf.needed, elf.soname, elf.interpreter) == (before.needed, before.soname, before.interpreter)
        assert os.stat(path).st_mode == os.stat(original).st_mode
    # a second time there is nothing to do
    assert linkage.set_run_path(copies[0], run_path) == ()
