"""Well-known packages with all that they need, from pip's index, bundled and really used in a tree.

One interpreter in a usual run; ``ZIPSTRAP_TEST_ALL_BUNDLES=1`` takes 3.8, 3.11, 3.13 and 3.15.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from zipstrap.worker import clean_environment

from .interpreters import Target, lack
from .trees import Tree, run, shared_tree, usual, zipstrap

SCRIPT = Path(__file__).parents[1] / "ecosystem/scripts/bundled.py"
ALL = os.environ.get("ZIPSTRAP_TEST_ALL_BUNDLES", "") not in ("", "0")
VERSIONS = ((3, 8), (3, 11), (3, 13), (3, 15))

NUMPY = """
import numpy as np
from importlib import metadata

assert metadata.version("numpy") == np.__version__
assert round(np.linalg.det(np.arange(9.0).reshape(3, 3) + np.eye(3)), 6) == -5.0
assert np.fft.fft([1, 2]).tolist() == [3, -1]
assert np.random.default_rng(1).normal(size=3).shape == (3,)
print(np.__file__)
"""


@pytest.fixture(params=VERSIONS, ids=lambda version: f"{version[0]}.{version[1]}")
def tree(
    request: pytest.FixtureRequest, interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tree]:
    """Give the tree of each interpreter that is asked for; what lies in its site folder goes again."""
    here = [each for each in interpreters if each.version == request.param and "-" not in each.id]
    if not ALL and here != [usual(interpreters)]:
        pytest.skip("ZIPSTRAP_TEST_ALL_BUNDLES=1 takes this version too")
    if not here:
        lack(request.config, f"no CPython {request.param[0]}.{request.param[1]} here")
    tree = shared_tree(here[0], tmp_path_factory)
    folder = tree.root / tree.manifest.layout.site
    before = set(folder.iterdir())
    yield tree
    for path in set(folder.iterdir()) - before:
        path.unlink()


@pytest.fixture
def wheels(tree: Tree, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Fetch wheels for the tree, by a pip that runs in it, as tests/ecosystem does."""
    settings = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    version = "{}.{}".format(*tree.target.version)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    fetched = subprocess.run(
        [*pip, "--python-version", version, "-d", tmp_path / "pip", "pip"],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    folder = tmp_path / "wheels"
    if fetched.returncode == 0:
        (wheel,) = (tmp_path / "pip").iterdir()
        command = [tree.executable, wheel / "pip", "download", "-q", "--only-binary", ":all:", "-d", folder]
        fetched = subprocess.run(
            [*map(str, command), "requests", "flask", "rich", "click", "numpy"],
            # where packages come from is a setting of whoever runs this
            env={**clean_environment(settings), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    if fetched.returncode:
        lack(request.config, f"no wheels could be fetched: {fetched.stderr.strip()[-200:]}")
    return folder


def test_well_known_packages_work_from_a_bundle(tree: Tree, wheels: Path, tmp_path: Path) -> None:
    """In an archive with a folder beside it for extension modules, and without these in one archive alone."""
    python = tree.target.executable
    names = ["requests", "flask", "rich", "click"]
    for name, options in (("web", []), ("one", ["--extensions", "omit", "--source", "none"])):
        done = zipstrap(
            "bundle", *names, "--from", wheels, "-o", f"{name}.zip", "--python", python,
            "--compress", "deflate", "--format", "json", *options, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert {"requests", "Flask", "rich", "click", "MarkupSafe", "urllib3"} <= set(report["distributions"])
        # what reads a file by its path is named with file and line
        assert any(
            each["verdict"] == "breaks" and each["path"].endswith("jinja2/loaders.py") and each["line"] > 1
            for each in report["findings"]
        )
        assert (tmp_path / f"{name}-disk").is_dir() is (name == "web")
        assert set(report["record"]["on_disk"]) == (
            {"charset_normalizer", "markupsafe"} if name == "web" else set()
        )
        activated = zipstrap("activate", f"{name}.zip", "--python", tree.root, cwd=tmp_path)
        assert activated.returncode == 0, activated.stderr
        used = run([tree.executable, "-W", "error", "-B", SCRIPT], cwd=tmp_path)
        assert used.returncode == 0, used.stderr
        # a program of its own, in another process
        told = run([tree.executable, "-m", "flask", "--version"], cwd=tmp_path)
        assert f"Flask {report['distributions']['Flask']}" in told.stdout
        assert zipstrap("deactivate", f"{name}.zip", "--python", tree.root, cwd=tmp_path).returncode == 0
    done = zipstrap(
        "bundle", "numpy", "--from", wheels, "-o", "np.zip", "--python", python, "--exclude", "**/tests",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert zipstrap("activate", "np.zip", "--python", tree.root, cwd=tmp_path).returncode == 0
    used = run([tree.executable, "-B", "-c", NUMPY], cwd=tmp_path)
    assert used.stdout.strip() == str(tmp_path / "np-disk/numpy/__init__.py"), used.stderr
    assert zipstrap("deactivate", "np.zip", "--python", tree.root, cwd=tmp_path).returncode == 0
    done = zipstrap(
        "bundle", "numpy", "--from", wheels, "-o", "in.zip", "--python", python, "--exclude", "**/tests",
        "--extensions", "archive", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert zipstrap("activate", "in.zip", "--python", tree.root, cwd=tmp_path).returncode == 0
    used = run([tree.executable, "-B", "-c", NUMPY], cwd=tmp_path)
    assert used.stdout.strip() == str(tmp_path / "in.zip/numpy/__init__.pyc"), used.stderr
