"""The page on the command `penstock`: its help texts and its exit codes."""

import typer
from typer.cli import get_docs_for_click

from docs.generators.markdown import NOTICE
from penstock.cli import app as module


def command_page() -> str:
    """Write each command with its arguments and options."""
    context = typer.Context(typer.main.get_command(module.app), info_name="penstock")
    text = get_docs_for_click(obj=context.command, ctx=context, name="penstock").strip()
    title, _, rest = text.partition("\n")
    return f"{title}\n\n{NOTICE}\n{rest}\n\n## Exit codes\n\n{_exit_codes()}\n"


def _exit_codes() -> str:
    """Return the exit codes that the module lists, one a line."""
    docstring = module.__doc__ or ""
    listed = " ".join(docstring.partition("Exit codes:")[2].split()).rstrip(".")
    return "\n".join(f"- {item.strip()}" for item in listed.split(" · "))
