"""Read what ``python -v`` prints: a witness that shares no code with the probe.

The formats are those of CPython's ``Lib/importlib/_bootstrap.py``, ``_bootstrap_external.py``,
``zipimport.py`` and ``Python/import.c``, 3.8 to 3.15. They differ by version and by loader:

- 3.8 and 3.9 print ``import codecs # loaded from Zip /x/python38.zip/codecs.pyc``, later versions
  ``import 'codecs' # <zipimporter object "/x/python310.zip/">``;
- a module from a file is announced by its path before it runs, and by its name when it is complete, so the
  two lines are nested around those of the modules that it imports.

Whatever else is in the log was printed by somebody else, and is passed over.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LogEntry", "LogLoader", "VerboseLog", "parse_verbose_log"]


class LogLoader(StrEnum):
    """The kinds of loader that the log tells apart."""

    BUILTIN = "builtin"
    FROZEN = "frozen"
    ZIP = "zip"
    SOURCE = "source"
    SOURCELESS = "sourceless"
    EXTENSION = "extension"
    NAMESPACE = "namespace"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One module that the log says was loaded.

    *path* is the source, the bytecode or the shared object; for a module from an archive it is the member
    (3.8, 3.9) or the folder in the archive that was searched (3.10+). None where the log names no place.
    """

    module: str
    loader: LogLoader
    path: str | None


@dataclass(frozen=True, slots=True)
class VerboseLog:
    """What a ``-v`` log says of the boot.

    *entries* are in load-completion order, *archives* those whose directory zipimport read. *complete* tells
    whether the log goes on to the clearing of modules at exit, which ends the part that is read.
    """

    entries: tuple[LogEntry, ...]
    archives: tuple[str, ...]
    complete: bool


_LOADERS = {
    "BuiltinImporter": LogLoader.BUILTIN,
    "FrozenImporter": LogLoader.FROZEN,
    "SourceFileLoader": LogLoader.SOURCE,
    "SourcelessFileLoader": LogLoader.SOURCELESS,
    "ExtensionFileLoader": LogLoader.EXTENSION,
    "_NamespaceLoader": LogLoader.NAMESPACE,
    "NamespaceLoader": LogLoader.NAMESPACE,
}

# Not anchored at the start: a hook may have left a line of its own unfinished.
_FROM_ZIP = re.compile(r"\bimport (?P<module>\S+) # loaded from Zip (?P<path>.+)$")
_BY_LOADER = re.compile(r"""\bimport (?P<module>'[^']+'|"[^"]+") # (?P<loader><.*>)$""")
_FROM_C = re.compile(r"^import (?P<module>[\w.]+) # (?P<kind>builtin|frozen)\b")
_ZIPIMPORTER = re.compile(r'^<zipimporter object "(?P<path>.*)">$')
_LOADER_CLASS = re.compile(
    r"^<(?:class ')?(?:_frozen_importlib(?:_external)?|importlib\._bootstrap(?:_external)?)\.(?P<name>\w+)\b"
)
# At the end of a loader's text the path may hold quotes itself.
_QUOTED_PATH = re.compile(r"""(["'])(?P<path>/(?:.*(?=\1>$)|.*?))\1""")
_MATCHES = re.compile(r"# (?P<bytecode>/.*) matches (?P<source>/.*)$")
_CODE_OBJECT = re.compile(r"# code object from (?P<path>\S.*)$")
_EXTENSION = re.compile(
    r"""# extension module (?P<module>'[^']+'|"[^"]+") (?:loaded|executed) from (?P<path>\S.*)$"""
)
_NAMESPACE = re.compile(r"# possible namespace for (?P<path>\S.*)$")
_ARCHIVE = re.compile(r"# zipimport: found \d+ names in (?P<path>\S.*)$")
_NO_TEXT = re.compile(r"\\u(dc[89a-f][0-9a-f])")
# "# destroy NAME" is no sign of the end: it is printed for a module whose import failed, too
_THE_END = re.compile(r"# (?:clear (?:builtins|sys)\.|cleanup\[\d\] |zipstrap: here the boot ends)")


def parse_verbose_log(text: str) -> VerboseLog:
    """Return what *text*, the stderr of an interpreter that ran with ``-v``, says of the boot.

    Pure, and never raises on any text. A line that is logged twice (3.8 does so for ``_thread``) has the
    position of the last time, as in sys.modules; a module that came from two places (a sitecustomize that ran
    the next one) is there twice.
    """
    found: dict[LogEntry, None] = {}
    archives: dict[str, None] = {}
    sources: dict[str, str] = {}
    announced: list[str] = []  # paths whose modules are not complete yet
    extensions: dict[str, str] = {}
    complete = False
    # stderr spells the bytes of a path that are no text so (its errors are backslashreplace)
    text = _NO_TEXT.sub(lambda match: chr(int(match[1], 16)), text)
    # str.splitlines would also split at signs that a path may hold
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        entry: LogEntry | None = None
        if match := _BY_LOADER.search(line):
            entry = _read_entry(_unquote(match["module"]), match["loader"], announced, extensions)
        elif match := _FROM_ZIP.search(line):
            entry = LogEntry(match["module"], LogLoader.ZIP, match["path"])
        elif match := _FROM_C.search(line):
            entry = LogEntry(match["module"], LogLoader(match["kind"]), None)
        elif match := _MATCHES.search(line):
            sources[match["bytecode"]] = match["source"]
        elif match := _CODE_OBJECT.search(line):
            path = _unquote(match["path"])
            announced.append(sources.get(path, path))
        elif match := _EXTENSION.search(line):
            extensions[_unquote(match["module"])] = _unquote(match["path"])
        elif match := _NAMESPACE.search(line):
            announced.append(_unquote(match["path"]))
        elif match := _ARCHIVE.search(line):
            archives[_unquote(match["path"])] = None
        elif _THE_END.search(line):
            complete = True
            break
        if entry is not None:
            found.pop(entry, None)
            found[entry] = None
    return VerboseLog(tuple(found), tuple(archives), complete)


def _read_entry(module: str, loader: str, announced: list[str], extensions: dict[str, str]) -> LogEntry:
    if match := _ZIPIMPORTER.search(loader):
        return LogEntry(module, LogLoader.ZIP, match["path"])
    match = _LOADER_CLASS.search(loader)
    kind = LogLoader.OTHER if match is None else _LOADERS.get(match["name"], LogLoader.OTHER)
    path: str | None = None
    if kind is LogLoader.EXTENSION:
        path = extensions.get(module)
    elif kind in (LogLoader.SOURCE, LogLoader.SOURCELESS, LogLoader.NAMESPACE):
        path = _take_announced(module, announced)
    elif kind is LogLoader.OTHER:
        # somebody else's loader: its text may name the place, or it runs the code as a file loader would
        quoted = _QUOTED_PATH.search(loader)
        path = quoted["path"] if quoted else _take_announced(module, announced)
    return LogEntry(module, kind, path)


def _take_announced(module: str, announced: list[str]) -> str | None:
    """Return the last announced path that can be *module*'s, and take it off the list.

    By name and not just the last one: a module whose import failed was announced and never completed.
    """
    stem = "/" + module.replace(".", "/")
    for position in range(len(announced) - 1, -1, -1):
        path = announced[position].replace("\\", "/").replace("/__pycache__/", "/")
        name = path.rpartition("/")[2]
        base = path[: len(path) - len(name)] + name.partition(".")[0]
        if base.removesuffix("/__init__").endswith(stem) or base.endswith(stem):
            return announced.pop(position)
    return None


def _unquote(text: str) -> str:
    """Undo repr(), which most but not all of the lines apply to paths."""
    if text[:1] in {"'", '"'}:
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text
        if isinstance(value, str):
            return value
    return text
