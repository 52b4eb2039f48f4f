"""The rules, also imported by the peers' scripts, which run in other environments."""

NUMBERS = [f"number_{i}" for i in range(12)]
TEXTS = [f"text_{i}" for i in range(8)]
ALLOWED = [f"category {i:02d}" for i in range(20)]
LOW, HIGH = 0.0, 1000.0
