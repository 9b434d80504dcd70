"""Pack a CPython's standard library into the archive that it boots from, and prove where it booted from."""

__all__ = ["__version__"]

__version__ = "0.1.0"
