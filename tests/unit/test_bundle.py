"""What goes into a bundle, which distributions a requirement needs, and what wins on ``sys.path``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.tags import Tag
from zipstrap.archive import Limits, Member, write_archive
from zipstrap.bundle.activate import Shadow, activate, shadows, top_level_names
from zipstrap.bundle.distributions import (
    Distribution,
    distributions_in,
    files_of,
    marker_environment,
    needed_distributions,
    target_tags,
    wheel,
)
from zipstrap.bundle.inputs import InputFile, is_left_out, read_code
from zipstrap.bundle.make import COMPRESS, BundleSettings, check_compress, make_bundle
from zipstrap.bundle.plan import BundlePlan, Selecting, is_module, modules_of, plan_bundle
from zipstrap.bundle.record import (
    RECORD_NAME,
    BundleRecord,
    check_fits,
    identity_of,
    is_bundle,
    load_bundle,
    record_to_json,
)
from zipstrap.errors import FileError, UnsupportedError, UsageError
from zipstrap.hooks import is_written
from zipstrap.start_files import extension_line, is_extension_line, is_ours, marked

from tests.wheels import install_wheel, make_wheel

from .recorded import facts_of as recorded

MAGIC = "f30d0d0a"
SUFFIXES = (".cpython-313-x86_64-linux-gnu.so", ".abi3.so", ".so")


def file(name: str, shown: str = "", data: bytes = b"", distribution: str = "") -> InputFile:
    return InputFile(name, shown or f"src/{name}", data=data, distribution=distribution)


def plan(
    *files: InputFile, selecting: Selecting | None = None, distributions: Sequence[Distribution] = ()
) -> BundlePlan:
    return plan_bundle(
        files,
        distributions,
        selecting or Selecting(),
        read=lambda each: each.data or b"",
        suffixes=SUFFIXES,
        magic=MAGIC,
        target="CPython 3.13.0",
    )


def names(files: Sequence[InputFile]) -> list[str]:
    return [each.name for each in files]


def distribution(
    name: str, *requires: str, version: str = "1.0", python: str = "", problem: str = ""
) -> Distribution:
    info = f"{name}-{version}.dist-info"
    return Distribution(name, version, requires, python, Path("site"), info, (), problem)


# ---- what goes where -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("a/__pycache__/b.cpython-313.pyc", True),
        (".git/HEAD", True),
        ("a/.mypy_cache/x.json", True),
        ("distutils-precedence.pth", True),
        ("a/.hidden/data", False),
        ("a/data/x.pth.txt", False),
        ("a/b.pyc", False),
    ],
)
def test_what_is_left_out_by_its_name(name: str, left_out: bool) -> None:
    assert (is_left_out(name) is not None) is left_out


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("a.py", True),
        ("a/b/__init__.py", True),
        ("a/templates/{{name}}.py", False),
        ("a-b/c.py", False),
        ("a-1.0.dist-info/c.py", False),
        ("a.txt", False),
        ("a/größe.py", True),
    ],
)
def test_what_is_a_module(name: str, module: bool) -> None:
    assert is_module(name) is module


def test_what_can_be_imported() -> None:
    files = ["a.pyc", "b/__init__.py", "b/c.pyc", "d/e/f.py", "n/_n.cpython-313-x86_64-linux-gnu.so", "_t.so"]
    files += ["n.libs/libopen-1.so", "n.libs/libplain.so", "m-1.0.dist-info/METADATA", "x/y.txt"]
    assert modules_of(files) == ("_t", "a", "b", "d", "n")


def test_packages_with_binaries_lie_on_disk_with_their_metadata() -> None:
    numpy = distribution("numpy")
    made = plan(
        file("numpy/__init__.py", distribution="numpy"),
        file("numpy/core/_a.cpython-313-x86_64-linux-gnu.so", distribution="numpy"),
        # another version's beside it does no harm
        file("numpy/core/_a.cpython-312-x86_64-linux-gnu.so", distribution="numpy"),
        file("numpy.libs/libopenblas.so.0", distribution="numpy"),
        file("numpy-1.0.dist-info/METADATA", distribution="numpy"),
        file("plain/__init__.py"),
        distributions=[numpy],
    )
    assert names(made.archive) == ["plain/__init__.py"]
    assert set(made.on_disk) == {"numpy", "numpy.libs", "numpy-1.0.dist-info"}
    assert made.suffixes == (".cpython-313-x86_64-linux-gnu.so",)


def test_extension_modules_can_be_left_out_or_refused() -> None:
    files = [file("a/__init__.py"), file("a/_fast.abi3.so"), file("b/__init__.py"), file("b/_slow.so")]
    omitted = plan(*files, selecting=Selecting(extensions="omit", on_disk=("b",)))
    assert names(omitted.archive) == ["a/__init__.py"]
    assert names(omitted.disk) == ["b/__init__.py", "b/_slow.so"]
    assert omitted.left_out == (("src/a/_fast.abi3.so", "extension modules are left out, as asked"),)
    with pytest.raises(UnsupportedError) as caught:
        plan(*files, selecting=Selecting(extensions="refuse"))
    assert "src/a/_fast.abi3.so" in str(caught.value)
    assert "src/b/_slow.so" in str(caught.value)


def test_extension_modules_can_be_in_the_archive() -> None:
    files = [file("a/__init__.py"), file("a/_fast.abi3.so"), file("a.libs/libx.so.1"), file("b/_slow.so")]
    made = plan(*files, selecting=Selecting(extensions="archive", on_disk=("b",)))
    assert names(made.archive) == ["a/__init__.py", "a/_fast.abi3.so", "a.libs/libx.so.1"]
    assert (made.archived, made.suffixes, set(made.on_disk)) == (True, (".abi3.so", ".so"), {"b"})
    assert not plan(file("a.py"), selecting=Selecting(extensions="archive")).archived


def test_extension_modules_of_another_python_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"_a\.cpython-312.*: is an extension module for another Python"
    ):
        plan(file("p/__init__.py"), file("p/_a.cpython-312-x86_64-linux-gnu.so"))


def test_on_disk_by_package_module_or_distribution() -> None:
    one = distribution("My_Thing")
    files = [
        file("thing/__init__.py", distribution="my-thing"),
        file("other.py", distribution="my-thing"),
        file("My_Thing-1.0.dist-info/METADATA", distribution="my-thing"),
        file("single.py"),
    ]
    for named, expected in (
        ("my.thing", {"thing", "other.py", "My_Thing-1.0.dist-info"}),
        ("other", {"other.py", "My_Thing-1.0.dist-info"}),
        ("single", {"single.py"}),
    ):
        made = plan(*files, selecting=Selecting(on_disk=(named,)), distributions=[one])
        assert set(made.on_disk) == expected
    with pytest.raises(UsageError, match="nothing in the bundle is called none"):
        plan(*files, selecting=Selecting(on_disk=("none",)), distributions=[one])


def test_excluding() -> None:
    files = [file("a/__init__.py"), file("a/tests/test_a.py"), file("a/b/x.md"), file("c.md")]
    made = plan(*files, selecting=Selecting(exclude=("a/tests", "**/*.md")))
    assert names(made.archive) == ["a/__init__.py", "c.md"]
    assert {reason for _, reason in made.left_out} == {"--exclude a/tests", "--exclude **/*.md"}
    with pytest.raises(UsageError, match="nothing has a name like a/test, b"):
        plan(*files, selecting=Selecting(exclude=("b", "a/test")))


def test_names_that_collide_are_told_together() -> None:
    with pytest.raises(FileError) as caught:
        plan(
            file("a.py", "1/a.py", b"1"),
            file("a.py", "2/a.py", b"2"),
            file("b.py", "1/b", b"1"),
            file("b.py", "2/b"),
        )
    assert "2/a.py: has the name a.py in the bundle, and so has 1/a.py" in str(caught.value)
    assert "2/b: has the name b.py" in str(caught.value)
    # the same file of a namespace that distributions share
    assert names(plan(file("n/__init__.py", "1"), file("n/__init__.py", "2")).archive) == ["n/__init__.py"]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ((file("a.py"), file("a/__init__.py")), "src/a.py: is one module with the package src/a/__init__.py"),
        ((file("a.py"), file("A.py")), "one name where case is not told apart"),
        ((file("a"), file("a/b.py")), "'a' is a file, and a folder for 'a/b.py'"),
        ((file("a/nul.py"),), "is that of a device of Windows"),
        ((file("a/b?.txt"),), "holds '?'"),
    ],
)
def test_names_that_no_archive_can_hold(files: Sequence[InputFile], text: str) -> None:
    with pytest.raises(FileError) as caught:
        plan(*files)
    assert text in str(caught.value)


def test_bytecode_without_a_source() -> None:
    ours, other = bytes.fromhex(MAGIC) + b"x", b"\0\0\0\0"
    made = plan(file("a.py"), file("a.pyc", data=other), file("b.pyc", data=ours))
    assert names(made.archive) == ["a.py", "b.pyc"]
    assert made.left_out == (("src/a.pyc", "bytecode is made anew for the target"),)
    with pytest.raises(FileError, match=r"src/b\.pyc: is bytecode of another Python"):
        plan(file("b.pyc", data=other))


def test_the_record_of_another_bundle_is_left_out() -> None:
    assert names(plan(file("a.py"), file(RECORD_NAME)).archive) == ["a.py"]


# ---- people's paths --------------------------------------------------------------------------------------


def test_a_package_keeps_its_name_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "src/pkg"
    (package / "sub").mkdir(parents=True)
    for name in ("__init__.py", "sub/m.py", "sub/.hidden"):
        (package / name).write_text("")
    (tmp_path / "src/.venv").mkdir()
    (tmp_path / "src/env").mkdir()
    for name in ("src/.venv/x.py", "src/env/x.py", "src/env/pyvenv.cfg", "src/setup.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "src/link").symlink_to("pkg")
    assert names(read_code(package, Limits()).files) == ["pkg/__init__.py", "pkg/sub/.hidden", "pkg/sub/m.py"]
    monkeypatch.chdir(package)
    assert names(read_code(Path(), Limits()).files)[0] == "pkg/__init__.py"
    whole = read_code(tmp_path / "src", Limits())
    assert names(whole.files) == ["setup.py", "pkg/__init__.py", "pkg/sub/.hidden", "pkg/sub/m.py"]
    assert [note.partition(" ")[2][:20] for note in whole.notes] == [
        "is a link to a folde",
        "holds setup.py: all ",
    ]
    with pytest.raises(UsageError, match="this is a part of a package"):
        read_code(package / "__init__.py", Limits())
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="there is nothing in this folder"):
        read_code(tmp_path / "empty", Limits())


# ---- distributions ---------------------------------------------------------------------------------------


def needed(
    wanted: Sequence[str | Distribution], *available: Distribution, dependencies: bool = True
) -> list[str]:
    found = needed_distributions(
        wanted,
        available,
        recorded("3.13"),
        dependencies=dependencies,
        tags=lambda _: frozenset([Tag("py3", "none", "any")]),
    )
    return [f"{each.name} {each.version}" for each in found.distributions]


def test_dependencies_are_followed_by_markers_and_extras() -> None:
    available = [
        distribution("app", "lib[fast]", "old; python_version < '3.9'", "win; sys_platform == 'win32'"),
        distribution("Lib", "base", "speed>1; extra == 'fast'", "other; extra == 'more'"),
        distribution("base"),
        distribution("speed", "app", version="2.0"),  # in a circle
        distribution("other"),
    ]
    assert needed(["app"], *available) == ["app 1.0", "base 1.0", "Lib 1.0", "speed 2.0"]
    assert needed(["LIB"], *available) == ["base 1.0", "Lib 1.0"]
    assert needed(["lib[more]"], *available) == ["base 1.0", "Lib 1.0", "other 1.0"]
    assert needed(["app"], *available, dependencies=False) == ["app 1.0"]
    assert needed([distribution("mine", "base")], *available) == ["base 1.0", "mine 1.0"]


def test_what_is_missing_is_told_together() -> None:
    with pytest.raises(FileError) as caught:
        needed(
            ["app", "gone"],
            distribution("app", "lost>=1", "late", "bound"),
            distribution("late", python=">=3.14"),
            distribution("bound", problem="is installed in editable mode"),
        )
    text = str(caught.value)
    for part in (
        "gone: it is not there",
        "lost>=1, which app needs: it is not there",
        "late, which app needs: late 1.0 needs Python >=3.14, and the target is 3.13.0",
        "bound, which app needs: bound 1.0 is installed in editable mode",
    ):
        assert part in text
    with pytest.raises(UsageError, match="is no requirement"):
        needed(["not a name"])


def test_the_newest_wheel_that_fits_is_taken() -> None:
    def one(version: str, *tags: str) -> Distribution:
        return dataclasses.replace(distribution("w", version=version), tags=tags or ("py3-none-any",))

    choices = [one("1.0"), one("1.10"), one("1.9"), one("2.0", "cp38-cp38-win32")]
    assert needed(["w"], *choices) == ["w 1.10"]
    assert needed(["w<1.10"], *choices) == ["w 1.9"]
    with pytest.raises(FileError, match=r"this wheel is for cp38-cp38-win32, not for CPython 3\.13\.0"):
        needed(["w"], choices[-1])


def test_another_version_than_asked_for_is_noted() -> None:
    found = needed_distributions(
        ["app"],
        [distribution("app", "lib>=2"), distribution("lib")],
        recorded("3.13"),
        tags=lambda _: frozenset(),
    )
    assert found.notes == ("app asks for lib>=2, and lib 1.0 is here",)


@pytest.mark.parametrize("name", ["3.8", "3.13", "3.13t", "windows"])
def test_markers_and_tags_are_those_of_the_target(name: str) -> None:
    facts = recorded(name)
    environment = marker_environment(facts)
    assert environment["python_version"] == ".".join(map(str, facts.feature_version))
    assert environment["sys_platform"] == facts.platform
    tags = {str(tag) for tag in target_tags(facts)}
    digits = "".join(map(str, facts.feature_version))
    assert "py3-none-any" in tags
    assert any(tag.startswith(f"cp{digits}-cp{digits}{'t' if facts.free_threaded else ''}-") for tag in tags)
    assert any("-abi3-" in tag for tag in tags) is not facts.free_threaded


def test_files_of_a_wheel_and_of_an_installed_one(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "app",
        {"app/__init__.py": "", "app-1.0.data/purelib/more.py": "", "app-1.0.data/scripts/run": ""},
    )
    one = wheel(path, Limits())
    assert (one.key, one.version, one.tags) == ("app", "1.0", ("py3-none-any",))
    found = files_of(one, Limits())
    info = ["app-1.0.dist-info/METADATA", "app-1.0.dist-info/WHEEL"]
    assert sorted(names(found.files)) == [*info, "app/__init__.py", "more.py"]
    assert [name.rpartition("/")[2] for name, _ in found.left_out] == ["run", "RECORD"]
    plain = make_wheel(tmp_path / "w", "plain", {"plain.py": ""})
    install_wheel(plain, tmp_path / "site")
    installed = dataclasses.replace(wheel(plain, Limits()), place=tmp_path / "site", tags=())
    assert sorted(names(files_of(installed, Limits()).files)) == sorted(
        names(files_of(wheel(plain, Limits()), Limits()).files)
    )


def test_what_is_installed_is_found(tmp_path: Path) -> None:
    """In a folder, in an environment whose lib64 is a link, and as wheels; remains are passed over."""
    wheels = tmp_path / "wheels"
    for name, requires in (("one", ["two>=1"]), ("two", [])):
        make_wheel(wheels, name, {f"{name}.py": ""}, requires=requires)
    site = tmp_path / "env/lib/python3.13/site-packages"
    install_wheel(wheels / "one-1.0-py3-none-any.whl", site)
    (tmp_path / "env/lib64").symlink_to("lib")
    (tmp_path / "env/pyvenv.cfg").write_text("")
    (site / "rest-1.0.dist-info").mkdir()
    for place, keys in ((site, ["one"]), (tmp_path / "env", ["one"]), (wheels, ["one", "two"])):
        found = distributions_in(place, Limits())
        assert [each.key for each in found] == keys
        assert (found[0].version, found[0].requires, found[0].requires_python) == (
            "1.0",
            ("two>=1",),
            ">=3.8",
        )
    with pytest.raises(FileError, match="no distribution is installed there"):
        distributions_in(tmp_path, Limits())


# ---- the record ------------------------------------------------------------------------------------------

RECORD = BundleRecord("00", "3.13", MAGIC, 0, True, ("a",), (), "", (), "", {"A": "1"})


def archive(path: Path, *members: Member) -> Path:
    with path.open("wb") as stream:
        write_archive(stream, members, mtime=0)
    return path


def test_a_record_comes_back(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", Member(RECORD_NAME, record_to_json(RECORD)))
    assert load_bundle(path) == RECORD
    assert is_bundle(path)


@pytest.mark.parametrize(
    "change",
    [
        {"what": "something"},
        {"schema_version": 2},
        {"magic": 7},
        {"modules": "a"},
        {"distributions": []},
        {"distributions": {"a": 1}},
        {"disk_folder": "../x"},
        {"disk_folder": ".."},
        {"extension_loader": "os"},
        None,
    ],
)
def test_a_record_that_is_none(change: dict[str, object] | None, tmp_path: Path) -> None:
    values = json.loads(record_to_json(RECORD))
    data = b"no json" if change is None else json.dumps({**values, **change}).encode()
    path = archive(tmp_path / "a.zip", Member(RECORD_NAME, data))
    with pytest.raises(FileError, match=r"a\.zip: the record zipstrap-bundle\.json is not one of zipstrap's"):
        load_bundle(path)
    assert not is_bundle(path)


def test_the_folder_beside_it_must_be_its_own(tmp_path: Path) -> None:
    record = dataclasses.replace(RECORD, disk_folder="a-disk")
    path = archive(tmp_path / "a.zip", Member(RECORD_NAME, record_to_json(record)))
    with pytest.raises(FileError, match="is not beside it"):
        load_bundle(path)
    (tmp_path / "a-disk").mkdir()
    place = tmp_path / "a-disk" / RECORD_NAME
    place.write_bytes(record_to_json(dataclasses.replace(record, identity="01")))
    with pytest.raises(FileError, match="of another bundle than"):
        load_bundle(path)
    place.write_bytes(record_to_json(record))
    assert load_bundle(path) == record


def test_which_interpreters_a_bundle_fits() -> None:
    facts = recorded("3.13")
    record = dataclasses.replace(RECORD, magic=facts.magic)
    check_fits(record, facts, Path("a.zip"))
    with pytest.raises(
        UnsupportedError, match=r"a\.zip: this bundle is for CPython 3\.13 .* is CPython 3\.8"
    ):
        check_fits(record, recorded("3.8"), Path("a.zip"))
    with pytest.raises(UnsupportedError, match=r"end in \.cpython-313-aarch64-linux-gnu\.so"):
        check_fits(
            dataclasses.replace(record, suffixes=(".cpython-313-aarch64-linux-gnu.so",)), facts, Path("a.zip")
        )


def test_the_identity_is_that_of_the_files() -> None:
    one = identity_of([("a", b"1"), ("b", b"2")])
    assert one == identity_of([("b", b"2"), ("a", b"1")])
    assert len({one, identity_of([("a", b"1")]), identity_of([("a", b"2"), ("b", b"1")])}) == 3


# ---- compression -----------------------------------------------------------------------------------------


def test_what_can_be_read_of_what_is_compressed() -> None:
    for choice in COMPRESS:
        check_compress(choice, recorded("3.15-debian"))
    for choice in ("bzip2", "bz2", "lzma", "xz"):
        with pytest.raises(UsageError, match="zipimport cannot read it"):
            check_compress(choice, recorded("3.15-debian"))
    with pytest.raises(UsageError, match="only the importer of a tree's own library reads it"):
        check_compress("dictionary", recorded("3.15-debian"))
    with pytest.raises(UsageError, match="'rar' is no way to compress"):
        check_compress("rar", recorded("3.13"))
    with pytest.raises(UnsupportedError, match=r"does from 3\.15 on"):
        check_compress("zstd", recorded("3.13"))
    with pytest.raises(UnsupportedError, match="has no zlib"):
        check_compress("deflate", dataclasses.replace(recorded("3.13"), zlib=None))


def test_a_wrong_choice_is_told_before_anything_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zipimport cannot read it"):
        make_bundle(["none.py"], tmp_path / "none/a.zip", recorded("3.13"), BundleSettings(compress="lzma"))


# ---- activation ------------------------------------------------------------------------------------------


def test_what_wins() -> None:
    entries = [
        ("lib", {"json": True, "space": False, "os": True}),
        ("site", {"mine": True, "space": False, "late": False}),
        ("app.zip", {"mine": True, "json": True, "space": False, "late": True, "only": True, "os": True}),
    ]
    found = shadows(entries, entries[-1][1], frozenset({"os"}))
    assert found == (
        Shadow("json", "lib", ("app.zip",)),
        # parts of a namespace hide nothing, and a module hides them from wherever it is
        Shadow("late", "app.zip", ("site",)),
        Shadow("mine", "site", ("app.zip",)),
        Shadow("os", "the interpreter itself", ("lib", "app.zip")),
    )


def test_names_of_an_entry(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    for name in (
        "pkg/__init__.py",
        "part/x.py",
        "mod.py",
        "b.pyc",
        "_e.abi3.so",
        "no-word.py",
        "text.txt",
        "old/__init__.pyc",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    modules = {"pkg": True, "mod": True, "b": True, "old": True}
    assert top_level_names(folder, SUFFIXES) == {**modules, "_e": True, "part": False}
    members = [
        Member(path.relative_to(folder).as_posix(), b"") for path in folder.rglob("*") if path.is_file()
    ]
    # no interpreter loads an extension module from an archive
    assert top_level_names(archive(tmp_path / "a.zip", *members), SUFFIXES) == {**modules, "part": False}
    (tmp_path / "b.zip").write_bytes(b"no archive")
    assert top_level_names(tmp_path / "b.zip", SUFFIXES) == top_level_names(tmp_path / "gone", SUFFIXES) == {}


def test_a_way_that_is_none() -> None:
    with pytest.raises(UsageError, match="there is no way 'magic'"):
        activate([], None, "magic", target="T")  # type: ignore[arg-type]


def test_what_activates_is_known_if_it_runs_nothing() -> None:
    """verify does not warn of it; what ``hooks remove`` removes is not touched by deactivate, and back."""
    paths = marked(b"/srv/app.zip\n", b"activate")
    assert is_written("zipstrap-app.pth", paths)
    assert not is_written("zipstrap-app.pth", paths + b"/more\n")
    assert not is_written("zipstrap-app.pth", marked(b"/srv/app.zip\nimport evil\n", b"activate"))
    line = extension_line("../it's.zip")
    assert is_written("zipstrap-app.pth", marked(f"{line}\n".encode(), b"activate"))
    for wrong in (line + "; evil()", line.replace('"', '" + evil() + "'), line.replace("sitedir", "evil")):
        assert not is_extension_line(wrong)
    assert is_ours(paths, b"activate")
    assert not is_ours(paths)
