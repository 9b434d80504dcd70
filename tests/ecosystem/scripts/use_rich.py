"""rich: tracebacks with locals, suppressed frames, the log handler, inspect."""

import asyncio
import json
import logging

import rich
import show
from rich.console import Console
from rich.logging import RichHandler
from rich.traceback import Traceback

console = Console(width=140, force_terminal=False, color_system=None)


def broken(kind):
    if kind == "json":
        return json.loads("[1, }")
    if kind == "asyncio":

        async def later():
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, int, "x"), 5)

        return asyncio.run(later())
    raise RuntimeError(kind)


for kind in ("json", "asyncio", "other"):
    for options in (
        {},
        {"show_locals": True},
        {"suppress": [json, asyncio]},
        {"max_frames": 2, "extra_lines": 1},
    ):
        show.title("%s %s" % (kind, sorted(options)))
        try:
            broken(kind)
        except Exception:
            console.print(Traceback(width=140, **options))
show.write(
    "installed.py",
    """
    import json
    from rich.traceback import install
    from rich.console import Console
    install(console=Console(width=120), show_locals=True)
    json.loads("[1,")
    """,
)
show.python("installed.py", status=1)
logging.basicConfig(
    handlers=[RichHandler(console=console, rich_tracebacks=True, show_time=False)], format="%(message)s"
)
try:
    broken("json")
except ValueError:
    logging.exception("logged")
rich.inspect(json.loads, console=console, help=True, methods=True)
rich.inspect(json, console=console)
show.python("-m", "rich.traceback", status=None)
show.python("-m", "rich.pretty", status=None)
show.modules()
