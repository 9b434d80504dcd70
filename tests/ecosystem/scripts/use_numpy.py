"""numpy: arithmetic, files, errors and warnings from its own Python code."""

import io
import pickle
import warnings

import numpy as np
import show

print(np.__version__, np.__file__)
rng = np.random.default_rng(7)
a = rng.normal(size=(4, 4)).round(6)
print(a, np.linalg.det(a).round(6), np.linalg.eigvals(a @ a.T).round(4), np.fft.fft(a[0]).round(4), sep="\n")
with show.error():
    np.linalg.inv(np.zeros((2, 2)))
with show.error():
    np.testing.assert_allclose([1, 2, 3], [1, 2, 4])
with show.error():
    np.loadtxt(io.StringIO("1 2\n3 x\n"))
with show.error():
    np.load(io.BytesIO(b"nothing"))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    np.array([1.0]) / 0
    np.genfromtxt(io.StringIO("1 2\n3\n"), invalid_raise=False)
    for each in caught:
        print(each.category.__name__, each.message, each.filename, each.lineno)
buffer = io.BytesIO()
np.savez_compressed(buffer, a=a, b=np.arange(5))
buffer.seek(0)
print(dict(np.load(buffer)))
print(pickle.loads(pickle.dumps(a)).sum().round(6))
np.memmap("map.bin", dtype="int32", mode="w+", shape=(3,))[:] = 5
print(np.fromfile("map.bin", dtype="int32"), np.datetime64("2020-02-29") + np.arange(3))
np.show_config()
print(np.dtype([("x", "f8"), ("y", "i4")]), np.polynomial.Polynomial([1, 2, 3])(2.0))
show.python("-m", "numpy.f2py", "-v")
show.write("f.f90", "subroutine f(x)\n  real, intent(inout) :: x\n  x = x + 1\nend subroutine\n")
show.python("-m", "numpy.f2py", "-m", "ff", "f.f90", status=None)
show.python("-c", "import numpy; numpy.info(numpy.linspace)")
show.modules()
