"""Run a worker script inside a target interpreter: a job file goes in, an answer file comes out.

Every worker takes two arguments, the path of a job file and the path where its answer goes. The answer is a
file because a target may print to stdout and stderr whatever it likes. A worker is believed only if its exit
status is 0 *and* its answer carries the worker's name and :data:`SCHEMA`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import InterpreterError, cure_of

__all__ = [
    "SCHEMA",
    "UNSUPPORTED_STATUS",
    "WORKER_FLAGS",
    "cannot_run",
    "clean_environment",
    "last_line",
    "read_answer",
    "run_worker",
    "worker_command",
    "worker_script",
    "worker_source",
]

#: The version of the protocol between host and workers; both sides state it.
SCHEMA = 1

#: The exit status of a worker in an interpreter that it does not know; its answer then says "unsupported".
UNSUPPORTED_STATUS = 64

#: No environment, no user site, no script folder on sys.path; no site; nothing written beside the sources.
WORKER_FLAGS = ("-I", "-S", "-B")

_MOVES_THE_START = ("__PYVENV_LAUNCHER__",)


def clean_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return *environ* without the variables that change how an interpreter starts.

    ``-I`` makes an interpreter ignore ``PYTHON*``, but not ``PYTHONEXECUTABLE`` and ``__PYVENV_LAUNCHER__``,
    which move the prefix even so (3.11+, measured).
    """
    source = os.environ if environ is None else environ
    return {
        name: value
        for name, value in source.items()
        if not name.startswith("PYTHON") and name not in _MOVES_THE_START
    }


def worker_source(name: str) -> str:
    """Return the text of the worker *name*."""
    data = pkgutil.get_data("zipstrap._in_target", f"{name}.py")
    assert data is not None, "a loader without get_data"
    return data.decode()


@contextlib.contextmanager
def worker_script(name: str) -> Iterator[Path]:
    """Give the worker *name* as a file, also when zipstrap itself lies in an archive."""
    path = Path(__file__).parent / "_in_target" / f"{name}.py"
    if path.is_file():
        yield path
        return
    from importlib import resources  # takes 5 ms to import, and only an archive needs it

    with resources.as_file(resources.files("zipstrap._in_target").joinpath(path.name)) as path:
        yield path


def worker_command(executable: Path, script: Path, job: Path, answer: Path) -> list[str]:
    """Return the command line that runs *script* in the target."""
    return [str(executable), *WORKER_FLAGS, str(script), str(job), str(answer)]


def run_worker(executable: Path, name: str, job: object, *, timeout: float = 120.0) -> dict[str, Any]:
    """Run the worker *name* in *executable* with *job* (JSON) and return its answer.

    *timeout* is in seconds. Raises :class:`InterpreterError` if the interpreter cannot be run, is not one
    that the worker supports, fails, or does not answer as the protocol says.
    """
    with tempfile.TemporaryDirectory(prefix="zipstrap-") as folder, worker_script(name) as script:
        job_file, answer_file = Path(folder, "job.json"), Path(folder, "answer.json")
        job_file.write_text(json.dumps(job), encoding="utf-8")
        try:
            done = subprocess.run(
                worker_command(executable, script, job_file, answer_file),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=clean_environment(),
                cwd=folder,
                timeout=timeout,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise cannot_run(executable, error) from error
        return read_answer(executable, name, answer_file, done.returncode, done.stderr)


def cannot_run(executable: Path, error: BaseException) -> InterpreterError:
    """Return the error for an *executable* that did not start, or did not end."""
    cure = "name an executable CPython 3.8 to 3.15"
    return InterpreterError(
        f"the interpreter cannot be run ({error})",
        file=executable,
        cure=cure_of(error, cure) if isinstance(error, OSError) else cure,
    )


def read_answer(
    executable: Path, name: str, answer_file: Path, returncode: int, stderr: bytes
) -> dict[str, Any]:
    """Return what the worker *name* answered, after it ended with *returncode* and printed *stderr*.

    Raises :class:`InterpreterError` if the worker does not support this interpreter, failed, or did not
    answer as the protocol says.
    """
    try:
        answer = json.loads(answer_file.read_bytes())
    except (OSError, ValueError):
        answer = None
    marked = isinstance(answer, dict) and "unsupported" in answer
    if marked and returncode == UNSUPPORTED_STATUS:
        raise InterpreterError(
            f"this is {answer['unsupported']}", file=executable, cure="name a CPython 3.8 to 3.15"
        )
    if (
        returncode
        or marked
        or not isinstance(answer, dict)
        or (answer.get("worker"), answer.get("schema")) != (name, SCHEMA)
    ):
        raise InterpreterError(
            f"{name} gave no answer in this interpreter (exit status {returncode}): {last_line(stderr)}",
            file=executable,
            cure="check that this interpreter runs and can import its own standard library",
        )
    return answer


def last_line(output: bytes) -> str:
    """Return the last line of *output* that is not empty, or a word for silence."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"
