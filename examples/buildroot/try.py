"""Convert a copy of an interpreter as a post-build script does, and start it: try.py PYTHON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = "import asyncio, decimal, email.mime.text; print(asyncio.__spec__.origin)"


def main() -> int:
    """Make a target folder of the interpreter, convert it twice, and look."""
    facts = json.loads(subprocess.run(["zipstrap", "facts", sys.argv[1]], check=True, stdout=-1).stdout)
    with tempfile.TemporaryDirectory() as folder:
        usr, host = Path(folder, "target/usr"), Path(folder, "host/bin")
        prefix, library, executable = (Path(facts[name]) for name in ("prefix", "library", "executable"))
        (usr / "bin").mkdir(parents=True)
        host.mkdir(parents=True)
        shutil.copy2(executable, usr / "bin" / library.name)
        (host / library.name).symlink_to(executable)
        leave = shutil.ignore_patterns("config-*", "test", "site-packages")
        shutil.copytree(library, usr / "lib" / library.name, symlinks=True, ignore=leave)
        for path in prefix.glob("lib/libpython*.so*"):
            shutil.copy2(path, usr / "lib", follow_symlinks=False)
        for _ in range(2):
            subprocess.run(
                [sys.executable, str(Path(__file__).with_name("post_build.py")), str(usr.parent)],
                check=True,
                env={**os.environ, "HOST_DIR": str(host.parent)},
            )
        environ = {"LD_LIBRARY_PATH": str(usr / "lib"), "PATH": os.environ["PATH"]}
        command = [str(usr / "bin" / library.name), "-I", "-c", PROGRAM]
        told = subprocess.run(command, check=True, stdout=-1, text=True, env=environ).stdout
        print(told.replace(folder, ""), end="")
        archive = usr / "lib" / f"{library.name.replace('.', '')}.zip"
        assert f"{archive}/asyncio/__init__.pyc" in told
        assert not (usr / "lib" / library.name / "asyncio").exists()
    return 0


if __name__ == "__main__":
    sys.exit(main())
