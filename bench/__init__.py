"""Benchmarks behind every measured claim: `make bench-NAME` prints a table, and one JSON line at the end."""
