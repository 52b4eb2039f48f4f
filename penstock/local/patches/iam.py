"""Patches of MiniStack's IAM: the actions on a Lambda alias, and the resource of calls on CloudWatch alarms."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions

_ALIAS_ACTIONS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}


def install() -> None:
    """Install the patches of this module."""
    name_alias_actions()
    name_alarms()


def name_alias_actions() -> None:
    """Check a call on one alias as its own action; MiniStack checks all of them as ListAliases."""
    iam_actions._lambda_action = _with_alias_actions(iam_actions._lambda_action)


def _with_alias_actions(original: Callable[[str, str], str | None]) -> Callable[[str, str], str | None]:
    def action(method: str, path: str) -> str | None:
        _, separator, alias = path.partition("/aliases/")
        return _ALIAS_ACTIONS[method] if separator and alias and method in _ALIAS_ACTIONS else original(method, path)

    return action


def name_alarms() -> None:
    """Check a deletion of alarms on the first one's ARN and a listing on all alarms; MiniStack checks both on `*`."""
    iam_actions.extract_resource_arn = _with_alarms(iam_actions.extract_resource_arn)


def _with_alarms(original: Callable[..., str]) -> Callable[..., str]:
    def extract(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        if service == "monitoring":
            form = parse_qs((body or b"").decode("utf-8", "replace"))
            start = f"arn:aws:cloudwatch:{rest[-2]}:{rest[-1]}:alarm:"
            if form.get("Action") == ["DescribeAlarms"]:
                return f"{start}*"
            if form.get("Action") == ["DeleteAlarms"]:
                return start + form.get("AlarmNames.member.1", ["*"])[0]
        return original(service, method, path, headers, body, *rest)

    return extract
