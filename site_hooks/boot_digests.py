# What the shim does first where the guard checks digests. ARCHIVE is the path of the archive that it came
# from, EXPECTED what the build wrote beside it. Any difference ends the start.
#
# Nothing is looked for along sys.path: whoever can put something on it could put there what hashes.

import sys
from posix import O_CLOEXEC, O_RDONLY, _exit, close, open, read, write

STATUS = 122  # of a start whose files are not what was built
PIECE = 1 << 20  # in bytes: what is read at once

PLACE, MODULE, FUNCTION, EXTENSION, FILES = EXPECTED
TREE = ARCHIVE[: -len(PLACE)]


def stop(path, reason):
    line = "zipstrap: %s%s %s; stopped\n" % (TREE, path, reason)
    write(2, line.encode("utf-8", "surrogateescape"))
    _exit(STATUS)


def load():
    # Return the interpreter's own hash function: built in, or of the tree's extension module.
    if not EXTENSION:
        return getattr(__import__(MODULE), FUNCTION)  # built-in modules come before all others
    from _frozen_importlib import ModuleSpec
    from _imp import create_dynamic, exec_dynamic

    module = create_dynamic(ModuleSpec(MODULE, None, origin=TREE + EXTENSION))
    exec_dynamic(module)
    sys.modules.pop(MODULE, None)  # hashlib imports one of its own, with a loader
    return getattr(module, FUNCTION)


def digest(path):
    made = function(digest_size=32) if FUNCTION == "blake2b" else function()
    file = open(path, O_RDONLY | O_CLOEXEC)
    while True:
        piece = read(file, PIECE)
        if not piece:
            break
        made.update(piece)
    close(file)
    return made.hexdigest()


try:
    function = load()
except ImportError as error:
    stop(EXTENSION, "cannot be loaded to check the others (%s)" % error)
for path, expected in FILES:
    try:
        found = digest(TREE + path)
    except OSError as error:
        stop(path, "cannot be read (%s)" % error.strerror)
    if found != expected:
        stop(path, "is not what was built: its %s is %s, not %s" % (FUNCTION, found, expected))
