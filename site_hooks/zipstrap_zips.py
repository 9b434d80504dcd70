"""Put the archives that lie in ``SITE FOLDER/zips`` on ``sys.path``, right after the site folder.

``sitecustomize``, ``zipstrap.pth`` or ``zipstrap.start`` call this, where that folder exists.
"""

import os
import sys
import zipimport


def add(site_folder):
    """Add the ``*.zip`` of one site folder, in the order of their names; pass over what is no zip file."""
    folder = os.path.join(site_folder, "zips")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    found = []
    for name in names:
        path = os.path.join(folder, name)
        if name.endswith(".zip") and not name.startswith(".") and path not in sys.path:
            try:
                zipimport.zipimporter(path)  # what it reads here, the import system uses later
            except Exception:
                continue
            found.append(path)
    at = sys.path.index(site_folder) + 1 if site_folder in sys.path else len(sys.path)
    sys.path[at:at] = found


def add_all():
    """Do :func:`add` for each site folder with a ``zipstrap.start``, which cannot pass its own folder on."""
    for entry in list(sys.path):
        if os.path.isfile(os.path.join(entry, "zipstrap.start")):
            add(entry)
