"""The model card agrees with the classes of SageMaker's own SDK and the lengths of its schema."""

import json
from typing import Any

import pytest
from pydantic import BaseModel
from sagemaker.core.shapes.model_card_shapes import ModelCardContent

from penstock.report.model_card import MAX_CONTENT, card

PACKAGE_OVERVIEW = {"model_creator", "model_artifact"}
"""The overview's names in a package's card; the SDK's classes are those of the larger schema."""


def card_content(**changed: Any) -> dict[str, Any]:
    about: dict[str, Any] = {
        "creator": "Penstock, run r1",
        "description": "Will it be late?",
        "artifact": "s3://bucket/model.tar.gz",
        "image": "an/image:1",
        "dataset": "s3://bucket/dataset.json",
        "parameters": {"depth": 6, "names": ["a"], "text": "", "line\nbreak": "ü"},
        "reason": "all 3 gates passed",
        "evaluation": {
            "holdout_rows": 10,
            "challenger": {"roc_auc": 0.9},
            "champion": None,
            "baseline": {"roc_auc": 0.5},
        },
        "details": {"code": "c0de"},
    }
    content = card(**about | changed)
    assert "\n" not in content
    assert len(content) <= MAX_CONTENT
    result: dict[str, Any] = json.loads(content)
    return result


def check_fields(model: type[BaseModel], value: dict[str, Any]) -> None:
    """Check that every name is a field of the class, which ignores unknown names; the service refuses them."""
    read = model.model_validate(value)
    for name, item in value.items():
        assert name in model.model_fields, f"{model.__name__} has no {name}"
        inner = getattr(read, name)
        for one, raw in zip(inner, item, strict=True) if isinstance(inner, list) else [(inner, item)]:
            if isinstance(one, BaseModel):
                check_fields(type(one), raw)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"description": "ä" * 5000, "reason": "x" * 5000, "creator": "c" * 2000, "image": "i" * 2000},
        {"parameters": {f"p{index}": "v" * 400 for index in range(300)}},
        {"details": {"long": "d" * 3000}},
        {
            "evaluation": {
                "challenger": {"log_loss": 0.3},
                "per_class": [{"name": "c" * 300, "rows": 7, "recall": 0.5} for _ in range(50)],
            }
        },
    ],
)
def test_sagemaker_accepts_the_card(changed: dict[str, Any]) -> None:
    result = card_content(**changed)
    check_fields(ModelCardContent, result)
    assert set(result["model_overview"]) <= PACKAGE_OVERVIEW
    details = result["training_details"]["training_job_details"]
    assert len(details["user_provided_hyper_parameters"]) <= 100
    assert all(1 <= len(item["value"]) <= 255 for item in details["user_provided_hyper_parameters"])
    assert all(len(value) <= 1024 for value in result["additional_information"]["custom_details"].values())


def test_the_card_has_the_metrics_of_each_model() -> None:
    groups = card_content()["evaluation_details"][0]["metric_groups"]
    assert [(group["name"], group["metric_data"]) for group in groups] == [
        ("challenger", [{"name": "roc_auc", "type": "number", "value": 0.9}]),
        ("baseline", [{"name": "roc_auc", "type": "number", "value": 0.5}]),
    ]


def test_the_card_has_the_metrics_of_each_class() -> None:
    each = [{"name": "late", "rows": 7, "recall": 0.5}]
    result = card_content(evaluation={"challenger": {"log_loss": 0.3}, "per_class": each})
    group = result["evaluation_details"][0]["metric_groups"][-1]
    assert group["name"] == "challenger, class late"
    assert [(item["name"], item["value"]) for item in group["metric_data"]] == [("rows", 7), ("recall", 0.5)]


def test_a_card_that_would_be_too_long_leaves_out_the_parameters() -> None:
    metrics = {f"metric {index} {'x' * 200}": 0.5 for index in range(300)}
    parameters = {f"p{index}": "ü" * 250 for index in range(100)}
    result = card_content(evaluation={"holdout_rows": 1, "challenger": metrics}, parameters=parameters)
    assert "user_provided_hyper_parameters" not in result["training_details"]["training_job_details"]
