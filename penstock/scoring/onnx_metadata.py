"""What an ONNX file says of itself, read without onnxruntime, which is not where tables are checked.

The metadata is a field of the outermost message (`ModelProto.metadata_props`, 14) of pairs of key (1) and value (2):
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

import msgspec

from penstock.scoring.onnx_external_data import fields
from penstock.scoring.signature import SIGNATURE, Signature

METADATA, KEY, VALUE = 14, 1, 2


class NoSignatureError(Exception):
    """A file that is no ONNX file of ours."""


def signature_of(data: bytes) -> Signature:
    """The signature in a model file.

    Raises:
        NoSignatureError: there is none.
    """
    try:
        pairs = [dict(_pair(inner)) for number, _, inner in fields(memoryview(data)) if number == METADATA]
        found = next(pair[VALUE] for pair in pairs if pair.get(KEY) == SIGNATURE.encode())
        return msgspec.json.decode(found, type=Signature)
    except (IndexError, ValueError, StopIteration, msgspec.MsgspecError):
        raise NoSignatureError("the model file has no signature in its metadata: export it with Penstock") from None


def _pair(message: memoryview) -> list[tuple[int, bytes]]:
    return [(number, bytes(inner)) for number, _, inner in fields(message)]
