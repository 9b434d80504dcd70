"""coverage of the standard library on purpose: --pylib, --source, and a module of it as the program."""

import show

show.write("program.py", "import json, textwrap\nprint(json.loads('[1]'), textwrap.fill('a b c', 3))\n")
C = ["-m", "coverage"]
show.python(*C, "run", "--pylib", "program.py")
show.python(*C, "report", "-m", "--include=*/json/*,*/textwrap.py,program.py", status=None)
show.python(*C, "run", "--source=json", "program.py", status=None)
show.python(*C, "report", "-m", status=None)
show.python(*C, "run", "-m", "json.tool", "--help", status=None)
show.python(*C, "report", status=None)
