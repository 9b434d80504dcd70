"""Which parts by others a tree carries, by hand-written facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest
from zipstrap.archive import MemberRecord
from zipstrap.manifest import FileRecord, Manifest
from zipstrap.sbom import Part, parts_of, wheels_of

from .test_checks import MANIFEST

DYNLOAD = "lib/python3.13/lib-dynload"
CORE = "bin/python3.13"


def manifest(
    *paths: str, version: tuple[int, int, int] = (3, 13, 0), members: Sequence[str] = ()
) -> Manifest:
    files = [
        FileRecord(path, "extension" if ".so" in path else "data", "", "core", 0o644, 1, "0a")
        for path in paths
    ]
    return dataclasses.replace(
        MANIFEST,
        target=dataclasses.replace(MANIFEST.target, version=version),
        files=tuple(files),
        members=tuple(MemberRecord(name, 1, 1, 0, 0, "0b", 0) for name in members),
    )


def found(
    of: Manifest, versions: Mapping[str, str], builtin: Sequence[str], needs: Mapping[str, Sequence[str]]
) -> dict[str, Part]:
    return {part.name: part for part in parts_of(of, versions, frozenset(builtin), needs)}


def test_code_in_an_extension_or_in_the_interpreter() -> None:
    extension = f"{DYNLOAD}/pyexpat.cpython-313-x86_64-linux-gnu.so"
    inside = found(manifest(extension), {"expat": "2.6.3"}, [], {extension: ["libc.so.6"], CORE: []})
    assert inside["expat"].inside == (extension,)
    assert inside["expat"].purl == "pkg:generic/expat@2.6.3"
    assert inside["expat"].cpe == "cpe:2.3:a:libexpat_project:libexpat:2.6.3:*:*:*:*:*:*:*"
    builtin = found(manifest(), {}, ["pyexpat"], {CORE: []})
    assert (builtin["expat"].version, builtin["expat"].inside) == (None, (f"{CORE} (module pyexpat)",))


def test_code_of_a_shared_library_is_no_part() -> None:
    extension = f"{DYNLOAD}/pyexpat.cpython-313-x86_64-linux-gnu.so"
    assert "expat" not in found(manifest(extension), {}, [], {extension: ["libexpat.so.1"], CORE: []})
    assert "expat" not in found(manifest(), {}, ["pyexpat"], {CORE: ["libexpat.so.1"]})
    assert found(manifest(), {}, [], {CORE: []}) == {}


@pytest.mark.parametrize(
    "version, names",
    [
        ((3, 8, 18), {"libb2", "libtomcrypt", "keccak-code-package"}),
        ((3, 11, 7), {"libb2", "libtomcrypt", "tiny_sha3"}),
        ((3, 13, 0), {"libb2", "hacl-star", "mimalloc"}),
        ((3, 14, 1), {"hacl-star", "mimalloc"}),
    ],
)
def test_hashes_come_from_others_by_version(version: tuple[int, int, int], names: set[str]) -> None:
    modules = ["_blake2", "_md5", "_sha3", "_thread"]
    assert set(found(manifest(version=version), {}, modules, {CORE: []})) == names


def test_wheels_lie_on_disk_or_in_the_archive() -> None:
    disk = "lib/python3.13/ensurepip/_bundled/pip-24.2-py3-none-any.whl"
    packed = "ensurepip/_bundled/Some_Thing-1.0.post1-py3-none-any.whl"
    wheels = list(wheels_of(manifest(disk, members=[packed])))
    assert [(each.name, each.version, each.sha256) for each in wheels] == [
        ("Some_Thing", "1.0.post1", "0b"),
        ("pip", "24.2", "0a"),
    ]
    assert wheels[0].purl == "pkg:pypi/some-thing@1.0.post1"
