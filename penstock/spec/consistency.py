"""Check that `model.yaml`, `contract.yaml` and `train.py` of a model fit together.

`penstock check` and each deployment call this, so that a model that could never be trained is never deployed.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

from penstock import yamlfile
from penstock.contract.model import Column, Contract, ContractError
from penstock.spec.model import MOST_CLASSES, ModelSpec, SpecError, Window

Fault = tuple[tuple[int | str, ...], str]
"""A field of `model.yaml`, and a sentence with the fault and how to mend it."""


def agree(folder: Path, spec: ModelSpec, contract: Contract) -> None:
    """Refuse a model folder whose files contradict each other.

    Args:
        folder: the model's folder; the error names its files.
        spec: its `model.yaml`.
        contract: its `contract.yaml`.

    Raises:
        ContractError: an event time of another type than a time, or a rule that is no valid SQL.
        SpecError: one line a fault, `file:line: field: what`.
    """
    try:
        _check_rules(contract)
    except ContractError as error:
        raise ContractError(f"{folder / 'contract.yaml'}: {error}") from None
    time = contract.event_time
    if time is not None and time.type not in {"timestamp", "date"}:
        message = f"role: an event_time is a timestamp or a date, not {time.type}: change its logicalType or its role"
        raise ContractError(f"{folder / 'contract.yaml'}: column {time.name!r}: {message}")
    path = folder / "model.yaml"
    faults = [*_times(spec, contract), *_target(spec, contract), *_parts(spec, contract), *_shadow(spec, contract)]
    if faults:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        lines = [f"{path}:{yamlfile.line_of(node, at)}: {'.'.join(map(str, at))}: {what}" for at, what in faults]
        raise SpecError("\n".join(lines))
    _check_train(folder / "train.py")


def _check_train(path: Path) -> None:
    """Refuse a `train.py` that is missing, is not valid Python or does not define `fit`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file: write fit(train, validation, params)") from None
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise SpecError(f"{path}{line}: no Python: {getattr(error, 'msg', error)}") from None
    definitions = {name for node in tree.body for name in _names(node)}
    if "fit" not in definitions:
        raise SpecError(f"{path}: there is no function fit(train, validation, params)")


def _names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement defines; `import *` counts as `fit`, as it may define it."""
    if isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom | ast.Import):
        yield from ("fit" if name.name == "*" else name.asname or name.name for name in node.names)
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.If | ast.Try):
        yield from (name for inner in node.body for name in _names(inner))


def _check_rules(contract: Contract) -> None:
    """Refuse a rule over several columns that is no valid SQL; the parser is loaded only if there are rules."""
    if contract.rules:
        from penstock.contract.row_rules import conditions  # noqa: PLC0415 - half of a synthesis' time

        conditions(contract)


def _times(spec: ModelSpec, contract: Contract) -> Iterator[Fault]:
    """Yield a fault if a split or window by time has no event time in the contract."""
    references: list[tuple[tuple[str, ...], str, str]] = []
    if spec.split.by == "time":
        references.append((("split", "by"), "a split by time", "split by key"))
    if isinstance(spec.dataset, Window) and spec.dataset.days is not None:
        references.append((("dataset", "days"), "a window of days", "measure it in uploads"))
    for field, what, instead in references if contract.event_time is None else []:
        yield (
            field,
            f"{what} needs an event time, and no column in contract.yaml has that role: give a timestamp or date "
            f"customProperties: [{{property: role, value: event_time}}], or {instead}",
        )


def _target(spec: ModelSpec, contract: Contract) -> Iterator[Fault]:
    """Yield a fault if the target's type does not suit the task."""
    target, field = contract.target, ("task",)
    subject = f"the target {target.name!r} in contract.yaml"
    if spec.task == "regression":
        if target.type not in {"integer", "number"}:
            yield (
                field,
                f"a regression predicts an amount, and {subject} is {target.type}: make its logicalType number, "
                "give another column the role target, or make the task binary",
            )
    elif target.type in {"timestamp", "date"}:
        yield field, f"a model tells values apart, and {subject} is {target.type}: give another column the role target"
    elif what := _many(subject, target) if spec.task == "multiclass" else _two(subject, target):
        yield field, what


def _two(subject: str, target: Column) -> str | None:
    """Return what is wrong with the target of a binary model, or None."""
    if target.type == "number":
        return (
            f"binary tells two values apart, and {subject} is number: make its logicalType integer or boolean "
            "where it is 0 or 1, or make the task regression where it is an amount"
        )
    if target.allowed and (count := len(set(target.allowed))) != 2:
        return (
            f"binary tells two values apart, and {subject} may have {count}: make "
            + ("the task multiclass, or " if 2 < count <= MOST_CLASSES else "")
            + "a column that is true for the value in question, and give it the role target"
        )
    return None


def _many(subject: str, target: Column) -> str | None:
    """Return what is wrong with the target of a multiclass model, or None."""
    if target.type == "boolean":
        return f"multiclass tells three values or more apart, and {subject} is boolean: make the task binary"
    if target.type == "number":
        return (
            f"multiclass tells values apart, and {subject} is number: make its logicalType integer where it stands for "
            "a class, or make the task regression where it is an amount"
        )
    count = len(set(target.allowed))
    if target.allowed and count < 3:
        mend = "make the task binary" if count == 2 else "let it have more"
        return f"multiclass tells three values or more apart, and {subject} may have {count}: {mend}"
    if count > MOST_CLASSES:
        return (
            f"multiclass tells at most {MOST_CLASSES} values apart, and {subject} may have {count}: make a column that "
            "has the same value for those that belong together, and give it the role target"
        )
    return None


def _parts(spec: ModelSpec, contract: Contract) -> Iterator[Fault]:
    """Yield a fault for each column of slices or groups that is no feature; the holdout has no other columns."""
    features = {column.name for column in contract.features}
    for field in ("slices", "groups"):
        for index, name in enumerate(getattr(spec.evaluation, field)):
            if name not in features:
                yield (
                    ("evaluation", field, index),
                    f"{name!r} is no feature in contract.yaml; there are {', '.join(sorted(features))}",
                )


def _shadow(spec: ModelSpec, contract: Contract) -> Iterator[Fault]:
    """Yield a fault for a shadow with personal features: captured rows hold a hash of them or nothing."""
    kept_back = [column.name for column in contract.features if column.personal]
    if spec.rollout.shadows and kept_back:
        yield (
            ("rollout", "strategy"),
            f"a shadow answers captured requests, and captures do not hold {', '.join(map(repr, kept_back))} as it was "
            "given (classification: personal in contract.yaml): make the strategy canary, or the column no feature",
        )
