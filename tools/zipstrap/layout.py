"""Where things go in a tree: pure functions of a target's facts.

Every path of a :class:`Layout` is relative to the tree's root and written with forward slashes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from .data import launchers
from .errors import UnsupportedError, UsageError
from .interpreter import Facts

__all__ = [
    "GENERATIONS",
    "Landmark",
    "Layout",
    "archive_name",
    "archive_path",
    "archive_search",
    "directory_layout",
    "fast_layout",
    "generation_layout",
    "in_place_layout",
    "isolated_layout",
    "library_layout",
    "path_file_text",
    "shared_links",
    "standard_layout",
    "tree_layout",
    "two_file_layout",
    "with_libdir",
]

#: where in a prefix its generations are, each a folder with a number for a name
GENERATIONS = "lib/zipstrap/generations"

#: the folder of an executable that is not what people start: of a generation, whose prefix has the ``bin``,
#: and of what a launcher starts
_LIBEXEC = "libexec"

#: folders that packages install into beside their modules: scripts, pages of the manual, settings
_SHARED_FOLDERS = ("bin", "etc", "share")

_ISOLATED = "isolated"

#: layouts whose library our importer reads
_IMPORTED = ("fast", _ISOLATED)

#: POSIX reads ._pth files from then on
_PATH_FILES_SINCE = (3, 11)

#: POSIX by name, but their interpreters are no executables that find a prefix from where they lie
_NO_PREFIX = frozenset({"cygwin", "emscripten", "ios", "wasi"})


@dataclass(frozen=True, slots=True)
class Landmark:
    """A path that the interpreter looks for when it works out its prefix."""

    path: str
    is_folder: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of a tree."""

    name: str
    #: what is started
    executable: str
    #: what runs then: the same, or what a launcher in its place starts
    interpreter: str
    executable_links: tuple[str, ...]
    #: what the interpreter finds by its own search
    archive: str
    #: what holds the library's modules: the same, or one beside it that our importer reads
    library_archive: str
    library: str
    dynload: str
    site: str
    #: all that site and pip look for below the prefix, *site* first: Debian has three
    site_folders: tuple[str, ...]
    shared_libraries: str
    landmarks: tuple[Landmark, ...]
    #: what sys.path is in a start with -I -S
    search_path: tuple[str, ...]

    @property
    def has_importer(self) -> bool:
        """Whether our importer reads the library."""
        return self.name in _IMPORTED

    @property
    def has_launcher(self) -> bool:
        """Whether what is started is our launcher, and the interpreter lies apart."""
        return self.interpreter != self.executable

    @property
    def is_one_archive(self) -> bool:
        """Whether the archive that is found holds the library, too."""
        return self.library_archive == self.archive

    @property
    def path_files(self) -> tuple[str, ...]:
        """The files that fix sys.path: one for each name by which the executable is started.

        ``Modules/getpath.py`` looks beside the name that was called first, and beside the file that links
        lead to last; a ``pyvenv.cfg`` would change the latter. A launcher has but one name; the file behind
        it is for whoever starts the interpreter itself.
        """
        if self.name != _ISOLATED:
            return ()
        others = (self.interpreter,) if self.has_launcher else self.executable_links
        return tuple(f"{path}._pth" for path in (self.executable, *others))


def library_layout(facts: Facts) -> Layout:
    """Return the places inside the archive and the library's folder, for any target; nothing is staged."""
    library = _library_folder(facts) if facts.os_name == "posix" else "Lib"
    dynload = f"{library}/lib-dynload" if facts.os_name == "posix" else "DLLs"
    site = f"{library}/site-packages"
    return Layout(
        name="library",
        executable="",
        interpreter="",
        executable_links=(),
        archive=archive_name(facts),
        library_archive=archive_name(facts),
        library=library,
        dynload=dynload,
        site=site,
        site_folders=_site_folders(facts, site),
        shared_libraries="",
        landmarks=(),
        search_path=(archive_name(facts), library, dynload),
    )


def standard_layout(facts: Facts) -> Layout:
    """Return the ``standard`` layout: one archive, found by the interpreter's own search.

    The search is ``Modules/getpath.c`` up to 3.10 and ``Modules/getpath.py`` since 3.11. Raises
    :class:`UnsupportedError` for targets whose tree would not be a POSIX prefix.
    """
    if facts.os_name != "posix" or facts.framework or facts.platform in _NO_PREFIX:
        kind = f"an interpreter for {facts.platform}"
        if facts.framework and facts.platform == "darwin":
            kind = "a macOS framework build"
        raise UnsupportedError(
            f"{facts.name} is {kind}; trees are staged for POSIX prefixes",
            file=facts.executable,
            cure="use zipstrap pack, which makes the archive alone",
        )
    archive = _below_prefix(facts, archive_path(facts))
    library = _library_folder(facts)
    dynload = f"{library}/lib-dynload"
    site = _site_folder(facts, library)
    # as CPython's own "make install" names them: python3.14d, python3.13t, and links without the flags
    major, minor = facts.feature_version
    name, *links = dict.fromkeys(
        f"bin/python{end}" for end in (f"{major}.{minor}{facts.abiflags}", f"{major}.{minor}", "3", "")
    )
    return Layout(
        name="standard",
        executable=name,
        interpreter=name,
        executable_links=tuple(links),
        archive=archive,
        library_archive=archive,
        library=library,
        dynload=dynload,
        site=site,
        site_folders=_site_folders(facts, site),
        shared_libraries="lib",
        landmarks=_landmarks(facts, library, dynload),
        search_path=(archive, library, dynload),
    )


def directory_layout(facts: Facts) -> Layout:
    """Return the ``directory`` layout: the same tree with the library unpacked, to compare the others with.

    Raises :class:`UnsupportedError` as :func:`standard_layout` does.
    """
    standard = standard_layout(facts)
    library = f"{standard.library}/os.py"
    landmarks = tuple(landmark for landmark in standard.landmarks if landmark.path != library)
    return dataclasses.replace(standard, name="directory", landmarks=landmarks)


def fast_layout(facts: Facts) -> Layout:
    """Return the ``fast`` layout: the archive that is found holds our importer, one beside it the library.

    Raises :class:`UnsupportedError` as :func:`standard_layout` does.
    """
    standard = standard_layout(facts)
    return dataclasses.replace(
        standard,
        name="fast",
        library_archive=f"{standard.archive.removesuffix('.zip')}-library.zip",
    )


def isolated_layout(facts: Facts) -> Layout:
    """Return the ``isolated`` layout: that of ``fast``, with ``sys.path`` fixed by a file.

    Where we have a launcher for the target's machine (:mod:`zipstrap.launcher`), it is the executable.
    Raises :class:`UnsupportedError` as :func:`standard_layout` does, and before 3.11.
    """
    fast = fast_layout(facts)
    if facts.feature_version < _PATH_FILES_SINCE:
        raise UnsupportedError(
            f"{facts.name} reads no ._pth file on POSIX, which came with 3.11; "
            "so nothing in a tree can make all its starts isolated",
            cure="what comes nearest: --guard stop, and every start with -I -S",
        )
    search_path = (*fast.search_path, *fast.site_folders)
    interpreter = fast.interpreter
    if facts.platform == "linux" and facts.machine in launchers():
        # one folder below the root, as bin is: run paths that lead from there to lib go on doing so
        interpreter = f"{_LIBEXEC}/{interpreter.rpartition('/')[2]}"
    return dataclasses.replace(fast, name=_ISOLATED, interpreter=interpreter, search_path=search_path)


def path_file_text(layout: Layout, path: str) -> str:
    """Return what *path*, a file of *layout* that fixes sys.path, says: a folder or archive a line."""
    up = "../" * path.count("/")
    return "".join(f"{up}{entry}\n" for entry in layout.search_path)


def two_file_layout(facts: Facts) -> Layout:
    """Return the ``fast`` layout with one archive, for a tree whose extension modules are in it too.

    Raises :class:`UnsupportedError` as :func:`standard_layout` does, and for targets but those for Linux.
    """
    if facts.platform != "linux":
        raise UnsupportedError(
            f"{facts.name} is an interpreter for {facts.platform}; its extension modules are files",
            file=facts.executable,
            cure="build without --extensions archive",
        )
    layout = fast_layout(facts)
    return dataclasses.replace(layout, library_archive=layout.archive)


#: the layouts of a tree, by name
_TREES: dict[str, Callable[[Facts], Layout]] = {
    "standard": standard_layout,
    "fast": fast_layout,
    _ISOLATED: isolated_layout,
    "directory": directory_layout,
}


def tree_layout(facts: Facts, name: str) -> Layout:
    """Return the layout *name* of a tree.

    Raises :class:`UnsupportedError` as :func:`standard_layout` does.
    """
    return _TREES[name](facts)


def in_place_layout(facts: Facts, name: str) -> Layout:
    """Return the layout *name* of an installation that is converted where it stands.

    Its executable has the name that it has there, which may be another than a build would give it. Raises
    :class:`UnsupportedError` as :func:`standard_layout` does, and for the layout ``isolated``.
    """
    if name == _ISOLATED:
        raise UnsupportedError(
            "an installation that is converted in place keeps its search: its users start it as before",
            cure="build a tree of the layout isolated",
        )
    layout = tree_layout(facts, name)
    executable, prefix = facts.path(facts.executable), facts.path(facts.prefix)
    if executable.is_relative_to(prefix):
        place = executable.relative_to(prefix).as_posix()
        layout = dataclasses.replace(layout, executable=place, interpreter=place)
    return dataclasses.replace(layout, executable_links=())


def with_libdir(layout: Layout, libdir: str) -> Layout:
    """Return *layout* with its shared libraries in *libdir*, a folder relative to the prefix.

    The library itself cannot move: the interpreter looks for it in its platlibdir alone. So *libdir* is that
    folder or, as in Debian's multiarch, one below it. Raises :class:`UsageError` for what is no folder below
    the prefix, and :class:`UnsupportedError` for one that the interpreter does not look into.
    """
    folder = libdir.rstrip("/")
    if not folder or folder.startswith("/") or not {"", ".", ".."}.isdisjoint(folder.split("/")):
        raise UsageError(
            f"--libdir {libdir!r} is no folder below the prefix", cure="give it relative to the prefix: lib64"
        )
    looked_into = layout.library.rpartition("/")[0]
    if folder != looked_into and not folder.startswith(f"{looked_into}/"):
        raise UnsupportedError(
            f"this interpreter looks for {layout.archive} and {layout.library}, "
            f"and would find nothing in {folder}",
            cure=f"use --libdir {looked_into}, or a Python configured with --with-platlibdir={folder}",
        )
    return dataclasses.replace(layout, shared_libraries=folder)


def generation_layout(layout: Layout) -> Layout:
    """Return *layout* as a generation has it: its executable lies apart from the prefix's scripts.

    It has no launcher. That would make the generation's path the name of each start, where scripts and
    children have to go by the prefix's, which stays the same through upgrades.
    """
    place = f"{_LIBEXEC}/{layout.executable.rpartition('/')[2]}"
    return dataclasses.replace(layout, executable=place, interpreter=place, executable_links=())


def shared_links(layout: Layout) -> dict[str, str]:
    """Return the links of a generation that lead out to its prefix: path in the generation → target.

    They are the folders that all generations of a prefix share, because what is in them is the user's: those
    of packages and, for what packages bring besides modules, ``bin``, ``etc`` and ``share``. Of a site folder
    the uppermost folder is linked that holds nothing of the tree.
    """
    up = "../" * (GENERATIONS.count("/") + 2)
    inside = {place for path in (layout.library, layout.archive) for place in _folders_to(path)}
    found = dict.fromkeys(_SHARED_FOLDERS)
    for site in layout.site_folders:
        found[next(place for place in _folders_to(site) if place not in inside)] = None
    return {path: f"{up}{'../' * path.count('/')}{path}" for path in found}


def _folders_to(path: str) -> list[str]:
    """Return *path* and the folders on the way to it, the uppermost first."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def archive_path(facts: Facts) -> PurePath:
    """Return where the target looks for its archive first (PEP 273): the first ``.zip`` of its search."""
    for entry in facts.search_path:
        path = facts.path(entry)
        if path.name.lower() == archive_name(facts):
            return path
    # a ._pth file or an embedder left it out of sys.path; the name and the folder are fixed all the same
    if facts.os_name == "nt":
        return facts.path(facts.executable).parent / archive_name(facts)
    return facts.path(facts.prefix) / facts.platlibdir / archive_name(facts)


def archive_name(facts: Facts) -> str:
    """Return ``pythonXY.zip``; free-threaded builds add ``t``, debug builds nothing."""
    major, minor = facts.feature_version
    return f"python{major}{minor}{'t' if facts.free_threaded else ''}.zip"


def archive_search(version: tuple[int, int], archive: str, starts: Iterable[Path]) -> tuple[Path, ...]:
    """Return where the interpreter looks for *archive* (3.11+), in its order, without duplicates.

    ``Modules/getpath.py`` goes upward from each of *starts*: the executable's folder, and since 3.14
    libpython's folder before it. The first that exists decides the prefix, even where an unpacked library
    lies nearer; the root folder itself is never asked (both measured). Before 3.11 the archive is no
    landmark and nothing is searched.
    """
    if version < (3, 11):
        return ()
    folders = (folder for start in starts for folder in (start, *start.parents))
    return tuple(dict.fromkeys(folder / archive for folder in folders if folder != folder.parent))


def _feature(facts: Facts) -> str:
    return f"{facts.version[0]}.{facts.version[1]}{'t' if facts.free_threaded else ''}"


def _library_folder(facts: Facts) -> str:
    """Return the library's folder in a tree: where the target has it, for that is where it will look.

    3.8 knows no ``sys.platlibdir``, yet distributions have built it for ``lib64``.
    """
    name = f"python{_feature(facts)}"
    folder = _below_prefix(facts, facts.path(facts.library))
    return folder if folder.split("/")[1:] == [name] else f"{facts.platlibdir}/{name}"


def _below_prefix(facts: Facts, path: PurePath) -> str:
    prefix = facts.path(facts.prefix)
    if path.is_relative_to(prefix):
        return path.relative_to(prefix).as_posix()
    return f"{facts.platlibdir}/{path.name}"


def _site_folder(facts: Facts, library: str) -> str:
    """Return the site folder inside the library: Debian has three and calls them dist-packages."""
    folders = [_below_prefix(facts, facts.path(folder)) for folder in facts.site_folders]
    return next(
        (folder for folder in folders if folder.startswith(f"{library}/")),
        f"{library}/site-packages",
    )


def _site_folders(facts: Facts, site: str) -> tuple[str, ...]:
    """Return every site folder below the prefix, *site* first; on Windows the prefix itself is one more."""
    prefix = facts.path(facts.prefix)
    folders = [facts.path(folder) for folder in facts.site_folders]
    below = (folder.relative_to(prefix).as_posix() for folder in folders if prefix in folder.parents)
    return tuple(dict.fromkeys((site, *below)))


def _landmarks(facts: Facts, library: str, dynload: str) -> tuple[Landmark, ...]:
    found = [
        Landmark(
            dynload,
            is_folder=True,
            reason="without it exec_prefix falls back to the prefix compiled into the interpreter",
        )
    ]
    if facts.feature_version < (3, 11):
        found.append(
            Landmark(
                f"{library}/os.py",
                is_folder=False,
                reason="before 3.11 the archive is no landmark: without this file the interpreter runs the "
                "library of the prefix compiled into it, and exits 0",
            )
        )
    return tuple(found)
