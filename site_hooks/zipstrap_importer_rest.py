# The part of the importer that few starts need: it joins the namespace of `zipstrap_importer.py`. What hardly
# any program needs is in `zipstrap_importer_rare.py`.
#
# Loaded by the first call of `rest()` there, possibly while `encodings` is not imported yet, so what it needs
# of the library is imported in the functions. There are comments in the place of docstrings, which would stay
# in memory.

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import sys
import zipimport
from _imp import _fix_co_filename, acquire_lock, create_builtin, exec_builtin, release_lock
from posix import O_CLOEXEC, O_RDONLY, close, dup, fstat, listdir, open, pread, stat

_, ON_DISK, EXTENSION_SUFFIX, LEFT_OUT, NAMES, RECORDS, FILES, FILE_RECORDS = LATER
# A record has 16 bytes: where the data begins, its size in the archive, its size, its kind, and three of the
# source's hash in the head of a .pyc (PEP 552).
PACKAGE, DEFLATED, EXTENSION, NAMESPACE, UNCOMPILED = 1, 2, 4, 8, 16


class Index(dict):
    # Where in the records each name is; None for what is not there.
    #
    # Only names that somebody asks for become objects, until the module is loaded: hundreds would stay.

    def __init__(self, names, separator):
        # For each package or folder a text with a line for each name: a tab, and its number in two digits.
        self.names, self.separator = dict(zip(names[::2], names[1::2])), separator

    def __missing__(self, name):
        at = self.place(name)
        if at is not None:
            self[name] = at
        return at

    def place(self, name):
        # Return what the index says, without keeping it.
        package, _, last = name.rpartition(self.separator)
        text = self.names.get(package, "")
        at = text.find("\n" + last + "\t")
        if at < 0 or "\n" in last:
            return None
        high, low = text[at + len(last) + 2 : at + len(last) + 4]
        return ((ord(high) - 48) * 64 + ord(low) - 48) * 16

    def inside(self, package):
        # Return the last parts of the names in a package or folder.
        return [line.partition("\t")[0] for line in self.names.get(package, "").split("\n")[1:-1]]


INDEX, FILE_INDEX = Index(NAMES, "."), Index(FILES, "/")
# Kinds that the other part need not know.
ZSTANDARD, DICTIONARY = 32, 64
PACKED = DEFLATED | ZSTANDARD | DICTIONARY
ABSENT = None
EXTENSIONS = DYNLOAD_PLACE[len(LIBRARY_PLACE) + 1 :]
number = int.from_bytes
del LATER, NAMES, FILES, _


class Rest:
    # What `rest()` returns.

    @staticmethod
    def index():
        # Return where in RECORDS each module is.
        return INDEX

    @staticmethod
    def find_beside(importer, fullname):
        # Return the spec of a module on disk, of a package in the archive (its tests, up to 3.11).
        if importer.prefix:
            folder = FOLDER + importer.prefix[:-1]
            spec = file_hook(folder).find_spec(fullname) if is_directory(folder) else None
            if spec is not None:
                return spec
        if "\n%s\n" % fullname in LEFT_OUT:
            try:
                error = error_of(fullname)
            except Exception:
                error = None  # the import fails as ever
            if error is not None:
                raise error
        return None

    @staticmethod
    def rare_spec(fullname, path, kind):
        # Return the spec of a portion of a namespace package, or of an extension module.
        if kind & NAMESPACE:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations.append(path)
            return spec
        if EXTENSION_SUFFIX is None:
            return rest().archived_spec(fullname)
        path = TREE + DYNLOAD_PLACE + "/" + fullname + EXTENSION_SUFFIX
        spec = ModuleSpec(fullname, external.ExtensionFileLoader(fullname, path), origin=path)
        spec._set_fileattr = True
        return spec

    @staticmethod
    def get_code(importer, fullname):
        # Return the code object of a module; ImportError if there is no such module.
        if fullname == importer.name:
            name, path = importer.prefix.replace("/", ".") + fullname.rpartition(".")[2], importer.path
        elif importer.name:
            text = "loader for %s cannot handle %s" % (importer.name, fullname)
            raise ImportError(text, name=fullname)
        else:
            name = known(importer, fullname)
            path = FOLDER + file_name(name)
        at = INDEX.pop(name, None)  # found a moment ago, and asked for once
        if at is None:
            at = INDEX.place(name)
        # our own hooks come without sources
        if COMPILES and name[:9] != "zipstrap_" or RECORDS[at + 12] & UNCOMPILED:
            return compile(source_of(name), path, "exec", dont_inherit=True)
        # A descriptor that a program has closed, and perhaps given to another file, is known by what is read:
        # to look at the file each time would be a system call more.
        try:
            data = pread(
                DESCRIPTOR, number(RECORDS[at + 4 : at + 8], "little"), number(RECORDS[at : at + 4], "little")
            )
            if RECORDS[at + 12] & PACKED:
                data = unpacked(data, RECORDS, at)
        except Exception:
            data = b""
        if data[8:11] != RECORDS[at + 13 : at + 16]:
            data = read_again(at)
        code = loads(memoryview(data)[16:])
        _fix_co_filename(code, path)
        return code

    @staticmethod
    def attribute(importer, name):
        # Return an attribute that a loader has not; AttributeError for nearly all.
        if name == "_files":  # zipimporter's own methods ask for it, up to 3.12
            cache = zipimport._zip_directory_cache
            if LIBRARY_ARCHIVE not in cache:
                cache[LIBRARY_ARCHIVE] = zipimport._read_directory(LIBRARY_ARCHIVE)
            return cache[LIBRARY_ARCHIVE]
        if name == "discover" and is_directory(importer.path):  # 3.15: what tracebacks suggest
            return file_hook(importer.path).discover
        raise AttributeError("%r object has no attribute %r" % (type(importer).__name__, name))

    @staticmethod
    def is_for_library():
        # Tell whether it is a module of the library that imports something just now.
        try:
            raise ImportError
        except ImportError as error:
            frame = error.__traceback__.tb_frame
        while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib."):
            frame = frame.f_back
        if frame is None or frame.f_globals.get("__name__") == "__main__":
            return False
        path = frame.f_code.co_filename
        # what is installed below it is no part of it, and its tests are programs
        return path.startswith(FOLDER) and not path.startswith((*FOLDERS[2:], FOLDER + "test/"))

    @staticmethod
    def adapt(name, loader):
        # Let a module of the library see the archive's modules or sources, once *loader* has run it.

        def exec_module(module):
            LibraryImporter.exec_module(loader, module)
            if name != "pkgutil":
                rest().show_sources(module, name)
                return
            module.iter_importer_modules.register(LibraryImporter, iter_modules)
            if EXTENSION_SUFFIX is None:  # the folder's own finder sees nothing there
                finder = importer_cache[FOLDERS[1]] = LibraryImporter("", FOLDERS[1])
                finder.prefix = EXTENSIONS + "/"
                finder.find_spec = ROOT.find_spec  # which knows them by their names

        loader.exec_module = exec_module

    def __getattr__(self, name):
        # Return what hardly any program needs: the first of it brings all.
        if "Rare" not in globals():
            acquire_lock()
            try:
                if "Rare" not in globals():
                    load("zipstrap_importer_rare", globals())
            finally:
                release_lock()
        return getattr(Rare, name)


def load(name, space):
    # Run a part of the importer that is a member of the archive.
    code = Rest.get_code(ROOT, name)
    _fix_co_filename(code, "<frozen importlib._bootstrap_external>")
    exec(code, space)
    return space


def error_of(fullname):
    # Return what the import of a module raises that this tree leaves out; None for others, and where somebody
    # has it. What tells stays no longer than the search.
    global ABSENT
    absent = ABSENT
    if absent is None:
        absent = ABSENT = load("zipstrap_absent", {"__name__": "zipstrap_absent"})
        try:
            return absent["error_of"](fullname)
        finally:
            ABSENT = None
    return absent["error_of"](fullname)


def iter_modules(importer, prefix=""):
    # Yield name and kind of each module of a folder, as pkgutil does for one on disk.
    return rest().listed(importer, prefix)


def is_directory(path):
    # Tell whether there is a folder at *path*.
    try:
        return stat(path)[0] & 0o170000 == 0o040000
    except (OSError, ValueError):
        return False


def content(records, at):
    # Return the bytes of a member.
    data = read(number(records[at : at + 4], "little"), number(records[at + 4 : at + 8], "little"))
    return unpacked(data, records, at) if records[at + 12] & PACKED else data


def read_again(at):
    # Return a module's .pyc from the archive by its path, if that is still the one of this start.
    reopen()
    data = content(RECORDS, at)
    if data[8:11] != RECORDS[at + 13 : at + 16]:
        raise ImportError("zipstrap: %s was changed since this start" % LIBRARY_ARCHIVE)
    return data


def unpacked(data, records, at):
    # Return what *data*, a compressed member, holds.
    kind = records[at + 12]
    if kind & DEFLATED:
        from zlib import decompress

        return decompress(data, -15, number(records[at + 8 : at + 12], "little"))
    return rest().from_frame(data, kind & DICTIONARY)


def read(offset, size):
    # Return bytes of the library's archive, which stays open: whoever replaces it does not disturb us.
    try:
        if look_of(DESCRIPTOR) != LOOK:
            raise OSError
    except OSError:  # closed by a program that closes all it has not opened; or the file was written to
        reopen()
    data = pread(DESCRIPTOR, size, offset)
    if len(data) != size:
        raise ImportError("zipstrap: %s was cut off" % LIBRARY_ARCHIVE)
    return data


def look_of(descriptor):
    # Return by what an open file is known: number, device, size and time.
    status = fstat(descriptor)
    return status[1:3] + (status[6], status[8])


def above_streams(descriptor):
    # Return a descriptor above those of the standard streams, which a program may have closed or not.
    low = []
    while descriptor < 3:
        low.append(descriptor)
        descriptor = dup(descriptor)
    for each in low:
        close(each)
    return descriptor


def reopen():
    # Open the library's archive again.
    global DESCRIPTOR, LOOK
    acquire_lock()
    try:
        identity, offset, _ = PLACE
        file = open(LIBRARY_ARCHIVE, O_RDONLY | O_CLOEXEC)
        if pread(file, 16, offset) != identity:
            close(file)
            raise ImportError("zipstrap: %s is not the archive of this start any more" % LIBRARY_ARCHIVE)
        DESCRIPTOR = above_streams(file)
        LOOK = look_of(DESCRIPTOR)
    finally:
        release_lock()


def known(importer, fullname):
    # Return under which name the index has a module; ZipImportError if it has not.
    name = importer.prefix.replace("/", ".") + fullname.rpartition(".")[2]
    at = INDEX.place(name)
    if at is None or RECORDS[at + 12] & (EXTENSION | NAMESPACE):
        raise zipimport.ZipImportError("can't find module %r" % (fullname,), name=fullname)
    return name


def file_name(name):
    # Return where the source of a module is, below the library's folder.
    is_package = RECORDS[INDEX.place(name) + 12] & PACKAGE
    return name.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def source_of(name):
    # Return the bytes of a module's source, from the archive or the library's folder.
    data = stored(file_name(name))
    return external.SourceFileLoader.get_data(ROOT, FOLDER + file_name(name)) if data is None else data


def stored(path):
    # Return the bytes of a file of the archive, by its path or from the archive's root; None for others.
    if not isinstance(path, str):
        return None
    for folder in (FOLDER, LIBRARY_ARCHIVE + "/"):
        if path.startswith(folder):
            path = path[len(folder) :]
            break
    at = FILE_INDEX.place(path)
    return None if at is None else content(FILE_RECORDS, at)


def rest(rest=Rest()):
    # Return what is in this file.
    return rest


def reduce(self):
    # Let a loader be pickled as the one that the module has unpacked.
    return external.SourceFileLoader, (self.name, self.path)


def leave(exec=exec, BaseException=BaseException, ImportError=ImportError):
    # Spare the exit what nobody would notice; the last function of `atexit` to be called.
    space = {}
    try:
        # a program that asks for the collector itself gets the exit that it knows
        if asks_collector or GIVEN["gettrace"]() is not None or GIVEN["getprofile"]() is not None:
            return
        get_tool = GIVEN["get_tool"]
        for number in (0, 1, 2, 3, 4, 5) if get_tool is not None else ():  # of sys.monitoring (3.12+)
            if get_tool(number) is not None:
                return
        try:
            raise ImportError
        except ImportError as error:
            if error.__traceback__.tb_frame.f_back is not None:
                return  # atexit._run_exitfuncs(): the process goes on
        exec_builtin(collector)
        place, size, mark = GIVEN["place"]
        data = pread(DESCRIPTOR, size, place)
        if data[8:11] == mark:
            space.update({"__name__": "zipstrap_exit", "__builtins__": GIVEN})
            exec(loads(data[16:]), space)
            if space["nobody_notices"](collector, asks_collector is not None, FOLDER, FOLDERS[1] + "/"):
                collector.freeze()
                return
    except BaseException:  # of an audit hook's making, perhaps: the exit is CPython's own
        pass
    space.clear()  # nothing of ours for the collector to find


def own_atexit(had_one):
    # Return a module atexit, which who imports it first gets; None where it must not be a second one.
    #
    # Up to 3.9 the functions are a module's, and a second module takes the first one's place.

    def hand_out(spec):
        if getattr(spec, "name", "") != "atexit" or not waiting:
            return create(spec)
        if _imp.create_builtin is hand_out:
            _imp.create_builtin = create
        return waiting.pop()

    if MENDS and had_one:
        return None
    atexit = create_builtin(ModuleSpec("atexit", None))
    sys.modules.pop("atexit", None)
    if MENDS:
        exec_builtin(atexit)
        create, waiting = _imp.create_builtin, [atexit]
        _imp.create_builtin = hand_out
    return atexit


def at_exit():
    # Let `leave` be called last of all at exit, where the boot has been set aside.
    global GIVEN
    flags, at = sys.flags, INDEX["zipstrap_exit"]
    if "collector" not in globals() or at is None or flags.dev_mode or flags.verbose or asks_collector:
        return
    # Has there been one, as far as can be seen: made by another _imp it would not be.
    had_one = makes_atexit or "atexit" in sys.modules or sys.modules.get("_imp") is not _imp
    # None where a program forbids the import
    atexit = sys.modules["atexit"] if "atexit" in sys.modules else own_atexit(had_one)
    # Asked only where it need be: the kernel would map a part of the executable that nothing else uses.
    if atexit is None or (had_one and atexit._ncallbacks()):
        return
    # All that an exit needs, by name: a program may have put something else in its place by then.
    place, size = RECORDS[at : at + 4], RECORDS[at + 4 : at + 8]
    GIVEN = {
        "place": (number(place, "little"), number(size, "little"), RECORDS[at + 13 : at + 16]),
        "get_tool": sys.monitoring.get_tool if hasattr(sys, "monitoring") else None,
        "count_threads": bootstrap._thread._count,
        "RLock": bootstrap._thread.RLock,
        "SUFFIXES": tuple(extension_suffixes()),
        "atexit": atexit,  # CPython does not keep it alive (up to 3.9)
        "fstat": fstat,
        "listdir": listdir,
        "stdlib_module_names": getattr(sys, "stdlib_module_names", ()),  # 3.10+
    }
    for module, names in (
        (bootstrap, "ModuleSpec _warnings sys"),
        (bootstrap._weakref, "ReferenceType ProxyType CallableProxyType"),
        (external._io, "TextIOWrapper BufferedReader BufferedWriter BufferedRandom FileIO"),
        (sys, "gettrace getprofile getallocatedblocks"),
        (
            sys.modules["builtins"],
            "OSError ResourceWarning all bytes dict filter float frozenset getattr id int issubclass len "
            "list map object set str tuple type",
        ),
    ):
        for name in names.split():
            GIVEN[name] = getattr(module, name)
    GIVEN["bootstrap"] = bootstrap
    atexit.register(leave)


try:
    at_exit()
except Exception:  # a program has taken away what this needs: no import fails because of an exit
    pass
if not BOOT or "watch" not in globals():
    # site has run: what it did not ask for (_bootlocale) is as quickly read from its own place
    LibraryImporter.get_code = Rest.get_code
    BOOT.clear()
    DATA = None
# What has done its work goes: containers that live on cost memory, and are visited by the collector.
LOADING = None
del at_exit, own_atexit
LibraryImporter.__reduce__ = reduce
LibraryImporter.__copy__ = LibraryImporter.__deepcopy__ = lambda self, memo=None: self
DESCRIPTOR = above_streams(DESCRIPTOR)
LOOK = look_of(DESCRIPTOR)
