# What hardly any program needs of the importer: it joins the namespace of `zipstrap_importer.py`.
#
# A member of the library's archive, loaded by the first use of one of its names through `rest()`: what is
# there for all programs should take as little memory as it can.

import sys
import zipimport
from _imp import extension_suffixes

FRAMES = spec_of = None


def is_archive(path):
    """Tell whether *path* is another name of the archive that the interpreter found.

    Up to 3.10 the first may be relative or have dots in it; `site` replaces it by a clean one, and what
    is imported from then on has clean names.
    """
    global ARCHIVE, TREE, FOLDER, LIBRARY_ARCHIVE, FOLDERS
    try:
        if stat(path)[1:3] != stat(ARCHIVE)[1:3]:
            return False
    except (OSError, ValueError):
        return False
    if path.endswith(ARCHIVE_PLACE) and path[:1] == "/" and (ARCHIVE[:1] != "/" or "/.." in ARCHIVE):
        ARCHIVE, TREE = path, path[: -len(ARCHIVE_PLACE)]
        FOLDER, LIBRARY_ARCHIVE = TREE + LIBRARY_PLACE + "/", TREE + LIBRARY_ARCHIVE_PLACE
        FOLDERS = (FOLDER[:-1], TREE + DYNLOAD_PLACE) + tuple([TREE + place for place in SITE_PLACES])
        LibraryImporter.archive = LIBRARY_ARCHIVE
    return True


def in_place_of(original, function):
    """Let *function* look like the *original* that it stands for."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(function, name, getattr(original, name))
    return function


def source_lines(linecache, updatecache):
    """Return an `updatecache` that knows the sources in the archive."""

    def update(filename, module_globals=None):
        name = filename
        if name.startswith("<frozen ") and sys.version_info >= (3, 14):
            name = (module_globals or {}).get("__file__") or ""
        data = stored(name) if name.startswith(FOLDER) and name.endswith(".py") else None
        if data is None:
            return updatecache(filename, module_globals)
        # not splitlines, which ends lines at form feeds too
        lines = external.decode_source(data).split("\n")
        lines = [line + "\n" for line in lines[:-1]] + ([lines[-1] + "\n"] if lines[-1] else [])
        linecache.cache[filename] = len(data), None, lines, name
        return lines

    return update


def source_opener(tokenize, open_source):
    """Return an `open` of tokenize that knows the sources in the archive."""

    def open(filename):
        try:
            return open_source(filename)
        except OSError:
            data = stored(filename)
            if data is None:
                raise
        from io import BytesIO, TextIOWrapper

        buffer = BytesIO(data)
        encoding, _ = tokenize.detect_encoding(buffer.readline)
        buffer.seek(0)
        text = TextIOWrapper(buffer, encoding, line_buffering=True)
        text.mode = "r"
        return text

    return open


class Resources:
    """The files of a package in the archive, in the way of 3.8 and 3.9."""

    def __init__(self, folder):
        self.folder = folder

    def open_resource(self, resource):
        """Return a binary file."""
        from io import BytesIO

        data = stored(self.folder + resource)
        if data is None:
            raise FileNotFoundError(2, "No such file or directory", self.folder + resource)
        return BytesIO(data)

    def resource_path(self, resource):
        """Say that there is no path; importlib.resources makes a copy then."""
        raise FileNotFoundError(resource)

    def is_resource(self, name):
        """Tell whether there is such a file."""
        return stored(self.folder + name) is not None

    def contents(self):
        """Return the names of the files and folders."""
        folder = self.folder[len(FOLDER) :]
        folders = [
            name[len(folder) :].partition("/")[0] for name in FILE_INDEX.names if name.startswith(folder)
        ]
        return list(dict.fromkeys(FILE_INDEX.inside(folder[:-1]) + folders))


class Mended:
    """What zipimporter of 3.8 and 3.9 lacks, and has from 3.10 on."""

    def find_spec(self, fullname, target=None):
        """Return the spec of a module or of a portion of a namespace package, or None."""
        is_package = zipimport._get_module_info(self, fullname)
        if is_package is not None:
            return bootstrap.spec_from_loader(fullname, self, is_package=is_package)
        folder = zipimport._get_module_path(self, fullname)
        if not zipimport._is_dir(self, folder):
            return None
        spec = bootstrap.ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations.append(self.archive + "/" + folder)
        return spec

    def create_module(self, spec):
        """Leave it to the import system."""
        return

    def exec_module(self, module):
        """Run a module's code in it."""
        bootstrap._call_with_frames_removed(exec, self.get_code(module.__spec__.name), module.__dict__)


class Rare:
    """What `rest()` returns besides `Rest`; the last of this file, which is there when all is."""

    @staticmethod
    def get_source(importer, fullname):
        """Return the text of a module's source; None if there are no sources."""
        name = known(importer, fullname)
        if SOURCES == "none" and stored(file_name(name)) is None:
            return None
        return external.decode_source(source_of(name))

    @staticmethod
    def get_data(importer, pathname):
        """Return the bytes of a file by its path as if unpacked, or in the archive."""
        data = stored(pathname)
        return external.SourceFileLoader.get_data(importer, pathname) if data is None else data

    @staticmethod
    def get_resource_reader(importer, fullname):
        """Return a reader of a package's files in the archive, or None for what is no package."""
        if not importer.is_package(fullname):
            return None
        if not MENDS:
            return zipimport.zipimporter.get_resource_reader(importer, fullname)
        return Resources(FOLDER + importer.prefix + fullname.rpartition(".")[2] + "/")

    @staticmethod
    def finder_of(path):
        """Return the finder of a folder of the archive by its path; None for another folder."""
        if not path.startswith(FOLDER):
            return ROOT if is_archive(path) else None  # site of 3.8 makes sys.path absolute
        inner = path[len(FOLDER) :].rstrip("/")
        at = None if "\n%s\n" % inner.partition("/")[0] in ON_DISK else INDEX[inner.replace("/", ".")]
        if at is None or not RECORDS[at + 12] & (PACKAGE | NAMESPACE):
            return None
        finder = LibraryImporter("", FOLDER + inner)
        finder.prefix = inner + "/"
        return finder

    @staticmethod
    def mend_zipimporter():
        """Let first imports from any archive by several threads work on 3.8 and 3.9."""
        for name in ("find_spec", "create_module", "exec_module"):
            setattr(zipimport.zipimporter, name, getattr(Mended, name))

    @staticmethod
    def guard():
        """Take the closer look at the start; a line that was said is not said again."""
        global GUARD
        space = {"__name__": "zipstrap_guard"}
        exec(ROOT.get_code("zipstrap_guard"), space)
        if space["guard"](ROOT, GUARD, ARCHIVE):
            GUARD = "off"

    @staticmethod
    def archived_spec(name):
        """Return the spec of an extension module in the archive (a tree of two files)."""
        global spec_of
        if spec_of is None:
            space = {"__name__": "importlib._zipstrap_extensions", "__builtins__": __builtins__}
            exec(ROOT.get_code("zipstrap_extensions"), space)
            spec_of = space["spec_of"]
        members = [EXTENSIONS + "/" + name + suffix for suffix in extension_suffixes()]
        member = [each for each in members if FILE_INDEX[each] is not None][0]
        return spec_of(name, FOLDER + member, LIBRARY_ARCHIVE, member, stored)

    @staticmethod
    def from_frame(data, over_dictionary):
        """Return the content of a Zstandard frame; the dictionary is read when the first such module is."""
        global FRAMES
        if sys.version_info >= (3, 14):
            from _zstd import ZstdDecompressor, ZstdDict

            if over_dictionary and FRAMES is None:
                packed = content(FILE_RECORDS, FILE_INDEX["zipstrap.dictionary.zst"])
                # two threads may do so at once, and come to the same
                FRAMES = ZstdDict(ZstdDecompressor().decompress(packed))
            data = ZstdDecompressor(FRAMES if over_dictionary else None).decompress(data)
        return data

    @staticmethod
    def show_sources(module, name):
        """Let linecache or tokenize, a *module* by *name*, see the sources in the archive."""
        if name == "linecache":
            module.updatecache = in_place_of(module.updatecache, source_lines(module, module.updatecache))
        else:
            module.open = in_place_of(module.open, source_opener(module, module.open))

    @staticmethod
    def listed(importer, prefix):
        """Yield name and kind of each module of a folder, as pkgutil does for one on disk."""
        from pkgutil import iter_importer_modules

        found = {}
        if importer.prefix and is_directory(importer.path):
            found.update(iter_importer_modules(file_hook(importer.path), prefix))
        start = importer.prefix.replace("/", ".")
        # with the sources on disk, the library's folder lists what is on top
        for last in () if SOURCES == "disk" else INDEX.inside(start[:-1]):
            kind = RECORDS[INDEX.place(start + last) + 12]
            if not kind & (EXTENSION | NAMESPACE) and last[:9] != "zipstrap_":
                found[prefix + last] = bool(kind & PACKAGE)
        for file in FILE_INDEX.inside(importer.prefix[:-1]) if EXTENSION_SUFFIX is None else ():
            for suffix in extension_suffixes():
                if file.endswith(suffix):
                    found.setdefault(prefix + file[: -len(suffix)], False)
                    break
        # by file names: a package comes before the module of a longer name
        return iter(sorted(found.items(), key=lambda each: each[0] if each[1] else each[0] + ".py"))
