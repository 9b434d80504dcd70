"""The protocol of workers: what is believed, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from zipstrap.errors import InterpreterError
from zipstrap.worker import (
    SCHEMA,
    UNSUPPORTED_STATUS,
    WORKER_FLAGS,
    clean_environment,
    last_line,
    read_answer,
    run_worker,
    worker_command,
    worker_script,
    worker_source,
)

GOOD = {"worker": "probe", "schema": SCHEMA, "value": 1}
UNSUPPORTED = {"worker": "probe", "schema": SCHEMA, "unsupported": "PyPy, for Python 3.10.14"}


def fake(folder: Path, script: str) -> Path:
    """Make an interpreter out of a shell script; $5 is the job, $6 where the answer goes."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def answering(folder: Path, answer: object, rest: str = "") -> Path:
    (folder / "prepared.json").write_text(answer if isinstance(answer, str) else json.dumps(answer))
    return fake(folder, f'cp "{folder}/prepared.json" "$6"\n{rest}')


def test_an_answer_is_returned(tmp_path: Path) -> None:
    assert run_worker(answering(tmp_path, GOOD), "probe", None) == GOOD


def test_noise_does_not_matter(tmp_path: Path) -> None:
    python = answering(tmp_path, GOOD, 'echo \'{"worker": "other"}\'\necho trouble >&2')
    assert run_worker(python, "probe", None) == GOOD


def test_the_worker_gets_its_job_and_nothing_else(tmp_path: Path) -> None:
    """Flags first; the folder that it runs in goes away."""
    script = (
        'test "$1 $2 $3" = "-I -S -B" || exit 1\ntest -s "$4" || exit 2\n'
        'read -r line && exit 3\ntest "$(pwd)" = "$(dirname "$5")" || exit 4\n'
        'printf \'{"worker": "probe", "schema": %d, "job": %s}\' ' + f'{SCHEMA} "$(cat "$5")" > "$6"'
    )
    assert run_worker(fake(tmp_path, script), "probe", {"a": ["é", 1]})["job"] == {"a": ["é", 1]}


@pytest.mark.parametrize(
    "answer",
    [
        {**GOOD, "schema": SCHEMA + 1},
        {**GOOD, "worker": "compile_worker"},
        {"value": 1},
        [],
        "null",
        "not JSON",
        "",
        UNSUPPORTED,
    ],
)
def test_what_is_not_believed(tmp_path: Path, answer: object) -> None:
    """Among it a mark of an unknown interpreter without the exit status that goes with it."""
    python = answering(tmp_path, answer, "echo first >&2; echo the last line >&2; echo >&2")
    with pytest.raises(
        InterpreterError, match=r"probe gave no answer .*exit status 0.*: the last line"
    ) as caught:
        run_worker(python, "probe", None)
    assert caught.value.problem.file == str(python)


def test_no_answer_at_all(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match=r"exit status 0\): it printed nothing"):
        run_worker(fake(tmp_path, "true"), "probe", None)


@pytest.mark.parametrize("status", [1, UNSUPPORTED_STATUS, 139])
def test_a_good_answer_with_a_bad_status_is_not_believed(tmp_path: Path, status: int) -> None:
    with pytest.raises(InterpreterError, match=f"exit status {status}"):
        run_worker(answering(tmp_path, GOOD, f"exit {status}"), "probe", None)


def test_an_unknown_interpreter_is_named(tmp_path: Path) -> None:
    python = answering(tmp_path, UNSUPPORTED, f"exit {UNSUPPORTED_STATUS}")
    with pytest.raises(InterpreterError, match=r"this is PyPy, for Python 3\.10\.14") as caught:
        run_worker(python, "probe", None)
    assert caught.value.problem.file == str(python)


@pytest.mark.parametrize(
    ("name", "script"), [("missing", None), ("plain", "text, no program"), ("folder", "")]
)
def test_what_cannot_be_run(tmp_path: Path, name: str, script: str | None) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif script is not None:
        path.write_text(script)
    with pytest.raises(InterpreterError, match="cannot be run") as caught:
        run_worker(path, "probe", None)
    assert caught.value.problem.file == str(path)


def test_what_does_not_end_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="timed out"):
        run_worker(fake(tmp_path, "exec tail -f /dev/null"), "probe", None, timeout=0.2)


def test_answers_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="gave no answer"):
        read_answer(Path("/opt/python"), "probe", tmp_path, 0, b"")


def test_the_environment_of_a_worker() -> None:
    environ = {
        "PATH": "/bin",
        "PYTHONHOME": "/x",
        "PYTHONEXECUTABLE": "/x",
        "__PYVENV_LAUNCHER__": "/x",
        "PY": "",
    }
    assert clean_environment(environ) == {"PATH": "/bin", "PY": ""}


def test_the_running_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/x")
    monkeypatch.setenv("KEPT", "1")
    assert "PYTHONSTARTUP" not in clean_environment()
    assert clean_environment()["KEPT"] == "1"


def test_a_script_is_the_source_as_a_file() -> None:
    with worker_script("probe") as path:
        assert path.read_text(encoding="utf-8") == worker_source("probe")
        command = worker_command(Path("/opt/python"), path, Path("job"), Path("answer"))
    assert command == ["/opt/python", *WORKER_FLAGS, str(path), "job", "answer"]


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (b"", "it printed nothing"),
        (b" \n\n", "it printed nothing"),
        (b"a\n b \n\n", "b"),
        (b"\xff", "\ufffd"),
    ],
)
def test_last_line(output: bytes, line: str) -> None:
    assert last_line(output) == line
