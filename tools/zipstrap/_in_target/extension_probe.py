"""Import extension modules of this interpreter, each in a process of its own, and say from where they came.

Protocol: argv is JOB_FILE ANSWER_FILE. The job has "modules", a list of names. The answer is JSON with
"worker", "schema" and "modules": for each name, in order, what it says of itself, as boot_probe.py tells it,
and "error", which is null or why it could not be imported. Each is imported by a fork of this process, so
that one that crashes is told of. Runs in CPython 3.8 to 3.15, POSIX.
"""

import os
import sys

WORKER = "extension_probe"
SCHEMA = 1

if sys.version_info < (3, 8):
    sys.exit(64)


def class_name(kind):
    """Return a class's module and qualified name with a dot between."""
    return "%s.%s" % (kind.__module__, kind.__qualname__)


def text(value):
    """Return *value* when it is a string, or None."""
    return str(value) if isinstance(value, str) else None


def nothing_of(name, error):
    """Return the answer for a module that says nothing."""
    found = dict.fromkeys(("spec_name", "archive", "origin", "file", "frozen_name"))
    found.update(name=name, error=error, loader=[], search=[])
    return found


def describe(name):
    """Import a module, and return what it says about where it came from."""
    found = nothing_of(name, None)
    try:
        __import__(name)
        module = sys.modules[name]
        spec = module.__spec__
        loader = getattr(spec, "loader", None)
        kind = loader if isinstance(loader, type) else type(loader)
        found["loader"] = [class_name(base) for base in kind.__mro__[:-1]]
        found["spec_name"] = text(getattr(spec, "name", None))
        found["archive"] = text(getattr(loader, "archive", None))
        found["origin"] = text(getattr(spec, "origin", None))
        found["file"] = text(getattr(module, "__file__", None))
    except Exception as error:
        found["error"] = "%s: %s" % (type(error).__name__, error)
    return found


def in_child(name, dumps, loads):
    """Describe a module in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            data = dumps(describe(name)).encode("ascii")
            while data:
                data = data[os.write(writing, data) :]
        finally:
            os._exit(0)
    os.close(writing)
    pieces = []
    while True:
        piece = os.read(reading, 65536)
        if not piece:
            break
        pieces.append(piece)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    try:
        return loads(b"".join(pieces))
    except ValueError:
        return nothing_of(name, "the process that imported it ended with status %d" % status)


def main(job_file, answer_file):
    """Read the job, do it, write the answer."""
    from json import dumps, load, loads

    with open(job_file, encoding="utf-8") as stream:
        names = load(stream)["modules"]
    answer = {
        "worker": WORKER,
        "schema": SCHEMA,
        "modules": [in_child(name, dumps, loads) for name in names],
    }
    with open(answer_file, "w", encoding="utf-8") as stream:
        stream.write(dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
