"""Find what in a boot is not the tree's own, and say it in one line.

``sitecustomize`` runs this, from the archive that it came from itself, when its quick look leaves a doubt.
"""

import os
import sys

STATUS = 121  # of a stopped start; 120 is CPython's own, for output that could not be flushed


def same(one, other):
    """Tell whether two paths name one file or folder."""
    if one == other:
        return True
    try:
        return os.path.samestat(os.stat(one), os.stat(other))
    except OSError:
        return False


def tree_of_executable():
    """Return the folder above the ``bin`` of the real executable; None when embedded or in doubt."""
    try:
        running = os.readlink("/proc/self/exe")
    except OSError:
        running = None
    else:
        tree = os.path.dirname(os.path.dirname(running))
        if same(tree, sys.base_prefix):
            return tree
    # The slow way, for a copy in a venv, for a system without /proc, and for faults.
    if not sys.executable:
        return None
    named = os.path.realpath(sys.executable)
    if running not in (None, named):
        return None  # embedded, or the link to the executable was swapped since the start
    base = getattr(sys, "_base_executable", None) or sys.executable
    home = getattr(sys, "_home", None)  # up to 3.10, _base_executable of a venv's copy is that copy
    folder = home or os.path.dirname(base)
    # In a prefix with generations the executable in its bin leads to one; a copy is of none in particular.
    # "python", as a copy may be called, can be another version there.
    real = os.path.realpath("%s/python%d.%d%s" % ((folder,) + sys.version_info[:2] + (sys.abiflags,)))
    tree = os.path.dirname(os.path.dirname(real)) if os.path.exists(real) else os.path.dirname(folder)
    generations = os.path.dirname(tree)
    if generations.endswith("/zipstrap/generations") and same(os.path.dirname(sys.base_prefix), generations):
        return sys.base_prefix
    base = os.path.realpath(base)
    if not home or base != named:
        return os.path.dirname(os.path.dirname(base))
    return tree


def holds(loader, name):
    """Tell whether the archive of *loader* has the module *name*."""
    stem = loader.archive + "/" + name.replace(".", "/")
    for end in (".pyc", "/__init__.pyc", ".py", "/__init__.py"):
        try:
            loader.get_data(stem + end)
            return True
        except OSError:
            pass
    return False


def faults(own, archive):
    """Return what is not the tree's, as a list of (what, expected, found).

    *own* is our loader, and *archive* the path of the archive that the interpreter found.
    """
    found = []
    tree = tree_of_executable()
    if tree is not None:
        prefix = tree + "/bin" if same(sys.base_prefix, tree + "/bin") else tree  # bin: of a ._pth file in it
        major, minor = sys.version_info[:2]
        threads = "t" if "t" in sys.abiflags else ""
        library = tree + "/" + getattr(sys, "platlibdir", "lib")
        expected = [
            ("the archive", "%s/python%d%d%s.zip" % (library, major, minor, threads), archive),
            ("sys.base_prefix", prefix, sys.base_prefix),
            ("sys.base_exec_prefix", prefix, sys.base_exec_prefix),
        ]
        dynload = "%s/python%d.%d%s/lib-dynload" % (library, major, minor, threads)
        expected += [("lib-dynload", dynload, entry) for entry in sys.path if entry.endswith("/lib-dynload")]
        found += [each for each in expected if not same(each[1], each[2])]
    foreign = []
    for name, module in list(sys.modules.items()):
        # A frozen module's __file__ names a file that is not there: only loaders tell the truth.
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if isinstance(loader, type):
            continue  # built in or frozen
        place = getattr(loader, "archive", None) or getattr(loader, "path", None)
        if place and not same(place, own.archive) and not same(place, archive) and holds(own, name):
            foreign.append(("module " + name, own.archive, place))
    return found + sorted(foreign)  # a package before its modules


def guard(own, action, archive=None):
    """Say in one line on stderr what is wrong, and stop if *action* is stop; tell whether anything is."""
    wrong = faults(own, archive or own.archive)
    if not wrong:
        return False
    line = "zipstrap: %s is not the tree's own: expected %r, found %r" % wrong[0]
    if len(wrong) > 1:
        line += " (and %d more)" % (len(wrong) - 1)
    if action == "stop":
        line += "; stopped"
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    finally:
        if action == "stop":
            os._exit(STATUS)  # SystemExit would add a traceback of site's
    return True
