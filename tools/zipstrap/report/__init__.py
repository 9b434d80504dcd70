"""The verb report: one page to look at, of what inspect and verify found and of what a start took."""
