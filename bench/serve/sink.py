"""A stand-in for Firehose on 127.0.0.1: accepts every record; GET returns the number of lines received."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Record(msgspec.Struct):
    """One record, Base64 in the request; msgspec decodes it, which costs the client's core the least."""

    Data: bytes


class Batch(msgspec.Struct):
    """A `PutRecordBatch` request without the stream's name."""

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
        """Log nothing: a line for each call would be part of the measurement."""


class Sinks(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error, unless a server was killed during its call, as each is in the end."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    Sinks(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
