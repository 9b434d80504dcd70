"""black: formatting, differences, several files at a time, errors."""

import show

source = "import  json\ndef f( a,b ):\n    return {'a':a,\n 'b':b}\nx = [1,\n2,]\n"
for name in ("one.py", "two.py", "three.py"):
    show.write(name, source)
show.write("bad.py", "def f(:\n")
B = ["-m", "black"]
show.python(*B, "--version")
show.python(*B, "--diff", "one.py")
show.python(*B, "--check", "one.py", "two.py", status=1, order=True)
show.python(*B, "-v", "one.py", "two.py", "three.py", order=True)
print(open("one.py").read())
show.python(*B, "bad.py", status=123)
show.python(*B, "-c", "x  =  1")
show.python(*B, "--line-length", "20", "--preview", "-c", "def function(argument_one, argument_two): pass")
import black

with show.error():
    black.format_str("def f(:", mode=black.Mode())
print(black.format_file_contents(source, fast=False, mode=black.Mode()))
show.modules()
