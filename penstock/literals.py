"""Texts that stand for true, false and blank in a file; the same for an upload and a request."""

TRUE, FALSE = ["true", "t", "yes", "1"], ["false", "f", "no", "0"]
"""In lower case."""
BLANKS = " \t\n\r\x0b\x0c"
"""Characters ignored around a cell's value; a cell of nothing else is blank."""
