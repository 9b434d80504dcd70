"""Leave the collector's last passes out at exit, where nobody could tell.

CPython collects two or three times at exit, through all that the process holds (Python/pylifecycle.c,
Py_FinalizeEx and finalize_modules), and takes apart what falls out: a sixth of the time of a program that
imports 147 modules. It is for the sake of finalizers. So when the last function of `atexit` has run, this
looks whether anything is alive that would notice its end; if not, all is set aside (gc.freeze()), and the
kernel takes the memory back. What nothing refers to any more is still released when modules are cleared.

Whatever is not known to be harmless ends this at once, and the exit is CPython's own. No code of a program
runs here: attributes are read past the methods that a class may have for it.
"""

import _thread
import sys
from _collections import _count_elements
from _frozen_importlib import ModuleSpec
from _imp import extension_suffixes
from _io import BufferedReader, BufferedWriter, TextIOWrapper
from _weakref import ReferenceType
from itertools import compress

#: what removes a dead entry from one of the library's tables, by the function's name
REMOVERS = {"remove", "_remove", "_removeHandlerRef", "cb"}
#: whose end writes to a file, without a finalizer that would show
WRITING = {("sqlite3", "Connection"), ("_dbm", "dbm"), ("_gdbm", "gdbm")}
#: extension modules of the library, by the start of their names, whose objects cannot be judged
STRANGE = ("_test", "_xx", "xx", "_tkinter")
#: whose finalizers do nothing that shows, without -W at least
HARMLESS = {("_io", "BytesIO"), ("_io", "StringIO"), ("posix", "ScandirIterator")}
#: of memory, as sys.getallocatedblocks() counts: a list of all objects is not to take more than eight MB
MOST_BLOCKS = 1_000_000
COLLECTED = 1 << 14  # of a type's flags (Include/object.h, Py_TPFLAGS_HAVE_GC)
Module = type(sys)
Function = type(lambda: None)
SUFFIXES = tuple(extension_suffixes())
names_of = Module.__dict__["__dict__"].__get__
names_of_type = type.__dict__["__dict__"].__get__
module_of = type.__dict__["__module__"].__get__
name_of = type.__dict__["__name__"].__get__
bases_of = type.__dict__["__mro__"].__get__
flags_of = type.__dict__["__flags__"].__get__
callback_of = ReferenceType.__dict__["__callback__"].__get__


def is_alone(collector):
    """Tell whether no thread, tracer or setting could take part in the exit, or show it."""
    gc = sys.modules.get("gc")
    return (
        _thread._count() == 0
        and not sys.warnoptions
        and sys.getallocatedblocks() < MOST_BLOCKS
        and sys.gettrace() is None
        and sys.getprofile() is None
        and collector.isenabled()
        and not collector.get_debug()
        and not getattr(gc, "callbacks", None)
        and not getattr(gc, "garbage", None)
    )


def is_known(module, dynload):
    """Tell whether *module* is written in Python, or one of the library's own."""
    names = names_of(module)
    spec, path = names.get("__spec__"), names.get("__file__")
    if type(spec) is ModuleSpec:
        if spec.origin == "built-in":
            return spec.name in sys.stdlib_module_names
        path = spec.origin
    if type(path) is not str or not path.endswith(SUFFIXES):
        return True
    return path.startswith(dynload) and not path[len(dynload) :].startswith(STRANGE)


def is_finalized(kind):
    """Tell whether the end of objects of the type *kind* may show."""
    for base in bases_of(kind):
        of_type = module_of(base), name_of(base)
        if base is kind and of_type in HARMLESS:
            return False
        if "__del__" in names_of_type(base) or of_type in WRITING:
            return True
    return False


def is_harmless(callback, folder):
    """Tell whether the *callback* of a weak reference does nothing but tidy a table of the library's up."""
    if type(callback) is not Function:
        return callback is None or type(callback) is type(len)
    file = callback.__code__.co_filename
    return callback.__name__ in REMOVERS and file.startswith((folder, "<frozen importlib._bootstrap>"))


def streams():
    """Return how many objects of each type the standard streams are."""
    found = {}
    for layer in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        while layer is not None:
            found[id(layer)] = type(layer)
            if type(layer) is TextIOWrapper:
                layer = layer.buffer
            else:
                layer = layer.raw if type(layer) in (BufferedReader, BufferedWriter) else None
    counts = {}
    _count_elements(counts, found.values())
    return counts


def nobody_notices(collector, folder, dynload):
    """Tell whether the end of all that is alive would go unnoticed."""
    if not is_alone(collector):
        return False
    for module in list(sys.modules.values()):
        if issubclass(type(module), Module) and not is_known(module, dynload):
            return False
    alive = collector.get_objects()
    counts, allowed, look = {}, streams(), set()
    _count_elements(counts, map(type, alive))
    for kind, count in counts.items():
        if count > allowed.get(kind, 0) and is_finalized(kind):
            return False
        if issubclass(kind, (type, ReferenceType, Module)):
            look.add(kind)
    for each in compress(alive, map(look.__contains__, map(type, alive))):
        kind = type(each)
        if issubclass(kind, type):
            # instances that the collector does not know cannot be counted
            if not flags_of(each) & COLLECTED and is_finalized(each):
                return False
        elif issubclass(kind, ReferenceType):
            if not is_harmless(callback_of(each), folder):
                return False
        elif not is_known(each, dynload):
            return False
    return True
