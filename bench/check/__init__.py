"""The row check beside its floor (Polars reading the same columns) and its peers, on the same file and rules."""
