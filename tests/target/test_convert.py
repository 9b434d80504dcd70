"""convert and restore on copies of installations: they boot from the archives, and are as before after."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installations import Installation, copy_installation, differences, link_installation, listing
from .interpreters import Target
from .trees import make_tree, run, usual, zipstrap

QUIET = {"PYTHONDONTWRITEBYTECODE": "1"}

#: prints the loaders of what it imports each time it is told to
PROGRAM = """\
import sys
import threading
print("ready", flush=True)
for names in (("json", "encodings.idna"), ("decimal", "email.message", "encodings.cp437", "logging")):
    sys.stdin.readline()
    modules = [__import__(name, fromlist=["*"]) for name in names]
    print(*sorted({type(module.__spec__.loader).__name__ for module in modules}), flush=True)
"""


class Program:
    """A program that runs while its installation is changed."""

    def __init__(self, executable: Path, *options: str, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [executable, *options, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        assert self._line() == "ready"

    def imports(self) -> str:
        """Let it import more, and return the kinds of loaders."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        return self._process.stdout.readline().strip() or self._process.stderr.read()

    def has_open(self, end: str) -> bool:
        """Tell whether it has a file open whose name ends so."""
        folder = Path(f"/proc/{self._process.pid}/fd")
        return any(os.readlink(link).endswith(end) for link in folder.iterdir())

    def end(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def pristine(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Give a copy of one interpreter, from which each test links its own."""
    return copy_installation(usual(interpreters), tmp_path_factory.mktemp("pristine") / "P")


@pytest.fixture
def here(pristine: Installation, tmp_path: Path) -> Installation:
    """Give an installation to be changed."""
    return link_installation(pristine, tmp_path / "P")


@pytest.fixture
def before(here: Installation) -> dict[str, tuple[object, ...]]:
    """Give what is in it before anything happens."""
    return listing(here.prefix)


def loaders(installation: Installation, *options: str) -> str:
    ask = "import sys, json; print(type(json.__spec__.loader).__name__, json.__file__, sys.prefix)"
    done = run([installation.executable, *options, "-c", ask], env=QUIET)
    assert done.returncode == 0, done.stderr
    loader, file, prefix = done.stdout.split()
    assert Path(prefix) == installation.prefix
    assert Path(file).is_relative_to(installation.lib)
    return loader


def test_each_interpreter_is_converted_and_restored(
    target: Target, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    here = copy_installation(target, tmp_path / "P")
    before = listing(here.prefix)
    environ = {**clean_env, **QUIET}
    old = Program(here.executable, environ=environ)
    refused = zipstrap("convert", here.executable)
    if (here.library / "EXTERNALLY-MANAGED").exists():
        assert refused.returncode == 2
        assert "PEP 668" in refused.stderr
        assert differences(before, listing(here.prefix)) == []
        done = zipstrap("convert", "--force", "--format", "json", here.executable)
    else:
        assert refused.returncode == 0, refused.stdout + refused.stderr
        zipstrap("restore", here.executable)
        done = zipstrap("convert", "--format", "json", here.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["verification"]["passed"]
    assert report["conversion"]["moved"] == []
    assert loaders(here) == loaders(here, "-I", "-S") == "LibraryImporter"
    assert old.imports() == "SourceFileLoader"
    made = run([here.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], env=QUIET)
    assert made.returncode == 0, made.stderr
    ask = "import json, sys; print(type(json.__spec__.loader).__name__, sys.prefix, sys.base_prefix)"
    inside = run([tmp_path / "venv/bin/python", "-c", ask], env=QUIET)
    assert inside.stdout.split() == ["LibraryImporter", str(tmp_path / "venv"), str(here.prefix)]
    used = Program(here.executable, environ=environ)
    assert used.imports() == "LibraryImporter"
    bare = Program(here.executable, "-I", "-S", environ=environ)
    opened = bare.has_open("-library.zip")
    done = zipstrap("restore", here.executable)
    assert done.returncode == 0, done.stderr
    assert differences(before, listing(here.prefix)) == []
    assert loaders(here) == "SourceFileLoader"
    assert old.imports() == "SourceFileLoader"
    assert used.imports() == "LibraryImporter"
    # it goes on with the archive if it has it open, and else with the folder
    assert [bare.imports(), bare.imports()] == ["LibraryImporter" if opened else "SourceFileLoader"] * 2
    for program in (old, used, bare):
        program.end()
    assert differences(before, listing(here.prefix)) == []


@pytest.mark.parametrize(
    "options, loader",
    [
        (("--layout", "standard"), "zipimporter"),
        (("--layout", "standard", "--guard", "report", "--no-clear"), "zipimporter"),
        (("--source", "archive"), "LibraryImporter"),
        (("--source", "none", "--compress", "deflate"), "LibraryImporter"),
        (("--clear",), "LibraryImporter"),
    ],
    ids=lambda options: " ".join(options) if isinstance(options, tuple) else options,
)
def test_each_kind_is_undone(
    options: tuple[str, ...], loader: str, here: Installation, before: dict[str, tuple[object, ...]]
) -> None:
    done = zipstrap("convert", "--format", "json", *options, here.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    moved = json.loads(done.stdout)["conversion"]["moved"]
    assert bool(moved) == ("--no-clear" not in options)
    assert all(not os.path.lexists(here.lib / path) for path in moved)
    assert loaders(here) == loader
    assert (here.library / "json/decoder.py").exists() == ("--clear" in options or "--no-clear" in options)
    verified = zipstrap("verify", here.executable)
    assert verified.returncode == 0, verified.stdout
    assert zipstrap("restore", here.executable).returncode == 0
    assert differences(before, listing(here.prefix)) == []


def test_pip_works_while_it_is_converted(here: Installation, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a_module.py").write_text("here = __file__\n")
    if not (here.library / "site-packages/pip").is_dir():
        pytest.skip("this interpreter has no pip")
    before = listing(here.prefix)
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    made = run([here.executable, "-m", "venv", tmp_path / "venv"], env=QUIET)
    assert made.returncode == 0, made.stderr
    listed = run([tmp_path / "venv/bin/python", "-m", "pip", "list", "--format", "json"], env=QUIET)
    assert "pip" in {item["name"] for item in json.loads(listed.stdout)}, listed.stderr
    own = run([here.executable, "-m", "pip", "--version"], env=QUIET)
    assert own.stdout.startswith("pip "), own.stderr
    assert zipstrap("restore", "-q", here.executable).returncode == 0
    assert differences(before, listing(here.prefix)) == []


def test_what_comes_meanwhile_is_told_and_not_lost(
    here: Installation, before: dict[str, tuple[object, ...]]
) -> None:
    assert zipstrap("convert", "-q", "--clear", "--source", "archive", here.executable).returncode == 0
    (here.library / "json/__pycache__").mkdir(parents=True)
    (here.library / "json/__pycache__/decoder.cpython-399.pyc").write_bytes(b"")
    (here.library / "json/__pycache__/notes.txt").write_text("mine")
    (here.library / "this.py").write_text("theirs")
    done = zipstrap("restore", "--format", "json", here.executable)
    assert done.returncode == 0, done.stderr
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert "json" in notes
    assert "this.py came meanwhile, and is now this.py.zipstrap-kept" in notes
    kept = [path for path in here.library.rglob("*") if path.name in ("notes.txt", "this.py.zipstrap-kept")]
    assert sorted(path.read_text() for path in kept) == ["mine", "theirs"]
    for path in (here.library / "json.zipstrap-kept", here.library / "this.py.zipstrap-kept"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    after = listing(here.prefix)
    # the folder that had come and gone has the time of that
    assert [line.partition(":")[0] for line in differences(before, after)] == [
        here.library.relative_to(here.prefix).as_posix()
    ]


def test_bytecode_that_a_program_wrote_meanwhile_makes_way(
    here: Installation, before: dict[str, tuple[object, ...]], clean_env: dict[str, str]
) -> None:
    old = Program(here.executable, environ=clean_env)
    assert zipstrap("convert", "-q", "--clear", here.executable).returncode == 0
    assert old.imports() == "SourceFileLoader"
    assert (here.library / "json/__pycache__").is_dir()
    (here.library / "json/__pycache__/notes.txt").write_text("mine")
    done = zipstrap("restore", here.executable)
    assert "json/__pycache__ came meanwhile, with bytecode only" in done.stdout
    notes = here.library / "json/__pycache__/notes.txt"
    assert notes.read_text() == "mine"
    old.end()
    notes.unlink()
    changed = {line.partition(":")[0] for line in differences(before, listing(here.prefix))}
    assert {path.rpartition("/")[2] for path in changed} <= {"__pycache__"}


def test_nothing_is_changed_where_it_is_only_asked(
    here: Installation, before: dict[str, tuple[object, ...]]
) -> None:
    done = zipstrap("convert", "--dry-run", "--format", "json", "--source", "archive", here.executable)
    plan = json.loads(done.stdout)
    assert f"{here.library.name}/json" in plan["moved"]
    assert any(
        item["path"].endswith("lib-dynload") or "lib-dynload" in item["path"] for item in plan["stays"]
    )
    assert "this is the plan" in zipstrap("convert", "--dry-run", here.executable).stdout
    asked = zipstrap("convert", "--status", here.executable)
    assert asked.stdout.strip() == f"{here.executable}: not converted"
    done = zipstrap("restore", here.executable)
    assert done.returncode == 0
    assert "there is nothing to restore" in done.stdout
    assert differences(before, listing(here.prefix)) == []


def test_a_second_run_finds_it_converted(here: Installation) -> None:
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    after = listing(here.prefix)
    done = zipstrap("convert", here.executable)
    assert done.returncode == 0
    assert "it is converted already" in done.stdout
    assert zipstrap("convert", "--status", here.executable).stdout.startswith(f"{here.executable}: converted")
    assert differences(after, listing(here.prefix)) == []


def test_two_runs_at_once_come_to_one_result(
    here: Installation, before: dict[str, tuple[object, ...]]
) -> None:
    command = [sys.executable, "-m", "zipstrap", "convert", "--no-verify", "--clear", str(here.executable)]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0, 0], said
    assert sum("it is converted already" in text for text in said) == 2
    assert zipstrap("restore", here.executable).returncode == 0
    assert differences(before, listing(here.prefix)) == []


def test_what_fails_verify_is_put_back(here: Installation) -> None:
    site = here.library / "site-packages"
    (site / "first.pth").write_text("import sys; sys.path.insert(0, '/nowhere')\n")
    before = listing(here.prefix)
    done = zipstrap("convert", "--clear", here.executable)
    assert done.returncode == 1
    assert "ZS304" in done.stdout
    assert "was put back as it was" in done.stderr
    assert differences(before, listing(here.prefix)) == []


def broken_archives(here: Installation) -> Iterator[Path]:
    yield from sorted(here.lib.glob("python3*.zip"))


def test_an_archive_that_is_another_is_not_removed(here: Installation) -> None:
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    library, found = broken_archives(here)
    other = found.read_bytes() + b"x"
    found.unlink()
    found.write_bytes(other)
    done = zipstrap("restore", here.executable)
    assert done.returncode == 4
    assert f"{found}: is not what zipstrap convert put there" in done.stderr
    assert found.read_bytes() == other
    assert library.exists()
    found.unlink()
    assert zipstrap("restore", here.executable).returncode == 0


def test_one_that_somebody_broke_is_restored(
    here: Installation, before: dict[str, tuple[object, ...]]
) -> None:
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    library, _ = broken_archives(here)
    library.unlink()
    started = run([here.executable, "-c", ""])
    assert started.returncode == 121
    assert "zipstrap restore" in started.stderr
    verified = zipstrap("verify", here.executable)
    assert verified.returncode == 4
    assert f"{library}: is missing" in verified.stderr
    assert "zipstrap restore" in verified.stderr
    assert "interrupted" in zipstrap("convert", "--status", here.executable).stdout
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    assert loaders(here) == "LibraryImporter"
    library.unlink()
    assert zipstrap("restore", "-q", here.executable).returncode == 0
    assert differences(before, listing(here.prefix)) == []


def test_other_options_are_carried_out(here: Installation, before: dict[str, tuple[object, ...]]) -> None:
    assert zipstrap("convert", "-q", "--no-verify", here.executable).returncode == 0
    after = listing(here.prefix)
    refused = zipstrap("convert", "--compress", "zstd", here.executable)
    assert refused.returncode == 5, refused.stderr
    other = ("--compress", "deflate", "--clear")
    assert (
        "with other options: it would be" in zipstrap("convert", "--dry-run", *other, here.executable).stdout
    )
    assert differences(after, listing(here.prefix)) == []
    done = zipstrap("convert", "--no-verify", *other, here.executable)
    assert done.returncode == 0, done.stderr
    assert "it was converted with other options; that was undone first" in done.stdout
    assert "converted already" in zipstrap("convert", *other, here.executable).stdout
    assert loaders(here) == "LibraryImporter"
    assert zipstrap("restore", here.executable).returncode == 0
    assert differences(before, listing(here.prefix)) == []


def test_a_store_that_is_gone_is_told(here: Installation, before: dict[str, tuple[object, ...]]) -> None:
    for options, cure in (((), "has all that is in it"), (("--source", "archive"), "in no other place")):
        assert zipstrap("convert", "-q", "--no-verify", *options, here.executable).returncode == 0
        (store,) = here.lib.glob("*-original")
        store.rename(here.prefix / "elsewhere")
        for words in (("convert", "--status"), ("convert",), ("restore",)):
            done = zipstrap(*words, here.executable)
            assert done.returncode == 4
            assert f"beside it is no {store.name}" in done.stderr
            assert cure in done.stderr
        (here.prefix / "elsewhere").rename(store)
        assert zipstrap("restore", here.executable).returncode == 0
        for folder in (here.prefix, here.lib):
            path = folder.relative_to(here.prefix).as_posix()
            if path in before:
                os.utime(folder, ns=(folder.stat().st_atime_ns, int(str(before[path][4]))))
        assert differences(before, listing(here.prefix)) == []


def test_what_is_gone_from_the_store_is_told(here: Installation) -> None:
    assert zipstrap("convert", "-q", "--no-verify", "--source", "archive", here.executable).returncode == 0
    (kept,) = here.lib.glob("*-original/files/*this.py")
    kept.unlink()
    assert (
        "neither in the store nor in their places" in zipstrap("convert", "--status", here.executable).stdout
    )
    done = zipstrap("restore", here.executable)
    assert done.returncode == 4
    assert f"{here.library}/this.py: is gone" in done.stderr
    assert loaders(here) == "SourceFileLoader"
    assert "nothing to restore" in zipstrap("restore", here.executable).stdout


def test_a_journal_that_is_gone_or_not_ours_is_an_error(here: Installation) -> None:
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    (journal,) = here.lib.glob("*-original/journal.json")
    kept = journal.read_text()
    for text, words in (
        (None, "is missing"),
        ("{", "is no journal"),
        (kept.replace('"path": ""', '"path": "../.."'), "is no journal"),
        (kept.replace("python3", "../python3"), "is no journal"),
    ):
        journal.unlink(missing_ok=True)
        if text is not None:
            journal.write_text(text)
        for verb in ("restore", "convert"):
            done = zipstrap(verb, here.executable)
            assert done.returncode == 4, done.stdout + done.stderr
            assert words in done.stderr
    journal.write_text(kept)
    assert zipstrap("restore", here.executable).returncode == 0


def test_what_is_not_to_be_converted_is_refused(
    here: Installation, interpreters: list[Target], tmp_path: Path
) -> None:
    run([here.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], env=QUIET)
    done = zipstrap("convert", tmp_path / "venv/bin/python")
    assert done.returncode == 2
    assert f"this is a virtual environment of {here.executable.parent}" in done.stderr
    tree = make_tree(usual(interpreters), tmp_path / "T", "--profile", "minimal", "--no-verify")
    done = zipstrap("convert", "--force", tree.executable)
    assert done.returncode == 2
    assert "is in a tree that zipstrap made" in done.stderr
    before = listing(here.prefix)
    other = next(iter(here.lib.glob("python3.*"))).name.replace(".", "") + ".zip"
    (here.lib / other).write_bytes(b"PK\x05\x06" + bytes(18))
    done = zipstrap("convert", "--force", here.executable)
    assert done.returncode == 4, done.stderr
    assert "is there already, and zipstrap did not put it there" in done.stderr
    (here.lib / other).unlink()
    assert [line.partition(":")[0] for line in differences(before, listing(here.prefix))] == [here.lib.name]
    done = zipstrap("convert", here.executable.with_name("python9"))
    assert done.returncode == 3


def test_a_start_that_has_read_the_directory_gets_its_module_while_it_is_restored(
    here: Installation, tmp_path: Path
) -> None:
    """An archive that is retired is none for who comes new, and still one for who has read its directory."""
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    _, found = broken_archives(here)
    ask = (
        "import sys, zipimport\n"
        "importer = zipimport.zipimporter(sys.argv[1])\n"
        "with open(sys.argv[1], 'ab') as file: file.write(bytes(1 << 17))\n"
        "assert importer.get_data(sys.argv[1] + '/encodings/__init__.pyc')\n"
        "try: zipimport._read_directory(sys.argv[1])\n"
        "except zipimport.ZipImportError: print('none')\n"
    )
    copy = tmp_path / "copy.zip"
    shutil.copy(found, copy)
    assert run([here.executable, "-c", ask, copy]).stdout == "none\n"
    # so it is while a restore that is killed just then has it in its place
    found.unlink()
    shutil.copy(copy, found)
    assert loaders(here) == "SourceFileLoader"
    assert "interrupted" in zipstrap("convert", "--status", here.executable).stdout
    assert zipstrap("restore", here.executable).returncode == 0
    assert not found.exists()


def test_no_start_fails_while_it_is_converted_and_restored(here: Installation) -> None:
    stop = threading.Event()
    failures: list[str] = []
    starts = 0

    def start() -> None:
        nonlocal starts
        while not stop.is_set():
            done = run([here.executable, "-I", "-c", "import json, decimal, email.message"], env=QUIET)
            starts += 1
            if done.returncode != 0:
                failures.append(done.stderr)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            for verb in (("convert", "--no-verify", "--clear"), ("restore",)):
                assert zipstrap(*verb, here.executable).returncode == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert starts > 6
    assert failures == []


def test_a_read_only_file_system_is_refused(
    here: Installation, before: dict[str, tuple[object, ...]], hidden: object
) -> None:
    command = [sys.executable, "-m", "zipstrap", "convert", str(here.executable)]
    mounted = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    options = ["-m"] if os.geteuid() == 0 else ["-rm"]
    done = run(["unshare", *options, "sh", "-c", mounted, "sh", here.prefix, *command], env=dict(os.environ))
    assert done.returncode == 4, done.stderr
    assert "is on a file system that is mounted read-only" in done.stderr
    assert differences(before, listing(here.prefix)) == []


def test_what_a_restore_was_writing_when_it_was_killed_is_cleared(here: Installation) -> None:
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    _, found = broken_archives(here)
    unfinished = found.with_name(f".{found.name}.zipstrap-new")
    unfinished.write_bytes(b"a part")
    assert zipstrap("convert", "-q", here.executable).returncode == 0
    assert not unfinished.exists()
    assert zipstrap("restore", "-q", here.executable).returncode == 0


def test_a_program_that_has_not_opened_the_archive_gives_way_to_the_folder(
    here: Installation, clean_env: dict[str, str]
) -> None:
    assert zipstrap("convert", "-q", "--no-verify", here.executable).returncode == 0
    ask = (
        "import sys; print('ready', flush=True); sys.stdin.readline(); import json, encodings.idna; "
        "print(type(json.__spec__.loader).__name__, type(encodings.idna.__spec__.loader).__name__)"
    )
    with subprocess.Popen(
        [here.executable, "-I", "-S", "-B", "-c", ask],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_env,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert zipstrap("restore", "-q", here.executable).returncode == 0
        said, _ = process.communicate("\n", timeout=60)
    assert said.split() == ["SourceFileLoader", "SourceFileLoader"]
