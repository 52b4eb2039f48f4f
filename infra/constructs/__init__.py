"""Constructs of the stacks, by step of the journey. Each refers forwards only; the loop closes by events."""
