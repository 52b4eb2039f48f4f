"""One application for each peer: the least that checks a row and returns its probability."""
