"""Tell the facts of the interpreter that runs this file.

Protocol: argv is JOB_FILE ANSWER_FILE; the job is ignored; the answer is one JSON object with "worker",
"schema" and the fields that the host reads. Run with -I -S -B. This file is the first thing that
an unknown interpreter is given, so it parses under every Python since 2.7. An interpreter that is too old, or
not CPython, is told by two signals that must agree: exit status 64 and "unsupported" in the answer.
"""

import sys

WORKER = "probe"
SCHEMA = 1
UNSUPPORTED_STATUS = 64


def unsupported():
    """Return what this interpreter is called if it is no CPython 3.8 or later, else an empty text."""
    name = getattr(getattr(sys, "implementation", None), "name", "python")
    number = ".".join(str(part) for part in sys.version_info[:3])
    if name not in ("cpython", "python"):
        return {"pypy": "PyPy", "graalpy": "GraalPy"}.get(name, name) + ", for Python " + number
    if sys.version_info < (3, 8):
        return "Python " + number
    return ""


def mapped_libpython():
    """Return the libpython that this process runs, as the kernel mapped it (Linux; None elsewhere)."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            for line in maps:
                path = line.rstrip("\n").partition("/")[2]
                if path.rpartition("/")[2].startswith("libpython") and ".so" in path:
                    return "/" + path
    except OSError:
        pass
    return None


def zlib_origin():
    """Return "builtin", the path of the extension module, or None when there is no zlib."""
    if "zlib" in sys.builtin_module_names:
        return "builtin"
    import importlib.util

    spec = importlib.util.find_spec("zlib")
    return spec.origin if spec is not None else None


def frozen_names():
    """Return the names of the modules frozen into the binary."""
    import _imp

    if hasattr(_imp, "_frozen_module_names"):
        return sorted(_imp._frozen_module_names())
    known = ("_frozen_importlib", "_frozen_importlib_external", "zipimport")
    return [name for name in known if _imp.is_frozen(name)]


def facts():
    """Return everything that the host wants to know, as JSON-able values."""
    path = list(sys.path)
    import _imp
    import os
    import site

    try:
        import sysconfig

        config = sysconfig.get_config_vars()
        library = sysconfig.get_path("stdlib")
    except ImportError:  # a tree that was cut down to an application
        free = "t" in getattr(sys, "abiflags", "")
        name = "python%d.%d%s" % (sys.version_info[0], sys.version_info[1], "t" if free else "")
        config = {"Py_GIL_DISABLED": free}
        library = os.path.join(sys.base_prefix, getattr(sys, "platlibdir", "lib"), name)
    external = sys.modules["_frozen_importlib_external"]
    version = sys.version_info
    return {
        "implementation": sys.implementation.name,
        "version": [version.major, version.minor, version.micro],
        "release": version.releaselevel,
        "serial": version.serial,
        "build": sys.version,
        "os_name": os.name,
        "platform": sys.platform,
        "machine": os.uname().machine
        if hasattr(os, "uname")
        else os.environ.get("PROCESSOR_ARCHITECTURE", ""),
        "bits": sys.maxsize.bit_length() + 1,
        "abiflags": getattr(sys, "abiflags", ""),
        "free_threaded": bool(config.get("Py_GIL_DISABLED")),
        "debug": hasattr(sys, "gettotalrefcount"),
        "cache_tag": sys.implementation.cache_tag,
        "magic": external.MAGIC_NUMBER.hex(),
        "executable": os.path.realpath(sys.executable) if sys.executable else "",
        "prefix": sys.base_prefix,
        "exec_prefix": sys.base_exec_prefix,
        "platlibdir": getattr(sys, "platlibdir", "lib"),
        "search_path": path,
        "library": library,
        "site_folders": site.getsitepackages([sys.base_prefix]),
        "extension_suffixes": _imp.extension_suffixes(),
        "builtin_modules": sorted(sys.builtin_module_names),
        "frozen_modules": frozen_names(),
        "libpython": mapped_libpython(),
        "zlib": zlib_origin(),
        "multiarch": config.get("MULTIARCH") or getattr(sys.implementation, "_multiarch", ""),
        "framework": config.get("PYTHONFRAMEWORK") or "",
        "externally_managed": os.path.exists(os.path.join(library, "EXTERNALLY-MANAGED")),
    }


def to_json(value):
    """Write *value* (None, bool, int, str, list, dict) as ASCII JSON; the module json takes half this run."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return "%d" % value
    if isinstance(value, dict):
        return "{%s}" % ", ".join(["%s: %s" % (to_json(key), to_json(value[key])) for key in value])
    if isinstance(value, list):
        return "[%s]" % ", ".join([to_json(item) for item in value])
    return '"%s"' % "".join([to_json_character(character) for character in value])


def to_json_character(character):
    """Escape one character; lone surrogates (undecodable bytes of a path) survive the way."""
    code = ord(character)
    if 0x20 <= code < 0x7F and character not in '"\\':
        return character
    if code < 0x10000:
        return "\\u%04x" % code
    code -= 0x10000
    return "\\u%04x\\u%04x" % (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))


def main(answer_file):
    """Write the answer and return the exit status."""
    answer = {"worker": WORKER, "schema": SCHEMA}
    name = unsupported()
    if name:
        answer["unsupported"] = name
    else:
        answer.update(facts())
    with open(answer_file, "w") as stream:
        stream.write(to_json(answer))
    return UNSUPPORTED_STATUS if name else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2]))
