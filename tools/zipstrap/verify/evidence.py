"""Everything that the checks judge, gathered once: files, archive, bytecode, binaries, boots."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import Archive, read_archive
from zipstrap.destination import writing
from zipstrap.errors import FileError, InterpreterError
from zipstrap.hooks import ForeignHook, judge_hooks, list_hooks
from zipstrap.layout import Layout, archive_search
from zipstrap.linkage import Linkage, read_elf, resolve_linkage
from zipstrap.manifest import Manifest, Target
from zipstrap.stage import digest_of
from zipstrap.worker import run_worker

from .boots import Boot, BootModule, Mode, TreePaths, agreed, gather_boots

__all__ = ["Evidence", "SeenArchive", "SeenBytecode", "SeenFile", "gather_evidence", "tree_paths"]

#: how deep below a tree other interpreters are looked for: a prefix in a folder of /opt, say
_DEPTH_BELOW = 4
_MANY_FOLDERS = 20_000


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file, folder or link of the tree as it was found; *sha256* only where the manifest has one."""

    kind: str
    mode: int
    size: int = 0
    link: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class SeenBytecode:
    """The head of a .pyc: where it is, its source, and what it says of both (PEP 552)."""

    place: str
    source: str
    has_source: bool
    magic: str
    flags: int
    #: the source's hash that the bytecode states, and the one that the source has
    stated_hash: str
    source_hash: str | None


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
    writable: tuple[str, ...]
    boots: tuple[Boot, ...]
    modules: Mapping[str, tuple[BootModule, ...]]
    strict: bool
    #: why a kind of evidence could not be gathered
    missing: Mapping[str, str]


def tree_paths(root: Path, layout: Layout) -> TreePaths:
    """Return the places of the tree *root*."""
    return TreePaths(root, root / layout.archive, root / layout.library, root / layout.dynload)


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
) -> Evidence:
    """Look at the tree and let its interpreter start in every mode. Nothing in the tree is changed."""
    missing: dict[str, str] = {}
    executable = root / layout.executable
    with ThreadPoolExecutor(max_workers=1) as pool:
        starting = pool.submit(
            gather_boots,
            executable,
            target.feature_version,
            tree_paths(root, layout),
            modes=modes,
            environ=environ,
            kernel=kernel,
            jobs=jobs,
        )
        with writing(root, "make the tree readable for the user who verifies it"):
            files = _files(root, layout, manifest)
        archive, problem, entries, uncompiled = _archive(root, layout, files, manifest, executable, missing)
        linkage, outside = _binaries(root, layout, files, target, missing)
        boots = starting.result()
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
        hooks=_hooks(root, layout, files, manifest),
        nearer_archives=_nearer_archives(root, target, layout),
        interpreters_below=_interpreters_below(root, target, layout, missing),
        start_files=_start_files(layout, files),
        linkage=linkage,
        outside_run_paths=outside,
        writable=_writable(root, files),
        boots=boots,
        modules={boot.mode.name: agreed(boot) for boot in boots if boot.status == "ran"},
        strict=strict,
        missing=missing,
    )


# ---- files -----------------------------------------------------------------------------------------------


def _files(root: Path, layout: Layout, manifest: Manifest | None) -> dict[str, SeenFile]:
    """Return what is in the tree, the contents of the site folder apart: that is its users' own."""
    known = (
        {} if manifest is None else {record.path: record.size for record in manifest.files if record.sha256}
    )
    if manifest is not None:
        known[layout.archive] = manifest.archive_size
    found: dict[str, SeenFile] = {}
    for path, entry in _walk(root, "", layout):
        status = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if entry.is_symlink():
            found[path] = SeenFile("link", mode, link=str(Path(entry.path).readlink()))
        elif entry.is_dir(follow_symlinks=False):
            found[path] = SeenFile("folder", mode)
        elif entry.is_file(follow_symlinks=False):
            # a file of another size has changed; there is no need to hash it
            sha256 = digest_of(Path(entry.path))[1] if known.get(path) == status.st_size else None
            found[path] = SeenFile("file", mode, status.st_size, sha256=sha256)
        else:
            found[path] = SeenFile("special", mode)
    return found


def _walk(folder: Path, prefix: str, layout: Layout) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as children:
        entries = sorted(children, key=lambda entry: entry.name)
    for entry in entries:
        path = prefix + entry.name
        yield path, entry
        if entry.is_dir(follow_symlinks=False) and path != layout.site:
            yield from _walk(Path(entry.path), f"{path}/", layout)


def _writable(root: Path, files: Mapping[str, SeenFile]) -> tuple[str, ...]:
    """Return what group or others can change: in the tree, the tree, and the folders above it.

    In a folder with the sticky bit only owners rename and delete, so /tmp is no way in.
    """
    found = [path for path, seen in files.items() if seen.kind != "link" and seen.mode & 0o022]
    for folder in (root, *root.parents):
        mode = folder.stat().st_mode
        if mode & 0o022 and (folder == root or not mode & stat.S_ISVTX):
            found.append(str(folder))
    return tuple(found)


def _hooks(
    root: Path, layout: Layout, files: Mapping[str, SeenFile], manifest: Manifest | None
) -> tuple[ForeignHook, ...]:
    """Return start-up files that the build did not put there; the manifest knows those it did."""
    folders = [folder for name in (layout.library, layout.site) if (folder := root / name).is_dir()]
    ours: set[Path] = set()
    if manifest is not None:
        ours = {
            root / record.path
            for record in manifest.files
            if (seen := files.get(record.path)) is None
            or seen.sha256 == record.sha256
            or record.path.startswith(f"{layout.site}/")
        }
    found = list_hooks(folders)
    hashes = {} if manifest is None else {root / record.path: record.sha256 for record in manifest.files}
    foreign = {
        path: data
        for path, data in found.items()
        if path not in ours or (path.parent == root / layout.site and _sha256(data) != hashes.get(path))
    }
    return judge_hooks(foreign, {})


def _sha256(data: bytes | None) -> str | None:
    import hashlib

    return None if data is None else hashlib.sha256(data).hexdigest()


def _nearer_archives(root: Path, target: Target, layout: Layout) -> tuple[Path, ...]:
    starts = [root / layout.shared_libraries] if target.feature_version >= (3, 14) else []
    starts.append((root / layout.executable).parent)
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
    found: list[Path] = []
    waiting = [(root, 0)]
    looked_at = 0
    while waiting:
        folder, depth = waiting.pop()
        looked_at += 1
        if looked_at > _MANY_FOLDERS:
            missing["interpreters_below"] = f"there are more than {_MANY_FOLDERS} folders below the tree"
            return None
        if folder != root and (folder / layout.library / "os.py").exists():
            if not (folder / layout.archive).exists():
                found.append(folder)
            continue
        if depth < _DEPTH_BELOW and folder not in (root / layout.library, root / layout.site):
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


def _start_files(layout: Layout, files: Mapping[str, SeenFile]) -> tuple[str, ...]:
    folder = layout.executable.rpartition("/")[0]
    names = {"pyvenv.cfg", f"{folder}/pyvenv.cfg", f"{folder}/pybuilddir.txt"}
    return tuple(
        path
        for path in files
        if path in names
        or (path.startswith((f"{folder}/", f"{layout.shared_libraries}/lib")) and path.endswith("._pth"))
    )


# ---- archive and bytecode --------------------------------------------------------------------------------


def _archive(
    root: Path,
    layout: Layout,
    files: Mapping[str, SeenFile],
    manifest: Manifest | None,
    executable: Path,
    missing: dict[str, str],
) -> tuple[SeenArchive | None, str | None, tuple[SeenBytecode, ...], tuple[str, ...]]:
    path = root / layout.archive
    if not path.is_file():
        return None, None, (), ()
    landmarks = {landmark.path for landmark in layout.landmarks}
    kept_as_data = (
        set() if manifest is None else {item.path for item in manifest.files if item.component == "test"}
    )
    try:
        with read_archive(path) as archive:
            names = frozenset(archive.names)
            heads = [*_archive_heads(archive, names)]
            for name in archive.names:
                archive.read(name)  # the CRC of everything, which zipimport does not look at
            deflated = tuple(member.name for member in archive.members if member.method)
            size, sha256 = digest_of(path)
            pairs = [*heads, *_disk_heads(root, layout, files)]
            sources = [(source, _source_of(archive, root, place, source)) for place, source, *_ in pairs]
    except FileError as error:
        return None, str(error.problem), (), ()
    hashes = _source_hashes(executable, [data for _, data in sources if data is not None], missing)
    entries = []
    for (place, source, head), (_, data) in zip(pairs, sources, strict=True):
        entries.append(
            SeenBytecode(
                place=place,
                source=source,
                has_source=data is not None,
                magic=head[:4].hex(),
                flags=int.from_bytes(head[4:8], "little"),
                stated_hash=head[8:16].hex(),
                source_hash=next(hashes, None) if data is not None else None,
            )
        )
    compiled = {entry.source for entry in entries}
    uncompiled = [
        f"{layout.archive}/{name}"
        for name in sorted(names)
        if name.endswith(".py")
        and f"{layout.archive}/{name}" not in compiled
        and not _is_test_data(name, manifest)
    ]
    uncompiled += [
        name
        for name, seen in files.items()
        if _is_library_source(name, layout)
        and seen.kind == "file"
        and name not in compiled | landmarks | kept_as_data
    ]
    return SeenArchive(names, deflated, size, sha256), None, tuple(entries), tuple(uncompiled)


def _archive_heads(archive: Archive, names: frozenset[str]) -> Iterator[tuple[str, str, bytes]]:
    prefix = archive.path.parent.name + "/" + archive.path.name
    for name in sorted(names):
        if name.endswith(".pyc"):
            yield f"{prefix}/{name}", f"{prefix}/{name[:-1]}", archive.read(name)[:16]


def _disk_heads(
    root: Path, layout: Layout, files: Mapping[str, SeenFile]
) -> Iterator[tuple[str, str, bytes]]:
    for name, seen in files.items():
        folder, _, file = name.rpartition("/")
        if seen.kind == "file" and file.endswith(".pyc") and name.startswith(f"{layout.library}/"):
            parent, _, cache = folder.rpartition("/")
            stem = file.split(".")[0] if cache == "__pycache__" else file.removesuffix(".pyc")
            with (root / name).open("rb") as stream:
                yield name, f"{parent if cache == '__pycache__' else folder}/{stem}.py", stream.read(16)


def _source_of(archive: Archive, root: Path, place: str, source: str) -> bytes | None:
    prefix = archive.path.parent.name + "/" + archive.path.name + "/"
    if place.startswith(prefix):
        name = source.removeprefix(prefix)
        return archive.read(name) if name in archive.names else None
    path = root / source
    return path.read_bytes() if path.is_file() else None


def _source_hashes(executable: Path, sources: Iterable[bytes], missing: dict[str, str]) -> Iterator[str]:
    """Let the tree's interpreter hash the sources, as its own compiler would."""
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder:
        blob = Path(folder, "blob")
        sizes = []
        with blob.open("wb") as stream:
            for data in sources:
                sizes.append(len(data))
                stream.write(data)
        try:
            answer = run_worker(executable, "source_hasher", {"blob": str(blob), "sizes": sizes})
        except InterpreterError as error:
            missing["source_hashes"] = f"the sources could not be hashed: {error.problem.text}"
            return iter(())
    return iter(answer["hashes"])


def _is_library_source(path: str, layout: Layout) -> bool:
    parts = path.removeprefix(f"{layout.library}/").split("/")
    return (
        path.startswith(f"{layout.library}/")
        and path.endswith(".py")
        and all(part.isidentifier() for part in parts[:-1])
    )


def _is_test_data(name: str, manifest: Manifest | None) -> bool:
    """Tell whether the build kept the source *name* as data: the tests hold some that do not compile."""
    return manifest is not None and not any(member.name == f"{name}c" for member in manifest.members)


# ---- binaries --------------------------------------------------------------------------------------------


def _binaries(
    root: Path, layout: Layout, files: Mapping[str, SeenFile], target: Target, missing: dict[str, str]
) -> tuple[Linkage | None, tuple[tuple[str, str], ...]]:
    if target.platform != "linux":
        missing["linkage"] = "shared libraries are looked at on Linux only"
        return None, ()
    executable = root / layout.executable
    try:
        modules = [
            root / path
            for path, seen in files.items()
            if seen.kind == "file"
            and path.startswith(f"{layout.dynload}/")
            and path.endswith(target.extension_suffixes)
        ]
        linkage = resolve_linkage(executable, modules)
    except (FileError, OSError) as error:
        problem = error.problem.text if isinstance(error, FileError) else str(error)
        missing["linkage"] = f"the binaries cannot be read: {problem}"
        return None, ()
    if linkage.private_loader is not None:
        return linkage, ()
    libraries = [
        root / path for path in files if path.startswith(f"{layout.shared_libraries}/lib") and ".so" in path
    ]
    outside = []
    for path in (executable, *modules, *libraries):
        elf = read_elf(path)
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
