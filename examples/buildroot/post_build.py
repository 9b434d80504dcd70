#!/usr/bin/env python3
"""Put Python's library in TARGET_DIR into its archive: a post-build script for Buildroot and its like.

    BR2_ROOTFS_POST_BUILD_SCRIPT="board/you/post_build.py"      with TARGET_DIR as first argument

The interpreter in TARGET_DIR is for another machine, as a rule. Bytecode is the same on all, so the one of
the same version that Buildroot made for itself, in HOST_DIR, compiles. What must lie on disk stays there;
all else of the library is removed once the archive is complete. Run again, it changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: what is not the library's, or cannot be in an archive
APART = {"site-packages", "lib-dynload"}


def main() -> int:
    """Convert each library in TARGET_DIR."""
    target = Path(sys.argv[1]).resolve()
    libraries = sorted((target / "usr/lib").glob("python3.*/"))
    if not libraries:
        print(f"post_build: there is no usr/lib/python3.* in {target}", file=sys.stderr)
        return 1
    for library in libraries:
        archive = library.parent / f"{library.name.replace('.', '')}.zip"
        if archive.exists():
            print(f"{archive} is there already")
            continue
        convert(target, library, archive)
    return 0


def convert(target: Path, library: Path, archive: Path) -> None:
    """Make *archive* of what can live in it, then remove that from *library*."""
    host = Path(os.environ["HOST_DIR"], "bin", library.name)
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder, "facts.json")
        subprocess.run(["zipstrap", "facts", str(host), "-o", str(facts)], check=True)
        facts.write_text(json.dumps(of_target(json.loads(facts.read_bytes()), target, library, archive)))
        command = ["zipstrap", "pack", "--facts", str(facts), "-o", str(archive), "--format", "json"]
        done = subprocess.run([*command, *sys.argv[2:]], check=True, stdout=subprocess.PIPE)
    packed = json.loads(done.stdout)
    kept = {Path("usr", each["path"]) for each in packed["must_be_on_disk"]}
    keep_landmarks(kept, library, target)
    before = size_of(library)
    for folder, folders, files in os.walk(library, topdown=False):
        if not APART.isdisjoint(Path(folder).relative_to(library).parts):
            continue
        for name in files:
            if Path(folder, name).relative_to(target) not in kept:
                Path(folder, name).unlink()
        for name in folders:
            path = Path(folder, name)
            if name not in APART and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
    print(
        f"{archive}: {packed['members']} members, {packed['size'] / 1e6:.1f} MB; "
        f"{library}: {before / 1e6:.1f} MB, now {size_of(library) / 1e6:.1f} MB"
    )


def of_target(facts: dict[str, object], target: Path, library: Path, archive: Path) -> dict[str, object]:
    """Return the host interpreter's *facts*, with the target's library in the place of its own."""
    return {
        **facts,
        "prefix": str(target / "usr"),
        "exec_prefix": str(target / "usr"),
        "library": str(library),
        "search_path": [str(archive), str(library), str(library / "lib-dynload")],
        "site_folders": [str(library / "site-packages")],
    }


def keep_landmarks(kept: set[Path], library: Path, target: Path) -> None:
    """Add what the interpreter looks for: before 3.11 it takes a library without os.py for none."""
    if tuple(map(int, library.name.removeprefix("python").rstrip("t").split("."))) < (3, 11):
        kept.add((library / "os.py").relative_to(target))
    (library / "lib-dynload").mkdir(exist_ok=True)
    (library / "site-packages").mkdir(exist_ok=True)


def size_of(folder: Path) -> int:
    """Return the size of all files in *folder*, in bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    if len(sys.argv) < 2 or "HOST_DIR" not in os.environ or shutil.which("zipstrap") is None:
        sys.exit("post_build: needs TARGET_DIR as argument, HOST_DIR in the environment and zipstrap on PATH")
    sys.exit(main())
