"""The command line: one file a verb, each a thin skin over the library."""

from edgevid.cli.program import app, main

__all__ = ["app", "main"]
