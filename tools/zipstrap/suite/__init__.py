"""CPython's own test suite, run from a directory and from the archive, and compared case by case."""
