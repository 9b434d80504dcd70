"""Tell, where an import fails, that the library has the module and this tree leaves it out.

What has found no module asks here: the importer of the layout ``fast``, or a finder that our `sitecustomize`
puts last. Only a name in the table below costs anything. For such a one all finders are asked, once more: a
module of that name may well be somewhere else. And only an import is told, not a question like
`importlib.util.find_spec`, which is answered with None.

The code is named <frozen importlib._bootstrap_external> by who loads it, so that tracebacks leave it out.
"""

import _frozen_importlib
import sys
from _thread import get_ident

LEFT_OUT = ()  # baked at build: a text with %s for the name, and the names, in turn

#: (thread, name) of each search that goes on
searching = set()


def text_of(name):
    """Return what to say of the module *name*; None if this tree does not leave it out."""
    for text, names in zip(LEFT_OUT[::2], LEFT_OUT[1::2]):
        if name in names.split():
            return text.replace("%s", name)
    return None


def is_import():
    """Tell whether who asks is an import, by the functions of importlib that have called."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_find_and_load_unlocked":
            return True
        if frame.f_back is None or not code.co_filename.startswith("<frozen importlib"):
            return False
        frame = frame.f_back
    return False


def error_of(name):
    """Return the error for an import of *name* that this tree leaves out and nobody has; else None."""
    text = text_of(name)
    key = get_ident(), name
    if text is None or key in searching or not is_import():
        return None
    parent = name.rpartition(".")[0]
    searching.add(key)
    try:
        path = sys.modules[parent].__path__ if parent else None
        if _frozen_importlib._find_spec(name, path) is not None:
            return None
    except (AttributeError, KeyError):
        return None  # the import will say what is wrong with the parent
    finally:
        searching.discard(key)
    said = "No module named %r" % name
    if sys.version_info < (3, 11):
        return ModuleNotFoundError("%s (%s)" % (said, text), name=name)
    error = ModuleNotFoundError(said, name=name)
    error.add_note(text)
    return error


def find_spec(name, path=None, target=None):  # noqa: ARG001 - as finders have it
    """Be the last finder: raise for what this tree leaves out, else find nothing."""
    error = error_of(name)
    if error is not None:
        raise error
