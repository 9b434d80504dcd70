"""Fixtures of the tests that run real interpreters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from zipstrap.worker import clean_environment

from .interpreters import MINORS, Hidden, Target, found, hiding_works, lack, lack_version

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """Give each interpreter in turn; a version without one is a skip, or a failure where one is required."""
    if not isinstance(request.param, Target):
        lack_version(request.config, request.param)
    return request.param


@pytest.fixture
def clean_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment without PYTHON*, with an empty home."""
    return {**clean_environment(), "HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="session")
def hidden(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Iterable[Path]], Hidden]:
    """Give ``hidden(paths)``, whose ``run(command)`` runs a command that does not see the paths."""
    if not hiding_works(tmp_path_factory.mktemp("hiding")):
        lack(request.config, "this machine allows no mount namespace (unshare -m) to hide paths in")
    return lambda paths: Hidden(tuple(paths))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" not in metafunc.fixturenames:
        return
    here = found(metafunc.config)
    params: dict[str, Target | str] = {each.id: each for each in here}
    for major, minor in MINORS:
        if all(each.version != (major, minor) for each in here):
            params[f"{major}.{minor}"] = f"{major}.{minor}"
    wanted = metafunc.config.getoption("--target") or params
    chosen = {name: params.get(name, name) for name in wanted}
    metafunc.parametrize("target", chosen.values(), ids=chosen, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.target)
