"""What the host does with the hooks, and how the guard finds the tree, without any target."""

from __future__ import annotations

import ast
import dis
import os
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from zipstrap import hooks
from zipstrap.cli import main
from zipstrap.errors import FileError, UnsupportedError, UsageError
from zipstrap.hooks import (
    ForeignHook,
    bake_guard,
    hook_files,
    hook_kind,
    is_written,
    judge_hooks,
    list_hooks,
    zips_files,
)
from zipstrap.start_files import migrated

HOOKS = resources.files("zipstrap.site_hooks")
OURS = HOOKS.joinpath("sitecustomize.py").read_bytes()
GUARD = HOOKS.joinpath("zipstrap_guard.py").read_bytes()


def assigned(source: bytes) -> dict[str, object]:
    """Return the constants that a module assigns at its top level."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


def test_the_host_states_the_status_that_the_guard_exits_with() -> None:
    assert assigned(GUARD) == {"STATUS": hooks.STOP_STATUS}
    digests = assigned(HOOKS.joinpath("boot_digests.py").read_bytes())
    assert digests["STATUS"] == hooks.DIGEST_STATUS
    assert f"_exit({hooks.DIGEST_STATUS})".encode() in HOOKS.joinpath("boot_shim.py").read_bytes()


@pytest.mark.parametrize("action", hooks.GUARD_ACTIONS)
@pytest.mark.parametrize(("zips", "absent"), [(True, False), (False, True)])
def test_baking_changes_the_marked_lines_only(action: str, zips: bool, absent: bool) -> None:
    baked = bake_guard(OURS, action, zips=zips, absent=absent)
    assert assigned(baked) == {"ACTION": action, "ZIPS": zips, "ABSENT": absent}
    before, after = OURS.splitlines(), baked.splitlines()
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    assert all(line.startswith((b"ACTION = ", b"ZIPS = ", b"ABSENT = ")) for line in changed)
    assert bake_guard(baked, "report") == OURS


def test_an_unknown_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="off, report, stop"):
        bake_guard(OURS, "Stop")
    with pytest.raises(UsageError, match="off, report, stop"):
        hook_files((3, 13), guard="")
    with pytest.raises(UsageError, match="sitecustomize, pth, start, off"):
        hook_files((3, 13), guard="off", zips="file")


def test_a_start_file_is_refused_where_nothing_reads_it() -> None:
    with pytest.raises(UnsupportedError, match=r"3\.14 reads no \.start files.*3\.15") as caught:
        hook_files((3, 14), guard="report", zips="start")
    assert caught.value.cure == "use --zips pth"


@pytest.mark.parametrize("option", ["guard", "zips"])
def test_the_command_line_offers_every_choice(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    choices = {"guard": hooks.GUARD_ACTIONS, "zips": hooks.ZIPS_BY}[option]
    assert main(["build", "-o", "tree", f"--{option}", "other"]) == UsageError.exit_status
    told = capsys.readouterr().err.replace("'", "")  # whether or not argparse quotes them
    assert f"(choose from {', '.join(choices)})" in told


@pytest.mark.parametrize("source", [b"", b'ACTION = "off"\n', OURS + OURS])
def test_a_source_without_its_one_line_is_refused(source: bytes) -> None:
    with pytest.raises(FileError, match="ACTION, not one"):
        bake_guard(source, "off")


GUARDED = ["archive/sitecustomize.py", "archive/zipstrap_guard.py", "archive/zipstrap_zips.py"]


def test_what_is_left_out_is_baked_where_something_reads_it() -> None:
    absent = {"leaves out %s: 'why' \\1": ["a", "b.c"]}
    files = {file.name: file.data for file in hook_files((3, 8), guard="report", absent=absent)}
    namespace: dict[str, Any] = {}
    exec(files["zipstrap_absent.py"], namespace)
    assert namespace["LEFT_OUT"] == ("leaves out %s: 'why' \\1", "a b.c")
    assert namespace["text_of"]("b.c") == "leaves out b.c: 'why' \\1"
    assert namespace["text_of"]("b") is None
    assert assigned(files["sitecustomize.py"])["ABSENT"] is True
    for options in ({"guard": "off", "zips": "pth"}, {"guard": "report"}):
        names = [
            file.name for file in hook_files((3, 8), absent={} if len(options) == 1 else absent, **options)
        ]
        assert "zipstrap_absent.py" not in names
    fast = hook_files((3, 8), guard="off", zips="off", importer=True, absent=absent)
    assert "zipstrap_absent.py" in [file.name for file in fast]


@pytest.mark.parametrize(
    ("version", "guard", "zips", "names"),
    [
        ((3, 8), "report", "sitecustomize", GUARDED),
        ((3, 15), "stop", "sitecustomize", GUARDED),
        ((3, 13), "off", "sitecustomize", ["archive/sitecustomize.py", "archive/zipstrap_zips.py"]),
        ((3, 13), "report", "off", ["archive/sitecustomize.py", "archive/zipstrap_guard.py"]),
        ((3, 13), "off", "off", []),
        ((3, 8), "off", "pth", ["archive/zipstrap_zips.py", "site/zipstrap.pth"]),
        ((3, 15), "stop", "pth", [*GUARDED, "site/zipstrap.pth"]),
        ((3, 15), "off", "start", ["archive/zipstrap_zips.py", "site/zipstrap.start"]),
        ((3, 16), "report", "start", [*GUARDED, "site/zipstrap.start"]),
    ],
)
def test_which_files(version: tuple[int, int], guard: str, zips: str, names: list[str]) -> None:
    files = hook_files(version, guard=guard, zips=zips)
    assert [f"{file.place}/{file.name}" for file in files] == names
    for file in files:
        assert file.data
        assert file.reason
        if file.name == "sitecustomize.py":
            constants = assigned(file.data)
            assert (constants["ACTION"], constants["ZIPS"]) == (guard, zips == "sitecustomize")


@pytest.mark.parametrize("version", [(3, 8), (3, 15)])
def test_an_exit_is_cut_short_only_by_the_importer(version: tuple[int, int]) -> None:
    with_importer = [file.name for file in hook_files(version, guard="off", zips="off", importer=True)]
    assert "zipstrap_exit.py" in with_importer
    assert "zipstrap_exit.py" not in [file.name for file in hook_files(version, guard="report")]


def test_the_pth_is_one_import_line() -> None:
    (file,) = (file for file in hook_files((3, 8), guard="off", zips="pth") if file.place == "site")
    (line,) = file.data.decode("ascii").splitlines()
    assert line.startswith("import ")
    compile(line, file.name, "exec")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("zipstrap.pth", "pth"),
        (".hidden.pth", "pth"),
        ("tool.start", "start"),
        ("sitecustomize.py", "sitecustomize"),
        ("sitecustomize.cpython-313-x86_64-linux-gnu.so", "sitecustomize"),
        ("sitecustomize", "sitecustomize"),
        ("usercustomize.pyc", "usercustomize"),
        ("sitecustomize_helpers.py", None),
        ("readme.pth.txt", None),
        ("pth", None),
    ],
)
def test_what_site_takes_a_name_for(name: str, kind: str | None) -> None:
    assert hook_kind(name) == kind


def test_judging() -> None:
    site = Path("/t/site")
    found = {
        site / "zipstrap.pth": b"import x\n",
        site / "other.pth": b"import y\n",
        site / "zipstrap.start": b"changed\n",
        site / "usercustomize": None,
        site / "module.py": b"",
    }
    ours = {"zipstrap.pth": b"import x\n", "zipstrap.start": b"a:b\n"}
    assert judge_hooks(found, ours) == (
        ForeignHook(site / "other.pth", "pth", "is not from zipstrap"),
        ForeignHook(site / "usercustomize", "usercustomize", "is not from zipstrap"),
        ForeignHook(site / "zipstrap.start", "start", "is no longer as zipstrap installed it"),
    )
    assert judge_hooks({}, ours) == ()


def test_listing(tmp_path: Path) -> None:
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "file"
    for folder in (first, second):
        folder.mkdir()
    file.touch()
    (first / "a.pth").write_bytes(b"import a\n")
    (first / "module.py").touch()
    (first / "usercustomize").mkdir()
    (second / "sitecustomize.py").symlink_to("nowhere")
    os.mkfifo(second / "pipe.pth")  # to open it would block
    assert list_hooks([first, second, tmp_path / "absent", file]) == {
        first / "a.pth": b"import a\n",
        first / "usercustomize": None,
        second / "pipe.pth": None,
        second / "sitecustomize.py": None,
    }
    foreign = judge_hooks(list_hooks([first, second]), {"a.pth": b"import a\n"})
    assert [hook.path.name for hook in foreign] == ["usercustomize", "pipe.pth", "sitecustomize.py"]


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FileError, match="Permission denied"):
        list_hooks([tmp_path])


Finder = Callable[..., str | None]


@pytest.fixture
def find_tree() -> Finder:
    """Give ``tree_of_executable`` with a made-up interpreter: *running* is where /proc/self/exe leads."""
    body: list[ast.stmt] = [node for node in ast.parse(GUARD).body if isinstance(node, ast.FunctionDef)]
    code = compile(ast.Module(body, []), "zipstrap_guard.py", "exec")

    def find(running: Path | None, prefix: Path, executable: Path | str, **more: object) -> str | None:
        def readlink(path: str) -> str:
            if running is None:
                raise FileNotFoundError(path)
            return str(running)

        names: dict[str, object] = {
            "os": SimpleNamespace(readlink=readlink, path=os.path, stat=os.stat),
            "sys": SimpleNamespace(
                base_prefix=str(prefix),
                executable=str(executable),
                **{"version_info": (3, 13, 0), "abiflags": "", **more},
            ),
        }
        exec(code, names)
        tree = names["tree_of_executable"]
        assert callable(tree)
        answer: str | None = tree()
        return answer

    return find


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Give two folders that hold an executable each."""
    base = tmp_path.resolve()
    for name in "ab":
        (base / name / "bin").mkdir(parents=True)
        (base / name / "bin" / "python").touch()
    return base / "a", base / "b"


def test_the_tree_of_the_running_executable(find_tree: Finder, two: tuple[Path, Path]) -> None:
    a, b = two
    assert find_tree(a / "bin/python", a, a / "bin/python") == str(a)
    # its prefix is elsewhere, or spelled otherwise
    assert find_tree(a / "bin/python", b, a / "bin/python") == str(a)
    (b / "link").symlink_to(a)
    assert find_tree(a / "bin/python", b / "link", b / "link/bin/python") == str(a)


def test_the_tree_without_proc(find_tree: Finder, two: tuple[Path, Path]) -> None:
    a, b = two
    (b / "bin/py").symlink_to(a / "bin/python")
    assert find_tree(None, b, b / "bin/py") == str(a)


def test_a_copy_is_of_the_generation_of_its_own_version(find_tree: Finder, tmp_path: Path) -> None:
    generations = tmp_path.resolve() / "P/lib/zipstrap/generations"
    home = tmp_path.resolve() / "P/bin"
    home.mkdir(parents=True)
    for number, name in ((1, "python3.13"), (2, "python3.12")):
        (generations / f"{number}/libexec").mkdir(parents=True)
        (generations / f"{number}/libexec/{name}").touch()
        (home / name).symlink_to(generations / f"{number}/libexec/{name}")
    (home / "python").symlink_to("python3.12")
    copy = tmp_path.resolve() / "E/bin/python"
    copy.parent.mkdir(parents=True)
    copy.touch()
    own = generations / "1"
    for more in ({"_base_executable": str(home / "python")}, {"_home": str(home)}):
        assert find_tree(copy, own, copy, **more) == str(own)
    # its library is another version's
    assert find_tree(copy, tmp_path / "other", copy, _home=str(home)) == str(own)


def test_no_tree_when_embedded_or_swapped(find_tree: Finder, two: tuple[Path, Path]) -> None:
    a, b = two
    assert find_tree(b / "bin/app", a, "") is None
    assert find_tree(b / "bin/app", a, a / "bin/python") is None
    assert find_tree(None, a, "") is None


def test_the_tree_of_a_copy_in_a_venv(find_tree: Finder, two: tuple[Path, Path]) -> None:
    tree, venv = two
    copy = venv / "bin/python"
    # from 3.11 the base executable is known; up to 3.10 only the folder in pyvenv.cfg is
    more = {"version_info": (3, 13), "abiflags": ""}
    for base, home in ((tree / "bin/python", None), (copy, str(tree / "bin"))):
        for prefix in (tree, Path("/elsewhere")):
            assert find_tree(copy, prefix, copy, _base_executable=str(base), _home=home, **more) == str(tree)


def test_what_the_verb_hooks_writes_is_known_by_name_and_content() -> None:
    for kind in ("pth", "start", "sitecustomize"):
        for name, data in zips_files(kind).items():
            assert is_written(name, data)
            assert not is_written(name, data + b"#")
    start = migrated("a.pth")["a.start"]
    assert is_written("a.start", start)
    assert not is_written("b.start", start)


def test_the_tree_of_a_copy_of_a_generations_executable(find_tree: Finder, two: tuple[Path, Path]) -> None:
    prefix, venv = two
    generations = prefix / "lib/zipstrap/generations"
    for number in "12":
        (generations / number / "libexec").mkdir(parents=True)
        (generations / number / "libexec/python3.13").touch()
    (prefix / "bin/python3.13").symlink_to("../lib/zipstrap/generations/2/libexec/python3.13")
    copy = venv / "bin/python"
    home = str(prefix / "bin")
    more = {"version_info": (3, 13), "abiflags": "", "_base_executable": str(copy), "_home": home}
    # the link may have been swapped since the start
    for number in "12":
        assert find_tree(copy, generations / number, copy, **more) == str(generations / number)
    assert find_tree(copy, Path("/elsewhere"), copy, **more) == str(generations / "2")


def test_what_looks_at_an_exit_has_all_that_it_names() -> None:
    """Whatever it lacks would end it without a word."""
    source = HOOKS.joinpath("zipstrap_exit.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    # without what stands in for what it is given
    tree.body = [node for node in tree.body if not isinstance(node, ast.Try)]
    code = compile(tree, "zipstrap_exit.py", "exec")
    codes, named, made = [code], set(), {"__name__"}
    for each in codes:
        codes += [constant for constant in each.co_consts if isinstance(constant, type(code))]
        for step in dis.get_instructions(each):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                named.add(step.argval)
            elif step.opname == "STORE_NAME":
                made.add(step.argval)
    rest = HOOKS.joinpath("zipstrap_importer_rest.py").read_text(encoding="utf-8")
    given = set(re.findall(r"\w+", rest[rest.index("    GIVEN = {") : rest.index("atexit.register(leave)")]))
    assert named - made <= given
    assert len(named - made) > 20
