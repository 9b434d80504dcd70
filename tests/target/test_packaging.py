"""What ``zipstrap stage`` puts below a DESTDIR, and what ``zipstrap compile`` makes of it where it lies."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from .interpreters import Target, found
from .trees import run, usual, zipstrap

#: Works on what no start has loaded before.
WORKS = (
    "import asyncio, ctypes, email.mime.text, json, sqlite3, sysconfig; print(sysconfig.get_path('stdlib'))"
)


@pytest.fixture(scope="module")
def one(request: pytest.FixtureRequest) -> Target:
    """Give one interpreter, for what does not depend on its version."""
    return usual(found(request.config))


def listing(root: Path, *, times: bool = False) -> dict[str, tuple[object, ...]]:
    """Return all below *root* by path: mode, content or link, and perhaps the time."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        seen[path.relative_to(root).as_posix()] = (status.st_mode, content, times and status.st_mtime_ns)
    return seen


def stage(
    target: Target, destdir: Path, *options: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return zipstrap(
        "stage", target.executable, "--destdir", destdir, "--exclude", "dev", "--format", "json", *options,
        env=env,
    )  # fmt: skip


def staged(target: Target, destdir: Path, *options: str | Path, env: dict[str, str] | None = None) -> None:
    done = stage(target, destdir, *options, env=env)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def interpreter(target: Target, prefix: Path) -> Path:
    return prefix / "bin" / f"python{target.version[0]}.{target.version[1]}"


def works(target: Target, prefix: Path) -> None:
    done = run([interpreter(target, prefix), "-I", "-c", WORKS])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(prefix))


@pytest.mark.parametrize("layout", ["fast", "standard"])
def test_what_was_staged_without_a_manifest_is_verified(
    interpreters: list[Target], layout: str, tmp_path: Path
) -> None:
    one = usual(interpreters)
    staged(one, tmp_path / "D", "--prefix", "/opt/py", "--profile", "minimal", "--layout", layout)
    done = zipstrap("verify", interpreter(one, tmp_path / "D/opt/py"))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def files_with(root: Path, words: Iterable[bytes]) -> list[str]:
    return [
        str(path)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and any(word in path.read_bytes() for word in words)
    ]


def test_what_is_staged_works_and_holds_nothing_of_the_destdir(target: Target, tmp_path: Path) -> None:
    destdir = tmp_path / "where-it-is-packed" / "D"
    staged(target, destdir, "--prefix", "/opt/py", "--file-list", tmp_path / "list")
    assert os.listdir(destdir) == ["opt"]
    assert files_with(destdir, [b"where-it-is-packed", os.fsencode(tmp_path)]) == []
    assert "where-it-is-packed" not in (tmp_path / "list").read_text()
    works(target, destdir / "opt/py")


def test_two_runs_give_the_same_bytes_modes_and_times(one: Target, tmp_path: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": "1700000000"}
    staged(one, tmp_path / "a", "--prefix", "/usr", "--file-list", tmp_path / "a.list", env=env)
    umask = os.umask(0o077)
    try:
        # the folder above hands its group on
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere").chmod(0o2755)
        other = tmp_path / "elsewhere" / "b"
        staged(one, other, "--prefix", "/usr", "--no-cache", "--file-list", tmp_path / "b.list", env=env)
    finally:
        os.umask(umask)
    assert listing(tmp_path / "a", times=True) == listing(other, times=True)
    assert {path.lstat().st_mtime for path in (tmp_path / "a").rglob("*")} == {1700000000.0}
    text = (tmp_path / "a.list").read_text()
    assert text == (tmp_path / "b.list").read_text()
    lines = text.splitlines()
    assert lines[0] == "#mtree"
    seen = listing(tmp_path / "a")
    assert [line.split()[0] for line in lines[1:]] == sorted(f"./{path}" for path in seen if path != "usr")
    for line in lines[1:]:
        path, *words = line.split()
        values = dict(word.split("=", 1) for word in words)
        mode, content, _ = seen[path[2:]]
        assert isinstance(mode, int)
        assert values["mode"] == f"{mode & 0o7777:04o}"
        assert values.get("sha256digest") in (None, content)
        assert values["time"] == "1700000000.0"


def test_the_parts_are_apart_and_the_shared_one_is_the_same_for_another_machine(
    one: Target, tmp_path: Path
) -> None:
    both, other = tmp_path / "both", tmp_path / "other"
    for part in ("indep", "arch"):
        staged(one, both, "--prefix", "/usr", "--part", part, "--file-list", tmp_path / part)
    works(one, both / "usr")
    indep, arch = _entries(tmp_path / "indep"), _entries(tmp_path / "arch")
    shared = indep.keys() & arch.keys()
    assert all("type=dir" in indep[path] for path in shared)
    assert {f"./{path}" for path in listing(both)} == {*indep, *arch, "./usr"}
    # another machine: other extension modules, another account of how the interpreter was built
    machine = _other_machine(one, tmp_path / "machine")
    done = zipstrap(
        "stage", machine, "--destdir", other, "--prefix", "/usr", "--exclude", "dev", "--part", "indep",
        "--format", "json", "--file-list", tmp_path / "other.list",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert (tmp_path / "other.list").read_text() == (tmp_path / "indep").read_text()


def _entries(path: Path) -> dict[str, str]:
    return {line.split()[0]: line for line in path.read_text().splitlines()[1:]}


def _other_machine(target: Target, root: Path) -> Path:
    """Return a copy of *target* that differs in what is the machine's."""
    facts = json.loads(zipstrap("facts", target.executable).stdout)
    prefix, library = Path(facts["prefix"]), Path(facts["library"])
    skip = shutil.ignore_patterns("site-packages", "test", "config-3*", "__pycache__")
    (root / "bin").mkdir(parents=True)
    shutil.copy2(facts["executable"], root / "bin" / Path(facts["executable"]).name)
    copy = root / library.relative_to(prefix)
    shutil.copytree(library, copy, symlinks=True, ignore=skip)
    for path in prefix.glob("lib/libpython*"):
        shutil.copy2(path, root / "lib", follow_symlinks=False)
    for path in copy.glob("lib-dynload/_decimal.*"):
        path.unlink()
    for path in copy.glob("_sysconfigdata_*.py"):
        path.write_text(path.read_text() + "build_time_vars['CC'] = 'another'\n")
    return root / "bin" / Path(facts["executable"]).name


def test_what_is_there_is_kept_and_told_once(one: Target, tmp_path: Path) -> None:
    destdir = tmp_path / "D"
    library = f"usr/lib/python{one.version[0]}.{one.version[1]}"
    (destdir / "usr/bin").mkdir(parents=True)
    (destdir / "usr/bin/other").write_text("of another package")
    staged(one, destdir, "--prefix", "/usr")
    assert (destdir / "usr/bin/other").read_text() == "of another package"
    before = listing(destdir, times=True)
    again = stage(one, destdir, "--prefix", "/usr")
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["there_before"] == sum(each["type"] != "dir" for each in report["files"])
    (destdir / library / "LICENSE.txt").chmod(0o600)
    (destdir / "usr/bin/python3").unlink()
    (destdir / "usr/bin/python3").write_text("")
    shutil.rmtree(destdir / library / "lib-dynload")
    (destdir / library / "lib-dynload").symlink_to("/usr/lib")
    before = listing(destdir)
    done = stage(one, destdir, "--prefix", "/usr")
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.splitlines()[:-1] == [
        f"zipstrap: {destdir / library}/lib-dynload: is a link, where a folder is to be",
        f"{destdir}/usr/bin/python3: is there already, and is another",
        f"{destdir / library}/LICENSE.txt: is there already, and is another",
    ]
    assert listing(destdir) == before


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--prefix", "usr"], 2, "no absolute path"),
        (["--prefix", "/usr/../x"], 2, "no absolute path"),
        (["--prefix", "/opt/$ORIGIN"], 2, "the dynamic loader replaces"),
        (["--prefix", "/usr", "--libdir", "lib32"], 5, "would find nothing in lib32"),
        (["--prefix", "/usr", "--source-only", "--layout", "fast"], 2, "does not go with --layout"),
        (["--prefix", "/usr", "--source-only", "--compress", "deflate"], 2, "does not go with --compress"),
        (["--prefix", "/usr", "--file-list", "/no/such/folder/list"], 4, "no such folder"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_written(
    one: Target, tmp_path: Path, options: list[str], status: int, says: str
) -> None:
    done = stage(one, tmp_path / "D", *options)
    assert done.returncode == status
    assert says in done.stderr
    assert os.listdir(tmp_path) == []


def test_shared_libraries_go_where_libdir_says(one: Target, tmp_path: Path) -> None:
    staged(one, tmp_path / "D", "--prefix", "/usr", "--libdir", "lib/x86_64-linux-gnu")
    assert list((tmp_path / "D/usr/lib").glob("lib*")) == []
    works(one, tmp_path / "D/usr")


def test_sources_alone_boot_and_are_compiled_under_a_program_that_runs(
    target: Target, tmp_path: Path
) -> None:
    destdir, prefix = tmp_path / "D", tmp_path / "D/opt/py"
    staged(target, destdir, "--prefix", "/opt/py", "--source-only", "--manifest")
    assert [str(path) for path in destdir.rglob("*.pyc")] == []
    archive = next((prefix / "lib").glob("python3*.zip"))
    before = archive.read_bytes()
    assert not any(name.endswith(".pyc") for name in _members(prefix))
    copy = tmp_path / "copy"
    shutil.copytree(prefix, copy, symlinks=True)
    # the program has read the archive's directory, imports what it had not, and ends well
    program = (
        "import json, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-I', '-B', '-m', 'zipstrap_compile'], stdout=2)\n"
        "assert not done.returncode\n"
        "import asyncio, decimal, email.mime.text, xml.dom.minidom\n"
        "print(email.__spec__.origin)\n"
    )
    done = run([interpreter(target, copy), "-I", "-B", "-c", program])
    assert done.returncode == 0, done.stderr
    # what was known of the archive at the start is still true, and is what was used
    assert done.stdout == f"{copy}/lib/{archive.name}/email/__init__.py\n"
    done = zipstrap("compile", prefix, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["added"] > 300
    assert report["failures"] == []
    after = archive.read_bytes()
    assert after.startswith(before[: before.index(b"PK\1\2")])
    assert after == (copy / "lib" / archive.name).read_bytes()
    done = zipstrap("verify", prefix)
    assert done.returncode == 0, done.stdout
    works(target, prefix)
    again = zipstrap("compile", interpreter(target, prefix), "--format", "json")
    assert (json.loads(again.stdout)["added"], json.loads(again.stdout)["on_disk"]) == (0, 0)
    assert list(prefix.rglob("*.zipstrap-new")) == []


@pytest.mark.parametrize("name", ["3.8", "3.9"])
def test_a_small_tree_can_compile_itself(name: str, interpreters: list[Target], tmp_path: Path) -> None:
    """A profile that follows imports takes what compiles in place along (fcntl, there)."""
    target = next((each for each in interpreters if each.id == name), None)
    if target is None:
        pytest.skip(f"there is no CPython {name}")
    options = ("--source-only", "--profile", "minimal", "--no-verify", "-q")
    done = zipstrap("stage", target.executable, "--destdir", tmp_path, "--prefix", "/usr", *options)
    assert done.returncode == 0, done.stderr
    compiled = run([tmp_path / f"usr/bin/python{name}", "-I", "-B", "-m", "zipstrap_compile"])
    assert (compiled.returncode, compiled.stderr) == (0, "")
    assert " modules compiled into " in compiled.stdout


def test_bytecode_made_in_place_is_that_of_a_build(one: Target, tmp_path: Path) -> None:
    staged(one, tmp_path / "S", "--prefix", "/p", "--source-only")
    assert zipstrap("compile", tmp_path / "S/p").returncode == 0
    staged(one, tmp_path / "B", "--prefix", "/p", "--layout", "standard")
    ours, built = (
        {
            name: value
            for name, value in _members(tmp_path / each / "p").items()
            if "zipstrap_compile" not in name and "zipstrap_bytecode" not in name
        }
        for each in "SB"
    )
    assert ours == built
    on_disk, as_built = (
        {path: seen for path, seen in listing(tmp_path / each / "p").items() if path.endswith(".pyc")}
        for each in "SB"
    )
    assert on_disk == as_built


def _members(prefix: Path) -> dict[str, str]:
    from zipstrap.archive import read_archive

    with read_archive(next((prefix / "lib").glob("python3*.zip"))) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.names}


@pytest.mark.parametrize("damage", ["cut", "flip", "read-only"])
def test_a_damaged_archive_is_left_alone(one: Target, tmp_path: Path, damage: str) -> None:
    staged(one, tmp_path / "S", "--prefix", "/p", "--source-only")
    archive = next((tmp_path / "S/p/lib").glob("python3*.zip"))
    data = archive.read_bytes()
    if damage == "flip":
        at = data.index(b"PrettyPrinter")  # in pprint, which no start reads
        archive.write_bytes(data[:at] + b"!" + data[at + 1 :])
    elif damage == "cut":
        archive.write_bytes(data[:-1])
    else:
        # a name that cannot be made is what a file system that refuses looks like to root, too
        (tmp_path / "S/p/lib" / f".{archive.name}.zipstrap-new").mkdir()
    before = listing(tmp_path / "S/p/lib")[archive.name]
    done = zipstrap("compile", tmp_path / "S/p")
    assert done.returncode in (3, 4), done.stdout
    assert "what to do" in done.stderr
    assert "Traceback" not in done.stderr
    assert listing(tmp_path / "S/p/lib")[archive.name] == before


def test_a_tree_with_its_bytecode_needs_no_compiling(one: Target, tmp_path: Path) -> None:
    staged(one, tmp_path / "S", "--prefix", "/p", "--no-verify")
    done = zipstrap("compile", tmp_path / "S/p")
    assert done.returncode == 5
    assert "nothing in this archive that could compile it" in done.stderr
