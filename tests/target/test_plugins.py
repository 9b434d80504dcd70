"""Plugins in real interpreters: the loader's copy, and the example with its two plugins."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from zipstrap import plugins as host_plugins
from zipstrap.plugins import vendor

from .interpreters import Target, found, lack
from .trees import PLUGIN_SCENARIOS, run, try_plugins, usual, zipstrap

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/plugins"

NAMES = [
    node.name
    for node in ast.parse(PLUGIN_SCENARIOS.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("try_")
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the package zipstrap_plugins."""
    folder = tmp_path_factory.mktemp("copy")
    vendor(folder)
    return folder


@pytest.fixture(scope="session")
def outcomes() -> dict[str, dict[str, str]]:
    """Keep what the scenarios came to, by target."""
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_scenario(
    target: Target,
    name: str,
    copy: Path,
    outcomes: dict[str, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if target.id not in outcomes:
        outcomes[target.id] = try_plugins(target.executable, copy, tmp_path_factory.mktemp("tried") / "work")
    outcome = outcomes[target.id][name]
    if outcome.startswith("skipped: "):
        pytest.skip(outcome)
    assert outcome == "ok", outcome


def test_the_copy_has_the_same_interface(copy: Path, request: pytest.FixtureRequest) -> None:
    target = usual(found(request.config))
    code = "import json, zipstrap_plugins as p; print(json.dumps([p.__all__, sorted(p.FAULTS)]))"
    done = run([target.executable, "-B", "-c", code], env={"PYTHONPATH": str(copy)})
    names, kinds = json.loads(done.stdout)
    # what the host has besides is about other interpreters, and about the copy
    host = {"PACKAGE", "checked_to_json", "fault_lines", "runtime_of", "vendor"}
    assert {*names} | host == {*host_plugins.__all__}
    assert kinds == sorted(host_plugins.FAULTS)


def test_a_copy_is_replaced_if_it_is_one(tmp_path: Path) -> None:
    first = zipstrap("plugins", "vendor", tmp_path, "--format", "json")
    files = json.loads(first.stdout)["files"]
    assert first.returncode == 0
    assert [Path(file).read_bytes() for file in files] != []
    again = zipstrap("plugins", "vendor", tmp_path)
    assert (again.returncode, "--force" in again.stderr) == (4, True)
    forced = zipstrap("plugins", "vendor", tmp_path, "--force")
    assert (forced.returncode, forced.stdout.count("written: ")) == (0, len(files))
    (tmp_path / "zipstrap_plugins/__init__.py").write_text("mine = 1\n")
    other = zipstrap("plugins", "vendor", tmp_path, "--force")
    assert (other.returncode, "was not made by zipstrap" in other.stderr) == (4, True)


def made(folder: Path) -> Path:
    """Make the example's plugins in *folder*."""
    done = run([sys.executable, EXAMPLE / "make.py", folder])
    assert done.returncode == 0, done.stderr
    return folder


def test_check_is_about_the_named_interpreter(target: Target, tmp_path: Path) -> None:
    plugins = made(tmp_path / "plugins")
    # bytecode of this target, where the other tests' host may be another version
    code = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)"
    source = EXAMPLE / "tk_message/page.py"
    assert run([target.executable, "-c", code, source, tmp_path / "page.pyc"]).returncode == 0
    (plugins / "tk-message.zip").unlink()
    work = tmp_path / "tk"
    shutil.copytree(EXAMPLE / "tk_message", work)
    (work / "page.pyc").write_bytes((tmp_path / "page.pyc").read_bytes())
    (work / "page.py").unlink()
    packed = shutil.make_archive(str(plugins / "tk-message"), "zip", work)
    assert packed.endswith(".zip")

    def kinds(*options: str) -> tuple[int, dict[str, list[str]]]:
        done = zipstrap(
            "plugins", "check", plugins, "--python", target.executable, "--format", "json", *options
        )
        document = json.loads(done.stdout)
        assert document["faults"] == []
        return done.returncode, {
            Path(each["file"]).stem: [fault["kind"] for fault in each["faults"]]
            for each in document["plugins"]
        }

    assert kinds("--api", "1.2") == (0, {"browser-message": [], "tk-message": []})
    assert kinds("--api", "2.0") == (1, {"browser-message": ["api"], "tk-message": ["api"]})


def test_what_would_be_refused_is_listed(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    plugins = made(tmp_path / "plugins")
    python = usual(found(request.config)).executable
    archive = plugins / "browser-message.zip"
    archive.write_bytes(archive.read_bytes() + b"more")
    (plugins / "none.zip").write_bytes(b"")
    done = zipstrap("plugins", "check", plugins, "--python", python)
    assert done.returncode == 1
    assert "REFUSED" in done.stdout
    assert "ZS704 trailing-data: 4 bytes follow the end record" in done.stdout
    assert f"ok {plugins}/tk-message.zip: tk-message 1.0, main:run" in done.stdout
    listed = zipstrap("plugins", "list", plugins, "--python", python)
    assert (listed.returncode, listed.stdout) == (0, done.stdout)
    plugins.chmod(0o777)
    refused = zipstrap("plugins", "check", plugins, "--python", python, "--format", "json")
    assert (refused.returncode, [each["kind"] for each in json.loads(refused.stdout)["faults"]]) == (
        1,
        ["writable"],
    )
    anybody = zipstrap("plugins", "list", plugins, "--python", python, "--any-owner")
    assert "tk-message 1.0" in anybody.stdout
    missing = zipstrap("plugins", "check", tmp_path / "none")
    assert (missing.returncode, "no such folder" in missing.stderr) == (4, True)
    wrong = zipstrap("plugins", "check", plugins, "--api", "new")
    assert (wrong.returncode, "MAJOR.MINOR" in wrong.stderr) == (2, True)


def browser(folder: Path, command: str) -> dict[str, str]:
    """Return an environment whose web browser is *command*, with the address as $1."""
    script = folder / "browser"
    script.write_text(f"#!/bin/sh\n{command}\n")
    script.chmod(0o755)
    return {"BROWSER": str(script), "HOME": str(folder)}


def test_a_plugin_shows_a_message_in_a_browser(target: Target, copy: Path, tmp_path: Path) -> None:
    plugins = made(tmp_path / "plugins")
    (plugins / "tk-message.zip").unlink()
    env = browser(tmp_path, f'cat "${{1#file://}}" > {shlex.quote(str(tmp_path / "seen"))}')
    done = run(
        [target.executable, "-B", EXAMPLE / "app.py", plugins, "<Good> morning"],
        env={**env, "PYTHONPATH": str(copy)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("shown: a page\nbrowser-message: file://")
    page = (tmp_path / "seen").read_text(encoding="utf-8")
    assert '<p id="message">&lt;Good&gt; morning</p>' in page
    assert "<h1>A message in the browser</h1>" in page


def test_a_real_browser_shows_it(request: pytest.FixtureRequest, copy: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium here; the other test has a browser of its own")
    plugins = made(tmp_path / "plugins")
    (plugins / "tk-message.zip").unlink()
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --dump-dom"
    seen = shlex.quote(str(tmp_path / "seen"))
    env = browser(
        tmp_path, f'{chromium} {options} --user-data-dir={tmp_path}/profile "$1" > {seen} 2> {seen}.log'
    )
    done = run(
        [usual(found(request.config)).executable, "-B", EXAMPLE / "app.py", plugins, "Good morning"],
        env={**env, "PYTHONPATH": str(copy)},
    )
    assert (done.returncode, done.stderr) == (0, ""), (tmp_path / "seen.log").read_text()
    assert '<p id="message">Good morning</p>' in (tmp_path / "seen").read_text(encoding="utf-8")


def has_tkinter(target: Target) -> bool:
    return run([target.executable, "-I", "-c", "import tkinter"]).returncode == 0


@contextmanager
def display(config: pytest.Config, folder: Path) -> Iterator[tuple[str, Path]]:
    """Start an X server without a screen; give its name, and the file that is its screen."""
    server = shutil.which("Xvfb")
    if server is None:
        lack(config, "there is no Xvfb to show a window in (Debian: apt install xvfb)")
    reader, writer = os.pipe()
    options = [
        "-displayfd",
        str(writer),
        "-screen",
        "0",
        "400x300x24",
        "-fbdir",
        str(folder),
        "-nolisten",
        "tcp",
    ]
    with (folder / "Xvfb.log").open("wb") as log:
        process = subprocess.Popen([server, *options], pass_fds=[writer], stdout=log, stderr=log)
    os.close(writer)
    try:
        with os.fdopen(reader) as stream:
            number = stream.readline().strip()
        assert number, (folder / "Xvfb.log").read_text()
        yield f":{number}", folder / "Xvfb_screen0"
    finally:
        process.terminate()
        process.wait()


def pixels(screen: Path, color: str) -> int:
    """Return how many pixels of a file in X's form XWD (X11/XWDFile.h) have the *color* ``#rrggbb``."""
    data = screen.read_bytes()
    header = struct.unpack(">25L", data[:100])
    size, _, _, depth, _, height, _, order, *_ = header
    bits, line, colors = header[11], header[12], header[19]
    assert (depth, bits) == (24, 32)
    body = memoryview(data)[size + 12 * colors :][: line * height]
    wanted = int(color[1:], 16)
    words = struct.iter_unpack("<L" if order == 0 else ">L", body)
    return sum(word & 0xFFFFFF == wanted for (word,) in words)


def test_a_plugin_shows_a_message_in_a_window(
    target: Target, copy: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not has_tkinter(target):
        pytest.skip(f"{target.id} has no tkinter")
    plugins = made(tmp_path / "plugins")
    (plugins / "browser-message.zip").unlink()
    with display(request.config, tmp_path) as (name, screen):
        color = "#204a87"
        assert pixels(screen, color) == 0
        process = subprocess.Popen(
            [target.executable, "-B", EXAMPLE / "app.py", plugins, "Good morning", "--pause"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(copy), "DISPLAY": name, "HOME": str(tmp_path)},
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        # what is on the screen while the window is there, but for the letters
        there = pixels(screen, color)
        rest, error = process.communicate("\n", timeout=60)
    assert (first, rest) == ("shown: a window\n", "tk-message: A message in a window, 300x120\n"), error
    assert (process.returncode, error) == (0, "")
    assert 300 * 120 * 3 // 4 < there < 300 * 120


def test_some_interpreter_has_tkinter(request: pytest.FixtureRequest) -> None:
    if not any(has_tkinter(target) for target in found(request.config)):
        lack(request.config, "no interpreter here has tkinter (Debian: apt install python3-tk)")
