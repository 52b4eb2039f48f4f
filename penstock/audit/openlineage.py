"""The lineage of a version as OpenLineage events, for a data catalogue.

There are two jobs: `<model>.validate` made the dataset version from the uploads, `<model>.train` the model version from
the dataset. Each has a START and a COMPLETE event (https://openlineage.io/spec/2-0-2/OpenLineage.json). They are plain
JSON, because the official client would bring an HTTP stack for four dictionaries.
"""

import uuid
from typing import Any

from penstock.ledger.ledger import Record

Event = dict[str, Any]
PRODUCER = "https://pypi.org/project/penstock"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_TAGS = f"{_FACETS}/1-0-0/TagsRunFacet.json#/$defs/TagsRunFacet"
_VERSION = f"{_FACETS}/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
_ROWS_OUT = f"{_FACETS}/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)


def build_events(chain: Record, dataset_run: Record, stage: str) -> list[Event]:
    """Build START and COMPLETE of the validation and of the training, in the order of their times.

    Args:
        chain: the result of `why`.
        dataset_run: the run that made the dataset; the training run itself, or an earlier one.
        stage: part of the namespace.
    """
    namespace, model = f"penstock-{stage}", chain["model"]
    dataset, run = chain["dataset"], chain["run"]
    data = _dataset(*_place(dataset["manifest"]), dataset["version"])
    rows = {"outputStatistics": _facet(_ROWS_OUT, rowCount=dataset["rows"])}
    uploads = [_upload(name) for name in sorted({item["upload"] for item in dataset["uploads"]})]
    version = _dataset(namespace, f"{model}/versions/{chain['version']}", chain["sha256"])
    validation = _events(
        namespace,
        f"{model}.validate",
        dataset_run,
        uploads,
        data | {"outputFacets": rows},
        {"contract": dataset["contract"]},
    )
    tags = {"code": run["code"], "image": run["image"], "outcome": run["outcome"], "sha256": chain["sha256"]}
    return validation + _events(namespace, f"{model}.train", run, [data], version, tags)


def _events(
    namespace: str, job: str, run: Record, inputs: list[Event], output: Event, tags: dict[str, str | None]
) -> list[Event]:
    tag_list = [{"key": key, "value": value, "source": "penstock"} for key, value in tags.items() if value]
    about = {
        "run": {"runId": run_id(namespace, job, run["id"]), "facets": {"tags": _facet(_TAGS, tags=tag_list)}},
        "job": {"namespace": namespace, "name": job},
        "inputs": inputs,
        "outputs": [output],
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
    }
    times = [("START", run["opened"]), ("COMPLETE", run["ended"])]
    return [{"eventType": kind, "eventTime": at} | about for kind, at in times if at]


def run_id(namespace: str, job: str, run: str) -> str:
    """Derive a run's UUID, always the same for the same run; OpenLineage allows no other names."""
    return str(uuid.uuid5(_SPACE, f"{namespace}/{job}/{run}"))


def _upload(name: str) -> Event:
    uri, _, version = name.partition("?versionId=")
    return _dataset(*_place(uri), version)


def _place(uri: str) -> tuple[str, str]:
    """Return namespace and name of an object in OpenLineage's naming: the bucket's URI, and the key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return f"s3://{bucket}", key


def _dataset(namespace: str, name: str, version: str) -> Event:
    facets = {"version": _facet(_VERSION, datasetVersion=version)} if version else {}
    return {"namespace": namespace, "name": name, "facets": facets}


def _facet(schema: str, **about: Any) -> Event:
    return {"_producer": PRODUCER, "_schemaURL": schema} | about
