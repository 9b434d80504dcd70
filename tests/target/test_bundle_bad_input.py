"""What ``zipstrap bundle`` and ``activate`` refuse: one clear error, nothing written, nothing executed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wheels import install_wheel, make_wheel

from .interpreters import Target
from .trees import usual, zipstrap

#: Whoever runs it leaves a trace.
TRACE = "import pathlib\npathlib.Path({!r}).touch()\n"


@dataclass(frozen=True)
class Bad:
    """What is handed in, what the error says, and with which exit status."""

    arguments: tuple[str, ...]
    status: int
    says: tuple[str, ...]


def zip_of(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), TRACE.format("executed"))


def parent(folder: Path) -> Bad:
    zip_of(folder / "a.zip", "pkg/__init__.py", "../outside.py")
    return Bad(("a.zip",), 1, ("a.zip: ZS714", "leads to a parent folder"))


def absolute(folder: Path) -> Bad:
    zip_of(folder / "a.zip", "/tmp/outside.py")
    return Bad(("a.zip",), 1, ("a.zip: ZS713", "is absolute"))


def parent_in_a_wheel(folder: Path) -> Bad:
    wheel = make_wheel(folder, "evil", {"../outside.py": TRACE.format("executed")})
    return Bad((wheel.name,), 1, ("ZS714", "leads to a parent folder"))


def parent_in_a_record(folder: Path) -> Bad:
    """A RECORD leads out of the folder: what is there is left out, and then nothing is left."""
    install_wheel(make_wheel(folder / "w", "evil", {"evil.py": ""}), folder / "site")
    (folder / "outside.py").write_text("")
    (folder / "site/evil-1.0.dist-info/RECORD").write_text("../outside.py,,\n/etc/passwd,,\n")
    return Bad(("evil", "--from", "site"), 4, ("there is nothing to put into the bundle",))


def no_archive(folder: Path) -> Bad:
    (folder / "a.zip").write_bytes(b"PK not a zip")
    return Bad(("a.zip",), 1, ("a.zip: ZS701",))


def collision(folder: Path) -> Bad:
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "same.py").write_text(f"{name} = 1\n" + TRACE.format("executed"))
    return Bad(("one", "two"), 4, ("two/same.py: has the name same.py", "and so has one/same.py"))


def module_and_package(folder: Path) -> Bad:
    (folder / "thing").mkdir()
    (folder / "thing/__init__.py").write_text("")
    (folder / "lib").mkdir()
    (folder / "lib/thing.py").write_text("")
    return Bad(("thing", "lib"), 4, ("lib/thing.py: is one module with the package thing/__init__.py",))


def case(folder: Path) -> Bad:
    zip_of(folder / "a.zip", "mod.py")
    zip_of(folder / "b.zip", "Mod.py")
    return Bad(("a.zip", "b.zip"), 4, ("'Mod.py' and 'mod.py' are one name where case is not told apart",))


def unreadable(folder: Path) -> Bad:
    (folder / "src").mkdir()
    for name in ("a.py", "b.txt"):
        (folder / "src" / name).symlink_to("gone")
    return Bad(("src",), 4, ("src/a.py: cannot be read", "src/b.txt: cannot be read"))


def pipe(folder: Path) -> Bad:
    (folder / "src").mkdir()
    os.mkfifo(folder / "src/a.py")
    return Bad(("src",), 4, ("src/a.py: is no regular file",))


def absent(folder: Path) -> Bad:
    return Bad(("none.py",), 4, ("none.py: there is no such file",))


def no_word(folder: Path) -> Bad:
    (folder / "my-mod.py").write_text("")
    return Bad(("my-mod.py",), 2, ("nothing can be imported by the name 'my-mod'",))


def slip(folder: Path) -> Bad:
    (folder / "src").mkdir()
    (folder / "src/a.py").write_text("def f(:\n")
    (folder / "src/b.py").write_text(TRACE.format("executed") + "\n)\n")
    return Bad(("src",), 4, ("src/a.py: does not compile: line 1", "src/b.py: does not compile: line 4"))


def missing_dependency(folder: Path) -> Bad:
    make_wheel(folder / "w", "app", {"app.py": ""}, requires=["needed>=2", "other"])
    make_wheel(folder / "w", "needed", {"needed.py": ""}, version="1.0")
    says = (
        "needed>=2, which app needs: needed-1.0-py3-none-any.whl: it is version 1.0",
        "other, which app needs",
    )
    return Bad(("app", "--from", "w"), 4, says)


def other_machine(folder: Path) -> Bad:
    wheel = make_wheel(folder, "app", {"app.py": ""}, tag="cp313-cp313-win_amd64")
    return Bad((wheel.name,), 4, ("this wheel is for cp313-cp313-win_amd64, not for CPython",))


def other_python(folder: Path) -> Bad:
    (folder / "src/pkg").mkdir(parents=True)
    (folder / "src/pkg/__init__.py").write_text("")
    (folder / "src/pkg/_fast.cpython-37m-x86_64-linux-gnu.so").write_bytes(b"\x7fELF")
    return Bad(
        ("src",), 5, ("_fast.cpython-37m-x86_64-linux-gnu.so: is an extension module for another Python",)
    )


def refused_extension(folder: Path) -> Bad:
    (folder / "src/pkg").mkdir(parents=True)
    (folder / "src/pkg/_fast.so").write_bytes(b"\x7fELF")
    return Bad(
        ("src", "--extensions", "refuse"), 5, ("_fast.so: the system loads extension modules from files",)
    )


def other_bytecode(folder: Path) -> Bad:
    (folder / "src").mkdir()
    (folder / "src/a.pyc").write_bytes(b"\x33\x0d\x0d\x0a" + bytes(12))
    return Bad(("src",), 4, ("src/a.pyc: is bytecode of another Python",))


def editable(folder: Path) -> Bad:
    install_wheel(make_wheel(folder / "w", "app", {"app.py": ""}), folder / "site")
    (folder / "site/app-1.0.dist-info/direct_url.json").write_text(
        '{"url": "file:///src", "dir_info": {"editable": true}}'
    )
    return Bad(("app", "--from", "site"), 4, ("is installed in editable mode",))


def lost_file(folder: Path) -> Bad:
    install_wheel(make_wheel(folder / "w", "app", {"app.py": "", "b.py": ""}), folder / "site")
    (folder / "site/b.py").unlink()
    return Bad(("app", "--from", "site"), 4, ("site/b.py: the RECORD of app names this file",))


def bzip2(folder: Path) -> Bad:
    (folder / "a.py").write_text("")
    return Bad(
        ("a.py", "--compress", "bzip2"), 2, ("bzip2 is no way to compress a bundle: zipimport cannot read",)
    )


def lzma(folder: Path) -> Bad:
    (folder / "a.py").write_text("")
    return Bad(
        ("a.py", "--compress", "lzma"), 2, ("lzma is no way to compress a bundle: zipimport cannot read",)
    )


def zstd(folder: Path) -> Bad:
    (folder / "a.py").write_text("")
    return Bad(("a.py", "--compress", "zstd"), 5, ("cannot read Zstandard: it does from 3.15 on",))


def unknown_on_disk(folder: Path) -> Bad:
    (folder / "a.py").write_text("")
    return Bad(("a.py", "--on-disk", "b"), 2, ("nothing in the bundle is called b", "such as a"))


def strict(folder: Path) -> Bad:
    (folder / "a.py").write_text(TRACE.format("executed") + "open(__file__)\n")
    return Bad(("a.py", "--strict"), 1, ("something in it would not work from an archive",))


def both(folder: Path) -> Bad:
    make_wheel(folder / "w", "app", {"app.py": ""})
    (folder / "app").mkdir()
    return Bad(("app", "--from", "w"), 2, ("app: this is a path here, and the name of a distribution",))


BAD = (
    parent, absolute, parent_in_a_wheel, parent_in_a_record, no_archive, collision, module_and_package, case,
    unreadable, pipe, absent, no_word, slip, missing_dependency, other_machine, other_python,
    refused_extension, other_bytecode, editable, lost_file, bzip2, lzma, zstd, unknown_on_disk, strict, both,
)  # fmt: skip


def listing(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_bad_input(make: Callable[[Path], Bad], interpreters: list[Target], tmp_path: Path) -> None:
    bad = make(tmp_path)
    before = listing(tmp_path)
    python = usual(interpreters).executable
    done = zipstrap("bundle", *bad.arguments, "-o", "app.zip", "--python", python, cwd=tmp_path)
    assert done.returncode == bad.status, done.stderr
    assert [text for text in bad.says if text not in done.stderr] == [], done.stderr
    assert "what to do: " in done.stderr
    assert done.stderr.count("zipstrap: ") == 1
    assert "Traceback" not in done.stderr
    assert listing(tmp_path) == before


def test_destinations(interpreters: list[Target], tmp_path: Path) -> None:
    """What is there stays, unless it is a bundle and the user says so; an old folder goes with it."""
    python = usual(interpreters).executable
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/__init__.py").write_text("")

    def bundle(*options: str) -> tuple[int, str]:
        done = zipstrap("bundle", "kept", "-o", "app.zip", "--python", python, *options, cwd=tmp_path)
        return done.returncode, done.stderr

    (tmp_path / "app.zip").write_bytes(b"mine")
    for options, says in (((), "app.zip: exists already"), (("--force",), "was not made by zipstrap")):
        status, text = bundle(*options)
        assert status == 4
        assert says in text
    assert (tmp_path / "app.zip").read_bytes() == b"mine"
    (tmp_path / "app.zip").unlink()
    (tmp_path / "app-disk").mkdir()
    (tmp_path / "app-disk/mine").write_text("")
    for options in ((), ("--force",)):
        status, text = bundle("--on-disk", "kept", *options)
        assert status == 4
        assert "app-disk: " in text
        assert sorted(path.name for path in tmp_path.iterdir()) == ["app-disk", "kept"]
    (tmp_path / "app-disk/mine").unlink()
    (tmp_path / "app-disk").rmdir()
    assert bundle("--on-disk", "kept")[0] == 0
    assert (tmp_path / "app-disk/kept/__init__.py").is_file()
    assert bundle("--force")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.zip", "kept"]
    assert zipstrap("bundle", "kept", "-o", "app.pyz", cwd=tmp_path).returncode == 2


def test_what_is_no_bundle_is_not_activated(interpreters: list[Target], tmp_path: Path) -> None:
    python = usual(interpreters).executable
    zip_of(tmp_path / "plain.zip", "a.py")
    zip_of(tmp_path / "evil.zip", "../a.py", "zipstrap-bundle.json")
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as archive:
        archive.writestr("zipstrap-bundle.json", '{"what": "zipstrap bundle", "schema_version": 1}')
    for name, status, says in (
        ("none.zip", 4, "there is no such bundle"),
        ("plain.zip", 4, "this archive is no bundle"),
        ("evil.zip", 1, "ZS714"),
        ("forged.zip", 4, "is not one of zipstrap's"),
    ):
        done = zipstrap(
            "activate",
            name,
            "--python",
            python,
            "--with",
            "user-pth",
            cwd=tmp_path,
            env={"HOME": str(tmp_path / "h")},
        )
        assert done.returncode == status, done.stderr
        assert f"{tmp_path / name}: " in done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "h").exists()


def test_files_of_others_are_kept(interpreters: list[Target], tmp_path: Path) -> None:
    """A file in the way stays, and so does one of ours that was edited."""
    python = usual(interpreters).executable
    (tmp_path / "a.py").write_text("")
    env = {"HOME": str(tmp_path / "h"), "PYTHONUSERBASE": str(tmp_path / "u")}
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        assert (
            zipstrap("bundle", "a.py", "-o", f"{name}/app.zip", "--python", python, cwd=tmp_path).returncode
            == 0
        )

    def run(verb: str, *arguments: str) -> tuple[int, str]:
        done = zipstrap(verb, *arguments, "--python", python, cwd=tmp_path, env=env)
        return done.returncode, done.stdout + done.stderr

    assert run("activate", "x/app.zip", "--with", "user-pth")[0] == 0
    (pth,) = (tmp_path / "u").rglob("*.pth")
    ours = pth.read_bytes()
    # another bundle of that name, while the first one is there
    status, text = run("activate", "y/app.zip", "--with", "user-pth")
    assert status == 4
    assert "activates another bundle of that name" in text
    assert pth.read_bytes() == ours
    pth.write_bytes(ours + b"/more\n")
    status, text = run("activate", "x/app.zip", "--with", "user-pth")
    assert status == 4
    assert "was changed" in text
    status, text = run("deactivate", "x/app.zip")
    assert status == 0
    assert "kept: it was changed after zipstrap wrote it" in text
    assert pth.read_bytes() == ours + b"/more\n"
    pth.write_bytes(ours)
    # the bundle is gone: what activates it can be taken back all the same
    (tmp_path / "x/app.zip").unlink()
    assert "removed: " in run("deactivate", "x/app.zip")[1]
    assert run("deactivate", "x/app.zip") == (0, "nothing to do\n")
