# The part of the importer that few starts need: it joins the namespace of `zipstrap_importer.py`.
#
# Loaded by the first call of `rest()` there, possibly while `encodings` is not imported yet, so what it needs
# of the library is imported in the functions.

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import sys
import zipimport
from _imp import _fix_co_filename
from posix import O_CLOEXEC, O_RDONLY, close, fstat, open, pread, stat

_, NAMES, RECORDS, FILES, FILE_RECORDS = LATER
# A record has 16 bytes: where the data begins, its size in the archive, its size, and its kind.
INDEX = dict(zip(NAMES.split("\n"), range(0, len(RECORDS), 16)))
FILE_INDEX = dict(zip(FILES.split("\n"), range(0, len(FILE_RECORDS), 16)))
IDENTITY = fstat(DESCRIPTOR)[1:3]
number = int.from_bytes
del LATER, NAMES, FILES


class Rest:
    """What `rest()` returns."""

    @staticmethod
    def index():
        """Return where in RECORDS each module is."""
        return INDEX

    @staticmethod
    def find_beside(importer, fullname):
        """Return the spec of a module on disk, of a package in the archive (its tests, up to 3.11)."""
        folder = FOLDER + importer.prefix[:-1]
        return file_hook(folder).find_spec(fullname) if is_directory(folder) else None

    @staticmethod
    def code_of(name, path):
        """Return the code of a module, as if compiled from *path*."""
        at = INDEX[name]
        if COMPILES or RECORDS[at + 12] & UNCOMPILED:
            return compile(source_of(name), path, "exec", dont_inherit=True)
        code = loads(memoryview(content(RECORDS, at))[16:])
        _fix_co_filename(code, path)
        return code

    @staticmethod
    def rare_spec(fullname, path, kind):
        """Return the spec of a portion of a namespace package, or of an extension module."""
        if kind & NAMESPACE:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations.append(path)
            return spec
        path = TREE + DYNLOAD_PLACE + "/" + fullname + EXTENSION_SUFFIX
        spec = ModuleSpec(fullname, external.ExtensionFileLoader(fullname, path), origin=path)
        spec._set_fileattr = True
        return spec

    @staticmethod
    def get_code(importer, fullname):
        """Return the code object of a module; ImportError if there is no such module."""
        if importer.name and fullname != importer.name:
            text = "loader for %s cannot handle %s" % (importer.name, fullname)
            raise ImportError(text, name=fullname)
        name = known(importer, fullname)
        return Rest.code_of(name, FOLDER + file_name(name))

    @staticmethod
    def get_source(importer, fullname):
        """Return the text of a module's source."""
        return external.decode_source(source_of(known(importer, fullname)))

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
    def zip_directory():
        """Return zipimport's own directory of the library's archive."""
        cache = zipimport._zip_directory_cache
        if LIBRARY_ARCHIVE not in cache:
            cache[LIBRARY_ARCHIVE] = zipimport._read_directory(LIBRARY_ARCHIVE)
        return cache[LIBRARY_ARCHIVE]

    @staticmethod
    def is_folder(inner):
        """Tell whether *inner*, below the library's folder, is a folder of the archive with modules."""
        at = INDEX.get(inner.replace("/", "."))
        return at is not None and bool(RECORDS[at + 12] & (PACKAGE | NAMESPACE))

    @staticmethod
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
            for importer in list(importer_cache.values()):
                if isinstance(importer, LibraryImporter):
                    importer.archive = LIBRARY_ARCHIVE
        return True

    @staticmethod
    def mend_zipimporter():
        """Let first imports from any archive by several threads work on 3.8 and 3.9."""
        for name in ("find_spec", "create_module", "exec_module"):
            setattr(zipimport.zipimporter, name, getattr(Mended, name))

    @staticmethod
    def guard():
        """Take the closer look at the start."""
        space = {"__name__": "zipstrap_guard"}
        exec(ROOT.get_code("zipstrap_guard"), space)
        space["guard"](ROOT, GUARD, ARCHIVE)

    @staticmethod
    def adapt(name, module):
        """Let a module of the library, just imported, see the archive's modules or sources."""
        if name == "pkgutil":
            module.iter_importer_modules.register(LibraryImporter, iter_modules)
        elif name == "linecache":
            module.updatecache = in_place_of(module.updatecache, source_lines(module, module.updatecache))
        else:
            module.open = in_place_of(module.open, source_opener(module, module.open))


def content(records, at):
    """Return the bytes of a member."""
    data = read(number(records[at : at + 4], "little"), number(records[at + 4 : at + 8], "little"))
    if records[at + 12] & DEFLATED:
        from zlib import decompress

        return decompress(data, -15, number(records[at + 8 : at + 12], "little"))
    return data


def read(offset, size):
    """Return bytes of the library's archive, which stays open: whoever replaces it does not disturb us."""
    try:
        if fstat(DESCRIPTOR)[1:3] != IDENTITY:
            raise OSError
    except OSError:  # closed by a program that closes all it has not opened
        reopen()
    data = pread(DESCRIPTOR, size, offset)
    if len(data) != size:
        raise ImportError("zipstrap: %s was cut off" % LIBRARY_ARCHIVE)
    return data


def reopen():
    """Open the library's archive again."""
    global DESCRIPTOR, IDENTITY
    with LOCK:
        identity, offset, _ = PLACE
        file = open(LIBRARY_ARCHIVE, O_RDONLY | O_CLOEXEC)
        if pread(file, 16, offset) != identity:
            close(file)
            raise ImportError("zipstrap: %s is not the archive of this start any more" % LIBRARY_ARCHIVE)
        DESCRIPTOR, IDENTITY = file, fstat(file)[1:3]


def known(importer, fullname):
    """Return under which name the index has a module; ZipImportError if it has not."""
    name = importer.prefix.replace("/", ".") + fullname.rpartition(".")[2]
    at = INDEX.get(name)
    if at is None or RECORDS[at + 12] & (EXTENSION | NAMESPACE):
        raise zipimport.ZipImportError("can't find module %r" % (fullname,), name=fullname)
    return name


def file_name(name):
    """Return where the source of a module is, below the library's folder."""
    is_package = RECORDS[INDEX[name] + 12] & PACKAGE
    return name.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def source_of(name):
    """Return the bytes of a module's source, from the archive or the library's folder."""
    data = stored(file_name(name))
    return external.SourceFileLoader.get_data(ROOT, FOLDER + file_name(name)) if data is None else data


def stored(path):
    """Return the bytes of a file of the archive, by its path or from the archive's root; None for others."""
    if not isinstance(path, str):
        return None
    for folder in (FOLDER, LIBRARY_ARCHIVE + "/"):
        if path.startswith(folder):
            path = path[len(folder) :]
            break
    at = FILE_INDEX.get(path)
    return None if at is None else content(FILE_RECORDS, at)


def iter_modules(importer, prefix=""):
    """Yield name and kind of each module of a folder, as pkgutil does for one on disk."""
    from pkgutil import iter_importer_modules

    found = {}
    if importer.prefix and is_directory(importer.path):
        found.update(iter_importer_modules(file_hook(importer.path), prefix))
    start = importer.prefix.replace("/", ".")
    # with the sources on disk, the library's folder lists what is on top
    for name, at in () if SOURCES == "disk" else INDEX.items():
        last = name[len(start) :]
        if name.startswith(start) and "." not in last and not RECORDS[at + 12] & (EXTENSION | NAMESPACE):
            found[prefix + last] = bool(RECORDS[at + 12] & PACKAGE)
    # by file names: a package comes before the module of a longer name
    return iter(sorted(found.items(), key=lambda each: each[0] if each[1] else each[0] + ".py"))


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
        start = self.folder[len(FOLDER) :]
        inside = [name[len(start) :].partition("/")[0] for name in FILE_INDEX if name.startswith(start)]
        return list(dict.fromkeys(inside))


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


def rest():
    """Return what is in this file."""
    return Rest
