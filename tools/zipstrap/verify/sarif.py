"""SARIF 2.1.0 (OASIS): what verify and the hijack matrix found, for tools that show such logs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from zipstrap import __version__
from zipstrap.data import checks

from .report import Verification

__all__ = ["SarifResult", "SarifRule", "manifest_to_sarif", "sarif_log", "verification_to_sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True)
class SarifRule:
    """What can be found: *title* in one line, why it matters and what to do."""

    code: str
    name: str
    title: str
    cause: str
    cure: str
    level: Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class SarifResult:
    """What was found, or was not: of what is no *fail* the *level* is none.

    *paths* are relative to the tree. *about* tells results of one rule apart from run to run.
    """

    code: str
    text: str
    kind: Literal["fail", "pass", "open", "notApplicable", "informational"] = "fail"
    level: Literal["error", "warning", "note", "none"] = "error"
    paths: Sequence[str] = ()
    about: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


def sarif_log(
    tree: Path,
    rules: Sequence[SarifRule],
    results: Iterable[SarifResult],
    *,
    passed: bool,
    properties: dict[str, Any],
) -> dict[str, Any]:
    """Return the log of one run on *tree* as JSON-able values."""
    index = {rule.code: number for number, rule in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "zipstrap",
                        "version": __version__,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "invocations": [{"executionSuccessful": True, "exitCode": 0 if passed else 1}],
                "originalUriBaseIds": {"TREE": {"uri": tree.absolute().as_uri().rstrip("/") + "/"}},
                "results": [_result(result, index) for result in results],
                "properties": properties,
            }
        ],
    }


def _rule(rule: SarifRule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.cause},
        "help": {"text": rule.cure},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(result: SarifResult, index: dict[str, int]) -> dict[str, Any]:
    places = [path for path in result.paths if not path.startswith("/")] or ["."]
    mark = hashlib.sha256("\0".join((result.code, result.about or result.text)).encode("utf-8", "replace"))
    found: dict[str, Any] = {
        "ruleId": result.code,
        "ruleIndex": index[result.code],
        "kind": result.kind,
        "level": result.level if result.kind == "fail" else "none",
        "message": {"text": result.text},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": _uri(path), "uriBaseId": "TREE"}}}
            for path in places[:1]
        ],
        "partialFingerprints": {"zipstrap/v1": mark.hexdigest()},
    }
    if result.properties:
        found["properties"] = result.properties
    return found


def _uri(path: str) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(str(PurePosixPath(path)).encode("utf-8", "surrogateescape"))


def _check_rules() -> list[SarifRule]:
    return [
        SarifRule(
            check.code,
            check.name,
            check.title,
            check.cause,
            check.cure,
            "error" if check.severity == "error" else "warning",
        )
        for check in checks().values()
    ]


def verification_to_sarif(verification: Verification) -> dict[str, Any]:
    """Return what verify found as a SARIF log: each finding, and each check that could not be judged."""
    results = []
    for result in verification.results:
        level: Literal["error", "warning", "note"] = (
            "note" if result.because else "warning" if result.status == "warned" else "error"
        )
        reason = f" ({result.reason})" if result.because else ""
        results += [
            SarifResult(
                result.code, verification.shown(finding.text) + reason, level=level, paths=finding.paths
            )
            for finding in result.findings
        ]
        if result.unseen:
            results.append(SarifResult(result.code, verification.shown(result.reason), kind="open"))
    evidence = verification.evidence
    return sarif_log(
        verification.tree,
        _check_rules(),
        results,
        passed=verification.passed,
        properties={
            "target": evidence.target.name,
            "layout": evidence.layout.name,
            "strict": evidence.strict,
        },
    )


def manifest_to_sarif(tree: Path, code: str, problem: str) -> dict[str, Any]:
    """Return the log of a tree whose manifest is not the expected one: nothing else was looked at."""
    from zipstrap.manifest import MANIFEST_NAME

    result = SarifResult(code, problem, paths=(MANIFEST_NAME,))
    return sarif_log(tree, _check_rules(), [result], passed=False, properties={})
