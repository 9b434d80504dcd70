"""Options and surroundings of every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from .durability.sweep import strace_problem
from .target.interpreters import Target, found, lack, sendable

# how long an example takes depends on what else the machine does
settings.register_profile("zipstrap", deadline=None)
settings.load_profile("zipstrap")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("zipstrap", "interpreters under test")
    group.addoption(
        "--target",
        action="append",
        default=[],
        metavar="ID",
        help="run against this interpreter only (3.13, 3.13t, 3.11-debian); may be given several times",
    )
    group.addoption(
        "--require-targets",
        action="store_true",
        default=os.environ.get("ZIPSTRAP_REQUIRE_TARGETS", "") not in ("", "0"),
        help="fail, where a test would be skipped for want of an interpreter (or ZIPSTRAP_REQUIRE_TARGETS=1)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell pytest-xdist's processes what was found, so that only one of them has to look."""
    node.workerinput["interpreters"] = sendable(node.config)


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's home and caches out of the tests; one cache for the whole run, so that it is quick."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        for variable, name in (
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
            ("ZIPSTRAP_CACHE_DIR", "zipstrap-cache"),
        ):
            folder = shared / name
            folder.mkdir(exist_ok=True)
            patch.setenv(variable, str(folder))
        yield


@pytest.fixture(scope="session")
def interpreters(request: pytest.FixtureRequest) -> list[Target]:
    """Give the CPythons 3.8 to 3.15 of this machine, oldest first."""
    return found(request.config)


@pytest.fixture(scope="session")
def strace(request: pytest.FixtureRequest) -> None:
    """Demand that strace can be used."""
    problem = strace_problem()
    if problem is not None:
        lack(request.config, problem)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what sweeps and storms have counted; their own output is not seen where several run at once."""
    for reports in terminalreporter.stats.values():
        for report in (each for each in reports if getattr(each, "when", "") == "call"):
            for name, value in getattr(report, "user_properties", ()):
                if name in ("sweep", "storm"):
                    terminalreporter.write_line(str(value))
