"""The model card of a package, as SageMaker's registry keeps it beside the version.

A package's card follows the simplified of SageMaker's two card schemas ("Model package model card schema" in its
Developer Guide): names that it does not list are refused, and so are texts that are too long. Both are seen to here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

MOST = 100_000
"""Characters of `ModelCardContent`."""
NAME, WORD, LINE, PARAGRAPH = 63, 255, 1024, 2048
"""Characters of its kinds of text."""
Numbers = Mapping[str, float]


def card(
    *,
    creator: str,
    description: str,
    artifact: str,
    image: str,
    dataset: str,
    parameters: Mapping[str, Any],
    reason: str,
    evaluation: Mapping[str, Any],
    details: Mapping[str, str],
) -> str:
    """The card's content, JSON in one line.

    Args:
        creator: who made the model: the run.
        description: the spec's.
        artifact: S3 URI of the model.
        image: the training image.
        dataset: S3 URI of the dataset version.
        parameters: what `fit` was given.
        reason: the gates' sentence.
        evaluation: `evaluation.json`.
        details: whatever else identifies the version.
    """
    content = {
        "model_overview": {"model_creator": _cut(creator, LINE), "model_artifact": [_cut(artifact, LINE)]},
        "intended_uses": {"intended_uses": _cut(description, PARAGRAPH), "risk_rating": "Unknown"},
        "training_details": {
            "training_observations": _cut(reason, LINE),
            "training_job_details": {
                "training_datasets": [_cut(dataset, LINE)],
                "training_environment": {"container_image": [_cut(image, LINE)]},
                "user_provided_hyper_parameters": _parameters(parameters),
            },
        },
        "evaluation_details": [_evaluation(evaluation, dataset)],
        "additional_information": {"custom_details": {name: _cut(value, LINE) for name, value in details.items()}},
    }
    found = json.dumps(content)
    if len(found) > MOST:
        del content["training_details"]["training_job_details"]["user_provided_hyper_parameters"]  # type: ignore[index]
        found = json.dumps(content)
    return found


def _parameters(given: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"name": _cut(name, WORD), "value": _cut(value if isinstance(value, str) else json.dumps(value), WORD) or '""'}
        for name, value in list(given.items())[:100]
    ]


def _evaluation(evaluation: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    sides = ("challenger", "champion", "baseline")
    groups = [(side, evaluation.get(side)) for side in sides]
    groups += [(_cut(f"challenger, class {item['name']}", NAME), item) for item in evaluation.get("per_class", [])]
    return {
        "name": "holdout",
        "evaluation_observation": f"{evaluation.get('holdout_rows')} rows that no model was trained on",
        "datasets": [_cut(dataset, LINE)],
        "metric_groups": [{"name": side, "metric_data": _metrics(numbers)} for side, numbers in groups if numbers],
    }


def _metrics(numbers: Numbers) -> Sequence[dict[str, Any]]:
    return [
        {"name": _cut(name, WORD), "type": "number", "value": value}
        for name, value in numbers.items()
        if isinstance(value, int | float)
    ]


def _cut(value: Any, most: int) -> str:
    said = str(value)
    return said if len(said) <= most else f"{said[: most - 1]}…"
