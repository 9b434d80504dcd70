"""What runs inside a target keeps to its own floor: CPython 3.8, the standard library, one file each.

The host's floor is higher, so neither ruff's fixes nor the host's tests would notice a slip.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from zipstrap.worker import UNSUPPORTED_STATUS, clean_environment

from tests.target.interpreters import MINORS, Target, find_python2, lack_version

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [
        *ROOT.glob("tools/zipstrap/_in_target/*.py"),
        *ROOT.glob("tools/zipstrap/portable/*.py"),
        *ROOT.glob("site_hooks/*.py"),
    ]
)
#: Meets interpreters that are too old, and has to tell them so.
PROBE = ROOT / "tools/zipstrap/_in_target/probe.py"

#: Standard modules that 3.8 has not; https://docs.python.org/3/whatsnew/
NEWER = {
    "_colorize", "_pyrepl", "_zstd", "annotationlib", "asyncio.taskgroups", "asyncio.timeouts", "compression",
    "concurrent.futures.interpreter", "concurrent.interpreters", "graphlib", "importlib.readers",
    "importlib.resources.abc", "importlib.simple", "pathlib.types", "profiling", "string.templatelib",
    "tomllib", "wsgiref.types", "zoneinfo",
}  # fmt: skip
#: Standard modules of 3.8 that have gone since; PEP 594 and the same pages.
GONE = {
    "_bootlocale", "aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "crypt",
    "distutils", "formatter", "imghdr", "imp", "lib2to3", "macpath", "mailcap", "msilib", "nis", "nntplib",
    "ossaudiodev", "parser", "pipes", "smtpd", "sndhdr", "spwd", "sunau", "symbol", "telnetlib", "uu",
    "xdrlib",
}  # fmt: skip

IMPORTS = (ast.Import, ast.ImportFrom)

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")


def read(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 8))


def is_guard(node: ast.AST) -> bool:
    """Tell whether an import under *node* is allowed to fail, or is not reached everywhere."""
    if isinstance(node, ast.If):
        return any(
            isinstance(part, ast.Attribute) and part.attr in ("version_info", "platform", "name")
            for part in ast.walk(node.test)
        )
    if not isinstance(node, ast.Try):
        return False
    caught = {
        part.id
        for handler in node.handlers
        for part in ([] if handler.type is None else ast.walk(handler.type))
        if isinstance(part, ast.Name)
    }
    bare = any(handler.type is None for handler in node.handlers)
    return bare or bool(caught & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def imports(node: ast.AST, *, guarded: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield every import below *node*, and whether it is guarded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, IMPORTS):
            yield child, guarded
        else:
            yield from imports(child, guarded=guarded or is_guard(child))


def modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return ["." * node.level + (node.module or "")]


def beside(path: Path) -> set[str]:
    """Return what *path* may import besides: hooks and portable modules go together, workers run alone."""
    if path.parent.name == "portable":
        return {"." + other.stem for other in path.parent.glob("[!_]*.py")}
    if path.parent.name != "site_hooks":
        return set()
    # what compiles at a build goes into an archive of sources by this name, see zipstrap.hooks
    return {hook.stem for hook in path.parent.glob("[!_]*.py")} | {"zipstrap_bytecode"}


def lineage(name: str) -> set[str]:
    """Return the dotted name and its parents."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}


def test_there_is_something_to_check() -> None:
    assert PROBE in FILES


@each_file
def test_the_syntax_is_that_of_3_8(path: Path) -> None:
    assert read(path).body


@each_file
def test_imports_are_of_the_standard_library_alone(path: Path) -> None:
    allowed = sys.stdlib_module_names | GONE | NEWER | beside(path)
    strange = [
        f"line {node.lineno}: {name}"
        for node, _ in imports(read(path))
        for name in modules(node)
        if name not in allowed and name.partition(".")[0] not in allowed
    ]
    assert strange == []


@each_file
def test_imports_exist_in_every_version_or_are_guarded(path: Path) -> None:
    not_everywhere = [
        f"line {node.lineno}: {name}"
        for node, guarded in imports(read(path))
        for name in modules(node)
        if not guarded and lineage(name) & (NEWER | GONE)
    ]
    assert not_everywhere == []


#: Compiles each file with every warning an error, and runs each import that nothing guards.
TRY = """\
import json, sys
with open(sys.argv[1]) as file:
    job = json.load(file)
for path, statements in job:
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec")
        for statement in statements:
            exec(statement, {})
    except Exception as error:
        print("%s: %s: %s" % (path, type(error).__name__, error))
print("all were tried")
"""


@pytest.mark.parametrize("version", MINORS, ids=lambda version: "{}.{}".format(*version))
def test_a_real_interpreter_takes_them(
    version: tuple[int, int],
    interpreters: list[Target],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    here = [each for each in interpreters if each.version == version]
    if not here:
        lack_version(request.config, "{}.{}".format(*version))
    job = tmp_path / "job.json"
    job.write_text(
        json.dumps(
            [
                (
                    str(path),
                    [
                        ast.unparse(node)
                        for node, guarded in imports(read(path))
                        if not guarded and not beside(path) & set(modules(node))
                    ],
                )
                for path in FILES
            ]
        )
    )
    for each in here:
        done = subprocess.run(
            [each.executable, "-I", "-S", "-B", "-W", "error", "-c", TRY, job],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment(),
            check=True,
        )
        assert done.stdout == "all were tried\n", each.id


def test_the_probe_answers_python_2(tmp_path: Path) -> None:
    python2 = find_python2()
    if python2 is None:
        pytest.skip("no Python 2.7 here to give the probe to")
    answer = tmp_path / "answer.json"
    done = subprocess.run(
        [python2, "-E", "-S", "-B", PROBE, tmp_path / "job.json", answer],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (UNSUPPORTED_STATUS, "", "")
    assert json.loads(answer.read_text())["unsupported"].startswith("Python 2.7.")


#: Runs the probe as an interpreter that is too old would, and notes what the probe itself imports.
PRETEND = """\
import builtins, json, runpy, sys
asked, real = [], builtins.__import__
def note(name, globals=None, *rest):
    if globals is not None and globals.get("__name__") == "__main__" and globals.get("WORKER"):
        asked.append(name)
    return real(name, globals, *rest)
probe, sys.version_info = sys.argv[1], (3, 7, 9, "final", 0)
sys.argv = [probe, "no job", sys.argv[2]]
builtins.__import__ = note
try:
    runpy.run_path(probe, run_name="__main__")
except SystemExit as error:
    print(json.dumps([error.code, asked]))
"""


def test_the_probe_looks_at_the_version_before_it_imports(tmp_path: Path) -> None:
    top = [
        name
        for statement in read(PROBE).body
        if isinstance(statement, IMPORTS)
        for name in modules(statement)
    ]
    assert top == ["sys"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", PRETEND, PROBE, tmp_path / "answer.json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=True,
    )
    assert json.loads(done.stdout) == [UNSUPPORTED_STATUS, []]
    assert json.loads((tmp_path / "answer.json").read_text())["unsupported"] == "Python 3.7.9"
