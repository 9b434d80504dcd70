"""What start-up files say: ``.pth``, ``.start`` and ``._pth``, and which of them are ours; pure.

The rules are those of ``Lib/site.py`` of each version, and of PEP 829 (3.15).
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from dataclasses import dataclass

__all__ = [
    "IMPORTS_UNTIL",
    "Told",
    "extension_line",
    "is_extension_line",
    "is_ours",
    "marked",
    "migrated",
    "read_isolated",
    "read_pth",
    "read_start",
    "was_ours",
]

#: the last version that runs ``import`` lines of ``.pth`` files (PEP 829)
IMPORTS_UNTIL = (3, 17)

_IMPORT = ("import ", "import\t")
_ENTRY_POINT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_MARK = b"# Written by zipstrap %s; it knows the rest by its SHA-256: "


#: nothing is run when the archive is gone; ``sitedir`` is what site gives to such a line
_EXTENSION_LINE = (
    "import os; entry = os.path.abspath(os.path.join(sitedir, ",
    ")); os.path.isfile(entry) and __import__('zipstrap_extensions').add_archive(entry)",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says: code that it *runs*, paths that it *adds*, and what is wrong with it."""

    runs: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_pth(data: bytes, folder: str, version: tuple[int, int], encoding: str) -> Told:
    """Return what the ``.pth`` file *data* in the site *folder* says to an interpreter of *version*.

    *encoding* is that of the locale, by which versions before 3.13 read it, and later ones what is not UTF-8.
    """
    text, problems = _decoded(data, version, encoding)
    if text is None:
        return Told(problems=tuple(problems))
    runs, adds = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith(_IMPORT):
            runs.append(line.strip())
            try:
                compile(line, "line", "exec")
            except (SyntaxError, ValueError) as error:
                problems.append(f"line {number} is no valid Python: {error}")
            continue
        path = os.path.normpath(os.path.join(folder, line.rstrip()))  # noqa: PTH118 - texts
        if "\0" in path:
            problems.append(f"line {number} holds a NUL, at which the rest of the file is passed over")
            break
        adds.append(path)
    if runs and version > IMPORTS_UNTIL:
        problems.append("its import lines are ignored from 3.18 on: zipstrap hooks migrate")
    return Told(tuple(runs), tuple(adds), tuple(problems))


def _decoded(data: bytes, version: tuple[int, int], encoding: str) -> tuple[str | None, list[str]]:
    problems = []
    if data.startswith(b"\xef\xbb\xbf"):
        if version < (3, 13):
            problems.append("begins with a byte order mark, which before 3.13 spoils the first line")
        data = data[3:]
    try:
        return data.decode("utf-8"), problems
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(f"line {line} is not UTF-8: it is read by the locale's encoding, here {encoding}")
    try:
        return data.decode(encoding), problems
    except (UnicodeDecodeError, LookupError):
        problems.append(f"nor can it be read as {encoding}: the start prints an error")
        return None, problems


def read_start(data: bytes) -> Told:
    """Return what the ``.start`` file *data* says."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Told(problems=("is not UTF-8, so it is passed over",))
    lines = [line.strip() for line in text.splitlines()]
    runs = [line for line in lines if line and not line.startswith("#")]
    wrong = [line for line in runs if _ENTRY_POINT.fullmatch(line) is None]
    problems = [f"{line!r} is no entry point: package.module:callable" for line in wrong]
    return Told(tuple(runs), (), tuple(problems))


def read_isolated(data: bytes, folder: str) -> Told:
    """Return what the ``._pth`` file *data* says, which lies in *folder*: it alone makes ``sys.path``."""
    lines = [line.strip() for line in data.decode("utf-8", "surrogateescape").splitlines()]
    lines = [line.partition("#")[0].strip() for line in lines]
    runs = [line for line in lines if line == "import site"]
    adds = [
        os.path.normpath(os.path.join(folder, line))  # noqa: PTH118 - texts
        for line in lines
        if line and not line.startswith("import ")
    ]
    problems = [f"{line!r} is ignored" for line in lines if line.startswith("import ") and line not in runs]
    if not runs:
        problems.append("without an import site line the start reads no other hook")
    return Told(tuple(runs), tuple(adds), tuple(problems))


def extension_line(path: str) -> str:
    """Return the line of a ``.pth`` file that starts what loads extension modules from the archive *path*.

    *path* may be relative to the file's folder. The archive brings the loader along, and is on ``sys.path``
    by a line before this one.
    """
    return ascii(path).join(_EXTENSION_LINE)


def is_extension_line(line: str) -> bool:
    """Tell whether *line* is one of :func:`extension_line`, and runs nothing else."""
    start, end = _EXTENSION_LINE
    if not (line.startswith(start) and line.endswith(end)):
        return False
    try:
        path = ast.literal_eval(line[len(start) : -len(end)])
    except (ValueError, SyntaxError):
        return False
    return isinstance(path, str) and line == extension_line(path)


def marked(body: bytes, by: bytes = b"hooks") -> bytes:
    """Return *body* behind a line that says it is ours, made by the verb *by*.

    All kinds of hooks take that line for a comment.
    """
    return _MARK % by + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def was_ours(data: bytes, by: bytes = b"hooks") -> bool:
    """Tell whether *data* was ours when the verb *by* wrote it."""
    return data.startswith(_MARK % by)


def is_ours(data: bytes, by: bytes = b"hooks") -> bool:
    """Tell whether *data* is as the verb *by* wrote it."""
    line, _, body = data.partition(b"\n")
    return line == _MARK % by + hashlib.sha256(body).hexdigest().encode()


_RUNNER = '''\
"""Run the import lines of {pth}, as site does up to 3.14; {start} calls it from 3.15 on (PEP 829)."""


def run():
    """Run each line; sitedir and fullname are what site gives to them."""
    import os

    sitedir = os.path.dirname(os.path.abspath(__file__))
    fullname = os.path.join(sitedir, {pth!r})
    try:
        file = open(fullname, encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return  # whose it was has taken it away
    with file:
        lines = file.read().splitlines()
    for line in lines:
        if line.startswith(("import ", "import\\t")):
            exec(line)
'''


def migrated(name: str) -> dict[str, bytes]:
    """Return the files, by name, that let the import lines of the ``.pth`` file *name* go on.

    The ``.pth`` stays as it is, for versions before 3.15. From then on its import lines are passed over if a
    ``.start`` file has the same name, so nothing runs twice. The lines are read from the ``.pth`` at each
    start: its owner may change it, or take it away.
    """
    stem = name.removesuffix(".pth")
    # a module's name, and no two files' the same
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    module = f"_start_{re.sub(r'[^0-9A-Za-z]', '_', stem)}_{digest}"
    text = _RUNNER.format(pth=name, start=f"{stem}.start")
    return {
        f"{module}.py": marked(text.encode("utf-8", "backslashreplace")),
        f"{stem}.start": marked(f"{module}:run\n".encode()),
    }
