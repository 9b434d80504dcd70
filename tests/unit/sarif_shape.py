"""What SARIF 2.1.0 (OASIS) demands of a log of the kind that zipstrap writes: properties, types and words.

Taken from the standard's sections on sarifLog, run, tool, reportingDescriptor, result and invocation.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["faults"]

_KINDS = {"pass", "open", "informational", "notApplicable", "review", "fail"}
_LEVELS = {"none", "note", "warning", "error"}

#: object → property → (type, whether it has to be there)
_SHAPES: dict[str, dict[str, tuple[type, bool]]] = {
    "log": {"$schema": (str, False), "version": (str, True), "runs": (list, True)},
    "run": {
        "tool": (dict, True),
        "invocations": (list, False),
        "originalUriBaseIds": (dict, False),
        "results": (list, True),
        "properties": (dict, False),
    },
    "driver": {"name": (str, True), "version": (str, False), "rules": (list, False)},
    "rule": {
        "id": (str, True),
        "name": (str, False),
        "shortDescription": (dict, False),
        "fullDescription": (dict, False),
        "help": (dict, False),
        "defaultConfiguration": (dict, False),
    },
    "invocation": {"executionSuccessful": (bool, True), "exitCode": (int, False)},
    "result": {
        "ruleId": (str, True),
        "ruleIndex": (int, True),
        "kind": (str, True),
        "level": (str, True),
        "message": (dict, True),
        "locations": (list, False),
        "partialFingerprints": (dict, False),
        "properties": (dict, False),
    },
}


def faults(log: Any) -> list[str]:
    """Return what in *log* is not as the standard has it."""
    found = _shape("log", log)
    if log.get("version") != "2.1.0":
        found.append("the version is another one")
    for run in log["runs"]:
        found += _shape("run", run)
        driver = run["tool"]["driver"]
        found += _shape("driver", driver)
        rules = driver["rules"]
        for rule in rules:
            found += _shape("rule", rule)
            found += [
                f"{rule['id']}: no text" for key in ("shortDescription", "help") if not _text(rule[key])
            ]
            if rule["defaultConfiguration"].get("level") not in _LEVELS:
                found.append(f"{rule['id']}: no such level")
        if len({rule["id"] for rule in rules}) != len(rules):
            found.append("two rules have one id")
        for invocation in run["invocations"]:
            found += _shape("invocation", invocation)
        bases = run["originalUriBaseIds"]
        found += [f"{name} does not end in a slash" for name, base in bases.items() if base["uri"][-1] != "/"]
        for result in run["results"]:
            found += _result(result, rules, bases)
    return found


def _result(result: Any, rules: list[Any], bases: dict[str, Any]) -> list[str]:
    found = _shape("result", result)
    name = result["ruleId"]
    if rules[result["ruleIndex"]]["id"] != name:
        found.append(f"{name}: the index is another rule's")
    if result["kind"] not in _KINDS or result["level"] not in _LEVELS:
        found.append(f"{name}: {result['kind']}, {result['level']}")
    if result["kind"] != "fail" and result["level"] != "none":
        found.append(f"{name}: what is no fail has the level none")
    if not _text(result["message"]):
        found.append(f"{name}: no text")
    for location in result["locations"]:
        place = location["physicalLocation"]["artifactLocation"]
        if place["uriBaseId"] not in bases:
            found.append(f"{name}: {place['uriBaseId']} is no base")
        if re.fullmatch(r"(?!/)[A-Za-z0-9._~/%+@,=-]+", place["uri"]) is None:
            found.append(f"{name}: {place['uri']} is no relative URI")
    return found


def _shape(kind: str, value: dict[str, Any]) -> list[str]:
    shape = _SHAPES[kind]
    found = [f"{kind} has no {key}" for key, (_, needed) in shape.items() if needed and key not in value]
    found += [f"{kind} has a {key}" for key in value if key not in shape]
    return found + [
        f"{kind}.{key} is {value[key]!r}"
        for key, (wanted, _) in shape.items()
        if key in value and not isinstance(value[key], wanted)
    ]


def _text(message: dict[str, Any]) -> bool:
    return isinstance(message.get("text"), str) and bool(message["text"])
