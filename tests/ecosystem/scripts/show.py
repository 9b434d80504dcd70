"""What the scripts print with."""

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path

TREE_PYTHON = os.environ["ECO_TREE_PYTHON"]


def title(text):
    print("\n==", text, flush=True)


def write(path, text):
    """Write a file in the working folder; return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def run(*command, status=0, env=None, cwd=None, keep=lambda line: True, order=False):
    """Run a command and print what it prints; end the script when the exit status is another than expected.

    *status* None takes any exit status; *keep* chooses lines; *order* sorts them.
    """
    words = [str(word) for word in command]
    print("\n$", *words, flush=True)
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    lines = [line for line in done.stdout.splitlines() if keep(line)]
    for line in sorted(lines) if order else lines:
        print(line)
    print("exit status", done.returncode, flush=True)
    if status is not None and done.returncode != status:
        sys.exit("expected exit status %s" % status)
    return done.stdout


def python(*arguments, **options):
    return run(sys.executable, *arguments, **options)


@contextlib.contextmanager
def error():
    """Print the traceback of the error that the block must raise."""
    try:
        yield
    except Exception:
        print(traceback.format_exc(), flush=True)
    else:
        sys.exit("no error was raised")


def modules():
    """Print every module that is loaded, with the names that it goes by."""
    title("modules")
    for name, module in sorted(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        names = (
            getattr(module, "__file__", None),
            getattr(spec, "origin", None),
            getattr(spec, "cached", None),
            list(getattr(module, "__path__", None) or ()),
        )
        print(name, *names)


def files(folder, skip=("__pycache__",)):
    """Print the files below a folder, with the targets of links, the sizes and the permissions."""
    folder = Path(folder)
    for path in sorted(folder.rglob("*")):
        if any(part in skip for part in path.parts) or (path.is_dir() and not path.is_symlink()):
            continue
        name = path.relative_to(folder)
        if path.is_symlink():
            print(name, "->", os.readlink(path))
        else:
            print(name, oct(path.stat().st_mode), path.stat().st_size)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
