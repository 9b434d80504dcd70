"""Cython: a module compiled by cythonize, one by pyximport, and the library's own sources."""

import sys

import show

show.write(
    "fast.pyx",
    """
    # cython: language_level=3
    import json
    def fib(int n):
        cdef int a = 0, b = 1
        for _ in range(n):
            a, b = b, a + b
        return a
    def broken(text):
        return json.loads(text)
    cdef class Point:
        cdef public double x
        def __init__(self, x):
            self.x = x
    """,
)
show.run("cython", "-V")
show.run("cythonize", "-a", "-i", "fast.pyx", order=True)
show.write(
    "use_it.py", "import fast; print(fast.fib(20), fast.Point(2).x, fast.__file__); fast.broken('[')\n"
)
show.python("use_it.py", status=1)
show.write("live.pyx", "def twice(x):\n    return 2 * x\n")
show.python("-c", "import pyximport; pyximport.install(language_level=3); import live; print(live.twice(21))")
show.write("wrong.pyx", "cdef int f(:\n    pass\n")
show.run("cython", "-3", "wrong.pyx", status=1)
show.python("-c", "import Cython.Compiler.Main, Cython.Shadow as c; print(c.compiled, c.__file__)")
import Cython.Build

print(Cython.Build.__file__, sys.version_info[:2])
show.modules()
