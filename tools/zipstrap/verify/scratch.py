"""Try the vectors of the hijack matrix for real, in a scratch copy of the tree.

The tree itself is only read. What it holds is copied once, by reflinks where the file system can; each vector
that adds something to it gets a tree of its own, of hard links to that copy. Nothing of the build is changed
in it but what a vector is about: files are added, or the archive is taken away.

Braces in ``data/hijack.json`` stand for these places:

* ``above``, ``tree``: the copy and the folder that it is in; ``bin``, ``library``, ``dynload``, ``site``,
  ``archive``, ``library_archive``, ``libpython``, ``libpython_folder``: its own; ``sites`` is each of its
  site folders; ``name`` the executable's name, ``link`` another one that leads to it
* ``interpreter``, ``behind``: what runs, which a launcher may start, and its folder
* ``foreign``: a folder of others; ``cwd``, ``home``, ``scripts``: current folder, the user's, the script's
* ``user_site``: from a user's base to the site folder; ``platlibdir``; ``tree_library``: as ``library``
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from zipstrap.archive import EARLIEST_TIME, Member, write_archive
from zipstrap.compress import logical_name
from zipstrap.data import Vector, foreign_names, harmless_variables, vectors
from zipstrap.destination import writing
from zipstrap.errors import FileError
from zipstrap.layout import Layout
from zipstrap.linkage import read_elf, resolve_linkage
from zipstrap.manifest import Manifest, Target, load_manifest
from zipstrap.stage import copy_file
from zipstrap.worker import SCHEMA, clean_environment, worker_source

from .boots import MADE, Mode, Origin, read_probe
from .evidence import Writable, changeable_by_others, tree_paths
from .hijack import (
    Cell,
    Matrix,
    Outcome,
    Row,
    Seen,
    claims,
    judge_start,
    modes_of,
    read_marks,
    reason_not_tried,
    unknown_variables,
    variables_in,
)
from .native_marker import can_make_native, make_native

__all__ = ["PLACES", "PLANTS", "STARTS", "hijack_tree"]

#: the words in braces
PLACES = frozenset(
    {
        *("above", "tree", "bin", "library", "tree_library", "dynload", "site", "sites", "name", "link"),
        *("interpreter", "behind"),
        *("archive", "library_archive", "libpython", "libpython_stem", "libpython_folder"),
        *("foreign", "cwd", "home", "scripts", "user_site", "platlibdir"),
    }
)

#: the ways to start: a program with -c, one that calls breakpoint() or asks sysconfig, a module with -m,
#: scripts, a prompt, that of asyncio, and a prompt after the program, asked for or not
STARTS = frozenset(
    {
        *("command", "breakpoint", "sysconfig", "module", "script", "tree script"),
        *("prompt", "asyncio prompt", "kept prompt", "inspected"),
    }
)

#: seconds for each start
_TIMEOUT = 60.0

#: the module of the library that the program imports, and no start does
_VICTIM = "colorsys"

#: nobody, where others may write
_NOBODY = 65534

#: the C library's plainest locale, and the name of its charset in it; a converter for ours is found nowhere
_LOCALE = Path("/usr/lib/locale/C.utf8/LC_CTYPE")
_CHARSET, _OWN_CHARSET = b"UTF-8\0", b"ZZZ-8\0"

_IMPORTS = """\
for _name in %r:
    try:
        __import__(_name)
    except ImportError:
        pass
"""

_COMPILE = (
    "import marshal, sys; "
    "sys.stdout.buffer.write(marshal.dumps(compile(sys.stdin.buffer.read(), 'foreign', 'exec')))"
)


def hijack_tree(
    tree: Path,
    *,
    jobs: int = 1,
    only: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Matrix:
    """Try every vector, or those with the codes *only*, on a scratch copy of *tree*; return the matrix.

    *jobs* are vectors at a time. Raises :class:`FileError` for a manifest that is missing or damaged, for
    files that cannot be read and for a scratch folder that cannot be written.
    """
    manifest = load_manifest(tree)
    root = Path(os.path.realpath(tree))
    layout = manifest.layout
    wanted = [vector for code, vector in vectors().items() if not only or code in only]
    tries = _Tries(root, manifest, changeable_by_others(root, layout, manifest, tree.absolute()))
    modes = modes_of(layout)
    free: SimpleQueue[_Slot] = SimpleQueue()
    with _scratch_folder() as folder, writing(folder):
        _copy_tree(root, folder / "copy", layout)
        slots = [_Slot(folder / f"start-{number}", folder / "copy", tries, environ) for number in range(jobs)]
        usual = _usual(slots[0], modes, manifest)
        for slot in slots:
            free.put(slot)

        def attempt(vector: Vector) -> Row:
            slot = free.get()
            try:
                return slot.attempt(vector, modes, usual)
            finally:
                free.put(slot)

        pool = ThreadPoolExecutor(max_workers=jobs)
        try:
            rows = []
            for row in pool.map(attempt, wanted):
                rows.append(row)
                if on_progress is not None:
                    on_progress("vectors", len(rows), len(wanted))
        finally:
            pool.shutdown(cancel_futures=True)
    return Matrix(
        tree=tree.absolute(),
        target=manifest.target,
        layout=layout,
        modes=tuple(label for label, _ in modes),
        rows=tuple(rows),
        unknown=unknown_variables(_variables_of(root, layout)),
    )


def _usual(
    slot: _Slot, modes: Sequence[tuple[str, Mode]], manifest: Manifest
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return, by mode, what starts import from outside the copy without any vector, and is no library's.

    It is what the user's own .pth files bring: verify tells of it (ZS403), and it is no vector's doing.
    """
    library = _library_names(manifest)
    slot.renew()
    found = {}
    for label, mode in modes:
        foreign = slot.start(vectors()["ZH001"], mode).foreign or ()
        found[label] = tuple(item for item in foreign if item[0].partition(".")[0] not in library)
    return found


def _library_names(manifest: Manifest) -> frozenset[str]:
    """Return the names of the library's modules on top, packed and on disk."""
    layout = manifest.layout
    paths = [logical_name(member.name) for member in manifest.members]
    for record in manifest.files:
        for folder in (layout.dynload, layout.library):
            if record.path.startswith(f"{folder}/"):
                paths.append(record.path.removeprefix(f"{folder}/"))
                break
    names = frozenset(path.partition("/")[0].partition(".")[0] for path in paths)
    return names - {"sitecustomize", "usercustomize"}


def _variables_of(root: Path, layout: Layout) -> frozenset[str]:
    found: set[str] = set()
    for path in (root / layout.interpreter, *(root / layout.shared_libraries).glob("libpython*")):
        with contextlib.suppress(OSError):
            found |= variables_in(path.read_bytes())
    return frozenset(found)


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
    try:
        folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="zipstrap-hijack-")))
    except OSError as error:
        raise FileError(
            f"no scratch folder can be made ({error.strerror})",
            file=tempfile.gettempdir(),
            cure="set TMPDIR to a folder that you may write to",
        ) from error
    try:
        folder.chmod(0o711)  # another user has to get through, to what he may change
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- copies ----------------------------------------------------------------------------------------------


def _copy_tree(root: Path, copy: Path, layout: Layout) -> None:
    """Copy *root*; of the site folders only their own level, with links to what is deeper: it may be large.

    A site folder that is a link, as in a generation, becomes a folder: what is put into it stays in the copy.
    """
    sites = {copy / folder for folder in layout.site_folders}
    ways = {place for site in sites for place in (site, *site.parents) if place.is_relative_to(copy)}
    ways |= {site / "zips" for site in sites}
    copy.mkdir(mode=0o755)
    #: source, copy, and whether only what is on the way to a site folder is copied
    waiting = [(root, copy, False)]
    while waiting:
        source, dest, narrow = waiting.pop()
        with os.scandir(source) as entries:
            for entry in entries:
                path, place = Path(entry.path), dest / entry.name
                if entry.is_symlink() and not (place in ways and entry.is_dir()):
                    place.symlink_to(_link_of(path, root))
                elif entry.is_dir():
                    if place in ways or not narrow:
                        place.mkdir()
                        place.chmod(entry.stat().st_mode & 0o7777 | 0o700)
                        waiting.append((path, place, narrow or entry.is_symlink() or place in sites))
                    else:
                        place.symlink_to(path.resolve())
                elif entry.is_file():
                    copy_file(path, place)
                    place.chmod(entry.stat().st_mode & 0o7777)


def _link_of(path: Path, root: Path) -> str:
    """Return what the copy of the link *path* leads to: into the copy, or outside to what it leads to."""
    whole = Path(os.path.normpath(path.parent / path.readlink()))
    if whole.is_relative_to(root):
        return os.path.relpath(whole, path.parent)
    return str(whole)


def _clone(copy: Path, dest: Path) -> None:
    """Make *dest* a tree of hard links to the files of *copy*, which is ours as well."""
    dest.mkdir(mode=0o755)
    for folder, folders, files in os.walk(copy):
        place = dest / os.path.relpath(folder, copy)
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                (place / name).symlink_to(path.readlink())
            elif name in folders:
                (place / name).mkdir()
                (place / name).chmod(path.stat().st_mode & 0o7777)
            else:
                try:
                    (place / name).hardlink_to(path)
                except OSError:  # a file system without hard links
                    shutil.copy2(path, place / name)


# ---- what is tried ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tries:
    """What all starts of one tree share."""

    root: Path
    manifest: Manifest
    writable: tuple[tuple[Writable, ...], tuple[Writable, ...]]

    @property
    def layout(self) -> Layout:
        return self.manifest.layout

    @property
    def target(self) -> Target:
        return self.manifest.target

    @functools.cached_property
    def on_disk(self) -> str | None:
        """The library's package on disk whose name comes first, which the file finder imports."""
        folder = f"{self.layout.library}/"
        names = [
            record.path.removeprefix(folder).removesuffix("/__init__.py")
            for record in self.manifest.files
            if record.path.startswith(folder)
            and record.path.endswith("/__init__.py")
            and record.kind != "data"
        ]
        return min((name for name in names if name.isidentifier()), default=None)

    @functools.cached_property
    def libpython(self) -> str | None:
        """The tree's libpython as the loader finds it; None where it is linked into the executable."""
        elf = read_elf(self.root / self.layout.interpreter)
        names = () if elf is None else elf.needed
        path = next((name for name in names if name.startswith("libpython")), None)
        place = f"{self.layout.shared_libraries}/{path}"
        return place if path is not None and (self.root / place).exists() else None

    @functools.cached_property
    def libraries(self) -> dict[str, Path]:
        """The shared libraries that the executable needs, by name; the C library and the loader apart."""
        linkage = resolve_linkage(self.root / self.layout.interpreter, ())
        return {
            library.soname: library.path
            for library in (*linkage.private, *linkage.system)
            # a name with a slash is a path of its own, which no folder of others can stand in for
            if not library.soname.startswith(("libc.so", "ld-", "ld.")) and "/" not in library.soname
        }

    @property
    def have(self) -> frozenset[str]:
        found = set()
        if "d" in self.target.abiflags:
            found.add("debug build")
        if self.libpython is not None:
            found.add("libpython")
        if self.layout.executable_links:
            found.add("link")
        if self.layout.has_launcher:
            found.add("launcher")
        if can_make_native(self.target.machine, self.target.platform):
            found.add("native")
        if _LOCALE.is_file():
            found.add("locale")
        ancestors, files = self.writable
        found |= {
            name for name, there in (("writable ancestor", ancestors), ("writable file", files)) if there
        }
        if os.geteuid() == 0:
            found.add("another user")
        return frozenset(found)


class _Slot:
    """A place to start one interpreter at a time: a copy of the tree, and what lies around it."""

    def __init__(self, folder: Path, copy: Path, tries: _Tries, environ: Mapping[str, str] | None) -> None:
        self._folder = folder
        self._copy = copy
        self._tries = tries
        self._environ = {
            name: value
            for name, value in clean_environment(environ).items()
            if not name.startswith(("LD_", "_PYTHON")) and name != "BROWSER"
        }
        self._clean = False
        self.tree = folder / "above" / "tree"
        folder.mkdir(mode=0o755)

    def attempt(
        self,
        vector: Vector,
        modes: Sequence[tuple[str, Mode]],
        usual: Mapping[str, tuple[tuple[str, str], ...]],
    ) -> Row:
        """Try *vector* in each of *modes*."""
        tries = self._tries
        claimed = claims(tries.layout, vector)
        problem = reason_not_tried(vector, tries.target, tries.have)
        if problem is None:
            self.renew()
            problem = self._plant(vector)
        if problem is not None:
            outcome, reason = problem
            return Row(
                vector, tuple(Cell(label, outcome, note=reason, claimed=claimed) for label, _ in modes)
            )
        cells = []
        for label, mode in modes:
            cell = judge_start(label, self.start(vector, mode), usual=usual.get(label, ()), claimed=claimed)
            cells.append(_named(cell, self._folder))
        return Row(vector, tuple(cells))

    def renew(self) -> None:
        """Let everything be as before any vector; the tree only if one has changed it."""
        for place in self._folder.iterdir():
            if place.name != "above" or not self._clean:
                shutil.rmtree(place) if place.is_dir() else place.unlink()
        if not self._clean:
            self.tree.parent.mkdir(mode=0o755)
            _clone(self._copy, self.tree)
            self._clean = True
        for name in ("foreign", "cwd", "home", "scripts"):
            (self._folder / name).mkdir(mode=0o755)

    # ---- places

    @functools.cached_property
    def _places(self) -> dict[str, str]:
        layout, target = self._tries.layout, self._tries.target
        tree = self.tree
        libpython = self._tries.libpython
        version = "{}.{}".format(*target.feature_version) + ("t" if target.free_threaded else "")
        links = layout.executable_links
        return {
            "above": str(tree.parent),
            "tree": str(tree),
            "bin": str((tree / layout.executable).parent),
            "name": Path(layout.executable).name,
            "interpreter": str(tree / layout.interpreter),
            "behind": str((tree / layout.interpreter).parent),
            "link": Path(links[-1]).name if links else "",
            "library": str(tree / layout.library),
            "tree_library": str(tree / layout.library),
            "dynload": str(tree / layout.dynload),
            "site": str(tree / layout.site),
            "archive": str(tree / layout.archive),
            "library_archive": str(tree / layout.library_archive),
            "libpython": str(tree / libpython) if libpython else "",
            "libpython_stem": str(tree / libpython.rpartition(".so")[0]) if libpython else "",
            "libpython_folder": str(tree / layout.shared_libraries),
            "platlibdir": layout.archive.rpartition("/")[0],
            "user_site": f"lib/python{version}/site-packages",
            **{name: str(self._folder / name) for name in ("foreign", "cwd", "home", "scripts")},
        }

    def _filled(self, text: str) -> str:
        return text.format_map(self._places)

    @property
    def _marks(self) -> Path:
        return self._folder / "marks"

    # ---- planting

    def _plant(self, vector: Vector) -> tuple[Outcome, str] | None:
        """Put what *vector* needs in its places; return why there is nothing to start."""
        for text in vector.without:
            place = Path(self._filled(text))
            if not place.exists() or (text == "{library_archive}" and self._places["archive"] == str(place)):
                return Outcome.ABSENT, "the layout has no such archive"
            self._clean = False
            self._check_inside(place.parent)
            place.unlink()
        placed = not vector.plant
        for text, kind in vector.plant.items():
            sites = self._tries.layout.site_folders if "{sites}" in text else ("",)
            for site in sites:
                place = Path(self._filled(text.replace("{sites}", str(self.tree / site))))
                if place.is_relative_to(self.tree.parent):
                    self._clean = False
                count = PLANTS[kind](self, place, vector)
                placed = placed or count
        if not placed and vector.family == "permissions":
            return Outcome.NOT_RUN, "in the scratch copy the other user could not do what he can here"
        if not placed:
            return Outcome.REFUSED, "nothing can be added: the tree has files of its own there"
        return None

    def _is_free(self, place: Path) -> bool:
        """Make the folder of *place* and tell whether nothing is there: what the build made is not changed.

        Raises :class:`FileError` if a link leads out of the scratch folder: nothing is written there.
        """
        self._check_inside(place.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        return not os.path.lexists(place)

    def _is_inside(self, place: Path) -> bool:
        """Tell whether *place* lies in the scratch folder, wherever links lead."""
        return Path(os.path.realpath(place)).is_relative_to(self._folder)

    def _check_inside(self, place: Path) -> None:
        """Raise :class:`FileError` for a place outside: nothing is written, changed or removed there."""
        if not self._is_inside(place):
            raise FileError(
                "leads out of the scratch copy, so nothing was done there",
                file=place,
                cure="leave the vector out with --vector, and report this",
            )

    def _write(self, place: Path, data: bytes, mode: int = 0o644) -> bool:
        """Write a new file; tell whether it could be added."""
        if not self._is_free(place):
            return False
        with place.open("xb") as stream:  # never through a link
            stream.write(data)
        place.chmod(mode)
        return True

    def _source(self, place: Path, *, end: bool = True) -> bytes:
        head = f"MARKS = {bytes(self._marks)!r}\nORIGIN = {str(place)!r}\nEND = {end!r}\n"
        return (head + worker_source("hijack_marker")).encode("utf-8", "surrogateescape")

    def _line(self, place: Path, kind: str, running: Sequence[str] = ()) -> bytes:
        mark = {"kind": kind, "origin": str(place), "running": list(running), "loaded": ["encodings", "site"]}
        return ascii(mark).encode() + b"\n"

    def _module(self, place: Path, _vector: Vector) -> bool:
        return self._write(place, self._source(place))

    def _modules(self, place: Path, _vector: Vector) -> bool:
        written = [
            self._write(path, self._source(path))
            for path in (place / f"{name}.py" for name in foreign_names())
        ]
        return any(written)

    def _prefix(self, place: Path, vector: Vector) -> bool:
        layout = self._tries.layout
        self._is_free(place / layout.dynload / "nothing")
        written = self._modules(place / layout.library, vector)
        return self._archive(place / layout.archive, vector) or written

    def _archive(self, place: Path, _vector: Vector) -> bool:
        if not self._is_free(place):
            return False
        members = [Member(f"{name}.py", self._source(place / f"{name}.py")) for name in foreign_names()]
        with place.open("xb") as stream:
            write_archive(stream, members, mtime=EARLIEST_TIME)
        return True

    def _pth(self, place: Path, _vector: Vector) -> bool:
        source = self._source(place, end=False).decode("utf-8", "surrogateescape")
        return self._write(place, f"import sys; exec({source!r}, {{}})\n".encode("utf-8", "surrogateescape"))

    def _entry_point(self, place: Path, _vector: Vector) -> bool:
        return self._write(place, b"zipstrap_foreign:run\n")

    def _shell(self, place: Path, vector: Vector) -> bool:
        running = ("__main__",) if vector.start in ("breakpoint", "sysconfig") else ()
        return self._write(place, self._script(self._line(place, "command", running)), 0o755)

    def _script(self, line: bytes) -> bytes:
        text = line.decode("ascii").replace("'", "'\\''")
        marks = str(self._marks).replace("'", "'\\''")
        return f"#!/bin/sh\nprintf '%s' '{text}' >> '{marks}'\n".encode("utf-8", "surrogateescape")

    def _executable(self, place: Path, _vector: Vector) -> bool:
        return self._write(place, b"#!/bin/sh\nexit 1\n", 0o755)

    def _link(self, place: Path, _vector: Vector) -> bool:
        if not self._is_free(place):
            return False
        place.symlink_to(self.tree / self._tries.layout.executable)
        return True

    def _venv(self, place: Path, _vector: Vector) -> bool:
        text = f"home = {self._places['foreign']}/bin\ninclude-system-site-packages = false\n"
        (self._folder / "foreign" / "bin").mkdir(parents=True, exist_ok=True)
        return self._write(place, text.encode("utf-8", "surrogateescape"))

    def _path(self, place: Path, _vector: Vector) -> bool:
        layout, foreign = self._tries.layout, self._places["foreign"]
        text = f"{foreign}/{layout.library}\n{foreign}/{layout.dynload}\nimport site\n"
        return self._write(place, text.encode("utf-8", "surrogateescape"))

    def _build(self, place: Path, _vector: Vector) -> bool:
        return self._write(place, b"Lib\n")

    def _empty(self, place: Path, _vector: Vector) -> bool:
        return self._write(place, b"")

    def _on_disk(self, library: Path) -> Iterator[str]:
        """Yield the names, without a suffix, of sources in *library* that starts or the program import."""
        names = [*foreign_names(), *([f"{self._tries.on_disk}/__init__"] if self._tries.on_disk else [])]
        yield from (name for name in names if (library / f"{name}.py").is_file())

    def _cached(self, place: Path, _vector: Vector) -> bool:
        tag = self._tries.target.cache_tag
        written = []
        for name in self._on_disk(Path(self._places["library"])):
            path = place / f"{name}.{tag}.pyc"
            written.append(self._write(path, self._bytecode))
        return any(written)

    def _added_bytecode(self, place: Path, _vector: Vector) -> bool:
        tag = self._tries.target.cache_tag
        written = []
        for name in self._on_disk(place):
            folder, _, stem = f"/{name}".rpartition("/")
            cache = place / folder.lstrip("/") / "__pycache__"
            for level in ("", ".opt-1", ".opt-2"):
                path = cache / f"{stem}.{tag}{level}.pyc"
                written.append(self._write(path, self._bytecode))
        return any(written)

    @functools.cached_property
    def _bytecode(self) -> bytes:
        """The marker as unchecked-hash bytecode (PEP 552), compiled by the tree's interpreter."""
        done = subprocess.run(
            [str(self.tree / self._tries.layout.executable), "-I", "-S", "-B", "-c", _COMPILE],
            input=self._source(Path()).replace(b"ORIGIN = '.'\n", b""),
            capture_output=True,
            env=self._environ,
            cwd=self._folder / "cwd",
            timeout=_TIMEOUT,
            check=False,
        )
        magic = bytes.fromhex(self._tries.target.magic)
        return magic + (1).to_bytes(4, "little") + bytes(8) + done.stdout

    def _native(self, place: Path, _vector: Vector) -> bool:
        machine = self._tries.target.machine
        if not self._is_free(place):
            return False
        make_native(place, machine, self._marks, self._line(place, "native"), place.name)
        return True

    def _converters(self, place: Path, _vector: Vector) -> bool:
        name = _OWN_CHARSET.rstrip(b"\0").decode()
        lines = f"module {name}// INTERNAL foreign 1\nmodule INTERNAL {name}// foreign 1\n"
        return self._write(place, lines.encode())

    def _locale(self, place: Path, _vector: Vector) -> bool:
        return self._write(place, _LOCALE.read_bytes().replace(_CHARSET, _OWN_CHARSET))

    def _needed(self, place: Path, _vector: Vector) -> bool:
        root, machine = self._tries.root, self._tries.target.machine
        for soname, path in self._tries.libraries.items():
            real = self.tree / path.relative_to(root) if path.is_relative_to(root) else path
            fake = place / soname
            if not self._is_free(fake):
                continue
            make_native(fake, machine, self._marks, self._line(fake, "native"), soname, (str(real),))
        return bool(self._tries.libraries)

    def _writable_ancestor(self, place: Path, _vector: Vector) -> bool:
        """Let who can change a folder above the real tree replace the copy, in a folder of such rights."""
        seen = Path(self._tries.writable[0][0].path).stat()
        _give(place, seen)
        exe = self.tree / self._tries.layout.executable
        (self._folder / "foreign" / "script").write_bytes(self._script(self._line(exe, "native")))
        return self._as_other(
            seen,
            'mv "$1" "$1.was" && mkdir -p "${2%/*}" && cp "$3" "$2" && chmod 755 "$2"',
            self.tree,
            exe,
            self._folder / "foreign" / "script",
        )

    def _writable_file(self, _place: Path, _vector: Vector) -> bool:
        """Let who can change a file or folder of the real tree do it in the copy."""
        layout = self._tries.layout
        places = {
            each.path: self.tree if Path(each.path) == self._tries.root else self.tree / each.path
            for each in self._tries.writable[1]
        }
        # what is deeper in a site folder is the user's own, in the copy a link
        path = next((path for path, place in places.items() if self._is_inside(place)), None)
        if path is None:
            return False
        place = places[path]
        seen = (self._tries.root / path).stat()
        payload = self._folder / "foreign" / "payload"
        exe = self.tree / layout.executable
        if place.is_dir():
            _give(place, seen)
            inside = exe.relative_to(place).parts if exe.is_relative_to(place) else ()
            if inside:
                payload.write_bytes(self._script(self._line(exe, "native")))
                command = (
                    'cd "$1" && mv "$2" foreign.was && mkdir -p "${3%/*}" && cp "$4" "$3" && chmod 755 "$3"'
                )
                return self._as_other(seen, command, place, inside[0], exe, payload)
            payload.write_bytes(self._source(place / "sitecustomize.py"))
            return self._as_other(seen, 'cp "$2" "$1/sitecustomize.py"', place, payload)
        data = place.read_bytes()
        place.unlink()  # the copy shares it with others
        place.write_bytes(data)
        _give(place, seen)
        if place.suffix == ".zip":
            self._archive(payload, _vector)
        elif place.suffix == ".py":
            payload.write_bytes(self._source(place))
        elif place.suffix == ".pth":
            self._pth(payload, _vector)
        else:
            payload.write_bytes(self._script(self._line(place, "native")))
        payload.chmod(0o644)
        return self._as_other(seen, 'cat "$2" > "$1"', place, payload)

    def _as_other(self, seen: os.stat_result, script: str, *arguments: Path | str) -> bool:
        """Run *script* as who may change what has the rights *seen*; tell whether he could."""
        ours = {0, os.geteuid()}
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            user=_NOBODY if seen.st_uid in ours else seen.st_uid,
            group=seen.st_gid if seen.st_mode & 0o020 else _NOBODY,
            extra_groups=[],
            check=False,
        )
        return done.returncode == 0

    # ---- starting

    def start(self, vector: Vector, mode: Mode) -> Seen:
        """Start the interpreter as *vector* says, in *mode*, and say what was seen."""
        answer = self._folder / "answer.json"
        for place in (answer, self._marks):
            place.unlink(missing_ok=True)
        executable = self._filled(vector.executable) if vector.executable else ""
        executable = executable or str(self.tree / self._tries.layout.executable)
        name = self._filled(vector.argv0) if vector.argv0 else executable
        # nothing is saved beside sources: the next start finds the tree as this one did
        command = [name, "-B", *vector.arguments, *mode.arguments]
        imports = [_VICTIM, *([self._tries.on_disk] if self._tries.on_disk else [])]
        program = _IMPORTS % (imports,) + worker_source("boot_probe")
        at_prompt = vector.start == "inspected" or vector.start.endswith("prompt")
        typed = b""
        if vector.start in ("script", "tree script"):
            folder = "scripts" if vector.start == "script" else "bin"
            script = Path(self._places[folder], "zipstrap_program.py")
            self._clean = self._clean and vector.start == "script"
            self._check_inside(script.parent)
            script.unlink(missing_ok=True)
            self._write(script, program.encode())
            command += [str(script), str(answer)]
        elif vector.start == "module":
            command += ["-m", _VICTIM]
        elif vector.start in ("prompt", "asyncio prompt"):
            command += ["-m", "asyncio"] if vector.start == "asyncio prompt" else []
            script = self._folder / "program.py"
            script.write_text(program, encoding="utf-8")
            typed = (
                f"import sys; sys.argv = ['', {str(answer)!r}]\n"
                f"exec(compile(open({str(script)!r}).read(), 'program', 'exec'))\n"
            ).encode()
        elif vector.start == "inspected":
            command += ["-c", program, str(answer)]
            line = self._line(Path("the terminal"), "typed", ("__main__",))
            typed = f"import os; os.write(os.open({str(self._marks)!r}, 0o2101, 0o666), {line!r})\n".encode()
        elif vector.start == "kept prompt":
            command += ["-i", "-c", program, str(answer)]
        else:
            before = (
                "import sysconfig; sysconfig.get_config_var('CC')\n" if vector.start == "sysconfig" else ""
            )
            after = "\nbreakpoint()\n" if vector.start == "breakpoint" else ""
            command += ["-c", before + program + after, str(answer)]
        environ = self._environ | {"HOME": self._places["home"], "TERM": "dumb"}
        for variable, value in vector.environ.items():
            values = harmless_variables() if variable == "*" else {variable: value}
            environ |= {each: self._filled(text) for each, text in values.items()}
        run = _typed if at_prompt else _plain
        status, stderr, failure = run(command, executable, environ, self._folder / "cwd", typed)
        marks: tuple[Mapping[str, object], ...] = ()
        if self._marks.exists():
            try:
                marks = read_marks(self._marks.read_text(encoding="ascii"))
            except (ValueError, SyntaxError):
                failure = "what foreign code wrote cannot be read"
        return Seen(
            status,
            stderr,
            marks,
            self._foreign_of(answer),
            answers=vector.start != "module",
            at_prompt=at_prompt,
            failure=failure,
        )

    def _foreign_of(self, answer: Path) -> tuple[tuple[str, str], ...] | None:
        try:
            said = json.loads(answer.read_bytes())
            if (said["worker"], said["schema"]) != ("boot_probe", SCHEMA):
                return None
            sightings, _ = read_probe(said, tree_paths(self.tree, self._tries.layout))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        return tuple(
            (seen.module, seen.path or "nowhere")
            for seen in sightings
            if seen.origin is Origin.FOREIGN and not (seen.path is None and seen.module in MADE)
        )


def _named(cell: Cell, folder: Path) -> Cell:
    """Let *cell* name places by what they are, not by where the scratch copy was."""
    shown = {
        f"{folder}/above/tree": "TREE",
        f"{folder}/above": "ABOVE",
        **{f"{folder}/{name}": name.upper() for name in ("foreign", "cwd", "home", "scripts")},
    }
    origin, note = cell.origin, cell.note
    for place, name in shown.items():
        origin, note = origin.replace(place, name), note.replace(place, name)
    return dataclasses.replace(cell, origin=origin, note=note)


def _give(place: Path, seen: os.stat_result) -> None:
    os.chown(place, seen.st_uid, seen.st_gid)
    place.chmod(seen.st_mode & 0o7777)


_Plant = Callable[[_Slot, Path, Vector], bool]

PLANTS: Mapping[str, _Plant] = {
    "module": _Slot._module,
    "modules": _Slot._modules,
    "prefix": _Slot._prefix,
    "archive": _Slot._archive,
    "pth": _Slot._pth,
    "entry point": _Slot._entry_point,
    "shell": _Slot._shell,
    "executable": _Slot._executable,
    "link": _Slot._link,
    "venv": _Slot._venv,
    "path": _Slot._path,
    "build": _Slot._build,
    "empty": _Slot._empty,
    "cached": _Slot._cached,
    "added bytecode": _Slot._added_bytecode,
    "native": _Slot._native,
    "converters": _Slot._converters,
    "locale": _Slot._locale,
    "needed libraries": _Slot._needed,
    "writable ancestor": _Slot._writable_ancestor,
    "writable file": _Slot._writable_file,
}


# ---- processes -------------------------------------------------------------------------------------------

_Ran = tuple[int | None, str, str]


def _plain(
    command: Sequence[str], executable: str, environ: Mapping[str, str], folder: Path, _typed: bytes
) -> _Ran:
    with tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(
                command,
                executable=executable,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=printed,
                env=environ,
                cwd=folder,
                process_group=0,
            )
        except OSError as error:
            return None, "", f"it cannot be run: {error.strerror or error}"
        failure = ""
        try:
            process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            _end(process)
            failure = f"no end after {_TIMEOUT:g} s"
        except BaseException:
            _end(process)
            raise
        printed.seek(0)
        return process.returncode, printed.read().decode("utf-8", "replace"), failure


def _typed(
    command: Sequence[str], executable: str, environ: Mapping[str, str], folder: Path, typed: bytes
) -> _Ran:
    """Run on a terminal of its own, at which *typed* is typed, and then what ends the process."""
    master, slave = pty.openpty()
    try:
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                command,
                executable=executable,
                stdin=slave,
                stdout=slave,
                stderr=printed,
                env=environ,
                cwd=folder,
                process_group=0,
            )
            os.close(slave)
            slave = -1
            # not the end of file: it is lost where readline takes the terminal out of its line mode
            os.write(master, typed + b"__import__('posix')._exit(0)\n")
            try:
                late = _drain(master, process)
            except BaseException:
                _end(process)
                raise
            if late:
                _end(process)
            printed.seek(0)
            text = printed.read().decode("utf-8", "replace")
            return process.returncode, text, f"no end after {_TIMEOUT:g} s" if late else ""
    finally:
        os.close(master)
        if slave != -1:
            os.close(slave)


def _drain(master: int, process: subprocess.Popen[bytes]) -> bool:
    """Read what is printed until the process ends; tell whether it did not in time."""
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        if select.select([master], [], [], 0.05)[0]:
            try:
                if not os.read(master, 4096):
                    break
            except OSError:  # the other side is closed
                break
        elif process.poll() is not None:
            return False
    try:
        process.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
