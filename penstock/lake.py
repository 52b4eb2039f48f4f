"""The S3 keys of the lake: built and parsed only here.

Data moves through the folders: raw → (quarantine | datasets) → runs → models → captures, labels → monitor, labelled → a
next run. A prefix always ends with the model's name and a slash, so that a grant or a rule can be limited to a model.

    raw/<model>/<name>                        an upload, as it came
    raw/<model>/<folder>/<name>               one of many objects that are one upload, once `_SUCCESS` closes the folder
    labelled/<model>/<digest>.parquet         captured rows with their ground truth, an upload that waits
    quarantine/<model>/<run>/<upload>.parquet refused rows with reasons; report.json beside them
    datasets/<model>/parts/<sha256>.parquet   accepted rows, immutable
    datasets/<model>/versions/<version>.json  a dataset version: its parts in order
    datasets/<model>/manifests/<version>.json the same for SageMaker (`ManifestFile`)
    datasets/<model>/stored/<group>.json      the parts whose features a feature group has
    features/<model>/                         the feature group's offline store, as SageMaker writes it
    runs/<model>/<run>/folders/<digest>.json  the objects of a closed folder when the run took it, with version ids
    runs/<model>/<run>/found/<digest>.json    a job's finding about a file that was too large for validate
    runs/<model>/<run>/input/                 the requests of jobs, with the champion's file and the model's folder
    runs/<model>/<run>/output/                the training job's output, as SageMaker writes it
    runs/<model>/<run>/report.html            the report of a run that was rejected
    models/<model>/<sha256>/                  model.onnx and what belongs to it, report.html among it
    captures/<model>/yyyy/mm/dd/hh/           answered requests, from Firehose
    capture-errors/<model>/                   captures that Firehose could not deliver there
    shadow/<model>/<rollout>/<moment>.json.gz a shadow version's answers to captured requests
    batch/<model>/input/<name>                a file whose rows are to be scored, as it came
    batch-work/<model>/<work>/                its rows in parts, and the parts' scores; named by file and live version
    batch/<model>/output/<name>               the scores, in the input's format
    batch/<model>/errors/<name>.jsonl         the rows that have none, with reasons
    labels/<model>/<name>                     ground truth, as it came
    monitor/<model>/<version>/                drift reports, and a mark of the captures that were read
    forgetting/<model>/<token>.json           a forgetting's plan: what is still to be removed; no rows
    forgetting/<model>/<token>/entities.json  entities whose online features are still to be deleted
"""

from dataclasses import dataclass

RAW, LABELS, LABELLED, CAPTURES, CAPTURE_ERRORS = "raw", "labels", "labelled", "captures", "capture-errors"
QUARANTINE, DATASETS, RUNS, MODELS, MONITOR = "quarantine", "datasets", "runs", "models", "monitor"
FORGETTING = "forgetting"
SHADOW = "shadow"
FEATURES = "features"
BATCH_INPUT, BATCH_OUTPUT, BATCH_ERRORS = "batch/input", "batch/output", "batch/errors"
"""Folders within a folder; the model's name stands between the two."""
BATCH_WORK = "batch-work"
"""A folder of its own, as its objects expire, whichever model's they are."""
SUCCESS = "_SUCCESS"
MODEL_FILE = "model.onnx"
"""The file that serves, among a version's files."""


class LakeKeyError(Exception):
    """A key that is not in the folder of its kind."""


@dataclass(frozen=True)
class Lake:
    """The keys of one model in a stage's bucket."""

    bucket: str
    model: str

    def uri(self, key: str) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{key}"

    def source(self, key: str, version_id: str) -> str:
        """`s3://bucket/key?versionId=…`: one version of one object, as a part names its origin."""
        return f"{self.uri(key)}?versionId={version_id}"

    def prefix(self, folder: str) -> str:
        """`<folder>/<model>/`."""
        return prefix(folder, self.model)

    def raw(self, name: str) -> str:
        return self.prefix(RAW) + name

    def labels(self, name: str) -> str:
        return self.prefix(LABELS) + name

    def labelled(self, digest: str) -> str:
        return f"{self.prefix(LABELLED)}{digest}.parquet"

    def quarantine(self, run: str, name: str) -> str:
        return f"{self.prefix(QUARANTINE)}{run}/{name}"

    def parts(self) -> str:
        return self.prefix(DATASETS) + "parts/"

    def part(self, sha256: str) -> str:
        return f"{self.parts()}{sha256}.parquet"

    def version(self, version: str) -> str:
        return f"{self.prefix(DATASETS)}versions/{version}.json"

    def manifest(self, version: str) -> str:
        return f"{self.prefix(DATASETS)}manifests/{version}.json"

    def notes(self) -> str:
        return self.prefix(DATASETS) + "stored/"

    def stored(self, group: str) -> str:
        return f"{self.notes()}{group}.json"

    def listing(self, run: str, digest: str) -> str:
        return f"{self.prefix(RUNS)}{run}/folders/{digest}.json"

    def finding(self, run: str, digest: str) -> str:
        return f"{self.prefix(RUNS)}{run}/found/{digest}.json"

    def run_input(self, run: str, name: str = "") -> str:
        return f"{self.prefix(RUNS)}{run}/input/{name}"

    def run_output(self, run: str) -> str:
        return f"{self.prefix(RUNS)}{run}/output/"

    def run_report(self, run: str) -> str:
        return f"{self.prefix(RUNS)}{run}/report.html"

    def model_file(self, sha256: str, name: str) -> str:
        return f"{self.prefix(MODELS)}{sha256}/{name}"

    def monitor(self, version: str, name: str) -> str:
        return f"{self.prefix(MONITOR)}{version}/{name}"

    def shadow(self, rollout: str, name: str = "") -> str:
        return f"{self.prefix(SHADOW)}{rollout}/{name}"

    def batch_input(self, name: str) -> str:
        return self.prefix(BATCH_INPUT) + name

    def batch_work(self, work: str, name: str = "") -> str:
        return f"{self.prefix(BATCH_WORK)}{work}/{name}"

    def batch_output(self, name: str) -> str:
        return self.prefix(BATCH_OUTPUT) + name

    def batch_errors(self, name: str) -> str:
        return f"{self.prefix(BATCH_ERRORS)}{name}.jsonl"

    def forgetting(self, token: str) -> str:
        return f"{self.prefix(FORGETTING)}{token}.json"

    def entities(self, token: str) -> str:
        return f"{self.prefix(FORGETTING)}{token}/entities.json"


def prefix(folder: str, model: str) -> str:
    """`<folder>/<model>/`, or `<folder>/<model>/<inner>/` for a folder within a folder, for keys, rules and grants."""
    outer, _, inner = folder.partition("/")
    return f"{outer}/{model}/{inner}/" if inner else f"{outer}/{model}/"


def name_of(key: str, folder: str, model: str) -> str:
    """Read the name that follows a folder's prefix in a key.

    Raises:
        LakeKeyError: the key is elsewhere, or has no name.
    """
    start = prefix(folder, model)
    if not key.startswith(start) or len(key) == len(start):
        raise LakeKeyError(f"{key!r} is not an object under {start}")
    return key[len(start) :]


def holds_rows(name: str) -> bool:
    """Tell whether a name is data: neither a folder nor a marker (`_SUCCESS`, `_temporary/…`, `.part.crc`)."""
    return not name.endswith("/") and not any(step.startswith(("_", ".")) for step in name.split("/"))


def split_uri(uri: str) -> tuple[str, str]:
    """Split an `s3://` URI into bucket and key.

    Raises:
        LakeKeyError: it is not one.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise LakeKeyError(f"{uri!r} is not of the form s3://bucket/key")
    return bucket, key
