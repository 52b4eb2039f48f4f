"""Rendering of CDK tokens in the notation of cdk-nag's finding ids."""

import json
from typing import Any

from aws_cdk import Stack
from constructs import IConstruct


def rendered(scope: IConstruct, value: str) -> str:
    """Resolve a string with tokens in a construct's stack, in the notation of a finding's id."""
    return _flat(Stack.of(scope).resolve(value))


def _flat(value: Any) -> str:
    match value:
        case str():
            return value
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(_flat(part) for part in parts)
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{name}.{attribute}>"
        case _:
            return json.dumps(value, separators=(",", ":"))
