"""The outcome of verify, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipstrap.data import checks

from .boots import Boot, BootModule
from .checks import CheckResult
from .evidence import Evidence

__all__ = ["Verification", "verification_to_json", "verification_to_text"]

_SCHEMA = 1

#: findings of one check that the text shows; JSON has them all
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified, and what was found."""

    tree: Path
    evidence: Evidence
    results: tuple[CheckResult, ...]
    #: a build verifies its tree before it is put in place; the report says where it will be, not where it was
    to_be_moved: bool = False

    def shown(self, text: str) -> str:
        """Return *text* with the tree's path as the report has it."""
        return text.replace(str(self.evidence.root), str(self.tree)) if self.to_be_moved else text

    @property
    def passed(self) -> bool:
        """Whether no check failed; with --strict no check warned either."""
        bad = {"failed", "warned"} if self.evidence.strict else {"failed"}
        return not any(result.status in bad for result in self.results)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the checks that failed or warned of their own accord."""
        return tuple(result.code for result in self.results if result.status in ("failed", "warned"))

    @property
    def unseen(self) -> tuple[CheckResult, ...]:
        """The checks that apply and were not run, because something could not be looked at."""
        return tuple(result for result in self.results if result.unseen)


def verification_to_json(verification: Verification) -> dict[str, Any]:
    """Return the outcome as JSON-able values, with every module of every boot and its witnesses."""
    evidence = verification.evidence
    values = {
        "schema_version": _SCHEMA,
        "tree": str(verification.tree),
        "target": evidence.target.name,
        "layout": evidence.layout.name,
        "passed": verification.passed,
        "strict": evidence.strict,
        "not_looked_at": [result.code for result in verification.unseen],
        "checks": [_check_to_json(result) for result in verification.results],
        "boots": [_boot_to_json(boot, verification) for boot in evidence.boots],
        "needs": [] if evidence.linkage is None else [library.soname for library in evidence.linkage.system],
    }
    return {name: _shown(value, verification) for name, value in values.items()}


def _shown(value: Any, verification: Verification) -> Any:
    if isinstance(value, str):
        return verification.shown(value)
    if isinstance(value, list):
        return [_shown(item, verification) for item in value]
    if isinstance(value, dict):
        return {name: _shown(item, verification) for name, item in value.items()}
    return value


def _check_to_json(result: CheckResult) -> dict[str, Any]:
    data = checks()[result.code]
    return {
        "code": result.code,
        "name": data.name,
        "title": data.title,
        "severity": data.severity,
        "status": result.status,
        "reason": result.reason,
        "because": list(result.because),
        "findings": [finding.text for finding in result.findings],
        "cause": data.cause if result.findings else "",
        "cure": data.cure if result.findings else "",
    }


def _boot_to_json(boot: Boot, verification: Verification) -> dict[str, Any]:
    facts = boot.facts
    return {
        "mode": boot.mode.name,
        "status": boot.status,
        "reason": boot.reason,
        "prefix": None if facts is None else facts.base_prefix,
        "exec_prefix": None if facts is None else facts.base_exec_prefix,
        "sys_path": [] if facts is None else list(facts.sys_path),
        "modules": [
            {
                "module": module.module,
                "origin": None if module.origin is None else module.origin.value,
                "path": module.path,
                "witnesses": {
                    "loader": None if module.origin is None else module.origin.value,
                    "log": None if module.log is None else module.log.value,
                },
                "agree": module.agree,
                "note": module.reason,
            }
            for module in verification.evidence.modules.get(boot.mode.name, ())
        ],
        "opened": None if boot.opened is None else list(boot.opened),
        "opened_note": boot.opened_reason,
    }


def verification_to_text(verification: Verification, *, verbose: bool = False) -> str:
    """Return the outcome for people: the boot set with its origins, then the checks."""
    return verification.shown("\n".join(_lines(verification, verbose=verbose)) + "\n")


def _lines(verification: Verification, *, verbose: bool) -> Iterator[str]:
    evidence = verification.evidence
    yield f"{verification.tree}: {evidence.target.name}, layout {evidence.layout.name}"
    for boot in evidence.boots:
        yield _boot_line(boot, evidence.modules.get(boot.mode.name, ()))
        if boot.status == "ran" and (verbose or boot.mode.name == "plain"):
            yield from _module_lines(evidence.modules[boot.mode.name], verification)
    by_status = {
        status: [result for result in verification.results if result.status == status]
        for status in ("passed", "not run", "failed", "warned", "consequence")
    }
    passed = [result.code for result in by_status["passed"]]
    yield f"{len(passed)} of {len(verification.results)} checks passed: {', '.join(passed) or 'none'}"
    for result in by_status["not run"]:
        yield f"not run: {result.code} {checks()[result.code].name}: {result.reason}"
    for result in (*by_status["warned"], *by_status["failed"]):
        yield from _finding_lines(result)
    for result in by_status["consequence"]:
        yield f"also {result.code} {checks()[result.code].name}, which {result.reason}"
        if verbose:
            yield from _found(result)
    yield _verdict(verification)


def _verdict(verification: Verification) -> str:
    if not verification.passed:
        return f"NOT VERIFIED: {', '.join(verification.codes)}"
    warnings = f", with warnings: {', '.join(verification.codes)}" if verification.codes else ""
    unseen = ", ".join(f"{result.code} ({result.reason})" for result in verification.unseen)
    return f"verified{warnings}" + (f", but not looked at: {unseen}" if unseen else "")


def _boot_line(boot: Boot, modules: Iterable[BootModule]) -> str:
    if boot.status != "ran":
        return f"mode {boot.mode.name}: {boot.status}: {boot.reason}"
    counts = Counter(module.origin.value if module.origin else "unseen" for module in modules)
    agreed = sum(module.agree for module in modules)
    origins = ", ".join(f"{number} {origin}" for origin, number in sorted(counts.items()))
    share = "all" if agreed == counts.total() else f"{agreed} of {counts.total()}"
    return f"mode {boot.mode.name}: {counts.total()} modules ({origins}); the witnesses agree on {share}"


def _module_lines(modules: Iterable[BootModule], verification: Verification) -> Iterator[str]:
    root = f"{verification.evidence.root}/"
    for module in modules:
        origin = module.origin.value if module.origin else "unseen"
        place = f"  {module.path.removeprefix(root)}" if module.path else ""
        yield f"  {module.module:<28} {origin:<10}{place}".rstrip()


def _finding_lines(result: CheckResult) -> Iterator[str]:
    data = checks()[result.code]
    yield f"{result.status.upper()} {result.code} {data.name}: {data.title}"
    yield from _found(result)
    yield f"  why: {data.cause}"
    yield f"  what to do: {data.cure}"


def _found(result: CheckResult) -> Iterator[str]:
    for finding in result.findings[:_SHOWN]:
        yield f"  found: {finding.text}"
    if len(result.findings) > _SHOWN:
        yield f"  found: {len(result.findings) - _SHOWN} more of this kind"
