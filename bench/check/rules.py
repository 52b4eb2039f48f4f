"""The rules, for the peers' scripts too, which run in environments of their own."""

NUMBERS = [f"number_{i}" for i in range(12)]
TEXTS = [f"text_{i}" for i in range(8)]
ALLOWED = [f"category {i:02d}" for i in range(20)]
LOW, HIGH = 0.0, 1000.0
