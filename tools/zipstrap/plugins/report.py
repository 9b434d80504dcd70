"""What people and machines read of plugins; what is known of the interpreter that is to load them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from zipstrap.data import archive_rules
from zipstrap.interpreter import Facts
from zipstrap.portable.plugin_checks import Checked, Fault, Runtime

__all__ = ["checked_to_json", "fault_lines", "runtime_of"]


def runtime_of(facts: Facts) -> Runtime:
    """Return the interpreter of *facts* as a plugin sees it."""
    return Runtime(
        facts.version,
        bytes.fromhex(facts.magic),
        # as sysconfig.get_platform() says it there
        f"{facts.platform}-{facts.machine}",
        facts.extension_suffixes,
    )


def fault_lines(faults: Iterable[Fault]) -> Iterator[str]:
    """Yield what is wrong, and what to do; a rule of archives with its code."""
    for fault in faults:
        code, cure = _code_and_cure(fault)
        yield f"  {code}: {fault.problem}"
        yield f"    what to do: {cure}"


def _code_and_cure(fault: Fault) -> tuple[str, str]:
    rule = archive_rules().get(fault.kind)
    if rule is None:
        return fault.kind, fault.cure
    return f"{rule.code} {rule.name}", rule.cure[0].lower() + rule.cure[1:].removesuffix(".")


def checked_to_json(checked: Iterable[Checked], faults: Iterable[Fault]) -> dict[str, Any]:
    """Return the JSON document of a folder's plugins, and of what is wrong with the folder."""
    plugins = [
        {
            "file": each.file,
            "sha256": each.sha256 or None,
            "size": each.size,
            "ok": each.ok,
            "metadata": None if each.metadata is None else dataclasses.asdict(each.metadata),
            "faults": [_fault_to_json(fault) for fault in each.faults],
        }
        for each in checked
    ]
    return {
        "schema_version": 1,
        "plugins": plugins,
        "faults": [_fault_to_json(fault) for fault in faults],
    }


def _fault_to_json(fault: Fault) -> dict[str, Any]:
    rule = archive_rules().get(fault.kind)
    _, cure = _code_and_cure(fault)
    return {
        "kind": fault.kind,
        "code": None if rule is None else rule.code,
        "problem": fault.problem,
        "file": fault.file,
        "cure": cure,
    }
