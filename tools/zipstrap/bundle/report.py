"""What people and machines read of bundles and of how they are activated."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from zipstrap.audit import Finding, Verdict
from zipstrap.audit_report import describe, finding_lines

from .activate import Activation
from .make import Bundled, PreparedBundle

__all__ = [
    "activation_to_json",
    "activation_to_text",
    "bundled_to_json",
    "bundled_to_text",
    "prepared_to_json",
    "prepared_to_text",
]

_SCHEMA = 1
_FEW = 8


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e5 else f"{number / 1e3:.1f} kB"


def _by_reason(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, reason in pairs:
        groups.setdefault(reason, []).append(name)
    return groups


def bundled_to_text(bundled: Bundled, *, verbose: bool = False) -> str:
    """Return the report of a bundle that was made; *verbose* shows every finding and file."""
    record = bundled.record
    lines = [
        f"{bundled.archive}: for {bundled.prepared.facts.name}, {_count(len(bundled.members), 'member')}, "
        f"{_size(bundled.size)}, sha256 {bundled.sha256}",
        f"to import: {_list(sorted((*record.modules, *record.on_disk)), verbose)}",
        f"compiled: {_count(bundled.compiled, 'source')}, {bundled.from_cache} of them from the cache",
    ]
    if bundled.folder is not None:
        lines.append(
            f"{bundled.folder}: {_count(bundled.disk_files, 'file')}, {_size(bundled.disk_size)}; "
            "it belongs beside the archive"
        )
    lines += _about(bundled.prepared, verbose=verbose)
    if bundled.not_compiled:
        lines.append(
            f"kept as data, because they do not compile: {_some(sorted(bundled.not_compiled), verbose)}"
        )
    lines.append(f"next: zipstrap activate {shlex.quote(str(bundled.archive))} --python PYTHON|TREE")
    return "\n".join(lines) + "\n"


def prepared_to_text(prepared: PreparedBundle, *, verbose: bool = False) -> str:
    """Return what would be written, and what was found in it."""
    plan = prepared.plan
    lines = [f"for {prepared.facts.name}; this is the plan, nothing is written"]
    lines.append(f"into the archive: {_count(len(plan.archive), 'file')}")
    lines += [f"  {file.name}" for file in plan.archive if verbose]
    lines.append(f"beside it: {_count(len(plan.disk), 'file')}")
    lines += [f"  {file.name}" for file in plan.disk if verbose]
    return "\n".join([*lines, *_about(prepared, verbose=verbose)]) + "\n"


def _list(names: Sequence[str], all_of_them: bool) -> str:  # noqa: FBT001
    if all_of_them or len(names) <= _FEW:
        return ", ".join(names) or "nothing"
    return f"{', '.join(names[:_FEW])} and {len(names) - _FEW} more"


def _some(names: Sequence[str], all_of_them: bool) -> str:  # noqa: FBT001
    if all_of_them or len(names) < 3:
        return ", ".join(names)
    return f"{names[0]} and {len(names) - 1} more"


def _about(prepared: PreparedBundle, *, verbose: bool) -> Iterator[str]:
    plan = prepared.plan
    if prepared.distributions:
        names = [f"{each.name} {each.version}" for each in prepared.distributions]
        yield f"distributions: {', '.join(names)}"
    for reason, tops in _by_reason(plan.on_disk.items()).items():
        yield f"on disk: {', '.join(tops)}: {reason}"
    for reason, names in _by_reason(plan.left_out).items():
        yield f"left out: {_some(names, verbose)}: {reason}"
    for note in prepared.notes:
        yield f"note: {note}"
    yield from _finding_report(prepared.findings, verbose=verbose)


def _finding_report(findings: Sequence[Finding], *, verbose: bool) -> Iterator[str]:
    breaking = [each for each in findings if each.verdict is Verdict.BREAKS]
    looking = [each for each in findings if each.verdict is Verdict.LOOK]
    if breaking:
        yield f"would not work from an archive ({len(breaking)}):"
        for each in breaking:
            yield from finding_lines(each)
    if looking and verbose:
        yield f"worth a look ({len(looking)}):"
        for each in looking:
            yield from finding_lines(each)
    elif looking:
        yield f"{_count(len(looking), 'more use')} of paths worth a look: -v lists them"
    if not breaking:
        yield "nothing was found that would not work from an archive"


def prepared_to_json(prepared: PreparedBundle) -> dict[str, Any]:
    """Return what would be written as JSON-able values."""
    plan = prepared.plan
    return {
        "schema_version": _SCHEMA,
        "archive": None,
        "target": prepared.facts.name,
        "members": [file.name for file in plan.archive],
        "disk_members": [file.name for file in plan.disk],
        **_about_to_json(prepared),
    }


def bundled_to_json(bundled: Bundled) -> dict[str, Any]:
    """Return a bundle that was made as JSON-able values."""
    return {
        "schema_version": _SCHEMA,
        "archive": str(bundled.archive),
        "folder": None if bundled.folder is None else str(bundled.folder),
        "target": bundled.prepared.facts.name,
        "size": bundled.size,
        "sha256": bundled.sha256,
        "members": len(bundled.members),
        "disk_files": bundled.disk_files,
        "disk_size": bundled.disk_size,
        "compiled": bundled.compiled,
        "from_cache": bundled.from_cache,
        "not_compiled": dict(bundled.not_compiled),
        "record": {
            **dataclasses.asdict(bundled.record),
            "modules": list(bundled.record.modules),
            "on_disk": list(bundled.record.on_disk),
            "suffixes": list(bundled.record.suffixes),
        },
        **_about_to_json(bundled.prepared),
    }


def _about_to_json(prepared: PreparedBundle) -> dict[str, Any]:
    return {
        "distributions": {each.name: each.version for each in prepared.distributions},
        "on_disk": dict(prepared.plan.on_disk),
        "left_out": [{"file": name, "reason": reason} for name, reason in prepared.plan.left_out],
        "notes": list(prepared.notes),
        "findings": [
            {
                **dataclasses.asdict(each.use),
                "what": describe(each),
                "verdict": each.verdict.value,
                "why": each.why,
                "remedy": each.remedy,
            }
            for each in prepared.findings
        ],
    }


def activation_to_text(activation: Activation, *, verbose: bool = False) -> str:
    """Return what was done, for people; *verbose* shows the whole of ``sys.path``."""
    lines = [f"{change.done}: {change.path}" for change in activation.changes]
    if not verbose:
        lines += [f"on sys.path: {entry}" for entry in activation.entries]
    else:
        lines += [
            f"sys.path {number}: {entry.path} ({entry.by})" for number, entry in enumerate(activation.path, 1)
        ]
    lines += [
        f"{each.name}: {each.wins} wins, and hides {', '.join(each.hides)}" for each in activation.shadows
    ]
    lines += [f"note: {entry.path} is not there (named by {entry.by})" for entry in activation.missing]
    lines += [f"note: {note}" for note in activation.notes]
    return "\n".join([*lines, f"to undo: {activation.undo}"]) + "\n"


def activation_to_json(activation: Activation) -> dict[str, Any]:
    """Return what was done as JSON-able values."""
    return {
        "schema_version": _SCHEMA,
        "with": activation.way,
        "entries": list(activation.entries),
        "files": [{"path": str(change.path), "done": change.done} for change in activation.changes],
        "text": activation.text,
        "undo": activation.undo,
        "sys_path": [dataclasses.asdict(entry) for entry in activation.path],
        "missing": [dataclasses.asdict(entry) for entry in activation.missing],
        "shadows": [{**dataclasses.asdict(each), "hides": list(each.hides)} for each in activation.shadows],
        "notes": list(activation.notes),
    }
