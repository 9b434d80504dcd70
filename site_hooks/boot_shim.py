"""Stand in for ``encodings``, the first module that every start reads from the archive it finds.

It installs the importer of the library's archive from the record at its end, then becomes the real package.
"""


def _generation_of_executable(archive):
    # A link leads to the executable of a generation, and the interpreter reads it after the system has. An
    # upgrade between the two makes it find the archive of the next generation, and up to 3.10 it spells the
    # way over the link. Return the archive of the executable's own generation, spelled plainly.
    import sys
    from posix import readlink, stat

    generations, _, place = archive.rpartition("/zipstrap/generations/")
    number, _, place = place.partition("/")
    tree = "%s/zipstrap/generations/%s" % (generations, number)
    try:
        own = readlink("/proc/self/exe").rpartition("/libexec/")[0]
        if own == tree or "/zipstrap/generations/" not in own:
            return archive
        one, other = stat(own + "/.."), stat(tree + "/..")
    except OSError:  # no /proc, or a copy of the executable
        return archive
    if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino):
        return archive
    start = tree + "/"
    sys.path[:] = [own + path[len(tree) :] if path.startswith(start) else path for path in sys.path]
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix", "_stdlib_dir"):
        path = getattr(sys, name, None) or ""
        if path == tree or path.startswith(start):
            setattr(sys, name, own + path[len(tree) :])
    # What is frozen and loaded by now has the names of files there (3.11+).
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(start) and module.__name__ != "encodings":
            module.__file__ = own + file[len(tree) :]
            state = getattr(module.__spec__, "loader_state", None)
            if getattr(state, "filename", None) == file:
                state.filename = module.__file__
    return "%s/%s" % (own, place)


def _become_real(names):
    from marshal import loads
    from posix import O_CLOEXEC, O_RDONLY, close, open, pread

    place = b"zipstrap: the build puts this here."
    archive = __loader__.archive
    if "/zipstrap/generations/" in archive:
        found = _generation_of_executable(archive)
        if found.split("/")[-3] != archive.split("/")[-3]:  # its number
            import sys

            sys.path_importer_cache.clear()
            del sys.modules["encodings"]
            __import__("encodings")  # of the other generation, to which this one gives way
            return ""
        archive = found
    library = archive[:-4] + "-library.zip"
    size, later, offset = [int.from_bytes(place[at : at + 4], "little") for at in (16, 20, 24)]
    try:
        file = open(library, O_RDONLY | O_CLOEXEC)
        data = pread(file, 24 + size, offset)
        close(file)
        problem = "is not the archive that this tree was built with"
    except OSError as error:
        data = b""
        problem = "cannot be opened (%s)" % error.strerror
    if data[:24] != place[:24] or len(data) != 24 + size:
        from posix import _exit, write

        line = "zipstrap: %s %s; build the tree anew\n" % (library, problem)
        write(2, line.encode("utf-8", "surrogateescape"))
        _exit(121)
    data = memoryview(data)
    record = loads(data[24:])
    space = {"__name__": "importlib._zipstrap", "__builtins__": __builtins__}
    space.update(ARCHIVE=archive, DATA=data, RECORD=record, PLACE=(place[:16], offset + 24 + size, later))
    exec(loads(data[record[0] :]), space)
    return space.pop("install")(names)


exec(_become_real(globals()))
