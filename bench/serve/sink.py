"""A stand-in for Firehose on 127.0.0.1: takes every record, and says how many lines arrived (GET)."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Record(msgspec.Struct):
    """Base64 in the request; decoded by what costs the least, because the client's core does it."""

    Data: bytes


class Batch(msgspec.Struct):
    """`PutRecordBatch`, but for the stream's name."""

    Records: list[Record]


class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lines = 0

    def do_POST(self) -> None:
        records = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])), type=Batch).Records
        Sink.lines += sum(record.Data.count(b"\n") for record in records)
        answers = [{"RecordId": str(index)} for index in range(len(records))]
        self._reply({"FailedPutCount": 0, "RequestResponses": answers})

    def do_GET(self) -> None:
        self._reply({"lines": Sink.lines})

    def _reply(self, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing: a line a call would be part of what is measured."""


class Sinks(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, unless a server was stopped in the middle of its call, as each is in the end."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    Sinks(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
