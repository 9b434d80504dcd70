"""jedi: completions, definitions, sources and signatures of the standard library."""

import sys

import jedi
import show

print(jedi.__version__)


def path_of(name):
    return (name.full_name, name.type, str(name.module_path), name.line, name.column)


def script(text):
    return jedi.Script(text)


for text in (
    "import json; json.", "import js", "import ", "from email.", "from json import ", "import textwrap; textwrap.de",
    "import asyncio; asyncio.ru", "import collections; collections.Counter().mo", "import xml.", "from concurrent.",
    "import idlelib.", "import lib2to3.", "import test", "import _", "import ctypes.",
):  # fmt: skip
    line = text.count("\n") + 1
    print(text, [each.name for each in script(text).complete(line, len(text))])
for text in (
    "import json; json.loads", "import textwrap; textwrap.dedent", "import os; os.path.join", "import asyncio",
    "import json.decoder; json.decoder.JSONDecoder", "import bisect; bisect.insort", "import this", "import idlelib.run",
    "from collections import Counter; Counter", "import email.mime.text", "import distutils.core", "import antigravity",
    "import lib2to3.pgen2", "import __hello__", "import turtle; turtle.Pen", "import zoneinfo; zoneinfo.ZoneInfo",
):  # fmt: skip
    one = script(text)
    for action in ("infer", "goto", "help"):
        with_follow = {"follow_imports": True} if action == "goto" else {}
        # jedi keeps them in sets of objects, whose order is chance
        names = sorted(getattr(one, action)(1, len(text), **with_follow), key=lambda name: str(path_of(name)))
        print(action, text, [path_of(each) for each in names])
        print([each.docstring()[:300] for each in names])
    print(
        sorted(str(path_of(each)) for each in one.goto(1, len(text), follow_imports=True, prefer_stubs=False))
    )
    print(sorted(str(path_of(each)) for each in one.infer(1, len(text), prefer_stubs=False)))
text = "import textwrap\ntextwrap.fill("
print(
    [
        (each.name, [str(p) for p in each.params])
        for each in script(text).get_signatures(2, len("textwrap.fill("))
    ]
)
import json
import textwrap

live = jedi.Interpreter("json.loads('1').; textwrap.dedent", [{"json": json, "textwrap": textwrap}])
print([path_of(each) for each in live.infer(1, 33)])
print([path_of(each) for each in live.goto(1, 33)])
print([each.name for each in jedi.Interpreter("textwrap.", [globals()]).complete(1, 9)])
environment = jedi.get_default_environment()
print(environment, environment.get_sys_path())
print([path_of(name) for name in jedi.Script("import textwrap\n").get_names()])
print([path_of(each) for each in jedi.Script("import json\njson.dumps").get_references(2, 7)])
project = jedi.Project(".")
print([path_of(each) for each in project.search("json.loads")])
print(sys.version_info[:2])
show.modules()
