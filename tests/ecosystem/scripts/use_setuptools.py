"""setuptools: a project with a package, data, an entry point and an extension module."""

import glob
import sys

import show

show.write(
    "project/src/pack/__init__.py", "from ._fast import add\n\ndef main():\n    print('sum', add(2, 3))\n"
)
show.write("project/src/pack/data/text.txt", "some data\n")
show.write(
    "project/src/pack/_fast.c",
    r"""
    #define PY_SSIZE_T_CLEAN
    #include <Python.h>
    static PyObject *add(PyObject *self, PyObject *args) {
        long a, b;
        if (!PyArg_ParseTuple(args, "ll", &a, &b)) return NULL;
        return PyLong_FromLong(a + b);
    }
    static PyMethodDef methods[] = {{"add", add, METH_VARARGS, "Add."}, {NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", NULL, -1, methods};
    PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
    """,
)
show.write(
    "project/setup.py",
    """
    from setuptools import Extension, find_packages, setup
    setup(name="pack", version="1.0", package_dir={"": "src"}, packages=find_packages("src"),
          package_data={"pack": ["data/*.txt"]}, entry_points={"console_scripts": ["pack-it = pack:main"]},
          ext_modules=[Extension("pack._fast", ["src/pack/_fast.c"])])
    """,
)
show.write("project/MANIFEST.in", "include src/pack/_fast.c\n")
show.python("setup.py", "--quiet", "sdist", cwd="project", order=True)
show.python("setup.py", "build_ext", "--inplace", cwd="project", order=True)
show.python("setup.py", "bdist_wheel", cwd="project", order=True)
show.python("-m", "zipfile", "-l", glob.glob("project/dist/*.whl")[0])
show.run(show.TREE_PYTHON, "-m", "venv", "--without-pip", "env")
install = ["-m", "pip", "--python", "env", "install", "--no-build-isolation", "--no-deps", "-v"]
show.python("-m", "pip", "--python", "env", "install", "setuptools", "wheel")
show.python(*install, "-e", "./project", order=True)
show.run("env/bin/pack-it")
show.run("env/bin/python", "-c", "import pack; print(pack.__file__); pack.add('x')", status=1)
show.python("-m", "pip", "--python", "env", "uninstall", "-y", "pack")
show.python(*install, glob.glob("project/dist/*.whl")[0], order=True)
show.run("env/bin/pack-it")
show.write(
    "broken/setup.py",
    "from setuptools import setup, Extension\nsetup(name='x', ext_modules=[Extension('x', ['no.c'])])\n",
)
show.python("setup.py", "build_ext", cwd="broken", status=1)

import setuptools

print(setuptools.__version__)
for name in (
    "distutils.core",
    "distutils.command.build_ext",
    "distutils.sysconfig",
    "pkg_resources",
    "setuptools.msvc",
):
    try:
        print(name, __import__(name, fromlist=["x"]).__file__)
    except ImportError as problem:
        print(name, problem)
if sys.version_info < (3, 12):
    show.python(
        "setup.py", "build_ext", "-f", cwd="project", env={"SETUPTOOLS_USE_DISTUTILS": "stdlib"}, status=None
    )
show.modules()
