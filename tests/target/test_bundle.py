"""``zipstrap bundle`` and ``activate``: people's own code, imported by real interpreters from an archive."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import zipstrap as package
from zipstrap.archive import read_archive
from zipstrap.audit import Verdict
from zipstrap.bundle import make
from zipstrap.bundle.activate import Activation, activate, deactivate
from zipstrap.bundle.make import Bundled, BundleSettings, make_bundle
from zipstrap.bundle.plan import Selecting
from zipstrap.bundle.record import RECORD_NAME
from zipstrap.errors import FileError, UnsupportedError, UsageError
from zipstrap.interpreter import Facts, probe
from zipstrap.start_hooks import Start, start_of

from tests.wheels import install_wheel, make_wheel

from .interpreters import Target
from .trees import Tree, run, shared_tree, usual, zipstrap


@lru_cache
def facts_of(target: Target) -> Facts:
    return probe(target.executable)


@pytest.fixture
def tree(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Give the tree of each interpreter; what lies in its site folder goes again."""
    tree = shared_tree(target, tmp_path_factory)
    folder = tree.root / tree.manifest.layout.site
    before = set(folder.iterdir())
    yield tree
    for path in set(folder.iterdir()) - before:
        path.unlink()


def start(tree: Tree, **environ: str) -> Start:
    return start_of(str(tree.root), lambda what: Path(what), environ)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def bundle(
    target: Target, destination: Path, *what: Path | str, places: tuple[Path, ...] = (), **settings: Any
) -> Bundled:
    return make_bundle(
        [str(each) for each in what],
        destination,
        facts_of(target),
        BundleSettings(**settings),
        places=places,
        environ={"ZIPSTRAP_CACHE_DIR": str(destination.parent / "cache")},
    )


def alter(archive: Path, old: bytes, new: bytes) -> None:
    """Let a stored member of *archive* be *new* instead of *old*, of the same size, with its checksum."""
    data = archive.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) == 1
    data = data.replace(old, new)
    data = data.replace(zlib.crc32(old).to_bytes(4, "little"), zlib.crc32(new).to_bytes(4, "little"))
    archive.write_bytes(data)


def said(tree: Tree, code: str, **environ: str) -> str:
    """Return what *code* prints in a start of the tree; a failure is shown."""
    done = run([tree.executable, "-c", code], cwd=tree.root, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


#: A module, a folder of modules with a namespace package, and a package with data: the three forms.
SINGLE = {"single.py": "def hello():\n    return 'single'\n"}
MANY = {
    "one.py": "import two\nname = 'one and ' + two.name\n",
    "two.py": "name = 'two'\n",
    "space/inner/deep.py": "name = 'deep'\n",
    "space/notes.txt": "a note\n",
}
NESTED = {
    "nested/__init__.py": "from . import sub\n",
    "nested/sub/__init__.py": "",
    "nested/sub/reads.py": (
        "from importlib import resources\n"
        "def text():\n"
        "    if hasattr(resources, 'files'):\n"
        "        return (resources.files('nested') / 'data' / 'a.txt').read_text(encoding='utf-8')\n"
        "    import pkgutil\n"
        "    return pkgutil.get_data('nested', 'data/a.txt').decode('utf-8')\n"
        "def fails():\n"
        "    raise ValueError('here')\n"
    ),
    "nested/data/a.txt": "grüße\n",
    "nested/sub/words.txt": "words\n",
}
USE = """
import sys, traceback
import single, one, space.inner.deep, nested.sub.reads
from importlib import resources
assert single.hello() == "single" and one.name == "one and two" and space.inner.deep.name == "deep"
assert nested.sub.reads.text() == "gr\\xfc\\xdfe\\n"
if hasattr(resources, "files"):
    assert resources.files("nested.sub").joinpath("words.txt").read_text() == "words\\n"
    folders = [each.name for each in resources.files("nested").iterdir() if each.is_dir()]
    assert sorted(folders) == ["data", "sub"], folders
else:
    assert resources.read_text("nested.sub", "words.txt") == "words\\n"
for module in (single, one, space.inner.deep, nested.sub.reads):
    assert type(module.__spec__.loader).__name__.endswith("zipimporter"), module
    assert module.__file__.endswith(".pyc") and module.__spec__.loader.get_source(module.__name__), module
try:
    nested.sub.reads.fails()
except ValueError:
    assert "raise ValueError('here')" in traceback.format_exc(), traceback.format_exc()
print(*[type(sys.modules["nested"].__spec__.loader).__name__])
"""


def test_a_module_a_folder_and_a_package(tree: Tree, target: Target, tmp_path: Path) -> None:
    """Each in a bundle of its own, activated together; the sources are gone when they are imported."""
    for name, files in (("a", SINGLE), ("b", MANY), ("c", NESTED)):
        source = write(tmp_path / name, files)
        what = {"a": source / "single.py", "b": source, "c": source / "nested"}[name]
        made = bundle(target, tmp_path / f"{name}.zip", what, compress="deflate" if name == "c" else "stored")
        assert made.prepared.findings == ()
        with read_archive(made.archive, version=facts_of(target).feature_version) as archive:
            assert archive.names[-1] == RECORD_NAME
        shutil.rmtree(source)
    paths = [tmp_path / f"{name}.zip" for name in "abc"]
    done = zipstrap("activate", *paths, paths[0], "--python", tree.root, "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["entries"] == [str(path) for path in paths]
    assert [each["done"] for each in told["files"]] == ["written"] * 3
    assert said(tree, USE).endswith("zipimporter")
    # and nothing of it is there when it is taken back as the report says
    undo = shlex.split(told["undo"])
    assert undo[:2] == ["zipstrap", "deactivate"]
    assert zipstrap(*undo[1:]).returncode == 0
    assert run([tree.executable, "-c", "import single"]).returncode == 1


def test_nothing_is_compiled_at_a_start(tree: Tree, target: Target, tmp_path: Path) -> None:
    """zipimport takes the bytecode: the sources are not even looked at, and say something else."""
    write(tmp_path / "src", {"mod.py": "value = 'compiled'\n"})
    made = bundle(target, tmp_path / "app.zip", tmp_path / "src/mod.py")
    alter(made.archive, b"value = 'compiled'\n", b"value = 'otherwise'")
    assert said(tree, "import mod; print(mod.value)", PYTHONPATH=str(made.archive)) == "compiled"


@pytest.mark.parametrize("source", [True, False])
def test_levels_and_sources(source: bool, target: Target, tmp_path: Path) -> None:
    text = (
        '"""Doc."""\nasserted = False\ntry:\n    assert False\nexcept AssertionError:\n    asserted = True\n'
    )
    write(tmp_path / "src", {"mod.py": text})
    for optimize in (-1, 0, 1, 2):
        made = bundle(
            target, tmp_path / f"o{optimize}.zip", tmp_path / "src/mod.py", optimize=optimize, source=source
        )
        code = "import mod; print(mod.asserted, mod.__doc__, mod.__spec__.loader.get_source('mod') is None)"
        done = run(
            [target.executable, "-I", "-c", f"import sys; sys.path.append({str(made.archive)!r}); {code}"]
        )
        expected = (optimize < 1, None if optimize == 2 else "Doc.", not source)
        assert done.stdout.strip() == " ".join(map(str, expected)), done.stderr


DISTRIBUTION_USE = """
from importlib import metadata
import json
points = metadata.entry_points()
group = points["demo.plugins"] if isinstance(points, dict) else points.select(group="demo.plugins")
(point,) = group
import demo_app, demo_app.answers
print(json.dumps([
    metadata.version("demo-app"), metadata.version("demo_lib"), point.load()(),
    sorted(str(file) for file in metadata.files("demo_lib")),
    demo_app.answers.__doc__,
]))
"""


def demo_wheels(folder: Path) -> Path:
    make_wheel(
        folder,
        "demo_app",
        {
            "demo_app/__init__.py": "import demo_lib\n\ndef main():\n    return demo_lib.text()\n",
            "demo_app/answers.py": '"""All of them."""\n',
            "demo_app/templates/bad.py": "{{ this is a template }}\n",
        },
        requires=["demo-lib>=2", "nothing-at-all; python_version < '3'", "extra-thing; extra == 'more'"],
        entry_points="[demo.plugins]\nfirst = demo_app:main\n[console_scripts]\ndemo = demo_app:main\n",
    )
    make_wheel(folder, "demo_lib", {"demo_lib/__init__.py": "raise SystemExit\n"}, version="1.9")
    make_wheel(folder, "demo_lib", {"demo_lib/__init__.py": ""}, version="3.0", requires_python=">=3.99")
    make_wheel(folder, "demo_lib", {"demo_lib/__init__.py": ""}, version="2.5", tag="cp37-cp37m-win32")
    make_wheel(
        folder,
        "demo_lib",
        {
            "demo_lib/__init__.py": (
                "import pkgutil\n\n\ndef text():\n"
                "    return pkgutil.get_data('demo_lib', 'text.txt').decode()\n"
            ),
            "demo_lib/text.txt": "from the archive",
        },
        version="2.1",
    )
    return folder


def test_a_distribution_with_what_it_needs(tree: Tree, target: Target, tmp_path: Path) -> None:
    """From wheels, and from where they are installed: the same bytes, with metadata and entry points."""
    wheels = demo_wheels(tmp_path / "wheels")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    made = bundle(target, tmp_path / "one/app.zip", "demo-app", places=(wheels,))
    assert made.record.distributions == {"demo_app": "1.0", "demo_lib": "2.1"}
    assert list(made.not_compiled) == ["demo_app/templates/bad.py"]
    site = tmp_path / "site"
    for name in ("demo_app-1.0", "demo_lib-2.1"):
        install_wheel(wheels / f"{name}-py3-none-any.whl", site)
    again = bundle(target, tmp_path / "two/app.zip", "demo_app", places=(site,), jobs=2)
    assert again.archive.read_bytes() == made.archive.read_bytes()
    assert any("bin/demo_app" in name for name, _ in again.prepared.plan.left_out)
    answer = json.loads(said(tree, DISTRIBUTION_USE, PYTHONPATH=str(made.archive)))
    info = [f"demo_lib-2.1.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")]
    modules = ["demo_lib/__init__.py", "demo_lib/__init__.pyc", "demo_lib/text.txt"]
    assert answer == ["1.0", "2.1", "from the archive", [*info, *modules], "All of them."]


def extension(target: Target) -> Path:
    """Return an extension module of the target that any package could have brought."""
    wanted = ("_queue", "_heapq", "_json", "_lsprof", "_opcode", "_asyncio", "_contextvars", "_hashlib")
    folders = [Path(entry) for entry in facts_of(target).search_path]
    found = [path for name in wanted for folder in folders for path in sorted(folder.glob(f"{name}.*.so"))]
    assert found, "no extension module to take"
    return found[0]


def test_what_cannot_be_in_an_archive_lies_beside_it(tree: Tree, target: Target, tmp_path: Path) -> None:
    native = extension(target)
    stem = native.name.partition(".")[0]
    source = write(
        tmp_path / "src",
        {
            "speedy/__init__.py": f"from . import {stem} as native\n",
            "reader/__init__.py": (
                "import os\n\n\ndef text():\n"
                "    with open(os.path.join(os.path.dirname(__file__), 'a.txt')) as file:\n"
                "        return file.read()\n"
            ),
            "reader/a.txt": "beside",
            "plain.py": "import reader, speedy\n",
        },
    )
    shutil.copy(native, source / "speedy")
    settings = {"selecting": Selecting(on_disk=("reader",))}
    with_finding = bundle(target, tmp_path / "bare.zip", source / "reader")
    (breaks,) = [each for each in with_finding.prepared.findings if each.verdict is Verdict.BREAKS]
    assert (breaks.use.path, breaks.use.line) == (str(source / "reader/__init__.py"), 5)
    # an archive cannot do it, and the report was right
    done = run(
        [target.executable, "-c", "import reader; reader.text()"],
        env={"PYTHONPATH": str(with_finding.archive)},
    )
    assert done.returncode == 1
    assert "NotADirectoryError" in done.stderr
    made = bundle(target, tmp_path / "app.zip", source, **settings)
    assert made.prepared.breaking == ()
    assert set(made.prepared.plan.on_disk) == {"reader", "speedy"}
    assert made.record.modules == ("plain",)
    assert made.record.on_disk == ("reader", "speedy")
    shutil.rmtree(source)
    activation = activate([made.archive], start(tree), "pth", target=str(tree.root))
    assert activation.entries == (str(made.archive), str(made.folder))
    code = "import reader, speedy; print(reader.text(), speedy.native.__file__, reader.__spec__.cached)"
    text, file, cached = said(tree, f"import plain; {code}").split()
    assert text == "beside"
    assert Path(file).parent == tmp_path / "app-disk/speedy"
    # compiled beforehand: the folder is never written to
    assert Path(cached).is_file()
    assert Path(cached).read_bytes()[4:8] == b"\1\0\0\0"
    # verify knows the file, and that it runs nothing
    report = json.loads(zipstrap("verify", tree.root, "--format", "json", "--no-start").stdout)
    assert [each["findings"] for each in report["checks"] if each["code"] == "ZS402"] == [[]]
    assert [each.done for each in deactivate([made.archive], start(tree))] == ["removed"]
    # without its folder it is not activated
    shutil.rmtree(tmp_path / "app-disk")
    with pytest.raises(FileError, match=r"app-disk: what the bundle app\.zip has on disk is not beside it"):
        activate([made.archive], start(tree), "pth", target="T")


def test_extension_modules_in_the_archive(tree: Tree, target: Target, tmp_path: Path) -> None:
    """The archive brings along what loads them, which each way starts that can start anything."""
    native = extension(target)
    stem = native.name.partition(".")[0]
    source = write(tmp_path / "src", {"speedy/__init__.py": f"from . import {stem} as native\n"})
    shutil.copy(native, source / "speedy")
    settings: dict[str, Any] = {"selecting": Selecting(extensions="archive"), "compress": "deflate"}
    made = bundle(target, tmp_path / "app.zip", source, **settings)
    assert made.folder is None
    assert made.record.modules == ("speedy",)
    assert made.record.extension_loader == "zipstrap_extensions"
    assert made.record.suffixes == (native.name.removeprefix(stem),)
    shutil.rmtree(source)
    code = "import speedy; print(speedy.native.__file__)"
    expected = str(tmp_path / "app.zip/speedy" / native.name)
    activate([made.archive], start(tree), "pth", target="T")
    assert said(tree, code) == expected
    report = json.loads(zipstrap("verify", tree.root, "--format", "json", "--no-start").stdout)
    assert [each["findings"] for each in report["checks"] if each["code"] == "ZS402"] == [[]]
    # the line runs nothing when the archive is gone
    made.archive.rename(tmp_path / "gone.zip")
    done = run([tree.executable, "-c", "pass"])
    assert done.returncode == 0
    # from 3.15 on, site says so of each path that is not there
    assert [line for line in done.stderr.splitlines() if "skipping sys.path append" not in line] == []
    (tmp_path / "gone.zip").rename(made.archive)
    assert [each.done for each in deactivate([made.archive], start(tree))] == ["removed"]
    snippet = activate([made.archive], start(tree), "snippet", target="T")
    assert said(tree, snippet.text + code) == expected
    with pytest.raises(UsageError, match="which PYTHONPATH cannot do"):
        activate([made.archive], start(tree), "pythonpath", target="T")
    hook = resources.files("zipstrap.site_hooks").joinpath("zipstrap_activate.py").read_text(encoding="utf-8")
    assert said(tree, f"{hook}\nactivate({str(made.archive)!r})\n{code}") == expected


def two_bundles(target: Target, tmp_path: Path) -> tuple[Bundled, Bundled]:
    first = write(
        tmp_path / "1", {"mine.py": "name = 'first'\n", "json.py": "loads = 'mine'\n", "only.py": ""}
    )
    second = write(tmp_path / "2", {"mine.py": "name = 'second'\n", "part/x.py": ""})
    return (
        bundle(target, tmp_path / "b-first.zip", first),
        bundle(target, tmp_path / "a-second.zip", second),
    )


WINNERS = "import json, mine; print(json.loads == 'mine', mine.name)"


def wins(activation: Activation) -> dict[str, tuple[str, int]]:
    return {each.name: (Path(each.wins).name, len(each.hides)) for each in activation.shadows}


def test_each_way_and_what_wins(tree: Tree, target: Target, tmp_path: Path) -> None:
    """What the report says of order and shadows is what a start does."""
    first, second = two_bundles(target, tmp_path)
    paths = [first.archive, second.archive]
    home = {"PYTHONUSERBASE": str(tmp_path / "user")}

    # a line of the environment, before the library
    environment = activate(paths, start(tree), "pythonpath", target="T")
    line = subprocess.run(
        ["sh", "-c", f'{environment.text}printf %s "$PYTHONPATH"'], capture_output=True, text=True, check=True
    )
    assert said(tree, WINNERS, PYTHONPATH=line.stdout) == "True first"
    assert wins(environment) == {"json": ("b-first.zip", 1), "mine": ("b-first.zip", 1)}

    # code, after it
    snippet = activate(paths, start(tree), "snippet", target="T")
    compile(snippet.text, "snippet", "exec", dont_inherit=True)
    assert said(tree, snippet.text + WINNERS) == "False first"
    assert wins(snippet)["mine"] == ("b-first.zip", 1)
    assert wins(snippet)["json"][0] != "b-first.zip"
    twice = snippet.text + snippet.text + "print(len(sys.path) - len(set(sys.path)))"
    assert said(tree, twice) == "0"

    # a file in the user's folder, which is made; the order is that of the files' names
    user = activate(paths, start(tree, **home), "user-pth", target="T")
    assert all(change.path.is_relative_to(tmp_path / "user") for change in user.changes)
    assert said(tree, WINNERS, **home) == "False second"
    assert wins(user)["mine"] == ("a-second.zip", 1)
    assert any("in the order of their names" in note for note in user.notes)

    # once more, in the site folder: each counts once, and the user's comes first
    site = activate(paths, start(tree, **home), "pth", target="T")
    assert sum("counts once" in note for note in site.notes) == 2
    entries = said(tree, "import sys; print(*sys.path, sep='\\n')", **home).splitlines()
    found = [Path(each.path).name for each in site.path if each.path in entries]
    assert found == [Path(entry).name for entry in entries]
    assert [entries.count(str(path)) for path in paths] == [1, 1]
    again = activate(paths, start(tree, **home), "pth", target="T")
    assert {change.done for change in again.changes} == {"kept"}
    assert {change.done for change in deactivate(paths, start(tree, **home))} == {"removed"}
    assert deactivate(paths, start(tree, **home)) == ()


def test_a_line_of_a_pth_file_of_the_interpreter(tree: Tree, target: Target, tmp_path: Path) -> None:
    first, second = two_bundles(target, tmp_path)
    path = Path(f"{tree.executable}._pth")
    before = f"../{tree.manifest.layout.archive}\n../{tree.manifest.layout.library}\n../lib/none # a note\n"
    if target.version < (3, 11):
        with pytest.raises(UnsupportedError, match=r"reads no \._pth files"):
            activate([first.archive], start(tree), "._pth", target="T")
        return
    with pytest.raises(UsageError, match=r"has no \._pth file"):
        activate([first.archive], start(tree), "._pth", target="T")
    path.write_text(before)
    try:
        done = activate([first.archive, second.archive], start(tree), "._pth", target="T")
        assert [each.done for each in done.changes] == ["written"]
        assert said(tree, WINNERS) == "False first"
        assert [Path(each.path).name for each in done.missing] == ["none"]
        assert activate([first.archive], start(tree), "._pth", target="T").changes[0].done == "kept"
        # the environment and the site folder are not looked at
        for way in ("pythonpath", "pth"):
            with pytest.raises(UsageError, match=r"use --with \._pth"):
                activate([first.archive], start(tree), way, target="T")
        assert len(deactivate([first.archive], start(tree))) == 1
        assert said(tree, "import mine; print(mine.name)") == "second"
        assert len(deactivate([second.archive], start(tree))) == 1
        assert path.read_text() == before
    finally:
        path.unlink()


HOOK = """
import sys
sys.path.insert(0, {hooks!r})
from zipstrap_activate import activate
print(activate({path!r}))
"""


def test_the_api(target: Target, tmp_path: Path) -> None:
    """``zipstrap.activate`` is a file that runs in any target; a bundle for another one is refused."""
    write(tmp_path / "src", {"mine.py": "name = 'mine'\n", "kept/__init__.py": ""})
    made = bundle(target, tmp_path / "app.zip", tmp_path / "src", selecting=Selecting(on_disk=("kept",)))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    source = resources.files("zipstrap.site_hooks").joinpath("zipstrap_activate.py").read_bytes()
    (hooks / "zipstrap_activate.py").write_bytes(source)
    code = HOOK.format(hooks=str(hooks), path=str(made.archive))
    ends = "import mine, kept; print(mine.name, kept.__file__); activate({0!r}); print(sys.path.count({0!r}))"
    done = run([target.executable, "-I", "-S", "-c", code + ends.format(str(made.archive))])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str((str(made.archive), str(made.folder))),
        f"mine {made.folder}/kept/__init__.py",
        "1",
    ]
    with read_archive(made.archive) as archive:
        old = archive.read(RECORD_NAME)
    alter(made.archive, old, old.replace(facts_of(target).magic.encode(), b"0a0a0d0a"))
    done = run([target.executable, "-I", "-S", "-c", code])
    assert done.returncode == 1
    assert "this bundle is for CPython" in done.stderr.splitlines()[-1]
    with pytest.raises(UnsupportedError, match=r"app.zip: this bundle is for CPython .* \(magic 0a0a0d0a\)"):
        activate([made.archive], start_of(str(target.executable), Path, {}), "pth", target="T")


def test_the_same_bytes(interpreters: list[Target], tmp_path: Path) -> None:
    """Whatever the order, the seed and the number of compilers; the time is that of the variable."""
    source = write(tmp_path / "src", {**MANY, **{f"m{number}.py": "x = {'a', 'b'}\n" for number in range(9)}})
    write(tmp_path / "other", SINGLE)
    made = []
    for number, options in enumerate(([source, tmp_path / "other"], [tmp_path / "other", source])):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = [*options, "-o", folder / "app.zip", "--python", usual(interpreters).executable]
        arguments += ["--on-disk", "two", "--compress", "deflate", "--no-cache", "--jobs", number + 1]
        environ = {"PYTHONHASHSEED": str(number + 1), "SOURCE_DATE_EPOCH": "1600000000", "TZ": f"UTC{number}"}
        done = zipstrap("bundle", *arguments, "-q", env=environ)
        assert done.returncode == 0, done.stderr
        files = [folder / "app.zip", *sorted((folder / "app-disk").rglob("*"))]
        names = [path.relative_to(folder).as_posix() for path in files]
        contents = [path.read_bytes() for path in files if path.is_file()]
        made.append((names, contents, {path.stat().st_mtime for path in files[1:]}))
    assert made[0] == made[1]
    assert made[0][2] == {1600000000.0}
    with read_archive(tmp_path / "0/app.zip") as archive:
        assert {member.date_time for member in archive.members} == {(2020, 9, 13, 12, 26, 40)}


@pytest.mark.parametrize("when", ["folder", "archive"])
def test_both_or_neither(
    when: str, interpreters: list[Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes to a destination in the meantime stops it, and nothing of the bundle is there then."""
    source = write(tmp_path / "src", SINGLE)
    destination = tmp_path / "out/app.zip"
    destination.parent.mkdir()
    write_archive_file = make.write_archive_file
    in_the_way = destination if when == "archive" else tmp_path / "out/app-disk"

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        in_the_way.write_text("somebody's")
        return write_archive_file(*arguments, **options)

    monkeypatch.setattr(make, "write_archive_file", meanwhile)
    with pytest.raises(FileError, match=f"{in_the_way.name}: exists already"):
        bundle(usual(interpreters), destination, source, selecting=Selecting(on_disk=("single",)))
    assert [path.name for path in destination.parent.iterdir() if path.name != "cache"] == [in_the_way.name]
    assert in_the_way.read_text() == "somebody's"


def test_the_api_here(interpreters: list[Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "src", {"of_the_host.py": "name = 'mine'\n"})
    made = zipstrap("bundle", tmp_path / "src", "-o", tmp_path / "app.zip", "--python", sys.executable, "-q")
    assert made.returncode == 0, made.stderr
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert package.activate(tmp_path / "app.zip") == (str(tmp_path / "app.zip"),)
    assert sys.path[-1] == str(tmp_path / "app.zip")
    package.activate(tmp_path / "app.zip", first=True)
    assert sys.path.count(str(tmp_path / "app.zip")) == 1
    with pytest.raises(ImportError, match="this is no bundle"):
        package.activate(tmp_path / "none.zip")
    assert usual(interpreters)
