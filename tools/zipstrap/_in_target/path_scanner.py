"""Say where sources use the paths of modules, and what becomes of these; nothing is imported or run.

Runs in the target, because only the target's own parser surely knows the target's syntax.

    argv    JOB_FILE ANSWER_FILE
    job     {"files": [[KEY, PATH, MODULE, IS_PACKAGE], ...]}
    answer  {"worker": "path_scanner", "schema": 1,
             "found":    {KEY: [[LINE, SCOPE, KIND, ORIGIN, TEXT, IN_MAIN], ...], ...},
             "unparsed": {KEY: REASON, ...}}

Run with -I -S -B. Exit status 64, with "unsupported" in the answer, says that this interpreter is not one
that zipstrap packs.

"found" has the files with something to tell. KEY is free, and names the file in the answer. SCOPE is the
qualified name of the function or class, "" for the module. TEXT is the line as it stands. IN_MAIN: under
`if __name__ == "__main__"`. ORIGIN is, for what is done with a path, the kind of the use that it comes from.
A path is followed through assignments, attributes of self, parameters and returned values of functions of
the same module, and names that another module imports; it is assumed to go through every call, except of
what answers no path. Order within a function is not looked at.

Uses (a path is asked for):

    __file__      the module's own      module file   another module's __file__     __cached__
    __path__      also of others, and submodule_search_locations
    origin        of a module's spec    source file   inspect.getfile and its like
    library path  sys._stdlib_dir, sysconfig.get_path("stdlib"), get_makefile_filename() and its like
    prefix        sys.prefix and its like, where something is joined to it

What is done with a path (ORIGIN may then also be prefix, sys.path for its entries, co_filename):

    opens  reads or copies a file       lists  a folder        checks  that there is something
    runs   in another process           loads  code from it, ctypes' libraries among it
    path entry  puts it on sys.path or a package's __path__

Others:

    ctypes         a library by a relative path                   runs python  sys.executable in a command
    co_filename    compared with something                        linecache    asked without module_globals
    loader         compared with the loaders of files             zipimport    its internals
    imp            finding and loading by the old module
    pkg_resources  imported; ORIGIN "optional" in a try
"""

from __future__ import annotations

import json
import re
import sys
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is not worth its time in the target
    from typing import Any, Callable, Iterable, Sequence

WORKER = "path_scanner"
SCHEMA = 1
UNSUPPORTED_STATUS = 64

#: PyCF_ONLY_AST of Include/cpython/compile.h, as ast.PyCF_ONLY_AST; importing ast costs more than a parse.
ONLY_AST = 0x400

#: Without one of these a source needs no parsing.
TRIGGER = re.compile(
    rb"__file__|__path__|__cached__|\.origin\b|submodule_search_locations|\b(?:Source|Inspect|Execution)Loader\b"
    rb"|\bget(?:source|abs)?file\b|\b_stdlib_dir\b|\bget_path|\bget_python_lib\b|\bget_makefile_filename\b"
    rb"|\bget_config_h_filename\b|\bsys\.(?:base_)?(?:exec_)?prefix\b|\bsys\.path\b|\bpkg_resources\b|_zip_directory_cache"
    rb"|\bco_filename\b|\blinecache\b|\bSource(?:less)?FileLoader\b|\bExtensionFileLoader\b|\bFileFinder\b"
    rb"|\bzipimporter\b|\bfind_module\b|\bload_(?:source|compiled|dynamic|module|package)\b|sys\.executable"
    rb"|\bCDLL\b|\bPyDLL\b|\bLoadLibrary\b|\bfrom sys import"
)

#: Uses that are reported wherever they stand; the others only with what is done with them.
LOUD = ("__file__", "module file", "__cached__", "__path__", "origin", "source file", "library path")

PREFIXES = ("sys.prefix", "sys.base_prefix", "sys.exec_prefix", "sys.base_exec_prefix")

#: What an attribute, or a key of a module's globals, holds.
ATTRIBUTES = {
    "__file__": "module file",
    "__path__": "__path__",
    "__cached__": "__cached__",
    "submodule_search_locations": "__path__",
}

GETFILE = ("inspect.getfile", "inspect.getsourcefile", "inspect.getabsfile")
LIBRARY_CALLS = (
    "sysconfig.get_path",
    "sysconfig.get_paths",
    "sysconfig.get_makefile_filename",
    "sysconfig.get_config_h_filename",
    "sysconfig.get_python_lib",
    "distutils.sysconfig.get_python_lib",
    "distutils.sysconfig.get_makefile_filename",
    "distutils.sysconfig.get_config_h_filename",
)

FILE_LOADERS = (
    "SourceLoader",
    "InspectLoader",
    "ExecutionLoader",
    "SourceFileLoader",
    "SourcelessFileLoader",
    "ExtensionFileLoader",
    "FileLoader",
    "FileFinder",
    "zipimporter",
)

IMP = ("find_module", "load_source", "load_compiled", "load_dynamic", "load_module", "load_package")


def _names(module: str, names: str) -> list[str]:
    return [module + "." + name for name in names.split()]


#: What is done by a function of a known name, with its first arguments or any other.
SINKS: dict[str, str] = {}
for _kind, _calls in (
    (
        "opens",
        [
            "open",
            "execfile",
            *_names("io", "open open_code FileIO"),
            *_names("_io", "open open_code FileIO"),
            *_names("os", "open readlink remove unlink rename replace link symlink chmod utime"),
            *_names("codecs", "open"),
            *_names("tokenize", "open"),
            *_names("shutil", "copy copy2 copyfile copytree copymode copystat move rmtree"),
            *_names("zipfile", "ZipFile PyZipFile"),
            *_names("tarfile", "open TarFile"),
            *_names("mmap", "mmap"),
            *_names("fileinput", "input FileInput"),
            *_names("py_compile", "compile"),
            *_names("sqlite3", "connect"),
            *_names("pyclbr", "readmodule"),
        ],
    ),
    (
        "lists",
        [
            *_names("os", "listdir walk scandir fwalk"),
            *_names("glob", "glob iglob"),
            *_names("compileall", "compile_dir"),
            *_names("filecmp", "dircmp"),
        ],
    ),
    (
        "checks",
        [
            *_names("os.path", "exists lexists isfile isdir islink getmtime getsize samefile"),
            *_names("os", "stat lstat access"),
        ],
    ),
    (
        "runs",
        [
            *_names("subprocess", "run Popen call check_call check_output getoutput getstatusoutput"),
            *_names("os", "system popen execv execve execl execle execlp execvp execvpe"),
            *_names("os", "spawnv spawnve spawnl"),
            *_names("os", "posix_spawn posix_spawnp startfile"),
            *_names("asyncio", "create_subprocess_exec create_subprocess_shell"),
            *_names("webbrowser", "open"),
        ],
    ),
    (
        "loads",
        [
            *_names("importlib.util", "spec_from_file_location"),
            *_names("importlib.machinery", "SourceFileLoader SourcelessFileLoader ExtensionFileLoader"),
            *_names("importlib.machinery", "FileFinder"),
            *_names("importlib.abc", "FileLoader"),
            *_names("imp", "load_source load_compiled load_dynamic find_module"),
            *_names("runpy", "run_path"),
            *_names("ctypes", "CDLL PyDLL WinDLL OleDLL cdll.LoadLibrary windll.LoadLibrary"),
            *_names("os", "add_dll_directory"),
        ],
    ),
    ("path entry", [*_names("sys.path", "append insert extend"), *_names("site", "addsitedir addpackage")]),
):
    for _call in _calls:
        SINKS[_call] = _kind

#: What is done by a method, on an object that is a path.
PATH_METHODS = {
    "open": "opens",
    "read_text": "opens",
    "read_bytes": "opens",
    "write_text": "opens",
    "write_bytes": "opens",
    "unlink": "opens",
    "iterdir": "lists",
    "glob": "lists",
    "rglob": "lists",
    "walk": "lists",
    "exists": "checks",
    "is_file": "checks",
    "is_dir": "checks",
    "stat": "checks",
    "lstat": "checks",
}

#: What is done by a function or method of a telling name, whoever has it, when a path is among its arguments.
NAMED = {
    "open": "opens",
    "read_file": "opens",
    "readmodule": "opens",
    "read": "opens",
    "PhotoImage": "opens",
    "BitmapImage": "opens",
    "iconbitmap": "opens",
    "load_verify_locations": "opens",
    "load_cert_chain": "opens",
    "from_file": "opens",
    "from_pyfile": "opens",
    "FileSystemLoader": "opens",
    "StaticFiles": "opens",
    "send_from_directory": "opens",
    "copyfile": "opens",
    "copy_file": "opens",
    "copy_tree": "opens",
    "fileConfig": "opens",
    "listdir": "lists",
    "exists": "checks",
    "isfile": "checks",
    "isdir": "checks",
    "_path_isfile": "checks",
    "_path_isdir": "checks",
    "_path_stat": "checks",
    "LoadLibrary": "loads",
    "spec_from_file_location": "loads",
    "run_path": "loads",
}

#: What a code's file name, which is compared with others at many places, is followed through.
PATH_CALLS = ("abspath", "realpath", "normcase", "normpath", "dirname", "join", "canonic", "Path")

#: Calls whose answer is no path, whatever they are given.
NO_PATH = (
    "isinstance issubclass hasattr callable len bool int print repr id type hash vars dir super compile exec "
    "eval any all sum startswith endswith find rfind index count is_absolute isabs match search fullmatch "
    "relative_to is_relative_to format_exc import_module __import__ warn getmodulename "
    "getdoc getsource getsourcelines getcomments getmodule ValueError OSError ImportError RuntimeError "
    "TypeError SyntaxError SystemExit FileNotFoundError KeyError error debug info warning"
).split()


def main(argv: Sequence[str]) -> int:
    """Read the job, write the answer, return the exit status."""
    job_file, answer_file = argv
    answer: dict[str, Any] = {"worker": WORKER, "schema": SCHEMA}
    name = unsupported()
    if name:
        answer["unsupported"] = name
    else:
        with open(job_file, encoding="utf-8") as file:
            answer.update(scan(json.load(file)["files"]))
    with open(answer_file, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    return UNSUPPORTED_STATUS if name else 0


def unsupported() -> str:
    """Return what this interpreter is called if it is no CPython 3.8 or later, else an empty text."""
    if sys.implementation.name != "cpython" or sys.version_info < (3, 8):
        return "%s %d.%d" % ((sys.implementation.name,) + sys.version_info[:2])
    return ""


def scan(files: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """Return the two tables of the answer."""
    found: dict[str, list[list[Any]]] = {}
    unparsed: dict[str, str] = {}
    exported: dict[str, dict[str, str]] = {}
    later = []
    for key, path, module, is_package in files:
        source = _read(key, path, unparsed)
        if source is None:
            continue
        if TRIGGER.search(source) is None:
            later.append((key, path, module, is_package))
            continue
        entries, exports = _scan_one(source, key, path, module, is_package, {}, unparsed)
        if exports and module:
            exported[module] = exports
        if entries:
            found[key] = entries
        later.append((key, path, module, is_package))
    # a second round for those that may import a path from another module
    patterns = {
        name: re.compile(
            rb"\b(?:" + b"|".join(re.escape(each.rstrip("()")).encode() for each in exports) + rb")\b"
        )
        for name, exports in exported.items()
    }
    for key, path, module, is_package in later:
        source = _read(key, path, unparsed) if key not in unparsed and exported else None
        if source is None:
            continue
        others = {
            name: exports
            for name, exports in exported.items()
            if name != module
            # a package is not named by the modules inside it that import from it
            and (name.rpartition(".")[2].encode() in source or module.startswith(name + "."))
            and patterns[name].search(source) is not None
        }
        if others:
            entries, _ = _scan_one(source, key, path, module, is_package, others, unparsed)
            if entries:
                found[key] = entries
    return {"found": found, "unparsed": unparsed}


def _read(key: str, path: str, unparsed: dict[str, str]) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        unparsed[key] = "%s: %s" % (type(error).__name__, error)
        return None


def _scan_one(
    source: bytes,
    key: str,
    path: str,
    module: str,
    is_package: bool,
    exported: dict[str, dict[str, str]],
    unparsed: dict[str, str],
) -> tuple[list[list[Any]], dict[str, str]]:
    try:
        return find_uses(source, module, is_package, path, exported)
    except Exception as error:  # SyntaxError, ValueError (null bytes), RecursionError, ...
        unparsed[key] = "%s: %s" % (type(error).__name__, error)
        return [], {}


def find_uses(
    source: bytes,
    module: str = "",
    is_package: bool = False,
    path: str = "<source>",
    exported: dict[str, dict[str, str]] | None = None,
) -> tuple[list[list[Any]], dict[str, str]]:
    """Return the uses in *source* in the order of the text, and the names of the module that are paths.

    *exported* holds the names that are paths in other modules.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and their like are not our business
        tree = compile(source, path, "exec", ONLY_AST, True)
    package = module if is_package else module.rpartition(".")[0]
    finder = Finder(package, exported or {})
    for _ in range(8):  # until nothing more becomes known; what is found by then is right as far as it goes
        finder.changed = False
        finder.found = set()
        finder.block(tree.body)
        if not finder.changed:
            break
    lines = source.decode("utf-8", "replace").splitlines()
    entries = [
        [line, scope, kind, origin, lines[line - 1].strip()[:160] if line <= len(lines) else "", in_main]
        for line, scope, kind, origin, in_main in sorted(finder.found)
    ]
    exports = {
        name: kind for name, kind in finder.top.known.items() if kind in LOUD and not name.startswith("__")
    }
    return entries, exports


class Scope:
    """The names of a module, class or function that hold a path, each with the kind of use it comes from.

    A name followed by () is a function that returns one; a name in a class is an attribute, self's too.
    """

    def __init__(self, name: str, kind: str, above: Scope | None) -> None:
        self.name = name
        self.kind = kind
        self.above = above
        self.known: dict[str, str] = {}
        self.inner: dict[int, Scope] = {}

    def lookup(self, name: str) -> str:
        """Return what *name* holds here; as in Python, a function does not see the names of its class."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.known and (scope is self or scope.kind != "class"):
                return scope.known[name]
            scope = scope.above
        return ""

    def of_class(self) -> Scope | None:
        """Return the class around this function."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "class":
            scope = scope.above
        return scope


class Finder:
    """Collects the uses in one module that lies in *package* ("" at the top)."""

    def __init__(self, package: str, exported: dict[str, dict[str, str]]) -> None:
        self.package = package
        self.exported = exported
        self.top = Scope("", "module", None)
        self.scope = self.top
        self.found: set[tuple[int, str, str, str, bool]] = set()
        self.changed = False
        self.in_main = False
        self.in_try = False
        #: local name → what it was imported as
        self.aliases: dict[str, str] = {}
        #: qualified name → names of the parameters, of every function of this module
        self.parameters: dict[str, list[str]] = {}
        #: paths given to parameters: qualified name → parameter → kind
        self.given: dict[str, dict[str, str]] = {}

    # -- what is known -------------------------------------------------------------------------------------

    def report(self, node: Any, kind: str, origin: str = "") -> None:
        """Note what stands at *node*."""
        self.found.add((node.lineno, self.scope.name, kind, origin, self.in_main))

    def learn(self, scope: Scope, name: str, kind: str) -> None:
        """Note that *name* holds a path; what was known first stays."""
        if kind and name not in scope.known:
            scope.known[name] = kind
            self.changed = True

    def assign(self, target: Any, kind: str) -> None:
        """Note that *target* of an assignment holds a path of this kind."""
        what = type(target).__name__
        if what == "Name":
            self.learn(self.scope, target.id, kind)
        elif what == "Attribute":
            self.visit(target.value)
            base = getattr(target.value, "id", "")
            owner = self.scope.of_class() if base in ("self", "cls") else None
            if kind and owner is not None:
                self.learn(owner, target.attr, kind)
            elif kind and base:
                self.learn(self.scope, base + "." + target.attr, kind)
        elif what in ("Tuple", "List"):
            for item in target.elts:
                # of several values that come with a file's name, most are something else
                self.assign(item, "" if kind == "co_filename" else kind)
        elif what == "Starred":
            self.assign(target.value, kind)
        elif what == "Subscript":
            # a container that a path is put into gives paths
            self.visit(target.slice)
            if kind:
                self.assign(target.value, kind)
            else:
                self.visit(target.value)

    def dotted(self, node: Any) -> str:
        """Return the dotted name of *node* as it was imported, "" if it is no name."""
        parts = []
        while type(node).__name__ == "Attribute":
            parts.append(node.attr)
            node = node.value
        if type(node).__name__ != "Name":
            return ""
        parts.append(self.aliases.get(node.id, node.id))
        return ".".join(reversed(parts))

    # -- statements ----------------------------------------------------------------------------------------

    def block(self, statements: Iterable[Any]) -> None:
        """Walk *statements*."""
        for node in statements:
            handle = STATEMENTS.get(type(node).__name__)
            if handle is not None:
                handle(self, node)
            else:
                self.children(node)

    def children(self, node: Any) -> str:
        """Walk what is below *node*; return the kind of the first path there."""
        kind = ""
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                for item in value:
                    if hasattr(item, "_fields"):
                        kind = self.any_node(item) or kind
            elif hasattr(value, "_fields"):
                kind = self.any_node(value) or kind
        return kind

    def any_node(self, node: Any) -> str:
        """Walk a statement or an expression."""
        handle = STATEMENTS.get(type(node).__name__)
        if handle is not None:
            handle(self, node)
            return ""
        return self.visit(node)

    def do_import(self, node: Any) -> None:
        """`import a.b as c`."""
        for alias in node.names:
            if alias.asname:
                self.aliases[alias.asname] = alias.name
            self.import_of(node, alias.name)

    def do_from(self, node: Any) -> None:
        """`from a import b as c`."""
        module = node.module or ""
        if node.level:
            parts = self.package.split(".") if self.package else []
            parts = parts[: len(parts) - node.level + 1]
            module = ".".join(parts + ([module] if module else []))
        exports = self.exported.get(module, {})
        for alias in node.names:
            name = alias.asname or alias.name
            self.aliases[name] = module + "." + alias.name if module else alias.name
            if alias.name == "*":
                for each, kind in exports.items():
                    self.learn(self.scope, each, kind)
                continue
            self.learn(self.scope, name, exports.get(alias.name, ""))
            self.learn(self.scope, name + "()", exports.get(alias.name + "()", ""))
            if self.aliases[name] == "zipimport._zip_directory_cache":
                self.report(node, "zipimport")
        self.import_of(node, module)

    def import_of(self, node: Any, module: str) -> None:
        """Note the import of a module that is known for it."""
        if module.partition(".")[0] == "pkg_resources":
            self.report(node, "pkg_resources", "optional" if self.in_try else "")

    def do_assign(self, node: Any) -> None:
        """`a = b = value`, `a: b = value`, `a += value`."""
        kind = self.visit(node.value) if node.value is not None else ""
        for target in getattr(node, "targets", None) or [node.target]:
            self.assign(target, kind)
            name = self.dotted(target) if type(target).__name__ != "Subscript" else ""
            is_entry = name == "sys.path" or name.rpartition(".")[2] == "__path__"
            if is_entry and kind not in ("", "sys.path", "__path__"):
                self.report(node, "path entry", kind)

    def do_for(self, node: Any) -> None:
        """`for a in values`: each of them may be a path."""
        self.assign(node.target, self.visit(node.iter))
        self.block(node.body)
        self.block(node.orelse)

    def do_with(self, node: Any) -> None:
        """`with value as a`."""
        for item in node.items:
            kind = self.visit(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, kind)
        self.block(node.body)

    def do_if(self, node: Any) -> None:
        """`if`, which may be the one of a script."""
        self.visit(node.test)
        before = self.in_main
        self.in_main = before or is_main_test(node.test)
        self.block(node.body)
        self.in_main = before
        self.block(node.orelse)

    def do_try(self, node: Any) -> None:
        """`try`."""
        before = self.in_try
        self.in_try = True
        self.block(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                self.visit(handler.type)
            self.block(handler.body)
        self.in_try = before
        self.block(node.orelse)
        self.block(node.finalbody)

    def do_return(self, node: Any) -> None:
        """`return value`: the function gives a path."""
        kind = self.visit(node.value) if node.value is not None else ""
        if kind and self.scope.kind == "function" and self.scope.above is not None:
            self.learn(self.scope.above, self.scope.name.rpartition(".")[2] + "()", kind)

    def inner(self, node: Any, kind: str) -> Scope:
        """Return the scope of a function or class; it is kept, for the next walk."""
        scope = self.scope.inner.get(id(node))
        if scope is None:
            name = self.scope.name + "." + node.name if self.scope.name else node.name
            scope = self.scope.inner[id(node)] = Scope(name, kind, self.scope)
        return scope

    def do_function(self, node: Any) -> None:
        """`def`."""
        for decorator in node.decorator_list:
            self.visit(decorator)
        scope = self.inner(node, "function")
        arguments = node.args
        plain = list(getattr(arguments, "posonlyargs", ())) + arguments.args
        names = [argument.arg for argument in plain]
        self.parameters[scope.name] = names
        defaults = list(zip(names[len(names) - len(arguments.defaults) :], arguments.defaults))
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
            defaults.append((argument.arg, default))
        for name, default in defaults:
            if default is not None:
                self.learn(scope, name, self.visit(default))
        for name, kind in self.given.get(scope.name, {}).items():
            self.learn(scope, name, kind)
        outer, self.scope = self.scope, scope
        before, self.in_try = self.in_try, False
        self.block(node.body)
        self.scope, self.in_try = outer, before

    def do_class(self, node: Any) -> None:
        """`class`."""
        for item in (*node.decorator_list, *node.bases):
            self.visit(item)
        for keyword in node.keywords:
            self.visit(keyword.value)
        outer, self.scope = self.scope, self.inner(node, "class")
        self.block(node.body)
        self.scope = outer

    # -- expressions ---------------------------------------------------------------------------------------

    def visit(self, node: Any) -> str:
        """Walk an expression; return the kind of the path that it gives, "" if it gives none."""
        handle = EXPRESSIONS.get(type(node).__name__)
        return self.children(node) if handle is None else handle(self, node)

    def nothing(self, node: Any) -> str:
        """Walk an expression that gives no path."""
        self.children(node)
        return ""

    def name(self, node: Any) -> str:
        """`a`."""
        if node.id in ("__file__", "__path__", "__cached__"):
            if type(node.ctx).__name__ == "Load":
                self.report(node, node.id)
            return str(node.id)
        full = self.aliases.get(node.id, "")
        if full in PREFIXES:
            return "prefix"
        if full in ("sys.path", "sys._stdlib_dir"):
            return self.attribute_of(node, full)
        return self.scope.lookup(node.id)

    def attribute_of(self, node: Any, full: str) -> str:
        """Return what the attribute of a known module holds."""
        if full in PREFIXES:
            return "prefix"
        if full == "sys.path":
            return "sys.path"
        if full == "sys._stdlib_dir":
            self.report(node, "library path")
            return "library path"
        return ""

    def attribute(self, node: Any) -> str:
        """`value.a`."""
        base = self.visit(node.value)
        full = self.dotted(node)
        known = self.attribute_of(node, full)
        if known:
            return known
        if node.attr in ATTRIBUTES:
            kind = ATTRIBUTES[node.attr]
            # the locations of a spec are asked for by whoever imports, without a file in mind
            if type(node.ctx).__name__ == "Load" and node.attr != "submodule_search_locations":
                self.report(node, kind)
            return kind
        if node.attr == "origin" and "spec" in last(node.value).lower():
            self.report(node, "origin")
            return "origin"
        if node.attr == "co_filename":
            return "co_filename"
        if node.attr == "_zip_directory_cache":
            self.report(node, "zipimport")
            return ""
        module, _, name = full.rpartition(".")
        kind = self.exported.get(module, {}).get(name, "")
        if kind:
            return kind
        holder = getattr(node.value, "id", "")
        if holder in ("self", "cls"):
            owner = self.scope.of_class()
            return owner.known.get(node.attr, "") if owner is not None else ""
        if holder:
            kind = self.scope.lookup(holder + "." + node.attr)
            if kind:
                return kind
        return base

    def compare(self, node: Any) -> str:
        """`a == b`, `a in b`."""
        sides = (node.left, *node.comparators)
        kinds = [self.visit(item) for item in sides]
        is_none = any(type(item).__name__ == "Constant" and item.value is None for item in sides)
        if "co_filename" in kinds and not is_none:
            self.report(node, "co_filename")
        if any(last(part) in FILE_LOADERS for item in sides for part in parts(item)):
            self.report(node, "loader")
        return ""

    def subscript(self, node: Any) -> str:
        """`value[key]`."""
        kind = self.visit(node.value)
        self.visit(node.slice)
        # up to 3.8 a plain index is wrapped
        key = literal(getattr(node.slice, "value", None)) or literal(node.slice)
        if key in ATTRIBUTES and type(node.ctx).__name__ == "Load":
            kind = ATTRIBUTES[key]
            self.report(node, kind)
        return kind

    def comprehension(self, node: Any) -> str:
        """`[element for a in values]`."""
        for part in node.generators:
            self.assign(part.target, self.visit(part.iter))
            for test in part.ifs:
                self.visit(test)
        if hasattr(node, "key"):
            return self.visit(node.key) or self.visit(node.value)
        return self.visit(node.elt)

    def named(self, node: Any) -> str:
        """`(a := value)`."""
        kind = self.visit(node.value)
        self.assign(node.target, kind)
        return kind

    def choice(self, node: Any) -> str:
        """`a if test else b`."""
        self.visit(node.test)
        body = self.visit(node.body)
        return self.visit(node.orelse) or body

    def function(self, node: Any) -> str:
        """`lambda: value`."""
        self.visit(node.body)
        return ""

    def call(self, node: Any) -> str:
        """`function(arguments)`."""
        full = self.dotted(node.func)
        name = full.rpartition(".")[2] or last(node.func)
        receiver = ""
        if type(node.func).__name__ == "Attribute":
            receiver = self.visit(node.func.value)
        elif not full:
            self.visit(node.func)
        kinds = [self.visit(argument) for argument in node.args]
        named = {keyword.arg: self.visit(keyword.value) for keyword in node.keywords}
        given = next((kind for kind in (*kinds, *named.values()) if kind), "")
        self.give(node, kinds, named)

        special = self.special_call(node, full, name)
        if special:
            return special
        plain = full[3:] if full.startswith("_os.") else full.lstrip("_")
        sink = SINKS.get(full) or SINKS.get(plain)
        if sink is None and (full or name) and name in NAMED and given:
            sink = NAMED[name]
        origin = given
        if sink is None and receiver and name in PATH_METHODS:
            sink, origin = PATH_METHODS[name], receiver
        if sink is not None:
            if origin and not (sink == "path entry" and origin in ("sys.path", "__path__")):
                self.report(node, sink, origin)
            elif sink == "loads" and any(is_relative_library(argument) for argument in node.args[:1]):
                self.report(node, "ctypes")
            if sink == "runs" and any(self.is_python(argument) for argument in node.args[:1]):
                self.report(node, "runs python", given)
            return ""
        if receiver == "co_filename" and name in ("startswith", "endswith"):
            self.report(node, "co_filename")
        if name in ("isinstance", "issubclass") and len(node.args) == 2:
            if any(last(part) in FILE_LOADERS for part in parts(node.args[1])):
                self.report(node, "loader")
        if name in NO_PATH:
            return ""
        if name == "join" and "prefix" in kinds:
            self.report(node, "prefix")
        through = given or receiver
        if through == "co_filename" and name not in PATH_CALLS:
            through = ""
        return self.returned(node.func) or through

    def special_call(self, node: Any, full: str, name: str) -> str:
        """Report the calls that ask for a path, or are of interest whatever they are given."""
        if name in ("getattr", "get", "hasattr", "setdefault"):
            for argument in node.args[:2]:
                key = literal(argument)
                if key in ATTRIBUTES and name != "hasattr":
                    self.report(node, ATTRIBUTES[key])
                    return ATTRIBUTES[key]
                if key == "origin" and name == "getattr":
                    self.report(node, "origin")
                    return "origin"
        # inspect calls them by their bare names, and everything in it is about files
        if full in GETFILE or (self.package == "" and "inspect." + full in GETFILE):
            self.report(node, "source file")
            return "source file"
        if full in LIBRARY_CALLS:
            words = [literal(argument) for argument in node.args[:1]]
            if full.endswith("get_path") and words and words[0] not in (None, "stdlib", "platstdlib"):
                return ""
            self.report(node, "library path")
            return "library path"
        if full.startswith("linecache.") and name in ("getline", "getlines", "updatecache"):
            wanted = 3 if name == "getline" else 2
            if len(node.args) < wanted and not any(each.arg == "module_globals" for each in node.keywords):
                self.report(node, "linecache")
                return ""
        if full.rpartition(".")[0] == "imp" and name in IMP:
            self.report(node, "imp")
        return ""

    def is_python(self, node: Any) -> bool:
        """Tell whether *node* is a command that begins with sys.executable."""
        items = getattr(node, "elts", None)
        return bool(items) and self.dotted(parts(node)[0]) == "sys.executable"

    def local(self, node: Any) -> str:
        """Return the qualified name of the function of this module that *node* names, or ""."""
        what = type(node).__name__
        if what == "Name":
            scope: Scope | None = self.scope
            while scope is not None:
                name: str = scope.name + "." + node.id if scope.name else node.id
                if scope.kind != "class" and name in self.parameters:
                    return name
                scope = scope.above
        elif what == "Attribute" and getattr(node.value, "id", "") in ("self", "cls"):
            owner = self.scope.of_class()
            name = owner.name + "." + node.attr if owner is not None else ""
            if name in self.parameters:
                return name
        return ""

    def give(self, node: Any, kinds: Sequence[str], named: dict[str | None, str]) -> None:
        """Note the paths that a call gives to a function of this module."""
        if not any(kinds) and not any(named.values()):
            return
        target = self.local(node.func)
        if not target:
            return
        names = self.parameters[target]
        if type(node.func).__name__ == "Attribute":
            names = names[1:]
        given = self.given.setdefault(target, {})
        for name, kind in (*zip(names, kinds), *named.items()):
            if name and kind not in ("", "co_filename") and name not in given:
                given[name] = kind
                self.changed = True

    def returned(self, node: Any) -> str:
        """Return the kind of the path that the function *node* returns, as far as it is known."""
        what = type(node).__name__
        if what == "Name":
            return self.scope.lookup(node.id + "()")
        if what == "Attribute":
            holder = getattr(node.value, "id", "")
            owner = self.scope.of_class() if holder in ("self", "cls") else None
            if owner is not None:
                return owner.known.get(node.attr + "()", "")
            module, _, name = self.dotted(node).rpartition(".")
            return self.exported.get(module, {}).get(name + "()", "")
        return ""


STATEMENTS: dict[str, Callable[[Finder, Any], None]] = {
    "Import": Finder.do_import,
    "ImportFrom": Finder.do_from,
    "Assign": Finder.do_assign,
    "AnnAssign": Finder.do_assign,
    "AugAssign": Finder.do_assign,
    "For": Finder.do_for,
    "AsyncFor": Finder.do_for,
    "With": Finder.do_with,
    "AsyncWith": Finder.do_with,
    "If": Finder.do_if,
    "Try": Finder.do_try,
    "TryStar": Finder.do_try,
    "Return": Finder.do_return,
    "FunctionDef": Finder.do_function,
    "AsyncFunctionDef": Finder.do_function,
    "ClassDef": Finder.do_class,
}

EXPRESSIONS: dict[str, Callable[[Finder, Any], str]] = {
    "Name": Finder.name,
    "Attribute": Finder.attribute,
    "Call": Finder.call,
    "Compare": Finder.compare,
    "Subscript": Finder.subscript,
    "ListComp": Finder.comprehension,
    "SetComp": Finder.comprehension,
    "GeneratorExp": Finder.comprehension,
    "DictComp": Finder.comprehension,
    "NamedExpr": Finder.named,
    "IfExp": Finder.choice,
    "UnaryOp": Finder.nothing,
    "Lambda": Finder.function,
    "Constant": lambda _finder, _node: "",
}


def last(node: Any) -> str:
    """Return the last part of a name."""
    name: str = getattr(node, "attr", None) or getattr(node, "id", None) or ""
    return name


def parts(node: Any) -> Sequence[Any]:
    """Return the items of a tuple or list, or *node* alone."""
    items: list[Any] | None = getattr(node, "elts", None)
    return items or [node]


def literal(node: Any) -> str | None:
    """Return the text of a string literal, None for anything else."""
    value = getattr(node, "value", None) if type(node).__name__ == "Constant" else None
    return value if isinstance(value, str) else None


def is_relative_library(node: Any) -> bool:
    """Tell whether *node* is a literal that names a file by a relative path, not by its name alone."""
    text = literal(node)
    return text is not None and ("/" in text or "\\" in text) and text[:1] not in "/\\" and text[1:2] != ":"


def is_main_test(node: Any) -> bool:
    """Tell whether *node* is `__name__ == "__main__"`, either way round."""
    if type(node).__name__ != "Compare" or len(node.ops) != 1 or type(node.ops[0]).__name__ != "Eq":
        return False
    sides = [node.left, node.comparators[0]]
    return any(getattr(side, "id", "") == "__name__" for side in sides) and any(
        literal(side) == "__main__" for side in sides
    )


if __name__ == "__main__":
    import gc

    # a tree is a hundred thousand objects without cycles: the collector would only cost time
    gc.disable()
    sys.exit(main(sys.argv[1:]))
