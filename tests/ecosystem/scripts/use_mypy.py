"""mypy: errors about the library's types, stubgen of library modules, stubtest."""

import show

show.write(
    "wrong.py",
    """
    import asyncio, collections, dataclasses, json, re, subprocess
    import click
    from typing import Any
    @dataclasses.dataclass
    class Point:
        x: int
    reveal_type(json.loads("1"))
    reveal_type(re.match("a", "b"))
    reveal_type(subprocess.run(["x"], capture_output=True, text=True).stdout)
    reveal_type(collections.Counter("x").most_common())
    Point("x")
    json.dumps()
    async def f() -> int:
        return await asyncio.sleep(1, "x")
    import no_such_module
    import click.no_such
    def g(x): return x
    """,
)
M = ["-m", "mypy"]
show.python(*M, "--version")
show.python(*M, "--strict", "--pretty", "wrong.py", status=1)
show.python(*M, "--no-incremental", "--python-executable", show.TREE_PYTHON, "wrong.py", status=1)
show.python(*M, "-m", "json.tool", status=None)
show.python(*M, "-c", "import json; json.loads(1)", status=1)
show.python(*M, "--no-such", status=2)
show.run("stubgen", "wrong.py", "-o", "out1")
print(open("out1/wrong.pyi").read())
show.python("-c", "from mypy import api; print(api.run(['-c', 'x: int = 1.5'])[0])")
show.python("-m", "mypy.stubtest", "textwrap", "json", "--concise", status=None)
show.run("dmypy", "--version", status=None)
import mypy.build

show.modules()
