"""Say from where each module of this boot came.

The text of this file is passed with ``-c``, in the start mode that is asked about, with ``-v`` if there shall
be a log of the same start; its one argument is the path of the answer. The boot set must not contain what the
probe itself needs, so the first statement copies sys.modules, and nothing is imported but zlib, at the very
end. The answer is JSON, written by hand for the same reason. Runs in CPython 3.8 to 3.15.
"""

import sys

BOOT = list(sys.modules.items())
if sys.flags.verbose and sys.stderr is not None:
    # what the log says after this is the probe's own doing
    sys.stderr.write("# zipstrap: here the boot ends\n")
LAZY_SAFE = object.__getattribute__  # an importlib.util.LazyLoader module loads itself on a plain getattr

WORKER = "boot_probe"
SCHEMA = 1
OWN = ("__main__", "__mp_main__")


def attribute(thing, name):
    """Return an attribute without running a module's or loader's own code for it, or None."""
    try:
        return LAZY_SAFE(thing, name)
    except Exception:
        return None


def text(value):
    """Return *value* when it is a string, or None."""
    return str(value) if isinstance(value, str) else None


def texts(values):
    """Return what *values* holds as a list of strings; None when it cannot be listed."""
    try:
        return [value if isinstance(value, str) else repr(value) for value in values]
    except Exception:
        return None


def class_name(kind):
    """Return a class's (or function's) module and qualified name with a dot between."""
    return "%s.%s" % (getattr(kind, "__module__", "?"), getattr(kind, "__qualname__", "?"))


def type_name(thing):
    """Name a finder, hook or loader: itself when it is a class or function, else its type."""
    return class_name(thing if hasattr(thing, "__qualname__") else type(thing))


def importer_name(thing):
    """Name a finder or hook; one that only bears the name of an importer of CPython is said to."""
    name = type_name(thing)
    place, _, last = name.rpartition(".")
    known = attribute(sys.modules.get(place), last)
    if last == "path_hook_for_FileFinder":
        own = attribute(thing, "__code__") in OWN_HOOK
    else:
        own = known is None or known is thing
    return name if own else "%s (not CPython's own)" % name


def own_hook():
    """Return the code of the function by which FileFinder is on sys.path_hooks."""
    for name in ("_frozen_importlib_external", "importlib._bootstrap_external"):
        finder = attribute(sys.modules.get(name), "FileFinder")
        if finder is not None:
            return [finder.path_hook().__code__]
    return []


OWN_HOOK = own_hook()


def bases(loader):
    """Name the loader's class and its bases, nearest first; some loaders are classes themselves."""
    if loader is None:
        return []
    kind = loader if isinstance(loader, type) else type(loader)
    return [class_name(base) for base in type.mro(kind)[:-1]] or [class_name(kind)]


def describe(name, module):
    """Return what the module says about where it came from. ``__file__`` is told, and proves nothing."""
    spec = attribute(module, "__spec__")
    loader = attribute(spec, "loader") if spec is not None else None
    if loader is None:
        loader = attribute(module, "__loader__")
    return {
        "name": name,
        "spec_name": text(attribute(spec, "name")),
        "loader": bases(loader),
        "archive": text(attribute(loader, "archive")),
        "origin": text(attribute(spec, "origin")),
        "file": text(attribute(module, "__file__")),
        "search": texts(attribute(module, "__path__") or ()),
        "frozen_name": text(
            attribute(attribute(spec, "loader_state"), "origname") or attribute(module, "__origname__")
        ),
    }


def mapped():
    """Return the shared objects mapped into this process, or None where /proc does not tell."""
    try:
        with open("/proc/self/maps", "rb") as file:
            lines = file.read().decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return None
    found = {}  # type: dict[str, object]
    for line in lines:
        path = line.split(None, 5)[5:]
        if path and path[0][:1] == "/" and ".so" in path[0].rsplit("/", 1)[-1]:
            found[path[0]] = None
    return list(found)


def flags():
    """Return sys.flags as a dict; which flags there are differs by version."""
    values = {}
    for name in dir(sys.flags):
        value = getattr(sys.flags, name)
        if name[:2] != "n_" and name[:1] != "_" and (value is None or isinstance(value, int)):
            values[name] = value
    return values


def ask_zlib(before):
    """Import zlib and tell from where, with the shared objects that came with it."""
    try:
        import zlib
    except Exception as error:
        return {"module": None, "error": "%s: %s" % (type(error).__name__, error), "libraries": []}
    after = mapped() or []
    return {
        "module": describe("zlib", zlib),
        "error": None,
        "libraries": [path for path in after if path not in (before or [])],
    }


def to_json(value):
    """Write *value* (None, bool, int, str, list, dict with string keys) as ASCII JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "%d" % value
    if isinstance(value, str):
        if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return '"%s"' % value  # nearly all, and much quicker than sign by sign
        return '"%s"' % "".join([to_json_character(character) for character in value])
    if isinstance(value, dict):
        return "{%s}" % ", ".join(["%s: %s" % (to_json(key), to_json(value[key])) for key in value])
    return "[%s]" % ", ".join([to_json(item) for item in value])


def to_json_character(character):
    """Escape one character; lone surrogates (undecodable bytes of a path) survive the way."""
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0x20 <= code < 0x7F:
        return character
    if code < 0x10000:
        return "\\u%04x" % code
    code -= 0x10000
    return "\\u%04x\\u%04x" % (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))


def answer():
    """Gather everything; zlib last, because importing it changes the process."""
    libraries = mapped()
    said = {
        "worker": WORKER,
        "schema": SCHEMA,
        "modules": [describe(name, module) for name, module in BOOT if name not in OWN],
        "version": list(sys.version_info[:3]),
        "executable": text(sys.executable),
        "path": texts(sys.path),
        "prefix": sys.prefix,
        "exec_prefix": sys.exec_prefix,
        "base_prefix": sys.base_prefix,
        "base_exec_prefix": sys.base_exec_prefix,
        "stdlib_dir": text(getattr(sys, "_stdlib_dir", None)),
        "flags": flags(),
        "meta_path": [importer_name(finder) for finder in sys.meta_path],
        "path_hooks": [importer_name(hook) for hook in sys.path_hooks],
        "libraries": libraries,
    }
    said["zlib"] = ask_zlib(libraries)
    return said


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as answer_file:
        answer_file.write(to_json(answer()).encode("ascii"))
