# What the shim in the archive of a generation does first; ARCHIVE is that archive's path, and what it becomes
# is the path to go on with, or nothing if another generation has taken the start over.
#
# It lies beside the shim, so that the starts of other trees do not pay for it.

import sys
from posix import readlink, stat


def archive_of_executable(archive):
    # A link leads to the executable of a generation, and the interpreter reads it after the system has. An
    # upgrade between the two makes it find the archive of the next generation, and up to 3.10 it spells the
    # way over the link. Return the archive of the executable's own generation, spelled plainly.
    generations, _, place = archive.rpartition("/zipstrap/generations/")
    number, _, place = place.partition("/")
    tree = "%s/zipstrap/generations/%s" % (generations, number)
    try:
        own = readlink("/proc/self/exe").rpartition("/libexec/")[0]
        if own == tree or "/zipstrap/generations/" not in own:
            return archive
        one, other = stat(own + "/.."), stat(tree + "/..")
    except OSError:  # no /proc, or a copy of the executable
        return archive
    if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino):
        return archive
    start = tree + "/"
    sys.path[:] = [own + path[len(tree) :] if path.startswith(start) else path for path in sys.path]
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix", "_stdlib_dir"):
        path = getattr(sys, name, None) or ""
        if path == tree or path.startswith(start):
            setattr(sys, name, own + path[len(tree) :])
    # What is frozen and loaded by now has the names of files there (3.11+).
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(start) and module.__name__ != "encodings":
            module.__file__ = own + file[len(tree) :]
            state = getattr(module.__spec__, "loader_state", None)
            if getattr(state, "filename", None) == file:
                state.filename = module.__file__
    return "%s/%s" % (own, place)


found = archive_of_executable(ARCHIVE)
if found.split("/")[-3] != ARCHIVE.split("/")[-3]:  # its number
    sys.path_importer_cache.clear()
    del sys.modules["encodings"]
    __import__("encodings")  # of the other generation, to which this one gives way
    found = ""
ARCHIVE = found
