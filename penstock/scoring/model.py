"""Load the ONNX file, decode a request, score it, encode the reply: the one module that evaluates and serves.

What a model expects travels inside its file, as the `Signature` in the ONNX metadata, so that one digest covers both.
Nothing is imported here but numpy, msgspec and onnxruntime: the predict function's cold start is made of it.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from penstock.scoring.onnx_external_data import refers_elsewhere
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import (
    ALONE,
    EXPLAINS,
    NUMBERS,
    SIGNATURE,
    Columns,
    Field,
    Score,
    Scores,
    Signature,
    Value,
)
from penstock.scoring.single_row import OneRow
from penstock.scoring.tensors import Feeds, Instances, Tensors

FLOAT32_MAX = float(np.finfo(np.float32).max)
"""Beyond it a number is infinite to the model."""


Answer = Callable[[Any], dict[str, Any]]


class ModelFileError(Exception):
    """A model file that is not the one that was registered, or not one of ours."""


class Model:
    """One verified model file, ready to score."""

    def __init__(self, data: bytes, *, sha256: str | None = None, max_rows: int = 500, name: str = "") -> None:
        """Load a model file.

        Args:
            data: the ONNX file, its signature in the metadata.
            sha256: hex digest that it must have; None to load a file that was just made.
            max_rows: most rows that a request may have.
            name: where it came from, for the errors.

        Raises:
            ModelFileError: another digest, not ONNX, tensors in other files, or no signature in it.
        """
        self.sha256 = hashlib.sha256(data).hexdigest()
        if sha256 is not None and self.sha256 != sha256:
            raise ModelFileError(
                f"the model file {name or '(given in memory)'} has SHA-256 {self.sha256}, registered was {sha256}: "
                "it was changed"
            )
        if refers_elsewhere(data):
            raise ModelFileError("the model file keeps tensors in other files: export it as one file")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.signature = msgspec.json.decode(metadata[SIGNATURE], type=Signature)
        except KeyError:
            raise ModelFileError("the model file has no signature in its metadata: export it with Penstock") from None
        except Exception as error:
            # onnxruntime raises its own, undocumented exception types for a file that it cannot take.
            raise ModelFileError(f"the model file cannot be loaded: {error}") from None
        self.max_rows = max_rows
        self._several = self.signature.task == "multiclass"
        instance = _instance(self.signature)
        attributes = dict(zip(instance.__struct_encode_fields__, instance.__struct_fields__, strict=True))
        self._decoder = _decoder(instance, max_rows)
        self._listed = [
            (field, attributes[field.name])
            for field in self.signature.fields
            if field.allowed and field.type != "string"
        ]
        inputs = [item.name for item in self._session.get_inputs()]
        self.feeds = Feeds(inputs, metadata.get(NUMBERS, ""), self.signature.fields, attributes)
        self.explains: str = metadata.get(EXPLAINS, "")
        """What `penstock.api.explain` goes by, as the file has it; empty where nobody asked for explanations."""
        self._outputs = [self.signature.output]
        self._fewest = 1 if metadata.get(ALONE) else 2
        self._one = self._alone()
        self._names = tuple(map(str, self.signature.classes))
        self._threshold = self.signature.threshold or 0.0
        # Looked up once: a request has a call for each row.
        self.prediction: Answer = self._answer()
        """A row's score (`Score`) as it is answered, with the class that it stands for as `label`.

        A regression has no label. Of several classes the label is the most probable (the first of equals), `score` is
        its probability, and `scores` has that of each class by its name.
        """

    def decode(self, body: bytes) -> list[dict[str, Value]]:
        """The rows of a request `{"instances": [{…}]}`.

        Raises:
            RequestError: whatever is wrong with it, naming field and row.
        """
        rows: list[dict[str, Value]] = msgspec.to_builtins(self.instances(body))
        return rows

    def instances(self, body: bytes) -> Instances:
        """`decode`, the rows being structs: what `answer` takes, and msgspec writes as the row they are.

        Raises:
            RequestError: as `decode`.
        """
        try:
            instances: Instances = self._decoder.decode(body).instances
        except msgspec.ValidationError as error:
            raise _explained(str(error), self.max_rows) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(body, error) from None
        for field, attribute in self._listed:
            _check_listed(field, [getattr(row, attribute) for row in instances])
        return instances

    def score(self, columns: Columns) -> Scores:
        """The probability of the positive class for each row, or of each of several classes; a regression's amount.

        Args:
            columns: for every field of the signature as many values as there are rows; None where one is missing.

        Returns:
            Shape (rows,), of several classes (rows, classes); a probability is from 0 to 1.
        """
        scores: Scores = self.scored(self.feeds.of_columns(columns)).astype(np.float64)
        return scores

    def score_instances(self, instances: Instances) -> list[Score]:
        """`score` for rows as `instances` gives them, the same to the last bit.

        Raises:
            RequestError: a score beyond what float32 holds, of numbers that the contract allows: that is no answer.
        """
        if self._one is not None and len(instances) == 1:
            scores = [self._one(instances[0])]
        else:
            scores = self.scored(self.feeds.of_instances(instances)).tolist()
        for row, score in enumerate(scores):
            if not math.isfinite(sum(score) if isinstance(score, list) else score):
                detail = f"the model's score of row {row} is not a finite number: its values are too large"
                raise RequestError(422, detail, row=row)
        return scores

    def _alone(self) -> Callable[[Any], Score] | None:
        """What scores a single instance, where the graph takes numbers only."""
        if self.feeds.row is None or not self.feeds.only_numbers:
            return None
        one = OneRow.of(self._session, self.signature.output, len(self.feeds.names), self.feeds.row, self._fewest)
        if one is None:
            return None
        return one.every if self._several else one.last

    def scored(self, feeds: Tensors) -> npt.NDArray[np.float32]:
        """`score` for rows as the graph takes them (`feeds`)."""
        found = self._run(feeds)
        # The last column: of (negative, positive), or the only one.
        return found if self._several else found.reshape(len(found), -1)[:, -1]

    def _run(self, feeds: Tensors) -> npt.NDArray[np.float32]:
        """What the file gives: for a row alone the same to the last bit as for one in company.

        A single row is multiplied by other code of onnxruntime's (a vector's and not a matrix'), which adds up in
        another order; so it is given twice, unless the file says that its nodes do no such thing.
        """
        alone = self._fewest > 1 and all(len(tensor) == 1 for tensor in feeds.values())
        given = {name: np.repeat(tensor, 2, axis=0) for name, tensor in feeds.items()} if alone else feeds
        found: npt.NDArray[np.float32] = np.asarray(self._session.run(self._outputs, given)[0])
        return found[:1] if alone else found

    def score_rows(self, rows: Sequence[Mapping[str, Value]]) -> Scores:
        """`score` for rows as a request has them."""
        return self.score({name: [row.get(name) for row in rows] for name in self.feeds.names})

    def _answer(self) -> Answer:
        if self._several:
            return self._most_probable
        return self._labelled if self.signature.classes else _amount

    def _labelled(self, score: float) -> dict[str, Any]:
        return {"score": score, "label": self.signature.classes[int(score >= self._threshold)]}

    def _most_probable(self, scores: list[float]) -> dict[str, Any]:
        most = max(scores)
        label = self.signature.classes[scores.index(most)]
        return {"score": most, "label": label, "scores": dict(zip(self._names, scores, strict=True))}


def _amount(score: float) -> dict[str, Any]:
    return {"score": score}


def _instance(signature: Signature) -> type[msgspec.Struct]:
    """A row of exactly the signature's fields."""
    declared: list[tuple[str, Any, Any] | tuple[str, Any]] = []
    rename: dict[str, str] = {}
    for index, field in enumerate(sorted(signature.fields, key=lambda field: not field.required)):
        rename[f"f{index}"] = field.name
        kind = _kind(field)
        declared.append((f"f{index}", kind) if field.required else (f"f{index}", kind | None, None))
    for index, name in enumerate(signature.carried):
        rename[f"c{index}"] = name
        declared.append((f"c{index}", str | int | float | None, None))
    # Scalars only, in no cycle: the garbage collector need not look.
    return msgspec.defstruct("Instance", declared, rename=rename, forbid_unknown_fields=True, gc=False)


def _decoder(instance: type[msgspec.Struct], max_rows: int) -> msgspec.json.Decoder[Any]:
    instances = Annotated[list[instance], msgspec.Meta(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
    request = msgspec.defstruct("Request", [("instances", instances)], forbid_unknown_fields=True)
    return msgspec.json.Decoder(request)


def _check_listed(field: Field, values: Sequence[Value]) -> None:
    """Allowed numbers, which the decoder cannot compare (1 is 1.0 here)."""
    for index, value in enumerate(values):
        if value is not None and value not in field.allowed:
            detail = (
                f"{value!r} is not one of {', '.join(map(str, field.allowed))} in row {index}, field {field.name!r}"
            )
            raise RequestError(422, detail, field=field.name, row=index)


def _kind(field: Field) -> Any:
    if field.allowed and field.type == "string":
        return Literal[field.allowed]
    if field.type == "boolean":
        return bool
    if field.type == "string":
        meta = msgspec.Meta(min_length=field.min_length, max_length=field.max_length, pattern=_whole(field.pattern))
        return Annotated[str, meta]
    low = -FLOAT32_MAX if field.minimum is None else field.minimum
    high = FLOAT32_MAX if field.maximum is None else field.maximum
    if field.type == "integer":
        return Annotated[int, msgspec.Meta(ge=max(math.ceil(low), -(2**63)), le=min(math.floor(high), 2**63 - 1))]
    return Annotated[float, msgspec.Meta(ge=low, le=high)]


def _whole(pattern: str | None) -> str | None:
    return None if pattern is None else rf"^(?:{pattern})\Z"


PLACE = re.compile(r" - at `\$(?:\.instances)?(?:\[(?P<row>\d+|\.\.\.)\])?(?:\.(?P<field>.+?))?`$")
NAMED = re.compile(r"(?:unknown|required) field `(?P<field>[^`]+)`")


def _explained(message: str, max_rows: int) -> RequestError:
    """Msgspec's sentence, with its place as field and row."""
    found = PLACE.search(message)
    what = message[: found.start()] if found else message
    row = int(found["row"]) if found and found["row"] and found["row"].isdigit() else None
    named = NAMED.search(what)
    field = named["field"] if named else (found["field"] if found else None)
    if field is None and "length" in what:
        status = 422 if ">= 1" in what else 413
        return RequestError(status, f"give between 1 and {max_rows} instances in one request", field="instances")
    if field is None and row is None:
        field = "instances" if "$.instances" in message else None
    place = "".join([f" in row {row}" if row is not None else "", f", field {field!r}" if field and not named else ""])
    return RequestError(422, f"{what}{place}", field=field, row=row)


def _malformed(body: bytes, error: Exception) -> RequestError:
    """Not JSON. NaN and Infinity, which many clients send as if they were JSON, are named with their place."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return RequestError(400, f"the body is not JSON: {error}")
    rows = document.get("instances") if isinstance(document, dict) else None
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        for name, value in row.items() if isinstance(row, dict) else []:
            if isinstance(value, float) and not math.isfinite(value):
                detail = (
                    f"{value} is no JSON number in row {index}, field {name!r}: leave a missing value out, or send null"
                )
                return RequestError(400, detail, field=name, row=index)
    return RequestError(400, f"the body is not JSON: {error}")
