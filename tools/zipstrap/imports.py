"""What library modules import, and what breaks when some are left out.

Sources are parsed in the target (worker ``import_scanner``), because the host cannot always read a newer
target's syntax; everything after that is pure. :func:`mentions` is for the host: it says cheaply which
sources need no parsing at all.
"""

from __future__ import annotations

import ast
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .worker import run_worker

__all__ = [
    "GUARDED",
    "LAZY",
    "REQUIRED",
    "Import",
    "ImportGraph",
    "ModuleSource",
    "OptionalImport",
    "broken_by",
    "closure",
    "imported_by",
    "mentions",
    "optional_imports",
    "scan_imports",
]

#: Runs whenever the importing module is loaded.
REQUIRED = "required"
#: Under a condition: a try that catches ImportError, the handler of a try, an if, a match.
GUARDED = "guarded"
#: When a function is called, a script is run, or a lazily imported name is used (PEP 810).
LAZY = "lazy"

_RANK = {REQUIRED: 0, GUARDED: 1, LAZY: 2}


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """Where the source of a module is, and whether it is a package's ``__init__``."""

    path: Path
    is_package: bool


@dataclass(frozen=True, slots=True)
class Import:
    """One import: *importer* imports *module* (absolute) in line *line*, in the manner *kind*."""

    importer: str
    module: str
    line: int
    kind: str


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """The imports of the modules in *parsed*; *unparsed* gives the reason for each that could not be read.

    ``from package import name`` is there as an import of ``package``, and as one of ``package.name`` too
    where that is a known module. The parents of a dotted name are implied, not listed.
    """

    imports: tuple[Import, ...]
    parsed: frozenset[str]
    unparsed: Mapping[str, str]


def imported_by(sources: Iterable[bytes]) -> frozenset[str]:
    """Return what our own *sources* import, wherever in them; pure. The host can read what we write."""
    found = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def scan_imports(
    executable: Path,
    modules: Mapping[str, ModuleSource],
    start: Sequence[str],
    *,
    closure: bool,
    follow: Sequence[str] = (REQUIRED,),
) -> ImportGraph:
    """Let *executable* parse *start* (*closure* false), or all that *start* reaches among *modules*.

    Paths are reached through imports of the kinds in *follow*, and through the parents of dotted names. A
    name without a source in *modules* ends a path: it is built in, or an extension module, or absent.

    Raises :class:`~zipstrap.errors.InterpreterError` if the interpreter cannot be run. A source that cannot
    be read or parsed is no error: it is in ``unparsed``.
    """
    answer = run_worker(
        executable,
        "import_scanner",
        {
            "modules": {name: [str(source.path), source.is_package] for name, source in modules.items()},
            "start": list(start),
            "closure": closure,
            "follow": list(follow),
        },
    )
    imports = {
        Import(importer, module, line, kind)
        for importer, entries in answer["modules"].items()
        for base, names, line, kind in entries
        for module in _imported(base, names, modules)
    }
    return ImportGraph(
        imports=tuple(sorted(imports, key=lambda entry: (entry.importer, entry.line, *_order(entry)))),
        parsed=frozenset(answer["modules"]),
        unparsed=dict(answer["unparsed"]),
    )


def _imported(base: str, names: Iterable[str], modules: Collection[str]) -> Iterator[str]:
    yield base
    for name in names:
        if f"{base}.{name}" in modules:
            yield f"{base}.{name}"


def closure(
    graph: ImportGraph, start: Iterable[str], *, kinds: Collection[str] = (REQUIRED,)
) -> frozenset[str]:
    """Return every name that importing *start* imports, *start* and all parent packages included.

    Only imports of *kinds* are followed. The result also holds names that have no source: built-in and
    extension modules. With required imports alone it leaves out what stands under a platform test, such as
    ``selectors`` for ``subprocess``; add :data:`GUARDED` for a library in which every import that this
    platform makes must work.
    """
    edges: dict[str, set[str]] = defaultdict(set)
    for entry in graph.imports:
        if entry.kind in kinds:
            edges[entry.importer].add(entry.module)
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting.extend(edges.get(name, ()))
        waiting.extend(_parents(name))
    return frozenset(reached)


def broken_by(graph: ImportGraph, kept: frozenset[str], left_out: frozenset[str]) -> tuple[Import, ...]:
    """Return the imports in *kept* modules of *left_out* ones, required first, then guarded, then lazy.

    An import of ``a.b`` needs ``a``, so it is broken also where only ``a`` is left out.
    """
    return tuple(
        sorted(
            (
                entry
                for entry in graph.imports
                if entry.importer in kept
                and (entry.module in left_out or any(parent in left_out for parent in _parents(entry.module)))
            ),
            key=lambda entry: (_RANK[entry.kind], entry.importer, entry.line, entry.module),
        )
    )


@dataclass(frozen=True, slots=True)
class OptionalImport:
    """A module or package that is left out, and that what is kept imports under conditions or in functions.

    *modules* are what it would add, with all that these require; *size* is that of their files, in bytes.
    """

    name: str
    kind: str
    importers: tuple[str, ...]
    modules: tuple[str, ...]
    size: int


def optional_imports(
    broken: Iterable[Import], graph: ImportGraph, kept: frozenset[str], sizes: Mapping[str, int]
) -> tuple[OptionalImport, ...]:
    """Return what the imports *broken* would add to the modules *kept*, by package, largest first. Pure.

    *graph* holds the imports of what is left out, *sizes* those of the library's modules in bytes.
    """
    wanted: dict[str, list[Import]] = defaultdict(list)
    for entry in broken:
        if entry.module in sizes:
            wanted[entry.module.partition(".")[0]].append(entry)
    found = []
    for name, entries in wanted.items():
        reached = closure(graph, {entry.module for entry in entries})
        added = sorted(module for module in reached - kept if module in sizes)
        found.append(
            OptionalImport(
                name,
                min((entry.kind for entry in entries), key=_RANK.__getitem__),
                tuple(sorted({entry.importer for entry in entries})),
                tuple(added),
                sum(sizes[module] for module in added),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.size, each.name)))


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _order(entry: Import) -> tuple[str, int]:
    return entry.module, _RANK[entry.kind]


# From `from` or `import` to the end of the line, and past it through a backslash or parentheses. A comment in
# parentheses may hold a closing one. Atomic throughout: text that only looks like an import costs no more.
_STATEMENT = re.compile(
    rb"\b(?:from|import)\b(?>\((?>[^)#]++|#[^\r\n]*+)*+\)|\\(?:\r\n?|\n)|[^\r\n])*+",
)
_CALL = re.compile(rb"import_module|__import__")
# After the name of such a function: no call, or one whose first argument is a variable.
_NO_LITERAL = re.compile(rb"\s*(?:[^\s()#\\]|\Z|\(\s*[A-Za-z_][\w.]*\s*[,)])")
# A call with one plain literal, after which nothing can bear on the name.
_PLAIN_LITERAL = re.compile(rb"\s*\(\s*[rRuU]?(['\"])([\w.]*)\1\s*\)")


def mentions(data: bytes, names: Sequence[str]) -> bool:
    """Tell whether the source *data* could import one of the modules *names*, or something inside them.

    Meant for modules that lie outside *names*: a module inside a package imports the package by every
    relative import, without naming it. False is certain for every import that is written out (statements,
    and calls of import_module and __import__ with a literal); True means that parsing will tell.
    """
    text = _normalized(data)
    if text is None:
        return True
    # of `from .. import c` only the last part of a.b.c is surely written
    words = tuple(sorted({name.rpartition(".")[2].encode() for name in names}))
    if not words:
        return False
    pattern = _words(words)
    if not any(word in text for word in words) or not pattern.search(text):
        # a literal may be put together from pieces, everything else is spelt out
        return any(_puts_together(text, match.end()) for match in _CALL.finditer(text))
    return any(pattern.search(match[0]) for match in _STATEMENT.finditer(text)) or any(
        _could_name(text, match.end(), pattern) for match in _CALL.finditer(text)
    )


@lru_cache(maxsize=32)
def _words(words: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![A-Za-z0-9_])(?:" + b"|".join(map(re.escape, words)) + rb")(?![A-Za-z0-9_])")


def _normalized(data: bytes) -> bytes | None:
    """Return *data* in UTF-8 with identifiers as Python compares them (NFKC), None if undecodable."""
    try:
        import tokenize  # with the module token, for sources that are rare

        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if encoding == "utf-8" and data.isascii():
            return data
        return unicodedata.normalize("NFKC", data.decode(encoding)).encode()
    except (SyntaxError, ValueError, LookupError):
        return None


def _puts_together(text: bytes, end: int) -> bool:
    return not _NO_LITERAL.match(text, end) and not _PLAIN_LITERAL.match(text, end)


def _could_name(text: bytes, end: int, pattern: re.Pattern[bytes]) -> bool:
    literal = _PLAIN_LITERAL.match(text, end)
    if literal:
        return bool(pattern.search(literal[2]))
    return not _NO_LITERAL.match(text, end)
