"""The verb report: look at a tree or an archive in every way there is, and say it in one page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from zipstrap import __version__
from zipstrap.archive import BadArchive, Limits
from zipstrap.errors import FileError
from zipstrap.inspection import Inspection, inspect_path
from zipstrap.stage import digest_of
from zipstrap.verify.run import verify_tree

from .model import Page, make_page
from .starts import Timed, time_starts

__all__ = ["RUNS", "report_on"]

#: starts of each kind in each mode
RUNS = 9


def report_on(
    path: Path,
    *,
    start: bool = True,
    runs: int = RUNS,
    jobs: int = 1,
    expect: str | None = None,
    limits: Limits | None = None,
    environ: Mapping[str, str] | None = None,
) -> Page:
    """Return the page of *path*, a tree or an archive.

    Without *start* nothing is started, and the page of the same tree is the same, byte for byte. *runs* is
    how often each mode is timed; *expect* and *jobs* are those of verify.

    A tree in which something is wrong has a page; an archive that the strict reader refuses has none. Raises
    :class:`FileError` for what is neither, :class:`zipstrap.archive.BadArchive` for such an archive, and
    :class:`zipstrap.verify.integrity.OtherManifest` for a tree that is not the one that was expected.
    """
    made_by = f"zipstrap {__version__}"
    path = path.absolute()
    if not path.is_dir():
        inspection = inspect_path(path, limits=limits)
        return make_page(
            path,
            inspection,
            None,
            None,
            starts_problem="An archive alone has nothing to start.",
            archive_sha256=digest_of(path)[1],
            made_by=made_by,
        )
    verification = verify_tree(path, jobs=jobs, environ=environ, limits=limits, expect=expect, start=start)
    found: Inspection | None = None
    archive_problem = ""
    try:
        found = inspect_path(path, limits=limits)
    except (BadArchive, FileError) as error:
        archive_problem = str(error).partition("\n")[0]
    evidence = verification.evidence
    modes = [boot.mode for boot in evidence.boots if boot.status == "ran"]
    timed: Timed | None = None
    if modes:
        executable = Path(os.path.realpath(path)) / evidence.layout.executable
        timed = time_starts(executable, modes, runs=runs, environ=environ)
    starts_problem = ""
    if not start:
        starts_problem = "Nothing was started, as --no-start asks."
    elif not evidence.boots:
        starts_problem = "Nothing was started: the tree is not as its manifest says."
    return make_page(
        path,
        found,
        verification,
        timed,
        archive_problem=archive_problem,
        starts_problem=starts_problem,
        made_by=made_by,
    )
