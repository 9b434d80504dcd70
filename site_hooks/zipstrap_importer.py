# Import the library from its archive, as if it lay unpacked in the tree's library folder.
#
# The shim that stands in for `encodings` runs this before anything else is loaded, so it may use only what is
# built in or frozen, and it has to be short: every start pays for it. What few starts need is in
# `zipstrap_importer_rest.py`, which `rest()` loads into the same namespace.
#
# ARCHIVE is the path of the archive that the interpreter found, RECORD and PLACE come from the record that
# the build wrote into the library's (`zipstrap.boot_record`, host side). Modules get the names that they
# would have unpacked: __file__, co_filename and __path__ lie in the library's folder. Their sources are there
# as files, unless the build has put them into the archive.
#
# The code is named <frozen importlib._bootstrap_external>, like CPython's own importers, because tracebacks
# of failed imports are trimmed by that name (Python/import.c, remove_importlib_frames). Its namespace is
# called importlib._zipstrap, because debuggers skip importlib* (Lib/bdb.py).

import sys
from _frozen_importlib import ModuleSpec, _call_with_frames_removed
from _frozen_importlib_external import SourceFileLoader, _LoaderBasics
from _imp import _fix_co_filename, extension_suffixes
from _thread import RLock
from marshal import loads
from posix import readlink, register_at_fork, stat
from zipimport import zipimporter

CODE, SETTINGS, BOOT_NAMES, BOOT_CODES = RECORD
(
    ARCHIVE_PLACE, LIBRARY_PLACE, DYNLOAD_PLACE, LIBRARY_ARCHIVE_PLACE, EXECUTABLE_PLACE, SITE_PLACES,
    ON_DISK, CACHE_TAG, EXTENSION_SUFFIX, LEVEL, SOURCES, GUARD, ZIPS,
) = SETTINGS  # fmt: skip
TREE = ARCHIVE[: -len(ARCHIVE_PLACE)]
FOLDER = TREE + LIBRARY_PLACE + "/"
LIBRARY_ARCHIVE = TREE + LIBRARY_ARCHIVE_PLACE
# sys.path has these in every start.
FOLDERS = (FOLDER[:-1], TREE + DYNLOAD_PLACE) + tuple([TREE + place for place in SITE_PLACES])
# The kinds of an entry of the index.
PACKAGE, DEFLATED, EXTENSION, NAMESPACE, UNCOMPILED = 1, 2, 4, 8, 16
BOOT = dict(zip(BOOT_NAMES, BOOT_CODES))
del RECORD, CODE, BOOT_CODES  # the blobs go when BOOT has handed them out
# The archive's bytecode is of one level; for another one the sources are compiled.
COMPILES = SOURCES != "none" and sys.flags.optimize > LEVEL == 0
CACHED = ".%s%s.pyc" % (CACHE_TAG, ".opt-%d" % sys.flags.optimize if sys.flags.optimize else "")
# These list modules by kind of importer, or read sources by path.
ADAPTED = ("pkgutil", "linecache", "tokenize") if SOURCES == "archive" else ("pkgutil",)
CUSTOMIZE = ("sitecustomize", "usercustomize")
# Before 3.10 zipimporter has no exec_module: first imports of one module by several threads fail.
MENDS = sys.version_info < (3, 10)
LOCK = RLock()
importer_cache = sys.path_importer_cache
file_hook = sys.path_hooks[-1]
INDEX = RECORDS = None
looked_at = 0
customized = False


def rest():
    # The first call reads the index and the rest, which puts a function in the place of this one.
    from posix import O_CLOEXEC, O_RDONLY, close, open, pread

    with LOCK:
        if globals()["rest"] is LOADING:
            identity, offset, size = PLACE
            file = open(LIBRARY_ARCHIVE, O_RDONLY | O_CLOEXEC)
            data = pread(file, 16 + size, offset)
            if data[:16] != identity:
                close(file)
                raise ImportError("zipstrap: %s is not the archive of this start any more" % LIBRARY_ARCHIVE)
            globals().update(DESCRIPTOR=file, LATER=loads(memoryview(data)[16:]))
            exec(loads(LATER[0]), globals())
    return globals()["rest"]()


LOADING = rest
# A thread may fork while another one reads the rest.
register_at_fork(after_in_child=lambda: globals().update(LOCK=RLock()))


def code_of(name, path):
    data = None if COMPILES else BOOT.pop(name, None)
    if data is None:
        return rest().code_of(name, path)
    code = loads(data)
    _fix_co_filename(code, path)
    return code


class LibraryImporter(SourceFileLoader, zipimporter):
    # The finder of a folder of the archive (no name), and the loader of one of its modules.
    __module__ = "_frozen_importlib_external"  # site's abs_paths corrects the modules of such loaders
    if hasattr(zipimporter, "load_module"):
        load_module = _LoaderBasics.load_module  # not zipimporter's, which names modules in its own way

    def __init__(self, prefix, name="", path=""):
        self.archive = LIBRARY_ARCHIVE
        self.prefix = prefix
        self.name = name
        self.path = path or FOLDER + prefix[:-1]

    def find_spec(self, fullname, target=None):
        name = self.prefix.replace("/", ".") + fullname.rpartition(".")[2]
        path = FOLDER + name.replace(".", "/")
        if name in BOOT:
            is_package = name == "encodings"
        else:
            if name in CUSTOMIZE:  # the archive has none: no need for the index
                if name == "sitecustomize":
                    before_sitecustomize()
                return None
            at = (INDEX or rest().index()).get(name)
            if at is None:
                return rest().find_beside(self, fullname) if self.prefix else None
            kind = RECORDS[at + 12]
            is_package = kind & PACKAGE
            if kind & (EXTENSION | NAMESPACE):
                return rest().rare_spec(fullname, path, kind)
        origin = path + ("/__init__.py" if is_package else ".py")
        spec = ModuleSpec(fullname, LibraryImporter(self.prefix, fullname, origin), origin=origin)
        if is_package:
            spec.submodule_search_locations = [path]
            if path not in importer_cache:
                importer_cache[path] = LibraryImporter(name.replace(".", "/") + "/")
            path += "/__init__"
        if sys.pycache_prefix is None:  # else the spec works it out
            folder, _, last = path.rpartition("/")
            spec.cached = "%s/__pycache__/%s%s" % (folder, last, CACHED)
        spec._set_fileattr = True
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = self.prefix.replace("/", ".") + module.__spec__.name.rpartition(".")[2]
        _call_with_frames_removed(exec, code_of(name, module.__spec__.origin), module.__dict__)
        if name in ADAPTED:
            rest().adapt(name, module)

    def get_code(self, fullname):
        return rest().get_code(self, fullname)

    def invalidate_caches(self):
        pass  # an index that was built in does not change

    def __repr__(self):
        return '<LibraryImporter (SourceFileLoader, zipimporter) object "%s/%s">' % (
            self.archive,
            self.prefix,
        )

    def __reduce__(self):
        return SourceFileLoader, (self.name, self.path)

    def __getattr__(self, name):
        if name == "_files":  # zipimporter's own methods ask for it, up to 3.12
            return rest().zip_directory()
        if name == "discover" and is_directory(self.path):  # 3.15: what tracebacks suggest
            return file_hook(self.path).discover
        raise AttributeError("%r object has no attribute %r" % (type(self).__name__, name))


def delegate(name):
    def method(self, argument):
        return getattr(rest(), name)(self, argument)

    setattr(LibraryImporter, name, method)


def path_hook(path):
    if path == ARCHIVE:
        return ROOT
    if path in FOLDERS:  # zipimporter would find that out the long way
        finder = file_hook(path)
        if path == FOLDERS[0]:
            finder.find_spec = archive_first(finder.find_spec)
            if SOURCES == "archive":
                finder.get_data = ROOT.get_data  # 3.15: linecache, frozen there, asks for it
        return finder
    if isinstance(path, str):
        if path.startswith(FOLDER):
            inner = path[len(FOLDER) :].rstrip("/")
            if inner.partition("/")[0] not in ON_DISK and rest().is_folder(inner):
                return LibraryImporter(inner + "/")
        elif path.endswith(ARCHIVE[ARCHIVE.rfind("/") :]) and rest().is_archive(path):
            return ROOT  # by another name: site of 3.8 makes sys.path absolute
        elif MENDS and not is_directory(path):
            rest().mend_zipimporter()  # the next hook
    raise ImportError("not of the library's archive", path=path)


def archive_first(find_on_disk):
    # Let the library's folder, which has the sources, give the archive's modules: nobody compiles them.
    def find_spec(fullname, target=None):
        if fullname in CUSTOMIZE:
            # To look for these few is quicker than to list the folder.
            path = FOLDER + fullname
            if not any(exists(path + end) for end in ("", ".py", ".pyc", *extension_suffixes())):
                return None
            return find_on_disk(fullname, target)
        return ROOT.find_spec(fullname) or find_on_disk(fullname, target)

    return find_spec


def exists(path):
    try:
        stat(path)
    except OSError:
        return False
    return True


def is_directory(path):
    try:
        return stat(path)[0] & 0o170000 == 0o040000
    except (OSError, ValueError):
        return False


def is_ours():
    # Tell whether the start is the tree's own beyond doubt: every path is spelled as in the tree.
    global looked_at
    if not looked_at:
        if not sys.base_prefix + "/" == sys.base_exec_prefix + "/" == TREE:
            return False
        if readlink("/proc/self/exe").rpartition("/")[0] != TREE + EXECUTABLE_PLACE:
            return False
    for entry in sys.path:
        if entry.endswith("/lib-dynload") and not entry.startswith(TREE):
            return False
    modules = list(sys.modules.values())
    for module in modules[looked_at:]:
        # A frozen module's __file__ names a file that is not there: only loaders tell the truth.
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if not isinstance(loader, type):  # built in or frozen
            place = getattr(loader, "archive", None) or getattr(loader, "path", None)
            if place and place != LIBRARY_ARCHIVE and place != ARCHIVE:
                return False
    looked_at = len(modules)
    return True


def guard():
    try:
        if is_ours():
            return
    except OSError:
        pass  # a system without /proc
    rest().guard()


def before_sitecustomize():
    # site has set up sys.path, and imports what administrators have put there.
    global customized
    if customized:
        return
    customized = True
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
    own.loader = names["__loader__"] = spec.loader
    own.origin = names["__file__"] = spec.origin
    own.cached = spec.cached
    if "__cached__" in names:
        names["__cached__"] = spec.cached
    names["__doc__"] = None  # the shim's; the real package may have none
    del names["_become_real"]
    own.submodule_search_locations = names["__path__"] = spec.submodule_search_locations
    # Up to 3.10 only site knows whether this is a venv.
    if GUARD != "off" and (sys.version_info >= (3, 11) or sys.flags.no_site):
        try:
            guard()
        except Exception:
            pass
    return code_of("encodings", spec.origin)


if SOURCES == "archive":
    delegate("get_data")
    delegate("get_source")
    delegate("get_resource_reader")
ROOT = LibraryImporter("")
