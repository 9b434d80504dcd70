"""What people and machines read of an audit."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from .audit import Audit, Finding, Named, Verdict

__all__ = ["audit_to_json", "audit_to_text", "describe", "finding_lines"]

_SCHEMA = 1

#: what each verdict means, in the order of the report
_TITLES = {
    Verdict.NEW: "new: nobody has looked at this yet",
    Verdict.NOT_EQUAL: "not equal: a difference remains",
    Verdict.ON_DISK: "on disk: it needs files, and has them",
    Verdict.IMPORTER: "importer: equal through the importer of the fast layout",
    Verdict.FALSE_ALARM: "false alarms",
    Verdict.ABSENT: "known, but not in this library",
    Verdict.BREAKS: "breaks from an archive",
    Verdict.LOOK: "worth a look",
    Verdict.WORKS: "works",
}

_DONE = {
    "opens": "opens a file",
    "lists": "lists a folder",
    "checks": "looks for a file",
    "runs": "runs a file in another process",
    "loads": "loads code from a file",
    "path entry": "puts a path on sys.path",
}
_OTHER = {
    "module file": "__file__ of a module",
    "origin": "the origin of a spec",
    "source file": "the file of a module, through inspect",
    "library path": "a path of the library",
    "prefix": "a path below the prefix",
    "ctypes": "a shared library by a relative path",
    "runs python": "runs this interpreter",
    "co_filename": "compares the file names of code",
    "linecache": "linecache without the module's globals",
    "loader": "asks for the class of a loader",
    "zipimport": "internals of zipimport",
    "imp": "the old module imp",
    "extension": "an extension module",
    "unreadable": "cannot be read",
}


def describe(finding: Finding) -> str:
    """Return what was found, in words."""
    use = finding.use
    if use.kind in _DONE:
        words = f"{_DONE[use.kind]}, by {_OTHER.get(use.origin, use.origin)}"
    else:
        words = _OTHER.get(use.kind, use.kind)
    return f"{words}, under __main__" if use.in_main else words


def audit_to_json(audit: Audit) -> dict[str, Any]:
    """Return everything as JSON-able values."""
    return {
        "schema_version": _SCHEMA,
        "subject": audit.subject,
        "root": audit.root,
        "what": "library" if audit.is_library else "code",
        "passed": audit.passed,
        "read": audit.read,
        "unread_tests": audit.unread,
        "findings": [
            {
                **dataclasses.asdict(finding.use),
                "what": describe(finding),
                "verdict": finding.verdict.value,
                "why": finding.why,
                "remedy": finding.remedy,
                "entry": finding.entry,
            }
            for finding in audit.findings
        ],
        "entries": [{**dataclasses.asdict(each), "verdict": each.verdict.value} for each in audit.entries],
        "stale": list(audit.stale),
        "needless": list(audit.needless),
    }


def audit_to_text(audit: Audit, *, verbose: bool = False) -> str:
    """Return the report for people; *verbose* shows every finding with its line."""
    lines = (
        _library_lines(audit, verbose=verbose) if audit.is_library else _code_lines(audit, verbose=verbose)
    )
    return "\n".join(lines) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _library_lines(audit: Audit, *, verbose: bool) -> Iterator[str]:
    yield f"{audit.subject}, {audit.root}"
    yield f"{_count(audit.read, 'source')} read, {_count(len(audit.findings), 'use')} of paths found"
    if audit.unread:
        yield f"the tests are not read ({_count(audit.unread, 'source')}): they are on disk, or left out"
    by_entry: dict[str, list[Finding]] = defaultdict(list)
    for finding in audit.findings:
        by_entry["" if finding.verdict is Verdict.NEW else finding.entry].append(finding)
    for verdict in (
        Verdict.NEW,
        Verdict.NOT_EQUAL,
        Verdict.ON_DISK,
        Verdict.IMPORTER,
        Verdict.FALSE_ALARM,
        Verdict.ABSENT,
    ):
        named = [each for each in audit.entries if each.verdict is verdict]
        unknown = by_entry[""] if verdict is Verdict.NEW else []
        if not named and not unknown:
            continue
        yield ""
        yield f"{_TITLES[verdict]} ({len(named) + len(unknown)})"
        for finding in unknown:
            yield from finding_lines(finding)
        for each in named:
            # of two entries with one name, one is absent
            found = by_entry[each.name] if verdict is not Verdict.ABSENT else []
            yield from _entry_lines(each, found, verbose=verbose)
    yield ""
    for name in audit.stale:
        yield f"note: {name}: the sources no longer show it; see whether the entry can end with this version"
    for reason in audit.needless:
        yield f"note: nothing was found that needs this on disk: {reason}"
    new = sum(each.verdict is Verdict.NEW for each in audit.findings)
    new += sum(each.verdict is Verdict.NEW for each in audit.entries)
    yield f"{_count(new, 'new finding')}: somebody has to look" if new else "nothing new"


def _entry_lines(entry: Named, findings: Iterable[Finding], *, verbose: bool) -> Iterator[str]:
    yield f"  {entry.name}: {entry.about}"
    yield f"    {entry.why}"
    if entry.remedy:
        yield f"    what to do: {entry.remedy}"
    if verbose:
        for finding in findings:
            yield f"    {_place(finding)}: {finding.use.text}"
        return
    places: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        places[finding.use.path].append(str(finding.use.line))
    if places:
        texts = (f"{path}:{','.join(dict.fromkeys(numbers))}" for path, numbers in places.items())
        yield f"    in {' '.join(texts)}"


def _place(finding: Finding) -> str:
    return f"{finding.use.path}:{finding.use.line}"


def finding_lines(finding: Finding) -> Iterator[str]:
    """Yield what people read of *finding*: where it is, why it matters and what to do."""
    scope = f" in {finding.use.scope}" if finding.use.scope else ""
    yield f"  {_place(finding)}{scope}: {describe(finding)}: {finding.use.text}"
    yield f"    {finding.why}"
    if finding.remedy:
        yield f"    what to do: {finding.remedy}"


def _code_lines(audit: Audit, *, verbose: bool) -> Iterator[str]:
    yield f"{audit.subject}: {_count(audit.read, 'source')} read"
    for verdict in (Verdict.BREAKS, Verdict.LOOK, Verdict.WORKS):
        findings = [finding for finding in audit.findings if finding.verdict is verdict]
        if not findings or (verdict is Verdict.WORKS and not verbose):
            continue
        yield ""
        yield f"{_TITLES[verdict]} ({len(findings)})"
        for finding in findings:
            yield from finding_lines(finding)
    if audit.findings:
        yield ""
    breaks = sum(finding.verdict is Verdict.BREAKS for finding in audit.findings)
    if breaks:
        yield f"{_count(breaks, 'use')} would not work from an archive"
    else:
        yield "nothing was found that would not work from an archive"
