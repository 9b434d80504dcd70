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

import _imp
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import SourceFileLoader, _LoaderBasics
from _imp import _fix_co_filename, extension_suffixes
from marshal import loads
from posix import readlink, stat
from zipimport import zipimporter

(
    _, AWAY_PLACE, BOOT_NAMES, BOOT_PLACES,
    ARCHIVE_PLACE, LIBRARY_PLACE, DYNLOAD_PLACE, LIBRARY_ARCHIVE_PLACE,
    EXECUTABLE_PLACE, SITE_PLACES, CACHE_TAG, LEVEL, SOURCES, GUARD, ZIPS, INSIDE, STARTS,
) = RECORD  # fmt: skip
TREE = ARCHIVE[: -len(ARCHIVE_PLACE)]
FOLDER = TREE + LIBRARY_PLACE + "/"
LIBRARY_ARCHIVE = TREE + LIBRARY_ARCHIVE_PLACE
# sys.path has these in every start.
FOLDERS = (FOLDER[:-1], TREE + DYNLOAD_PLACE) + tuple([TREE + place for place in SITE_PLACES])
# Where in DATA the code of a module is, counted from its end.
BOOT = dict(zip(BOOT_NAMES, BOOT_PLACES))
del RECORD, BOOT_NAMES, BOOT_PLACES
# The archive's bytecode is of one level; for another one the sources are compiled.
COMPILES = SOURCES != "none" and sys.flags.optimize > LEVEL == 0
CACHED = ".%s%s.pyc" % (CACHE_TAG, ".opt-%d" % sys.flags.optimize if sys.flags.optimize else "")
NAMES_CACHED = sys.version_info < (3, 15)  # modules have __cached__
CUSTOMIZE = ("sitecustomize", "usercustomize")
# Before 3.10 zipimporter has no exec_module: first imports of one module by several threads fail.
MENDS = sys.version_info < (3, 10)
importer_cache = sys.path_importer_cache
file_hook = sys.path_hooks[-1]
INDEX = RECORDS = None
looked_at = 0
asks_collector = None
makes_atexit = False


def rest():
    # The first call reads the index and the rest, which puts a function in the place of this one. The lock
    # is one that fork() waits for: no child inherits it from a thread that is gone.
    from _imp import acquire_lock, release_lock
    from posix import O_CLOEXEC, O_RDONLY, close, open, pread

    acquire_lock()
    try:
        if globals()["rest"] is LOADING:
            identity, offset, size = PLACE
            file = open(LIBRARY_ARCHIVE, O_RDONLY | O_CLOEXEC)
            data = pread(file, 16 + size, offset)
            if data[:16] != identity:
                close(file)
                raise ImportError("zipstrap: %s is not the archive of this start any more" % LIBRARY_ARCHIVE)
            globals().update(DESCRIPTOR=file, LATER=loads(memoryview(data)[16:]))
            exec(loads(LATER[0]), globals())
    except FileNotFoundError:
        from posix import F_OK, access

        if access(ARCHIVE, F_OK) or not access(FOLDER + "os.py", F_OK):
            raise
        # An installation that was converted in place has been restored.
        exec(loads(DATA[AWAY_PLACE:]), globals())
    finally:
        release_lock()
    return globals()["rest"]()


LOADING = rest


class LibraryImporter(SourceFileLoader, zipimporter):
    # The finder of a folder of the archive (no name), and the loader of one of its modules.
    #
    # Containers that live from here on cost more than instructions: each brings the next collection nearer
    # and is visited by it. So there is no function here that an empty start does not call, but for
    # trampolines to the rest, which adds what presupposes an import (__reduce__: one of pickle).
    __module__ = "_frozen_importlib_external"  # site's abs_paths corrects the modules of such loaders
    exec_module = _LoaderBasics.exec_module  # by get_code
    if hasattr(zipimporter, "load_module"):
        load_module = _LoaderBasics.load_module  # not zipimporter's, which names modules in its own way
    archive = LIBRARY_ARCHIVE
    prefix = ""

    def find_spec(self, fullname, target=None):
        last = fullname.rpartition(".")[2]
        name = self.prefix.replace("/", ".") + last
        folder = FOLDER + self.prefix
        path = folder + last
        if name in BOOT:
            kind = 1 if name == "encodings" else 0  # 1 is a package
        else:
            if name in CUSTOMIZE:  # the archive has none: no need for the index
                if name == "sitecustomize" and "watch" in globals():
                    globals().pop("watch")(True)
                return None
            at = (rest().index() if INDEX is None else INDEX)[name]
            if at is None:
                return rest().find_beside(self, fullname)
            kind = RECORDS[at + 12]
            if kind & 12:  # an extension module, or a portion of a namespace package
                return rest().rare_spec(fullname, path, kind)
        origin = path + ("/__init__.py" if kind & 1 else ".py")
        loader = LibraryImporter(fullname, origin)
        loader.prefix = self.prefix
        spec = ModuleSpec(fullname, loader, origin=origin)
        if kind & 1:
            spec.submodule_search_locations = [path]
            if path not in importer_cache:
                finder = importer_cache[path] = LibraryImporter("", path)
                finder.prefix = self.prefix + last + "/"
            folder = path + "/"
            last = "__init__"
        if NAMES_CACHED and sys.pycache_prefix is None:  # else the spec works it out, if somebody asks
            spec._cached = folder + "__pycache__/" + last + CACHED
        spec._set_fileattr = True
        if kind & 128:  # sees what is in the archive
            rest().adapt(name, loader)
        return spec

    def get_code(self, fullname):
        name = self.prefix.replace("/", ".") + fullname.rpartition(".")[2]
        data = DATA  # the rest lets it go, in another thread perhaps, when BOOT is empty
        at = None if COMPILES or fullname != self.name else BOOT.pop(name, None)
        if at is None:
            return rest().get_code(self, fullname)
        code = loads(data[at:])
        _fix_co_filename(code, self.path)
        if not BOOT:
            let_go()
        return code

    def invalidate_caches(self):
        pass  # an index that was built in does not change

    def __repr__(self):  # in the log of -v
        return '<LibraryImporter (SourceFileLoader, zipimporter) object "%s/%s">' % (
            self.archive,
            self.prefix,
        )

    def __getattr__(self, name):
        return rest().attribute(self, name)


def path_hook(path):
    if isinstance(path, str):
        if path == ARCHIVE:
            return ROOT
        if path in FOLDERS:  # zipimporter would find that out the long way
            finder = file_hook(path)
            finder.find_spec = METHOD(find_on_disk, finder)
            if path == FOLDERS[0] and SOURCES != "disk":
                finder.get_data = ROOT.get_data  # 3.15: linecache, frozen there, asks for it
            return finder
        # A script that lies in the library is no reason to read the index: its sources are there.
        inside = path.startswith(FOLDER) and (INDEX is not None or SOURCES != "disk")
        try:
            if inside or path.endswith(ARCHIVE_NAME):
                finder = rest().finder_of(path)
                if finder is not None:
                    return finder
            elif MENDS and may_be_archive(path):
                rest().mend_zipimporter()  # the next hook
        except (ImportError, OSError):
            pass  # our archive is out of reach; what others have may not be
    raise ImportError("not of the library's archive", path=path)


def find_on_disk(finder, fullname, target=None):
    # Find what lies in one of the tree's folders on disk.
    if fullname in CUSTOMIZE:
        # To ask for these few is quicker than to list the folder. That its time is still the build's would
        # say nothing: a copy of the tree over itself sets the time back and leaves what was added.
        # Not by access(), which little else uses: it would be mapped into memory for this.
        path = finder.path + "/" + fullname
        for end in ENDS:
            try:
                stat(path + end)
                break
            except OSError:
                pass
        else:
            return None
    elif finder.path == FOLDERS[0]:
        # The library's folder, which has the sources, gives the archive's modules: nobody compiles them.
        spec = ROOT.find_spec(fullname)
        if spec is not None:
            return spec
    return type(finder).find_spec(finder, fullname, target)


def watch(at_site):
    # Look at what was loaded, once encodings is there; and once more when site has set up sys.path, before
    # it imports what administrators have put there.
    global looked_at
    try:
        if GUARD != "off" and not is_ours():
            rest().guard()
        if at_site:
            del globals()["is_ours"]
            let_go()
            for place in SITE_PLACES if ZIPS else ():
                if TREE + place in sys.path:
                    try:
                        stat(TREE + place + "/zips/.")
                    except OSError:
                        continue
                    from zipstrap_zips import add

                    add(TREE + place)
    except Exception:
        pass  # no start fails because of us


def let_go():
    # Keep of DATA what BOOT still names and what is behind it: as much memory as a start takes for nothing.
    global DATA
    if DATA is not None:
        # joined: for bytes() of a view the kernel would map a part of the executable that nothing else uses
        DATA = memoryview(b"".join((DATA[min((AWAY_PLACE,) + tuple(BOOT.values())) :],)))


def is_ours():
    # Tell whether the start is the tree's own beyond doubt: every path is spelled as in the tree.
    global looked_at
    if not looked_at and not (RUNS and sys.base_prefix + "/" == sys.base_exec_prefix + "/" == TREE):
        return False
    for entry in sys.path:
        if entry.endswith("/lib-dynload") and not entry.startswith(TREE):
            return False
    modules = list(sys.modules.values())
    for module in modules[looked_at:]:
        # A frozen module's __file__ names a file that is not there: only loaders tell the truth.
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        kind = type(loader)
        if kind is not type and kind is not LibraryImporter:  # neither built in or frozen, nor ours
            place = getattr(loader, "archive", None) or getattr(loader, "path", None)
            if place and place != ARCHIVE:
                return False
    looked_at = len(modules)
    return True


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
    for data in [DATA[place:] for place in STARTS]:  # what else the build lets a start do
        exec(loads(data), globals())
    # Up to 3.10 only site knows whether this is a venv.
    if sys.version_info >= (3, 11) or sys.flags.no_site:
        watch(False)
    if RUNS and not sys.abiflags and is_main_interpreter():
        set_boot_aside()
    del globals()["set_boot_aside"], globals()["is_main_interpreter"]
    return spec.loader.get_code("encodings")


def is_main_interpreter():
    # Only it ends with the process: what is set aside in another would never be given back.
    try:
        from _thread import _is_main_interpreter
    except ImportError:  # up to 3.11 all interpreters share ImportError, and each has a zipimport of its own
        return len([kind for kind in ImportError.__subclasses__() if kind.__name__ == "ZipImportError"]) == 1
    return _is_main_interpreter()


def set_boot_aside():
    # What is there before the first module of the library lives as long as the process. The collector goes
    # through it in vain, above all at exit: a tenth of an empty start. It does so again, and gc's functions
    # tell of it, as soon as anybody imports gc. That atexit was made is for the exit to know.
    def create_builtin(spec):
        global asks_collector, makes_atexit
        name = getattr(spec, "name", "")
        if name == "atexit":
            makes_atexit = True
        elif name == "gc" and asks_collector is None:
            if _imp.create_builtin is create_builtin:
                _imp.create_builtin = create
            collector.unfreeze()
            # tells by whom: the program itself, or the library
            asks_collector = INDEX is None or not rest().is_for_library()
        return create(spec)

    global collector
    create = _imp.create_builtin
    collector = create(ModuleSpec("gc", None))
    sys.modules.pop("gc", None)
    collector.freeze()
    _imp.create_builtin = create_builtin


if MENDS:

    def may_be_archive(path):
        # A script is asked about too: it is no reason to read the index.
        from posix import O_CLOEXEC, O_RDONLY, close, open, pread

        try:
            look = stat(path)
            if look[0] & 0o170000 != 0o100000:
                return False
            file = open(path, O_RDONLY | O_CLOEXEC)
            try:
                # where zipimport looks for the end record: its 22 bytes, and a comment of at most 65535
                return b"PK\5\6" in pread(file, 65557, max(0, look[6] - 65557))
            finally:
                close(file)
        except NotADirectoryError:  # a folder in an archive
            return True
        except (OSError, ValueError):
            return False


if SOURCES != "disk" or INSIDE:

    def delegate(name):
        def method(self, argument):
            return getattr(rest(), name)(self, argument)

        setattr(LibraryImporter, name, method)

    delegate("get_data")
    delegate("get_source")
    if SOURCES != "disk":  # then the data files are in the archive too
        delegate("get_resource_reader")
    del delegate
ARCHIVE_NAME = ARCHIVE[ARCHIVE.rfind("/") :]
ENDS = ("", ".py", ".pyc") + tuple(extension_suffixes())
ROOT = LibraryImporter("", FOLDER[:-1])
METHOD = type(ROOT.find_spec)
try:  # Is the tree's own executable what runs? An application that embeds Python may end it and start anew.
    RUNS = readlink("/proc/self/exe").rpartition("/")[0] == TREE + EXECUTABLE_PLACE
except OSError:  # a system without /proc
    RUNS = False
