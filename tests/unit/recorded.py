"""Recorded interpreters and their libraries: what the pure steps are tested on, without any interpreter.

``data/facts`` holds what ``zipstrap facts`` wrote, with neutral paths. Hand-made, of kinds that are hard to
come by: 3.8-lib64, 3.12-fedora, 3.13t, 3.14d, macos-framework, split-prefix and the two for Windows.

``data/libraries`` holds what :func:`zipstrap.inventory.scan_library` found: folder → name → size, or [size,
mode], or [size, mode, link, broken, leaves]. :func:`library_text` writes that form. Of the thousands of
``.pyc`` files, those of some top-level modules were kept; one text of IDLE's is left out for its name, which
tests/contract/test_text.py would take for a note.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zipstrap.interpreter import Facts, load_facts
from zipstrap.inventory import Inventory, LibraryFile, classify

DATA = Path(__file__).parent / "data"
FACTS = sorted(path.stem for path in (DATA / "facts").glob("*.json"))
LIBRARIES = sorted(path.stem for path in (DATA / "libraries").glob("*.json"))


@functools.cache
def facts_of(name: str) -> Facts:
    return load_facts(DATA / "facts" / f"{name}.json")


@functools.cache
def library_of(name: str) -> tuple[LibraryFile, ...]:
    folders = json.loads((DATA / "libraries" / f"{name}.json").read_text(encoding="utf-8"))
    root = facts_of(name).library
    files = []
    for folder, children in folders.items():
        for child, value in children.items():
            path = f"{folder}/{child}".removeprefix("/")
            size, mode, *rest = value if isinstance(value, list) else (value, 0o644)
            files.append(LibraryFile(path, f"{root}/{path}", size, mode, *rest))
    return tuple(sorted(files, key=lambda file: file.path))


@functools.cache
def inventory_of(name: str) -> Inventory:
    return classify(library_of(name), facts_of(name))


def library_text(files: Iterable[LibraryFile]) -> str:
    """Return *files* in the form of ``data/libraries``, one folder a line."""
    folders: dict[str, dict[str, Any]] = {}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        value: Any = file.size
        if file.link is not None:
            value = [file.size, file.mode, file.link, file.broken, file.leaves]
        elif file.mode != 0o644:
            value = [file.size, file.mode]
        folders.setdefault(folder, {})[name] = value
    lines = (
        f"{json.dumps(folder)}:{json.dumps(children, separators=(',', ':'), sort_keys=True)}"
        for folder, children in sorted(folders.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"
