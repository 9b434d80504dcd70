"""What a command imports, and the list of what many programs import."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from zipstrap.data import hot_modules
from zipstrap.errors import InterpreterError, UsageError
from zipstrap.hot import imported_modules, modules_of_commands

PYTHON = Path(sys.executable)


def test_lines_are_told_from_what_else_is_printed() -> None:
    printed = (
        b"import time: self [us] | cumulative | imported package\n"
        b"import time:       146 |        146 |   encodings.aliases\n"
        b"a program says: import time: 1\r\n"
        b"import time:        52 |        198 | encodings\r\n"
    )
    assert imported_modules(printed) == {"encodings.aliases", "encodings"}


def test_processes_that_a_command_starts_count() -> None:
    command = (
        "-c \"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import colorsys'], check=True)\""
    )
    found = modules_of_commands(PYTHON, [command, "-c 'import sched'"], os.environ)
    assert {"subprocess", "colorsys", "sched"} <= found
    assert "cmd" not in found


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("-c 'import", "cannot be split into arguments"),
        ("-c 'import nothing_of_this_name'", "status 1: ModuleNotFoundError: No module"),
    ],
)
def test_a_command_that_does_not_work_is_told(command: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        modules_of_commands(PYTHON, [command], os.environ)


def test_an_interpreter_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError):
        modules_of_commands(tmp_path / "python", ["-c pass"], os.environ)


def test_no_commands_run_nothing(tmp_path: Path) -> None:
    assert modules_of_commands(tmp_path / "python", [], {}) == frozenset()


def test_the_list_holds_what_programs_have_in_common() -> None:
    assert {"re", "enum", "argparse", "json", "collections"} <= hot_modules()
    assert not {"turtle", "idlelib", "this"} & hot_modules()
