"""What a command imports, and the list of what many programs import."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from zipstrap.data import hot_modules
from zipstrap.errors import InterpreterError, UsageError
from zipstrap.hot import modules_of_commands
from zipstrap.interpreter import Facts, find_interpreter
from zipstrap.trace import Trace, TracedModule, TraceTarget, trace_to_json


@pytest.fixture(scope="module")
def facts() -> Facts:
    return find_interpreter(None).facts


def test_processes_that_a_command_starts_count(facts: Facts) -> None:
    command = (
        "-c \"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import colorsys'], check=True)\""
    )
    found = modules_of_commands(facts, [command, "-c 'import sched'"], os.environ)
    assert {"subprocess", "colorsys", "sched"} <= found
    assert "cmd" not in found


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("-c 'import", "cannot be split into arguments"),
        ("-c 'import nothing_of_this_name'", "status 1: ModuleNotFoundError: No module"),
    ],
)
def test_a_command_that_does_not_work_is_told(command: str, told: str, facts: Facts) -> None:
    with pytest.raises(UsageError, match=told):
        modules_of_commands(facts, [command], os.environ)


def test_an_interpreter_that_is_not_there_is_told(facts: Facts, tmp_path: Path) -> None:
    gone = dataclasses.replace(facts, executable=str(tmp_path / "python"))
    with pytest.raises(InterpreterError, match="cannot be run"):
        modules_of_commands(gone, ["-c pass"], os.environ)


def test_a_start_that_is_not_seen_is_told(facts: Facts) -> None:
    with pytest.raises(InterpreterError, match="did not tell what it imports"):
        modules_of_commands(facts, ["-S -c pass"], os.environ)


def test_no_commands_run_nothing(facts: Facts, tmp_path: Path) -> None:
    gone = dataclasses.replace(facts, executable=str(tmp_path / "python"))
    assert modules_of_commands(gone, [], {}) == frozenset()


def test_a_trace_stands_for_a_command(facts: Facts, tmp_path: Path) -> None:
    target = TraceTarget(facts.name, facts.version, facts.platform, facts.machine, free_threaded=False)
    modules = (TracedModule("app", "application", start=False), TracedModule("wave", "library", start=False))
    file = tmp_path / "app.json"
    file.write_text(trace_to_json(Trace("zipstrap 1", target, (), 1, modules, (), (), (), ())))
    assert modules_of_commands(facts, [f"@{file}"], {}) == {"wave"}
    older = dataclasses.replace(facts, version=(3, 8, 1))
    with pytest.raises(UsageError, match="is a trace of"):
        modules_of_commands(older, [f"@{file}"], {})


def test_the_list_holds_what_programs_have_in_common() -> None:
    assert {"re", "enum", "argparse", "json", "collections"} <= hot_modules()
    assert not {"turtle", "idlelib", "this"} & hot_modules()
