"""The judging half of verify: pure functions from evidence to findings, one for each check."""

from __future__ import annotations

import dataclasses
import itertools
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipstrap.compress import logical_name
from zipstrap.data import checks
from zipstrap.layout import path_file_text
from zipstrap.manifest import MANIFEST_NAME

from .boots import MADE, Boot, BootModule, Origin, differing
from .evidence import Evidence, Writable

__all__ = ["CheckResult", "Finding", "judge"]

#: the head of a .pyc in bytes, and the flags of unchecked-hash bytecode (PEP 552)
_HEAD = 16
_UNCHECKED = 1

#: these stay frozen whatever -X frozen_modules says: the import system starts from them
_ALWAYS_FROZEN = frozenset({"_frozen_importlib", "_frozen_importlib_external", "zipimport"})

#: lib/python3.13/lib-dynload, python3.13t, Debian's python3/dist-packages
_PYTHON_FOLDER = re.compile(r"/python3(\.\d+t?)?/")
_SITE_FOLDER = re.compile(r"/(site|dist)-packages/")
_STEERS = re.compile(r"python3\d*t?\.zip|.*\._pth|pyvenv\.cfg")
_SHARED = re.compile(r"\.so(\.|$)")

#: sys.meta_path and sys.path_hooks of every CPython from 3.8 to 3.15 (measured); importlib, once imported,
#: gives the frozen ones other names
_IMPORTERS = frozenset(
    {
        "zipimport.zipimporter",
        *(f"{place}.{name}" for place in ("_frozen_importlib", "importlib._bootstrap")
          for name in ("BuiltinImporter", "FrozenImporter")),
        *(f"{place}.{name}" for place in ("_frozen_importlib_external", "importlib._bootstrap_external")
          for name in ("PathFinder", "FileFinder.path_hook.<locals>.path_hook_for_FileFinder")),
    }
)  # fmt: skip

#: the hook of our own importer, in the layouts that have one
_OWN_IMPORTER = "importlib._zipstrap.path_hook"

#: the finder that tells of modules a tree leaves out, in the layouts without our importer; before and after
#: it was first asked
_OWN_FINDERS = ("sitecustomize._find_absent", "zipstrap_absent.find_spec")

#: what an import in a script would find beside it
_IMPORTABLE = (".py", ".pyc", ".so")

#: what every start runs, if it is there: several may be, and the user may have one
_CUSTOMIZE = frozenset({"sitecustomize", "usercustomize"})

_NEEDED_ENCODINGS = ("encodings/__init__", "encodings/aliases", "encodings/utf_8")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong; *paths* are the tree's files it is about, *modes* those whose mode it is.

    A path that ends in a slash stands for all that was in the folder.
    """

    text: str
    paths: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of a check.

    *status* is ``passed``, ``failed``, ``warned``, ``consequence`` (its findings follow from other checks',
    which *reason* names and *because* lists) or ``not run``, with the reason. *unseen* is true where that is
    because something could not be looked at, rather than because the check does not apply.
    """

    code: str
    status: str
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    because: tuple[str, ...] = ()
    unseen: bool = False


class _NotRun(Exception):  # noqa: N818 - it is no error
    """A check that does not apply, or that cannot be judged, with the reason."""


class _Unseen(_NotRun):
    """A check that cannot be judged because what it judges could not be looked at."""


_Judge = Callable[[Evidence], Iterable[Finding]]
_JUDGES: dict[str, _Judge] = {}


def judge(evidence: Evidence) -> tuple[CheckResult, ...]:
    """Judge *evidence* by every check; what follows from another finding is told apart. Pure."""
    raw = {code: _result(code, evidence) for code in checks()}
    found = [code for code, result in raw.items() if result.findings and code != "ZS209"]
    raw["ZS209"] = _explained(raw["ZS209"], [raw[code] for code in found], found)
    return tuple(_placed(raw[code], found) for code in checks())


def _result(code: str, evidence: Evidence) -> CheckResult:
    try:
        findings = tuple(_JUDGES[code](evidence))
    except _NotRun as reason:
        return CheckResult(code, "not run", reason=str(reason), unseen=isinstance(reason, _Unseen))
    status = "passed" if not findings else "failed" if checks()[code].severity == "error" else "warned"
    return CheckResult(code, status, findings)


def _explained(changed: CheckResult, others: Sequence[CheckResult], found: Sequence[str]) -> CheckResult:
    """Tell apart the changed files that another check tells more of; they follow from its finding."""
    paths: dict[str, str] = {}
    modes: dict[str, str] = {}
    for result in others:
        for finding in result.findings:
            paths |= dict.fromkeys(finding.paths, result.code)
            modes |= dict.fromkeys(finding.modes, result.code)

    def cause(finding: Finding) -> str | None:
        for path in finding.paths:
            for place in (path, *(f"{parent}/" for parent in _parents(path))):
                if place in paths:
                    return paths[place]
        return next((modes[path] for path in finding.modes if path in modes), None)

    kept = tuple(finding for finding in changed.findings if cause(finding) is None)
    if kept or not changed.findings:
        return dataclasses.replace(changed, findings=kept)
    causes = {code for finding in changed.findings if (code := cause(finding))}
    return _follows(changed, sorted(set().union(*(_roots(code, found) for code in causes))))


def _placed(result: CheckResult, found: Sequence[str]) -> CheckResult:
    if not result.findings or result.because:
        return result
    causes = _roots(result.code, found)
    return result if causes == {result.code} else _follows(result, sorted(causes))


def _roots(code: str, found: Sequence[str]) -> set[str]:
    """Return which of the codes *found* come first on the way to *code*; itself when nothing masks it."""
    masking = [other for other in found if code in checks()[other].masks]
    return set().union(*(_roots(other, found) for other in masking)) if masking else {code}


def _follows(result: CheckResult, causes: Sequence[str]) -> CheckResult:
    reason = f"follows from {', '.join(causes)}"
    return CheckResult(result.code, "consequence", result.findings, reason, tuple(causes))


def _check(code: str) -> Callable[[_Judge], _Judge]:
    def register(function: _Judge) -> _Judge:
        _JUDGES[code] = function
        return function

    return register


# ---- the tree's files ------------------------------------------------------------------------------------


@_check("ZS101")
def _archive_missing(evidence: Evidence) -> Iterator[Finding]:
    layout = evidence.layout
    for path in dict.fromkeys((layout.archive, layout.library_archive)):
        if path == layout.library_archive:
            missing = evidence.archive is None and evidence.archive_problem is None
        else:
            missing = path not in evidence.files
        if missing:
            yield Finding(f"there is no archive at {path}", (path,))


@_check("ZS102")
def _landmark_missing(evidence: Evidence) -> Iterator[Finding]:
    landmarks = [landmark for landmark in evidence.layout.landmarks if not landmark.is_folder]
    if not landmarks:
        raise _NotRun("from 3.11 on the archive itself is the landmark")
    for landmark in landmarks:
        seen = evidence.files.get(landmark.path)
        if seen is None or "file" not in (seen.kind, seen.leads_to):
            yield Finding(f"{landmark.path} is missing", (landmark.path,))


@_check("ZS103")
def _dynload_missing(evidence: Evidence) -> Iterator[Finding]:
    for landmark in evidence.layout.landmarks:
        seen = evidence.files.get(landmark.path)
        if landmark.is_folder and (seen is None or "folder" not in (seen.kind, seen.leads_to)):
            yield Finding(f"{landmark.path} is missing", (landmark.path, f"{landmark.path}/"))


@_check("ZS104")
def _archive_elsewhere(evidence: Evidence) -> Iterator[Finding]:
    if evidence.target.feature_version < (3, 11):
        raise _NotRun("before 3.11 an archive is no landmark")
    if evidence.layout.path_files:
        raise _NotRun("a ._pth file says where the archive is, and none is searched for")
    for path in evidence.nearer_archives:
        yield Finding(f"{path} is found before the tree's own archive", _inside(evidence, path))


@_check("ZS105")
def _interpreters_below(evidence: Evidence) -> Iterator[Finding]:
    if evidence.interpreters_below is None:
        can_take_over = evidence.target.feature_version >= (3, 11) and evidence.archive is not None
        raise (_Unseen if can_take_over else _NotRun)(evidence.missing["interpreters_below"])
    for path in evidence.interpreters_below:
        yield Finding(
            f"the interpreter of the prefix {path} would boot from this tree's archive",
            _below(evidence, path),
        )


@_check("ZS106")
def _start_configuration(evidence: Evidence) -> Iterator[Finding]:
    for path in evidence.start_files:
        yield Finding(f"{path} changes where the interpreter boots from", (path,))


@_check("ZS107")
def _path_not_fixed(evidence: Evidence) -> Iterator[Finding]:
    layout = evidence.layout
    if not layout.path_files:
        raise _NotRun("asked of the layout isolated, whose sys.path a file fixes")
    for path in layout.path_files:
        text = evidence.path_files.get(path)
        if text is None:
            yield Finding(f"{path} is missing", (path,))
        elif text != path_file_text(layout, path).encode():
            yield Finding(f"{path} does not fix sys.path as the build did", (path,))
    fixed = [str(evidence.root / path) for path in layout.search_path]
    for boot in evidence.boots:
        if boot.facts is None:
            continue
        told = [_real(path, evidence) for path in boot.facts.sys_path]
        if told != [_real(path, evidence) for path in fixed]:
            yield Finding(f"mode {boot.mode.name}: sys.path is {', '.join(told)}")
        flags = boot.facts.flags
        if not (flags.get("isolated") and flags.get("ignore_environment") and flags.get("no_site")):
            yield Finding(f"mode {boot.mode.name}: the start was not isolated")


@_check("ZS108")
def _beside_archive(evidence: Evidence) -> Iterator[Finding]:
    manifest, layout = evidence.manifest, evidence.layout
    if manifest is None or manifest.extensions != "archive":
        raise _NotRun("this was not built with --extensions archive")
    landmarks = {landmark.path for landmark in layout.landmarks}
    for path, seen in evidence.files.items():
        beside = path.startswith(f"{layout.library}/")
        if beside and seen.kind != "folder" and path not in landmarks and not _is_in_site(path, evidence):
            yield Finding(f"{path} lies beside the archive", (path,))


def _is_in_site(path: str, evidence: Evidence) -> bool:
    return path.startswith(tuple(f"{folder}/" for folder in evidence.layout.site_folders))


@_check("ZS601")
def _writable(evidence: Evidence) -> Iterator[Finding]:
    yield from _changeable(evidence.writable)


@_check("ZS602")
def _way_in(evidence: Evidence) -> Iterator[Finding]:
    yield from _changeable(evidence.ways_in)


def _changeable(seen: Iterable[Writable]) -> Iterator[Finding]:
    for item in seen:
        yield Finding(f"{item.path} can be changed by {item.who}", modes=(item.path,))


# ---- the archive and its bytecode ------------------------------------------------------------------------


@_check("ZS201")
def _archive_malformed(evidence: Evidence) -> Iterator[Finding]:
    _need_archive_file(evidence)
    if evidence.archive_problem is not None:
        yield Finding(evidence.archive_problem, (evidence.layout.library_archive,))
    if evidence.start_archive_problem is not None:
        place = evidence.layout.archive
        yield Finding(f"{place}: {evidence.start_archive_problem}", (place,))


@_check("ZS202")
def _wrong_magic(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    for entry in evidence.bytecode:
        if entry.size < _HEAD:
            yield Finding(
                f"{entry.place} is cut off: {entry.size} bytes hold no bytecode",
                _about(entry.place, evidence),
            )
        elif entry.magic != evidence.target.magic:
            yield Finding(
                f"{entry.place} has the magic number {entry.magic}, not {evidence.target.magic}",
                _about(entry.place, evidence),
            )


@_check("ZS203")
def _stale(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    if "source_hashes" in evidence.missing:
        raise _Unseen(evidence.missing["source_hashes"])
    if not any(entry.source_hash for entry in evidence.bytecode):
        raise _NotRun("there are no sources to compare the bytecode with")
    for entry in evidence.bytecode:
        if (
            entry.size == _HEAD
            and entry.flags & _UNCHECKED
            and entry.source_hash is not None
            and entry.magic == evidence.target.magic
            and entry.stated_hash != entry.source_hash
        ):
            yield Finding(
                f"{entry.place} was compiled from another source than {entry.source}",
                (*_about(entry.place, evidence), entry.source),
            )


@_check("ZS204")
def _orphan(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    manifest = evidence.manifest
    recorded = None if manifest is None else {record.path for record in manifest.files}
    if not _has_sources(evidence) and not any(entry.has_source for entry in evidence.bytecode):
        raise _NotRun("this was built without sources")
    for entry in evidence.bytecode:
        in_archive = entry.place.startswith(f"{evidence.layout.library_archive}/")
        if entry.has_source or (in_archive and not _has_sources(evidence)):
            continue
        if not in_archive and recorded is not None and entry.place not in recorded:
            continue  # it was added, which ZS209 or ZS210 tells
        yield Finding(f"{entry.place} has no source", (*_about(entry.place, evidence), entry.source))


@_check("ZS205")
def _uncompiled(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    if evidence.manifest is not None and evidence.manifest.source == "only":
        raise _NotRun("this was staged without bytecode: zipstrap compile makes it where it is installed")
    for path in evidence.uncompiled:
        stem = path.rpartition("/")[2].removesuffix(".py")
        yield Finding(
            f"{path} has no bytecode",
            (
                *_about(path, evidence),
                f"{path.rpartition('/')[0]}/__pycache__/{stem}.{evidence.target.cache_tag}.pyc",
            ),
        )


@_check("ZS206")
def _encodings_missing(evidence: Evidence) -> Iterator[Finding]:
    names = _need_archive(evidence)
    for stem in _NEEDED_ENCODINGS:
        if f"{stem}.pyc" not in names and f"{stem}.py" not in names:
            yield Finding(f"the archive has no {stem}.pyc", (evidence.layout.library_archive,))


@_check("ZS207")
def _zlib_unreachable(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    if evidence.archive is None or not evidence.archive.deflated:
        raise _NotRun("nothing in the archive is deflated, so zlib is not needed")
    folder = evidence.layout.dynload
    found = [path for path in evidence.files if path.startswith(f"{folder}/zlib.")]
    # in the archive it can be read if it is not deflated itself
    inside = f"{folder.rpartition('/')[2]}/zlib."
    stored = evidence.archive.names.difference(evidence.archive.deflated)
    found += [evidence.layout.library_archive for name in stored if name.startswith(inside)]
    errors = [
        boot.facts.zlib.error for boot in evidence.boots if boot.facts is not None and boot.facts.zlib.error
    ]
    if not found and evidence.target.zlib != "builtin":
        yield Finding(
            f"there is no zlib in {folder}",
            (*_recorded(evidence, f"{folder}/zlib."), evidence.layout.library_archive),
        )
    elif errors:
        yield Finding(f"zlib cannot be imported: {errors[0]}", tuple(found))
    else:
        _need_boots(evidence)


@_check("ZS208")
def _checked_bytecode(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    added = _added_bytecode(evidence)
    for entry in evidence.bytecode:
        if entry.place in added:
            continue  # ZS210 tells of it
        if entry.size == _HEAD and entry.flags != _UNCHECKED and entry.magic == evidence.target.magic:
            kind = "checks its source's hash" if entry.flags == 3 else "goes by a time stamp"
            yield Finding(f"{entry.place} {kind}", _about(entry.place, evidence))


@_check("ZS209")
def _changed(evidence: Evidence) -> Iterator[Finding]:
    manifest = evidence.manifest
    if manifest is None:
        raise _NotRun("there is no manifest: zipstrap did not build this")
    expected = {record.path: record for record in manifest.files}
    for path, record in expected.items():
        seen = evidence.files.get(path)
        if seen is None and path in evidence.layout.site_folders:
            continue  # a checkout and some archives lose empty folders, and pip makes this one anew
        if seen is None:
            yield Finding(f"{path} is missing", (path,))
        elif record.link != seen.link:
            yield Finding(f"{path} leads to {seen.link}, not to {record.link}", (path,))
        elif (record.sha256 is not None and record.sha256 != seen.sha256) or (
            record.sha256 is None and record.link is None and seen.kind != "folder"
        ):
            yield Finding(f"{path} is not what was built", (path,))
        elif seen.kind != "link" and _is_other_mode(seen.mode, record.mode):
            yield Finding(f"{path} has the mode {seen.mode:o}, not {record.mode:o}", modes=(path,))
    archive, place = evidence.archive, evidence.layout.library_archive
    if archive is not None and archive.sha256 != manifest.archive_sha256:
        yield Finding(f"{place} is not what was built", (place,))
    if place in evidence.files and evidence.files[place].kind != "file":
        yield Finding(f"{place} is no plain file", (place,))
    known = {*expected, place, MANIFEST_NAME}
    known |= set(evidence.layout.site_folders)
    known |= {parent for path in known for parent in _parents(path)}
    known |= _added_bytecode(evidence)
    # where Python keeps the bytecode of the sources that are in the tree
    caches = {f"{path.rpartition('/')[0]}/__pycache__" for path in expected if path.endswith(".py")}
    known |= {path for path in caches if path in evidence.files and evidence.files[path].kind == "folder"}
    for path in evidence.files:
        if (
            path not in known
            and _is_read(path, evidence)
            and not _is_script(path, evidence)
            and not any(parent in evidence.files and parent not in known for parent in _parents(path))
        ):
            yield Finding(f"{path} was added", (path,))


@_check("ZS211")
def _other_manifest(evidence: Evidence) -> Iterator[Finding]:
    if evidence.digests is None:
        raise _NotRun("no digest was given to expect")
    expected, found = evidence.digests
    if found != expected:
        yield Finding(f"the manifest's SHA-256 is {found}, not {expected}", (MANIFEST_NAME,))


@_check("ZS212")
def _not_as_listed(evidence: Evidence) -> Iterator[Finding]:
    if evidence.changed is None:
        raise _NotRun("no digest was given to expect")
    archive = evidence.layout.library_archive
    for path in evidence.changed:
        yield Finding(
            f"{path} is not what the manifest says",
            (archive if path.startswith(f"{archive}/") else path,),
        )


def _is_read(path: str, evidence: Evidence) -> bool:
    """Tell whether *path* lies where a start or an import could read it; pip puts other files elsewhere."""
    layout = evidence.layout
    beside = (f"{each.rpartition('/')[0]}/" for each in (layout.executable, layout.interpreter))
    return path.startswith((f"{layout.library}/", *beside)) or path.rpartition("/")[0] in (
        layout.shared_libraries,
        layout.archive.rpartition("/")[0],
    )


def _is_script(path: str, evidence: Evidence) -> bool:
    """Tell whether *path* is what pip puts beside the interpreter: no start reads it.

    The folder is the first on sys.path of every script in it, so what can be imported is no script.
    """
    seen = evidence.files[path]
    folder, _, name = path.rpartition("/")
    if folder != evidence.layout.executable.rpartition("/")[0] or name.endswith(_IMPORTABLE):
        return False
    runs = seen.kind == "file" and bool(seen.mode & stat.S_IXUSR)
    return runs or (seen.kind == "link" and seen.leads_to == "file")


@_check("ZS210")
def _bytecode_added(evidence: Evidence) -> Iterator[Finding]:
    if evidence.manifest is None:
        raise _NotRun("there is no manifest: zipstrap did not build this")
    for path in sorted(_added_bytecode(evidence)):
        yield Finding(f"{path} was added", (path,))


def _added_bytecode(evidence: Evidence) -> set[str]:
    """Return the bytecode that starts have saved beside sources of the tree; nothing without a manifest.

    Unchecked-hash bytecode is not saved by any start: somebody put it there, and ZS209 tells of it.
    """
    if evidence.manifest is None:
        return set()
    recorded = {record.path for record in evidence.manifest.files}
    unchecked = {entry.place for entry in evidence.bytecode if entry.flags == _UNCHECKED}
    found = set()
    for path, seen in evidence.files.items():
        folder, _, name = path.rpartition("/")
        parent, _, cache = folder.rpartition("/")
        if (
            seen.kind == "file"
            and cache == "__pycache__"
            and name.endswith(".pyc")
            and path not in recorded
            and path not in unchecked
            and f"{parent}/{name.partition('.')[0]}.py" in recorded
        ):
            found.add(path)
    return found


def _is_other_mode(seen: int, built: int) -> bool:
    """Tell whether permissions were added, or taken from the owner so that it does not work any more.

    Who makes the tree read-only, or copies it under a narrow umask, breaks nothing.
    """
    return bool(seen & ~built or built & ~seen & (stat.S_IRUSR | stat.S_IXUSR))


# ---- boots -----------------------------------------------------------------------------------------------


@_check("ZS301")
def _foreign_library(evidence: Evidence) -> Iterator[Finding]:
    reached: dict[str, list[str]] = {}
    is_library = _in_library(evidence)
    for boot in _need_boots(evidence):
        assert boot.facts is not None
        if _real(boot.facts.base_prefix, evidence) != str(evidence.root):
            text = f"the prefix is {boot.facts.base_prefix}, not the tree"
            reached.setdefault(text, []).append(boot.mode.name)
        foreign = [
            module
            for module in evidence.modules[boot.mode.name]
            if Origin.FOREIGN in (module.origin, module.log)
            and not _at(module.path, evidence.layout.dynload, evidence)
            and is_library(module.module)
            and not _is_made(module)
        ]
        for module in foreign[:3]:
            more = (
                f" (and {len(foreign) - 3} more modules)" if len(foreign) > 3 and module is foreign[2] else ""
            )
            text = f"{module.module} came from {module.path or 'a loader that names no place'}{more}"
            reached.setdefault(text, []).append(boot.mode.name)
    for text, modes in reached.items():
        yield Finding(f"{text}, in the modes {', '.join(modes)}", (evidence.layout.executable,))


@_check("ZS302")
def _exec_prefix_apart(evidence: Evidence) -> Iterator[Finding]:
    for boot in _need_boots(evidence):
        facts = boot.facts
        if facts is None:
            continue
        apart = _real(facts.base_exec_prefix, evidence)
        if apart != _real(facts.base_prefix, evidence):
            yield Finding(
                f"exec_prefix is {facts.base_exec_prefix}, prefix is {facts.base_prefix}",
                _below(evidence, Path(apart) / evidence.layout.dynload),
            )
            return


@_check("ZS303")
def _dynload_elsewhere(evidence: Evidence) -> Iterator[Finding]:
    folder = evidence.layout.dynload
    entries = [
        entry
        for boot in _need_boots(evidence)
        for entry in (boot.facts.sys_path if boot.facts is not None else ())
        if Path(entry).name == "lib-dynload"
    ]
    if not entries:
        raise _NotRun("no start has a lib-dynload on sys.path")
    for entry in entries:
        real = _real(entry, evidence)
        if real != str(evidence.root / folder):
            yield Finding(f"lib-dynload on sys.path is {real}", (folder, f"{folder}/"))
            return


@_check("ZS304")
def _archive_not_first(evidence: Evidence) -> Iterator[Finding]:
    archive = _real(str(evidence.root / evidence.layout.archive), evidence)
    before: dict[str, list[str]] = {}
    for boot in _need_boots(evidence):
        if boot.facts is None:
            continue
        for entry in boot.facts.sys_path:
            if entry == "":
                continue  # -c puts the current folder first
            if _real(entry, evidence) == archive:
                break
            before.setdefault(entry, []).append(boot.mode.name)
    for entry, modes in before.items():
        yield Finding(f"{entry} comes before the archive, in the modes {', '.join(modes)}")


@_check("ZS305")
def _shadowed(evidence: Evidence) -> Iterator[Finding]:
    manifest = evidence.manifest
    if manifest is None:
        raise _NotRun("there is no manifest that says what belongs into the archive")
    packed = {logical_name(member.name) for member in manifest.members}
    on_disk = {record.path for record in manifest.files}
    hooks = {path for hook in evidence.hooks for path in _inside(evidence, hook.path)[:1]}
    seen: set[str] = set()
    for boot in _need_boots(evidence):
        for module in evidence.modules[boot.mode.name]:
            stem = module.module.replace(".", "/")
            if (
                module.origin is Origin.DIRECTORY
                and module.module not in seen
                and {f"{stem}.pyc", f"{stem}/__init__.pyc"} & packed
            ):
                seen.add(module.module)
                paths = _inside(evidence, Path(_real(module.path, evidence))) if module.path else ()
                if paths and (paths[0] in on_disk or paths[0] in hooks):
                    continue  # the next sitecustomize, which ours has run
                yield Finding(
                    f"{module.module} came from {module.path}, not from the archive ({boot.mode.name})",
                    (
                        *paths,
                        evidence.layout.library_archive,
                        *(f"{parent}/__pycache__/" for path in paths for parent in _parents(path)),
                    ),
                )


@_check("ZS306")
def _boot_failed(evidence: Evidence) -> Iterator[Finding]:
    if all(boot.status == "not run" for boot in evidence.boots):
        raise _NotRun("no start was tried")
    for boot in evidence.boots:
        if boot.status == "failed":
            yield Finding(f"mode {boot.mode.name}: {boot.reason}", (evidence.layout.executable,))


@_check("ZS307")
def _witnesses_disagree(evidence: Evidence) -> Iterator[Finding]:
    for boot in _need_boots(evidence):
        for module in evidence.modules[boot.mode.name]:
            if not module.agree and not _is_made(module):
                yield Finding(f"{module.module} ({boot.mode.name}): {module.reason}")
        for name, difference in differing(boot):
            yield Finding(f"{name} ({boot.mode.name}): {difference}")
        if boot.quiet_failure:
            yield Finding(f"mode {boot.mode.name}, without -v: {boot.quiet_failure}")


@_check("ZS308")
def _not_from_archive(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.strict:
        raise _NotRun("asked for with --strict")
    frozen_off = [boot for boot in _need_boots(evidence) if "frozen_modules=off" in boot.mode.arguments]
    boots = frozen_off or [boot for boot in _need_boots(evidence) if not boot.mode.arguments]
    if evidence.target.feature_version >= (3, 11) and not frozen_off:
        raise _NotRun("the interpreter did not start with frozen modules off")
    for boot in boots:
        for module in evidence.modules[boot.mode.name]:
            if module.module in _CUSTOMIZE:
                continue  # ours has run the one that the build, or ZS401, has on disk
            if module.origin is Origin.DIRECTORY or (
                module.origin is Origin.FROZEN and module.module not in _ALWAYS_FROZEN
            ):
                yield Finding(f"{module.module} is {module.origin.value} ({module.path or boot.mode.name})")


@_check("ZS309")
def _kernel_saw_elsewhere(evidence: Evidence) -> Iterator[Finding]:
    boots = [boot for boot in _need_boots(evidence) if boot.opened is not None]
    if not boots:
        reason = _need_boots(evidence)[0].opened_reason.removeprefix("not run: ")
        if reason == "not asked for":
            raise _NotRun("asked for with --kernel")
        raise _Unseen(reason)
    from .kernel_log import library_files

    archive = _real(str(evidence.root / evidence.layout.archive), evidence)
    private = evidence.linkage is not None and evidence.linkage.private_loader is not None
    seen: dict[str, list[str]] = {}
    for boot in boots:
        if archive not in (boot.opened or ()):
            seen.setdefault(f"{archive} was never opened", []).append(boot.mode.name)
        for path in library_files(boot.opened or ()):
            inside = path == archive or Path(path).is_relative_to(evidence.root)
            if not inside and _is_of_a_python(path, libraries=not private):
                seen.setdefault(f"{path} was opened", []).append(boot.mode.name)
    blind = next((boot for boot in _need_boots(evidence) if boot.opened is None), None)
    if blind is not None and not seen:
        raise _Unseen(f"mode {blind.mode.name}: {blind.opened_reason.removeprefix('not run: ')}")
    for text, modes in seen.items():
        yield Finding(f"{text}, in the modes {', '.join(modes)}")


@_check("ZS310")
def _foreign_importer(evidence: Evidence) -> Iterator[Finding]:
    known = _IMPORTERS | ({_OWN_IMPORTER} if evidence.layout.has_importer else set(_OWN_FINDERS))
    seen: dict[str, list[str]] = {}
    for boot in _need_boots(evidence):
        if boot.facts is None:
            continue
        for place, names in (
            ("sys.meta_path", boot.facts.meta_path),
            ("sys.path_hooks", boot.facts.path_hooks),
        ):
            for name in dict.fromkeys(names):
                if name not in known:
                    seen.setdefault(f"{name} is on {place}", []).append(boot.mode.name)
    for text, modes in seen.items():
        yield Finding(f"{text}, in the modes {', '.join(modes)}")


@_check("ZS311")
def _extension_not_from_archive(evidence: Evidence) -> Iterator[Finding]:
    if evidence.manifest is None or evidence.manifest.extensions != "archive":
        raise _NotRun("this was not built with --extensions archive")
    _need_boots(evidence)
    if evidence.extensions is None:
        raise _Unseen(evidence.missing.get("extensions", "no extension module was imported"))
    archive = (evidence.layout.library_archive,)
    for seen in evidence.extensions:
        module = seen.sighting
        if seen.error is not None:
            yield Finding(f"{module.module} cannot be imported: {seen.error}", archive)
        elif module.origin not in (Origin.ARCHIVE, Origin.BUILTIN):
            yield Finding(f"{module.module} came from {module.path or 'nowhere that it names'}", archive)


def _is_of_a_python(path: str, *, libraries: bool) -> bool:
    """Tell whether *path* is of an installation's library, or is what steers its start.

    A system's shared libraries are not, and neither is what lies in a site folder: the user has one too.
    """
    name = path.rpartition("/")[2]
    if _STEERS.fullmatch(name):
        return True
    if not libraries and _SHARED.search(name):
        return False
    return name.startswith("libpython") or (
        _PYTHON_FOLDER.search(path) is not None and _SITE_FOLDER.search(path) is None
    )


# ---- hooks and binaries ----------------------------------------------------------------------------------


@_check("ZS401")
def _foreign_customize(evidence: Evidence) -> Iterator[Finding]:
    for hook in evidence.hooks:
        if hook.kind in ("sitecustomize", "usercustomize"):
            yield Finding(f"{hook.path} {hook.reason}", _inside(evidence, hook.path))


@_check("ZS402")
def _foreign_pth(evidence: Evidence) -> Iterator[Finding]:
    for hook in evidence.hooks:
        if hook.kind in ("pth", "start"):
            yield Finding(f"{hook.path} {hook.reason}", _inside(evidence, hook.path))


@_check("ZS403")
def _loaded_besides(evidence: Evidence) -> Iterator[Finding]:
    if evidence.manifest is None and evidence.library is None:
        raise _NotRun("there is no manifest that says what belongs to the library")
    seen: dict[str, list[str]] = {}
    is_library = _in_library(evidence)
    for boot in _need_boots(evidence):
        for module in evidence.modules[boot.mode.name]:
            if Origin.FOREIGN in (module.origin, module.log) and not is_library(module.module):
                text = f"{module.module} came from {module.path or 'a loader that names no place'}"
                seen.setdefault(text, []).append(boot.mode.name)
    for text, modes in seen.items():
        yield Finding(f"{text}, in the modes {', '.join(modes)}")


@_check("ZS501")
def _libpython_elsewhere(evidence: Evidence) -> Iterator[Finding]:
    if evidence.linkage is not None and evidence.linkage.private_loader is not None:
        raise _NotRun(
            "the interpreter is bound to a dynamic loader outside the tree, and its libraries stay there"
        )
    seen = False
    for boot in _need_boots(evidence):
        libraries = boot.facts.libraries if boot.facts is not None else None
        for library in libraries or ():
            if Path(library).name.startswith("libpython"):
                seen = True
                if not Path(_real(library, evidence)).is_relative_to(evidence.root):
                    yield Finding(f"libpython is {library}", (evidence.layout.executable,))
                    return
    if not seen:
        raise _NotRun("libpython is linked into the executable, or this system does not tell what is mapped")


@_check("ZS502")
def _library_missing(evidence: Evidence) -> Iterator[Finding]:
    if evidence.linkage is None:
        raise _Unseen(evidence.missing.get("linkage", "the binaries were not looked at"))
    for item in evidence.linkage.missing:
        asking = tuple(path for asker in item.needed_by for path in _inside(evidence, asker))
        yield Finding(
            f"{', '.join(asking)} needs {item.soname}, which is not there",
            (*asking, f"{evidence.layout.shared_libraries}/{item.soname}"),
        )


@_check("ZS503")
def _run_path_outside(evidence: Evidence) -> Iterator[Finding]:
    if evidence.linkage is None:
        raise _Unseen(evidence.missing.get("linkage", "the binaries were not looked at"))
    if evidence.linkage.private_loader is not None:
        raise _NotRun(
            "the interpreter is bound to a dynamic loader outside the tree, and its run path leads there"
        )
    for path, element in evidence.outside_run_paths:
        yield Finding(f"{path} looks for libraries in {element}", (path,))


# ---- what the judges share -------------------------------------------------------------------------------


def _need_archive_file(evidence: Evidence) -> None:
    if evidence.archive is None and evidence.archive_problem is None:
        raise _NotRun("there is no archive")


def _need_archive(evidence: Evidence) -> frozenset[str]:
    _need_archive_file(evidence)
    if evidence.archive is None:
        raise _NotRun("the archive cannot be read")
    return evidence.archive.names


def _need_boots(evidence: Evidence) -> list[Boot]:
    ran = [boot for boot in evidence.boots if boot.status == "ran"]
    if not ran:
        reasons = [boot.reason for boot in evidence.boots if boot.status == "failed"]
        raise _NotRun(f"the interpreter did not start ({reasons[0]})" if reasons else "no start was tried")
    return ran


def _in_library(evidence: Evidence) -> Callable[[str], bool]:
    """Return what tells whether a module is the library's, kept or left out; all are if nothing says."""
    manifest, layout, known = evidence.manifest, evidence.layout, evidence.library
    if known is not None:
        return lambda module: module.partition(".")[0] in known
    if manifest is None:
        return lambda _: True
    paths = [member.name for member in manifest.members]
    paths += itertools.chain.from_iterable(manifest.left_out.values())
    for record in manifest.files:
        for folder in (layout.dynload, layout.library):
            if record.path.startswith(f"{folder}/"):
                paths.append(record.path.removeprefix(f"{folder}/"))
                break
    paths = [path.removeprefix("lib-dynload/") for path in paths]
    names = {path.partition("/")[0].partition(".")[0] for path in paths} - _CUSTOMIZE
    return lambda module: module.partition(".")[0] in names


def _has_sources(evidence: Evidence) -> bool:
    if evidence.manifest is not None:
        return evidence.manifest.source in ("archive", "only")
    return evidence.archive is not None and any(name.endswith(".py") for name in evidence.archive.names)


def _about(place: str, evidence: Evidence) -> tuple[str, ...]:
    archive = evidence.layout.library_archive
    return (archive,) if place.startswith(f"{archive}/") else (place,)


def _recorded(evidence: Evidence, prefix: str) -> tuple[str, ...]:
    if evidence.manifest is None:
        return ()
    return tuple(record.path for record in evidence.manifest.files if record.path.startswith(prefix))


def _inside(evidence: Evidence, path: Path) -> tuple[str, ...]:
    """Return *path* relative to the tree, with the folders that were added on the way to it."""
    if not path.is_relative_to(evidence.root):
        return ()
    relative = path.relative_to(evidence.root).as_posix()
    return (relative, *_parents(relative))


def _below(evidence: Evidence, folder: Path) -> tuple[str, ...]:
    found = _inside(evidence, folder)
    return (*found, f"{found[0]}/") if found else ()


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _real(path: str, evidence: Evidence) -> str:
    return evidence.real_paths.get(path, path)


def _is_made(module: BootModule) -> bool:
    return module.module in MADE and module.path is None


def _at(path: str | None, folder: str, evidence: Evidence) -> bool:
    """Tell whether *path* is written as lying in the tree's *folder*, wherever links lead."""
    return path is not None and Path(path).is_relative_to(evidence.root / folder)
