"""Workers that run inside a target interpreter: 3.8 syntax, the standard library, nothing of zipstrap.

The host reads them as resources and never imports them.
"""
