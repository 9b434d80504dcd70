"""The page: what it says of what was found, that text stays text, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.bench.figures import spread
from zipstrap.data import checks
from zipstrap.inspection import Inspection, Item
from zipstrap.report.markup import decimal, embedded_json, escaped, plain, shortened, width_of
from zipstrap.report.model import Page, make_page
from zipstrap.report.page import is_page, page_to_html
from zipstrap.report.starts import Timed, TimedStart
from zipstrap.report.waterfall import Import
from zipstrap.verify.boots import BootModule, Origin
from zipstrap.verify.checks import judge
from zipstrap.verify.evidence import Evidence
from zipstrap.verify.report import Verification

from .test_checks import FAILURES, MANIFEST, NO_START, ROOT, SOUND, UNTRIED

HOSTILE = "</script><script>alert('1')</script>\"'><img src=x onerror=alert(2)>&amp;"

ITEMS = (
    Item("encodings/", "archive", 0, 0, method="stored"),
    Item("encodings/__init__.pyc", "archive", 300, 100, method="deflate"),
    Item("encodings/aliases.pyc", "archive", 200, 50, method="deflate"),
    Item("encodings/aliases.py", "archive", 500, 150, method="deflate"),
    Item("abc.pyc", "archive", 90, 90, method="stored"),
    Item("notes & figures.txt", "archive", 9, 9, method="stored"),
)
MACHINE = {"processor": "some", "processors": "2", "system": "Linux"}


def inspection(*items: Item, path: Path = ROOT) -> Inspection:
    return Inspection(path, MANIFEST, 1000, items or ITEMS, "d" * 64)


def timed(*modules: str, modes: tuple[str, ...] = ("plain", "-I")) -> Timed:
    imports = tuple(
        Import(module, 0, 1500) for module in modules or ("encodings", "zipimport", "usercustomize")
    )
    times = spread([2.0, 3.0, 4.0])
    return Timed(3, MACHINE, tuple(TimedStart(mode, times, times, imports) for mode in modes))


def page_of(evidence: Evidence = SOUND, *, path: Path = ROOT, **changes: Any) -> Page:
    verification = Verification(path, evidence, judge(evidence))
    given = {"inspection": inspection(), "timed": timed(), "made_by": "zipstrap 9", **changes}
    return make_page(path, given.pop("inspection"), verification, given.pop("timed"), **given)


class Reader(HTMLParser):
    """What a browser would make of a page: tags with attributes, and the text that is shown."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.raw:
            self._within = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.raw[self._within][-1] += data
        else:
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())

    def all(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


TAGS = {
    *re.findall(
        r"\w+",
        """
        html head meta title link style body header nav main section article footer h1 h2 h3 p a b strong span
        bdi br code pre ul ol li dl dt dd div table caption thead tbody tr th td details summary figure
        figcaption fieldset legend label input script svg defs pattern path circle rect text g
        """,
    )
}


def faults(text: str) -> Iterator[str]:
    """Yield what no page may have."""
    read = Reader(text)
    for tag, attributes in read.tags:
        if tag not in TAGS:
            yield f"a {tag}"
        for name, value in attributes.items():
            if name.startswith("on") or name in ("style", "src", "srcset", "action", "xlink:href", "srcdoc"):
                yield f"{tag} {name}={value}"
            if name == "href" and not (value or "").startswith(("#", "data:,")):
                yield f"{tag} leads to {value}"
    ids = read.all("id")
    yield from (f"two of {each}" for each in set(ids) if ids.count(each) > 1)
    links = [link for link in read.all("href") if link.startswith("#")]
    yield from (f"{link} leads nowhere" for link in links if link[1:] not in ids)
    yield from (f"there is no {each}" for each in read.all("aria-labelledby") if each not in ids)
    kinds = [attributes.get("type") for tag, attributes in read.tags if tag == "script"]
    if kinds not in ([], ["application/json", None]):
        yield f"scripts {kinds}"
    yield from re.findall(r"url\((?!#)[^)]*\)|@import|https?:", "".join(read.raw["style"]))


def test_a_page_needs_nothing_but_itself() -> None:
    assert list(faults(page_to_html(page_of()))) == []


def test_what_is_wrong_with_a_page_is_found() -> None:
    text = page_to_html(page_of())
    for added in (
        *(
            '<img src="x">',
            '<p onclick="x()">',
            '<p style="x">',
            '<a href="https://x">',
            '<a href="#nowhere">',
        ),
        *('<p id="size">', "<script>1</script>"),
    ):
        assert list(faults(text.replace("</main>", f"{added}</main>")))


def test_the_policy_allows_our_script_and_style_alone() -> None:
    read = Reader(page_to_html(page_of()))
    (policy,) = (
        attributes["content"] or ""
        for _, attributes in read.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    assert rules["style-src"] == digest(read.raw["style"][0])
    assert rules["script-src"] == digest(read.raw["script"][1])


# ---- what it says ----------------------------------------------------------------------------------------


def test_a_sound_tree() -> None:
    page = page_of()
    read = Reader(page_to_html(page))
    assert page.verdict.passed
    assert "✓ Verified" in read.text
    assert "CPython 3.13.0" in read.text
    assert "Measured by -X importtime in 3 starts of each mode" in read.text
    assert "processor some, processors 2, system Linux" in read.text
    assert page.archive is not None
    # entries for folders are no members; what is left of the archive are names and the directory
    assert (page.archive.nodes[0].files, page.archive.overhead) == (5, 1000 - 399)
    assert page.archive.methods == {"deflate": 3, "stored": 2}
    start = page.starts[0]
    assert [(module.bar.module, module.origin) for module in start.modules] == [
        ("encodings", "archive"),
        ("zipimport", "frozen"),
        ("usercustomize", "not found"),
    ]
    assert start.length == 4500
    assert start.untimed == ("sys",)
    # a mode that was not timed is told all the same
    assert [start.mode for start in page.starts if start.elapsed is None] != []
    assert {check.status for check in page.checks} == {"passed", "not run"}
    assert "needed" in read.text
    assert "of the tests" in read.text


def test_nothing_that_is_compressed_needs_no_switch() -> None:
    stored = page_to_html(page_of(inspection=inspection(Item("abc.pyc", "archive", 9, 9, method="stored"))))
    assert "Areas show" not in stored
    assert "Nothing in it is compressed" in stored
    assert "Areas show" in page_to_html(page_of())


@pytest.mark.parametrize("code", FAILURES)
def test_a_failure_is_told_with_cause_and_cure(code: str) -> None:
    for change in FAILURES[code]:
        page = page_of(change(SOUND))
        text = page_to_html(page)
        assert list(faults(text)) == []
        assert code in page.verdict.codes
        assert plain(checks()[code].cure) in Reader(text).text.replace("\u202f", " ")


def test_failed_checks_come_first() -> None:
    evidence = dataclasses.replace(SOUND, archive_problem="it is <cut> off", archive=None)
    page = page_of(evidence, inspection=None, archive_problem="it is <cut> off")
    text = page_to_html(page)
    read = Reader(text)
    assert page.verdict.passed is False
    assert page.checks[0].status == "failed"
    assert "Not verified" in read.text
    assert "What is wrong" in read.text
    assert "it is <cut> off" in read.text
    assert "<cut>" not in text
    for code in page.verdict.codes:
        assert code in read.all("id")
    assert list(faults(text)) == []


def test_a_tree_that_was_not_started_says_so() -> None:
    page = page_of(UNTRIED(SOUND), timed=None, starts_problem="Nothing was started, as --no-start asks.")
    read = Reader(page_to_html(page))
    assert "Nothing was started, as --no-start asks." in read.text
    assert page.verdict.passed
    assert "! Verified in part" in read.text
    assert "Import by import" not in read.text
    failed = Reader(page_to_html(page_of(NO_START(SOUND), timed=None)))
    assert "failed : exit status 3: it printed nothing" in failed.text


def test_a_start_that_could_not_be_timed_says_why() -> None:
    problem = Timed(3, MACHINE, (TimedStart("plain", None, None, (), "exit status 1: <oh>"),))
    read = Reader(page_to_html(page_of(timed=problem)))
    assert "not timed: exit status 1: <oh>" in read.text
    assert "Import by import" not in read.text


def test_an_archive_alone_has_what_applies() -> None:
    path = Path("/somewhere/python313.zip")
    found = Inspection(path, None, 1000, ITEMS)
    page = make_page(
        path, found, None, None, starts_problem="no start", archive_sha256="ab" * 32, made_by="z 1"
    )
    text = page_to_html(page)
    read = Reader(text)
    assert list(faults(text)) == []
    assert page.verdict.passed is None
    assert "ab" * 32 in read.text
    assert "zipstrap inspect python313.zip --tree" in read.text
    for missing in ("On disk", "Checks", "What is wrong"):
        assert missing not in read.text


def test_an_empty_archive_has_a_page() -> None:
    path = Path("/somewhere/empty.zip")
    page = make_page(path, Inspection(path, None, 22, ()), None, None, made_by="z 1")
    text = page_to_html(page)
    assert list(faults(text)) == []
    assert "treemap" not in Reader(text).all("class")


def test_paths_of_this_machine_are_not_told() -> None:
    root = Path("/srv/of/somebody/tree")
    evidence = dataclasses.replace(
        SOUND, root=root, archive=None, archive_problem=f"{root}/lib/python313.zip: is cut off"
    )
    page = page_of(
        evidence, path=root, inspection=None, archive_problem=f"{root}/lib/python313.zip: is cut off"
    )
    text = page_to_html(page)
    assert "/srv/of" not in text
    assert "tree/lib/python313.zip: is cut off" in text


def test_the_command_builds_such_a_tree() -> None:
    manifest = dataclasses.replace(
        MANIFEST,
        profile="minimal",
        compress="deflate",
        hot="usual",
        hot_of=("-m http.server",),
        debug_ranges=False,
        guard="stop",
        zips="off",
    )
    evidence = dataclasses.replace(SOUND, manifest=manifest)
    command = dict(page_of(evidence).commands)["build such a tree"]
    assert command == (
        "zipstrap build 3.13 -o tree --layout standard --profile minimal --optimize 0 --source archive "
        "--compress deflate --hot usual '--hot-of=-m http.server' --debug-ranges no --guard stop --zips off"
    )


def test_the_same_input_gives_the_same_page() -> None:
    assert page_to_html(page_of()) == page_to_html(page_of())


# ---- text stays text -------------------------------------------------------------------------------------


def hostile_page() -> Page:
    """Return a page in which everything that comes from outside is hostile."""
    files = tuple(
        dataclasses.replace(record, path=f"{HOSTILE}{at}", reason=f"{HOSTILE}{at % 2}")
        for at, record in enumerate(MANIFEST.files)
    )
    manifest = dataclasses.replace(
        MANIFEST,
        target=dataclasses.replace(MANIFEST.target, name=HOSTILE, build=HOSTILE, machine=HOSTILE),
        layout=dataclasses.replace(MANIFEST.layout, name=HOSTILE, library_archive=HOSTILE),
        profile=HOSTILE,
        source=HOSTILE,
        compress=HOSTILE,
        guard=HOSTILE,
        zips=HOSTILE,
        made_by=HOSTILE,
        files=files,
        left_out={HOSTILE: (HOSTILE,)},
        needs=(HOSTILE,),
        notes=(HOSTILE,),
    )
    boots = tuple(
        dataclasses.replace(boot, status="failed", reason=HOSTILE) if at else boot
        for at, boot in enumerate(SOUND.boots)
    )
    modules = {
        mode: tuple(dataclasses.replace(each, module=HOSTILE, path=HOSTILE) for each in seen)
        for mode, seen in SOUND.modules.items()
    }
    evidence = dataclasses.replace(
        SOUND, manifest=manifest, boots=boots, modules=modules, archive_problem=HOSTILE, archive=None
    )
    items = (
        Item(f"{HOSTILE}.pyc", "archive", 300, 100, method=HOSTILE),
        Item(f"a/{HOSTILE}/{HOSTILE}.py", "archive", 300, 100, method=HOSTILE),
        Item("\u202egpj.pyc", "archive", 90, 10, method="stored"),
    )
    verification = Verification(Path("/opt") / HOSTILE.replace("/", "_"), evidence, judge(evidence))
    times = Timed(3, {HOSTILE: HOSTILE}, timed(HOSTILE, "\x1b[31mred").starts)
    return make_page(
        verification.tree,
        inspection(*items),
        verification,
        times,
        archive_problem=HOSTILE,
        starts_problem=HOSTILE,
        made_by=HOSTILE,
    )


def test_hostile_names_are_text() -> None:
    text = page_to_html(hostile_page())
    assert list(faults(text)) == []
    read = Reader(text)
    # they are there, as text
    assert read.text.count("<img src=x onerror=alert(2)>&amp;") > 20
    assert "<img" not in text
    # what turns the direction of a line, or colours a terminal, is shown as what it is
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "\\u202egpj" in read.text
    # in what the script reads too
    data = json.loads(read.raw["script"][0])
    assert any(node[0].startswith("</script>") or "<img" in node[3] for node in data["nodes"])


@given(st.text())
def test_text_survives_as_text(text: str) -> None:
    read = Reader(f"<p>{escaped(text)}</p>")
    assert "".join(read.shown) == plain(text)
    assert [tag for tag, _ in read.tags] == ["p"]
    assert Reader(f'<p title="{escaped(text)}">').tags == [("p", {"title": plain(text)})]


@given(st.lists(st.text() | st.integers()))
def test_embedded_json_ends_no_element(value: object) -> None:
    text = embedded_json(value)
    assert set("<>&\u2028\u2029") & set(text) == set()
    assert json.loads(text) == value


@given(st.text(), st.floats(0, 500))
def test_what_is_shortened_fits(text: str, width: float) -> None:
    short = shortened(text, width)
    assert short == "" or width_of(short) <= width


def test_decimals_are_short() -> None:
    assert [decimal(value) for value in (0, 0.001, 1.5, 99.999, 100, 12.346)] == [
        *("0", "0", "1.5", "100", "100", "12.35")
    ]


def test_every_origin_can_be_shown() -> None:
    """Whoever adds an origin gives it a letter, words and a pattern."""
    style = resources.files("zipstrap.data").joinpath("report.css").read_text(encoding="utf-8")
    for origin in Origin:
        modules = (BootModule("encodings", origin, origin, agree=True, reason="", path=None),)
        evidence = dataclasses.replace(SOUND, modules=dict.fromkeys(SOUND.modules, modules))
        text = Reader(page_to_html(page_of(evidence))).text
        assert f" · {origin}: " in text
        assert f".o-{origin} {{" in style


def test_a_page_is_known_again() -> None:
    text = page_to_html(page_of())
    assert is_page(text.encode()[:4096])
    for other in (b"", b"<!DOCTYPE html>\n<p>", text.encode()[20:4096]):
        assert not is_page(other)


# ---- colours ---------------------------------------------------------------------------------------------


def colours() -> Iterator[tuple[str, dict[str, str]]]:
    style = resources.files("zipstrap.data").joinpath("report.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in style.split("@media", 2)[:2]
    )
    yield "light", light
    yield "dark", {**light, **dark}


def luminance(colour: str) -> float:
    """Return the relative luminance of *colour* (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


#: what is read on what (4.5), and what has to be seen on what (3): WCAG 2.2, 1.4.3 and 1.4.11
READ = [
    *(
        (ink, paper)
        for ink in ("ink", "muted", "accent", "good", "bad", "warn")
        for paper in ("paper", "panel")
    ),
    *((ink, f"{kind}-paper") for kind in ("good", "bad", "warn") for ink in ("ink", kind)),
    *(("cell-ink", paper) for paper in ("package", "package-in", "bytecode", "source", "data", "extension")),
]
SEEN = [
    *((kind, "paper") for kind in ("archive", "frozen", "builtin", "dynload", "directory", "foreign")),
    *((kind, "paper") for kind in ("focus", "mark")),
]


@pytest.mark.parametrize(("scheme", "values"), list(colours()), ids=["light", "dark"])
def test_contrasts(scheme: str, values: dict[str, str]) -> None:
    low = {
        (one, other): round(contrast(values[one], values[other]), 2)
        for pairs, least in ((READ, 4.5), (SEEN, 3))
        for one, other in pairs
        if contrast(values[one], values[other]) < least
    }
    assert low == {}, scheme
