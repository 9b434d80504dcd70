"""Trees of every way to compress and of both presets: they boot, import, verify and come out the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from zipstrap.archive import read_archive
from zipstrap.compress import LibraryReader

from .interpreters import Target
from .trees import Tree, make_tree, zipstrap

pytestmark = pytest.mark.target

#: name → options; best writes what libdeflate does, and takes minutes: the unit tests have it
CHOICES = {
    "small": ("--preset", "small", "--layout", "fast"),
    "small, standard": ("--preset", "small", "--layout", "standard"),
    "fast": ("--preset", "fast", "--layout", "fast"),
    "libdeflate": ("--compress", "libdeflate"),
    "zstd": ("--compress", "zstd"),
    "zstd, fast": ("--compress", "zstd", "--layout", "fast"),
    "dictionary": ("--compress", "dictionary", "--layout", "fast", "--source", "archive"),
}

IMPORT = """\
import json, sys
failed = {}
for name in sys.argv[1:]:
    try:
        __import__(name)
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps(failed))
"""

#: of each code object, how many instructions say to which column they belong
COLUMNS = """\
import json.decoder
def count(code):
    return sum(position[2] is not None for position in code.co_positions())
print(count(json.decoder.JSONDecoder.decode.__code__))
"""


def since(target: Target) -> tuple[int, int]:
    return target.version


def supported(choice: str, target: Target) -> bool:
    least = {"zstd": (3, 15), "zstd, fast": (3, 15), "dictionary": (3, 14)}.get(choice, (3, 8))
    return since(target) >= least


@pytest.fixture(scope="session", params=CHOICES)
def made(request: pytest.FixtureRequest, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    choice: str = request.param
    if not supported(choice, target):
        pytest.skip(f"{choice} cannot be read by {target.id}, and is refused: see below")
    folder = tmp_path_factory.mktemp("choice")
    return make_tree(target, folder / "T", "--profile", "minimal", *CHOICES[choice])


def modules(tree: Tree) -> list[str]:
    with read_archive(tree.root / tree.manifest.layout.library_archive) as archive:
        names = [name for name in LibraryReader(archive).names if name.endswith(".pyc")]
    found = (name.removesuffix(".pyc").removesuffix("/__init__").replace("/", ".") for name in names)
    # __main__ modules run programs
    return sorted(name for name in found if "__main__" not in name and name.isidentifier())


def test_it_is_verified(made: Tree) -> None:
    assert made.report["verification"]["passed"] is True


def test_every_module_is_imported(made: Tree) -> None:
    names = modules(made)
    assert len(names) > 50
    done = made.run("-I", "-S", "-W", "ignore", "-c", IMPORT, *names, env={"BROWSER": "true"})
    assert done.returncode == 0, done.stderr
    # what the original has not either: Windows' and macOS' halves
    failed = [name for name, error in json.loads(done.stdout).items() if "No module named" not in error]
    assert failed == []


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8-sig"])
def test_another_encoding_is_there_before_anything_else(made: Tree, encoding: str) -> None:
    done = made.run("-c", "print('started')", env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stdout.lstrip("\ufeff")) == (0, "started\n"), done.stderr


def test_a_module_is_run(made: Tree) -> None:
    done = made.run("-X", "frozen_modules=off", "-m", "site")
    assert done.returncode == 0, done.stderr


def test_the_same_bytes_come_without_the_cache_and_by_one_job(made: Tree, tmp_path: Path) -> None:
    manifest = made.manifest
    if manifest.compress == "dictionary" and manifest.source == "archive":
        pytest.skip("a dictionary takes minutes by one job: the choice small, which has one, is enough")
    options = ["--profile", "minimal", "--compress", manifest.compress, "--source", manifest.source]
    options += ["--hot", manifest.hot, "--debug-ranges", "yes" if manifest.debug_ranges else "no"]
    options += ["--layout", manifest.layout.name]
    again = make_tree(made.target, tmp_path / "T", *options, "--no-cache", "--jobs", "1", "--no-verify")
    assert again.manifest == manifest


def test_columns_are_there_if_asked_for(made: Tree) -> None:
    if since(made.target) < (3, 11):
        pytest.skip("there are no columns before 3.11")
    done = made.run("-c", COLUMNS)
    assert done.returncode == 0, done.stderr
    assert (int(done.stdout) > 0) == made.manifest.debug_ranges


def test_inspect_names_the_methods(made: Tree) -> None:
    done = zipstrap("inspect", made.root, "--format", "json")
    assert done.returncode == 0, done.stderr
    items = [item for item in json.loads(done.stdout)["items"] if item["origin"] == "archive"]
    methods = {item["method"] for item in items}
    names = {"zstd": "zstd", "dictionary": "zstd over the dictionary"}
    expected = names.get(made.manifest.compress, "deflate")
    assert expected in methods or made.manifest.target.zlib is None
    assert all(item["size"] >= item["packed"] for item in items)


@pytest.mark.parametrize("choice", ["zstd", "dictionary"])
def test_what_the_target_cannot_read_is_refused(choice: str, target: Target, tmp_path: Path) -> None:
    if supported(choice, target):
        pytest.skip(f"{target.id} reads {choice}")
    done = zipstrap("build", target.executable, "-o", tmp_path / "T", *CHOICES[choice])
    assert done.returncode == 5
    assert f"--compress {choice} cannot be read by this tree" in done.stderr
    assert not (tmp_path / "T").exists()


def test_modules_of_a_command_stay_stored(target: Target, tmp_path: Path) -> None:
    options = ("--profile", "minimal", "--compress", "deflate", "--source", "none", "--no-verify")
    tree = make_tree(target, tmp_path / "T", *options, "--hot-of", "-c 'import shlex'")
    manifest = tree.manifest
    assert manifest.hot_of == ("-c 'import shlex'",)
    methods = {member.name: member.method for member in manifest.members}
    assert methods["shlex.pyc"] == 0
    assert bool(methods["textwrap.pyc"]) == (manifest.target.zlib is not None)
