"""The verb stage: the files of a tree as they will lie below a prefix, put below a packager's DESTDIR.

The tree is made and verified in a hidden folder, then each file is moved to its place. What is there already
is never replaced: either nothing is in the way and all is put there, or nothing is.
"""

from __future__ import annotations

import filecmp
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .archive import archive_time
from .build import Settings, prepare, verify_written, write_tree
from .destination import check_tree_path, working_folder, writing
from .errors import FileError, Problem, UsageError
from .file_list import ListedFile, list_tree, to_mtree
from .imports import Import
from .interpreter import Facts
from .manifest import MANIFEST_NAME, FileRecord, Manifest
from .plan import FileKind, is_of_machine
from .verify.report import Verification

__all__ = ["PARTS", "StagedFiles", "part_of", "stage_below"]

#: the whole; what is the same for all machines; the rest
PARTS = ("all", "indep", "arch")

_MACHINE_CODE = frozenset(
    kind.value
    for kind in (FileKind.EXECUTABLE, FileKind.LAUNCHER, FileKind.SHARED_LIBRARY, FileKind.EXTENSION)
)


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """What lies below the DESTDIR now; the paths of *files* are relative to the prefix."""

    destdir: Path
    prefix: str
    part: str
    manifest: Manifest
    files: tuple[ListedFile, ...]
    broken: tuple[Import, ...]
    #: how many of *files* were there already, the same
    there_before: int
    verification: Verification | None


def stage_below(
    facts: Facts,
    destdir: Path,
    prefix: str,
    settings: Settings,
    *,
    part: str = "all",
    with_manifest: bool = False,
    file_list: Path | None = None,
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> StagedFiles:
    """Put the tree's files below *destdir* as they will lie below *prefix*, an absolute path.

    Raises :class:`UsageError` for a prefix that is none, and one :class:`FileError` for all that is in the
    way; then nothing was changed.
    """
    environ = os.environ if environ is None else environ
    mtime = archive_time(environ)
    place = _place(destdir, prefix, facts)
    if destdir.exists() and not destdir.is_dir():
        raise FileError("is no folder", file=destdir, cure="name a folder, or one to be made")
    if file_list is not None and not file_list.absolute().parent.is_dir():
        raise FileError("there is no such folder", file=file_list.parent, cure="create it, or name another")
    made = prepare(facts, settings, environ=environ)
    with working_folder(destdir) as folder:
        tree = write_tree(made, folder, settings, environ=environ, mtime=mtime, on_progress=on_progress)
        verification = verify_written(tree, folder, place, settings)
        # a start of the check may have left something
        wanted = _wanted(list_tree(folder), tree.manifest, part, with_manifest=with_manifest)
        epoch = mtime if environ.get("SOURCE_DATE_EPOCH") else None
        moved = _move(folder, destdir, place, wanted, epoch)
    if file_list is not None:
        with writing(file_list):
            file_list.write_text(to_mtree(wanted, below=prefix, time=epoch), encoding="ascii")
    return StagedFiles(
        destdir=destdir,
        prefix=prefix,
        part=part,
        manifest=tree.manifest,
        files=wanted,
        broken=made.broken,
        there_before=sum(each.type != "dir" for each in wanted) - moved,
        verification=verification,
    )


def _place(destdir: Path, prefix: str, facts: Facts) -> Path:
    path = PurePosixPath(prefix)
    if not path.is_absolute() or ".." in path.parts or "\0" in prefix:
        raise UsageError(
            f"the prefix {prefix!r} is no absolute path", cure="name the folder on the target, such as /usr"
        )
    if facts.platform == "linux":
        check_tree_path(Path(path))
        check_tree_path(destdir)
    return destdir.joinpath(*path.parts[1:])


def part_of(path: str, kind: str | None, library: str, dynload: str) -> str:
    """Return ``indep`` for what is the same for all machines, else ``arch``. Pure.

    *path* is relative to the prefix, *kind* that of the build's record, or None for what it has none of;
    *library* and *dynload* are the layout's.
    """
    if kind in _MACHINE_CODE or kind == FileKind.LINK.value or path == MANIFEST_NAME:
        return "arch"  # the links are the executable's other names
    if path.startswith(("bin/", "include/")):
        return "arch"  # a header tells of the machine, and what tells where they are belongs to them
    if path == dynload or path.startswith(f"{dynload}/"):
        return "arch"
    if path.startswith(f"{library}/"):
        inside = path.removeprefix(f"{library}/")
        if is_of_machine(inside) or is_of_machine(f"{inside}/"):
            return "arch"
    return "indep"


def _wanted(
    files: Sequence[ListedFile], manifest: Manifest, part: str, *, with_manifest: bool
) -> tuple[ListedFile, ...]:
    kinds = {record.path: record for record in manifest.files}
    layout = manifest.layout

    def belongs(path: str, record: FileRecord | None) -> bool:
        kind = None if record is None else record.kind
        return part in ("all", part_of(path, kind, layout.library, layout.dynload))

    taken = {
        each.path
        for each in files
        if (each.type != "dir" or each.path in kinds)
        and (each.path != MANIFEST_NAME or with_manifest)
        and belongs(each.path, kinds.get(each.path))
    }
    parents = {str(parent) for path in taken for parent in PurePosixPath(path).parents} - {"."}
    return tuple(each for each in files if each.path in taken or each.path in parents)


def _move(folder: Path, destdir: Path, place: Path, wanted: Sequence[ListedFile], time: int | None) -> int:
    """Move *wanted* from *folder* to *place*, and return how many files and links were not there."""
    moving, problems = _in_the_way(folder, destdir, place, wanted)
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="nothing was staged: take these files out of one of the two packages, or stage elsewhere",
        )
    made: list[Path] = []
    try:
        with writing(place):
            for parent in (*reversed(place.parents), place):
                if parent.is_relative_to(destdir) and parent != destdir:
                    _make(parent, 0o755, made)
            for each in wanted:
                if each.type == "dir":
                    _make(place / each.path, each.mode, made)
            for each in moving:
                (folder / each.path).rename(place / each.path)
                made.append(place / each.path)
            # last: what comes into a folder changes its time
            if time is not None:
                for path in reversed(made):
                    os.utime(path, (time, time), follow_symlinks=False)
    except BaseException:
        for path in reversed(made):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        raise
    return len(moving)


def _make(path: Path, mode: int, made: list[Path]) -> None:
    try:
        path.mkdir()
    except FileExistsError:
        return
    made.append(path)
    path.chmod(mode)  # whatever the umask, and whatever the folder above hands on


def _in_the_way(
    folder: Path, destdir: Path, place: Path, wanted: Sequence[ListedFile]
) -> tuple[list[ListedFile], list[Problem]]:
    """Return which files are to be moved, and what stands where they would go."""
    moving, problems = [], []
    folders = [parent for parent in (*reversed(place.parents), place) if parent.is_relative_to(destdir)]
    blocked: set[Path] = set()
    for path in (*folders[1:], *(place / each.path for each in wanted if each.type == "dir")):
        if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()) and path.parent not in blocked:
            what = "a link" if path.is_symlink() else "a file"
            problems.append(Problem(f"is {what}, where a folder is to be", path))
            blocked.add(path)
    for each in wanted:
        path = place / each.path
        if each.type == "dir" or not blocked.isdisjoint(path.parents):
            continue
        if not os.path.lexists(path):
            moving.append(each)
        elif not _is_same(folder / each.path, path):
            problems.append(Problem("is there already, and is another", path))
    return moving, problems


def _is_same(ours: Path, theirs: Path) -> bool:
    one, other = ours.lstat(), theirs.lstat()
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return False
    if stat.S_ISLNK(one.st_mode):
        return ours.readlink() == theirs.readlink()
    return stat.S_IMODE(one.st_mode) == stat.S_IMODE(other.st_mode) and filecmp.cmp(
        ours, theirs, shallow=False
    )
