"""`penstock init` and `penstock check`: guesses from a sample, and the written folder reads back and trains."""

import importlib.util
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from penstock.cli import app as command
from penstock.cli.commands.predict import read_instances
from penstock.contract.model import Column, Contract
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import check
from penstock.contract.row_identity import RowKeys
from penstock.scaffold import files as init_files
from penstock.scaffold.guess import Draft, InitError, draft, model_name
from penstock.scaffold.types import types_of
from penstock.scoring.model import Model
from penstock.scoring.signature import Signature
from penstock.spec.model import read_model
from training.steps.export import onnx_export as export

ROWS = 200


def sample(**columns: list[Any]) -> pl.DataFrame:
    """Return a table of text columns, as a CSV is read."""
    random = np.random.default_rng(5)
    usual: dict[str, list[Any]] = {
        "order_id": [f"o-{index}" for index in range(ROWS)],
        "amount": [f"{value:.2f}" for value in random.uniform(1, 90, ROWS)],
        "colour": random.choice(["red", "green", ""], ROWS).tolist(),
        "churned": random.choice(["true", "false"], ROWS).tolist(),
    }
    return pl.DataFrame({name: pl.Series(values, strict=False) for name, values in (usual | columns).items()})


def make_draft(table: pl.DataFrame | None = None, target: str = "churned", **about: Any) -> Draft:
    return draft(sample() if table is None else table, **({"name": "a", "source": "a.csv", "target": target} | about))


def guess(values: list[Any], name: str = "thing") -> tuple[Column, str]:
    """Return the guess for one column of text, and its reason."""
    result = next(item for item in make_draft(sample(**{name: values})).guesses if item.column.name == name)
    return result.column, result.why


def cycle(*values: Any) -> list[Any]:
    return [values[index % len(values)] for index in range(ROWS)]


def formatted(form: str) -> list[str]:
    return [form.format(index) for index in range(ROWS)]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mydata.csv", "mydata"),
        ("My Data (2).csv", "my-data-2"),
        ("2024_sales.parquet", "model-2024-sales"),
        ("breast_cancer.csv.gz", "breast-cancer"),
        ("ä.csv", "model"),
        ("a" * 50 + ".csv", "a" * 30),
    ],
)
def test_model_name_comes_from_the_file_name(file: str, name: str) -> None:
    assert model_name(file) == name


def test_types_and_roles_of_a_usual_sample() -> None:
    columns = {item.column.name: item.column for item in make_draft().guesses}
    assert {name: (column.type, column.role) for name, column in columns.items()} == {
        "order_id": ("string", "key"),
        "amount": ("number", "feature"),
        "colour": ("string", "feature"),
        "churned": ("boolean", "target"),
    }
    assert (columns["amount"].required, columns["colour"].required) == (True, False)
    assert columns["colour"].allowed == ("green", "red")
    low, high = columns["amount"].minimum, columns["amount"].maximum
    assert low == 0
    assert high is not None
    assert 90 < high < 180


@pytest.mark.parametrize(
    ("values", "type_", "role", "words"),
    [
        (cycle("1", "2", "3"), "integer", "feature", "From 1 to 3"),
        (cycle("-1.5", "2e3"), "number", "feature", "From -1.5 to 2000"),
        (cycle("1", "2.5", ""), "number", "feature", "Missing in 66 of 200 rows"),
        (cycle("true", "FALSE"), "boolean", "feature", "True or false"),
        (cycle("yes", "no"), "string", "feature", "The 2 values"),
        (cycle("00501", "10001"), "string", "feature", "The 2 values"),
        (formatted("a {}"), "string", "ignore", "200 different texts in 200 rows: a name or a note"),
        ([f"t{index % 60}" for index in range(ROWS)], "string", "feature", "60 different texts, too many to list"),
        (cycle("same"), "string", "ignore", "Always the same"),
        (cycle(""), "string", "ignore", "Empty"),
        (cycle("2024-01-31"), "date", "event_time", "When the row happened"),
        (cycle("2024-01-31T10:00:00Z", "2024-02-01 10:00:00.5"), "timestamp", "event_time", "When the row happened"),
        (cycle("31.01.2024", "01.02.2024"), "string", "feature", "The 2 values"),
        (["?", *cycle("1.5", "2")[1:]], "number", "feature", "1 of no finite number ('?')"),
        (["inf", *cycle("1.5", "2")[1:]], "number", "feature", "1 of no finite number ('inf')"),
        (cycle("NA", "1.5", "2"), "string", "ignore", "Numbers, but 'NA' stands in 67 rows"),
        (cycle("9" * 30, "1"), "number", "feature", "From 1 to 1e+30"),
    ],
)
def test_column_guess_has_type_role_and_reason(values: list[Any], type_: str, role: str, words: str) -> None:
    column, why = guess(values)
    assert (column.type, column.role) == (type_, role)
    assert words in why


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("email", formatted("{}@example.com"), "of a person"),
        ("Last Name", cycle("Ng", "Li"), "of a person"),
        ("index", formatted("{}"), "a row number"),
        ("Unnamed: 0", formatted("{}"), "a row number"),
        ("customerId", [str(index // 2 * 7 + 100) for index in range(ROWS - 1)] + ["3"], "an identifier"),
    ],
)
def test_column_is_ignored_because_of_its_name(name: str, values: list[str], words: str) -> None:
    column, why = guess(values, name)
    assert column.role == "ignore"
    assert words in why
    assert column.personal == ("person" in words)


def test_only_the_first_timestamp_column_is_the_event_time() -> None:
    table = sample(day=cycle("2024-01-31"), at=cycle("2024-01-31T10:00:00Z"), end=cycle("2024-02-01T10:00:00Z"))
    roles = {item.column.name: item.column.role for item in make_draft(table).guesses}
    assert (roles["day"], roles["at"], roles["end"]) == ("ignore", "event_time", "ignore")


def test_types_of_a_typed_format_are_kept() -> None:
    table = pl.DataFrame(
        {
            "i": [1, 2],
            "f": [1.0, None],
            "b": [True, False],
            "s": ["1", "2"],
            "d": [date(2024, 1, 1)] * 2,
            "t": [datetime(2024, 1, 1, tzinfo=UTC)] * 2,
            "l": [[1], [2]],
            "": ["x", "y"],
            "n": [None, None],
        }
    )
    assert types_of(table) == {
        "i": "integer",
        "f": "number",
        "b": "boolean",
        "s": "string",
        "d": "date",
        "t": "timestamp",
        "n": "string",
    }


@pytest.mark.parametrize(
    ("values", "task", "type_", "classes"),
    [
        (cycle("true", "false"), "binary", "boolean", (False, True)),
        (cycle("Yes", "No"), "binary", "string", ("No", "Yes")),
        (cycle("1", "0"), "binary", "integer", (0, 1)),
        (cycle("2.0", "1.0"), "binary", "integer", (1, 2)),
        (cycle("0.5", "1.5"), "regression", "number", ()),
        (cycle("b", "c", "a"), "multiclass", "string", ("a", "b", "c")),
        (cycle("10", "2", "-1"), "multiclass", "integer", (-1, 2, 10)),
        (cycle(*map(str, range(20))), "multiclass", "integer", tuple(range(20))),
        (cycle("0", "1", "1.5"), "regression", "number", ()),
        (cycle(*map(str, range(21))), "regression", "integer", ()),
        (cycle("1" * 18, "2" * 18, "3" * 18), "regression", "integer", ()),
        (formatted("{}"), "regression", "integer", ()),
        (formatted("{}.25"), "regression", "number", ()),
    ],
)
def test_target_values_decide_the_task(values: list[str], task: str, type_: str, classes: tuple[Any, ...]) -> None:
    result = make_draft(sample(goal=values), target="goal")
    assert (result.task, result.role("target")[0].type, result.classes) == (task, type_, classes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (cycle("a", "b", "c"), "3 different texts: one class each."),
        (
            ["rare", *cycle("a", "b")[1:]],
            "3 different texts: one class each. Only 1 rows are 'rare': a run needs 10",
        ),
        (
            cycle("1", "2", "3"),
            "3 different whole numbers: one class each; is it an amount, take the allowed values",
        ),
        (cycle("0.5", "1.5", "2"), "3 different numbers, fewer than an amount usually has"),
        (cycle("a", "b", "c", ""), "one class each. 50 rows have none and will be refused."),
    ],
)
def test_target_comment_explains_the_task(values: list[str], words: str) -> None:
    assert words in make_draft(sample(goal=values), target="goal").guesses[-1].why


def test_nan_in_the_target_is_missing_and_not_a_class() -> None:
    # Given a format in which a missing target is NaN
    goal = pl.Series("goal", cycle(0.0, 1.0, 1.0, float("nan")))
    result = make_draft(sample().with_columns(goal), target="goal")
    assert (result.task, result.classes) == ("binary", (0, 1))
    assert "50 rows have none and will be refused" in result.guesses[-1].why


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"target": "goal"}, "a.csv has no column 'goal'; there are order_id, amount, colour, churned"),
        ({"key": "goal"}, "a.csv has no column 'goal'"),
        ({"key": "churned"}, "'churned' cannot be both the target and the key"),
        ({"key": "colour"}, r"--key colour: \d+ rows have none"),
        ({"table": sample(c=cycle("x", "y")), "key": "c"}, "--key c: 198 rows have the key of another row"),
        (
            {"table": sample(churned=cycle(*(f"v{index}" for index in range(21))))},
            "has 21 different values of type string in 200 rows: a target has two values, or up to 20 with 10 rows",
        ),
        (
            {"table": sample(churned=cycle("a", "b", "c")).head(29)},
            "has 3 different values of type string in 29 rows",
        ),
        (
            {"table": sample(churned=cycle("2024-01-01", "2024-01-02", "2024-01-03"))},
            "different values of type date",
        ),
        ({"table": sample(churned=cycle("true"))}, "has 1 different values"),
        ({"table": sample().head(0)}, "a.csv has no rows"),
        ({"table": sample().select("order_id", "churned")}, "no column of a.csv is left to learn from"),
        ({"table": sample().with_columns(churned=pl.lit([1]))}, r"the target 'churned' is List"),
        ({"name": "A b"}, "'A b' is no name for a model"),
        ({"table": sample(churned=cycle("true", "false", "", "", ""))}, "60% of the rows of a.csv have no target"),
    ],
)
def test_impossible_draft_raises_with_a_reason(about: dict[str, Any], words: str) -> None:
    with pytest.raises(InitError, match=words):
        make_draft(**about)


def test_requested_key_is_used() -> None:
    result = make_draft(sample(code=formatted("{}")), key="code")
    assert [(column.name, column.type) for column in result.role("key")] == [("code", "string")]


def test_drafted_contract_tolerates_the_samples_bad_rows() -> None:
    # Given a target that a tenth of the rows lack
    result = make_draft(
        sample(churned=["" if index % 10 == 0 else "true" if index % 3 else "false" for index in range(ROWS)])
    )
    # Then the contract tolerates somewhat more
    assert 0.1 < result.tolerance < 0.15


def hostile_names() -> pl.DataFrame:
    """Return names and values that YAML or Python would misread unless quoted."""
    return pl.DataFrame(
        {
            "yes": cycle("on", "off", "null"),
            'say "hi"': cycle("1.5", "2"),
            "a: b # c": cycle("a,b", "c]", "'", '"', "\\", "{x}"),
            "naïve\tcolumn": cycle("ä", "ö"),
            "the target": cycle("~", "no"),
            "": formatted("{}"),
        }
    )


@pytest.mark.parametrize(
    ("table", "target"),
    [
        (sample(), "churned"),
        (sample(goal=formatted("{}.5")), "goal"),
        (sample(goal=cycle("x, y", "z: 'w'", "no")), "goal"),
        (sample(goal=cycle("3", "1", "2")), "goal"),
        (hostile_names(), "the target"),
    ],
    ids=["classification", "regression", "classes", "numbered classes", "hostile names"],
)
def test_written_files_read_back(tmp_path: Path, table: pl.DataFrame, target: str) -> None:
    result = make_draft(table, target=target)
    folder = init_files.write(result, tmp_path)
    # Then the contract has the guessed columns and accepts the sample
    contract = read_contract(folder)
    assert contract.columns == tuple(item.column for item in result.guesses)
    assert check(contract, table).bad.height == 0
    # And the spec has the task, and the code compiles
    assert (read_model(folder).name, read_model(folder).task) == ("a", result.task)
    compile((folder / "train.py").read_text(), "train.py", "exec")


def test_contract_has_the_reason_as_a_comment(tmp_path: Path) -> None:
    text = init_files.contract(make_draft())
    assert "      # The 2 values in the sample. Missing in" in text
    assert "# Drafted by `penstock init` from 200 rows of a.csv." in text
    assert yaml.safe_load(text)["status"] == "draft"


def test_existing_model_is_not_overwritten(tmp_path: Path) -> None:
    init_files.write(make_draft(), tmp_path)
    with pytest.raises(InitError, match="training/models/a is there already: remove it, or give another --name"):
        init_files.write(make_draft(), tmp_path)


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (cycle("true", "false"), 2),
        (cycle("yes", "no"), 2),
        (cycle("2", "1"), 2),
        (cycle("a", "b", "c"), 3),
        (cycle("2", "10", "3", "4"), 4),
    ],
    ids=["true or false", "two texts", "two numbers", "three texts", "four numbers"],
)
def test_drafted_train_function_fits_and_exports(tmp_path: Path, target: list[str], classes: int) -> None:
    # Given a draft of text and numbers
    rows = sample(churned=target)
    folder = init_files.write(make_draft(rows), tmp_path)
    spec = importlib.util.spec_from_file_location("drafted", folder / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = check(read_contract(folder), rows).good.with_columns(
        pl.col("amount").cast(pl.Float32), pl.col("colour").fill_null("")
    )
    # When it is fitted with the parameters in model.yaml
    fitted = module.fit(table.head(150), table.tail(50), dict(read_model(folder).training.params))
    # Then it gives probabilities
    assert fitted.predict_proba(table).shape == (ROWS, classes)
    # And the exported file gives the same
    features = [column.name for column in read_contract(folder).features]
    data = export.to_onnx(fitted, read_contract(folder).features)
    names = tuple(fitted.classes_.tolist())
    about = Signature("a", export.fields(read_contract(folder).features), names, None, export.OUTPUTS["binary"])
    scores = Model(export.sealed(data, about)).score({name: table[name].to_list() for name in features})
    own = fitted.predict_proba(table.select(features))
    assert scores == pytest.approx(own if classes > 2 else own[:, 1], abs=1e-6)


def without_key() -> pl.DataFrame:
    return pl.DataFrame({"x": cycle("1.5", "2", "3.25"), "y": cycle("a", "b"), "goal": cycle("0", "1", "1", "0")})


def test_rows_without_a_key_get_a_key_derived_from_their_content(tmp_path: Path) -> None:
    # Given data without a key column, in which rows repeat
    folder = init_files.write(make_draft(without_key(), target="goal"), tmp_path)
    contract = read_contract(folder)
    assert contract.key.derived
    # When it is checked as text, and typed in another order
    result = check(contract, without_key())
    typed = check(contract, without_key().cast({"x": pl.Float64, "goal": pl.Int8}).reverse())
    # Then every row is kept, with the same keys
    assert (result.bad.height, typed.bad.height) == (0, 0)
    keys = result.good[contract.key.name].to_list()
    assert len(set(keys)) == ROWS
    assert set(typed.good[contract.key.name].to_list()) == set(keys)


def test_derived_keys_are_the_same_across_batches() -> None:
    rows = pl.DataFrame({"b": [1, 1, None], "a": ["x", "x", None]})
    whole, parts = RowKeys().derive(rows).to_list(), RowKeys()
    assert [*parts.derive(rows.head(1)), *parts.derive(rows.tail(2))] == whole
    assert whole[1] == f"{whole[0]}-2"
    assert RowKeys().derive(rows.select("a", "b")).to_list() == whole


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a project without a model."""
    (tmp_path / "training" / "models").mkdir(parents=True)
    (tmp_path / "cdk.json").write_text("{}")
    sample().write_csv(tmp_path / "My data.csv")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        code: Any = 0
        try:
            command.main()
        except SystemExit as end:
            code = end.code
        output = capsys.readouterr()
        return int(code or 0), output.out, output.err

    return call


def test_init_writes_the_folder_and_prints_its_guesses(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("init", "My data.csv", "--target", "churned")
    assert code == 0
    assert "training/models/my-data: contract.yaml, model.yaml, train.py" in out
    assert "positive is True" in " ".join(out.split())
    assert "next: penstock up && penstock push 'My data.csv' --model my-data --wait" in out
    assert {path.name for path in (tmp_path / "training/models/my-data").iterdir()} == {
        "contract.yaml",
        "model.yaml",
        "train.py",
    }
    assert run("init", "My data.csv", "--target", "churned")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nothing.csv", "--target", "x"), 2, "nothing.csv is not a file"),
        (("My data.csv", "--target", "x"), 1, "My data.csv has no column 'x'"),
        (("cdk.json", "--target", "x"), 1, "does not end in .csv, .csv.gz,"),
    ],
)
def test_init_refuses_a_file_that_is_no_sample(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    exit_code, _, err = run("init", *arguments)
    assert exit_code == code
    assert words in " ".join(err.split())


def test_check_accepts_a_good_file(run: Run) -> None:
    run("init", "My data.csv", "--target", "churned")
    code, out, _ = run("check", "My data.csv")
    assert code == 0
    assert "200 of 200 rows are good" in out


def test_check_counts_reasons_and_writes_the_bad_rows(run: Run, tmp_path: Path) -> None:
    # Given a file with two bad rows, and a column that the contract does not know
    run("init", "My data.csv", "--target", "churned")
    amounts = ["a lot", "9e9", *sample()["amount"].to_list()[2:]]
    sample(amount=amounts, more=cycle("x")).write_csv(tmp_path / "next.csv")
    # When it is checked
    code, out, _ = run("check", "next.csv", "--json", "--bad", "bad.csv")
    report = json.loads(out)
    # Then it would be accepted, and the bad rows are reported and written
    assert (code, report["rows"], report["bad"], report["refusal"]) == (0, 200, 2, None)
    assert report["reasons"]["amount: not a number"] == 1
    assert report["unknown"] == ["more"]
    bad = pl.read_csv(tmp_path / "bad.csv")
    assert bad["_row"].to_list() == [1, 2]
    assert bad["_reasons"][0] == "amount: not a number"


def test_check_exits_11_for_a_file_that_would_be_refused(run: Run, tmp_path: Path) -> None:
    run("init", "My data.csv", "--target", "churned")
    sample(amount=cycle("a lot", "1")).write_csv(tmp_path / "next.csv")
    code, out, _ = run("check", "next.csv")
    assert code == 11
    assert "100 of 200 rows are bad (50.0%), the contract tolerates 5.0%" in " ".join(out.split())
    assert "amount: not a number" in out


def test_check_reports_a_file_that_is_no_table(run: Run, tmp_path: Path) -> None:
    run("init", "My data.csv", "--target", "churned")
    (tmp_path / "empty.csv").write_text("")
    code, out, _ = run("check", "empty.csv", "--json")
    assert (code, json.loads(out)["refusal"]) == (11, "the file is empty")
    code, _, err = run("check", "empty.csv", "--bad", "bad.txt")
    assert code == 2
    assert "the name ends with one of .csv" in err


def test_request_has_text_columns_as_text_and_no_target(tmp_path: Path) -> None:
    # Given typed data whose key and one feature are numbers, where the contract has text
    result = make_draft(sample(code=cycle("00501", "10001")), key="order_id")
    contract = Contract("a", "", tuple(item.column for item in result.guesses), 0.05, "")
    (tmp_path / "a.jsonl").write_text('{"order_id": 7, "code": 10001, "amount": 1.5, "churned": true}\n')
    # Then a request has them as text, and not the target
    assert read_instances(str(tmp_path / "a.jsonl"), contract) == [{"order_id": "7", "code": "10001", "amount": 1.5}]
