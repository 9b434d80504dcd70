"""verify --expect: a manifest that is known from elsewhere, and everything that it lists."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from zipstrap.manifest import MANIFEST_NAME, load_manifest, manifest_digest
from zipstrap.verify.integrity import OtherManifest, check_integrity, expect_manifest
from zipstrap.verify.run import verify_tree

from .interpreters import Target
from .trees import Tree, make_tree, usual, zipstrap

#: a long session flips every byte of what is small, and many more of the tree
WHOLE = os.environ.get("ZIPSTRAP_TEST_TAMPERING", "") == "1"
FLIPS = 2000 if WHOLE else 25


@pytest.fixture(scope="module")
def tree(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("integrity") / "T"
    return make_tree(usual(interpreters), root, "--profile", "minimal", "--compress", "deflate")


@pytest.fixture(scope="module")
def digest(tree: Tree) -> str:
    found: str = tree.report["manifest"]["sha256"]
    assert found == manifest_digest(tree.manifest)
    return found


@pytest.fixture
def copy(tree: Tree, tmp_path: Path) -> Path:
    shutil.copytree(tree.root, tmp_path / "T", symlinks=True)
    return tmp_path / "T"


def codes(report: dict[str, object]) -> set[str]:
    checks = report["checks"]
    assert isinstance(checks, list)
    return {check["code"] for check in checks if check["status"] == "failed"}


def test_expected_tree_is_verified(tree: Tree, digest: str) -> None:
    told = zipstrap("inspect", tree.root)
    assert f"manifest: {MANIFEST_NAME}, sha256 {digest}\n" in told.stdout
    for expected in (digest, f"sha256:{digest.upper()}"):
        done = zipstrap("verify", tree.root, "--expect", expected, "--format", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        passed = {check["code"] for check in report["checks"] if check["status"] == "passed"}
        assert {"ZS209", "ZS211", "ZS212", "ZS301"} <= passed
        assert report["boots"]
    assert zipstrap("verify", tree.root, "--expect", "1234").returncode == 2


def test_nothing_is_started(copy: Path, digest: str) -> None:
    executable = copy / load_manifest(copy).layout.executable
    ran = copy.parent / "ran"
    executable.unlink()
    executable.write_text(f"#!/bin/sh\ntouch {ran}\n")
    executable.chmod(0o755)
    done = zipstrap("verify", copy, "--expect", digest, "--format", "json")
    assert done.returncode == 1
    assert "ZS212" in codes(json.loads(done.stdout))
    assert not ran.exists()
    assert zipstrap("verify", copy, "--no-start").returncode == 1
    assert not ran.exists()


@pytest.mark.parametrize("place", ["library", "site"])
def test_nothing_is_started_of_what_was_added(place: str, copy: Path, digest: str) -> None:
    layout = load_manifest(copy).layout
    ran = copy.parent / "ran"
    name = f"{layout.library}/sitecustomize.py" if place == "library" else f"{layout.site}/added.pth"
    (copy / name).write_text(f"import os; os.close(os.open({str(ran)!r}, os.O_CREAT))\n")
    done = zipstrap("verify", copy, "--expect", digest, "--format", "json")
    report = json.loads(done.stdout)
    told = {check["code"] for check in report["checks"] if check["status"] in ("failed", "warned")}
    assert told & {"ZS401", "ZS402"}
    assert report["boots"] == []
    assert not ran.exists()
    # it is what would have been run
    zipstrap("verify", copy)
    assert ran.exists()


def test_other_manifest(copy: Path, digest: str) -> None:
    path = copy / MANIFEST_NAME
    path.write_text(path.read_text().replace('"profile": "minimal"', '"profile": "standard"'))
    done = zipstrap("verify", copy, "--expect", digest)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}: ZS211 other-manifest: its SHA-256 is " in done.stderr
    report = json.loads(zipstrap("verify", copy, "--expect", digest, "--format", "json").stdout)
    assert (report["passed"], report["code"], report["expected"]) == (False, "ZS211", digest)
    # without the digest it would not be noticed
    assert zipstrap("verify", copy, "--no-start").returncode == 0
    # one that cannot be read is another one too
    path.write_bytes(b"\xff")
    assert zipstrap("verify", copy, "--expect", digest).returncode == 1


@pytest.mark.parametrize("which", ["archive", "library_archive"])
def test_verify_names_the_rule_that_an_archive_breaks(copy: Path, which: str) -> None:
    path = copy / getattr(load_manifest(copy).layout, which)
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(b"more")
    done = zipstrap("verify", copy, "--no-start", "--format", "json")
    assert (done.returncode, done.stderr) == (1, "")
    check = next(each for each in json.loads(done.stdout)["checks"] if each["code"] == "ZS201")
    text = f"ZS704 trailing-data: 4 bytes follow the end record (at byte {size})"
    assert [finding.endswith(text) for finding in check["findings"]] == [True]


def flipped(path: Path, index: int, bit: int) -> Iterator[None]:
    """Flip one bit, and after that put it back."""
    with path.open("r+b") as stream:
        stream.seek(index)
        byte = stream.read(1)[0]
        for value in (byte ^ 1 << bit, byte):
            stream.seek(index)
            stream.write(bytes([value]))
            stream.flush()
            yield


def test_every_flip_in_what_is_small_is_found(copy: Path, digest: str) -> None:
    """The archive that the interpreter finds, the hooks, and the manifest; a sample of the bytes in CI."""
    random = Random(6)
    manifest = load_manifest(copy)
    hooks = [record.path for record in manifest.files if record.path.endswith((".pth", ".start", "._pth"))]
    by_size = sorted((record.size, record.path) for record in manifest.files if record.sha256 and record.size)
    small = list(dict.fromkeys([manifest.layout.archive, *hooks, *(path for _, path in by_size[:2])]))
    known = check_integrity(copy, manifest).hashed
    flips = 0
    for place in small:
        path = copy / place
        size = path.stat().st_size
        for index in range(size) if WHOLE else random.sample(range(size), min(size, 40)):
            steps = flipped(path, index, random.randrange(8))
            next(steps)
            assert place in check_integrity(copy, manifest, known=known).changed, (place, index)
            next(steps)
            flips += 1
        known = check_integrity(copy, manifest).hashed
    path = copy / MANIFEST_NAME
    size = path.stat().st_size
    for index in range(size) if WHOLE else random.sample(range(size), 200):
        steps = flipped(path, index, random.randrange(8))
        next(steps)
        with pytest.raises(OtherManifest):
            expect_manifest(copy, digest)
        next(steps)
        flips += 1
    expect_manifest(copy, digest)
    assert check_integrity(copy, manifest).changed == ()
    print(f"{flips} flips in {', '.join([*small, MANIFEST_NAME])}: all found")


def test_flips_anywhere_are_found(copy: Path, digest: str) -> None:
    random = Random(7)
    manifest = load_manifest(copy)
    places = [record.path for record in manifest.files if record.sha256 and record.size]
    places += [manifest.layout.library_archive, MANIFEST_NAME]
    sizes = [(copy / place).stat().st_size for place in places]
    known = check_integrity(copy, manifest).hashed
    found: dict[str, int] = {}
    for number in range(FLIPS):
        # by size as damage would have it, and every other time by file
        place = random.choices(places, sizes if number % 2 else None)[0]
        path = copy / place
        steps = flipped(path, random.randrange(path.stat().st_size), random.randrange(8))
        next(steps)
        try:
            expect_manifest(copy, digest)
            # the whole of verify for some: it asks the same two questions first
            if WHOLE and number % 10:
                code = "ZS212"
                assert place in check_integrity(copy, manifest, known=known).changed
            else:
                verification = verify_tree(copy, expect=digest)
                assert not verification.passed, place
                assert not verification.evidence.boots
                code = "ZS212"
                assert code in verification.codes, (place, verification.codes)
        except OtherManifest:
            code = "ZS211"
        found[code] = found.get(code, 0) + 1
        next(steps)
    assert sum(found.values()) == FLIPS
    assert check_integrity(copy, manifest).changed == ()
    print(f"{FLIPS} flips in {len(places)} files: all found, {found}")
