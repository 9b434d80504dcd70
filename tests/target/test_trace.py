"""Trace an application by its own tests, and build the tree that runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from zipstrap.interpreter import probe
from zipstrap.worker import worker_source

from .failed_imports import check_told
from .interpreters import Target
from .trees import Tree, make_tree, run, usual, zipstrap

APP = """\
import multiprocessing
import os
import sys


def work(queue):
    import quopri

    queue.put(quopri.encodestring(b"=").decode())


def spawned():
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    value = queue.get()
    process.join()
    return value


def forked():
    pid = os.fork()
    if not pid:
        import shelve

        os.closerange(3, 64)
        import stringprep

        os.kill(os.getpid(), 9)
    return os.waitpid(pid, 0)[1]


def texts():
    import email

    with open(os.path.join(os.path.dirname(email.__file__), "architecture.rst")) as file:
        return file.read()
"""

SUITE = """\
import importlib
import subprocess
import sys
import threading
import unittest

import app


class Suite(unittest.TestCase):
    def run_python(self, *arguments, **options):
        return subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, **options)

    def test_child(self):
        self.assertEqual(self.run_python("-c", "import colorsys").returncode, 0)

    def test_module_as_script(self):
        self.assertEqual(self.run_python("-m", "timeit", "-n", "1", "-r", "1").returncode, 0)

    def test_exit(self):
        done = self.run_python("-c", "import sched, os; os._exit(5)")
        self.assertEqual(done.returncode, 5)

    def test_exec(self):
        code = "import os, sys, cmd; os.execv(sys.executable, [sys.executable, '-c', 'import rlcompleter'])"
        self.assertEqual(self.run_python("-c", code).returncode, 0)

    def test_spawn(self):
        self.assertEqual(app.spawned(), "=3D")

    def test_fork(self):
        self.assertEqual(app.forked(), 9)

    def test_thread(self):
        thread = threading.Thread(target=__import__, args=("fileinput",))
        thread.start()
        thread.join()
        self.assertIn("fileinput", sys.modules)

    def test_by_name(self):
        self.assertTrue(importlib.import_module("netrc").netrc)

    def test_codec(self):
        self.assertEqual("\\u20ac".encode("cp1252"), b"\\x80")

    def test_data(self):
        self.assertIn("email", app.texts())

    def test_optional(self):
        with self.assertRaises(ImportError):
            import nothing_of_this_name

    def test_out_of_sight(self):
        self.assertEqual(self.run_python("-I", "-c", "pass").returncode, 0)
        self.assertEqual(self.run_python("-c", "pass", env={}).returncode, 0)
"""

#: imported by each kind of process, and by nothing else that runs there
IMPORTED = {
    "colorsys", "timeit", "sched", "cmd", "rlcompleter", "quopri", "shelve", "stringprep", "fileinput",
    "netrc", "encodings.cp1252", "unittest", "json.decoder",
}  # fmt: skip
SUITE = SUITE.replace("import importlib\n", "import importlib\nimport json\n", 1)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("application")
    (folder / "app.py").write_text(APP)
    (folder / "test_app.py").write_text(SUITE)
    return folder


_TRACES: dict[str, Path] = {}


@pytest.fixture
def trace(target: Target, application: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace of the application's own tests on *target*, made once."""
    if target.id not in _TRACES:
        file = tmp_path_factory.mktemp("trace") / "app.json"
        command = (target.executable, "-B", "-m", "unittest", "-q", "test_app")
        done = zipstrap("trace", "-o", file, "--", *command, cwd=application)
        assert done.returncode == 0, done.stderr
        assert "OK" in done.stderr
        _TRACES[target.id] = file
    return _TRACES[target.id]


_TREES: dict[str, Tree] = {}


@pytest.fixture
def traced(target: Target, trace: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    if target.id not in _TREES:
        _TREES[target.id] = make_tree(target, tmp_path_factory.mktemp("traced") / "T", "--trace", str(trace))
    return _TREES[target.id]


def read(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(file.read_text())
    return values


def origins(values: Mapping[str, Any]) -> dict[str, str]:
    return {module["name"]: module["origin"] for module in values["modules"]}


# ---- what is recorded ------------------------------------------------------------------------------------


def test_each_kind_of_process_is_recorded(trace: Path, target: Target) -> None:
    values = read(trace)
    found = origins(values)
    assert {name for name in IMPORTED if found.get(name) not in ("library", "frozen")} == set()
    assert {found[name] for name in ("app", "test_app")} == {"application"}
    assert values["target"]["version"][:2] == list(target.version)
    # the suite, a child, -m, _exit, exec twice, spawn with its resource tracker, fork
    assert values["processes"] >= 7
    assert values["files"] == ["email/architecture.rst"]
    assert "nothing_of_this_name" in values["missing"]
    assert {"sitecustomize", "zipstrap"} & {*values["missing"]} == set()
    # Debian has one of its own in the library
    assert "zipstrap" not in found
    assert found.get("sitecustomize", "library") == "library"


def test_what_is_not_seen_is_told(trace: Path) -> None:
    unseen = {each["reason"]: each["command"] for each in read(trace)["unseen"]}
    assert set(unseen) == {"-I", "its environment has another PYTHONPATH"}
    assert unseen["-I"][1:] == ["-I", "-c", "pass"]


#: what a program could see of the recorder, as JSON
LOOK = """\
import json, os, sys
print(json.dumps([sorted(sys.modules), sys.path, len(sys.meta_path), len(sys.path_hooks), sorted(sys.flags),
    sorted(path for path in sys.path_importer_cache if path), sorted(os.listdir("/proc/self/fd")), sys.argv]))
"""


def test_the_recorder_leaves_nothing_to_see(
    target: Target, clean_env: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(
        "import sys, wave\nsys.chained = __file__, 'sitecustomize' in sys.modules\n"
    )
    look = tmp_path / "look.py"
    look.write_text(LOOK + "print(sys.chained)\n")
    env = {**clean_env, "PYTHONPATH": str(own), "PYTHONDONTWRITEBYTECODE": "1"}
    plain = run([target.executable, look], env=env)
    assert plain.returncode == 0, plain.stderr
    done = zipstrap("trace", "-q", "-o", tmp_path / "t.json", "--", target.executable, look, env=env)
    assert done.returncode == 0, done.stderr
    # sys.path has no scratch folder in it, and what comes next on PYTHONPATH has been run
    assert done.stdout == plain.stdout
    found = read(tmp_path / "t.json")
    assert origins(found)["sitecustomize"] == "application"
    assert next(each["start"] for each in found["modules"] if each["name"] == "wave") is False


def test_an_old_interpreter_says_which_it_is_and_goes_on(tmp_path: Path) -> None:
    """As one before audit events would: without them."""
    (tmp_path / "records").mkdir()
    source = worker_source("import_recorder").replace(
        "import sys\n", "import sys\nsys.version_info = (3, 6, 1)\n", 1
    )
    (tmp_path / "sitecustomize.py").write_text(source)
    done = run([sys.executable, "-c", "import json; print('on')"], env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")
    (record,) = (tmp_path / "records").iterdir()
    assert "'version': (3, 6, 1)" in record.read_text()
    assert "json" not in record.read_text()


# ---- the tree --------------------------------------------------------------------------------------------


def test_the_tree_passes_the_same_tests(
    traced: Tree, application: Path, target: Target, hidden: Any, clean_env: dict[str, str]
) -> None:
    command = [traced.executable, "-B", "-m", "unittest", "-q", "test_app"]
    library = Path(probe(target.executable).library)
    done = hidden([library]).run(command, env=clean_env, cwd=application)
    assert done.returncode == 0, done.stderr


def test_the_tree_has_what_was_traced_and_little_more(traced: Tree, trace: Path, target: Target) -> None:
    manifest = traced.manifest
    assert manifest.profile == "trace"
    members = {member.name for member in manifest.members}
    assert {f"{name.replace('.', '/')}.pyc" for name in IMPORTED - {"unittest"}} <= members
    files = {file.path for file in manifest.files}
    assert f"{manifest.layout.library}/email/architecture.rst" in files
    assert not {"wave.pyc", "tkinter/__init__.pyc", "sqlite3/__init__.pyc"} & members
    assert traced.report["broken_imports"] == []
    optional = {each["name"]: each for each in traced.report["optional_imports"]}
    # unittest.mock is imported by nothing here, and what is imported in functions is told apart
    assert optional
    assert all(each["kind"] in ("guarded", "lazy") and each["modules"] for each in optional.values())
    assert any("-I" in note and "out of its sight" in note for note in manifest.notes)


def test_it_is_smaller_than_minimal(traced: Tree, target: Target, tmp_path: Path) -> None:
    done = zipstrap(
        "pack",
        target.executable,
        "-o",
        tmp_path / "a.zip",
        "--profile",
        "minimal",
        "--source",
        "none",
        "--format",
        "json",
    )
    assert done.returncode == 0, done.stderr
    small = zipstrap(
        "pack",
        target.executable,
        "-o",
        tmp_path / "b.zip",
        "--trace",
        _TRACES[target.id],
        "--source",
        "none",
        "--format",
        "json",
    )
    assert small.returncode == 0, small.stderr
    assert json.loads(small.stdout)["size"] < json.loads(done.stdout)["size"]


# ---- what is left out ------------------------------------------------------------------------------------


def test_a_failed_import_names_the_component(traced: Tree, tmp_path: Path) -> None:
    told = (
        "zipstrap: this tree leaves out wave, of the component core: nothing in the profile trace imports "
        "it; build it with --include wave to have it"
    )
    check_told(traced, "wave", told, tmp_path)
    # where the library's modules are compiled from their sources
    check_told(traced, "wave", told, tmp_path, "-O")


def test_a_bundle_is_activated_in_the_tree(traced: Tree, target: Target, tmp_path: Path) -> None:
    """Though it lacks most of what an interpreter is usually asked with."""
    (tmp_path / "greet.py").write_text("TEXT = 'hello'\n")
    bundle = tmp_path / "greet.zip"
    for command in (
        ("bundle", tmp_path / "greet.py", "-o", bundle, "--python", target.executable),
        ("activate", bundle, "--python", traced.root, "--with", "pth"),
    ):
        done = zipstrap(*command)
        assert done.returncode == 0, done.stderr
    assert traced.run("-c", "import greet; print(greet.TEXT)").stdout == "hello\n"
    done = zipstrap("deactivate", bundle, "--python", traced.root)
    assert done.returncode == 0, done.stderr


def test_starts_with_other_levels_run_the_hooks_too(traced: Tree) -> None:
    """The hooks come without sources, from which such starts compile the library."""
    zips = traced.root / traced.manifest.layout.site / "zips"
    zips.mkdir()
    try:
        with zipfile.ZipFile(zips / "one.zip", "w") as archive:
            archive.writestr("in_a_zip.py", "print('found')")
        for options in ((), ("-O",), ("-OO",)):
            done = traced.run(*options, "-c", "import in_a_zip")
            assert (done.stdout, done.stderr) == ("found\n", ""), options
    finally:
        shutil.rmtree(zips)


# ---- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        (["{folder}/nothing"], 2, "nothing: this command cannot be run (No such file or directory)"),
        (["{folder}"], 2, "cannot be run (Permission denied)"),
        (
            ["{python}", "-c", "raise SystemExit(7)"],
            7,
            "ended with status 7, so what it imports may be a part only",
        ),
        (["{python}", "-c", "import os; os.kill(os.getpid(), 9)"], 137, "was ended by signal 9"),
        (["{python}", "-c", "pass"], 2, "imported nothing of the library beyond what each start imports"),
        (["{python}", "-I", "-c", "import json"], 2, "no Python was seen in what this command ran"),
        (["sh", "-c", "exit 0"], 2, "no Python was seen in what this command ran"),
        (["-c", "import json"], 2, "begins with an option (-c)"),
        ([""], 2, "there is no command to trace"),
    ],
)
def test_what_cannot_be_traced_is_one_error(
    command: list[str], status: int, told: str, interpreters: list[Target], tmp_path: Path
) -> None:
    python = usual(interpreters).executable
    words = [word.format(folder=tmp_path, python=python) for word in command]
    done = zipstrap("trace", "-o", "t.json", "--", *words, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    assert done.stderr.count("zipstrap: ") == 1
    assert "what to do: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_may_be_traced_all_the_same(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    options = ("--any-status", "--python", target.executable, "-o", "t.json")
    done = zipstrap(
        "trace",
        *options,
        "--",
        "-c",
        "import json, sys; print(sys.argv); sys.exit(3)",
        "--",
        "x",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (3, "['-c', '--', 'x']\n")
    values = read(tmp_path / "t.json")
    assert values["commands"][0]["status"] == 3
    assert origins(values)["json"] == "library"
    again = zipstrap("trace", *options, "--", "-c", "import wave", cwd=tmp_path)
    assert again.returncode == 4
    assert "exists already" in again.stderr
    forced = zipstrap("trace", "--force", *options, "--", "-c", "import wave", cwd=tmp_path)
    assert forced.returncode == 0, forced.stderr
    assert origins(read(tmp_path / "t.json"))["wave"] == "library"


def test_an_interrupted_command_ends_first(interpreters: list[Target], tmp_path: Path) -> None:
    code = (
        "import json, signal, sys\n"
        "try:\n    print('up', flush=True)\n    signal.pause()\n"
        "except KeyboardInterrupt:\n    import wave\n    sys.exit(0)\n"
    )
    command = [
        sys.executable,
        "-m",
        "zipstrap",
        "trace",
        "--any-status",
        "-o",
        "t.json",
        "--",
        str(usual(interpreters).executable),
        "-c",
        code,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert origins(read(tmp_path / "t.json"))["wave"] == "library"


def test_traces_that_do_not_fit_are_one_error(interpreters: list[Target], tmp_path: Path) -> None:
    python = usual(interpreters).executable
    done = zipstrap("trace", "-q", "-o", "t.json", "--", python, "-c", "import json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    values = read(tmp_path / "t.json")
    other = {**values, "target": {**values["target"], "name": "CPython 3.7.1", "version": [3, 7, 1]}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    empty = {**values, "modules": [each for each in values["modules"] if each["start"]]}
    (tmp_path / "empty.json").write_text(json.dumps(empty))
    (tmp_path / "noise.json").write_text("{}")
    for files, status, told in (
        (["t.json", "other.json", "empty.json"], 2, "other.json: is a trace of CPython 3.7.1"),
        (["empty.json"], 2, "empty.json: holds no module beyond those that each start imports"),
        (["noise.json"], 4, "noise.json: is not a trace of this zipstrap"),
        (["gone.json"], 4, "gone.json: cannot be read"),
    ):
        options = [word for file in files for word in ("--trace", file)]
        done = zipstrap("build", python, "-o", "T", *options, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert told in done.stderr
        assert done.stderr.count("zipstrap: ") == 1
        assert not (tmp_path / "T").exists()
    for options in (["--trace", "t.json", "--profile", "minimal"], ["--profile", "trace"]):
        done = zipstrap("build", python, "-o", "T", *options, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "profile" in done.stderr


def test_a_size_that_cannot_be_reached_is_an_error_with_an_account(
    interpreters: list[Target], tmp_path: Path
) -> None:
    python = usual(interpreters).executable
    options = ("--profile", "minimal", "--no-verify", "--max-size")
    done = zipstrap("build", python, "-o", "T", *options, "1M", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1
    assert "more than --max-size allows, and was removed" in done.stderr
    assert "bytes stay if all is left out" in done.stderr
    values = json.loads(done.stdout)
    account = values["account"]
    assert values["tree"] is None
    assert sum(each["size"] for each in account["packages"]) == account["size"] > account["limit"] == 1 << 20
    assert list(tmp_path.iterdir()) == []
    # what the error says, done
    limit = account["size"] - 500_000
    done = zipstrap("build", python, "-o", "T", *options, str(limit), "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    excluded = re.findall(r"--exclude \S+", done.stderr)
    assert excluded
    words = " ".join(excluded).split()
    done = zipstrap("build", python, "-o", "T", *options, str(limit), *words, "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
