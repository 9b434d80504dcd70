"""Record what a program imports, and opens of the library, in each process of it.

`zipstrap trace` puts this file into a scratch folder as `sitecustomize.py`, and the folder first on
PYTHONPATH, which processes hand on to their children. Each start takes the folder off `sys.path` again,
begins a file of its own in `records` beside this one, and runs the `sitecustomize` that comes next, as if
this one were not there. A fork goes on in another file.

A line of a record is a Python literal, the tuple of a word and its values:

    ("python", FACTS)                 the interpreter; FACTS is a dict, see `facts`
    ("start", NAME, PLACE)            a module that was there before this file was run
    ("module", NAME, PLACE)           one loaded since; PLACE is a path, "built-in", "frozen" or ""
    ("tried", NAME)                   a module that an import statement asked for
    ("file", PATH)                    a file below the library's folder that was opened
    ("unseen", REASON, [WORD, ...])   an interpreter that was started so that nothing of it is recorded

Lines are written as things happen, each with a file opened for it: what is killed, or ends by `os._exit`, has
told all until then, and a program that closes all descriptors closes none of ours. Everything is learnt from
audit events (PEP 578), which programs do not see, and from `sys.modules`. Only `os` and `sys` are used, which
every start with `site` has loaded: nothing in the record is there because of us. A computed import
(`importlib.import_module`) of what is not there raises no event, so it is not among those tried.

Any Python may be started by a program, so this has to be read by all of them, 2.7 as well; those before 3.8
say no more than which they are.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
RECORDS = os.path.join(FOLDER, "records")
PACKAGES = ("site-packages", "dist-packages")

#: events that start another program: where in their arguments program, words and environment are
STARTS = {"subprocess.Popen": (0, 1, 3), "os.exec": (0, 1, 2), "os.posix_spawn": (0, 1, 2)}

#: options after which a start does not read PYTHONPATH, or runs no sitecustomize
BLIND = {"I": "-I", "E": "-E", "S": "-S"}


def facts():
    """Return what the host needs to know of this interpreter and process."""
    return {
        "implementation": getattr(getattr(sys, "implementation", None), "name", "cpython"),
        "version": tuple(sys.version_info),
        "build": sys.version,
        "executable": sys.executable or "",
        "base_executable": getattr(sys, "_base_executable", "") or "",
        "prefix": getattr(sys, "base_prefix", sys.prefix),
        "library": os.path.dirname(getattr(os, "__file__", "") or ""),
        "pid": os.getpid(),
    }


def place_of(module):
    """Return the name that *module* is imported by, and where it is from; no code of the module is run."""
    try:  # the attributes of a lazy module, or of something else in sys.modules, may be computed
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
        name, origin = spec.name, spec.origin
    except Exception:
        return None, ""
    return (name if type(name) is str else None), (origin if type(origin) is str else "")


class Recorder(object):
    """Writes what happens in this process, and in its forks."""

    def __init__(self):
        self.pid = 0
        self.path = ""
        self.waiting = []
        #: what is written already
        self.known = set()
        #: keys of sys.modules that were looked at
        self.looked_at = set()
        self.main = None
        library = facts()["library"]
        # a start may spell the library's folder over links
        self.roots = tuple({library + os.sep, os.path.realpath(library) + os.sep}) if library else ()

    def write(self, *values, **how):
        """Write a line, unless this process or those it was forked from have written it."""
        line = (ascii if sys.version_info >= (3,) else repr)(values)
        if line in self.known:
            return
        self.known.add(line)
        if self.pid != os.getpid():  # at first, and after each fork
            self.pid = os.getpid()
            token = "".join("%02x" % number for number in bytearray(os.urandom(6)))
            self.path = os.path.join(RECORDS, "%d-%s" % (self.pid, token))
            self.waiting = [repr(("python", facts()))]
        self.waiting.append(line)
        if how.get("now", True):
            self.flush()

    def flush(self):
        """Write what waits; where that cannot be done now, it goes on waiting."""
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except (OSError, IOError):
            return
        lines, self.waiting = self.waiting, []
        try:
            os.write(file, ("\n".join(lines) + "\n").encode("ascii", "backslashreplace"))
        except (OSError, IOError):
            self.waiting = lines + self.waiting
        finally:
            os.close(file)

    def begin(self):
        """Write what is there before the program, with one call."""
        for key, module in list(sys.modules.items()):
            name, place = place_of(module)
            if place.startswith(FOLDER):
                continue  # another of this name may come
            self.looked_at.add(key)
            if name is not None and key != "__main__":
                self.write("start", name, place, now=False)
        self.flush()

    def look(self):
        """Write which modules are new."""
        modules = sys.modules
        main = modules.get("__main__")
        if main is not None:
            name, place = place_of(main)
            if (name, place) != self.main:  # -m, and runpy
                self.main = name, place
                if name not in (None, "__main__"):
                    self.write("module", name, place)
        try:
            if next(reversed(modules)) in self.looked_at and len(modules) <= len(self.looked_at):
                return
        except (TypeError, RuntimeError, StopIteration):
            pass
        for key in modules.keys() - self.looked_at:
            self.looked_at.add(key)
            name, place = place_of(modules.get(key))
            if name is not None:
                self.write("module", name, place)

    def on_open(self, path):
        """Write that a file of the library was opened; not the bytecode, nor what is installed beside it."""
        if type(path) is bytes:
            path = os.fsdecode(path)
        if type(path) is not str or path.startswith(FOLDER):
            return
        if not os.path.isabs(path) or os.pardir in path:
            path = os.path.abspath(path)
        for root in self.roots:
            if path.startswith(root):
                inner = path[len(root) :]
                if inner.partition(os.sep)[0] not in PACKAGES and "__pycache__" not in inner:
                    self.write("file", path)
                return

    def on_start(self, program, words, environment):
        """Write that an interpreter is started of which nothing will be recorded."""
        if isinstance(words, (str, bytes)) or words is None:
            words = [words or program]  # the text is a shell's, or the program's own name
        words = [os.fsdecode(word) for word in words]
        program = os.fsdecode(program or words[0])
        folder, name = os.path.split(program)
        is_python = name.startswith(("python", "pypy"))
        if not is_python and (not folder or folder != os.path.dirname(sys.executable)):
            return
        reason = blind_option(words) if is_python else None
        if reason is None:
            variables = dict(os.environ if environment is None else environment)
            paths = variables.get("PYTHONPATH") or variables.get(b"PYTHONPATH") or ""
            if FOLDER not in os.fsdecode(paths):
                reason = "its environment has another PYTHONPATH"
        if reason is not None:
            self.write("unseen", reason, [word[:200] for word in [program] + words[1:6]])

    def hook(self, event, arguments):
        """Take in an audit event; what goes wrong here is not the program's."""
        try:
            if event == "open":
                self.on_open(arguments[0])
            elif event == "exec":
                self.look()
            elif event == "import":
                self.look()
                name, place = arguments[:2]
                if place:
                    self.write("module", name, os.fsdecode(place))
                else:
                    self.write("tried", name)
            elif event in STARTS:
                self.look()
                self.on_start(*[arguments[place] for place in STARTS[event]])
        except Exception:
            pass


def blind_option(words):
    """Return the first option of an interpreter's command line that keeps a sitecustomize from running."""
    has_value = False
    for word in words[1:]:
        if has_value:
            has_value = False
            continue
        if not word.startswith("-") or word.startswith("--") or word == "-":
            return None
        for at, letter in enumerate(word[1:], 2):
            if letter in BLIND:
                return BLIND[letter]
            if letter in "cm":
                return None
            if letter in "XW":
                has_value = at == len(word)
                break
    return None


def start():
    """Begin to record."""
    recorder = Recorder()
    recorder.begin()
    if sys.version_info >= (3, 8):
        sys.addaudithook(recorder.hook)


def chain():
    """Take our folder off `sys.path`, and run the next sitecustomize; its errors are site's to handle."""
    sys.path[:] = [path for path in sys.path if path != FOLDER]
    sys.path_importer_cache.pop(FOLDER, None)
    sys.modules.pop("sitecustomize", None)
    __import__("sitecustomize")


if __name__ == "sitecustomize":  # and not where tests import it
    try:
        start()
    except Exception:
        pass
    chain()
