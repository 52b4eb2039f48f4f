"""Files that are not valid JSON Lines."""

import json

from tests.corpus.kinds import kind
from tests.corpus.text import MEGABYTE, repeated

OBJECTS = [{"id": f"r{i}", "x": i / 2, "late": i % 2 == 0} for i in range(300)]
LINES = "".join(json.dumps(row) + "\n" for row in OBJECTS).encode()

KINDS = {
    "empty JSON Lines": kind("a.jsonl", b"", "the file is empty"),
    "blank JSON Lines": kind("a.jsonl", b"\n \n\t\r\n", "the file is empty"),
    "objects without keys": kind("a.jsonl", b"{}\n{}\n", "no keys"),
    "one JSON array": kind("a.jsonl", json.dumps(OBJECTS).encode(), "line 1 is an array", "one object on a line"),
    "one JSON array over many lines": kind("a.jsonl", json.dumps(OBJECTS, indent=1).encode(), "line 1 is", "array"),
    "one object over many lines": kind(
        "a.jsonl", json.dumps({"rows": OBJECTS}, indent=1).encode()[:-2], "line 1 is cut short", "one object on a line"
    ),
    "a line that is an array": kind("a.jsonl", LINES + b"[1,2]\n", "line 301 is an array"),
    "a line that is a number": kind("a.jsonl", LINES + b"17\n", "line 301 is no JSON object:"),
    "a line that is null": kind("a.jsonl", b"null\n" + LINES, "line 1 is no JSON object:"),
    "a line that is text": kind("a.ndjson", LINES + b"# the end\n", "line 301 is no JSON object:"),
    "a comma behind every object": kind("a.jsonl", LINES.replace(b"}\n", b"},\n"), "line 1 ends with a comma"),
    "a last line cut short": kind("a.jsonl", LINES + b'{"id": "r3', "line 301 is cut short", "upload the file again"),
    "a line cut short": kind("a.jsonl", b'{"id": "r3\n' + LINES, "line 1 "),
    "a key twice": kind("a.jsonl", LINES + b'{"id":"a","x":1,"x":2}\n', "line 301 has the key 'x' twice"),
    "a key twice, with blanks": kind("a.jsonl", b'{"id" : "a" , "id" : "b"}\n', "line 1 has the key 'id' twice"),
    "a key twice among colons": kind("a.jsonl", b'{"a:":1,"b":"\\":","b":2}\n', "line 1 has the key 'b' twice"),
    "NaN": kind("a.jsonl", LINES + b'{"id":"a","x":NaN}\n', "line 301 has NaN", "write null"),
    "Infinity": kind("a.jsonl", LINES + b'{"id": "a", "x": -Infinity}\n', "line 301 has -Infinity", "write null"),
    "an object over two lines, with blanks": kind("a.jsonl", b'{"id" :\n"a"}\n', "line 1 is not a JSON object"),
    "100,000 arrays within each other": kind(
        "a.jsonl", LINES + b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 301", "deep", bomb=True
    ),
    "100,000 objects within each other": kind("a.jsonl", b'{"x":' * 100_000 + b"1" + b"}" * 100_000, "deep", bomb=True),
    "a number of 10,000 digits": kind(
        "a.jsonl", b'{"id":"a","x":' + b"9" * 10_000 + b"}", "line 1 has a number", "digits"
    ),
    "keys in single quotes": kind("a.jsonl", b"{'id': 'a'}\n", "line 1 has keys in single quotes"),
    "keys without quotes": kind("a.jsonl", b"{id: 1}\n", "line 1 is not a JSON object"),
    "a trailing comma": kind("a.jsonl", b'{"id":"a",}\n', "line 1 is not a JSON object"),
    "half of a surrogate pair": kind("a.jsonl", b'{"id":"\\ud800"}\n', "line 1 is not a JSON object"),
    "JSON in Latin-1": kind("a.jsonl", LINES + '{"id":"Zürich"}'.encode("latin-1"), "line 301", "not UTF-8"),
    "JSON in UTF-16": kind("a.jsonl", LINES.decode().encode("utf-16"), "UTF-16"),
    "a NUL in JSON": kind("a.jsonl", LINES + b'{"id":"\x00"}', "line 301", "NUL"),
    "100,000 keys": kind(
        "a.jsonl", json.dumps(dict.fromkeys(map(str, range(100_000)))).encode(), "at most 2,000", bomb=True
    ),
    "a new key on every line": kind(
        "a.jsonl", "".join(f'{{"k{i}":1}}\n' for i in range(200_000)).encode(), "at most 2,000", bomb=True
    ),
    "one object of 200 MB": kind(
        "a.jsonl", repeated(b'{"x":"', b"x" * MEGABYTE, 200, b'"}'), "line 1 is longer than 8 MB", bomb=True
    ),
}
