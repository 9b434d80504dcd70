"""What start-up files say, and which of them are ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from zipstrap.start_files import is_ours, marked, migrated, read_isolated, read_pth, read_start, was_ours


def pth(data: bytes, version: tuple[int, int] = (3, 13), encoding: str = "utf-8") -> tuple[object, ...]:
    told = read_pth(data, "/site", version, encoding)
    return told.runs, told.adds, told.problems


def test_a_pth_file_runs_lines_and_adds_paths() -> None:
    data = b"# comment\n\nimport a; a.b()\nimport\tc\n../lib\n/abs  \nimportant\n"
    assert pth(data) == (("import a; a.b()", "import\tc"), ("/lib", "/abs", "/site/important"), ())


def test_what_is_no_python_is_told_by_its_line() -> None:
    assert pth(b"x\nimport a b\n")[2] == ("line 2 is no valid Python: invalid syntax (line, line 1)",)


def test_after_a_nul_the_file_is_passed_over() -> None:
    runs, adds, problems = pth(b"a\nb\0c\nd\n")
    assert (runs, adds) == ((), ("/site/a",))
    assert problems == ("line 2 holds a NUL, at which the rest of the file is passed over",)


@pytest.mark.parametrize(("version", "told"), [((3, 12), 1), ((3, 13), 0)])
def test_a_byte_order_mark_spoils_the_first_line_up_to_3_12(version: tuple[int, int], told: int) -> None:
    assert len(pth(b"\xef\xbb\xbfimport a\n", version)[2]) == told  # type: ignore[arg-type]


def test_another_encoding_is_told_by_its_line() -> None:
    assert pth(b"a\nb\xe9\n", encoding="latin-1") == (
        (),
        ("/site/a", "/site/b\xe9"),
        ("line 2 is not UTF-8: it is read by the locale's encoding, here latin-1",),
    )
    assert pth(b"b\xe9\n", encoding="utf-8")[2][-1].startswith("nor can it be read")  # type: ignore[index]


def test_import_lines_end_with_3_17() -> None:
    assert pth(b"import a\n", (3, 17))[2] == ()
    assert "ignored from 3.18 on" in pth(b"import a\n", (3, 18))[2][0]  # type: ignore[index]


def test_a_start_file_has_entry_points() -> None:
    told = read_start(b"\xef\xbb\xbf# c\n a.b:c.d \nno\na:b c\n")
    assert told.runs == ("a.b:c.d", "no", "a:b c")
    assert told.problems == (
        "'no' is no entry point: package.module:callable",
        "'a:b c' is no entry point: package.module:callable",
    )
    assert read_start(b"\xff").problems == ("is not UTF-8, so it is passed over",)


def test_an_isolated_start_runs_site_only_if_it_is_told_to() -> None:
    told = read_isolated(b"../lib/python313.zip\n. # here\n#import site\nimport other\n", "/t/bin")
    assert told.adds == ("/t/lib/python313.zip", "/t/bin")
    assert told.runs == ()
    assert len(told.problems) == 2
    assert read_isolated(b"import site\n", "/t").runs == ("import site",)


def test_ours_is_told_from_what_was_edited_and_from_others() -> None:
    data = marked(b"body\n")
    assert (is_ours(data), was_ours(data)) == (True, True)
    assert (is_ours(data + b"x"), was_ours(data + b"x")) == (False, True)
    assert (is_ours(b"body\n"), was_ours(b"body\n")) == (False, False)
    assert data.startswith(b"# ")


def test_migrated_lines_run_with_what_site_gives_them(tmp_path: Path) -> None:
    files = migrated("my-pkg.nspkg.pth")
    pth = tmp_path / "my-pkg.nspkg.pth"
    pth.write_bytes(b"\xef\xbb\xbfimport sys; sys._seen.append((sitedir, fullname))\npath\nimport\tos\n")
    assert set(files) == {"my-pkg.nspkg.start", next(name for name in files if name.endswith(".py"))}
    module = next(name for name in files if name.endswith(".py"))
    entry = files["my-pkg.nspkg.start"].splitlines()[-1].decode()
    assert entry == f"{module.removesuffix('.py')}:run"
    assert read_start(files["my-pkg.nspkg.start"]).problems == ()
    import sys

    space: dict[str, object] = {"__file__": str(tmp_path / module)}
    sys._seen = []  # type: ignore[attr-defined]
    exec(files[module], space)
    space["run"]()  # type: ignore[operator]
    pth.unlink()
    space["run"]()  # type: ignore[operator]
    assert sys._seen == [(str(tmp_path), str(pth))]  # type: ignore[attr-defined]


def test_two_files_never_share_a_module() -> None:
    names = {name for pth in ("a-b.pth", "a_b.pth", "a.b.pth") for name in migrated(pth)}
    assert len(names) == 6
