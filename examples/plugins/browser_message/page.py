"""The page: its form is a data file of the plugin."""

import html
import pkgutil
import string

TITLE = "A message in the browser"


def page_of(message):
    """Return the page that shows *message*."""
    # by the package's own name: the plugin does not know what it is called in this application
    form = pkgutil.get_data(__package__ + ".web", "page.html").decode("utf-8")
    return string.Template(form).substitute(title=html.escape(TITLE), message=html.escape(message))
