"""Imports run strictly downward: command line, verbs, steps, facts and errors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "tools/zipstrap"

#: From the ground up. A module may import those of lower layers only, at its top or inside a function.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ground", ("zipstrap", "zipstrap.data", "zipstrap.errors")),
    ("other people's libraries and files", ("zipstrap.libraries", "zipstrap.start_files")),
    ("at either floor", ("zipstrap.portable", "zipstrap.portable.archive_reader")),
    ("checking plugins, at either floor", ("zipstrap.portable.plugin_checks",)),
    ("importing them", ("zipstrap.portable.plugin_imports",)),
    ("loading them", ("zipstrap.portable.plugins",)),
    (
        "files",
        (
            "zipstrap.archive",
            "zipstrap.config",
            "zipstrap.destination",
            "zipstrap.durable",
            "zipstrap.fsverity",
            "zipstrap.hooks",
            "zipstrap.launcher",
            "zipstrap.linkage",
        ),
    ),
    ("lists of files", ("zipstrap.file_list",)),
    ("logs", ("zipstrap.verify.kernel_log", "zipstrap.verify.verbose_log")),
    ("workers", ("zipstrap.worker",)),
    ("what a bench runs and computes", ("zipstrap.bench", "zipstrap.bench.cases", "zipstrap.bench.figures")),
    ("starts that are measured", ("zipstrap.bench.measure",)),
    (
        "parts of a bench's run",
        (
            "zipstrap.bench.counters",
            "zipstrap.bench.memory",
            "zipstrap.bench.peers",
            "zipstrap.bench.storage",
        ),
    ),
    ("what a bench says", ("zipstrap.bench.report",)),
    ("its picture", ("zipstrap.bench.plot",)),
    ("judging a suite", ("zipstrap.suite", "zipstrap.suite.cases")),
    (
        "parts of a suite's run",
        (
            "zipstrap.suite.report",
            "zipstrap.suite.runner",
            "zipstrap.suite.selection",
            "zipstrap.suite.state",
        ),
    ),
    (
        "asked of a target",
        (
            "zipstrap.compile",
            "zipstrap.imports",
            "zipstrap.interpreter",
            "zipstrap.recorder",
            "zipstrap.source_hash",
        ),
    ),
    ("parts of plugins, on the host", ("zipstrap.plugins.report", "zipstrap.plugins.vendoring")),
    ("plugins, on the host", ("zipstrap.plugins",)),
    (
        "what people hand in",
        ("zipstrap.bundle", "zipstrap.bundle.inputs", "zipstrap.bundle.record"),
    ),
    ("distributions", ("zipstrap.bundle.distributions",)),
    ("what goes where in a bundle", ("zipstrap.bundle.plan",)),
    ("what was seen of an application", ("zipstrap.trace",)),
    ("what stays stored", ("zipstrap.hot",)),
    ("asked of the system", ("zipstrap.owners",)),
    ("compressed", ("zipstrap.compress",)),
    ("what is there, what goes where", ("zipstrap.headers", "zipstrap.inventory", "zipstrap.layout")),
    (
        "pictures",
        ("zipstrap.report", "zipstrap.report.markup", "zipstrap.report.treemap", "zipstrap.report.waterfall"),
    ),
    ("what is taken", ("zipstrap.profiles",)),
    ("the plan", ("zipstrap.plan",)),
    (
        "what is written",
        ("zipstrap.boot_record", "zipstrap.contents", "zipstrap.conversion", "zipstrap.manifest"),
    ),
    ("what it weighs", ("zipstrap.size_account",)),
    ("the tree", ("zipstrap.stage",)),
    ("witnesses", ("zipstrap.verify.boots", "zipstrap.verify.native_marker")),
    ("starts that are timed", ("zipstrap.report.starts",)),
    ("evidence", ("zipstrap.verify.evidence", "zipstrap.verify.integrity")),
    ("checks", ("zipstrap.verify.checks",)),
    ("what people read", ("zipstrap.verify.report",)),
    ("what other tools read", ("zipstrap.verify.sarif",)),
    ("judging who got control", ("zipstrap.verify.hijack",)),
    ("trying to get it, and telling of it", ("zipstrap.verify.hijack_report", "zipstrap.verify.scratch")),
    ("the proof", ("zipstrap.verify", "zipstrap.verify.run")),
    (
        "verbs",
        (
            "zipstrap.audit",
            "zipstrap.build",
            "zipstrap.compile_tree",
            "zipstrap.inspection",
            "zipstrap.sbom",
            "zipstrap.start_hooks",
            "zipstrap.tracing",
        ),
    ),
    (
        "verbs on verbs",
        (
            "zipstrap.audit_report",
            "zipstrap.bench.sides",
            "zipstrap.bundle.activate",
            "zipstrap.bundle.make",
            "zipstrap.convert",
            "zipstrap.destdir",
            "zipstrap.suite.run",
        ),
    ),
    ("what a page says", ("zipstrap.report.model",)),
    ("a part of a page, and the verb", ("zipstrap.report.archive_section", "zipstrap.report.run")),
    ("the page", ("zipstrap.report.page",)),
    ("what people read of bundles", ("zipstrap.bundle.report",)),
    ("a verb on their trees", ("zipstrap.bench.run",)),
    ("what of a prefix is ours", ("zipstrap.generations.state", "zipstrap.generations.users")),
    ("how a prefix is changed", ("zipstrap.generations.change",)),
    ("how generations are removed", ("zipstrap.generations.remove",)),
    ("what people read of them", ("zipstrap.generations", "zipstrap.generations.report")),
    ("what verbs share", ("zipstrap.cli.arguments", "zipstrap.cli.terminal")),
    (
        "verbs as typed",
        (
            "zipstrap.cli.bundling",
            "zipstrap.cli.changing",
            "zipstrap.cli.comparing",
            "zipstrap.cli.hooking",
            "zipstrap.cli.installing",
            "zipstrap.cli.looking",
            "zipstrap.cli.making",
            "zipstrap.cli.plugging",
            "zipstrap.cli.tracing",
        ),
    ),
    ("verbs that print alike", ("zipstrap.cli.packaging",)),
    ("command line", ("zipstrap.cli",)),
    ("entry", ("zipstrap.__main__",)),
)

#: Imports within a layer that are meant: (importer, imported), each with its reason.
SIDEWAYS: dict[tuple[str, str], str] = {
    ("zipstrap.cli.installing", "zipstrap.cli.making"): "the plan of a generation is shown as that of a tree",
}

#: Read as resources, never imported: they belong to the target.
FOREIGN = ("zipstrap._in_target", "zipstrap.site_hooks")


def layer(module: str) -> int | None:
    """Return the height of *module*."""
    return next((height for height, (_, names) in enumerate(LAYERS) if module in names), None)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
OURS = {name: path for name, path in MODULES.items() if not name.startswith(FOREIGN)}

each_module = pytest.mark.parametrize("module", OURS)


def imported(module: str, source: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each module of zipstrap that *source*, the text of *module*, imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "zipstrap"
            )
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                up = node.level - is_package
                base = ".".join([*parts[: len(parts) - up], *([base] if base else [])])
            if base.split(".")[0] != "zipstrap":
                continue
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner in MODULES or inner in FOREIGN else base


def faults(module: str, source: str, *, is_package: bool) -> list[str]:
    """Return what is wrong with the imports of *module*."""
    found = []
    height = layer(module)
    if height is None:
        return [f"{module} has no layer: give it one in LAYERS"]
    for line, name in imported(module, source, is_package=is_package):
        if name.startswith(FOREIGN):
            found.append(f"line {line}: {name} belongs to the target: read it as a resource")
            continue
        other = layer(name)
        if other is None:
            found.append(f"line {line}: {name} has no layer: give it one in LAYERS")
        elif other > height or (other == height and (module, name) not in SIDEWAYS):
            found.append(f"line {line}: {name} ({LAYERS[other][0]}) is not below {LAYERS[height][0]}")
    return found


@each_module
def test_imports_run_downward(module: str) -> None:
    path = OURS[module]
    assert faults(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source", "is_package", "fault"),
    [
        ("zipstrap.worker", "from . import plan", False, "zipstrap.plan"),
        ("zipstrap.worker", "def f():\n    from .cli import main", False, "line 2: zipstrap.cli"),
        ("zipstrap.layout", "import zipstrap.inventory", False, "zipstrap.inventory"),
        ("zipstrap.verify.checks", "from ..__main__ import main", False, "zipstrap.__main__"),
        ("zipstrap", "from .errors import ZipstrapError", True, "zipstrap.errors"),
        ("zipstrap.stage", "from zipstrap import site_hooks", False, "resource"),
        ("zipstrap.brand_new", "", False, "no layer"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str, is_package: bool, fault: str) -> None:
    assert any(fault in each for each in faults(module, source, is_package=is_package))
