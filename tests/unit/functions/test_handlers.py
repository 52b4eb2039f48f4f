"""The rule for `functions/`: a handler parses, makes one call and replies; what a step decides lives in `penstock/`.

A folder holds its handler and, beside it, only what exists because the step is a Lambda. Each such module is listed
here with that reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.architecture import PROJECT

FUNCTIONS = PROJECT / "functions"
ADAPTERS = {
    "authorize/custom_resource.py": "CloudFormation's request to a custom resource and the response that it waits for",
    "predict/capture.py": "the capture client, made once per execution environment",
    "predict/capture_stream.py": "signed calls to Firehose without boto3, for the cold start",
    "predict/endpoint_client.py": "signed calls to a SageMaker endpoint without boto3, for the cold start",
    "predict/endpoint_proxy.py": "forwards an API Gateway request to an endpoint, loaded only where there is one",
    "predict/feature_lookup.py": "the online feature store within a request's time, loaded only where there is one",
    "predict/model_file.py": "the model file in an execution environment's memory and /tmp",
    "predict/openapi_route.py": "the route for the document, loaded only when somebody asks",
    "predict/post_response.py": "Lambda's Extensions API: work after the response is out",
    "predict/request.py": "API Gateway's event as a request",
    "predict/response.py": "API Gateway's response",
}
"""Each module beside a handler, with the reason why it exists only because the step is a Lambda."""
ROUTERS = {"predict/handler.py": "several routes, and a cold start that loads each of them when it is first asked"}
"""Handlers that are larger than the limits, with the reason."""
LIMIT = 15
"""Statements in `handler`, and in all other functions of its module together."""


def modules() -> list[str]:
    """Every module of the functions, by its path below `functions/`."""
    paths = (path.relative_to(FUNCTIONS).as_posix() for path in FUNCTIONS.glob("*/**/*.py"))
    return sorted(path for path in paths if not path.endswith("__init__.py"))


def handlers() -> list[str]:
    return [path for path in modules() if path.endswith("/handler.py")]


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions and classes at the top of a module."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def statements(node: ast.AST) -> int:
    """Statements within a definition, its docstring among them."""
    return sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1


def test_every_function_has_a_handler() -> None:
    folders = {path.partition("/")[0] for path in modules()}
    assert len(folders) >= 15
    assert {f"{folder}/handler.py" for folder in folders} == set(handlers())


def test_a_module_beside_a_handler_exists_only_because_it_is_a_lambda() -> None:
    # Given every module of the functions that is no handler
    others = set(modules()) - set(handlers())
    # Then it is on the list: none is new, none is gone
    assert others == set(ADAPTERS)
    assert all(ADAPTERS.values())


@pytest.mark.parametrize("path", [path for path in handlers() if path not in ROUTERS])
def test_a_handler_module_has_one_function_no_class_and_few_statements(path: str) -> None:
    # Given the definitions of a handler's module
    nodes = list(definitions(FUNCTIONS / path))
    helpers = [node for node in nodes if node.name != "handler"]
    # Then it defines one `handler`, no class, and hardly anything else
    assert [node.name for node in nodes if node.name == "handler"] == ["handler"]
    assert not [node.name for node in nodes if isinstance(node, ast.ClassDef)], "classes belong into penstock/"
    assert max(statements(node) for node in nodes if node.name == "handler") <= LIMIT
    assert sum(statements(node) for node in helpers) <= LIMIT, [node.name for node in helpers]


def test_handlers_above_the_limit_are_listed_only_while_they_are() -> None:
    for path in ROUTERS:
        nodes = list(definitions(FUNCTIONS / path))
        assert sum(statements(node) for node in nodes) > 2 * LIMIT, f"{path} need not be listed any more"
