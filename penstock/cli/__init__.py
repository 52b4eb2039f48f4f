"""The command `penstock`: parse, one call, print."""

from penstock.cli.app import main

__all__ = ["main"]
