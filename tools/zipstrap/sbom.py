"""A bill of materials of a tree: CycloneDX 1.6 or SPDX 2.3, as JSON.

It names CPython, the parts by others that are compiled into it, the wheels of ensurepip, the shared libraries
that the tree carries, and every file with its SHA-256. It is made of the manifest; which versions the parts
have is asked of the tree's own interpreter. The same tree gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime
from typing import Any

from . import __version__
from .archive import archive_time, read_archive
from .data import BundledPart, bundled_parts
from .errors import FileError
from .linkage import read_elf
from .manifest import MANIFEST_NAME, Manifest, load_manifest, manifest_bytes
from .worker import run_worker

__all__ = ["FORMATS", "Part", "bill_of_materials", "parts_of", "wheels_of"]

FORMATS = ("cyclonedx", "spdx")

_WHEEL = re.compile(r"(?:.*/)?ensurepip/_bundled/(?P<name>[^-/]+)-(?P<version>[^-/]+)-[^/]+\.whl")


@dataclass(frozen=True, slots=True)
class Part:
    """Something by others that the tree carries; *version* is None where nothing tells it."""

    name: str
    version: str | None
    purl: str
    licence: str | None
    cpe: str | None
    #: the files or modules that hold it
    inside: tuple[str, ...]
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the tree, or a member of its archive, by its path; SHA-1 only where SPDX demands it."""

    path: str
    sha256: str
    sha1: str = ""


def bill_of_materials(tree: Path, form: str, environ: Mapping[str, str]) -> str:
    """Return the bill of materials of *tree*, in one of :data:`FORMATS`.

    Runs the tree's interpreter. The time in it is ``SOURCE_DATE_EPOCH`` of *environ*, as in an archive.
    Raises :class:`FileError` when the tree has no manifest that can be read or a file is not what the
    manifest says, and :class:`zipstrap.errors.InterpreterError` when the interpreter does not run.
    """
    tree = tree.absolute()
    manifest = load_manifest(tree)
    digest = hashlib.sha256(manifest_bytes(tree)).hexdigest()
    answer = run_worker(tree / manifest.layout.executable, "parts_worker", {})
    versions, builtin = answer["versions"], frozenset(answer["builtin"])
    parts = (*parts_of(manifest, versions, builtin, _needs_of(tree, manifest)), *wheels_of(manifest))
    time = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(archive_time(environ)))
    files = tuple(_files(tree, manifest, with_sha1=form == "spdx"))
    make = _cyclonedx if form == "cyclonedx" else _spdx
    values = make(manifest, digest, time, parts, files)
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


# ---- what is carried -------------------------------------------------------------------------------------


def _needs_of(tree: Path, manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Return the shared libraries that each binary of the tree asks for, by its path."""
    found = {}
    for record in manifest.files:
        if record.kind in ("executable", "extension", "shared library"):
            elf = read_elf(tree / record.path)
            found[record.path] = () if elf is None else elf.needed
    return found


def parts_of(
    manifest: Manifest,
    versions: Mapping[str, str],
    builtin: frozenset[str],
    needs: Mapping[str, Sequence[str]],
) -> Iterator[Part]:
    """Yield the parts by others that are compiled into the tree's binaries, and the libraries that lie there.

    *versions* are what the interpreter says of its parts, *builtin* its modules, and *needs* the shared
    libraries that each binary asks for: code that comes from one of those is no part of the binary.
    """
    extensions = _extensions(manifest)
    core = [path for path in needs if path == manifest.layout.interpreter or "/libpython" in path]
    merged: dict[str, Part] = {}
    for part in bundled_parts():
        if not part.since <= manifest.target.feature_version <= part.until:
            continue
        inside = [
            place
            for module in part.modules
            for place in _places(module, part, extensions, builtin, core, needs)
        ]
        if not inside:
            continue
        version = versions.get(part.name, part.version)
        known = merged.get(part.name)
        merged[part.name] = Part(
            part.name,
            version,
            part.purl if version is None else f"{part.purl}@{version}",
            part.licence,
            None if part.cpe is None else _cpe(part.cpe, version),
            tuple(dict.fromkeys((*(() if known is None else known.inside), *inside))),
        )
    yield from (merged[name] for name in sorted(merged))
    if any(member.name.startswith("ctypes/macholib/") for member in manifest.members):
        yield Part("macholib", "1.0", "pkg:pypi/macholib@1.0", "MIT", None, ("ctypes/macholib",))
    for record in manifest.files:
        name = record.path.rpartition("/")[2]
        if record.kind == "shared library" and not name.startswith("libpython"):
            purl = f"pkg:generic/{name}"
            yield Part(name, None, purl, None, None, (record.path,), record.sha256)


def _extensions(manifest: Manifest) -> dict[str, str]:
    found = {}
    for record in manifest.files:
        if record.kind == "extension":
            found[record.path.rpartition("/")[2].partition(".")[0]] = record.path
    return found


def _places(
    module: str,
    part: BundledPart,
    extensions: Mapping[str, str],
    builtin: frozenset[str],
    core: Sequence[str],
    needs: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    files = [extensions[module]] if module in extensions else list(core) if module in builtin else []
    if files and not any(
        library.startswith(part.libraries) for path in files for library in needs.get(path, ())
    ):
        yield files[0] if module in extensions else f"{files[-1]} (module {module})"


def _cpe(product: str, version: str | None) -> str:
    return f"cpe:2.3:a:{product}:{version or '*'}:*:*:*:*:*:*:*"


def wheels_of(manifest: Manifest) -> Iterator[Part]:
    """Yield the wheels that ensurepip installs from."""
    paths = [(record.path, record.sha256) for record in manifest.files]
    paths += [(member.name, member.sha256) for member in manifest.members]
    for path, sha256 in sorted(paths, key=lambda item: item[0]):
        if found := _WHEEL.fullmatch(path):
            name, version = found["name"], found["version"]
            purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
            yield Part(name, version, purl, None, None, (path,), sha256)


def _files(tree: Path, manifest: Manifest, *, with_sha1: bool) -> Iterator[_File]:
    layout = manifest.layout
    recorded = [(record.path, record.sha256) for record in manifest.files if record.sha256 is not None]
    if manifest.archive_sha256:
        recorded.append((layout.library_archive, manifest.archive_sha256))
    for path, sha256 in sorted(recorded):
        yield _File(path, sha256, _sha1(_read(tree / path), tree / path, sha256) if with_sha1 else "")
    data = manifest_bytes(tree)
    yield _File(MANIFEST_NAME, hashlib.sha256(data).hexdigest(), _sha1(data, tree, None) if with_sha1 else "")
    if not with_sha1:
        yield from (
            _File(f"{layout.library_archive}/{each.name}", each.sha256) for each in _members(manifest)
        )
        return
    if manifest.archive_sha256:
        with read_archive(tree / layout.library_archive) as archive:
            for each in _members(manifest):
                sha1 = _sha1(archive.read(each.name), archive.path, each.sha256)
                yield _File(f"{layout.library_archive}/{each.name}", each.sha256, sha1)


def _members(manifest: Manifest) -> Iterator[Any]:
    return (member for member in manifest.members if not member.name.endswith("/"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", file=path, cure="see zipstrap verify"
        ) from error


def _sha1(data: bytes, file: Path, sha256: str | None) -> str:
    """Return the SHA-1 that SPDX demands; no security rests on it."""
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise FileError("is not what was built", file=file, cure="see zipstrap verify, or build it anew")
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


# ---- CycloneDX -------------------------------------------------------------------------------------------


def _cyclonedx(
    manifest: Manifest, digest: str, time: str, parts: Sequence[Part], files: Sequence[_File]
) -> dict[str, Any]:
    version = _version(manifest)
    components = [_cyclonedx_part(part) for part in parts]
    components += [
        {
            "type": "file",
            "bom-ref": f"file:{file.path}",
            "name": file.path,
            "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        }
        for file in files
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{digest}')}",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": {"components": [{"type": "application", "name": "zipstrap", "version": __version__}]},
            "component": {
                "type": "platform",
                "bom-ref": "cpython",
                "name": "CPython",
                "version": version,
                "purl": f"pkg:generic/python@{version}",
                "cpe": _cpe("python:python", version),
                "licenses": [{"license": {"id": "Python-2.0.1"}}],
                "properties": [
                    {"name": "zipstrap:build", "value": manifest.target.build},
                    {"name": "zipstrap:layout", "value": manifest.layout.name},
                    {"name": "zipstrap:machine", "value": manifest.target.machine},
                    {"name": "zipstrap:manifest-sha256", "value": digest},
                    *({"name": "zipstrap:needs-of-the-system", "value": name} for name in manifest.needs),
                    {"name": "zipstrap:profile", "value": manifest.profile},
                ],
            },
        },
        "components": components,
        "dependencies": [{"ref": "cpython", "dependsOn": [_reference(part) for part in parts]}],
    }


def _version(manifest: Manifest) -> str:
    return ".".join(map(str, manifest.target.version))


def _reference(part: Part) -> str:
    return f"part:{part.name}"


def _cyclonedx_part(part: Part) -> dict[str, Any]:
    values: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(part),
        "name": part.name,
        "purl": part.purl,
        "properties": [{"name": "zipstrap:inside", "value": place} for place in part.inside],
    }
    if part.version is not None:
        values["version"] = part.version
    if part.cpe is not None:
        values["cpe"] = part.cpe
    if part.licence is not None:
        values["licenses"] = [{"license": {"id": part.licence}}]
    if part.sha256 is not None:
        values["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    return values


# ---- SPDX ------------------------------------------------------------------------------------------------


def _spdx(
    manifest: Manifest, digest: str, time: str, parts: Sequence[Part], files: Sequence[_File]
) -> dict[str, Any]:
    version = _version(manifest)
    code = hashlib.sha1(
        "".join(sorted(file.sha1 for file in files)).encode(), usedforsecurity=False
    ).hexdigest()
    tree = {
        **_package("SPDXRef-CPython", "CPython", version, f"pkg:generic/python@{version}", "Python-2.0.1"),
        "comment": f"{manifest.target.build}, profile {manifest.profile}, layout {manifest.layout.name}; "
        f"needs of the system: {', '.join(manifest.needs) or 'nothing'}",
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": code},
        "licenseInfoFromFiles": ["NOASSERTION"],
        "primaryPackagePurpose": "APPLICATION",
    }
    tree["externalRefs"].append(_cpe_reference(_cpe("python:python", version)))
    packages = [tree]
    relationships = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-CPython")]
    for part in parts:
        reference = f"SPDXRef-Part-{re.sub('[^A-Za-z0-9.-]', '-', part.name)}"
        package = {
            **_package(reference, part.name, part.version, part.purl, part.licence),
            "comment": f"inside {', '.join(part.inside)}",
            "filesAnalyzed": False,
            "primaryPackagePurpose": "LIBRARY",
        }
        if part.cpe is not None:
            package["externalRefs"].append(_cpe_reference(part.cpe))
        if part.sha256 is not None:
            package["checksums"] = [{"algorithm": "SHA256", "checksumValue": part.sha256}]
        packages.append(package)
        relationships.append(_relation("SPDXRef-CPython", "CONTAINS", reference))
    records = []
    for number, file in enumerate(files):
        reference = f"SPDXRef-File-{number}"
        records.append(
            {
                "SPDXID": reference,
                "fileName": f"./{file.path}",
                "checksums": [
                    {"algorithm": "SHA1", "checksumValue": file.sha1},
                    {"algorithm": "SHA256", "checksumValue": file.sha256},
                ],
                "licenseConcluded": "NOASSERTION",
                "licenseInfoInFiles": ["NOASSERTION"],
                "copyrightText": "NOASSERTION",
            }
        )
        relationships.append(_relation("SPDXRef-CPython", "CONTAINS", reference))
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"CPython {version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/cpython-{version}-{digest}",
        "creationInfo": {"created": time, "creators": [f"Tool: zipstrap-{__version__}"]},
        "packages": packages,
        "files": records,
        "relationships": relationships,
    }


def _package(
    reference: str, name: str, version: str | None, purl: str, licence: str | None
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "SPDXID": reference,
        "name": name,
        "downloadLocation": "NOASSERTION",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence or "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "supplier": "NOASSERTION",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
        ],
    }
    if version is not None:
        values["versionInfo"] = version
    return values


def _cpe_reference(cpe: str) -> dict[str, str]:
    return {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": cpe}


def _relation(first: str, kind: str, second: str) -> dict[str, str]:
    return {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}
