"""ipython: tracebacks in all modes, sources of library functions, completion, magics."""

import sys

import show

show.write("script.py", "import json\ndef go():\n    json.loads('[')\nif __name__ == '__main__':\n    go()\n")
I = ["-m", "IPython", "--no-banner", "--colors=NoColor", "--InteractiveShell.ast_node_interactivity=all"]
show.python("-m", "IPython", "--version")
for mode in ("Plain", "Context", "Verbose", "Minimal"):
    show.python(*I, "--xmode=" + mode, "-c", "import json; json.loads('[1, }')", status=None)
    show.python(*I, "--xmode=" + mode, "script.py", status=None)
for command in (
    "import textwrap; %psource textwrap.dedent",
    "import textwrap; %pinfo2 textwrap.dedent",
    "import json; %pinfo json",
    "import json; %pinfo2 json.JSONDecoder",
    "import os; %pinfo os.path.join",
    "import json; %pfile json",
    "import collections; %pdoc collections.Counter",
    "import json.decoder as d; %pdef d.JSONDecoder",
    "%run script.py",
    "%psearch str*",
    "%load_ext autoreload",
    "!echo shell",
    "%xmode",
    "%pip --version",
    "%who",
    "import contextlib; contextlib.contextmanager??",
    "%prun -q -T prun.txt import json; json.loads('[1]')",
):
    show.python(*I, "-c", command, status=None)
show.write(
    "complete.py",
    """
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    shell.run_cell("import json, asyncio, textwrap")
    from IPython.core.completer import provisionalcompleter
    for use_jedi in (True, False):
        shell.Completer.use_jedi = use_jedi
        for text in ("json.", "asyncio.ru", "textwrap.", "import tex", "from json import ", "import js", "from email."):
            with provisionalcompleter():
                print(text, use_jedi, sorted({c.text for c in shell.Completer.completions(text, len(text))}))
    print(shell.object_inspect_mime("json.loads", detail_level=1)["text/plain"])
    from IPython.core.completerlib import module_list, try_import
    import os, sys
    for path in [path for path in sys.path if not path.endswith(".zip")]:
        print(path, sorted(module_list(path)))
    from IPython.core.completerlib import get_root_modules
    print(sorted(get_root_modules()))
    print(try_import("json"), try_import("email"))
    """,
)
show.python("complete.py")
print(sys.version_info[:2])
import IPython

show.modules()
