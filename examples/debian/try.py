"""Install, use, upgrade, remove and purge the example's package in a throw-away Debian: try.py PYTHON.

Needs root, debootstrap, dpkg-dev and zipstrap on PATH. The Debian is made once, in the folder that
ZIPSTRAP_EXAMPLES names (default: /var/tmp/zipstrap-examples), and copied for each run. Exit status 0 says
that everything was as it should be.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
#: what extension modules link with; in place before, so that only one package comes and goes
LIBRARIES = (
    "libbz2-1.0", "libdb5.3", "libffi8", "libgdbm6", "libgdbm-compat4", "liblzma5", "libncursesw6",
    "libnsl2", "libreadline8", "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
)  # fmt: skip
#: dpkg's own notes on what it did
NOTES = re.compile(r"var/(lib/dpkg/(status-old|lock.*|triggers/Lock)|log/dpkg\.log|cache/ldconfig/.*)")
STARTS = "import argparse, asyncio, decimal, email.mime.text, json, ssl, sqlite3"


def main() -> int:
    """Run all steps, each of which raises if something is not as it should be."""
    parser = argparse.ArgumentParser(description="Try the example's package in a throw-away Debian.")
    parser.add_argument("python")
    parser.add_argument("--upgrades", type=int, default=2, help="how many upgrades while programs start")
    parser.add_argument("--keep", action="store_true", help="leave the Debian for a look")
    arguments = parser.parse_args()
    cache = Path(os.environ.get("ZIPSTRAP_EXAMPLES", "/var/tmp/zipstrap-examples"))
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="try-", dir=cache))
    try:
        first, second = (build(arguments.python, work / "debs", *options) for options in OPTIONS)
        root = work / "root"
        subprocess.run(["cp", "-a", str(debian(cache)), str(root)], check=True)
        with mounted(root):
            attempt(root, first, second, arguments.upgrades)
    finally:
        if not arguments.keep:
            shutil.rmtree(work)
    return 0


#: the revision of each package, and what it is staged with: the second one has another archive
OPTIONS = (
    ("1", "--exclude", "dev", "--exclude", "tk"),
    ("2", "--exclude", "dev", "--exclude", "tk", "--compress", "deflate"),
)


def build(python: str, folder: Path, *options: str) -> Path:
    """Return the package that build.sh made."""
    revision, *others = options
    command = ["sh", str(HERE / "build.sh"), python, revision, str(folder), *others]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.splitlines()[-1])


def debian(cache: Path) -> Path:
    """Return a Debian of this machine's release; it is fetched once."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    root = cache / release
    if not root.exists():
        made = cache / f".{release}.new"
        shutil.rmtree(made, ignore_errors=True)
        include = ",".join(LIBRARIES)
        command = ["debootstrap", "--variant=minbase", f"--include={include}", release, str(made)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        made.rename(root)
    return root


@contextmanager
def mounted(root: Path) -> Iterator[None]:
    """Give the Debian a /proc."""
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(root / "proc")], check=True)


def attempt(root: Path, first: Path, second: Path, upgrades: int) -> None:
    """Try everything in the Debian at *root*."""
    feature = re.match(r"zipstrap-python(\d\.\d+)_", first.name)[1]  # type: ignore[index]
    python, package = f"/usr/bin/python{feature}", f"zipstrap-python{feature}"
    before = listing(root)

    def run(*command: str, status: int = 0) -> str:
        done = subprocess.run(
            ["chroot", str(root), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
            check=False,
        )  # fmt: skip
        if done.returncode != status:
            raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def install(deb: Path) -> None:
        shutil.copy(deb, root / "tmp/new.deb")
        run("dpkg", "-i", "/tmp/new.deb")
        (root / "tmp/new.deb").unlink()

    install(first)
    print(f"installed {first.name}")
    run(python, "-c", STARTS)
    run(python, "-m", "venv", "/tmp/v")
    wheel(root / "tmp/greeting-1-py3-none-any.whl")
    pip = ("/tmp/v/bin/pip", "install", "--no-index", "--disable-pip-version-check")
    run(*pip, "/tmp/greeting-1-py3-none-any.whl")
    hello = ("/tmp/v/bin/python", "-c", "import greeting, json, ssl; print(greeting.TEXT)")
    assert run(*hello) == "hello\n"
    assert run("/tmp/v/bin/pip", "--version").startswith("pip ")
    # outside of environments pip leaves the tree to dpkg
    assert "managed by dpkg" in run("/tmp/v/bin/pip", "--python", python, "install", "greeting", status=1)
    print("pip and venv work in it")

    # what it has not loaded before it imports after the upgrade, extension modules too
    late = "import sys, json\ninput()\n" + STARTS + "\nprint('late', sys.modules['_ssl'].__file__)"
    started = [running(root, name, late) for name in (python, "/tmp/v/bin/python")]
    ways = {"directly": (python, "-c", STARTS), "in the virtual environment": hello}
    with starting(run, ways) as counts:
        install(second)
        told = [each.communicate("\n")[0] for each in started]
        for number in range(upgrades - 1):
            install((first, second)[number % 2])
    for way, (good, bad) in counts.items():
        print(f"starts {way} during {upgrades} upgrades: {good} good, {bad} failed")
    version = first.name.split("_")[1]
    assert f"late /usr/lib/{package}/{version}/" in told[0], told[0]
    assert "late " in told[1], told[1]
    print("programs that were started before the upgrade go on after it, with their own version's tree")
    assert run(*hello) == "hello\n"
    run("/tmp/v/bin/pip", "check", "--disable-pip-version-check")
    print("the virtual environment works after the upgrades")
    here = sorted(path.name for path in (root / f"usr/lib/{package}").iterdir())
    assert len(here) == 4 and here[-2:] == ["current", "package"], here

    run(python, "-O", "-c", "import ensurepip")  # leaves bytecode where it can
    run("dpkg", "--remove", package)
    assert not (root / f"usr/lib/{package}").exists()
    run("dpkg", "--purge", package)
    for path in ("tmp/v", "tmp/greeting-1-py3-none-any.whl", "root/.cache"):
        shutil.rmtree(root / path, ignore_errors=True)
        (root / path).unlink(missing_ok=True)
    after = listing(root)
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            print(f"  {path}: {before.get(path)} became {after.get(path)}")
    assert before == after
    print(f"purged: the Debian is as before, {len(after)} paths by mode, owner, size and hash")
    assert all(bad == 0 for _, bad in counts.values())


def running(root: Path, python: str, program: str) -> subprocess.Popen[str]:
    """Start *program*, and return when it waits for a line."""
    process = subprocess.Popen(
        ["chroot", str(root), python, "-u", "-c", "print('here')\n" + program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


@contextmanager
def starting(run: Callable[..., str], ways: dict[str, Sequence[str]]) -> Iterator[dict[str, tuple[int, int]]]:
    """Start programs all the time; the counts are there after the block."""
    counts: dict[str, tuple[int, int]] = {}
    stop = threading.Event()

    def start(way: str, command: Sequence[str]) -> None:
        good = bad = 0
        while not stop.is_set():
            try:
                run(*command)
                good += 1
            except SystemExit as error:
                bad += 1
                print(error, file=sys.stderr)
        counts[way] = good, bad

    threads = [threading.Thread(target=start, args=item) for item in ways.items()]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wheel(path: Path) -> None:
    """Write a wheel of one module."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeting.py", "TEXT = 'hello'\n")
        for name, text in (
            ("METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n"),
            ("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            ("RECORD", ""),
        ):
            archive.writestr(f"greeting-1.dist-info/{name}", text)


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Return all files below *root* by mode, owner, size and hash; not dpkg's own notes, nor /proc."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root:
            folders.remove("proc")
        for name in (*folders, *files):
            path = Path(folder, name)
            place = path.relative_to(root).as_posix()
            if NOTES.fullmatch(place):
                continue
            status = path.lstat()
            value: tuple[object, ...] = (oct(status.st_mode), status.st_uid, status.st_gid)
            if stat.S_ISLNK(status.st_mode):
                value += (os.readlink(path),)
            elif stat.S_ISREG(status.st_mode):
                value += (status.st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            found[place] = value
    return found


if __name__ == "__main__":
    sys.exit(main())
