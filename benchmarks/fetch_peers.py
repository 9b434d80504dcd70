"""Have other programs make their archives of the library, to compare sizes with (``zipstrap bench --peer``).

    python benchmarks/fetch_peers.py [PYTHON] -o FOLDER

In a virtual environment of PYTHON it installs PyInstaller and cx_Freeze, and has each pack a script that
imports the standard modules of the bench. Of the npm package ``pyodide`` it takes ``python_stdlib.zip``,
which is of the one version of CPython that Pyodide is made for. What cannot be had is told and left out; for
the others the options for ``zipstrap bench`` are printed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from zipstrap.bench.cases import bench_data, imports_of
from zipstrap.errors import ZipstrapError
from zipstrap.interpreter import find_interpreter


class MissingError(Exception):
    """A peer that cannot be had."""


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command and return its stdout."""
    try:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise MissingError(f"{words[0]} cannot be run ({error.strerror})") from error
    if done.returncode:
        raise MissingError(f"{words[0]} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def environment(python: Path, folder: Path) -> Path:
    """Make the virtual environment, once, and return its folder of programs."""
    programs = folder / "venv/bin"
    if not programs.exists():
        run(python, "-m", "venv", folder / "venv", cwd=folder)
    return programs


def pyinstaller(python: Path, folder: Path) -> Path:
    """Return ``base_library.zip``: what PyInstaller's programs need before their own archive can be read."""
    programs = environment(python, folder)
    run(programs / "python", "-m", "pip", "install", "--quiet", "pyinstaller", cwd=folder)
    work = folder / "pyinstaller"
    places = ("--distpath", work / "dist", "--workpath", work / "build", "--specpath", work)
    run(
        programs / "pyinstaller", "--noconfirm", "--onedir", "--log-level=WARN", *places, "app.py", cwd=folder
    )
    return next(work.glob("dist/app/**/base_library.zip"))


def cx_freeze(python: Path, folder: Path) -> Path:
    """Return ``library.zip``, with all packages in it."""
    programs = environment(python, folder)
    run(programs / "python", "-m", "pip", "install", "--quiet", "cx_Freeze", cwd=folder)
    work = folder / "cx_freeze"
    all_in = ("--zip-include-packages=*", "--zip-exclude-packages=")
    run(programs / "cxfreeze", "build_exe", "--script=app.py", f"--build-exe={work}", *all_in, cwd=folder)
    return next(work.glob("**/library.zip"))


def pyodide(_python: Path, folder: Path) -> Path:
    """Return ``python_stdlib.zip``, which holds sources."""
    work = folder / "pyodide"
    work.mkdir(exist_ok=True)
    run("npm", "pack", "--silent", "pyodide", cwd=work)
    package = next(work.glob("pyodide-*.tgz"))
    with tarfile.open(package) as archive:
        stream = archive.extractfile("package/python_stdlib.zip")
        if stream is None:
            raise MissingError(f"{package} has no python_stdlib.zip")
        with stream, (work / "python_stdlib.zip").open("wb") as file:
            shutil.copyfileobj(stream, file)
    return work / "python_stdlib.zip"


PEERS: dict[str, Callable[[Path, Path], Path]] = {
    "pyinstaller": pyinstaller,
    "cx_freeze": cx_freeze,
    "pyodide": pyodide,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("python", nargs="?")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        python = Path(find_interpreter(arguments.python).facts.executable)
    except ZipstrapError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    folder = arguments.output.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(imports_of(bench_data().modules), encoding="utf-8")
    missing = 0
    for name, make in PEERS.items():
        try:
            print(f"--peer {name}={make(python, folder)}", flush=True)
        except (MissingError, StopIteration, OSError, KeyError, tarfile.TarError) as error:
            print(f"{name} cannot be had: {error!s:.2000}", file=sys.stderr)
            missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
