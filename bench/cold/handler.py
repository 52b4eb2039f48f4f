"""Start as Lambda starts predict, and answer one request: `python handler.py EVENT`."""

import json
import sys

from functions.predict.handler import handler

answer = handler(json.loads(sys.argv[1]) | {"smoke_test": sys.argv[2] == "uncaptured"}, None)
print(json.loads(answer["body"])["predictions"][0]["score"])
