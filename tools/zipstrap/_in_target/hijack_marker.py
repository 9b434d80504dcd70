"""Say that foreign code has control of this start, and when; ``zipstrap verify --hijack`` plants it.

The host puts three assignments in front: MARKS, the path of a file that gets a line; ORIGIN, what was planted
where; END, whether the process ends here. It may be the first module of a start: nothing is imported but what
is built in, and nothing is needed that only ``encodings`` could give. The line is a Python literal in ASCII.
"""

import sys

MARKS = globals().get("MARKS", b"")
# of bytecode, which is compiled once for many places, its spec knows the place
ORIGIN = globals().get("ORIGIN") or getattr(globals().get("__spec__"), "cached", None) or ""
END = globals().get("END", True)


def mark(frame):
    """Write the line: who, the modules whose code is running, and which of the first modules are loaded."""
    import posix

    running = []
    while frame is not None:
        running.append(str(frame.f_globals.get("__name__")))
        frame = frame.f_back
    loaded = [name for name in ("encodings", "site", "runpy") if name in sys.modules]
    line = ascii({"kind": "python", "origin": ORIGIN, "running": running, "loaded": loaded}) + "\n"
    file = posix.open(MARKS, posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND, 0o666)
    posix.write(file, line.encode("ascii"))
    posix.close(file)
    if END:
        posix._exit(0)


def run():
    """Do nothing more: it is what a .start file names."""


if MARKS:
    mark(sys._getframe())
