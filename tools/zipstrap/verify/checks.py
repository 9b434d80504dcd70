"""The judging half of verify: pure functions from evidence to findings, one for each check."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zipstrap.data import checks

from .boots import Boot, Origin
from .evidence import Evidence

__all__ = ["CheckResult", "Finding", "judge"]

_UNCHECKED = 1

#: these stay frozen whatever -X frozen_modules says: the import system starts from them
_ALWAYS_FROZEN = frozenset({"_frozen_importlib", "_frozen_importlib_external", "zipimport"})

_NEEDED_ENCODINGS = ("encodings/__init__", "encodings/aliases", "encodings/utf_8")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong; *paths* are the tree's files it is about."""

    text: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of a check.

    *status* is ``passed``, ``failed``, ``warned``, ``consequence`` (its findings follow from another check's,
    which *reason* names) or ``not run``, with the reason.
    """

    code: str
    status: str
    findings: tuple[Finding, ...] = ()
    reason: str = ""


class _NotRun(Exception):  # noqa: N818 - it is no error
    """A check that cannot be judged, or does not apply, with the reason."""


_Judge = Callable[[Evidence], Iterable[Finding]]
_JUDGES: dict[str, _Judge] = {}


def judge(evidence: Evidence) -> tuple[CheckResult, ...]:
    """Judge *evidence* by every check; what follows from another finding is told apart. Pure."""
    raw: dict[str, CheckResult] = {}
    for code in checks():
        if code == "ZS209":
            continue
        raw[code] = _result(code, evidence)
    explained = {path for result in raw.values() for finding in result.findings for path in finding.paths}
    raw["ZS209"] = _without(_result("ZS209", evidence), explained)
    found = [code for code, result in raw.items() if result.findings]
    roots = [code for code in found if not any(code in checks()[other].masks for other in found)]
    return tuple(_placed(raw[code], roots) for code in checks())


def _result(code: str, evidence: Evidence) -> CheckResult:
    try:
        findings = tuple(_JUDGES[code](evidence))
    except _NotRun as reason:
        return CheckResult(code, "not run", reason=str(reason))
    status = "passed" if not findings else "failed" if checks()[code].severity == "error" else "warned"
    return CheckResult(code, status, findings)


def _without(result: CheckResult, explained: set[str]) -> CheckResult:
    """Drop findings about files that another check already told of."""
    kept = tuple(
        finding
        for finding in result.findings
        if not any(path in explained or f"{path.rpartition('/')[0]}/" in explained for path in finding.paths)
    )
    return (
        result
        if len(kept) == len(result.findings)
        else CheckResult(result.code, result.status if kept else "passed", kept, result.reason)
    )


def _placed(result: CheckResult, roots: list[str]) -> CheckResult:
    causes = [root for root in roots if result.code in checks()[root].masks]
    if causes and result.findings:
        return CheckResult(result.code, "consequence", result.findings, f"follows from {', '.join(causes)}")
    return result


def _check(code: str) -> Callable[[_Judge], _Judge]:
    def register(function: _Judge) -> _Judge:
        _JUDGES[code] = function
        return function

    return register


# ---- the tree's files ------------------------------------------------------------------------------------


@_check("ZS101")
def _archive_missing(evidence: Evidence) -> Iterator[Finding]:
    path = evidence.layout.archive
    if evidence.archive is None and evidence.archive_problem is None:
        yield Finding(f"there is no archive at {path}", (path,))


@_check("ZS102")
def _landmark_missing(evidence: Evidence) -> Iterator[Finding]:
    landmarks = [landmark for landmark in evidence.layout.landmarks if not landmark.is_folder]
    if not landmarks:
        raise _NotRun("from 3.11 on the archive itself is the landmark")
    for landmark in landmarks:
        seen = evidence.files.get(landmark.path)
        if seen is None or seen.kind not in ("file", "link"):
            yield Finding(f"{landmark.path} is missing: {landmark.reason}", (landmark.path,))


@_check("ZS103")
def _dynload_missing(evidence: Evidence) -> Iterator[Finding]:
    for landmark in evidence.layout.landmarks:
        if landmark.is_folder and not (evidence.root / landmark.path).is_dir():
            yield Finding(
                f"{landmark.path} is missing: {landmark.reason}", (landmark.path, f"{landmark.path}/")
            )


@_check("ZS104")
def _archive_elsewhere(evidence: Evidence) -> Iterator[Finding]:
    if evidence.target.feature_version < (3, 11):
        raise _NotRun("before 3.11 an archive is no landmark")
    for path in evidence.nearer_archives:
        yield Finding(f"{path} is found before the tree's own archive", _inside(evidence, path))


@_check("ZS105")
def _interpreters_below(evidence: Evidence) -> Iterator[Finding]:
    if evidence.interpreters_below is None:
        raise _NotRun(evidence.missing["interpreters_below"])
    for path in evidence.interpreters_below:
        relative = path.relative_to(evidence.root).as_posix()
        yield Finding(
            f"the interpreter of the prefix {path} would boot from this tree's archive", (f"{relative}/**",)
        )


@_check("ZS106")
def _start_configuration(evidence: Evidence) -> Iterator[Finding]:
    for path in evidence.start_files:
        yield Finding(f"{path} changes where the interpreter boots from", (path,))


@_check("ZS601")
def _writable(evidence: Evidence) -> Iterator[Finding]:
    shown = evidence.writable[:5]
    for path in shown:
        yield Finding(
            f"{path} can be written by group or others", evidence.writable if path == shown[0] else (path,)
        )
    if len(evidence.writable) > len(shown):
        yield Finding(f"and {len(evidence.writable) - len(shown)} more")


# ---- the archive and its bytecode ------------------------------------------------------------------------


@_check("ZS201")
def _archive_malformed(evidence: Evidence) -> Iterator[Finding]:
    _need_archive_file(evidence)
    if evidence.archive_problem is not None:
        yield Finding(evidence.archive_problem, (evidence.layout.archive,))


@_check("ZS202")
def _wrong_magic(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    for entry in evidence.bytecode:
        if entry.magic != evidence.target.magic:
            yield Finding(
                f"{entry.place} has the magic number {entry.magic}, not {evidence.target.magic}",
                _about(entry.place, evidence),
            )


@_check("ZS203")
def _stale(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    if "source_hashes" in evidence.missing:
        raise _NotRun(evidence.missing["source_hashes"])
    for entry in evidence.bytecode:
        if (
            entry.flags & _UNCHECKED
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
    for entry in evidence.bytecode:
        in_archive = entry.place.startswith(f"{evidence.layout.archive}/")
        if entry.has_source or (in_archive and not _has_sources(evidence)):
            continue
        yield Finding(f"{entry.place} has no source", (*_about(entry.place, evidence), entry.source))


@_check("ZS205")
def _uncompiled(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
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
            yield Finding(f"the archive has no {stem}.pyc", (evidence.layout.archive,))


@_check("ZS207")
def _zlib_unreachable(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    if evidence.archive is None or not evidence.archive.deflated:
        raise _NotRun("nothing in the archive is deflated, so zlib is not needed")
    if evidence.target.zlib == "builtin":
        return
    folder = evidence.layout.dynload
    found = [path for path in evidence.files if path.startswith(f"{folder}/zlib.")]
    errors = [
        boot.facts.zlib.error for boot in evidence.boots if boot.facts is not None and boot.facts.zlib.error
    ]
    if not found:
        yield Finding(
            f"there is no zlib in {folder}",
            (*_recorded(evidence, f"{folder}/zlib."), evidence.layout.archive),
        )
    elif errors:
        yield Finding(f"zlib cannot be imported: {errors[0]}", tuple(found))


@_check("ZS208")
def _checked_bytecode(evidence: Evidence) -> Iterator[Finding]:
    _need_archive(evidence)
    for entry in evidence.bytecode:
        if entry.flags != _UNCHECKED and entry.magic == evidence.target.magic:
            kind = "checks its source's hash" if entry.flags == 3 else "goes by a time stamp"
            yield Finding(f"{entry.place} {kind}", _about(entry.place, evidence))


@_check("ZS209")
def _changed(evidence: Evidence) -> Iterator[Finding]:
    manifest = evidence.manifest
    if manifest is None:
        raise _NotRun("there is no manifest: zipstrap did not build this")
    site = f"{evidence.layout.site}/"
    expected = {record.path: record for record in manifest.files}
    for path, record in expected.items():
        seen = evidence.files.get(path)
        if seen is None:
            if not (path.startswith(site) and (evidence.root / path).exists()):
                yield Finding(f"{path} is missing", (path,))
        elif record.link != seen.link:
            yield Finding(f"{path} leads to {seen.link}, not to {record.link}", (path,))
        elif (record.sha256 is not None and record.sha256 != seen.sha256) or seen.kind == "special":
            yield Finding(f"{path} is not what was built", (path,))
        elif seen.kind != "link" and record.mode != seen.mode:
            yield Finding(f"{path} has the mode {seen.mode:o}, not {record.mode:o}", (path,))
    archive = evidence.archive
    if archive is not None and archive.sha256 != manifest.archive_sha256:
        yield Finding(f"{evidence.layout.archive} is not what was built", (evidence.layout.archive,))
    if evidence.layout.archive in evidence.files and evidence.files[evidence.layout.archive].kind != "file":
        yield Finding(f"{evidence.layout.archive} is no plain file", (evidence.layout.archive,))
    known = {*expected, evidence.layout.archive, "zipstrap-manifest.json"}
    known |= {parent for path in known for parent in _parents(path)}
    for path in evidence.files:
        if path not in known and not any(
            parent in evidence.files and parent not in known for parent in _parents(path)
        ):
            yield Finding(f"{path} was added", (path,))


# ---- boots -----------------------------------------------------------------------------------------------


@_check("ZS301")
def _foreign_library(evidence: Evidence) -> Iterator[Finding]:
    reached: dict[str, list[str]] = {}
    for boot in _need_boots(evidence):
        assert boot.facts is not None
        if not _same(boot.facts.base_prefix, evidence.root):
            text = f"the prefix is {boot.facts.base_prefix}, not the tree"
            reached.setdefault(text, []).append(boot.mode.name)
        foreign = [
            module
            for module in evidence.modules[boot.mode.name]
            if Origin.FOREIGN in (module.origin, module.log)
            and not _at(module.path, evidence.layout.dynload, evidence)
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
        if facts is not None and not _same(facts.base_exec_prefix, Path(facts.base_prefix)):
            yield Finding(
                f"exec_prefix is {facts.base_exec_prefix}, prefix is {facts.base_prefix}",
                _below(evidence, Path(facts.base_exec_prefix) / evidence.layout.dynload),
            )
            return


@_check("ZS303")
def _dynload_elsewhere(evidence: Evidence) -> Iterator[Finding]:
    own = os.path.realpath(evidence.root)
    for boot in _need_boots(evidence):
        if boot.facts is None:
            continue
        for entry in boot.facts.sys_path:
            if Path(entry).name == "lib-dynload":
                real = os.path.realpath(entry)
                expected = os.path.join(own, evidence.layout.dynload)  # noqa: PTH118 - compared as text
                if real != expected:
                    folder = evidence.layout.dynload
                    yield Finding(f"lib-dynload on sys.path is {real}", (folder, f"{folder}/"))
                    return


@_check("ZS304")
def _archive_not_first(evidence: Evidence) -> Iterator[Finding]:
    before: dict[str, list[str]] = {}
    for boot in _need_boots(evidence):
        if boot.facts is None:
            continue
        for entry in boot.facts.sys_path:
            if entry == "":
                continue  # -c puts the current folder first
            if _same(entry, evidence.root / evidence.layout.archive):
                break
            before.setdefault(entry, []).append(boot.mode.name)
    for entry, modes in before.items():
        yield Finding(f"{entry} comes before the archive, in the modes {', '.join(modes)}")


@_check("ZS305")
def _shadowed(evidence: Evidence) -> Iterator[Finding]:
    manifest = evidence.manifest
    if manifest is None:
        raise _NotRun("there is no manifest that says what belongs into the archive")
    packed = {member.name for member in manifest.members}
    on_disk = {record.path for record in manifest.files}
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
                paths = _inside(evidence, Path(module.path)) if module.path else ()
                if paths and paths[0] in on_disk:
                    continue  # the next sitecustomize, which ours has run
                yield Finding(
                    f"{module.module} came from {module.path}, not from the archive ({boot.mode.name})",
                    (
                        *paths,
                        evidence.layout.archive,
                        *(f"{parent}/__pycache__/" for path in paths for parent in _parents(path)),
                    ),
                )


@_check("ZS306")
def _boot_failed(evidence: Evidence) -> Iterator[Finding]:
    for boot in evidence.boots:
        if boot.status == "failed":
            yield Finding(f"mode {boot.mode.name}: {boot.reason}", (evidence.layout.executable,))


@_check("ZS307")
def _witnesses_disagree(evidence: Evidence) -> Iterator[Finding]:
    for boot in _need_boots(evidence):
        for module in evidence.modules[boot.mode.name]:
            if not module.agree:
                yield Finding(f"{module.module} ({boot.mode.name}): {module.reason}")


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
            if module.origin is Origin.DIRECTORY or (
                module.origin is Origin.FROZEN and module.module not in _ALWAYS_FROZEN
            ):
                yield Finding(f"{module.module} is {module.origin.value} ({module.path or boot.mode.name})")


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
                if not Path(os.path.realpath(library)).is_relative_to(os.path.realpath(evidence.root)):
                    yield Finding(f"libpython is {library}", (evidence.layout.executable,))
                    return
    if not seen:
        raise _NotRun("libpython is linked into the executable, or this system does not tell what is mapped")


@_check("ZS502")
def _library_missing(evidence: Evidence) -> Iterator[Finding]:
    if evidence.linkage is None:
        raise _NotRun(evidence.missing.get("linkage", "the binaries were not looked at"))
    for item in evidence.linkage.missing:
        asking = tuple(path for asker in item.needed_by for path in _inside(evidence, asker))
        yield Finding(
            f"{', '.join(asking)} needs {item.soname}, which is not there",
            (*asking, f"{evidence.layout.shared_libraries}/{item.soname}"),
        )


@_check("ZS503")
def _run_path_outside(evidence: Evidence) -> Iterator[Finding]:
    if evidence.linkage is None:
        raise _NotRun(evidence.missing.get("linkage", "the binaries were not looked at"))
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


def _has_sources(evidence: Evidence) -> bool:
    if evidence.manifest is not None:
        return evidence.manifest.source == "archive"
    return evidence.archive is not None and any(name.endswith(".py") for name in evidence.archive.names)


def _about(place: str, evidence: Evidence) -> tuple[str, ...]:
    archive = evidence.layout.archive
    return (archive,) if place.startswith(f"{archive}/") else (place,)


def _recorded(evidence: Evidence, prefix: str) -> tuple[str, ...]:
    if evidence.manifest is None:
        return ()
    return tuple(record.path for record in evidence.manifest.files if record.path.startswith(prefix))


def _inside(evidence: Evidence, path: Path) -> tuple[str, ...]:
    """Return *path* relative to the tree, with the folders that were added on the way to it."""
    real, root = os.path.realpath(path.parent), os.path.realpath(evidence.root)
    place = Path(real) / path.name
    if not place.is_relative_to(root):
        return ()
    relative = place.relative_to(root).as_posix()
    return (relative, *_parents(relative))


def _below(evidence: Evidence, folder: Path) -> tuple[str, ...]:
    found = _inside(evidence, folder)
    return (*found, f"{found[0]}/") if found else ()


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _same(path: str, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _at(path: str | None, folder: str, evidence: Evidence) -> bool:
    """Tell whether *path* is written as lying in the tree's *folder*, wherever links lead."""
    return path is not None and Path(path).is_relative_to(evidence.root / folder)
