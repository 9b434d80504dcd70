"""Compare the size of archives of the same content: Pyodide's, PyInstaller's, cx_Freeze's, and ours.

    python benchmarks/bench_size.py [--python PYTHON] [--pyodide FILE] [--jobs N] [--best] [--format markdown]

(a) Pyodide's ``python_stdlib.zip`` holds sources, deflated. It comes from the npm package of PYODIDE_VERSION
(``npm pack``), or from FILE, that package or the archive itself. What it holds is packed anew in every way,
as it is; and the modules that PYTHON (an interpreter of the same minor version) has too are packed as
bytecode. The archive's own modules are left out on both sides of that comparison.
(b) PyInstaller's ``base_library.zip`` and (c) cx_Freeze's ``library.zip`` are made of a program of one line
with the interpreter that runs this script, if they are installed there (``pip install pyinstaller
cx_Freeze``), and hold bytecode. What they hold is packed anew in every way, as it is; then the same modules
as our bytecode.

Each figure is a whole archive's size in bytes, with its ratio to the peer's. ``best`` takes minutes, so it
is asked for with --best. What compression made is cached as in a build. The bound is one LZMA stream of
everything (``xz -9e``), of which no module can be read alone.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zipstrap.archive import Member, write_archive
from zipstrap.compile import BytecodeCache, Source, compile_sources
from zipstrap.compress import compress_members
from zipstrap.config import default_cache_folder
from zipstrap.interpreter import find_interpreter

#: the archive of this one has 2,545,637 bytes; it is of Python 3.14
PYODIDE_VERSION = "314.0.7"
_ARCHIVE = "package/python_stdlib.zip"

#: title, optimize, debug ranges
LEVELS = (
    ("bytecode", 0, True),
    ("bytecode, no debug ranges", 0, False),
    ("bytecode, no debug ranges, optimize 2", 2, False),
)


@dataclass(frozen=True)
class Row:
    peer: str
    content: str
    way: str
    size: int
    of: int


def size_of(members: Mapping[str, bytes], way: str, arguments: argparse.Namespace) -> int:
    """Return the size in bytes of an archive of *members*; with a dictionary, that is a member too."""
    made = [Member(name, data) for name, data in members.items()]
    cache = None if arguments.no_cache else BytecodeCache(default_cache_folder(os.environ))
    packed = compress_members(made, set(members), way, jobs=arguments.jobs, cache=cache)
    stream = io.BytesIO()
    write_archive(stream, packed, mtime=0)
    return stream.tell()


def bound(members: Mapping[str, bytes]) -> int:
    """Return the size in bytes of one LZMA stream of everything, in the order of names."""
    data = b"".join(members[name] for name in sorted(members))
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def rows(
    peer: str, content: str, members: Mapping[str, bytes], of: int, arguments: argparse.Namespace
) -> Iterator[Row]:
    ways = ["stored", "deflate", "libdeflate", "zstd"]
    if arguments.best and "as" in content.split():
        ways.append("best")
    if any(name.endswith(".pyc") for name in members):
        ways.append("dictionary")
    for way in ways:
        yield Row(peer, content, way, size_of(members, way, arguments), of)
    yield Row(peer, content, "xz, one stream", bound(members), of)


def contents(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist() if not info.is_dir()}


def compiled(
    python: str | None, names: Mapping[str, str], optimize: int, *, debug_ranges: bool
) -> dict[str, bytes]:
    """Return our bytecode of the modules of *python*'s library: *names* maps its files to members."""
    facts = find_interpreter(python).facts
    library = Path(facts.library)
    folder = f"lib/python{'.'.join(map(str, facts.feature_version))}"
    sources = [
        Source(member, f"{folder}/{path}", (library / path).read_bytes()) for path, member in names.items()
    ]
    done = compile_sources(
        Path(facts.executable),
        sources,
        optimize=optimize,
        jobs=os.cpu_count() or 1,
        cache=None,
        identity=facts.identity,
        debug_ranges=debug_ranges,
    )
    if done.failures:
        raise SystemExit(f"these do not compile: {done.failures}")
    return dict(done.pycs)


def against_bytecode(
    peer: str, archive: bytes, python: str | None, arguments: argparse.Namespace
) -> Iterator[Row]:
    """Compare with an archive of bytecode: its content as it is, and the library's modules in it as ours."""
    held = contents(archive)
    yield from rows(peer, f"as it is ({len(held)} members)", held, len(archive), arguments)
    library = Path(find_interpreter(python).facts.library)
    names = {name[:-1]: name for name in held if name.endswith(".pyc") and (library / name[:-1]).is_file()}
    others = {name: data for name, data in held.items() if name not in names.values()}
    for title, optimize, debug_ranges in LEVELS:
        ours = compiled(python, names, optimize, debug_ranges=debug_ranges)
        yield from rows(peer, f"our {title}", {**ours, **others}, len(archive), arguments)


def against_pyodide(archive: bytes, python: str, arguments: argparse.Namespace) -> Iterator[Row]:
    held = contents(archive)
    yield from rows("Pyodide", f"sources, as they are ({len(held)} members)", held, len(archive), arguments)
    library = Path(find_interpreter(python).facts.library)
    common = {name for name in held if name.endswith(".py") and (library / name).is_file()}
    part = common_size(archive, common)
    about = f"{len(common)} modules in common"
    print(f"Pyodide: {about}, whose sources take {part:,} bytes of {len(archive):,}", file=sys.stderr)
    for title, optimize, debug_ranges in LEVELS:
        ours = compiled(python, {name: f"{name}c" for name in common}, optimize, debug_ranges=debug_ranges)
        yield from rows("Pyodide", f"{title} of {about}", ours, part, arguments)


def common_size(archive: bytes, names: set[str]) -> int:
    """Return the size in bytes that *archive* would have with these members alone, compressed as they are."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        # local and central header, each with the name, and the end record
        return 22 + sum(
            30 + 46 + 2 * len(info.filename) + info.compress_size
            for info in opened.infolist()
            if info.filename in names
        )


def pyodide(given: Path | None, folder: Path) -> bytes:
    """Return the archive, from the file *given* or from npm."""
    if given is None:
        command = ["npm", "pack", "--silent", f"pyodide@{PYODIDE_VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (given,) = folder.glob("pyodide-*.tgz")
    if zipfile.is_zipfile(given):
        return given.read_bytes()
    with tarfile.open(given) as opened:
        member = opened.extractfile(_ARCHIVE)
        if member is None:
            raise SystemExit(f"{given} has no {_ARCHIVE}")
        return member.read()


def frozen(tool: str, folder: Path) -> bytes | None:
    """Return the library's archive that *tool* makes of a program of one line; None without the tool."""
    program = folder / "hello.py"
    program.write_text('print("hello")\n')
    if tool == "PyInstaller":
        command = ["-m", "PyInstaller", "--onedir", "--noconfirm", str(program)]
        name = "base_library.zip"
    else:
        command = ["-m", "cx_Freeze", "--script", str(program), "--target-dir", str(folder / "frozen")]
        name = "library.zip"
    here = shutil.which("python", path=str(Path(sys.executable).parent)) or sys.executable
    done = subprocess.run([here, *command], cwd=folder, capture_output=True, text=True, check=False)
    found = sorted(folder.rglob(name))
    if done.returncode or not found:
        print(f"{tool} made nothing: {done.stderr.strip()[-200:]}", file=sys.stderr)
        return None
    return found[0].read_bytes()


def told(row: Row) -> tuple[str, ...]:
    return row.peer, row.content, row.way, f"{row.size:,}", f"{row.size / row.of:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", help="of the same minor version as Pyodide's archive")
    parser.add_argument("--pyodide", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--best", action="store_true", help="what they hold by zopfli too: some minutes")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--format", choices=["text", "markdown", "json"], default="text")
    arguments = parser.parse_args()
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="zipstrap-size-") as name:
        for tool in ("PyInstaller", "cx_Freeze"):
            folder = Path(name, tool)
            folder.mkdir()
            archive = frozen(tool, folder)
            if archive is not None:
                found.append(Row(tool, "its own archive", "", len(archive), len(archive)))
                found += against_bytecode(tool, archive, sys.executable, arguments)
        archive = pyodide(arguments.pyodide, Path(name))
        found.append(Row("Pyodide", "its own archive", "", len(archive), len(archive)))
        if arguments.python is None:
            found += rows("Pyodide", "sources, as they are", contents(archive), len(archive), arguments)
            print("without --python there is no bytecode of Pyodide's modules", file=sys.stderr)
        else:
            found += against_pyodide(archive, arguments.python, arguments)
    head = ("peer", "content", "way", "bytes", "ratio")
    if arguments.format == "json":
        print(json.dumps([row.__dict__ for row in found], indent=1))
    elif arguments.format == "markdown":
        print(f"| {' | '.join(head)} |\n|---|---|---|---:|---:|")
        print("\n".join(f"| {' | '.join(told(row))} |" for row in found))
    else:
        table = [head, *map(told, found)]
        widths = [max(len(line[column]) for line in table) for column in range(len(head))]
        for line in table:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
