"""The OpenAPI document of the live version; loaded with the first request for it."""

from collections.abc import Mapping
from typing import Any

from penstock.api import openapi
from penstock.api.explain import explainer
from penstock.aws.s3_store import NoObjectError, Store
from penstock.scoring.model import Model
from penstock.scoring.signature import Value
from penstock.settings import PredictSettings


def openapi_document(settings: PredictSettings, model: Model, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document, with a golden example of the version where there still is one."""
    return openapi.document(
        model.signature,
        version=int(settings.version),
        max_rows=model.max_rows,
        auth=_auth(event),
        feature_store=settings.feature_store,
        example=_example(settings),
        background=explainer(model).background if model.explains else None,
    )


def _auth(event: Mapping[str, Any]) -> openapi.Auth | None:
    """Return the authorizer of the request."""
    authorizer = event["requestContext"].get("authorizer") or {}
    return "jwt" if "jwt" in authorizer else "iam" if "iam" in authorizer else None


def _example(settings: PredictSettings) -> Mapping[str, Value] | None:
    """Read a golden example, each time anew: erasing a person's data removes it from the golden examples too."""
    key = f"{settings.model_key.rpartition('/')[0]}/golden.json"
    try:
        golden = Store(settings.bucket).json(key)
    except NoObjectError:
        return None
    return dict(golden[0]["instance"]) if golden else None
