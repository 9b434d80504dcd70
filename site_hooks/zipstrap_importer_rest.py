# The part of the importer that few starts need: it joins the namespace of `zipstrap_importer.py`.
#
# Loaded by the first call of `rest()` there, possibly while `encodings` is not imported yet, so what it needs
# of the library is imported in the functions.

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import sys
import zipimport
from _imp import source_hash
from posix import O_CLOEXEC, O_RDONLY, _exit, close, fstat, open, pread, stat, write

REST = None
STOPPED = 121  # the exit status of a start that cannot go on, as the guard's
FILE_INDEX = dict(zip(FILES.split("\n"), range(0, len(FILE_RECORDS), 16)))


class Rest:
    """What `rest()` returns."""

    @staticmethod
    def open_library():
        """Open the library's archive and see that it is the one that the index was made from.

        Of the whole archive its directory is compared, which has a checksum of every member.
        """
        global descriptor, identity
        with LOCK:
            try:
                file = open(LIBRARY_ARCHIVE, O_RDONLY | O_CLOEXEC)
            except OSError as error:
                refuse("cannot be opened (%s)" % error.strerror)
            status = fstat(file)
            if (
                status.st_size != LIBRARY_SIZE
                or source_hash(HASH_KEY, pread(file, DIRECTORY_SIZE, DIRECTORY_AT)) != DIRECTORY_HASH
            ):
                close(file)
                refuse("is not the archive that this tree was built with")
            descriptor, identity = file, status[1:3]

    @staticmethod
    def compiled(name, path):
        """Compile the source of a module, for a start with -O or -OO."""
        at = FILE_INDEX.get(file_name(name))
        if at is None:
            raise ImportError("zipstrap: %s has no source of %s" % (LIBRARY_ARCHIVE, name), name=name)
        return compile(content(FILE_RECORDS, at), path, "exec", dont_inherit=True)

    @staticmethod
    def get_code(importer, fullname):
        """Return the code object of a module; ImportError if there is no such module."""
        name = known(importer, fullname)
        return code_of(name, FOLDER + file_name(name))

    @staticmethod
    def get_source(importer, fullname):
        """Return the text of a module's source; None if it was packed without."""
        at = FILE_INDEX.get(file_name(known(importer, fullname)))
        return None if at is None else external.decode_source(content(FILE_RECORDS, at))

    @staticmethod
    def get_data(importer, pathname):
        """Return the bytes of a file, by its path as if unpacked, or in the archive, or from its root."""
        key = inner_path(pathname)
        data = None if key is None else stored(key)
        if data is not None:
            return data
        if pathname[:1] != "/":
            raise OSError(0, "", pathname)
        from io import FileIO

        with FileIO(pathname) as file:
            return file.read()

    @staticmethod
    def get_filename(importer, fullname):
        """Return what __file__ is of a module."""
        return FOLDER + file_name(known(importer, fullname))

    @staticmethod
    def is_package(importer, fullname):
        """Tell whether a module is a package; ImportError if there is no such module."""
        return bool(RECORDS[read_index()[known(importer, fullname)] + 12] & PACKAGE)

    @staticmethod
    def get_resource_reader(importer, fullname):
        """Return a reader of a package's files, or None for what is no package."""
        try:
            if not Rest.is_package(importer, fullname):
                return None
        except ImportError:
            return None
        if not MENDS:
            return zipimport.zipimporter.get_resource_reader(importer, fullname)
        folder = importer.prefix + fullname.rpartition(".")[2] + "/"

        class LibraryResources:
            def open_resource(self, resource):
                from io import BytesIO

                data = stored(folder + resource)
                if data is None:
                    raise FileNotFoundError(2, "No such file", folder + resource)
                return BytesIO(data)

            def resource_path(self, resource):
                raise FileNotFoundError(resource)  # importlib.resources makes a copy then

            def is_resource(self, name):
                return folder + name in FILE_INDEX

            def contents(self):
                inside = [name[len(folder) :] for name in FILE_INDEX if name.startswith(folder)]
                return list(dict.fromkeys(name.partition("/")[0] for name in inside))

        return LibraryResources()

    @staticmethod
    def load_module(importer, fullname):
        """Load a module in the old way, where zipimporter still has it."""
        return bootstrap._load_module_shim(importer, fullname)

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
        at = read_index().get(inner.replace("/", "."))
        return at is not None and bool(RECORDS[at + 12] & (PACKAGE | NAMESPACE))

    @staticmethod
    def is_archive(path):
        """Tell whether *path* is another name of the archive that the interpreter found."""
        try:
            return stat(path)[1:3] == stat(ARCHIVE)[1:3]
        except (OSError, ValueError):
            return False

    @staticmethod
    def guard():
        """Take the closer look at the start."""
        space = {"__name__": "zipstrap_guard"}
        exec(ROOT.get_code("zipstrap_guard"), space)
        space["guard"](ROOT, GUARD, ARCHIVE)

    @staticmethod
    def lines_of(linecache, filename, module_globals):
        """Return the lines of a file of the archive, and keep them for linecache; nothing for other files."""
        name = filename
        if name.startswith("<frozen ") and sys.version_info >= (3, 14):
            name = (module_globals or {}).get("__file__") or ""
        key = inner_path(name)
        data = None if key is None or not key.endswith(".py") else stored(key)
        if data is None:
            return []
        # not splitlines, which ends lines at form feeds too
        lines = external.decode_source(data).split("\n")
        lines = [line + "\n" for line in lines[:-1]] + ([lines[-1] + "\n"] if lines[-1] else [])
        linecache.cache[filename] = len(data), None, lines, name
        return lines

    @staticmethod
    def adapt(name, module):
        """Let pkgutil and tokenize know the archive's modules and sources."""
        if name == "pkgutil":
            module.iter_importer_modules.register(LibraryImporter, iter_modules)
            return
        open_source = module.open

        def open(filename):
            try:
                return open_source(filename)
            except OSError:
                key = inner_path(filename)
                data = None if key is None else stored(key)
                if data is None:
                    raise
            from io import BytesIO, TextIOWrapper

            buffer = BytesIO(data)
            encoding, _ = module.detect_encoding(buffer.readline)
            buffer.seek(0)
            text = TextIOWrapper(buffer, encoding, line_buffering=True)
            text.mode = "r"
            return text

        open.__doc__ = open_source.__doc__
        open.__module__ = name
        open.__qualname__ = "open"
        module.open = open


class MendedImporter(zipimport.zipimporter):
    """zipimporter of 3.8 and 3.9 for any archive, with the methods that it has from 3.10 on."""

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


Rest.MendedImporter = MendedImporter


def refuse(problem):
    """End a start that has no library; a program that runs already gets an ImportError."""
    line = "zipstrap: %s %s" % (LIBRARY_ARCHIVE, problem)
    if descriptor is None:
        write(2, (line + "; build the tree anew\n").encode("utf-8", "surrogateescape"))
        _exit(STOPPED)
    raise ImportError(line)


def known(importer, fullname):
    """Return under which name the index has a module; ZipImportError if it has not."""
    name = importer.package + fullname.rpartition(".")[2]
    at = read_index().get(name)
    if at is None or RECORDS[at + 12] & (EXTENSION | NAMESPACE):
        raise zipimport.ZipImportError("can't find module %r" % (fullname,), name=fullname)
    return name


def file_name(name):
    """Return where the source of a module is, below the library's folder."""
    is_package = RECORDS[read_index()[name] + 12] & PACKAGE
    return name.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def inner_path(path):
    """Return *path* from the archive's root; None if it leads elsewhere."""
    if not isinstance(path, str):
        return None
    for folder in (FOLDER, LIBRARY_ARCHIVE + "/"):
        if path.startswith(folder):
            return path[len(folder) :]
    return None if path[:1] == "/" else path


def stored(key):
    """Return the bytes of a member, or None."""
    at = FILE_INDEX.get(key)
    if at is not None:
        return content(FILE_RECORDS, at)
    if not key.endswith(".pyc"):
        return None
    name = key[:-4].replace("/", ".")
    is_package = name.endswith(".__init__")
    at = read_index().get(name[:-9] if is_package else name)
    if at is None or RECORDS[at + 12] & (EXTENSION | NAMESPACE | UNCOMPILED):
        return None
    return content(RECORDS, at) if bool(RECORDS[at + 12] & PACKAGE) == is_package else None


def iter_modules(importer, prefix=""):
    """Yield name and kind of each module of a folder, as pkgutil does for a folder on disk."""
    start = importer.package
    for name, at in sorted(read_index().items()):
        last = name[len(start) :]
        if name.startswith(start) and "." not in last and not RECORDS[at + 12] & (EXTENSION | NAMESPACE):
            yield prefix + last, bool(RECORDS[at + 12] & PACKAGE)


def rest():
    """Return what is in this file."""
    return Rest
