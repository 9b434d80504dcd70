"""Bills of materials: valid by the formats' own schemas, complete, and the same for the same tree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from .interpreters import Target
from .trees import Tree, shared_tree, usual, zipstrap


@pytest.fixture(scope="module")
def tree(interpreters: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return shared_tree(usual(interpreters), tmp_path_factory)


def written(tree: Tree, form: str) -> str:
    done = zipstrap("inspect", tree.root, "--sbom", form)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def expected_files(tree: Tree) -> dict[str, str]:
    manifest = tree.manifest
    files = {record.path: record.sha256 for record in manifest.files if record.sha256}
    files[manifest.layout.library_archive] = manifest.archive_sha256
    files["zipstrap-manifest.json"] = tree.report["manifest"]["sha256"]
    for member in manifest.members:
        if not member.name.endswith("/"):
            files[f"{manifest.layout.library_archive}/{member.name}"] = member.sha256
    return files


def test_cyclonedx(tree: Tree) -> None:
    text = written(tree, "cyclonedx")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert written(tree, "cyclonedx") == text
    bill = json.loads(text)
    version = ".".join(map(str, tree.manifest.target.version))
    component = bill["metadata"]["component"]
    assert (component["name"], component["version"]) == ("CPython", version)
    assert component["cpe"] == f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
    files = {
        each["name"]: each["hashes"][0]["content"] for each in bill["components"] if each["type"] == "file"
    }
    assert files == expected_files(tree)
    parts = {each["name"]: each for each in bill["components"] if each["type"] == "library"}
    told = json.loads(tree.run("-c", VERSIONS).stdout)
    assert told
    for name, version in told.items():
        # what a shared library of the system brings is no part of the tree
        assert name not in parts or parts[name]["version"] == version
    assert "mpdecimal" in parts or any(need.startswith("libmpdec") for need in tree.manifest.needs)
    wheels = {path.name.split("-")[0] for path in tree.root.glob("lib/python3*/ensurepip/_bundled/*.whl")}
    assert wheels <= set(parts)


VERSIONS = """\
import json, pyexpat, decimal
print(json.dumps({"expat": pyexpat.EXPAT_VERSION[6:], "mpdecimal": decimal.__libmpdec_version__}))
"""


def test_spdx(tree: Tree, tmp_path: Path) -> None:
    text = written(tree, "spdx")
    assert written(tree, "spdx") == text
    path = tmp_path / "bill.spdx.json"
    path.write_text(text)
    messages = validate_full_spdx_document(parse_file(str(path)))
    assert [message.validation_message for message in messages] == []
    bill: dict[str, Any] = json.loads(text)
    files = {
        each["fileName"].removeprefix("./"): {
            found["algorithm"]: found["checksumValue"] for found in each["checksums"]
        }
        for each in bill["files"]
    }
    assert {name: sums["SHA256"] for name, sums in files.items()} == expected_files(tree)
    executable = tree.manifest.layout.executable
    assert files[executable]["SHA1"] == hashlib.sha1((tree.root / executable).read_bytes()).hexdigest()


def test_what_has_no_bill(tmp_path: Path) -> None:
    done = zipstrap("inspect", tmp_path, "--sbom", "spdx")
    assert (done.returncode, done.stdout) == (4, "")
    assert str(tmp_path) in done.stderr


def test_fsverity_of_a_tree(tree: Tree) -> None:
    done = zipstrap("inspect", tree.root, "--fsverity", "--format", "json")
    digests = {each["path"]: each["fsverity"] for each in json.loads(done.stdout)["files"]}
    archive = tree.manifest.layout.library_archive
    alone = zipstrap("inspect", tree.root / archive, "--fsverity")
    assert alone.stdout == f"{digests[archive]} {Path(archive).name}\n"
    assert {path for path in expected_files(tree) if not path.startswith(f"{archive}/")} == set(digests)
