"""The verb audit: what in a library, or in other people's code, would not work the same from an archive.

Sources are read in the target (worker ``path_scanner``); what is said of them is pure, and its policy is
data: ``data/audit.json``.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

from .data import matches
from .errors import FileError, UsageError, cure_of
from .interpreter import Facts
from .inventory import Kind, take_inventory
from .plan import disk_reason
from .worker import run_worker

__all__ = [
    "Audit",
    "AuditEntry",
    "CodeRule",
    "Finding",
    "FoundPattern",
    "Named",
    "Use",
    "Verdict",
    "audit",
    "audit_entries",
    "code_rules",
    "is_code",
    "judge_code",
    "judge_library",
    "scan_uses",
]

#: in these folders of people's code is nothing that an archive would hold
_PASSED_OVER = ("__pycache__", "node_modules")
_SOURCES = (".py", ".pyw")
_EXTENSIONS = (".so", ".pyd")
_ARCHIVES = (".zip", ".whl", ".egg", ".pyz")


class Verdict(StrEnum):
    """What is said of a finding or an entry; the first six of a library, the next three of people's code."""

    NEW = "new"
    NOT_EQUAL = "not equal"
    ON_DISK = "on disk"
    IMPORTER = "importer"
    FALSE_ALARM = "false alarm"
    ABSENT = "absent"
    BREAKS = "breaks"
    LOOK = "look"
    WORKS = "works"


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a path in a source: *path* is below the folder that was audited, *line* counts from 1.

    *scope* is the qualified name of the function or class, "" for the module. *kind* and *origin* are those
    of ``path_scanner``; *text* is the line.
    """

    path: str
    module: str
    line: int
    scope: str
    kind: str
    origin: str = ""
    text: str = ""
    in_main: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A use, and what is said of it; *entry* names the entry of the table that decided."""

    use: Use
    verdict: Verdict
    why: str
    remedy: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of the table that counts for this version, with how often the sources show it."""

    name: str
    verdict: Verdict
    about: str
    why: str
    remedy: str
    findings: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in *subject*, of which *read* sources were read.

    For a library, *entries* are all that the table says of its version, *stale* the names of those that its
    sources no longer show, *needless* the reasons in split.json that no entry explains. *unread* is a
    component that was not read, because it is on disk whole.
    """

    subject: str
    root: str
    is_library: bool
    read: int
    findings: tuple[Finding, ...]
    entries: tuple[Named, ...] = ()
    stale: tuple[str, ...] = ()
    needless: tuple[str, ...] = ()
    unread: int = 0

    @property
    def passed(self) -> bool:
        """Whether nobody has to look: nothing new in a library, nothing that breaks in other code."""
        failing = (Verdict.NEW, Verdict.BREAKS)
        verdicts = {each.verdict for each in self.findings} | {each.verdict for each in self.entries}
        return verdicts.isdisjoint(failing)


@dataclass(frozen=True, slots=True)
class FoundPattern:
    """What the scanner reports: modules and scopes by pattern, kinds by name."""

    modules: tuple[str, ...]
    scopes: tuple[str, ...]
    kinds: frozenset[str]

    def fits(self, use: Use) -> bool:
        """Tell whether *use* is meant."""
        return (
            use.kind in self.kinds and matches(use.module, self.modules) and matches(use.scope, self.scopes)
        )


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is known of the standard library: a line of the table, by name."""

    name: str
    verdict: Verdict
    about: str
    why: str
    remedy: str
    since: tuple[int, int]
    until: tuple[int, int]
    files: tuple[str, ...]
    unless: tuple[str, ...]
    optional: bool
    found: tuple[FoundPattern, ...]

    def counts(self, version: tuple[int, int], library: Collection[str]) -> bool:
        """Tell whether the entry is about this *version* and *library* (all its paths)."""
        return self.since <= version <= self.until and not (
            self.unless and any(matches(path, self.unless) for path in library)
        )


@dataclass(frozen=True, slots=True)
class CodeRule:
    """What is said of people's own code; *origins* empty means any."""

    kinds: frozenset[str]
    origins: frozenset[str]
    verdict: Verdict
    why: str
    remedy: str


# ---- the policy ------------------------------------------------------------------------------------------


@functools.cache
def audit_entries() -> tuple[AuditEntry, ...]:
    """Return the entries for the standard library, in the order in which they are tried."""
    return tuple(
        AuditEntry(
            item["name"],
            Verdict(item["verdict"]),
            item["about"],
            item["why"],
            item.get("remedy", ""),
            _feature(item.get("since", "3.0")),
            _feature(item.get("until", "3.99")),
            tuple(item.get("files", ())),
            tuple(item.get("unless", ())),
            item.get("optional", False),
            tuple(
                FoundPattern(tuple(each["modules"]), tuple(each["scopes"]), frozenset(each["kinds"]))
                for each in item.get("found", ())
            ),
        )
        for item in _policy()["entries"]
    )


@functools.cache
def code_rules() -> tuple[CodeRule, ...]:
    """Return the rules for other people's code, in the order in which they are tried."""
    return tuple(
        CodeRule(
            frozenset(item["kinds"]),
            frozenset(item.get("origins", ())),
            Verdict(item["verdict"]),
            item["why"],
            item["remedy"],
        )
        for item in _policy()["code"]
    )


def _policy() -> Any:
    return json.loads(resources.files("zipstrap.data").joinpath("audit.json").read_text(encoding="utf-8"))


def _feature(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


# ---- the judgement, pure ---------------------------------------------------------------------------------


def judge_library(
    uses: Iterable[Use], version: tuple[int, int], library: Collection[str]
) -> tuple[tuple[Finding, ...], tuple[Named, ...], tuple[str, ...], tuple[str, ...]]:
    """Judge the *uses* in a library of *version* that holds the paths *library*.

    Returns the findings, the entries that count, the names of the stale ones, and the reasons of split.json
    that no entry explains. The table and split.json must agree: where an entry says that a file is on disk,
    and the split does not put it there, the verdict is ``new``.
    """
    entries = [entry for entry in audit_entries() if entry.counts(version, library)]
    files = {id(entry): [path for path in library if matches(path, entry.files)] for entry in entries}
    reasons = {path: disk_reason(path, version, library) for path in library}
    counted = dict.fromkeys((id(entry) for entry in entries), 0)
    explained = set()
    findings = []
    for use in uses:
        entry = next((entry for entry in entries if any(each.fits(use) for each in entry.found)), None)
        if entry is not None:
            counted[id(entry)] += 1
        finding = _of_library(use, entry, files[id(entry)] if entry else [], reasons)
        if entry and entry.verdict is Verdict.ON_DISK and files[id(entry)]:
            explained.add(reasons[use.path])
        findings.append(finding)
    named = []
    stale = []
    for entry in entries:
        here = files[id(entry)]
        count = counted[id(entry)]
        verdict, why = entry.verdict, entry.why
        if entry.files and not here:
            verdict, why = Verdict.ABSENT, f"this library has no {', '.join(entry.files)}"
        elif entry.found and not count and entry.optional:
            verdict, why = Verdict.ABSENT, "the sources of this library do not do it"
        elif entry.found and not count:
            stale.append(entry.name)
        elif entry.verdict is Verdict.ON_DISK:
            explained.update(reasons[path] for path in here)
            lost = [path for path in here if reasons[path] is None]
            if lost:
                verdict = Verdict.NEW
                why = f"split.json does not put it on disk: {', '.join(lost[:3])}; but {why}"
        named.append(Named(entry.name, verdict, entry.about, why, entry.remedy, count))
    needless = dict.fromkeys(reason for reason in reasons.values() if reason and reason not in explained)
    return tuple(findings), tuple(named), tuple(stale), tuple(needless)


def _of_library(
    use: Use, entry: AuditEntry | None, files: Sequence[str], reasons: Mapping[str, str | None]
) -> Finding:
    reason = reasons.get(use.path)
    if use.kind == "unreadable":
        return Finding(
            use, Verdict.NEW, "the interpreter cannot read its own source: see whether it is meant"
        )
    if reason is not None and (entry is None or entry.verdict is not Verdict.NOT_EQUAL):
        return Finding(use, Verdict.ON_DISK, reason, entry=entry.name if entry else "")
    if entry is None:
        return Finding(
            use,
            Verdict.NEW,
            "the table does not know it",
            "see what it does from an archive, and add it to audit.json, and to split.json if it must be on "
            "disk",
        )
    if entry.files and not files:
        return Finding(
            use, Verdict.FALSE_ALARM, f"this library has no {', '.join(entry.files)}", entry=entry.name
        )
    return Finding(use, entry.verdict, entry.why, entry.remedy, entry.name)


def judge_code(uses: Iterable[Use]) -> tuple[Finding, ...]:
    """Judge the *uses* in other people's code."""
    return tuple(_of_code(use) for use in uses)


def _of_code(use: Use) -> Finding:
    rule = next(
        rule
        for rule in code_rules()
        if use.kind in rule.kinds and (not rule.origins or use.origin in rule.origins)
    )
    verdict, why = rule.verdict, rule.why
    if verdict is Verdict.BREAKS and use.in_main:
        verdict, why = Verdict.LOOK, f"{why}; only when the file is run by its path"
    elif verdict is Verdict.BREAKS and use.origin == "optional":
        verdict, why = Verdict.LOOK, f"{why}; but the code seems to do without it"
    return Finding(use, verdict, why, rule.remedy)


# ---- what is read ----------------------------------------------------------------------------------------


def scan_uses(executable: Path, files: Sequence[tuple[str, str, str, bool]]) -> tuple[Use, ...]:
    """Let *executable* read *files*: (path for people, path to open, module, whether it is a package).

    A source that cannot be read or parsed is a use of the kind ``unreadable``. Raises
    :class:`~zipstrap.errors.InterpreterError` if the interpreter cannot be run.
    """
    answer = run_worker(executable, "path_scanner", {"files": [list(file) for file in files]}, timeout=600)
    uses = []
    for path, _, module, _ in files:
        if path in answer["unparsed"]:
            uses.append(Use(path, module, 1, "", "unreadable", text=answer["unparsed"][path]))
        uses += [
            Use(path, module, line, scope, kind, origin, text, in_main)
            for line, scope, kind, origin, text, in_main in answer["found"].get(path, ())
        ]
    return tuple(uses)


def is_code(what: str) -> bool:
    """Tell whether *what* names people's code (a folder, a source, an archive), and not an interpreter.

    A version such as ``3.13`` is an interpreter, also where a folder has that name.
    """
    if os.sep not in what and what.rstrip("t").replace(".", "").isdecimal():
        return False
    path = Path(what)
    return path.is_dir() or path.suffix in (*_SOURCES, *_ARCHIVES)


def audit(what: Facts | Path, *, python: Facts | None = None) -> Audit:
    """Audit the library of an interpreter (*what* are its facts), or the code at the path *what*.

    *python* is the interpreter that reads other people's code. Raises
    :class:`~zipstrap.errors.InterpreterError` for an interpreter that cannot be used, or has no unpacked
    library, and :class:`~zipstrap.errors.FileError` for what is not there or cannot be read.
    """
    if isinstance(what, Facts):
        return _audit_library(what)
    if python is None:
        raise UsageError("no interpreter is named that could read the code", cure="name one with --python")
    return _audit_code(what, python)


def _audit_library(facts: Facts) -> Audit:
    inventory = take_inventory(facts)
    entries = [entry for entry in inventory.entries if entry.kind is not Kind.JUNK]
    modules = [entry for entry in entries if entry.kind in (Kind.MODULE, Kind.PACKAGE)]
    # the tests are on disk or left out; of what they do with paths, nothing is a difference of the library
    read = [entry for entry in modules if entry.component != "test"]
    uses = scan_uses(
        Path(facts.executable),
        [(entry.path, entry.source, entry.module or "", entry.kind is Kind.PACKAGE) for entry in read],
    )
    findings, named, stale, needless = judge_library(
        uses, facts.feature_version, frozenset(entry.path for entry in entries)
    )
    return Audit(
        facts.name,
        facts.library,
        is_library=True,
        read=len(read),
        findings=findings,
        entries=named,
        stale=stale,
        needless=needless,
        unread=len(modules) - len(read),
    )


def _audit_code(path: Path, python: Facts) -> Audit:
    sources, extensions = _code_files(path)
    root = path if path.is_dir() else path.parent
    files = [_code_file(source, root) for source in sources]
    uses = list(scan_uses(Path(python.executable), files))
    uses += [
        Use(_shown(extension, root), "", 1, "", "extension", text=extension.name) for extension in extensions
    ]
    uses.sort(key=lambda use: (use.path, use.line))
    return Audit(str(path), str(root), is_library=False, read=len(files), findings=judge_code(uses))


def _code_files(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the sources and the extension modules at *path*."""
    if path.is_file() and path.suffix in _SOURCES:
        return [path], []
    if path.is_file() and path.suffix in _ARCHIVES:
        raise FileError("this is an archive", file=path, cure="unpack it, and name the folder")
    if not path.is_dir():
        raise FileError(
            "there is no folder and no module there", file=path, cure="name a package, a folder or a .py file"
        )
    found = sorted(_walk(path))
    sources = [file for file in found if file.suffix in _SOURCES]
    extensions = [file for file in found if file.suffix in _EXTENSIONS]
    if not sources and not extensions:
        raise FileError("there is no Python code in this folder", file=path, cure="name one that holds some")
    return sources, extensions


def _walk(path: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise FileError(
            f"this folder cannot be listed ({error.strerror})",
            file=error.filename,
            cure=cure_of(error, "make it readable"),
        ) from error

    for folder, folders, names in os.walk(path, onerror=fail):
        folders[:] = [name for name in folders if name not in _PASSED_OVER and not name.startswith(".")]
        yield from (Path(folder, name) for name in names)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _code_file(path: Path, root: Path) -> tuple[str, str, str, bool]:
    shown = _shown(path, root)
    is_package = path.name == "__init__.py"
    names = shown.rpartition(".")[0].split("/")
    # a package that is named itself is known to its modules by its own name
    above = [root.resolve().name] if (root / "__init__.py").is_file() else []
    parts = [*above, *(names[:-1] if is_package else names)]
    # the worker runs elsewhere
    return shown, os.path.abspath(path), ".".join(parts), is_package  # noqa: PTH100 - links are the user's
