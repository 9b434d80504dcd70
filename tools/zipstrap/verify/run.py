"""The verb verify: gather evidence of a tree or an interpreter, and judge it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from zipstrap.errors import UsageError
from zipstrap.interpreter import Facts
from zipstrap.layout import standard_layout
from zipstrap.manifest import is_tree, load_manifest, target_of
from zipstrap.stage import Written

from .boots import MODES
from .checks import judge
from .evidence import gather_evidence
from .report import Verification

__all__ = ["verify_interpreter", "verify_tree"]


def verify_tree(
    tree: Path,
    *,
    jobs: int = 1,
    strict: bool = False,
    kernel: bool = False,
    shown_as: Path | None = None,
    environ: Mapping[str, str] | None = None,
    written: Mapping[str, Written] | None = None,
) -> Verification:
    """Verify a tree that zipstrap built, by its manifest.

    *shown_as* is the name that the report uses: a build verifies its tree before it is put in place, and
    gives the hashes of what it has just *written*. Raises
    :class:`UsageError` where there is no folder, and :class:`FileError` for a manifest that is missing or
    damaged and for files that cannot be read.
    """
    if not tree.is_dir():
        raise UsageError("there is no such folder", file=tree, cure="name a tree or an interpreter")
    manifest = load_manifest(tree)
    named = tree.absolute()
    evidence = gather_evidence(
        Path(os.path.realpath(tree)),
        manifest.target,
        manifest.layout,
        manifest,
        modes=MODES,
        jobs=jobs,
        strict=strict,
        kernel=kernel,
        environ=environ,
        named=named,
        written=written,
    )
    return Verification(
        shown_as or named, evidence, judge(evidence), to_be_moved=shown_as is not None and shown_as != named
    )


def verify_interpreter(
    facts: Facts,
    *,
    jobs: int = 1,
    strict: bool = False,
    kernel: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Verification:
    """Verify an interpreter where it is installed; one that lies in a tree is verified by its manifest."""
    root = Path(facts.prefix)
    if is_tree(root):
        return verify_tree(root, jobs=jobs, strict=strict, kernel=kernel, environ=environ)
    layout = standard_layout(facts)
    executable = Path(facts.executable)
    if executable.is_relative_to(root):  # its name may be another than a build would give it
        layout = dataclasses.replace(layout, executable=executable.relative_to(root).as_posix())
    evidence = gather_evidence(
        Path(os.path.realpath(root)),
        target_of(facts),
        layout,
        None,
        modes=MODES,
        jobs=jobs,
        strict=strict,
        kernel=kernel,
        environ=environ,
        named=root,
    )
    return Verification(root, evidence, judge(evidence))
