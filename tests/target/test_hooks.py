"""The start-up hooks in real trees: what the guard says, what it passes on to, and the zips folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from zipstrap.errors import UnsupportedError
from zipstrap.hooks import START_SINCE, STOP_STATUS, hook_files, hook_kind
from zipstrap.plan import FileKind

from .interpreters import Target
from .trees import make_tree, zipstrap

#: Makes a small tree in the folder argv[1]: the executable, an archive with what a bare start and these tests
#: import, landmarks and an empty site folder, whose path it prints. argv[2:] are further sources.
BUILD = """\
import encodings.latin_1, encodings.utf_8_sig, importlib.util
import glob, keyword, linecache, os, pkgutil, shutil, site, sys, traceback, warnings, zipfile
root, sources = sys.argv[1], sys.argv[2:]
version = sys.version_info[:2]
stdlib = os.path.dirname(site.__file__ if os.path.isfile(site.__file__) else keyword.__file__)
lib = os.path.join(root, getattr(sys, "platlibdir", "lib"))
threads = "t" if "t" in sys.abiflags else ""
folder = os.path.join(lib, "python%d.%d%s" % (version + (threads,)))
os.makedirs(os.path.join(folder, "lib-dynload"))
os.makedirs(os.path.join(root, "bin"))
shutil.copy(os.path.realpath(sys.executable), os.path.join(root, "bin", "python"))
if version < (3, 11):
    shutil.copy(os.path.join(stdlib, "os.py"), folder)
if version >= (3, 14):  # searches for its library from libpython's folder
    for name in glob.glob(os.path.join(sys.base_prefix, "lib", "libpython%d.%d*.so*" % version)):
        shutil.copy(name, lib)
wanted = set(sys.modules) | {"_sitebuiltins", "_bootlocale", "codecs", "io", "abc"}
with zipfile.ZipFile(os.path.join(lib, "python%d%d%s.zip" % (version + (threads,))), "w") as archive:
    def pack(path, name):
        with open(path, "rb") as f:
            code = compile(f.read(), name, "exec", dont_inherit=True)
        data = importlib._bootstrap_external._code_to_hash_pyc(code, b"\\0" * 8, False)
        archive.writestr(name[:-3] + ".pyc", data)
    for module in sorted(wanted):
        stem = module.replace(".", "/")
        for name in (stem + ".py", stem + "/__init__.py"):
            if os.path.isfile(os.path.join(stdlib, name)):
                pack(os.path.join(stdlib, name), name)
    for source in sources:
        pack(source, os.path.basename(source))
site_folder = site.getsitepackages([root])[0]
os.makedirs(site_folder)
print(site_folder)
"""

#: What a started interpreter tells of the hooks.
TELL = "import sys; print(sorted(sys.modules)); print(getattr(sys, 'told', []))"

THEIRS = "import sys\nsys.told = getattr(sys, 'told', []) + [__name__, sys.modules[__name__].__file__]\n"


@dataclass(frozen=True)
class Tree:
    root: Path
    site: Path
    environ: dict[str, str]

    @property
    def executable(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def archive(self) -> Path:
        (archive,) = self.root.glob("lib*/python3*.zip")
        return archive

    def moved(self, root: Path) -> Tree:
        return Tree(root, root / self.site.relative_to(self.root), self.environ)

    def copy(self, root: Path) -> Tree:
        """Return a copy made of hard links: add and replace files in it, but write into none."""
        shutil.copytree(self.root, root, symlinks=True, copy_function=os.link)
        return self.moved(root)

    def start(
        self, *arguments: str | Path, executable: Path | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [executable or self.executable, *(arguments or ("-c", "print('started')"))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self.environ, "LD_LIBRARY_PATH": f"{self.root}/lib:{self.root}/lib64", **environ},
            cwd=self.root,
            check=False,
        )

    def assert_silent(self, *arguments: str | Path, executable: Path | None = None, **environ: str) -> None:
        done = self.start(*arguments, "-c", "print('started')", executable=executable, **environ)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "started\n")

    def assert_report(self, *words: object, executable: Path | None = None, **environ: str) -> None:
        done = self.start(executable=executable, **environ)
        assert (done.returncode, done.stdout) == (0, "started\n")
        assert_one_line(done.stderr, *words)


#: What up to 3.10, and 3.15, themselves say when there is no lib-dynload.
NOT_OURS = ("Could not find ", "Consider setting ", "WARN: Could not find ")


def assert_one_line(stderr: str, *words: object) -> None:
    lines = stderr.splitlines()
    ours = [line for line in lines if line.startswith("zipstrap: ")]
    assert len(ours) == 1, stderr
    assert [line for line in lines if not line.startswith(NOT_OURS)] == ours
    for word in words:
        assert str(word) in ours[0]


Maker = Callable[[str], Tree]

KINDS = {
    "report": {"guard": "report"},
    "stop": {"guard": "stop"},
    "off": {"guard": "off"},
    "none": {"guard": "off", "zips": "off"},
    "pth": {"guard": "report", "zips": "pth"},
    "start": {"guard": "report", "zips": "start"},
}


@pytest.fixture(scope="session")
def trees(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Give a function that makes the tree of a kind, once for a target; "none" has no hooks."""
    made: dict[str, Tree] = {}
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}

    def make(kind: str) -> Tree:
        if kind not in made:
            base = tmp_path_factory.mktemp("hooks").resolve()
            script = base / "build.py"
            script.write_text(BUILD)
            files = hook_files(target.version, **KINDS[kind])
            for file in files:
                (base / file.name).write_bytes(file.data)
            sources = [base / file.name for file in files if file.place == "archive"]
            done = subprocess.run(
                [target.executable, "-I", "-S", script, base / "tree", *sources],
                capture_output=True,
                text=True,
                env=environ,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            site = Path(done.stdout.strip())
            for file in files:
                if file.place == "site":
                    (site / file.name).write_bytes(file.data)
            made[kind] = Tree(base / "tree", site, {**environ, "HOME": str(base)})
        return made[kind]

    return make


@pytest.fixture
def tree(trees: Maker, tmp_path: Path) -> Tree:
    """Give a tree with a guard that reports."""
    return trees("report").copy(tmp_path.resolve() / "tree")


@pytest.fixture(params=["report", "pth", "start"], ids=["sitecustomize", "pth", "start"])
def zips_tree(request: pytest.FixtureRequest, target: Target, trees: Maker, tmp_path: Path) -> Tree:
    """Give a tree for each way to add the archives of a zips folder."""
    if request.param == "start":
        skip_without_start_files(target)
    return trees(request.param).copy(tmp_path.resolve() / "tree")


def skip_without_start_files(target: Target) -> None:
    if target.version < START_SINCE:
        pytest.skip("PEP 829 came with 3.15")


def make_venv(tree: Tree, folder: Path, *, copies: bool, system: bool = False) -> Path:
    """Make what the venv module makes, as far as a start needs it."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    if copies:
        shutil.copy(tree.executable, python)
    else:
        python.symlink_to(tree.executable)
    (folder / "pyvenv.cfg").write_text(
        f"home = {tree.executable.parent}\ninclude-system-site-packages = {str(system).lower()}\n"
    )
    return python


def write_zip(path: Path, **modules: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in modules.items():
            archive.writestr(f"{name}.py", text)
    return path


def modules(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 0, done.stderr
    return set(eval(done.stdout.splitlines()[0]))


def test_silent_on_a_good_tree(tree: Tree, tmp_path: Path) -> None:
    tree.assert_silent()
    for flags in (("-I",), ("-E",), ("-s",), ("-X", "frozen_modules=off"), ("-S",)):
        tree.assert_silent(*flags)
    tree.assert_silent(PYTHONHOME=str(tree.root))

    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "py"
    link.symlink_to(tree.executable)
    further = tmp_path / "further"
    further.symlink_to("bin/py")
    for executable in (link, further, Path("bin/python"), Path("bin/../bin/python")):
        tree.assert_silent(executable=executable)

    current = tmp_path / "current"
    current.symlink_to(tree.root)
    tree.assert_silent(executable=current / "bin" / "python")
    tree.assert_silent("-I", executable=current / "bin" / "python")


def test_silent_in_a_moved_tree(tree: Tree) -> None:
    away = tree.root.with_name("tree moved to a name with späces")
    tree.root.rename(away)
    tree.moved(away).assert_silent()


@pytest.mark.parametrize("linked", [False, True], ids=["tree", "link"])
def test_silent_under_a_pth_that_fixes_the_path(tree: Tree, target: Target, linked: bool) -> None:
    if target.version < (3, 11):
        pytest.skip("an executable's ._pth file is read on POSIX since 3.11")
    lines = [tree.archive, *tree.root.glob("lib*/python3*/lib-dynload"), tree.site]
    text = "".join(f"{os.path.relpath(line, tree.executable.parent)}\n" for line in lines)
    tree.executable.with_name("python._pth").write_text(text + "import site\n")
    path = write_zip(tree.site / "zips" / "a.zip")
    root = tree.root
    if linked:
        root = tree.root.with_name("link")
        root.symlink_to(tree.root)
    tree.assert_silent(executable=root / "bin" / "python")
    assert zips_on_path(tree) == [str(path)]

    archive = tree.archive.rename(tree.root / "moved.zip")
    tree.executable.with_name("python._pth").write_text("../moved.zip\nimport site\n")
    done = tree.start()
    assert_one_line(done.stderr, "the archive", repr(str(archive)))


@pytest.mark.parametrize("copies", [False, True], ids=["symlink", "copy"])
def test_silent_in_a_venv(tree: Tree, tmp_path: Path, copies: bool) -> None:
    python = make_venv(tree, tmp_path / "venv", copies=copies)
    tree.assert_silent(executable=python)
    tree.assert_silent("-I", executable=python)
    done = tree.start("-c", "import sys; print(sys.prefix != sys.base_prefix)", executable=python)
    assert done.stdout == "True\n"


def test_reports_a_missing_lib_dynload(tree: Tree) -> None:
    (dynload,) = tree.root.glob("lib*/python3*/lib-dynload")
    dynload.rmdir()
    tree.assert_report("sys.base_exec_prefix", tree.root, "more)")


def test_reports_another_lib_dynload(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other" / "lib-dynload"
    other.mkdir(parents=True)
    tree.assert_report("lib-dynload is", tree.root, other, PYTHONPATH=str(other))


def test_reports_the_archive_of_another_tree(tree: Tree, trees: Maker, tmp_path: Path) -> None:
    other = trees("none").copy(tmp_path.resolve() / "other")
    (other.root / "pad").mkdir()
    tree.assert_report(
        "the archive", repr(str(other.archive)), repr(str(tree.archive)),
        executable=other.executable, PYTHONHOME=str(tree.root),
    )  # fmt: skip


def test_reports_the_archive_of_an_ancestor(tree: Tree, trees: Maker, target: Target) -> None:
    inner = trees("none").copy(tree.root / "inner")
    expected = inner.archive
    expected.unlink()
    done = tree.start(
        executable=inner.executable, PYTHONPATH=str(tree.archive) if target.version < (3, 11) else ""
    )
    assert_one_line(done.stderr, "the archive", repr(str(expected)), repr(str(tree.archive)))


@pytest.mark.parametrize("name", ["encodings", "keyword"])
def test_reports_a_module_from_elsewhere(tree: Tree, target: Target, tmp_path: Path, name: str) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    if name == "encodings":
        code = "import encodings; print(encodings.__path__[0])"
        done = subprocess.run(
            [target.executable, "-I", "-c", code], capture_output=True, text=True, check=True
        )
        shutil.copytree(done.stdout.strip(), shadow / name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        (shadow / "keyword.py").touch()
        (tree.site / "a.pth").write_text("import keyword, shadow_only\n")
        (shadow / "shadow_only.py").touch()
    tree.assert_report(f"module {name} ", tree.archive, shadow / name, PYTHONPATH=str(shadow))


def test_passes_over_modules_that_the_archive_lacks(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "extra.py").touch()
    (tree.site / "a.pth").write_text("import extra\n")
    tree.assert_silent(PYTHONPATH=str(tmp_path))


def test_stop_ends_the_start_with_its_status_and_one_line(trees: Maker, tmp_path: Path) -> None:
    tree = trees("stop").copy(tmp_path.resolve() / "tree")
    tree.assert_silent()
    (dynload,) = tree.root.glob("lib*/python3*/lib-dynload")
    dynload.rmdir()
    done = tree.start()
    assert (done.returncode, done.stdout) == (STOP_STATUS, "")
    assert_one_line(done.stderr, "base_exec_prefix", "; stopped")


def test_off_is_silent(trees: Maker, tmp_path: Path) -> None:
    tree = trees("off").copy(tmp_path.resolve() / "tree")
    (dynload,) = tree.root.glob("lib*/python3*/lib-dynload")
    dynload.rmdir()
    path = write_zip(tree.site / "zips" / "a.zip")
    done = tree.start("-c", "import sys; print(sys.path)")
    assert "zipstrap" not in done.stderr
    assert str(path) in done.stdout


def test_a_failing_guard_breaks_nothing(trees: Maker, tmp_path: Path) -> None:
    tree = trees("stop").copy(tmp_path.resolve() / "tree")
    (tree.site / "a.pth").write_text(
        "import sys; sys.modules['odd'] = type('Odd', (), {'__getattr__': lambda self, name: 1 / 0})()\n"
    )
    (tree.site / "sitecustomize.py").write_text(THEIRS)
    tree.assert_silent()
    assert str(tree.site / "sitecustomize.py") in tree.start("-c", TELL).stdout


def test_imports_nothing_that_a_bare_start_does_not(tree: Tree, trees: Maker, tmp_path: Path) -> None:
    bare = trees("none").copy(tmp_path.resolve() / "bare")
    added = modules(tree.start("-c", TELL)) - modules(bare.start("-c", TELL))
    assert added == {"sitecustomize"}
    assert "sitecustomize" not in modules(tree.start("-S", "-c", TELL))

    write_zip(tree.site / "zips" / "a.zip")
    added = modules(tree.start("-c", TELL)) - modules(bare.start("-c", TELL))
    assert added == {"sitecustomize", "zipstrap_zips"}


@pytest.mark.parametrize("kind", ["module", "package", "archive", "bytecode"])
def test_runs_the_next_sitecustomize(tree: Tree, target: Target, kind: str) -> None:
    place = tree.site / "sitecustomize.py"
    if kind == "module":
        place.write_text(THEIRS)
    elif kind == "package":
        place = tree.site / "sitecustomize" / "__init__.py"
        place.parent.mkdir()
        place.write_text(THEIRS)
    elif kind == "archive":
        place = write_zip(tree.site / "zips" / "a.zip", sitecustomize=THEIRS) / "sitecustomize.py"
    else:
        source = tree.root / "theirs.py"
        source.write_text(THEIRS)
        place = tree.site / "sitecustomize.pyc"
        code = "import py_compile, sys; py_compile.compile(*sys.argv[1:])"
        subprocess.run([target.executable, "-I", "-c", code, source, place], check=True)
    tell = "import sitecustomize as s; print(s.__file__, sys.modules[s.__name__] is s, 'ACTION' in vars(s))"
    done = tree.start("-c", f"{TELL}; {tell}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [repr(["sitecustomize", str(place)]), f"{place} True False"]


def test_a_sitecustomize_before_the_archive_replaces_ours(trees: Maker, tmp_path: Path) -> None:
    tree = trees("stop").copy(tmp_path.resolve() / "tree")
    (dynload,) = tree.root.glob("lib*/python3*/lib-dynload")
    dynload.rmdir()
    (tmp_path / "sitecustomize.py").write_text(THEIRS)
    (tree.site / "sitecustomize.py").write_text("1 / 0\n")
    done = tree.start(PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "zipstrap" not in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0\n",
        "import no_such_module\n",
        "raise ImportError('no', name='sitecustomize')\n",
        "def broken(:\n",
        "raise SystemExit(3)\n",
        "import sys; del sys.modules[__name__]\n",
        "import sys; sys.modules[__name__] = sys\n",
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["file", "zip"])
def test_a_broken_one_fails_as_without_ours(
    tree: Tree, trees: Maker, tmp_path: Path, text: str, zipped: bool
) -> None:
    seen = []
    bare = trees("none").copy(tmp_path.resolve() / "bare")
    for each in (bare, tree):
        if zipped:
            path = write_zip(each.site / "zips" / "a.zip", sitecustomize=text)
            (each.site / "zz.pth").write_text(f"{path}\n")
        else:
            (each.site / "sitecustomize.py").write_text(text)
        done = each.start("-c", "import sys; print(sys.modules.get('sitecustomize'))")
        seen.append((done.returncode, done.stdout, done.stderr))
    (status, out, err), ours = seen
    if "SystemExit" in text:  # with a traceback, in which our frames are
        assert status == ours[0] != 0
        assert err.splitlines()[-1] == ours[2].splitlines()[-1]
    elif "name='sitecustomize'" in text or "del " in text:
        assert (status, err) == (ours[0], ours[2])
    else:
        assert (status, out, err) == ours


def zips_on_path(tree: Tree, *flags: str, executable: Path | None = None, code: str = "pass") -> list[str]:
    done = tree.start(*flags, "-c", f"import sys; {code}; print(sys.path)", executable=executable)
    assert (done.returncode, done.stderr) == (0, "")
    path: list[str] = eval(done.stdout)
    return [entry for entry in path if "/zips/" in entry]


def test_zips_are_added_in_order_after_the_site_folder(zips_tree: Tree) -> None:
    zips = zips_tree.site / "zips"
    second = write_zip(zips / "b.zip", both="which = 2", only="which = 2")
    first = write_zip(zips / "a.zip", both="which = 1")
    (zips_tree.site / "both.py").write_text("which = 0")
    later = zips_tree.site / "later"
    later.mkdir()
    (zips_tree.site / "zz.pth").write_text(f"{later}\n")
    done = zips_tree.start(
        "-W", "error", "-c", "import sys, both, only; print(both.which, only.which); print(sys.path)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer, path = done.stdout.splitlines()
    assert answer == "0 2"
    entries = eval(path)
    at = entries.index(str(zips_tree.site))
    assert entries[at + 1 : at + 3] == [str(first), str(second)]
    again = f"import site; site.addsitedir({str(zips_tree.site)!r})"
    for flags in ((), ("-I",)):
        assert zips_on_path(zips_tree, *flags, code=again) == [str(first), str(second)]


def test_zips_passes_over_what_is_no_archive(zips_tree: Tree) -> None:
    good = write_zip(zips_tree.site / "zips" / "good.zip")
    zips = good.parent
    write_zip(zips / ".half.zip")
    write_zip(zips / "a.whl")
    (zips / "text.zip").write_text("no zip")
    (zips / "empty.zip").touch()
    (zips / "folder.zip").mkdir()
    (zips / "dangling.zip").symlink_to("nowhere")
    (zips / "pipe.zip").symlink_to(os.devnull)
    assert zips_on_path(zips_tree) == [str(good)]


@pytest.mark.parametrize("kind", ["nothing", "empty", "file"])
def test_no_zips_no_difference(zips_tree: Tree, kind: str) -> None:
    if kind == "empty":
        (zips_tree.site / "zips").mkdir()
    elif kind == "file":
        (zips_tree.site / "zips").touch()
    assert zips_on_path(zips_tree) == []


@pytest.mark.parametrize("system", [False, True], ids=["own", "system"])
def test_zips_in_a_venv_follow_the_site_folder(zips_tree: Tree, tmp_path: Path, system: bool) -> None:
    path = write_zip(zips_tree.site / "zips" / "a.zip")
    python = make_venv(zips_tree, tmp_path / "venv", copies=False, system=system)
    assert zips_on_path(zips_tree, executable=python) == ([str(path)] if system else [])


@pytest.mark.parametrize(("kind", "found"), [("report", False), ("pth", True), ("start", True)])
def test_the_files_work_under_another_sitecustomize(
    trees: Maker, target: Target, tmp_path: Path, kind: str, found: bool
) -> None:
    if kind == "start":
        skip_without_start_files(target)
    (tmp_path / "sitecustomize.py").write_text(THEIRS)
    tree = trees(kind).copy(tmp_path.resolve() / "tree")
    path = write_zip(tree.site / "zips" / "a.zip")
    done = tree.start("-c", "import sys; print(sys.path)", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (str(path) in done.stdout) == found


def test_both_files_do_no_harm(trees: Maker, target: Target, tmp_path: Path) -> None:
    skip_without_start_files(target)
    tree = trees("start").copy(tmp_path.resolve() / "tree")
    (pth,) = (file for file in hook_files(target.version, guard="off", zips="pth") if file.place == "site")
    (tree.site / pth.name).write_bytes(pth.data)
    path = write_zip(tree.site / "zips" / "a.zip")
    assert zips_on_path(tree, "-W", "error") == [str(path)]
    tree.assert_silent()


@pytest.mark.parametrize("zips", ["pth", "start", "off"])
def test_a_built_tree_has_what_was_asked_for(target: Target, tmp_path: Path, zips: str) -> None:
    if zips == "start":
        skip_without_start_files(target)
    built = make_tree(target, tmp_path / "T", "--profile", "minimal", "--exclude", "dev", "--zips", zips)
    assert built.report["verification"]["passed"] is True
    assert built.manifest.zips == zips
    site = built.root / built.manifest.layout.site
    names = [] if zips == "off" else [f"zipstrap.{zips}"]
    assert [path.name for path in site.iterdir() if hook_kind(path.name)] == names
    hooks = [record for record in built.manifest.files if record.kind == FileKind.HOOK]
    assert [record.path.rpartition("/")[2] for record in hooks] == names
    dropped = write_zip(site / "zips" / "a.zip", dropped="print(__file__)")
    done = built.run("-c", "import dropped")
    found = (0, f"{dropped}/dropped.py\n")
    assert (done.returncode, done.stdout) == ((1, "") if zips == "off" else found), done.stderr


def test_a_start_file_is_refused_before_anything_is_made(target: Target, tmp_path: Path) -> None:
    if target.version >= START_SINCE:
        pytest.skip("this version reads .start files")
    done = zipstrap("build", target.executable, "-o", tmp_path / "T", env={"ZIPSTRAP_ZIPS": "start"})
    assert done.returncode == UnsupportedError.exit_status
    assert "use --zips pth" in done.stderr
    assert list(tmp_path.iterdir()) == []
