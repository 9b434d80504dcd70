"""What a failed import says, in trees that leave a module out."""

from __future__ import annotations

import re
from pathlib import Path

from .trees import Tree

__all__ = ["check_told"]

#: how imports of {name} fail; argv: the folder of a module of that name
TELL = """\
import importlib.util, sys, traceback
def tell(name):
    try:
        exec("import " + name)
    except ImportError as error:
        texts = [str(error), *getattr(error, "__notes__", ())]
        frames = len(traceback.extract_tb(error.__traceback__))
        print(type(error).__name__, error.name, " | ".join(texts), frames)
    else:
        print(name, "is there")
name = sys.argv[1]
print(importlib.util.find_spec(name))
tell(name)
tell(name + ".inner")
tell("nothing_of_this_name")
tell("json.nothing_of_this_name")
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == sys.argv[1]:
            from importlib.machinery import SourceFileLoader
            from importlib.util import spec_from_file_location
            return spec_from_file_location(name, sys.argv[2] + "/" + name + ".py")
sys.meta_path.append(Finder)
tell(name)
del sys.modules[name]
sys.meta_path.remove(Finder)
sys.path.append(sys.argv[2])
tell(name)
"""


def check_told(tree: Tree, name: str, told: str, folder: Path, *options: str) -> None:
    """Import *name*, which *tree* leaves out, and see what is *told* of it, and that others may have it."""
    (folder / f"{name}.py").write_text("")
    done = tree.run(*options, "-c", TELL, name, folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    separator = " | " if tree.target.version >= (3, 11) else " ("
    end = "" if tree.target.version >= (3, 11) else ")"
    frames = lines[1].rpartition(" ")[2]
    assert lines[0] == "None"
    assert lines[1] == f"ModuleNotFoundError {name} No module named '{name}'{separator}{told}{end} {frames}"
    assert lines[2] == lines[1]
    assert lines[3] == (
        f"ModuleNotFoundError nothing_of_this_name No module named 'nothing_of_this_name' {frames}"
    )
    assert re.fullmatch(
        r"ModuleNotFoundError json\.nothing_of_this_name No module named 'json\.n\S+' \d+", lines[4]
    )
    assert lines[5:] == [f"{name} is there", f"{name} is there"]
    uncaught = tree.run(*options, "-c", f"import {name}").stderr.splitlines()
    assert [line for line in uncaught if line.startswith("  File")] == [
        '  File "<string>", line 1, in <module>'
    ]
