"""The layout isolated: sys.path is fixed, and nothing that lies around a tree runs in a start of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from zipstrap.layout import path_file_text
from zipstrap.verify.run import verify_tree
from zipstrap.worker import clean_environment

from .interpreters import Target
from .trees import Tree, make_tree, run, zipstrap

PROBE = """
import json, sys
told = {name: getattr(sys, name) for name in (
    "path", "prefix", "exec_prefix", "base_prefix", "base_exec_prefix", "platlibdir", "pycache_prefix",
    "_stdlib_dir")}
told["flags"] = [sys.flags.isolated, sys.flags.ignore_environment, sys.flags.no_site, sys.flags.safe_path]
told["loaded"] = sorted(sys.modules)
told["builtins"] = [name for name in ("exit", "quit", "help", "copyright") if name in dir(__builtins__)]
import os, zipimport
told["files"] = [os.__file__, zipimport.__file__]
import site, sysconfig
told["site"] = [site.ENABLE_USER_SITE, site.getsitepackages(), sysconfig.get_paths()["stdlib"]]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def without_site(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    yield from isolated(target, tmp_path_factory, "off")


@pytest.fixture(scope="module")
def with_site(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    yield from isolated(target, tmp_path_factory, "on")


def isolated(target: Target, factory: pytest.TempPathFactory, site: str) -> Iterator[Tree]:
    root = factory.mktemp(f"site-{site}") / "T"
    if target.version < (3, 11):
        done = zipstrap("build", target.executable, "-o", root, "--layout", "isolated", "--site", site)
        assert done.returncode == 5, done.stderr
        assert "reads no ._pth file on POSIX, which came with 3.11" in done.stderr
        assert "-I -S" in done.stderr
        assert not root.exists()
        pytest.skip("up to 3.10 nothing reads a ._pth file here; that the layout is refused was seen")
    yield make_tree(target, root, "--profile", "minimal", "--layout", "isolated", "--site", site)
    shutil.rmtree(root)


@pytest.fixture(params=["off", "on"])
def tree(request: pytest.FixtureRequest, without_site: Tree, with_site: Tree, tmp_path: Path) -> Tree:
    """Give a copy to change, at another place than the tree was built at."""
    made = with_site if request.param == "on" else without_site
    shutil.copytree(made.root, tmp_path / "moved", symlinks=True)
    return made.at(tmp_path / "moved")


def told(tree: Tree, *arguments: str, executable: Path | None = None, **more: object) -> dict[str, object]:
    done = run([executable or tree.executable, *arguments, "-c", PROBE], **more)  # type: ignore[arg-type]
    assert (done.returncode, done.stderr) == (0, "")
    values: dict[str, object] = json.loads(done.stdout)
    return values


def surround(tree: Tree, folder: Path) -> tuple[dict[str, str], Path]:
    """Put everything around and into *tree* that a start may be steered by; return variables and the mark."""
    mark = folder / "mark"
    code = f"import os; os.close(os.open({str(mark)!r}, os.O_CREAT))\n"
    manifest = tree.manifest
    version = ".".join(map(str, manifest.target.feature_version))
    evil, home, base = folder / "evil", folder / "home", folder / "base"
    user = f"lib/python{version}/site-packages"
    library = tree.root / manifest.layout.library
    for place in (
        evil,
        evil / "bin",
        evil / f"lib/python{version}",
        home / ".local" / user,
        base / user,
        library,
        *(tree.root / site for site in manifest.layout.site_folders),
    ):
        place.mkdir(parents=True, exist_ok=True)
        for name in ("sitecustomize.py", "usercustomize.py", "evil.pth"):
            (place / name).write_text(code)
        (place / "evil.start").write_text("usercustomize:no_such\n")
    for name in ("encodings", "site", "os", "abc", "linecache", "json", "startup"):
        (evil / f"{name}.py").write_text(code)
    for place in (tree.root, tree.root / "bin"):
        (place / "pyvenv.cfg").write_text(
            f"home = {evil / 'bin'}\ninclude-system-site-packages = true\nversion = {version}\n"
        )
    return {
        "HOME": str(home),
        "PYTHONUSERBASE": str(base),
        "PYTHONPATH": str(evil),
        "PYTHONHOME": str(evil),
        "PYTHONPLATLIBDIR": "evil",
        "PYTHONSTARTUP": str(evil / "startup.py"),
        "PYTHONPYCACHEPREFIX": str(evil),
        "PYTHONBREAKPOINT": "startup.x",
    }, mark


def test_nothing_around_a_tree_runs_in_it(tree: Tree, tmp_path: Path) -> None:
    alone = told(tree)
    variables, mark = surround(tree, tmp_path)
    root, layout = tree.root, tree.manifest.layout
    link = tmp_path / "link"
    link.symlink_to(tree.executable)
    ways = {None: [], root / "bin/python3": ["-I"], root / "bin/python": ["-S"], link: ["-E", "-s"]}
    for executable, options in ways.items():
        found = told(tree, *options, executable=executable, env=variables, cwd=tmp_path / "evil")
        assert found == alone
    # it is read before the ._pth file, and names a class of a module: of one that is found on sys.path
    tree.run("-c", "pass", env={**variables, "PYTHONWARNINGS": "error::startup.X"}, cwd=tmp_path / "evil")
    # the script's folder is not on sys.path either
    script = tmp_path / "evil" / "script.py"
    script.write_text("import json, sys; print(json.__file__, sys.path)")
    done = run([tree.executable, script], env=variables)
    assert done.stdout.startswith(str(root / layout.library / "json")), done.stderr
    assert str(tmp_path / "evil") not in done.stdout
    # a prompt after the program: it cannot be taken back
    done = run([tree.executable, script], env={**variables, "PYTHONINSPECT": "1"})
    assert (done.returncode, done.stdout) == (121, "")
    assert "PYTHONINSPECT, which cannot be undone; stopped" in done.stderr
    assert not mark.exists()
    # the same does run where starts are not isolated
    for path in layout.path_files:
        (root / path).unlink()
    (root / "pyvenv.cfg").unlink()
    (root / "bin/pyvenv.cfg").unlink()
    original = tree.target.executable
    run([original, "-c", "pass"], env={name: variables[name] for name in ("HOME", "PYTHONPATH")})
    assert mark.exists()


def test_a_start_has_the_places_of_the_tree(tree: Tree) -> None:
    found = told(tree)
    root, layout = str(tree.root), tree.manifest.layout
    library = f"{root}/{layout.library}"
    assert found["path"] == [f"{root}/{path}" for path in layout.search_path]
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        assert found[name] == root
    assert (found["_stdlib_dir"], found["pycache_prefix"]) == (library, None)
    assert found["flags"] == [1, 1, 1, True]
    assert found["files"] == [f"{library}/os.py", f"{library}/zipimport.py"]
    _, packages, stdlib = found["site"]  # type: ignore[misc]
    assert set(packages) == {f"{root}/{path}" for path in layout.site_folders}
    assert stdlib == library
    has_site = tree.manifest.site == "on"
    assert ("site" in found["loaded"]) is has_site  # type: ignore[operator]
    assert found["builtins"] == (["exit", "quit", "help", "copyright"] if has_site else [])


def test_packages_are_found_and_cannot_shadow(tree: Tree) -> None:
    site = tree.root / tree.manifest.layout.site
    for name in ("mine", "json", "abc"):
        (site / f"{name}.py").write_text("where = __file__\n")
    done = tree.run(
        "-c", "import mine, json, abc; print(mine.where, hasattr(json, 'where'), hasattr(abc, 'where'))"
    )
    assert done.stdout.split() == [str(site / "mine.py"), "False", "False"], done.stderr


@pytest.mark.parametrize("fault", ["missing", "other", "line", "site"])
def test_a_path_file_that_is_not_the_builds_is_found(without_site: Tree, fault: str, tmp_path: Path) -> None:
    tree = without_site
    path = tree.root / tree.manifest.layout.path_files[0]
    other = tree.root / tree.manifest.layout.path_files[-1]
    text = path_file_text(tree.manifest.layout, tree.manifest.layout.path_files[0])
    try:
        if fault == "missing":
            path.unlink()
        elif fault == "other":
            other.unlink()
            other.write_text(f"{tmp_path}\n{text}")
        else:
            path.write_text(text + {"line": f"{tmp_path}\n", "site": "import site\n"}[fault])
        executable = tree.root / str(path if fault != "other" else other).removesuffix("._pth")
        done = run([executable, "-c", "print('never')"])
        assert (done.returncode, done.stdout) == (121, "")
        assert "was not started with the ._pth file that it was built with; stopped\n" in done.stderr
        verification = verify_tree(tree.root, jobs=2)
        assert verification.codes == ("ZS107",), verification.codes
        assert not verification.passed
    finally:
        path.write_text(text)
        if fault == "other":
            other.unlink()
            if tree.manifest.layout.has_launcher:
                other.write_text(text)
            else:
                other.symlink_to(path.name)
    assert verify_tree(tree.root, start=False).passed


def test_without_the_archive_nothing_starts(without_site: Tree) -> None:
    tree = without_site
    layout = tree.manifest.layout
    encodings = tree.root / layout.library / "encodings"
    assert (encodings / "aliases.py").exists()
    assert not (encodings / "__init__.py").exists()
    done = tree.run("-c", "import encodings, inspect; print(inspect.getsource(encodings))")
    assert "def search_function(" in done.stdout, done.stderr
    path = tree.root / layout.archive
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        done = tree.run("-B", "-c", "print('never')")
        assert (done.returncode, done.stdout) == (1, "")
        assert verify_tree(tree.root).codes == ("ZS101", "ZS209")
    finally:
        aside.rename(path)


def test_the_file_is_known_as_ours(without_site: Tree) -> None:
    done = zipstrap("hooks", "list", without_site.executable, "--format", "json")
    (hook,) = [each for each in json.loads(done.stdout)["hooks"] if each["kind"] == "_pth"]
    assert hook["origin"] == "ours"
    assert hook["adds"] == [
        str(without_site.root / path) for path in without_site.manifest.layout.search_path
    ]


def test_starts_that_are_alike_are_told_once(without_site: Tree) -> None:
    boots = {boot["mode"]: boot for boot in without_site.boots}
    assert {mode for mode, boot in boots.items() if boot["status"] == "ran"} == {
        "plain",
        "-X frozen_modules=off",
    }
    for mode in ("-I", "-S", "-I -S", "-E"):
        assert boots[mode]["status"] == "not run"
        assert "every start is isolated" in boots[mode]["reason"]
    statuses = {check["code"]: check["status"] for check in without_site.report["verification"]["checks"]}
    assert (statuses["ZS107"], statuses["ZS104"]) == ("passed", "not run")


def test_the_launcher_refuses_what_comes_before_the_interpreter(without_site: Tree, tmp_path: Path) -> None:
    """Another name, by argv[0], PATH, a link or a variable; a ._pth file beside it would count."""
    tree = without_site
    if not tree.manifest.layout.has_launcher:
        pytest.skip(f"there is no launcher for {tree.manifest.target.machine}")
    alone = told(tree)
    other = tmp_path / "python"
    other.symlink_to(tree.executable)
    (tmp_path / "python._pth").write_text(f"{tmp_path}\n{tree.root / tree.manifest.layout.archive}\n")
    for name in ("PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"):
        assert told(tree, env={name: str(other)}) == alone
    assert told(tree, executable=other) == alone
    code = "import sys; print(sys.executable, sys._base_executable, sys.orig_argv[0])"
    for name in (str(other), "python", "", "-c"):
        done = subprocess.run(
            [name, "-c", code],
            executable=tree.executable,
            env={**clean_environment(), "PATH": f"{tmp_path}:{os.defpath}", "LD_LIBRARY_PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [str(tree.executable)] * 3
    # who starts what is behind it comes past it
    behind = tree.root / tree.manifest.layout.interpreter
    assert told(tree, executable=behind) == alone
    done = run([behind, "-c", "pass"], env={"PYTHONEXECUTABLE": str(other)})
    assert done.returncode == 121, done.stderr


def test_no_environment_is_made_on_top(without_site: Tree, tmp_path: Path) -> None:
    """Its starts would be the tree's own, and what it installs would go into the tree."""
    done = without_site.run("-m", "venv", str(tmp_path / "V"))
    assert (done.returncode, done.stderr.strip()) == (1, f"{without_site.executable}: No module named venv")
    assert os.listdir(tmp_path) == []
    done = without_site.run("-c", "import venv")
    assert "zipstrap: this tree leaves out venv: " in done.stderr


def test_no_other_tree_is_made_of_one(without_site: Tree, tmp_path: Path) -> None:
    """Its executable is a launcher, and its importer is not that of an installation."""
    done = zipstrap("build", without_site.executable, "-o", tmp_path / "T")
    assert done.returncode == 5, done.stderr
    assert "name the interpreter that the tree was made of" in done.stderr
    assert os.listdir(tmp_path) == []


def test_what_the_library_reads_later_is_gone(without_site: Tree, tmp_path: Path) -> None:
    variables = dict.fromkeys(
        ("PYTHONBREAKPOINT", "PYTHONSTARTUP", "_PYTHON_PROJECT_BASE", "_PYTHON_SYSCONFIGDATA_NAME"),
        str(tmp_path),
    )
    code = "import os, subprocess; print(sorted(os.environ)); subprocess.run(['/usr/bin/env'])"
    done = without_site.run("-c", code, env={**variables, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    for name in variables:
        assert name not in done.stdout
    assert "PYTHONPATH" in done.stdout


def test_children_are_started_as_the_program_is(without_site: Tree) -> None:
    done = without_site.run(
        "-c",
        "import os, subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys, os; "
        'print(sys.executable, sys.flags.isolated, os.readlink("/proc/self/exe"))\'])',
    )
    layout = without_site.manifest.layout
    root = without_site.root
    expected = [str(root / layout.executable), "1", str(root / layout.interpreter)]
    assert done.stdout.split() == expected, done.stderr


def test_options_that_do_not_go_together(interpreters: list[Target], tmp_path: Path) -> None:
    here = [target for target in interpreters if target.version >= (3, 11)]
    if not here:
        pytest.skip("no CPython 3.11 or later here")
    for options, words in (
        (["--site", "on"], "does not go with the layout fast"),
        (["--layout", "isolated", "--zips", "pth"], "does not go with --layout isolated"),
    ):
        done = zipstrap("build", here[0].executable, "-o", tmp_path / "T", *options)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert os.listdir(tmp_path) == []


def test_no_bundle_is_put_into_the_file_of_a_tree(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("PRICE = 3\n")
    made = zipstrap("bundle", tmp_path / "shop.py", "-o", tmp_path / "shop.zip", "--python", tree.executable)
    assert made.returncode == 0, made.stderr
    for way in ("._pth", "pth", "user-pth", "pythonpath"):
        done = zipstrap("activate", tmp_path / "shop.zip", "--python", tree.root, "--with", way)
        assert done.returncode == 2, way
        assert "use --with snippet, or build the tree with --layout fast" in done.stderr
    snippet = zipstrap("activate", tmp_path / "shop.zip", "--python", tree.root, "--with", "snippet")
    assert tree.run("-c", f"{snippet.stdout}\nimport shop\nprint(shop.PRICE)").stdout == "3\n"
