"""What is around a build: closed streams, signals that come twice, others who build, a tree around it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .interpreters import Target
from .trees import usual, zipstrap

QUICK = ("--profile", "minimal", "--no-verify")


@pytest.fixture(scope="module")
def one(interpreters: Sequence[Target]) -> Target:
    return usual(interpreters)


def start(one: Target, folder: Path, *options: str) -> subprocess.Popen[str]:
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "zipstrap", "build", str(one.executable), "-o", "T", *QUICK, *options],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    """Wait until a file is there; when the process ends before, the test's own asserts tell why."""
    while process.poll() is None:
        # a folder may go while it is being listed
        with contextlib.suppress(OSError):
            if any(folder.glob(pattern)):
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_stop_the_clearing_away(
    one: Target, tmp_path: Path, number: signal.Signals
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("this run ignores the signal, as under nohup, and so does what it starts")
    process = start(one, tmp_path, "--no-cache")
    wait_for(process, tmp_path, "temporary/zipstrap-*/*/results")
    for _ in range(3):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "zipstrap: interrupted; nothing was left behind\n"
    assert sorted(os.listdir(tmp_path)) == ["temporary"]
    assert os.listdir(tmp_path / "temporary") == []


def test_two_builds_of_one_destination(one: Target, tmp_path: Path) -> None:
    both = [start(one, tmp_path) for _ in range(2)]
    done = [(process.communicate(timeout=120), process.returncode) for process in both]
    assert sorted(status for _, status in done) == [0, 4]
    ((_, err),) = (said for said, status in done if status == 4)
    assert "exists already" in err
    assert sorted(os.listdir(tmp_path)) == ["T", "temporary"]
    assert zipstrap("verify", tmp_path / "T").returncode == 0


def test_what_a_killed_build_left_is_cleared_away(one: Target, tmp_path: Path) -> None:
    process = start(one, tmp_path, "--no-cache")
    wait_for(process, tmp_path, ".T.*.zipstrap")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    (left,) = tmp_path.glob(".T.*.zipstrap")
    os.utime(left, (0, 0))  # long ago: what was made this minute might be in use
    assert zipstrap("build", one.executable, "-o", tmp_path / "T", *QUICK).returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["T", "temporary"]


def test_not_inside_another_tree(one: Target, tmp_path: Path) -> None:
    tree = tmp_path / "T"
    assert zipstrap("build", one.executable, "-o", tree, *QUICK).returncode == 0
    done = zipstrap("build", one.executable, "-o", tree / "lib" / "sub", *QUICK)
    assert done.returncode == 2
    assert f"this is inside the tree {tree}" in done.stderr
    assert zipstrap("verify", tree).returncode == 0


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
def test_closed_streams(one: Target, tmp_path: Path, closed: str) -> None:
    redirections = " ".join(f"{number}>&-" for number in closed.split())
    script = f'exec "$0" -m zipstrap build "$1" -o "$2" {" ".join(QUICK)} {redirections}'
    command = ["sh", "-c", script, sys.executable, str(one.executable), str(tmp_path / "T")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == ("1" not in closed)
    assert zipstrap("verify", tmp_path / "T").returncode == 0


def test_facts_are_not_written_over_a_file(one: Target, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    assert zipstrap("facts", one.executable, "-o", path).returncode == 0
    assert json.loads(path.read_text())["executable"]
    path.write_text("precious")
    done = zipstrap("facts", one.executable, "-o", path)
    assert (done.returncode, path.read_text()) == (4, "precious")
    assert "exists already" in done.stderr
