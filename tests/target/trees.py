"""Trees and archives made by the command line, and what runs in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from zipstrap.manifest import MANIFEST_NAME, Manifest, load_manifest
from zipstrap.worker import clean_environment

from .interpreters import Target

__all__ = ["PLUGIN_SCENARIOS", "Tree", "make_tree", "shared_tree", "try_plugins", "usual", "zipstrap"]

PLUGIN_SCENARIOS = Path(__file__).with_name("plugin_scenarios.py")


@lru_cache(maxsize=64)
def _manifest(root: Path, look: tuple[int, int, int]) -> Manifest:
    # tests ask for the executable's place hundreds of times
    return load_manifest(root)


@dataclass(frozen=True)
class Tree:
    """A tree as ``build --format json`` reported it."""

    root: Path
    target: Target
    report: Mapping[str, Any]

    @property
    def manifest(self) -> Manifest:
        """The manifest as it is now, read anew when the file has changed."""
        look = (self.root / MANIFEST_NAME).stat()
        return _manifest(self.root, (look.st_ino, look.st_mtime_ns, look.st_size))

    @property
    def executable(self) -> Path:
        return self.root / self.manifest.layout.executable

    @property
    def boots(self) -> list[dict[str, Any]]:
        """The boots of verify, as the report of the build tells them."""
        boots: list[dict[str, Any]] = self.report["verification"]["boots"]
        return boots

    def at(self, root: Path) -> Tree:
        """Return this tree as it is found at *root*."""
        return replace(self, root=root)

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the tree's interpreter; its exit status is not checked."""
        return run([self.executable, *arguments], cwd=cwd, env=env)


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env={**clean_environment(), **(env or {})},
        timeout=300,
        check=False,
    )


def zipstrap(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "zipstrap", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=300,
        check=False,
    )


def make_tree(target: Target, root: Path, *options: str) -> Tree:
    """Build a tree at *root*; a failure is shown with all that the command said."""
    done = zipstrap("build", target.executable, "-o", root, "--format", "json", *options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return Tree(root, target, json.loads(done.stdout))


_SHARED: dict[tuple[str, str], Tree] = {}


def shared_tree(target: Target, factory: pytest.TempPathFactory, layout: str = "fast") -> Tree:
    """Return a tree of *target*, made once in a run; whoever changes it, changes it back."""
    if (target.id, layout) not in _SHARED:
        # the static libpython of the component dev takes up to 65 MB of disk, and proves nothing here
        options = ("--layout", layout, "--exclude", "dev")
        _SHARED[target.id, layout] = make_tree(target, factory.mktemp("built") / "T", *options)
    return _SHARED[target.id, layout]


def try_plugins(executable: Path, copy: Path, work: Path) -> dict[str, str]:
    """Run all of plugin_scenarios.py in one process of *executable*, and return what each came to.

    *copy* is a folder with the package zipstrap_plugins, *work* one that is made.
    """
    work.mkdir(mode=0o700)
    answer = work.with_suffix(".json")
    done = run([executable, "-B", "-W", "error", PLUGIN_SCENARIOS, copy, work, answer])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    answers: dict[str, str] = json.loads(answer.read_text(encoding="utf-8"))
    return answers


def usual(interpreters: Sequence[Target]) -> Target:
    """Return one target for what does not depend on its version: 3.13, else the newest here."""
    if not interpreters:
        pytest.skip("no CPython 3.8 to 3.15 here; name one in ZIPSTRAP_TEST_PYTHONS")
    return next((target for target in interpreters if target.version == (3, 13)), interpreters[-1])
