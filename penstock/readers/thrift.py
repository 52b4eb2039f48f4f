"""Reads Thrift's compact protocol from untrusted bytes, as far as the headers in a Parquet file need it.

A struct becomes `{field id: value}`, a list a list. Every length is bounded by the bytes that exist, depth by
`MAX_DEPTH`. https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 32
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)


class ThriftError(Exception):
    """The bytes are not a valid Thrift struct."""


@dataclass
class Reader:
    """A position in bytes, which advances as values are read."""

    data: bytes
    at: int = 0
    fields: dict[int, Any] = field(default_factory=dict)
    """Fields of the struct that was read, for callers that also need where it ends."""

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read the struct that begins here.

        Raises:
            ThriftError: it has no end, or a field of an unknown type.
        """
        if depth > MAX_DEPTH:
            raise ThriftError
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            fields[number] = kind == TRUE if kind <= FALSE else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {TRUE, FALSE, BYTE}:
            return self._byte()
        if kind in {I16, I32, I64}:
            return self._signed()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind in {LIST, SET}:
            return self._list(depth)
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ThriftError

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._varint()
        if size > len(self.data) - self.at or depth > MAX_DEPTH:
            raise ThriftError
        return [self._value(head & 15, depth + 1) for _ in range(size)]

    def _byte(self) -> int:
        if self.at >= len(self.data):
            raise ThriftError
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ThriftError
        self.at += size
        return self.data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ThriftError

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
