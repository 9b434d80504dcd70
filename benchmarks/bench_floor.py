"""What 147 modules cost with the least importer that there could be, and with ours: ratios to the directory.

    python benchmarks/bench_floor.py [PYTHON] [--pairs N]

The floor is a script whose importer knows beforehand what will be imported. It is asked first, knows each
module's bytecode by its place in one open file, and does nothing that could be left out: no search, no names
in code objects, no check of what is read. What lies between the floor and the unpacked library is what an
importer can save; the rest is the import system, running the modules, loading extension modules and taking
everything down at the end.
Each round starts all sides in turns; CPU time (user and system) as a ratio to the unpacked library's.
"""

from __future__ import annotations

import argparse
import marshal
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from zipstrap import cli
from zipstrap.archive import read_archive
from zipstrap.bench.cases import bench_data, imports_of
from zipstrap.bench.measure import Started, measure
from zipstrap.interpreter import find_interpreter
from zipstrap.manifest import load_manifest
from zipstrap.worker import clean_environment

_FLOOR = """\
import sys
from _frozen_importlib import ModuleSpec
from marshal import loads
from posix import open, pread
file = open({data!r}, 0)
kinds = loads(pread(file, {size}, {place}))


class Least:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in kinds:
            return None
        origin = kinds[name][2]
        spec = ModuleSpec(name, Least, origin=origin, is_package=origin.endswith("/__init__.py"))
        spec._set_fileattr = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(origin.rpartition("/")[0])
        return spec

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        place, size, _ = kinds[module.__name__]
        exec(loads(pread(file, size, place)), module.__dict__)


sys.meta_path.insert(0, Least)
"""

_ORIGINS = """
import sys
for name, module in list(sys.modules.items()):
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    print(name, origin or "-", sep="\\t")
"""


def make_floor(tree: Path, script: Path, folder: Path) -> Path:
    """Write the floor's script and data for the imports of *script* in *tree*; return the script."""
    manifest = load_manifest(tree)
    executable = tree / manifest.layout.executable
    asking = folder / "asking.py"
    asking.write_text(script.read_text() + _ORIGINS)
    told = subprocess.run(
        [executable, "-B", asking], env=clean_environment(), capture_output=True, text=True, check=True
    )
    origins = dict(line.split("\t") for line in told.stdout.splitlines())
    library = f"{os.path.realpath(tree / manifest.layout.library)}/"
    kinds: dict[str, tuple[int, int, str]] = {}
    data = folder / "data"
    with read_archive(tree / manifest.layout.library_archive) as archive, data.open("wb") as stream:
        known = frozenset(archive.names)
        for name, origin in origins.items():
            member = f"{origin.removeprefix(library)}c"
            if origin.startswith(library) and member in known:
                code = archive.read(member)[16:]
                kinds[name] = (stream.tell(), len(code), origin)
                stream.write(code)
        place = stream.tell()
        size = stream.write(marshal.dumps(kinds, 2))
    floor = folder / "floor.py"
    floor.write_text(_FLOOR.format(data=str(data), size=size, place=place) + script.read_text())
    return floor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("python", nargs="?")
    parser.add_argument("--pairs", type=int, default=60)
    arguments = parser.parse_args()
    facts = find_interpreter(arguments.python).facts
    with tempfile.TemporaryDirectory(prefix="zipstrap-bench-") as name:
        folder = Path(name)
        trees = {layout: folder / layout for layout in ("directory", "fast")}
        for layout, tree in trees.items():
            options = ["--layout", layout, "--exclude", "dev", "--no-verify", "-q", "-o", str(tree)]
            if cli.main(["build", facts.executable, *options]) != 0:
                raise SystemExit(f"no tree of the layout {layout} could be built")
        started = {
            layout: str(tree / load_manifest(tree).layout.executable) for layout, tree in trees.items()
        }
        script = folder / "modules.py"
        script.write_text(imports_of(bench_data().modules))
        floor = make_floor(trees["fast"], script, folder)
        sides = {
            "directory": [started["directory"], "-B", str(script)],
            "control": [started["directory"], "-B", str(script)],
            "fast": [started["fast"], "-B", str(script)],
            "floor": [started["fast"], "-B", str(floor)],
        }
        runs = measure(sides, Started(clean_environment(), folder), arguments.pairs)
    ratios = {
        side: [run.cpu / base.cpu for run, base in zip(each, runs["directory"], strict=True)]
        for side, each in runs.items()
    }
    print(f"{facts.name}, {arguments.pairs} rounds; medians (quartiles) of the CPU time, as a ratio")
    for side, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{side:<10}{middle:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
