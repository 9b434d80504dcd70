"""The record of a bundle: for which interpreters it is, what it holds, and what lies beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipstrap.archive import read_archive
from zipstrap.data import record_of
from zipstrap.errors import FileError, UnsupportedError
from zipstrap.interpreter import Facts

__all__ = [
    "EXTENSION_LOADER",
    "RECORD_NAME",
    "BundleRecord",
    "check_fits",
    "disk_folder_of",
    "identity_of",
    "is_bundle",
    "is_disk_folder",
    "load_bundle",
    "record_to_json",
]

#: the member of the archive, and the file in the folder beside it
RECORD_NAME = "zipstrap-bundle.json"

#: the module of ``zipstrap.site_hooks`` that an archive with extension modules brings along
EXTENSION_LOADER = "zipstrap_extensions"

_WHAT = "zipstrap bundle"
_SCHEMA = 1
_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """What a bundle says of itself.

    *identity* is the SHA-256 of the names and contents of all its files, those on disk included. *magic* is
    the number that opens the ``.pyc`` files of the interpreters that it is for, in hexadecimal, *version*
    their version (major.minor). *suffixes* are the endings of its extension modules, all of which an
    interpreter must know; *extension_loader* is the module in the archive that loads those that are there,
    or empty. *modules* are what is imported from the archive, by top-level names, *on_disk*
    what is imported from *disk_folder*, which lies beside the archive; it is empty if there is none.
    """

    identity: str
    version: str
    magic: str
    optimize: int
    source: bool
    modules: tuple[str, ...]
    on_disk: tuple[str, ...]
    disk_folder: str
    suffixes: tuple[str, ...]
    extension_loader: str
    #: name → version
    distributions: Mapping[str, str]


def identity_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Return the identity of a bundle with *files*: pairs of a name and the SHA-256 of the content."""
    digest = hashlib.sha256()
    for name, content in sorted(files):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


def record_to_json(record: BundleRecord) -> bytes:
    """Return *record* as the text that :func:`load_bundle` reads."""
    values = {"what": _WHAT, "schema_version": _SCHEMA, **dataclasses.asdict(record)}
    return (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()


def _from_json(data: bytes, file: Path) -> BundleRecord:
    try:
        record = _of_values(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(
            f"the record {RECORD_NAME} is not one of zipstrap's, or of a later form ({error})",
            file=file,
            cure="make the bundle anew with zipstrap bundle",
        ) from error
    return record


def _of_values(values: Any) -> BundleRecord:
    """Return the record of what JSON holds; KeyError, TypeError and ValueError say that it is none."""
    if (values["what"], values["schema_version"]) != (_WHAT, _SCHEMA):
        raise ValueError(f"{values['what']} {values['schema_version']}")
    pairs = [text for pair in values["distributions"].items() for text in pair]
    if not all(isinstance(text, str) for text in pairs):
        raise TypeError("distributions")
    record = record_of(BundleRecord, values, distributions=values["distributions"])
    if record.extension_loader not in ("", EXTENSION_LOADER):
        raise ValueError("extension_loader")
    if "/" in record.disk_folder or record.disk_folder in (".", ".."):
        raise ValueError("disk_folder")
    return record


def load_bundle(path: Path) -> BundleRecord:
    """Return the record of the bundle *path*, after a look whether all belongs together.

    The strict reader reads the archive. Raises :class:`~zipstrap.archive.BadArchive` for what it refuses,
    and :class:`FileError` for an archive without a record, and where the folder beside it is missing or of
    another bundle.
    """
    with read_archive(path) as archive:
        if RECORD_NAME not in archive.names:
            raise FileError(
                f"this archive is no bundle: there is no {RECORD_NAME} in it",
                file=path,
                cure="make one of what it holds: zipstrap bundle ARCHIVE -o NAME.zip",
            )
        record = _from_json(archive.read(RECORD_NAME), path)
    folder = disk_folder_of(path, record)
    if folder is not None:
        try:
            beside = _disk_record(folder)
        except OSError as error:
            raise FileError(
                f"what the bundle {path.name} has on disk is not beside it ({error.strerror})",
                file=folder,
                cure="put the folder beside the archive: they belong together",
            ) from error
        if beside.identity != record.identity:
            raise FileError(
                f"this folder is of another bundle than {path.name}",
                file=folder,
                cure="put the folder beside the archive that was made with it, or make both anew",
            )
    return record


def _disk_record(folder: Path) -> BundleRecord:
    place = folder / RECORD_NAME
    with place.open("rb") as file:
        return _from_json(file.read(_LARGEST), place)


def disk_folder_of(path: Path, record: BundleRecord) -> Path | None:
    """Return the folder beside the bundle *path* that belongs to it, or None."""
    return path.parent / record.disk_folder if record.disk_folder else None


def is_bundle(path: Path) -> bool:
    """Tell whether *path* is a bundle's archive, whatever lies beside it."""
    try:
        with read_archive(path) as archive:
            _from_json(archive.read(RECORD_NAME), path)
    except (FileError, UnsupportedError):
        return False
    return True


def is_disk_folder(path: Path) -> bool:
    """Tell whether *path* is the folder of a bundle."""
    try:
        _disk_record(path)
    except (OSError, FileError, UnsupportedError):
        return False
    return True


def check_fits(record: BundleRecord, facts: Facts, path: Path) -> None:
    """Raise :class:`UnsupportedError` unless the interpreter of *facts* can use the bundle *path*.

    With bytecode of another version it would compile everything anew, at each start.
    """
    version = ".".join(map(str, facts.feature_version))
    cure = f"make one for it: zipstrap bundle … --python {shlex.quote(facts.executable)}"
    if record.magic != facts.magic:
        raise UnsupportedError(
            f"this bundle is for CPython {record.version} (magic {record.magic}), and {facts.executable} is "
            f"{facts.name} (magic {facts.magic})",
            file=path,
            cure=cure,
        )
    unknown = [suffix for suffix in record.suffixes if suffix not in facts.extension_suffixes]
    if unknown:
        raise UnsupportedError(
            f"its extension modules end in {', '.join(unknown)}, which {facts.name} ({version}, "
            f"{facts.machine}) does not load",
            file=path,
            cure=cure,
        )
