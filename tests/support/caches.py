"""Caches for what unit tests build again and again: boto3 clients, and YAML documents.

Building a client takes longer than most calls of it that moto answers. A cached client is only handed out to who would
build the same one: same arguments, same AWS variables. It leaves the cache as soon as somebody registers a hook on it.
"""

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
import yaml
from botocore.config import Config

Key = tuple[Any, ...]
FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
HOOKS = ("register", "register_first", "register_last", "unregister")


class Clients:
    """Stands in for `boto3.client` or `boto3.resource`, and builds each kind once."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._built: dict[Key, Any] = {}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        key = _key(arguments, options)
        if key is None:
            return self._build(*arguments, **options)
        if key not in self._built:
            client = self._build(*arguments, **options)
            self._evict_when_hooked(key, getattr(client.meta, "client", client).meta.events)
            self._built[key] = client
        return self._built[key]

    def _evict_when_hooked(self, key: Key, events: Any) -> None:
        for name in HOOKS:
            setattr(events, name, self._evicting(key, getattr(events, name)))

    def _evicting(self, key: Key, register: Callable[..., Any]) -> Callable[..., Any]:
        def evict(*arguments: Any, **options: Any) -> Any:
            self._built.pop(key, None)
            return register(*arguments, **options)

        return evict


def _key(arguments: tuple[Any, ...], options: dict[str, Any]) -> Key | None:
    """What decides how a client is built; None for one of a server that lasts as long as a test."""
    surroundings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    files = [surroundings.pop(name, "") for name in FILES]
    own_server = "endpoint_url" in options or any(name.startswith("AWS_ENDPOINT_URL") for name in surroundings)
    if own_server or any(Path(file).exists() for file in files if file):
        return None
    words = {name: _words(value) for name, value in options.items()}
    return (arguments, repr(sorted(words.items())), repr(sorted(surroundings.items())))


def _words(option: Any) -> str:
    options: Any = getattr(option, "_user_provided_options", None) if isinstance(option, Config) else None
    return repr(option if options is None else sorted(options.items()))


class Caches:
    """Each kind of client, service model and YAML document that was needed so far."""

    def __init__(self) -> None:
        parse = cache(yaml.safe_load)
        self._cached: list[tuple[Any, str, Any]] = [
            (botocore.session, "create_loader", cache(botocore.session.create_loader)),
            (boto3, "client", Clients(boto3.client)),
            (boto3, "resource", Clients(boto3.resource)),
            (yaml, "compose", cache(yaml.compose)),
            (yaml, "safe_load", lambda text: copy.deepcopy(parse(text))),
        ]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have everybody use the caches until the block ends."""
        with pytest.MonkeyPatch.context() as patch:
            for module, name, cached in self._cached:
                patch.setattr(module, name, cached)
            yield
