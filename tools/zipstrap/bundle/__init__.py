"""People's own modules, packages and distributions in an archive, and how an interpreter gets to it."""
