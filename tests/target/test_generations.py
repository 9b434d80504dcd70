"""Generations below a prefix: what is installed, upgraded, rolled back and removed, and who notices."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from zipstrap.generations import change, users
from zipstrap.generations.remove import collect
from zipstrap.worker import clean_environment

from .interpreters import Target, lack, lack_version
from .trees import run, usual, zipstrap

Mounted = Callable[..., subprocess.CompletedProcess[str]]

#: of a generation that differs from the one without options
OTHER = ("--compress", "deflate")

#: says of which generation the executable and all that is imported are
ASK = """\
import json, os, sys, sysconfig, decimal
own = os.readlink("/proc/self/exe").rpartition("/libexec/")[0]
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
print(json.dumps({
    "generation": own.rpartition("/")[2],
    "strange": [path for path in files if not path.startswith((own + "/", sys.prefix + "/lib/"))],
    "outside": [path for path in sys.path if path and not path.startswith((own + "/", sys.prefix + "/"))],
    "own": own == sys.base_prefix == sys.base_exec_prefix,
    "stdlib": sysconfig.get_path("stdlib").startswith(own + "/"),
    "executable": sys.executable,
}))
"""


@dataclass(frozen=True)
class Prefix:
    """A prefix with generations of *target*."""

    root: Path
    target: Target

    @property
    def name(self) -> str:
        return f"python{self.target.id.removesuffix('-debian')}"

    @property
    def python(self) -> Path:
        return self.root / "bin" / self.name

    def do(self, verb: str, *arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = zipstrap(verb, *arguments, "--prefix", self.root)
        assert done.returncode == status, done.stdout[-2000:] + done.stderr
        return done

    def install(self, *options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return self.do("install", self.target.executable, "--exclude", "dev", *options, status=status)

    def list(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.do("list", "--format", "json").stdout)
        return found

    def current(self) -> int:
        number: int = self.list()["current"][self.name]
        return number

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*"))


def ask(python: Path, *options: str) -> dict[str, Any]:
    """Start *python*, which is to be of one generation, and return what it says."""
    done = run([python, *options, "-c", ASK])
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["strange"], said["outside"], said["own"], said["stdlib"]) == ([], [], True, True)
    return said


FEW = ("3.8", "3.11", "3.15")


@pytest.fixture(scope="module", params=FEW)
def few(request: pytest.FixtureRequest, interpreters: list[Target]) -> Target:
    """Give few of the interpreters: each of these is slow, and they differ where a start finds its prefix."""
    chosen = request.config.getoption("--target")
    if chosen and request.param not in chosen:
        pytest.skip(f"not among {', '.join(chosen)}")
    found = [target for target in interpreters if target.id == request.param]
    if not found:
        lack_version(request.config, request.param)
    return found[0]


@pytest.fixture(scope="module")
def pristine(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Prefix:
    """Give a prefix with two small generations, of which the second is current."""
    prefix = Prefix(tmp_path_factory.mktemp("pristine") / "P", usual(interpreters))
    for options in ((), OTHER):
        prefix.install("--profile", "minimal", "--no-verify", *options)
    return prefix


@pytest.fixture
def two(pristine: Prefix, tmp_path: Path) -> Prefix:
    """Give a copy of it."""
    shutil.copytree(pristine.root, tmp_path / "P", symlinks=True)
    return Prefix(tmp_path / "P", pristine.target)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a package with a module, a script and a page of the manual, made here: there may be no network."""
    path = tmp_path_factory.mktemp("wheel") / "greet-1.0-py3-none-any.whl"
    info, data = "greet-1.0.dist-info", "greet-1.0.data/data/share/man/man1/greet.1"
    files = {
        "greet.py": b"def main():\n    import sys\n    print('hello from', sys.executable)\n",
        data: b".TH greet 1\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": b"[console_scripts]\ngreet = greet:main\n",
    }
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpack(wheel: Path, prefix: Prefix) -> None:
    """Install *wheel* as pip would: Debian has none for each of its versions."""
    code = "from sysconfig import get_path; print(*map(get_path, ('purelib', 'scripts', 'data')), sep='\\n')"
    asked = run([prefix.python, "-c", code])
    site, scripts, data = map(Path, asked.stdout.split("\n")[:3])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    page = Path("share/man/man1/greet.1")
    (data / page).parent.mkdir(parents=True, exist_ok=True)
    (site / "greet-1.0.data/data" / page).rename(data / page)
    shutil.rmtree(site / "greet-1.0.data")
    scripts.mkdir(parents=True, exist_ok=True)
    (scripts / "greet").write_text(f"#!{prefix.python}\nimport greet\ngreet.main()\n")
    (scripts / "greet").chmod(0o755)
    with (site / "greet-1.0.dist-info/RECORD").open("a") as record:
        for path in (scripts / "greet", data / page):
            record.write(f"{os.path.relpath(path, site)},,\n")


def test_a_life(few: Target, tmp_path: Path, wheel: Path) -> None:
    """Packages, scripts, environments and running programs through an upgrade, a rollback, gc and undo."""
    prefix = Prefix(tmp_path / "P", few)
    prefix.install()
    assert ask(prefix.python)["generation"] == "1"
    assert ask(prefix.python)["executable"] == str(prefix.python)
    assert ask(prefix.root / "bin/python3")["generation"] == "1"
    for options in (("-I",), ("-S",), ("-I", "-S"), ("-E",)):
        ask(prefix.python, *options)

    # what the user installs
    ensured = run([prefix.python, "-m", "ensurepip"])
    debian = "disabled in Debian" in ensured.stdout
    assert ensured.returncode == 0 or debian, ensured.stderr
    if debian:
        unpack(wheel, prefix)
    else:
        done = run([prefix.python, "-m", "pip", "install", "--no-index", wheel])
        assert done.returncode == 0, done.stdout + done.stderr
    script, page = (next(prefix.root.rglob(name)) for name in ("greet", "greet.1"))
    assert run([script]).stdout == f"hello from {prefix.python}\n"
    assert page.is_file()
    environment = tmp_path / "E"
    made = run([prefix.python, "-m", "venv", *(["--without-pip"] if debian else []), environment])
    assert made.returncode == 0, made.stdout + made.stderr
    inside = environment / "bin/python"
    assert ask(inside)["generation"] == "1"

    # a program that runs while all that happens, and imports late
    late = """\
import sys
print("ready", flush=True)
sys.stdin.readline()
import decimal, asyncio
print(asyncio.__file__, decimal.__file__, flush=True)
sys.stdin.readline()
"""
    program = subprocess.Popen(
        [prefix.python, "-c", late],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert program.stdin is not None
    assert program.stdout is not None
    with program:
        assert program.stdout.readline() == "ready\n"
        prefix.install(*OTHER)
        assert prefix.current() == 2
        assert [ask(python)["generation"] for python in (prefix.python, inside)] == ["2", "2"]
        for options in (("-I",), ("-S",), ("-I", "-S"), ("-E",)):
            ask(inside, *options)
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline().count("/generations/1/") == 2

        # it is in use
        gone = json.loads(prefix.do("gc", "--keep", "0", "--grace", "0", "--format", "json").stdout)
        why = {each["number"]: each["kept_because"] for each in gone["generations"]}
        assert why == {1: f"process {program.pid} ({prefix.name}) runs it", 2: "current"}
        prefix.do("uninstall", status=4)
        program.stdin.write("\n")
        program.stdin.flush()
    assert program.returncode == 0

    # back, and forward again by the same command
    prefix.do("rollback")
    assert (prefix.current(), ask(inside)["generation"]) == (1, "1")
    assert "is there already" in prefix.install(*OTHER).stdout
    assert "with this content" in prefix.install(*OTHER).stdout
    assert prefix.current() == 2

    prefix.do("gc", "--keep", "0", "--grace", "0")
    assert [each["number"] for each in prefix.list()["generations"]] == [2]
    assert [ask(python)["generation"] for python in (prefix.python, inside)] == ["2", "2"]
    assert run([script]).stdout == f"hello from {prefix.python}\n"
    assert debian or run([environment / "bin/pip", "--version"]).returncode == 0
    verified = zipstrap("verify", prefix.python)
    assert verified.returncode == 0, verified.stdout

    # undone, but for what is the user's
    kept = json.loads(prefix.do("uninstall", "--format", "json").stdout)["kept"]
    assert {path.relative_to(prefix.root).as_posix() for path in (script, page)} <= set(kept)
    # what is ours says where that is, and nothing else
    ours = [name for name in prefix.files() if "zipstrap" in name or name.endswith("/os.py")]
    assert ours == ["lib/zipstrap", "lib/zipstrap/kept", f"lib/zipstrap/kept/{prefix.name}.json"]
    assert not inside.exists()  # it leads nowhere: there is nothing that it could silently run instead
    prefix.install("--profile", "minimal", "--no-verify")
    prefix.do("uninstall", "--purge")
    assert prefix.files() == []


def test_a_start_between_two_generations_is_of_its_executable(few: Target, tmp_path: Path) -> None:
    """The interpreter follows the link once more than the kernel: here it has been swapped in between."""
    prefix = Prefix(tmp_path / "P", few)
    for options in ((), OTHER):
        prefix.install("--no-verify", *options)
    first = prefix.root / "lib/zipstrap/generations/1/libexec" / prefix.name
    for options in ((), ("-I", "-S")):
        done = subprocess.run(
            [str(prefix.python), *options, "-c", ASK],
            executable=first,
            capture_output=True,
            text=True,
            env=clean_environment(),
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        said = json.loads(done.stdout)
        assert (said["generation"], said["strange"], said["own"]) == ("1", [], True)


def test_a_standard_layout(interpreters: list[Target], tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "P", usual(interpreters))
    prefix.install("--layout", "standard")
    assert run([prefix.python, "-m", "venv", "--without-pip", tmp_path / "E"]).returncode == 0
    for python in (prefix.python, tmp_path / "E/bin/python"):
        done = run([python, "-c", "import json, sys; print(json.__file__, sys.base_prefix)"])
        assert done.stderr == ""
        assert done.stdout.count("/generations/1") == 2


def test_versions_side_by_side(interpreters: list[Target], tmp_path: Path) -> None:
    both = [target for target in interpreters if target.id in ("3.9", "3.12")]
    if len(both) < 2:
        pytest.skip("there are no two interpreters of other versions")
    older, newer = (Prefix(tmp_path / "P", target) for target in both)
    for prefix in (older, newer):
        prefix.install("--profile", "minimal", "--no-verify")
    assert (prefix.root / "bin/python3").readlink() == Path(newer.name)
    assert prefix.list()["current"] == {older.name: 1, newer.name: 2}
    prefix.do("rollback", status=2)  # which?
    before = prefix.files()
    refused = newer.do("uninstall", newer.target.id, "--purge", status=2)
    assert f"--purge would take what {older.name} may use too" in refused.stderr
    assert prefix.files() == before
    newer.do("uninstall", newer.target.id)
    assert (prefix.root / "bin/python3").readlink() == Path(older.name)
    assert run([older.python, "-c", "import json"]).returncode == 0
    older.do("uninstall")
    assert older.files() == []


def has_package(prefix: Prefix) -> list[str]:
    """Put a package into *prefix*, and return its paths."""
    site = f"lib/{prefix.name}/site-packages"
    files = {
        f"{site}/greet.py": "x = 1\n",
        f"{site}/greet-1.dist-info/RECORD": "greet.py,,\n../../../bin/greet,,\n",
        "bin/greet": "#!/bin/sh\n",
    }
    for path, text in files.items():
        (prefix.root / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix.root / path).write_text(text)
    return [f"{site}/greet-1.dist-info", f"{site}/greet.py", "bin/greet"]


def test_what_was_kept_is_purged_later(two: Prefix) -> None:
    paths = has_package(two)
    assert json.loads(two.do("uninstall", "--format", "json").stdout)["kept"] == sorted(paths)
    assert (two.list()["kept"], two.list()["problems"]) == ([two.name], [])
    assert f"packages of {two.name} are left" in two.do("list").stdout
    assert "--purge" in two.do("uninstall", two.target.id, status=2).stderr
    assert f"packages of {two.name} are left" in two.do("uninstall").stdout

    # of an installation that has come to the same place
    library = two.root / "lib" / two.name / "os.py"
    library.write_text("theirs")
    refused(two.do("uninstall", "--purge", status=4), str(library), "another installation")
    library.unlink()

    # a new one uses it, and then nothing is left over
    two.install(*SMALL)
    assert two.list()["kept"] == []
    assert run([two.python, "-B", "-c", "import greet"]).returncode == 0
    two.do("uninstall")
    done = json.loads(two.do("uninstall", "--purge", "--format", "json").stdout)
    assert (done["removed"], done["kept"], done["purged"]) == ([], [], sorted(paths))
    assert two.files() == []


def test_folders_that_are_links_of_the_user(two: Prefix, tmp_path: Path) -> None:
    """Such as a site folder on another disk: it is used, and only the link is in the prefix."""
    for path in (f"lib/{two.name}/site-packages", "share"):
        elsewhere = tmp_path / "elsewhere" / path
        (two.root / path).rmdir()
        elsewhere.mkdir(parents=True)
        (two.root / path).symlink_to(elsewhere)
    (tmp_path / f"elsewhere/lib/{two.name}/site-packages/greet.py").write_text("x = 1\n")
    two.do("rollback", "--no-verify")
    assert run([two.python, "-c", "import greet"]).returncode == 0
    kept = json.loads(two.do("uninstall", "--format", "json").stdout)["kept"]
    assert kept == [f"lib/{two.name}/site-packages"]
    two.do("uninstall", "--purge")
    assert (tmp_path / f"elsewhere/lib/{two.name}/site-packages/greet.py").exists()
    assert two.files() == ["share"]


def test_what_is_current_already_is_verified_too(two: Prefix) -> None:
    done = two.install("--profile", "minimal", *OTHER)
    assert "with this content" in done.stdout
    assert "verified" in done.stdout
    (two.root / f"lib/{two.name}/site-packages/a.pth").write_text("import sys; sys.path.insert(0, '/no')\n")
    failed = two.install("--profile", "minimal", *OTHER, status=1)
    assert "ZS304" in failed.stdout
    assert "the link was left as it is" in failed.stderr
    assert two.current() == 2


def test_a_prefix_is_named_for_what_it_is(two: Prefix, tmp_path: Path) -> None:
    for words in (("inspect", two.root), ("verify", two.root)):
        done = zipstrap(*words)
        assert done.returncode == 4
        refused(done, "is a prefix with generations, and no tree itself", "bin/python3.X")
    done = zipstrap("inspect", two.python)
    assert done.returncode == 4
    refused(done, "is an executable", f"{two.root}/lib/zipstrap/generations/2")
    assert f"{two.python}, Python" in zipstrap("hooks", "list", two.root).stdout
    refused(zipstrap("hooks", "list", tmp_path), "no prefix with an interpreter in its bin")
    for verb in ("list", "gc", "rollback", "uninstall"):
        refused(zipstrap(verb, "--prefix", tmp_path / "none"), f"{tmp_path}/none: there is no such folder")
    refused(zipstrap("list", "--prefix", two.python), "is no folder")


TINY = """\
#include <Python.h>
#include <greet.h>
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "tiny", "", -1, NULL};
PyMODINIT_FUNC PyInit_tiny(void) {
    PyObject *module = PyModule_Create(&def);
    if (module) PyModule_AddIntConstant(module, "answer", ANSWER);
    return module;
}
"""


def test_an_extension_module_is_built(few: Target, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """With the headers of the generation and those of a package, which an upgrade keeps."""
    prefix = Prefix(tmp_path / "P", few)
    config = prefix.root / f"bin/{prefix.name}-config"
    small = ("--profile", "minimal", "--include", "dev", "--no-verify")
    prefix.do("install", few.executable, *small)
    real = few.executable.resolve()
    headers = real.parent.parent / "include" / prefix.name / "Python.h"
    assert config.exists() == headers.exists()
    if headers.exists():
        if shutil.which("cc") is None:
            lack(request.config, "there is no C compiler")
        (tmp_path / "tiny.c").write_text(TINY)
        for number, options in ((1, ()), (2, OTHER)):
            if options:
                prefix.do("install", few.executable, *small, *options)
            tree = prefix.root / f"lib/zipstrap/generations/{number}"
            folder = tree / f"include/{prefix.name}"
            if number == 1:
                (folder / "greet.h").write_text("#define ANSWER 42\n")
            asked = run([prefix.root / "bin/python3-config", "--cflags", "--extension-suffix"])
            flags, suffix = asked.stdout.splitlines()
            assert (asked.stderr, asked.returncode) == ("", 0)
            assert f"-I{folder}" in flags.split()
            built = run(
                ["cc", "-shared", "-fPIC", *flags.split(), "tiny.c", "-o", f"tiny{suffix}"], cwd=tmp_path
            )
            assert built.returncode == 0, built.stderr
            done = run(
                [prefix.python, "-c", "import tiny; print(tiny.answer)"], env={"PYTHONPATH": str(tmp_path)}
            )
            assert done.stdout == "42\n", done.stderr
            (tmp_path / f"tiny{suffix}").unlink()
        assert run([config, "--nonsense"]).returncode == 1
        shown = run([config, "--prefix", "--ldflags", "--embed"]).stdout.splitlines()
        assert shown[0] == str(tree)
        assert f"-l{prefix.name}" in shown[1].split()
        # one without them says so; the script of somebody else stays
        prefix.install(*SMALL)
        assert "--include dev" in run([config, "--includes"]).stderr
        (prefix.root / "bin/python3-config").unlink()
        (prefix.root / "bin/python3-config").write_text("mine")
    prefix.do("uninstall")
    assert prefix.files() == (["bin", "bin/python3-config"] if headers.exists() else [])


def test_a_copy_with_another_libpython_is_stopped(few: Target, tmp_path: Path) -> None:
    """venv --copies cannot take libpython along; a system's would be found in its place."""
    prefix = Prefix(tmp_path / "P", few)
    prefix.install(*SMALL, "--include", "venv")
    own = list(prefix.root.glob("lib/zipstrap/generations/1/lib/libpython3*.so.*"))
    run([prefix.python, "-m", "venv", "--without-pip", "--copies", tmp_path / "E"])
    if not own:
        pytest.skip("this interpreter has no shared libpython")
    copy = tmp_path / "E/bin/python"
    if not copy.exists():  # venv itself may have started it, and failed
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(prefix.python, copy)
        (tmp_path / "E/pyvenv.cfg").write_text(f"home = {prefix.root}/bin\n")
    (tmp_path / "system").mkdir()
    shutil.copy2(own[0], tmp_path / "system")
    done = run([copy, "-c", "print('no')"], env={"LD_LIBRARY_PATH": str(tmp_path / "system")})
    assert (done.returncode, done.stdout) == (121, "")
    assert f"runs {tmp_path}/system/{own[0].name}, not the library of its generation" in done.stderr


def test_a_copy_is_of_its_own_version(interpreters: list[Target], tmp_path: Path) -> None:
    """bin/python may be another version's than the one that a copy called python is of."""
    by_id = {target.id: target for target in interpreters}
    if "3.11-debian" not in by_id or "3.12" not in by_id:
        pytest.skip("Debian's 3.11, which can be copied, and 3.12 are needed")
    older, newer = (Prefix(tmp_path / "P", by_id[name]) for name in ("3.11-debian", "3.12"))
    older.install("--profile", "minimal", "--include", "venv", "--no-verify", "--guard", "stop")
    newer.install(*SMALL)
    made = run([older.python, "-m", "venv", "--without-pip", "--copies", tmp_path / "E"])
    assert made.returncode == 0, made.stderr
    for options in ((), ("-I", "-S")):
        done = run([tmp_path / "E/bin/python", *options, "-c", "import json; print(json.__file__)"])
        assert (done.returncode, done.stderr) == (0, "")
        assert "/generations/1/" in done.stdout


def test_modes_do_not_depend_on_the_umask(pristine: Prefix, tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "P", pristine.target)
    install = ["install", "-q", prefix.target.executable, "--prefix", prefix.root, "--exclude", "dev", *SMALL]
    words = ["sh", "-c", 'umask 077; exec "$@"', "sh", sys.executable, "-m", "zipstrap", *install]
    done = run(words, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    modes = {
        path.relative_to(prefix.root).as_posix(): oct(path.lstat().st_mode & 0o777)
        for path in prefix.root.rglob("*")
        if not path.is_symlink()
    }
    assert set(modes.values()) <= {"0o755", "0o644"}
    assert oct(prefix.root.stat().st_mode & 0o777) == "0o755"


# ---- what is in the way, and what somebody has done ------------------------------------------------------


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that there is one clear error."""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("zipstrap: ")
    assert done.stderr.count("what to do:") == 1
    assert all(word in done.stderr for word in words), done.stderr


SMALL = ("--profile", "minimal", "--no-verify")


def test_another_installation_is_in_the_way(pristine: Prefix, tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "P", pristine.target)
    for name in (f"bin/{prefix.name}", f"lib/{prefix.name}/os.py"):
        (prefix.root / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix.root / name).write_text("mine")
    before = prefix.files()
    refused(prefix.install(*SMALL, status=4), f"bin/{prefix.name}", "os.py", "move it away")
    assert prefix.files() == before


def test_a_link_that_somebody_replaced(two: Prefix) -> None:
    two.python.unlink()
    two.python.write_text("mine")
    refused(two.install(*SMALL, status=4), str(two.python))
    refused(two.do("rollback", "1", "--no-verify", status=4), str(two.python))
    kept = json.loads(two.do("gc", "--keep", "0", "--grace", "0", "--format", "json").stdout)["generations"]
    assert all("no generation is current" in each["kept_because"] for each in kept)
    assert any("is no link" in problem for problem in two.list()["problems"])
    assert "it is left" in two.do("uninstall").stdout
    assert two.python.read_text() == "mine"


def test_a_missing_generation(two: Prefix) -> None:
    shutil.rmtree(two.root / "lib/zipstrap/generations/2")
    assert any("which is not there" in problem for problem in two.list()["problems"])
    refused(two.do("rollback", "7", "--no-verify", status=2), "there is no generation 7", "choose one of 1")
    two.do("rollback", "--no-verify")
    assert two.current() == 1
    assert run([two.python, "-c", "import json"]).returncode == 0


def test_a_generation_edited_by_hand(two: Prefix) -> None:
    tree = two.root / "lib/zipstrap/generations/1"
    (tree / f"lib/{two.name}/os.py").write_text("mine")
    assert any("generation 1: " in problem for problem in two.list()["problems"])
    refused(two.do("rollback", status=4), "changed after it was installed")
    assert two.current() == 2
    # the same content as the first had
    done = two.install(*SMALL)
    assert "generation 3 is made" in done.stdout
    assert "generation 1 was changed after it was installed" in done.stdout
    (tree / "zipstrap-manifest.json").write_text("{")
    assert any("generations/1: " in problem for problem in two.list()["problems"])
    refused(two.do("rollback", "1", status=2), "there is no generation 1")
    two.do("gc", "--keep", "0", "--grace", "0")
    assert tree.is_dir()  # it is not known what it is
    assert run([two.python, "-c", "import json"]).returncode == 0


def test_nothing_is_followed_out_of_the_prefix(pristine: Prefix, tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "P", pristine.target)
    (prefix.root / "lib").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (prefix.root / "lib/zipstrap").symlink_to(tmp_path / "elsewhere")
    refused(prefix.install(*SMALL, status=4), "link")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_a_killed_run_left(two: Prefix) -> None:
    left = [
        two.root / "lib/zipstrap/generations/.3.zipstrap-new",
        two.root / f"bin/.{two.name}.zipstrap-new",
        two.root / f"lib/{two.name}/encodings/.__init__.py.zipstrap-new",
    ]
    left[0].mkdir()
    left[1].symlink_to("nowhere")
    left[2].write_text("half")
    found = two.list()
    assert (len(found["unfinished"]), sum("was left by a run" in each for each in found["problems"])) == (
        3,
        3,
    )
    assert all(os.path.lexists(path) for path in left)
    two.do("gc")
    assert not any(os.path.lexists(path) for path in left)
    assert two.list()["problems"] == []


def test_a_file_system_without_links(
    pristine: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FAT, for example: symlink(2) fails with EPERM."""
    from zipstrap import cli

    def symlink(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", symlink)
    words = ["install", str(pristine.target.executable), "--prefix", str(tmp_path / "P"), "--exclude", "dev"]
    assert cli.main([*words, *SMALL]) == 4
    said = capsys.readouterr().err
    assert f"{tmp_path}/P/lib/zipstrap/generations/1/" in said
    assert "Operation not permitted" in said
    assert "symbolic links" in said
    assert not (tmp_path / "P").exists()


@pytest.fixture
def mounted(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give what runs zipstrap in a mount namespace in which ``M`` is mounted with the given options."""
    script = 'mount -t tmpfs -o "$1" none "$2" || exit 125; eval "$3"; shift 3; exec "$@"'
    (tmp_path / "M").mkdir()

    def mount(options: str, then: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = ["unshare", "-m", "sh", "-c", script, "sh", options, tmp_path / "M", then]
        done = run([*words, sys.executable, "-m", "zipstrap", *arguments], env=dict(os.environ))
        if done.returncode == 125:
            lack(request.config, f"nothing can be mounted here: {done.stderr}")
        return done

    return mount


def test_a_full_file_system(two: Prefix, tmp_path: Path, mounted: Mounted) -> None:
    copy = f"cp -a {two.root} {tmp_path}/M/P"
    size = sum(path.lstat().st_size for path in two.root.rglob("*")) // 1_000_000 + 6
    install = ("install", two.target.executable, "--prefix", tmp_path / "M/P", "--exclude", "dev")
    done = mounted(f"size={size}M", copy, *install)
    assert done.returncode == 4
    refused(done, "No space left on device")


def test_a_read_only_file_system(two: Prefix, tmp_path: Path, mounted: Mounted) -> None:
    then = f"cp -a {two.root} {tmp_path}/M/P && mount -o remount,ro {tmp_path}/M"
    prefix = ("--prefix", tmp_path / "M/P")
    for arguments in (("install", two.target.executable, *SMALL), ("rollback", "1"), ("uninstall",)):
        done = mounted("size=500M", then, *arguments, *prefix)
        assert done.returncode == 4, done.stdout + done.stderr
        refused(done, "Read-only file system")
    assert mounted("size=500M", then, "list", *prefix).returncode == 0


# ---- who uses a generation -------------------------------------------------------------------------------


@pytest.fixture
def sleeper(two: Prefix) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process of the current generation."""
    with subprocess.Popen(
        [two.python, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, env=clean_environment()
    ) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


def test_leases_tell_of_a_user_that_is_not_seen(
    two: Prefix, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    change.rollback(two.root, 1, verify=False)
    executable = f"libexec/{two.name}"
    trees = [two.root / f"lib/zipstrap/generations/{number}" for number in (1, 2)]
    held, is_known = users.held_file(trees[0], [executable])
    if not is_known:
        pytest.skip("the file system has no leases")
    assert held is None
    assert users.held_file(trees[1], [executable]) == (executable, True)
    nobody = users.Seen((), ())
    monkeypatch.setattr("zipstrap.generations.remove.find_users", lambda *_: nobody)
    (kept,) = [each for each in collect(two.root, keep=0, grace=0).judged if each.generation.number == 2]
    assert "not seen from here" in kept.kept


def test_without_leases_who_may_not_be_looked_into_is_a_user(
    two: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = users.Process(4711, "stranger", "may not be looked into")
    monkeypatch.setattr("zipstrap.generations.remove.find_users", lambda *_: users.Seen((), (stranger,)))
    monkeypatch.setattr("zipstrap.generations.remove.held_file", lambda *_: (None, False))
    kept = collect(two.root, keep=0, grace=0).judged[0].kept
    assert "4711 (stranger)" in kept
    assert len(collect(two.root, keep=0, grace=0, ignore_unreadable=True).removed) == 1


def test_who_comes_while_it_is_removed_keeps_it(two: Prefix, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([users.Seen((), ()), users.Seen((users.Process(1, "late", "runs it"),), ())])
    monkeypatch.setattr("zipstrap.generations.remove.find_users", lambda *_: next(seen))
    assert collect(two.root, keep=0, grace=0).removed == ()
    assert [each["number"] for each in two.list()["generations"]] == [1, 2]
    assert two.list()["problems"] == []


def test_what_was_current_just_now_is_kept(two: Prefix) -> None:
    change.rollback(two.root, 1, verify=False)
    (kept,) = [each.kept for each in collect(two.root, keep=0).judged if each.generation.number == 2]
    assert "a start may be on its way" in kept
