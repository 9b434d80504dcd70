"""Tell which versions of other people's libraries this interpreter's modules say they have.

Protocol: argv is JOB_FILE ANSWER_FILE. The job has nothing in it. The answer is JSON with "worker", "schema",
"versions" (name of the part: version) and "builtin" (names of modules inside the interpreter).
"""

import sys

WORKER = "parts_worker"
SCHEMA = 1

if sys.version_info < (3, 8):
    sys.exit(64)


def expat():
    import pyexpat

    return "%d.%d.%d" % pyexpat.version_info


def mpdecimal():
    import _decimal

    return _decimal.__libmpdec_version__


def zlib():
    from zlib import ZLIB_RUNTIME_VERSION

    return ZLIB_RUNTIME_VERSION


def sqlite():
    import _sqlite3

    return _sqlite3.sqlite_version


def openssl():
    import _ssl

    return _ssl.OPENSSL_VERSION.split()[1]


def zstd():
    # from 3.14 on
    return __import__("_zstd").zstd_version


def ncurses():
    import _curses

    return "%d.%d.%d" % tuple(_curses.ncurses_version)


PARTS = (expat, mpdecimal, zlib, sqlite, openssl, zstd, ncurses)


def main(answer_file):
    """Write the answer."""
    import json

    versions = {}
    for part in PARTS:
        try:
            versions[part.__name__] = part()
        except Exception:
            # the module is not there, or does not tell
            continue
    answer = {
        "worker": WORKER,
        "schema": SCHEMA,
        "versions": versions,
        "builtin": sorted(sys.builtin_module_names),
    }
    with open(answer_file, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)


if __name__ == "__main__":
    main(sys.argv[2])
