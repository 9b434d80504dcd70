"""What ``zipstrap build`` makes of each interpreter: it runs, moved and alone, as the original does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zipstrap.compress import logical_name
from zipstrap.data import boot_modules, import_order, matches
from zipstrap.interpreter import Facts, probe
from zipstrap.linkage import resolve_linkage
from zipstrap.plugins import vendor
from zipstrap.verify.boots import MODES

from .failed_imports import check_told
from .interpreters import Hidden, Target
from .trees import Tree, make_tree, run, shared_tree, try_plugins, usual, zipstrap

#: What the issue asks of every tree; _sqlite3 and _ssl are extension modules with libraries of the system.
WANTED = ("json", "ssl", "sqlite3", "asyncio")

#: Imports what argv names, in order, and prints what came of each: the error's type, or the public names.
IMPORT_ALL = """\
import importlib, json, os, sys
out = os.dup(1)
os.dup2(2, 1)  # some modules greet
told = {}
for name in sys.argv[1:]:
    try:
        names = vars(importlib.import_module(name))
    except BaseException as error:
        told[name] = type(error).__name__
    else:
        # what a start imported of a package before is an attribute of it too
        told[name] = sorted(
            each for each in names if not each.startswith("__") and name + "." + each not in sys.modules
        )
with open(out, "w") as file:
    json.dump(told, file)
"""

#: Running these on import is their purpose; -c and the path of the tree have their say in site's modules.
NOT_IMPORTED = (
    *("*.__main__", "__main__", "idlelib.idle", "sitecustomize", "usercustomize", "zipstrap_*"),
    *("_sysconfigdata*", "config-*"),
)

#: The names that a module of the boot set and its witnesses go by.
RAN = "ran"

#: Prints where everything came from that a start and a few imports loaded.
ORIGINS = """\
import json, sys
for module in sys.argv[1:]:
    __import__(module)
print(json.dumps({
    "paths": sorted({getattr(m.__spec__, "origin", None) or "" for m in list(sys.modules.values())
                     if getattr(m, "__spec__", None)} - {"", "built-in", "frozen"}),
    "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix],
    "sys.path": [entry for entry in sys.path if entry],
}))
"""


@pytest.fixture(scope="session")
def facts(target: Target) -> Facts:
    return probe(target.executable)


@pytest.fixture(scope="session", params=["fast", "standard"])
def tree(request: pytest.FixtureRequest, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return shared_tree(target, tmp_path_factory, request.param)


@pytest.fixture(scope="session")
def minimal(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    options = ("--layout", "standard", "--profile", "minimal")
    return make_tree(target, tmp_path_factory.mktemp("minimal") / "T", *options)


@pytest.fixture(scope="session")
def small(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Give a tree with every option that makes it smaller, of the layout in which all have an effect."""
    options = (
        "--layout",
        "standard",
        "--profile",
        "minimal",
        "--optimize",
        "2",
        "--source",
        "none",
        "--compress",
        "deflate",
    )
    return make_tree(target, tmp_path_factory.mktemp("small") / "T", *options)


@pytest.fixture
def moved(tree: Tree, tmp_path: Path) -> Iterator[Tree]:
    """Give the tree after ``mv T U``, with nothing left at its first place."""
    there = tree.root.with_name("U \u00e9 $HOME")
    tree.root.rename(there)
    yield tree.at(there)
    there.rename(tree.root)


@pytest.fixture(scope="session")
def present(target: Target) -> list[str]:
    """Return those of WANTED that the original has: a tree cannot have more."""
    outcomes = imported([target.executable], WANTED)
    return [name for name in WANTED if isinstance(outcomes[name], list)]


def imported(command: Iterable[str | Path], names: Iterable[str]) -> dict[str, Any]:
    # -S: packages of the original may put a distutils of their own first; antigravity opens a page
    done = run([*command, "-I", "-S", "-W", "ignore", "-c", IMPORT_ALL, *names], env={"BROWSER": "true"})
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes: dict[str, Any] = json.loads(done.stdout)
    return outcomes


def modules_of(tree: Tree) -> list[str]:
    """Return the modules that the archive and the library's folder of *tree* hold."""
    manifest = tree.manifest
    paths = [member.name for member in manifest.members if member.name.endswith((".py", ".pyc"))]
    inside = f"{manifest.layout.library}/"
    site = f"{manifest.layout.site}/"
    paths += (
        record.path.removeprefix(inside)
        for record in manifest.files
        if record.kind == "source" and record.path.startswith(inside) and not record.path.startswith(site)
    )
    names = {path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".") for path in paths}
    return sorted(name for name in names if not matches(name, NOT_IMPORTED))


def own_places(tree: Tree, done: subprocess.CompletedProcess[str]) -> None:
    """Assert that all which ORIGINS printed lies in *tree*."""
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert {os.path.normpath(prefix) for prefix in told["prefixes"]} == {str(tree.root)}
    paths = [os.path.normpath(path) for path in (*told["paths"], *told["sys.path"])]
    assert [path for path in paths if not path.startswith(f"{tree.root}/")] == []


def what_to_hide(facts: Facts, target: Target) -> list[Path]:
    """Return the original: its whole prefix, or what of a prefix that it shares is its own."""
    prefix = Path(facts.prefix)
    bound = facts.platform == "linux" and resolve_linkage(target.executable, []).private_loader is not None
    if not bound and prefix not in (Path("/usr"), Path("/usr/local"), Path("/")):
        return [prefix]
    folders = {Path(facts.library), *(prefix / "lib" / name for name in ("python3",))}
    return [*sorted(folder for folder in folders if folder.is_dir()), target.executable]


# ---- it runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", WANTED)
def test_original_has_the_modules(module: str, present: list[str], target: Target) -> None:
    if module not in present:
        pytest.skip(f"{target.executable} was built without {module}, so its tree has none")
    assert module in present


def test_runs(tree: Tree, present: list[str]) -> None:
    own_places(tree, tree.run("-c", ORIGINS, *present))


def test_runs_after_a_move(moved: Tree, present: list[str]) -> None:
    assert zipstrap("verify", moved.root).returncode == 0
    own_places(moved, moved.run("-c", ORIGINS, *present))


def test_runs_with_the_original_hidden(
    moved: Tree,
    present: list[str],
    facts: Facts,
    hidden: Callable[[Iterable[Path]], Hidden],
    clean_env: dict[str, str],
) -> None:
    away = hidden(what_to_hide(facts, moved.target))
    assert away.run([moved.target.executable, "-c", "import json"], env=clean_env).returncode != 0
    own_places(moved, away.run([moved.executable, "-c", ORIGINS, *present], env=clean_env))


def test_runs_through_a_link_and_from_elsewhere(tree: Tree, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(tree.executable)
    own_places(tree, run([link, "-c", ORIGINS, "json"], cwd=tmp_path))
    beside = os.path.relpath(tree.executable, tmp_path)
    own_places(tree, run([beside, "-I", "-c", ORIGINS, "json"], cwd=tmp_path))
    folder = tmp_path / "folder"
    folder.symlink_to(tree.root)
    for name in tree.manifest.layout.executable_links:
        done = run([folder / name, "-c", "import json, os; print(os.path.isfile(json.__file__))"])
        # the same tree under the name that was used, which lies in an archive if no source is beside it
        expected = f"{tree.manifest.source == 'disk'}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_no_environment_is_needed(tree: Tree, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(tree.executable), "-c", "import json, encodings; print(json.dumps([1]))"],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")


# ---- the proof -------------------------------------------------------------------------------------------


def boot_sets(tree: Tree) -> dict[str, list[dict[str, Any]]]:
    assert [boot["mode"] for boot in tree.boots] == [mode.name for mode in MODES]
    return {boot["mode"]: boot["modules"] for boot in tree.boots if boot["status"] == RAN}


def test_report_names_every_module_of_the_boot(tree: Tree, target: Target) -> None:
    modes = boot_sets(tree)
    unfrozen = MODES[-1].name
    assert set(modes) == {mode.name for mode in MODES} - ({unfrozen} if target.version < (3, 11) else set())
    allowed = {"builtin", "frozen", "archive", "dynload"}
    for mode, modules in modes.items():
        # Debian has a sitecustomize of its own; ours runs it
        origins = {module["origin"] for module in modules if module["module"] != "sitecustomize"}
        assert origins <= allowed, mode
        assert all(module["agree"] for module in modules), mode
        for module in modules:
            assert set(module["witnesses"]) == {"loader", "log"}
            assert module["witnesses"]["loader"] == module["origin"]
            assert module["witnesses"]["log"] or module["note"], module
        names = [module["module"] for module in modules]
        assert {"sys", "builtins", "encodings"} <= set(names), mode
        if "-S" not in mode:
            assert {"site", "os"} <= set(names)


def test_boot_set_is_what_the_interpreter_loads(tree: Tree) -> None:
    done = tree.run("-c", "import sys; print(*sys.modules)")
    told = {module["module"] for module in boot_sets(tree)["plain"]}
    # the script itself; and what -c adds after the probe's first statement copied the list
    assert set(done.stdout.split()) - told <= {"__main__", "linecache", "os.path"}


def test_our_sitecustomize_comes_from_the_archive(tree: Tree) -> None:
    found = [module for module in boot_sets(tree)["plain"] if module["module"] == "sitecustomize"]
    if tree.manifest.layout.name == "fast":
        # the importer does what it is for; there is none but that of the installation
        assert {module["origin"] for module in found} <= {"archive", "directory"}
        return
    (ours,) = found
    theirs = f"{tree.manifest.layout.library}/sitecustomize.py"
    if any(file.path == theirs for file in tree.manifest.files):
        # ours ran it, and it took the name over
        assert ours["origin"] == "directory"
        assert ours["path"] == str(tree.root / theirs)
    else:
        assert ours["origin"] == "archive"


def test_verify_agrees_with_the_report(tree: Tree) -> None:
    done = zipstrap("verify", tree.root, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"]) == (0, True)
    assert [(c["code"], c["status"]) for c in told["checks"]] == [
        (c["code"], c["status"]) for c in tree.report["verification"]["checks"]
    ]
    assert all(check["reason"] for check in told["checks"] if check["status"] == "not run")
    assert [(b["mode"], len(b["modules"])) for b in told["boots"]] == [
        (b["mode"], len(b["modules"])) for b in tree.boots
    ]


def from_archive(tree: Tree) -> set[str]:
    """Return the modules that a boot in any mode reads from the archive."""
    modules = [module for modules in boot_sets(tree).values() for module in modules]
    # os.path is another name of posixpath
    return {module["module"] for module in modules if module["origin"] == "archive"} - {"os.path"}


def test_boot_modules_are_those_of_the_table(tree: Tree, small: Tree) -> None:
    read = from_archive(tree) | from_archive(small)
    assert {name for name in read if not matches(name, boot_modules())} == set()
    assert {"encodings", "encodings.utf_8"} <= read


def test_closed_streams_stay_free(tree: Tree) -> None:
    source = "import os, csv, logging; raise SystemExit(100 + os.open(os.devnull, os.O_RDONLY))"
    done = run(["sh", "-c", 'exec "$@" <&-', "sh", tree.executable, "-c", source])
    assert done.returncode == 100, done.stderr


def test_sitecustomize_is_run_whatever_the_times_of_folders_say(tree: Tree, tmp_path: Path) -> None:
    copy = tmp_path / "T"
    shutil.copytree(tree.root, copy, symlinks=True)
    added = copy / tree.manifest.layout.library / "sitecustomize.py"
    if added.exists():
        pytest.skip("this installation has a sitecustomize of its own there")
    times = added.parent.stat()
    added.write_text("print('ran')\n")
    os.utime(added.parent, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tree.at(copy).run("-c", "pass").stdout == "ran\n"


def test_guard_says_what_it_saw_once(tree: Tree) -> None:
    dynload = tree.root / tree.manifest.layout.dynload
    aside = dynload.with_name("aside")
    dynload.rename(aside)
    try:
        said = [line for line in tree.run("-c", "pass").stderr.splitlines() if line.startswith("zipstrap: ")]
    finally:
        aside.rename(dynload)
    assert len(said) == 1


# ---- it does what the original does ----------------------------------------------------------------------


def test_every_module_is_imported_as_by_the_original(tree: Tree) -> None:
    names = modules_of(tree)
    assert len(names) > 400
    here, there = imported([tree.executable], names), imported([tree.target.executable], names)
    differ = {name: (here[name], there[name]) for name in names if here[name] != there[name]}
    assert differ == {}
    assert {"this", "antigravity"} <= {name for name in names if isinstance(here[name], list)}


def test_tracebacks_and_inspect_show_sources(tree: Tree, tmp_path: Path) -> None:
    source = """\
import inspect, json, traceback
print(inspect.getsource(json.JSONDecoder.decode))
try:
    json.loads("{")
except ValueError:
    print(traceback.format_exc())
"""
    here, there = tree.run("-c", source, cwd=tmp_path), run([tree.target.executable, "-c", source])
    assert (here.returncode, here.stderr) == (0, "")
    library = f"{tree.manifest.layout.library}/"

    def told(text: str) -> list[str]:
        return [line.partition(library)[2] or line for line in text.splitlines()]

    assert f'File "{library}json/__init__.py"' in here.stdout.replace(f"{tree.root}/", "")
    assert "    return _default_decoder.decode(s)" in here.stdout
    assert told(here.stdout) == told(there.stdout)


def test_uncaught_error_names_file_and_line(tree: Tree) -> None:
    done = tree.run("-c", "import json; json.loads('{')")
    assert done.returncode == 1
    assert "json/decoder.py" in done.stderr
    if tree.target.version >= (3, 13):  # up to 3.12 the traceback that C prints looks for a file
        assert "obj, end = self.raw_decode(s, idx=_w(s, 0).end())" in done.stderr


def test_licence_of_python_is_carried(tree: Tree, minimal: Tree, facts: Facts) -> None:
    original = Path(facts.library, "LICENSE.txt")
    if not original.exists():
        pytest.skip(f"{facts.library} holds no LICENSE.txt")
    for each in (tree, minimal):
        assert (
            each.root / each.manifest.layout.library / "LICENSE.txt"
        ).read_bytes() == original.read_bytes()
    if tree.target.version >= (3, 11):  # before that, site looks beside os, which is in the archive
        assert "Type license() to see the full license text" in tree.run("-c", "print(license)").stdout


def test_venv_of_the_tree_runs(tree: Tree, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    done = tree.run("-m", "venv", "--without-pip", venv)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"activate", "activate.csh", "activate.fish"} <= {path.name for path in venv.glob("bin/*")}
    done = run(
        [
            "sh",
            "-c",
            '. "$1/bin/activate" && python -c "$2"',
            "sh",
            venv,
            "import json, sys; print(sys.prefix, sys.base_prefix)",
        ]
    )
    assert (done.stdout, done.stderr) == (f"{venv} {tree.root}\n", "")


def test_pip_is_as_in_the_original(tree: Tree) -> None:
    here, there = (
        run([each, "-m", "ensurepip", "--version"]) for each in (tree.executable, tree.target.executable)
    )
    assert (here.returncode, here.stdout) == (there.returncode, there.stdout)
    if there.returncode == 0:
        assert here.stdout.startswith("pip ")


def test_archives_in_zips_are_on_the_path(tree: Tree) -> None:
    site = tree.root / tree.manifest.layout.site
    (site / "zips").mkdir()
    try:
        with zipfile.ZipFile(site / "zips/bundle.zip", "w") as bundle:
            bundle.writestr("from_a_bundle.py", "NUMBER = 7\n")
        done = tree.run("-c", "import from_a_bundle as b; print(b.NUMBER, b.__file__)")
        expected = f"7 {site / 'zips/bundle.zip/from_a_bundle.py'}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
        assert zipstrap("verify", tree.root, "-q").returncode == 0
    finally:
        for path in site.glob("zips/*"):
            path.unlink()
        (site / "zips").rmdir()


# ---- profiles and options --------------------------------------------------------------------------------

SCRIPT = """\
import argparse, csv, dataclasses, datetime, hashlib, io, json, logging.config, pathlib, random, re, socket
import subprocess, sys, tarfile, tempfile, threading, time, traceback, uuid, warnings, zipfile, zlib
import importlib.metadata, importlib.resources
from concurrent.futures import ThreadPoolExecutor

a, b = socket.socketpair()
a.sendall(json.dumps({"n": int(re.findall("[0-9]+", sys.argv[1])[0])}).encode())
print(b.recv(99).decode())
a.close()
b.close()
print(subprocess.run([sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE).stdout)
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "x.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", "a = 8")
    with tarfile.open(path.with_suffix(".tgz"), "w:gz") as archive:
        archive.add(path, "x")
    sys.path.insert(0, str(path))
    import a as module
    print(module.a)
with ThreadPoolExecutor() as pool:
    # the algorithms that every version promises; some are modules of their own, imported on first use
    names = sorted(hashlib.algorithms_guaranteed)
    print(*pool.map(lambda name: hashlib.new(name, b"").digest_size or name, names))
print(time.strptime("2020", "%Y").tm_year, datetime.datetime.strptime("2021", "%Y").year)
print(argparse.ArgumentParser(prog="p").format_usage(), "\\u00e4.de".encode("idna"))
print(uuid.UUID(int=random.Random(1).getrandbits(128)))
logging.config.dictConfig({"version": 1})
if hasattr(importlib.resources, "files"):
    print(importlib.resources.files("encodings").is_dir())
try:
    importlib.metadata.version("nothing-of-this-name")
except importlib.metadata.PackageNotFoundError:
    print(traceback.format_exc().splitlines()[-1])
warnings.simplefilter("error")
print(int("7" * 3000) % 10)
"""


def test_a_failed_import_says_what_a_minimal_tree_leaves_out(minimal: Tree, tmp_path: Path) -> None:
    told = (
        "zipstrap: this tree leaves out wave, of the component core: nothing in the profile minimal imports "
        "it; build it with --include wave to have it"
    )
    check_told(minimal, "wave", told, tmp_path)
    # without site there is no hook, and imports fail as ever
    done = minimal.run("-S", "-c", "import wave")
    assert "ModuleNotFoundError: " in done.stderr
    assert "zipstrap:" not in done.stderr


def test_minimal_tree_runs_a_script(minimal: Tree, small: Tree, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    expected = run([minimal.target.executable, script, "12"])
    assert (expected.returncode, expected.stderr) == (0, "")
    for made in (minimal, small):
        done = made.run(script, "12")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == expected.stdout


def test_minimal_tree_is_closed_under_imports(minimal: Tree, small: Tree) -> None:
    names = modules_of(minimal)
    assert names == modules_of(small)
    there = imported([minimal.target.executable], names)
    for made in (minimal, small):
        here = imported([made.executable], names)
        # a module may look for another in vain and do without
        failed = {name: here[name] for name in names if isinstance(here[name], str)}
        assert {name: error for name, error in failed.items() if there[name] != error} == {}


def test_minimal_tree_is_small(minimal: Tree, tree: Tree) -> None:
    if tree.manifest.source == minimal.manifest.source:
        assert minimal.manifest.archive_size < tree.manifest.archive_size * 0.75
    fewer, more = (sum(name.endswith(".pyc") for name in manifest_names(each)) for each in (minimal, tree))
    assert fewer < more
    assert not (minimal.root / minimal.manifest.layout.library / "venv").exists()


def manifest_names(tree: Tree) -> list[str]:
    return [member.name for member in tree.manifest.members]


def test_small_tree_has_what_was_asked_for(small: Tree, minimal: Tree) -> None:
    manifest = small.manifest
    assert (manifest.optimize, manifest.source, manifest.compress) == (2, "none", "deflate")
    # a name with a dot in it is no module's, and its file is data
    assert [name for name in manifest_names(small) if name.endswith(".py") and name.count(".") == 1] == []
    done = small.run("-c", "import json; print(json.loads.__doc__, json.decoder.__doc__)")
    assert done.stdout == "None None\n"
    if manifest.target.zlib is None:
        assert any("everything is stored" in note for note in manifest.notes)
    else:
        assert manifest.archive_size < minimal.manifest.archive_size / 2


def test_what_is_imported_together_lies_together(tree: Tree, minimal: Tree, small: Tree) -> None:
    for made in (tree, minimal, small):
        order = import_order(made.manifest.target.feature_version)
        names = [logical_name(member.name) for member in made.manifest.members]
        modules = [
            name.removesuffix(".pyc").removesuffix("/__init__").replace("/", ".")
            for name in names
            if name.endswith(".pyc")
        ]
        ranked = [module for module in modules if module in order]
        assert ranked == sorted(ranked, key=order.__getitem__)
        assert modules[: len(ranked)] == ranked
        assert len(ranked) > len(order) / 4


def test_what_a_boot_reads_is_stored(small: Tree) -> None:
    manifest = small.manifest
    methods = {member.name: member.method for member in manifest.members}
    read = from_archive(small)
    deflated = {
        name: member
        for name in read
        for member in (f"{name.replace('.', '/')}.pyc", f"{name.replace('.', '/')}/__init__.pyc")
        if methods.get(member)
    }
    assert deflated == {}
    assert (8 in methods.values()) == (manifest.target.zlib is not None)


def test_plain_default_build(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    done = zipstrap("build", target.executable, "-o", tmp_path / "T")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'T'}: CPython ")
    assert done.stdout.endswith("\nverified\n")
    assert any((tmp_path / "T").glob("lib*/python3*/config*/Makefile")) == any(
        Path(probe(target.executable).library).glob("config*/Makefile")
    )


def test_full_profile_takes_all(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    full = make_tree(target, tmp_path / "T", "--profile", "full", "--exclude", "dev", "--exclude", "static")
    assert full.report["verification"]["passed"]
    if not any(Path(probe(target.executable).library).glob("test/test_json")):
        pytest.skip(f"{target.executable} came without its tests")
    done = full.run("-m", "test.test_keyword")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "OK")


def test_dry_run_writes_nothing(target: Target, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary), "ZIPSTRAP_CACHE_DIR": str(tmp_path / "cache")}
    options = ("--dry-run", "--format", "json", "--exclude", "asyncio")
    done = zipstrap("build", target.executable, "-o", tmp_path / "T", *options, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]
    plan = json.loads(done.stdout)
    modules = {member["module"] for member in plan["members"]}
    assert "json" in modules
    assert "asyncio" not in modules
    assert all(file["reason"] for file in plan["files"])
    assert all(item["reason"] for item in plan["left_out"])
    # unittest.async_case is there since 3.8
    assert {"importer": "unittest.async_case", "module": "asyncio", "kind": "required"}.items() <= {
        (key, value)
        for broken in plan["broken_imports"]
        if broken["importer"] == "unittest.async_case"
        for key, value in broken.items()
    }


def test_what_is_excluded_is_missing_and_said(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    options = ("--profile", "minimal", "--exclude", "textwrap", "--include", "colorsys", "--no-verify")
    done = zipstrap("build", target.executable, "-o", tmp_path / "T", *options)
    assert done.returncode == 0
    assert "imports textwrap, which is left out" in done.stdout
    assert "not verified, as you asked" in done.stdout
    python = tmp_path / "T/bin/python3"
    assert run([python, "-c", "import colorsys"]).returncode == 0
    assert "No module named 'textwrap'" in run([python, "-c", "import textwrap"]).stderr
    assert zipstrap("verify", tmp_path / "T", "-q").returncode == 0


def test_plugins_are_loaded_in_a_tree(tree: Tree, tmp_path: Path) -> None:
    vendor(tmp_path)
    answers = try_plugins(tree.executable, tmp_path, tmp_path / "work")
    wrong = {
        name: said for name, said in answers.items() if said != "ok" and not said.startswith("skipped: ")
    }
    assert wrong == {}
    assert len(answers) > 20
