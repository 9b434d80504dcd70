"""virtualenv: links and copies, its own pip, and asked for the tree by path."""

import os

import show

WHAT = (
    "import sys, json, ssl, os, sysconfig; print(sys.prefix, sys.base_prefix, *sys.path, json.__file__, "
    "os.__file__, sysconfig.get_paths(), sep='\\n')"
)
show.python("-m", "virtualenv", "--version")
for name, options in {
    "links": [],
    "copies": ["--copies"],
    "other": ["-p", show.TREE_PYTHON, "--prompt", "x"],
    "venv": ["--creator", "venv"],
    "without": ["--no-pip"],
    "system": ["--system-site-packages", "--no-pip"],
}.items():
    show.python("-m", "virtualenv", "-v", "--no-download", *options, name, status=None, order=True)
    if not os.path.exists(name):
        continue
    show.files(name, skip=("__pycache__", "site-packages"))
    print(open(os.path.join(name, "pyvenv.cfg")).read())
    show.run(os.path.join(name, "bin", "python"), "-c", WHAT, status=None)
    show.run(os.path.join(name, "bin", "python"), "-m", "pip", "list", status=None)
show.run("links/bin/pip", "install", "--no-deps", "click", status=0)

from virtualenv import session_via_cli

info = session_via_cli(["--no-download", "fourth"])
print(info.creator.interpreter, *info.seeder.__class__.__mro__[:1])
try:
    from python_discovery import PythonInfo
except ImportError:
    from virtualenv.discovery.py_info import PythonInfo
current = PythonInfo().__dict__
for key in sorted(current):
    if key not in ("sysconfig", "path"):
        print(key, current[key])
print(current.get("path"))
print(sorted(current.get("sysconfig", {}).items()))
show.modules()
