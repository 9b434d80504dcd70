"""Write the parts of the pages that say what the package's data says: ``python docs/make_tables.py``.

A part lies between ``<!-- made from data: NAME -->`` and ``<!-- end -->``; what stands there is replaced.
``tests/contract/test_docs.py`` fails when a page and the data differ.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from zipstrap import cli
from zipstrap.audit import audit_entries
from zipstrap.bench.cases import bench_data
from zipstrap.data import (
    archive_rules,
    checks,
    components,
    extension_halves,
    harmless_variables,
    profiles,
    split_rules,
    vectors,
)

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs"

_PART = re.compile(r"(<!-- made from data: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def parser() -> argparse.ArgumentParser:
    """Return the command line as the package defines it."""
    return cli.make_parser()


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb, by name; of one with verbs of its own, theirs."""
    found = {}
    for name, verb in _inner(parser()).items():
        inner = {f"{name} {each}": its for each, its in _inner(verb).items()}
        found.update(inner or {name: verb})
    return found


def _inner(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(
        (dict(action.choices) for action in of._actions if isinstance(action, argparse._SubParsersAction)), {}
    )


def code(text: str) -> str:
    """Return *text* as code; a bar would end a table's cell."""
    return "`" + text.replace("|", r"\|") + "`"


def _check_sections() -> Iterator[str]:
    for check in checks().values():
        yield f"## {check.code}"
        yield ""
        yield f"`{check.name}` asserts that {check.title}. Severity: {check.severity}."
        yield ""
        yield f"**Cause.** {check.cause}"
        yield ""
        yield f"**Cure.** {check.cure}"
        yield ""
        if check.masks:
            links = ", ".join(f"[{other}](#{other.lower()})" for other in sorted(check.masks))
            yield f"**Consequences.** When this one fails, what these find is put down to it: {links}."
            yield ""


def _check_list() -> Iterator[str]:
    yield "| code | name | asserts that | severity |"
    yield "|---|---|---|---|"
    for check in checks().values():
        link = f"[{check.code}](#{check.code.lower()})"
        yield f"| {link} | {check.name} | {check.title} | {check.severity} |"


def _rule_sections() -> Iterator[str]:
    for rule in archive_rules().values():
        yield f"## {rule.code}"
        yield ""
        yield f"`{rule.name}` asserts that {rule.title}."
        yield ""
        yield f"**Cause.** {rule.cause}"
        yield ""
        yield f"**Cure.** {rule.cure}"
        yield ""


def _archive_rule_list() -> Iterator[str]:
    yield "| code | name | asserts that |"
    yield "|---|---|---|"
    for rule in archive_rules().values():
        link = f"[{rule.code}](#{rule.code.lower()})"
        title = rule.title.replace("|", r"\|")
        yield f"| {link} | {rule.name} | {title} |"


def _vector_list() -> Iterator[str]:
    yield "| code | name | what is tried | versions |"
    yield "|---|---|---|---|"
    for vector in vectors().values():
        link = f"[{vector.code}](#{vector.code.lower()})"
        versions = _versions(vector.since, vector.until)
        yield f"| {link} | {code(vector.name)} | {vector.title} | {versions} |"


def _vector_sections() -> Iterator[str]:
    for vector in vectors().values():
        needs = ", ".join(sorted(vector.needs))
        yield f"## {vector.code}"
        yield ""
        yield f"`{vector.name}`: {vector.title}." + (f" Needs: {needs}." if needs else "")
        yield ""
        yield f"**Cause.** {vector.cause}"
        yield ""
        yield f"**Cure.** {vector.cure}"
        yield ""
        if vector.beyond:
            yield f"**Beyond a tree**, because {vector.beyond}."
            yield ""
        if vector.before:
            yield f"**Beyond a tree without a launcher**, because {vector.before}."
            yield ""


def _variable_list() -> Iterator[str]:
    yield ", ".join(map(code, harmless_variables())) + "."


def _component_list() -> Iterator[str]:
    yield "| component | what it is | its files, below the library's folder |"
    yield "|---|---|---|"
    for part in components():
        yield f"| `{part.name}` | {part.about} | {', '.join(map(code, part.patterns))} |"
    yield "| `core` | everything else | |"


def _profile_list() -> Iterator[str]:
    yield "| profile | what it takes | components left out |"
    yield "|---|---|---|"
    for profile in profiles().values():
        left = ", ".join(map(code, sorted(profile.without))) or "none"
        yield f"| `{profile.name}` | {profile.about} | {left} |"


def _start_list() -> Iterator[str]:
    profile = profiles()["minimal"]
    yield "Whole packages: " + ", ".join(map(code, profile.whole)) + "."
    yield ""
    yield "Modules from which imports are followed: " + ", ".join(map(code, profile.start or ())) + "."


def _half_list() -> Iterator[str]:
    yield "| where the target has no | these are left out |"
    yield "|---|---|"
    for extension, patterns in extension_halves().items():
        yield f"| `{extension}` | {', '.join(map(code, patterns))} |"


def _versions(since: tuple[int, int], until: tuple[int, int]) -> str:
    first = "" if since <= (3, 8) else f"from {since[0]}.{since[1]}"
    last = "" if until >= (3, 15) else f"up to {until[0]}.{until[1]}"
    return " ".join(filter(None, (first, last))) or "all"


def _rule_list() -> Iterator[str]:
    yield "| files, below the library's folder | versions | layouts | why |"
    yield "|---|---|---|---|"
    for rule in split_rules():
        layouts = ", ".join(layout for layout in rule.layouts if layout != "library") or "all"
        files = ", ".join(map(code, rule.paths))
        yield f"| {files} | {_versions(rule.since, rule.until)} | {layouts} | {rule.reason} |"


def _audit_list() -> Iterator[str]:
    yield "| entry | versions | verdict | what it is | why |"
    yield "|---|---|---|---|---|"
    for entry in audit_entries():
        about, why = (text.replace("|", r"\|") for text in (entry.about, entry.why))
        remedy = f" What to do: {entry.remedy}." if entry.remedy else ""
        versions = _versions(entry.since, entry.until)
        yield f"| {code(entry.name)} | {versions} | {entry.verdict.value} | {about} | {why}.{remedy} |"


def _option_list(verb: str) -> Iterator[str]:
    """Yield a table of arguments, those without a name first; not argparse's own, which varies by version."""
    actions = sorted(verbs()[verb]._actions, key=lambda action: bool(action.option_strings))
    yield "| argument | what it does |"
    yield "|---|---|"
    for action in actions:
        if action.dest == "help":
            continue
        # argparse's own spelling; a bar would have to be escaped, and would be shown so by some
        value = action.metavar or "{" + ",".join(map(str, action.choices or ())) + "}"
        if action.option_strings:
            ending = "" if action.nargs == 0 else f" {value}"
            names = ", ".join(code(name + ending) for name in action.option_strings)
        else:
            names = code(str(value))
        yield f"| {names} | {action.help} |"


def _layer_list() -> Iterator[str]:
    source = (ROOT / "tests/contract/test_imports.py").read_text(encoding="utf-8")
    layers = next(
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign)
        and node.value is not None
        and isinstance(node.target, ast.Name)
        and node.target.id == "LAYERS"
    )
    yield "| layer, from the top | modules |"
    yield "|---|---|"
    for name, modules in reversed(layers):
        yield f"| {name} | {', '.join(map(code, modules))} |"


def _column_list() -> Iterator[str]:
    yield "| column | what it is |"
    yield "|---|---|"
    for column in bench_data().columns:
        yield f"| `{column.name}` | {column.about} |"
    yield "| `tree` | the tree that was named, if one was |"


def _row_list() -> Iterator[str]:
    yield "| row | what is started | under |"
    yield "|---|---|---|"
    for row in bench_data().rows:
        yield f"| `{row.name}` | {row.about} | {', '.join(map(code, row.conditions))} |"


def _module_names() -> Iterator[str]:
    yield ", ".join(map(code, bench_data().modules)) + "."


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "checks": _check_list,
    "check sections": _check_sections,
    "archive rules": _archive_rule_list,
    "archive rule sections": _rule_sections,
    "hijack vectors": _vector_list,
    "hijack vector sections": _vector_sections,
    "hijack variables": _variable_list,
    "components": _component_list,
    "profiles": _profile_list,
    "minimal": _start_list,
    "halves": _half_list,
    "on disk": _rule_list,
    "layers": _layer_list,
    "audit": _audit_list,
    "bench columns": _column_list,
    "bench rows": _row_list,
    "bench modules": _module_names,
}


def made(name: str) -> str:
    """Return the text of the part *name*."""
    verb = name.removeprefix("options of ")
    lines = list(_option_list(verb) if verb != name else PARTS[name]())
    return "\n" + "\n".join(lines).rstrip("\n") + "\n\n"


def renewed(page: str) -> str:
    """Return the text of a page with its parts made anew."""
    return _PART.sub(lambda part: part[1] + made(part["name"]) + part[3], page)


def pages() -> list[Path]:
    """Return the pages that have such parts."""
    return [path for path in sorted(PAGES.rglob("*.md")) if _PART.search(path.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    for path in pages():
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
