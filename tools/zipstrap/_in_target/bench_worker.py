"""Tell where this interpreter has its library from, and which modules it cannot import.

Protocol: argv is JOB_FILE ANSWER_FILE. The job is JSON: {"modules": [NAME, ...]}. The answer is JSON with
"worker", "schema", "prefix", "library" (the file of the module encodings, which no version has frozen) and
"missing": {NAME: REASON, ...}.
"""

import sys

WORKER = "bench_worker"
SCHEMA = 1

if sys.version_info < (3, 8):
    sys.exit(64)


def main(job_file, answer_file):
    """Read the job, write the answer."""
    import encodings
    import importlib
    import json

    with open(job_file, encoding="utf-8") as stream:
        job = json.load(stream)
    missing = {}
    for name in job["modules"]:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing[name] = "%s: %s" % (type(error).__name__, error)
    answer = {
        "worker": WORKER,
        "schema": SCHEMA,
        "prefix": sys.prefix,
        "library": encodings.__file__,
        "missing": missing,
    }
    with open(answer_file, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
