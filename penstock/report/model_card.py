"""The model card of a version in SageMaker's registry.

It follows the simplified of SageMaker's two card schemas ("Model package model card schema" in its Developer Guide),
which refuses unknown names and long texts: this module uses the listed names and cuts texts to their limits.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_CONTENT = 100_000
"""Characters that `ModelCardContent` may have."""
NAME, WORD, LINE, PARAGRAPH = 63, 255, 1024, 2048
"""Characters that its kinds of text may have."""
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
    """Return the card's content, JSON in one line.

    Args:
        creator: the run that made the model.
        description: the spec's.
        artifact: S3 URI of the model.
        image: the training image.
        dataset: S3 URI of the dataset version.
        parameters: of `fit`.
        reason: the gates' sentence.
        evaluation: `evaluation.json`.
        details: other identifiers of the version, by name.
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
    text = json.dumps(content)
    if len(text) > MAX_CONTENT:
        del content["training_details"]["training_job_details"]["user_provided_hyper_parameters"]  # type: ignore[index]
        text = json.dumps(content)
    return text


def _parameters(parameters: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"name": _cut(name, WORD), "value": _cut(value if isinstance(value, str) else json.dumps(value), WORD) or '""'}
        for name, value in list(parameters.items())[:100]
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


def _cut(value: Any, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
