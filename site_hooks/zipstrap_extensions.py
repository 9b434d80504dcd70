"""Load extension modules from an archive: from memory where the system allows it, else from a private folder.

The interface, for an archive on ``sys.path`` (a bundle) and for importers of one's own:

- ``add_archive(archive)``: from now on imports find the extension modules in *archive*, a path that is or
  will be an entry of ``sys.path``. They go where a folder of the same content would have them: before a
  source of the same name in the same folder, and in the order of ``sys.path``. Returns the names of the
  members that are extension modules of this interpreter. To add it twice is to add it once.
- ``spec_of(fullname, path, archive, member, read, is_package=False)``: the spec of one module. *path* is what
  its ``__file__`` shall be; *read(path)* returns the bytes of a file by such a path, or None if the archive
  has none.
- ``ArchivedExtensionLoader``: the loader, an ``importlib.machinery.ExtensionFileLoader``.

On Linux the content is written into an anonymous file in memory (memfd_create(2)) and opened by its name
below /proc/self/fd; the descriptor is closed when the module is loaded. /proc/PID/maps names the mapping
``/memfd:FILE:IDENTITY:NUMBER``. Where that is not to be had, the content is a file in a folder that belongs
to the user alone: $ZIPSTRAP_EXTENSION_CACHE, which is taken before memory, or zipstrap-extensions in
$XDG_CACHE_HOME or ~/.cache. Its name has a hash of the content, and its content is compared, byte by byte,
before it is opened. Shared libraries of the archive that a module needs by a run path with $ORIGIN are loaded
before it.

What cannot be loaded is an ImportError that says which file and why; then nothing of it has been run.

This module may be what loads zlib for an importer, so it uses only what is built in or frozen. CPython 3.8 to
3.15, POSIX.
"""

import posix
import sys
from _frozen_importlib import ModuleSpec, _call_with_frames_removed, _verbose_message
from _frozen_importlib_external import ExtensionFileLoader, PathFinder
from _imp import acquire_lock, create_dynamic, exec_dynamic, extension_suffixes, release_lock, source_hash

__all__ = ["ArchivedExtensionLoader", "add_archive", "spec_of"]

#: identity → the name by which the dynamic loader knows the file; another interpreter of this process has its
#: own, and finds what is loaded in /proc/self/maps
LOADED = {}
SUFFIXES = tuple(extension_suffixes())

#: of memfd_create(2), from Linux 6.3 on: the file cannot be executed, which mapping it does not need, and
#: which vm.memfd_noexec=2 demands
NOEXEC_SEAL = 8
INVALID = 22

#: how long a name for people may be: memfd_create(2) takes 249 bytes for all, and a sign is up to 4
READABLE = 52

#: what the dynamic loader says when the file itself is the trouble, and not what is in it (SELinux, noexec)
REFUSALS = ("failed to map segment", "cannot open shared object file", "Operation not permitted")

#: no library has such a function; that it is missed shows that the library was loaded
NO_MODULE = "zipstrap_no_module"

CURE = "set ZIPSTRAP_EXTENSION_CACHE to a folder that only you can write to"


class ArchivedExtensionLoader(ExtensionFileLoader):
    """Load one extension module; *read(path)* gives the bytes of its archive's files, or None."""

    def __init__(self, name, path, archive, member, read):
        ExtensionFileLoader.__init__(self, name, path)
        self.archive = archive
        self.member = member
        self.read = read

    def create_module(self, spec):
        """Load the shared object, and return its module."""
        data = self.read(self.path)
        if data is None:
            raise ImportError("zipstrap: %s is not there" % self.shown, name=self.name, path=self.path)
        try:
            problem = problem_of(self.path, data)
            if problem:
                raise Refused("%s %s" % (self.shown, problem))
            load_libraries(self.path, data, self.read)
            module = load(spec, self.path, data)
        except Refused as refused:
            raise ImportError("zipstrap: %s" % refused, name=self.name, path=self.path) from None
        _verbose_message("extension module {!r} loaded from {!r}", spec.name, self.shown)
        return module

    def exec_module(self, module):
        """Run the module's own initialization, if it has one."""
        _call_with_frames_removed(exec_dynamic, module)
        _verbose_message("extension module {!r} executed from {!r}", self.name, self.shown)

    @property
    def shown(self):
        """The place in the archive, as messages name it."""
        return "%s/%s" % (self.archive, self.member)

    def get_data(self, path):
        """Return the bytes of a file by its path."""
        data = self.read(path)
        return ExtensionFileLoader.get_data(self, path) if data is None else data

    def __repr__(self):  # in the log of -v, which verify reads
        return '<ArchivedExtensionLoader (ExtensionFileLoader) object "%s">' % self.shown

    def __reduce__(self):
        # as the loader that the module has unpacked
        return ExtensionFileLoader, (self.name, self.path)


class Refused(Exception):
    """Why something is not loaded: an ImportError of the module that asked for it."""


def spec_of(fullname, path, archive, member, read, is_package=False):
    """Return the spec of an extension module in an archive."""
    loader = ArchivedExtensionLoader(fullname, path, archive, member, read)
    spec = ModuleSpec(fullname, loader, origin=path, is_package=is_package)
    spec._set_fileattr = True
    if is_package:
        spec.submodule_search_locations = [path.rpartition("/")[0]]
    return spec


# ---- one shared object -----------------------------------------------------------------------------------


def load(spec, path, data):
    """Return the module of the shared object *data*; NO_MODULE as the spec's name loads a library only."""
    identity = hash_of(path.encode("utf-8", "surrogateescape")) + hash_of(data)
    place = LOADED.get(identity) or mapped(identity)
    if place:
        module = create(spec, place, path)
    elif posix.environ.get(b"ZIPSTRAP_EXTENSION_CACHE") and not sys.flags.ignore_environment:
        return from_folder(spec, path, data)
    else:
        try:
            descriptor = in_memory("%s:%s" % (path.rpartition("/")[2][:READABLE], identity), data)
        except (AttributeError, OSError):  # no such call, or a forbidden one
            return from_folder(spec, path, data)
        place = name_of(identity, descriptor)
        keep = not IS_GLIBC
        try:
            if posix.stat(place)[1:3] != posix.fstat(descriptor)[1:3]:
                raise OSError
            module = create(spec, place, path)
        except OSError:  # no /proc
            keep = False
            return from_folder(spec, path, data)
        except ImportError as error:
            keep = False
            if not str(error).startswith(place) or not any(text in str(error) for text in REFUSALS):
                raise
            return from_folder(spec, path, data)
        finally:
            # glibc knows a file by the name it was opened by, and does not open that again; others do
            if not keep:
                posix.close(descriptor)
    LOADED[identity] = place
    return module


def create(spec, place, path):
    """Let CPython open *place*; the module, and what is said of it, get the name *path*."""
    own = ModuleSpec(spec.name, spec.loader, origin=place)
    own._set_fileattr = True
    own.submodule_search_locations = spec.submodule_search_locations
    try:
        module = _call_with_frames_removed(create_dynamic, own)
    except ImportError as error:
        if error.path == place:
            error.path = path
        raise
    # a module of one phase gets it from CPython, one of Cython's takes it from the spec
    if getattr(module, "__file__", None) == place:
        module.__file__ = path
    return module


def in_memory(label, data):
    """Return the descriptor of a file in memory that holds *data*; its name ends with that number."""
    descriptor = memory_file(label)
    try:
        named = memory_file("%s:%d" % (label, descriptor))
        try:
            posix.dup2(named, descriptor, False)
        finally:
            posix.close(named)
        write(descriptor, data)
    except BaseException:
        posix.close(descriptor)
        raise
    return descriptor


def memory_file(name):
    """Return the descriptor of a new file in memory."""
    try:
        return posix.memfd_create(name, posix.MFD_CLOEXEC | NOEXEC_SEAL)
    except OSError as error:
        if error.errno != INVALID:
            raise
    return posix.memfd_create(name, posix.MFD_CLOEXEC)


def name_of(identity, descriptor):
    """Return a name of an open file that nobody else uses: its slashes and dots spell the identity.

    The dynamic loader takes a file of a known name for the known one, and numbers are used again.
    """
    bits = int(identity[:8] + identity[16:24], 16)
    steps = "".join(["/." if bits >> place & 1 else "/" for place in range(64)])
    return "/proc/self/fd%s/%d" % (steps, descriptor)


def mapped(identity):
    """Return the name by which another interpreter of this process has loaded a file; None if it has not."""
    try:
        text = read_file("/proc/self/maps")
    except OSError:
        return None
    mark = (":%s:" % identity).encode()
    start = text.find(mark) + len(mark)
    number = text[start : text.find(b" ", start)]
    return name_of(identity, int(number)) if start >= len(mark) and number.isdigit() else None


def hash_of(data, key=0x7A69707374726170):
    """Return 16 hexadecimal digits: of SipHash, which is always there. What matters is compared whole."""
    return source_hash(key, data).hex()


def is_glibc():
    """Tell whether the dynamic loader is glibc's."""
    try:
        return posix.confstr("CS_GNU_LIBC_VERSION") is not None
    except (AttributeError, OSError, ValueError):
        return False


IS_GLIBC = is_glibc()


def write(descriptor, data):
    """Write all of *data*."""
    view = memoryview(data)
    while view:
        view = view[posix.write(descriptor, view) :]


def read_all(descriptor):
    """Return what can be read of an open file."""
    pieces = []
    while True:
        piece = posix.read(descriptor, 1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def read_file(path):
    """Return the content of a file."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return read_all(descriptor)
    finally:
        posix.close(descriptor)


# ---- what is no extension module of this interpreter -----------------------------------------------------


def problem_of(path, data):
    """Return why the file cannot be loaded, None if nothing speaks against it."""
    name = path.rpartition("/")[2]
    if not name.endswith(SUFFIXES) or (name.count(".") > 1 and not has_own_suffix(name)):
        return "is for another Python: this one loads %s" % " and ".join(SUFFIXES)
    return file_problem(data) if sys.platform == "linux" else None


def file_problem(data):
    """Return why a shared object cannot be loaded into this process; None if nothing speaks against it."""
    if data[:4] != b"\x7fELF" or len(data) < 64:
        return "is no shared object: it does not begin as an ELF file does"
    own = own_machine()
    if own and (data[4:6], data[18:20]) != own:
        return "is for another machine (%s; this interpreter is %s)" % (
            machine_text((data[4:6], data[18:20])),
            machine_text(own),
        )
    # the dynamic loader maps what is not there, and the process dies (SIGBUS)
    if any(place + length > len(data) for _, place, _, length in segments(data)):
        return "is cut off: it has %d bytes, and its segments more" % len(data)
    return None


def has_own_suffix(name):
    """Tell whether what follows the first dot is a suffix of this interpreter."""
    return name[name.index(".") :] in SUFFIXES


def own_machine():
    """Return word size, byte order and machine of the running interpreter; None if it is not known."""
    for path in ("/proc/self/exe", sys.executable):
        try:
            head = read_head(path)
        except (OSError, TypeError, ValueError):
            continue
        if head[:4] == b"\x7fELF":
            return head[4:6], head[18:20]
    return None


def read_head(path):
    """Return the first bytes of a file."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(descriptor, 64)
    finally:
        posix.close(descriptor)


def machine_text(machine):
    """Return word size, byte order and number of a machine, as people read it."""
    (bits, order), number = machine
    order = {1: "little", 2: "big"}.get(order, "no")
    return "%s bits, %s-endian, ELF machine %d" % (
        {1: "32", 2: "64"}.get(bits, "no"),
        order,
        int.from_bytes(number, "big" if order == "big" else "little"),
    )


# ---- shared libraries beside it --------------------------------------------------------------------------


def load_libraries(path, data, read):
    """Load the shared libraries that the file at *path* finds by a run path with $ORIGIN.

    The dynamic loader cannot: in memory there is nothing beside the file. It looks at the names of what is
    loaded (DT_SONAME) before it looks for files.
    """
    acquire_lock()  # that two threads do not load one library twice; no Python code runs in between
    try:
        open_libraries(path, data, read, set())
    finally:
        release_lock()


def open_libraries(path, data, read, seen, inherited=()):
    """Load what the file *data* needs, and what that needs first.

    *inherited* are the folders of those that need the file: glibc looks there too, if their run paths are of
    the kind DT_RPATH and the file has none of the kind DT_RUNPATH (elf/dl-load.c, _dl_map_object).
    """
    try:
        needed, rpath, runpath = linked(data)
    except (IndexError, ValueError):
        return  # not sound; who opens it says so
    if not runpath:
        inherited = (*folders_of(path, rpath), *inherited)
    folders = folders_of(path, runpath) if runpath else inherited
    for name in needed:
        for folder in folders:
            place = folder + "/" + name
            if place in seen:
                break
            content = read(place)
            if content is not None:
                seen.add(place)
                open_libraries(place, content, read, seen, inherited)
                open_library(place, content)
                break
            if posix.access(place, posix.F_OK):
                seen.add(place)
                open_library(place, None)
                break


def folders_of(path, elements):
    """Return the folders that elements of a run path with $ORIGIN are, for a file at *path*."""
    own = path.rpartition("/")[0]
    return tuple(
        [
            normal(element.replace("${ORIGIN}", own).replace("$ORIGIN", own))
            for element in elements
            if "ORIGIN" in element
        ]
    )


def open_library(place, content):
    """Load a shared library that is no module: of the content, or the file where that is None."""
    spec = ModuleSpec(NO_MODULE, None, origin=place)
    problem = None if content is None else file_problem(content)
    if problem:
        raise Refused("the shared library %s %s" % (place, problem))
    try:
        if content is None:
            create_dynamic(spec)
        else:
            load(spec, place, content)
    except ImportError as error:
        if "PyInit_" + NO_MODULE not in str(error):
            raise Refused("the shared library %s cannot be loaded: %s" % (place, error)) from None


def segments(data):
    """Yield kind, place, address and length in the file of each segment (System V gABI, "Program Header")."""
    number = reader_of(data)
    wide = data[4] == 2
    word = 8 if wide else 4
    first, size = number(32 if wide else 28, word), number(54 if wide else 42, 2)
    place, address, length = (8, 16, 32) if wide else (4, 8, 16)
    for at in range(first, first + size * number(56 if wide else 44, 2), size or 1):
        yield number(at, 4), number(at + place, word), number(at + address, word), number(at + length, word)


def reader_of(data):
    """Return what reads a whole number of an ELF file by its place and size."""
    order = "little" if data[5] == 1 else "big"
    return lambda at, size: int.from_bytes(data[at : at + size], order)


def linked(data):
    """Return the names of the libraries that an ELF file needs (DT_NEEDED), and its run paths.

    These are the elements of DT_RPATH and those of DT_RUNPATH. See the System V gABI, "Dynamic Section".
    """
    if data[:4] != b"\x7fELF":
        return [], [], []
    number = reader_of(data)
    word = 8 if data[4] == 2 else 4
    parts = list(segments(data))
    tags = {}
    for kind, place, _, length in parts:
        for at in range(place, min(place + length, len(data)), 2 * word) if kind == 2 else ():
            if not number(at, word):
                break
            tags.setdefault(number(at, word), []).append(number(at + word, word))
    strings = 0
    for kind, place, address, length in parts:
        if kind == 1 and 5 in tags and address <= tags[5][0] < address + length:
            strings = place + tags[5][0] - address

    def text(value):
        return data[strings + value : data.index(b"\0", strings + value)].decode("utf-8", "surrogateescape")

    def run_path(tag):
        return [element for value in tags.get(tag, []) for element in text(value).split(":")]

    return [text(value) for value in tags.get(1, [])], run_path(15), run_path(29)


def normal(path):
    """Return *path* without dots and doubled slashes."""
    parts = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


# ---- a private folder ------------------------------------------------------------------------------------


def from_folder(spec, path, data):
    """Return the module of *data*, from a file in the user's own folder."""
    folder, descriptor = private_folder()
    try:
        stem = path.rpartition("/")[2].partition(".")[0][:READABLE]
        name = "%s-%s%s.so" % (stem, hash_of(data), hash_of(data, 1))
        if not is_whole(folder, descriptor, name, data):
            put(folder, descriptor, name, data)
            if not is_whole(folder, descriptor, name, data):
                raise Refused("%s/%s went away as it was made; try again" % (folder, name))
    finally:
        posix.close(descriptor)
    place = "%s/%s" % (folder, name)
    try:
        return create(spec, place, path)
    except ImportError as error:
        if str(error).startswith(place) and any(text in str(error) for text in REFUSALS):
            raise Refused(
                "%s (its file system may allow no mapping of code); set ZIPSTRAP_EXTENSION_CACHE to a folder "
                "on another one" % error
            ) from None
        raise


def private_folder():
    """Return the folder's path and its descriptor; Refused if anybody else could change what is in it."""
    place, base = cache_place()
    if not base:
        raise Refused("there is no folder to put extension modules into, for HOME is not set; " + CURE)
    base = resolved(base)
    try:
        make_folders(base)
    except OSError as error:
        raise Refused("%s cannot be made (%s); %s" % (base, error.strerror, CURE)) from None
    for folder in ancestors(base):
        status = posix.stat(folder)
        if status.st_uid not in (0, posix.geteuid()):
            raise Refused(
                "%s, on the way to %s, is owned by user %d; %s" % (folder, place, status.st_uid, CURE)
            )
        others = status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != posix.getegid())
        if others and not status.st_mode & 0o1000:
            raise Refused(
                "%s, on the way to %s, can be written by others (mode %o); %s"
                % (folder, place, status.st_mode & 0o7777, CURE)
            )
    path = "%s/%s" % (base.rstrip("/"), place.rstrip("/").rpartition("/")[2])
    try:
        try:
            posix.mkdir(path, 0o700)
        except FileExistsError:
            pass
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    except OSError as error:
        what = "is a symbolic link" if is_link(path) else "cannot be used (%s)" % error.strerror
        raise Refused("%s %s; %s" % (path, what, CURE)) from None
    status = posix.fstat(descriptor)
    problem = None
    if status.st_uid != posix.geteuid():
        problem = "is owned by user %d, not by %d, who runs this" % (status.st_uid, posix.geteuid())
    elif status.st_mode & 0o077:
        problem = "can be reached by others (mode %o, not 700)" % (status.st_mode & 0o7777)
    if problem:
        posix.close(descriptor)
        raise Refused("%s %s; %s" % (path, problem, CURE))
    return path, descriptor


def cache_place():
    """Return the folder's path, and the folder that it is in; an empty one if it is not known."""

    def variable(name):
        return posix.environ.get(name, b"").decode("utf-8", "surrogateescape")

    given = "" if sys.flags.ignore_environment else variable(b"ZIPSTRAP_EXTENSION_CACHE")
    if given:
        given = (given if given[:1] == "/" else "%s/%s" % (posix.getcwd(), given)).rstrip("/")
        return given, given.rpartition("/")[0] or "/"
    base = variable(b"XDG_CACHE_HOME")
    if base[:1] != "/":
        home = variable(b"HOME")
        if home[:1] != "/":
            try:
                from pwd import getpwuid

                home = getpwuid(posix.geteuid()).pw_dir
            except (ImportError, KeyError):
                home = ""
        base = home + "/.cache" if home[:1] == "/" else ""
    return base + "/zipstrap-extensions", base


def resolved(path):
    """Return *path* without symbolic links, as far as it is there."""
    done, left, links = "", path.split("/"), 0
    while left:
        part = left.pop(0)
        if part == "..":
            done = done.rpartition("/")[0]
        if part in ("", ".", ".."):
            continue
        try:
            link = posix.readlink(done + "/" + part)
        except OSError:
            done = done + "/" + part
            continue
        links += 1
        if links > 40:
            raise Refused("%s leads in a circle; %s" % (path, CURE))
        left = link.split("/") + left
        if link[:1] == "/":
            done = ""
    return done or "/"


def ancestors(path):
    """Return *path* and the folders above it."""
    found = [path]
    while path not in ("", "/"):
        path = path.rpartition("/")[0]
        found.append(path or "/")
    return found


def make_folders(path):
    """Make what is missing of *path*, for the user alone."""
    for folder in reversed(ancestors(path)):
        if not posix.access(folder, posix.F_OK):
            try:
                posix.mkdir(folder, 0o700)
            except FileExistsError:
                pass


def is_link(path):
    """Tell whether *path* is a symbolic link."""
    try:
        posix.readlink(path)
    except OSError:
        return False
    return True


def is_whole(folder, descriptor, name, data):
    """Tell whether the file is there; Refused if it is not the user's own, or holds anything but *data*."""
    path = "%s/%s" % (folder, name)
    try:
        file = posix.open(
            name,
            posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_NONBLOCK,
            dir_fd=descriptor,
        )
    except FileNotFoundError:
        return False
    except OSError as error:
        what = "is a symbolic link" if is_link(path) else "cannot be read (%s)" % error.strerror
        raise Refused("%s %s; remove it" % (path, what)) from None
    try:
        status = posix.fstat(file)
        if status.st_mode & 0o170000 != 0o100000:
            problem = "is no plain file"
        elif status.st_uid != posix.geteuid():
            problem = "is owned by user %d" % status.st_uid
        elif status.st_mode & 0o022:
            problem = "can be written by others (mode %o)" % (status.st_mode & 0o7777)
        elif status.st_size != len(data) or read_all(file) != data:
            problem = "is not what the archive holds"
        else:
            return True
    finally:
        posix.close(file)
    raise Refused("%s %s; remove it" % (path, problem))


def put(folder, descriptor, name, data):
    """Write a file so that it is there whole or not at all; who comes second replaces it by its like."""
    part = ".%s.%s" % (name, posix.urandom(8).hex())
    try:
        file = posix.open(
            part,
            posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC,
            0o500,
            dir_fd=descriptor,
        )
        try:
            write(file, data)
            posix.rename(part, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        except BaseException:
            posix.unlink(part, dir_fd=descriptor)
            raise
        finally:
            posix.close(file)
    except OSError as error:
        raise Refused("%s/%s cannot be written (%s); %s" % (folder, name, error.strerror, CURE)) from None


# ---- archives on sys.path --------------------------------------------------------------------------------


class Archive:
    """The extension modules of an archive: (folder with a slash, name) → member, and is it a package."""

    def __init__(self, path):
        from zipimport import _zip_directory_cache, zipimporter

        self.path = path
        self.importer = zipimporter(path)
        self.modules = {}
        self.others = {}  # for another Python
        for member in _zip_directory_cache[self.importer.archive]:
            folder, _, file = member.rpartition("/")
            stem, dot, suffix = file.partition(".")
            if suffix.endswith("so") and dot:
                is_package = stem == "__init__" and bool(folder)
                if is_package:
                    folder, _, stem = folder.rpartition("/")
                key = (folder + "/" if folder else "", stem)
                if dot + suffix not in SUFFIXES:
                    self.others[key] = member
                # the first suffix counts, as in a folder
                elif key not in self.modules or self.rank(member) < self.rank(self.modules[key][0]):
                    self.modules[key] = (member, is_package)

    @staticmethod
    def rank(member):
        """Return the place of a member's suffix among the interpreter's."""
        name = member.rpartition("/")[2]
        return SUFFIXES.index(name[name.index(".") :])

    def read(self, path):
        """Return the bytes of a file by its path in the archive; None for another."""
        try:
            return self.importer.get_data(path) if path.startswith(self.path + "/") else None
        except OSError:
            return None


class ArchiveFinder:
    """Find extension modules of the archives that were added, in the order of the path."""

    def __init__(self):
        self.archives = {}
        self.names = set()

    def add(self, path):
        """Take an archive in, or anew."""
        archive = self.archives[path] = Archive(path)
        self.names.update(name for _, name in (*archive.modules, *archive.others))
        return archive

    def find_spec(self, fullname, path=None, target=None):
        """Return the spec of an extension module in one of the archives; None for all else."""
        name = fullname.rpartition(".")[2]
        if name not in self.names:
            return None
        other = None
        for entry in sys.path if path is None else path:
            archive, folder = self.archive_of(entry)
            if archive is not None and (folder, name) in archive.modules:
                member, is_package = archive.modules[folder, name]
                place = "%s/%s" % (archive.path, member)
                return spec_of(fullname, place, archive.path, member, archive.read, is_package)
            spec = PathFinder.find_spec(fullname, [entry], target)
            if spec is not None and spec.loader is not None:
                return spec  # what comes first counts
            if archive is not None and other is None:
                other = archive.others.get((folder, name))
                found_in = archive.path
        if other is not None and PathFinder.find_spec(fullname, path, target) is None:
            raise ModuleNotFoundError(
                "No module named %r: %s/%s is for another Python; this one loads %s"
                % (fullname, found_in, other, " and ".join(SUFFIXES)),
                name=fullname,
            )
        return None

    def archive_of(self, entry):
        """Return the archive that an entry is, or is in, and the folder inside."""
        if isinstance(entry, str):
            for path, archive in self.archives.items():
                if entry == path:
                    return archive, ""
                if entry.startswith(path + "/"):
                    return archive, entry[len(path) + 1 :].rstrip("/") + "/"
        return None, ""

    def invalidate_caches(self):
        """Look at the archives again."""
        for path in list(self.archives):
            try:
                self.add(path)
            except ImportError:  # it is gone
                del self.archives[path]


FINDER = ArchiveFinder()


def add_archive(archive):
    """Let imports find the extension modules in *archive*; return the members that are such.

    Raises ImportError for what is no archive that zipimport reads.
    """
    found = FINDER.archives.get(archive) or FINDER.add(archive)
    if FINDER not in sys.meta_path:
        at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
        sys.meta_path.insert(at, FINDER)
    return sorted(member for member, _ in found.modules.values())
