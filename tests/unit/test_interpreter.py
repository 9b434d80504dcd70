"""Facts of an interpreter, as records; and the way from a name to an interpreter, with made-up ones."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import pytest
from zipstrap import interpreter
from zipstrap.errors import FileError, InterpreterError, UnsupportedError, UsageError
from zipstrap.interpreter import (
    NEWEST,
    OLDEST,
    Facts,
    facts_from_json,
    facts_to_json,
    find_interpreter,
    load_facts,
    probe,
    venv_base,
)
from zipstrap.worker import SCHEMA

from .recorded import DATA, FACTS, facts_of

each_record = pytest.mark.parametrize("name", FACTS)


# ---- records ---------------------------------------------------------------------------------------------


@each_record
def test_a_record_is_read_and_written_back(name: str) -> None:
    text = (DATA / "facts" / f"{name}.json").read_text(encoding="utf-8")
    facts = facts_from_json(text, name)
    assert facts_to_json(facts) == text
    assert facts_from_json(facts_to_json(facts), name) == facts


@each_record
def test_a_record_is_of_a_supported_version_and_agrees_with_itself(name: str) -> None:
    facts = facts_of(name)
    assert OLDEST <= facts.feature_version <= NEWEST
    assert facts.build.startswith(facts.version_text)
    assert ("t" in facts.abiflags, "d" in facts.abiflags) == (facts.free_threaded, facts.debug)
    assert facts.cache_tag == "cpython-{}{}".format(*facts.feature_version)
    assert facts.magic.endswith("0d0a")
    assert facts.zlib in ("builtin", None) or facts.path(facts.zlib or "").name.startswith("zlib.")
    assert (facts.zlib == "builtin") == ("zlib" in facts.builtin_modules)


@each_record
def test_a_record_names_no_place_of_somebodys_machine(name: str) -> None:
    facts = facts_of(name)
    allowed = ("/usr", "/opt", "/Library", "C:\\")
    paths = [facts.executable, facts.prefix, facts.library, *facts.search_path, *facts.site_folders]
    assert [path for path in paths if not path.startswith(allowed)] == []


@each_record
def test_paths_are_in_the_targets_notation(name: str) -> None:
    facts = facts_of(name)
    kind = PureWindowsPath if facts.os_name == "nt" else PurePosixPath
    assert isinstance(facts.path(facts.executable), kind)
    assert facts.path(facts.executable).name.startswith("python")


@pytest.mark.parametrize(
    ("changes", "version", "name"),
    [
        ({}, "3.13.0", "CPython 3.13.0"),
        ({"release": "candidate", "serial": 2}, "3.13.0rc2", "CPython 3.13.0rc2"),
        ({"release": "alpha", "serial": 1}, "3.13.0a1", "CPython 3.13.0a1"),
        ({"release": "beta", "serial": 4}, "3.13.0b4", "CPython 3.13.0b4"),
        ({"free_threaded": True}, "3.13.0", "CPython 3.13.0 (free-threaded)"),
        ({"free_threaded": True, "debug": True}, "3.13.0", "CPython 3.13.0 (free-threaded, debug)"),
    ],
)
def test_names(changes: dict[str, Any], version: str, name: str) -> None:
    facts = dataclasses.replace(facts_of("3.13"), **changes)
    assert (facts.version_text, facts.name) == (version, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": (3, 13, 1)},
        {"magic": "00000000"},
        {"abiflags": "d"},
        {"platform": "darwin"},
        {"serial": 1},
    ],
)
def test_bytecode_of_another_build_is_of_another_identity(changes: dict[str, Any]) -> None:
    facts = dataclasses.replace(facts_of("3.13"), release="candidate")
    assert dataclasses.replace(facts, **changes).identity != facts.identity
    assert dataclasses.replace(facts, executable="/elsewhere").identity == facts.identity


def damaged(**changes: Any) -> str:
    return json.dumps({**json.loads(facts_to_json(facts_of("3.13"))), **changes})


def without(name: str) -> str:
    return json.dumps(
        {key: value for key, value in json.loads(facts_to_json(facts_of("3.13"))).items() if key != name}
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", '"text"', "{}", "\x00", b"\xff\xfe\xff", damaged(schema_version=2),
        damaged(schema_version="1"), without("schema_version"), without("magic"), damaged(search_path=None),
        damaged(builtin_modules=7), damaged(version=[3, 13, "0"]), damaged(executable=None),
        damaged(debug="no"),
        damaged(search_path="text"), damaged(bits=True),
    ],
)  # fmt: skip
def test_damaged_facts_are_told_with_their_file(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError, match="not the facts of an interpreter") as caught:
        load_facts(path)
    assert caught.value.problem.file == str(path)
    assert "zipstrap facts" in caught.value.cure


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("search_path", ["/etc/../../x/python313.zip"]),
        ("search_path", ["/usr/lib/python313.zip", "lib/python3.13"]),
        ("search_path", [""]),
        ("search_path", ["/usr/lib\0/python313.zip"]),
        ("library", "/usr/lib/../lib/python3.13"),
        ("library", "lib/python3.13"),
        ("site_folders", ["/usr/lib/./site-packages"]),
        ("prefix", "/usr/"),
        ("prefix", "."),
        ("executable", ""),
        ("executable", "/usr//bin/python"),
        ("executable", "C:\\Python\\python.exe"),
        ("platlibdir", "../lib"),
        ("platlibdir", "/lib"),
        ("platlibdir", ""),
        ("abiflags", "/../../x"),
        ("cache_tag", "../x"),
    ],
)
def test_places_that_lead_elsewhere_are_refused(name: str, value: str | list[str]) -> None:
    with pytest.raises(FileError, match=f"ValueError: {name} ") as caught:
        facts_from_json(damaged(**{name: value}), "facts.json")
    assert caught.value.problem.file == "facts.json"


@pytest.mark.parametrize(
    ("prefix", "accepted"),
    [
        ("C:\\Python313", True),
        ("C:/Python313", True),
        ("\\\\host\\share\\python", True),
        ("C:\\a\\..\\b", False),
        ("C:Python313", False),
        ("\\Python313", False),
        ("/usr", False),
    ],
)
def test_places_are_read_in_the_notation_of_their_system(prefix: str, accepted: bool) -> None:
    record = json.loads(facts_to_json(facts_of("windows")))
    text = json.dumps({**record, "prefix": prefix})
    if accepted:
        assert facts_from_json(text, "x").prefix == prefix
    else:
        with pytest.raises(FileError, match="ValueError: prefix "):
            facts_from_json(text, "x")


def test_what_is_new_in_a_record_does_no_harm() -> None:
    assert facts_from_json(damaged(colour="green"), "x") == facts_of("3.13")


def test_facts_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FileError, match="cannot be read") as caught:
            load_facts(path)
        assert caught.value.problem.file == str(path)


# ---- probing ---------------------------------------------------------------------------------------------


def fake(path: Path, script: str = "true") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def answering(path: Path, **changes: Any) -> Path:
    """Make an interpreter that says of itself what the record of 3.13 says."""
    answer = json.loads(facts_to_json(facts_of("3.13")))
    answer = {**answer, "worker": "probe", "schema": SCHEMA, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    prepared = path.with_suffix(".json")
    prepared.write_text(json.dumps(answer))
    return fake(path, f'cp "{prepared}" "$6"')


def test_the_probe_returns_facts(tmp_path: Path) -> None:
    assert probe(answering(tmp_path / "python")) == facts_of("3.13")


def test_the_places_that_an_interpreter_says_are_normalised(tmp_path: Path) -> None:
    """Otherwise its facts could be written to a file, and not be read back."""
    python = answering(tmp_path / "python", search_path=["/usr/lib/x/../python313.zip", "/usr/lib/"])
    found = probe(python)
    assert found.search_path == ("/usr/lib/python313.zip", "/usr/lib")
    assert facts_from_json(facts_to_json(found), "x") == found


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOMEM, "memory"),
        (errno.EAGAIN, "ulimit -u"),
        (errno.ENOEXEC, "name an executable"),
    ],
)
def test_what_to_do_follows_from_the_systems_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cure: str
) -> None:
    python = fake(tmp_path / "python")

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(InterpreterError, match=re.escape(os.strerror(number))) as caught:
        probe(python)
    assert caught.value.problem.file == str(python)
    assert cure in caught.value.cure


def test_temporary_files_that_cannot_be_made_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(InterpreterError, match="No such file or directory") as caught:
        probe(fake(tmp_path / "python"))
    assert "TMPDIR" in caught.value.cure


SHIM = """set -e
export PYENV_ROOT="/opt/pyenv"
exec "/opt/pyenv/libexec/pyenv" exec "${0##*/}" "$@"
"""
HINT = "Python versions to be found at the same time."


def test_a_shim_of_what_is_not_active_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyenv").mkdir()
    pyenv = fake(tmp_path / "pyenv/pyenv", f'echo "      {HINT}" >&2; exit 127')
    shim = fake(tmp_path / "python3.8", SHIM.replace("/opt/pyenv/libexec/pyenv", str(pyenv)))
    with pytest.raises(InterpreterError, match="a shim of pyenv") as caught:
        probe(shim)
    assert caught.value.problem.file == str(shim)
    assert HINT not in str(caught.value)


def test_an_interpreter_of_the_future_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"CPython 3\.16\.0, newer than zipstrap knows"):
        probe(answering(tmp_path / "python", version=[3, 16, 0]))


@pytest.mark.parametrize("banner", ["Python 2.7.18", "Python 3.3.7", "Python 3.7.16"])
def test_what_is_too_old_for_the_probe_is_asked_for_its_version(tmp_path: Path, banner: str) -> None:
    python = fake(tmp_path / "python", f'test "$1" = -V || exit 2\necho "{banner}" >&2')
    with pytest.raises(InterpreterError, match=f"this is {banner}") as caught:
        probe(python)
    assert caught.value.problem.file == str(python)


@pytest.mark.parametrize(
    "banner", ["Python 3.13.0", "GNU bash, version 5", "", "Python versions to be found at the same time."]
)
def test_a_failure_of_something_else_stays_what_it_is(tmp_path: Path, banner: str) -> None:
    python = fake(tmp_path / "python", f'test "$1" = -V || exit 2\necho "{banner}"')
    with pytest.raises(InterpreterError, match="gave no answer"):
        probe(python)


@pytest.mark.parametrize("kind", ["missing", "folder", "no program", "dangling"])
def test_what_is_no_interpreter(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "python"
    if kind == "folder":
        path.mkdir()
    elif kind == "no program":
        path.write_text("text")
        path.chmod(0o644)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    with pytest.raises(InterpreterError, match=r"no such interpreter|not an executable") as caught:
        probe(path)
    assert caught.value.problem.file == str(path)


# ---- finding ---------------------------------------------------------------------------------------------


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Give the list of what was probed; nothing is run."""
    seen: list[Path] = []

    def record(executable: Path) -> Facts:
        seen.append(executable)
        return dataclasses.replace(facts_of("3.13"), executable=str(executable))

    monkeypatch.setattr(interpreter, "probe", record)
    return seen


@pytest.fixture
def discovered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Give the list of what was looked for, and first where; /opt/found/python is always found."""
    import python_discovery

    seen: list[tuple[str, list[str]]] = []

    def get_interpreter(
        key: str, *, try_first_with: list[str], cache: object, env: object, predicate: Callable[[Any], bool]
    ) -> SimpleNamespace | None:
        assert predicate(SimpleNamespace(implementation="CPython"))
        assert not predicate(SimpleNamespace(implementation="PyPy"))
        seen.append((key, try_first_with))
        if key == "cpython3.9":
            return None
        return SimpleNamespace(system_executable=None, executable="/opt/found/python")

    monkeypatch.setattr(python_discovery, "get_interpreter", get_interpreter)
    return seen


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("3.13", "cpython3.13"),
        ("3.13.0", "cpython3.13.0"),
        ("3.13t", "cpython3.13t"),
        ("python3.13", "cpython3.13"),
        ("cpython3.14", "cpython3.14"),
        ("3.8", "cpython3.8"),
        ("3.15", "cpython3.15"),
        ("3", "cpython3"),
    ],
)
def test_versions_are_looked_for(
    text: str, key: str, probed: list[Path], discovered: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    found = find_interpreter(text, {"PYENV_ROOT": str(tmp_path)})
    assert discovered == [(key, [])]
    assert probed == [Path("/opt/found/python")]
    assert found.notes == ()


@pytest.mark.parametrize("text", ["3.7", "3.16", "3.99", "4.0", "2.7", "3.7.16", "python2.7", "3.99t"])
def test_versions_out_of_range_are_not_looked_for(
    text: str, probed: list[Path], discovered: list[tuple[str, list[str]]]
) -> None:
    with pytest.raises(InterpreterError, match=r"is not supported\n .*CPython 3\.8 to 3\.15"):
        find_interpreter(text, {})
    assert (probed, discovered) == ([], [])


def test_a_version_that_is_nowhere(
    probed: list[Path], discovered: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    with pytest.raises(InterpreterError, match=r"no CPython 3\.9 was found"):
        find_interpreter("3.9", {"PYENV_ROOT": str(tmp_path)})


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (RuntimeError(f"failed to query p with code 24 err: '{os.strerror(errno.EMFILE)}'"), "ulimit -n"),
        (RuntimeError("failed to query p with code 24 err: 'it ended so'"), "name the path"),
        (RuntimeError("something else"), "name the path"),
        (OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "ulimit -u"),
    ],
)
def test_a_search_that_fails_is_told(
    error: Exception, cure: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import python_discovery

    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(python_discovery, "get_interpreter", fail)
    with pytest.raises(InterpreterError, match=re.escape(str(error))) as caught:
        find_interpreter("3.13", {"PYENV_ROOT": str(tmp_path)})
    assert cure in caught.value.cure


def test_an_empty_name_is_refused(probed: list[Path]) -> None:
    with pytest.raises(UsageError, match="is empty"):
        find_interpreter("", {})


@pytest.mark.parametrize("text", ["3.13 ", " 3.13", "3.13.0.1", "v3.13", "3.x", "python", "3.13tt"])
def test_what_is_no_version_is_a_path(
    text: str, probed: list[Path], discovered: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    find_interpreter(text, {"PATH": ""})
    assert (probed, discovered) == ([tmp_path / text], [])


def test_a_file_that_is_called_like_a_version_is_that_file(
    probed: list[Path], discovered: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake(tmp_path / "3.13")
    find_interpreter("3.13", {})
    assert (probed, discovered) == ([tmp_path / "3.13"], [])


def test_a_name_is_looked_for_on_the_path_that_was_given(probed: list[Path], tmp_path: Path) -> None:
    expected = fake(tmp_path / "bin/my-python")
    find_interpreter("my-python", {"PATH": f"/nowhere:{tmp_path}/bin"})
    assert probed == [expected]


def test_a_path_is_not_looked_for(
    probed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake(tmp_path / "bin/my-python")
    find_interpreter("./my-python", {"PATH": f"{tmp_path}/bin"})
    assert probed == [tmp_path / "my-python"]


def test_nothing_is_the_interpreter_that_runs(
    probed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = fake(tmp_path / "bin/python3.13")
    monkeypatch.setattr(sys, "executable", str(running))
    assert find_interpreter(None, {}).facts.executable == str(running)
    assert probed == [running]


@pytest.mark.parametrize(
    ("version", "folders", "expected"),
    [
        ("3.13", ["3.13.0", "3.13.2", "3.13.10", "3.12.1", "3.13t-dev"], ["3.13.10", "3.13.2", "3.13.0"]),
        ("3.13.0", ["3.13.0", "3.13.01", "3.13.10"], ["3.13.0"]),
        ("3.13t", ["3.13.0t", "3.13.0"], ["3.13.0t"]),
        ("3.14", [], []),
    ],
)
def test_pyenvs_versions_newest_first(
    version: str,
    folders: list[str],
    expected: list[str],
    probed: list[Path],
    discovered: list[tuple[str, list[str]]],
    tmp_path: Path,
) -> None:
    for folder in folders:
        feature = ".".join(folder.partition("-")[0].rstrip("t").split(".")[:2])
        fake(tmp_path / "versions" / folder / "bin" / f"python{feature}{'t' if 't' in folder else ''}")
    (tmp_path / "versions" / f"{version}.99").mkdir(parents=True)  # half removed
    for environ in ({"PYENV_ROOT": str(tmp_path)}, {"HOME": str(tmp_path.parent)}):
        find_interpreter(version, environ)
    feature = ".".join(version.rstrip("t").split(".")[:2]) + ("t" if version.endswith("t") else "")
    wanted = [str(tmp_path / "versions" / folder / "bin" / f"python{feature}") for folder in expected]
    # the newest is asked, and is what was looked for unless it says something else
    first = Path(wanted[0]) if wanted else Path("/opt/found/python")
    assert probed[0] == first
    if version.startswith("3.13") and "t" not in version:
        assert (probed[1:], discovered) == ([Path("/opt/found/python")], [(f"cpython{version}", [])])
    else:
        assert [first for _, first in discovered] == [wanted, []]


def test_what_is_not_as_its_folder_says_is_left_to_the_search(
    probed: list[Path], discovered: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    lying = fake(tmp_path / "versions/3.12.1/bin/python3.12")
    assert find_interpreter("3.12", {"PYENV_ROOT": str(tmp_path)}).facts.executable == "/opt/found/python"
    assert (probed, discovered) == ([lying, Path("/opt/found/python")], [("cpython3.12", [str(lying)])])


def test_pyenvs_environments_are_left_to_the_search(
    probed: list[Path], discovered: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    home = fake(tmp_path / "home/python3.13").parent
    executable = fake(tmp_path / "versions/3.13-mine/bin/python3.13")
    (executable.parent.parent / "pyvenv.cfg").write_text(f"home = {home}\n")
    find_interpreter("3.13", {"PYENV_ROOT": str(tmp_path)})
    assert discovered == [("cpython3.13", [str(executable)])]


def test_a_broken_interpreter_of_pyenv_is_left_to_the_search(
    discovered: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    broken = fake(tmp_path / "versions/3.13.0/bin/python3.13", "exit 3")
    with pytest.raises(InterpreterError, match="/opt/found/python"):
        find_interpreter("3.13", {"PYENV_ROOT": str(tmp_path)})
    assert discovered == [("cpython3.13", [str(broken)])]


# ---- virtual environments --------------------------------------------------------------------------------


def venv(folder: Path, home: Path | str | None, *, beside: bool = False, more: str = "") -> Path:
    """Make what looks like a virtual environment, and return its interpreter."""
    executable = folder / "bin/python"
    executable.parent.mkdir(parents=True)
    target = Path(home or "/nowhere") / "python3.13"
    executable.symlink_to(target)
    text = f"include-system-site-packages = false\n{more}"
    if home is not None:
        text += f"home = {home}\n"
    (executable.parent if beside else folder).joinpath("pyvenv.cfg").write_text(text)
    return executable


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Give the interpreter of an installation."""
    return fake(tmp_path / "base/bin/python3.13")


@pytest.mark.parametrize("beside", [False, True])
def test_a_virtual_environment_has_a_base(tmp_path: Path, base: Path, beside: bool) -> None:
    assert venv_base(venv(tmp_path / "venv", base.parent, beside=beside)) == base


@pytest.mark.parametrize(
    "more", ["", "HOME=%s\nversion = 3.13.0\n", "garbage\n= 1\nversion_info = 3.13.0.final.0\n"]
)
def test_copied_executables_are_known_by_the_version(tmp_path: Path, base: Path, more: str) -> None:
    executable = venv(tmp_path / "venv", base.parent, more=more.replace("%s", str(base.parent)))
    executable.unlink()
    fake(executable)
    if "version" in more:
        assert venv_base(executable) == base
    else:
        assert venv_base(executable) is None
        base.with_name("python3").symlink_to(base)
        assert venv_base(executable) == base.with_name("python3")


@pytest.mark.parametrize("home", [None, "/nowhere/at/all"])
def test_a_virtual_environment_without_its_home(tmp_path: Path, home: str | None) -> None:
    assert venv_base(venv(tmp_path / "venv", home)) is None


def test_a_configuration_that_cannot_be_read_is_none(tmp_path: Path, base: Path) -> None:
    executable = venv(tmp_path / "venv", base.parent)
    (tmp_path / "venv/pyvenv.cfg").write_bytes(b"home = \xff\n")
    assert venv_base(executable) is None


def test_an_installation_is_no_virtual_environment(base: Path) -> None:
    assert venv_base(base) is None


def test_the_base_is_taken_and_said(probed: list[Path], tmp_path: Path, base: Path) -> None:
    executable = venv(tmp_path / "venv", base.parent)
    found = find_interpreter(str(executable), {})
    assert probed == [base]
    (note,) = found.notes
    assert str(executable) in note
    assert str(base) in note


def test_a_virtual_environment_of_another_leads_to_the_same_base(
    probed: list[Path], tmp_path: Path, base: Path
) -> None:
    first = venv(tmp_path / "first", base.parent)
    second = venv(tmp_path / "second", first.parent)
    second.unlink()
    second.symlink_to(first)
    found = find_interpreter(str(second), {})
    assert probed == [base]
    assert str(base) in found.notes[-1]


def test_a_virtual_environment_that_is_its_own_home_ends(probed: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    executable = venv(folder, folder / "bin")
    executable.unlink()
    fake(executable)
    find_interpreter(str(executable), {})
    assert probed == [executable]
