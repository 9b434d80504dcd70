"""pytest --pyargs with modules of the standard library: their doctests."""

import show

P = ["-m", "pytest", "-p", "no:cacheprovider", "-ra", "--doctest-modules", "--pyargs"]
show.python(*P, "bisect", "textwrap", "difflib", "statistics", status=None)
show.python(*P, "email", status=None)
show.python(*P, "json", "-v", status=None)
