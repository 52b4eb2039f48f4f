"""One Firehose delivery stream by its plain HTTP: how the predict function and the container's server send captures.

boto3's client would cost a cold start as much as onnxruntime, a worker of the server twenty megabytes, and each line
several times the processor time.
"""

import json
from collections.abc import Sequence

import msgspec

from penstock.aws.client import AwsService, CallError
from penstock.captures.record import Packed

HEADERS = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Firehose_20150804.PutRecordBatch"}
NO_ANSWER = (CallError, ValueError, KeyError, TypeError)
"""What `put` raises where Firehose did not answer, or not as Firehose does."""


class RefusedError(Exception):
    """Firehose answered, and takes nothing of the call; the message has its words."""


class Firehose:
    """A delivery stream."""

    def __init__(self, stream: str, *, seconds: float) -> None:
        """Nothing is connected yet.

        Args:
            stream: its name.
            seconds: how long a connection, and each silence, may take.
        """
        self._stream = stream
        self.service = AwsService("firehose", seconds=seconds)

    def put(self, records: Sequence[Packed]) -> int:
        """One call; how many lines it did not take.

        Raises:
            RefusedError: it takes none.
            NO_ANSWER: nobody knows.
        """
        data = [{"Data": record} for record, _ in records]  # msgspec writes bytes in base64, as Firehose wants them
        body = msgspec.json.encode({"DeliveryStreamName": self._stream, "Records": data})
        reply = self.service.call("POST", "/", headers=HEADERS, body=body)
        if reply.status != 200:
            raise RefusedError(f"Firehose says {reply.status} {reply.body[:300].decode(errors='replace')}")
        answers = zip(json.loads(reply.body)["RequestResponses"], records, strict=True)
        return sum(count for answer, (_, count) in answers if "ErrorCode" in answer)

    def close(self) -> None:
        """Let the connection go; the next call makes another."""
        self.service.close()
