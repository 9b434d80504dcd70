"""cffi: with the C library."""

import cffi
import show

ffi = cffi.FFI()
ffi.cdef("size_t strlen(const char *); int abs(int);")
library = ffi.dlopen(None)
print(library.strlen(b"hello"), library.abs(-5), ffi.typeof("int *"))
with show.error():
    library.strlen(3)
with show.error():
    ffi.cdef("int f(")
verify = cffi.FFI()
verify.cdef("double sqrt(double);")
print(verify.dlopen("libm.so.6").sqrt(2.0))
show.modules()
