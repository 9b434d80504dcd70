#!/bin/sh
# What compilers have to know of the Python beside this: python3-config, which zipstrap installed.
me=0
"exec" "sh" "-c" 'me=$(readlink -f -- "$0") && exec "${me%-config}" -I "$me" "$@"' "$0" "$@"  # fmt: skip

import os
import sys
import sysconfig

OPTIONS = (
    "prefix exec-prefix includes libs cflags ldflags extension-suffix help abiflags configdir embed".split()
)


def usage(stream, status):
    """Say what there is, and end."""
    name = os.path.basename(sys.argv[0])
    stream.write("Usage: %s %s\n" % (name, "|".join("--" + option for option in OPTIONS)))
    sys.exit(status)


def variables(*names):
    """Return what the interpreter was built with, as far as it is not empty.

    Paths of the prefix that it was built for become those of this one, but for the system's own.
    """
    name = sysconfig._get_sysconfigdata_name()
    built = __import__(name).build_time_vars.get("prefix", "").rstrip("/")
    values = (sysconfig.get_config_var(name) for name in names)
    words = [value for value in values if isinstance(value, str) and value]
    if built not in ("", "/usr"):
        words = [word.replace(built + "/", sys.base_prefix + "/") for word in words]
    return words


def includes():
    """Return the options for the folders of the headers."""
    folders = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    if not os.path.exists(os.path.join(folders[0], "Python.h")):
        sys.exit(
            "%s: there is no Python.h in %s: install again with the component dev (zipstrap install "
            "--include dev), of an interpreter that has its headers" % (sys.argv[0], folders[0])
        )
    return ["-I" + folder for folder in dict.fromkeys(folders)]


def config_folder():
    """Return the folder with the Makefile, where it is here and not where it was built."""
    name = os.path.basename(sysconfig.get_config_var("LIBPL") or "")
    return os.path.join(sysconfig.get_path("stdlib"), name)


def libraries(embed):
    """Return the libraries to link with; an extension module needs libpython on no Linux."""
    own = "-lpython%d.%d%s" % (*sys.version_info[:2], sys.abiflags)
    return ([own] if embed else []) + variables("LIBS", "SYSLIBS")


def library_folders():
    """Return the options for where libpython is."""
    library = os.path.join(sys.base_prefix, getattr(sys, "platlibdir", "lib"))
    static = [] if sysconfig.get_config_var("Py_ENABLE_SHARED") else ["-L" + config_folder()]
    return [*static, "-L" + library]


def main():
    """Print what is asked for, one line for each option."""
    asked = sys.argv[1:]
    if not asked or any(option not in ["--" + each for each in OPTIONS] for option in asked):
        usage(sys.stderr, 1)
    if "--help" in asked:
        usage(sys.stdout, 0)
    embed = "--embed" in asked
    answers = {
        "--prefix": lambda: [sys.base_prefix],
        "--exec-prefix": lambda: [sys.base_exec_prefix],
        "--includes": includes,
        "--cflags": lambda: includes() + variables("BASECFLAGS", "CFLAGS"),
        "--libs": lambda: libraries(embed),
        "--ldflags": lambda: library_folders() + libraries(embed),
        "--extension-suffix": lambda: variables("EXT_SUFFIX"),
        "--abiflags": lambda: [sys.abiflags],
        "--configdir": lambda: [config_folder()],
    }
    for option in asked:
        if option != "--embed":
            print(" ".join(answers[option]()))


if __name__ == "__main__":
    main()
