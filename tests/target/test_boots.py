"""The witnesses of a boot, on real interpreters in small trees made by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from zipstrap.verify import boots
from zipstrap.verify.boots import MODES, Boot, Origin, TreePaths
from zipstrap.verify.kernel_log import library_files
from zipstrap.worker import WORKER_FLAGS, clean_environment

from .interpreters import Target

PLAIN, UNFROZEN = MODES[0], MODES[-1]

# What a start needs, taken from the library of the target by the target: 3.8 syntax. Prints where it went.
STAGE = r"""
import importlib.util, json, marshal, os, shutil, sys, zipfile

root, boot_modules = sys.argv[1], sys.argv[2:]
source = os.path.dirname(os.__file__)
version, thread = "%d.%d" % sys.version_info[:2], "t" if "t" in sys.abiflags else ""
lib = os.path.join(root, getattr(sys, "platlibdir", "lib"))
library = os.path.join(lib, "python" + version + thread)
dynload = os.path.join(library, "lib-dynload")
archive = os.path.join(lib, "python" + version.replace(".", "") + thread + ".zip")
executable = os.path.join(root, "bin", "python" + version + thread)
os.makedirs(dynload)
os.makedirs(os.path.dirname(executable))
shutil.copy2(os.path.realpath(sys.executable), executable)
if sys.version_info < (3, 11):
    shutil.copy2(os.path.join(source, "os.py"), library)  # the landmark
try:
    import zlib
    shutil.copy2(zlib.__file__, dynload)
except AttributeError:
    pass  # built in
with zipfile.ZipFile(archive, "w") as file:
    for name in boot_modules:
        path = os.path.join(source, name)
        if os.path.exists(path):
            with open(path, "rb") as text:
                code = compile(text.read(), path, "exec", dont_inherit=True)
            # PEP 552: a hash that nobody checks
            head = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + bytes(8)
            file.writestr(name + "c", head + marshal.dumps(code))
print(json.dumps({"executable": executable, "archive": archive, "library": library, "dynload": dynload}))
"""
BOOT_MODULES = (
    *("encodings/__init__.py", "encodings/aliases.py", "encodings/utf_8.py", "encodings/utf_8_sig.py"),
    *("encodings/latin_1.py", "encodings/ascii.py", "_bootlocale.py", "codecs.py", "abc.py", "io.py"),
    *("stat.py", "_collections_abc.py", "genericpath.py", "posixpath.py", "os.py", "_sitebuiltins.py"),
    *("site.py", "linecache.py"),
)


@dataclass(frozen=True)
class Staged:
    executable: Path
    version: tuple[int, int]
    tree: TreePaths

    def moved(self, root: Path) -> Staged:
        """Return this tree as it is found under another *root*."""
        old = self.tree.root
        places = {name: getattr(self.tree, name) for name in TreePaths.__slots__}
        at = {name: place and root / place.relative_to(old) for name, place in places.items()}
        return replace(self, executable=root / self.executable.relative_to(old), tree=TreePaths(**at))

    def copy(self, root: Path) -> Staged:
        shutil.copytree(self.tree.root, root)
        return self.moved(root)

    def boot(self, mode: boots.Mode = PLAIN, *, kernel: bool = False) -> Boot:
        return boots.gather_boot(self.executable, self.version, mode, self.tree, kernel=kernel)


@pytest.fixture(scope="session")
def staged(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Staged:
    root = tmp_path_factory.mktemp("boots") / "tree"
    done = subprocess.run(
        [str(target.executable), *WORKER_FLAGS, "-c", STAGE, str(root), *BOOT_MODULES],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    paths = {name: Path(path) for name, path in json.loads(done.stdout).items()}
    return Staged(paths.pop("executable"), target.version, TreePaths(root, **paths))


@pytest.fixture(scope="session")
def gathered(staged: Staged) -> tuple[Boot, ...]:
    return boots.gather_boots(staged.executable, staged.version, staged.tree)


def shared_zlib(staged: Staged) -> Path | None:
    return next(staged.tree.dynload.glob("zlib*"), None)


def ran(gathered: tuple[Boot, ...]) -> Iterator[Boot]:
    return (boot for boot in gathered if boot.status == "ran")


def both(boot: Boot) -> dict[str, Origin]:
    """Return the origin of each module, on which the witnesses must agree."""
    pairs = boots.agreed(boot)
    assert [pair for pair in pairs if not pair.agree] == [], boot.reason
    return {pair.module: pair.origin for pair in pairs if pair.origin is not None}


def test_every_mode_of_the_version_runs(target: Target, gathered: tuple[Boot, ...]) -> None:
    told = {boot.mode.name: (boot.status, boot.returncode) for boot in gathered}
    last = ("ran", 0) if target.version >= (3, 11) else ("not run", None)
    assert told == {**{mode.name: ("ran", 0) for mode in MODES[:-1]}, UNFROZEN.name: last}


def test_witnesses_agree_and_nothing_is_foreign(gathered: tuple[Boot, ...]) -> None:
    for boot in ran(gathered):
        seen = both(boot)
        assert set(seen.values()) == {Origin.ARCHIVE, Origin.BUILTIN, Origin.FROZEN}, boot.mode
        for module in ("encodings", "encodings.aliases", "encodings.utf_8"):
            assert seen[module] is Origin.ARCHIVE, boot.mode
        assert ("site" in seen) == ("-S" not in boot.mode.arguments)
        logged = [pair.module for pair in boots.agreed(boot) if not pair.reason]
        assert [sighting.module for sighting in boot.log] == logged


def test_site_is_frozen_since_3_11_unless_that_is_off(target: Target, gathered: tuple[Boot, ...]) -> None:
    for boot in ran(gathered):
        if "-S" not in boot.mode.arguments:
            frozen = target.version >= (3, 11) and boot.mode != UNFROZEN
            assert both(boot)["site"] is (Origin.FROZEN if frozen else Origin.ARCHIVE), boot.mode


def test_a_start_without_the_log_loads_the_same(gathered: tuple[Boot, ...]) -> None:
    plain = gathered[0]
    assert plain.quiet is not None
    assert plain.quiet == plain.probe
    assert [boot.quiet for boot in gathered[1:]] == [None] * (len(gathered) - 1)


def test_every_importer_of_a_start_is_cpythons_own(gathered: tuple[Boot, ...]) -> None:
    for boot in ran(gathered):
        assert boot.facts is not None
        assert boot.facts.meta_path == (
            "_frozen_importlib.BuiltinImporter",
            "_frozen_importlib.FrozenImporter",
            "_frozen_importlib_external.PathFinder",
        )
        assert boot.facts.path_hooks == (
            "zipimport.zipimporter",
            "_frozen_importlib_external.FileFinder.path_hook.<locals>.path_hook_for_FileFinder",
        )


def test_facts_of_the_process(staged: Staged, gathered: tuple[Boot, ...]) -> None:
    for boot in ran(gathered):
        facts = boot.facts
        assert facts is not None
        assert facts.version[:2] == staged.version
        assert (facts.prefix, facts.executable) == (str(staged.tree.root), str(staged.executable))
        assert str(staged.tree.archive) in facts.sys_path
        assert facts.flags["isolated"] == ("-I" in boot.mode.arguments)
        assert facts.flags["no_site"] == ("-S" in boot.mode.arguments)
        assert facts.zlib.sighting is not None
        built_in = shared_zlib(staged) is None
        assert facts.zlib.sighting.origin is (Origin.BUILTIN if built_in else Origin.DYNLOAD)
        assert facts.libraries
        assert not any("lib-dynload" in library for library in facts.libraries)


def test_gathering_leaves_the_tree_as_it_was(staged: Staged, tmp_path: Path) -> None:
    copy = staged.copy(tmp_path / "tree")
    before = sorted(copy.tree.root.rglob("*"))
    (copy.tree.library / "sitecustomize.py").write_text("")
    assert both(copy.boot())["sitecustomize"] is Origin.DIRECTORY
    (copy.tree.library / "sitecustomize.py").unlink()
    assert sorted(copy.tree.root.rglob("*")) == before


def test_module_from_the_folder_is_seen_by_both(staged: Staged, target: Target, tmp_path: Path) -> None:
    # what the archive lacks is taken from the library's folder, without a word
    copy = staged.copy(tmp_path / "tree")
    members = zipfile.ZipFile(staged.tree.archive)
    with members, zipfile.ZipFile(copy.tree.archive, "w") as archive:
        for name in members.namelist():
            if name.startswith("encodings/"):
                members.extract(name, copy.tree.library)
            else:
                archive.writestr(name, members.read(name))
    seen = both(copy.boot())
    assert seen["encodings"] is seen["encodings.utf_8"] is Origin.DIRECTORY
    assert seen["codecs"] is (Origin.FROZEN if target.version >= (3, 11) else Origin.ARCHIVE)


def test_hook_that_puts_a_folder_first_is_seen(staged: Staged, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "zlib.py").write_text("")
    copy = staged.copy(tmp_path / "tree")
    (copy.tree.library / "sitecustomize.py").write_text(
        f"import sys; sys.path.insert(0, {str(outside)!r}); import zlib\n"
    )
    boot = copy.boot(PLAIN)
    seen = both(boot)
    assert seen["sitecustomize"] is Origin.DIRECTORY
    # a builtin module cannot be shadowed, a shared object in lib-dynload can
    built_in = shared_zlib(staged) is None
    assert seen["zlib"] is (Origin.BUILTIN if built_in else Origin.FOREIGN)


def test_tree_behind_a_link(staged: Staged, tmp_path: Path) -> None:
    link = tmp_path / "l'arbre \u00e9tag\u00e9"  # the log quotes some paths and not others
    link.symlink_to(staged.tree.root)
    boot = staged.moved(link).boot()
    assert both(boot)["encodings"] is Origin.ARCHIVE
    assert Origin.FOREIGN not in both(boot).values()


def test_start_without_landmark_is_foreign_to_both(staged: Staged, tmp_path: Path) -> None:
    if staged.version >= (3, 11):
        pytest.skip("since 3.11 the archive itself is a landmark")
    copy = staged.copy(tmp_path / "tree")
    (copy.tree.library / "os.py").unlink()
    boot = copy.boot()
    assert (boot.status, boot.returncode) == ("ran", 0)
    seen = both(boot)
    for module in ("encodings", "codecs", "site", "os", "os.path"):
        assert seen[module] is Origin.FOREIGN
    assert Origin.ARCHIVE not in seen.values()


def test_start_without_encodings_fails_and_says_why(staged: Staged, tmp_path: Path) -> None:
    copy = staged.copy(tmp_path / "tree")
    copy.tree.archive.write_bytes(b"this is no archive")
    boot = copy.boot()
    assert (boot.status, boot.returncode) == ("failed", 1)
    assert boot.reason == "exit status 1: ModuleNotFoundError: No module named 'encodings'"
    assert boot.facts is None
    # the log tells how far it came
    assert "zipimport" in {sighting.module for sighting in boot.log}


def test_kernel_saw_the_archive_opened(staged: Staged) -> None:
    boot = staged.boot(kernel=True)
    if boot.opened is None:
        pytest.skip(boot.opened_reason)
    files = library_files(boot.opened)
    assert os.path.realpath(staged.tree.archive) in files
    assert [path for path in files if path.endswith((".py", ".pyc"))] == []
    assert boot.facts is not None
    mapped = {os.path.realpath(path) for path in boot.facts.libraries or () if "/ld-" not in path}
    assert mapped <= set(files)
