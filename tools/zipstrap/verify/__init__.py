"""Witnesses gather what a boot did; checks judge it."""
