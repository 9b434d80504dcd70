"""This is no library: it marks the prefix of Python's generations, which zipstrap installed.

The interpreter finds its prefix by a file of this name. The library is that of the generation to which
``bin/pythonX.Y`` leads, and ``encodings``, beside this, hands over to it before anything else is imported.
"""

raise ImportError("zipstrap: this is no library; zipstrap list --prefix says what is installed here")
