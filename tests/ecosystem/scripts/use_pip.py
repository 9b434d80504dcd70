"""pip: by itself, from its wheel, and building a wheel."""

import glob
import os
import sys

import show

show.python("-m", "pip", "--version")
show.python("-m", "pip", "list")
show.python("-m", "pip", "check", status=None)
show.python("-m", "pip", "show", "-f", "pip", keep=lambda line: "__pycache__" not in line)
show.python("-m", "pip", "debug", "--verbose")
show.python("-m", "pip", "inspect", status=None)
show.python("-m", "pip", "help", "install")
show.python(os.path.join(os.environ["ECO_PIP"], "pip"), "--version")
show.python("-m", "pip", "install", "--no-deps", "--target", "target", "rich", "click")
show.files("target", skip=("__pycache__", "RECORD", "direct_url.json"))
show.python("-m", "pip", "install", "no-such-distribution-anywhere", status=1)
show.write("project/hello_zip.py", "import json\nprint(json.__file__)\n")
show.write(
    "project/setup.py",
    """
    from setuptools import setup
    setup(name="hello-zip", version="1", py_modules=["hello_zip"])
    """,
)
show.python("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "wheels", "./project")
show.python("-m", "zipfile", "-l", glob.glob("wheels/*.whl")[0])
show.python("-m", "pip", "install", "--target", "other", glob.glob("wheels/*.whl")[0])
show.files("other", skip=("__pycache__", "RECORD", "direct_url.json"))
show.python("-m", "pip", "freeze", "--path", "other")

import pip._internal.cli.main
import pip._vendor.requests

print(pip._vendor.requests.__file__, sys.prefix)
show.modules()
