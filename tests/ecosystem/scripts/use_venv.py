"""venv: links and copies, with and without pip, upgraded and cleared."""

import os

import show

WHAT = (
    "import sys, json, ssl, sqlite3, sysconfig, os; "
    "print(sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, sep='\\n'); "
    "print(json.__file__, os.__file__, ssl.__file__, sqlite3.sqlite_version, sysconfig.get_paths())"
)


def look(name, status=0):
    show.title("files of " + name)
    show.files(name, skip=("__pycache__", "site-packages"))
    print(open(os.path.join(name, "pyvenv.cfg")).read())
    # a copy of an executable may need a library beside it, so ask and compare, whatever the answer
    show.run(os.path.join(name, "bin", "python"), "-c", WHAT, status=status)
    for script in ("activate", "activate.csh", "activate.fish"):
        print(open(os.path.join(name, "bin", script)).read())
    show.run("sh", "-c", ". %s/bin/activate && command -v python && echo $VIRTUAL_ENV && deactivate" % name)


T = show.TREE_PYTHON
show.run(T, "-m", "venv", "--help")
# the wheel of pip that a distribution has may be too old for this Python, on both sides
show.run(T, "-m", "venv", "plain", status=None)
if os.path.exists("plain/bin/pip"):
    look("plain")
    show.run("plain/bin/python", "-m", "pip", "list")
    show.run("plain/bin/python", "-m", "pip", "install", "--no-deps", "click")
    show.run("plain/bin/python", "-c", "import click; print(click.__file__)")
    show.files("plain/lib", skip=("__pycache__", "RECORD"))
show.run(T, "-m", "venv", "--without-pip", "bare")
look("bare")
show.run(T, "-m", "venv", "--copies", "--without-pip", "copied")
look("copied", status=None)
show.run(T, "-m", "venv", "--copies", "copied-pip", status=None)
show.run(T, "-m", "venv", "--system-site-packages", "--without-pip", "--prompt", "some prompt", "system")
look("system")
show.run(T, "-m", "venv", "--upgrade", "--without-pip", "bare")
look("bare")
show.run(T, "-m", "venv", "--clear", "--without-pip", "plain")
look("plain")
# an environment made by an environment
show.run("bare/bin/python", "-m", "venv", "--without-pip", "second")
look("second")
show.run(T, "-m", "venv", status=2)

import venv


class Builder(venv.EnvBuilder):
    def post_setup(self, context):
        print(sorted((key, str(value)) for key, value in vars(context).items()))


Builder(symlinks=True).create("built")
look("built")
show.modules()
