"""The libraries of the extra ``small``, imported where they are used; none of them is needed otherwise."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from .errors import UsageError

__all__ = ["libdeflate", "zopfli", "zstandard"]

_CURE = "pip install 'zipstrap[small]'"


def libdeflate() -> ModuleType:
    """Return the module ``deflate``, the binding of libdeflate; raises :class:`UsageError` without it."""
    return _library("deflate", "deflate", "libdeflate")


def zopfli() -> ModuleType:
    """Return the module ``zopfli.zopfli``; raises :class:`UsageError` without it."""
    return _library("zopfli.zopfli", "zopfli", "zopfli")


def zstandard() -> ModuleType:
    """Return ``compression.zstd`` (from 3.14 on), or its backport; raises :class:`UsageError` without it."""
    if sys.version_info >= (3, 14):
        return _library("compression.zstd", "", "Zstandard")
    return _library("backports.zstd", "backports.zstd", "Zstandard")


def _library(module: str, distribution: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{what} is not installed beside zipstrap ({error})",
            cure=_CURE if distribution else "run zipstrap with a Python that was built with Zstandard",
        ) from error
