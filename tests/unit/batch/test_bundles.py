"""The batch functions import only packages that their bundles hold (`infra.bundling.GROUPS`)."""

import os
import subprocess
import sys

import pytest

from tests.support.architecture import PROJECT

PROGRAM = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"{{name}} is not in the bundle")

sys.meta_path.insert(0, Blocked())
from penstock.predict_settings import SettingsError
try:
    import functions.{function}.handler
except SettingsError:
    print("imported")
"""
"""Reading the settings comes after the imports."""


@pytest.mark.parametrize(
    ("function", "blocked"),
    [
        ("start_batch", {"msgspec", "numpy", "onnxruntime", "polars"}),
        ("plan_batch", {"onnxruntime"}),
        ("score_part", {"aws_lambda_powertools", "open_data_contract_standard", "polars", "pydantic", "yaml"}),
        ("join_batch", {"onnxruntime"}),
        ("end_batch", {"msgspec", "numpy", "onnxruntime", "polars"}),
    ],
)
def test_a_function_imports_without_the_packages_of_other_groups(function: str, blocked: set[str]) -> None:
    program = PROGRAM.format(function=function, blocked=blocked)
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "imported", result.stderr
