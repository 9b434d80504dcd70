"""Which test files are meant, in which order they run, and the data of the suite's runs."""

from __future__ import annotations

import pytest
from zipstrap.errors import UsageError
from zipstrap.suite.selection import divide, in_order, known_differences, named, smoke, suite_data

NAMES = (
    "test_ast",
    "test_json",
    "test_jsonx",
    "test.test_asyncio.test_events",
    "test.test_asyncio.test_tasks",
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["test_json"], ("test_json",)),
        (["test.test_json"], ("test_json",)),
        (["test_json.py"], ("test_json",)),
        (["test_asyncio"], NAMES[3:]),
        (["test.test_asyncio"], NAMES[3:]),
        (["test_asyncio.test_tasks"], NAMES[4:]),
        (["test.test_asyncio.test_tasks", "test_ast"], ("test_ast", NAMES[4])),
    ],
)
def test_a_name_means_a_file_or_a_package(asked: list[str], found: tuple[str, ...]) -> None:
    assert named({"3.13": NAMES}, asked) == {"3.13": found}


def test_all_unknown_names_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        named({"3.13": NAMES}, ["test_a", "test_json", "test_b"])
    assert "test_a" in str(caught.value)
    assert "test_b" in str(caught.value)
    assert "'test_json'" not in str(caught.value)


def test_a_version_may_lack_a_file_but_not_all() -> None:
    suites = {"3.8": ("test_json",), "3.13": ("test_json", "test_tomllib")}
    assert named(suites, ["test_json", "test_tomllib"]) == {"3.8": ("test_json",), "3.13": suites["3.13"]}
    with pytest.raises(UsageError, match=r"3\.8 has none"):
        named(suites, ["test_tomllib"])


def test_words_of_the_command_line() -> None:
    words = [
        "3.13",
        "test_json",
        "./test_python",
        "test.test_asyncio.test_tasks",
        "/opt/test_python/bin/python",
    ]
    assert divide(words) == (
        ("3.13", "./test_python", "/opt/test_python/bin/python"),
        ("test_json", "test.test_asyncio.test_tasks"),
    )


def test_the_longest_first() -> None:
    assert in_order(["a", "b", "c"], {"a": 1.5, "b": 9.0, "c": 3.0}) == ("b", "c", "a")


def test_without_durations_the_slow_ones_first() -> None:
    slow = suite_data().slow
    names = ["test_x", slow[1], "test_y", f"test.{slow[0]}.test_processes"]
    assert in_order(names, {}) == (names[3], names[1], "test_x", "test_y")


def test_the_short_form_takes_what_a_version_has() -> None:
    assert smoke(["test_nothing_of_this_name"]) == ()
    assert smoke(["test_import", "test_nothing_of_this_name"]) == ("test_import",)


def test_the_table_of_known_differences_has_reasons_and_is_short() -> None:
    rows = suite_data().known
    assert all(row.cases and row.reason.strip() for row in rows)
    for minor in range(8, 16):
        assert sum(len(row.cases) for row in known_differences((3, minor))) <= 10, minor


def test_the_data_holds_no_name_twice() -> None:
    data = suite_data()
    for names in (data.resources, data.smoke, data.slow):
        assert len(names) == len(set(names))
