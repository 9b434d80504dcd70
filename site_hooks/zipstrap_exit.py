"""Leave the collector's last passes out at exit, where nobody could tell.

CPython collects two or three times at exit, through all that the process holds (Python/pylifecycle.c,
Py_FinalizeEx and finalize_modules), and takes apart what falls out: a sixth of the time of a program that
imports 147 modules. It is for the sake of finalizers. So when the last function of `atexit` has run, this
looks whether anything is alive that would notice its end; if not, all is set aside (gc.freeze()), and the
kernel takes the memory back. What nothing refers to any more is still released when modules are cleared.

Whatever is not known to be harmless ends this at once, and the exit is CPython's own. No code of a program
runs here: attributes are read past the methods that a class may have for it, names are compared only if they
are plain strings, and `leave` gives this the builtins of the start.
"""

import _thread
import _warnings
import sys
from _frozen_importlib import ModuleSpec
from _imp import extension_suffixes
from _io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from _weakref import CallableProxyType, ProxyType, ReferenceType
from itertools import compress

#: callbacks that tidy a table of the library's up: a file below its folder, and the function
TIDYING = {
    ("_weakrefset.py", "WeakSet.__init__.<locals>._remove"),
    ("weakref.py", "WeakKeyDictionary.__init__.<locals>.remove"),
    ("weakref.py", "WeakValueDictionary.__init__.<locals>.remove"),
    ("logging/__init__.py", "_removeHandlerRef"),
}
#: and such written in C, of _abc and _thread
TIDYING_IN_C = {"_destroy", "_localdummy_destroyed", "clear_locals"}
#: whose end shows, without a finalizer: by what is written to a file, or in how another object ends
SHOWN = {("sqlite3", "Connection"), ("_dbm", "dbm"), ("_gdbm", "gdbm"), ("_io", "_BytesIOBuffer")}
#: extension modules of the library, by the start of their names, whose objects cannot be judged
STRANGE = ("_test", "_xx", "xx", "_tkinter")
#: whose finalizer does no more than to warn
WARNING = ("posix", "ScandirIterator")
#: a metaclass with an idea of its own of equality, whose only class has no objects (3.14+)
NEVER_MADE = ("typing", "_UnionGenericAliasMeta")
#: of memory, as sys.getallocatedblocks() counts: a list of all objects is not to take more than eight MB
MOST_BLOCKS = 1_000_000
# of a type's flags (Include/object.h): Py_TPFLAGS_HAVE_GC, and DISALLOW_INSTANTIATION, which no class has
COLLECTED, IN_C = 1 << 14, 1 << 7
#: the types of the standard streams, and where each has the one below it
UNDER = {TextIOWrapper: "buffer", BufferedReader: "raw", BufferedWriter: "raw", FileIO: ""}
Module = type(sys)
Builtin = type(len)
Function = type(lambda: None)
Slot = type(Function.__globals__)
SUFFIXES = tuple(extension_suffixes())
PLAIN = (str, bytes, int, float, Function, type(None))
names_of = Module.__dict__["__dict__"].__get__
names_of_type = type.__dict__["__dict__"].__get__
module_of_type = type.__dict__["__module__"].__get__
name_of_type = type.__dict__["__name__"].__get__
bases_of = type.__dict__["__mro__"].__get__
subclasses_of = type.__dict__["__subclasses__"]
flags_of = type.__dict__["__flags__"].__get__
callback_of = ReferenceType.__dict__["__callback__"].__get__


def is_alone(collector, is_thawed):
    """Tell whether no thread and no setting could take part in the exit, or show it."""
    return (
        type(sys.modules) is dict
        and _thread._count() == 0
        and sys.getallocatedblocks() < MOST_BLOCKS
        # CPython flushes what these are now; the others are written when they end
        and sys.stdout is sys.__stdout__
        and sys.stderr is sys.__stderr__
        and collector.isenabled()
        and not collector.get_debug()
        and not collector.callbacks
        and not collector.garbage
        # what a program has set aside is not seen, and may end all the same
        and not (is_thawed and collector.get_freeze_count())
        and not warns()
        and are_plain()
    )


def warns():
    """Tell whether a ResourceWarning could be shown."""
    module = sys.modules.get("warnings")
    filters = names_of(module)["filters"] if type(module) is Module else _warnings.filters
    for action, message, category, module, _ in filters:
        if any(category is base for base in bases_of(ResourceWarning)):
            if type(action) is not str or action != "ignore":
                return True
            if message is None and module is None:
                return False
    return True


def are_plain():
    """Tell whether types can be looked up in tables: no metaclass has an idea of its own of equality."""
    waiting = [type]
    while waiting:
        for kind in subclasses_of(waiting.pop()):
            waiting.append(kind)
            for base in bases_of(kind):
                names = names_of_type(base)
                if base is not type and base is not object and ("__hash__" in names or "__eq__" in names):
                    of_type = module_of_type(base), name_of_type(base)
                    if not is_plain(of_type) or of_type != NEVER_MADE:
                        return False
    return True


def is_known(module, dynload):
    """Tell whether *module* is written in Python, or one of the library's own."""
    names = names_of(module)
    spec, path = names.get("__spec__"), names.get("__file__")
    if type(spec) is ModuleSpec:
        path = spec.origin
        if type(path) is str and path == "built-in":
            return type(spec.name) is str and spec.name in sys.stdlib_module_names
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
    if (found[0][len(folder) :], found[1]) not in TIDYING:
        return False
    kind = type(reference)
    if kind is ReferenceType:
        return True
    # a WeakValueDictionary looks its key up
    key = names_of_type(kind).get("key")
    return type(key) is Slot and is_plain(key.__get__(reference))


def streams():
    """Return the standard streams and what is below them, by their identity."""
    found = {}
    for layer in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        # not one that ends in a way of its own
        while type(layer) in UNDER and "close" not in layer.__dict__:
            found[id(layer)] = layer
            layer = getattr(layer, UNDER[type(layer)], None)
    return found


def sort_out(alive, harmless):
    """Return what of *alive* has to be looked at, in lists by what it is; None where an end may show."""
    # by the type that they are of; the streams by the lowest one's
    lists = {type: [], ReferenceType: [], ProxyType: [], CallableProxyType: [], Module: [], FileIO: []}
    list_of = {}
    for kind in set(map(type, alive)):
        if kind in UNDER:
            list_of[kind] = lists[FileIO].append
        elif is_shown(kind, harmless):
            return None
        else:
            for base in lists:
                if base in bases_of(kind):
                    list_of[kind] = lists[base].append
    for each in compress(alive, map(list_of.__contains__, map(type, alive))):
        list_of[type(each)](each)
    return lists


def nobody_notices(collector, is_thawed, folder, dynload):
    """Tell whether the end of all that is alive would go unnoticed."""
    if not is_alone(collector, is_thawed):
        return False
    modules = {id(module) for module in sys.modules.values()}
    for module in sys.modules.values():
        if issubclass(type(module), Module) and not is_known(module, dynload):
            return False
    harmless = set()
    lists = sort_out(collector.get_objects(), harmless)
    if lists is None:
        return False
    allowed = streams()
    for stream in lists[FileIO]:
        if id(stream) not in allowed:
            return False
    for kind in lists[type]:
        # objects that the collector does not know are not in its list
        if not flags_of(kind) & COLLECTED and is_shown(kind, harmless):
            if not flags_of(kind) & IN_C or (module_of_type(kind), name_of_type(kind)) != WARNING:
                return False
    for reference in lists[ReferenceType]:
        callback = callback_of(reference)
        if callback is not None and not is_tidying(callback, reference, folder):
            return False
    for module in lists[Module]:
        if id(module) not in modules and not is_known(module, dynload):
            return False
    # of a proxy it is the callback
    return not collector.get_referents(*lists[ProxyType], *lists[CallableProxyType])
