"""Say what the modules of a library import, by reading their sources; nothing is imported or run.

Runs in the target, because only the target's own parser surely knows the target's syntax.

    argv    JOB_FILE ANSWER_FILE
    job     {"modules": {NAME: [PATH, IS_PACKAGE], ...},  what counts as a module of the library
             "start":   [NAME, ...],
             "closure": BOOL,                             false: parse exactly "start"
             "follow":  [KIND, ...]}                      optional, ["required"] unless given
    answer  {"worker": "import_scanner", "schema": 1,
             "modules":  {NAME: [[MODULE, [NAME, ...], LINE, KIND], ...], ...},
             "unparsed": {NAME: REASON, ...}}

With "closure", parsing goes breadth first from "start" along imports whose kind is in "follow", and reads
only what it reaches. Names without an entry in "modules" (built-in and extension modules, say) end a path.

MODULE is absolute. The names are those of a from-import, ["*"] for a star, empty for a plain import. Kinds:

    required  runs whenever the importing module is loaded: at module or class level, under no condition
    guarded   in a try that catches ImportError (or under contextlib.suppress), in the handler of a try,
              under an if or match, or a 3.15 lazy import of these or of what would be required (PEP 810, both
              by the statement and by __lazy_modules__): the module loads without it, but not much of it runs
    lazy      in a function, under `if __name__ == "__main__"`, or import_module("literal") and
              __import__("literal")

Not seen: what a star import pulls in through the package's __all__, and names that are computed.
"""

from __future__ import annotations

import json
import sys
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is not worth its time in the target
    from typing import Any, Callable, Iterable, Sequence

WORKER = "import_scanner"
SCHEMA = 1

REQUIRED, GUARDED, LAZY = "required", "guarded", "lazy"

#: PyCF_ONLY_AST of Include/cpython/compile.h, as ast.PyCF_ONLY_AST; importing ast costs more than a parse.
ONLY_AST = 0x400

#: From 3.15 on a module's __lazy_modules__ says which of its imports are lazy (PEP 810).
HAS_LAZY_MODULES = sys.version_info >= (3, 15)

#: Who catches one of these goes on without the module.
CATCHES_IMPORT_ERROR = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")

CALLS = ("import_module", "__import__")


def main(argv: Sequence[str]) -> None:
    """Read the job, write the answer."""
    job_file, answer_file = argv
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    answer = scan(job["modules"], job["start"], job["closure"], job.get("follow", [REQUIRED]))
    answer["worker"] = WORKER
    answer["schema"] = SCHEMA
    with open(answer_file, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def scan(
    modules: dict[str, list[Any]], start: Iterable[str], closure: bool, follow: Sequence[str] = (REQUIRED,)
) -> dict[str, Any]:
    """Parse *start*, or what it reaches with *closure*; return the two tables of the answer."""
    parsed: dict[str, list[list[Any]]] = {}
    unparsed: dict[str, str] = {}
    queue: list[str] = []
    seen: set[str] = set()

    def reach(name: str) -> None:
        # importing a.b.c runs a and a.b first
        while name and name not in seen:
            seen.add(name)
            queue.append(name)
            name = name.rpartition(".")[0] if closure else ""

    for name in start:
        reach(name)
    for name in queue:  # grows while it is walked
        if name not in modules:
            continue
        path, is_package = modules[name]
        try:
            with open(path, "rb") as file:
                source = file.read()
            imports = find_imports(source, name, is_package, path)
        except Exception as error:  # SyntaxError, ValueError (null bytes), OSError, RecursionError, ...
            unparsed[name] = "%s: %s" % (type(error).__name__, error)
            continue
        parsed[name] = imports
        if not closure:
            continue
        for module, names, _line, kind in imports:
            if kind in follow:
                reach(module)
                for member in names:
                    if module + "." + member in modules:
                        reach(module + "." + member)
    return {"modules": parsed, "unparsed": unparsed}


def find_imports(source: bytes, name: str, is_package: bool, path: str = "<source>") -> list[list[Any]]:
    """Return the imports in *source* (bytes) of the module *name*, in the order of the text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and their like are not our business
        tree = compile(source, path, "exec", ONLY_AST, True)
    finder = Finder(name if is_package else name.rpartition(".")[0])
    finder.block(tree.body, REQUIRED)
    if any(call.encode() in source for call in CALLS):
        finder.calls(tree)
    finder.found.sort(key=lambda entry: entry[2])
    return finder.found


class Finder:
    """Collects the imports of one module that lies in *package* ("" at the top)."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[list[Any]] = []
        self.lazy_modules: set[str] = set()

    def block(self, statements: Iterable[Any], kind: str, can_be_lazy: bool = True) -> None:
        """Walk *statements*, reached in the manner *kind*; only statements can hold imports.

        *can_be_lazy* is false in try and class blocks, where 3.15 ignores __lazy_modules__.
        """
        for node in statements:
            handle = HANDLERS.get(type(node).__name__)
            if handle is not None:
                handle(self, node, kind, can_be_lazy)

    def add(self, module: str, names: Sequence[str], line: int, kind: str) -> None:
        """Note one import, unless it cannot be resolved."""
        if module:
            self.found.append([module, names, line, kind])

    def absolute(self, module: str | None, level: int) -> str:
        """Resolve a relative import, or return "" if it goes above the top: that fails at run time."""
        if not level:
            return module or ""
        base = self.package.split(".")
        if not self.package or level > len(base):
            return ""
        base = base[: len(base) - level + 1]
        return ".".join(base + [module] if module else base)

    def do_import(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """`import a.b, c`."""
        for alias in node.names:
            self.add(alias.name, [], node.lineno, self.laziness(node, alias.name, kind, can_be_lazy))

    def do_from(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """`from a import b`."""
        module = self.absolute(node.module, node.level)
        names = [alias.name for alias in node.names]
        self.add(module, names, node.lineno, self.laziness(node, module, kind, can_be_lazy))

    def laziness(self, node: Any, module: str, kind: str, can_be_lazy: bool) -> str:
        """Return *kind*, or a weaker one for the lazy imports of 3.15."""
        if getattr(node, "is_lazy", 0):
            return weaker(kind)
        if can_be_lazy and module in self.lazy_modules:
            return weaker(kind)
        return kind

    def do_assign(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """Take in a literal `__lazy_modules__ = [...]`, which has a meaning from 3.15 on."""
        if not HAS_LAZY_MODULES or kind != REQUIRED or not can_be_lazy:
            return
        targets = getattr(node, "targets", None) or [node.target]
        if "__lazy_modules__" in [getattr(target, "id", "") for target in targets]:
            if type(node).__name__ != "AugAssign":
                self.lazy_modules.clear()
            for item in getattr(node.value, "elts", ()):
                text = literal(item)
                if text:
                    self.lazy_modules.add(text)

    def do_function(self, node: Any, _kind: str, _can_be_lazy: bool) -> None:
        """What a function imports waits for its call."""
        self.block(node.body, LAZY, False)

    def do_class(self, node: Any, kind: str, _can_be_lazy: bool) -> None:
        """A class body runs with its module."""
        self.block(node.body, kind, False)

    def do_if(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """Both branches of an if are guarded, but what only a script runs is lazy."""
        if is_main_test(node.test):
            self.block(node.body, LAZY, can_be_lazy)
        else:
            self.block(node.body, weaker(kind), can_be_lazy)
        self.block(node.orelse, weaker(kind), can_be_lazy)

    def do_match(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """Every case of a match is guarded."""
        for case in node.cases:
            self.block(case.body, weaker(kind), can_be_lazy)

    def do_loop(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """Loops count as run."""
        self.block(node.body, kind, can_be_lazy)
        self.block(node.orelse, kind, can_be_lazy)

    def do_with(self, node: Any, kind: str, can_be_lazy: bool) -> None:
        """A with counts as run; contextlib.suppress(ImportError) guards as a try does."""
        for item in node.items:
            call = item.context_expr
            if called(call) == "suppress" and any(catches(argument) for argument in call.args):
                kind = weaker(kind)
        self.block(node.body, kind, can_be_lazy)

    def do_try(self, node: Any, kind: str, _can_be_lazy: bool) -> None:
        """The body is guarded if a failed import is caught, the handlers always."""
        guarded = any(handler.type is None or catches(handler.type) for handler in node.handlers)
        self.block(node.body, weaker(kind) if guarded else kind, False)
        for handler in node.handlers:
            self.block(handler.body, weaker(kind), False)
        # the else of a guarded try runs only if the import went well
        self.block(node.orelse, weaker(kind) if guarded else kind, False)
        self.block(node.finalbody, kind, False)

    def calls(self, tree: Any) -> None:
        """Find import_module("literal") and __import__("literal") in the whole tree."""
        nodes = [tree]
        for node in nodes:  # grows while it is walked
            for field in node._fields:
                value = getattr(node, field, None)
                if isinstance(value, list):
                    nodes.extend(item for item in value if hasattr(item, "_fields"))
                elif hasattr(value, "_fields"):
                    nodes.append(value)
            if called(node) in CALLS:
                self.do_call(node)

    def do_call(self, node: Any) -> None:
        """`import_module(name, package=None)`, `__import__(name, globals, locals, fromlist, level)`."""
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        name = literal(node.args[0] if node.args else keywords.get("name"))
        if name is None:
            return
        names = []
        if called(node) == "__import__":
            fromlist = node.args[3] if len(node.args) > 3 else keywords.get("fromlist")
            names = [text for text in map(literal, getattr(fromlist, "elts", ())) if text]
            level = getattr(node.args[4] if len(node.args) > 4 else keywords.get("level"), "value", 0)
            name = self.absolute(name, level if isinstance(level, int) else 0)
        elif name.startswith("."):
            anchor = node.args[1] if len(node.args) > 1 else keywords.get("package")
            package = literal(anchor)
            if getattr(anchor, "id", "") == "__package__":
                package = self.package
            if not package:
                return
            bare = name.lstrip(".")
            name = Finder(package).absolute(bare, len(name) - len(bare))
        self.add(name, names, node.lineno, LAZY)


HANDLERS: dict[str, Callable[[Finder, Any, str, bool], None]] = {
    "Import": Finder.do_import,
    "ImportFrom": Finder.do_from,
    "Assign": Finder.do_assign,
    "AnnAssign": Finder.do_assign,
    "AugAssign": Finder.do_assign,
    "FunctionDef": Finder.do_function,
    "AsyncFunctionDef": Finder.do_function,
    "ClassDef": Finder.do_class,
    "If": Finder.do_if,
    "Match": Finder.do_match,
    "For": Finder.do_loop,
    "AsyncFor": Finder.do_loop,
    "While": Finder.do_loop,
    "With": Finder.do_with,
    "AsyncWith": Finder.do_with,
    "Try": Finder.do_try,
    "TryStar": Finder.do_try,
}


def weaker(kind: str) -> str:
    """Return *kind* as it is under a condition."""
    return LAZY if kind == LAZY else GUARDED


def catches(node: Any) -> bool:
    """Tell whether an except clause with the expression *node* catches a failed import."""
    elements = getattr(node, "elts", None)
    if elements is not None:
        return any(catches(element) for element in elements)
    return (getattr(node, "id", None) or getattr(node, "attr", None)) in CATCHES_IMPORT_ERROR


def called(node: Any) -> str:
    """Return the last part of the name of what *node* calls, "" if it is no call of a name."""
    if type(node).__name__ != "Call":
        return ""
    return getattr(node.func, "id", None) or getattr(node.func, "attr", None) or ""


def literal(node: Any) -> str | None:
    """Return the text of a string literal, None for anything else."""
    value = getattr(node, "value", None) if type(node).__name__ == "Constant" else None
    return value if isinstance(value, str) else None


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
    main(sys.argv[1:])
