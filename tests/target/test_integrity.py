"""verify --expect: a manifest that is known from elsewhere, and everything that it lists."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from random import Random

import pytest
from zipstrap.archive import Member, write_archive
from zipstrap.boot_record import Hasher
from zipstrap.hooks import DIGEST_STATUS, STOP_STATUS
from zipstrap.manifest import MANIFEST_NAME, load_manifest, manifest_digest
from zipstrap.verify.integrity import OtherManifest, check_integrity, expect_manifest
from zipstrap.verify.run import verify_tree

from .interpreters import Target
from .trees import Tree, make_tree, run, usual, zipstrap

#: a long session flips every byte of what is small, and many more of the tree
WHOLE = os.environ.get("ZIPSTRAP_TEST_TAMPERING", "") == "1"
FLIPS = 2000 if WHOLE else 25


@pytest.fixture(scope="module")
def tree(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("integrity") / "T"
    options = ("--profile", "minimal", "--compress", "deflate", "--zips", "pth")
    return make_tree(usual(interpreters), root, *options)


@pytest.fixture(scope="module")
def guarded(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Give a tree whose starts check digests, isolated where that can be."""
    target = usual(interpreters)
    layout = "isolated" if target.version >= (3, 11) else "fast"
    options = ("--profile", "minimal", "--compress", "deflate", "--layout", layout, "--guard", "digest")
    return make_tree(target, tmp_path_factory.mktemp("guarded") / "T", *options)


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


def test_every_flip_in_what_fixes_the_path_is_found(guarded: Tree, tmp_path: Path) -> None:
    """Of each byte of the launcher, the ._pth files and the archive with digests: ``verify --expect``."""
    copy = tmp_path / "T"
    shutil.copytree(guarded.root, copy, symlinks=True)
    random = Random(8)
    manifest = guarded.manifest
    known = check_integrity(copy, manifest).hashed
    flips = 0
    layout = manifest.layout
    places = [*([layout.executable] if layout.has_launcher else ()), *layout.path_files, layout.archive]
    for place in places:
        path = copy / place
        size = path.stat().st_size
        for index in range(size) if WHOLE or size < 200 else random.sample(range(size), 200):
            steps = flipped(path, index, random.randrange(8))
            next(steps)
            assert place in check_integrity(copy, manifest, known=known).changed, (place, index)
            next(steps)
            flips += 1
        known = check_integrity(copy, manifest).hashed
    print(f"{flips} flips in {', '.join(places)}: all found")


class _Exit(Exception):  # noqa: N818 - it stands for the end of a process
    pass


def test_the_guard_finds_every_flip_in_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each byte of a small archive, a ._pth file and a hook: its own code, with what it expects of these.

    The shim, the digests and the code that checks them are in the archive that the interpreter finds, which
    nothing in a start checks; verify does.
    """
    paths = {
        "lib/p-library.zip": b"",
        "bin/python._pth": b"../lib/p.zip\n../lib/p\n",
        "lib/p/site/a.pth": b"x = 1\n",
    }
    for path, data in paths.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    with (tmp_path / "lib/p-library.zip").open("wb") as stream:
        write_archive(stream, [Member(f"m{number}.pyc", bytes(40)) for number in range(12)], mtime=0)
    hasher = Hasher("_blake2", "blake2b", "")
    files = tuple((path, hasher.digest(tmp_path / path)) for path in paths)
    source = resources.files("zipstrap.site_hooks").joinpath("boot_digests.py").read_bytes()
    code = compile(source, "boot_digests.py", "exec")
    ended: list[int] = []
    told: list[bytes] = []

    def ends(status: int) -> None:
        ended.append(status)
        raise _Exit

    monkeypatch.setattr("posix._exit", ends)
    monkeypatch.setattr("posix.write", lambda _, data: told.append(data))
    expected = ("lib/p.zip", hasher.module, hasher.function, hasher.extension, files)

    def start() -> None:
        exec(code, {"ARCHIVE": str(tmp_path / "lib/p.zip"), "EXPECTED": expected})

    start()
    random = Random(9)
    flips = 0
    for place in paths:
        path = tmp_path / place
        for index in range(path.stat().st_size):
            steps = flipped(path, index, random.randrange(8))
            next(steps)
            with pytest.raises(_Exit):
                start()
            assert f"{path} is not what was built: its blake2b is ".encode() in told[-1]
            next(steps)
            flips += 1
    start()
    assert ended == [DIGEST_STATUS] * flips
    assert flips > 1000
    print(f"{flips} flips in {', '.join(paths)}: all stopped by the guard")


def test_the_guard_stops_starts_of_a_tree_with_a_flip(guarded: Tree, tmp_path: Path) -> None:
    """In real starts: what is covered stops them, by the guard, or by the system before it.

    Covered are the ._pth file and the library's archive. A flip in the first line of the ._pth file leaves no
    archive and so no guard, and nothing to start from either: encodings is in the archive alone.
    """
    copy = tmp_path / "T"
    shutil.copytree(guarded.root, copy, symlinks=True)
    random = Random(10)
    layout = guarded.manifest.layout
    executable = copy / layout.executable
    many = 300 if WHOLE else 6
    found: dict[str, int] = {}
    for place in (*layout.path_files[:1], layout.library_archive):
        path = copy / place
        size = path.stat().st_size
        for index in range(size) if WHOLE and size < many else random.sample(range(size), min(many, size)):
            steps = flipped(path, index, random.randrange(8))
            next(steps)
            done = run([executable, "-c", "print('never')"], cwd=tmp_path)
            assert (done.returncode != 0, done.stdout) == (True, ""), (place, index)
            if place == layout.library_archive:
                assert done.returncode == DIGEST_STATUS, (index, done.stderr)
            how = {DIGEST_STATUS: "the digest", STOP_STATUS: "another path"}.get(done.returncode, "no start")
            found[f"{place}, {how}"] = found.get(f"{place}, {how}", 0) + 1
            next(steps)
    assert run([executable, "-c", "pass"]).returncode == 0
    print(f"{sum(found.values())} flips in what starts check: none started, {found}")


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
