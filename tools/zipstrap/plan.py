"""The plan of a tree: every member of the archive, every file on disk, and why; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .data import MachineRule, boot_modules, hot_modules, machine_rules, matches, split_rules, two_file_rules
from .errors import UnsupportedError, UsageError
from .hooks import HookFile, config_script, front_files
from .interpreter import Facts
from .inventory import Entry, Kind
from .launcher import make_launcher
from .layout import Layout, path_file_text, shared_links
from .profiles import LeftOut, Selection

__all__ = [
    "DYNLOAD",
    "FRONT",
    "FileKind",
    "Options",
    "Plan",
    "PlannedFile",
    "PlannedMember",
    "config_name",
    "disk_reason",
    "generation_files",
    "header_files",
    "is_extension",
    "is_of_machine",
    "make_plan",
    "readers",
    "resolved",
]

_UNPACKED = "this layout leaves the library unpacked"

#: folder of a generation: what stands in the library's folder of its prefix while it is current
FRONT = "front"

#: by layout: where the importer gives modules the names of files, tools expect to find these
_SOURCES = {"fast": "disk", "isolated": "disk"}

#: layouts whose library our importer reads
_IMPORTED = ("fast", "isolated")

#: what every start reads first: where nothing but the archive is to be run, it is no file beside it
_FIRST = ("encodings/__init__.py",)

_DEFLATES = ("deflate", "libdeflate", "best", "dictionary")

#: the folder of extension modules, in the library's
DYNLOAD = "lib-dynload"

#: modules that decompress members of an archive
_DECOMPRESSORS = frozenset({"zlib", "_zstd"})

#: Python's own licence, as installations name it
_LICENCES = ("LICENSE.txt", "LICENSE")


class FileKind(StrEnum):
    """What a file of the tree is."""

    EXECUTABLE = "executable"
    LAUNCHER = "launcher"
    SHARED_LIBRARY = "shared library"
    EXTENSION = "extension"
    SOURCE = "source"
    DATA = "data"
    HOOK = "hook"
    ARCHIVE = "archive"
    LINK = "link"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose about bytecode, compression and hooks.

    What is empty or None is decided by the preset, and without one by the layout: see :func:`resolved`.
    """

    optimize: int = 0
    #: archive, disk, none, or only: in the archive, without bytecode
    source: str = ""
    #: see :mod:`zipstrap.compress`
    compress: str = ""
    guard: str = "report"
    zips: str = "sitecustomize"
    #: fast, small or none
    preset: str = ""
    #: which modules stay stored when the others are compressed: usual (those of ``hot.json``) or none
    hot: str = ""
    #: arguments of the target, one text for each command, whose modules are hot
    hot_of: tuple[str, ...] = ()
    #: whether bytecode tells columns, which tracebacks mark (3.11+)
    debug_ranges: bool | None = None
    #: whether the archives are the same for all machines: what tells of one is a file
    portable: bool = False
    #: in the layout isolated, whether starts have what site gives them: off or on
    site: str = ""
    #: where the extension modules are: disk, or archive, and then nothing else is a file that need not be
    extensions: str = "disk"

    @property
    def bytecode(self) -> bool:
        """Whether anything is compiled; else the archive holds sources, to be compiled where it will lie."""
        return self.source != "only"


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """Something that goes into the archive: a module (compiled, with or without its source) or data.

    *name* is the member's name of the source or data; *source* the file to read, or *data* the bytes.
    """

    name: str
    component: str
    module: str | None = None
    is_package: bool = False
    #: what is baked as co_filename: below the library's folder, relative to the tree's root
    filename: str = ""
    source: str | None = None
    data: bytes | None = None
    compress_bytecode: bool = False
    compress_rest: bool = False
    #: a source that does not compile is packed as it is: the tests hold some on purpose
    may_not_compile: bool = False
    #: the archive has the source too, though those of the others are files
    source_inside: bool = False


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """Something that lies on disk in the tree, with the reason. *path* is relative to the tree's root."""

    path: str
    kind: FileKind
    reason: str
    mode: int = 0o644
    component: str = "core"
    source: str | None = None
    data: bytes | None = None
    link: str | None = None
    #: a module on disk has its bytecode beside it, under __pycache__
    module: str | None = None
    may_not_compile: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a build will do."""

    facts: Facts
    layout: Layout
    options: Options
    profile: str
    members: tuple[PlannedMember, ...]
    files: tuple[PlannedFile, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()
    #: sources of the importer that the archive starts which the interpreter finds; none in one archive
    boot: tuple[PlannedMember, ...] = ()
    #: modules that are left out, and whose failed import the hooks explain
    absent: tuple[str, ...] = ()


def disk_reason(
    path: str, version: tuple[int, int], library: Collection[str] = (), layout: str = "standard"
) -> str | None:
    """Return why *path* of the *library* (all its paths) must lie on disk for *version*, or None.

    The importer of the *layout*s ``fast`` and ``isolated`` lets more work from the archive.
    """
    if layout == "directory":
        return _UNPACKED
    return next(
        (
            rule.reason
            for rule in split_rules()
            if rule.since <= version <= rule.until
            and (not rule.layouts or layout in rule.layouts)
            and matches(path, rule.paths)
            and not (rule.unless and any(matches(other, rule.unless) for other in library))
        ),
        None,
    )


def is_extension(member: PlannedMember, plan: Plan) -> bool:
    """Tell whether *member* of the archive is an extension module."""
    folder, _, name = member.name.rpartition("/")
    return folder == DYNLOAD and name.endswith(plan.facts.extension_suffixes)


def _left_out_of_two_files(path: str, reason: str | None) -> str | None:
    """Return why *path* is left out where nothing lies beside the archive; None for what is packed.

    *reason* is why it lies on disk elsewhere.
    """
    rules = two_file_rules()

    def rule_of(kind: str) -> MachineRule | None:
        return next((rule for rule in rules[kind] if matches(path, rule.paths)), None)

    if (rule := rule_of("left_out")) is not None:
        return f"{rule.reason}, and beside this archive there are no files"
    if reason is None or rule_of("packed") is not None:
        return None
    return f"{reason}, and beside this archive there are no files"


def is_of_machine(path: str) -> str | None:
    """Return why *path*, below the library's folder, is for one kind of machine; None if it is for all."""
    return next((rule.reason for rule in machine_rules() if matches(path, rule.paths)), None)


def make_plan(
    facts: Facts,
    layout: Layout,
    selection: Selection,
    options: Options,
    hooks: Sequence[HookFile],
    libraries: Sequence[str] = (),
    traced: Collection[str] = (),
    further: Sequence[PlannedFile] = (),
    absent: Collection[str] = (),
) -> Plan:
    """Return the plan of a tree; *further* are files of it that no layout has.

    *absent* are modules of which the hooks tell that they are left out, *traced* those that commands of the
    user import, which stay stored. *libraries* are the paths of the shared libraries that belong to the
    target's installation, libpython first among them; the tree carries them. Raises
    :class:`UnsupportedError` for a compression that the tree could not read.
    """
    version = facts.feature_version
    options = resolved(options, facts, layout.name, selection)
    no_deflate = _why_not_deflate(facts, selection) if options.compress in _DEFLATES else None
    if no_deflate is not None and options.compress != "dictionary":
        options = dataclasses.replace(options, compress="stored")
    checks = options.guard == "digest"
    hot = {*traced, *(hot_modules() if options.hot == "usual" else ())}
    members: list[PlannedMember] = []
    files: list[PlannedFile] = [*_interpreter(facts, layout, libraries), *further]
    hook_names = {hook.name for hook in hooks if hook.place == "archive"}
    library = frozenset(entry.path for entry in selection.kept)
    left_out = list(selection.left_out)
    two_files = options.extensions == "archive"
    for entry in selection.kept:
        reason = disk_reason(entry.path, version, library, layout.name)
        if two_files:
            if (left := _left_out_of_two_files(entry.path, reason)) is not None:
                left_out.append(LeftOut(entry, left))
                continue
            reason = None
        if reason is None and options.portable:
            reason = is_of_machine(entry.path)
        if reason is None and (two_files or entry.kind is not Kind.EXTENSION):
            if entry.path in hook_names:
                continue  # from an earlier run: ours is the one that counts
            is_hot = entry.module is not None and (entry.module in hot or _is_boot(entry.module, layout))
            member = _member(
                entry,
                layout,
                compress_bytecode=options.compress != "stored" and not is_hot,
                # beside a dictionary, what is no bytecode is deflated
                compress_rest=options.compress != "stored"
                and no_deflate is None
                # what decompresses the others is read before
                and (entry.kind is not Kind.EXTENSION or entry.module not in _DECOMPRESSORS),
            )
            if options.source == "disk" and entry.path in _FIRST and (layout.path_files or checks):
                member = dataclasses.replace(member, source_inside=True)
            elif options.source == "disk" and layout.name != "library":
                files.append(_source_file(member, layout, entry))
                if member.module is None:
                    continue
            members.append(member)
        else:
            files.append(
                _file(entry, layout, reason or "the system's loader opens extension modules by path")
            )
    members += (_hook_member(hook, layout) for hook in hooks if hook.place == "archive")
    files += (
        PlannedFile(f"{layout.site}/{hook.name}", FileKind.HOOK, hook.reason, data=hook.data)
        for hook in hooks
        if hook.place == "site"
    )
    if two_files and (on_disk := [file.path for file in files if file.kind in (FileKind.HOOK,)]):
        raise UsageError(
            f"--extensions archive leaves no files beside the archive, and {on_disk[0]} is one",
            cure="use --zips sitecustomize or off",
        )
    there = {file.path for file in files}
    files += (landmark for landmark in _landmarks(layout, selection) if landmark.path not in there)
    files += _folders(files, layout)
    return Plan(
        facts=facts,
        layout=layout,
        options=options,
        profile=selection.profile,
        members=tuple(sorted(members, key=lambda member: member.name)),
        files=tuple(sorted(files, key=lambda file: file.path)),
        left_out=tuple(left_out),
        notes=tuple(_notes(no_deflate, options, selection, layout)),
        boot=tuple(_boot_member(hook, layout) for hook in hooks if hook.place == "boot"),
        absent=tuple(sorted(absent)),
    )


def readers(options: Options) -> frozenset[str]:
    """Return the modules without which a tree cannot read what *options* compress."""
    compress = options.compress or {"fast": "deflate", "small": "dictionary"}.get(options.preset, "stored")
    if compress == "stored":
        return frozenset()
    # beside Zstandard, what is no bytecode is deflated
    return frozenset({"zlib", "_zstd"} if compress in ("zstd", "dictionary") else {"zlib"})


def resolved(options: Options, facts: Facts, layout: str, selection: Selection) -> Options:
    """Return *options* with what was left open decided by the preset and the *layout* (its name).

    Raises :class:`UnsupportedError` for a compression that the tree could not read.
    """
    preset = options.preset
    compress = options.compress
    sources = _SOURCES.get(layout, "archive")
    if options.extensions == "archive":
        sources = "archive"
        if layout not in _IMPORTED:
            raise UnsupportedError(
                f"--extensions archive needs our importer, which the layout {layout} has not",
                cure="use --layout fast",
            )
        if layout != "fast":
            raise UsageError(
                f"--extensions archive leaves no file beside the executable, and --layout {layout} needs one",
                cure="use --layout fast",
            )
        if options.guard == "digest":
            raise UsageError(
                "--extensions archive makes one archive, and --guard digest needs two: "
                "what the one that is found says of the other",
                cure="use --guard stop, or --extensions disk",
            )
        if options.source == "disk":
            raise UsageError(
                "--extensions archive makes a Python of two files, and --source disk one of many",
                cure="use --source archive or none",
            )
    if not compress and preset == "small":
        fits = _why_not_zstandard("dictionary", facts, layout, selection) is None
        compress = "dictionary" if fits else "libdeflate"
    compress = compress or ("deflate" if preset == "fast" else "stored")
    if compress in ("zstd", "dictionary"):
        problem = _why_not_zstandard(compress, facts, layout, selection)
        if problem is not None:
            raise UnsupportedError(
                f"--compress {compress} cannot be read by this tree: {problem}",
                cure="use --compress best, which every interpreter reads",
            )
    return dataclasses.replace(
        options,
        source=options.source or ("none" if preset == "small" else sources),
        compress=compress,
        hot=options.hot or ("usual" if preset == "fast" else "none"),
        debug_ranges=preset != "small" if options.debug_ranges is None else options.debug_ranges,
    )


def _why_not_zstandard(compress: str, facts: Facts, layout: str, selection: Selection) -> str | None:
    if compress == "zstd" and facts.feature_version < (3, 15):
        return f"{facts.name} has a zipimport that does not know Zstandard, which came with 3.15"
    if compress == "dictionary" and layout not in _IMPORTED:
        return "only the importer of the layouts fast and isolated reads bytecode over a dictionary"
    if "_zstd" in facts.builtin_modules or "_zstd" in selection.kept_modules:
        return None
    if facts.feature_version < (3, 14):
        return f"{facts.name} has no module _zstd, which came with 3.14"
    return f"{facts.name} has no module _zstd, or it is left out"


def generation_files(layout: Layout) -> tuple[PlannedFile, ...]:
    """Return what a generation of *layout* has besides: links to its prefix, and the prefix's front."""
    links = [
        PlannedFile(
            path, FileKind.LINK, "the prefix's: shared by all its generations", mode=0o777, link=target
        )
        for path, target in shared_links(layout).items()
    ]
    front = [
        PlannedFile(
            f"{FRONT}/{hook.name}",
            FileKind.HOOK,
            f"a copy is in the prefix: {hook.reason}",
            component="hooks",
            data=hook.data,
            module="encodings" if hook.name == "encodings/__init__.py" else None,
        )
        for hook in front_files()
    ]
    return (*links, *front)


def header_files(
    facts: Facts, layout: Layout, headers: Mapping[str, Path], libraries: Sequence[str]
) -> Iterable[PlannedFile]:
    """Yield what a tree of *layout* has for those who compile extension modules, by :mod:`.headers`.

    *libraries* are those that the tree carries: libpython gets the name that linkers look for.
    """
    if not headers:
        return
    for path, source in headers.items():
        reason = "compilers read it to build extension modules"
        yield PlannedFile(path, FileKind.DATA, reason, component="dev", source=str(source))
    name = config_name(layout)
    reason = "tells compilers where headers and libraries are"
    yield PlannedFile(name, FileKind.DATA, reason, mode=0o755, component="dev", data=config_script())
    links = {config_name(layout, link): name for link in layout.executable_links}
    major, minor = facts.feature_version
    for library in libraries:
        short, mark, _ = library.rpartition("/")[2].partition(".so.")
        if mark and short == f"libpython{major}.{minor}{facts.abiflags}":
            links[f"{layout.shared_libraries}/{short}.so"] = library
    for path, target in links.items():
        yield PlannedFile(
            path,
            FileKind.LINK,
            "a name by which compilers look for it",
            mode=0o777,
            component="dev",
            link=target.rpartition("/")[2],
        )


def config_name(layout: Layout, executable: str = "") -> str:
    """Return the path of what tells compilers about the *executable*, by default that of *layout*."""
    return f"{executable or layout.executable}-config"


def _interpreter(facts: Facts, layout: Layout, libraries: Sequence[str]) -> Iterable[PlannedFile]:
    if not layout.executable:
        return
    yield PlannedFile(
        layout.interpreter, FileKind.EXECUTABLE, "the interpreter", mode=0o755, source=facts.executable
    )
    if layout.has_launcher:
        yield PlannedFile(
            layout.executable,
            FileKind.LAUNCHER,
            "starts the interpreter under its own name, without variables that would come before the tree",
            mode=0o755,
            component="hooks",
            data=make_launcher(facts.machine, layout.executable, layout.interpreter),
        )
    target = layout.executable.rpartition("/")[2]
    for link in layout.executable_links:
        yield PlannedFile(link, FileKind.LINK, "another name of the interpreter", mode=0o777, link=target)
    links = {f"{link}._pth" for link in layout.executable_links}
    for path in layout.path_files:
        if path in links:
            reason = "the same for another name of the interpreter"
            yield PlannedFile(path, FileKind.LINK, reason, mode=0o777, link=f"{target}._pth")
        else:
            yield PlannedFile(
                path,
                FileKind.HOOK,
                "fixes sys.path; the interpreter looks for it beside the executable",
                component="hooks",
                data=path_file_text(layout, path).encode(),
            )
    for library in dict.fromkeys(libraries):
        yield PlannedFile(
            f"{layout.shared_libraries}/{library.rpartition('/')[2]}",
            FileKind.SHARED_LIBRARY,
            "a shared library of the target's installation: the system has none of its own",
            mode=0o755,
            source=library,
        )


def _member(entry: Entry, layout: Layout, *, compress_bytecode: bool, compress_rest: bool) -> PlannedMember:
    is_module = entry.kind in (Kind.MODULE, Kind.PACKAGE)
    return PlannedMember(
        name=entry.path,
        component=entry.component,
        module=entry.module if is_module else None,
        is_package=entry.kind is Kind.PACKAGE,
        filename=f"{layout.library}/{entry.path}" if is_module else "",
        source=entry.source,
        compress_bytecode=compress_bytecode,
        compress_rest=compress_rest,
        may_not_compile=entry.component == "test",
    )


def _hook_member(hook: HookFile, layout: Layout) -> PlannedMember:
    return PlannedMember(
        name=hook.name,
        component="hooks",
        module=hook.name.removesuffix(".py"),
        filename=f"{layout.library}/{hook.name}",
        data=hook.data,
    )


def _boot_member(hook: HookFile, layout: Layout) -> PlannedMember:
    shim = hook.name == "boot_shim.py"
    return PlannedMember(
        name=hook.name,
        component="hooks",
        module="encodings" if shim else hook.name.removesuffix(".py"),
        # tracebacks are trimmed by this name, for our importer as for CPython's own (Python/import.c)
        filename=f"{layout.library}/encodings/__init__.py"
        if shim
        else "<frozen importlib._bootstrap_external>",
        data=hook.data,
    )


def _source_file(member: PlannedMember, layout: Layout, entry: Entry) -> PlannedFile:
    return PlannedFile(
        f"{layout.library}/{member.name}",
        FileKind.DATA,
        "a source or a data file, which tools open by its path; the bytecode is in the archive",
        mode=0o755 if entry.mode & 0o111 else 0o644,
        component=member.component,
        source=member.source,
    )


def _is_boot(module: str, layout: Layout) -> bool:
    """Tell whether zipimport has to read *module* before it can import what decompresses.

    Our own importer has the modules of a start in its record, and decompresses at any time.
    """
    return not layout.has_importer and matches(module, boot_modules())


def _file(entry: Entry, layout: Layout, reason: str) -> PlannedFile:
    if entry.kind is Kind.EXTENSION:
        kind = FileKind.EXTENSION
    elif entry.module is not None:
        kind = FileKind.SOURCE
    else:
        kind = FileKind.DATA
    folder, _, rest = entry.path.partition("/")
    return PlannedFile(
        f"{layout.dynload}/{rest}" if folder == DYNLOAD else f"{layout.library}/{entry.path}",
        kind,
        reason,
        mode=0o755 if entry.mode & 0o111 else 0o644,
        component=entry.component,
        source=entry.source,
        module=entry.module if kind is FileKind.SOURCE else None,
        may_not_compile=entry.component == "test",
    )


def _landmarks(layout: Layout, selection: Selection) -> Iterable[PlannedFile]:
    by_path = {f"{layout.library}/{entry.path}": entry for entry in selection.kept}
    for landmark in layout.landmarks:
        if landmark.is_folder:
            yield PlannedFile(landmark.path, FileKind.FOLDER, landmark.reason, mode=0o755)
        else:
            # not a module of the tree: the archive comes first, and os is loaded from there
            yield PlannedFile(
                landmark.path, FileKind.DATA, landmark.reason, source=by_path[landmark.path].source
            )


def _folders(files: Sequence[PlannedFile], layout: Layout) -> Iterable[PlannedFile]:
    if not any(file.path == layout.site for file in files):
        yield PlannedFile(
            layout.site, FileKind.FOLDER, "where packages are installed: site and pip look for it", mode=0o755
        )


def _why_not_deflate(facts: Facts, selection: Selection) -> str | None:
    if facts.zlib is None:
        return f"{facts.name} has no zlib"
    if facts.zlib != "builtin" and "zlib" not in selection.kept_modules:
        return "zlib is left out"
    return None


def _notes(no_deflate: str | None, options: Options, selection: Selection, layout: Layout) -> Iterable[str]:
    if layout.path_files and not layout.has_launcher:
        yield (
            "this has no launcher, so its starts go by the name that they are given and by the dynamic "
            "loader's variables; trees for Linux on x86_64 and aarch64 have one, generations have not"
        )
    if no_deflate is not None:
        what = "what is no bytecode" if options.compress == "dictionary" else "everything"
        yield f"{no_deflate}: the tree could not read a deflated archive, so {what} is stored"
    if options.source == "none":
        yield "without sources, tracebacks show no lines of the library and inspect.getsource fails there"
    for what, words in (
        ("dangling links of the library", "which is not there"),
        ("links to folders outside the library", "a link to a folder outside the library"),
        ("links of the library that lead in a circle", "which leads in a circle"),
    ):
        links = sorted(item.entry.path for item in selection.left_out if words in item.entry.note)
        if links:
            yield f"{what} are left out: {', '.join(links)}"
    if not any(entry.path in _LICENCES for entry in selection.kept):
        yield "the library holds no LICENSE.txt: hand Python's licence on with what you make, as it asks"
