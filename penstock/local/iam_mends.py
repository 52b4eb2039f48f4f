"""Mends of MiniStack's IAM: the names of Lambda's alias actions."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from collections.abc import Callable

from ministack.core import iam_actions

_ALIAS_ACTIONS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}


def install() -> None:
    """Install the mends of this module."""
    name_alias_actions()


def name_alias_actions() -> None:
    """Check a call on one alias as that action; MiniStack checks all of them as ListAliases."""
    iam_actions._lambda_action = _naming(iam_actions._lambda_action)


def _naming(original: Callable[[str, str], str | None]) -> Callable[[str, str], str | None]:
    def action(method: str, path: str) -> str | None:
        _, found, alias = path.partition("/aliases/")
        return _ALIAS_ACTIONS[method] if found and alias and method in _ALIAS_ACTIONS else original(method, path)

    return action
