"""Show a message in a Tk window."""

import tkinter

from page import BACKGROUND, TITLE


def run(message, context):
    """Show *message* in a window until it is closed or, with --pause, until a line comes on stdin."""
    root = tkinter.Tk()
    root.title(TITLE)
    root.geometry("300x120+10+10")
    tkinter.Label(root, text=message, background=BACKGROUND, foreground="white").pack(
        fill="both", expand=True
    )
    # draws it, so that it is there when the application hears of it
    root.update()
    size = root.winfo_width(), root.winfo_height()
    context.shown("a window")
    if not context.pause:
        root.mainloop()
    else:
        root.destroy()
    return "%s, %dx%d" % (TITLE, *size)
