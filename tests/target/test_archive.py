from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from zipstrap.archive import Member, write_archive

from .interpreters import Target

DATA = bytes(range(256)) * 16

MEMBERS = {
    "pkg/": b"",
    "pkg/__init__.py": b"from pkg.inner import VALUE\n",
    "pkg/inner.py": b"VALUE = 'from the package'\n" * 20,
    "pkg/data/": b"",
    "pkg/data/table.bin": DATA,
    "single.py": b"VALUE = 'from the module'\n",
    "namespace/": b"",
    "namespace/leaf.py": b"VALUE = 'from the namespace'\n",
    "näme.py": "VALUE = 'from the näme'\n".encode(),
}

#: Imports all of it and prints, as JSON, the values and which loaders gave them.
IMPORTS = """\
import json, sys
archive = sys.argv[1]
sys.path.insert(0, archive)
import pkg, single, namespace, namespace.leaf, importlib, zipimport
name = importlib.import_module("n\\xe4me")
loader = pkg.__loader__
data = loader.get_data(archive + "/pkg/data/table.bin")
json.dump({
    "values": [each.VALUE for each in (pkg, single, namespace.leaf, name)],
    "loaders": sorted({type(each.__loader__).__name__ for each in (pkg, single, namespace.leaf, name)}),
    "namespace": [list(namespace.__path__), getattr(namespace, "__file__", None)],
    "data": data.hex(),
    "files": sorted(zipimport._zip_directory_cache[archive]),
}, sys.stdout)
"""


def run(target: Target, archive: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(target.executable), "-I", "-S", "-B", "-c", IMPORTS, str(archive)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
        cwd=archive.parent,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("deflate", [False, True], ids=["stored", "deflated"])
def test_zipimport_reads_our_archive(
    target: Target, deflate: bool, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    archive = tmp_path / "library.zip"
    with archive.open("wb") as stream:
        records = write_archive(
            stream, [Member(name, data, deflate) for name, data in MEMBERS.items()], mtime=0
        )
    assert {record.method for record in records} == ({0, 8} if deflate else {0})
    done = run(target, archive, clean_env)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer.pop("files") == sorted(MEMBERS)
    assert answer == {
        "values": ["from the package", "from the module", "from the namespace", "from the näme"],
        "loaders": ["zipimporter"],
        "namespace": [[str(archive / "namespace")], None],
        "data": DATA.hex(),
    }


def test_namespace_folder_needs_its_entry_up_to_3_13(
    target: Target, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    """The reason for folders' entries in our archives; it notices when the fact changes."""
    archive = tmp_path / "library.zip"
    with archive.open("wb") as stream:
        members = [Member(name, data) for name, data in MEMBERS.items() if name != "namespace/"]
        write_archive(stream, members, mtime=0)
    done = run(target, archive, clean_env)
    if target.version <= (3, 13):
        assert "No module named 'namespace'" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
