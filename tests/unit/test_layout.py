"""Where things go, for every recorded interpreter."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zipstrap.errors import UnsupportedError
from zipstrap.layout import (
    archive_name,
    archive_path,
    archive_search,
    fast_layout,
    generation_layout,
    in_place_layout,
    library_layout,
    path_file_text,
    standard_layout,
    tree_layout,
    two_file_layout,
)

from .recorded import FACTS, facts_of

#: what every executable is also called
PLAIN = ("python3", "python")

#: name: archive, library, site folder, executable, its other names
STANDARD = {
    "3.8": ("lib/python38.zip", "lib/python3.8", "site-packages", "python3.8", PLAIN),
    "3.8-lib64": ("lib64/python38.zip", "lib64/python3.8", "site-packages", "python3.8", PLAIN),
    "3.10": ("lib/python310.zip", "lib/python3.10", "site-packages", "python3.10", PLAIN),
    "3.11-debian": ("lib/python311.zip", "lib/python3.11", "dist-packages", "python3.11", PLAIN),
    "3.12-fedora": ("lib64/python312.zip", "lib64/python3.12", "site-packages", "python3.12", PLAIN),
    "3.13": ("lib/python313.zip", "lib/python3.13", "site-packages", "python3.13", PLAIN),
    "3.13t": (
        "lib/python313t.zip",
        "lib/python3.13t",
        "site-packages",
        "python3.13t",
        ("python3.13", *PLAIN),
    ),
    "3.14-debian": ("lib/python314.zip", "lib/python3.14", "dist-packages", "python3.14", PLAIN),
    "3.14d": ("lib/python314.zip", "lib/python3.14", "site-packages", "python3.14d", ("python3.14", *PLAIN)),
    "3.15-debian": ("lib/python315.zip", "lib/python3.15", "dist-packages", "python3.15", PLAIN),
    "split-prefix": ("lib/python313.zip", "lib/python3.13", "site-packages", "python3.13", PLAIN),
}

#: name: what it is called, and where it looks for its archive
NOT_STAGED = {
    "macos-framework": (
        "a macOS framework build",
        "/Library/Frameworks/Python.framework/Versions/3.13/lib/python313.zip",
    ),
    "windows": ("an interpreter for win32", r"C:\Program Files\Python313\python313.zip"),
    "windows-embeddable": (
        "an interpreter for win32",
        r"C:\Users\Public\python-3.13-embed\python313.zip",
    ),
}

each_staged = pytest.mark.parametrize("name", STANDARD)


@each_staged
def test_isolated_layout(name: str) -> None:
    facts = facts_of(name)
    if facts.feature_version < (3, 11):
        with pytest.raises(UnsupportedError, match=r"reads no \._pth file") as caught:
            tree_layout(facts, "isolated")
        assert caught.value.exit_status == 5
        return
    fast, layout = fast_layout(facts), tree_layout(facts, "isolated")
    assert layout.has_importer
    assert fast.path_files == ()
    search_path = (*fast.search_path, *fast.site_folders)
    behind = f"libexec/{fast.executable.removeprefix('bin/')}"
    assert layout == dataclasses.replace(fast, name="isolated", interpreter=behind, search_path=search_path)
    assert layout.has_launcher
    assert not fast.has_launcher
    assert layout.path_files == tuple(f"{path}._pth" for path in (fast.executable, behind))
    for path in layout.path_files:
        assert path_file_text(layout, path).splitlines() == [f"../{entry}" for entry in search_path]
    elsewhere = tree_layout(dataclasses.replace(facts, machine="mips"), "isolated")
    assert elsewhere.interpreter == elsewhere.executable
    links = fast.executable_links
    assert elsewhere.path_files == tuple(f"{path}._pth" for path in (fast.executable, *links))
    moved = generation_layout(layout)
    assert moved.path_files == (f"libexec/{fast.executable.removeprefix('bin/')}._pth",)
    with pytest.raises(UnsupportedError, match="in place"):
        in_place_layout(facts, "isolated")


def test_every_recorded_interpreter_has_its_expectations() -> None:
    assert sorted([*STANDARD, *NOT_STAGED]) == FACTS


@each_staged
def test_standard_layout(name: str) -> None:
    archive, library, site, executable, links = STANDARD[name]
    layout = standard_layout(facts_of(name))
    assert layout.name == "standard"
    assert layout.archive == archive
    assert layout.library == library
    assert layout.dynload == f"{library}/lib-dynload"
    assert layout.site == f"{library}/{site}"
    assert layout.executable == f"bin/{executable}"
    assert layout.executable_links == tuple(f"bin/{link}" for link in links)
    assert layout.search_path == (archive, library, layout.dynload)


#: where there is more than the one
SITE_FOLDERS = {
    "3.8-lib64": ("lib64/python3.8/site-packages", "lib/python3.8/site-packages"),
    "3.12-fedora": ("lib64/python3.12/site-packages", "lib/python3.12/site-packages"),
    **{
        f"{version}-debian": (
            f"lib/python{version}/dist-packages",
            f"local/lib/python{version}/dist-packages",
            "lib/python3/dist-packages",
        )
        for version in ("3.11", "3.14", "3.15")
    },
}


@each_staged
def test_every_site_folder_below_the_prefix_is_known(name: str) -> None:
    layout = standard_layout(facts_of(name))
    assert layout.site_folders == SITE_FOLDERS.get(name, (layout.site,))
    assert library_layout(facts_of(name)).site_folders[0] == library_layout(facts_of(name)).site


def test_a_site_folder_outside_the_prefix_is_none_of_the_trees() -> None:
    facts = dataclasses.replace(facts_of("3.13"), site_folders=("/srv/site", "/opt/python3.13"))
    assert standard_layout(facts).site_folders == ("lib/python3.13/site-packages",)


@each_staged
def test_the_tree_is_what_the_target_would_find(name: str) -> None:
    """The target's own search, with its prefix taken away, is the tree's."""
    facts = facts_of(name)
    prefixes = sorted({facts.prefix, facts.exec_prefix}, key=len, reverse=True)
    found = [
        next(str(PurePosixPath(entry).relative_to(prefix)) for prefix in prefixes if entry.startswith(prefix))
        for entry in facts.search_path
    ]
    assert tuple(found) == standard_layout(facts).search_path


@each_staged
def test_landmarks(name: str) -> None:
    """lib-dynload for all; os.py where the archive is no landmark itself."""
    facts = facts_of(name)
    layout = standard_layout(facts)
    expected = {layout.dynload: True}
    if facts.version < (3, 11):
        expected[f"{layout.library}/os.py"] = False
    assert {landmark.path: landmark.is_folder for landmark in layout.landmarks} == expected
    assert all(landmark.reason for landmark in layout.landmarks)


@each_staged
def test_no_place_of_a_layout_is_absolute_or_named_twice(name: str) -> None:
    layout = standard_layout(facts_of(name))
    places = [layout.executable, *layout.executable_links]
    places += [layout.archive, layout.library, layout.dynload, layout.site]
    assert len(set(places)) == len(places)
    assert not [place for place in places if PurePosixPath(place).is_absolute() or ".." in place]


@pytest.mark.parametrize("name", NOT_STAGED)
def test_what_is_no_posix_prefix_is_not_staged(name: str) -> None:
    facts = facts_of(name)
    kind, archive = NOT_STAGED[name]
    with pytest.raises(UnsupportedError, match=kind) as caught:
        standard_layout(facts)
    assert "zipstrap pack" in str(caught.value)
    assert facts.executable in str(caught.value)
    assert str(archive_path(facts)) == archive


@pytest.mark.parametrize("platform", ["cygwin", "emscripten", "ios", "wasi"])
def test_platforms_without_a_prefix_are_not_staged(platform: str) -> None:
    facts = dataclasses.replace(facts_of("3.13"), platform=platform, framework="")
    with pytest.raises(UnsupportedError, match=f"an interpreter for {platform}"):
        standard_layout(facts)


@pytest.mark.parametrize("name", FACTS)
def test_the_library_layout_is_for_every_target(name: str) -> None:
    facts = facts_of(name)
    layout = library_layout(facts)
    assert layout.archive == archive_name(facts) == archive_path(facts).name.lower()
    if facts.os_name == "nt":
        assert (layout.library, layout.dynload, layout.site) == ("Lib", "DLLs", "Lib/site-packages")
    elif not facts.framework:
        assert layout.library == standard_layout(facts).library
    assert (layout.executable, layout.executable_links, layout.landmarks) == ("", (), ())


@pytest.mark.parametrize(
    ("flags", "executable", "links", "archive"),
    [
        ("", "python3.14", ("python3", "python"), "python314.zip"),
        ("t", "python3.14t", ("python3.14", "python3", "python"), "python314t.zip"),
        ("d", "python3.14d", ("python3.14", "python3", "python"), "python314.zip"),
        ("td", "python3.14td", ("python3.14", "python3", "python"), "python314t.zip"),
    ],
)
def test_flags_in_names(flags: str, executable: str, links: tuple[str, ...], archive: str) -> None:
    facts = dataclasses.replace(
        facts_of("3.14d"), abiflags=flags, debug="d" in flags, free_threaded="t" in flags
    )
    layout = standard_layout(facts)
    assert layout.executable == f"bin/{executable}"
    assert layout.executable_links == tuple(f"bin/{link}" for link in links)
    assert archive_name(facts) == archive


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3.13", "/opt/python3.13/lib/python313.zip"),
        ("3.12-fedora", "/usr/lib64/python312.zip"),
        ("split-prefix", "/opt/share/lib/python313.zip"),
        ("windows", r"C:\Program Files\Python313\python313.zip"),
        ("windows-embeddable", r"C:\Users\Public\python-3.13-embed\python313.zip"),
    ],
)
def test_the_archive_has_its_place_also_where_sys_path_lacks_it(name: str, expected: str) -> None:
    """A ._pth file may leave it out."""
    assert str(archive_path(dataclasses.replace(facts_of(name), search_path=()))) == expected


def test_an_archive_outside_the_prefix_gets_its_usual_place() -> None:
    facts = dataclasses.replace(facts_of("3.13"), search_path=("/somewhere/else/python313.zip",))
    assert standard_layout(facts).archive == "lib/python313.zip"


def test_archives_of_other_names_are_not_the_librarys() -> None:
    facts = facts_of("3.13t")
    other = dataclasses.replace(facts, search_path=("/opt/app/python313.zip", *facts.search_path))
    assert archive_path(other) == archive_path(facts)


# ---- the search ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 8), (3, 9), (3, 10)])
def test_nothing_is_searched_before_3_11(version: tuple[int, int]) -> None:
    assert archive_search(version, "lib/python310.zip", [Path("/opt/tree/bin")]) == ()


def test_the_search_goes_upward_but_not_to_the_root() -> None:
    assert archive_search((3, 13), "lib/python313.zip", [Path("/opt/tree/bin")]) == (
        Path("/opt/tree/bin/lib/python313.zip"),
        Path("/opt/tree/lib/python313.zip"),
        Path("/opt/lib/python313.zip"),
    )


def test_libpythons_folder_comes_first_and_nothing_twice() -> None:
    found = archive_search((3, 14), "lib/python314.zip", [Path("/opt/tree/lib"), Path("/opt/tree/bin")])
    assert found == (
        Path("/opt/tree/lib/lib/python314.zip"),
        Path("/opt/tree/lib/python314.zip"),
        Path("/opt/lib/python314.zip"),
        Path("/opt/tree/bin/lib/python314.zip"),
    )


PARTS = st.lists(st.sampled_from(["opt", "usr", "a", "tree", "bin"]), min_size=1, max_size=5)


@given(st.lists(PARTS, max_size=3))
def test_every_folder_above_is_searched_once(starts: list[list[str]]) -> None:
    folders = [Path("/", *parts) for parts in starts]
    found = archive_search((3, 12), "lib64/python312.zip", folders)
    assert len(set(found)) == len(found)
    assert set(found) == {
        Path("/", *parts[:count], "lib64/python312.zip")
        for parts in starts
        for count in range(1, len(parts) + 1)
    }


def test_two_files_have_one_archive_and_the_places_of_fast() -> None:
    facts = facts_of("3.13")
    fast, two = fast_layout(facts), two_file_layout(facts)
    assert two == dataclasses.replace(fast, library_archive=fast.archive)
    with pytest.raises(UnsupportedError, match="an interpreter for darwin"):
        two_file_layout(dataclasses.replace(facts, platform="darwin"))
