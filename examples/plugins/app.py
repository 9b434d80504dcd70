"""An application with plugins: it shows a message in every way that its plugins know.

    python make.py plugins                       the plugins' archives, from the folders beside this file
    zipstrap plugins vendor .                    the loader, for Python 3.8 and later
    python app.py plugins "Good morning"

Needs nothing but the standard library and that copy of the loader.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from zipstrap_plugins import Plugins

#: The version of what a plugin is given: run(message, context). A plugin says in plugin.json which it needs.
API = "1.0"


class Context:
    """What the application gives a plugin."""

    def __init__(self, folder: Path, *, pause: bool) -> None:
        self.folder = folder
        self.pause = pause

    def shown(self, what: str) -> None:
        """Say that the message can be seen now, and with --pause wait for a line on stdin."""
        print("shown:", what, flush=True)
        if self.pause:
            sys.stdin.readline()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plugins", help="the folder of plugins")
    parser.add_argument("message")
    parser.add_argument("--pause", action="store_true", help="keep what is shown until a line comes on stdin")
    arguments = parser.parse_args()
    failed = False
    with Plugins(arguments.plugins, api=API) as plugins, tempfile.TemporaryDirectory() as folder:
        for fault in plugins.load().faults:
            print(fault, file=sys.stderr)
            failed = True
        context = Context(Path(folder), pause=arguments.pause)
        for called in plugins.call_all(arguments.message, context):
            if called.fault is not None:
                print(called.fault.traceback or called.fault, file=sys.stderr)
                failed = True
            else:
                print("%s: %s" % (called.plugin, called.value))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
