"""Gather what witnesses say of a boot: from where each module came, in each start mode.

Three witnesses, which share no code: the probe asks the loaders from inside (``_in_target/boot_probe.py``),
the ``-v`` log of the same start says what the import system did (``verbose_log.py``), and strace, where
there is one, says which files the kernel opened (``kernel_log.py``). Nothing is judged here.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from zipstrap.worker import SCHEMA, clean_environment, last_line, worker_source

from .verbose_log import LogLoader, parse_verbose_log

__all__ = [
    "MADE",
    "MODES",
    "Boot",
    "BootModule",
    "Mode",
    "Origin",
    "ProbeFacts",
    "SeenExtension",
    "Sighting",
    "TreePaths",
    "Zlib",
    "agreed",
    "differing",
    "gather_boot",
    "gather_boots",
    "origin_of",
    "read_extensions",
    "read_log",
    "read_probe",
]

_Resolve = Callable[[str], str]
"""Maps a path to its real path: ``os.path.realpath`` on a host that has the tree, the identity in tests."""


class Origin(StrEnum):
    """Where a module came from, in the words of the project."""

    BUILTIN = "builtin"
    FROZEN = "frozen"
    ARCHIVE = "archive"
    DYNLOAD = "dynload"
    DIRECTORY = "directory"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to start an interpreter; *since* is the first version that has it."""

    name: str
    arguments: tuple[str, ...]
    since: tuple[int, int] = (3, 8)


#: ``-X frozen_modules=off`` makes the library's modules come from the archive which are frozen otherwise.
MODES = (
    Mode("plain", ()),
    Mode("-I", ("-I",)),
    Mode("-S", ("-S",)),
    Mode("-I -S", ("-I", "-S")),
    Mode("-E", ("-E",)),
    Mode("-X frozen_modules=off", ("-X", "frozen_modules=off"), (3, 11)),
)


@dataclass(frozen=True, slots=True)
class TreePaths:
    """The places of a staged tree: its root, ``pythonXY.zip``, ``lib/pythonX.Y`` and its ``lib-dynload``.

    *library_archive* is the archive that holds the library's modules, where it is another one.
    """

    root: Path
    archive: Path
    library: Path
    dynload: Path
    library_archive: Path | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one witness says of one module.

    *path* is as the interpreter said it: a file, a member of an archive or a folder in one; None for builtin
    and frozen modules, whose ``__file__`` proves nothing, and where the witness names no place. *alias_of* is
    the module's own name, where it is in sys.modules under another one too (``os.path``).
    """

    module: str
    origin: Origin
    path: str | None
    alias_of: str | None = None


@dataclass(frozen=True, slots=True)
class SeenExtension:
    """An extension module that was imported in a process of its own; *error* says why it could not be."""

    sighting: Sighting
    error: str | None


@dataclass(frozen=True, slots=True)
class Zlib:
    """Whether zlib could be imported after the boot, from where, and the shared objects that came with it."""

    sighting: Sighting | None
    error: str | None
    libraries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbeFacts:
    """What the probe saw of the process besides its modules.

    *libraries* are the shared objects mapped before anything but the boot was loaded; None where the system
    does not tell. *frozen_names* maps modules to the names under which they are frozen. *stdlib_dir* is
    ``sys._stdlib_dir`` (3.11+).
    """

    version: tuple[int, ...]
    executable: str | None
    sys_path: tuple[str, ...]
    prefix: str
    exec_prefix: str
    base_prefix: str
    base_exec_prefix: str
    stdlib_dir: str | None
    flags: Mapping[str, int | bool | None]
    meta_path: tuple[str, ...]
    path_hooks: tuple[str, ...]
    libraries: tuple[str, ...] | None
    frozen_names: Mapping[str, str]
    zlib: Zlib


_Status = Literal["ran", "failed", "not run"]


@dataclass(frozen=True, slots=True)
class Boot:
    """One start mode and what the witnesses say of it.

    *reason* says why a boot failed or was not run, and is empty when it ran. *returncode* is negative for a
    signal, and None when there is none. *stderr* holds the log, and what else was printed. *opened* are the
    real paths of the files that the kernel saw opened; None when strace was not run, and *opened_reason* says
    why. *quiet* is what the probe says in a start of its own without ``-v``, by which code could tell that it
    is watched; None when there was none, and *quiet_failure* says why, if it was tried.
    """

    mode: Mode
    status: _Status
    reason: str = ""
    returncode: int | None = None
    stderr: str = ""
    probe: tuple[Sighting, ...] = ()
    log: tuple[Sighting, ...] = ()
    opened: tuple[str, ...] | None = None
    opened_reason: str = "not asked for"
    facts: ProbeFacts | None = None
    quiet: tuple[Sighting, ...] | None = None
    quiet_failure: str = ""


@dataclass(frozen=True, slots=True)
class BootModule:
    """What the probe and the log say together of one module.

    *origin* is the probe's and *log* the log's; None with a *reason* where a witness does not name it.
    *agree* is true when both say the same, and when the log is known not to see this module.
    """

    module: str
    origin: Origin | None
    log: Origin | None
    agree: bool
    reason: str
    path: str | None


#: Modules that no ``-v`` log names, and why (CPython ``Python/pylifecycle.c``, pycore_interp_init).
_UNLOGGED = {
    "sys": "made by the C runtime before there is a log",
    "builtins": "made by the C runtime before there is a log",
}

#: typing makes these itself, from no file (up to 3.12)
MADE = frozenset({"typing.io", "typing.re"})

# A class's module is told under either name; importlib renames its modules when it is imported.
_BOOTSTRAP = ("_frozen_importlib", "_frozen_importlib_external", "importlib._bootstrap")
_KINDS = {
    "BuiltinImporter": LogLoader.BUILTIN,
    "FrozenImporter": LogLoader.FROZEN,
    "ExtensionFileLoader": LogLoader.EXTENSION,
}


def origin_of(
    kind: LogLoader, path: str | None, tree: TreePaths, *, resolve: _Resolve = os.path.realpath
) -> Origin:
    """Return the origin of a module that a loader of *kind* took from *path*.

    A builtin or frozen module is that whatever its path says. The rest is decided by the real path alone:
    a module without one has not been shown to come from the tree, and is foreign. An archive in the tree
    which is not *the* archive counts as a directory.
    """
    if kind is LogLoader.BUILTIN:
        return Origin.BUILTIN
    if kind is LogLoader.FROZEN:
        return Origin.FROZEN
    if path is None:
        return Origin.FOREIGN
    real = resolve(path)
    archives = (tree.archive, tree.library_archive or tree.archive)
    if any(_within(real, resolve(str(archive))) for archive in archives):
        return Origin.ARCHIVE
    if kind is LogLoader.EXTENSION and _within(real, resolve(str(tree.dynload))):
        return Origin.DYNLOAD
    if any(_within(real, resolve(str(place))) for place in (tree.root, tree.library, tree.dynload)):
        return Origin.DIRECTORY
    return Origin.FOREIGN


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)


def read_probe(
    answer: Mapping[str, Any], tree: TreePaths, *, resolve: _Resolve = os.path.realpath
) -> tuple[tuple[Sighting, ...], ProbeFacts]:
    """Turn the probe's *answer* into sightings in boot order, and facts. Pure but for *resolve*.

    Raises KeyError, TypeError or AttributeError for an answer that is not the probe's.
    """
    resolve = functools.cache(resolve)
    modules: list[dict[str, Any]] = answer["modules"]
    zlib = answer["zlib"]
    libraries = answer["libraries"]
    facts = ProbeFacts(
        version=tuple(answer["version"]),
        executable=answer["executable"],
        sys_path=tuple(answer["path"]),
        prefix=answer["prefix"],
        exec_prefix=answer["exec_prefix"],
        base_prefix=answer["base_prefix"],
        base_exec_prefix=answer["base_exec_prefix"],
        stdlib_dir=answer["stdlib_dir"],
        flags=dict(answer["flags"]),
        meta_path=tuple(answer["meta_path"]),
        path_hooks=tuple(answer["path_hooks"]),
        libraries=None if libraries is None else tuple(libraries),
        frozen_names={module["name"]: module["frozen_name"] for module in modules if module["frozen_name"]},
        zlib=Zlib(
            None if zlib["module"] is None else _sight(zlib["module"], tree, resolve),
            zlib["error"],
            tuple(zlib["libraries"]),
        ),
    )
    return tuple(_sight(module, tree, resolve) for module in modules), facts


def read_extensions(
    answer: Mapping[str, Any], tree: TreePaths, *, resolve: _Resolve = os.path.realpath
) -> tuple[SeenExtension, ...]:
    """Turn the *answer* of ``_in_target/extension_probe.py`` into what was seen. Pure but for *resolve*.

    Raises KeyError, TypeError or AttributeError for an answer that is not the probe's.
    """
    resolve = functools.cache(resolve)
    return tuple(
        SeenExtension(_sight(module, tree, resolve), module["error"]) for module in answer["modules"]
    )


def _sight(module: Mapping[str, Any], tree: TreePaths, resolve: _Resolve) -> Sighting:
    kind = LogLoader.OTHER
    for base in module["loader"]:
        place, _, name = base.rpartition(".")
        if place.startswith(_BOOTSTRAP) and name in _KINDS:
            kind = _KINDS[name]
            break
    path: str | None = None
    if kind not in (LogLoader.BUILTIN, LogLoader.FROZEN):
        stated = (module["origin"], module["file"], *(module["search"] or ()), module["archive"])
        path = next((text for text in stated if text and os.sep in text), None)
        # a loader that reads an archive is believed about the archive rather than about the member's name
        archive = module["archive"]
        if archive and path and not _within(path, archive):
            library = str(tree.library)
            # our importer names modules as if they were unpacked
            path = f"{archive}{path[len(library) :]}" if _within(path, library) else archive
    name, own = module["name"], module["spec_name"]
    return Sighting(name, origin_of(kind, path, tree, resolve=resolve), path, own if own != name else None)


def read_log(text: str, tree: TreePaths, *, resolve: _Resolve = os.path.realpath) -> tuple[Sighting, ...]:
    """Turn the text of a ``-v`` log into sightings in boot order. Pure but for *resolve*; never raises."""
    resolve = functools.cache(resolve)
    return tuple(
        Sighting(
            entry.module,
            origin_of(entry.loader, entry.path, tree, resolve=resolve),
            _handed_over(entry.module, entry.path, tree),
        )
        for entry in parse_verbose_log(text).entries
    )


def _handed_over(module: str, path: str | None, tree: TreePaths) -> str | None:
    """Return *path*; for the shim of ``encodings``, as 3.8 and 3.9 log it, the package that it becomes."""
    shim = module == "encodings" and path is not None and _within(path, str(tree.archive))
    return f"{tree.library_archive}/encodings" if shim and tree.library_archive is not None else path


def agreed(boot: Boot) -> tuple[BootModule, ...]:
    """Pair what the probe and the log say of each module, in boot order; what only the log names comes last.

    They agree when the origins are the same and neither path contradicts the other: the log may name just
    the folder in the archive. A name that was loaded twice (a sitecustomize that ran the next one) is in the
    log twice, and in sys.modules once.
    """
    log: dict[str, list[Sighting]] = {}
    for sighting in boot.log:
        log.setdefault(sighting.module, []).append(sighting)
    named = {sighting.module for sighting in boot.probe}
    pairs: list[BootModule] = []
    for seen in boot.probe:
        others = log.get(seen.module, [])
        reason = ""
        if not others and seen.alias_of is not None:
            others = log.get(seen.alias_of, [])
            reason = f"logged as {seen.alias_of}"
        if not others:
            known = _UNLOGGED.get(seen.module)
            reason = known or "the log does not name it"
            pairs.append(BootModule(seen.module, seen.origin, None, known is not None, reason, seen.path))
            continue
        other = next((entry for entry in others if _agree(seen, entry)), others[-1])
        agree = _agree(seen, other)
        if not agree:
            reason = f"the probe says {_say(seen)}, the log says {_say(other)}"
        pairs.append(BootModule(seen.module, seen.origin, other.origin, agree, reason, seen.path))
    pairs.extend(
        BootModule(
            other.module, None, other.origin, agree=False, reason="only the log names it", path=other.path
        )
        for other in boot.log
        if other.module not in named
    )
    return tuple(pairs)


def differing(boot: Boot) -> tuple[tuple[str, str], ...]:
    """Return the modules of which the probe says something else without ``-v``, and what."""
    if boot.quiet is None:
        return ()
    loud, quiet = ({seen.module: seen for seen in each} for each in (boot.probe, boot.quiet))
    found = []
    for module in dict.fromkeys((*loud, *quiet)):
        seen, other = loud.get(module), quiet.get(module)
        if seen is None and other is not None:
            found.append((module, f"loaded only without -v: {_say(other)}"))
        elif seen is not None and other is None:
            found.append((module, f"not loaded without -v; with it {_say(seen)}"))
        elif seen is not None and other is not None and seen != other:
            found.append((module, f"differs without -v: {_say(other)}, with it {_say(seen)}"))
    return tuple(found)


def _agree(seen: Sighting, other: Sighting) -> bool:
    if seen.origin is not other.origin:
        return False
    return seen.path is None or other.path is None or _within(seen.path, other.path.rstrip(os.sep))


def _say(sighting: Sighting) -> str:
    if sighting.path is not None:
        return f"{sighting.origin} ({sighting.path})"
    return "foreign (it names no place)" if sighting.origin is Origin.FOREIGN else sighting.origin.value


@dataclass(frozen=True, slots=True)
class _Run:
    """A process that has ended: *failure* is empty when its exit status was 0."""

    returncode: int | None
    stderr: str
    failure: str


_ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b|^Fatal Python error")


def _run(command: Sequence[str], *, environ: Mapping[str, str] | None, folder: Path, timeout: float) -> _Run:
    # a file, not a pipe: it writes the log piece by piece, and each would wake the reader
    with tempfile.TemporaryFile(buffering=0) as printed:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=printed,
                env=clean_environment(environ),
                cwd=folder,
                process_group=0 if os.name == "posix" else None,
            )
        except OSError as error:
            return _Run(None, "", f"it cannot be run: {error.strerror or error}")
        late = False
        with process:
            try:
                # nothing is expected on stdout but its end
                process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                late = True
                _end(process)
                process.communicate()
            except BaseException:
                _end(process)
                raise
        printed.seek(0)
        output = printed.read()
    if late:
        return _Run(None, os.fsdecode(output), f"no end after {timeout:g} s")
    status = process.returncode
    failure = f"{_say_status(status)}: {_last_words(output)}" if status else ""
    return _Run(status, os.fsdecode(output), failure)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group: strace, when killed, leaves what it traced running, and holding the pipe."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _say_status(returncode: int) -> str:
    if returncode > 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _last_words(stderr: bytes) -> str:
    """Return the last line that states an error; a fatal error at start ends with an empty call stack."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if _ERROR_LINE.search(line)), last_line(stderr))


def gather_boot(
    executable: Path,
    version: tuple[int, int],
    mode: Mode,
    tree: TreePaths,
    *,
    environ: Mapping[str, str] | None = None,
    kernel: bool = False,
    timeout: float = 60.0,
) -> Boot:
    """Start *executable* in *mode*, with the probe and the log on, and with *kernel* once more under strace.

    The mode without arguments is probed once more without the log.

    *environ* (default: that of this process) is cleaned of what moves a start; *timeout* is in seconds, for
    each process. Never raises for what the interpreter does: a crash, a timeout and an executable that cannot
    be run are failed boots. The processes run in an empty folder, because ``-c`` puts it on sys.path, and
    with ``-B``, so that nothing is written into the tree. Raises OSError if there is no room for an answer.
    """
    if version < mode.since:
        first = ".".join(map(str, mode.since))
        return Boot(
            mode,
            "not run",
            f"{mode.name} exists from {first}",
            opened_reason=f"{mode.name} exists from {first}",
        )
    # not resolved: through which link an interpreter is started decides where it looks
    start = [str(executable.absolute()), *mode.arguments, "-B"]
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as name:
        folder = Path(name, "empty")
        folder.mkdir()
        answer_file = Path(name, "answer.json")
        run = functools.partial(_run, environ=environ, folder=folder, timeout=timeout)
        asking = ("-c", worker_source("boot_probe"))
        probed = run([*start, "-v", *asking, str(answer_file)])
        sightings, facts = _answered(answer_file, tree)
        failure = probed.failure or _no_answer(facts)
        quiet, quiet_failure = None, ""
        if not mode.arguments and not failure:
            quiet_file = Path(name, "quiet.json")
            again = run([*start, *asking, str(quiet_file)])
            quiet, quiet_facts = _answered(quiet_file, tree)
            if quiet_failure := again.failure or _no_answer(quiet_facts):
                quiet = None
        opened, opened_reason = None, "not asked for"
        if kernel:
            opened, opened_reason = _ask_kernel(start, Path(name, "kernel.log"), run)
    return Boot(
        mode=mode,
        status="failed" if failure else "ran",
        reason=failure,
        returncode=probed.returncode,
        stderr=probed.stderr,
        probe=sightings,
        log=read_log(probed.stderr, tree),
        opened=opened,
        opened_reason=opened_reason,
        facts=facts,
        quiet=quiet,
        quiet_failure=quiet_failure,
    )


def _answered(path: Path, tree: TreePaths) -> tuple[tuple[Sighting, ...], ProbeFacts | None]:
    try:
        answer = json.loads(path.read_bytes())
        if (answer["worker"], answer["schema"]) == ("boot_probe", SCHEMA):
            return read_probe(answer, tree)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass
    return (), None


def _no_answer(facts: ProbeFacts | None) -> str:
    return "exit status 0, and no answer that the protocol knows" if facts is None else ""


def _ask_kernel(
    start: Sequence[str], log: Path, run: Callable[[list[str]], _Run]
) -> tuple[tuple[str, ...] | None, str]:
    from .kernel_log import STRACE_OPTIONS, parse_kernel_log  # its patterns are for --kernel alone

    strace = shutil.which("strace")
    if strace is None:
        return None, "not run: there is no strace"
    traced = run([strace, *STRACE_OPTIONS, "-o", str(log), "--", *start, "-c", "pass"])
    try:
        seen = parse_kernel_log(os.fsdecode(log.read_bytes()))
    except OSError:
        seen = parse_kernel_log("")
    if not seen.executed:
        # strace may be there and tracing forbidden, as in many containers
        return None, f"not run: strace saw no start ({traced.failure or 'it wrote nothing'})"
    return seen.opened, ""


def gather_boots(
    executable: Path,
    version: tuple[int, int],
    tree: TreePaths,
    *,
    modes: Sequence[Mode] = MODES,
    environ: Mapping[str, str] | None = None,
    kernel: bool = False,
    timeout: float = 60.0,
    jobs: int = 2,
    why_not: Callable[[Mode], str] = lambda _mode: "",
) -> tuple[Boot, ...]:
    """Gather a boot for each of *modes*, in their order, *jobs* at a time. See :func:`gather_boot`.

    A mode for which *why_not* gives a reason is not run.
    """

    def gather(mode: Mode) -> Boot:
        if reason := why_not(mode):
            return Boot(mode, "not run", reason, opened_reason=reason)
        return gather_boot(
            executable, version, mode, tree=tree, environ=environ, kernel=kernel, timeout=timeout
        )

    if jobs <= 1:
        return tuple(gather(mode) for mode in modes)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return tuple(pool.map(gather, modes))
