"""coverage: whether it reports the standard library as the user's code, and its reports."""

import json

import show

show.write(
    "program.py",
    """
    import argparse, asyncio, dataclasses, decimal, email.message, json, logging, sys, textwrap, threading
    import parts
    def main(n):
        if n > 5:
            print("never")
        print(json.loads("[1]"), textwrap.fill("a b c", 3))
        thread = threading.Thread(target=parts.work)
        thread.start()
        thread.join()
        asyncio.run(parts.later())
    main(1)
    """,
)
show.write(
    "parts.py",
    """
    import asyncio
    def work():
        return [x for x in range(3)]
    async def later():
        await asyncio.sleep(0)
    def unused():
        pass
    """,
)
C = ["-m", "coverage"]
show.python(*C, "--version")
show.python(*C, "debug", "sys", keep=lambda line: "environment" not in line and "PATH" not in line)
show.python(*C, "debug", "config")
show.python(*C, "run", "program.py")
show.python(*C, "report", "-m")
show.python(*C, "run", "--branch", "--timid", "program.py")
show.python(*C, "report", "-m")
show.python(*C, "run", "--branch", "--source=.", "program.py")
show.python(*C, "json", "-o", "c.json")
for name, data in sorted(json.load(open("c.json"))["files"].items()):
    print(name, data["executed_lines"], data["missing_lines"], data["summary"])
show.python(*C, "annotate", "-d", "annotated")
show.python(*C, "html", "-d", "page")
show.python(*C, "xml", "-o", "c.xml")
print(open("c.xml").read())
show.python(
    *C,
    "run",
    "--debug=trace",
    "program.py",
    order=True,
    # zipimport, which is frozen, looks at another path on one side than on the other
    keep=lambda line: line.startswith(("Tracing", "Not tracing")) and "<frozen" not in line,
)
show.python(*C, "run", "broken.py", status=1)
show.write("broken.py", "import json\njson.loads('[')\n")
show.python(*C, "run", "broken.py", status=1)
import coverage

show.modules()
