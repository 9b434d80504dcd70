"""What plugins do, tried inside a target: 3.8 syntax, the standard library and the copy of the loader alone.

``python plugin_scenarios.py FOLDER-OF-THE-COPY WORK ANSWER`` runs each function ``try_…`` in a folder of its
own, and writes as JSON what each of them came to: "ok", "skipped: …", or a traceback.
"""

import gc
import importlib
import importlib.util
import inspect
import json
import linecache
import os
import pickle
import pkgutil
import struct
import sys
import sysconfig
import tempfile
import threading
import traceback
import weakref
import zipfile
from contextlib import contextmanager


class Skipped(Exception):
    pass


def made(path, files, **metadata):
    """Write a plugin; None as a value takes a key out of plugin.json."""
    name = os.path.basename(path)[: -len(".zip")]
    values = {"schema_version": 1, "name": name, "version": "1.0", "entry_point": "main:run"}
    values.update(metadata)
    members = {"plugin.json": json.dumps({k: v for k, v in values.items() if v is not None})}
    members.update(files)
    # as a file that is put there by rename, so that whoever reads it has one or the other
    with zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    os.replace(path + ".new", path)
    return path


def kinds(faults):
    return [fault.kind for fault in faults]


@contextmanager
def opened(folder, **options):
    from zipstrap_plugins import Plugins

    before = set(sys.modules), list(sys.path), list(sys.path_hooks)
    with Plugins(folder, **options) as plugins:
        yield plugins
    assert list(sys.path) == before[1]
    assert sys.path_hooks == before[2], sys.path_hooks
    left = [name for name in set(sys.modules) - before[0] if name.startswith("loaded_plugins")]
    assert left == [], left
    assert [path for path in sys.path_importer_cache if "#" in path] == []
    assert [path for path in linecache.cache if "#" in path] == []


def try_load_and_call(work):
    made(
        work + "/one.zip",
        {"main.py": "def run(*a, **k): return __name__, __file__, a, k"},
        extra={"menu": "x"},
    )
    with opened(work) as plugins:
        report = plugins.load()
        assert (report.ok, report.loaded) == (True, ("one",)), report
        called = plugins.call("one", 1, x=2)
        name, file, arguments, named = called.value
        assert (called.ok, name, arguments, named) == (True, "loaded_plugins.one.main", (1,), {"x": 2})
        assert file.startswith(os.path.realpath(work) + "/one.zip#") and file.endswith("/main.py")
        assert plugins.loaded["one"].extra == {"menu": "x"}
        assert plugins.package("one").__name__ == "loaded_plugins.one"
        assert "main" not in sys.modules
        assert plugins.load().unchanged == ("one",)
        assert importlib.import_module("loaded_plugins.one.main") is sys.modules[name]
        assert kinds([plugins.call("two").fault]) == ["absent"]
        assert kinds(plugins.load("two").faults) == ["absent"]


IMPORTS = """
import util, pkg.sub, pkg.sub as renamed, json, os.path, space.leaf
from pkg import sub
from pkg.sub import VALUE as value
from pkg.sub import *
from pkg import other
from . import util as relative
from .pkg import sub as nested
import importlib
def run():
    import late
    assert __import__("util") is util is relative
    assert pkg.sub is renamed is sub is nested
    assert (value, VALUE, other.UP, space.leaf.VALUE) == ("sub", "sub", "sub", "leaf")
    assert os.path is not None
    assert importlib.import_module("." + "util", __package__) is util
    try:
        import nowhere
    except ModuleNotFoundError as error:
        assert error.name == "nowhere"
    try:
        __import__("pkg.nowhere")
    except ModuleNotFoundError as error:
        assert error.name.endswith("pkg.nowhere"), error.name
    assert importlib.util.find_spec(".nowhere", __package__) is None
    return util.VALUE, json.VALUE, late.VALUE
"""


def try_names_do_not_clash(work):
    files = {
        "main.py": IMPORTS,
        "pkg/__init__.py": "",
        "pkg/sub.py": "__all__ = ['VALUE']\nVALUE = 'sub'",
        "pkg/other.py": "from .sub import VALUE as UP\nfrom ..util import VALUE\nimport util\nassert util.VALUE == VALUE",
        "space/leaf.py": "VALUE = 'leaf'",
        "late.py": "VALUE = 'late'",
    }
    for name in ("one", "two"):
        made(
            work + "/%s.zip" % name,
            dict(files, **{"util.py": "VALUE = %r" % name, "json.py": "VALUE = 'json of %s'" % name}),
        )
    with opened(work) as plugins:
        assert plugins.load().ok, plugins.load()
        values = [called.value for called in plugins.call_all()]
        assert values == [("one", "json of one", "late"), ("two", "json of two", "late")], plugins.call_all()
        assert sys.modules["json"] is json
        assert "util" not in sys.modules


BY_NAME = """
import importlib, importlib.util, importlib.resources, importlib.metadata, pkgutil, sys
from importlib import metadata
from importlib import import_module, resources
from importlib.util import find_spec
import importlib.resources as renamed
import pkg
def run():
    import pkg.sub
    assert import_module("pkg.sub") is pkg.sub is importlib.import_module("pkg.sub")
    assert import_module(".sub", "pkg") is import_module(".sub", pkg.__name__) is pkg.sub
    assert import_module("json").__name__ == "json" == importlib.import_module("json").__name__
    assert import_module("late").VALUE == VALUE == import_module(".odd-name", "pkg").VALUE
    assert find_spec("pkg.sub").name == pkg.sub.__name__ and find_spec("json").name == "json"
    assert importlib.util.find_spec("pkg.none") is None is importlib.util.find_spec(".none", "pkg")
    assert pkgutil.get_data("pkg", "data.txt") == b"%d" % VALUE
    assert renamed is resources is importlib.resources
    if hasattr(resources, "files"):
        assert resources.files("pkg").joinpath("data.txt").read_bytes() == b"%d" % VALUE
        assert resources.files(pkg).joinpath("data.txt").read_bytes() == b"%d" % VALUE
    # deprecated for a while
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        assert resources.read_binary("pkg", "data.txt") == b"%d" % VALUE
        assert resources.is_resource("pkg", "data.txt")
    assert metadata.version("Its.Own") == importlib.metadata.version("its-own") == "%d" % VALUE
    assert metadata.metadata("its_own")["Summary"] == "of a plugin"
    assert metadata.requires("its-own") == ["nothing>=1"]
    assert [each.name for each in metadata.files("its-own")] == ["data.txt"]
    # 3.8's zipfile.Path cannot open with an encoding
    assert sys.version_info < (3, 9) or metadata.files("its-own")[0].read_text() == "%d" % VALUE
    try:
        metadata.version("not-installed-anywhere")
    except metadata.PackageNotFoundError:
        pass
    assert "import_module" in dir(importlib) and importlib.import_module.__name__ == "import_module"
    try:
        importlib.none
    except AttributeError:
        pass
    try:
        from importlib import none
    except ImportError:
        return VALUE
"""


def named(number):
    files = {"main.py": BY_NAME + "VALUE = %d" % number, "late.py": "VALUE = %d" % number}
    files.update({"pkg/__init__.py": "", "pkg/sub.py": "", "pkg/data.txt": str(number)})
    info = "Its_Own-%d.dist-info/" % number
    text = (
        "Metadata-Version: 2.1\nName: Its.Own\nVersion: %d\nSummary: of a plugin\nRequires-Dist: nothing>=1\n"
    )
    files.update({info + "METADATA": text % number, info + "RECORD": "pkg/data.txt,,\n"})
    files["pkg/odd-name.py"] = "VALUE = %d" % number
    return files


def try_modules_by_name(work):
    """What takes a module by its name finds the plugin's, of its own version."""
    path = made(work + "/one.zip", named(1))
    made(work + "/two.zip", named(2))
    with opened(work) as plugins:
        plugins.load()
        old = sys.modules["loaded_plugins.one.main"].run
        made(path, named(3))
        assert plugins.refresh().reloaded == ("one",)
        values = [called.value for called in plugins.call_all()]
        assert values == [3, 2], [called.fault.traceback for called in plugins.call_all() if called.fault]
        assert old() == 1
        assert type(sys.modules["importlib"]).__name__ == "module" and importlib is sys.modules["importlib"]
    assert old() == 1


def try_lazy_imports(work):
    if sys.version_info < (3, 15):
        raise Skipped("lazy imports are from 3.15 on")
    source = "lazy import util\nlazy from pkg import sub\nlazy import json\n"
    source += "def run(): return util.VALUE, sub.VALUE, json.dumps(1), util.__name__"
    made(
        work + "/one.zip",
        {"main.py": source, "util.py": "VALUE = 1", "pkg/__init__.py": "", "pkg/sub.py": "VALUE = 2"},
    )
    with opened(work) as plugins:
        assert plugins.load().ok, plugins.load()
        called = plugins.call("one")
        assert called.value == (1, 2, "1", "loaded_plugins.one.util"), called
    path = made(work + "/one.zip", {"main.py": source, "util.py": "VALUE = 1", "pkg/sub.py": "VALUE = 2"})
    with opened(work) as plugins:
        plugins.load()
        old = sys.modules["loaded_plugins.one.main"].run
        made(path, {"main.py": source, "util.py": "VALUE = 3", "pkg/sub.py": "VALUE = 4"})
        assert plugins.refresh().reloaded == ("one",)
        # what was not asked for before the reload is of the old archive all the same
        assert plugins.call("one").value[:2] == (3, 4) and old()[:2] == (1, 2), old()


def try_data(work):
    source = """
import importlib.resources, pkgutil, sys, os
import pkg
def run():
    found = [pkgutil.get_data(__package__ + ".pkg", "data.txt"), pkgutil.get_data(pkg.__name__, "deep/x.bin")]
    if hasattr(importlib.resources, "files"):
        root = importlib.resources.files(pkg)
        found += [root.joinpath("data.txt").read_text(encoding="utf-8").encode(), (root / "deep" / "x.bin").read_bytes()]
        assert {each.name for each in root.iterdir()} >= {"data.txt", "deep"}
        with importlib.resources.as_file(root / "data.txt") as path:
            found.append(path.read_bytes())
    if sys.version_info < (3, 11):
        found.append(importlib.resources.read_binary(pkg, "data.txt"))
        assert importlib.resources.is_resource(pkg, "data.txt")
        assert {"data.txt", "deep"} <= set(importlib.resources.contents(pkg))
        with importlib.resources.path(pkg, "data.txt") as path:
            found.append(path.read_bytes())
    modules = {each.name: each.ispkg for each in pkgutil.iter_modules(sys.modules[__package__].__path__)}
    inner = [each.name for each in pkgutil.walk_packages(pkg.__path__, pkg.__name__ + ".")]
    return found, modules, inner
"""
    files = {
        "main.py": source,
        "pkg/__init__.py": "",
        "pkg/m.py": "",
        "pkg/data.txt": b"text",
        "pkg/deep/x.bin": b"text",
    }
    made(work + "/one.zip", files)
    with opened(work) as plugins:
        assert plugins.load().ok
        called = plugins.call("one")
        assert called.ok, called.fault.traceback
        found, modules, inner = called.value
        assert len(found) >= 4 and set(found) == {b"text"}, found
        assert modules == {"main": False, "pkg": True}
        assert inner == ["loaded_plugins.one.pkg.m"]


def try_sources_are_seen(work):
    source = "import util\ndef run():\n    return util.fail()  # in main\n"
    made(
        work + "/one.zip",
        {"main.py": source, "util.py": "def fail():\n    raise ValueError('no')  # in util\n"},
    )
    with opened(work) as plugins:
        plugins.load()
        fault = plugins.call("one").fault
        assert (fault.kind, fault.plugin) == ("call", "one")
        assert "ValueError: no" in fault.problem
        lines = fault.traceback.splitlines()
        assert lines[1].endswith('main.py", line 3, in run'), lines
        assert "return util.fail()  # in main" in fault.traceback
        assert "raise ValueError('no')  # in util" in fault.traceback
        assert "importlib" not in fault.traceback and "zipstrap_plugins" not in fault.traceback
        module = sys.modules["loaded_plugins.one.main"]
        assert inspect.getsource(module) == source
        assert inspect.getsource(module.run) == source[source.index("def") :]


def try_a_failing_import_is_told_without_the_loader(work):
    made(work + "/one.zip", {"main.py": "import a", "a.py": "from . import b", "b.py": "\nraise ValueError"})
    with opened(work) as plugins:
        (fault,) = plugins.load().faults
        lines = [line.strip() for line in fault.traceback.splitlines() if line.startswith("  File ")]
        names = [line.split('"')[1].rpartition("/")[2] for line in lines]
        assert names == ["main.py", "a.py", "b.py"], fault.traceback


def bytecode(source, name="x.py", magic=None, checked=False):
    data = source.encode()
    import marshal

    code = marshal.dumps(compile(data, "/built/elsewhere/" + name, "exec"))
    flags = 3 if checked else 1
    return (
        (magic or importlib.util.MAGIC_NUMBER)
        + struct.pack("<L", flags)
        + importlib.util.source_hash(data)
        + code
    )


def try_bytecode(work):
    source = "def run():\n    return run.__code__.co_filename\n"
    made(work + "/bare.zip", {"main.pyc": bytecode(source)})
    made(work + "/both.zip", {"main.pyc": bytecode(source, checked=True), "main.py": source})
    made(work + "/stale.zip", {"main.pyc": bytecode(source), "main.py": source + "#\n"})
    other = (int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little") - 1).to_bytes(2, "little") + b"\r\n"
    made(work + "/other.zip", {"main.pyc": bytecode(source, magic=other), "main.py": source})
    made(work + "/old.zip", {"main.pyc": bytecode(source, magic=(3394).to_bytes(2, "little") + b"\r\n")})
    made(work + "/cut.zip", {"main.pyc": importlib.util.MAGIC_NUMBER})
    made(work + "/cached.zip", {"main.py": source, "__pycache__/main.cpython-37.pyc": b"of another"})
    with opened(work) as plugins:
        report = plugins.load()
        assert report.loaded == ("bare", "both", "cached"), report
        assert kinds(report.faults) == ["bytecode"] * 4
        assert "magic" in [fault.problem for fault in report.faults if "other" in fault.file][0]
        assert plugins.call("bare").value.endswith("/main.pyc")
        assert plugins.call("both").value.endswith("/main.py")
        module = sys.modules["loaded_plugins.bare.main"]
        assert module.__spec__.loader.get_source(module.__name__) is None


def try_pickles(work):
    source = "import enum, dataclasses, typing\n@dataclasses.dataclass\nclass Point:\n    x: int\n"
    source += "class Kind(enum.Enum):\n    A = 1\nclass T(typing.NamedTuple):\n    x: int\n"
    source += "def run(): return Point(1), Kind.A, T(1)"
    made(work + "/my-own.zip", {"main.py": source})
    with opened(work) as plugins:
        plugins.load()
        value = plugins.call("my-own").value
        data = pickle.dumps(value)
        assert b"loaded_plugins.my_own.main" in data
        assert pickle.loads(data) == value
    try:
        pickle.loads(data)
    except ModuleNotFoundError:
        pass
    else:
        raise AssertionError("it was unloaded")


def try_threads(work):
    files = {"main.py": "def run():\n    import a\n    return a.VALUE"}
    for name, following in zip("abcdef", "bcdefg"):
        files[name + ".py"] = "import time, %s\ntime.sleep(0)\nVALUE = %s.VALUE + 1" % (following, following)
    files["g.py"] = "VALUE = 0"
    made(work + "/one.zip", files)
    with opened(work) as plugins:
        values, barrier = [], threading.Barrier(8)

        def run():
            barrier.wait()
            plugins.load()
            values.append(plugins.call("one").value)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert values == [6] * 8, values


def try_calls_run_while_another_is_loaded(work):
    made(work + "/one.zip", {"main.py": "def run(): return 1"})
    source = "import threading\nimport loaded_plugins\nstarted, go = loaded_plugins.events\nstarted.set()\n"
    with opened(work) as plugins:
        plugins.load()
        made(work + "/two.zip", {"main.py": source + "assert go.wait(60)\ndef run(): return 2"})
        events = threading.Event(), threading.Event()
        sys.modules["loaded_plugins"].events = events
        thread = threading.Thread(target=plugins.load)
        thread.start()
        assert events[0].wait(60)
        assert plugins.call("one").value == 1 and list(plugins.loaded) == ["one"]
        events[1].set()
        thread.join()
        assert plugins.call("two").value == 2


def version_of(number):
    return {
        "main.py": "import util\nclass Thing:\n    def late(self):\n        import late, pkg.sub\n"
        "        from . import more\n        from pkg import other\n"
        "        return util.VALUE, late.VALUE, pkg.sub.VALUE, more.VALUE, other.VALUE\n"
        "    def fail(self):\n        %sraise ValueError  # line of %d\n"
        "def run(): return Thing()\n" % ("0\n        " * number, number),
        "pkg/__init__.py": "",
        **{name + ".py": "VALUE = %d" % number for name in ("util", "late", "pkg/sub", "more", "pkg/other")},
    }


def line_of(function):
    try:
        function()
    except ValueError:
        line = traceback.extract_tb(sys.exc_info()[2])[-1].line
        # what retired code shows of itself is not the loader's to forget
        linecache.clearcache()
        return line


def try_reload(work):
    path = made(work + "/one.zip", version_of(1))
    made(work + "/still.zip", {"main.py": "def run(): return 1"})
    with opened(work) as plugins:
        plugins.load()
        old = plugins.call("one").value
        loaded = sys.modules["loaded_plugins.one.main"]
        assert plugins.refresh().unchanged == ("one", "still")
        assert sys.modules["loaded_plugins.one.main"] is loaded
        os.utime(path)
        assert plugins.refresh().reloaded == ()
        made(path, version_of(2), version="2.0")
        report = plugins.refresh()
        assert (report.reloaded, report.unchanged, report.faults) == (("one",), ("still",), ()), report
        new = plugins.call("one").value
        # what the old one imports only now is of its own archive, which is gone
        assert new.late() == (2,) * 5 and old.late() == (1,) * 5, (new.late(), old.late())
        assert old.late() == (1,) * 5
        assert line_of(old.fail).endswith("line of 1") and line_of(new.fail).endswith("line of 2")
        assert plugins.loaded["one"].version == "2.0"
        assert sys.modules["loaded_plugins.one.late"].VALUE == 2
        # one that is broken, or fails, leaves the present one as it is
        with open(path, "r+b") as stream:
            stream.truncate(100)
        assert kinds(plugins.refresh().faults) == ["no-end-record"]
        assert plugins.call("one").value.late() == (2,) * 5
        made(path, {"main.py": "import util\nraise RuntimeError('new')", "util.py": "VALUE = 3"})
        report = plugins.refresh("one")
        assert kinds(report.faults) == ["import"] and report.reloaded == ()
        assert plugins.call("one").value.late() == (2,) * 5
        assert new.late() == (2,) * 5
        assert sys.modules["loaded_plugins"].one.util.VALUE == 2
        os.remove(path)
        assert plugins.refresh().missing == ("one",)
        assert plugins.call("one").ok
        made(work + "/elsewhere.zip", version_of(4), name="one")
        assert plugins.refresh().reloaded == ("one",)
        assert plugins.call("one").value.late() == (4,) * 5
    assert old.late() == (1,) * 5 and new.late() == (2,) * 5
    assert line_of(old.fail).endswith("line of 1") and line_of(new.fail).endswith("line of 2")


def try_nothing_leaks(work):
    path = made(work + "/one.zip", dict(version_of(1), **{"pkg/data.txt": b"x"}))
    refs = []
    with opened(work) as plugins:
        plugins.load()
        # the last one is refused, so what is loaded then comes back
        for number in (2, 3):
            plugins.call("one").value.late()
            pkgutil.get_data("loaded_plugins.one.pkg", "data.txt")
            inspect.getsource(sys.modules["loaded_plugins.one.main"])
            for name in ("main", "late", "pkg", "pkg.sub"):
                module = sys.modules["loaded_plugins.one." + name]
                refs.append(weakref.ref(module))
            refs.append(weakref.ref(module.__loader__))
            refs.append(weakref.ref(module.__loader__.instance.content))
            refs.append(weakref.ref(sys.modules["loaded_plugins.one.main"].Thing))
            del module
            files = dict(version_of(2), **{"pkg/data.txt": b"y"})
            made(path, files if number < 3 else {"main.py": "raise ValueError"}, version=str(number))
            if number < 3:
                assert plugins.refresh().reloaded == ("one",)
        assert kinds(plugins.refresh().faults) == ["import"]
        assert plugins.unload("one").unloaded == ("one",)
        assert kinds(plugins.unload("one").faults) == ["absent"]
        gc.collect()
        assert [ref for ref in refs if ref() is not None] == []


def try_what_raises(work):
    good = "def run(): return 1"
    for name, source in {
        "a-import": "1 / 0",
        "b-exit": "import sys\nsys.exit(3)",
        "c-syntax": "def run(:",
        "d-base": "class Odd(BaseException): pass\nraise Odd('odd')",
        "e-lacks": "walk = 1",
        "f-no-call": "run = 1",
        "g-call": "def run(): raise KeyError('x')",
        "h-exit": "def run(): raise SystemExit",
        "i-interrupt": "def run(): raise KeyboardInterrupt",
        "j-str": "class E(Exception):\n    def __str__(self): raise ValueError\ndef run(): raise E",
        "k-good": good,
    }.items():
        made("%s/%s.zip" % (work, name), {"main.py": source})
    with opened(work) as plugins:
        report = plugins.load()
        assert report.loaded == ("g-call", "h-exit", "i-interrupt", "j-str", "k-good"), report
        assert kinds(report.faults) == ["import", "exit", "import", "import", "import", "import"], report
        texts = [fault.problem for fault in report.faults]
        assert (
            "ZeroDivisionError" in texts[0] and "(SystemExit: 3)" in texts[1] and "SyntaxError" in texts[2]
        ), texts
        assert [name for name in sys.modules if name.startswith("loaded_plugins.a_import")] == []
        assert kinds([plugins.call(name).fault for name in ("g-call", "h-exit", "j-str")]) == [
            "call",
            "exit",
            "call",
        ]
        try:
            plugins.call("i-interrupt")
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("the user's interrupt was kept")
        assert plugins.call("k-good").value == 1


def try_metadata(work):
    run = {"main.py": "def run(): return 1"}
    expected = []

    def bad(kind, files=run, **metadata):
        made("%s/p%02d.zip" % (work, len(expected)), files, **metadata)
        expected.append(kind)

    bad("no-entry-point", entry_point=None)
    bad("entry-point", entry_point="main")
    bad("entry-point", entry_point="other:run")
    bad("entry-point", at_unload="other:run")
    bad("metadata", name="a b")
    bad("metadata", name=None)
    bad("metadata", name=["x"])
    bad("metadata", version=None)
    bad("metadata", schema_version=2)
    bad("metadata", schema_version=True)
    bad("metadata", entrypoint="main:run")
    bad("metadata", api="x")
    bad("metadata", requires_python="newer")
    bad("metadata", platforms="linux")
    bad("metadata", extra=[])
    bad("metadata", dict(run, **{"plugin.json": b"{"}))
    bad("metadata", dict(run, **{"plugin.json": b"[" * 60000}))
    bad("metadata", dict(run, **{"plugin.json": b"[]"}))
    bad("metadata", dict(run, **{"plugin.json": b'{"name": "a", "name": "b"}'}))
    bad("metadata", dict(run, **{"plugin.json": b'{"name": NaN}'}))
    bad("metadata", dict(run, **{"plugin.json": b" " * 70000}))
    bad("metadata", dict(run, **{"plugin.json": b"\xff"}))
    bad("api", api="2.0")
    bad("api", api="1.4")
    bad("api", api="0.9")
    bad("python", requires_python=">=3.8,!=%d.%d.*" % sys.version_info[:2])
    bad("python", requires_python="<3.8")
    bad("platform", platforms=["vax-780"])
    with zipfile.ZipFile("%s/p%02d.zip" % (work, len(expected)), "w") as archive:
        archive.writestr("main.py", run["main.py"])
    expected.append("no-metadata")
    made(
        work + "/good.zip",
        run,
        api="1.2",
        requires_python=">=3.8, <4",
        platforms=[sysconfig.get_platform()],
        about="says 1",
    )
    with opened(work, api="1.3") as plugins:
        report = plugins.load()
        assert report.loaded == ("good",), report
        assert kinds(report.faults) == expected, list(zip(expected, map(str, report.faults)))
        for fault in report.faults:
            assert fault.cure and os.path.exists(fault.file)


def try_duplicates(work):
    run = {"main.py": "def run(): return 1"}
    made(work + "/a.zip", run, name="my-name")
    made(work + "/b.zip", run, name="My_Name")
    made(work + "/c.zip", run)
    with opened(work) as plugins:
        report = plugins.load()
        assert (report.loaded, kinds(report.faults)) == (("c",), ["duplicate"] * 2), report
        made(work + "/d.zip", run, name="c", version="2")
        report = plugins.refresh()
        assert kinds(report.faults) == ["duplicate"] * 4 and report.reloaded == (), report
        assert plugins.call("c").ok
        os.remove(work + "/d.zip")
        os.remove(work + "/b.zip")
        assert plugins.refresh().loaded == ("my-name",)


def entries(path, rename):
    """Change what a plugin's archive says, byte for byte."""
    with open(path, "rb") as stream:
        data = stream.read()
    for old, new in rename.items():
        assert data.count(old) >= 1 and len(old) == len(new)
        data = data.replace(old, new)
    with open(path, "wb") as stream:
        stream.write(data)


def try_hostile_archives(work):
    mark = os.path.join(work, "executed")
    run = {"main.py": "open(%r, 'w').close()\ndef run(): return 1" % mark, "xx/escape.py": "0"}
    expected = {}
    for name, kind, change in (
        ("absolute", "name-absolute", b"/tmp/scape.p"),
        ("parent", "name-parent", b"../escape.py"),
        ("backslash", "name-backslash", b"..\\escape.py"),
        ("drive", "name-drive", b"c:/escape.py"),
    ):
        entries(made("%s/%s.zip" % (work, name), run), {b"xx/escape.py": change})
        expected[name] = kind
    # expands to more than is allowed, and one that says it does not
    made(work + "/bomb.zip", dict(run, data=b"\0" * (70 << 20)))
    expected["bomb"] = "expansion"
    path = made(work + "/liar.zip", dict(run, data=b"\0" * 100000))
    entries(path, {struct.pack("<L", 100000): struct.pack("<L", 100)})
    expected["liar"] = "deflate-stream"
    path = made(work + "/flip.zip", run)
    with zipfile.ZipFile(path + ".new", "w") as archive:
        archive.writestr("plugin.json", "{}" + " " * 40)
        archive.writestr("main.py", run["main.py"])
    os.replace(path + ".new", path)
    entries(path, {b"return 1": b"return 2"})
    expected["flip"] = "checksum"
    path = made(work + "/link.zip", {})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("main.py")
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    expected["link"] = "link"
    path = made(work + "/front.zip", run)
    with open(path, "rb") as stream:
        data = stream.read()
    with open(path, "wb") as stream:
        stream.write(b"#!/bin/sh\n" + data)
    expected["front"] = "prepended-data"
    with open(work + "/cut.zip", "wb") as stream:
        stream.write(data[:-30])
    expected["cut"] = "no-end-record"
    open(work + "/empty.zip", "wb").close()
    expected["empty"] = "no-end-record"
    made(work + "/zz-good.zip", {"main.py": "def run(): return 1"})
    with opened(work) as plugins:
        report = plugins.load()
        assert report.loaded == ("zz-good",), report
        found = {os.path.basename(fault.file)[:-4]: fault.kind for fault in report.faults}
        assert found == expected, (found, expected)
        assert not os.path.exists(mark)
        assert plugins.call("zz-good").value == 1


def try_nothing_is_opened_again(work):
    path = made(work + "/one.zip", dict(version_of(1), **{"pkg/data.txt": b"one"}))
    seen = []
    place = os.path.realpath(work)

    def hook(event, arguments):
        if watching and event == "open" and str(arguments[0]).startswith(place):
            seen.append(arguments[0])

    watching = []
    sys.addaudithook(hook)
    with opened(work) as plugins:
        plugins.load()
        with open(work + "/../scratch.zip", "wb") as stream:
            stream.write(b"another file")
        watching.append(1)
        thing = plugins.call("one").value
        os.replace(work + "/../scratch.zip", path)
        assert thing.late() == (1,) * 5
        assert pkgutil.get_data("loaded_plugins.one.pkg", "data.txt") == b"one"
        inspect.getsource(sys.modules["loaded_plugins.one.late"])
        line_of(thing.fail)
        if sys.version_info >= (3, 9):
            import importlib.resources

            package = sys.modules["loaded_plugins.one.pkg"]
            assert importlib.resources.files(package).joinpath("data.txt").read_bytes() == b"one"
        watching.clear()
        assert seen == [], seen
        assert kinds(plugins.refresh().faults) == ["no-end-record"]


def try_who_may_write(work):
    run = {"main.py": "def run(): return 1"}
    for name in ("a", "b", "c", "d", "e"):
        made("%s/%s.zip" % (work, name), run)
    os.chmod(work + "/a.zip", 0o666)
    os.rename(work + "/b.zip", work + "/../b-real.zip")
    os.symlink("../b-real.zip", work + "/b.zip")
    os.remove(work + "/c.zip")
    os.mkfifo(work + "/c.zip")
    os.remove(work + "/d.zip")
    os.mkdir(work + "/d.zip")
    made(work + "/.hidden.zip", run)
    expected = ["writable", "file-link", "not-a-file", "not-a-file"]
    if os.geteuid() == 0:
        made(work + "/f.zip", run)
        os.chown(work + "/f.zip", 12345, 12345)
        expected.append("owner")
    with opened(work) as plugins:
        report = plugins.load()
        assert (report.loaded, kinds(report.faults)) == (("e",), expected), report
    os.symlink(work, work + "/../linked")
    with opened(work + "/../linked") as plugins:
        assert plugins.load("e").loaded == ("e",)
    os.mkdir(work + "/inner")
    made(work + "/inner/one.zip", run)
    os.chmod(work + "/inner", 0o777)
    with opened(work + "/inner") as plugins:
        assert kinds(plugins.load().faults) == ["writable"]
    with opened(work + "/inner", check_owner=False) as plugins:
        assert plugins.load().loaded == ("one",)
    os.chmod(work + "/inner", 0o755)
    os.chmod(work, 0o777)
    with opened(work + "/inner") as plugins:
        assert kinds(plugins.load().faults) == ["writable"]
    os.chmod(work, 0o700)
    with opened(work + "/e.zip") as plugins:
        assert kinds(plugins.load().faults) == ["folder"]
    with opened(work, max_size=100) as plugins:
        assert "too-large" in kinds(plugins.load().faults)


def try_changed_while_it_is_read(work):
    path = made(work + "/one.zip", {"main.py": "def run(): return 1"})
    real, calls = os.fstat, []

    def fstat(descriptor):
        status = real(descriptor)
        if not calls and status.st_ino == os.stat(path).st_ino:
            calls.append(1)
            with open(path, "ab") as stream:
                stream.write(b"more")
        return status

    with opened(work) as plugins:
        os.fstat = fstat
        try:
            report = plugins.load()
        finally:
            os.fstat = real
        assert kinds(report.faults) == ["changed"], report


def elf(machine):
    return b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)


def try_extension_modules(work):
    from importlib.machinery import EXTENSION_SUFFIXES

    if not sysconfig.get_platform().startswith("linux"):
        raise Skipped("ELF is Linux's")
    run = {"main.py": "def run(): return 1"}
    here = {"x86_64": 62, "aarch64": 183}.get(sysconfig.get_platform().rpartition("-")[2])
    if here is None:
        raise Skipped("the machine's number in ELF is not known here")
    foreign = 183 if here == 62 else 62
    made(work + "/a.zip", dict(run, **{"x.cpython-37m-x86_64-linux-gnu.so": elf(here)}))
    made(work + "/b.zip", dict(run, **{"x.pyd": b"MZ"}))
    made(work + "/c.zip", dict(run, **{"x" + EXTENSION_SUFFIXES[0]: elf(foreign)}))
    made(work + "/d.zip", dict(run, **{"x" + EXTENSION_SUFFIXES[0]: b"\xcf\xfa\xed\xfe"}))
    made(work + "/e.zip", dict(run, **{"pkg/x" + EXTENSION_SUFFIXES[0]: elf(here)}))
    with opened(work) as plugins:
        report = plugins.load()
        assert kinds(report.faults) == ["extension"] * 5, report
        texts = [fault.problem for fault in report.faults]
        for text, words in zip(
            texts, ("another kind", "another kind", "for the machine", "no ELF", "not loaded")
        ):
            assert words in text, texts


def try_at_unload(work):
    source = "import builtins\nlog = []\ndef run(): return log\ndef bye():\n    log.append(VERSION)\n    %s\nVERSION = %d"
    path = made(work + "/one.zip", {"main.py": source % ("", 1)}, at_unload="main:bye")
    with opened(work) as plugins:
        plugins.load()
        first = plugins.call("one").value
        made(path, {"main.py": source % ("1 / 0", 2)}, at_unload="main:bye")
        assert plugins.refresh().ok
        assert first == [1]
        second = plugins.call("one").value
        report = plugins.unload()
        assert (report.unloaded, kinds(report.faults), second) == (("one",), ["unload"], [2])


def try_digests(work):
    from zipstrap_plugins import check_folder

    for name in ("a", "b", "c"):
        made("%s/%s.zip" % (work, name), {"main.py": "def run(): return 1"})
    checked, faults = check_folder(work)
    assert faults == () and all(each.ok for each in checked)
    known = {each.metadata.name: each.sha256 for each in checked}
    del known["b"]
    made(work + "/c.zip", {"main.py": "def run(): return 2"})
    with opened(work, digests=known) as plugins:
        report = plugins.load()
        assert (report.loaded, kinds(report.faults)) == (("a",), ["digest"] * 2), report


def try_namespaces(work):
    from zipstrap_plugins import Plugins

    made(work + "/one.zip", {"main.py": "def run(): return __name__", "__init__.py": "WHOLE = 1"})
    with opened(work, namespace="json") as plugins:
        assert kinds(plugins.load().faults) == ["namespace"]
    with opened(work) as plugins, Plugins(work, namespace="others") as others:
        assert plugins.load().ok and others.load().ok
        assert (plugins.call("one").value, others.call("one").value) == (
            "loaded_plugins.one.main",
            "others.one.main",
        )
        assert sys.modules["loaded_plugins.one"].WHOLE == 1
        third = Plugins(work)
        assert kinds(third.load().faults) == ["namespace"]
    for wrong in ({"namespace": "a.b"}, {"api": "x"}):
        try:
            Plugins(work, **wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)


def main(copy, work, answer):
    sys.path.insert(0, copy)
    answers = {}
    for name, function in list(globals().items()):
        if name.startswith("try_"):
            folder = os.path.join(work, name, "plugins")
            os.makedirs(folder)
            try:
                function(folder)
                answers[name] = "ok"
            except Skipped as reason:
                answers[name] = "skipped: %s" % reason
            except BaseException:
                answers[name] = traceback.format_exc()
    with open(answer, "w") as stream:
        json.dump(answers, stream)


if __name__ == "__main__":
    tempfile.tempdir = sys.argv[2]
    main(*sys.argv[1:])
