"""Load an ONNX model file, decode a request, score it, form the prediction: used to evaluate and to serve.

The model's fields travel inside its file, as the `Signature` in the ONNX metadata, so that one digest covers both.
Imports only numpy, msgspec and onnxruntime: they dominate the predict function's cold start.
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

from penstock.scoring.onnx_file import has_external_data
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
from penstock.scoring.single_row import SingleRow
from penstock.scoring.tensors import Feeds, Instances, Tensors

FLOAT32_MAX = float(np.finfo(np.float32).max)
"""The largest number that the model does not read as infinite."""


Predict = Callable[[Any], dict[str, Any]]


class ModelFileError(Exception):
    """The model file is not the registered one, or was not exported by Penstock."""


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
        if has_external_data(data):
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
            # onnxruntime raises its own, undocumented exception types for a file that it cannot load.
            raise ModelFileError(f"the model file cannot be loaded: {error}") from None
        self.max_rows = max_rows
        self._is_multiclass = self.signature.task == "multiclass"
        instance = _instance(self.signature)
        attributes = dict(zip(instance.__struct_encode_fields__, instance.__struct_fields__, strict=True))
        self._decoder = _decoder(instance, max_rows)
        self._enumerations = [
            (field, attributes[field.name])
            for field in self.signature.fields
            if field.allowed and field.type != "string"
        ]
        inputs = [item.name for item in self._session.get_inputs()]
        self.feeds = Feeds(inputs, metadata.get(NUMBERS, ""), self.signature.fields, attributes)
        self.explains: str = metadata.get(EXPLAINS, "")
        """`penstock.api.explain.Background` as JSON; empty where model.yaml has no `serving.explain`."""
        self._outputs = [self.signature.output]
        self._min_rows = 1 if metadata.get(ALONE) else 2
        self._score_single = self._single_row_scorer()
        self._names = tuple(map(str, self.signature.classes))
        self._threshold = self.signature.threshold or 0.0
        # Looked up once: a request has a call for each row.
        self.prediction: Predict = self._predict_function()
        """Turns a row's score (`Score`) into its prediction, with the predicted class as `label`.

        A regression has no label. With several classes the label is the most probable one (the first of equals),
        `score` is its probability, and `scores` has that of each class by its name.
        """

    def decode(self, body: bytes) -> list[dict[str, Value]]:
        """Decode and check the rows of a request `{"instances": [{…}]}`.

        Raises:
            RequestError: the fault, with field and row.
        """
        rows: list[dict[str, Value]] = msgspec.to_builtins(self.instances(body))
        return rows

    def instances(self, body: bytes) -> Instances:
        """Decode as `decode` does, each row as a struct, which msgspec encodes as the row itself.

        Raises:
            RequestError: as `decode`.
        """
        try:
            instances: Instances = self._decoder.decode(body).instances
        except msgspec.ValidationError as error:
            raise _validation_problem(str(error), self.max_rows) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _syntax_problem(body, error) from None
        for field, attribute in self._enumerations:
            _check_allowed(field, [getattr(row, attribute) for row in instances])
        return instances

    def score(self, columns: Columns) -> Scores:
        """Score rows: the probability of the positive class, or of each of several classes, or a regression's amount.

        Args:
            columns: for every field of the signature as many values as there are rows; None where one is missing.

        Returns:
            Shape (rows,), of several classes (rows, classes); a probability is from 0 to 1.
        """
        scores: Scores = self.score_tensors(self.feeds.of_columns(columns)).astype(np.float64)
        return scores

    def score_instances(self, instances: Instances) -> list[Score]:
        """Score rows as `instances` returns them, equal to `score` to the last bit.

        Raises:
            RequestError: 422, a score beyond the range of float32, although the contract allows the numbers.
        """
        if self._score_single is not None and len(instances) == 1:
            scores = [self._score_single(instances[0])]
        else:
            scores = self.score_tensors(self.feeds.of_instances(instances)).tolist()
        for row, score in enumerate(scores):
            if not math.isfinite(sum(score) if isinstance(score, list) else score):
                detail = f"the model's score of row {row} is not a finite number: its values are too large"
                raise RequestError(422, detail, row=row)
        return scores

    def _single_row_scorer(self) -> Callable[[Any], Score] | None:
        """Return a fast scorer of a single instance, if the graph's inputs are all numbers."""
        if self.feeds.row is None or not self.feeds.only_numbers:
            return None
        columns = len(self.feeds.names)
        scorer = SingleRow.of(self._session, self.signature.output, columns, self.feeds.row, self._min_rows)
        if scorer is None:
            return None
        return scorer.all_scores if self._is_multiclass else scorer.last_score

    def score_tensors(self, feeds: Tensors) -> npt.NDArray[np.float32]:
        """Score rows in the form of the graph's inputs (`feeds`)."""
        output = self._run(feeds)
        # The last column: of (negative, positive), or the only one.
        return output if self._is_multiclass else output.reshape(len(output), -1)[:, -1]

    def _run(self, feeds: Tensors) -> npt.NDArray[np.float32]:
        """Run the graph; a row scored alone gets the same bits as among others.

        onnxruntime multiplies a single row by other code (for vectors, not matrices), which adds up in another order;
        so a single row is passed twice, unless the file's metadata says that its nodes do not depend on this.
        """
        repeat = self._min_rows > 1 and all(len(tensor) == 1 for tensor in feeds.values())
        inputs = {name: np.repeat(tensor, 2, axis=0) for name, tensor in feeds.items()} if repeat else feeds
        output: npt.NDArray[np.float32] = np.asarray(self._session.run(self._outputs, inputs)[0])
        return output[:1] if repeat else output

    def score_rows(self, rows: Sequence[Mapping[str, Value]]) -> Scores:
        """Score rows as dictionaries, as a request has them."""
        return self.score({name: [row.get(name) for row in rows] for name in self.feeds.names})

    def _predict_function(self) -> Predict:
        if self._is_multiclass:
            return self._predict_class
        return self._predict_binary if self.signature.classes else _predict_amount

    def _predict_binary(self, score: float) -> dict[str, Any]:
        return {"score": score, "label": self.signature.classes[int(score >= self._threshold)]}

    def _predict_class(self, scores: list[float]) -> dict[str, Any]:
        highest = max(scores)
        label = self.signature.classes[scores.index(highest)]
        return {"score": highest, "label": label, "scores": dict(zip(self._names, scores, strict=True))}


def _predict_amount(score: float) -> dict[str, Any]:
    return {"score": score}


def _instance(signature: Signature) -> type[msgspec.Struct]:
    """Define the struct of a row: exactly the signature's fields."""
    attributes: list[tuple[str, Any, Any] | tuple[str, Any]] = []
    rename: dict[str, str] = {}
    for index, field in enumerate(sorted(signature.fields, key=lambda field: not field.required)):
        rename[f"f{index}"] = field.name
        kind = _kind(field)
        attributes.append((f"f{index}", kind) if field.required else (f"f{index}", kind | None, None))
    for index, name in enumerate(signature.carried):
        rename[f"c{index}"] = name
        attributes.append((f"c{index}", str | int | float | None, None))
    # Scalars only, so no reference cycles: the garbage collector can skip it.
    return msgspec.defstruct("Instance", attributes, rename=rename, forbid_unknown_fields=True, gc=False)


def _decoder(instance: type[msgspec.Struct], max_rows: int) -> msgspec.json.Decoder[Any]:
    instances = Annotated[list[instance], msgspec.Meta(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
    request = msgspec.defstruct("Request", [("instances", instances)], forbid_unknown_fields=True)
    return msgspec.json.Decoder(request)


def _check_allowed(field: Field, values: Sequence[Value]) -> None:
    """Check allowed numbers, which the decoder cannot compare (1 equals 1.0 here)."""
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


_PLACE = re.compile(r" - at `\$(?:\.instances)?(?:\[(?P<row>\d+|\.\.\.)\])?(?:\.(?P<field>.+?))?`$")
_FIELD_NAME = re.compile(r"(?:unknown|required) field `(?P<field>[^`]+)`")


def _validation_problem(message: str, max_rows: int) -> RequestError:
    """Return msgspec's sentence, its place as field and row."""
    place = _PLACE.search(message)
    fault = message[: place.start()] if place else message
    row = int(place["row"]) if place and place["row"] and place["row"].isdigit() else None
    name = _FIELD_NAME.search(fault)
    field = name["field"] if name else (place["field"] if place else None)
    if field is None and "length" in fault:
        status = 422 if ">= 1" in fault else 413
        return RequestError(status, f"give between 1 and {max_rows} instances in one request", field="instances")
    if field is None and row is None:
        field = "instances" if "$.instances" in message else None
    where = "".join([f" in row {row}" if row is not None else "", f", field {field!r}" if field and not name else ""])
    return RequestError(422, f"{fault}{where}", field=field, row=row)


def _syntax_problem(body: bytes, error: Exception) -> RequestError:
    """Return the error for a body that is not JSON; for NaN and Infinity, which many clients send, with their place."""
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
