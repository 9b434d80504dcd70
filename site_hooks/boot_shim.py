"""Stand in for ``encodings``, the first module that every start reads from the archive it finds.

It installs the importer of the library's archive from the record at its end, then becomes the real package.
"""


def _become_real(names):
    from marshal import loads
    from posix import O_CLOEXEC, O_RDONLY, close, open, pread

    place = b"zipstrap: the build puts this here."
    archive = __loader__.archive
    if "/zipstrap/generations/" in archive:
        try:
            code = loads(__loader__.get_data(archive + "/zipstrap_generation.pyc")[16:])
        except OSError:  # a tree that is no generation, in a folder of that name
            pass
        else:
            space = {"__builtins__": __builtins__, "ARCHIVE": archive}
            exec(code, space)
            archive = space["ARCHIVE"]
            if not archive:  # `encodings` is there, from another generation
                return ""
    if place[28]:  # the guard checks digests
        found = []
        try:
            for name in ("/zipstrap_digests.pyc", "/zipstrap_digests"):
                found.append(loads(__loader__.get_data(__loader__.archive + name)[16:]))
        except Exception:
            from posix import _exit, write

            line = "zipstrap: %s does not say what the tree was built with; stopped\n" % archive
            write(2, line.encode("utf-8", "surrogateescape"))
            _exit(122)
        exec(found[0], {"__builtins__": __builtins__, "ARCHIVE": archive, "EXPECTED": found[1]})
    library = archive if place[29] else archive[:-4] + "-library.zip"
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
        from posix import _exit, stat, write

        cure = "build the tree anew"
        if "/zipstrap/generations/" in archive:
            cure = "install anew, or zipstrap rollback"
        try:
            stat(archive[:-4] + "-original")  # an installation that was converted
            cure = "zipstrap restore with the path of this interpreter puts it back"
        except OSError:
            pass
        line = "zipstrap: %s %s; %s\n" % (library, problem, cure)
        write(2, line.encode("utf-8", "surrogateescape"))
        _exit(121)
    data = memoryview(data)
    record = loads(data[24:])
    space = {"__name__": "importlib._zipstrap", "__builtins__": __builtins__}
    space.update(ARCHIVE=archive, DATA=data, RECORD=record, PLACE=(place[:16], offset + 24 + size, later))
    exec(loads(data[record[0] :]), space)
    return space.pop("install")(names)


exec(_become_real(globals()))
