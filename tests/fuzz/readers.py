"""The other readers: what each of them finds in an archive, by names and SHA-256 of the bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zipstrap.archive import read_archive

__all__ = ["Contents", "Others", "mine", "others", "programs"]

#: names of files with their SHA-256, and those of folders without one
Contents = dict[str, str | None]

WORKER = Path(__file__).parent / "zipimport_worker.py"
#: zipimport of every version reads what is accepted for the oldest
OLDEST = (3, 8)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def mine(path: Path) -> Contents:
    """Return what our reader finds; raises BadArchive."""
    with read_archive(path, version=OLDEST) as archive:
        return {name: None if name.endswith("/") else _sha256(archive.read(name)) for name in archive.names}


def programs() -> dict[str, list[str]]:
    """Return the commands that unpack an archive, where they are installed: append archive and folder."""
    known = {"unzip": ["unzip", "-o", "-qq"], "bsdtar": ["bsdtar", "-xf"]}
    return {name: words for name, words in known.items() if shutil.which(name)}


def _unpacked(root: Path) -> Contents:
    found: Contents = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in folders:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, os.fsencode(root)).decode("utf-8", "surrogateescape") + "/"] = None
        for name in files:
            path = os.path.join(folder, name)
            shown = os.path.relpath(path, os.fsencode(root)).decode("utf-8", "surrogateescape")
            found[shown] = (
                "not a file" if os.path.islink(path) or not os.path.isfile(path) else _sha256(_read(path))
            )
    return found


def _read(path: bytes) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _with_parents(contents: Contents) -> Contents:
    found = dict(contents)
    for name in contents:
        parts = name.rstrip("/").split("/")
        found |= {"/".join(parts[:depth]) + "/": None for depth in range(1, len(parts))}
    return found


class Others:
    """The readers that are here; ``disagreements(path)`` compares all of them with ours."""

    def __init__(self, scratch: Path, workers: dict[str, subprocess.Popen[str]]) -> None:
        self._scratch = scratch
        self._workers = workers
        self._programs = programs()

    @property
    def names(self) -> list[str]:
        return ["zipfile", *self._workers, *self._programs]

    def disagreements(self, path: Path, found: Contents) -> list[str]:
        """Return what others find otherwise than *found*."""
        wrong = []
        with zipfile.ZipFile(path) as opened:
            theirs: Contents = {
                info.filename: None if info.is_dir() else _sha256(opened.read(info))
                for info in opened.infolist()
            }
            if theirs != found or len(opened.infolist()) != len(found):
                wrong.append(f"zipfile: {theirs}")
        files = {name: digest for name, digest in found.items() if digest is not None}
        folders = sorted(name for name, digest in found.items() if digest is None)
        for name, worker in self._workers.items():
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(f"{path}\n")
            worker.stdin.flush()
            answer = json.loads(worker.stdout.readline())
            if answer.get("files") != files or not set(folders) <= set(answer["folders"]):
                wrong.append(f"{name}: {answer}")
        for name, words in self._programs.items():
            folder = self._scratch / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            where = ["-d", str(folder)] if name == "unzip" else ["-C", str(folder)]
            done = subprocess.run(
                [*words, str(path), *where],
                stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
                env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            )  # fmt: skip
            theirs = _unpacked(folder)
            # both say something of an archive that holds nothing
            if theirs != _with_parents(found) or (done.returncode and found):
                wrong.append(f"{name} ({done.returncode}): {theirs} {(done.stderr or done.stdout)[-300:]!r}")
        return wrong


@contextmanager
def others(scratch: Path, pythons: Iterable[Path]) -> Iterator[Others]:
    """Start the workers of *pythons*, and yield the readers."""
    with ExitStack() as stack:
        workers = {}
        for python in pythons:
            command = [str(python), "-I", "-S", "-B", "-X", "utf8", str(WORKER)]
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
            )  # fmt: skip
            stack.enter_context(worker)
            stack.callback(worker.kill)
            workers[f"zipimport of {python.name}"] = worker
        yield Others(scratch, workers)
