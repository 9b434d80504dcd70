"""Tell from which folders a start of this interpreter would read hooks, without reading any.

    argv    JOB_FILE ANSWER_FILE
    job     {"environ": {NAME: TEXT, ...}}       the PYTHON* variables of the start that is asked about
    answer  {"worker": "site_scanner", "schema": 1, ...} with the fields of `scan`

Run with -I -S -B, so that no hook runs.
"""

import json
import os
import sys

WORKER = "site_scanner"
SCHEMA = 1


def venv():
    """Return the folder of the virtual environment and whether it sees the system's packages, or None."""
    beside = os.path.dirname(os.path.abspath(sys.executable))
    for folder in (beside, os.path.dirname(beside)):
        try:
            with open(os.path.join(folder, "pyvenv.cfg"), encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (OSError, ValueError):
            continue
        values = {}
        for line in lines:
            key, _, value = line.partition("=")
            values[key.strip().lower()] = value.strip().lower()
        return folder, values.get("include-system-site-packages", "true") == "true"
    return None


def scan(environ):
    """Return the folders of a start with `environ`, in the order in which it reads them."""
    for name, value in environ.items():
        os.environ[name] = value
    import locale
    import site

    path = list(sys.path)
    found = venv()
    folders = []
    user_enabled = not environ.get("PYTHONNOUSERSITE") and os.geteuid() == os.getuid()
    if found is not None:
        root, sees_system = found
        user_enabled = user_enabled and sees_system
        prefix, sys.prefix, sys.exec_prefix = sys.base_prefix, root, root
        folders += [("venv", each) for each in site.getsitepackages([root])]
        sys.prefix = sys.exec_prefix = prefix
    user = site.getusersitepackages()
    if user_enabled:
        folders.append(("user", user))
    if found is None or found[1]:
        folders += [("site", each) for each in site.getsitepackages([sys.base_prefix, sys.base_exec_prefix])]
    return {
        "version": list(sys.version_info[:3]),
        "executable": sys.executable,
        "real_executable": os.path.realpath(sys.executable),
        "prefix": sys.base_prefix if found is None else found[0],
        "path": path,
        "folders": [[kind, os.path.normpath(each)] for kind, each in folders],
        "user_site": user,
        "user_enabled": user_enabled,
        "encoding": locale.getpreferredencoding(False),
    }


def main(argv):
    """Read the job, write the answer, return the exit status."""
    job_file, answer_file = argv
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    answer = {"worker": WORKER, "schema": SCHEMA}
    answer.update(scan(job["environ"]))
    with open(answer_file, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
