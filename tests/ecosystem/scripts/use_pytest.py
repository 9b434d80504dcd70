"""pytest: rewritten assertions, tracebacks through the library, --pyargs, doctests, plugins, warnings."""

import sys

import show

show.write(
    "test_it.py",
    """
    import collections, dataclasses, json, logging, subprocess, warnings
    import pytest
    @dataclasses.dataclass
    class Point:
        x: int
        y: int
    def test_rewritten():
        assert {"a": 1, "b": [1, 2, 3]} == {"a": 1, "b": [1, 2, 4]}
    def test_dataclass():
        assert Point(1, 2) == Point(1, 3)
    def test_counter():
        left = collections.Counter("hello")
        assert left == collections.Counter("help"), "not the same"
    def test_library():
        json.loads("[1, }")
    def test_process():
        subprocess.run(["/no/such/program"])
    def test_raises():
        with pytest.raises(ValueError, match="Expecting"):
            json.loads("[")
    def test_warns():
        warnings.warn("look", DeprecationWarning)
        import asyncio
    def test_log(caplog, capsys, tmp_path, monkeypatch):
        logging.getLogger("x").warning("logged")
        print("printed")
        assert caplog.text == ""
    @pytest.mark.parametrize("n", [1, 2])
    def test_parameter(n):
        assert n == 1
    @pytest.mark.skip(reason="no")
    def test_skip(): pass
    @pytest.mark.xfail
    def test_xfail(): assert 0
    @pytest.fixture
    def bad(): raise RuntimeError("in fixture")
    def test_error(bad): pass
    """,
)
show.write("conftest.py", "import pytest\n@pytest.fixture\ndef mine():\n    'Mine.'\n    return 3\n")
show.write("doc.py", '"""\n>>> import json\n>>> json.loads("[")\n[1]\n>>> 1 + 1\n2\n"""\n')
show.write("pkg/__init__.py", "")
show.write("pkg/test_in.py", "def test_in(mine):\n    assert mine == 4\n")
show.write(
    "test_unit.py",
    "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual([1], [2])\n",
)
show.write("test_syntax.py", "def test(:\n")
P = ["-m", "pytest", "-p", "no:cacheprovider", "-ra"]
show.python(*P, "test_it.py", status=1)
for style in ("short", "line", "native", "long"):
    show.python(*P, "-q", "--tb=" + style, "-l", "test_it.py", status=1)
show.python(*P, "--full-trace", "test_it.py::test_library", "test_it.py::test_process", status=1)
show.python(*P, "--assert=plain", "-q", "test_it.py", status=1)
show.python(*P, "test_unit.py", "test_syntax.py", status=2)
show.python(*P, "test_unit.py", status=1)
show.python(*P, "--doctest-modules", "doc.py", status=1)
show.python(*P, "--pyargs", "pkg", status=1)
show.python(*P, "--pyargs", "pkg.test_in", status=1)
show.python(*P, "--pyargs", "json.no_such", status=4)
show.python(*P, "--collect-only", "test_it.py", "pkg")
show.python(*P, "--fixtures", "-v", "pkg")
show.python(*P, "--trace-config", "--debug=debug.log", "-q", "pkg", status=1)
show.python(*P, "-W", "error", "-q", "test_it.py::test_warns", status=1)
show.python(*P, "--import-mode=importlib", "pkg", status=1)
show.python(*P, "--setup-show", "pkg", status=1)
show.python(*P, "--junitxml=x.xml", "-q", "test_it.py::test_library", status=1)
print(open("x.xml").read().replace(__import__("socket").gethostname(), "HOST"))
print(sys.version_info[:2])
import pytest

show.modules()
