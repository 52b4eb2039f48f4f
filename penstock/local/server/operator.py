"""The IAM user `operator`, who runs the commands on the laptop cloud, so that actions have an author as on AWS."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ministack.services import iam

from penstock.local.host.home import read_json, write_atomically

OPERATOR = "operator"
_ADMINISTRATOR = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def ensure_operator(key_file: Path) -> None:
    """Create the IAM user `operator` with an administrator's policy, and store its access key in `key_file`.

    A key that a user has exported stays valid even if the saved IAM state was lost.
    """
    if OPERATOR not in iam._users:
        _call(Action="CreateUser", UserName=OPERATOR)
        _call(
            Action="PutUserPolicy",
            UserName=OPERATOR,
            PolicyName="administrator",
            PolicyDocument=json.dumps(_ADMINISTRATOR),
        )
    key = read_json(key_file)
    if key is None:
        _call(Action="CreateAccessKey", UserName=OPERATOR)
        key = _newest_key()
        write_atomically(key_file, json.dumps(key), private=True)
    if key["AccessKeyId"] not in iam._access_keys:
        iam._access_keys[key["AccessKeyId"]] = key


def _newest_key() -> dict[str, Any]:
    keys = [key for key in iam._access_keys.values() if key["UserName"] == OPERATOR]
    return dict(keys[-1])


def _call(**parameters: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = asyncio.run(iam.handle_request("POST", "/", headers, urlencode(parameters).encode(), {}))
    if answer[0] >= 400:
        raise RuntimeError(f"IAM refused {parameters['Action']}: {answer[2]!r}")
