"""What ``zipstrap report`` writes of real trees, and when it writes nothing."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from zipstrap.verify.boots import MODES

from .interpreters import Target
from .trees import Tree, make_tree, usual, zipstrap

OPTIONS = ("--profile", "minimal", "--no-verify")


@pytest.fixture(scope="module")
def one(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_tree(usual(interpreters), tmp_path_factory.mktemp("reported") / "T", *OPTIONS)


def shown(page: Path) -> str:
    """Return the text of *page*: without scripts and styles, tags as spaces."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def rows(page: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the modules with their origins, by the mode whose imports were timed."""
    found = {}
    for table in re.findall(
        r'<table class="flow">(.*?)</table>', page.read_text(encoding="utf-8"), re.DOTALL
    ):
        mode = re.search(r"<caption>([^:]*): ", table)
        assert mode is not None
        found[mode[1]] = re.findall(r'<bdi>([^<]*)</bdi>.*?<span class="word">([^<]*)</span>', table)
    return found


def test_a_tree_of_each_version(target: Target, tmp_path: Path) -> None:
    tree = make_tree(target, tmp_path / "T", *OPTIONS)
    page = tmp_path / "page.html"
    done = zipstrap("report", tree.root, "-o", page, "--starts", "1", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report == {
        "schema_version": 1,
        "page": str(page),
        "size": page.stat().st_size,
        "passed": True,
        "codes": [],
    }
    text = shown(page)
    assert tree.manifest.target.name in text
    assert "✓ Verified" in text
    assert str(tmp_path) not in page.read_text(encoding="utf-8")
    # each mode that this version has was timed, and its imports have origins
    timed = rows(page)
    assert list(timed) == [mode.name for mode in MODES if mode.since <= target.version]
    for modules in timed.values():
        assert ("encodings", "archive") in modules
        origins = {origin for _, origin in modules}
        # Debian's has a sitecustomize of its own, in the tree
        assert origins <= {"archive", "builtin", "frozen", "dynload", "directory", "not found"}
    # all that lies on disk is named, with its reason
    for record in tree.manifest.files:
        assert record.path in text
        assert record.reason in text


def test_the_same_tree_gives_the_same_page(one: Tree, tmp_path: Path) -> None:
    pages = []
    for name in ("here", "there"):
        root = tmp_path / name / "T"
        shutil.copytree(one.root, root, symlinks=True)
        pages.append(tmp_path / f"{name}.html")
        done = zipstrap("report", root, "-o", pages[-1], "--no-start", "-q")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = shown(pages[0])
    assert "Nothing was started, as --no-start asks." in text
    assert "Verified in part" in text
    assert rows(pages[0]) == {}


def test_a_generation_is_a_tree(interpreters: list[Target], tmp_path: Path) -> None:
    prefix = tmp_path / "P"
    done = zipstrap(
        "install", usual(interpreters).executable, "--prefix", prefix, "--profile", "minimal", "-q"
    )
    assert done.returncode == 0, done.stderr
    page = tmp_path / "page.html"
    generation = prefix / "lib/zipstrap/generations/1"
    done = zipstrap("report", generation, "-o", page, "--starts", "1", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("encodings", "archive") in rows(page)["plain"]


def test_what_is_there_is_kept(one: Tree, tmp_path: Path) -> None:
    archive = one.root / one.manifest.layout.library_archive
    page = tmp_path / "page.html"
    page.write_text("something else")
    for options, reason in (((), "exists already"), (("--force",), "was not made by zipstrap")):
        done = zipstrap("report", archive, "-o", page, *options)
        assert (done.returncode, done.stdout) == (4, "")
        assert reason in done.stderr
        assert page.read_text() == "something else"
    page.unlink()
    assert zipstrap("report", archive, "-o", page).returncode == 0
    assert zipstrap("report", archive, "-o", page).returncode == 4
    done = zipstrap("report", archive, "-o", page, "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{page}: {archive.name}, an archive alone\n")
    assert list(tmp_path.iterdir()) == [page]


def test_of_what_is_no_tree_there_is_no_page(one: Tree, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes((one.root / one.manifest.layout.library_archive).read_bytes()[:-1])
    empty = tmp_path / "empty"
    empty.mkdir()
    page = tmp_path / "page.html"
    for arguments, status, words in (
        ((damaged,), 1, " ZS701 "),
        ((empty,), 4, "zipstrap-manifest.json"),
        ((tmp_path / "absent",), 4, "cannot be read"),
        ((one.root, "--expect", "0" * 64), 1, "ZS211"),
        ((one.root, "--starts", "0"), 2, "--starts"),
    ):
        done = zipstrap("report", *arguments, "-o", page)
        assert (done.returncode, done.stdout) == (status, ""), arguments
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not page.exists()
    assert zipstrap("report", one.root, "-o", tmp_path / "absent/page.html").returncode == 4
    assert zipstrap("report", one.root).returncode == 2


def test_a_tree_that_was_changed_is_told_and_not_started(one: Tree, tmp_path: Path) -> None:
    root, page, ran = tmp_path / "T", tmp_path / "page.html", tmp_path / "ran"
    shutil.copytree(one.root, root, symlinks=True)
    digest = json.loads(zipstrap("inspect", root, "--format", "json").stdout)["manifest_sha256"]
    (root / one.manifest.layout.site / "evil.pth").write_text(f"import os; os.mkdir({str(ran)!r})\n")
    done = zipstrap("report", root, "-o", page, "--expect", digest, "-v")
    assert (done.returncode, done.stderr) == (0, "")
    assert "WARNED ZS402 foreign-pth: " in done.stdout
    assert "  found: T/" in done.stdout
    assert not ran.exists()
    text = shown(page)
    assert "What is wrong" in text
    assert "Nothing was started: the tree is not as its manifest says." in text
