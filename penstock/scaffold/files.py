"""Write a draft as the three files of a model folder, with the reason of each guess as a comment."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

from penstock.contract.model import ROW_HASH
from penstock.scaffold.guess import Draft, Guess, InitError
from penstock.spec.model import LOWER_IS_BETTER, METRICS, MODELS

PLAIN = re.compile(r"[A-Za-z_](?:[\w -]*\w)?")


def write(draft: Draft, root: Path) -> Path:
    """Write the model folder of a draft and return its path.

    Raises:
        InitError: the model's folder exists already.
    """
    folder = root / MODELS / draft.name
    if folder.exists():
        raise InitError(f"{folder.relative_to(root).as_posix()} is there already: remove it, or give another --name")
    files = {"contract.yaml": contract(draft), "model.yaml": model(draft), "train.py": train(draft)}
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def contract(draft: Draft) -> str:
    """Return the text of `contract.yaml`."""
    head = [
        f"# Drafted by `penstock init` from {draft.rows} rows of {_comment_text(draft.source)}.",
        "# Each comment is the reason of a guess: correct what is wrong. Uploads and requests are held against this.",
        *(
            f"# Left out: {_comment_text(name) or '(a column without a name)'}: {why}."
            for name, why in draft.left_out.items()
        ),
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: urn:penstock:contract:{draft.name}",
        f"name: {draft.name}",
        "version: 1.0.0",
        "status: draft",
        "schema:",
        "  - name: rows",
        "    logicalType: object",
        "    customProperties:",
        "      # Up to this share of bad rows a file is taken without them.",
        f"      - {{property: tolerance, value: {draft.tolerance:g}}}",
        "    properties:",
    ]
    return "\n".join([*head, *(line for guess in draft.guesses for line in _column_lines(guess))]) + "\n"


def _column_lines(guess: Guess) -> list[str]:
    column = guess.column
    indent = " " * 8
    lines = textwrap.wrap(_comment_text(guess.why), 104, initial_indent="      # ", subsequent_indent="      # ")
    lines += [f"      - name: {scalar(column.name)}", f"{indent}logicalType: {column.type}"]
    if column.role == "key":
        lines.append(f"{indent}primaryKey: true")
    if column.derived:
        lines.append(f"{indent}transformLogic: {ROW_HASH}")
    if column.required:
        lines.append(f"{indent}required: true")
    if column.personal:
        lines.append(f"{indent}classification: personal")
    options = {"minimum": column.minimum, "maximum": column.maximum, "maxLength": column.max_length}
    if limits := [f"{name}: {scalar(value)}" for name, value in options.items() if value is not None]:
        lines.append(f"{indent}logicalTypeOptions: {{{', '.join(limits)}}}")
    if column.allowed:
        allowed = ", ".join(scalar(value) for value in column.allowed)
        lines += [
            f"{indent}quality:",
            f"{indent}  - {{metric: invalidValues, arguments: {{validValues: [{allowed}]}}, mustBe: 0}}",
        ]
    if column.role not in {"feature", "key"}:
        lines.append(f"{indent}customProperties: [{{property: role, value: {column.role}}}]")
    return lines


def model(draft: Draft) -> str:
    """Return the text of `model.yaml`."""
    target = draft.role("target")[0].name
    first = METRICS[draft.task][0]
    if draft.task == "multiclass":
        what = f"Which of {len(draft.classes)} values is {target}?"
    else:
        what = f"Is {target} {draft.classes[1]}?" if draft.classes else f"How much is {target}?"
    bound = "max" if first in LOWER_IS_BETTER else "min"
    return f"""# yaml-language-server: $schema=../../../docs/model.schema.json
name: {draft.name}
description: {scalar(what)}
task: {draft.task}
# Uploads add to the data. `replace`: an upload is all of the data.
dataset: append

training:
  # Handed to `fit` in train.py. Trees are added until `patience` of them did not help on the validation rows.
  params:
    trees: 500
    leaves: 15
    learning_rate: 0.05
    patience: 30

# All must pass on rows that no model was trained on. Add the number that you need: {{metric: {first}, {bound}: …}}
gates:
  - {{metric: {first}, against: baseline, by: 0.05}}
  - {{metric: {first}, against: champion, by: -0.01}}
"""


TRAIN = '''"""LightGBM on raw columns: {how}.

Drafted by `penstock init`; yours from here on. What `fit` returns is exported, gated and served as it is.
"""

from typing import Any

import polars as pl
from lightgbm import {estimator}, early_stopping
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
{imports}
{columns}
TARGET = {target}


def fit(train: pl.DataFrame, validation: pl.DataFrame, params: dict[str, Any]) -> Pipeline:
    """Fit a pipeline from raw columns to {what}."""
{prepare}    columns = ColumnTransformer(
        [
{steps}
        ]
    )
    trees = {estimator}(
        n_estimators=params["trees"],
        num_leaves=params["leaves"],
        learning_rate=params["learning_rate"],
        random_state=0,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )
    trees.fit(
        columns.fit_transform(train.select({features})),
        train[TARGET].to_numpy(),
        eval_X=columns.transform(validation.select({features})),
        eval_y={truth},
        callbacks=[early_stopping(params["patience"], verbose=False)],
    )
    return Pipeline([("columns", columns), ("trees", trees)])
'''


# LightGBM encodes `y` and leaves `eval_y` as it is (4.7).
PREPARE = """    # LightGBM takes the classes as they are to train on, but wants their places to validate on.
    places = LabelEncoder().fit(train[TARGET].to_numpy())
"""


def train(draft: Draft) -> str:
    """Return the text of `train.py`."""
    features = draft.role("feature")
    target = draft.role("target")[0].name
    candidates = {
        "TEXT": [column.name for column in features if not column.numeric],
        "NUMBERS": [column.name for column in features if column.numeric],
    }
    columns = {name: names for name, names in candidates.items() if names}
    descriptions = {"TEXT": "text is one-hot encoded", "NUMBERS": "numbers go in as they are, missing values included"}
    steps = {
        "TEXT": '("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXT),',
        "NUMBERS": '("numbers", "passthrough", NUMBERS),',
    }
    encoders = [
        name for name, is_needed in (("LabelEncoder", draft.classes), ("OneHotEncoder", "TEXT" in columns)) if is_needed
    ]
    truth = "validation[TARGET].to_numpy()"
    return TRAIN.format(
        how=", ".join(descriptions[name] for name in columns),
        estimator="LGBMRegressor" if draft.task == "regression" else "LGBMClassifier",
        imports=f"from sklearn.preprocessing import {', '.join(encoders)}\n" if encoders else "",
        prepare=PREPARE if draft.classes else "",
        truth=f"places.transform({truth})" if draft.classes else truth,
        columns="\n".join(_list_literal(name, names) for name, names in columns.items()),
        target=_string_literal(target),
        what=_prediction_phrase(draft, _docstring_text(target)),
        steps="\n".join(f"            {steps[name]}" for name in columns),
        features=" + ".join(columns),
    )


def _prediction_phrase(draft: Draft, target: str) -> str:
    """Name what the pipeline predicts, for a docstring."""
    if draft.task == "multiclass":
        return f"the probabilities of the {len(draft.classes)} values of {target}"
    return f"the probability that {target} is {_docstring_text(draft.classes[1])}" if draft.classes else target


def _list_literal(name: str, columns: list[str]) -> str:
    line = f"{name} = [{', '.join(_string_literal(column) for column in columns)}]"
    if len(line) <= 120:
        return line
    return "\n".join([f"{name} = [", *(f"    {_string_literal(column)}," for column in columns), "]"])


def scalar(value: object) -> str:
    """Format a value as a YAML scalar that reads back unchanged, inside `[…]` and `{…}` too."""
    if isinstance(value, str):
        safe = PLAIN.fullmatch(value) and yaml.safe_load(value) == value
        return value if safe else json.dumps(value)
    text = json.dumps(value)
    # YAML 1.1 reads 1e+30 as text.
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _string_literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else repr(text)


def _docstring_text(value: Any) -> str:
    """Format a value for a docstring."""
    return re.sub(r'["\\]', "'", _comment_text(str(value)))


def _comment_text(text: str) -> str:
    """Put text on one line of printable characters, so that it can be a comment."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
