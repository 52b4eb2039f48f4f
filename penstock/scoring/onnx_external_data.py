"""Whether an ONNX file keeps tensors in other files, found without importing onnx.

Such a tensor names a path, which the runtime would open; ours are one file, held to one digest. A tensor in another
file carries the key `location`, so a file without these bytes has none, and that is all that most cold starts pay for.
Only where they occur is the protobuf walked down to the tensors, by the field numbers of onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Iterator

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
MOST_DEPTH = 100


def refers_elsewhere(data: bytes) -> bool:
    """Whether a tensor of an ONNX file lies outside it. What cannot be followed to its end counts as outside."""
    if MARK not in data:
        return False
    try:
        return _outside(memoryview(data), "model", 0)
    except (IndexError, ValueError):
        return True


def _outside(message: memoryview, kind: str, depth: int) -> bool:
    if depth > MOST_DEPTH:
        raise ValueError("nested too deeply")
    for number, value, inner in fields(message):
        if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value)):
            return True
        below = WHERE[kind].get(number)
        if below is not None and _outside(inner, below, depth + 1):
            return True
    return False


def fields(message: memoryview) -> Fields:
    """Number, value and content of each field; whichever of the two it has not is 0 or empty."""
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
