"""The documentation says what is so: links lead somewhere, tables agree with data, names are current."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from zipstrap.archive import MemberRecord
from zipstrap.config import KEYS
from zipstrap.data import archive_rules, checks, vectors
from zipstrap.interpreter import Facts
from zipstrap.layout import Landmark, Layout
from zipstrap.manifest import FileRecord, Manifest, Target
from zipstrap.plan import FileKind
from zipstrap.verify.boots import MODES, Origin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

_LINK = re.compile(r"\]\(([^()\s]+)\)")


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tables = _tables()

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return the text of *page* without its blocks of code, whose lines begin with four spaces or a fence."""
    return re.sub(r"^(?:```.*?^```$| {4}.*?$)", "", text(page), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as mkdocs makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", plain))
    return found


def broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield link


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[one](#a-page) [two](page.md) [three](none.md) [four](#nowhere)\n\n    [code](no.md)\n"
    )
    assert list(broken_links(page)) == ["none.md", "#nowhere"]


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": (\S+\.md)$", text(ROOT / "mkdocs.yml"), flags=re.MULTILINE))
    assert listed == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.name)
def test_tables_agree_with_the_data(page: Path) -> None:
    assert text(page) == tables.renewed(text(page)), "run: python docs/make_tables.py"


def test_every_part_made_from_data_is_on_a_page() -> None:
    used = set(re.findall(r"<!-- made from data: ([a-z ]+) -->", "".join(map(text, tables.pages()))))
    assert used == {*tables.PARTS, *(f"options of {verb}" for verb in tables.verbs())}


def test_every_check_has_a_section() -> None:
    assert {code.lower() for code in checks()} <= anchors(DOCS / "reference/checks.md")


def known_codes() -> set[str]:
    return {*checks(), *vectors(), *(rule.code for rule in archive_rules().values())}


@each_page
def test_codes_and_options_exist(page: Path) -> None:
    """A page names no check that is not there, and gives zipstrap no option that it does not have."""
    unknown = set(re.findall(r"\bZ[HS]\d{3}\b", text(page))) - known_codes()
    for line in text(page).splitlines():
        match = re.search(r"\bzipstrap (build|pack|verify|inspect|facts)\b([^`#|;&>]*)", line)
        if match is not None:
            known = set(tables.verbs()[match[1]]._option_string_actions)
            unknown |= set(re.findall(r"(?<!\S)--?[a-zA-Z][a-z-]*", match[2])) - known
    assert unknown == set()


def rows(page: str, heading: str | None = None) -> set[str]:
    """Return the names in the first column of the tables of *page*, or of those under *heading*."""
    whole = text(DOCS / "reference" / page)
    if heading is not None:
        whole = re.split(rf"^#+ {re.escape(heading)}$", whole, flags=re.MULTILINE)[1]
    part = re.split(r"^#+ ", whole, flags=re.MULTILINE)
    cells = re.findall(r"^\| (.+?) \|", part[0] if heading is not None else whole, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("page", "heading", "kind", "more"),
    [
        ("facts.md", "Facts", Facts, {"schema_version"}),
        ("manifest.md", "Manifest", Manifest, {"schema_version"}),
        ("manifest.md", "target", Target, set()),
        ("manifest.md", "layout", Layout, set()),
        ("manifest.md", "members", MemberRecord, set()),
        ("manifest.md", "files", FileRecord, set()),
    ],
)
def test_fields_are_explained(page: str, heading: str, kind: type, more: set[str]) -> None:
    assert rows(page, heading) == fields(kind) | more


def test_values_are_explained() -> None:
    manifest = text(DOCS / "reference/manifest.md")
    assert [kind.value for kind in FileKind if f"`{kind.value}`" not in manifest] == []
    assert [name for name in fields(Landmark) if f"`{name}`" not in manifest] == []
    assert rows("origins-and-words.md", "Origins") == {origin.value for origin in Origin}
    assert [mode.name for mode in MODES if f"`{mode.name}`" not in text(DOCS / "reference/json.md")] == []


def test_settings_are_explained() -> None:
    assert rows("configuration.md", "Configuration") == set(KEYS)


def test_exit_statuses_are_explained() -> None:
    from zipstrap import errors

    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_status")
    ]
    listed = re.findall(r"^\| (\d+) \|", text(DOCS / "reference/exit-statuses.md"), flags=re.MULTILINE)
    assert {0, 1, 130, 141} | {kind.exit_status for kind in kinds} == set(map(int, listed))


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", DOCS / "tutorial/first-tree.md"], ids=lambda page: page.name
)
def test_transcripts_use_the_words_of_today(page: Path) -> None:
    """What a page shows of a report is what the report says: its fixed words, its titles, its verdict."""
    report = text(ROOT / "tools/zipstrap/verify/report.py")
    shown = [line[4:] for line in text(page).splitlines() if line.startswith("    ")]
    boots = [line.partition("); ")[2] for line in shown if line.startswith("mode ")]
    assert set(boots) == {"the witnesses agree on all"}
    words = [
        "the witnesses agree on",
        "checks passed: ",
        "not run: ",
        "verified",
        "  found: ",
        "NOT VERIFIED: ",
    ]
    assert [word for word in words if word not in report] == []
    for line in shown:
        if match := re.match(r"(?:FAILED|WARNED) (ZS\d+) (\S+): (.+)", line):
            check = checks()[match[1]]
            assert (match[2], match[3]) == (check.name, check.title)
        if match := re.match(r"\d+ of (\d+) checks passed", line):
            assert int(match[1]) == len(checks())


def test_the_readme_has_the_command_of_ci() -> None:
    """Continuous integration runs what a newcomer is told to run."""
    command = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox"
    assert f"    {command}\n" in text(ROOT / "README.md")
    assert f"\n{command}\n" in text(ROOT / ".ci/run")
