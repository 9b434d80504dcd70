"""Pages in a real browser: by keyboard and screen reader, on small screens, without scripts or network."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .browser import Tab, find_chromium, open_chromium
from .interpreters import Target, lack
from .trees import make_tree, usual, zipstrap


@pytest.fixture(scope="module")
def tab(request: pytest.FixtureRequest) -> Iterator[Tab]:
    command = find_chromium()
    if command is None:
        lack(request.config, "there is no chromium to look at pages with (apt install chromium)")
    with open_chromium(command) as tab:
        yield tab


@pytest.fixture(scope="module")
def pages(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return pages of a sound tree, of one with failures and a hostile name, and of an archive."""
    folder = tmp_path_factory.mktemp("pages")
    options = ("--profile", "minimal", "--compress", "deflate", "--no-verify", "--layout", "standard")
    tree = make_tree(usual(interpreters), folder / "tree", *options)
    hostile = folder / "<img src=x onerror=alert(1)>"
    shutil.copytree(tree.root, hostile, symlinks=True)
    library = hostile / tree.manifest.layout.library
    (library / "<script>alert(2)<").mkdir()
    (library / "<script>alert(2)<" / "script>.py").write_text("")
    archive = hostile / tree.manifest.layout.archive
    os.truncate(archive, archive.stat().st_size - 10)
    wanted = {
        "sound": (tree.root, 0),
        "failing": (hostile, 1),
        "archive": (tree.root / tree.manifest.layout.archive, 0),
    }
    made = {}
    for name, (what, status) in wanted.items():
        made[name] = folder / f"{name}.html"
        done = zipstrap("report", what, "-o", made[name], "--starts", "1", "-q")
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
    return made


@pytest.fixture(autouse=True)
def _usual_screen(tab: Tab) -> Iterator[None]:
    tab.screen(1280, 900)
    yield
    tab.prefer()
    tab.call("Emulation.setScriptExecutionDisabled", value=False)


each_page = pytest.mark.parametrize("name", ["sound", "failing", "archive"])


def show(tab: Tab, page: Path) -> None:
    tab.open(page.as_uri())


#: the area of an element, for scripts
AREA = "const area = (it) => it.getBoundingClientRect().width * it.getBoundingClientRect().height;"


def complaints(tab: Tab) -> list[dict[str, Any]]:
    return [
        event["params"]
        for event in tab.events
        if event["method"].startswith(
            ("Runtime.exception", "Runtime.console", "Log.entry", "Page.javascript")
        )
    ]


def requests(tab: Tab) -> list[str]:
    return [
        event["params"]["request"]["url"]
        for event in tab.events
        if event["method"] == "Network.requestWillBeSent"
    ]


#: what the focus is on, in words
FOCUSED = """(() => {
  const at = document.activeElement;
  if (!at || at === document.body) return "";
  const name = at.getAttribute("aria-label") || at.closest("label")?.textContent || at.textContent;
  return `${at.getAttribute("role") || at.localName}: ${name.trim()}`;
})()"""


@each_page
def test_nothing_is_complained_of_and_nothing_is_fetched(tab: Tab, pages: dict[str, Path], name: str) -> None:
    show(tab, pages[name])
    # a style sheet or script that the policy of the page does not allow would be in the console
    assert complaints(tab) == []
    assert [url for url in requests(tab) if not url.startswith("data:")] == [pages[name].as_uri()]
    assert tab.run("getComputedStyle(document.body).marginTop") == "0px"


def test_a_hostile_name_is_text(tab: Tab, pages: dict[str, Path]) -> None:
    show(tab, pages["failing"])
    assert tab.run("document.querySelectorAll('img, iframe, object').length") == 0
    assert tab.run("document.scripts.length") in (0, 2)
    assert "<img src=x onerror=alert(1)>" in tab.run("document.querySelector('.eyebrow').textContent")
    assert "Not verified" in tab.run("document.querySelector('.verdict').textContent")
    assert complaints(tab) == []


def test_the_policy_stops_what_is_put_into_the_page(tab: Tab, pages: dict[str, Path]) -> None:
    """Even if text were taken for markup one day, it would not run."""
    show(tab, pages["sound"])
    tab.run("""document.body.insertAdjacentHTML("beforeend",
      '<a id="bad" onclick="window.ran = 1" style="color: red">x</a>')""")
    tab.run("document.getElementById('bad').click()")
    assert tab.run("window.ran === undefined") is True
    assert complaints(tab) != []


@each_page
def test_all_controls_are_reached_by_tab(tab: Tab, pages: dict[str, Path], name: str) -> None:
    show(tab, pages[name])
    # groups of radio buttons and the cells of the picture are one stop each
    wanted = tab.run(
        """[...document.querySelectorAll('a[href], button, summary, input:checked, [tabindex="0"]')]
        .filter((each) => each.getClientRects().length).length"""
    )
    seen, outlines = [], []
    while True:
        tab.press("Tab")
        at = tab.run(FOCUSED)
        if not at:
            break
        seen.append(at)
        outlines.append(
            tab.run(
                """(() => {
          const at = document.activeElement, shown = at.closest(".choice") || at;
          return getComputedStyle(shown).outlineStyle !== "none" || !!document.querySelector(".ring");
        })()"""
            )
        )
        assert len(seen) <= wanted, seen
    assert len(seen) == wanted
    # whoever looks sees where it is
    assert all(outlines), [at for at, visible in zip(seen, outlines, strict=True) if not visible]
    assert seen[0] == "a: Skip to the report"


def test_the_treemap_is_walked_by_keyboard(tab: Tab, pages: dict[str, Path]) -> None:
    show(tab, pages["sound"])
    tab.run("document.querySelector('.top .cell[tabindex=\"0\"]').focus()")
    first = tab.run(FOCUSED)
    said = r"button: \w+: package, \d+ files, .* in the archive, .* unpacked, \d+\.\d %"
    assert re.fullmatch(said, first)
    # from the largest to the smallest, and no further
    tab.press("ArrowRight")
    second = tab.run(FOCUSED)
    tab.press("ArrowUp")
    assert tab.run(FOCUSED) == first
    tab.press("End")
    last = tab.run(FOCUSED)
    tab.press("ArrowDown")
    assert tab.run(FOCUSED) == last
    tab.press("Home")
    assert len({first, second, last}) == 3
    # into a package, and the trail says so
    tab.press("Enter")
    inner = tab.run(FOCUSED)
    package = first.removeprefix("button: ").partition(":")[0]
    assert inner.partition(": ")[2].startswith(f"{package}/"), inner
    assert tab.run("document.querySelector('[aria-current]').textContent") == package
    assert tab.run("document.querySelector('.pointed').textContent").startswith(f"{package}/")
    tab.press("Escape")
    assert tab.run(FOCUSED) == first
    # a file leads to its row: first into a module, bytecode and source
    tab.press("Enter")
    for _ in range(3):
        if tab.run(FOCUSED).startswith("button"):
            tab.press("Enter")
    leaf = tab.run(FOCUSED)
    assert leaf.startswith("link: ")
    tab.press("Enter")
    row = tab.run("document.activeElement.querySelector('th').textContent")
    assert leaf.removeprefix("link: ").startswith(f"{row}: ")
    assert tab.run("document.activeElement.closest('details').open") is True
    # and back by the trail
    tab.run("document.querySelector('.trail button').focus()")
    tab.press(" ")
    assert tab.run(FOCUSED) == first
    assert complaints(tab) == []


def test_the_treemap_is_walked_by_mouse(tab: Tab, pages: dict[str, Path]) -> None:
    show(tab, pages["sound"])
    place = tab.run("""(() => {
      const cell = document.querySelector(".top .cell");
      cell.scrollIntoView({block: "center", behavior: "instant"});
      const box = cell.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    })()""")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        tab.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)
    assert tab.run("document.querySelectorAll('.trail li').length") == 2
    # what is in a package fills the picture, in proportion to its bytes
    whole, parts = tab.run(
        f"(() => {{ {AREA}"
        """
      const picture = [...document.querySelectorAll(".treemap")].find((it) => it.getClientRects().length);
      return [area(picture), [...picture.querySelectorAll(".zoom .cell")].map(area)];
    })()"""
    )
    assert sum(parts) == pytest.approx(whole, rel=0.02)
    assert parts == pytest.approx(sorted(parts, reverse=True), rel=0.05)


def test_switches_work_by_keyboard_and_without_scripts(tab: Tab, pages: dict[str, Path]) -> None:
    visible = """[...document.querySelectorAll(".panel")].filter((each) => each.getClientRects().length)
      .map((each) => (each.querySelector("svg[aria-label]")?.getAttribute("aria-label")
        || each.querySelector("caption").textContent).split(":").slice(0, 2).join(":"))"""
    for scripts in (True, False):
        tab.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        show(tab, pages["sound"])
        before = tab.run(visible)
        assert before[0] == "Treemap of the archive, by room in the archive"
        assert before[1].startswith("plain: ")
        for name in ("measure", "mode"):
            tab.run(f"document.querySelector('input[name={name}]').focus()")
            tab.press("ArrowRight")
        after = tab.run(visible)
        assert after[0] == "Treemap of the archive, by size unpacked"
        assert after[1].startswith("-I: ")


def test_without_scripts_all_can_be_read(tab: Tab, pages: dict[str, Path]) -> None:
    show(tab, pages["sound"])
    texts = "document.querySelector('main').textContent.replace(/\\s+/g, ' ')"
    with_scripts = tab.run(texts)
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    show(tab, pages["sound"])
    trail = tab.run("document.querySelector('.trail').hidden")
    assert trail is True
    assert len(tab.run(texts)) == pytest.approx(len(with_scripts), abs=40)
    # the picture is one to those who do not see it, and its table follows
    roles = [node["role"] for node in tab.accessible()]
    assert "image" in roles or "img" in roles
    assert roles.count("table") >= 5
    assert complaints(tab) == []


@each_page
def test_assistive_technology_gets_names_and_roles(tab: Tab, pages: dict[str, Path], name: str) -> None:
    show(tab, pages[name])
    nodes = tab.accessible()
    controls = [node for node in nodes if node["focusable"] and node["role"] != "RootWebArea"]
    nameless = [node for node in controls if not node["name"].strip() and node["role"] not in ("main", "row")]
    assert nameless == []
    roles = {node["role"] for node in nodes}
    assert {"banner", "navigation", "main", "contentinfo", "heading", "link"} <= roles
    # headings do not leave a level out
    levels = tab.run("[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.localName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    # every table has a caption and headings of columns; every picture has a name, or is decoration
    tables = "[...document.querySelectorAll('table')]"
    assert tab.run(f"{tables}.every((each) => each.caption.textContent && each.tHead)") is True
    assert tab.run(f"{tables}.every((each) => [...each.tHead.rows[0].cells].every((th) => th.textContent))")
    pictures = "[...document.querySelectorAll('svg')].filter((each) => !each.closest('[aria-hidden]'))"
    assert tab.run(f"{pictures}.every((each) => each.getAttribute('aria-label'))") is True
    assert tab.run("document.documentElement.lang") == "en"
    assert tab.run("document.title") != ""


@each_page
@pytest.mark.parametrize("width", [1280, 640, 320])
def test_it_reflows(tab: Tab, pages: dict[str, Path], name: str, width: int) -> None:
    """320 CSS pixels are a window of 1280 at 400 % (WCAG 2.2, 1.4.10)."""
    tab.screen(width, 800)
    show(tab, pages[name])
    assert tab.run("document.documentElement.scrollWidth") <= width
    cut = tab.run("""[...document.querySelectorAll("main *, header *")].filter((each) =>
      each.getClientRects().length && !each.closest("svg, .hidden, .word, .skip")
      && each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML.slice(0, 80))""")
    assert cut == []


def test_preferences_are_followed(tab: Tab, pages: dict[str, Path]) -> None:
    show(tab, pages["sound"])
    paper = "getComputedStyle(document.body).backgroundColor"
    light = tab.run(paper)
    tab.prefer(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    dark = tab.run(paper)
    assert light != dark
    assert tab.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    tab.prefer()
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.querySelector('.contents')).display") == "none"
    tab.call("Emulation.setEmulatedMedia", media="")


def test_the_picture_shows_all_there_is(tab: Tab, pages: dict[str, Path]) -> None:
    """The cells on top are those of the table, and fill the picture."""
    for width in (1280, 390):
        tab.screen(width, 800)
        show(tab, pages["archive"])
        names, drawn, whole = tab.run(
            f"(() => {{ {AREA}"
            """
          const picture = [...document.querySelectorAll(".treemap")].find((it) => it.getClientRects().length);
          const cells = [...picture.querySelectorAll(".top .cell")];
          return [cells.map((each) => each.getAttribute("aria-label").split(":")[0]),
            cells.reduce((sum, each) => sum + area(each), 0), area(picture)];
        })()"""
        )
        body = "[...document.querySelector('details table').tBodies[0].rows]"
        rows = tab.run(f"{body}.map((row) => row.cells[0].textContent)")
        assert drawn == pytest.approx(whole, rel=0.02)
        assert [name.rpartition("/")[2].partition(".")[0] for name in names] == [
            row.partition(".")[0] for row in rows[: len(names)]
        ]
