"""What gets installed: every file of the two source folders, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import resources
from pathlib import Path

import pytest
import zipstrap
from zipstrap.worker import clean_environment

ROOT = Path(__file__).parents[2]
#: As in pyproject.toml's package-dir.
SOURCES = {"tools/zipstrap": "zipstrap", "site_hooks": "zipstrap/site_hooks"}


def source_files() -> dict[Path, str]:
    """Return each file that is ours, and its name in the wheel."""
    return {
        path: f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in SOURCES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the clone stays as it is, and without the network."""
    clone = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("tools", "site_hooks"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, "dist"],
        cwd=clone,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (built,) = (clone / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_every_source_file_and_no_other(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = f"{project['name']}-{project['version']}.dist-info"
    metadata = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
    with zipfile.ZipFile(wheel) as archive:
        assert sorted(archive.namelist()) == sorted(
            [*source_files().values(), *(f"{info}/{name}" for name in metadata)]
        )


def test_the_version_is_the_same_in_both_places() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert zipstrap.__version__ == project["version"]


def test_the_wheel_holds_them_unchanged(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        changed = [name for path, name in source_files().items() if archive.read(name) != path.read_bytes()]
    assert changed == []


def test_the_wheel_runs_from_where_it_lies(wheel: Path) -> None:
    """The workers are read as resources, so that zipstrap works from an archive too."""
    code = "import zipstrap.worker as w; print(w.__file__); print(len(w.worker_source('probe')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean_environment(), "PYTHONPATH": str(wheel), "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    file, length = done.stdout.splitlines()
    assert file.startswith(str(wheel))
    assert int(length) == len((ROOT / "tools/zipstrap/_in_target/probe.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(source_files().values()))
def test_the_installed_package_has_it_as_a_resource(name: str) -> None:
    """Editable installs too: the hooks lie in another folder than the package."""
    folder, _, file = name.rpartition("/")
    assert resources.files(folder.replace("/", ".")).joinpath(file).is_file()
