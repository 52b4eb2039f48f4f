"""The inputs that decide what a run produces, as digests, compared with those of the last finished run."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Input = Literal["data", "code", "parameters", "image", "contract"]
Inputs = dict[Input, str]
"""SHA-256 (hex) of each."""
CodePart = Literal["model code", "training code", "package versions"]
CodeParts = Mapping[CodePart, str]
"""The parts of the input `code`, each by its SHA-256 (hex), so that the sentence can name the part."""
CODE_PARTS = "code_parts"
"""Name of the parts in a run's record; older records have none."""
FINISHED = {"registered", "rejected"}
"""Endings of runs that trained and were judged."""


def compare_inputs(
    inputs: Inputs, runs: Sequence[Mapping[str, Any]], *, but: str, code_parts: CodeParts | None = None
) -> dict[str, Any]:
    """Compare the inputs with those of the last finished run.

    Args:
        inputs: of this run.
        runs: the model's, newest first.
        but: this run's name.
        code_parts: of this run.

    Returns:
        `{"with": run or None, "differ": names, "sentence"}`.
    """
    finished = (run for run in runs if run["id"] != but and run.get("outcome") in FINISHED)
    last = next((run for run in finished if _recorded(run, "inputs")), None)
    if last is None:
        return {"with": None, "differ": [], "sentence": "there is no finished run to compare with"}
    earlier = _recorded(last, "inputs")
    differ = [name for name, digest in inputs.items() if earlier.get(name) != digest]
    if not differ:
        return equal_inputs(last["id"])
    parts = _differing_parts(code_parts or {}, _recorded(last, CODE_PARTS))
    words = [word for name in differ for word in (parts if name == "code" and parts else [name])]
    names = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return {"with": last["id"], "differ": differ, "sentence": f"other {names} than run {last['id']}"}


def code_parts(model: str, training: str, packages: str) -> CodeParts:
    """Name the digests by part; parts that the deployment does not give are left out."""
    parts: dict[CodePart, str] = {"model code": model, "training code": training, "package versions": packages}
    return {name: digest for name, digest in parts.items() if digest}


def equal_inputs(run: str) -> dict[str, Any]:
    """Return the comparison with a run whose inputs are equal."""
    return {"with": run, "differ": [], "sentence": f"equals run {run} in data, code, parameters, image and contract"}


def _differing_parts(parts: CodeParts, earlier: Mapping[str, str]) -> list[str]:
    """Return the parts of the code that differ; none if the earlier run did not record them."""
    return [name for name, digest in parts.items() if earlier and earlier.get(name) != digest]


def _recorded(run: Mapping[str, Any], name: str) -> Mapping[str, str]:
    digests: Mapping[str, str] = run["steps"].get("validate", {}).get(name, {})
    return digests
