"""The same input gives the same bytes: whoever builds, where, when, how often and in how many processes."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zipstrap as package
import zipstrap.site_hooks as site_hooks

from .interpreters import Target, lack
from .trees import Tree, run, shared_tree, usual, zipstrap

#: What must not matter; another user is in ``as_nobody``.
OTHER_SURROUNDINGS = {
    "PYTHONHASHSEED": "77",
    "PYTHONOPTIMIZE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "TZ": "Pacific/Kiritimati",
    "COLUMNS": "40",
}


@dataclass(frozen=True)
class Second:
    root: Path
    #: of who built it
    uid: int


def as_nobody(folder: Path) -> list[str]:
    """Return what runs a command as the user nobody, who may read all and write to *folder*; [] if we cannot.

    The interpreters may lie in a home that others cannot read, hence the capability.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return []
    prefix = [
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    ]
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    tried = subprocess.run(
        [*prefix, sys.executable, "-c", "import zipstrap.build"], capture_output=True, check=False
    )
    return prefix if tried.returncode == 0 else []


@pytest.fixture(scope="session")
def first(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return shared_tree(target, tmp_path_factory)


@pytest.fixture(scope="session")
def second(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """Build once more, with everything else that is not the input."""
    base = tmp_path_factory.mktemp("other")
    folder = base / "another place, with a longer name \u00e9"
    folder.mkdir()
    prefix = as_nobody(folder)
    command = [
        *(
            "sh",
            "-c",
            'umask 077; cd "$0" && exec "$@"',
            str(folder),
            *prefix,
            sys.executable,
            "-m",
            "zipstrap",
        ),
        *("build", str(target.executable), "-o", "U", "--exclude", "dev"),
        *("--jobs", "3", "--no-cache", "--no-verify", "--format", "json"),
    ]
    env = {**os.environ, **OTHER_SURROUNDINGS, "TMPDIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["from_cache"] == 0
    # what is temporary has gone
    assert [path.name for path in folder.iterdir()] == ["U"]
    yield Second(folder / "U", (folder / "U").stat().st_uid)
    shutil.rmtree(folder)


def contents(root: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Return mode and content of everything below *root*."""
    found: dict[str, tuple[int, bytes | str | None]] = {"": (root.stat().st_mode, None)}
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        what: bytes | str | None = None
        if stat.S_ISLNK(mode):
            what = str(path.readlink())
        elif stat.S_ISREG(mode):
            what = path.read_bytes()
        found[path.relative_to(root).as_posix()] = (mode, what)
    return found


def test_builds_are_byte_for_byte_the_same(first: Tree, second: Second) -> None:
    one, other = contents(first.root), contents(second.root)
    assert sorted(one) == sorted(other)
    assert [path for path in one if one[path] != other[path]] == []


def test_another_user_built_the_second(second: Second, request: pytest.FixtureRequest) -> None:
    if second.uid == os.geteuid():
        lack(request.config, "only root can build as another user, with setpriv and a user nobody")
    assert {path.lstat().st_uid for path in second.root.rglob("*")} == {second.uid}


def test_nothing_of_the_builder_is_inside(first: Tree) -> None:
    traces = [str(first.root).encode(), os.fsencode(Path.cwd()), os.environ["HOME"].encode()]
    prefix = first.target.executable.parent.parent
    if prefix != Path("/usr"):  # Debian's site.py is about this one
        traces.append(f"{prefix}/lib/python3".encode())
    manifest = (first.root / "zipstrap-manifest.json").read_bytes()
    assert [trace for trace in traces if trace in manifest] == []
    with zipfile.ZipFile(first.root / first.manifest.layout.archive) as archive:
        for name in archive.namelist():
            # an interpreter's own record of how it was made names the prefix it was configured with
            if "_sysconfigdata" not in name:
                data = archive.read(name)
                assert [trace for trace in traces if trace in data] == [], name


def test_modes_do_not_come_from_the_umask(first: Tree) -> None:
    # Debian's own files may be 0755 without being programs; nothing else occurs
    modes = {stat.S_IMODE(mode) for mode, _ in contents(first.root).values() if not stat.S_ISLNK(mode)}
    assert modes <= {0o755, 0o644}


def pack(target: Target, archive: Path, **environ: str) -> bytes:
    done = zipstrap("pack", target.executable, "-o", archive, "--profile", "minimal", "-q", env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return archive.read_bytes()


def test_date_of_members_is_the_epoch_that_is_asked_for(
    interpreters: list[Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    target = usual(interpreters)
    default = pack(target, tmp_path / "a.zip")
    dated = pack(target, tmp_path / "b.zip", SOURCE_DATE_EPOCH="1700000000")
    assert default != dated
    assert len(default) == len(dated)
    # in UTC, in steps of two seconds
    for name, expected in (("a.zip", (1980, 1, 1, 0, 0, 0)), ("b.zip", (2023, 11, 14, 22, 13, 20))):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert {member.date_time for member in archive.infolist()} == {expected}
    early = pack(target, tmp_path / "c.zip", SOURCE_DATE_EPOCH="0", TZ="America/New_York")
    assert early == default


def test_epoch_that_is_no_number_is_refused(interpreters: list[Target], tmp_path: Path) -> None:
    target = usual(interpreters)
    env = {"SOURCE_DATE_EPOCH": "yesterday"}
    done = zipstrap("pack", target.executable, "-o", tmp_path / "a.zip", env=env)
    assert done.returncode == 2
    assert "SOURCE_DATE_EPOCH" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_host_of_another_version_packs_the_same(
    interpreters: list[Target], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    hosts = [
        host for host in interpreters if host.version >= (3, 11) and host.version != sys.version_info[:2]
    ]
    if not hosts:
        lack(request.config, "no second CPython 3.11+ here that could run zipstrap")
    target = usual(interpreters)
    expected = pack(target, tmp_path / "expected.zip")
    # the package as a wheel would install it; for this it needs none of its dependencies
    copy = tmp_path / "site"
    shutil.copytree(
        Path(package.__file__).parent, copy / "zipstrap", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        Path(site_hooks.__file__).parent,
        copy / "zipstrap/site_hooks",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for host in {hosts[0].id: hosts[0], hosts[-1].id: hosts[-1]}.values():
        archive = tmp_path / f"{host.id}.zip"
        command = [host.executable, "-B", "-m", "zipstrap", "pack", target.executable, "-o", archive]
        done = run([*command, "--profile", "minimal", "-q"], env={"PYTHONPATH": str(copy)})
        assert (done.returncode, done.stderr) == (0, ""), host.id
        assert archive.read_bytes() == expected, host.id
