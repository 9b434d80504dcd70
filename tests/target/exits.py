"""Programs that tell, or would tell, what an exit does: what they print must not depend on the layout.

Those in :data:`SHOWN` show when their last objects end, so the exit has to be CPython's own. Those in
:data:`UNSEEN` do not, and look at what may not happen in an exit that is cut short.
"""

# ruff: noqa: E501 - the programs are data

from __future__ import annotations

from collections.abc import Mapping

from .probes import Probe

__all__ = ["CUT_SHORT", "SHOWN", "UNJUDGED", "UNSEEN", "VERDICT"]

#: A class whose objects refer to themselves, so that only the collector ends them.
_KNOT = """\
import json
class Knot:
    def __init__(self, *held): self.held, self.knot = held, self
"""

_SHOWN: Mapping[str, str] = {
    "finalizer": _KNOT + "class Told:\n    def __del__(self): print('gone')\nheld = Knot(Told())\n",
    "finalizer-that-imports": _KNOT
    + "class Told:\n    def __del__(self):\n        import bisect\n        print('gone', bisect.bisect([1], 1))\nheld = Knot(Told())\ndel held\n",
    "finalizer-without-the-collector": _KNOT
    + "class Told:\n    __slots__ = ()\n    def __del__(self): print('gone')\nheld = Knot(Told())\n",
    "finalizer-of-a-class": _KNOT
    + "class Meta(type):\n    def __del__(cls): print('gone')\nclass Told(metaclass=Meta): pass\ndel Told\n",
    "finalizer-made-at-exit": "import atexit\n@atexit.register\ndef last(): json.told = Knot(Told())\n"
    + _KNOT
    + "class Told:\n    def __del__(self): print('gone')\n",
    "generator": _KNOT
    + "def told():\n    try: yield\n    finally: print('gone')\nmade = told()\nnext(made)\nheld = Knot(made)\ndel made\n",
    "coroutine": _KNOT + "async def told(): pass\nheld = Knot(told())\n",
    "asynchronous-generator": _KNOT
    + "async def told():\n    try: yield\n    finally: print('gone')\nmade = told()\ntry: made.asend(None).send(None)\nexcept StopIteration: pass\nheld = Knot(made)\ndel made\n",
    "file": _KNOT
    + "import subprocess, sys\nif sys.argv[1:]:\n    file = open('written', 'w')\n    file.write('by the end')\n    held = Knot(file)\n    del file\nelse:\n    subprocess.run([sys.executable, 'probe.py', 'child'], check=True)\n    print(open('written').read())\n",
    "stream-in-python": _KNOT
    + "import io\nclass Told(io.RawIOBase):\n    def close(self): print('closed')\nheld = Knot(Told())\n",
    "text-in-memory": _KNOT
    + "import io\nclass Told(io.StringIO):\n    def close(self): print('closed')\nheld = Knot(Told())\n",
    "plain-text-in-memory": _KNOT + "import io\nheld = Knot(io.StringIO('a'), io.BytesIO(b'a'))\n",
    "output-replaced": _KNOT
    + "import io, sys\nheld = Knot(sys.stdout)\nprint('hello')\nsys.stdout = io.StringIO()\n",
    "output-behind-another": _KNOT
    + "import sys\noriginal = sys.stdout\nclass Tee:\n    def write(self, text): return original.write(text)\n    def flush(self): pass\nsys.stdout = Tee()\nprint('hello')\n",
    "output-taken-away": _KNOT + "import sys\nheld = Knot(sys.stdout)\nprint('hello')\nsys.stdout = None\n",
    "errors-replaced": _KNOT
    + "import io, sys\nheld = Knot(sys.stderr)\nsys.stderr.buffer.write(b'hello')\nsys.stderr = io.StringIO()\n",
    "output-of-a-kind": _KNOT
    + "import os, sys\nclass Tee(Knot):\n    def write(self, text): return os.write(1, text.encode())\n    def flush(self): pass\n    def __del__(self, write=os.write): write(1, b'gone')\nsys.stdout = sys.__stdout__ = Tee()\nprint('hello')\n",
    "input-of-a-kind": _KNOT
    + "import os, sys\nclass Told(Knot):\n    def __del__(self, write=os.write): write(1, b'gone')\nsys.__stdin__, sys.stdin = Told(), None\n",
    "input-with-an-end": _KNOT
    + "import os, sys\nsys.stdin.close = lambda write=os.write: write(1, b'closed')\nsys.stdin.me = sys.stdin\n",
    "text-with-an-end": _KNOT
    + "import io\ntext = io.StringIO()\ntext.close = lambda: print('closed')\nheld = Knot(text)\ndel text\n",
    "bytes-that-are-viewed": "import io, json\ndef f(): pass\nheld = io.BytesIO(b'abc')\nseen = held.getbuffer()\n",
    "output-with-a-flush": _KNOT
    + "import sys\nsys.stdout.flush = lambda: None\nheld = Knot(sys.stdout)\nsys.stdout.buffer.write(b'hello')\n",
    "input-that-is-written": _KNOT
    + "import subprocess, sys\nif sys.argv[1:]:\n    sys.stdin = sys.__stdin__ = open('written', 'w')\n    sys.stdin.write('text')\n    held = Knot(sys.stdin)\nelse:\n    subprocess.run([sys.executable, 'probe.py', 'child'], check=True)\n    print(open('written').read())\n",
    "table-that-is-changed": _KNOT
    + "import weakref\nclass Told(set):\n    def discard(self, each): print('gone')\nKnot.table, held = weakref.WeakSet(), Knot()\nKnot.table.data = Told()\nKnot.table.add(held)\ndel held\n",
    "handlers-that-are-watched": _KNOT
    + "import logging\nclass Told(list):\n    def remove(self, each): print('gone')\nlogging._handlerList = Told(logging._handlerList)\nheld = Knot(logging.StreamHandler())\ndel held\n",
    "listing-with-a-filter-for-several": _KNOT
    + "import os, warnings\nwarnings.filters.insert(0, ('always', None, (ResourceWarning, UserWarning), None, 0))\nfound = os.scandir('.')\nnext(found)\nheld = Knot(found)\ndel found\n",
    "type-by-the-name-of-another": _KNOT
    + "class _UnionGenericAliasMeta(type):\n    __module__ = 'typing'\n    def __hash__(cls):\n        print('asked')\n        return 1\n    def __eq__(cls, other): return cls is other\nclass A(metaclass=_UnionGenericAliasMeta): pass\nheld = A(), A()\nprint('end')\n",
    "frozen-by-the-program": _KNOT
    + "import timeit, gc\nclass Told:\n    def __del__(self): print('gone')\ntold = Told()\ngc.freeze()\ndef end():\n    global told\n    held, told = Knot(told), None\nend()\n",
    "weak-reference-to-a-builtin": _KNOT
    + "import sys, weakref\nheld = Knot()\nsys.told = weakref.ref(held, lambda _, p=print: p('dead'))\nsys.told_too = weakref.ref(held, [].remove)\ndel held\n",
    "weak-proxy": _KNOT
    + "import sys, weakref\nheld = Knot()\nsys.told = weakref.proxy(held, lambda _: print('dead'))\ndel held\n",
    "weak-reference-by-a-usual-name": _KNOT
    + "import sys, weakref\nheld = Knot()\ndef remove(_): print('dead')\nsys.told = weakref.ref(held, remove)\ndel held\n",
    "weak-table-with-keys-of-a-kind": _KNOT
    + "import weakref\nclass Key:\n    def __hash__(self):\n        print('asked')\n        return 1\n    def __eq__(self, other): return self is other\nheld, table = Knot(), weakref.WeakValueDictionary()\ntable[Key()] = held\ndel held\n",
    "listing-with-warnings": _KNOT
    + "import os, warnings\nwarnings.simplefilter('always')\nfound = os.scandir('.')\nnext(found)\nheld = Knot(found)\ndel found\n",
    "type-by-a-usual-name": _KNOT
    + "class ScandirIterator:\n    __module__, __slots__ = 'posix', ()\n    def __del__(self): print('gone')\nheld = Knot(ScandirIterator())\n",
    "types-with-equality": _KNOT
    + "class Meta(type):\n    def __hash__(cls):\n        print('asked')\n        return 1\n    def __eq__(cls, other): return cls is other\nclass A(metaclass=Meta): pass\nheld = A(), A()\nprint('end')\n",
    "type-with-a-text-of-a-kind": _KNOT
    + "class Text(str):\n    def __hash__(self):\n        print('asked')\n        return 1\nclass A: pass\nA.__module__ = Text('a')\nheld = A()\nprint('end')\n",
    "modules-of-a-kind": _KNOT
    + "import sys\nclass Modules(dict):\n    def get(self, *name):\n        print('asked', name)\n        return dict.get(self, *name)\n    def values(self):\n        print('asked')\n        return dict.values(self)\nsys.modules = Modules(sys.modules)\nprint('end')\n",
    "watched-collector-that-is-hidden": _KNOT
    + "import timeit, gc, sys\ngc.callbacks.append(lambda phase, told: print(phase, told['generation']))\ngc.disable()\ndel sys.modules['gc'], gc, timeit.gc\n",
    "weak-reference": _KNOT
    + "import sys, weakref\nheld = Knot()\nsys.told = weakref.ref(held, lambda _: print('dead'))\ndel held\n",
    "weak-method": _KNOT
    + "import sys, weakref\nclass Other(Knot):\n    def method(self): pass\nheld = Other()\nsys.told = weakref.WeakMethod(held.method, lambda _: print('dead'))\ndel held\n",
    "weak-reference-of-a-kind": _KNOT
    + "import sys, weakref\nclass Kind(weakref.ref):\n    __callback__ = None\nheld = Knot()\nsys.told = Kind(held, lambda _: print('dead'))\ndel held\n",
    "finalize": _KNOT
    + "import weakref\nheld = Knot()\nweakref.finalize(held, print, 'dead').atexit = False\ndel held\n",
    "finalize-of-multiprocessing": _KNOT
    + "import multiprocessing.util\nheld = Knot()\nmultiprocessing.util.Finalize(held, print, ('dead',))\ndel held\n",
    "audited": _KNOT
    + "import sys\ndef main():\n    import gc\n    sys.addaudithook(lambda event, _: print(event) if event.startswith('gc.') else None)\n    gc.get_objects()\nmain()\n",
    "watched-collector": _KNOT
    + "import gc\ngc.callbacks.append(lambda phase, told: print(phase, told['generation']))\ngc.disable()\n",
    "database": _KNOT
    + "import os, sqlite3, subprocess, sys\nif sys.argv[1:]:\n    opened = sqlite3.connect('base')\n    opened.execute('pragma journal_mode=wal')\n    opened.execute('create table t (a)')\n    held = Knot(opened)\n    del opened\nelse:\n    subprocess.run([sys.executable, 'probe.py', 'child'], check=True)\n    print(sorted(os.listdir()))\n",
    "thread": _KNOT
    + "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, daemon=True).start()\n",
    "foreign-extension": _KNOT
    + "import importlib.machinery, types\nmade = types.ModuleType('made')\nmade.__spec__ = importlib.machinery.ModuleSpec('made', None, origin='/of/others/made' + importlib.machinery.EXTENSION_SUFFIXES[0])\n",
    "foreign-extension-without-a-spec": _KNOT
    + "import importlib.machinery, sys, types\nmade = sys.modules['made'] = types.ModuleType('made')\nmade.__file__ = '/of/others/made' + importlib.machinery.EXTENSION_SUFFIXES[0]\n",
    "process": "import multiprocessing\ndef f(): print('child')\nif __name__ == '__main__':\n    p = multiprocessing.get_context('fork').Process(target=f)\n    p.start()\n    p.join()\n    print(p.exitcode)\n",
    "end-of-a-view": _KNOT
    + "class Region:\n    def __buffer__(self, flags): return memoryview(bytearray(10))\n    def __release_buffer__(self, view): print('released')\nregion = Region()\ntry: held = Knot(memoryview(region), region)\nexcept TypeError: held = Knot(region)\n",
    "frozen-before-the-collector-is-imported-again": "import json, gc, sys\ngc.freeze()\nfound = gc.get_freeze_count()\nfor _ in range(2):\n    del sys.modules['gc']\n    import gc\n    print(gc.get_freeze_count() > found - 9)\n",
    "strange-built-in": _KNOT
    + "import importlib.machinery, types\nmade = types.ModuleType('made')\nmade.__spec__ = importlib.machinery.ModuleSpec('_tkinter', None, origin='built-in')\n",
    "unusual-built-in": _KNOT
    + "import importlib.machinery, types\nmade = types.ModuleType('made')\nmade.__spec__ = importlib.machinery.ModuleSpec('made', None, origin='built-in')\n",
}
SHOWN = (
    *(Probe(f"exit-shows-{name}", code) for name, code in _SHOWN.items()),
    Probe(
        "exit-shows-listing",
        _KNOT + "import os\nfound = os.scandir('.')\nnext(found)\nheld = Knot(found)\ndel found\n",
        ("-W", "always", "probe.py"),
    ),
)

_UNSEEN: Mapping[str, str] = {
    "library": "import asyncio, ctypes, dataclasses, decimal, enum, functools, logging, multiprocessing, sqlite3, ssl, threading, typing, unittest.mock, weakref\n",
    "classes": _KNOT
    + "import dataclasses, enum, functools, typing\nclass Color(enum.Enum):\n    RED = 1\n@dataclasses.dataclass(frozen=True)\nclass Data:\n    a: typing.Tuple[int]\n@functools.lru_cache()\ndef f(a): return Knot(a)\nf(1), f(Data((1,)))\nlogging = __import__('logging').getLogger('a')\n",
    "weak-tables": _KNOT
    + "import weakref\na, b, c = weakref.WeakValueDictionary(), weakref.WeakKeyDictionary(), weakref.WeakSet()\nheld = a[1] = Knot()\nb[held] = 1\nc.add(held)\n",
    "thread-that-ended": _KNOT
    + "import threading\nt = threading.Thread(target=print, args=('ran',))\nt.start()\n",
    "lazy-module": "import importlib.util, sys\nspec = importlib.util.find_spec('shown_late')\nspec.loader = importlib.util.LazyLoader(spec.loader)\nmodule = importlib.util.module_from_spec(spec)\nsys.modules['shown_late'] = module\nspec.loader.exec_module(module)\nprint('not loaded')\n",
    "attributes": "import json, sys, types\nclass Meta(type):\n    def __getattribute__(cls, name):\n        print('asked the class', name)\n        return type.__getattribute__(cls, name)\nclass Made(metaclass=Meta):\n    @property\n    def __class__(self): print('asked the object')\nclass Module(types.ModuleType):\n    def __getattribute__(self, name):\n        print('asked the module', name)\n        return types.ModuleType.__getattribute__(self, name)\nmade = Made()\nsys.modules['odd'], sys.modules['odder'] = Module('odd'), made\nprint('made')\n",
    "no-standard-streams": "import json, os, sys\nsys.stdout.flush()\nsys.stdin.close()\nsys.stderr = None\nsys.__stdin__ = sys.__stderr__ = None\nprint('told')\n",
    "closed-files": _KNOT
    + "with open('probe.py') as text, open('probe.py', 'rb') as data, open('new', 'wb', 0) as raw, open('new', 'r+b') as both: pass\nheld = Knot(text, data)\n",
    "finder": "import bisect, sys\nclass Told:\n    @staticmethod\n    def find_spec(name, *_): print('asked for', name)\nsys.meta_path.insert(0, Told)\nprint('end')\n",
    "modules-that-are-watched": "import bisect, sys\nclass Told(type(sys)):\n    def __getattribute__(self, name):\n        print('asked for', name)\n        return object.__getattribute__(self, name)\nfor name in ('_io', '_weakref', '_warnings', '_imp', '_thread'): sys.modules[name].__class__ = Told\nprint('end')\n",
    "sys-that-is-watched": "import bisect, sys\nsys.gettrace = sys.getprofile = sys.getallocatedblocks = lambda told=print: told('asked')\nprint('end')\n",
    "imports-watched": _KNOT
    + "import builtins\ndef told(name, *_, original=builtins.__import__):\n    print('import', name)\n    return original(name, *_)\nbuiltins.__import__ = told\nprint('end')\n",
    "builtins-watched": _KNOT
    + "import builtins\nfor name in ('issubclass', 'map', 'list', 'id', 'any', 'all', 'getattr', 'len', 'exec'):\n    def told(*given, name=name, original=getattr(builtins, name), write=__import__('os').write):\n        write(1, name.encode())\n        return original(*given)\n    setattr(builtins, name, told)\nprint('end')\n",
    "builtins-cleared": _KNOT
    + "import atexit, builtins\natexit.register(lambda: builtins.__dict__.clear())\n",
    "run-early": _KNOT
    + "import atexit\natexit.register(print, 'early')\natexit._run_exitfuncs()\nimport gc, weakref\nprint(gc.get_freeze_count() > 500, gc.isenabled())\nheld = Knot()\nseen = weakref.ref(held)\ndel held\ngc.collect()\nprint(seen())\n",
    "cleared": "import atexit, json\natexit._clear()\natexit.register(print, 'last')\n",
    "second-atexit": "import json, sys, atexit\natexit.register(print, 'of the first')\nfirst = sys.modules.pop('atexit')\nimport atexit\natexit.register(print, 'of the second')\nprint(first is atexit, atexit.__spec__)\n",
    "audited-import": "import os, sys\nsys.addaudithook(lambda event, _: print(event) if event.startswith('gc.') else None)\nimport json\nprint('imported', flush=True)\nos._exit(0)\n",
    "forbidden-atexit": "import sys\nsys.modules['atexit'] = None\nimport json\ntry: import atexit\nexcept ImportError as error: print(error)\n",
    "another-imp": "import sys\nsys.modules.pop('_imp')\nimport _imp\nfrom _frozen_importlib import ModuleSpec\natexit = _imp.create_builtin(ModuleSpec('atexit', None))\n_imp.exec_builtin(atexit)\nsys.modules.pop('atexit', None)\nclass Told: pass\ndef late():\n    print('late')\n    Told.__del__ = lambda self: print('gone')\natexit.register(late)\nimport colorsys\nheld = Told()\nheld.held = held\ndel held\n",
    "first-atexit": "import sys, atexit\natexit.register(print, 'of the first')\nfirst = sys.modules.pop('atexit')\nimport json\n",
    "order": "import json, atexit\natexit.register(print, 'last')\nimport logging\natexit.register(print, 'first')\natexit.unregister(len)\n",
    "status": "import json, sys\nsys.exit(3)\n",
    "message": "import json, sys\nsys.exit('the end')\n",
    "traceback": "import json\njson.loads('{')\n",
    "fork": "import json, os, sys\nif os.fork() == 0:\n    print('child')\n    sys.exit(4)\nprint(os.WEXITSTATUS(os.wait()[1]))\n",
}
UNSEEN = (
    *(
        Probe(f"exit-unseen-{name}", code, files={"shown_late.py": "print('loaded')\n"})
        for name, code in _UNSEEN.items()
    ),
    Probe("exit-unseen-module", command=("-m", "json.tool", "probe.py"), code="[1]\n"),
    Probe("exit-unseen-interactive", command=("-i", "-c", "import json"), stdin="1/0\nexit()\n"),
)

#: Not for VERDICT: these end its own work, or are seen before it.
UNJUDGED = frozenset(
    {
        "exit-shows-audited",
        "exit-unseen-run-early",
        "exit-unseen-cleared",
        "exit-unseen-audited-import",
        "exit-unseen-forbidden-atexit",
        "exit-unseen-second-atexit",
        "exit-unseen-first-atexit",
        "exit-unseen-another-imp",
    }
)

#: Prints, as the last of all, whether the exit would be cut short.
VERDICT = """\
import atexit, keyword

def _judge(library={library!r}):
    import gc, os, sys
    importer = [
        each
        for each in sys.path_importer_cache.values()
        if type(each).__name__ == "LibraryImporter" and not each.prefix
    ][0]
    # now: what is made at exit could bring a collection, which would show before anything is judged
    names = {{"__name__": "zipstrap_exit"}}
    names["__builtins__"] = type(importer).find_spec.__globals__["GIVEN"]
    exec(importer.get_code("zipstrap_exit"), names)

    def _verdict():
        cut = names["nobody_notices"](gc, True, library + "/", library + "/lib-dynload/")
        os.write(1, ("cut short: %s\\n" % cut).encode())

    atexit.register(_verdict)

_judge()
del atexit, keyword, _judge
"""

#: Is ended by a signal if what the exit leaves out is not left out: C code that nothing knows of.
CUT_SHORT = """\
import ctypes
abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p)
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
held = [new(1, None, abort)]
held.append(held)
"""
