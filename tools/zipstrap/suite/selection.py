"""Which test files are run, with which resources and in which order, and which differences are known."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from zipstrap.errors import Problem, UsageError

from .cases import Known

__all__ = ["SuiteData", "divide", "in_order", "known_differences", "named", "smoke", "suite_data"]


@dataclass(frozen=True, slots=True)
class SuiteData:
    """What ``data/suite.json`` holds."""

    #: resources of regrtest (``-u``) that need no network, no display, and no hours
    resources: tuple[str, ...]
    #: test files of the short form, by the names that regrtest knows
    smoke: tuple[str, ...]
    #: test files known to take long, the longest first, for when there are no durations yet
    slow: tuple[str, ...]
    known: tuple[Known, ...]


@functools.cache
def suite_data() -> SuiteData:
    """Return the data of the suite's runs."""
    text = resources.files("zipstrap.data").joinpath("suite.json").read_text(encoding="utf-8")
    values = json.loads(text)
    return SuiteData(
        tuple(values["resources"]),
        tuple(values["smoke"]),
        tuple(values["slow"]),
        tuple(
            Known(
                tuple(row["cases"]),
                row["reason"],
                _feature(row.get("since", "3.0")),
                _feature(row.get("until", "3.99")),
            )
            for row in values["known"]
        ),
    )


def _feature(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def known_differences(version: tuple[int, int]) -> tuple[Known, ...]:
    """Return the rows of the table that count for the feature version *version*."""
    return tuple(row for row in suite_data().known if row.since <= version <= row.until)


def _is_called(name: str, asked: str) -> bool:
    """Tell whether the file *name* is the one, or one of the package, that people call *asked*.

    regrtest lists the files of some packages one by one, as ``test.test_asyncio.test_events``.
    """
    name, asked = name.removeprefix("test."), asked.removesuffix(".py").removeprefix("test.")
    return name == asked or name.startswith(f"{asked}.")


def divide(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide *words* of the command line into interpreters and test files, which are called ``test_...``.

    An interpreter of such a name is written with its folder: ``./test_python``.
    """
    words = tuple(words)
    tests = tuple(word for word in words if re.fullmatch(r"(?:test\.)?test_[\w.]*", word))
    return tuple(word for word in words if word not in tests), tests


def named(suites: Mapping[str, Sequence[str]], asked: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return of each suite the files that *asked* means; *suites* gives all files of each interpreter.

    Not every version has every file. Raises UsageError with all names that mean nothing in any suite, and all
    suites that have none of the files.
    """
    problems = [
        Problem(f"there is no test file {each!r}")
        for each in asked
        if not any(_is_called(name, each) for names in suites.values() for name in names)
    ]
    found = {
        suite: tuple(name for name in names if any(_is_called(name, each) for each in asked))
        for suite, names in suites.items()
    }
    if not problems:
        problems = [
            Problem(f"{suite} has none of these test files") for suite, names in found.items() if not names
        ]
    if problems:
        raise UsageError(
            problems[0].text,
            others=problems[1:],
            cure="name test files as python -m test --list-tests does, such as test_json",
        )
    return found


def smoke(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of *names* that the short form runs; no version has all of them."""
    return tuple(name for name in names if any(_is_called(name, each) for each in suite_data().smoke))


def in_order(names: Iterable[str], seconds: Mapping[str, float]) -> tuple[str, ...]:
    """Return *names*, the longest first, so that no long file is left over for the end.

    *seconds* are the durations of an earlier run; a file without one is placed by the list of slow files.
    """
    slow = {name: rank for rank, name in enumerate(reversed(suite_data().slow), 1)}

    def weight(name: str) -> tuple[float, int]:
        rank = next((rank for each, rank in slow.items() if _is_called(name, each)), 0)
        # an unknown slow file goes before the known quick ones
        return seconds.get(name, 30.0 if rank else 1.0), rank

    return tuple(sorted(names, key=weight, reverse=True))
