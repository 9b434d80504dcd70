# Import the library from its archive, as if it lay unpacked in the tree's library folder.
#
# The shim that stands in for `encodings` runs this before anything else is loaded, so it may use only what is
# built in or frozen, and it has to be short: every start pays for it. What few starts need is in
# `zipstrap_importer_rest.py`, which `rest()` loads into the same namespace.
#
# ARCHIVE is the path of the archive that the interpreter found, RECORD what the build wrote into it
# (`zipstrap.boot_record`, host side). Modules get the names that they would have unpacked: __file__,
# co_filename and __path__ lie in the library's folder, whether or not there is such a file.
#
# The code is named <frozen importlib._bootstrap_external>, like CPython's own importers, because tracebacks
# of failed imports are trimmed by that name (Python/import.c, remove_importlib_frames).

import sys
from _frozen_importlib import ModuleSpec, _call_with_frames_removed
from _imp import _fix_co_filename
from _thread import allocate_lock
from marshal import loads
from posix import fstat, pread, readlink, stat
from zipimport import zipimporter

CODE, REST, SETTINGS, BOOT_NAMES, BOOT_CODES, NAMES, RECORDS, FILES, FILE_RECORDS = RECORD
(
    ARCHIVE_PLACE, LIBRARY_PLACE, DYNLOAD_PLACE, LIBRARY_ARCHIVE_PLACE, EXECUTABLE_PLACE, SITE_PLACES,
    ON_DISK, LIBRARY_SIZE, DIRECTORY_AT, DIRECTORY_SIZE, DIRECTORY_HASH, HASH_KEY, CACHE_TAG,
    EXTENSION_SUFFIX, LEVEL, HAS_SOURCES, GUARD, ZIPS,
) = SETTINGS  # fmt: skip
TREE = ARCHIVE[: -len(ARCHIVE_PLACE)]
FOLDER = TREE + LIBRARY_PLACE + "/"
LIBRARY_ARCHIVE = TREE + LIBRARY_ARCHIVE_PLACE
# A record has 16 bytes: where the data begins, its size in the archive, its size, and these.
PACKAGE, DEFLATED, EXTENSION, NAMESPACE, UNCOMPILED = 1, 2, 4, 8, 16
BOOT = dict(zip(BOOT_NAMES, BOOT_CODES))
del RECORD, CODE, BOOT_CODES  # the blobs go when BOOT has handed them out
# The archive's bytecode is of one level; for another one the packed sources are compiled.
COMPILES = HAS_SOURCES and sys.flags.optimize > LEVEL == 0
CACHED = ".%s%s.pyc" % (CACHE_TAG, ".opt-%d" % sys.flags.optimize if sys.flags.optimize else "")
# Before 3.10 zipimporter has no exec_module: first imports of one module by several threads fail.
MENDS = sys.version_info < (3, 10)
# These read sources by path, or list modules by kind of importer.
ADAPTED = ("linecache", "pkgutil", "tokenize")
LOCK = allocate_lock()
importer_cache = sys.path_importer_cache
number = int.from_bytes
descriptor = identity = INDEX = None


def rest():
    # The first call loads the rest, which puts a function in the place of this one.
    with LOCK:
        if REST is not None:
            exec(loads(REST), globals())
    return globals()["rest"]()


def read_index():
    global INDEX
    if INDEX is None:
        INDEX = dict(zip(NAMES.split("\n"), range(0, len(RECORDS), 16)))
    return INDEX


def read(offset, size):
    # Return bytes of the library's archive, which stays open: whoever replaces it does not disturb us.
    try:
        if fstat(descriptor)[1:3] != identity:
            raise OSError
    except (OSError, TypeError):  # not open yet, or closed by a program that closes all
        rest().open_library()
    data = pread(descriptor, size, offset)
    if len(data) != size:
        raise ImportError("zipstrap: %s was cut off" % LIBRARY_ARCHIVE)
    return data


def content(records, at):
    data = read(number(records[at : at + 4], "little"), number(records[at + 4 : at + 8], "little"))
    if records[at + 12] & DEFLATED:
        from zlib import decompress

        return decompress(data, -15, number(records[at + 8 : at + 12], "little"))
    return data


def code_of(name, path):
    if COMPILES:
        return rest().compiled(name, path)
    data = BOOT.pop(name, None)
    if data is not None:
        code = loads(data)
    else:
        at = read_index()[name]
        if RECORDS[at + 12] & UNCOMPILED:
            return rest().compiled(name, path)
        code = loads(memoryview(content(RECORDS, at))[16:])
    _fix_co_filename(code, path)
    return code


class LibraryImporter(zipimporter):
    def __init__(self, prefix=""):
        self.archive = LIBRARY_ARCHIVE
        self.prefix = prefix
        self.package = prefix.replace("/", ".")

    def find_spec(self, fullname, target=None):
        name = self.package + fullname.rpartition(".")[2]
        path = FOLDER + name.replace(".", "/")
        if name in BOOT:
            is_package = name == "encodings"
        else:
            if INDEX is None and name in ("sitecustomize", "usercustomize"):
                # Few have one, and the archive has none: no need for the index.
                if name == "sitecustomize":
                    before_sitecustomize()
                return None
            at = (INDEX or read_index()).get(name)
            if at is None:
                return None
            kind = RECORDS[at + 12]
            is_package = kind & PACKAGE
            if kind & (EXTENSION | NAMESPACE):
                return rare_spec(fullname, path, kind)
        spec = ModuleSpec(fullname, self, origin=path + ("/__init__.py" if is_package else ".py"))
        if is_package:
            spec.submodule_search_locations = [path]
            if path not in importer_cache:
                importer_cache[path] = LibraryImporter(name.replace(".", "/") + "/")
            spec.cached = path + "/__pycache__/__init__" + CACHED
        else:
            folder, _, last = path.rpartition("/")
            spec.cached = "%s/__pycache__/%s%s" % (folder, last, CACHED)
        spec._set_fileattr = True
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        name = self.package + spec.name.rpartition(".")[2]
        _call_with_frames_removed(exec, code_of(name, spec.origin), module.__dict__)
        if name in ADAPTED:
            adapt(name, module)

    def get_code(self, fullname):
        return rest().get_code(self, fullname)

    def get_source(self, fullname):
        return rest().get_source(self, fullname)

    def get_data(self, pathname):
        return rest().get_data(self, pathname)

    def get_filename(self, fullname):
        return rest().get_filename(self, fullname)

    def is_package(self, fullname):
        return rest().is_package(self, fullname)

    def get_resource_reader(self, fullname):
        return rest().get_resource_reader(self, fullname)

    def invalidate_caches(self):
        pass  # an index that was built in does not change

    def __getattr__(self, name):
        if name == "_files":  # zipimporter's own methods ask for it, up to 3.12
            return rest().zip_directory()
        raise AttributeError("%r object has no attribute %r" % (type(self).__name__, name))

    if hasattr(zipimporter, "load_module"):

        def load_module(self, fullname):
            return rest().load_module(self, fullname)


def rare_spec(fullname, path, kind):
    if kind & NAMESPACE:
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations.append(path)
        return spec
    from _frozen_importlib_external import ExtensionFileLoader

    path = TREE + DYNLOAD_PLACE + "/" + fullname + EXTENSION_SUFFIX
    spec = ModuleSpec(fullname, ExtensionFileLoader(fullname, path), origin=path)
    spec._set_fileattr = True
    return spec


def path_hook(path):
    if path == ARCHIVE:
        return ROOT
    if isinstance(path, str):
        if path.startswith(FOLDER):
            inner = path[len(FOLDER) :].rstrip("/")
            if inner.partition("/")[0] not in ON_DISK and rest().is_folder(inner):
                return LibraryImporter(inner + "/")
        elif path.endswith(ARCHIVE[ARCHIVE.rfind("/") :]) and rest().is_archive(path):
            return ROOT  # by another name: site of 3.8 makes sys.path absolute
        elif MENDS and not is_directory(path):
            return rest().MendedImporter(path)
    raise ImportError("not of the library's archive", path=path)


def is_directory(path):
    try:
        return stat(path)[0] & 0o170000 == 0o040000
    except (OSError, ValueError):
        return False


def adapt(name, module):
    if name != "linecache":
        rest().adapt(name, module)
        return
    updatecache = module.updatecache

    def update(filename, module_globals=None):
        return rest().lines_of(module, filename, module_globals) or updatecache(filename, module_globals)

    update.__name__ = update.__qualname__ = "updatecache"
    update.__module__ = name
    update.__doc__ = updatecache.__doc__
    module.updatecache = update


def is_ours():
    # Tell whether the start is the tree's own beyond doubt: every path is spelled as in the tree.
    if not sys.base_prefix + "/" == sys.base_exec_prefix + "/" == TREE:
        return False
    if readlink("/proc/self/exe").rpartition("/")[0] != TREE + EXECUTABLE_PLACE:
        return False
    for entry in sys.path:
        if entry.endswith("/lib-dynload") and not entry.startswith(TREE):
            return False
    for module in list(sys.modules.values()):
        # A frozen module's __file__ names a file that is not there: only loaders tell the truth.
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if not isinstance(loader, type):  # built in or frozen
            place = getattr(loader, "archive", None) or getattr(loader, "path", None)
            if place and place != LIBRARY_ARCHIVE and place != ARCHIVE:
                return False
    return True


def guard():
    try:
        if is_ours():
            return
    except OSError:
        pass  # a system without /proc
    rest().guard()


def before_sitecustomize():
    # site has set up sys.path, and nobody else's code ran yet.
    try:
        if GUARD != "off":
            guard()
        for place in SITE_PLACES if ZIPS else ():
            if TREE + place in sys.path and is_directory(TREE + place + "/zips"):
                from zipstrap_zips import add

                add(TREE + place)
    except Exception:
        pass  # no start fails because of us


def install(names):
    # Put the importer in its place; return the code of the real `encodings`, which *names* shall become.
    sys.path_hooks.insert(0, path_hook)
    importer_cache[ARCHIVE] = ROOT
    spec = ROOT.find_spec("encodings")
    own = names["__spec__"]
    own.loader = names["__loader__"] = ROOT
    own.origin = names["__file__"] = spec.origin
    own.cached = spec.cached
    if "__cached__" in names:
        names["__cached__"] = spec.cached
    own.submodule_search_locations = names["__path__"] = spec.submodule_search_locations
    if GUARD != "off":
        try:
            guard()
        except Exception:
            pass
    return code_of("encodings", spec.origin)


ROOT = LibraryImporter()
