"""The importer of the ``fast`` layout against the unpacked library: what can be seen is the same."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from zipstrap.worker import clean_environment

from .exits import CUT_SHORT, SHOWN, UNJUDGED, UNSEEN, VERDICT
from .interpreters import Target, lack
from .probes import KNOWN, PROBES, STORM, Probe
from .trees import Tree, make_tree

#: What differs from run to run in any layout.
_NOISE = (
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "0x"),
    (re.compile(r"\bin \d+\.\d+ ?s(ec)?"), "in 0s"),
    (re.compile(r"\b1[34]\d{13}\b|\bThread-\d+"), "THREAD"),
    (re.compile(r"\b(\w*PoolWorker|Process)-[\d:]+"), "PROCESS"),
)

#: Not imported by name: they do something that is seen, or are programs.
_NOT_IMPORTED = frozenset({"__main__", "antigravity", "this"})


#: a tool that watches, where there can be one
_MONITORED = "import sys\nif hasattr(sys, 'monitoring'): sys.monitoring.use_tool_id(5, 'told')\n"


@dataclass(frozen=True)
class Pair:
    """Two trees of one interpreter, in folders whose names are equally long."""

    base: Path
    fast: Tree
    directory: Tree
    modules: str

    def run(self, tree: Tree, probe: Probe) -> str:
        """Return what *probe* prints and how it ends, with a mark in the place of the tree's root."""
        folder = self.base / f"{tree.root.name}.work" / probe.name
        shutil.rmtree(folder, ignore_errors=True)

        def fill(text: str) -> str:
            library = tree.root / tree.manifest.layout.library
            return text.replace("{library}", str(library)).replace("{tree}", str(tree.root))

        for name, text in {"probe.py": probe.code, "modules.txt": self.modules, **probe.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill(text), encoding="utf-8")
        done = subprocess.run(
            [str(tree.executable), *map(fill, probe.command)],
            cwd=folder,
            env={
                "PATH": os.defpath,
                "HOME": str(folder),
                "LC_ALL": "C.UTF-8",
                "PYTHONHASHSEED": "0",
                "COLUMNS": "80",
                "NO_COLOR": "1",
                **probe.env,
            },
            input=fill(probe.stdin).encode(),
            capture_output=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + b"\n---- stderr\n" + done.stderr + b"\n---- status %d\n" % done.returncode
        text = said.decode("utf-8", "replace").replace(f"{tree.root}.work", "WORK")
        text = text.replace(str(tree.root), "ROOT")
        text = re.sub(rf"/{tree.root.name}\b", "/ROOT", text)
        for noise, mark in _NOISE:
            text = noise.sub(mark, text)
        return "\n".join(sorted(text.splitlines())) if probe.sort else text

    def difference(self, probe: Probe, tree: Tree | None = None) -> str:
        """Return how *probe* differs, empty if it does not."""
        expected, found = self.run(self.directory, probe), self.run(tree or self.fast, probe)
        lines = difflib.unified_diff(
            expected.splitlines(), found.splitlines(), "directory", "fast", lineterm="", n=1
        )
        return "\n".join([f"== {probe.name}", *list(lines)[:30]]) if expected != found else ""

    def copy(self, name: str) -> Tree:
        """Return a copy of the fast tree whose files may be replaced."""
        root = self.base / name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.fast.root, root, symlinks=True, copy_function=os.link)
        return self.fast.at(root)


@pytest.fixture(scope="module")
def pair(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    base = tmp_path_factory.mktemp("importer")
    options = ("--profile", "full", "--exclude", "dev", "--exclude", "static", "--no-verify")
    fast = make_tree(target, base / "fast", "--layout", "fast", *options)
    directory = make_tree(target, base / "dirs", "--layout", "directory", *options)
    modules = "\n".join(_modules(directory.root / directory.manifest.layout.library))
    yield Pair(base, fast, directory, modules)
    shutil.rmtree(base, ignore_errors=True)


def _modules(library: Path) -> Iterator[str]:
    leave = {"test", "tests", "idlelib", "turtledemo", "lib2to3", "__pycache__"}
    for folder, folders, names in os.walk(library):
        folders[:] = sorted(name for name in folders if name.isidentifier() and name not in leave)
        parts = Path(folder).relative_to(library).parts
        for name in sorted(names):
            stem, _, suffix = name.partition(".")
            if suffix == "py" and stem not in _NOT_IMPORTED:
                yield ".".join((*parts, *(() if stem == "__init__" else (stem,)))) or "__future__"


def _probe(name: str) -> Probe:
    return next(probe for probe in PROBES if probe.name == name)


def _is_known(name: str, version: tuple[int, int]) -> bool:
    return name in KNOWN and KNOWN[name][0] <= version <= KNOWN[name][1]


def _differences(pair: Pair, probes: list[Probe], tree: Tree | None = None) -> dict[str, str]:
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda probe: pair.difference(probe, tree), probes)
        return {probe.name: text for probe, text in zip(probes, found, strict=True)}


def test_no_probe_differs(pair: Pair) -> None:
    version = pair.fast.target.version
    probes = [
        probe
        for probe in PROBES
        if probe.since <= version <= probe.until and not _is_known(probe.name, version)
    ]
    assert len(probes) > 200
    assert "\n".join(filter(None, _differences(pair, probes).values())) == ""


def test_known_differences_are_there(pair: Pair) -> None:
    """An entry that no longer holds goes."""
    version = pair.fast.target.version
    probes = [probe for probe in PROBES if _is_known(probe.name, version)]
    equal = [name for name, text in _differences(pair, probes).items() if not text]
    assert equal == []


def test_known_differences_are_of_probes() -> None:
    assert set(KNOWN) <= {probe.name for probe in PROBES}


def test_what_exits_show_is_the_same(pair: Pair) -> None:
    found = _differences(pair, [*SHOWN, *UNSEEN])
    assert "\n".join(filter(None, found.values())) == ""


def test_an_exit_is_cut_short_where_nothing_would_show(pair: Pair) -> None:
    library = pair.fast.root / pair.fast.manifest.layout.library
    prelude = VERDICT.format(library=str(library))
    judged = {}
    for probe in (*SHOWN, *UNSEEN):
        if probe.command == ("probe.py",) and probe.name not in UNJUDGED:
            command = ("probe.py", "child") if "sys.argv[1:]" in probe.code else probe.command
            said = pair.run(pair.fast, replace(probe, code=prelude + probe.code, command=command))
            judged[probe.name] = "cut short: True" in said, "cut short: False" in said
    assert judged == {name: ("unseen" in name, "shows" in name) for name in judged}
    assert len(judged) > 30


def test_what_an_exit_leaves_out(pair: Pair) -> None:
    version = pair.fast.target.version
    for is_cut, before, command in (
        (True, "", ()),
        (True, "import timeit, gc\n", ()),  # the library asks first
        (False, "import gc\n", ()),
        (False, "import sys\nsys.settrace(lambda *_: None)\n", ()),
        (False, "import sys\nsys.setprofile(lambda *_: None)\n", ()),
        (version < (3, 12), _MONITORED, ()),
        (False, "", ("-X", "dev")),
        (False, "", ("-v",)),
        (False, "", ("-W", "default")),
    ):
        probe = Probe("cut-short", before + CUT_SHORT, (*command, "probe.py"))
        usual, found = (pair.run(tree, probe).rpartition(" ")[2] for tree in (pair.directory, pair.fast))
        if version >= (3, 10) or "sys.set" not in before:  # a tracer keeps the object alive before
            assert usual == "-6\n", (before, command)
        assert found == ("0\n" if is_cut else usual), (before, command)


def test_an_import_goes_on_without_what_an_exit_needs(pair: Pair) -> None:
    """What a program has taken away is missed at the first import from the archive, if that comes later."""
    code = "import sys\ndel sys.getallocatedblocks\nimport keyword\nprint(keyword.iskeyword('if'))\n"
    assert pair.difference(Probe("taken-away", code)) == ""
    assert "True" in pair.run(pair.fast, Probe("taken-away", code))


def test_a_script_inside_the_library_reads_no_index(pair: Pair) -> None:
    """CPython's own suite has helpers there that are passed only so many descriptors."""
    copy = pair.copy("inside")
    scripts = [copy.root / copy.manifest.layout.library / "list_descriptors.py", pair.base / "outside.py"]
    for script in scripts:
        script.write_text("import os\nprint(sorted(os.listdir('/proc/self/fd')))\n", encoding="utf-8")
    inside, outside = (copy.run("-I", str(script)) for script in scripts)
    assert (inside.returncode, inside.stderr) == (0, "")
    assert inside.stdout == outside.stdout


def test_a_moved_tree_does_the_same(pair: Pair) -> None:
    copy = pair.copy("been")
    copy.root.rename(pair.base / "gone")
    moved = pair.fast.at(pair.base / "gone")
    names = ("attributes", "uncaught-json", "inspect", "iter-modules", "code-names", "resources")
    found = _differences(pair, [_probe(name) for name in names], moved)
    shutil.rmtree(moved.root)
    assert "\n".join(filter(None, found.values())) == ""


def _storm(pair: Pair, runs: int) -> list[str]:
    probe = Probe("storm", STORM)
    said = [pair.run(pair.fast, probe) for _ in range(runs)]
    return [text for text in said if not text.endswith("---- status 0\n")]


def test_threads_that_import_the_same(pair: Pair) -> None:
    """ZIPSTRAP_TEST_STORM says how many runs; a hundred take minutes."""
    # 3.8 and 3.9 have the weak zipimporter
    usual = 20 if pair.fast.target.version < (3, 10) else 3
    assert _storm(pair, int(os.environ.get("ZIPSTRAP_TEST_STORM", usual))) == []


def _library_archive(tree: Tree) -> Path:
    return tree.root / tree.manifest.layout.library_archive


def _replace(path: Path, data: bytes) -> None:
    """Put a new file in the place of one that has other names, too."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.rename(path)


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "other build", "a folder"])
def test_a_start_without_its_library_ends_with_one_line(pair: Pair, damage: str) -> None:
    tree = pair.copy("harm")
    archive = _library_archive(tree)
    data = archive.read_bytes()
    archive.unlink()
    if damage == "truncated":
        _replace(archive, data[: len(data) // 2])
    elif damage == "empty":
        _replace(archive, b"")
    elif damage == "a folder":
        archive.mkdir()
    elif damage == "other build":
        # everything a little later, as in any archive with one member more
        _replace(archive, data[:100] + b"\0" * 16 + data[100:])
    done = tree.run("-c", "import json, asyncio; print(1)")
    shutil.rmtree(tree.root)
    assert done.returncode == 121, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("zipstrap: ")
    assert str(archive) in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_a_running_program_keeps_its_library(pair: Pair, change: str) -> None:
    tree = pair.copy("held")
    archive = _library_archive(tree)
    code = (
        "import json, sys; print('ready', flush=True); sys.stdin.readline();"
        "import asyncio, xml.dom.minidom, email.mime.text, linecache;"
        "print(asyncio.__name__, linecache.getline(json.__file__, 1)[:4])"
    )
    with subprocess.Popen(
        [str(tree.executable), "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        if change == "replaced":
            _replace(archive, b"something else")
        else:
            archive.unlink()
        output, _ = running.communicate("\n", timeout=60)
    shutil.rmtree(tree.root)
    assert running.returncode == 0
    assert output.startswith(('asyncio r"""', 'asyncio r"'))


@pytest.mark.parametrize("name", ["own.zip", "the archive's"])
def test_archives_of_others_are_read_where_the_library_is_gone(pair: Pair, tmp_path: Path, name: str) -> None:
    """A program that has closed all files, and sees other folders than before, as after a chroot."""
    tree = pair.copy("far")
    archive = tmp_path / (name if name == "own.zip" else Path(tree.manifest.layout.archive).name)
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("of_others.py", "x = 1\n")
    code = (
        "import os, sys, encodings.cp437\n"
        "os.closerange(3, 256)\n"
        f"os.rename({str(tree.root)!r}, {str(tree.root) + '-away'!r})\n"
        f"sys.path[:] = [{str(archive)!r}, {str(tmp_path)!r}]\n"
        "import of_others\n"
        "try:\n    import of_nobody\nexcept ModuleNotFoundError as error:\n    print(of_others.x, error)\n"
    )
    done = tree.run("-c", code)
    shutil.rmtree(f"{tree.root}-away")
    assert (done.returncode, done.stdout) == (0, "1 No module named 'of_nobody'\n"), done.stderr


@pytest.mark.parametrize("change", ["written over", "shifted", "changed in one place"])
def test_a_running_program_runs_nothing_of_an_archive_that_was_written_to(pair: Pair, change: str) -> None:
    tree = pair.copy("overwritten")
    archive = _library_archive(tree)
    data = archive.read_bytes()
    _replace(archive, data)  # not that of the others, which is the same file
    code = (
        "import json, sys; print('ready', flush=True); sys.stdin.readline()\n"
        "try:\n    import asyncio\nexcept ImportError as error:\n    print(error)"
    )
    with subprocess.Popen(
        [str(tree.executable), "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        if change == "changed in one place":
            with zipfile.ZipFile(archive) as members:
                place = members.getinfo("asyncio/__init__.pyc").header_offset
            data = data[:place] + bytes(200) + data[place + 200 :]
        else:
            data = data[64:] + data[:64] if change == "shifted" else bytes(len(data))
        archive.write_bytes(data)
        output, _ = running.communicate("\n", timeout=60)
    shutil.rmtree(tree.root)
    assert running.returncode == 0
    what = (
        "was changed since this start" if "place" in change else "is not the archive of this start any more"
    )
    assert output == f"zipstrap: {archive} {what}\n"


def test_a_start_reads_nothing_but_the_archives(pair: Pair, request: pytest.FixtureRequest) -> None:
    strace = shutil.which("strace")
    if strace is None:
        lack(request.config, "strace is not here to tell which files are opened")
    done = subprocess.run(
        [strace, "-f", "-e", "trace=open,openat", str(pair.fast.executable), "-I", "-c", "pass"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    root = str(pair.fast.root)
    opened = {
        match[1]
        for match in re.finditer(r'"([^"]+)", O_RDONLY[^)]*\) = \d', done.stderr)
        if match[1].startswith(root)
        and os.path.isfile(match[1])
        # Debian has a sitecustomize on disk
        and not re.search(r"\.so|sitecustomize", match[1])
    }
    allowed = {str(path) for path in pair.fast.root.glob("lib*/python3*.zip")}
    assert opened <= allowed
    assert opened


def test_zips_are_added_where_a_pth_file_has_imported_from_the_library(pair: Pair) -> None:
    tree = pair.copy("zips")
    site = tree.root / tree.manifest.layout.site
    (site / "zips").mkdir()
    (site / "early.pth").write_text("import difflib\n")
    with zipfile.ZipFile(site / "zips" / "mine.zip", "w") as archive:
        archive.writestr("from_a_zip.py", "value = 1\n")
    code = "import sys, from_a_zip; assert 'difflib' in sys.modules; print(from_a_zip.value)"
    done = subprocess.run(
        [str(tree.executable), "-c", code],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
