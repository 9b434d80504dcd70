"""Generations: immutable trees below a prefix, of which one link each makes one current."""
