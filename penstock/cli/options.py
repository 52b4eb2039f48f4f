"""Options that several commands share."""

from typing import Annotated

import typer

from penstock.spec.base import STAGES


def _check_stage(stage: str) -> str:
    if stage not in STAGES:
        raise typer.BadParameter(f"{stage!r} is not one of {', '.join(STAGES)}")
    return stage


def check_reason(reason: str) -> str:
    """Refuse an empty reason; return it without surrounding blanks."""
    if not reason.strip():
        raise typer.BadParameter("a reason is needed: --reason '…'")
    return reason.strip()


Stage = Annotated[
    str,
    typer.Option(
        "--stage",
        envvar="PENSTOCK_STAGE",
        help="local (the laptop cloud), dev or prod.",
        callback=_check_stage,
        metavar="NAME",
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", envvar="PENSTOCK_MODEL", help="The model; not needed in a project with one model."),
]
NamedModel = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="The model; not needed in a project with one model.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Version = Annotated[int | None, typer.Option("--version", help="The model version.")]
Reason = Annotated[
    str,
    typer.Option(
        "--reason",
        help="The reason, recorded in the registry and the ledger.",
        show_default=False,
        callback=check_reason,
    ),
]
