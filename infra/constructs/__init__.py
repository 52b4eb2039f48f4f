"""What the stacks are built of. Each construct refers forwards only; the loop closes by events."""
