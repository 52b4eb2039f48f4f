"""Measured claims: `make bench-NAME`. Ratios in one run, a table, and one JSON line at the end."""
