"""Show a message in the web browser."""

import webbrowser

from page import page_of


def run(message, context):
    """Write a page with *message* into the application's folder, and open it."""
    file = context.folder / "message.html"
    file.write_text(page_of(message), encoding="utf-8")
    if not webbrowser.open(file.as_uri()):
        raise RuntimeError("there is no web browser; set BROWSER to one")
    context.shown("a page")
    return file.as_uri()
