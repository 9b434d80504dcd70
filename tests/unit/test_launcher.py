"""The launcher: what it is made of, and what it does to a start."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from zipstrap.data import launchers
from zipstrap.errors import UnsupportedError
from zipstrap.launcher import make_launcher
from zipstrap.linkage import read_elf

ROOT = Path(__file__).parents[2]
MACHINES = sorted(launchers())
HERE = platform.machine()

each_machine = pytest.mark.parametrize("machine", MACHINES)


def own(machine: str, tool: str) -> str:
    """Return the tool of binutils for *machine*."""
    name = tool if machine == HERE else f"{machine}-linux-gnu-{tool}"
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here, so the code for {machine} cannot be compared with its source")
    return name


@each_machine
def test_the_code_is_what_the_source_says(machine: str, tmp_path: Path) -> None:
    source = ROOT / "site_hooks" / f"launcher_{machine}.s"
    assembler, objcopy = own(machine, "as"), own(machine, "objcopy")
    subprocess.run([assembler, "-I", source.parent, "-o", tmp_path / "o", source], check=True)
    subprocess.run([objcopy, "-O", "binary", "-j", ".text", tmp_path / "o", tmp_path / "code"], check=True)
    assert (tmp_path / "code").read_bytes() == launchers()[machine].code


@each_machine
def test_the_file_is_an_elf_file_without_a_loader(machine: str, tmp_path: Path) -> None:
    data = make_launcher(machine, "bin/python3.13", "libexec/python3.13")
    assert launchers()[machine].code + b"../libexec/python3.13\0" in data
    (tmp_path / "launcher").write_bytes(data)
    elf = read_elf(tmp_path / "launcher")
    assert elf is not None
    assert (elf.interpreter, elf.needed, elf.rpath, elf.runpath) == (None, (), (), ())
    assert launchers()[machine].code + b"a/b\0" in make_launcher(machine, "python", "a/b")


@each_machine
def test_what_was_stripped_is_as_good(machine: str, tmp_path: Path) -> None:
    """As packagers do with what is in bin."""
    strip, path = own(machine, "strip"), tmp_path / "launcher"
    path.write_bytes(make_launcher(machine, "bin/python3.13", "libexec/python3.13"))
    subprocess.run([strip, path], check=True)
    assert launchers()[machine].code + b"../libexec/python3.13\0" in path.read_bytes()


def test_a_machine_without_one() -> None:
    with pytest.raises(UnsupportedError, match="no launcher for mips"):
        make_launcher("mips", "bin/python3.13", "libexec/python3.13")


@pytest.fixture(params=MACHINES)
def started(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], Path]:
    """Give a launcher of a shell; for another machine's, with what runs it in front."""
    machine = request.param
    emulator = shutil.which(f"qemu-{machine}-static")
    if machine != HERE and emulator is None:
        pytest.skip(f"nothing here runs programs for {machine}")
    for folder in ("bin", "libexec"):
        (tmp_path / "T" / folder).mkdir(parents=True)
    shutil.copy("/bin/sh", tmp_path / "T/libexec/python")
    launcher = tmp_path / "T/bin/python"
    launcher.write_bytes(make_launcher(machine, "bin/python", "libexec/python"))
    launcher.chmod(0o755)
    return ([] if machine == HERE else [str(emulator)]), launcher


def start(
    runner: list[str], path: Path, *, name: str | None = None, code: str = 'echo "$0"; env', **variables: str
) -> list[str]:
    environ = {"PATH": os.defpath, **variables}
    command = [*runner, str(path)] if runner or name is None else [name]
    done = subprocess.run(
        [*command, "-c", code],
        executable=None if runner else str(path),
        cwd="/",  # keeps posix_spawn() out, which refuses an empty name (3.13+)
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_name_of_a_start_is_where_the_launcher_lies(
    started: tuple[list[str], Path], tmp_path: Path
) -> None:
    runner, launcher = started
    link = tmp_path / "elsewhere"
    link.symlink_to(launcher)
    assert start(runner, launcher)[0] == str(launcher)
    if not runner:  # an emulator tells of itself
        assert start(runner, link)[0] == str(launcher)
        assert start(runner, launcher, name="/foreign/python")[0] == str(launcher)
        assert start(runner, launcher, name="")[0] == str(launcher)


def test_what_comes_before_the_interpreter_is_dropped(started: tuple[list[str], Path]) -> None:
    runner, launcher = started
    dropped = {
        "LD_PRELOAD": "",
        "LD_LIBRARY_PATH": "/nowhere",
        "LD_": "1",
        "GCONV_PATH": "/nowhere",
        "PYTHONEXECUTABLE": "/nowhere",
        "__PYVENV_LAUNCHER__": "/nowhere",
    }
    kept = {
        "A": "LD_PRELOAD=",
        "LD": "1",
        "LDX_": "2",
        "GCONV_PAT": "3",
        "GCONV_PATHS": "4",
        "PYTHONEXECUTABLES": "5",
        "PYTHONPATH": "6",
        "L": "",
        "_": "7",
    }
    told = start(runner, launcher, **dropped, **kept)
    found = dict(line.split("=", 1) for line in told[1:])
    assert {name: found.get(name) for name in kept if name != "_"} == {
        name: value for name, value in kept.items() if name != "_"
    }
    assert not found.keys() & dropped.keys()
    assert start(runner, launcher, code="exit 0", **dropped) == []


def test_arguments_are_passed_on(started: tuple[list[str], Path]) -> None:
    runner, launcher = started
    done = subprocess.run(
        [*runner, launcher, "-c", 'printf "%s\n" "$@"', "name", "", "a b", "\udcff"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"\na b\n\xff\n"


def test_without_an_interpreter(started: tuple[list[str], Path]) -> None:
    runner, launcher = started
    (launcher.parent.parent / "libexec/python").unlink()
    done = subprocess.run([*runner, launcher], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (121, "")
    assert done.stderr == (
        "zipstrap: this tree's interpreter (libexec) cannot be started, or there is no /proc; stopped\n"
    )


def test_a_place_with_a_long_name(tmp_path: Path) -> None:
    if HERE not in MACHINES:
        pytest.skip(f"there is no launcher for {HERE}")
    folder = tmp_path
    while len(os.fsencode(folder)) < 3800:
        folder /= "x" * 200
    (folder / "bin").mkdir(parents=True)
    (folder / "libexec").mkdir()
    shutil.copy("/bin/sh", folder / "libexec/python")
    launcher = folder / "bin/python"
    launcher.write_bytes(make_launcher(HERE, "bin/python", "libexec/python"))
    launcher.chmod(0o755)
    assert start([], launcher)[0] == str(launcher)
