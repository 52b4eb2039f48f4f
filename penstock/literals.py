"""What text in a file says of truth and of nothing: the same for an upload and for a request."""

TRUE, FALSE = ["true", "t", "yes", "1"], ["false", "f", "no", "0"]
"""In lower case."""
BLANKS = " \t\n\r\x0b\x0c"
"""What a cell may have around what it says. One of nothing else says nothing."""
