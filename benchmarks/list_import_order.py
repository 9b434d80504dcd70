"""Write tools/zipstrap/data/import_order.json: the library's modules in an order in which programs read them.

    python benchmarks/list_import_order.py PYTHON... [--write]

Each PYTHON imports all public modules of its library, in the order of their names, in one process. A module
comes before what it imports, and that before the next one: so what a program imports together lies together
in an archive that is written in this order, and mostly in the order in which it is read, which a kernel that
reads ahead is good at. Nothing depends on which programs there are.

Each feature version has its own order: name one PYTHON of each. Without --write the orders are printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tools/zipstrap/data/import_order.json"

#: Runs in the target. Left out is what does something when it is imported, and what programs do not import.
_CODE = """\
import os, sys, warnings
warnings.simplefilter("ignore")
library = os.path.dirname(os.__file__)
left_out = {"antigravity", "idlelib", "lib2to3", "test", "this", "turtledemo"}
names = {name.partition(".")[0] for name in os.listdir(library)
         if name.endswith(".py") or os.path.exists(os.path.join(library, name, "__init__.py"))}
read = list(sys.modules)
class Recorder:
    def find_spec(name, path=None, target=None):
        read.append(name)
sys.meta_path.insert(0, Recorder)
for name in sorted(name for name in names - left_out if not name.startswith("_")):
    try:
        __import__(name)
    except ImportError:
        pass  # of another system
for name in dict.fromkeys(read):
    place = os.path.join(library, *name.split("."))
    files = place + ".py", os.path.join(place, "__init__.py")
    if getattr(sys.modules.get(name), "__file__", None) in files:
        print(name)
"""


def order_of(python: str) -> list[str]:
    """Return the modules of *python*'s library in the order in which they are read."""
    command = [python, "-I", "-S", "-X", "frozen_modules=off", "-c", _CODE]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return [name for name in printed.stdout.split() if not name.startswith("_sysconfigdata")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    versions: dict[str, str] = {}
    orders: dict[str, list[str]] = {}
    for python in arguments.pythons:
        banner = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout
        feature = ".".join(banner.split()[1].split(".")[:2])
        versions[feature] = banner.split()[1]
        orders[feature] = order_of(python)
    if not arguments.write:
        for feature, names in orders.items():
            print(f"{feature}: {' '.join(names)}")
        return
    values = {
        "comment": "The order of the modules in an archive, for each feature version: public ones by name, "
        "each with what it imports behind it. What is not in it comes after, by name. Made by "
        "benchmarks/list_import_order.py.",
        "versions": list(versions.values()),
        "modules": {feature: textwrap.wrap(" ".join(names), 100) for feature, names in orders.items()},
    }
    DATA.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(f"{DATA}: {', '.join(f'{feature}: {len(names)}' for feature, names in orders.items())}")


if __name__ == "__main__":
    main()
