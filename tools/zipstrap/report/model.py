"""Pure: what a page says, made of what inspect, verify, the manifest and timed starts say."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zipstrap.bench.figures import Spread
from zipstrap.compress import logical_name
from zipstrap.data import checks
from zipstrap.inspection import Inspection, Item
from zipstrap.manifest import FileRecord, Manifest
from zipstrap.verify.boots import Boot, BootModule
from zipstrap.verify.report import Verification

from . import waterfall
from .starts import Timed, TimedStart
from .treemap import Leaf, Node, make_nodes

__all__ = [
    "NOT_FOUND",
    "STATUSES",
    "ArchiveFigures",
    "Check",
    "Fact",
    "LeftOut",
    "OnDisk",
    "Page",
    "Room",
    "Start",
    "TimedModule",
    "Verdict",
    "make_page",
]

#: the order in which checks are shown
STATUSES = ("failed", "warned", "consequence", "not run", "passed")

#: stands where an origin would be: looked for at a start and not there
NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value; *is_code* is true for what is typed or compared letter by letter."""

    name: str
    value: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What a kind of file takes in a tree, in bytes."""

    kind: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Files that lie on disk for one reason; *files* are path and size in bytes, the largest first."""

    reason: str
    size: int
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of the target's library the tree does not have, and why."""

    reason: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArchiveFigures:
    """The archive with the library; *nodes* are its folders and members, without entries for folders.

    *methods* maps how members are kept to their number. *overhead* is what the archive has besides them:
    names and the directory, in bytes.
    """

    name: str
    size: int
    nodes: tuple[Node, ...]
    methods: Mapping[str, int]
    overhead: int

    @property
    def is_compressed(self) -> bool:
        """Whether any member takes another room than it has bytes."""
        return self.nodes[0].size != self.nodes[0].packed


@dataclass(frozen=True, slots=True)
class TimedModule:
    """A module of a start; *place* is where it came from, in the tree."""

    bar: waterfall.Bar
    origin: str
    place: str


@dataclass(frozen=True, slots=True)
class Start:
    """A mode: what the witnesses say of it, and what it took.

    *status* and *reason* are verify's; *origins* counts modules by origin; *agreed* of them are told alike by
    both witnesses. *problem* says why there are no times. *untimed* were loaded before imports are timed, or
    are other names of modules that were.
    """

    mode: str
    status: str
    reason: str
    origins: Mapping[str, int]
    agreed: int
    elapsed: Spread | None
    cpu: Spread | None
    modules: tuple[TimedModule, ...]
    untimed: tuple[str, ...]
    problem: str

    @property
    def length(self) -> float:
        """Of all imports, in µs."""
        return sum(module.bar.own for module in self.modules)


@dataclass(frozen=True, slots=True)
class Check:
    """A check and what became of it."""

    code: str
    name: str
    title: str
    status: str
    reason: str
    findings: tuple[str, ...]
    cause: str
    cure: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """*passed* is None where nothing was verified; *in_part* says that starts or more were not looked at."""

    passed: bool | None
    text: str
    codes: tuple[str, ...] = ()
    in_part: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page says. *archive_problem* is there where *archive* is not."""

    name: str
    title: str
    about: str
    verdict: Verdict
    archive: ArchiveFigures | None
    archive_problem: str
    rooms: tuple[Room, ...]
    on_disk: tuple[OnDisk, ...]
    left_out: tuple[LeftOut, ...]
    needs: tuple[str, ...]
    starts: tuple[Start, ...]
    starts_problem: str
    #: starts of each kind in each mode, and on what: nothing where none was timed
    runs: int
    machine: Mapping[str, str]
    checks: tuple[Check, ...]
    facts: tuple[Fact, ...]
    #: lines to type, each with what it does
    commands: tuple[tuple[str, str], ...]
    made_by: str


def make_page(
    path: Path,
    inspection: Inspection | None,
    verification: Verification | None,
    timed: Timed | None,
    *,
    archive_problem: str = "",
    starts_problem: str = "",
    archive_sha256: str = "",
    made_by: str,
) -> Page:
    """Return the page of the tree or archive at *path*, by what was found of it.

    There is a *verification* of a tree, and none of an archive alone. Paths of this machine are not in the
    page: the tree is called by the name of its folder.
    """
    name = path.name or str(path)
    manifest = None if verification is None else verification.evidence.manifest
    archive = None if inspection is None else _archive(path, inspection)
    facts = (
        _facts_of_archive(inspection, archive_sha256)
        if manifest is None
        else _facts_of_tree(manifest, inspection)
    )
    hide = _hider(path, verification)
    return Page(
        name=name,
        title=name if manifest is None else manifest.target.name,
        about="an archive alone" if manifest is None else _about(manifest),
        verdict=_verdict(verification, archive),
        archive=archive,
        archive_problem=hide(archive_problem),
        rooms=() if manifest is None else _rooms(manifest),
        on_disk=() if manifest is None else _on_disk(manifest.files),
        left_out=()
        if manifest is None
        else tuple(LeftOut(reason, paths) for reason, paths in manifest.left_out.items()),
        needs=() if manifest is None else manifest.needs,
        starts=() if verification is None else tuple(_starts(verification, timed, hide)),
        starts_problem=starts_problem,
        runs=0 if timed is None else timed.runs,
        machine={} if timed is None else timed.machine,
        checks=() if verification is None else _checks(verification, hide),
        facts=facts,
        commands=_commands(name, manifest, inspection),
        made_by=made_by,
    )


def _hider(path: Path, verification: Verification | None) -> Callable[[str], str]:
    """Return what puts the tree's name in the place of its path: a page is shown to others."""
    places = {str(path), str(path.absolute())}
    if verification is not None:
        places |= {str(verification.evidence.root), str(verification.tree)}
    longest = sorted((place for place in places if place != "/"), key=len, reverse=True)

    def hide(text: str) -> str:
        for place in longest if "/" in text else ():
            text = text.replace(f"{place}/", f"{path.name}/")
            if "/" in place:
                text = text.replace(place, path.name)
        return text

    return hide


def _about(manifest: Manifest) -> str:
    target = manifest.target
    return f"layout {manifest.layout.name}, profile {manifest.profile}, {target.platform} {target.machine}"


def _verdict(verification: Verification | None, archive: ArchiveFigures | None) -> Verdict:
    if verification is None:
        return Verdict(None, "" if archive is None else "The strict reader accepts it, and all its members")
    counts = Counter(result.status for result in verification.results)
    parts = [f"{counts['passed']} of {len(verification.results)} checks passed"]
    parts += [
        f"{counts[status]} {name}"
        for status, name in (
            ("failed", "failed"),
            ("warned", "warned"),
            ("consequence", "followed from these"),
            ("not run", "not run"),
        )
        if counts[status]
    ]
    unseen = len(verification.unseen)
    if unseen:
        parts.append(f"of them {unseen} because something could not be looked at")
    in_part = bool(unseen) or not verification.evidence.boots
    return Verdict(verification.passed, ", ".join(parts), verification.codes, in_part)


# ---- room ------------------------------------------------------------------------------------------------


def _archive(path: Path, inspection: Inspection) -> ArchiveFigures:
    manifest = inspection.manifest
    members = [item for item in inspection.items if item.origin == "archive" and not item.path.endswith("/")]
    nodes = make_nodes(_leaf(item) for item in members)
    return ArchiveFigures(
        name=path.name if manifest is None else manifest.layout.library_archive,
        size=inspection.archive_size,
        nodes=nodes,
        methods=dict(sorted(Counter(item.method for item in members).items())),
        overhead=inspection.archive_size - nodes[0].packed,
    )


def _leaf(item: Item) -> Leaf:
    path = logical_name(item.path)
    kind = _kind_by_name(path)
    module = "" if kind not in ("bytecode", "source") else path.rpartition("/")[2].rpartition(".")[0]
    return Leaf(item.path, kind, item.size, item.packed, item.method, module)


#: what a file is by the end of its name; anything else is data
_KINDS = {".pyc": "bytecode", ".py": "source", ".so": "extension"}


def _kind_by_name(path: str) -> str:
    return _KINDS.get(PurePosixPath(path).suffix, "data")


def _rooms(manifest: Manifest) -> tuple[Room, ...]:
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for record in manifest.files:
        if record.kind in ("folder", "link"):
            continue
        kind = _kind_of(record)
        files[kind] += 1
        sizes[kind] += record.size
    rooms = [Room(kind, files[kind], sizes[kind]) for kind in files if kind != "archive"]
    if manifest.archive_sha256:
        # the one that the interpreter finds, where that is another one, is among the files
        rooms.append(Room("archive", files["archive"] + 1, sizes["archive"] + manifest.archive_size))
    return tuple(sorted(rooms, key=lambda room: (-room.size, room.kind)))


def _kind_of(record: FileRecord) -> str:
    if record.kind not in ("source", "data"):
        return record.kind
    return _kind_by_name(record.path)


def _on_disk(records: Iterable[FileRecord]) -> tuple[OnDisk, ...]:
    groups: dict[str, list[tuple[str, int]]] = {}
    for record in records:
        path = f"{record.path}/" if record.kind == "folder" else record.path
        groups.setdefault(record.reason, []).append((path, record.size))
    found = [
        OnDisk(
            reason,
            sum(size for _, size in files),
            tuple(sorted(files, key=lambda file: (-file[1], file[0]))),
        )
        for reason, files in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: (-group.size, group.reason)))


# ---- starts ----------------------------------------------------------------------------------------------


def _starts(verification: Verification, timed: Timed | None, hide: Callable[[str], str]) -> Iterator[Start]:
    evidence = verification.evidence
    by_mode = {} if timed is None else {start.mode: start for start in timed.starts}
    for boot in evidence.boots:
        yield _start(boot, evidence.modules.get(boot.mode.name, ()), by_mode.get(boot.mode.name), hide)


def _start(
    boot: Boot, seen: Sequence[BootModule], timed: TimedStart | None, hide: Callable[[str], str]
) -> Start:
    known = {module.module: module for module in seen}
    bars = waterfall.lay_out(timed.imports) if timed is not None else ()
    named = {bar.module for bar in bars}
    return Start(
        mode=boot.mode.name,
        status=boot.status,
        reason=hide(boot.reason),
        origins=dict(Counter(_origin(module) for module in seen)),
        agreed=sum(module.agree for module in seen),
        elapsed=None if timed is None else timed.elapsed,
        cpu=None if timed is None else timed.cpu,
        modules=tuple(_timed_module(bar, known.get(bar.module), hide) for bar in bars),
        untimed=tuple(module.module for module in seen if module.module not in named) if bars else (),
        problem="" if timed is None else hide(timed.problem),
    )


def _origin(module: BootModule | None) -> str:
    origin = None if module is None else module.origin or module.log
    return NOT_FOUND if origin is None else origin.value


def _timed_module(bar: waterfall.Bar, module: BootModule | None, hide: Callable[[str], str]) -> TimedModule:
    place = "" if module is None or module.path is None else hide(module.path)
    return TimedModule(bar, _origin(module), place.partition("/")[2] if not place.startswith("/") else place)


# ---- checks ----------------------------------------------------------------------------------------------


def _checks(verification: Verification, hide: Callable[[str], str]) -> tuple[Check, ...]:
    data = checks()
    found = [
        Check(
            result.code,
            data[result.code].name,
            data[result.code].title,
            result.status,
            hide(result.reason),
            tuple(hide(finding.text) for finding in result.findings),
            data[result.code].cause if result.findings else "",
            data[result.code].cure if result.findings else "",
        )
        for result in verification.results
    ]
    return tuple(sorted(found, key=lambda check: STATUSES.index(check.status)))


# ---- facts -----------------------------------------------------------------------------------------------


def _facts_of_tree(manifest: Manifest, inspection: Inspection | None) -> tuple[Fact, ...]:
    target, layout = manifest.target, manifest.layout
    facts = [
        Fact("interpreter", f"{target.name}, {target.build}"),
        Fact("machine", f"{target.platform} {target.machine}"),
        Fact("bytecode", f"{target.cache_tag}, magic number {target.magic}, optimize {manifest.optimize}"),
        Fact("layout", layout.name),
        Fact("profile", manifest.profile),
        Fact("archive", layout.library_archive, is_code=True),
        Fact("archive's SHA-256", manifest.archive_sha256, is_code=True),
        Fact("compression", _compression(manifest)),
        Fact(
            "sources",
            {"disk": "as files", "archive": "in the archive", "none": "left out"}.get(
                manifest.source, manifest.source
            ),
        ),
        Fact("guard", manifest.guard),
        Fact("added archives", manifest.zips),
        Fact("made by", manifest.made_by),
    ]
    if inspection is not None and inspection.manifest_sha256 is not None:
        facts.append(Fact("manifest's SHA-256", inspection.manifest_sha256, is_code=True))
    facts += [Fact("note", note) for note in manifest.notes]
    return tuple(fact for fact in facts if fact.value)


def _compression(manifest: Manifest) -> str:
    hot = [] if manifest.hot in ("none", "") else [f"{manifest.hot} modules stored"]
    hot += [f"what {arguments!r} imports stored" for arguments in manifest.hot_of]
    return ", ".join([manifest.compress, *hot])


def _facts_of_archive(inspection: Inspection | None, sha256: str) -> tuple[Fact, ...]:
    if inspection is None:
        return ()
    entries = len(inspection.items)
    return (
        Fact("file", inspection.path.name, is_code=True),
        Fact("entries", str(entries)),
        Fact("SHA-256", sha256, is_code=True),
    )


def _commands(
    name: str, manifest: Manifest | None, inspection: Inspection | None
) -> tuple[tuple[str, str], ...]:
    quoted = shlex.quote(name)
    if manifest is None:
        return (("look at every member", f"zipstrap inspect {quoted} --tree"),)
    digest = None if inspection is None else inspection.manifest_sha256
    return (
        ("build such a tree", _build_command(name, manifest)),
        ("verify this one", f"zipstrap verify {quoted}" + (f" --expect {digest}" if digest else "")),
        ("make this page", f"zipstrap report {quoted} -o report.html"),
    )


def _build_command(name: str, manifest: Manifest) -> str:
    target = manifest.target
    version = ".".join(map(str, target.feature_version)) + ("t" if target.free_threaded else "")
    words = ["zipstrap", "build", version, "-o", name]
    for option, value in (
        ("--layout", manifest.layout.name),
        ("--profile", manifest.profile),
        ("--optimize", str(manifest.optimize)),
        ("--source", manifest.source),
        ("--compress", manifest.compress),
        ("--hot", manifest.hot),
        *(("--hot-of", arguments) for arguments in manifest.hot_of),
        ("--debug-ranges", "yes" if manifest.debug_ranges else "no"),
        ("--guard", manifest.guard),
        ("--zips", manifest.zips),
    ):
        words += [option, value] if not value.startswith("-") else [f"{option}={value}"]
    return shlex.join(words)
