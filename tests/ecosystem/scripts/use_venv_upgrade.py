"""venv: an environment whose tree is replaced by other builds, and then moves."""

import json
import os
import sys

import show

ARCHIVE = "python%d%d.zip" % sys.version_info[:2]
LAYOUT = "fast" if os.path.exists(os.environ["ECO_TREE"] + "/lib/" + ARCHIVE) else "directory"
# each line of what zipstrap says may differ between the layouts: nothing of it is compared
ZIPSTRAP = json.loads(os.environ["ECO_ZIPSTRAP"])
NAME = os.path.basename(show.TREE_PYTHON)
USE = """
import sys, json, asyncio, decimal, email.message, logging, sqlite3, ssl, sysconfig, unittest
import traceback
print(sys.prefix, sys.base_prefix, sys.executable)
print(*sys.path, sep="\\n")
for module in (json, asyncio, decimal, email.message, logging, sqlite3, ssl, sysconfig, unittest):
    print(module.__name__, module.__file__)
import click
print(click.__file__)
try:
    json.loads("[1, }")
except ValueError:
    print(traceback.format_exc())
"""


def build(*options):
    import subprocess

    command = [*ZIPSTRAP, "build", os.environ["ECO_PYTHON"], "-o", os.path.abspath("tree"), "-q"]
    command += ["--layout", LAYOUT, "--exclude", "dev", *options]
    host = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, env=host, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print("\nbuild", "->", done.returncode, flush=True)
    if done.returncode:
        sys.exit(done.stdout)


def look(status=0):
    show.run("env/bin/python", "-c", USE, status=status)
    show.run("env/bin/python", "-m", "pip", "list", status=None if status is None else 0)
    show.run("env/bin/python", "-O", "-c", "import json, sys; print(json.__file__, sys.flags)", status=status)


build()
show.run(f"tree/bin/{NAME}", "-m", "venv", "--without-pip", "env")
show.run(sys.executable, "-m", "pip", "--python", "env", "install", "-q", "pip", "click")
look()
for options in (["--exclude", "test"], ["--exclude", "idle", "--exclude", "tk"], ["--optimize", "1"], []):
    if LAYOUT == "directory" and "--optimize" in options:
        options = []  # the directory compiles at each level by itself
    build("--force", *options)
    look()
# another profile: what it has no more is gone on both sides
build("--force", "--profile", "full")
look()
build("--force", "--profile", "minimal")
show.run("env/bin/python", "-c", "import json, sys; print(json.__file__, sys.prefix)")
build("--force")
look()
show.title("the tree moves: the links of the environment lead nowhere")
os.rename("tree", "moved")
look_at = [f"moved/bin/{NAME}", "-c", USE.replace("import click\nprint(click.__file__)", "")]
show.run(*look_at)
print(os.path.exists("env/bin/python"))
show.run(f"moved/bin/{NAME}", "-m", "venv", "--upgrade", "--without-pip", "env", status=None)
print(open("env/pyvenv.cfg").read())
show.files("env/bin")
show.title("made anew in its place")
show.run(f"moved/bin/{NAME}", "-m", "venv", "--without-pip", "--clear", "env")
show.run(sys.executable, "-m", "pip", "--python", "env", "install", "-q", "pip", "click")
look()
show.title("the tree moves, and a link is left in its place")
os.rename("moved", "third")
os.symlink("third", "moved")
look()
