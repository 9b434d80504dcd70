"""Small programs that look at the library from outside: what they print must not depend on the layout.

Each is run in a folder of its own by a tree of the layout ``fast`` and by one of the layout ``directory``;
``test_importer`` compares what they print and how they end.
"""

# ruff: noqa: E501 - the programs are data

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KNOWN", "PROBES", "STORM", "Probe"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A program and how it is run.

    *code* is written to ``probe.py``; *command* are the arguments of the interpreter, in which ``{tree}``,
    ``{library}`` and ``{python}`` stand for the paths of the tree. *files* are put beside ``probe.py``.
    *sort* compares the lines without their order, for what several threads or processes print.
    """

    name: str
    code: str = ""
    command: tuple[str, ...] = ("probe.py",)
    stdin: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    since: tuple[int, int] = (3, 8)
    until: tuple[int, int] = (3, 99)
    sort: bool = False


ALWAYS, EVER = (3, 8), (3, 99)

#: Modules of every kind: on top, in packages, packages, frozen in some version, with data, with extensions.
MODULES = [
    "json",
    "json.decoder",
    "json.tool",
    "email",
    "email.mime.text",
    "collections",
    "collections.abc",
    "encodings",
    "encodings.utf_8",
    "os",
    "posixpath",
    "abc",
    "codecs",
    "io",
    "site",
    "stat",
    "genericpath",
    "_collections_abc",
    "_sitebuiltins",
    "importlib",
    "importlib.util",
    "importlib.machinery",
    "importlib.abc",
    "runpy",
    "zipimport",
    "linecache",
    "tokenize",
    "pkgutil",
    "inspect",
    "ctypes",
    "sqlite3",
    "multiprocessing",
    "multiprocessing.pool",
    "concurrent.futures",
    "xml.etree.ElementTree",
    "logging",
    "logging.handlers",
    "unittest",
    "unittest.mock",
    "threading",
    "traceback",
    "warnings",
    "re",
    "decimal",
    "datetime",
    "typing",
    "__future__",
    "this_is_not",
    "math",
    "_json",
    "array",
    "pydoc",
    "pydoc_data.topics",
    "venv",
    "ensurepip",
    "urllib",
    "urllib.request",
    "sysconfig",
    "__hello__",
    "__phello__",
    "__phello__.spam",
    "sys",
    "builtins",
    "zlib",
    "_ctypes",
]

LIBRARY_CALLS = """\
import json, os, sys
def in_json():
    json.loads('{"a": }')
def in_decoder():
    import decimal
    return json.dumps(object())
def in_os():
    os.makedirs("made/twice"); os.makedirs("made/twice")
def in_codecs():
    import codecs
    codecs.lookup("no-such-codec")
def in_configparser():
    import configparser
    configparser.ConfigParser().read_string("[a]\\nb = 1\\n[a]\\n")
def in_subprocess():
    import subprocess
    subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)
def in_ast():
    import ast
    ast.literal_eval("f(x)")
def in_abc():
    import collections.abc
    class A(collections.abc.Mapping): pass
    A()
def in_import():
    import json.no_such
def in_runpy():
    import runpy
    runpy.run_module("no_such_module")
def in_cause():
    try:
        in_json()
    except ValueError as error:
        raise LookupError("caused") from error
def in_context():
    try:
        in_os()
    except OSError:
        in_decoder()
CALLS = [in_json, in_decoder, in_os, in_codecs, in_configparser, in_subprocess, in_ast, in_abc, in_import,
         in_runpy, in_cause, in_context]
"""

ATTRIBUTES = (
    """\
import importlib
for name in """
    + repr(MODULES)
    + """:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        print(name, type(error).__name__, error)
        continue
    print(module)
    for each in "__name__", "__file__", "__path__", "__cached__", "__package__":
        print("   ", each, getattr(module, each, "-"))
    for each in "name origin cached parent has_location submodule_search_locations loader_state".split():
        print("    spec", each, getattr(module.__spec__, each, "-"))
"""
)

#: In each of these the interpreter ends by an exception that it prints itself.
_UNCAUGHT = {
    "json": "in_json()",
    "os": "in_os()",
    "cause": "in_cause()",
    "context": "in_context()",
    "codecs": "in_codecs()",
    "configparser": "in_configparser()",
    "subprocess": "in_subprocess()",
    "import": "in_import()",
    "runpy": "in_runpy()",
    "lines-limited": "sys.tracebacklimit = 2; in_json()",
    "no-lines": "sys.tracebacklimit = 0; in_json()",
    "nested": "try:\n    in_json()\nexcept ValueError:\n    1 / 0",
    "exit": "sys.exit('the end')",
    "own-hook": (
        "sys.excepthook = lambda *what: (print('own'), sys.__excepthook__(*what))\n"
        "print(sys.excepthook is sys.__excepthook__)\nin_json()"
    ),
    "hook-by-hand": (
        "print(sys.excepthook is sys.__excepthook__, callable(sys.excepthook), sys.excepthook.__name__)\n"
        "try:\n    in_os()\nexcept OSError:\n    sys.excepthook(*sys.exc_info())\n"
        "import io\nsys.stderr, real = io.StringIO(), sys.stderr\n"
        "try:\n    in_json()\nexcept ValueError:\n    sys.excepthook(*sys.exc_info())\n"
        "print(sys.stderr.getvalue())\nsys.stderr = None\nin_json()"
    ),
    "recursion": (
        "import copy\nclass A:\n    def __deepcopy__(self, memo):\n        return copy.deepcopy(self, memo)\n"
        "sys.setrecursionlimit(80)\ncopy.deepcopy(A())"
    ),
    "own-code-only": "def f():\n    return 1 / 0\nf()",
    "syntax": "compile('a = (', 'given', 'exec')",
    "literal": "in_ast()",
    "thread": (
        "import threading\nt = threading.Thread(target=in_json, name='one'); t.start(); t.join()\n"
        "def f():\n    1 / 0\nt = threading.Thread(target=f, name='two'); t.start(); t.join()\n"
        "import queue\nt = threading.Thread(target=queue.Queue().get, args=(True, -1), name='three')\n"
        "t.start(); t.join()"
    ),
    "low-thread": (
        "import _thread, time\nlock = _thread.allocate_lock(); lock.acquire()\n"
        "def f():\n    try:\n        in_json()\n    finally:\n        lock.release()\n"
        "_thread.start_new_thread(f, ()); lock.acquire()\ntime.sleep(0.05)"
    ),
    "unraisable": (
        "class A:\n    def __del__(self):\n        in_json()\nA()\n"
        "print(sys.unraisablehook is sys.__unraisablehook__)\n"
        "import weakref\nb = A.__new__(type('B', (), {}))\n"
        "w = weakref.ref(b, lambda ref: in_ast()); del b"
    ),
    "atexit": "import atexit\natexit.register(in_json)",
    "generator": (
        "def g():\n    try:\n        yield\n    finally:\n        in_json()\nx = g(); next(x); del x"
    ),
    "at-end": "class A:\n    def __del__(self):\n        in_json()\nsys.kept = A()",
}

_INSPECTED = (
    "import abc, ast, codecs, collections, dataclasses, inspect, io, json, json.decoder, linecache, ntpath, os\n"
    "import posixpath, site, stat, textwrap, importlib, importlib.util, importlib.machinery, runpy, zipimport\n"
    "import _collections_abc, _sitebuiltins, encodings, encodings.utf_8, genericpath, tokenize, pydoc\n"
    "import collections.abc, email.message, sys, math, zlib, _json, _frozen_importlib\n"
    "import _frozen_importlib_external, importlib._bootstrap, importlib._bootstrap_external, traceback\n"
    "class Own:\n    def method(self):\n        return 1\n"
    "THINGS = [json, json.loads, json.decoder, json.decoder.JSONDecoder, json.JSONDecoder.decode, os, os.walk,\n"
    "    os.environ.__class__, abc, abc.ABC, abc.abstractmethod, codecs, codecs.Codec, codecs.open,\n"
    "    _collections_abc, collections.abc, collections.abc.Mapping, collections.abc.Mapping.get, io, io.IOBase,\n"
    "    site, site.main, stat, posixpath, posixpath.join, ntpath, genericpath.exists, textwrap, importlib,\n"
    "    importlib.import_module, importlib.util.find_spec, importlib.machinery, importlib.machinery.ModuleSpec,\n"
    "    runpy.run_module, zipimport, zipimport.zipimporter, encodings, encodings.search_function,\n"
    "    encodings.utf_8, encodings.utf_8.decode, tokenize, tokenize.open, linecache, linecache.getline,\n"
    "    linecache.updatecache, dataclasses.dataclass, collections.OrderedDict, collections.namedtuple,\n"
    "    email.message, email.message.Message.as_string, sys, math, math.sin, zlib, _json, pydoc, pydoc.render_doc,\n"
    "    Own, Own.method, Own().method, importlib._bootstrap._find_spec, importlib._bootstrap_external,\n"
    "    importlib._bootstrap_external.PathFinder, traceback.TracebackException, _sitebuiltins.Quitter, quit, len,\n"
    "    1, ast.NodeVisitor.visit, inspect.getsource]\n"
)

#: What the import system does is left out: it is another importer.
_TRACED = """\
import subprocess, sys
for line in subprocess.run([sys.executable, "-m", "trace", *%r, "p.py"], stdout=-1, stderr=-2).stdout.decode().splitlines():
    if not any(word in line for word in ("importlib", "zipimport", "_bootstrap")):
        print(line)
"""
_TRACES = {
    "trace": ["--trace"],
    "count": ["--count", "-C", "counts", "--missing", "--summary"],
    "ignored": ["--trace", "--ignore-dir={library}"],
    "listfuncs": ["-l"],
    "callers": ["--trackcalls"],
}

PROBES: tuple[Probe, ...] = (
    # what modules say of themselves
    Probe("attributes", ATTRIBUTES),
    Probe("attributes-optimized", ATTRIBUTES, ("-O", "probe.py")),
    Probe("attributes-unfrozen", ATTRIBUTES, ("-X", "frozen_modules=off", "probe.py")),
    Probe("attributes-prefix", ATTRIBUTES, env={"PYTHONPYCACHEPREFIX": "/nowhere/caches"}),
    Probe("attributes-bare", ATTRIBUTES, ("-S", "-E", "probe.py")),
    Probe(
        "sys",
        """\
import sys, sysconfig, site, os
print(sys.path, sys.meta_path, sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
print(sys.executable, sys.flags, sorted(sysconfig.get_paths().items()), site.getsitepackages())
print(sys.argv, sys.orig_argv if hasattr(sys, "orig_argv") else "", sys.platlibdir if sys.version_info > (3, 9) else "")
print(getattr(sys, "_stdlib_dir", ""), getattr(sys, "_framework", ""), os.path.dirname(os.__file__))
print(sys.builtin_module_names)
""",
    ),
    Probe("version", command=("-VV",)),
    Probe("site", command=("-m", "site")),
    Probe("sysconfig", command=("-m", "sysconfig")),
    Probe(
        "import-all",
        """\
import importlib, os, sys, warnings
warnings.simplefilter("ignore")
names = open("modules.txt").read().split()
for name in names:
    try:
        module = importlib.import_module(name)
    except BaseException as error:
        print(name, type(error).__name__, error)
    else:
        spec = module.__spec__
        cached = getattr(module, "__cached__", "-")
        print(name, module, cached, getattr(module, "__path__", "-"), spec and spec.origin, spec and spec.cached)
sys.stdout.flush()
os._exit(0)
""",
    ),
    Probe(
        "new-modules-of-imports",
        """\
import sys
for name in ["json", "asyncio", "unittest", "email.message", "concurrent.futures", "http.server", "sqlite3"]:
    before = set(sys.modules)
    __import__(name)
    print(name, sorted(set(sys.modules) - before))
""",
    ),
    Probe("modules-at-start", "import sys; print(sorted(sys.modules))"),
    Probe("modules-at-bare-start", "import sys; print(sorted(sys.modules))", ("-I", "-S", "probe.py")),
    # tracebacks
    *(
        Probe(f"uncaught-{name}", f"{LIBRARY_CALLS}{code}\n", files={"helper.txt": ""})
        for name, code in _UNCAUGHT.items()
    ),
    Probe(
        "uncaught-group",
        LIBRARY_CALLS
        + "errors = []\nfor call in CALLS[:4]:\n    try:\n        call()\n    except Exception as error:\n"
        "        errors.append(error)\nraise ExceptionGroup('several', errors)\n",
        since=(3, 11),
    ),
    Probe("uncaught-in-m", command=("-m", "json.tool", "no_such_file.json")),
    Probe("uncaught-in-c", command=("-c", "import json; json.loads('{')")),
    Probe("uncaught-optimized", LIBRARY_CALLS + "in_cause()", ("-OO", "probe.py")),
    Probe("uncaught-dev", LIBRARY_CALLS + "in_cause()", ("-X", "dev", "probe.py")),
    Probe("uncaught-unfrozen", LIBRARY_CALLS + "in_os()", ("-X", "frozen_modules=off", "probe.py")),
    Probe("uncaught-isolated", LIBRARY_CALLS + "in_cause()", ("-I", "-S", "probe.py")),
    Probe(
        "uncaught-interactive", command=("-i", "-c", "import json"), stdin="json.loads('{')\n1/0\nexit()\n"
    ),
    Probe(
        "interactive",
        command=("-i",),
        stdin="import json\njson.loads('[')\nimport os; os.mkdir('/')\nhelp\nlicense\n",
    ),
    Probe("syntax-error", "a = (\n"),
    Probe("syntax-error-imported", "import broken\n", files={"broken.py": "def f(:\n    pass\n"}),
    Probe(
        "format-exc",
        LIBRARY_CALLS
        + """\
import logging, traceback
logging.basicConfig(stream=sys.stdout, format="%(filename)s %(pathname)s %(funcName)s %(module)s %(message)s")
for call in CALLS:
    try:
        call()
    except Exception as error:
        print(traceback.format_exc())
        logging.exception("seen")
        for frame in traceback.extract_tb(error.__traceback__):
            print(frame.filename, frame.lineno, frame.name, frame.line)
        print(traceback.TracebackException.from_exception(error, capture_locals=False).format is not None)
        traceback.print_exc(limit=-1)
    traceback.print_stack(file=sys.stdout)
""",
    ),
    Probe(
        "stack-in-library",
        """\
import json, sys, traceback
class Reads(dict):
    def __getitem__(self, key):
        traceback.print_stack(file=sys.stdout)
import string, functools, re
string.Template("$a").substitute(Reads())
re.sub("a", lambda match: traceback.print_stack(file=sys.stdout) or "", "a")
import collections.abc
class Seq(collections.abc.Sequence):
    def __len__(self): return 1
    def __getitem__(self, at): traceback.print_stack(file=sys.stdout); raise IndexError
list(reversed(Seq()))
0 in Seq()
""",
    ),
    Probe(
        "warnings",
        """\
import warnings, json, sys
warnings.simplefilter("always")
warnings.showwarning("text", UserWarning, json.__file__, 50)
warnings.warn_explicit("text", UserWarning, json.__file__, 50)
import os
warnings.warn_explicit("text", UserWarning, os.__file__, 50)
warnings.warn_explicit("text", UserWarning, json.decoder.__file__, 50, module_globals=vars(json.decoder))
print(warnings.formatwarning("text", UserWarning, json.__file__, 52))
import collections.abc
def f(): warnings.warn("deep", stacklevel=3)
import functools
class S(collections.abc.Sequence):
    def __len__(self): return 1
    def __getitem__(self, at): warnings.warn("deep", stacklevel=2); raise IndexError
0 in S()
list(reversed(S()))
open("probe.py")
""",
    ),
    Probe(
        "warnings-error",
        "import collections.abc, imp, asyncore, cgi, telnetlib\n",
        ("-W", "error", "probe.py"),
    ),
    Probe(
        "warnings-once",
        "import imp, asyncore, cgi, telnetlib, nntplib, crypt, sre_compile\n",
        ("-W", "always", "probe.py"),
    ),
    Probe("bytes-warnings", "import json, email.message, os\nprint(b'' == '')\n", ("-bb", "probe.py")),
    Probe(
        "dev-mode",
        "import json, asyncio, subprocess, sqlite3, email.mime.text\nopen('probe.py')\n",
        ("-X", "dev", "probe.py"),
    ),
    Probe(
        "never-awaited",
        "import asyncio\nasync def f(): await asyncio.sleep(1)\nf()\n"
        "async def g():\n    asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
        "    await asyncio.wait_for(asyncio.sleep(9), 0.01)\n"
        "import logging, sys; logging.basicConfig(stream=sys.stdout)\nasyncio.run(g(), debug=False)\n",
    ),
    # sources
    Probe(
        "inspect",
        _INSPECTED
        + """\
for thing in THINGS:
    print("##", repr(thing).partition(" at 0x")[0])
    for ask in (inspect.getsourcefile, inspect.getfile, inspect.getmodule, inspect.getabsfile,
                inspect.getcomments, inspect.getdoc, inspect.getsourcelines, inspect.getsource):
        try:
            print(ask.__name__, ask(thing))
        except Exception as error:
            print(ask.__name__, type(error).__name__, error)
""",
    ),
    Probe(
        "inspect-without-globals",
        "import inspect, json, os, textwrap\nfor f in json.loads, os.walk, textwrap.wrap:\n"
        "    print(inspect.getsource(f.__code__), inspect.findsource(f.__code__)[1])\n"
        "    print(inspect.getmodule(f.__code__), inspect.getmodulename(f.__code__.co_filename))\n",
    ),
    *(
        Probe(f"inspect-m-{name}", command=("-m", "inspect", name))
        for name in ("json", "json.decoder:JSONDecoder", "os", "abc")
    ),
    Probe(
        "linecache",
        """\
import json, linecache, os, encodings, textwrap, tokenize, pickle, sys
for module in json, os, encodings, textwrap, linecache, tokenize, pickle, linecache:
    print([linecache.getline(module.__file__, at) for at in (1, 2, 10, 100, 10**6)])
    print(len(linecache.getlines(module.__file__)), linecache.getlines(module.__file__ + "c"))
for key in sorted(linecache.cache):
    size, _, lines, name = linecache.cache[key]
    print(key, size, len(lines), name)
linecache.checkcache()
print(sorted(linecache.cache))
linecache.checkcache(json.__file__)
print(json.__file__ in linecache.cache, linecache.getline(json.__file__, 3))
linecache.clearcache()
print(len(linecache.cache), linecache.getline(json.__file__, 3))
linecache.clearcache()
print(linecache.lazycache(json.__file__, vars(json)), linecache.lazycache(json.__file__, vars(json)))
linecache.checkcache()
print(linecache.getline(json.__file__, 3))
print(linecache.updatecache("no/such/file.py"), linecache.getline("<string>", 1), linecache.getline("", 1))
print(linecache.updatecache.__name__, linecache.updatecache.__module__, linecache.updatecache.__qualname__)
""",
    ),
    Probe(
        "linecache-relative",
        "import linecache\nprint(linecache.getline('json/__init__.py', 3), linecache.getline('textwrap.py', 2))\n",
    ),
    Probe(
        "tokenize",
        """\
import importlib, tokenize
for name in "json email.message os abc textwrap sqlite3 html.entities encodings.idna tokenize".split():
    with tokenize.open(importlib.import_module(name).__file__) as file:
        text = file.read()
        print(name, len(text), file.encoding, file.mode, file.name, file.line_buffering)
try:
    tokenize.open("no_such.py")
except OSError as error:
    print(error)
""",
    ),
    Probe(
        "open-by-path",
        """\
import importlib, io, pathlib, codecs
for name in "json email.message os abc textwrap html.entities tokenize".split():
    path = importlib.import_module(name).__file__
    for read in (lambda: open(path).read(), lambda: io.open(path, "rb").read(), lambda: pathlib.Path(path).read_text(),
                 lambda: codecs.open(path, encoding="utf-8").read(), lambda: pathlib.Path(path).exists()):
        try:
            print(name, len(read()))
        except Exception as error:
            print(name, error)
""",
    ),
    Probe(
        "pdb-uncaught",
        LIBRARY_CALLS + "in_json()\n",
        ("-m", "pdb", "-c", "continue", "probe.py"),
        stdin="where\nlist\nup\nlist\nlonglist\nargs\nq\n",
    ),
    Probe(
        "pdb-break-file",
        "import json\njson.loads('[1]')\n",
        ("-m", "pdb", "probe.py"),
        stdin="next\nbreak {library}/json/decoder.py:340\nbreak json/__init__.py:299\nbreak json/scanner.py:1000\n"
        "break textwrap.py:380\nbreak\ncontinue\nwhere\nlist\nlonglist\nstep\nstep\nlist\nreturn\nquit\n",
    ),
    Probe(
        "pdb-break-function",
        "import json, textwrap, os\njson.loads('[1]')\ntextwrap.wrap('a b c', 2)\nos.fspath('a')\n",
        ("-m", "pdb", "probe.py"),
        stdin="next\nbreak json.loads\nbreak textwrap.wrap\nbreak os.walk\nbreak json.no_such\nbreak\ncontinue\nwhere\n"
        "list\nsource json.loads\nsource os.walk\nlist 1, 20\ntbreak json.decoder:350\ncontinue\nwhere\nclear 1\ny\nquit\n",
    ),
    Probe(
        "pdb-step",
        "import textwrap\ntextwrap.wrap('a b', 1)\n",
        ("-m", "pdb", "probe.py"),
        stdin="next\nstep\nlist\nstep\nwhere\nnext\nnext\nstep\nlonglist\nup\nlist\nwhatis self\npp len(locals())\nquit\n",
    ),
    Probe(
        "pdb-post-mortem",
        LIBRARY_CALLS + "import pdb\ntry:\n    in_os()\nexcept OSError:\n    pdb.post_mortem()\n",
        stdin="where\nlist\nll\nup\nll\nquit\n",
    ),
    Probe(
        "pdb-module",
        command=("-m", "pdb", "-m", "json.tool", "--help"),
        stdin="list\nwhere\nstep\nlist\ncontinue\nquit\n",
        since=(3, 8),
    ),
    *(
        Probe(
            f"trace-{name}",
            _TRACED % (options,),
            files={"p.py": "import textwrap\ntextwrap.wrap('a b', 1)\n"},
        )
        for name, options in _TRACES.items()
    ),
    Probe(
        "trace-count-annotated",
        "import os, subprocess, sys\n"
        "open('p.py', 'w').write('import textwrap, json\\njson.loads(\"[1]\")\\ntextwrap.wrap(\"a b\", 1)\\n')\n"
        "subprocess.run([sys.executable, '-m', 'trace', '--count', '-C', 'counts', '--missing', 'p.py'])\n"
        "for name in sorted(os.listdir('counts')):\n"
        "    if name.startswith(('textwrap', 'json', 'p.')):\n"
        "        print(name, open('counts/' + name).read())\n"
        "print(sorted(os.listdir('counts')))\n",
    ),
    Probe(
        "profile",
        """\
import cProfile, profile, pstats, json, io, textwrap, collections.abc
for kind in cProfile, profile:
    p = kind.Profile()
    p.runcall(textwrap.wrap, "a b c", 2)
    p.runcall(json.loads, "[1]")
    p.create_stats()
    print(sorted(key for key in p.stats))
    out = io.StringIO()
    stats = pstats.Stats(p, stream=out)
    print(sorted(stats.strip_dirs().stats))
""",
    ),
    Probe(
        "settrace",
        """\
import sys, textwrap, json, collections.abc, os
seen = set()
def tracer(frame, event, arg):
    seen.add((frame.f_code.co_filename, frame.f_code.co_name, frame.f_globals.get("__name__"), frame.f_globals.get("__file__")))
    return tracer
sys.settrace(tracer)
textwrap.wrap("a b", 1); json.dumps({"a": [1.5]}, indent=1); os.path.relpath("a", "b")
import bisect, colorsys, heapq, statistics
sys.settrace(None)
for each in sorted(seen, key=repr):
    if "importlib" not in repr(each): print(each)
""",
    ),
    Probe(
        "monitoring",
        """\
import sys, textwrap
m = sys.monitoring
m.use_tool_id(1, "t"); seen = set()
m.register_callback(1, m.events.PY_START, lambda code, at: seen.add((code.co_filename, code.co_qualname)))
m.set_events(1, m.events.PY_START)
textwrap.wrap("a b", 1)
import colorsys
m.set_events(1, 0)
print(sorted(each for each in seen if "importlib" not in each[0]))
""",
        since=(3, 12),
    ),
    Probe(
        "code-names",
        """\
import importlib, types
def names(code):
    yield code.co_name, code.co_filename, code.co_firstlineno
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from names(const)
for name in "json.decoder textwrap os abc codecs linecache tokenize pkgutil encodings encodings.utf_8 warnings".split():
    module = importlib.import_module(name)
    print(name, sorted(set(names(module.__loader__.get_code(name)))) if hasattr(module.__loader__, "archive") or hasattr(module.__loader__, "path") else "")
    print(sorted((k, v.__code__.co_filename, v.__code__.co_firstlineno, v.__module__, v.__qualname__)
                 for k, v in vars(module).items() if isinstance(v, types.FunctionType) and k != "_builtin_open"))
""",
    ),
    Probe(
        "dis-ast",
        """\
import dis, io, json.decoder, textwrap, ast, inspect, contextlib
out = io.StringIO()
with contextlib.redirect_stdout(out):
    dis.dis(textwrap.wrap); dis.show_code(json.decoder.JSONDecoder.decode)
print(out.getvalue())
print(ast.dump(ast.parse(inspect.getsource(textwrap)))[:3000])
print(dis.code_info(textwrap.TextWrapper._wrap_chunks))
""",
    ),
    Probe("doctest-module", command=("-m", "doctest", "{library}/bisect.py")),
    Probe(
        "doctest",
        """\
import doctest, collections, textwrap, heapq, json, random, difflib, enum, contextlib
for module in collections, textwrap, heapq, json, difflib, doctest:
    print(module.__name__, doctest.testmod(module))
for test in doctest.DocTestFinder().find(json):
    print(test.name, test.filename, test.lineno, len(test.examples))
print(doctest.DocTestFinder().find(difflib)[0].filename)
try:
    print(doctest.testfile("no_such.txt", package="json"))
except Exception as error:
    print(type(error).__name__, error)
""",
    ),
    # documentation
    *(
        Probe(f"pydoc-{name}", command=("-m", "pydoc", name))
        for name in (
            "json",
            "json.decoder",
            "os",
            "abc",
            "collections.abc",
            "encodings",
            "linecache",
            "tokenize",
            "pkgutil",
            "unittest",
            "xml",
            "xml.etree",
            "importlib",
            "sys",
            "threading",
            "concurrent",
            "email.mime",
            "math",
            "no.such",
        )
    ),
    Probe("pydoc-path", command=("-m", "pydoc", "{library}/textwrap.py")),
    Probe("pydoc-written", "", ("-m", "pydoc", "-w", "json", "textwrap", "os"), stdin=""),
    Probe(
        "pydoc-inside",
        """\
import os, pydoc, sys, warnings
warnings.simplefilter("ignore")
for name in "json", "textwrap", "os", "xml.etree", "abc":
    print(pydoc.html.document(pydoc.locate(name), name))
for name in "json/__init__.py", "textwrap.py", "os.py", "tokenize.py":
    path = os.path.join(os.path.dirname(os.__file__), name)
    try:
        print(pydoc.synopsis(path))
        print(pydoc.importfile(path))
    except Exception as error:
        print(type(error).__name__, error)
print(pydoc.locate("json.decoder.JSONDecoder"), pydoc.resolve("xml.dom.minidom"))
found = []
pydoc.ModuleScanner().run(lambda path, name, text: found.append((path, name, text)), key="text wrapping", onerror=lambda name: None)
print(found)
help("modules json")
""",
    ),
    # finding modules
    Probe(
        "iter-modules",
        """\
import pkgutil, sys, json, email, encodings, xml, importlib, os, asyncio, multiprocessing
print([(m.name, m.ispkg) for m in pkgutil.iter_modules()])
for package in json, email, encodings, xml, importlib, asyncio, multiprocessing:
    print([(m.name, m.ispkg) for m in pkgutil.iter_modules(package.__path__, package.__name__ + ".")])
    print([(m.name, m.ispkg) for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")])
print([(m.name, m.ispkg) for m in pkgutil.iter_modules(["."])])
print([(m.name, m.ispkg) for m in pkgutil.iter_modules([os.path.dirname(os.__file__)])])
print([m.name for m in pkgutil.walk_packages([os.path.dirname(os.__file__)], onerror=lambda name: None) if m.name.startswith(("x", "c"))])
""",
        files={"own.py": "", "pack/__init__.py": ""},
    ),
    Probe(
        "pkgutil",
        """\
import pkgutil, json, warnings, os
warnings.simplefilter("ignore")
for package, name in ("json", "__init__.py"), ("json", "decoder.py"), ("email", "architecture.rst"), ("json", "no"), ("lib2to3", "Grammar.txt"), ("pydoc_data", "_pydoc.css"), ("encodings", "../textwrap.py"):
    try:
        data = pkgutil.get_data(package, name)
        print(package, name, data and (len(data), data[:20]))
    except Exception as error:
        print(package, name, type(error).__name__, error)
for ask in "get_loader", "find_loader":
    for name in "json", "json.decoder", "os", "sys", "no_such", "json.no":
        if hasattr(pkgutil, ask):
            try:
                loader = getattr(pkgutil, ask)(name)
            except Exception as error:
                print(ask, name, type(error).__name__, error); continue
            print(ask, name, loader and name != "sys" and loader.get_filename(name) if hasattr(loader, "get_filename") else type(loader))
print(pkgutil.resolve_name("json:loads") if hasattr(pkgutil, "resolve_name") else "")
print(list(pkgutil.iter_importers("json.decoder"))[:0], pkgutil.extend_path(["a"], "json"))
for name in "json", "textwrap", "xml.dom":
    for importer in pkgutil.iter_importers(name):
        spec = importer.find_spec(name)
        if spec: print(name, spec.origin); break
""",
    ),
    Probe(
        "specs",
        """\
import importlib.util, importlib.machinery, sys
for name in "json json.decoder os abc email.mime no_such encodings.utf_8 sys _json math zlib linecache xml.etree.ElementTree textwrap idlelib".split():
    spec = importlib.util.find_spec(name)
    print(name, spec and (spec.name, spec.origin, spec.cached, spec.parent, spec.has_location, spec.submodule_search_locations))
    if spec and spec.has_location and not spec.origin.endswith(".so"):
        again = importlib.util.spec_from_loader(name, spec.loader)
        print(again.origin, again.cached, again.submodule_search_locations, again == spec)
        module = importlib.util.module_from_spec(spec)
        print(module, module.__file__, getattr(module, "__cached__", "-"), module.__package__, sorted(vars(module)))
        for ask in "get_filename is_package get_source get_code".split():
            if hasattr(spec.loader, ask):
                value = getattr(spec.loader, ask)(name)
                print(ask, value if not isinstance(value, str) else len(value))
    found = importlib.machinery.PathFinder.find_spec(name)
    print(found and (found.name, found.origin))
try:
    importlib.util.find_spec("json.decoder.x")
except Exception as error:
    print(type(error).__name__, error)
print(importlib.util.find_spec("json.no_such"), importlib.util.find_spec(".decoder", "json").origin)
for name in "json", "textwrap":
    loader = importlib.util.find_spec(name).loader
    for wrong in "no_such", "os.path.x":
        for ask in "get_filename", "get_source", "get_code", "is_package":
            try:
                print(ask, getattr(loader, ask)(wrong))
            except Exception as error:
                print(ask, isinstance(error, ImportError))
print(importlib.util.cache_from_source(importlib.util.find_spec("json").origin))
""",
    ),
    Probe(
        "lazy",
        """\
import importlib.util, sys, threading
for name in "textwrap", "json", "xml.dom", "email.message", "tokenize", "linecache", "pkgutil", "threading_local":
    spec = importlib.util.find_spec(name if name != "threading_local" else "_threading_local")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules.pop(name, None)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    print(type(module).__name__, module.__name__, module.__file__, type(module).__name__, len(dir(module)))
import linecache
print(linecache.getline(sys.modules["json"].__file__, 1))
""",
    ),
    Probe(
        "reload",
        """\
import importlib, json, json.decoder, linecache, encodings, encodings.utf_8, os, tokenize, pkgutil, abc, collections.abc, threading, textwrap, pdb, inspect, trace
for module in json, json.decoder, encodings, encodings.utf_8, os, tokenize, pkgutil, collections.abc, textwrap, pdb, trace:
    again = importlib.reload(module)
    print(again is module, again, again.__file__, again.__spec__.origin, getattr(again, "__cached__", "-"))
    print(linecache.getline(json.__file__, 2), tokenize.open(json.__file__).readline())
    print(len(list(pkgutil.iter_modules(json.__path__))), inspect.getsource(again)[:50])
importlib.reload(threading)
def f():
    json.loads("{")
t = threading.Thread(target=f, name="t"); t.start(); t.join()
""",
    ),
    Probe(
        "reload-linecache",
        "import importlib, linecache, json, os\nimportlib.reload(linecache)\n"
        "print([linecache.getline(m.__file__, 2, vars(m)) for m in (json, os)], linecache.updatecache.__module__)\n",
    ),
    Probe(
        "reimport",
        """\
import json, json.decoder, linecache, sys, importlib, os, textwrap, email.message
for name in "json", "json.decoder", "linecache", "email", "textwrap", "encodings.utf_8", "tokenize", "pkgutil", "encodings":
    sys.modules.pop(name, None)
    module = importlib.import_module(name)
    print(module, module.__spec__.origin)
print(linecache.getline(json.__file__, 2))
for name in [name for name in sys.modules if name.startswith(("json", "email", "linecache"))]:
    del sys.modules[name]
import json, email.mime.text, linecache
print(json.decoder, linecache.getline(json.__file__, 2))
sys.path_importer_cache.clear()
import html.parser, xml.etree.ElementTree
print(html.parser, xml.etree.ElementTree)
sys.path_importer_cache.clear(); importlib.invalidate_caches(); sys.modules.pop("email.mime")
import email.mime.audio, urllib.request, wsgiref.util
print(email.mime.audio, urllib.request, wsgiref.util.__cached__)
try:
    sys.path_importer_cache.clear()
    import html.no_such
except ImportError as error:
    print(error, error.name, error.path)
try:
    from html import no_such
except ImportError as error:
    print(error, error.name, error.path)
""",
    ),
    Probe(
        "hooks-deleted",
        """\
import sys, importlib
del sys.path_hooks[0]
import json, email.mime.text, html.entities
print(json, email.mime.text.__file__)
importlib.invalidate_caches()
import xml.dom.minidom
print(xml.dom.minidom)
""",
        until=(3, 99),
    ),
    Probe(
        "broken-names",
        """\
for name in "json.no_such", "no_such", "json.decoder.more", "textwrap.x", "os.path.x", "", ".", "json..decoder", "json/decoder", "JSON", "site-packages", "lib-dynload", "LICENSE", "xml.etree.no", "sitecustomize.x", "json\\0":
    try:
        __import__(name)
    except Exception as error:
        print(repr(name), type(error).__name__, error, getattr(error, "name", ""), getattr(error, "path", ""))
try:
    from json import nothing
except ImportError as error:
    print(error, error.name, error.path)
""",
    ),
    Probe(
        "resources",
        """\
import importlib.resources as r, warnings, sys
warnings.simplefilter("ignore")
packages = ["json", "email", "lib2to3", "pydoc_data", "ensurepip", "venv", "encodings", "xml", "idlelib", "importlib", "email.mime"]
def show(what, *given):
    try:
        value = what(*given)
    except Exception as error:
        return "%s %s" % (type(error).__name__, error)
    return value
for package in packages:
    try:
        __import__(package)
    except ImportError as error:
        print(package, error); continue
    if hasattr(r, "contents"):
        print(package, sorted(show(lambda: [x for x in r.contents(package) if x != "__pycache__"])))
    for name in "__init__.py", "architecture.rst", "Grammar.txt", "_pydoc.css", "no_such", "decoder.py", "mime", "Icons":
        if hasattr(r, "is_resource"):
            print(name, show(r.is_resource, package, name))
        if hasattr(r, "read_text"):
            print(name, show(lambda: len(r.read_text(package, name))), show(lambda: len(r.read_binary(package, name))))
            def path():
                with r.path(package, name) as p:
                    return p.exists() and p.is_file() and len(p.read_bytes())
            if name != "no_such" and r.is_resource(package, name):
                print(show(path))
    if hasattr(r, "files"):
        top = r.files(package)
        print(package, top.name, top.is_dir(), top.is_file(), sorted(show(lambda: [x.name for x in top.iterdir() if x.name != "__pycache__"])))
        for name in "__init__.py", "architecture.rst", "Grammar.txt", "_pydoc.css", "no_such", "mime":
            child = top.joinpath(name)
            print(name, child.name, child.is_file(), child.is_dir(), show(lambda: len(child.read_bytes())), show(lambda: len(child.read_text(encoding="utf-8"))))
            def path():
                with r.as_file(child) as p:
                    return p.is_file() and len(p.read_bytes())
            if child.is_file():
                print(show(path))
        print(top / "__init__.py", show(lambda: (top / "__init__.py").open().readline()))
""",
    ),
    Probe(
        "resources-anchorless",
        "import importlib.resources as r, sys\nsys.path.insert(0, '.')\nimport pack.inner\nprint(pack.inner.found)\n",
        files={
            "pack/__init__.py": "",
            "pack/data.txt": "data",
            "pack/inner.py": "import importlib.resources as r\nfound = (r.files() / 'data.txt').read_text()\n",
        },
        since=(3, 12),
    ),
    Probe(
        "metadata",
        """\
import importlib.metadata as m, sys
print(sorted(d.metadata["Name"] for d in m.distributions()))
print(m.version("own"), m.entry_points().select(group="g") if hasattr(m.entry_points(), "select") else m.entry_points()["g"], [str(f) for f in m.files("own")])
try:
    m.version("no-such")
except m.PackageNotFoundError as error:
    print(error)
print(m.packages_distributions() if hasattr(m, "packages_distributions") else "")
""",
        files={
            "own-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: own\nVersion: 1.0\n",
            "own-1.0.dist-info/RECORD": "own.py,,\n",
            "own-1.0.dist-info/entry_points.txt": "[g]\na = own:b\n",
            "own-1.0.dist-info/top_level.txt": "own\n",
            "own.py": "",
        },
    ),
    # programs of the library
    Probe("m-json", command=("-m", "json.tool"), stdin='{"a": [1, 2]}'),
    Probe("m-json-error", command=("-m", "json.tool"), stdin='{"a": }'),
    Probe("m-this", command=("-m", "this")),
    Probe("m-timeit", command=("-m", "timeit", "-n", "1", "-r", "1", "-s", "import json", "json.no_such")),
    Probe("m-package", command=("-m", "json")),
    Probe("m-no-main", command=("-m", "xml")),
    Probe("m-no-such", command=("-m", "json.no_such")),
    Probe("m-calendar", command=("-m", "calendar", "2000", "1")),
    Probe("m-argparse", command=("-m", "http.server", "--help")),
    Probe("m-usage", command=("-m", "base64", "--no-such")),
    Probe("m-random", command=("-m", "zipfile", "--help")),
    Probe("m-dis", "a = 1\n", ("-m", "dis", "probe.py")),
    Probe("m-ast", "a = 1\n", ("-m", "ast", "probe.py"), since=(3, 9)),
    Probe("m-tokenize", "a = 1\n", ("-m", "tokenize", "probe.py")),
    Probe("m-symtable-pickle", command=("-m", "pickletools", "--help")),
    Probe("m-tabnanny", "if 1:\n\ta = 1\n        b = 1\n", ("-m", "tabnanny", "-v", "probe.py")),
    Probe("m-tabnanny-library", command=("-m", "tabnanny", "-v", "{library}/textwrap.py")),
    Probe("m-pyclbr", command=("-m", "pyclbr", "probe.py"), code="class A:\n    def f(self): pass\n"),
    Probe("m-py-compile", "a = 1\n", ("-m", "py_compile", "probe.py", "no_such.py")),
    Probe("m-compileall", command=("-m", "compileall", "."), files={"pack/a.py": "", "pack/b.py": "a ="}),
    Probe(
        "m-zipapp",
        command=(
            "-c",
            "import runpy, sys; sys.argv = ['zipapp', 'app', '-o', 'app.pyz']; runpy.run_module('zipapp', run_name='__main__', alter_sys=True)",
        ),
        files={"app/__main__.py": ""},
    ),
    Probe(
        "m-zipapp-run",
        "import zipapp, subprocess, sys\nzipapp.create_archive('app', 'app.pyz')\nsys.exit(subprocess.call([sys.executable, 'app.pyz']))\n",
        files={
            "app/__main__.py": "import json, sys, m\nprint(sys.path[0][-8:])\nm.f()\n",
            "app/m.py": "def f():\n    import json\n    json.loads('{')\n",
        },
    ),
    Probe(
        "m-unittest",
        command=("-m", "unittest", "discover"),
        files={
            "test_a.py": "import json, unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(json.loads('[1]'), [2])\n    def test_b(self): json.loads('{')\n    @unittest.expectedFailure\n    def test_c(self): self.fail()\n"
        },
    ),
    Probe(
        "runpy",
        """\
import runpy, sys
for name in "this", "json", "textwrap", "no_such", "json.decoder", "keyword", "encodings.rot_13":
    try:
        space = runpy.run_module(name)
    except Exception as error:
        print(name, type(error).__name__, error)
    else:
        print(name, space["__file__"], space["__name__"], space["__cached__"] if "__cached__" in space else "-", space["__package__"])
sys.argv[1:] = []
runpy.run_module("calendar", run_name="not_main", alter_sys=True)
print(sys.argv)
""",
    ),
    Probe(
        "modulefinder",
        """\
import modulefinder, sys
finder = modulefinder.ModuleFinder()
finder.run_script("script.py")
for name, module in sorted(finder.modules.items()):
    print(name, module.__file__, module.__path__)
print(sorted(finder.badmodules), finder.any_missing())
finder.report()
""",
        files={"script.py": "import keyword, encodings.aliases, wsgiref\n"},
    ),
    Probe(
        "pyclbr",
        """\
import pyclbr
for name in "textwrap", "json.decoder", "json", "os", "abc", "queue", "no_such":
    try:
        found = pyclbr.readmodule_ex(name)
    except Exception as error:
        print(name, type(error).__name__, error)
        continue
    for key, value in sorted(found.items()):
        print(name, key, getattr(value, "file", value), getattr(value, "lineno", ""), getattr(value, "name", ""))
""",
    ),
    Probe(
        "modules-by-path",
        """\
import os, py_compile, compileall, tabnanny, zipfile, textwrap, json, trace, importlib.util, imp_or_not, symtable, shutil, filecmp
def show(what, *given):
    try:
        print(what(*given))
    except Exception as error:
        print(type(error).__name__, error)
show(py_compile.compile, textwrap.__file__, "x.pyc")
show(lambda: (os.path.exists("x.pyc"), tabnanny.check(textwrap.__file__)))
def pack():
    with zipfile.PyZipFile("p.zip", "w") as z:
        z.writepy(textwrap.__file__); z.writepy(os.path.dirname(json.__file__))
        return z.namelist()
show(pack)
def spec():
    s = importlib.util.spec_from_file_location("tw", textwrap.__file__)
    m = importlib.util.module_from_spec(s); s.loader.exec_module(m)
    return m, m.wrap.__module__
show(spec)
show(shutil.copy, textwrap.__file__, "copied.py")
show(lambda: compileall.compile_file(textwrap.__file__, quiet=1))  # whether it was compiled before differs
show(lambda: sorted(trace._find_executable_linenos(textwrap.__file__))[:9] if hasattr(trace, "_find_executable_linenos") else "")
show(lambda: (os.path.isfile(textwrap.__file__), os.path.isdir(os.path.dirname(json.__file__)), os.path.exists(json.__path__[0])))
""",
        files={"imp_or_not.py": ""},
    ),
    Probe(
        "imp",
        """\
import warnings
warnings.simplefilter("ignore")
import imp
for name, path in ("json", None), ("decoder", __import__("json").__path__), ("textwrap", None), ("no_such", None), ("sys", None):
    try:
        file, where, kind = imp.find_module(name, path)
        print(where, kind, file and file.readline())
        if file:
            print(imp.load_module("loaded_" + name, file, where, kind))
    except Exception as error:
        print(type(error).__name__, error)
""",
        until=(3, 11),
    ),
    Probe(
        "venv",
        """\
import os, subprocess, sys
subprocess.run([sys.executable, "-m", "venv", "--without-pip", "env"], check=True)
for folder, folders, files in sorted(os.walk("env", followlinks=False)):
    print(folder, sorted(folders), sorted(files))
print(open("env/pyvenv.cfg").read())
python = os.path.abspath("env/bin/python")
code = "import sys, json, encodings, os; print(sys.prefix, sys.base_prefix, sys.path, json.__file__, encodings.__file__, os.__file__); json.loads('{')"
sys.stdout.flush()
subprocess.call([python, "-c", code], stderr=subprocess.STDOUT)
subprocess.call([python, "-m", "sysconfig"], stderr=subprocess.STDOUT)
""",
    ),
    Probe(
        "venv-copies",
        """\
import os, subprocess, sys
subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--copies", "env"], check=True)
python = os.path.abspath("env/bin/python")
os.chdir("/")
code = "import sys, json, encodings, os; print(sys.prefix, sys.base_prefix, sys.path, json.__file__, encodings.__file__, os.__file__); json.loads('{')"
subprocess.call([python, "-c", code], stderr=subprocess.STDOUT)
""",
    ),
    # pip's own build time depends on nothing here, so once is enough
    Probe(
        "venv-pip",
        """\
import os, subprocess, sys
done = subprocess.run([sys.executable, "-m", "venv", "env"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(done.returncode, done.stdout.decode(), sorted(os.listdir("env/bin")))
sys.stdout.flush()
subprocess.call(["env/bin/python", "-m", "pip", "--version"])
subprocess.call(["env/bin/python", "-m", "pip", "list", "--disable-pip-version-check"])
""",
        env={"PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    ),
    # surroundings
    Probe(
        "no-site",
        "import sys, json, site\nprint(sys.path, json, site.ENABLE_USER_SITE)\n",
        ("-S", "probe.py"),
    ),
    Probe("isolated", "import sys, json\nprint(sys.path, json)\n", ("-I", "probe.py")),
    Probe("by-command", command=("-c", "import sys, json; print(sys.path, json, sys.flags)")),
    Probe("by-stdin", command=("-",), stdin="import json\nprint(json)\njson.loads('{')\n"),
    Probe(
        "optimized",
        "import json, textwrap, ast, sys\nprint(sys.flags.optimize, __debug__, json.loads.__doc__, textwrap.__doc__, json.__cached__)\nassert False, 'own'\n",
        ("-O", "probe.py"),
    ),
    Probe(
        "optimized-more",
        "import json, textwrap, os, abc, encodings, collections.abc\nprint(json.loads.__doc__, textwrap.__doc__, json.__cached__, os.walk.__doc__, encodings.__doc__, encodings.search_function.__doc__, collections.abc.Mapping.__doc__)\n",
        ("-OO", "probe.py"),
    ),
    Probe(
        "asserts",
        """\
import subprocess, sys
code = "import marshal, types, sys, json.decoder, ast, random, asyncio.base_events, threading\\n" \\
       "def n(c): return c.co_names.count('AssertionError') + sum(n(k) for k in c.co_consts if isinstance(k, types.CodeType))\\n" \\
       "for m in 'json.decoder', 'random', 'asyncio.base_events', 'threading', 'pickle', 'datetime': print(m, len(__import__('importlib').import_module(m).__loader__.get_code(m).co_consts))"
for flag in "-O", "-OO", "-B", "-E":
    print(flag); sys.stdout.flush()
    subprocess.call([sys.executable, flag, "-c", code])
""",
    ),
    Probe(
        "no-bytecode",
        "import json, own, sys, os\nprint(json.__cached__, own.__cached__, os.path.exists(own.__cached__))\n",
        ("-B", "probe.py"),
        files={"own.py": ""},
    ),
    Probe(
        "import-time",
        command=(
            "-c",
            "import subprocess, sys, re\nerr = subprocess.run([sys.executable, '-X', 'importtime', '-c', 'import json, email.message'], stderr=-1).stderr.decode()\nprint([line.rpartition('|')[2] for line in err.splitlines() if 'json' in line or 'email' in line])",
        ),
    ),
    Probe(
        "verbose",
        command=(
            "-c",
            "import subprocess, sys\ndone = subprocess.run([sys.executable, '-v', '-c', 'import json; print(json)'], stdout=-1, stderr=-1)\nprint(done.returncode, done.stdout, b\"import 'json'\" in done.stderr)",
        ),
    ),
    Probe(
        "unfrozen",
        "import os, abc, codecs, io, sys\nprint(os, abc, codecs, io, os.__spec__.origin, os.__file__)\nos.mkdir('/')\n",
        ("-X", "frozen_modules=off", "probe.py"),
        since=(3, 11),
    ),
    Probe(
        "shadowed",
        "import json, textwrap, email\nprint(json, textwrap, email)\n",
        files={"json.py": "import sys\nprint('mine')\n", "email/__init__.py": ""},
    ),
    Probe(
        "shadowed-by-env",
        "import json, textwrap\nprint(json, textwrap)\n",
        env={"PYTHONPATH": "shadow"},
        files={"shadow/json.py": "", "shadow/textwrap.py": ""},
    ),
    Probe("shadowed-error", "import random\n", files={"random.py": "import random\nrandom.randint(1)\n"}),
    Probe(
        "shadowed-late",
        "import sys\nsys.path.append('late')\nimport json\nprint(json)\nsys.path.insert(0, 'late')\nimport textwrap\nprint(textwrap)\n",
        files={"late/json.py": "", "late/textwrap.py": ""},
    ),
    Probe(
        "sitecustomize",
        "import sys\nprint(sys.told)\n",
        env={"PYTHONPATH": "hooks"},
        files={
            "hooks/sitecustomize.py": "import sys\nsys.told = 'told', __file__\n",
            "hooks/usercustomize.py": "raise ValueError(1)\n",
        },
    ),
    Probe(
        "cache-prefix",
        "import json, own, os\nprint(json.__cached__, own.__cached__)\nfor f in sorted(os.walk('caches')):\n    if f[0].endswith('cache-prefix'): print(f)\n",
        env={"PYTHONPYCACHEPREFIX": "caches"},
        files={"own.py": ""},
    ),
    Probe(
        "relative-path",
        "import os, sys\nsys.path[0] = '.'\nimport own\nos.mkdir('other'); os.chdir('other')\nimport json\nprint(json, own)\ntry:\n    import own2\nexcept ImportError as error:\n    print(error)\nprint(json.__spec__)\n".replace(
            "print(json.__spec__)", "print(json.__spec__.origin)"
        ),
        files={"own.py": "", "own2.py": ""},
    ),
    Probe(
        "invalidated",
        "import importlib, sys, os\nimport json\nimportlib.invalidate_caches()\nopen('fresh.py', 'w').close()\nimportlib.invalidate_caches()\nimport fresh, textwrap\nprint(fresh, textwrap)\nsys.path_importer_cache.clear()\nimport html.parser\nprint(html.parser)\n",
    ),
    Probe(
        "other-executables",
        """\
import os, subprocess, sys
code = "import sys, json, os; print(sys.executable, sys.prefix, sys.path, json.__file__, os.__file__); json.loads('{')"
def run(*command, **given):
    print(command[0]); sys.stdout.flush()
    subprocess.call(command + ("-c", code), stderr=subprocess.STDOUT, **given)
os.symlink(sys.executable, "link")
run("./link"); run(os.path.abspath("link"))
run(os.path.relpath(sys.executable))
os.chdir(os.path.dirname(sys.executable))
run("./" + os.path.basename(sys.executable))
run(os.path.basename(sys.executable), env={"PATH": os.getcwd()})
run("python", executable=sys.executable)
os.chdir("..")
run("bin/" + os.path.basename(sys.executable))
run("bin/../bin/" + os.path.basename(sys.executable))
""",
    ),
    Probe(
        "python-home",
        command=(
            "-c",
            "import subprocess, sys, os\nsubprocess.call([sys.executable, '-c', 'import sys, json; print(sys.path, json)'], env=dict(os.environ, PYTHONHOME=sys.prefix))",
        ),
    ),
    # several interpreters, threads and processes
    Probe(
        "subprocess",
        "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', 'import json; print(json)']))\n"
        "print(subprocess.getoutput('exit 3'))\n",
    ),
    Probe(
        "multiprocessing",
        """\
import json, multiprocessing, sys
def work(number):
    import textwrap, email.mime.text
    return number, textwrap.__file__, email.mime.text.__file__, json.dumps(number)
def fails():
    json.loads("{")
if __name__ == "__main__":
    for method in "fork", "spawn", "forkserver":
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            print(method, sorted(pool.map(work, range(4))))
            try:
                pool.apply(json.loads, ("{",))
            except ValueError as error:
                print(error.__cause__)
        sys.stdout.flush()
        p = context.Process(target=fails, name="failing"); p.start(); p.join()
        print(p.exitcode)
""",
    ),
    Probe(
        "executor",
        """\
import concurrent.futures, json, traceback
if __name__ == "__main__":
    for kind in concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor:
        with kind(2) as pool:
            future = pool.submit(json.loads, "{")
            # so that the line on which it is asked for is the same one each time
            concurrent.futures.wait([future])
            try:
                future.result()
            except ValueError:
                traceback.print_exc()
""",
    ),
    Probe(
        "subinterpreters",
        """\
import sys
code = '''
import json, linecache, textwrap, html.parser, email.mime.text, sys
print(json.__file__, html.parser.__file__, linecache.getline(json.__file__, 2), sys.excepthook is sys.__excepthook__)
try:
    json.loads("{")
except ValueError:
    import traceback; print(traceback.format_exc())
sys.stdout.flush()
'''
try:
    import _interpreters as i
except ImportError:
    import _xxsubinterpreters as i
kinds = [{}, {"isolated": True}] if sys.version_info < (3, 13) and sys.version_info >= (3, 9) else [{}]
if sys.version_info >= (3, 13):
    kinds = ["legacy", "isolated"]
for kind in kinds:
    one = i.create(kind) if isinstance(kind, str) else i.create(**kind)
    print(kind, i.run_string(one, code))
    try:
        print(i.run_string(one, "import json; json.loads('{')"))
    except Exception as error:
        print(type(error).__name__, error)
    i.destroy(one)
""",
    ),
    Probe(
        "subinterpreter-threads",
        """\
import sys, threading
try:
    import _interpreters as i
except ImportError:
    import _xxsubinterpreters as i
def work():
    one = i.create()
    i.run_string(one, "import json, html.parser, email.mime.text, textwrap, xml.dom.minidom\\nassert json.loads('[1]') == [1]")
    i.destroy(one)
# one after another: 3.13.0 crashes with several at a time, whatever the layout
for _ in range(3):
    t = threading.Thread(target=work); t.start(); t.join()
print("done")
""",
        since=(3, 12),
    ),
    Probe(
        "fork-in-threads",
        """\
import os, sys, threading, warnings
warnings.simplefilter("ignore")
def work(number):
    import html.parser, xml.dom.minidom
    pid = os.fork()
    if not pid:
        import email.mime.text, urllib.request, asyncio
        os.write(1, (email.mime.text.__file__ + asyncio.__file__ + "\\n").encode())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for t in threads: t.start()
for t in threads: t.join()
""",
        sort=True,
    ),
    Probe(
        "fork-shares-no-offset",
        "import os\nimport json\npids = [os.fork() for _ in range(2)]\nimport email.mime.text, html.parser, xml.dom.minidom, asyncio, unittest\n"
        "for pid in pids:\n    if pid:\n        os.waitpid(pid, 0)\nprint(asyncio, unittest)\n",
        sort=True,
    ),
    Probe(
        "closed-descriptors",
        """\
import os, sys, json
import html.parser
os.closerange(3, 256)
import email.mime.text, xml.dom.minidom
print(email.mime.text, xml.dom.minidom)
os.closerange(3, 256)
files = [open("probe.py") for _ in range(20)]
import asyncio, urllib.request
print(asyncio, files[3].readline())
for file in files: file.close()
import unittest.mock, http.server
print(unittest.mock)
""",
    ),
    Probe(
        "descriptors-stolen",
        "import json, html.parser, os\nfor fd in range(3, 20):\n    os.dup2(0, fd)\nimport email.mime.text, asyncio\nprint(asyncio)\nfor fd in range(3, 20):\n    os.close(fd)\nimport unittest.mock\nprint(unittest.mock)\n",
    ),
    Probe(
        "no-descriptors",
        "import resource, json, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 64))\ntry:\n    import email.mime.text\nexcept Exception:\n    pass  # what the first one is that finds no descriptor differs\nresource.setrlimit(resource.RLIMIT_NOFILE, (60, 64))\nimport html.parser\nprint(html.parser)\n",
    ),
    Probe(
        "threads-storm",
        """\
import sys, threading, traceback
errors = []
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    try:
        import asyncio, xml.dom.minidom, email.mime.text, unittest.mock, http.server
        asyncio.run, xml.dom.minidom.parseString, email.mime.text.MIMEText, unittest.mock.Mock, http.server.HTTPServer
    except Exception:
        errors.append(traceback.format_exc())
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(errors)
""",
    ),
    # what keeps names
    Probe(
        "tracemalloc",
        "import tracemalloc\ntracemalloc.start(1)\nimport textwrap, html.entities\nnames = {s.traceback[0].filename for s in tracemalloc.take_snapshot().statistics('filename')}\nprint(sorted(n for n in names if 'entities' in n))\n",
    ),
    Probe(
        "tracemalloc-limit",
        "import tracemalloc\ntracemalloc.start(5)\nimport textwrap\na = textwrap.wrap('a b ' * 50, 5)\nprint(tracemalloc.get_object_traceback(a).format())\n",
    ),
    Probe(
        "faulthandler",
        "import faulthandler, json, sys\nfaulthandler.enable()\nclass D(dict):\n    def items(self):\n        faulthandler.dump_traceback(file=sys.stdout)\n        return ()\nimport string, textwrap, functools\nclass S(str): \n    def expandtabs(self, n):\n        faulthandler.dump_traceback(file=sys.stdout)\n        return 'a'\ntextwrap.wrap(S('a b'))\n",
    ),
    Probe(
        "pickle",
        "import pickle, json, email.message, collections, decimal, datetime, fractions, textwrap\nfor v in json.JSONDecoder, json.loads, email.message.Message(), collections.OrderedDict(a=1), fractions.Fraction(1, 2), textwrap.TextWrapper():\n    print(len(pickle.dumps(v)), type(pickle.loads(pickle.dumps(v))))\n",
    ),
    Probe(
        "copy-loader",
        "import copy, json, pickle\nl = json.__loader__\nc = copy.copy(l)\nprint(c.get_filename('json'), len(c.get_source('json')), c.is_package('json'), c.get_code('json').co_filename)\nd = copy.deepcopy(l)\nprint(d.get_filename('json'))\nimport importlib.util\ns = copy.copy(json.__spec__)\nprint(s == json.__spec__, s.origin)\np = pickle.loads(pickle.dumps(l))\nprint(p.get_filename('json'), len(p.get_source('json')))\n",
    ),
    Probe(
        "loader",
        "import json, textwrap, json.decoder, importlib.abc, importlib.machinery\nfor m in json, textwrap, json.decoder:\n    l = m.__loader__\n    print(l is m.__spec__.loader, l.get_filename(m.__name__), l.is_package(m.__name__), len(l.get_source(m.__name__)), len(l.get_data(m.__file__)), hasattr(l, 'exec_module'), hasattr(l, 'create_module'), hash(l) == hash(l), l == l)\n    try:\n        l.get_data('/no/such')\n    except OSError as error:\n        print(error.errno, error)\n    try:\n        l.get_data(m.__file__ + 'x')\n    except OSError as error:\n        print(type(error).__name__, error.errno, error)\n",
    ),
    Probe(
        "loader-attributes",
        "import json, textwrap\nfor m in json, textwrap:\n    print(m.__loader__.path, m.__loader__.name)\n",
    ),
    Probe(
        "loader-own-name",
        "import warnings; warnings.simplefilter('ignore')\nimport importlib.util\nfor name in 'json', 'textwrap', 'xml.dom':\n    spec = importlib.util.find_spec(name)\n    try:\n        m = spec.loader.load_module(name)\n        print(m, m.__file__, m.__spec__.origin, getattr(m, '__path__', '-'))\n    except AttributeError as error:\n        print('no load_module')\n",
    ),
    Probe(
        "mock",
        "import json, os, unittest.mock as mock, textwrap, linecache\nwith mock.patch('json.loads', return_value=3) as p, mock.patch('os.getcwd', return_value='x'), mock.patch('json.decoder.scanner.make_scanner'):\n    print(json.loads('a'), os.getcwd())\nprint(json.loads('1'))\nwith mock.patch('builtins.open', mock.mock_open(read_data='x')):\n    import html.entities, email.mime.text\n    print(open('a').read(), email.mime.text)\nwith mock.patch('os.stat', side_effect=OSError), mock.patch('os.path.exists', return_value=False):\n    import xml.dom.minidom\n    print(xml.dom.minidom)\nprint(mock.create_autospec(textwrap.wrap))\n".replace(
            "print(mock.create_autospec(textwrap.wrap))\n",
            "print(mock.create_autospec(textwrap.wrap).__name__)\n",
        ),
    ),
    Probe(
        "mock-open-io",
        "import unittest.mock as mock, io, os\nwith mock.patch('io.open', side_effect=ValueError), mock.patch('posix.open', side_effect=ValueError), mock.patch('os.open', side_effect=ValueError), mock.patch('os.fstat', side_effect=ValueError):\n    import html.entities, wsgiref.util\n    print(html.entities, wsgiref.util)\n",
    ),
    Probe(
        "gettext",
        "import gettext, locale\nprint(gettext.gettext('a'), gettext.find('no'), gettext.bindtextdomain('a') if hasattr(gettext, 'bindtextdomain') else '')\nprint(locale.setlocale(locale.LC_ALL, 'C'), locale.getlocale(), len(locale.locale_alias), locale.normalize('de'))\n",
    ),
    Probe(
        "codecs",
        """\
import codecs, encodings, encodings.aliases, pkgutil, warnings, sys
warnings.simplefilter("ignore")
names = sorted(set(encodings.aliases.aliases) | set(encodings.aliases.aliases.values()) | {m.name for m in pkgutil.iter_modules(encodings.__path__)} | {"no-such", "UTF8", "Latin 1", "x\\u20ac"})
print(len(names))
for name in names:
    try:
        info = codecs.lookup(name)
        print(name, info.name, info._is_text_encoding, "abc".encode(name) if info._is_text_encoding and name not in ("undefined",) else "")
    except Exception as error:
        print(name, type(error).__name__, error)
print(sorted(name for name in sys.modules if name.startswith("encodings")))
import email.charset, email.header
print(email.charset.ALIASES, email.header.Header("\\u20ac", "utf-8").encode())
""",
    ),
    Probe(
        "stdio-encoding",
        "import sys\nprint(sys.stdout.encoding, ascii('\\u20ac'))\n",
        env={"PYTHONIOENCODING": "cp1252:replace"},
    ),
    Probe("source-encoding", "# coding: cp1252\nprint('abc')\n"),
    Probe(
        "encodings-shadow",
        "import encodings, sys\nprint(encodings, encodings.__path__, sorted(vars(encodings)), encodings.__spec__.origin, encodings.__cached__ if hasattr(encodings, '__cached__') else '-', encodings.__package__, encodings.__doc__[:30])\nprint(encodings.__loader__ is encodings.__spec__.loader)\nimport importlib\nimportlib.reload(encodings)\nprint(sorted(vars(encodings)))\n",
    ),
    Probe("license", "license()\n", stdin="q\n"),
    Probe("credits", "print(credits); print(copyright); print(quit); print(license)\n"),
    Probe("ensurepip", "import ensurepip, venv, idlelib\nprint(ensurepip.version(), venv, idlelib)\n"),
    Probe(
        "extension",
        "import _json, math, zlib, _ctypes, array, sqlite3, _sqlite3, importlib.util\nfor m in _json, math, zlib, _ctypes, array, _sqlite3:\n    print(m, getattr(m, '__file__', '-'), m.__spec__.origin, type(m.__spec__.loader).__name__)\nprint(importlib.util.find_spec('_decimal').origin, importlib.util.find_spec('_no_such'))\n",
    ),
    Probe(
        "extension-folder",
        "import importlib.machinery as m, sys, os\np = [p for p in sys.path if p.endswith('lib-dynload')]\nprint(p, m.PathFinder.find_spec('_json', p), m.PathFinder.find_spec('_json').origin)\nprint([n for n in sorted(os.listdir(p[0]))])\n".replace(
            "m.PathFinder.find_spec('_json', p), ", ""
        ),
    ),
    Probe(
        "users-archive",
        "import sys, zipfile\nwith zipfile.ZipFile('a.zip', 'w') as z:\n    z.writestr('inzip.py', 'import json\\ndef f():\\n    json.loads(\"{\")\\n')\n    z.writestr('pk/__init__.py', 'def g():\\n    1/0\\n')\n    z.writestr('pk/data.txt', 'data')\nsys.path.insert(0, 'a.zip')\nimport inzip, pk, pkgutil, inspect, importlib.resources\nprint(inzip, pk, type(inzip.__loader__).__mro__[-2], pkgutil.get_data('pk', 'data.txt'), [m.name for m in pkgutil.iter_modules(['a.zip'])])\nprint(inspect.getsource(pk.g))\ninzip.f()\n",
    ),
    Probe(
        "zipimporter-on-library",
        "import zipimport, sys, os\ntry:\n    zipimport.zipimporter(os.path.dirname(os.__file__))\nexcept zipimport.ZipImportError as error:\n    print(error)\nprint(zipimport.zipimporter.__module__, sorted(zipimport._zip_directory_cache) and 'some')\n".replace(
            ", sorted(zipimport._zip_directory_cache) and 'some'", ""
        ),
    ),
    Probe(
        "collector-as-usual",
        """\
import _imp, sys
print("gc" in sys.modules)
import gc, os
print(gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.garbage, repr(gc))
seen = {id(found) for found in gc.get_objects()}
for name in ("sys", "builtins", "posix", "encodings", "codecs", "os", "zipimport", "_frozen_importlib"):
    print(name, id(sys.modules[name].__dict__) in seen)
print(id(sys.modules) in seen, any(found is sys.__dict__ for found in gc.get_referrers(sys.modules)))
print(repr(_imp.create_builtin), gc is __import__("gc"), gc.__spec__, sorted(vars(gc))[:4])
""",
    ),
    Probe("collector-frozen-objects", "import gc\nprint(gc.get_freeze_count())\n"),
    Probe(
        "collector-imported-by-others",
        """\
import importlib.util, sys
spec = importlib.util.find_spec("gc")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.isenabled(), module.__name__, "gc" in sys.modules)
import _imp
try:
    _imp.create_builtin(None)
except (AttributeError, TypeError) as error:
    print(type(error).__name__, error)
""",
    ),
    Probe(
        "collected-at-exit",
        """\
import weakref

class Knot:
    def __init__(self, name, text=None):
        self.name, self.knot = name, self
        self.file = open(name, "w")
        self.file.write("written at exit by " + name)

    def __del__(self):
        print("gone:", self.name)

Knot("unreachable")
held = Knot("held")
import os
os.held_there = Knot("held by a module of the library")
object_of_boot = type(os.environ)
object_of_boot.held = Knot("held by a class of the library")
watched = weakref.ref(held, lambda _: print("the reference to", "held", "is dead"))
""",
        sort=True,
    ),
    Probe(
        "collector-in-another-interpreter",
        """\
import importlib
for name in ("_interpreters", "_xxsubinterpreters"):
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
else:
    raise SystemExit("none here")
for _ in range(2):
    made = interpreters.create()
    interpreters.run_string(made, "import _imp; print(type(_imp.create_builtin).__name__, flush=True)")
    interpreters.destroy(made)
""",
    ),
    Probe(
        "walk-frames",
        "import sys, gc, json, textwrap, types\nprint(len([f for f in gc.get_objects() if isinstance(f, types.FunctionType) and f.__module__ == 'json.decoder']))\n",
    ),
    Probe(
        "profile-program",
        "import textwrap\ntextwrap.wrap('a')\n",
        (
            "-c",
            "import cProfile, pstats, io\np = cProfile.Profile()\np.run(open('probe.py').read())\np.create_stats()\nprint(sorted((k[0], k[1], k[2]) for k in p.stats if 'textwrap' in k[0]))",
        ),
    ),
    Probe(
        "importlib-legacy",
        "import importlib, sys, warnings\nwarnings.simplefilter('ignore')\nprint(sorted(n for n in dir(importlib) if not n.startswith('_')))\nprint(importlib.__import__('json'), importlib.import_module('.decoder', 'json'))\nif hasattr(importlib, 'find_loader'):\n    print(importlib.find_loader('json').get_filename('json'), importlib.find_loader('no_such'))\n",
    ),
    Probe(
        "sourceless-user",
        "import py_compile, os, sys\npy_compile.compile('own.py', 'legacy.pyc')\nimport legacy\nprint(legacy)\nlegacy.f()\n",
        files={"own.py": "def f():\n    import json\n    json.loads('{')\n"},
    ),
    Probe(
        "traceback-of-import",
        "import first\n",
        files={"first.py": "import second\n", "second.py": "import json.no_such\n"},
    ),
    Probe("traceback-lazy-package", "import asyncio.no_such\n"),
    Probe(
        "code-interact",
        "import code\ncode.interact(readfunc=iter(['import json', 'json.loads(\"{\")', 'exit()']).__next__ if False else None, banner='b')\n",
        stdin="import json\njson.loads('{')\n1/0\n",
    ),
    Probe(
        "timeit-error",
        "import timeit\ntry:\n    timeit.timeit('json.loads(1)', 'import json', number=1)\nexcept Exception:\n    t = timeit.Timer('json.loads(1)', 'import json')\n    try:\n        t.timeit(1)\n    except Exception:\n        t.print_exc()\n",
    ),
    Probe(
        "unittest-loader",
        "import unittest, sys\ns = unittest.TestLoader().discover('tests', top_level_dir='.')\nunittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(s) if False else print(s.countTestCases())\n",
        files={
            "tests/__init__.py": "",
            "tests/test_x.py": "import unittest\nclass T(unittest.TestCase):\n    def test(self): pass\n",
        },
    ),
    Probe(
        "cgitb",
        "import warnings; warnings.simplefilter('ignore')\nimport cgitb, json, sys\ntry:\n    json.loads('{')\nexcept ValueError:\n    text = cgitb.text(sys.exc_info())\nprint([line for line in text.splitlines() if ':' not in line[-13:]])\n",
        until=(3, 12),
    ),
    Probe(
        "frame-info",
        "import inspect, json, collections.abc\nclass S(collections.abc.Sequence):\n    def __len__(self): return 1\n    def __getitem__(self, at):\n        for f in inspect.stack(3): print(f.filename, f.lineno, f.function, f.code_context)\n        raise IndexError\n0 in S()\nimport functools\ntry:\n    json.loads('{')\nexcept ValueError as e:\n    for f in inspect.getinnerframes(e.__traceback__, 2): print(f.filename, f.lineno, f.code_context, f.index)\n",
    ),
    Probe(
        "type-hints",
        "import typing, textwrap, dataclasses, enum, sys\n@dataclasses.dataclass\nclass A:\n    x: 'int'\nprint(typing.get_type_hints(A), inspect.signature(textwrap.wrap) if 0 else A(1))\n",
    ),
    Probe(
        "compile-all-by-hand",
        "import json, linecache, importlib.util\nsource = importlib.util.find_spec('json.decoder').loader.get_source('json.decoder')\ncode = compile(source, json.decoder.__file__, 'exec')\nmine = json.decoder.__loader__.get_code('json.decoder')\nprint(code == mine, mine.co_filename == code.co_filename)\n",
    ),
    Probe(
        "sources-of-all",
        "import hashlib, sys, warnings, importlib.util\nwarnings.simplefilter('ignore')\nh = []\nfor name in open('modules.txt').read().split():\n    try:\n        spec = importlib.util.find_spec(name)\n    except Exception as error:\n        print(name, type(error).__name__); continue\n    if spec and hasattr(spec.loader, 'get_source'):\n        try:\n            text = spec.loader.get_source(name)\n        except Exception as error:\n            print(name, type(error).__name__); continue\n        print(name, spec.origin, text and hashlib.md5(text.encode('utf-8', 'surrogatepass')).hexdigest())\n",
    ),
    Probe(
        "argv-of-m",
        command=("-m", "argv_shown", "a"),
        files={"argv_shown.py": "import sys\nprint(sys.argv, __file__, __spec__.origin)\n"},
    ),
    Probe(
        "webbrowser-help",
        command=(
            "-m",
            "webbrowser",
        ),
    ),
    Probe("ensurepip-version", command=("-m", "ensurepip", "--version")),
    Probe(
        "ctypes-find",
        "import ctypes, ctypes.util\nprint(ctypes.__file__, ctypes.CDLL(None))\n".replace(
            ", ctypes.CDLL(None)", ""
        ),
    ),
    Probe(
        "help-text",
        "import io, contextlib\nhelp('json.loads')\nhelp('textwrap.wrap')\nhelp('no_such')\nhelp('FOR')\n",
    ),
    Probe("rlcompleter", "import rlcompleter\nprint(rlcompleter.Completer().complete('imp', 0))\n"),
)

#: First imports of one module by several threads, in the library and in an archive of the user's.
#: Its package asks for its part by a function: `from . import` takes the package's own lock once more, and up
#: to 3.11 importlib's look for deadlocks may then run forever in another thread, in any layout (bpo-38091).
STORM = """\
import sys, threading, zipfile, traceback
with zipfile.ZipFile("a%d.zip" % __import__("os").getpid(), "w") as z:
    z.writestr("inzip/__init__.py", "import importlib, json, textwrap\\nmore = importlib.import_module('inzip.more')\\nfor i in range(2000): pass\\nlast = 1\\n")
    z.writestr("inzip/more.py", "import time\\ntime.sleep(0.002)\\nlast = 2\\n")
sys.path.insert(0, "a%d.zip" % __import__("os").getpid())
errors = []
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    try:
        import inzip
        inzip.last, inzip.more.last
        import xml.dom.minidom, asyncio, unittest.mock
        xml.dom.minidom.parseString, asyncio.run, unittest.mock.Mock
    except Exception:
        errors.append(traceback.format_exc())
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
for error in errors: print(error)
sys.exit(bool(errors))
"""

#: What differs and stays so, with the sources on disk: for each probe, from which version to which, and why.
#: docs/explanation/the-importer.md tells people.
KNOWN: Mapping[str, tuple[tuple[int, int], tuple[int, int], str]] = {
    "pydoc-sys": (ALWAYS, EVER, "sys.path_hooks has one hook more"),
    "collector-frozen-objects": (
        (3, 12),
        (3, 12),
        "3.12 sets some hundred objects of its own aside before the first import; they come back with ours",
    ),
}
