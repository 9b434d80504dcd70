"""Write tools/zipstrap/data/hot.json: the modules of the library that many programs import.

    python benchmarks/list_hot_modules.py PYTHON... [--least N] [--write]

Each PYTHON is an interpreter with the programs of PROGRAMS installed (those of a venv, for example):

    python -m venv hot && hot/bin/pip install -r benchmarks/hot_programs.txt

Each program is run in each of them and traced, with the processes that it starts. A module is hot when at
least N programs import it in one of the versions. The rule looks at programs that people run, never at a list
of modules that a benchmark imports. Without --write the list is printed with how many programs import each
module.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from zipstrap.recorder import record_command

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tools/zipstrap/data/hot.json"

#: name → arguments; {folder} is an empty folder, {test} a file with one test
PROGRAMS: dict[str, list[str]] = {
    "pip --version": ["-m", "pip", "--version"],
    "pip list": ["-m", "pip", "list", "--format=json"],
    "venv": ["-m", "venv", "--without-pip", "{folder}/venv"],
    "http.server": ["-m", "http.server", "--help"],
    "json.tool": ["-m", "json.tool", "{json}"],
    "unittest": ["-m", "unittest", "-q", "{test}"],
    "compileall": ["-m", "compileall", "-q", "{test}"],
    "zipfile": ["-m", "zipfile", "-l", "{zip}"],
    "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "{test}"],
    "requests": ["-c", "import requests"],
    "httpx": ["-c", "import httpx"],
    "flask": ["-m", "flask", "--version"],
    "django-admin": ["-m", "django", "startproject", "site1", "{folder}"],
    "black": ["-m", "black", "-q", "{test}"],
    "mypy": ["-m", "mypy", "--version"],
    "rich": ["-m", "rich.table"],
    "sqlalchemy": ["-c", "import sqlalchemy; sqlalchemy.create_engine('sqlite://').connect()"],
    "numpy": ["-c", "import numpy"],
    "asyncio": ["-c", "import asyncio; asyncio.run(asyncio.sleep(0))"],
    "yaml": ["-c", "import yaml; yaml.safe_load('a: 1')"],
}
_LEAST = 1


def traced(python: str, name: str) -> set[str]:
    """Return what the program *name* imports in *python*."""
    with tempfile.TemporaryDirectory(prefix="zipstrap-hot-") as folder:
        places = {"folder": f"{folder}/new", "test": "test_one.py", "json": "one.json", "zip": "one.zip"}
        Path(folder, "new").mkdir()
        Path(folder, "test_one.py").write_text(
            "import unittest\n\n\nclass One(unittest.TestCase):\n    def test(self):\n        pass\n"
        )
        Path(folder, "one.json").write_text("{}")
        Path(folder, "one.zip").write_bytes(b"PK\x05\x06" + bytes(18))
        arguments = [argument.format(**places) for argument in PROGRAMS[name]]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        with contextlib.chdir(folder):
            done = record_command([python, *arguments], environ, quiet=True)
    if done.status:
        print(f"{name} fails in {python} with status {done.status}: not counted", file=sys.stderr)
        return set()
    return {module for each in done.processes for module in (*each.start, *each.modules)}


def library_of(python: str) -> set[str]:
    """Return the library's modules with source in *python*, by the files of its library's folder."""
    code = (
        "import os, sys; lib = os.path.dirname(os.__file__)\n"
        "for folder, folders, names in os.walk(lib):\n"
        "    folders[:] = {*folders} - {'site-packages', 'dist-packages', '__pycache__'}\n"
        "    for name in names:\n"
        "        if name.endswith('.py'):\n"
        "            print(os.path.relpath(os.path.join(folder, name), lib))\n"
    )
    printed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in printed.split("\n")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--least", type=int, default=_LEAST)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    most: Counter[str] = Counter()
    versions = []
    for python in map(os.path.abspath, arguments.pythons):
        here: Counter[str] = Counter()
        for name in PROGRAMS:
            here.update(traced(python, name))
        library = library_of(python)
        versions.append(
            subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
        )
        for module, count in here.items():
            if module in library:
                most[module] = max(most[module], count)
    hot = sorted(module for module, count in most.items() if count >= arguments.least)
    if not arguments.write:
        for module in hot:
            print(f"{most[module]:3} {module}")
        return
    values = {
        "comment": "Modules that stay stored with `--hot usual`, so that most imports of most programs need "
        f"not be decompressed: those that at least {arguments.least} of the programs below import in one of "
        "the versions below (measured as zipstrap trace does). Made by benchmarks/list_hot_modules.py.",
        "least": arguments.least,
        "versions": sorted(versions, key=lambda version: [int(part) for part in version.split(".")]),
        "programs": list(PROGRAMS),
        "modules": hot,
    }
    text = json.dumps(values, indent=1)
    DATA.write_text(text + "\n", encoding="utf-8")
    print(f"{DATA}: {len(hot)} modules")


if __name__ == "__main__":
    main()
