"""Read the archives that stdin names by this interpreter's zipimport; one line of JSON for each.

Python 3.8 syntax; the standard library only.
"""

import hashlib
import json
import sys
import zipimport


def contents(path):
    importer = zipimport.zipimporter(path)
    # 3.13 and later read the directory when they need it
    files = importer._get_files() if hasattr(importer, "_get_files") else importer._files
    # the paths of later versions hold folders that no entry names; those have no data
    names = [name for name in files if not name.endswith("/")]
    found = {}
    for name in names:
        found[name] = hashlib.sha256(importer.get_data(path + "/" + name)).hexdigest()
    folders = [name for name, entry in files.items() if name.endswith("/") and entry is not None]
    return {"files": found, "folders": sorted(folders)}


for line in sys.stdin:
    try:
        answer = contents(line.rstrip("\n"))
    except Exception as error:
        answer = {"error": type(error).__name__ + ": " + ascii(error)}
    zipimport._zip_directory_cache.clear()
    print(json.dumps(answer), flush=True)
