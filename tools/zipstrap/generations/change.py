"""The changes of a prefix: a generation is made, made current, and removed.

Each is done under the lock of the prefix, and each step leaves something that works: a generation is complete
before a link leads to it, and no link leads to it any more before it is removed. The link is the only thing
that decides what the next start runs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import archive_time
from zipstrap.build import BuildFailed, Settings, prepare, write_tree
from zipstrap.destination import check_tree_path
from zipstrap.durable import Root, open_ancestors, unfinished_name
from zipstrap.errors import FileError, Problem, UnsupportedError, UsageError
from zipstrap.interpreter import Facts
from zipstrap.layout import GENERATIONS, Layout, shared_links, tree_layout
from zipstrap.manifest import MANIFEST_NAME, is_tree, load_manifest
from zipstrap.plan import FRONT, config_name
from zipstrap.stage import Written
from zipstrap.verify.report import Verification
from zipstrap.verify.run import verify_tree

from .state import (
    BIN,
    KEPT,
    RECORD_NAME,
    Generation,
    Record,
    State,
    differences,
    kept_place,
    link_target,
    number_of_link,
    place_of,
    read_record,
    read_state,
    record_to_json,
)

__all__ = [
    "FRONT_MARKS",
    "Changed",
    "RollbackFailed",
    "above",
    "changing",
    "folders_of",
    "install",
    "is_our_config",
    "is_ours",
    "remove_folders",
    "remove_own_folders",
    "rollback",
    "swap",
]

#: what the files of a prefix's front hold, so that they are known again
FRONT_MARKS = {
    "os.py": b'"""This is no library: it marks the prefix of Python\'s generations',
    "encodings/__init__.py": b'"""Hand a start from a prefix with generations over to its own generation',
}


#: what the program holds that tells compilers about a Python
_CONFIG_MARK = b"python3-config, which zipstrap installed."


@dataclass(frozen=True, slots=True)
class Changed:
    """What has become of a prefix: *number* is the current generation of the executable *name*.

    *what* is ``made``, ``reused`` (there was a generation with this content already) or ``unchanged``.
    """

    prefix: Path
    name: str
    number: int
    before: int | None
    what: str
    verification: Verification | None
    notes: tuple[str, ...]


@contextlib.contextmanager
def changing(prefix: Path) -> Iterator[tuple[Root, tuple[str, ...]]]:
    """Yield the *prefix*, opened and locked, and what an earlier run had left there, which is gone now."""
    with Root(prefix) as root, root.locked():
        yield root, tuple(_recover(root))


def _recover(root: Root) -> Iterator[str]:
    """Remove what an earlier run has left, with the folders that it had made for what it did not finish."""
    state = read_state(root)
    records = [read_record(root.path / path) for path in state.unfinished if path.startswith(GENERATIONS)]
    for folder in dict.fromkeys(path.rpartition("/")[0] for path in state.unfinished):
        yield from root.clear_unfinished(folder)
    remove_folders(root, [path for record in records if record for path in record.folders], state.generations)


def remove_folders(root: Root, folders: Iterable[str], generations: Sequence[Generation]) -> None:
    """Remove those of *folders* that are empty, and that none of *generations* needs."""
    needed = {folder for each in generations for folder in folders_of(each.manifest.layout)}
    for folder in sorted({*folders} - needed - {GENERATIONS, *above(GENERATIONS)}, reverse=True):
        root.remove_folder(folder)


def install(
    facts: Facts,
    prefix: Path,
    settings: Settings,
    *,
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Make a generation of the interpreter *facts* below *prefix*, and make it the current one.

    One that is there already, with the same content, is made current instead, unless the settings say force.
    Raises :class:`BuildFailed` when the generation does not pass verify, and :class:`FileError` or
    :class:`UsageError`, before anything is written, for what is in the way.
    """
    environ = os.environ if environ is None else environ
    _check_settings(settings)
    check_tree_path(prefix)
    mtime = archive_time(environ)
    _check_prefix(prefix)
    prepared = prepare(facts, settings, generation=True, environ=environ)
    with _making_prefix(prefix), changing(prefix) as (root, cleared):
        plain = tree_layout(facts, settings.layout)
        layout = prepared.plan.layout
        name = layout.executable.rpartition("/")[2]
        state = read_state(root)
        _check_places(root, layout, name)
        before = state.links.get(name)
        notes = [f"removed what an earlier run had left: {path}" for path in cleared]
        made = set(root.make_folders(GENERATIONS))
        if not state.generations:  # a first run that was ended may have made these
            made |= {GENERATIONS, *above(GENERATIONS)}
        made |= {path for path in folders_of(layout) if not root.exists(path)}
        verification = None
        try:
            record = Record(_now(), facts.executable, tuple(sorted(state.folders | made)))
            with _new_generation(root, state.next_number, record) as (number, work):
                _make_shared(root, layout)
                tree = write_tree(
                    prepared,
                    root.path / work,
                    settings,
                    mtime=mtime,
                    environ=environ,
                    on_progress=on_progress,
                )
                final = root.path / place_of(number)
                _check_written(root.path / work, final)
                same = None if settings.force else _same(root, state, name, work, notes)
                if same is not None:
                    number = same.number
                    root.remove_tree(work)
                    verification = _verified_again(same, settings, environ) if settings.verify else None
                else:
                    if settings.verify:
                        verification = _verified(root.path / work, final, settings, environ, tree.written)
                    root.sync(work)
                    root.rename(work, place_of(number))
        except BaseException:
            with contextlib.suppress(FileError):  # the first error matters more
                remove_folders(root, made, state.generations)
                remove_own_folders(root, made)
            raise
        what = "made" if same is None else "unchanged" if number == before else "reused"
        _carry_headers(root, state.current(name), number)
        _put_front(root, root.path / place_of(number), layout)
        swap(root, name, number, before)
        notes += _put_names(root, plain, name)
        notes += _put_config(root, root.path / place_of(number), layout, name)
        if name in state.kept and {*state.kept[name].site_folders} <= {*layout.site_folders}:
            root.remove(kept_place(name))  # it is in use again
            root.remove_folder(KEPT)
    notes += (f"others can write to {each}, and replace what is in it" for each in open_ancestors(prefix))
    return Changed(prefix, name, number, before, what, verification, (*prepared.notes, *notes))


@contextlib.contextmanager
def _new_generation(root: Root, number: int, record: Record) -> Iterator[tuple[int, str]]:
    """Yield *number* and a folder of *root* in which the generation is made; it goes if that fails.

    It holds the *record* from the beginning: a run that is ended leaves word of the folders that it made. A
    :class:`FileError` then names the file as it would have been called.
    """
    work = unfinished_name(place_of(number))
    root.make_folders(work)
    try:
        root.write_file(f"{work}/{RECORD_NAME}", record_to_json(record).encode())
        yield number, work
    except BaseException as error:
        with contextlib.suppress(FileError):  # the first error matters more; the next run tries again
            root.remove_tree(work)
        if isinstance(error, FileError):
            _rename_in(error, root.path / work, root.path / place_of(number))
        raise


def _check_written(tree: Path, final: Path) -> None:
    """Raise unless all of *tree*, which will be *final*, has the size that was written."""
    wrong = differences(Generation(0, tree, load_manifest(tree), None, 0.0))
    if wrong:
        raise FileError(
            f"was written, and is not there as a whole: {wrong[0]}",
            file=final,
            others=[Problem(each) for each in wrong[1:5]],
            cure="look what is wrong with the disk (dmesg), and run the command again",
        )


def _verified(
    tree: Path, final: Path, settings: Settings, environ: Mapping[str, str], written: Mapping[str, Written]
) -> Verification:
    verification = verify_tree(tree, jobs=settings.jobs, shown_as=final, environ=environ, written=written)
    if not verification.passed:
        raise BuildFailed(final, verification)
    return verification


def _verified_again(same: Generation, settings: Settings, environ: Mapping[str, str]) -> Verification:
    verification = verify_tree(same.tree, jobs=settings.jobs, environ=environ)
    if not verification.passed:
        raise RollbackFailed(same.tree, verification)
    return verification


def _check_settings(settings: Settings) -> None:
    if settings.layout == "directory":
        raise UnsupportedError(
            "the layout directory is there to compare with, and is not installed",
            cure="use --layout fast or standard",
        )
    if settings.options.zips in ("pth", "start"):
        raise UnsupportedError(
            f"--zips {settings.options.zips} puts a file into the site folder, which all generations share",
            cure="use --zips sitecustomize",
        )


def _check_prefix(prefix: Path) -> None:
    if not prefix.parent.is_dir():
        raise FileError("there is no such folder", file=prefix.parent, cure="create it, or name another")
    real = Path(os.path.realpath(prefix))
    for folder in (real, *real.parents):
        if is_tree(folder):
            raise UsageError(
                f"this is inside the tree {folder}, which would then no longer be what was built",
                file=prefix,
                cure="name a prefix outside of it",
            )


@contextlib.contextmanager
def _making_prefix(prefix: Path) -> Iterator[None]:
    """Make *prefix* if it is missing, and take it away again if the block fails."""
    try:
        prefix.mkdir()
        prefix.chmod(0o755)
        made = True
    except FileExistsError:
        made = False
    except OSError as error:
        cure = "choose a prefix on a file system that can be written to"
        if error.errno != errno.EROFS:
            cure = "choose a folder that you may write to, and see that there is space"
        raise FileError(
            f"nothing can be made in this folder ({error.strerror})", file=prefix.parent, cure=cure
        ) from error
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # another run may have come to use it
                prefix.rmdir()
        raise


def _check_places(root: Root, layout: Layout, name: str) -> None:
    """Raise for what is in the way, all of it at once."""
    problems = []
    link = f"{BIN}/{name}"
    if root.exists(link) and not is_ours(root, name):
        problems.append(Problem("is there, and zipstrap did not install it", root.path / link))
    if root.exists(layout.archive):
        problems.append(
            Problem("is there: starts of virtual environments would take it", root.path / layout.archive)
        )
    for file, mark in FRONT_MARKS.items():
        path = f"{layout.library}/{file}"
        if root.exists(path) and not (root.read_file(path) or b"").startswith(mark):
            problems.append(
                Problem("is there: another installation has its library in this prefix", root.path / path)
            )
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="move it away, or choose another prefix",
        )


def is_ours(root: Root, name: str) -> bool:
    """Tell whether ``bin/NAME`` is a link of ours: to a generation, or to a name beside it that is one."""
    target = root.read_link(f"{BIN}/{name}")
    if target is None:
        return False
    if number_of_link(target, name) is not None:
        return True
    return "/" not in target and number_of_link(root.read_link(f"{BIN}/{target}"), target) is not None


def folders_of(layout: Layout) -> set[str]:
    """Return the folders of a prefix that generations of *layout* need, those above them among them."""
    found = {GENERATIONS, *shared_links(layout), *layout.site_folders, layout.dynload, _front_cache(layout)}
    return {place for path in found for place in (path, *above(path))}


def above(path: str) -> Iterator[str]:
    """Yield the folders above *path*, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _front_cache(layout: Layout) -> str:
    return f"{layout.library}/encodings/__pycache__"


def remove_own_folders(root: Root, folders: Collection[str]) -> None:
    """Remove the folders of the generations, if none is left; *folders* are those that we made."""
    root.remove_folder(KEPT)
    *own, library = (GENERATIONS, *above(GENERATIONS))
    if all(root.remove_folder(folder) for folder in own) and (library in folders or not folders):
        # without any record an earlier run was ended here: what is empty now was not empty before us
        root.remove_folder(library)


def _make_shared(root: Root, layout: Layout) -> None:
    """Make the folders that all generations share where there are none."""
    for path in (*shared_links(layout), *layout.site_folders):
        # one that the user has put elsewhere, with a link, is as good
        if not (root.path / path).is_dir():
            root.make_folders(path)
    for path in (layout.dynload, _front_cache(layout)):
        root.make_folders(path)


def _same(root: Root, state: State, name: str, work: str, notes: list[str]) -> Generation | None:
    """Return the generation, the current one if possible, that has the content of what is made in *work*."""
    manifest = (root.path / work / MANIFEST_NAME).read_bytes()
    current = state.current(name)
    others = [each for each in reversed(state.named(name)) if each is not current]
    for each in [*([current] if current else []), *others]:
        if (each.tree / MANIFEST_NAME).read_bytes() != manifest:
            continue
        wrong = differences(each, by_content=True)
        if not wrong:
            return each
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        notes.append(f"generation {each.number} was changed after it was installed: {wrong[0]}{more}")
    return None


def _rename_in(error: FileError, work: Path, final: Path) -> None:
    for problem in (error.problem, *error.others):
        if problem.file is not None and Path(problem.file).is_relative_to(work):
            problem.file = str(final / Path(problem.file).relative_to(work))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _put_front(root: Root, tree: Path, layout: Layout) -> None:
    """Copy the front of the generation *tree* into the prefix, where it differs."""
    front = tree / FRONT
    for path in sorted(path for path in front.rglob("*") if path.is_file()):
        place = f"{layout.library}/{path.relative_to(front).as_posix()}"
        data = path.read_bytes()
        if root.read_file(place) != data:
            root.write_file(place, data)


def _carry_headers(root: Root, before: Generation | None, number: int) -> None:
    """Copy the headers that packages have installed into the generation *before* to the generation *number*.

    Packages install them among Python's own, so they cannot be shared by a link as their modules are.
    """
    if before is None or before.number == number:
        return
    own = {record.path for record in before.manifest.files}
    for path in sorted((before.tree / "include").rglob("*")):
        relative = path.relative_to(before.tree).as_posix()
        place = f"{place_of(number)}/{relative}"
        if relative in own or (path.is_dir() and not path.is_symlink()) or root.exists(place):
            continue
        root.make_folders(place.rpartition("/")[0])
        if path.is_symlink():
            root.write_link(place, str(path.readlink()))
        else:
            root.write_file(place, path.read_bytes())


def swap(root: Root, name: str, number: int, before: int | None) -> None:
    """Let ``bin/NAME`` lead to the generation *number*: the one step that changes what starts.

    The generation *before* is marked with the time, up to which a start may have resolved the link to it.
    """
    if before == number:
        return
    if before is not None and root.exists(place_of(before)):
        root.touch(place_of(before))
    root.write_link(f"{BIN}/{name}", link_target(number, name))
    if before is not None and root.exists(place_of(before)):
        root.touch(place_of(before))


def _put_names(root: Root, plain: Layout, name: str) -> Iterator[str]:
    """Give the executable *name* its other names, unless somebody else has them; yield notes."""
    for path in plain.executable_links:
        other = path.rpartition("/")[2]
        target = root.read_link(f"{BIN}/{other}")
        if target == name or (target is not None and number_of_link(target, other) is not None):
            continue  # the same, or a version of its own, as 3.13 beside 3.13t
        if root.exists(f"{BIN}/{other}") and not is_ours(root, other):
            yield f"{root.path / BIN / other} is there, and zipstrap did not install it: it stays as it is"
        else:
            root.write_link(f"{BIN}/{other}", name)


def is_our_config(root: Root, name: str) -> bool:
    """Tell whether ``bin/NAME`` is a program that tells compilers about a Python, and ours."""
    return root.read_link(f"{BIN}/{name}") is None and _CONFIG_MARK in (
        root.read_file(f"{BIN}/{name}") or b""
    )


def _put_config(root: Root, tree: Path, layout: Layout, name: str) -> Iterator[str]:
    """Copy what tells compilers about the generation *tree* to the executable's side; yield notes.

    It asks the interpreter beside it, and so tells of the current generation, whichever that is.
    """
    source = tree / config_name(layout)
    if not source.is_file():
        return
    own = source.name
    data = source.read_bytes()
    if root.exists(f"{BIN}/{own}") and not is_our_config(root, own):
        yield f"{root.path / BIN / own} is there, and zipstrap did not install it: it stays as it is"
        return
    if root.read_file(f"{BIN}/{own}") != data:
        root.write_file(f"{BIN}/{own}", data, 0o755)
    for short in ("python3", "python"):
        if root.read_link(f"{BIN}/{short}") != name:
            continue
        other = config_name(layout, short)
        target = root.read_link(f"{BIN}/{other}")
        if target == own:
            continue
        if root.exists(f"{BIN}/{other}") and (target is None or not _is_config_of_ours(root, target)):
            yield f"{root.path / BIN / other} is there, and zipstrap did not install it: it stays as it is"
        else:
            root.write_link(f"{BIN}/{other}", own)


def _is_config_of_ours(root: Root, target: str) -> bool:
    return "/" not in target and (not root.exists(f"{BIN}/{target}") or is_our_config(root, target))


def rollback(
    prefix: Path,
    number: int | None = None,
    *,
    name: str | None = None,
    verify: bool = True,
    jobs: int = 1,
) -> Changed:
    """Make the generation *number* current: without one, the newest that is older than the current.

    *name* is that of the executable, where several are installed. Raises :class:`UsageError` when there is
    no such generation, :class:`FileError` when it is damaged, and :class:`BuildFailed` when it does not pass
    verify; the link stays as it is then.
    """
    with changing(prefix) as (root, cleared):
        state = read_state(root)
        chosen = _chosen(state, number, name)
        if root.exists(f"{BIN}/{chosen.name}") and not is_ours(root, chosen.name):
            raise _replaced(state, chosen.name)
        wrong = differences(chosen)
        if wrong:
            raise FileError(
                f"the generation was changed after it was installed: {wrong[0]}",
                file=chosen.tree,
                others=[Problem(each) for each in wrong[1:5]],
                cure="choose another one (zipstrap list), or install anew",
            )
        verification = None
        if verify:
            verification = verify_tree(chosen.tree, jobs=jobs)
            if not verification.passed:
                raise RollbackFailed(chosen.tree, verification)
        before = state.links.get(chosen.name)
        layout = chosen.manifest.layout
        _make_shared(root, layout)
        _carry_headers(root, state.current(chosen.name), chosen.number)
        _put_front(root, chosen.tree, layout)
        swap(root, chosen.name, chosen.number, before)
        notes = [f"removed what an earlier run had left: {path}" for path in cleared]
        notes += _put_config(root, chosen.tree, layout, chosen.name)
    what = "unchanged" if before == chosen.number else "reused"
    return Changed(prefix, chosen.name, chosen.number, before, what, verification, tuple(notes))


class RollbackFailed(BuildFailed):
    """The generation is not sound, so the link was left as it is."""

    def __init__(self, tree: Path, verification: Verification) -> None:
        FileError.__init__(
            self,
            "the generation did not pass verify, so the link was left as it is",
            file=tree,
            cure="see the checks that failed above; choose another generation, or install anew",
        )
        self.verification = verification


def _replaced(state: State, name: str) -> FileError:
    return FileError(
        f"{state.replaced.get(name, 'is no link')}, and zipstrap did not install that",
        file=state.prefix / BIN / name,
        cure="move it away, and run the command again",
    )


def _chosen(state: State, number: int | None, name: str | None) -> Generation:
    generations = state.generations if name is None else state.named(name)
    if number is not None:
        for each in generations:
            if each.number == number:
                return each
        reason = f": it {state.damaged[number]}" if number in state.damaged else ""
        raise UsageError(f"there is no generation {number}{reason}", cure=_there_are(generations))
    names = state.names() if name is None else (name,)
    if len(names) > 1:
        raise UsageError(
            f"several versions are installed: {', '.join(names)}",
            cure="say which one to roll back, with its number (zipstrap list) or with --python",
        )
    for only in names:
        current = state.links.get(only)
        older = [each for each in state.named(only) if current is None or each.number < current]
        if older:
            return older[-1]
    if not generations:
        raise UsageError(
            "nothing is installed here", file=state.prefix, cure="make a generation: zipstrap install"
        )
    raise UsageError(
        "there is no generation older than the current one", file=state.prefix, cure=_there_are(generations)
    )


def _there_are(generations: Sequence[Generation]) -> str:
    if not generations:
        return "install one: zipstrap install PYTHON --prefix PREFIX"
    return f"choose one of {', '.join(str(each.number) for each in generations)}"
