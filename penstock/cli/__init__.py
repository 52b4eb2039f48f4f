"""The `penstock` command: each command parses its arguments, makes one call and prints the result."""

from penstock.cli.app import main

__all__ = ["main"]
