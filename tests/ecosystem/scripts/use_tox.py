"""tox: environments made and run, with a package of the project."""

import show

show.write(
    "tox.ini",
    """
    [tox]
    env_list = one, two
    no_package = true
    [testenv]
    pass_env = PIP_*
    commands = python -c "import json, sys; print(json.__file__, sys.prefix)"
    [testenv:two]
    deps = click
    commands = python -c "import click; print(click.__file__)"
               python -c "import json; json.loads('[')"
    [testenv:pack]
    package = wheel
    no_package = false
    commands = python -c "import packed; print(packed.__file__)"
    """,
)
show.write("packed.py", "print('packed')\n")
show.write(
    "setup.py", "from setuptools import setup\nsetup(name='packed', version='1', py_modules=['packed'])\n"
)
T = ["-m", "tox"]
show.python(*T, "--version")
show.python(*T, "list")
show.python(
    *T,
    "config",
    "-e",
    "one",
    "-k",
    "env_dir",
    "env_python",
    "base_python",
    "commands",
    "env_site_packages_dir",
)
show.python(*T, "-e", "one")
show.python(*T, "-e", "one,two", status=None)
show.python(*T, "-e", "none_such", status=None)
show.python(
    # one at a time: of two at once, it tells of the one that ends first in another way
    *(*T, "run-parallel", "--parallel", "1", "-e", "one,two"),
    status=None,
    order=True,
    env={"TOX_PARALLEL_NO_SPINNER": "1"},
)
show.python(*T, "devenv", "-e", "one", "dev", status=None)
show.files(".tox/one", skip=("__pycache__", "site-packages"))
import tox.run

show.modules()
