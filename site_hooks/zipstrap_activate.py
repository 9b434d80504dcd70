"""Put a bundle of zipstrap on ``sys.path`` of this process, after a look whether it is for this Python.

``zipstrap.activate`` does this where zipstrap is installed. The file may be taken along and used by itself.
"""

import json
import os
import sys
import zipimport
from importlib.util import MAGIC_NUMBER

RECORD = "zipstrap-bundle.json"


def _record(path, read):
    """Return the record that `read` gives; ImportError, with `path`, for what is none."""
    try:
        record = json.loads(read())
        known = (
            isinstance(record["extension_loader"], str)
            and record["what"] == "zipstrap bundle"
            and record["schema_version"] == 1
        )
    except (OSError, ValueError, KeyError, TypeError, zipimport.ZipImportError) as error:
        raise ImportError("%s: this is no bundle of zipstrap (%s)" % (path, error), path=path) from None
    if not known:
        raise ImportError("%s: this is no bundle of zipstrap, or one of a later form" % path, path=path)
    return record


def _file(path):
    with open(path, "rb") as file:
        return file.read()


def activate(path, first=False):
    """Add the archive `path`, and the folder that belongs to it, to `sys.path`; return these entries.

    They come last, or before all others if `first` is true; what is there already is not added again. Raises
    ImportError for what is no bundle, is for another Python, or lacks its folder.
    """
    path = os.path.abspath(os.fspath(path))
    record = _record(path, lambda: zipimport.zipimporter(path).get_data(RECORD))
    if record["magic"] != MAGIC_NUMBER.hex():
        raise ImportError(
            "%s: this bundle is for CPython %s (magic %s), and this is %d.%d (magic %s)"
            % ((path, record["version"], record["magic"]) + sys.version_info[:2] + (MAGIC_NUMBER.hex(),)),
            path=path,
        )
    entries = [path]
    if record["disk_folder"]:
        folder = os.path.join(os.path.dirname(path), record["disk_folder"])
        beside = _record(folder, lambda: _file(os.path.join(folder, RECORD)))
        if beside["identity"] != record["identity"]:
            raise ImportError("%s: this folder is of another bundle than %s" % (folder, path), path=folder)
        entries.append(folder)
    new = [entry for entry in entries if entry not in sys.path]
    at = 0 if first else len(sys.path)
    sys.path[at:at] = new
    if record["extension_loader"]:
        # the archive brings it along
        __import__(record["extension_loader"]).add_archive(path)
    return tuple(entries)
