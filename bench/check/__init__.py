"""Benchmark of the row check beside its floor (Polars reading the columns) and its peers, on one file and its rules."""
