"""What of the input goes into the archive, what beside it on disk, what is left out, and why; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zipstrap.archive import Rejection, name_problem
from zipstrap.data import matches
from zipstrap.errors import FileError, Problem, UnsupportedError, UsageError
from zipstrap.portable.archive_reader import name_conflicts

from .distributions import Distribution, canonical_name
from .inputs import InputFile
from .record import RECORD_NAME

__all__ = ["EXTENSIONS", "BundlePlan", "Selecting", "is_module", "modules_of", "plan_bundle"]

#: What becomes of extension modules: they lie on disk, in the archive, are an error, or are left out.
EXTENSIONS = ("disk", "archive", "refuse", "omit")

_BINARY = re.compile(r"\.(?:so|pyd|dll|dylib)$|\.so\.[0-9][0-9.]*$")
_MODULE_BINARY = re.compile(r"(?P<stem>[^./]+)(?P<suffix>(?:\.[^/]+)?\.(?:so|pyd))$")

_READ = Callable[[InputFile], bytes]


@dataclass(frozen=True, slots=True)
class Selecting:
    """What the user asked for: packages that lie *on_disk*, patterns to *exclude*, and *extensions*."""

    on_disk: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    extensions: str = "disk"


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """Where each file goes.

    *on_disk* has the reason for each top-level name that lies beside the archive; *suffixes* are the endings
    of the extension modules, and *archived* tells whether some are in the archive; *left_out* are pairs of a
    file, as people know it, and a reason.
    """

    archive: tuple[InputFile, ...]
    disk: tuple[InputFile, ...]
    on_disk: Mapping[str, str]
    suffixes: tuple[str, ...]
    archived: bool
    left_out: tuple[tuple[str, str], ...]


def is_module(name: str) -> bool:
    """Tell whether the file *name* is a source that can be imported: all its parts are words."""
    return name.endswith(".py") and all(part.isidentifier() for part in name.removesuffix(".py").split("/"))


def modules_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return what can be imported from the files *names*, by top-level names."""
    found = set()
    for name in names:
        match = _MODULE_BINARY.search(name)
        if is_module(name.removesuffix("c")) or (match is not None and match["stem"].isidentifier()):
            top, below, _ = name.partition("/")
            top = top if below else top.partition(".")[0]
            if top.isidentifier():
                found.add(top)
    return tuple(sorted(found))


def plan_bundle(
    files: Sequence[InputFile],
    distributions: Sequence[Distribution],
    selecting: Selecting,
    *,
    read: _READ,
    suffixes: Sequence[str],
    magic: str,
    target: str,
) -> BundlePlan:
    """Decide where each of *files* goes.

    *read* gives the content of a file; it is asked only where two have one name, and of bytecode without
    a source. *suffixes* are the endings of the target's extension modules, *magic* is the number of its
    bytecode, *target* its name. Raises :class:`FileError` for names that collide or that no archive can hold,
    :class:`UnsupportedError` for extension modules that the target cannot load, or that are refused, and
    :class:`UsageError` for what selects nothing.
    """
    left_out: list[tuple[str, str]] = []
    kept = list(_selected(files, selecting.exclude, left_out))
    kept = _without_duplicates(kept, read)
    kept = list(_without_stale(kept, read, magic, left_out))
    _check_names(kept)
    infos = {each.metadata for each in distributions}
    on_disk = _as_asked(kept, distributions, infos, selecting.on_disk)
    loose = [file for file in kept if _BINARY.search(file.name) and _top(file.name) not in on_disk]
    if selecting.extensions == "omit":
        left_out += [(file.shown, "extension modules are left out, as asked") for file in loose]
        gone = {file.name for file in loose}
        kept = [file for file in kept if file.name not in gone]
        loose = []
    elif selecting.extensions == "refuse" and loose:
        first, *others = (Problem("the system loads extension modules from files", f.shown) for f in loose)
        raise UnsupportedError(
            first.text,
            file=first.file,
            others=others,
            cure="let their packages lie beside the archive (--extensions disk), or leave them out "
            "(--extensions omit)",
        )
    archived = bool(loose) and selecting.extensions == "archive"
    for file in () if archived else loose:
        on_disk.setdefault(_top(file.name), f"the system loads binaries from files ({file.name})")
    on_disk.update(_metadata(kept, distributions, on_disk))
    disk = [file for file in kept if _top(file.name) in on_disk]
    used = _suffixes(kept, suffixes, target)
    return BundlePlan(
        archive=tuple(file for file in kept if _top(file.name) not in on_disk),
        disk=tuple(disk),
        on_disk=dict(sorted(on_disk.items())),
        suffixes=used,
        archived=archived,
        left_out=tuple(left_out),
    )


def _top(name: str) -> str:
    return name.partition("/")[0]


def _selected(
    files: Sequence[InputFile], exclude: Sequence[str], left_out: list[tuple[str, str]]
) -> Iterator[InputFile]:
    patterns = {pattern: (pattern, f"{pattern.rstrip('/')}/**") for pattern in exclude}
    unused = set(patterns)
    for file in files:
        fitting = [pattern for pattern, both in patterns.items() if matches(file.name, both)]
        unused.difference_update(fitting)
        if fitting:
            left_out.append((file.shown, f"--exclude {fitting[0]}"))
        elif file.name == RECORD_NAME:
            left_out.append((file.shown, "each bundle has a record of its own"))
        else:
            yield file
    if unused:
        raise UsageError(
            f"nothing has a name like {', '.join(sorted(unused))}",
            cure="give --exclude names as they are in the bundle, such as pkg/tests or **/*.md",
        )


def _without_duplicates(files: Sequence[InputFile], read: _READ) -> list[InputFile]:
    """Return *files* with one for each name; the same file of a shared namespace may come twice."""
    known: dict[str, InputFile] = {}
    problems = []
    for file in files:
        other = known.setdefault(file.name, file)
        if other is not file and other.shown != file.shown and read(other) != read(file):
            problems.append(
                Problem(f"has the name {file.name} in the bundle, and so has {other.shown}", file.shown)
            )
    _raise(problems, "leave one of them out (--exclude), or make two bundles")
    return list(known.values())


def _without_stale(
    files: Sequence[InputFile], read: _READ, magic: str, left_out: list[tuple[str, str]]
) -> Iterator[InputFile]:
    """Yield *files* without bytecode that has a source."""
    names = {file.name for file in files}
    problems = []
    for file in files:
        if file.name.endswith(".pyc"):
            if file.name.removesuffix("c") in names:
                left_out.append((file.shown, "bytecode is made anew for the target"))
                continue
            if read(file)[:4].hex() != magic:
                problems.append(
                    Problem("is bytecode of another Python, and its source is not here", file.shown)
                )
                continue
        yield file
    _raise(problems, "take the sources too, or leave it out (--exclude)")


def _check_names(files: Sequence[InputFile]) -> None:
    shown = {file.name: file.shown for file in files}
    problems = [
        Problem(f"its name in the bundle, {file.name!a}, {reason}", file.shown)
        for file in files
        if (reason := name_problem(file.name)) is not None
    ]
    for name in shown:
        package = name.removesuffix("/__init__.py")
        if package != name and f"{package}.py" in shown:
            problems.append(
                Problem(f"is one module with the package {shown[name]}: {package}", shown[f"{package}.py"])
            )
    problems += [
        Problem(problem, shown[name])
        for rule, name, problem in name_conflicts([name for name in shown if name_problem(name) is None])
        if rule is not Rejection.MODULE_AND_PACKAGE
    ]
    _raise(problems, "rename it, or leave one of them out (--exclude)")


def _raise(problems: Sequence[Problem], cure: str) -> None:
    if problems:
        raise FileError(problems[0].text, file=problems[0].file, others=problems[1:], cure=cure)


def _as_asked(
    files: Sequence[InputFile], distributions: Sequence[Distribution], infos: set[str], names: Sequence[str]
) -> dict[str, str]:
    """Return the top-level names that lie on disk because the user names them, or their distribution."""
    found: dict[str, str] = {}
    unknown = []
    keys = {each.key for each in distributions}
    for name in names:
        key = canonical_name(name)
        tops = {
            top
            for file in files
            if (top := _top(file.name)) not in infos
            and (name in (top, top.split(".")[0]) or (key in keys and file.distribution == key))
        }
        if not tops:
            unknown.append(name)
        found.update(dict.fromkeys(tops, f"--on-disk {name}"))
    if unknown:
        tops = {_top(file.name).split(".")[0] for file in files} - {info.split(".")[0] for info in infos}
        raise UsageError(
            f"nothing in the bundle is called {', '.join(unknown)}",
            cure=f"name a package, a module or a distribution of it, such as {sorted(tops)[0]}",
        )
    return found


def _metadata(
    files: Sequence[InputFile], distributions: Sequence[Distribution], on_disk: Mapping[str, str]
) -> dict[str, str]:
    """Return the metadata that lies on disk, with its distribution."""
    there = {file.distribution for file in files if _top(file.name) in on_disk and file.distribution}
    return {each.metadata: f"it belongs to {each.name}" for each in distributions if each.key in there}


def _suffixes(files: Sequence[InputFile], known: Sequence[str], target: str) -> tuple[str, ...]:
    """Return the endings of the extension modules in *files*.

    Those of another version beside one that fits do no harm; without it the package would not work.
    """
    fitting: set[str] = set()
    used: set[str] = set()
    foreign: dict[str, InputFile] = {}
    for file in files:
        match = _MODULE_BINARY.search(file.name)
        if match is None or not match["stem"].isidentifier():
            continue  # a shared library, which extension modules ask for
        place = file.name[: match.end("stem")]
        if match["suffix"] in known:
            fitting.add(place)
            used.add(match["suffix"])
        elif re.search(r"\.(?:cpython|cp[0-9]|abi3|pypy)", match["suffix"]):
            foreign.setdefault(place, file)
    problems = [
        Problem(f"is an extension module for another Python than {target}", file.shown)
        for place, file in foreign.items()
        if place not in fitting
    ]
    if problems:
        raise UnsupportedError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="take the package from an environment of the target's version, or leave extension modules "
            "out (--extensions omit)",
        )
    return tuple(sorted(used))
