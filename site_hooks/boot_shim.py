"""Stand in for ``encodings``, the first module that every start reads from the archive it finds.

It installs the importer of the library's archive from the record beside it, then becomes the real package.
"""


def _become_real(names):
    from marshal import loads
    from posix import O_CLOEXEC, O_RDONLY, close, open, pread
    from zipimport import _zip_directory_cache

    archive = __loader__.archive
    # zipimport has read the directory; our writer leaves nothing between a member's name and its data
    size, offset = _zip_directory_cache[archive]["zipstrap.boot"][2:5:2]
    file = open(archive, O_RDONLY | O_CLOEXEC)
    try:
        record = loads(pread(file, size, offset + 30 + len("zipstrap.boot")))
    finally:
        close(file)
    space = {"__name__": "zipstrap_importer", "__builtins__": __builtins__}
    space.update(ARCHIVE=archive, RECORD=record)
    exec(loads(record[0]), space)
    return space["install"](names)


exec(_become_real(globals()))
