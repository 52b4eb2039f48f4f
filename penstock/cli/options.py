"""The options that several commands share."""

from typing import Annotated

import typer

from penstock.spec.base import STAGES


def _known(stage: str) -> str:
    if stage not in STAGES:
        raise typer.BadParameter(f"{stage!r} is not one of {', '.join(STAGES)}")
    return stage


def given_reason(reason: str) -> str:
    """A reason that says something, without the blanks around it."""
    if not reason.strip():
        raise typer.BadParameter("a reason is needed: --reason '…'")
    return reason.strip()


Stage = Annotated[
    str,
    typer.Option(
        "--stage",
        envvar="PENSTOCK_STAGE",
        help="local (the laptop cloud), dev or prod.",
        callback=_known,
        metavar="NAME",
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", envvar="PENSTOCK_MODEL", help="Which model; not needed where there is one.")
]
NamedModel = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="Which model; not needed where there is one.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
Version = Annotated[int | None, typer.Option("--version", help="Which version.")]
Reason = Annotated[
    str,
    typer.Option("--reason", help="Stands in the registry and the ledger.", show_default=False, callback=given_reason),
]
