"""``zipstrap hooks``: what real starts read is what it lists, and what it writes does its work once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .interpreters import Target
from .trees import Tree, run, shared_tree, zipstrap

#: Appends to a list of what ran, in its order.
RAN = "import sys; sys.ran = getattr(sys, 'ran', []) + ['{}']\n"
TELL = "import sys; print(*getattr(sys, 'ran', []))"


@pytest.fixture
def tree(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Give the tree of each interpreter; what lies in its site folder goes again."""
    tree = shared_tree(target, tmp_path_factory)
    folder = tree.root / tree.manifest.layout.site
    before = set(folder.iterdir())
    yield tree
    for path in set(folder.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def site(tree: Tree) -> Path:
    return tree.root / tree.manifest.layout.site


def hooks(verb: str, what: Path, *options: str | Path, status: int = 0, **env: str) -> dict[str, Any]:
    done = zipstrap("hooks", verb, what, *options, "--format", "json", env=env)
    assert done.returncode == status, done.stderr + done.stdout
    if status:
        return {"stderr": done.stderr}
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def listed(what: Path, **env: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hooks("list", what, **env)["hooks"]
    return found


def findings(tree: Tree, code: str) -> list[str]:
    report = json.loads(zipstrap("verify", tree.root, "--format", "json").stdout)
    return [text for check in report["checks"] if check["code"] == code for text in check["findings"]]


def test_the_order_is_that_of_the_start(tree: Tree, tmp_path: Path) -> None:
    extra = site(tree) / "extra"
    extra.mkdir()
    (site(tree) / "b.pth").write_text(RAN.format("b") + "extra\n/not/there\n")
    (site(tree) / "a.pth").write_text(RAN.format("a"))
    (site(tree) / "entry.py").write_text("def point():\n    " + RAN.format("entry"))
    (site(tree) / "a2.start").write_text("entry:point\n")
    (extra / "sitecustomize.py").write_text(RAN.format("sitecustomize"))
    (extra / "usercustomize.py").write_text(RAN.format("usercustomize"))
    env = {"PYTHONUSERBASE": str(tmp_path / "user"), "PYTHONPATH": str(tmp_path / "gone")}
    user = run([tree.executable, "-m", "site", "--user-site"], env=env).stdout.strip()
    Path(user).mkdir(parents=True)
    (Path(user) / "u.pth").write_text(RAN.format("u"))
    told = hooks("list", tree.root, **env)
    # Debian has a sitecustomize of its own, before any other
    mine = [each for each in told["hooks"] if each["path"].startswith((str(site(tree)), user))]
    in_order = sorted((each for each in mine if each["order"]), key=lambda each: each["order"])
    order = [Path(each["path"]).stem for each in in_order]
    done = run([tree.executable, "-c", TELL], env=env)
    ran = ["entry" if name == "a2" else name for name in order]
    assert done.stdout.split() == ran
    assert ("entry" in ran) is (tree.manifest.target.feature_version >= (3, 15))
    b = next(each for each in told["hooks"] if each["path"].endswith("b.pth"))
    assert b["origin"] == "foreign"
    assert b["problems"] == ["/not/there is not there: the interpreter passes over it"]
    assert any(str(tmp_path / "gone") in note for note in told["notes"])
    # without the user's folder, as -s and environments have it
    told = hooks("list", tree.root, **env, PYTHONNOUSERSITE="1")
    user_hooks = [each for each in told["hooks"] if "usercustomize" in each["path"]]
    assert [each["order"] for each in user_hooks] == [None]
    assert not any(each["path"].startswith(user) for each in told["hooks"])


def test_import_lines_run_once_in_every_version(tree: Tree) -> None:
    (site(tree) / "a.pth").write_text(RAN.format("a") + "import sys; sys.ran += [sitedir]\n")
    (site(tree) / "paths.pth").write_text("/not/there\n")
    before = run([tree.executable, "-I", "-c", TELL]).stdout
    written = hooks("migrate", tree.root)["files"]
    assert [each["done"] for each in written] == ["written", "written"]
    assert {Path(each["path"]).suffix for each in written} == {".py", ".start"}
    after = run([tree.executable, "-I", "-c", TELL])
    assert after.stdout == before == f"a {site(tree)}\n"
    assert {each["done"] for each in hooks("migrate", tree.root, "a.pth")["files"]} == {"kept"}
    # an edit needs nothing, and no file is missed
    (site(tree) / "a.pth").write_text(RAN.format("other"))
    assert run([tree.executable, "-I", "-c", TELL]).stdout == "other\n"
    (site(tree) / "a.pth").rename(site(tree) / "a")
    done = run([tree.executable, "-I", "-c", TELL])
    assert done.stdout == "\n"
    assert "a.pth" not in done.stderr
    (site(tree) / "a").rename(site(tree) / "a.pth")
    # verify knows what zipstrap has put there
    assert {text.partition(" ")[0].rpartition("/")[2] for text in findings(tree, "ZS402")} == {
        "a.pth",
        "paths.pth",
    }
    hooks("remove", tree.root)
    assert sorted(path.name for path in site(tree).iterdir()) == ["a.pth", "paths.pth"]


@pytest.mark.parametrize("kind", ["pth", "start", "sitecustomize"])
def test_what_is_installed_adds_the_zips_of_an_environment(target: Target, tmp_path: Path, kind: str) -> None:
    venv = tmp_path / "v"
    made = run([target.executable, "-m", "venv", "--without-pip", venv])
    assert made.returncode == 0, made.stderr
    if kind == "start" and target.version < (3, 15):
        assert "reads no .start files" in hooks("install", venv, "--kind", kind, status=5)["stderr"]
        return
    folder = Path(
        run([venv / "bin/python", "-c", "import site; print(site.getsitepackages()[0])"]).stdout.strip()
    )
    own = run([venv / "bin/python", "-c", "import sitecustomize; print(sitecustomize.__file__)"]).stdout
    if kind == "sitecustomize" and own:  # Debian's
        assert own.strip() in hooks("install", venv, "--kind", kind, status=4)["stderr"]
        return
    before = sorted(venv.rglob("*"))
    changes = hooks("install", venv, "--kind", kind)["files"]
    assert {Path(each["path"]).parent for each in changes} == {folder}
    assert {each["done"] for each in changes} == {"written"}
    assert {each["done"] for each in hooks("install", venv, "--kind", kind)["files"]} == {"kept"}
    (folder / "zips").mkdir()
    (folder / "zips/a.zip").write_bytes(b"PK\5\6" + bytes(18))
    tell = "import sys; print(*(entry for entry in sys.path if entry.endswith('a.zip')))"
    assert run([venv / "bin/python", "-c", tell]).stdout == f"{folder}/zips/a.zip\n"
    assert {each["origin"] for each in listed(venv) if str(folder) in each["path"]} == {"ours"}
    shutil.rmtree(folder / "zips")
    hooks("remove", venv)
    assert sorted(venv.rglob("*")) == before


def test_files_of_others_are_never_touched(tree: Tree) -> None:
    foreign = site(tree) / "zipstrap_zips.py"
    foreign.write_text("# mine\n")
    (site(tree) / "zipstrap.pth").symlink_to("/dev/null")
    told = hooks("install", tree.root, status=4)["stderr"]
    assert str(foreign) in told
    assert str(site(tree) / "zipstrap.pth") in told
    assert sorted(path.name for path in site(tree).iterdir()) == ["zipstrap.pth", "zipstrap_zips.py"]
    assert hooks("remove", tree.root)["files"] == []
    foreign.unlink()
    (site(tree) / "zipstrap.pth").unlink()
    hooks("install", tree.root)
    with (site(tree) / "zipstrap.pth").open("a") as file:
        file.write("import this\n")
    origins = {Path(each["path"]).name: each["origin"] for each in listed(tree.root)}
    assert origins["zipstrap.pth"] == "changed"
    changes = {Path(each["path"]).name: each["done"] for each in hooks("remove", tree.root)["files"]}
    assert changes["zipstrap_zips.py"] == "removed"
    assert changes["zipstrap.pth"].startswith("kept")
    assert (site(tree) / "zipstrap.pth").exists()


def test_the_users_folder_is_made(target: Target, tmp_path: Path) -> None:
    env = {"PYTHONUSERBASE": str(tmp_path / "new" / "base")}
    umask = os.umask(0o077)
    try:
        changes = hooks("install", target.executable, "--user", **env)["files"]
    finally:
        os.umask(umask)
    folder = Path(changes[0]["path"]).parent
    assert folder.is_relative_to(tmp_path / "new/base")
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o755}
    (folder / "zips").mkdir()
    (folder / "zips/a.zip").write_bytes(b"PK\5\6" + bytes(18))
    tell = "import sys; print(sum(entry.endswith('a.zip') for entry in sys.path))"
    assert run([target.executable, "-c", tell], env=env).stdout == "1\n"
    assert hooks("install", target.executable, "--user", status=2, **env, PYTHONNOUSERSITE="1")


def test_the_file_that_isolates_a_start_is_read(tree: Tree) -> None:
    (site(tree) / "a.pth").write_text(RAN.format("a"))
    path = Path(f"{tree.executable}._pth")
    path.write_text(f"../{tree.manifest.layout.archive}\n../lib/none\n")
    try:
        told = listed(tree.root)
        if tree.manifest.target.feature_version < (3, 11):
            assert {each["kind"] for each in told} == {"pth"}
            return
        # the prefix is then the folder of that file, and the site folders are below it
        assert [(each["kind"], each["order"]) for each in told] == [("_pth", None)]
        assert any("lib/none is not there" in problem for problem in told[0]["problems"])
        assert any("reads no other hook" in problem for problem in told[0]["problems"])
        assert run([tree.executable, "-c", TELL]).stdout == "\n"
    finally:
        path.unlink()


@pytest.mark.parametrize("what", ["folder", "version"])
def test_what_is_no_target_is_told(what: str, tmp_path: Path) -> None:
    done = zipstrap("hooks", "list", tmp_path if what == "folder" else "3.7")
    assert done.returncode == 3
    assert "what to do" in done.stderr
