"""stubgen of modules of the standard library, from their sources and by looking at them."""

import show

show.run("stubgen", "-m", "textwrap", "-m", "bisect", "-o", "out2", status=None)
show.run("stubgen", "-p", "json", "-o", "out3", status=None)
show.run("stubgen", "--inspect-mode", "-m", "textwrap", "-o", "out4", status=None)
for folder in ("out2", "out3", "out4"):
    show.files(folder)
