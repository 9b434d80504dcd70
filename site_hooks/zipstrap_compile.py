"""Compile the library in place: ``python3.13 -I -m zipstrap_compile``, in a tree staged without bytecode.

The archive gets bytecode beside each source, and the sources on disk get theirs under ``__pycache__``, as a
build would have made it. What a running program knows of the archive stays true: the members that are there
keep their places, those that come are behind them. So the new archive may replace the old one under it.

It is written beside its place, flushed, renamed, and the folder is flushed: after a kill or a power cut there
is the old or the new one. What is compiled already stays as it is, so it can be run again at any time. One
line on stdout says what was done. Exit status 0, or 1 with a line on stderr.
"""

import binascii
import errno
import fcntl
import os
import struct
import sys

NEW_SUFFIX = ".zipstrap-new"
# PKWARE's APPNOTE 4.3: local header, central header, end record.
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
# Folders of the library that are not the build's.
FOREIGN = ("site-packages", "dist-packages", "__pycache__")


class Damaged(Exception):
    """The archive is not as the build wrote it."""


def parts(data):
    """Return the central headers of the archive `data` as (fields, name), and where they begin."""
    if len(data) < END.size or data[-END.size : -END.size + 4] != b"PK\5\6":
        raise Damaged("it has no end record, or something follows it")
    _, _, _, _, count, size, start, _ = END.unpack(data[-END.size :])
    if start + size + END.size != len(data):
        raise Damaged("its central directory is not where it should be")
    headers = []
    at = start
    for _ in range(count):
        fields = CENTRAL.unpack_from(data, at)
        at += CENTRAL.size
        name = data[at : at + fields[10]]
        at += fields[10] + fields[11] + fields[12]
        if fields[0] != b"PK\1\2" or fields[11] or fields[12]:
            raise Damaged("a central header is not as the build writes it")
        headers.append((fields, name))
    if at != start + size:
        raise Damaged("its central directory is of another length")
    return headers, start


def compiled(compiler, data, library, level):
    """Return the archive `data` with bytecode for each source that has none, how many, and what failed."""
    headers, start = parts(data)
    names = {name for _, name in headers}
    local, central, failures = [], [], []
    offset = start
    for fields, name in headers:
        if not name.endswith(b".py") or name + b"c" in names:
            continue
        if fields[4]:
            raise Damaged("the source %s is compressed" % name.decode())
        at = fields[16]
        at += LOCAL.size + LOCAL.unpack_from(data, at)[9]
        source = data[at : at + fields[9]]
        if len(source) != fields[9] or binascii.crc32(source) != fields[7]:
            raise Damaged("the source %s is not what was packed" % name.decode())
        try:
            pyc = compiler.bytecode(source, library + "/" + name.decode(), level)
        except Exception as error:
            failures.append("%s: %s" % (name.decode(), compiler.explain(error)))
            continue
        name += b"c"
        common = fields[2:7] + (binascii.crc32(pyc), len(pyc), len(pyc), len(name), 0)
        local += (LOCAL.pack(b"PK\3\4", *common), name, pyc)
        central += (CENTRAL.pack(b"PK\1\2", fields[1], *common, *fields[12:16], offset), name)
        offset += LOCAL.size + len(name) + len(pyc)
    added = len(local) // 3
    if not added:
        return data, 0, failures
    count = len(headers) + added
    directory = data[start : -END.size] + b"".join(central)
    if count >= 0xFFFF or offset + len(directory) >= 0xFFFFFFFF:
        raise Damaged("with its bytecode it would need zip64")
    end = END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)
    return b"".join((data[:start], *local, directory, end)), added, failures


def replace(path, data):
    """Make `path` a file of `data`, readable for all, so that it is the old or the new one at any time."""
    folder, name = os.path.split(path)
    new = os.path.join(folder, "." + name + NEW_SUFFIX)
    try:
        os.unlink(new)  # of a run that was killed
    except FileNotFoundError:
        pass
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            if os.fstat(file).st_size != len(data):
                raise OSError(errno.EIO, os.strerror(errno.EIO))  # what it said was not so
            os.fchmod(file, 0o644)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(new, path)
    except BaseException:
        try:
            os.unlink(new)
        except FileNotFoundError:
            pass
        raise
    flush(folder)


def flush(folder):
    """Flush the names in `folder` to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def compile_files(compiler, prefix, library, level):
    """Compile the sources on disk that have no bytecode yet; return how many, and what failed."""
    count, failures = 0, []
    top = os.path.join(prefix, library)
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in FOREIGN)
        for name in sorted(files):
            if not name.endswith(".py"):
                continue
            path = os.path.join(folder, name)
            cache = os.path.join(folder, "__pycache__")
            target = os.path.join(cache, "%s.%s.pyc" % (name[:-3], sys.implementation.cache_tag))
            # before 3.11 the landmark os.py is there to be found, and the archive's is imported
            if os.path.exists(target) or (folder == top and name == "os.py"):
                continue
            try:
                with open(path, "rb") as file:
                    pyc = compiler.bytecode(file.read(), os.path.relpath(path, prefix), level)
            except (SyntaxError, ValueError) as error:
                failures.append("%s: %s" % (os.path.relpath(path, prefix), compiler.explain(error)))
                continue
            if not os.path.isdir(cache):
                os.mkdir(cache)
                os.chmod(cache, 0o755)  # whatever the umask
                flush(folder)
            replace(target, pyc)
            count += 1
    return count, failures


def main():
    """Compile what belongs to the interpreter that runs this."""
    import zipstrap_bytecode  # what compiles at a build, beside this in the archive

    archive = os.path.abspath(__spec__.loader.archive)
    beside = os.path.dirname(archive)
    version = "python%d.%d%s" % (*sys.version_info[:2], "t" if "t" in sys.abiflags else "")
    library = os.path.basename(beside) + "/" + version
    lock = os.open(beside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system gives it up, however this process ends
        with open(archive, "rb") as file:
            data = file.read()
        new, added, failures = compiled(zipstrap_bytecode, data, library, 0)
        on_disk, more = compile_files(zipstrap_bytecode, os.path.dirname(beside), library, 0)
        if added:
            replace(archive, new)
    except (OSError, Damaged) as error:
        where = getattr(error, "filename", None) or archive
        print(
            "zipstrap_compile: %s: %s" % (where, getattr(error, "strerror", None) or error), file=sys.stderr
        )
        return 1
    finally:
        os.close(lock)
    print("%d modules compiled into %s, %d on disk" % (added, archive, on_disk))
    for failure in failures + more:
        print("not compiled: %s" % failure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
