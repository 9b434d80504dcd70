"""Trace an application by its own tests, build the tree that the trace names, and run the same tests in it.

    python tests/ecosystem/trace_suite.py PYTHON... [--application NAME] [-o FOLDER]

For each PYTHON a virtual environment gets the application and pytest; the application's source distribution
has its tests. They run in the environment, under ``zipstrap trace``, and then in a tree of the profile that
the trace makes, with the environment's packages on PYTHONPATH. Printed are both results and the sizes of the
library's archive and of the tree, without sources, in bytes, for that and for other profiles. The exit status
is 1 where a test has another outcome in the tree. The network is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from zipstrap.interpreter import find_interpreter

#: name → what is installed, the source distribution first; versions that 3.8 has too
APPLICATIONS: Mapping[str, tuple[str, ...]] = {
    "click": ("click==8.1.8", "pytest<9"),
    "flask": ("flask==3.0.3", "werkzeug<3.1", "click<8.2", "pytest<9"),
}
PROFILES = ("standard", "minimal", "trace")


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("PYTHON")}


def run(
    *command: str | Path, folder: Path, statuses: Sequence[int] = (0,), **environ: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**clean(os.environ), "PYTHONDONTWRITEBYTECODE": "1", **environ},
        check=False,
    )
    if done.returncode not in statuses:
        told = f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{told}")
    return done


def outcomes(report: Path) -> dict[str, str]:
    """Return the outcome of each test of a JUnit report."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        tags = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[f"{case.get('classname')}::{case.get('name')}"] = min(tags, default="passed")
    return found


def prepare(python: Path, application: str, folder: Path) -> tuple[Path, Path]:
    """Make the environment; return its interpreter and the folder with the application's tests."""
    wanted = APPLICATIONS[application]
    inner = folder / "venv/bin/python"
    # Debian's interpreters have no ensurepip, or one without its wheels
    bare = run(python, "-m", "venv", folder / "venv", folder=folder, statuses=(0, 1)).returncode
    if bare:
        run(python, "-m", "venv", "--clear", "--without-pip", folder / "venv", folder=folder)
    pip = (sys.executable, "-m", "pip", "--python", inner) if bare else (inner, "-m", "pip")
    run(*pip, "install", "-q", *wanted, folder=folder)
    source = ("--no-deps", "--no-binary", application, "-d", folder / "sdist", wanted[0])
    run(*pip, "download", "-q", *source, folder=folder)
    (archive,) = (folder / "sdist").iterdir()
    with tarfile.open(archive) as file:
        file.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    return inner, unpacked


def build(facts: Path, tree: Path, *options: str | Path) -> dict[str, Any]:
    base = (
        sys.executable,
        "-m",
        "zipstrap",
        "build",
        facts,
        "-o",
        tree,
        "--format",
        "json",
        "--source",
        "none",
    )
    values: dict[str, Any] = json.loads(run(*base, *options, folder=tree.parent).stdout)
    return values


def size_of(tree: Path) -> int:
    return sum(path.lstat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())


def compare(python: str, application: str, folder: Path) -> bool:
    """Do it all for *python* in *folder*, print it, and tell whether all tests have the same outcome."""
    facts = find_interpreter(python).facts
    inner, tests = prepare(Path(facts.executable), application, folder)
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml")
    trace = folder / "trace.json"
    tracing = ("trace", "--any-status", "-o", trace, "--", inner, *arguments, folder / "traced.xml")
    run(sys.executable, "-m", "zipstrap", *tracing, folder=tests, statuses=(0, 1))
    run(inner, *arguments, folder / "plain.xml", folder=tests, statuses=(0, 1))
    sizes = []
    for profile in PROFILES:
        tree = folder / profile
        options = ("--trace", trace) if profile == "trace" else ("--profile", profile)
        report = build(Path(facts.executable), tree, *options)
        sizes.append(f"{profile} {report['archive']['size']:,} ({size_of(tree):,})")
    packages = json.loads(
        run(
            inner,
            "-c",
            "import json, sysconfig; print(json.dumps(sysconfig.get_path('purelib')))",
            folder=tests,
        ).stdout
    )
    executable = folder / "trace/bin" / f"python{facts.feature_version[0]}.{facts.feature_version[1]}"
    run(executable, *arguments, folder / "tree.xml", folder=tests, statuses=(0, 1), PYTHONPATH=packages)
    plain, traced, tree_outcomes = (outcomes(folder / f"{name}.xml") for name in ("plain", "traced", "tree"))
    values = json.loads(trace.read_text())
    library = sum(module["origin"] != "application" for module in values["modules"])
    print(f"{facts.name}, {application}: {len(plain)} tests, {dict(Counter(plain.values()))}; in the tree "
          f"{dict(Counter(tree_outcomes.values()))}")  # fmt: skip
    print(f"  trace: {values['processes']} processes, {library} modules, {trace.stat().st_size:,} bytes")
    print(f"  archive (tree): {', '.join(sizes)}", flush=True)
    for name in sorted(plain.keys() | traced.keys() | tree_outcomes.keys()):
        seen = [each.get(name, "not run") for each in (plain, traced, tree_outcomes)]
        if len(set(seen)) > 1:
            print(f"  {name}: {seen[0]}, traced {seen[1]}, in the tree {seen[2]}")
    return plain == traced == tree_outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--application", choices=sorted(APPLICATIONS), default="click")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="a new folder to keep all in")
    arguments = parser.parse_args()
    same = True
    with tempfile.TemporaryDirectory(prefix="zipstrap-trace-suite-") as scratch:
        base = Path(scratch) if arguments.output is None else arguments.output.absolute()
        for number, python in enumerate(arguments.pythons):
            folder = base / str(number)
            folder.mkdir(parents=True)
            same &= compare(python, arguments.application, folder)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
