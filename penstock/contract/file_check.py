"""Decides whether a file is accepted: the contract's rules for a file as a whole, applied to the counts of its rows."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from penstock.contract.model import Contract
from penstock.contract.row_check import Tally


def refusal(contract: Contract, tally: Tally, uploaded: datetime | None = None) -> str | None:
    """Return why a file is refused; None where it is accepted without its bad rows.

    Args:
        contract: the rules.
        tally: counts of all its rows.
        uploaded: when it was uploaded; None ignores its age.
    """
    if not tally.rows:
        return "there are no rows"
    if tally.bad == tally.rows:
        return f"none of the {tally.rows} rows is good ({commonest(tally.reasons)})"
    return "; ".join(_refusals(contract, tally, uploaded)) or None


def _refusals(contract: Contract, tally: Tally, uploaded: datetime | None) -> Iterator[str]:
    share = tally.bad / tally.rows
    if share > contract.tolerance:
        yield (
            f"{tally.bad} of {tally.rows} rows are bad ({share:.1%}), "
            f"the contract tolerates {contract.tolerance:.1%} ({commonest(tally.reasons)})"
        )
    for column in contract.columns:
        wrong_share = tally.wrong[column.name] / tally.rows
        if column.tolerance is not None and wrong_share > column.tolerance:
            yield (
                f"{column.name} is wrong in {tally.wrong[column.name]} of {tally.rows} rows ({wrong_share:.1%}), "
                f"the contract tolerates {column.tolerance:.1%} of that column"
            )
        if column.nulls is not None:
            number = tally.nulls[column.name]
            amount = 100 * number / tally.rows if column.nulls_in == "percent" else number
            if not column.nulls.include(amount):
                unit = "%" if column.nulls_in == "percent" else " rows"
                yield (
                    f"{column.name} is missing in {number} of {tally.rows} rows ({number / tally.rows:.1%}), "
                    f"the contract says {column.nulls}{unit}"
                )
    if contract.row_count is not None and not contract.row_count.include(tally.rows):
        yield f"there are {tally.rows} rows, the contract says {contract.row_count}"
    if contract.max_age is not None and uploaded is not None:
        yield from _age_refusal(contract.max_age, tally.newest, uploaded)


def _age_refusal(max_age: float, newest: datetime | None, uploaded: datetime) -> Iterator[str]:
    most = _duration(max_age)
    if newest is None:
        yield f"no row has an event time, and the contract says that the newest is at most {most} old"
    elif (age := (uploaded - newest).total_seconds()) > max_age:
        yield (
            f"the newest row is of {newest.isoformat(timespec='seconds')}, {_duration(age)} before the upload; "
            f"the contract says at most {most}"
        )


def _duration(seconds: float) -> str:
    sizes = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
    unit = next((unit for unit, size in sizes.items() if seconds >= 2 * size), "seconds")
    return f"{seconds / sizes[unit]:,.4g} {unit}"


def commonest(reasons: Mapping[str, int]) -> str:
    """Return the three commonest reasons, each with its number of rows."""
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{count} × {reason}" for reason, count in most)
