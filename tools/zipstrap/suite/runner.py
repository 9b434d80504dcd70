"""Processes: one for each test file and side, in a clean place, as an ordinary user."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipstrap.destination import writing
from zipstrap.errors import InterpreterError, UnsupportedError
from zipstrap.worker import last_line, worker_source

from .cases import FileRun, Outcome, Side, read_record

__all__ = ["Interrupted", "Runner", "Tester", "Tree", "ordinary_user", "outcome_of_file"]

#: As the suite's own makefile has it (CPython, Makefile.pre.in, TESTPYTHON and TESTPYTHONOPTS).
_FLAGS = ("-u", "-W", "default", "-bb", "-E")

#: A file name in angle brackets keeps the worker out of what tests of trace count.
_START = """\
import sys
with open(sys.argv.pop(1), encoding="utf-8") as file:
    source = file.read()
exec(compile(source, "<suite_worker>", "exec"))
"""

#: Both sides draw the same random numbers, where a test draws them from the module's generator.
_SEED = "20010405"

_PATH = "/usr/local/bin:/usr/bin:/bin"

#: How long a process that is about to be killed may take to print where it stands, in seconds.
_LAST_WORDS = 3.0

_SKIPPED = re.compile(r"^(\S+) skipped(?: -- (.*)| \(resource denied\))?$", re.MULTILINE)
_CRASHED = re.compile(r"^test \S+ (?:crashed|failed) -- (.*)$", re.MULTILINE)

#: Exit statuses of regrtest (CPython, Lib/test/libregrtest/results.py).
_BAD_TEST, _NO_TESTS_RAN = 2, 4


class Interrupted(Exception):  # noqa: N818 - it is no error: the user stopped the run
    """The run was stopped while a test file was running; nothing is known of that file."""


@dataclass(frozen=True, slots=True)
class Tester:
    """The user that runs the tests; *changed* if it is not the one who runs zipstrap."""

    name: str
    uid: int
    gid: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """One side: where its interpreter is, and *key*, which is another for another content."""

    side: Side
    root: Path
    executable: Path
    key: str


def ordinary_user() -> Tester:
    """Return who runs the tests: the user, or ``nobody`` instead of root, whom permissions do not stop.

    Raises UnsupportedError if there is no such user.
    """
    import pwd

    if os.geteuid() != 0:
        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        return Tester(name, uid, os.getegid(), changed=False)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise UnsupportedError(
            "the tests are not run as root, and there is no user nobody to run them",
            cure="run zipstrap as an ordinary user",
        ) from error
    return Tester("nobody", nobody.pw_uid, nobody.pw_gid, changed=True)


class Runner:
    """Runs test files, from several threads; :meth:`stop` ends what is running, and lets nothing start."""

    def __init__(self, tester: Tester, *, timeout: float, resources: Sequence[str]) -> None:
        self._tester = tester
        self._timeout = timeout
        self._resources = tuple(resources)
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End every test that is running."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            _kill(process)

    def ask(self, tree: Tree) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the test files that the suite lists, and the resources that it knows.

        Raises InterpreterError if the tester cannot run the interpreter, or the suite does not answer.
        """
        program = (
            "import json\nfrom test.libregrtest.cmdline import RESOURCE_NAMES\n"
            "print(json.dumps(list(RESOURCE_NAMES)))"
        )
        known = json.loads(self._answer(tree, "-c", program))
        listed = self._answer(tree, "-m", "test", "--list-tests")
        names = [line for line in listed.splitlines() if re.fullmatch(r"[A-Za-z_][\w.]*", line)]
        if not names:
            raise InterpreterError(
                "its suite lists no test file", file=tree.executable, cure="install the whole test package"
            )
        return tuple(names), tuple(known)

    def _answer(self, tree: Tree, *arguments: str) -> str:
        with self._place() as place:
            try:
                done = subprocess.run(
                    [str(tree.executable), "-E", *arguments],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    env=self._environment(place),
                    cwd=place / "cwd",
                    timeout=300,
                    check=False,
                    **self._identity(),
                )
                failure = (
                    f"exit status {done.returncode}: {last_line(done.stderr)}" if done.returncode else ""
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                failure = str(error)
            if failure:
                raise InterpreterError(
                    f"the user {self._tester.name} cannot run its suite ({failure})",
                    file=tree.executable,
                    cure="choose a folder (-o) and an interpreter that every user can reach, "
                    "with its whole test package",
                )
            return bytes(done.stdout).decode("utf-8", "replace")

    def run(self, tree: Tree, name: str, log: Path) -> FileRun:
        """Run the test file *name* from *tree*; what it prints goes to *log*.

        Raises :class:`Interrupted` if :meth:`stop` was called.
        """
        began = time.monotonic()
        with self._place() as place, writing(log):
            script, record = place / "suite_worker.py", place / "record"
            script.write_text(worker_source("suite_worker"), encoding="utf-8")
            script.chmod(0o644)
            arguments = ["--randseed", _SEED]
            if self._resources:
                arguments += ["-u", ",".join(self._resources)]
            command = [
                str(tree.executable),
                *_FLAGS,
                "-c",
                _START,
                str(script),
                str(record),
                *arguments,
                name,
            ]
            with log.open("wb") as output:
                status = self._wait(command, place, output)
            seconds = time.monotonic() - began
            printed = log.read_text(encoding="utf-8", errors="replace")
            try:
                recorded = record.read_text(encoding="utf-8")
            except OSError:
                recorded = ""
        cases, ended, unsupported = read_record(recorded)
        if unsupported:
            raise UnsupportedError(
                f"its suite cannot be listened to: {unsupported}",
                file=tree.executable,
                cure="run the suite of a CPython 3.8 to 3.15",
            )
        has_bad_cases = any(_is_bad(each.outcome) for each in cases.values())
        outcome, brief = outcome_of_file(status, ended, printed, has_bad_cases=has_bad_cases)
        if status is None:
            brief = f"no end after {self._timeout:g} s"
        return FileRun(name, tree.side, outcome, brief, seconds, str(log), cases)

    def _wait(self, command: Sequence[str], place: Path, output: Any) -> int | None:
        """Return the exit status, or None for a process that was killed because it took too long."""
        with self._lock:
            if self._stopped:
                raise Interrupted
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment(place),
                    cwd=place / "cwd",
                    start_new_session=True,
                    umask=0o022,
                    **self._identity(),
                )
            except OSError as error:
                raise InterpreterError(
                    f"the user {self._tester.name} cannot run it ({error})",
                    file=command[0],
                    cure="choose a folder (-o) that every user can reach",
                ) from error
            self._running.add(process.pid)
        try:
            in_time = _ended(process, self._timeout)
            if not in_time:
                # regrtest has faulthandler print every thread's stack then
                os.kill(process.pid, signal.SIGUSR1)
                _ended(process, _LAST_WORDS)
        finally:
            with self._lock:
                self._running.discard(process.pid)
                stopped = self._stopped
            # before its status is taken, so that its number is not another's yet
            _kill(process.pid)
            status = process.wait()
        if stopped:
            raise Interrupted
        return status if in_time else None

    def _identity(self) -> dict[str, Any]:
        if not self._tester.changed:
            return {}
        return {"user": self._tester.uid, "group": self._tester.gid, "extra_groups": []}

    def _environment(self, place: Path) -> Mapping[str, str]:
        return {
            "PATH": _PATH,
            "HOME": str(place / "home"),
            "TMPDIR": str(place / "tmp"),
            "USER": self._tester.name,
            "LOGNAME": self._tester.name,
            "LANG": "C.UTF-8",
            "TERM": "xterm",
        }

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        """Give a fresh folder that is the tester's; its path is short, as socket names in it have to be."""
        place = Path(tempfile.mkdtemp(prefix="zs"))
        try:
            for folder in (place, place / "home", place / "tmp", place / "cwd"):
                folder.mkdir(exist_ok=True)
                if self._tester.changed:
                    os.chown(folder, self._tester.uid, self._tester.gid)
            yield place
        finally:
            _remove(place)


def outcome_of_file(
    status: int | None, ended: int | None, printed: str, *, has_bad_cases: bool
) -> tuple[Outcome, str]:
    """Return what became of the file itself, apart from its cases, and one line about it.

    *status* is the exit status of the process, *ended* the one that the worker wrote down last.
    """
    if status is None:
        return Outcome.TIMED_OUT, ""
    if status < 0:
        with contextlib.suppress(ValueError):
            return Outcome.CRASHED, f"killed by {signal.Signals(-status).name}"
        return Outcome.CRASHED, f"killed by signal {-status}"
    if ended is None:
        return Outcome.CRASHED, f"exit status {status}, in the middle of it"
    skipped = _SKIPPED.search(printed)
    if skipped is not None and status in (0, _NO_TESTS_RAN):
        return Outcome.SKIPPED, skipped[2] or "resource denied"
    if status == 0 or (status == _BAD_TEST and has_bad_cases):
        return Outcome.PASSED, ""
    if status == _NO_TESTS_RAN:
        return Outcome.SKIPPED, "no tests ran"
    return Outcome.ERROR, _raised(printed) or f"exit status {status}"


def _raised(printed: str) -> str:
    """Return the line that says what was raised outside of the cases."""
    found = _CRASHED.search(printed)
    if found is None:
        return ""
    if not found[1].startswith("Traceback"):
        return found[1][:500]
    rest = printed[found.end() :].splitlines()
    return next((line for line in rest if line and not line[0].isspace()), "")[:500]


def _is_bad(outcome: Outcome) -> bool:
    return outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.UNEXPECTED, Outcome.CRASHED)


def _ended(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait until *process* has ended, for *timeout* seconds at most, and leave its status to be taken."""
    end, delay = time.monotonic() + timeout, 0.001
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = end - time.monotonic()
        if left <= 0:
            return False
        delay = min(2 * delay, left, 0.05)
        time.sleep(delay)
    return True


def _kill(leader: int) -> None:
    """End the session that *leader* opened: its process group, and the groups that tests made in it."""
    members = {leader}
    with contextlib.suppress(OSError):
        members.update(
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _session(entry) == leader
        )
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for member in members - {leader}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)


def _session(entry: Path) -> int:
    try:
        # after the name in brackets: state, parent, group, session (proc(5))
        return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[3])
    except (OSError, IndexError, ValueError):
        return -1


def _remove(place: Path) -> None:
    """Remove *place*, also what a test forbade to enter."""
    for _ in range(2):
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            return
        for folder, _folders, _files in os.walk(place):
            with contextlib.suppress(OSError):
                os.chmod(folder, stat.S_IRWXU)  # noqa: PTH101
    shutil.rmtree(place, ignore_errors=True)
