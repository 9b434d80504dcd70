"""The verb verify: gather evidence of a tree or an interpreter, and judge it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path

from zipstrap.archive import Limits
from zipstrap.errors import UsageError
from zipstrap.interpreter import Facts
from zipstrap.layout import archive_name, archive_path, in_place_layout
from zipstrap.manifest import Manifest, is_tree, load_manifest, manifest_bytes, target_of
from zipstrap.stage import Written

from .boots import MODES
from .checks import CheckResult, judge
from .evidence import Evidence, gather_evidence
from .integrity import check_integrity, checked_digest, expect_manifest
from .report import Verification

__all__ = ["verify_interpreter", "verify_tree"]

#: hooks, libraries and modes that are those of an installation before it is converted
_BROUGHT = frozenset({"ZS401", "ZS501", "ZS502", "ZS503", "ZS601"})


#: start-up files of others, which warn only: they may be what the user has installed
_RUN_BY_STARTS = frozenset({"ZS401", "ZS402"})


def verify_tree(
    tree: Path,
    *,
    jobs: int = 1,
    strict: bool = False,
    kernel: bool = False,
    shown_as: Path | None = None,
    environ: Mapping[str, str] | None = None,
    written: Mapping[str, Written] | None = None,
    limits: Limits | None = None,
    expect: str | None = None,
    start: bool = True,
    known: tuple[bytes, Manifest] | None = None,
) -> Verification:
    """Verify a tree that zipstrap built, by its manifest.

    With *expect*, the SHA-256 of the manifest, the manifest must be that one, which raises
    :class:`OtherManifest` otherwise, and all that it lists is hashed before anything is started: what was
    changed is not. Without *start* nothing is started in any case, and checks of starts are not run.

    *shown_as* is the name that the report uses: a build verifies its tree before it is put in place, and
    gives the hashes of what it has just *written*, and its manifest as it is *known*: where the file has
    these bytes, it says that. *limits* bound what its archives may expand to. Raises
    :class:`UsageError` where there is no folder, and :class:`FileError` for a manifest that is missing or
    damaged and for files that cannot be read.
    """
    if not tree.is_dir():
        raise UsageError("there is no such folder", file=tree, cure="name a tree or an interpreter")
    expected = None if expect is None else checked_digest(expect)
    # read once: what is believed is what was hashed
    data = manifest_bytes(tree) if expected is None else expect_manifest(tree, expected)
    manifest = known[1] if known is not None and known[0] == data else load_manifest(tree, data)
    changed: tuple[str, ...] | None = None
    digests: tuple[str, str] | None = None
    if expected is not None:
        digests = expected, expected
        integrity = check_integrity(tree, manifest, known=written, limits=limits)
        written, changed = integrity.hashed, integrity.changed
    named = tree.absolute()
    gather = functools.partial(
        gather_evidence,
        Path(os.path.realpath(tree)),
        manifest.target,
        manifest.layout,
        manifest,
        jobs=jobs,
        strict=strict,
        kernel=kernel,
        environ=environ,
        named=named,
        written=written,
        limits=limits,
        changed=changed,
        digests=digests,
    )
    modes = MODES if start and not changed else ()
    if modes and expected is not None:
        # What was added is not in the manifest, and some of it would run in a start: it is looked for first.
        still = gather(modes=())
        results = judge(still)
        if any(
            result.status == "failed" or (result.status == "warned" and result.code in _RUN_BY_STARTS)
            for result in results
        ):
            return Verification(named, still, results)
    evidence = gather(modes=modes)
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
    limits: Limits | None = None,
    expect: str | None = None,
    start: bool = True,
) -> Verification:
    """Verify an interpreter where it is installed; one that lies in a tree is verified by its manifest.

    One that is converted in place is verified by the layout that its journal names, and what a tree must be
    free of, but an installation may have (:data:`_BROUGHT`), only warns.
    """
    root = Path(facts.prefix)
    if is_tree(root):
        return verify_tree(
            root,
            jobs=jobs,
            strict=strict,
            kernel=kernel,
            environ=environ,
            limits=limits,
            expect=expect,
            start=start,
        )
    if expect is not None:
        raise UsageError(
            "this interpreter has no manifest, which --expect is about", file=root, cure="name a tree"
        )
    from zipstrap.conversion import conversion_of

    conversion = conversion_of(facts)
    if conversion is not None:
        name = conversion.layout
    else:  # one that was staged has no manifest, unless it was asked for
        beside = Path(archive_path(facts)).with_name(archive_name(facts).replace(".zip", "-library.zip"))
        name = "fast" if beside.is_file() else "standard"
    layout = in_place_layout(facts, name)
    evidence = gather_evidence(
        Path(os.path.realpath(root)),
        target_of(facts),
        layout,
        None,
        modes=MODES if start else (),
        jobs=jobs,
        strict=strict,
        kernel=kernel,
        environ=environ,
        named=root,
        limits=limits,
    )
    if conversion is None:
        return Verification(root, evidence, judge(evidence))
    evidence = dataclasses.replace(evidence, library=_library_names(Path(facts.library), evidence))
    return Verification(root, evidence, tuple(map(_as_it_came, judge(evidence))))


def _library_names(library: Path, evidence: Evidence) -> frozenset[str]:
    """Return the names, without what follows a dot, of the library's modules in the archive and on disk."""
    names = set(evidence.archive.names if evidence.archive is not None else ())
    for folder in (library, library / "lib-dynload"):
        with contextlib.suppress(OSError):
            names.update(path.name for path in folder.iterdir())
    return frozenset(name.partition("/")[0].partition(".")[0] for name in names) - {
        "sitecustomize",
        "usercustomize",
    }


def _as_it_came(result: CheckResult) -> CheckResult:
    """Let what an installation brought with it be a warning: its conversion has not made it so."""
    brought = result.status == "failed" and result.code in _BROUGHT
    return dataclasses.replace(result, status="warned") if brought else result
