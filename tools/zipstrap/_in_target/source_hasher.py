"""Hash sources as PEP 552 bytecode states them: the keyed hash differs between versions.

Protocol: argv is JOB_FILE ANSWER_FILE. The job is JSON: {"blob": path, "sizes": [size in bytes, ...]}, with
the sources one after the other in the blob. The answer is JSON with "worker", "schema" and "hashes", in
hexadecimal and in the same order.
"""

import sys

WORKER = "source_hasher"
SCHEMA = 1

if sys.version_info < (3, 8):
    sys.exit(64)


def main(job_file, answer_file):
    """Read the job, write the answer."""
    import _imp
    import json

    key = int.from_bytes(sys.modules["_frozen_importlib_external"].MAGIC_NUMBER, "little")
    with open(job_file, encoding="utf-8") as stream:
        job = json.load(stream)
    hashes = []
    with open(job["blob"], "rb") as blob:
        for size in job["sizes"]:
            hashes.append(_imp.source_hash(key, blob.read(size)).hex())
    with open(answer_file, "w", encoding="utf-8") as stream:
        json.dump({"worker": WORKER, "schema": SCHEMA, "hashes": hashes}, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
