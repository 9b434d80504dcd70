"""ensurepip: in an environment, into a root, and taken away again."""

import show

show.run(show.TREE_PYTHON, "-m", "ensurepip", "--version")
show.run(show.TREE_PYTHON, "-m", "ensurepip", "--help")
show.run(show.TREE_PYTHON, "-m", "venv", "--without-pip", "env")
show.run("env/bin/python", "-m", "ensurepip", "--upgrade", "--default-pip", status=None)
show.files("env/bin")
show.run("env/bin/python", "-m", "pip", "list", status=None)
show.run("env/bin/python", "-m", "ensurepip._uninstall", "-v", status=None)
show.files("env/bin")
show.run(
    show.TREE_PYTHON, "-m", "ensurepip", "--root", "root", status=None, env={"PIP_BREAK_SYSTEM_PACKAGES": "1"}
)
show.files("root", skip=("__pycache__", "RECORD", "direct_url.json"))
import ensurepip

print(ensurepip.version(), ensurepip.__file__)
show.modules()
