"""Great Expectations: an ephemeral context, a pandas batch, and one expectation for each rule."""

import logging
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import great_expectations as gx  # noqa: E402
import pandas as pd  # noqa: E402

from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS  # noqa: E402

context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
batch = asset.add_batch_definition_whole_dataframe("all")
of = gx.expectations
suite = gx.ExpectationSuite(
    "rows", [of.ExpectColumnValuesToNotBeNull(column=name) for name in [*NUMBERS, *TEXTS, "id"]]
)
for name in NUMBERS:
    suite.add_expectation(of.ExpectColumnValuesToBeBetween(column=name, min_value=LOW, max_value=HIGH))
for name in TEXTS:
    suite.add_expectation(of.ExpectColumnValuesToBeInSet(column=name, value_set=ALLOWED))
suite.add_expectation(of.ExpectColumnValuesToBeUnique(column="id"))
results = batch.get_batch(batch_parameters={"dataframe": pd.read_parquet(sys.argv[1])}).validate(suite)
print(sum(result.result.get("unexpected_count", 0) for result in results.results))
