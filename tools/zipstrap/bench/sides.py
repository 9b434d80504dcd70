"""Make the trees of the columns, and see that each runs its own library."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.build import Settings, build
from zipstrap.destination import writing
from zipstrap.errors import InterpreterError
from zipstrap.interpreter import Facts
from zipstrap.manifest import Manifest
from zipstrap.plan import FileKind, Options
from zipstrap.worker import run_worker

from .cases import BASE, GIVEN, Column
from .peers import Stored
from .storage import files_below

__all__ = ["Side", "check_side", "column_settings", "given_side", "make_side"]

_BINARIES = (FileKind.EXECUTABLE.value, FileKind.SHARED_LIBRARY.value, FileKind.EXTENSION.value)


@dataclass(frozen=True, slots=True)
class Side:
    """A tree that is measured; sizes in bytes."""

    name: str
    about: str
    root: Path
    executable: Path
    #: of all files
    tree_size: int
    #: of what holds the library's modules: archives, or the files .py and .pyc
    library_size: int
    files: int
    #: of the library's archive, if there is one
    members: tuple[Stored, ...]
    #: whether ``PYTHONPATH`` counts in its starts
    reads_environment: bool = True


def make_side(
    column: Column,
    facts: Facts,
    root: Path,
    *,
    profile: str,
    optimize: int,
    jobs: int,
    cache: bool,
    binaries: dict[str, Path] | None = None,
) -> Side:
    """Build the tree of *column* at *root*. Raises what ``build`` raises.

    Binaries that are among *binaries* become one file with those; the others are added to them.
    """
    settings = column_settings(column, profile=profile, optimize=optimize, jobs=jobs, cache=cache)
    manifest = build(facts, root, settings).manifest
    if column.sourceless:
        _remove_sources(root / manifest.layout.library, manifest.target.cache_tag)
    if binaries is not None:
        _share(root, manifest, binaries)
    return _side(column.name, column.about, root, manifest)


def column_settings(
    column: Column, *, profile: str = "standard", optimize: int = 0, jobs: int = 1, cache: bool = True
) -> Settings:
    """Return the settings of the build of *column*. Raises TypeError for one that there is not."""
    of_options = {each.name for each in dataclasses.fields(Options)}
    chosen = {name: value for name, value in column.options.items() if name in of_options}
    rest = {name: value for name, value in column.options.items() if name not in of_options}
    return Settings(
        profile=profile,
        layout=column.layout,
        # a tree of the layout isolated has it when it is asked for, and all columns are to have the same
        include=("venv",) if column.layout == "isolated" else (),
        exclude=("dev",),  # what is for builders of extension modules would only be copied around
        options=Options(**{"optimize": optimize, **chosen}),
        jobs=jobs,
        verify=False,
        cache=cache,
        **rest,
    )


def given_side(root: Path, manifest: Manifest) -> Side:
    """Return the tree that the user named as a side."""
    about = f"the tree that was named: layout {manifest.layout.name}, {manifest.compress}"
    return _side(GIVEN, about, root, manifest)


def _side(name: str, about: str, root: Path, manifest: Manifest) -> Side:
    layout = manifest.layout
    with writing(root):
        files = files_below([root])
        sizes = {path: path.stat().st_size for path in files}
    archives = {root / layout.archive, root / layout.library_archive}
    held = sum(size for path, size in sizes.items() if path in archives)
    if not held:
        library, site = f"{root / layout.library}{os.sep}", f"{root / layout.site}{os.sep}"
        held = sum(
            size
            for path, size in sizes.items()
            if path.suffix in (".py", ".pyc") and str(path).startswith(library) and site not in str(path)
        )
    return Side(
        name=name,
        about=about,
        root=root,
        executable=root / layout.executable,
        tree_size=sum(sizes.values()),
        library_size=held,
        files=len(files),
        reads_environment=not layout.path_files,
        members=tuple(Stored(member.name, member.compressed_size) for member in manifest.members),
    )


def _remove_sources(library: Path, cache_tag: str) -> None:
    """Put the bytecode of every module in the place of its source, as ``compileall -b`` would."""
    end = f".{cache_tag}.pyc"
    with writing(library):
        for cached in [path for path in files_below([library]) if path.name.endswith(end)]:
            source = cached.parent.parent / f"{cached.name.removesuffix(end)}.py"
            if cached.parent.name == "__pycache__" and source.is_file():
                cached.replace(source.with_suffix(".pyc"))
                source.unlink()
        for folder in sorted(library.rglob("__pycache__"), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()


def _share(root: Path, manifest: Manifest, binaries: dict[str, Path]) -> None:
    """Link the tree's binaries to equal ones of other trees.

    How the pages of a copy of libpython lie in memory is worth up to 3 % of an empty start (measured), and
    says nothing of a layout.
    """
    for record in manifest.files:
        if record.kind in _BINARIES and record.sha256 is not None:
            path = root / record.path
            first = binaries.setdefault(f"{record.mode} {record.sha256}", path)
            link = path.with_name(f"{path.name}.link")
            # a file system without hard links keeps the copy
            with contextlib.suppress(OSError):
                if first != path:
                    os.link(first, link)
                    link.replace(path)


def check_side(side: Side, modules: Sequence[str]) -> dict[str, str]:
    """Return those of *modules* that cannot be imported in *side*, and why.

    Raises InterpreterError for a tree that runs, without a word, the library of another place.
    """
    answer = run_worker(side.executable, "bench_worker", {"modules": list(modules)}, timeout=300)
    root = os.path.realpath(side.root)
    for place in (answer["prefix"], answer["library"]):
        if not os.path.realpath(place).startswith(f"{root}{os.sep}") and os.path.realpath(place) != root:
            raise InterpreterError(
                f"the column {side.name} would run what lies in {place}",
                file=side.executable,
                cure=f"run zipstrap verify {side.root}"
                if side.name == GIVEN
                else f"leave it out of --columns ({BASE} has to be there)",
            )
    return dict(answer["missing"])
