"""Hand a start from a prefix with generations over to its own generation; zipstrap installed this.

``bin/pythonX.Y`` leads into a generation, whose library is found beside the real executable. A virtual
environment names ``bin`` instead, so the interpreter finds this prefix, and here the first module of every
start. Nothing is imported but what is built in.
"""


def _hand_over():
    import sys
    from posix import O_CLOEXEC, O_RDONLY, _exit, close, open, read, readlink, stat, write

    library = __spec__.origin[: -len("/encodings/__init__.py")]
    folder = library.rpartition("/")[0]
    prefix = folder.rpartition("/")[0]
    generations = prefix + "/lib/zipstrap/generations"
    version = sys.version_info[:2]
    archive = folder[len(prefix) :] + "/python%d%d%s.zip" % (version + ("t" if "t" in sys.abiflags else "",))

    def stop(problem):
        line = "zipstrap: %s; see zipstrap list --prefix %s\n" % (problem, prefix)
        write(2, line.encode("utf-8", "surrogateescape"))
        _exit(121)

    def tree_of(executable):
        # Return the generation of this prefix that has the executable; None if none has.
        tree, _, name = executable.rpartition("/libexec/")
        try:
            one, other = stat(tree.rpartition("/")[0]), stat(generations)
        except OSError:
            return None
        return tree if name and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) else None

    def foreign_libpython():
        # A copy looks for libpython beside itself, and then where the system has one.
        maps = b""
        try:
            file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        except OSError:
            return None
        while True:
            data = read(file, 65536)
            if not data:
                break
            maps += data
        close(file)
        for line in maps.split(b"\n"):
            at = line.find(b"/")
            if at >= 0 and line.rfind(b"/libpython") >= at:
                path = line[at:].decode("utf-8", "surrogateescape")
                own = path.rpartition("/")[0].rpartition("/")[0]
                if tree_of(own + "/libexec/-") is None:
                    return path
        return None

    try:
        tree = tree_of(readlink("/proc/self/exe"))
    except OSError:  # a system without /proc
        tree = None
    if tree is None:
        # A copy of the executable, in a virtual environment made with --copies.
        link = "%s/bin/python%d.%d%s" % ((prefix,) + version + (sys.abiflags,))
        try:
            tree = tree_of(link.rpartition("/")[0] + "/" + readlink(link))
            if tree is None:
                stop("%s does not lead to a generation of this prefix" % link)
            number = tree.rpartition("/")[2]
            tree = generations + "/" + number
            other = foreign_libpython()
            if other:
                stop(
                    "this copy of the executable runs %s, not the library of its generation;"
                    " make the environment without --copies" % other
                )
            # Left open: zipstrap gc sees by it that this generation is in use.
            open(tree + archive, O_RDONLY | O_CLOEXEC)
        except OSError as error:
            stop("%s does not lead to a generation (%s)" % (link, error.strerror))
    places = (prefix + archive, library, library + "/lib-dynload")
    sys.path[:] = [tree + entry[len(prefix) :] if entry in places else entry for entry in sys.path]
    for place in places:
        sys.path_importer_cache.pop(place, None)
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        if getattr(sys, name) == prefix:
            setattr(sys, name, tree)
    if getattr(sys, "_stdlib_dir", None) == library:
        sys._stdlib_dir = tree + library[len(prefix) :]
    # What is frozen and loaded by now has the names of files here (3.11+).
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(library + "/"):
            module.__file__ = tree + file[len(prefix) :]
            state = getattr(module.__spec__, "loader_state", None)
            if getattr(state, "filename", None) == file:
                state.filename = module.__file__
    del sys.modules["encodings"]
    try:
        import encodings
    except ImportError:
        stop("the generation %s of this start is gone or damaged" % tree)
    if not encodings.__spec__.origin.startswith(tree + "/"):
        stop("%s is not of the generation %s" % (encodings.__spec__.origin, tree))


_hand_over()
