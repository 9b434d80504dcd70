"""The verb bundle: from people's paths to an archive that an interpreter imports from."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import pkgutil
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import Limits, Member, MemberRecord, archive_time, read_archive
from zipstrap.audit import Finding, Verdict, judge_code, scan_uses
from zipstrap.compile import BytecodeCache, Source, compile_sources
from zipstrap.compress import compress_members
from zipstrap.config import default_cache_folder
from zipstrap.contents import SourceReader, bytecode_path, namespace_members
from zipstrap.destination import check_destination, new_file, new_folder, writing
from zipstrap.errors import FileError, Problem, UnsupportedError, UsageError
from zipstrap.interpreter import Facts
from zipstrap.stage import write_archive_file

from .distributions import (
    Distribution,
    canonical_name,
    distributions_in,
    files_of,
    needed_distributions,
    wheel,
)
from .inputs import InputFile, read_code, unreadable
from .plan import BundlePlan, Selecting, is_module, modules_of, plan_bundle
from .record import (
    EXTENSION_LOADER,
    RECORD_NAME,
    BundleRecord,
    identity_of,
    is_bundle,
    is_disk_folder,
    record_to_json,
)

__all__ = [
    "COMPRESS",
    "BundleRefused",
    "BundleSettings",
    "Bundled",
    "PreparedBundle",
    "check_compress",
    "disk_folder_for",
    "extension_loader",
    "make_bundle",
    "prepare_bundle",
]

#: how the members of a bundle may be kept; see :mod:`zipstrap.compress`
COMPRESS = ("stored", "deflate", "libdeflate", "best", "zstd")

_ZSTANDARD_SINCE = (3, 15)
_UNREADABLE = {
    **dict.fromkeys(
        ("bzip2", "bz2", "lzma", "xz"),
        "zipimport cannot read it: it knows stored and deflated members, and Zstandard from 3.15 on",
    ),
    "dictionary": "only the importer of a tree's own library reads it",
}

_Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """What the user asked for. *optimize* -1 is the level of an interpreter without options, 0."""

    optimize: int = -1
    source: bool = True
    compress: str = "stored"
    selecting: Selecting = dataclasses.field(default_factory=Selecting)
    dependencies: bool = True
    strict: bool = False
    jobs: int = 1
    force: bool = False
    cache: bool = True
    #: how far members of archives and wheels that are handed in may expand
    limits: Limits = dataclasses.field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class PreparedBundle:
    """What would be written, and what was found in it."""

    facts: Facts
    plan: BundlePlan
    reader: SourceReader
    distributions: tuple[Distribution, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def breaking(self) -> tuple[Finding, ...]:
        """What would not work from an archive."""
        return tuple(each for each in self.findings if each.verdict is Verdict.BREAKS)


@dataclass(frozen=True, slots=True)
class Bundled:
    """A bundle that was made; *size* is in bytes, *folder* is what lies beside the archive, if anything."""

    archive: Path
    folder: Path | None
    prepared: PreparedBundle
    record: BundleRecord
    size: int
    sha256: str
    members: tuple[MemberRecord, ...]
    disk_files: int
    disk_size: int
    compiled: int
    from_cache: int
    not_compiled: Mapping[str, str]


class BundleRefused(FileError):  # noqa: N818 - it reads as what it says
    """Something in it would not work from an archive, and the user asked not to go on then."""

    exit_status = 1

    def __init__(self, destination: Path, prepared: PreparedBundle) -> None:
        self.prepared = prepared
        super().__init__(
            "the bundle was not made: something in it would not work from an archive",
            file=destination,
            cure="mend what is listed above, keep its package on disk (--on-disk), or leave out --strict",
        )


def check_compress(choice: str, facts: Facts) -> None:
    """Raise unless an interpreter with *facts* can read what is compressed by *choice*. Pure."""
    if choice in _UNREADABLE:
        raise UsageError(
            f"{choice} is no way to compress a bundle: {_UNREADABLE[choice]}",
            cure=f"choose one of {', '.join(COMPRESS)}",
        )
    if choice not in COMPRESS:
        raise UsageError(f"{choice!r} is no way to compress", cure=f"choose one of {', '.join(COMPRESS)}")
    if choice == "zstd" and facts.feature_version < _ZSTANDARD_SINCE:
        raise UnsupportedError(
            f"zipimport of {facts.name} cannot read Zstandard: it does from 3.15 on",
            cure="use --compress deflate",
        )
    if choice not in ("stored", "zstd") and facts.zlib is None:
        raise UnsupportedError(
            f"{facts.name} has no zlib, and could not inflate the bundle", cure="use --compress stored"
        )


def disk_folder_for(archive: Path) -> Path:
    """Return the folder that lies beside a bundle at *archive*; a hyphen keeps it from being a module."""
    return archive.with_name(f"{archive.stem}-disk")


def extension_loader() -> bytes:
    """Return the source of what loads extension modules from an archive."""
    try:
        source = pkgutil.get_data("zipstrap.site_hooks", f"{EXTENSION_LOADER}.py")
    except FileNotFoundError:
        source = None
    if source is None:
        raise UnsupportedError(
            "this zipstrap has nothing that loads extension modules from an archive",
            cure="let their packages lie beside it (--extensions disk)",
        )
    return source


# ---- what would be written -------------------------------------------------------------------------------


def prepare_bundle(
    what: Sequence[str], places: Sequence[Path], facts: Facts, settings: BundleSettings
) -> PreparedBundle:
    """Work out what goes into a bundle, without writing anything.

    *what* are paths of modules, packages, folders, archives and wheels, and, where there are *places* to
    look for distributions, their names. Raises errors of :mod:`zipstrap.errors`, all of a kind in one.
    """
    check_compress(settings.compress, facts)
    available = [each for place in places for each in distributions_in(place, settings.limits)]
    names = _requirements(what, available) if places else ()
    paths = [Path(each) for each in what if each not in names]
    wanted: list[str | Distribution] = list(names)
    wanted += [wheel(path, settings.limits) for path in paths if path.suffix == ".whl" and path.is_file()]
    if settings.selecting.extensions == "archive":
        extension_loader()
    files: list[InputFile] = []
    left_out: list[tuple[str, str]] = []
    notes: list[str] = []
    for path in paths:
        if path.suffix == ".whl" and path.is_file():
            continue
        found = read_code(path, settings.limits)
        files += found.files
        left_out += found.left_out
        notes += found.notes
    distributions: tuple[Distribution, ...] = ()
    if wanted:
        needed = needed_distributions(wanted, available, facts, dependencies=settings.dependencies)
        distributions = needed.distributions
        notes += needed.notes
        for each in distributions:
            found = files_of(each, settings.limits)
            files += found.files
            left_out += found.left_out
    reader = SourceReader()
    problems = list(unreadable(files))
    if problems:
        raise FileError(
            problems[0].text, file=problems[0].file, others=problems[1:], cure="leave it out with --exclude"
        )
    plan = plan_bundle(
        files,
        distributions,
        settings.selecting,
        read=lambda file: _content(file, reader),
        suffixes=facts.extension_suffixes,
        magic=facts.magic,
        target=facts.name,
    )
    plan = dataclasses.replace(plan, left_out=(*left_out, *plan.left_out))
    if not plan.archive and not plan.disk:
        raise FileError(
            "there is nothing to put into the bundle", cure="name modules, packages or distributions"
        )
    for file in (*plan.archive, *plan.disk):
        _content(file, reader)
    reader.check()
    findings = _audited(plan.archive, reader, facts)
    return PreparedBundle(facts, plan, reader, distributions, findings, tuple(notes))


def _requirements(what: Sequence[str], available: Iterable[Distribution]) -> tuple[str, ...]:
    """Return those of *what* that name distributions: they look like no path, and nothing here is called so.

    Raises :class:`UsageError` for the name of a distribution that is also a path here.
    """
    keys = {each.key for each in available}
    found = []
    for each in what:
        if os.sep in each or each in (".", "..", "") or each.endswith((".py", ".zip", ".whl")):
            continue
        if not os.path.lexists(each):
            found.append(each)
        elif canonical_name(each) in keys:
            raise UsageError(
                "this is a path here, and the name of a distribution",
                file=each,
                cure=f"write ./{each} for the path, or '{each}>0' for the distribution",
            )
    return tuple(found)


def _content(file: InputFile, reader: SourceReader) -> bytes:
    return file.data if file.data is not None else reader.read(str(file.path))


def _audited(files: Iterable[InputFile], reader: SourceReader, facts: Facts) -> tuple[Finding, ...]:
    """Let the target read the sources among *files*; what was in an archive is put on disk for it."""
    sources = [file for file in files if file.name.endswith(".py")]
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder:
        rows = []
        for number, file in enumerate(sources):
            place = file.path
            if place is None:
                place = Path(folder, f"{number}.py")
                with writing(place):
                    place.write_bytes(_content(file, reader))
            parts = file.name.removesuffix(".py").split("/")
            is_package = parts[-1] == "__init__"
            module = ".".join(parts[:-1] if is_package else parts)
            rows.append((file.shown, os.path.abspath(place), module, is_package))  # noqa: PTH100 - links are the user's
        return judge_code(
            sorted(scan_uses(Path(facts.executable), rows), key=lambda use: (use.path, use.line))
        )


# ---- what is written -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Made:
    """The bundle's files as bytes: the archive's members, and those on disk by name."""

    members: tuple[Member, ...]
    disk: Mapping[str, bytes]
    compiled: int
    from_cache: int
    not_compiled: Mapping[str, str]


def make_bundle(
    what: Sequence[str],
    destination: Path,
    facts: Facts,
    settings: BundleSettings,
    *,
    places: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    on_progress: _Progress | None = None,
) -> Bundled:
    """Make a bundle at *destination*, and what lies beside it; both are complete or absent.

    See :func:`prepare_bundle`. Raises :class:`BundleRefused` where the settings are strict and something
    would not work.
    """
    environ = os.environ if environ is None else environ
    mtime = archive_time(environ)
    if destination.suffix != ".zip":
        raise UsageError(
            "a bundle's name ends in .zip", file=destination, cure=f"use -o {destination.name}.zip"
        )
    check_compress(settings.compress, facts)
    beside = disk_folder_for(destination)
    check_destination(destination, force=settings.force, is_ours=is_bundle, apart_from=Path(facts.library))
    check_destination(beside, force=settings.force, is_ours=is_disk_folder)
    prepared = prepare_bundle(what, places, facts, settings)
    if settings.strict and prepared.breaking:
        raise BundleRefused(destination, prepared)
    made = _contents(prepared, settings, environ, on_progress)
    record = _record(prepared, made, settings, beside.name)
    data = record_to_json(record)
    members = (*made.members, Member(RECORD_NAME, data))
    before = os.path.lexists(beside)
    try:
        with new_file(destination, replace=is_bundle if settings.force else None) as path:
            written, size, sha256 = write_archive_file(path, members, mtime=mtime)
            with read_archive(path, version=facts.feature_version):
                pass  # what is written is what others accept
            _write_beside(beside, made.disk, data, mtime=mtime, force=settings.force)
    except BaseException:
        # the archive is put in its place last; a folder without it would be half a bundle
        if not before and is_disk_folder(beside):
            shutil.rmtree(beside, ignore_errors=True)
        raise
    disk_size = sum(map(len, made.disk.values()))
    return Bundled(
        destination,
        beside if made.disk else None,
        prepared,
        record,
        size,
        sha256,
        written,
        len(made.disk),
        disk_size,
        made.compiled,
        made.from_cache,
        made.not_compiled,
    )


def _write_beside(
    folder: Path, files: Mapping[str, bytes], record: bytes, *, mtime: int, force: bool
) -> None:
    """Write *files* into *folder*; with none, remove one of a bundle that is replaced."""
    if not files:
        if force and is_disk_folder(folder):
            with writing(folder):
                shutil.rmtree(folder)
        return
    with new_folder(folder, replace=is_disk_folder if force else None) as work:
        for name, data in {**files, RECORD_NAME: record}.items():
            path = work / name
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                path.chmod(0o644)
        for inner in sorted(work.rglob("*"), reverse=True):
            if inner.is_dir():
                inner.chmod(0o755)
            os.utime(inner, (mtime, mtime))


def _contents(
    prepared: PreparedBundle,
    settings: BundleSettings,
    environ: Mapping[str, str],
    on_progress: _Progress | None,
) -> _Made:
    facts, plan, reader = prepared.facts, prepared.plan, prepared.reader
    cache = BytecodeCache(default_cache_folder(environ)) if settings.cache else None
    sources = [
        Source(file.name, file.name, _content(file, reader))
        for file in (*plan.archive, *plan.disk)
        if is_module(file.name)
    ]
    loader = f"{EXTENSION_LOADER}.py"
    if plan.archived:
        sources.append(Source(loader, loader, extension_loader()))
    total = len(sources) * (2 if settings.compress != "stored" else 1)

    def count(done: int, _: int) -> None:
        if on_progress is not None:
            on_progress(done, total)

    compiled = compile_sources(
        Path(facts.executable),
        sources,
        optimize=max(0, settings.optimize),
        jobs=settings.jobs,
        cache=cache,
        identity=facts.identity,
        on_progress=count,
    )
    _check_failures(compiled.failures, plan)
    archive: dict[str, bytes] = {}
    disk: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    for place, files in ((archive, plan.archive), (disk, plan.disk)):
        for file in files:
            for name, data in _files(
                file, reader, compiled.pycs.get(file.name), settings, facts, place is disk
            ):
                place[name] = data
                owners[name] = file.distribution
    if plan.archived:
        archive[f"{loader}c"] = compiled.pycs[loader]
    for each in prepared.distributions:
        if each.metadata.endswith(".dist-info"):
            own = {name: data for name, data in {**archive, **disk}.items() if owners.get(name) == each.key}
            place = disk if each.metadata in plan.on_disk else archive
            place[f"{each.metadata}/RECORD"] = _installed_record(own, each.metadata)
    members = [Member(name, data) for name, data in archive.items()]
    members += namespace_members(members, facts.feature_version)
    small = Limits().member
    wanted = {member.name for member in members if 0 < len(member.data) <= small}
    packed = compress_members(
        members,
        wanted,
        settings.compress,
        jobs=settings.jobs,
        cache=cache,
        on_progress=lambda done, _: count(len(sources) + done, 0),
    )
    return _Made(packed, disk, len(sources), compiled.from_cache, compiled.failures)


def _check_failures(failures: Mapping[str, str], plan: BundlePlan) -> None:
    """Raise for the user's own sources that do not compile; those of distributions are kept as they are."""
    problems = [
        Problem(f"does not compile: {failures[file.name]}", file.shown)
        for file in (*plan.archive, *plan.disk)
        if file.name in failures and not file.distribution
    ]
    if problems:
        raise FileError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="mend the source, or leave it out with --exclude",
        )


def _files(
    file: InputFile,
    reader: SourceReader,
    pyc: bytes | None,
    settings: BundleSettings,
    facts: Facts,
    on_disk: bool,  # noqa: FBT001
) -> Iterator[tuple[str, bytes]]:
    """Yield what *file* becomes."""
    if pyc is None or settings.source:
        yield file.name, _content(file, reader)
    if pyc is not None and on_disk and settings.source:
        # without a folder in its name, a module's bytecode lies in one beside it all the same
        yield bytecode_path(file.name, facts.cache_tag).lstrip("/"), pyc
    elif pyc is not None:
        yield f"{file.name}c", pyc


def _installed_record(files: Mapping[str, bytes], folder: str) -> bytes:
    """Return the RECORD (PEP 376) of *files*, which lies in *folder*."""
    lines = []
    for name, data in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        # csv: a name with a comma or a quote is quoted
        shown = '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name
        lines.append(f"{shown},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{folder}/RECORD,,\n"]).encode()


def _record(prepared: PreparedBundle, made: _Made, settings: BundleSettings, folder: str) -> BundleRecord:
    facts = prepared.facts
    everything = [(member.name, member.data) for member in made.members]
    everything += [(f"{folder}/{name}", data) for name, data in made.disk.items()]
    return BundleRecord(
        identity=identity_of((name, hashlib.sha256(data).digest()) for name, data in everything),
        version=".".join(map(str, facts.feature_version)),
        magic=facts.magic,
        optimize=max(0, settings.optimize),
        source=settings.source,
        modules=modules_of(member.name for member in made.members if EXTENSION_LOADER not in member.name),
        on_disk=modules_of(name for name in made.disk if "__pycache__" not in name),
        disk_folder=folder if made.disk else "",
        suffixes=prepared.plan.suffixes,
        extension_loader=EXTENSION_LOADER if prepared.plan.archived else "",
        distributions={each.name: each.version for each in prepared.distributions},
    )
