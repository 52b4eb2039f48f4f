"""Sends captures to a Firehose delivery stream by plain HTTP, for the predict function and the container's server.

boto3's client would add as much to a cold start as onnxruntime does, twenty megabytes to each worker of the server, and
several times the processor time to each line.
"""

import json
from collections.abc import Sequence

import msgspec

from penstock.aws.client import AwsService, CallError
from penstock.captures.record import PackedRecord

HEADERS = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Firehose_20150804.PutRecordBatch"}
NO_ANSWER = (CallError, ValueError, KeyError, TypeError)
"""What `put` raises where Firehose did not respond, or not with a valid response."""


class RefusedError(Exception):
    """Firehose refused the whole call; the message is its own."""


class Firehose:
    """A delivery stream."""

    def __init__(self, stream: str, *, seconds: float) -> None:
        """Prepare a client, without connecting.

        Args:
            stream: its name.
            seconds: timeout of the connection, and of each read and write.
        """
        self._stream = stream
        self.service = AwsService("firehose", seconds=seconds)

    def put(self, records: Sequence[PackedRecord]) -> int:
        """Send records in one call; return how many lines Firehose did not accept.

        Raises:
            RefusedError: it accepted none.
            NO_ANSWER: it is unknown what it accepted.
        """
        data = [{"Data": record} for record, _ in records]  # msgspec writes bytes in base64, as Firehose expects
        body = msgspec.json.encode({"DeliveryStreamName": self._stream, "Records": data})
        reply = self.service.call("POST", "/", headers=HEADERS, body=body)
        if reply.status != 200:
            raise RefusedError(f"Firehose says {reply.status} {reply.body[:300].decode(errors='replace')}")
        answers = zip(json.loads(reply.body)["RequestResponses"], records, strict=True)
        return sum(count for answer, (_, count) in answers if "ErrorCode" in answer)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self.service.close()
