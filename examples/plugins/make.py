"""Make the archives of the example's plugins: ``python make.py FOLDER``.

A plugin is an archive with plugin.json at its root, so any tool does; zipfile is in every Python.
"""

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def make(source: Path, destination: Path) -> None:
    """Pack what lies in *source* into *destination*, a file that is complete when it gets its name."""
    work = destination.with_suffix(".new")
    with zipfile.ZipFile(work, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(source).as_posix())
    work.replace(destination)


def main() -> None:
    """Make one archive for each folder that has a plugin.json."""
    folder = Path(sys.argv[1])
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for metadata in sorted(HERE.glob("*/plugin.json")):
        destination = folder / (metadata.parent.name.replace("_", "-") + ".zip")
        make(metadata.parent, destination)
        print("made:", destination)


if __name__ == "__main__":
    main()
