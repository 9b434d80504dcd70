"""The examples for packagers: what of them runs without root and the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .interpreters import found
from .trees import run, usual

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_library_in_a_target_folder_becomes_an_archive(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    target = usual(found(request.config))
    # the script calls zipstrap by its name
    (tmp_path / "zipstrap").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zipstrap "$@"\n')
    (tmp_path / "zipstrap").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run([sys.executable, EXAMPLES / "buildroot/try.py", target.executable], env={"PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("is there already") == 1


@pytest.mark.parametrize("script", ["build.sh", "postinst", "postrm"])
def test_the_scripts_of_the_debian_package_are_shell(script: str) -> None:
    done = subprocess.run(["sh", "-n", EXAMPLES / "debian" / script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
