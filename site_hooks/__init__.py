"""The start-up hooks that are installed into a target: 3.8 syntax, the standard library, nothing of zipstrap.

The host reads them as resources and never imports them.
"""
