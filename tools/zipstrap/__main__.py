"""The command line: arguments, printing and exit statuses; nothing else."""

from __future__ import annotations

import atexit
import gc
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line and return the exit status; an interrupt while it is being loaded counts too."""
    # most of what a run makes lives to its end: the collector would look at all of it again and again
    gc.set_threshold(100_000, 50, 50)
    # the kernel takes it back quicker than the exit could take it apart
    atexit.register(gc.freeze)
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
