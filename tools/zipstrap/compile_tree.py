"""The verb compile: let a tree that was staged without bytecode compile itself, where it is installed.

What does it lies in the tree's archive (``site_hooks/zipstrap_compile.py``), for a device need not have
zipstrap. This runs it, and keeps the manifest true where there is one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .archive import MemberRecord, read_archive
from .durable import Root
from .errors import FileError, UnsupportedError
from .interpreter import Facts, executable_in, probe
from .layout import archive_path
from .manifest import MANIFEST_NAME, FileRecord, is_tree, load_manifest, manifest_to_json
from .stage import digest_of
from .worker import cannot_run, clean_environment, last_line

__all__ = ["CompiledTree", "compile_tree"]

_MODULE = "zipstrap_compile"
_DONE = re.compile(r"(\d+) modules compiled into .*, (\d+) on disk")


@dataclass(frozen=True, slots=True)
class CompiledTree:
    """What was done: modules in the archive and on disk that had no bytecode before, and what failed."""

    archive: str
    added: int
    on_disk: int
    failures: tuple[str, ...]


def compile_tree(what: str, find: Callable[[str], Facts]) -> CompiledTree:
    """Compile the library of *what*, a prefix or what *find* finds an interpreter by.

    Raises :class:`UnsupportedError` for a library that cannot do so, because it was not staged for it.
    """
    prefix = Path(what).absolute()
    facts = probe(_executable_in(prefix)) if prefix.is_dir() else find(what)
    archive = Path(archive_path(facts))
    executable = Path(facts.executable)
    if not archive.is_file() or not _has_compiler(archive):
        raise UnsupportedError(
            "there is nothing in this archive that could compile it",
            file=archive,
            cure="compile what was made with zipstrap stage --source-only; other trees have their bytecode",
        )
    try:
        done = subprocess.run(
            [str(executable), "-I", "-B", "-m", _MODULE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=clean_environment(),
            check=False,
        )
    except OSError as error:
        raise cannot_run(executable, error) from error
    lines = done.stdout.splitlines()
    told = _DONE.fullmatch(lines[0]) if lines else None
    if done.returncode or told is None:
        raise FileError(
            f"was not compiled ({last_line(done.stderr.encode('utf-8', 'surrogateescape'))})",
            file=archive,
            cure="see that the prefix can be written to and its file system is not full, then run it again",
        )
    if is_tree(Path(facts.prefix)):
        _correct_manifest(Path(facts.prefix))
    failures = tuple(line.removeprefix("not compiled: ") for line in lines[1:])
    return CompiledTree(str(archive), int(told[1]), int(told[2]), failures)


def _executable_in(prefix: Path) -> Path:
    if is_tree(prefix):
        return prefix / load_manifest(prefix).layout.executable
    return executable_in(prefix)


def _has_compiler(path: Path) -> bool:
    with read_archive(path) as archive:
        return any(member.name == f"{_MODULE}.py" for member in archive.members)


def _correct_manifest(prefix: Path) -> None:
    """Write into the manifest what the archive and the folders hold now."""
    manifest = load_manifest(prefix)
    path = prefix / manifest.layout.library_archive
    size, sha256 = digest_of(path)
    if sha256 == manifest.archive_sha256:
        return
    known = {record.path: record for record in manifest.files}
    for record in manifest.files:
        folder, _, name = record.path.rpartition("/")
        beside = f"{folder}/__pycache__/{name.removesuffix('.py')}.{manifest.target.cache_tag}.pyc"
        if name.endswith(".py") and (prefix / beside).is_file():
            count, digest = digest_of(prefix / beside)
            known[beside] = FileRecord(
                beside, "data", "bytecode of the module beside it", record.component, 0o644, count, digest
            )
    with read_archive(path) as archive:
        members = tuple(
            MemberRecord(
                each.name,
                each.size,
                each.compressed_size,
                each.method,
                each.crc,
                hashlib.sha256(archive.read(each.name)).hexdigest(),
                each.data_offset,
            )
            for each in archive.members
        )
    corrected = dataclasses.replace(
        manifest,
        source="archive",
        archive_size=size,
        archive_sha256=sha256,
        members=members,
        files=tuple(known[place] for place in sorted(known)),
    )
    with Root(prefix) as root, root.locked():
        root.write_file(MANIFEST_NAME, manifest_to_json(corrected).encode())
