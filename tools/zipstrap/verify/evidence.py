"""Everything that the checks judge, gathered once: files, archive, bytecode, binaries, boots."""

from __future__ import annotations

import dataclasses
import functools
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import DEFLATED, Limits, read_archive
from zipstrap.compress import LibraryReader, logical_name
from zipstrap.contents import content_of
from zipstrap.destination import writing
from zipstrap.errors import FileError, InterpreterError
from zipstrap.hooks import ForeignHook, is_written, judge_hooks, list_hooks
from zipstrap.layout import Layout, archive_search
from zipstrap.linkage import ElfFile, Linkage, read_elf, resolve_linkage
from zipstrap.manifest import Manifest, Target
from zipstrap.source_hash import hashes_as_here, hashes_of_blob, source_hashes
from zipstrap.stage import Written, digest_of
from zipstrap.worker import run_worker

from .boots import Boot, BootModule, Mode, SeenExtension, TreePaths, agreed, gather_boots, read_extensions

__all__ = [
    "Evidence",
    "SeenArchive",
    "SeenBytecode",
    "SeenFile",
    "Writable",
    "changeable_by_others",
    "gather_evidence",
    "tree_paths",
    "who_else",
]

#: how deep below a tree other interpreters are looked for: a prefix in a folder of /opt, say
_DEPTH_BELOW = 4
_MANY_FOLDERS = 20_000

#: more than any file holds that fixes sys.path
_MANY_BYTES = 1 << 16

#: options that a ._pth file implies (Modules/getpath.py: isolated, use_environment, site_import)
_ISOLATING = frozenset({"-I", "-S", "-E"})


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file, folder or link of the tree as it was found.

    *kind* is ``file``, ``folder``, ``link`` or ``special`` (a pipe, a socket, a device). *sha256* is there
    only where the manifest has one and the size is right. *leads_to* is the kind of what a link leads to, or
    None where it leads nowhere.
    """

    kind: str
    mode: int
    size: int = 0
    link: str | None = None
    sha256: str | None = None
    leads_to: str | None = None


@dataclass(frozen=True, slots=True)
class SeenBytecode:
    """The head of a .pyc: where it is, its source, and what it says of both (PEP 552).

    *size* is that of the head, in bytes: less than 16 for a file that was cut off.
    """

    place: str
    source: str
    has_source: bool
    magic: str
    flags: int
    #: the source's hash that the bytecode states, and the one that the source has
    stated_hash: str
    source_hash: str | None
    size: int = 16


@dataclass(frozen=True, slots=True)
class Writable:
    """A file or folder that somebody else can change, and who: ``everybody``, a group, its owner."""

    path: str
    who: str


@dataclass(frozen=True, slots=True)
class SeenArchive:
    """The archive as the strict reader sees it."""

    names: frozenset[str]
    deflated: tuple[str, ...]
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a tree; the checks judge this and nothing else."""

    root: Path
    target: Target
    layout: Layout
    manifest: Manifest | None
    files: Mapping[str, SeenFile]
    archive: SeenArchive | None
    archive_problem: str | None
    bytecode: tuple[SeenBytecode, ...]
    #: sources in the archive or on disk that have no bytecode
    uncompiled: tuple[str, ...]
    hooks: tuple[ForeignHook, ...]
    #: archives that the interpreter finds before the tree's own
    nearer_archives: tuple[Path, ...]
    #: None when there were too many folders to look through
    interpreters_below: tuple[Path, ...] | None
    start_files: tuple[str, ...]
    #: None where binaries are not ELF
    linkage: Linkage | None
    #: binaries of the tree with run paths that lead out of it
    outside_run_paths: tuple[tuple[str, str], ...]
    #: in the tree, the tree itself among it
    writable: tuple[Writable, ...]
    #: folders above the tree
    ways_in: tuple[Writable, ...]
    boots: tuple[Boot, ...]
    modules: Mapping[str, tuple[BootModule, ...]]
    #: paths that the boots told of → what they really are, where links make that another path
    real_paths: Mapping[str, str]
    strict: bool
    #: why a kind of evidence could not be gathered
    missing: Mapping[str, str]
    #: names of the library's modules on top, where they are known and no manifest says them
    library: frozenset[str] | None = None
    #: what is wrong with the archive that the interpreter finds, where that is not the library's
    start_archive_problem: str | None = None
    #: files and members that are not as the manifest says, which was expected to be this one; else None
    changed: tuple[str, ...] | None = None
    #: the archive's extension modules as they were imported; None where they were not
    extensions: tuple[SeenExtension, ...] | None = None
    #: the manifest's SHA-256 that was expected, and the one that it has
    digests: tuple[str, str] | None = None
    #: of the files that the layout fixes sys.path by: what each says; None for one that is not there
    path_files: Mapping[str, bytes | None] = dataclasses.field(default_factory=dict)


def tree_paths(root: Path, layout: Layout) -> TreePaths:
    """Return the places of the tree *root*."""
    return TreePaths(
        root,
        root / layout.archive,
        root / layout.library,
        root / layout.dynload,
        root / layout.library_archive,
    )


def gather_evidence(
    root: Path,
    target: Target,
    layout: Layout,
    manifest: Manifest | None,
    *,
    modes: Sequence[Mode],
    jobs: int,
    strict: bool,
    kernel: bool,
    environ: Mapping[str, str] | None = None,
    named: Path | None = None,
    written: Mapping[str, Written] | None = None,
    limits: Limits | None = None,
    changed: tuple[str, ...] | None = None,
    digests: tuple[str, str] | None = None,
) -> Evidence:
    """Look at the tree *root*, a real path, and let its interpreter start in each of *modes*.

    *digests* are the manifest's, as expected and as found, and *changed* is what
    :func:`zipstrap.verify.integrity.check_integrity` found, if they were asked for.
    Without a *manifest* only what belongs to the interpreter is looked at: the prefix may be /usr. *named* is
    the path by which the tree is known, if links lead to it. *written* are files that this process hashed as
    it wrote them: those that nobody has touched since are not read again. *limits* are those of the archives'
    reader. Nothing in the tree is changed.
    Raises :class:`FileError` for what cannot be read.
    """
    hashes = _Hashes(written or {})
    limits = limits or Limits()
    missing: dict[str, str] = {}
    executable = root / layout.executable
    unreadable = writing(root, "run this as a user who can read all of the tree")
    with ThreadPoolExecutor(max_workers=1) as pool, unreadable:
        starting = pool.submit(
            gather_boots,
            executable,
            target.feature_version,
            tree_paths(root, layout),
            modes=modes,
            environ=environ,
            kernel=kernel,
            jobs=jobs,
            why_not=functools.partial(_no_mode_of_its_own, layout),
        )
        files, writable = _files(root, layout, manifest, hashes)
        ways_in = _ways_in(root, named)
        archive, problem, entries, uncompiled = _archive(
            root, layout, files, manifest, executable if modes else None, hashes, target, missing, limits
        )
        linkage, outside = _binaries(root, layout, files, archive, target, missing, limits)
        hooks = _hooks(root, layout, manifest)
        nearer = _nearer_archives(root, target, layout, files)
        below = _interpreters_below(root, target, layout, missing)
        boots = starting.result()
        extensions = _extensions(root, layout, manifest, archive, missing) if modes else None
    modules = {boot.mode.name: agreed(boot) for boot in boots if boot.status == "ran"}
    return Evidence(
        root=root,
        target=target,
        layout=layout,
        manifest=manifest,
        files=files,
        archive=archive,
        archive_problem=problem,
        bytecode=entries,
        uncompiled=uncompiled,
        hooks=hooks,
        nearer_archives=nearer,
        interpreters_below=below,
        start_files=_start_files(target, layout, files),
        linkage=linkage,
        outside_run_paths=outside,
        writable=writable,
        ways_in=ways_in,
        boots=boots,
        modules=modules,
        real_paths=_real_paths(boots, modules),
        strict=strict,
        missing=missing,
        changed=changed,
        extensions=extensions,
        digests=digests,
        start_archive_problem=_start_archive_problem(root, layout, target, limits),
        path_files={path: _path_file(root / path) for path in layout.path_files},
    )


def _no_mode_of_its_own(layout: Layout, mode: Mode) -> str:
    """Return why *mode* is another one's start again; nothing for what differs."""
    if layout.path_files and _ISOLATING.issuperset(mode.arguments) and mode.arguments:
        return "every start is isolated: the ._pth file leaves nothing for these options to change"
    return ""


def _path_file(path: Path) -> bytes | None:
    """Return the beginning of the file *path*, long enough to tell it from every other."""
    try:
        if not path.is_file():
            return None
        with path.open("rb", buffering=0) as stream:
            return stream.read(_MANY_BYTES)
    except OSError:
        return None


# ---- files -----------------------------------------------------------------------------------------------


class _Hashes:
    """SHA-256 of files; *written* ones that are the same inode, with no change since, are known."""

    def __init__(self, written: Mapping[str, Written]) -> None:
        self._written = written

    def of(self, path: str, whole: str, status: os.stat_result) -> str:
        known = self._written.get(path)
        # every write, and every change of mode, owner or links, sets the ctime
        if known is not None and (known.inode, known.ctime_ns) == (status.st_ino, status.st_ctime_ns):
            return known.sha256
        return digest_of(Path(whole))[1]


def _files(
    root: Path, layout: Layout, manifest: Manifest | None, hashes: _Hashes
) -> tuple[dict[str, SeenFile], tuple[Writable, ...]]:
    """Return what is in the tree, and what of it others can change.

    Of the site folders only what the manifest has counts: the rest is their users' own.
    """
    known = (
        {} if manifest is None else {record.path: record.size for record in manifest.files if record.sha256}
    )
    owners = _owners(root)
    found: dict[str, SeenFile] = {}
    own = tuple(f"{folder}/" for folder in layout.site_folders)
    writable = [] if (who := who_else(root.stat(), owners)) is None else [Writable(str(root), who)]
    for path, entry in _entries(root, layout, manifest):
        status = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            leads_to = "folder" if entry.is_dir() else "file" if entry.is_file() else None
            seen = SeenFile("link", mode, link=str(Path(entry.path).readlink()), leads_to=leads_to)
        elif stat.S_ISDIR(status.st_mode):
            seen = SeenFile("folder", mode)
        elif stat.S_ISREG(status.st_mode):
            # a file of another size has changed; there is no need to hash it
            sha256 = hashes.of(path, entry.path, status) if known.get(path) == status.st_size else None
            seen = SeenFile("file", mode, status.st_size, sha256=sha256)
        else:
            seen = SeenFile("special", mode)
        if seen.kind != "link" and (who := who_else(status, owners)) is not None:
            writable.append(Writable(path, who))
        if path in known or not path.startswith(own):
            found[path] = seen
    return found, tuple(writable)


def changeable_by_others(
    root: Path, layout: Layout, manifest: Manifest | None, named: Path | None = None
) -> tuple[tuple[Writable, ...], tuple[Writable, ...]]:
    """Return the folders above the tree, and what is in the tree *root*, that others can change."""
    owners = _owners(root)
    found = [] if (who := who_else(root.stat(), owners)) is None else [Writable(str(root), who)]
    for path, entry in _entries(root, layout, manifest):
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode) and (who := who_else(status, owners)) is not None:
            found.append(Writable(path, who))
    return _ways_in(root, named), tuple(found)


def _entries(root: Path, layout: Layout, manifest: Manifest | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
    if manifest is not None:
        yield from _walk(root, "", layout)
        return
    # the prefix may be /usr: only the interpreter's own files, not what else lies beside them
    folder = layout.executable.rpartition("/")[0]
    own = {layout.executable, *layout.executable_links, layout.archive, layout.library_archive, "pyvenv.cfg"}
    for place in dict.fromkeys(("", folder, layout.archive.rpartition("/")[0], layout.shared_libraries)):
        prefix = f"{place}/" if place else ""
        for entry in _listed(root / place):
            steers = place == folder and entry.name.endswith(("._pth", "pyvenv.cfg", "pybuilddir.txt"))
            if steers or prefix + entry.name in own or (place and entry.name.startswith("libpython")):
                yield prefix + entry.name, entry
    if (root / layout.library).is_dir():
        yield from _walk(root / layout.library, f"{layout.library}/", layout)


def _walk(folder: Path, prefix: str, layout: Layout) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for entry in _listed(folder):
        path = prefix + entry.name
        yield path, entry
        # of a site folder only its own level, where the start-up files are, and the zips that our hook adds
        place = path.rpartition("/")[0]
        inside = any(f"{place}/".startswith(f"{folder}/") for folder in layout.site_folders)
        zips = place in layout.site_folders and entry.name == "zips"
        if entry.is_dir(follow_symlinks=False) and (not inside or zips):
            yield from _walk(Path(entry.path), f"{path}/", layout)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as children:
            return sorted(children, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _owners(root: Path) -> frozenset[int]:
    """Return who may own what is in the tree: the system, the tree's owner, and who verifies it."""
    return frozenset({0, root.stat().st_uid, os.geteuid()})


def _ways_in(root: Path, named: Path | None) -> tuple[Writable, ...]:
    """Return the folders above the tree in which others can put another tree in its place.

    In a folder with the sticky bit only owners rename and delete, so /tmp is no way in.
    """
    owners = _owners(root)
    found = []
    for folder in dict.fromkeys((*root.parents, *(() if named is None else named.parents))):
        status = folder.stat()
        sticky = bool(status.st_mode & stat.S_ISVTX)
        if (who := who_else(status, owners, sticky=sticky)) is not None:
            found.append(Writable(str(folder), who))
    return tuple(found)


def who_else(status: os.stat_result, owners: frozenset[int], *, sticky: bool = False) -> str | None:
    """Return who besides *owners* can change a file or folder; None when nobody can.

    With *sticky* only its owner counts. A group of one, which has its owner's name, is nobody else: many
    systems give every user one, and let it write (umask 002).
    """
    if status.st_uid not in owners:
        return f"its owner, {_user(status.st_uid)}"
    if status.st_mode & stat.S_IWOTH and not sticky:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and not sticky and not _is_private(status.st_gid, status.st_uid):
        return f"the group {_group(status.st_gid)}"
    return None


@functools.cache
def _user(uid: int) -> str:
    import pwd  # POSIX only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.cache
def _group(gid: int) -> str:
    import grp  # POSIX only

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@functools.cache
def _is_private(gid: int, uid: int) -> bool:
    import grp  # POSIX only

    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == _user(uid) and set(group.gr_mem) <= {group.gr_name}


def _hooks(root: Path, layout: Layout, manifest: Manifest | None) -> tuple[ForeignHook, ...]:
    """Return the start-up files that neither the build nor ``zipstrap hooks`` put there.

    What the build did, the manifest knows.
    """
    ours = set() if manifest is None else {f"{root}/{record.path}" for record in manifest.files}
    places = (layout.library, *layout.site_folders)
    found = list_hooks([folder for name in places if (folder := root / name).is_dir()])
    others = {
        path: data
        for path, data in found.items()
        if str(path) not in ours and not (data is not None and is_written(path.name, data))
    }
    return judge_hooks(others, {})


def _nearer_archives(
    root: Path, target: Target, layout: Layout, files: Mapping[str, SeenFile]
) -> tuple[Path, ...]:
    if layout.path_files:
        return ()  # nothing is searched: the file says where the archive is
    starts = [(root / layout.interpreter).parent]
    libpython = f"{layout.shared_libraries}/libpython"
    if target.feature_version >= (3, 14) and any(path.startswith(libpython) for path in files):
        starts.insert(0, root / layout.shared_libraries)
    own = root / layout.archive
    found = []
    for path in archive_search(target.feature_version, layout.archive, starts):
        if path == own and own.exists():
            break
        if path != own and path.is_file():
            found.append(Path(path))
    return tuple(found)


def _interpreters_below(
    root: Path, target: Target, layout: Layout, missing: dict[str, str]
) -> tuple[Path, ...] | None:
    """Find unpacked interpreters of this version in prefixes below *root*."""
    if target.feature_version < (3, 11):
        missing["interpreters_below"] = "before 3.11 an archive is no landmark and takes nothing over"
        return None
    if not (root / layout.archive).exists():
        missing["interpreters_below"] = "there is no archive that could take an interpreter over"
        return None
    found: list[Path] = []
    waiting = [(root, 0)]
    looked_at = 0
    own = {root / place for place in (layout.library, *layout.site_folders)}
    while waiting:
        folder, depth = waiting.pop()
        looked_at += 1
        if looked_at > _MANY_FOLDERS:
            missing["interpreters_below"] = f"there are more than {_MANY_FOLDERS} folders below the tree"
            return None
        if folder != root and os.path.exists(folder / layout.library / "os.py"):  # noqa: PTH110 - never raises
            if not os.path.exists(folder / layout.archive):  # noqa: PTH110
                found.append(folder)
            continue
        if depth < _DEPTH_BELOW and folder not in own:
            try:
                with os.scandir(folder) as children:
                    waiting += (
                        (Path(child.path), depth + 1)
                        for child in children
                        if child.is_dir(follow_symlinks=False)
                    )
            except OSError:
                continue  # nothing can be said of a folder that cannot be listed
    return tuple(sorted(found))


def _start_files(target: Target, layout: Layout, files: Mapping[str, SeenFile]) -> tuple[str, ...]:
    folders = {path.rpartition("/")[0] for path in (layout.executable, layout.interpreter)}
    names = {f"{folder}/{name}" for folder in folders for name in ("pyvenv.cfg", "pybuilddir.txt")}
    names.add("pyvenv.cfg")
    # before 3.11 a ._pth file is read on Windows only
    beside = tuple(f"{folder}/" for folder in folders)
    places = (*beside, f"{layout.shared_libraries}/lib") if target.feature_version >= (3, 11) else ()
    return tuple(
        path
        for path in files
        if path not in layout.path_files
        and (path in names or (places and path.startswith(places) and path.endswith("._pth")))
    )


def _real_paths(boots: Sequence[Boot], modules: Mapping[str, tuple[BootModule, ...]]) -> dict[str, str]:
    told = {module.path for each in modules.values() for module in each if module.path}
    for boot in boots:
        if boot.facts is not None:
            told |= {boot.facts.base_prefix, boot.facts.base_exec_prefix, *boot.facts.sys_path}
            told |= set(boot.facts.libraries or ())
    real = {path: os.path.realpath(path) for path in told if path}
    return {path: place for path, place in real.items() if path != place}


# ---- archive and bytecode --------------------------------------------------------------------------------


def _archive(
    root: Path,
    layout: Layout,
    files: Mapping[str, SeenFile],
    manifest: Manifest | None,
    executable: Path | None,
    hashes: _Hashes,
    target: Target,
    missing: dict[str, str],
    limits: Limits,
) -> tuple[SeenArchive | None, str | None, tuple[SeenBytecode, ...], tuple[str, ...]]:
    path = root / layout.library_archive
    if not path.is_file():
        return None, None, (), ()
    landmarks = {landmark.path for landmark in layout.landmarks}
    recorded = {} if manifest is None else {record.path: record for record in manifest.files}
    inside = f"{layout.library_archive}/"
    heads: list[tuple[str, str, bytes]] = []
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder:
        sources = _Sources(Path(folder, "sources"), target)
        with sources:
            try:
                with read_archive(path, version=target.feature_version, limits=limits) as archive:
                    library = LibraryReader(archive)
                    names = frozenset(library.names)
                    # reading takes each member's CRC, which zipimport does not look at
                    for name in library.names:
                        data = library.read(name)
                        if name.endswith(".pyc"):
                            on_disk = f"{layout.library}/{name[:-1]}"
                            record = recorded.get(on_disk)
                            # --source disk; a module on disk has its own bytecode
                            if (
                                record is not None
                                and record.kind == "data"
                                and on_disk in files
                                and name[:-1] not in names
                            ):
                                heads.append((inside + name, on_disk, data[:16]))
                                sources.add(on_disk, content_of(f"{root}/{on_disk}"))
                            else:
                                heads.append((inside + name, inside + name[:-1], data[:16]))
                        elif name.endswith(".py") and f"{name}c" in names:
                            sources.add(inside + name, data)
                    deflated = tuple(member.name for member in archive.members if member.method == DEFLATED)
            except FileError as error:
                return None, error.problem.text, (), ()
            # without a manifest the library on disk is somebody else's, and keeps its time stamps
            for place, source, head in () if manifest is None else _disk_heads(root, layout, files):
                heads.append((place, source, head))
                if source not in sources and (root / source).is_file():
                    sources.add(source, content_of(f"{root}/{source}"))
        status = path.stat()
        size, sha256 = status.st_size, hashes.of(layout.library_archive, str(path), status)
        source_hashes = sources.hashes or sources.hashed_by(executable, missing)
    entries = tuple(
        SeenBytecode(
            place=place,
            source=source,
            has_source=source in sources,
            magic=head[:4].hex(),
            flags=int.from_bytes(head[4:8], "little"),
            stated_hash=head[8:16].hex(),
            source_hash=source_hashes.get(source),
            size=len(head),
        )
        for place, source, head in sorted(heads)
    )
    compiled = {entry.source for entry in entries}
    uncompiled = [
        inside + name
        for name in sorted(names)
        if _is_importable(name) and inside + name not in compiled and not _is_test_data(name, manifest)
    ]
    uncompiled += [
        name
        for name, seen in files.items()
        if _is_library_source(name, layout)
        and seen.kind == "file"
        and name not in compiled
        and name not in landmarks
        # what was added is told of as that; the tests hold sources that do not compile
        and name in recorded
        and recorded[name].component != "test"
    ]
    return SeenArchive(names, deflated, size, sha256), None, entries, tuple(uncompiled)


def _start_archive_problem(root: Path, layout: Layout, target: Target, limits: Limits) -> str | None:
    path = root / layout.archive
    if layout.archive == layout.library_archive or not path.is_file():
        return None
    try:
        with read_archive(path, version=target.feature_version, limits=limits) as archive:
            for name in archive.names:
                archive.read(name)
    except FileError as error:
        return error.problem.text
    return None


class _Sources:
    """Sources, hashed as the compiler of *target* would (``importlib.util.source_hash``).

    From 3.11 on that is SipHash-1-3 by the magic number, in the host as in the target. Before, it was another
    hash: then the sources go into one file, and the tree's interpreter hashes them.
    """

    def __init__(self, path: Path, target: Target) -> None:
        self._path = path
        self._sizes: dict[str, int] = {}
        self._target = target
        self._as_here = hashes_as_here(target.feature_version)
        self.hashes: dict[str, str] = {}

    def __enter__(self) -> None:
        self._stream = self._path.open("wb")

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def add(self, name: str, data: bytes) -> None:
        self._sizes[name] = len(data)
        if self._as_here:
            (digest,) = source_hashes(Path(), self._target.feature_version, self._target.magic, [data])
            self.hashes[name] = digest.hex()
        else:
            self._stream.write(data)

    def hashed_by(self, executable: Path | None, missing: dict[str, str]) -> dict[str, str]:
        """Return source → hash in hexadecimal; nothing, and why in *missing*, if the interpreter fails.

        Without *executable* nothing may be started.
        """
        if executable is None:
            missing["source_hashes"] = "the sources are hashed by the interpreter, and nothing was started"
            return {}
        try:
            hashes = hashes_of_blob(executable, self._path, self._sizes.values())
            return {name: digest.hex() for name, digest in zip(self._sizes, hashes, strict=True)}
        except InterpreterError as error:
            missing["source_hashes"] = f"the sources could not be hashed: {error.problem.text}"
        except (LookupError, TypeError, ValueError):
            missing["source_hashes"] = "the sources could not be hashed: the interpreter gave no sound answer"
        return {}


def _disk_heads(
    root: Path, layout: Layout, files: Mapping[str, SeenFile]
) -> Iterator[tuple[str, str, bytes]]:
    for name, seen in files.items():
        folder, _, file = name.rpartition("/")
        if seen.kind == "file" and file.endswith(".pyc") and name.startswith(f"{layout.library}/"):
            parent, _, cache = folder.rpartition("/")
            stem = file.split(".")[0] if cache == "__pycache__" else file.removesuffix(".pyc")
            with (root / name).open("rb", buffering=0) as stream:
                yield name, f"{parent if cache == '__pycache__' else folder}/{stem}.py", stream.read(16)


def _is_library_source(path: str, layout: Layout) -> bool:
    folder = f"{layout.library}/"
    return path.startswith(folder) and _is_importable(path.removeprefix(folder))


def _is_importable(name: str) -> bool:
    """Tell whether an import statement can name the source *name* (3.8 has a ``__phello__.foo.py``)."""
    stem, dot, suffix = name.rpartition(".")
    return dot + suffix == ".py" and all(part.isidentifier() for part in stem.split("/"))


def _is_test_data(name: str, manifest: Manifest | None) -> bool:
    """Tell whether the build kept the source *name* as data: the tests hold some that do not compile."""
    return manifest is not None and not any(
        logical_name(member.name) == f"{name}c" for member in manifest.members
    )


# ---- extension modules in the archive --------------------------------------------------------------------


def _extension_members(layout: Layout, archive: SeenArchive | None) -> tuple[str, ...]:
    """Return the extension modules among the archive's members: what lies where the layout has them."""
    folder = f"{layout.dynload.rpartition('/')[2]}/"
    names = () if archive is None else archive.names
    return tuple(sorted(name for name in names if name.startswith(folder) and not name.endswith("/")))


def _extensions(
    root: Path,
    layout: Layout,
    manifest: Manifest | None,
    archive: SeenArchive | None,
    missing: dict[str, str],
) -> tuple[SeenExtension, ...] | None:
    if manifest is None or manifest.extensions != "archive":
        return None
    members = _extension_members(layout, archive)
    names = [member.rpartition("/")[2].partition(".")[0] for member in members]
    try:
        answer = run_worker(root / layout.executable, "extension_probe", {"modules": names})
        return read_extensions(answer, tree_paths(root, layout))
    except InterpreterError as error:
        missing["extensions"] = f"the extension modules could not be imported: {error.problem.text}"
    except (LookupError, TypeError, AttributeError):
        missing["extensions"] = "the extension modules could not be imported: the answer is not sound"
    return None


# ---- binaries --------------------------------------------------------------------------------------------


def _binaries(
    root: Path,
    layout: Layout,
    files: Mapping[str, SeenFile],
    archive: SeenArchive | None,
    target: Target,
    missing: dict[str, str],
    limits: Limits,
) -> tuple[Linkage | None, tuple[tuple[str, str], ...]]:
    if target.platform != "linux":
        missing["linkage"] = "shared libraries are looked at on Linux only"
        return None, ()
    executable = root / layout.interpreter
    try:
        packed = _packed_elves(root, layout, archive, target, limits)
        read = functools.cache(lambda path: packed.get(path) or _elf(path))
        modules = [
            *packed,
            *(
                root / path
                for path, seen in files.items()
                if seen.kind == "file"
                and path.startswith(f"{layout.dynload}/")
                and path.endswith(target.extension_suffixes)
            ),
        ]
        linkage = resolve_linkage(executable.resolve(), modules, read=read)
    except (FileError, OSError) as error:
        problem = error.problem.text if isinstance(error, FileError) else str(error)
        missing["linkage"] = f"the binaries cannot be read: {problem}"
        return None, ()
    if linkage.private_loader is not None:
        return linkage, ()
    libraries = [
        root / path
        for path, seen in files.items()
        if seen.kind == "file" and path.startswith(f"{layout.shared_libraries}/lib") and ".so" in path
    ]
    outside = []
    for path in (executable, *modules, *libraries):
        elf = read(path)
        if elf is None:
            continue
        for element in (*elf.rpath, *elf.runpath):
            expanded = Path(
                os.path.normpath(
                    element.replace("$ORIGIN", str(path.parent)).replace("${ORIGIN}", str(path.parent))
                )
            )
            if element and not expanded.is_relative_to(root):
                outside.append((path.relative_to(root).as_posix(), element))
    return linkage, tuple(outside)


def _elf(path: Path) -> ElfFile | None:
    return read_elf(path) if path.is_file() else None


def _packed_elves(
    root: Path, layout: Layout, archive: SeenArchive | None, target: Target, limits: Limits
) -> dict[Path, ElfFile]:
    """Return the extension modules in the archive, by where they would lie in the tree."""
    members = _extension_members(layout, archive)
    found: dict[Path, ElfFile] = {}
    if members:
        path = root / layout.library_archive
        with (
            read_archive(path, version=target.feature_version, limits=limits) as opened,
            tempfile.NamedTemporaryFile(prefix="zipstrap-", buffering=0) as file,
        ):
            for member in members:
                file.seek(0)
                file.truncate()
                file.write(opened.read(member))
                elf = read_elf(Path(file.name))
                if elf is not None:
                    place = root / layout.library / member
                    found[place] = dataclasses.replace(elf, path=place)
    return found
