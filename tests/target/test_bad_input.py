"""Bad input: one clear error, the right exit status, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from zipstrap import cli
from zipstrap.contents import SourceReader, content_of
from zipstrap.manifest import load_manifest

from .interpreters import Target, find_python2, lack
from .trees import Tree, make_tree, run, usual, zipstrap

Facts = dict[str, Any]

MINIMAL = ("--profile", "minimal", "--no-verify")


@dataclass(frozen=True)
class Place:
    """A folder to build in, whose content and temporary files are looked at."""

    folder: Path
    temporary: Path

    @property
    def env(self) -> dict[str, str]:
        return {"TMPDIR": str(self.temporary)}

    def zipstrap(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return zipstrap(*arguments, cwd=self.folder, env=self.env)

    def names(self) -> list[str]:
        """Return what is there, temporary files among it."""
        return sorted(
            path.relative_to(base).as_posix()
            for base in (self.folder, self.temporary)
            for path in base.rglob("*")
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("place", "tmp"):
        (tmp_path / name).mkdir()
    return Place(tmp_path / "place", tmp_path / "tmp")


@pytest.fixture(scope="session")
def one(interpreters: list[Target]) -> Target:
    return usual(interpreters)


@pytest.fixture(scope="session")
def built(one: Target, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_tree(one, tmp_path_factory.mktemp("made") / "T", *MINIMAL)


@pytest.fixture(scope="session")
def facts(one: Target) -> Facts:
    """Give what ``zipstrap facts`` says."""
    found: Facts = json.loads(zipstrap("facts", one.executable).stdout)
    return found


def refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> str:
    """Assert that *done* failed with one error that says *words* and what to do, and return it."""
    assert done.returncode == status, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("zipstrap: "), done.stderr
    assert lines[-1].startswith("  what to do: "), done.stderr
    assert "Traceback" not in done.stderr
    assert len(re.findall(r"^zipstrap: |^  what to do: ", done.stderr, re.MULTILINE)) == 2
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    return done.stderr


# ---- interpreters: status 3 ------------------------------------------------------------------------------


def script(folder: Path, text: str, name: str = "python3.13") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_no_such_interpreter(place: Place) -> None:
    for name in ("./python3.99", "nowhere/bin/python", "pythn", "3.99", "3.7", "2.7"):
        refused(place.zipstrap("build", name, "-o", "T"), 3, name.removeprefix("./"))
    assert place.names() == []


def test_version_that_is_not_installed(place: Place, interpreters: list[Target]) -> None:
    here = {target.version for target in interpreters}
    absent = next(((3, minor) for minor in range(8, 16) if (3, minor) not in here), None)
    # a patch release that never was, where every version is here
    name = "3.13.99" if absent is None else "{}.{}".format(*absent)
    refused(place.zipstrap("build", name, "-o", "T"), 3, f"no CPython {name}")
    assert place.names() == []


def test_file_that_is_no_program(place: Place) -> None:
    (place.folder / "text").write_text("hello")
    (place.folder / "folder").mkdir()
    for name in ("text", "folder"):
        refused(place.zipstrap("build", f"./{name}", "-o", "T"), 3, "not an executable file", name)
    script(place.folder, "\x7fELF and no more", "broken")
    refused(place.zipstrap("build", "./broken", "-o", "T"), 3, "broken")
    assert place.names() == ["broken", "folder", "text"]


#: Takes the last of the arguments, where the answer of a worker goes; -V is none.
ANSWER = "#!/bin/sh\n[ $# -gt 1 ] || exit 0; for answer; do :; done;"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho 'I am no Python'; echo 'oh no' >&2\n", "gave no answer"),
        ("#!/bin/sh\nexit 3\n", "exit status 3"),
        ("#!/bin/sh\nkill -9 $$\n", "exit status -9"),
        (f"{ANSWER} echo '[1, 2' > \"$answer\"\n", "gave no answer"),
        (f"{ANSWER} printf '\\377\\376\\0' > \"$answer\"\n", "gave no answer"),
        ("#!/no/such/interpreter\n", "cannot be run"),
    ],
)
def test_program_that_is_no_python(place: Place, text: str, said: str) -> None:
    path = script(place.folder, text)
    refused(place.zipstrap("build", path, "-o", "T"), 3, str(path), said)
    assert place.names() == ["python3.13"]


def test_pypy_is_refused_by_name(place: Place, one: Target) -> None:
    # PyPy as far as the probe can see: the answer comes from a CPython that says it is another
    text = f"""#!{one.executable} -IS
import sys
sys.implementation.name = "pypy"
sys.argv = [name for name in sys.argv if not name.startswith("-")][1:]
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""
    if len(str(one.executable)) > 120:
        pytest.skip("the path of the interpreter is too long for a #! line")
    path = script(place.folder, text, "pypy3")
    refused(place.zipstrap("build", path, "-o", "T"), 3, "this is PyPy", str(path))
    assert place.names() == ["pypy3"]


def test_python_2_is_refused_by_version(place: Place, request: pytest.FixtureRequest) -> None:
    python = find_python2()
    if python is None:
        lack(request.config, "no Python 2.7 here")
    refused(place.zipstrap("build", python, "-o", "T"), 3, "2.7", str(python))
    assert place.names() == []


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_python_too_old_is_refused_by_version(
    version: str, place: Place, request: pytest.FixtureRequest
) -> None:
    python2 = find_python2()
    around = (
        [] if python2 is None else [*python2.parent.parent.parent.glob(f"{version}.*/bin/python{version}")]
    )
    if not around:
        lack(request.config, f"no Python {version} here")
    refused(place.zipstrap("build", around[0], "-o", "T"), 3, version, str(around[0]))
    assert place.names() == []


def test_shim_of_an_inactive_version(place: Place) -> None:
    hint = "Python versions to be found at the same time."
    folder = place.folder / "libexec"
    folder.mkdir()
    pyenv = script(folder, f"#!/bin/sh\necho '{hint}' >&2; exit 127\n", "pyenv")
    shim = script(place.folder, f'#!/bin/sh\nexec "{pyenv}" exec "${{0##*/}}" "$@"\n')
    said = refused(place.zipstrap("build", shim, "-o", "T"), 3, "shim of pyenv", str(shim))
    assert hint not in said
    assert place.names() == ["libexec", "libexec/pyenv", "python3.13"]


def test_interpreter_of_a_tree_that_zipstrap_made(place: Place, one: Target, tmp_path: Path) -> None:
    packed = make_tree(one, tmp_path / "packed", *MINIMAL, "--source", "archive", "--no-verify")
    archive = str(packed.root / packed.manifest.layout.archive)
    words = ("boots from an archive", archive, "a tree that zipstrap made", "was made from")
    for verb in ("build", "pack"):
        refused(place.zipstrap(verb, packed.root / "bin/python3", "-o", "T"), 3, *words)
    assert place.names() == []


def test_tree_with_its_sources_is_as_good_as_what_it_was_made_from(place: Place, built: Tree) -> None:
    done = place.zipstrap("build", built.root / "bin/python3", "-o", "T", *MINIMAL, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # what the first one has left out, the second one cannot know of
    of_absent = {"zipstrap_absent.pyc", "zipstrap.boot"}
    first, second = (
        {each.name: each.sha256 for each in load_manifest(root).members if each.name not in of_absent}
        for root in (built.root, place.folder / "T")
    )
    assert first == second


@pytest.mark.parametrize("by_version", [False, True])
def test_too_few_open_files(place: Place, one: Target, by_version: bool) -> None:
    python = "{}.{}".format(*one.version) if by_version else str(one.executable)
    command = ["sh", "-c", 'ulimit -n 8; exec "$@"', "sh", sys.executable, "-m", "zipstrap", "facts", python]
    done = subprocess.run(
        command, env={**os.environ, **place.env}, capture_output=True, text=True, check=False
    )
    refused(done, 3, python, "Too many open files", "ulimit -n")
    assert place.names() == []


def test_interpreter_of_a_venv_is_resolved_and_said(place: Place, built: Tree) -> None:
    venv = place.folder / "venv"
    # the tree's library in the minimal profile has no venv module
    assert run([built.target.executable, "-m", "venv", "--without-pip", venv]).returncode == 0
    done = place.zipstrap("build", "venv/bin/python3", "-o", "T", *MINIMAL, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = place.zipstrap("facts", "venv/bin/python")
    assert done.returncode == 0
    note = f"note: {venv}/bin/python belongs to a virtual environment; its base interpreter "
    assert done.stderr.startswith(note)
    assert json.loads(done.stdout)["executable"] == str(built.target.executable)
    assert (place.folder / "T/zipstrap-manifest.json").read_bytes() == (
        built.root / "zipstrap-manifest.json"
    ).read_bytes()


# ---- facts -----------------------------------------------------------------------------------------------


def test_facts_are_read_back(place: Place, built: Tree) -> None:
    done = place.zipstrap("facts", built.target.executable, "-o", "facts.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = place.zipstrap("build", "--facts", "facts.json", "-o", "T", *MINIMAL, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert (place.folder / "T/zipstrap-manifest.json").read_bytes() == (
        built.root / "zipstrap-manifest.json"
    ).read_bytes()


def test_facts_that_are_none(place: Place, one: Target, facts: Facts) -> None:
    (place.folder / "text").write_text("not JSON")
    (place.folder / "list").write_text("[]")
    (place.folder / "old").write_text(json.dumps({**facts, "schema_version": 99}))
    (place.folder / "short").write_text(json.dumps({**facts, "library": None}))
    gap = {name: value for name, value in facts.items() if name != "magic"}
    (place.folder / "gap").write_text(json.dumps(gap))
    (place.folder / "up").write_text(
        json.dumps({**facts, "prefix": "/", "search_path": ["/etc/../../x/python313.zip"]})
    )
    for name in ("text", "list", "old", "short", "gap", "up"):
        refused(place.zipstrap("pack", "--facts", name, "-o", "a.zip"), 4, name, "zipstrap facts")
    refused(place.zipstrap("pack", "--facts", "absent", "-o", "a.zip"), 4, "absent")
    refused(place.zipstrap("pack", "3.13", "--facts", "old", "-o", "a.zip"), 2, "both")
    refused(place.zipstrap("facts", one.executable, "-o", "no/such/folder"), 4, "no/such")
    assert place.names() == ["gap", "list", "old", "short", "text", "up"]


def test_facts_of_what_is_not_here(place: Place, facts: Facts) -> None:
    for name in ("executable", "library"):
        gone = {**facts, name: f"/nowhere/{name}"}
        (place.folder / name).write_text(json.dumps(gone))
        refused(place.zipstrap("pack", "--facts", name, "-o", "a.zip"), 3, f"/nowhere/{name}")
    framework = {**facts, "platform": "darwin", "framework": "Python"}
    (place.folder / "macos").write_text(json.dumps(framework))
    refused(place.zipstrap("build", "--facts", "macos", "-o", "T"), 5, "zipstrap pack")
    # places in the notation of another system
    (place.folder / "windows").write_text(json.dumps({**facts, "os_name": "nt", "platform": "win32"}))
    refused(place.zipstrap("build", "--facts", "windows", "-o", "T"), 4, "windows", "executable", "absolute")
    assert place.names() == ["executable", "library", "macos", "windows"]


@pytest.fixture
def small(place: Place, facts: Facts) -> Path:
    """Give a library of a few files, outside the place; ``small`` in the place holds facts that name it."""
    library = place.folder.parent / "library/lib/python3.13"
    (library / "encodings").mkdir(parents=True)
    for name in ("os.py", "encodings/__init__.py"):
        (library / name).touch()
    (place.folder / "small").write_text(json.dumps({**facts, "library": str(library)}))
    return library


def test_library_with_links_to_folders_outside(place: Place, small: Path) -> None:
    (small / "rootlink").symlink_to("/")
    (small / "round").symlink_to(".")
    done = place.zipstrap("pack", "--facts", "small", "-o", "a.zip")
    assert done.returncode == 0, done.stderr
    assert "links to folders outside the library are left out: rootlink" in done.stdout + done.stderr
    assert "links of the library that lead in a circle are left out: round" in done.stdout + done.stderr


def test_library_with_names_that_no_archive_can_hold(place: Place, small: Path) -> None:
    (small / os.fsdecode(b"caf\xe9.txt")).touch()
    (small / "back\\slash.txt").touch()
    words = (f"{small}/caf\\udce9.txt", "UTF-8", f"{small}/back\\slash.txt", "rename it")
    refused(place.zipstrap("pack", "--facts", "small", "-o", "a.zip"), 4, *words)
    assert place.names() == ["small"]


# ---- options: status 2 -----------------------------------------------------------------------------------


def test_unknown_names_are_all_said_at_once(place: Place, one: Target) -> None:
    options = ("--profile", "maximal", "--include", "jsn", "--exclude", "asyncioo", "--exclude", "encodings")
    said = refused(place.zipstrap("build", one.executable, "-o", "T", *options), 2)
    for word in ("'maximal'", "standard", "jsn", "'json'", "asyncioo", "'asyncio'", "encodings"):
        assert word in said
    assert place.names() == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--jobs", "0"), "--jobs"),
        (("--jobs", "many"), "many"),
        (("--optimize", "3"), "--optimize"),
        (("--compress", "lzma"), "lzma"),
        (("--source", "tape"), "tape"),
        (("--guard", "explode"), "explode"),
        (("--no-such-option",), "--no-such-option"),
        (("--include", "json", "--exclude", "json"), "both included and excluded"),
        (("-v", "-q"), "not allowed"),
    ],
)
def test_bad_options(place: Place, one: Target, options: tuple[str, ...], word: str) -> None:
    refused(place.zipstrap("build", one.executable, "-o", "T", *options), 2, word)
    assert place.names() == []


def test_bad_configuration_is_named(place: Place, one: Target) -> None:
    config = place.folder / "zipstrap.toml"
    config.write_text('profil = "minimal"\noptimize = "2"\n')
    refused(place.zipstrap("build", one.executable, "-o", "T"), 2, str(config), "'profil'", "optimize is '2'")
    config.write_text("profile = \n")
    refused(place.zipstrap("build", one.executable, "-o", "T"), 2, str(config), "TOML")
    config.write_text('compress = "lzma"\n')
    refused(place.zipstrap("build", one.executable, "-o", "T"), 2, "'lzma'")
    config.unlink()
    done = zipstrap("build", one.executable, "-o", "T", cwd=place.folder, env={"ZIPSTRAP_JOBS": "some"})
    refused(done, 2, "ZIPSTRAP_JOBS")
    assert place.names() == []


# ---- destinations ----------------------------------------------------------------------------------------


def test_destination_that_exists(place: Place, one: Target) -> None:
    (place.folder / "file").write_text("mine")
    (place.folder / "empty").mkdir()
    (place.folder / "link").symlink_to("nowhere")
    for name in ("file", "empty", "link"):
        refused(place.zipstrap("build", one.executable, "-o", name), 4, name, "--force")
    assert place.names() == ["empty", "file", "link"]


def test_force_replaces_only_what_zipstrap_made(place: Place, built: Tree) -> None:
    python = built.target.executable
    full = place.folder / "full"
    full.mkdir()
    (full / "precious").write_text("mine")
    (full / "zipstrap-manifest.json").write_text("{}")
    (place.folder / "file").write_text("mine")
    (place.folder / "link").symlink_to(built.root)
    (place.folder / "dangling").symlink_to("nowhere")
    before = place.names()
    for name in ("full", "file", "link", "dangling"):
        said = refused(place.zipstrap("build", python, "-o", name, "--force"), 4, name)
        assert "not made by zipstrap" in said
    refused(place.zipstrap("pack", python, "-o", "file", "--force"), 4, "not made by zipstrap")
    assert place.names() == before
    assert (built.root / "zipstrap-manifest.json").exists()


def test_force_replaces_a_tree_an_archive_and_an_empty_folder(place: Place, built: Tree) -> None:
    python = built.target.executable
    shutil.copytree(built.root, place.folder / "T", symlinks=True)
    (place.folder / "T/lib/stray").write_text("gone with the next build")
    (place.folder / "E").mkdir()
    for name in ("T", "E"):
        done = place.zipstrap("build", python, "-o", name, "--force", *MINIMAL, "-q")
        assert (done.returncode, done.stderr) == (0, "")
        assert not (place.folder / name / "lib/stray").exists()
        assert (place.folder / name / "bin/python3").exists()
    shutil.copy(built.root / built.manifest.layout.archive, place.folder / "a.zip")
    before = (place.folder / "a.zip").read_bytes()
    done = place.zipstrap("pack", python, "-o", "a.zip", "--profile", "minimal", "-q", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert (place.folder / "a.zip").read_bytes() != before  # the hooks are of a tree only
    assert sorted(path.name for path in place.folder.iterdir()) == ["E", "T", "a.zip"]
    assert list(place.temporary.iterdir()) == []


def test_build_that_fails_leaves_the_old_tree(
    place: Place, built: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = place.folder / "T"
    shutil.copytree(built.root, root, symlinks=True)
    before = place.names()
    read = SourceReader.read

    def vanish(reader: SourceReader, path: str) -> bytes:
        return read(reader, f"{path}.gone" if path.endswith("/argparse.py") else path)

    monkeypatch.setattr(SourceReader, "read", vanish)
    status = cli.main(["build", str(built.target.executable), "-o", str(root), "--force", *MINIMAL])
    said = capsys.readouterr()
    assert (status, said.out) == (4, "")
    assert "argparse.py" in said.err
    assert place.names() == before


def test_missing_parent(place: Place, one: Target) -> None:
    for verb in ("build", "pack"):
        refused(place.zipstrap(verb, one.executable, "-o", "no/such/T"), 4, str(place.folder / "no/such"))
    (place.folder / "file").write_text("")
    refused(place.zipstrap("build", one.executable, "-o", "file/T"), 4, "file")
    assert place.names() == ["file"]


def test_destination_inside_the_library_or_over_it(place: Place, facts: Facts) -> None:
    # a library of no interpreter, so that a failure harms none
    library = place.folder / "prefix/lib/python3.13"
    library.mkdir(parents=True)
    (place.folder / "facts").write_text(json.dumps({**facts, "library": str(library)}))
    (place.folder / "way in").symlink_to(library)
    before = place.names()
    for destination in (library / "T", library, library.parent, place.folder / "prefix", Path("way in/T")):
        for options in ((), ("--force",)):
            done = place.zipstrap("build", "--facts", "facts", "-o", destination, *options)
            refused(done, 2, "lie in each other", str(library))
    refused(place.zipstrap("pack", "--facts", "facts", "-o", library), 2, "lie in each other")
    assert place.names() == before


def test_path_that_no_tree_can_have(place: Place, one: Target) -> None:
    if sys.platform != "linux":
        pytest.skip("these are the habits of glibc and of Linux")
    for name in ("$ORIGIN", "a${LIB}", "$PLATFORMS"):
        (place.folder / name).mkdir()
        refused(place.zipstrap("build", one.executable, "-o", f"{name}/T"), 2, "dynamic loader", name)
    refused(place.zipstrap("build", one.executable, "-o", "new\nline"), 2, "line break", "new\\nline")
    assert len(place.names()) == 3


def test_path_is_taken_as_it_is(place: Place, built: Tree) -> None:
    odd = place.folder / "a b\t$HOME ${x} `id` '\"; c:d=e %s{}\\ \u00e9"
    no_text = place.folder / os.fsdecode(b"latin-\xe9")
    # 3.13.0 itself cannot import an extension module from a path that is no text; a name has up to 255 bytes
    for root, module in ((odd / "-T", "hashlib"), (no_text / ("x" * 255), "reprlib")):
        root.parent.mkdir()
        options = ("--profile", "minimal", "-q")
        done = place.zipstrap("build", built.target.executable, "-o", root, *options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        done = run([root / "bin/python3", "-c", f"import {module}, sys; print(ascii(sys.prefix))"])
        assert (done.stdout, done.stderr) == (f"{str(root)!a}\n", "")
        for verb in ("inspect", "verify"):
            strict = {"PYTHONIOENCODING": "utf-8:strict"}
            done = zipstrap(verb, root, env=strict)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith(str(root).encode("utf-8", "backslashreplace").decode())


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[list[str]]:
    """Yield the prefix of a command that cannot write to *folder*."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield []
        folder.chmod(0o755)
    else:
        # root writes whatever the mode, but not where the kernel mounted read-only
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 125; exec "$@"'
        yield ["unshare", "-m", "sh", "-c", script, str(folder)]


def in_namespace(
    place: Place, command: list[str], arguments: tuple[str | Path, ...], request: pytest.FixtureRequest
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*command, sys.executable, "-m", "zipstrap", *map(str, arguments)],
        cwd=place.temporary,
        env={**os.environ, **place.env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in (125, 1) and ("unshare:" in done.stderr or "mount:" in done.stderr):
        lack(request.config, f"this machine allows no mounts: {done.stderr.strip()}")
    return done


def test_parent_that_is_read_only(place: Place, one: Target, request: pytest.FixtureRequest) -> None:
    for verb in ("build", "pack"):
        with read_only(place.folder) as prefix:
            arguments = (verb, one.executable, "-o", place.folder / "T", "--profile", "minimal")
            refused(in_namespace(place, prefix, arguments, request), 4, str(place.folder))
    assert place.names() == []


# ---- files that fail: status 4 ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["1m", "6m", "12m"])
def test_full_disk(place: Place, one: Target, size: str, request: pytest.FixtureRequest) -> None:
    """Fill the disk at different steps: the archive, the executable, the shared library."""
    # what is on the small disk is looked at inside the namespace, and printed
    script = f"""
mount -t tmpfs -o size={size} none "$0" || exit 125
"$@"; status=$?
ls -A "$0" >&2
exit $status
"""
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    command = [*namespace, "sh", "-c", script, str(place.folder)]
    options = ("-o", place.folder / "T", "--profile", "minimal", "--include", "asyncio", "--no-verify")
    done = in_namespace(place, command, ("build", one.executable, *options), request)
    refused(done, 4, str(place.folder), "No space left on device")
    # the error alone: no line for a file that was left
    assert len(done.stderr.splitlines()) == 2
    assert place.names() == []


def test_full_disk_of_temporary_files(place: Place, one: Target, request: pytest.FixtureRequest) -> None:
    script = (
        'mount -t tmpfs -o size=100k none "$0" || exit 125; "$@"; status=$?; ls -A "$0" >&2; exit $status'
    )
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    command = [*namespace, "sh", "-c", script, str(place.temporary)]
    options = ("-o", place.folder / "T", "--profile", "minimal", "--no-verify", "--no-cache")
    done = subprocess.run(
        [*command, sys.executable, "-m", "zipstrap", "build", str(one.executable), *map(str, options)],
        env={**os.environ, **place.env},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 125 or "unshare:" in done.stderr:
        lack(request.config, f"this machine allows no mounts: {done.stderr.strip()}")
    assert done.returncode in (3, 4), done.stderr
    refused(done, done.returncode)
    assert place.names() == []


def test_limit_of_file_size(place: Place, one: Target) -> None:
    script = 'ulimit -f 500; exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "zipstrap", "build", str(one.executable)]
    done = subprocess.run(
        [*command, "-o", str(place.folder / "T"), *MINIMAL],
        env={**os.environ, **place.env},
        capture_output=True,
        text=True,
        check=False,
    )
    refused(done, 4, "File too large")
    assert place.names() == []


@pytest.fixture
def reader_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes | OSError]], None]:
    """Give ``reader_of({name: outcome})``, which changes what the sources of these names hold."""

    def patch(outcomes: dict[str, bytes | OSError]) -> None:
        def read(path: str) -> bytes:
            outcome = outcomes.get(Path(path).name)
            if outcome is None:
                return content_of(path)
            if isinstance(outcome, OSError):
                raise outcome
            return outcome

        monkeypatch.setattr("zipstrap.contents.content_of", read)

    return patch


def failed(
    place: Place, python: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Build in this process and return the error."""
    monkeypatch.setattr(tempfile, "tempdir", str(place.temporary))
    status = cli.main(["build", str(python), "-o", str(place.folder / "T"), "--profile", "minimal"])
    said = capsys.readouterr()
    assert (status, said.out) == (4, "")
    assert len(re.findall(r"^zipstrap: |^  what to do: ", said.err, re.MULTILINE)) == 2
    assert place.names() == []
    return said.err


def test_file_that_vanishes(
    place: Place,
    one: Target,
    reader_of: Callable[[dict[str, bytes | OSError]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    closed = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    reader_of({"argparse.py": gone, "shlex.py": closed})
    said = failed(place, one.executable, capsys, monkeypatch)
    # both, in one error
    assert "argparse.py: cannot be read (No such file or directory)" in said
    assert "shlex.py: cannot be read (Permission denied)" in said


def test_source_that_does_not_compile(
    place: Place,
    one: Target,
    reader_of: Callable[[dict[str, bytes | OSError]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader_of({"argparse.py": b"import os\n\ndef f(:\n", "shlex.py": b"x = '\xff'\n", "getopt.py": b"\0"})
    said = failed(place, one.executable, capsys, monkeypatch)
    for name, line in (("argparse.py", "line 3"), ("shlex.py", ""), ("getopt.py", "")):
        (found,) = (each for each in said.splitlines() if f"/{name}: does not compile: " in each)
        assert line in found


def test_interrupt(place: Place, one: Target) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", "zipstrap", "build", str(one.executable), "-o", "T", "--no-cache"],
            cwd=place.folder,
            env={**os.environ, **place.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # as a terminal's, so that the workers are all in it
            start_new_session=True,
        )
        while process.poll() is None:
            # a folder may go while it is being listed
            with contextlib.suppress(OSError):
                if any(place.temporary.glob("zipstrap-*/*/results")):
                    break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert err == "zipstrap: interrupted; nothing was left behind\n"
        assert place.names() == []
        # nobody is left in the group
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
