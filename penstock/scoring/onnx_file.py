"""Read an ONNX file's protobuf without onnx or onnxruntime: its signature, and whether it keeps tensors in other files.

A tensor in another file names a path, which the runtime would open; our models are one file, bound to one digest. Such
a tensor carries the key `location`, so a file without these bytes has none: most cold starts pay for this search only.
Only where they occur is the protobuf walked down to the tensors, by the field numbers of onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).

The signature is in the metadata, a field of the outermost message (`ModelProto.metadata_props`, 14) of pairs of key (1)
and value (2).
"""

from collections.abc import Iterator

import msgspec

from penstock.scoring.signature import SIGNATURE, Signature

Fields = Iterator[tuple[int, int, memoryview]]
MARK = b"location"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WHERE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {},
}
"""Which fields of a message hold messages that lead to tensors."""
EXTERNAL_DATA, DATA_LOCATION = 13, 14
METADATA, KEY, VALUE = 14, 1, 2
MAX_DEPTH = 100


class NoSignatureError(Exception):
    """The file is not an ONNX file that Penstock exported."""


def has_external_data(data: bytes) -> bool:
    """Return whether an ONNX file keeps a tensor in another file; a file that cannot be parsed counts as one."""
    if MARK not in data:
        return False
    try:
        return _has_external_tensor(memoryview(data), "model", 0)
    except (IndexError, ValueError):
        return True


def read_signature(data: bytes) -> Signature:
    """Read the signature in a model file.

    Raises:
        NoSignatureError: there is none.
    """
    try:
        pairs = [dict(_pair(inner)) for number, _, inner in _fields(memoryview(data)) if number == METADATA]
        document = next(pair[VALUE] for pair in pairs if pair.get(KEY) == SIGNATURE.encode())
        return msgspec.json.decode(document, type=Signature)
    except (IndexError, ValueError, StopIteration, msgspec.MsgspecError):
        raise NoSignatureError("the model file has no signature in its metadata: export it with Penstock") from None


def _pair(message: memoryview) -> list[tuple[int, bytes]]:
    return [(number, bytes(inner)) for number, _, inner in _fields(message)]


def _has_external_tensor(message: memoryview, kind: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    for number, value, inner in _fields(message):
        if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value)):
            return True
        below = WHERE[kind].get(number)
        if below is not None and _has_external_tensor(inner, below, depth + 1):
            return True
    return False


def _fields(message: memoryview) -> Fields:
    """Yield number, value and content of each field; the one of the two that it does not have is 0 or empty."""
    at, nothing = 0, message[:0]
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value, nothing
            continue
        size, at = _varint(message, at) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}.get(wire, -1), at)
        if size < 0 or at + size > len(message):
            raise ValueError("no protobuf")
        yield number, 0, message[at : at + size] if wire == BYTES else nothing
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no varint")
