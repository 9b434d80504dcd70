"""Who owns an interpreter: the package managers of the system, asked by their own files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from .interpreter import Facts
from .worker import clean_environment

__all__ = ["owners_of"]

_T = TypeVar("_T")

_RPM_DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")


def owners_of(facts: Facts, root: Path = Path("/")) -> tuple[str, ...]:
    """Return what owns the interpreter or its library, each as a clause that says how that is known.

    dpkg, apk and pacman are asked by their databases below *root*, so the tools need not be there; rpm's is
    not to be read without rpm(8).
    """
    executable = Path(os.path.realpath(facts.executable))
    files = [executable, Path(os.path.realpath(facts.library)) / "os.py"]
    # what /usr has taken over is listed where it was (usr-merge), or where it is
    names = {str(file) for file in files}
    names |= {name.removeprefix("/usr") for name in names if name.startswith("/usr/")}
    found = []
    if facts.externally_managed:
        found.append(f"{facts.library}/EXTERNALLY-MANAGED says that something else manages it (PEP 668)")
    for ask in (_dpkg, _apk, _pacman):
        found += ask(root, names)
    found += _rpm(root, files)
    found += _conda(Path(facts.prefix))
    return tuple(found)


def _dpkg(root: Path, names: set[str]) -> Iterator[str]:
    wanted = {os.fsencode(name) for name in names}
    for path in sorted(_files(root / "var/lib/dpkg/info", "*.list")):
        if wanted & set(_content(path).splitlines()):
            yield f"it belongs to the Debian package {path.stem}"


def _apk(root: Path, names: set[str]) -> Iterator[str]:
    for database in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        package = folder = ""
        for line in os.fsdecode(_content(root / database)).splitlines():
            kind, _, value = line.partition(":")
            if kind == "P":
                package = value
            elif kind == "F":
                folder = value
            elif kind == "R" and f"/{folder}/{value}" in names:
                yield f"it belongs to the Alpine package {package}"


def _pacman(root: Path, names: set[str]) -> Iterator[str]:
    wanted = {os.fsencode(name[1:]) for name in names}
    for path in sorted(_files(root / "var/lib/pacman/local", "*/files")):
        if wanted & set(_content(path).splitlines()):
            yield f"it belongs to the Arch package {path.parent.name}"


def _rpm(root: Path, files: Sequence[Path]) -> Iterator[str]:
    if not any(_has_files(root / database) for database in _RPM_DATABASES):
        return
    rpm = shutil.which("rpm")
    if rpm is None:
        if any(file.is_relative_to("/usr") and not file.is_relative_to("/usr/local") for file in files):
            yield "there is a database of rpm, but no rpm to ask, and it lies in /usr"
        return
    for file in files:
        try:
            done = subprocess.run(
                [rpm, "--root", str(root), "-qf", "--qf", "%{NAME}\n", str(file)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env={**clean_environment(), "LC_ALL": "C"},
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            yield f"rpm cannot be asked whether it owns it ({error})"
            return
        if done.returncode == 0:
            yield f"it belongs to the RPM package {done.stdout.split()[0] if done.stdout.split() else '?'}"
            return


def _conda(prefix: Path) -> Iterator[str]:
    if _has_files(prefix / "conda-meta"):
        yield f"it belongs to the conda environment {prefix}"


def _content(path: Path) -> bytes:
    return _quietly(path.read_bytes, b"")


def _files(folder: Path, pattern: str) -> list[Path]:
    return _quietly(lambda: list(folder.glob(pattern)), [])


def _has_files(folder: Path) -> bool:
    return _quietly(lambda: any(folder.iterdir()), False)  # noqa: FBT003 - what it is without


def _quietly(ask: Callable[[], _T], without: _T) -> _T:
    """Return what *ask* returns; a database that is not there, or not ours to read, owns nothing."""
    try:
        return ask()
    except OSError:
        return without
