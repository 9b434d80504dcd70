"""What the window looks like. The other plugin has a module of this name too; each imports its own."""

TITLE = "A message in a window"
BACKGROUND = "#204a87"
