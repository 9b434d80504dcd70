"""cffi: by building an extension module."""

import show

show.write(
    "build_it.py",
    """
    from cffi import FFI
    builder = FFI()
    builder.cdef("int twice(int x); typedef struct { int a; char b[4]; } pair;")
    builder.set_source("_twice", "static int twice(int x) { return 2 * x; } typedef struct { int a; char b[4]; } pair;")
    if __name__ == "__main__":
        print(builder.compile(verbose=True))
    """,
)
show.python("build_it.py", order=True)
show.python("-c", "import _twice; print(_twice.lib.twice(21), _twice.ffi.sizeof('pair'), _twice.__file__)")
show.modules()
