"""Copies of installations, to be changed where they stand, and what is in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from zipstrap.interpreter import probe

from .interpreters import Target

__all__ = ["Installation", "copy_installation", "differences", "link_installation", "listing"]

#: what the tests do without, for the time that it takes to copy
_ALWAYS = ("__pycache__", "lib-dynload", "LICENSE", "EXTERNALLY-MANAGED", "site-packages", "importlib")
#: what the workers import in a target
_WORKERS = (
    "__future__",
    "ast",
    "email.message",
    "hashlib",
    "json",
    "opcode",
    "platform",
    "runpy",
    "shutil",
    "socket",
    "zipimport",
    "zlib",
)
_WITHOUT = ("test", "idlelib", "turtledemo", "config-*", "tests")


@dataclass(frozen=True)
class Installation:
    """An installation of a test's own: a library, an executable with its usual links, site-packages."""

    prefix: Path
    executable: Path
    #: the folder that has the library and the archives
    lib: Path
    library: Path

    def at(self, prefix: Path) -> Installation:
        """Return this installation as it is found at *prefix*."""
        places = (each.relative_to(self.prefix) for each in (self.executable, self.lib, self.library))
        return Installation(prefix, *(prefix / place for place in places))


def copy_installation(target: Target, prefix: Path, *, only: Collection[str] | None = None) -> Installation:
    """Copy the library and the executable of *target*, with modes, times and links, to *prefix*.

    What takes long to copy is left out: tests, and installed packages but for pip and its like. With *only*,
    so is what these modules, and what reads the facts of an interpreter, do not import.
    """
    facts = probe(target.executable)
    own, library = Path(facts.prefix), Path(facts.library)
    executable = prefix / target.executable.relative_to(own)
    copy = prefix / library.relative_to(own)
    copy.parent.mkdir(parents=True)
    executable.parent.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns(*_WITHOUT)
    kept = None if only is None else {*_imported(target, only), *_ALWAYS}

    def ignore(folder: str, names: list[str]) -> set[str]:
        if kept is not None and Path(folder) in (library, library / "__pycache__", library / "lib-dynload"):
            return {name for name in names if name.partition(".")[0] not in kept}
        if Path(folder).name == "site-packages" and Path(folder).parent == library:
            return {name for name in names if not name.startswith(("pip", "setuptools", "README"))}
        return set(ignored(folder, names))

    shutil.copytree(library, copy, symlinks=True, ignore=ignore)
    shutil.copy2(target.executable, executable)
    for name in ("python3", "python"):
        if not os.path.lexists(executable.with_name(name)):
            executable.with_name(name).symlink_to(executable.name)
    return Installation(prefix, executable, copy.parent, copy)


def _imported(target: Target, modules: Collection[str]) -> set[str]:
    """Return the names, up to the first dot, of what is loaded when *modules* are."""
    named = ", ".join((*modules, *_WORKERS))
    ask = f"import sys, sysconfig, {named}\nsysconfig.get_config_vars()\nprint(*sys.modules)"
    done = subprocess.run(
        [target.executable, "-I", "-c", ask], capture_output=True, text=True, timeout=60, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def link_installation(installation: Installation, prefix: Path) -> Installation:
    """Copy an installation by hard links: nobody writes into a file that is there."""
    subprocess.run(["cp", "-al", "--", installation.prefix, prefix], check=True, timeout=120)
    return installation.at(prefix)


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return type, mode, owner, size, time in ns, link target, attributes and hash of all in *folder*."""
    found = {}
    for above, folders, files in os.walk(folder):
        for path in (Path(above), *(Path(above, name) for name in (*folders, *files))):
            seen = path.lstat()
            found[path.relative_to(folder).as_posix()] = (
                oct(seen.st_mode),
                seen.st_uid,
                seen.st_gid,
                None if stat.S_ISDIR(seen.st_mode) else seen.st_size,
                seen.st_mtime_ns,
                os.readlink(path) if stat.S_ISLNK(seen.st_mode) else None,
                tuple(os.listxattr(path, follow_symlinks=False)),
                _digest(path) if stat.S_ISREG(seen.st_mode) else None,
            )
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return a line for each path that differs."""
    return [
        f"{path}: {before.get(path)} became {after.get(path)}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
