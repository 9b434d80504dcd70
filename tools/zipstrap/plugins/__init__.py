"""Plugins of an application: archives in a folder, checked, loaded, called, reloaded and unloaded.

What an application imports is of :mod:`zipstrap.portable.plugins`, under the same names as in the copy of it
that an application takes along; :func:`vendor` writes that copy.
"""

from __future__ import annotations

from zipstrap.portable.archive_reader import Limits
from zipstrap.portable.plugin_checks import (
    FAULTS,
    MAX_ARCHIVE,
    METADATA,
    SCHEMA_VERSION,
    Checked,
    Fault,
    Metadata,
    Runtime,
    check_archive,
    check_folder,
    is_api,
    this_runtime,
)
from zipstrap.portable.plugins import Called, Plugins, Report

from .report import checked_to_json, fault_lines, runtime_of
from .vendoring import PACKAGE, vendor

__all__ = [
    "FAULTS",
    "MAX_ARCHIVE",
    "METADATA",
    "PACKAGE",
    "SCHEMA_VERSION",
    "Called",
    "Checked",
    "Fault",
    "Limits",
    "Metadata",
    "Plugins",
    "Report",
    "Runtime",
    "check_archive",
    "check_folder",
    "checked_to_json",
    "fault_lines",
    "is_api",
    "runtime_of",
    "this_runtime",
    "vendor",
]
