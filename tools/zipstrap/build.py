"""The verbs build and pack: from an interpreter to a verified tree, or to the archive alone."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .archive import MemberRecord, archive_time, read_archive
from .boot_record import hasher_of
from .compile import BytecodeCache
from .config import default_cache_folder
from .contents import Contents, SourceReader, make_contents
from .destination import check_destination, check_tree_path, new_file, new_folder, writing
from .errors import FileError, UnsupportedError, UsageError
from .headers import find_headers
from .hooks import HookFile, hook_files
from .imports import (
    GUARDED,
    REQUIRED,
    Import,
    ImportGraph,
    ModuleSource,
    OptionalImport,
    broken_by,
    closure,
    imported_by,
    mentions,
    optional_imports,
    scan_imports,
)
from .interpreter import Facts
from .inventory import Inventory, Kind, take_inventory
from .layout import (
    Layout,
    archive_name,
    generation_layout,
    in_place_layout,
    library_layout,
    tree_layout,
    two_file_layout,
    with_libdir,
)
from .linkage import Linkage, resolve_linkage
from .manifest import (
    MANIFEST_NAME,
    FileRecord,
    Manifest,
    is_tree,
    load_manifest,
    make_manifest,
    manifest_to_json,
)
from .plan import Options, Plan, generation_files, header_files, make_plan, readers
from .profiles import (
    EXCLUDED,
    TRACE_PROFILE,
    LeftOut,
    Selection,
    absent_modules,
    parse_request,
    select,
    start_modules,
    takes,
)
from .stage import Written, copying, own_extensions, stage, write_archive_file
from .verify.report import Verification
from .verify.run import verify_tree

if TYPE_CHECKING:
    from .trace import Trace

__all__ = [
    "BuildFailed",
    "Built",
    "Packed",
    "Prepared",
    "Settings",
    "WrittenTree",
    "build",
    "contents_of",
    "pack",
    "prepare",
    "size_of_tree",
    "verify_written",
    "write_tree",
]

_Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for, checked at the edge."""

    profile: str = "standard"
    layout: str = "fast"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: of which the profile is made, instead of *profile*
    traces: tuple[Path, ...] = ()
    options: Options = field(default_factory=Options)
    jobs: int = 1
    force: bool = False
    verify: bool = True
    cache: bool = True
    #: where shared libraries go, relative to the prefix; empty for the usual folder
    libdir: str = ""
    #: how many bytes the result may take: the tree of a build, the archive of pack
    max_size: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what it rests on."""

    plan: Plan
    reader: SourceReader
    linkage: Linkage | None
    #: imports of what is kept that lead to what is left out
    broken: tuple[Import, ...]
    notes: tuple[str, ...]
    #: of a profile that leaves out what is imported under conditions or in functions only
    optional: tuple[OptionalImport, ...] = ()
    trace: Trace | None = None
    #: what all this was chosen from
    inventory: Inventory | None = None


@dataclass(frozen=True, slots=True)
class WrittenTree:
    """A tree as it was written, before anybody looked at it."""

    manifest: Manifest
    contents: Contents
    #: the hashes of what was written, by path
    written: Mapping[str, Written]
    #: the manifest as it was written
    manifest_data: bytes


@dataclass(frozen=True, slots=True)
class Built:
    """A tree that was made."""

    tree: Path
    manifest: Manifest
    broken: tuple[Import, ...]
    optional: tuple[OptionalImport, ...]
    from_cache: int
    compiled: int
    verification: Verification | None


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was made."""

    archive: Path
    facts: Facts
    size: int
    sha256: str
    members: tuple[MemberRecord, ...]
    on_disk: tuple[tuple[str, str], ...]
    broken: tuple[Import, ...]
    optional: tuple[OptionalImport, ...]
    notes: tuple[str, ...]


def prepare(
    facts: Facts,
    settings: Settings,
    *,
    archive_only: bool = False,
    in_place: bool = False,
    generation: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Prepared:
    """Work out what will be done, without writing anything.

    *in_place* is for an installation that gets archives, and whose other files are its own; a
    *generation* is a tree in a prefix that has others.
    """
    _check_source(facts)
    if archive_only:
        layout = library_layout(facts)
    elif settings.options.extensions == "archive" and settings.layout == "fast":
        layout = two_file_layout(facts)
    else:
        layout = (in_place_layout if in_place else tree_layout)(facts, settings.layout)
        if generation:
            layout = generation_layout(layout)
    if not archive_only:
        settings = dataclasses.replace(settings, options=_options_of(layout, settings.options))
    if settings.libdir:
        layout = with_libdir(layout, settings.libdir)
    inventory = take_inventory(facts)
    trace = _trace_of(settings, facts)
    request = parse_request(
        settings.profile if trace is None else TRACE_PROFILE, settings.include, settings.exclude, inventory
    )
    if trace is not None:
        modules = trace.of_library | readers(settings.options)
        request = dataclasses.replace(request, modules=modules, files=frozenset(trace.files))
    reader = SourceReader()
    optional: tuple[OptionalImport, ...] = ()
    hooks = () if archive_only else _hooks(facts, layout, settings, {}, generation=generation)
    start = None
    if request.profile.start is not None:  # to read what our own modules import takes a while
        ours = imported_by(hook.data for hook in hooks if hook.place == "archive")
        start = start_modules(request, inventory, ours)
    if start is None:
        selection = _without_environments(select(inventory, facts, request), layout, settings)
        broken = _broken_imports(facts, inventory, selection, reader)
    else:
        kinds = (REQUIRED, GUARDED) if request.profile.guarded else (REQUIRED,)
        graph = scan_imports(Path(facts.executable), _sources(inventory), start, closure=True, follow=kinds)
        reached = closure(graph, start, kinds=kinds)
        selection = _without_environments(select(inventory, facts, request, reached), layout, settings)
        broken = broken_by(graph, selection.kept_modules, selection.left_out_modules)
        if not request.profile.guarded:
            optional = _optional_imports(facts, inventory, selection, broken)
            broken = tuple(entry for entry in broken if entry.kind == REQUIRED)
    linkage = None if archive_only or in_place else _linkage(facts, selection)
    libraries = [str(library.path) for library in linkage.private] if linkage else []
    further = generation_files(layout) if generation else ()
    # compilers read files, and a Python of two has none
    with_headers = takes(request, "dev") and settings.options.extensions != "archive"
    if with_headers and not archive_only and not in_place:
        further = (*further, *header_files(facts, layout, find_headers(facts), libraries))
    # an installation that gets archives has all the rest on disk
    absent = {} if archive_only or in_place else _absent(settings, selection)
    if absent:
        hooks = _hooks(facts, layout, settings, absent, generation=generation)
    plan = make_plan(
        facts,
        layout,
        selection,
        settings.options,
        hooks,
        libraries,
        _hot(facts, settings.options, environ),
        further,
        tuple(name for names in absent.values() for name in names),
    )
    if plan.options.guard == "digest":
        hasher_of(plan)  # or it is refused
    if in_place:
        # what stays on disk is compiled there already, or by its first import, as ever
        files = tuple(dataclasses.replace(file, module=None) for file in plan.files)
        plan = dataclasses.replace(plan, files=files)
    notes = (*plan.notes, *_trace_notes(trace, inventory), *_linkage_notes(linkage))
    return Prepared(plan, reader, linkage, broken, notes, optional, trace, inventory)


def _check_source(facts: Facts) -> None:
    """Raise :class:`UnsupportedError` for an interpreter that is an isolated tree's own.

    Its prefix is what the importer says, and its executable a launcher, which is none.
    """
    prefix = Path(facts.prefix)
    if is_tree(prefix) and load_manifest(prefix).layout.path_files:
        raise UnsupportedError(
            f"{facts.name} is that of a tree of the layout isolated, which cannot be made into another",
            file=facts.executable,
            cure="name the interpreter that the tree was made of",
        )


def _without_environments(selection: Selection, layout: Layout, settings: Settings) -> Selection:
    """Leave venv out where every start is the tree's own: what it installs would go into the tree. Pure."""
    if not layout.path_files or "venv" in settings.include:
        return selection
    gone = [entry for entry in selection.kept if entry.path.startswith("venv/")]
    reason = "the starts of a virtual environment would be this tree's own, and pip would change it"
    return dataclasses.replace(
        selection,
        kept=tuple(entry for entry in selection.kept if entry not in gone),
        left_out=(*selection.left_out, *(LeftOut(entry, reason) for entry in gone)),
    )


def _hot(facts: Facts, options: Options, environ: Mapping[str, str] | None) -> frozenset[str]:
    """Return the modules that stay stored because commands of the user import them."""
    if not options.hot_of:
        return frozenset()
    from .hot import modules_of_commands

    return modules_of_commands(facts, options.hot_of, os.environ if environ is None else environ)


def _trace_of(settings: Settings, facts: Facts) -> Trace | None:
    if not settings.traces:
        if settings.profile == TRACE_PROFILE:
            raise UsageError(
                f"the profile {TRACE_PROFILE} is made of traces, and none is given",
                cure="make one with zipstrap trace -- COMMAND, and name it with --trace FILE",
            )
        return None
    from .trace import check_traces, load_trace, merge

    traces = {str(path): load_trace(path) for path in settings.traces}
    check_traces(traces, facts)
    return merge(tuple(traces.values()))


def _trace_notes(trace: Trace | None, inventory: Inventory) -> list[str]:
    if trace is None:
        return []
    known = inventory.modules()
    paths = {entry.path for entry in inventory.entries}
    gone = [
        module.name for module in trace.modules if module.origin == "library" and module.name not in known
    ]
    gone += [path for path in trace.files if path not in paths]
    notes = []
    if gone:
        notes.append(f"the trace names what this library does not have: {', '.join(gone)}")
    if trace.unseen:
        words, reason = " ".join(trace.unseen[0].command), trace.unseen[0].reason
        more = f", and {len(trace.unseen) - 1} more" if len(trace.unseen) > 1 else ""
        notes.append(f"the trace lacks what was started out of its sight: {words} ({reason}){more}")
    return notes


def _optional_imports(
    facts: Facts, inventory: Inventory, selection: Selection, broken: Sequence[Import]
) -> tuple[OptionalImport, ...]:
    entries = inventory.modules()
    wanted = sorted({entry.module for entry in broken} & entries.keys())
    graph = (
        scan_imports(Path(facts.executable), _sources(inventory), wanted, closure=True)
        if wanted
        else ImportGraph((), frozenset(), {})
    )
    sizes = {name: entry.size for name, entry in entries.items()}
    return optional_imports(broken, graph, selection.kept_modules, sizes)


def _options_of(layout: Layout, options: Options) -> Options:
    """Return *options* as *layout* lets them be, or raise :class:`UsageError`. Pure."""
    if options.guard == "digest" and not layout.has_importer:
        raise UsageError(
            f"--guard digest does not go with the layout {layout.name}: nothing of ours runs there before "
            "the library does",
            cure="use --layout fast or isolated",
        )
    if options.guard == "digest" and options.portable:
        raise UsageError(
            "--guard digest does not go with --part: the module that hashes is the machine's",
            cure="stage the whole tree, or use --guard stop",
        )
    if not layout.path_files:
        if options.site:
            raise UsageError(
                f"--site does not go with the layout {layout.name}, where the options of a start decide",
                cure="use --layout isolated",
            )
        return options
    if options.zips in ("pth", "start"):
        raise UsageError(
            f"--zips {options.zips} does not go with --layout isolated: sys.path is fixed, "
            "and no file of a site folder is run",
            cure="leave it out",
        )
    return dataclasses.replace(options, zips="off", site=options.site or "off")


def _absent(settings: Settings, selection: Selection) -> dict[str, tuple[str, ...]]:
    return (
        {}
        if settings.layout == "directory"
        else absent_modules(selection, portable=settings.options.portable)
    )


def _hooks(
    facts: Facts,
    layout: Layout,
    settings: Settings,
    absent: Mapping[str, Sequence[str]],
    *,
    generation: bool,
) -> tuple[HookFile, ...]:
    if settings.layout == "directory":
        return ()  # it is there to be compared with, so there is nothing of ours in its starts
    return hook_files(
        facts.feature_version,
        guard=settings.options.guard,
        zips=settings.options.zips,
        importer=layout.has_importer,
        site=settings.options.site,
        compiler=not settings.options.bytecode,
        generation=generation,
        absent=absent,
        extensions=settings.options.extensions == "archive",
    )


def _sources(inventory: Inventory) -> dict[str, ModuleSource]:
    return {
        name: ModuleSource(Path(entry.source), entry.kind is Kind.PACKAGE)
        for name, entry in inventory.modules().items()
        if entry.kind in (Kind.MODULE, Kind.PACKAGE)
    }


def _broken_imports(
    facts: Facts, inventory: Inventory, selection: Selection, reader: SourceReader
) -> tuple[Import, ...]:
    """Find the imports that the user's own exclusions break; only sources that name one of them are parsed.

    What a profile leaves out is known (nobody runs the tests of an application's library), so it is not told
    at every build.
    """
    excluded = {item.entry.module for item in selection.left_out if item.reason == EXCLUDED}
    left_out = selection.left_out_modules & excluded
    tops = [name for name in left_out if name.rpartition(".")[0] not in left_out]
    if not tops:
        return ()
    sources = _sources(inventory)
    suspects = [
        entry.module
        for entry in selection.kept
        if entry.module in sources and mentions(reader.read(entry.source), tops)
    ]
    reader.check()
    if not suspects:
        return ()
    graph = scan_imports(Path(facts.executable), sources, [name for name in suspects if name], closure=False)
    return broken_by(graph, selection.kept_modules, left_out)


def _linkage(facts: Facts, selection: Selection) -> Linkage | None:
    if facts.platform != "linux":
        return None
    modules = [Path(entry.source) for entry in selection.kept if entry.kind is Kind.EXTENSION]
    return resolve_linkage(Path(facts.executable), modules)


def _linkage_notes(linkage: Linkage | None) -> list[str]:
    if linkage is None:
        return []
    notes = [
        f"{', '.join(path.name for path in item.needed_by)}: this system has no {item.soname}, which it needs"
        for item in linkage.missing
    ]
    if linkage.private_loader is not None:
        notes.append(
            "the interpreter is bound to a dynamic loader and a C library outside the system's places: "
            "the tree goes on using them, and is independent only of the rest of the installation"
        )
    return notes


def build(
    facts: Facts,
    destination: Path,
    settings: Settings,
    *,
    environ: Mapping[str, str] | None = None,
    on_progress: _Progress | None = None,
) -> Built:
    """Make a tree at *destination*; it is complete and verified, or absent."""
    environ = os.environ if environ is None else environ
    mtime = archive_time(environ)
    check_destination(destination, force=settings.force, is_ours=is_tree, apart_from=Path(facts.library))
    _check_outside_trees(destination)
    if facts.platform == "linux":
        check_tree_path(destination)
    prepared = prepare(facts, settings, environ=environ)
    with new_folder(destination, replace=is_tree if settings.force else None) as folder:
        made = write_tree(prepared, folder, settings, environ=environ, mtime=mtime, on_progress=on_progress)
        size_of = functools.partial(size_of_tree, folder)
        _check_size(prepared, settings, destination, size_of, made.manifest.members, made.manifest.files)
        verification = verify_written(made, folder, destination, settings)
    contents = made.contents
    return Built(
        destination,
        made.manifest,
        prepared.broken,
        prepared.optional,
        contents.from_cache,
        contents.compiled,
        verification,
    )


def write_tree(
    prepared: Prepared,
    folder: Path,
    settings: Settings,
    *,
    environ: Mapping[str, str],
    mtime: int,
    on_progress: _Progress | None = None,
) -> WrittenTree:
    """Write what was *prepared*, and its manifest, into the empty *folder*."""
    with copying(prepared.plan, folder) as copies:
        own_extensions(prepared.plan, prepared.linkage, prepared.reader)
        contents = contents_of(prepared, settings, environ, on_progress)
        staged = stage(
            prepared.plan, contents, prepared.reader, prepared.linkage, folder, copies, mtime=mtime
        )
    manifest = make_manifest(
        prepared.plan,
        staged.members,
        staged.archive_size,
        staged.archive_sha256,
        staged.files,
        sorted(library.soname for library in prepared.linkage.system) if prepared.linkage else (),
        (*prepared.notes, *_not_compiled_notes(contents)),
    )
    path = folder / MANIFEST_NAME
    data = manifest_to_json(manifest).encode()
    with writing(path):
        path.write_bytes(data)
        path.chmod(0o644)
    return WrittenTree(manifest, contents, staged.written, data)


def verify_written(
    made: WrittenTree, folder: Path, destination: Path, settings: Settings
) -> Verification | None:
    """Verify the tree in *folder*, which will be *destination*; None if that was not asked for.

    Raises :class:`BuildFailed` for one that does not pass.
    """
    if not settings.verify or settings.layout == "directory":
        return None
    verification = verify_tree(
        folder,
        jobs=settings.jobs,
        shown_as=destination,
        written=made.written,
        known=(made.manifest_data, made.manifest),
    )
    if not verification.passed:
        raise BuildFailed(destination, verification)
    return verification


def _check_outside_trees(destination: Path) -> None:
    for folder in Path(os.path.realpath(destination)).parents:
        if is_tree(folder):
            raise UsageError(
                f"this is inside the tree {folder}, which would then no longer be what was built",
                file=destination,
                cure="name a destination outside of it",
            )


def pack(
    facts: Facts,
    destination: Path,
    settings: Settings,
    *,
    environ: Mapping[str, str] | None = None,
    on_progress: _Progress | None = None,
) -> Packed:
    """Make the archive alone; a folder as *destination* gets the archive's own name inside it."""
    environ = os.environ if environ is None else environ
    mtime = archive_time(environ)
    if destination.is_dir():
        destination = destination / archive_name(facts)
    check_destination(destination, force=settings.force, is_ours=_is_archive, apart_from=Path(facts.library))
    prepared = prepare(facts, settings, archive_only=True, environ=environ)
    with new_file(destination, replace=_is_archive if settings.force else None) as path:
        contents = contents_of(prepared, settings, environ, on_progress)
        members, size, sha256 = write_archive_file(path, contents.members, mtime=mtime)
        _check_size(prepared, settings, destination, lambda: size, members, ())
    return Packed(
        destination,
        facts,
        size,
        sha256,
        members,
        tuple((file.path, file.reason) for file in prepared.plan.files if file.source is not None),
        prepared.broken,
        prepared.optional,
        (*prepared.notes, *_not_compiled_notes(contents)),
    )


def size_of_tree(folder: Path) -> int:
    """Return how many bytes the files below *folder* have; what links lead to is counted where it is."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _check_size(
    prepared: Prepared,
    settings: Settings,
    destination: Path,
    size_of: Callable[[], int],
    members: Sequence[MemberRecord],
    files: Sequence[FileRecord],
) -> None:
    """Raise :class:`TooLarge` if what was made takes more than it may, with an account by package."""
    if settings.max_size is None or prepared.inventory is None or (size := size_of()) <= settings.max_size:
        return
    from .size_account import TooLarge, make_account, weigh

    plan, inventory = prepared.plan, prepared.inventory
    sources = _sources(inventory)
    names = {member.module for member in plan.members} | {file.module for file in plan.files}
    kept = [name for name in sources if name in names]
    graph = scan_imports(Path(plan.facts.executable), sources, kept, closure=False)
    traced = frozenset() if prepared.trace is None else prepared.trace.of_library
    account = make_account(
        weigh(members, files, plan.layout), size, settings.max_size, inventory, graph, traced
    )
    raise TooLarge(str(destination), account)


class BuildFailed(FileError):  # noqa: N818 - it reads as what it says
    """The tree was staged, but verify found it wrong, so it was not put in place."""

    exit_status = 1

    def __init__(self, destination: Path, verification: Verification) -> None:
        self.verification = verification
        super().__init__(
            "the tree did not pass verify and was removed",
            file=destination,
            cure="see the checks that failed above; --no-verify keeps such a tree for a closer look",
        )


def contents_of(
    prepared: Prepared,
    settings: Settings,
    environ: Mapping[str, str],
    on_progress: Callable[[int, int], None] | None,
) -> Contents:
    """Read and compile what is *prepared*; the cache is that of *environ*."""
    cache = BytecodeCache(default_cache_folder(environ)) if settings.cache else None
    return make_contents(
        prepared.plan, prepared.reader, jobs=settings.jobs, cache=cache, on_progress=on_progress
    )


def _not_compiled_notes(contents: Contents) -> list[str]:
    if not contents.not_compiled:
        return []
    return [
        f"{len(contents.not_compiled)} sources of the tests do not compile, on purpose, and are kept as data"
    ]


def _is_archive(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with read_archive(path):
            return True
    except FileError:
        return False
