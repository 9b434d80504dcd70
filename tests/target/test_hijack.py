"""The hijack matrix on real trees: who gets control of a start, and that the tree itself is left alone.

``nox -s hijack`` tries every vector on every interpreter and layout; here one interpreter gets all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from zipstrap import cli
from zipstrap.data import vectors
from zipstrap.linkage import resolve_linkage
from zipstrap.verify.hijack import Cell, Matrix, Outcome, Point, unknown_variables, variables_in, why_beyond
from zipstrap.verify.native_marker import compiled_marker
from zipstrap.verify.scratch import hijack_tree
from zipstrap.worker import clean_environment

from .interpreters import Target, lack
from .trees import Tree, shared_tree, usual

#: a few of each family; the rest is tried where all are
QUICK = ("ZH001", "ZH101", "ZH107", "ZH305", "ZH401", "ZH508", "ZH511", "ZH601", "ZH602")

#: what gets no control of a plain start in the layout fast, 3.13, and why
NEVER = {
    "ZH001": "nothing is planted",
    "ZH114": "Linux does not read it",
    "ZH116": "none of them names code",
    "ZH308": "the archive is asked first, and what is on disk has bytecode",
    "ZH505": "the interpreter knows its library from 3.14 on",
    "ZH507": "the tree's own sources are found",
    "ZH508": "the start is stopped",
    "ZH510": "the tree's own archive is found first",
    "ZH512": "the interpreter knows its library from 3.14 on",
    "ZH701": "there is nothing to use",
    "ZH702": "there is nothing to use",
}

#: -I does not keep the interpreter from reading these
READ_EVEN_SO = {"ZH107", "ZH108", "ZH109", "ZH117", "ZH118"}


def cells(matrix: Matrix, code: str) -> dict[str, Cell]:
    row = next(row for row in matrix.rows if row.vector.code == code)
    return {cell.mode: cell for cell in row.cells}


def outcomes(matrix: Matrix, code: str) -> list[tuple[Outcome, Point | None]]:
    return [(cell.outcome, cell.point) for cell in cells(matrix, code).values()]


def in_control(matrix: Matrix, mode: str) -> set[str]:
    return {
        row.vector.code
        for row in matrix.rows
        for cell in row.cells
        if cell.mode == mode and cell.outcome is Outcome.CONTROL
    }


def listing(root: Path) -> dict[str, tuple[int, ...]]:
    """Return every path below *root* with all that a change of it, or of its links, would change."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (".", *folders, *files):
            found[os.path.join(folder, name)] = seen(Path(folder, name))
    return found


def seen(path: Path) -> tuple[int, ...]:
    status = path.lstat()
    return (
        *(status.st_ino, status.st_mode, status.st_nlink, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


@pytest.fixture(scope="module")
def fast(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return shared_tree(usual(interpreters), tmp_path_factory)


@pytest.fixture(scope="module")
def isolated(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return shared_tree(usual(interpreters), tmp_path_factory, "isolated")


def test_the_data_knows_every_variable_that_an_interpreter_reads(target: Target) -> None:
    """In the executable, in libpython, in the library, and as the interpreter lists them (3.11+)."""
    asked = subprocess.run(
        [target.executable, "-I", "-S", "-c", ASK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=True,
    )
    libpython, library = asked.stdout.splitlines()
    found = set(variables_in(target.executable.read_bytes()))
    if libpython:
        found |= variables_in(Path(libpython).read_bytes())
    for path in Path(library).rglob("*.py"):
        if not {"test", "tests", "site-packages", "dist-packages"}.intersection(path.parts):
            text = path.read_bytes() if path.exists() else b""
            # what the library reads it names in quotes; other words are of builds and of documentation
            found |= {name for name in variables_in(text) if f'"{name}"'.encode() in text}
            found |= {name for name in variables_in(text) if f"'{name}'".encode() in text}
    if target.version >= (3, 11):
        listed = subprocess.run(
            [target.executable, "--help-env"], capture_output=True, env=clean_environment(), check=True
        )
        found |= variables_in(listed.stdout)
    assert unknown_variables(found) == ()
    assert {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE"} <= found


#: libpython if there is one, and the library's folder
ASK = """\
import os, sys
try:
    maps = open("/proc/self/maps").read().split()
except OSError:
    maps = []
print(next((word for word in maps if "/libpython" in word), ""))
print(os.path.dirname(os.__file__) if os.path.exists(os.__file__) else sys.path[-2])
"""


def test_who_gets_control_in_each_version(target: Target, tmp_path_factory: pytest.TempPathFactory) -> None:
    tree = shared_tree(target, tmp_path_factory)
    linkage = resolve_linkage(target.executable, ())
    # Debian's interpreters here are bound to a loader and libraries of their own, outside the tree
    outside = [target.executable, *(library.path for library in (*linkage.private, *linkage.system))]
    outside += [] if linkage.private_loader is None else [Path(linkage.private_loader)]
    before = listing(tree.root), [seen(path) for path in outside]
    matrix = hijack_tree(tree.root, jobs=2, only=QUICK)
    assert (listing(tree.root), [seen(path) for path in outside]) == before
    assert matrix.passed
    assert matrix.unknown == ()
    refused = (Outcome.REFUSED, None)
    library, site = ((Outcome.CONTROL, point) for point in (Point.LIBRARY, Point.SITE))
    assert outcomes(matrix, "ZH001") == [refused, refused]
    assert outcomes(matrix, "ZH101") == [library, refused]
    assert outcomes(matrix, "ZH107") == [library if target.version >= (3, 11) else refused] * 2
    assert outcomes(matrix, "ZH305") == [site, site]
    assert outcomes(matrix, "ZH401") == [site, refused]
    assert outcomes(matrix, "ZH508") == [(Outcome.STOPPED, None)] * 2
    assert outcomes(matrix, "ZH511") == [library, library]
    assert outcomes(matrix, "ZH601") == [(Outcome.CONTROL, Point.LOADER)] * 2
    named = cells(matrix, "ZH305")["plain"]
    # each of them is read
    for folder in tree.manifest.layout.site_folders:
        assert f"TREE/{folder}/foreign.pth" in named.origin + named.note


def test_every_vector_gets_control_or_it_is_known_why_not(fast: Tree) -> None:
    before = listing(fast.root)
    matrix = hijack_tree(fast.root, jobs=2)
    assert listing(fast.root) == before
    if fast.target.version != (3, 13):
        pytest.skip(f"the table NEVER is of 3.13, and this is {fast.target.id}")
    absent = {row.vector.code for row in matrix.rows if row.cells[0].outcome is Outcome.ABSENT}
    assert in_control(matrix, "plain") == set(vectors()) - absent - NEVER.keys()
    environment = {code for code, vector in vectors().items() if vector.family == "environment"}
    assert in_control(matrix, "-I") & environment == READ_EVEN_SO
    assert in_control(matrix, "-I") < in_control(matrix, "plain")
    assert not in_control(matrix, "-I") & {"ZH201", "ZH202", "ZH203", "ZH204", "ZH401", "ZH402", "ZH403"}


def test_an_isolated_start_yields_to_nothing_that_a_tree_can_refuse(isolated: Tree) -> None:
    matrix = hijack_tree(isolated.root, jobs=2)
    layout = isolated.manifest.layout
    beyond = {code for code, vector in vectors().items() if why_beyond(layout, vector)}
    assert in_control(matrix, "isolated") <= beyond
    # the machines of those who build here have a launcher
    assert layout.has_launcher
    assert in_control(matrix, "isolated") == set()
    for code in ("ZH108", "ZH109", "ZH206", "ZH207", "ZH208", "ZH210", "ZH601", "ZH602", "ZH603"):
        assert outcomes(matrix, code) == [(Outcome.REFUSED, None)]
    assert matrix.passed
    # what the interpreter has read and cannot be taken back stops the start
    assert outcomes(matrix, "ZH106") == [(Outcome.STOPPED, None)]
    assert "PYTHONINSPECT" in cells(matrix, "ZH106")["isolated"].note
    failed = {row.vector.code for row in matrix.rows if row.cells[0].outcome is Outcome.FAILED}
    # nothing else is found where the archive is missing; a locale whose charset nothing converts is refused
    assert failed <= {"ZH507", "ZH509", "ZH604"}


def test_an_isolated_tree_says_why_it_makes_no_environments(isolated: Tree) -> None:
    done = isolated.run("-c", "import venv")
    assert "would be this tree's own, and pip would change it; build it with --include venv" in done.stderr


@pytest.mark.parametrize("options", [(), ("-W", "error::ResourceWarning")], ids=["no -W", "-W"])
def test_an_isolated_start_keeps_its_own_warnings_alone(isolated: Tree, options: tuple[str, ...]) -> None:
    done = isolated.run(
        *options,
        "-c",
        "import os, sys; print(sys.warnoptions, 'PYTHONBREAKPOINT' in os.environ)",
        env={"PYTHONWARNINGS": "ignore::antigravity.X,error::ResourceWarning", "PYTHONBREAKPOINT": "x.y"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{list(options[1:])} False\n"


def test_what_is_in_a_tree_already_fails_the_matrix(
    fast: Tree, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A prefix of others nearer than the tree's own, as somebody may have left it."""
    layout = fast.manifest.layout
    nearer = fast.executable.parent / layout.archive
    nearer.parent.mkdir()
    # a library, but another one: the tree's own archive, which is found there instead
    shutil.copy2(fast.root / layout.archive, nearer)
    shutil.copy2(fast.root / layout.library_archive, nearer.parent)
    nearer.parent.joinpath("zlink").symlink_to(tmp_path)
    try:
        (fast.executable.parent / "pyvenv.cfg").write_text(f"home = {fast.target.executable.parent}\n")
        status = cli.main(["verify", "--hijack", str(fast.root), "--vector", "nothing", "--format", "json"])
    finally:
        shutil.rmtree(nearer.parent)
        (fast.executable.parent / "pyvenv.cfg").unlink()
    document = json.loads(capsys.readouterr().out)
    assert (status, document["passed"]) == (1, False)
    assert {cell["outcome"] for cell in document["vectors"][0]["cells"]} == {"control"}
    assert "from" in document["vectors"][0]["cells"][0]["origin"]


@pytest.mark.parametrize("code", ["ZH701", "ZH702"])
def test_what_others_may_write_to_gives_them_control(fast: Tree, code: str) -> None:
    place = fast.root.parent if code == "ZH701" else fast.root / fast.manifest.layout.library
    mode = stat.S_IMODE(place.stat().st_mode)
    place.chmod(mode | stat.S_IRWXO)
    try:
        matrix = hijack_tree(fast.root, only=[code])
    finally:
        place.chmod(mode)
    if os.geteuid() == 0:
        assert {cell.outcome for cell in cells(matrix, code).values()} == {Outcome.CONTROL}
    else:
        assert {cell.note for cell in cells(matrix, code).values()} == {"only root can act as another user"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_what_is_only_linked_in_the_copy_is_not_touched(fast: Tree) -> None:
    """A package that everybody may write to: in the copy it is a link to the user's own folder."""
    package = fast.root / fast.manifest.layout.site / "package"
    package.mkdir()
    package.chmod(0o777)
    before = listing(package)
    try:
        matrix = hijack_tree(fast.root, only=["ZH702"])
        assert listing(package) == before
    finally:
        shutil.rmtree(package)
    assert {cell.outcome for cell in cells(matrix, "ZH702").values()} == {Outcome.NOT_RUN}


def test_the_link_of_a_site_folder_is_not_followed(fast: Tree, tmp_path: Path) -> None:
    """As in a generation, whose site folder is its prefix's: nothing is planted there."""
    layout = fast.manifest.layout
    outside = tmp_path / "prefix" / "site-packages"
    shutil.copytree(fast.root / layout.site, outside, symlinks=True)
    (outside / "package").mkdir()
    (outside / "own.pth").write_text("import sys; sys.own = 1\n")
    kept = fast.root / f"{layout.site}.kept"
    (fast.root / layout.site).rename(kept)
    (fast.root / layout.site).symlink_to(outside)
    before = listing(outside)
    try:
        matrix = hijack_tree(fast.root, only=["ZH303", "ZH305", "ZH307"])
    finally:
        (fast.root / layout.site).unlink()
        kept.rename(fast.root / layout.site)
    assert listing(outside) == before
    assert in_control(matrix, "plain") == {"ZH303", "ZH305", "ZH307"}


def test_a_compiler_makes_the_same_where_we_do_not(
    interpreters: list[Target], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if shutil.which("cc") is None:
        lack(request.config, "no cc here")
    library, marks = tmp_path / "foreign.so", tmp_path / "marks"
    compiled_marker(library, bytes(marks), b"line\n", "foreign.so")
    done = subprocess.run(
        [usual(interpreters).executable, "-c", "print('ran')"],
        env=clean_environment() | {"LD_PRELOAD": str(library)},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, marks.read_bytes()) == (b"", b"line\n")


def test_what_the_user_has_installed_is_no_vectors_doing(fast: Tree, tmp_path: Path) -> None:
    """An editable install: a .pth file of the site folder imports a module from elsewhere."""
    (tmp_path / "zipstrap_users_own.py").write_text("")
    pth = fast.root / fast.manifest.layout.site / "editable.pth"
    pth.write_text(f"{tmp_path}\nimport zipstrap_users_own\n")
    try:
        matrix = hijack_tree(fast.root, only=["ZH001", "ZH101", "ZH203"])
    finally:
        pth.unlink()
    assert in_control(matrix, "plain") == {"ZH101", "ZH203"}
    assert in_control(matrix, "-I") == set()


def test_only_trees_are_attacked(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--hijack", str(target.executable)]) == 2
    assert cli.main(["verify", "--hijack", "--strict", str(target.executable)]) == 2
    assert cli.main(["verify", "--vector", "ZH101", str(target.executable)]) == 2
    assert "copies what it attacks" in capsys.readouterr().err


def test_a_vector_that_is_none(fast: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--hijack", str(fast.root), "--vector", "ZH999"]) == 2
    assert "there is no vector ZH999" in capsys.readouterr().err
