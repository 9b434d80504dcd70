"""Wheels and installed distributions that are made in the test: no index and no network."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["install_wheel", "make_wheel"]


def make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    requires_python: str = ">=3.8",
    entry_points: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel of *files* into *folder* and return its path."""
    info = f"{name}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Requires-Python: {requires_python}",
        *(f"Requires-Dist: {each}" for each in requires),
    ]
    members = {key: value.encode() if isinstance(value, str) else value for key, value in files.items()}
    members[f"{info}/METADATA"] = "\n".join([*metadata, "", ""]).encode()
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    )
    if entry_points:
        members[f"{info}/entry_points.txt"] = entry_points.encode()
    lines = []
    for key, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{key},sha256={digest},{len(data)}\n")
    members[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for key, data in members.items():
            archive.writestr(key, data)
    return path


def install_wheel(wheel: Path, site: Path) -> None:
    """Install *wheel* into the folder *site* as pip does: with an INSTALLER, a script and bytecode."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        modules = [name for name in archive.namelist() if name.endswith(".py")]
    (site / info / "INSTALLER").write_text("pip\n")
    (site / info / "direct_url.json").write_text(f'{{"url": "file://{wheel}", "archive_info": {{}}}}')
    script = site.parent / "bin" / info.partition("-")[0]
    script.parent.mkdir(exist_ok=True)
    script.write_text("#!/bin/sh\n")
    with (site / info / "RECORD").open("a") as record:
        record.write(f"{info}/INSTALLER,,\n{info}/direct_url.json,,\n../bin/{script.name},,\n")
        for name in modules:
            folder, _, file = name.rpartition("/")
            record.write(f"{folder}/__pycache__/{file.removesuffix('.py')}.cpython-313.pyc,,\n")
