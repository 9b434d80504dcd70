"""What an application imports and opens of its library: the trace that ``zipstrap trace`` writes.

A trace names modules and files of the library, and no path of the machine it was made on, but for the
command lines. :func:`make_trace` makes one of a recording, :func:`merge` one of several.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import __version__
from .data import boot_modules, matches, record_of
from .errors import FileError, Problem, UsageError
from .interpreter import Facts
from .recorder import Process, Recording

__all__ = [
    "OtherInterpreter",
    "Trace",
    "TraceTarget",
    "TracedCommand",
    "TracedModule",
    "UnseenProcess",
    "check_traces",
    "is_of",
    "load_trace",
    "main_process",
    "make_trace",
    "merge",
    "trace_to_json",
]

_SCHEMA = 1
_MADE_BY = "zipstrap "
_CURE = "name a file that zipstrap trace wrote"

#: where a module comes from; of several processes the first of these counts
_ORIGINS: tuple[str, ...] = ("library", "frozen", "builtin", "application")

#: asked for by each start, and nearly nowhere there
_CUSTOMIZE = frozenset({"sitecustomize", "usercustomize"})
_SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class TraceTarget:
    """What a trace is of: modules differ between versions and systems."""

    name: str
    version: tuple[int, int, int]
    platform: str
    machine: str
    free_threaded: bool


@dataclass(frozen=True, slots=True)
class TracedCommand:
    """A command that was run, with its exit status."""

    arguments: tuple[str, ...]
    status: int


@dataclass(frozen=True, slots=True)
class TracedModule:
    """A module that was loaded; *start* tells that each start loads it, before the program's first line."""

    name: str
    #: library, frozen, builtin or application
    origin: str
    start: bool


@dataclass(frozen=True, slots=True)
class UnseenProcess:
    """The beginning of a command line of an interpreter of which nothing was recorded, and why."""

    command: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class OtherInterpreter:
    """Another interpreter than the target, of which *processes* ran; what they imported does not count."""

    name: str
    executable: str
    processes: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What was seen of one or several commands."""

    made_by: str
    target: TraceTarget
    commands: tuple[TracedCommand, ...]
    processes: int
    modules: tuple[TracedModule, ...]
    #: below the library's folder, without the sources of modules
    files: tuple[str, ...]
    #: what import statements asked for and nobody had
    missing: tuple[str, ...]
    unseen: tuple[UnseenProcess, ...]
    others: tuple[OtherInterpreter, ...]

    @property
    def of_library(self) -> frozenset[str]:
        """The modules that the target has by itself."""
        return frozenset(module.name for module in self.modules if module.origin != "application")

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the library was loaded but what each start loads, of -c and -m too."""
        return not self.files and not any(
            module.origin != "application" and not module.start and not matches(module.name, boot_modules())
            for module in self.modules
        )


def main_process(recording: Recording) -> Process | None:
    """Return the process that tells which interpreter the application runs on; None if there is none.

    It is the command itself, or, where that is no Python, one of the interpreter that most processes ran.
    """
    for process in recording.processes:
        if process.pid == recording.pid:
            return process
    counts = collections.Counter(_identity(process) for process in recording.processes)
    return max(
        recording.processes,
        key=lambda process: (counts[_identity(process)], process.executable),
        default=None,
    )


def _identity(process: Process) -> tuple[str, str]:
    return process.build, process.library


def is_of(process: Process, facts: Facts) -> bool:
    """Tell whether *process* ran the interpreter that *facts* are of, in a virtual environment perhaps."""
    return (
        process.implementation == facts.implementation
        and process.version == facts.version
        and os.path.realpath(process.prefix) == os.path.realpath(facts.prefix)
    )


def make_trace(recording: Recording, facts: Facts) -> Trace:
    """Return what the processes of *recording* that ran the interpreter of *facts* imported and opened."""
    ours = [process for process in recording.processes if is_of(process, facts)]
    roots = _roots(facts)
    later: dict[str, str] = {}
    start: dict[str, str] = {}
    for process in ours:
        for found, places in ((start, process.start), (later, process.modules)):
            for name, place in places.items():
                origin = _origin(place, roots)
                found[name] = min(origin, found.get(name, origin), key=_ORIGINS.index)
    names = sorted({*start, *later})
    modules = tuple(
        TracedModule(
            name,
            min((found[name] for found in (start, later) if name in found), key=_ORIGINS.index),
            name not in later,
        )
        for name in names
    )
    tried = {name for process in ours for name in process.tried}
    # the last built-in module of a process may leave no trace
    tried -= {*names, *_CUSTOMIZE, *facts.builtin_modules}
    inner = {_inner(path, roots) for process in ours for path in process.files}
    sources = {f"{name.replace('.', '/')}{end}" for name in names for end in (".py", "/__init__.py")}
    others = collections.Counter(
        (_name(process), process.executable) for process in recording.processes if process not in ours
    )
    return Trace(
        made_by=f"{_MADE_BY}{__version__}",
        target=TraceTarget(
            facts.name, facts.version, facts.platform, facts.machine, free_threaded=facts.free_threaded
        ),
        commands=(TracedCommand(recording.command, recording.status),),
        processes=len(ours),
        modules=modules,
        files=tuple(sorted(path for path in inner if path is not None and path not in sources)),
        missing=tuple(sorted(name for name in tried if not any(up in tried for up in _parents(name)))),
        unseen=tuple(
            sorted(
                {
                    UnseenProcess(words, reason)
                    for process in recording.processes
                    for reason, words in process.unseen
                },
                key=lambda each: (each.reason, each.command),
            )
        ),
        others=tuple(OtherInterpreter(*which, count) for which, count in sorted(others.items())),
    )


def _name(process: Process) -> str:
    version = ".".join(map(str, process.version))
    return f"CPython {version}" if process.implementation == "cpython" else process.build.replace("\n", " ")


def _parents(name: str) -> Iterable[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _roots(facts: Facts) -> tuple[str, ...]:
    """Return the folders and archives that the library's modules are in, longest first."""
    there = {facts.library, *facts.search_path}
    return tuple(
        sorted(
            {*there, *(os.path.realpath(path) for path in there)} - {""}, key=lambda path: (-len(path), path)
        )
    )


def _inner(path: str, roots: Sequence[str]) -> str | None:
    """Return *path* below the library's folder; None for what lies elsewhere, or among packages."""
    for root in roots:
        if path.startswith(root + "/"):
            inner = path[len(root) + 1 :]
            if inner.partition("/")[0] in _SITE_FOLDERS:
                return None
            return f"lib-dynload/{inner}" if root.endswith("/lib-dynload") else inner
    return None


def _origin(place: str, roots: Sequence[str]) -> str:
    if place in ("built-in", "frozen"):
        return "builtin" if place == "built-in" else "frozen"
    inside = _inner(place, roots) is not None or _inner(os.path.realpath(place), roots) is not None
    return "library" if inside else "application"


def merge(traces: Sequence[Trace]) -> Trace:
    """Return what *traces*, of one version, saw together. Pure."""
    first, *rest = traces
    for other in rest:
        first = _merge(first, other)
    return first


def _merge(one: Trace, other: Trace) -> Trace:
    modules: dict[str, TracedModule] = {}
    for module in (*one.modules, *other.modules):
        known = modules.setdefault(module.name, module)
        modules[module.name] = TracedModule(
            module.name,
            min(known.origin, module.origin, key=_ORIGINS.index),
            known.start and module.start,
        )
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for each in (*one.others, *other.others):
        counts[each.name, each.executable] += each.processes
    return dataclasses.replace(
        one,
        commands=(*one.commands, *other.commands),
        processes=one.processes + other.processes,
        modules=tuple(modules[name] for name in sorted(modules)),
        files=tuple(sorted({*one.files, *other.files})),
        missing=tuple(sorted({*one.missing, *other.missing} - set(modules))),
        unseen=tuple(sorted({*one.unseen, *other.unseen}, key=lambda each: (each.reason, each.command))),
        others=tuple(OtherInterpreter(*which, count) for which, count in sorted(counts.items())),
    )


def trace_to_json(trace: Trace) -> str:
    """Return *trace* as a JSON text that :func:`load_trace` reads back."""
    return json.dumps({"schema_version": _SCHEMA, **dataclasses.asdict(trace)}, indent=1) + "\n"


def load_trace(path: Path) -> Trace:
    """Read a trace; raises :class:`FileError` for a file that is missing, or is none of this version."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", file=path, cure=_CURE) from error
    try:
        return _trace(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FileError(
            f"is not a trace of this zipstrap ({type(error).__name__}: {error})", file=path, cure=_CURE
        ) from error


def _trace(values: Any) -> Trace:
    schema, made_by = values["schema_version"], values["made_by"]
    if schema != _SCHEMA or not made_by.startswith(_MADE_BY):
        raise ValueError(f"schema_version {schema!r}, made by {made_by!r}")
    parts: Mapping[str, type] = {
        "commands": TracedCommand,
        "modules": TracedModule,
        "unseen": UnseenProcess,
        "others": OtherInterpreter,
    }
    trace = record_of(
        Trace,
        values,
        target=record_of(TraceTarget, values["target"]),
        **{name: tuple(record_of(kind, each) for each in values[name]) for name, kind in parts.items()},
    )
    strange = [module.origin for module in trace.modules if module.origin not in _ORIGINS]
    if strange:
        raise ValueError(f"there is no origin {strange[0]!r}")
    return trace


def check_traces(traces: Mapping[str, Trace], facts: Facts) -> None:
    """Raise :class:`UsageError` unless *traces*, by file, can make a profile for the target of *facts*. Pure.

    A patch release has the same modules, so only the feature version counts, and the system.
    """
    problems: list[Problem] = []
    for file, trace in traces.items():
        target = trace.target
        if (target.version[:2], target.platform) != (facts.feature_version, facts.platform):
            problems.append(
                Problem(
                    f"is a trace of {target.name} on {target.platform}, and the target is {facts.name} "
                    f"on {facts.platform}",
                    file,
                )
            )
        elif trace.is_empty:
            problems.append(Problem("holds no module beyond those that each start imports", file))
    if problems:
        raise UsageError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure="trace the application on the interpreter that is packed: "
            f"zipstrap trace --python {'.'.join(map(str, facts.feature_version))} -- COMMAND",
        )
