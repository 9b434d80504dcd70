"""The bench: kinds of trees of one interpreter, measured side by side against the unpacked library."""
