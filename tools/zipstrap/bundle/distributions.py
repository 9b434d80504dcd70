"""Installed distributions and wheels: which ones a requirement needs, and their files.

The rules are those of pip: PEP 508 (requirements and markers), PEP 427 (wheels), PEP 376 (RECORD).
"""

from __future__ import annotations

import email.parser
import importlib.metadata
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from zipstrap.archive import Limits, read_archive
from zipstrap.data import bundle_rules, matches
from zipstrap.errors import FileError, Problem, UnsupportedError, UsageError
from zipstrap.interpreter import Facts

from .inputs import Input, InputFile, is_left_out, read_members

__all__ = [
    "Distribution",
    "Needed",
    "canonical_name",
    "distributions_in",
    "files_of",
    "marker_environment",
    "needed_distributions",
    "target_tags",
    "wheel",
]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution, installed in a folder or in a wheel; *place* is that folder or file.

    *tags* are those of a wheel, *metadata* is the name of its folder of metadata, without a path. *problem*
    says why its files cannot be taken, if so.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    requires_python: str
    place: Path
    metadata: str
    tags: tuple[str, ...] = ()
    problem: str = ""

    @property
    def key(self) -> str:
        """The canonical name (PEP 503)."""
        return canonical_name(self.name)


@dataclass(frozen=True, slots=True)
class Needed:
    """What requirements need: distributions in the order of their names, and what to note."""

    distributions: tuple[Distribution, ...]
    notes: tuple[str, ...] = ()


def canonical_name(name: str) -> str:
    """Return the name by which distributions are compared (PEP 503)."""
    return canonicalize_name(name)


# ---- what a target is ------------------------------------------------------------------------------------


def marker_environment(facts: Facts) -> dict[str, str]:
    """Return what markers ask of the target (PEP 508), from its facts. Pure."""
    system = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}.get(facts.platform, facts.platform)
    return {
        "implementation_name": "cpython",
        "implementation_version": facts.version_text,
        "os_name": facts.os_name,
        "platform_machine": facts.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": facts.version_text,
        "python_version": ".".join(map(str, facts.feature_version)),
        "sys_platform": facts.platform,
    }


def target_tags(facts: Facts) -> frozenset[Tag]:
    """Return the tags of wheels that the target can use; its platforms are those of this machine."""
    version = facts.feature_version
    kind = ("t" if facts.free_threaded else "") + ("d" if facts.debug else "")
    interpreter = f"cp{version[0]}{version[1]}"
    platforms = list(platform_tags())
    return frozenset(
        [
            *cpython_tags(version, abis=[f"{interpreter}{kind}"], platforms=platforms),
            *compatible_tags(version, interpreter=interpreter, platforms=platforms),
        ]
    )


# ---- where distributions are -----------------------------------------------------------------------------


def distributions_in(place: Path, limits: Limits) -> list[Distribution]:
    """Return the distributions at *place*: a virtual environment, a site-packages folder, wheels, or one.

    Raises :class:`FileError` where there are none.
    """
    if place.is_file() and place.suffix == ".whl":
        return [wheel(place, limits)]
    if not place.is_dir():
        raise FileError(
            "there is no such folder and no such wheel",
            file=place,
            cure="name a virtual environment, a site-packages folder, a folder of wheels or a wheel",
        )
    found: list[Distribution] = []
    for folder in _site_folders(place):
        found += _installed(folder)
    found += [wheel(path, limits) for path in sorted(place.glob("*.whl"))]
    if not found:
        raise FileError(
            "no distribution is installed there, and there is no wheel",
            file=place,
            cure="name a virtual environment, a site-packages folder, a folder of wheels or a wheel",
        )
    return found


def _site_folders(place: Path) -> list[Path]:
    if not (place / "pyvenv.cfg").is_file():
        return [place]
    # lib64 is often a link to lib
    found: dict[Path, Path] = {}
    for pattern in ("lib/python3*/site-packages", "lib64/python3*/site-packages", "Lib/site-packages"):
        for folder in sorted(place.glob(pattern)):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _installed(folder: Path) -> Iterator[Distribution]:
    for found in importlib.metadata.distributions(path=[str(folder)]):
        location = getattr(found, "_path", None)
        name = _header(found, "Name")
        if not name or not isinstance(location, Path):
            continue  # the remains of one that was uninstalled
        yield Distribution(
            name=name,
            version=_header(found, "Version") or "0",
            requires=tuple(found.requires or ()),
            requires_python=_header(found, "Requires-Python"),
            place=folder,
            metadata=location.name,
            problem=_installed_problem(found),
        )


def _header(of: importlib.metadata.Distribution, name: str) -> str:
    # one that is not there: None up to 3.11, then a warning, later a KeyError, if it is asked for as by []
    try:
        metadata = of.metadata
    except FileNotFoundError:  # since 3.15; before, it was None or empty
        return ""
    values = metadata.get_all(name) if metadata is not None else None
    return str(values[0]) if values else ""


def _installed_problem(found: importlib.metadata.Distribution) -> str:
    try:
        direct = json.loads(found.read_text("direct_url.json") or "{}")
        editable = direct.get("dir_info", {}).get("editable", False)
    except (ValueError, AttributeError):
        editable = False
    if editable:
        return "is installed in editable mode: its modules are elsewhere"
    if found.files is None:
        return "has no list of its files (RECORD)"
    return ""


def wheel(path: Path, limits: Limits) -> Distribution:
    """Return the distribution in the wheel *path*; raises :class:`FileError` for one that is no wheel."""
    with read_archive(path, limits=limits) as archive:
        folders = sorted({name.partition("/")[0] for name in archive.names if ".dist-info/" in name})
        wanted = [f"{folder}/{name}" for folder in folders for name in ("METADATA", "WHEEL")]
        if len(folders) != 1 or not set(wanted) <= set(archive.names):
            raise FileError(
                "this is no wheel: there is not one .dist-info folder with METADATA and WHEEL",
                file=path,
                cure="name a wheel as pip downloads it; an archive of modules is a .zip",
            )
        metadata, about = (_headers(archive.read(name)) for name in wanted)
    name, version = metadata.get("Name", [""])[0], metadata.get("Version", [""])[0]
    if not name or not version:
        raise FileError("its METADATA has no name and version", file=path, cure="make the wheel anew")
    if about.get("Wheel-Version", ["1"])[0].partition(".")[0] != "1":
        raise UnsupportedError("this wheel is of a later format", file=path, cure="use a wheel of version 1")
    return Distribution(
        name=name,
        version=version,
        requires=tuple(metadata.get("Requires-Dist", ())),
        requires_python=metadata.get("Requires-Python", [""])[0],
        place=path,
        metadata=folders[0],
        tags=tuple(about.get("Tag", ())),
    )


def _headers(data: bytes) -> dict[str, list[str]]:
    message = email.parser.BytesHeaderParser().parsebytes(data)
    return {name: [str(value).strip() for value in message.get_all(name, ())] for name in message}


# ---- which of them ---------------------------------------------------------------------------------------


def needed_distributions(
    wanted: Sequence[str | Distribution],
    available: Iterable[Distribution],
    facts: Facts,
    *,
    dependencies: bool = True,
    tags: Callable[[Facts], frozenset[Tag]] = target_tags,
) -> Needed:
    """Return the *wanted* distributions, and those that they need, out of the *available* ones.

    *wanted* are requirements (PEP 508), or distributions themselves. The newest one that fits is taken. All
    that is missing or does not fit the target is in one error: :class:`UsageError` for what cannot be
    understood, else :class:`FileError`.
    """
    fits = tags(facts)
    by_key: dict[str, list[Distribution]] = {}
    for each in (*(item for item in wanted if isinstance(item, Distribution)), *available):
        by_key.setdefault(each.key, []).append(each)
    environment = marker_environment(facts)
    queue = [
        (Requirement(item.name), item.place.name) if isinstance(item, Distribution) else (_parsed(item), "")
        for item in wanted
    ]
    named = {item.key: item for item in wanted if isinstance(item, Distribution)}
    taken: dict[str, Distribution] = {}
    done: set[tuple[str, str]] = set()
    problems: dict[str, Problem] = {}
    notes: list[str] = []
    while queue:
        requirement, asked_by = queue.pop(0)
        key = canonical_name(requirement.name)
        if key not in taken:
            candidates = [named[key]] if key in named else by_key.get(key, [])
            chosen, problem = _choose(requirement, candidates, facts, fits)
            if chosen is None:
                why = f", which {asked_by} needs" if asked_by else ""
                problems.setdefault(key, Problem(f"{requirement}{why}: {problem}"))
                continue
            taken[key] = chosen
        chosen = taken[key]
        if not requirement.specifier.contains(chosen.version, prereleases=True):
            notes.append(f"{asked_by} asks for {requirement}, and {chosen.name} {chosen.version} is here")
        if not dependencies:
            continue
        for extra in ("", *sorted(requirement.extras)):
            if (key, extra) in done:
                continue
            done.add((key, extra))
            for text in chosen.requires:
                inner = _parsed(text, chosen)
                if _counts(inner.marker, environment, extra):
                    queue.append((inner, chosen.name))
    if problems:
        first, *others = problems.values()
        raise FileError(
            first.text,
            others=others,
            cure="install it where --from looks, or leave dependencies out (--no-deps)",
        )
    return Needed(tuple(taken[key] for key in sorted(taken)), tuple(dict.fromkeys(notes)))


def _parsed(text: str, of: Distribution | None = None) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        if of is None:
            raise UsageError(
                f"{text!r} is no requirement, such as requests or 'requests[socks]>=2'",
                cure="name a distribution, or for a path one with a / in it",
            ) from error
        raise FileError(
            f"{of.name} needs {text!r}, which is no requirement", file=of.place, cure="use --no-deps"
        ) from error


def _counts(marker: Marker | None, environment: Mapping[str, str], extra: str) -> bool:
    """Tell whether a requirement with *marker* counts for *extra*, and not without any."""
    if marker is None:
        return not extra
    plain = marker.evaluate({**environment, "extra": ""})
    return plain if not extra else not plain and marker.evaluate({**environment, "extra": extra})


def _choose(
    requirement: Requirement, candidates: Sequence[Distribution], facts: Facts, fits: frozenset[Tag]
) -> tuple[Distribution | None, str]:
    """Return the best of *candidates*, or None and why there is none."""
    if not candidates:
        return None, "it is not there"
    reasons = []
    for each in sorted(candidates, key=_version, reverse=True):
        reason = _misfit(requirement, each, facts, fits)
        if not reason:
            return each, ""
        reasons.append(
            f"{each.place.name}: {reason}" if each.tags else f"{each.name} {each.version} {reason}"
        )
    return None, "; ".join(dict.fromkeys(reasons))


def _version(distribution: Distribution) -> Version:
    try:
        return Version(distribution.version)
    except InvalidVersion:
        return Version("0")


def _misfit(requirement: Requirement, one: Distribution, facts: Facts, fits: frozenset[Tag]) -> str:
    if one.problem:
        return one.problem
    if one.tags and fits.isdisjoint(_tags(one.tags)):
        return f"this wheel is for {', '.join(one.tags[:3])}, not for {facts.name} on this machine"
    if one.tags and not requirement.specifier.contains(one.version, prereleases=True):
        return f"it is version {one.version}"
    try:
        runs = SpecifierSet(one.requires_python).contains(facts.version_text, prereleases=True)
    except InvalidSpecifier:
        runs = True
    return "" if runs else f"needs Python {one.requires_python}, and the target is {facts.version_text}"


def _tags(texts: Iterable[str]) -> Iterator[Tag]:
    for text in texts:
        parts = text.split("-")
        if len(parts) == 3:
            yield Tag(*parts)


# ---- their files -----------------------------------------------------------------------------------------


def files_of(distribution: Distribution, limits: Limits) -> Input:
    """Return the files of *distribution*, by where they go; what lies outside the site folder is left out."""
    from_wheel = distribution.place.is_file()
    found = _wheel_files(distribution, limits) if from_wheel else _installed_files(distribution)
    _, metadata = bundle_rules()
    kept = []
    left_out = []
    for file in found:
        folder, _, name = file.name.partition("/")
        reason = is_left_out(file.name)
        if file.name.startswith(("/", "../")):
            reason = "it lies outside the folder of modules: a script, or data for the whole system"
        elif folder == distribution.metadata and matches(name, metadata.names):
            reason = metadata.reason
        if reason is None:
            kept.append(file)
        else:
            left_out.append((file.shown, reason))
    return Input(tuple(kept), tuple(left_out))


def _wheel_files(distribution: Distribution, limits: Limits) -> Iterator[InputFile]:
    data = distribution.metadata.removesuffix(".dist-info") + ".data"
    for file in read_members(distribution.place, limits):
        name = file.name
        if name.startswith(f"{data}/"):
            kind, _, rest = name.removeprefix(f"{data}/").partition("/")
            name = rest if kind in ("purelib", "platlib") else f"../{kind}/{rest}"
        yield InputFile(name, file.shown, data=file.data, distribution=distribution.key)


def _installed_files(distribution: Distribution) -> Iterator[InputFile]:
    (found,) = (
        each
        for each in importlib.metadata.distributions(path=[str(distribution.place)])
        if getattr(each, "_path", Path()).name == distribution.metadata
    )
    for name in sorted({str(path) for path in found.files or ()}):
        path = distribution.place / name
        # RECORD names bytecode that pip made, and may no longer be there
        if is_left_out(name) is None and not path.is_file() and not name.startswith(("/", "../")):
            raise FileError(
                f"the RECORD of {distribution.name} names this file, which is not there",
                file=path,
                cure=f"install {distribution.name} again",
            )
        yield InputFile(name, str(path), path, distribution=distribution.key)
