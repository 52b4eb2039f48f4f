"""What decides what comes out of a run, as digests; and which of them differed from the last run that finished."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Input = Literal["data", "code", "parameters", "image", "contract"]
Inputs = dict[Input, str]
"""SHA-256 (hex) of each."""
FINISHED = {"registered", "rejected"}
"""Endings of runs that trained and were judged."""


def compared(given: Inputs, runs: Sequence[Mapping[str, Any]], *, but: str) -> dict[str, Any]:
    """The inputs against those of the last finished run.

    Args:
        given: of this run.
        runs: the model's, newest first.
        but: this run's name.

    Returns:
        `{"with": run or None, "differ": names, "sentence"}`.
    """
    finished = (run for run in runs if run["id"] != but and run.get("outcome") in FINISHED)
    last = next((run for run in finished if _of(run)), None)
    if last is None:
        return {"with": None, "differ": [], "sentence": "there is no finished run to compare with"}
    known = _of(last)
    differ = [name for name, digest in given.items() if known.get(name) != digest]
    if not differ:
        return equal(last["id"])
    names = differ[0] if len(differ) == 1 else f"{', '.join(differ[:-1])} and {differ[-1]}"
    return {"with": last["id"], "differ": differ, "sentence": f"other {names} than run {last['id']}"}


def equal(run: str) -> dict[str, Any]:
    """The comparison where none differs."""
    return {"with": run, "differ": [], "sentence": f"equals run {run} in data, code, parameters, image and contract"}


def _of(run: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = run["steps"].get("validate", {}).get("inputs", {})
    return found
