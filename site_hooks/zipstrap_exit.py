"""Leave the collector's last passes out at exit, where nobody could tell.

CPython collects two or three times at exit, through all that the process holds (Python/pylifecycle.c,
Py_FinalizeEx and finalize_modules), and takes apart what falls out: an eighth of the time of a program that
imports 147 modules (benchmarks/bench_floor.py). It is for the sake of finalizers. So when the last function
of `atexit` has run, this looks whether anything is alive that would notice its end; if not, all is set aside
(gc.freeze()), and the kernel takes the memory back. What nothing refers to any more is still released when
modules are cleared.

Whatever is not known to be harmless ends this at once, and the exit is CPython's own. No code of a program
runs here: attributes are read past the methods that a class may have for it, names are compared only if they
are plain strings, and nothing is imported. What this needs of other modules, builtins among them, `at_exit`
has put aside early (`zipstrap_importer_rest.py`).
"""

try:
    bootstrap
except NameError:  # somebody imports this, like any module that there is
    import _frozen_importlib as bootstrap
    import _warnings
    import sys
    from _frozen_importlib import ModuleSpec
    from _imp import extension_suffixes
    from _io import BufferedRandom, BufferedReader, BufferedWriter, FileIO, TextIOWrapper
    from _thread import RLock
    from _thread import _count as count_threads
    from _weakref import CallableProxyType, ProxyType, ReferenceType
    from posix import fstat, listdir
    from sys import getallocatedblocks

    stdlib_module_names = getattr(sys, "stdlib_module_names", ())
    SUFFIXES = tuple(extension_suffixes())

#: up to 3.9 sys does not tell; of the library's modules in C these may be built in (3.8.18 and 3.9.18)
NAMES = stdlib_module_names or frozenset(
    """
    _abc _ast _asyncio _bisect _blake2 _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp
    _codecs_kr _codecs_tw _collections _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime
    _dbm _decimal _elementtree _functools _gdbm _hashlib _heapq _imp _io _json _locale _lsprof _lzma _md5
    _multibytecodec _multiprocessing _opcode _operator _peg_parser _pickle _posixshmem _posixsubprocess
    _queue _random _sha1 _sha256 _sha3 _sha512 _signal _socket _sqlite3 _sre _ssl _stat _statistics _string
    _struct _symtable _thread _tracemalloc _uuid _warnings _weakref _zoneinfo array atexit audioop binascii
    builtins cmath errno faulthandler fcntl gc grp itertools marshal math mmap nis ossaudiodev parser posix
    pwd pyexpat readline resource select spwd sys syslog termios time unicodedata zlib
    """.split()
)

#: callbacks that tidy a table of the library's up: the file below its folder and the function, and the
#: table's type, if it is the object that the function has a weak reference to
TIDYING = {
    ("_weakrefset.py", "WeakSet.__init__.<locals>._remove"): ("_weakrefset", "WeakSet"),
    ("weakref.py", "WeakKeyDictionary.__init__.<locals>.remove"): ("weakref", "WeakKeyDictionary"),
    ("weakref.py", "WeakValueDictionary.__init__.<locals>.remove"): ("weakref", "WeakValueDictionary"),
    ("logging/__init__.py", "_removeHandlerRef"): (),
}
#: and such written in C, of _abc and _thread
TIDYING_IN_C = {"_destroy", "_localdummy_destroyed", "clear_locals"}
#: whose end shows, without a finalizer: by what is written to a file, or in how another object ends
SHOWN = {("sqlite3", "Connection"), ("_dbm", "dbm"), ("_gdbm", "gdbm"), ("_io", "_BytesIOBuffer")}
#: extension modules of the library, by the start of their names, whose objects cannot be judged
STRANGE = ("_test", "_xx", "xx", "_tkinter")
#: of memory, as sys.getallocatedblocks() counts: a list of all objects is not to take more than eight MB
MOST_BLOCKS = 1_000_000
# of a type's flags (Include/object.h): Py_TPFLAGS_HAVE_GC and HEAPTYPE
COLLECTED, MADE = 1 << 14, 1 << 9
OPEN = "/proc/self/fd"
#: the types of streams, and where each has the one below it
UNDER = {
    TextIOWrapper: "buffer",
    BufferedReader: "raw",
    BufferedWriter: "raw",
    BufferedRandom: "raw",
    FileIO: "",
}
#: what the library itself sets on one of them
USUAL = ("mode", "name", "__IOBase_closed")
Module = type(bootstrap)
Builtin = type(len)
Function = type(lambda: None)
Slot = type(Function.__globals__)
Method = type(type.__call__)
PLAIN = (str, bytes, int, float, Function, type(None))
names_of = Module.__dict__["__dict__"].__get__
names_of_type = type.__dict__["__dict__"].__get__
module_of_type = type.__dict__["__module__"].__get__
name_of_type = type.__dict__["__name__"].__get__
bases_of = type.__dict__["__mro__"].__get__
subclasses_of = type.__dict__["__subclasses__"]
flags_of = type.__dict__["__flags__"].__get__
callback_of = ReferenceType.__dict__["__callback__"].__get__


def is_alone(collector, is_thawed, names, folder):
    """Tell whether no thread and no setting could take part in the exit, or show it; *names* are sys's."""
    return (
        type(names["modules"]) is dict
        and count_threads() == 0
        and getallocatedblocks() < MOST_BLOCKS
        # CPython flushes what these are now; the others are written when they end
        and names["stdout"] is names["__stdout__"]
        and names["stderr"] is names["__stderr__"]
        and collector.isenabled()
        and not collector.get_debug()
        and not collector.callbacks
        and not collector.garbage
        # what a program has set aside is not seen, and may end all the same
        and not (is_thawed and collector.get_freeze_count())
        and not warns(names)
        and are_plain(folder)
    )


def warns(names):
    """Tell whether a ResourceWarning could be shown."""
    if getattr(names["flags"], "context_aware_warnings", 0):
        return True  # there may be other filters (3.14+)
    module = names["modules"].get("warnings")
    filters = names_of(module)["filters"] if type(module) is Module else names_of(_warnings)["filters"]
    if type(filters) is not list:
        return True
    for entry in filters:
        if type(entry) is not tuple or len(entry) != 5 or type(entry[2]) is not type:
            return True
        action, message, category, place, _ = entry
        if category in bases_of(ResourceWarning):
            if type(action) is not str or action != "ignore":
                return True
            if message is None and place is None:
                return False
    return True


def are_plain(folder):
    """Tell whether types can be looked up in tables: no metaclass has an idea of its own of equality."""
    waiting = [type]
    while waiting:
        for kind in subclasses_of(waiting.pop()):
            waiting.append(kind)
            for base in bases_of(kind):
                for name in ("__eq__", "__hash__") if base is not type and base is not object else ():
                    method = names_of_type(base).get(name)
                    # that of typing's stands for a class that has no objects (3.14+)
                    if method is not None and not is_from(method, folder + "typing.py"):
                        return False
    return True


def is_from(function, file):
    """Tell whether a *function* is written in Python in *file*."""
    if type(function) is not Function:
        return False
    path = function.__code__.co_filename
    return type(path) is str and path == file


def is_known(module, dynload):
    """Tell whether *module* is written in Python, or one of the library's own."""
    names = names_of(module)
    spec, path = names.get("__spec__"), names.get("__file__")
    if type(spec) is ModuleSpec:
        path = spec.origin
        if type(path) is str and path == "built-in":
            return type(spec.name) is str and spec.name in NAMES and not spec.name.startswith(STRANGE)
    if path is None:
        return True
    if type(path) is not str:
        return False
    if not path.endswith(SUFFIXES):
        return True
    return path.startswith(dynload) and not path[len(dynload) :].startswith(STRANGE)


def is_shown(kind, harmless):
    """Tell whether the end of objects of the type *kind* may show; *harmless* has types where it does not."""
    for base in bases_of(kind):
        if base not in harmless:
            of_type = module_of_type(base), name_of_type(base)
            if "__del__" in names_of_type(base) or not is_plain(of_type) or of_type in SHOWN:
                return True
            # called at the end of a view (3.12+); types in C have it too
            if type(names_of_type(base).get("__release_buffer__", None)) not in (Method, type(None)):
                return True
            harmless.add(base)
    return False


def is_plain(value):
    """Tell whether *value* is of a type whose equality is CPython's own."""
    if type(value) is tuple:
        return all(type(each) in PLAIN for each in value)
    return type(value) in PLAIN


def is_tidying(callback, reference, folder):
    """Tell whether the *callback* of a weak *reference* does nothing but tidy a table up."""
    if type(callback) is Builtin:
        return callback.__name__ in TIDYING_IN_C
    if type(callback) is not Function:
        return False
    found = callback.__code__.co_filename, callback.__qualname__
    if not is_plain(found) or not found[0].startswith(folder):
        return False
    table = TIDYING.get((found[0][len(folder) :], found[1]))
    if table is None:
        return False
    if not table:
        return is_usual(callback.__globals__, found[0])
    whose = callback.__defaults__[0]
    whose = whose() if type(whose) is ReferenceType else None
    kind = type(whose)
    if whose is None or (module_of_type(kind), name_of_type(kind)) != table:
        return False
    if type(object.__getattribute__(whose, "__dict__").get("data")) not in (dict, set):
        return False
    kind = type(reference)
    if kind is ReferenceType:
        return True
    # a WeakValueDictionary looks its key up
    key = names_of_type(kind).get("key")
    return type(key) is Slot and is_plain(key.__get__(reference))


def is_usual(names, file):
    """Tell whether what logging's callback uses is what logging, the *names* of *file*, has made."""
    for name in ("_acquireLock", "_releaseLock"):  # up to 3.12
        if name in names and not is_from(names[name], file):
            return False
    return type(names["_handlerList"]) is list and type(names["_lock"]) is RLock


def layers(stream, found):
    """Add *stream* and what is below it to *found*, by identity, while each ends in no way of its own."""
    while type(stream) in UNDER:
        for name in stream.__dict__:
            if type(name) is not str or name not in USUAL:
                return found
        found[id(stream)] = stream
        stream = getattr(stream, UNDER[type(stream)], None)
    return found


def is_closed(stream):
    """Tell whether a *stream*'s end is behind it."""
    last = list(layers(stream, {}).values())[-1:]
    return last != [] and type(last[0]) is FileIO and last[0].closed


def is_listing(kind):
    """Tell whether the type *kind* is the one of `os.scandir`, whose finalizer does no more than to warn."""
    method = names_of_type(kind).get("__del__")
    # of the method of a type in C only, and of no other type's
    is_in_c = type(method) is Method and method.__objclass__ is kind
    return is_in_c and (module_of_type(kind), name_of_type(kind)) == ("posix", "ScandirIterator")


def is_database_open():
    """Tell whether there may be an open database, up to 3.9: no list has these, nor their static types."""
    for kind in subclasses_of(object):
        if not flags_of(kind) & (MADE | COLLECTED) and (module_of_type(kind), name_of_type(kind)) in SHOWN:
            # one of sqlite3 that shows has a file open, never as one of the first three; one more is the
            # library's archive
            if name_of_type(kind) != "Connection" or len(list(filter(is_file, listdir(OPEN)))) > 1:
                return True
    return False


def is_file(descriptor):
    """Tell whether a regular file is open as this *descriptor* (a text), above the standard streams."""
    try:
        return int(descriptor) > 2 and fstat(int(descriptor))[0] & 0o170000 == 0o100000
    except OSError:  # was the list's own
        return False


def streams(names):
    """Return the standard streams and what is below them, by identity."""
    found = {}
    layers(names["__stdout__"], found)
    layers(names["__stderr__"], found)
    # nobody flushes what is written to this one
    below = layers(names["__stdin__"], {})
    if BufferedReader in map(type, below.values()):
        found.update(below)
    return found


def sort_out(alive, harmless):
    """Return what of *alive* has to be looked at, in lists by what it is; None where an end may show."""
    # by the type that they are of; the streams by the lowest one's
    lists = {type: [], ReferenceType: [], ProxyType: [], CallableProxyType: [], Module: [], FileIO: []}
    list_of = {}
    for kind in set(map(type, alive)):
        if kind in UNDER:
            list_of[kind] = lists[FileIO]
        elif is_shown(kind, harmless):
            return None
        else:
            for base in bases_of(kind):
                if base in lists:
                    list_of[kind] = lists[base]
    for each in alive:
        if type(each) in list_of:
            list_of[type(each)].append(each)
    return lists


def nobody_notices(collector, is_thawed, folder, dynload):
    """Tell whether the end of all that is alive would go unnoticed."""
    names = names_of(sys)
    if not is_alone(collector, is_thawed, names, folder):
        return False
    modules = {id(module) for module in names["modules"].values()}
    for module in names["modules"].values():
        if issubclass(type(module), Module) and not is_known(module, dynload):
            return False
    harmless = set()
    lists = sort_out(collector.get_objects(), harmless)
    if lists is None:
        return False
    allowed = streams(names)
    for stream in lists[FileIO]:
        if id(stream) not in allowed and not is_closed(stream):
            return False
    for kind in lists[type]:
        # objects that the collector does not know are not in its list
        if not flags_of(kind) & COLLECTED and is_shown(kind, harmless) and not is_listing(kind):
            return False
    for reference in lists[ReferenceType]:
        callback = callback_of(reference)
        if callback is not None and not is_tidying(callback, reference, folder):
            return False
    for module in lists[Module]:
        if id(module) not in modules and not is_known(module, dynload):
            return False
    # from 3.10 on these are in the list of all that is alive
    if not stdlib_module_names and is_database_open():
        return False
    # of a proxy it is the callback
    return not collector.get_referents(*lists[ProxyType], *lists[CallableProxyType])
