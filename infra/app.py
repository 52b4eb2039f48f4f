"""The CDK app: stage → stacks, and nothing else.

`cdk synth -c stage=prod` runs this. It makes no AWS call and reads no clock, so that the same tree gives the same
templates.
"""

import json
import os
import sys
from pathlib import Path

# jsii runs the CDK on the Node.js of this environment rather than on whichever is first on the PATH.
if (_node := Path(sys.executable).with_name("node")).exists():
    os.environ.setdefault("JSII_NODE", str(_node))

from aws_cdk import App, CliCredentialsStackSynthesizer, DefaultStackSynthesizer, StackSynthesizer, Tags, Validations

from infra.acknowledge import validating
from infra.bundling import BundleError
from infra.lake_stack import LakeStack
from infra.model_stack import ModelStack
from infra.stages import Stage, StageError, stage_named
from penstock.contract.model import ContractError
from penstock.contract.odcs import read_contract
from penstock.features.group import feature_group
from penstock.spec.consistency import agree
from penstock.spec.model import SpecError, model_folders, read_model

ROOT = Path(__file__).resolve().parents[1]


def build(app: App, stage: Stage, root: Path = ROOT) -> None:
    """Put a stage's stacks into an app: one for the lake, one for each model.

    Raises:
        SpecError, ContractError: a model folder that cannot be used.
        BundleError: a function that cannot be bundled.
    """
    lake = LakeStack(app, stage=stage, synthesizer=_synthesizer(stage))
    for folder in model_folders(root):
        spec, contract = read_model(folder), read_contract(folder)
        agree(folder, spec, contract)  # a mistake would otherwise show in the first run
        ModelStack(
            app,
            stage=stage,
            root=root,
            spec=spec,
            contract=contract,
            features=feature_group(stage.name, spec, contract),
            lake_stack=lake,
            synthesizer=_synthesizer(stage),
        )
    Tags.of(app).add("penstock:stage", stage.name)


def _synthesizer(stage: Stage) -> StackSynthesizer:
    return CliCredentialsStackSynthesizer() if stage.own_credentials else DefaultStackSynthesizer()


def flags(root: Path = ROOT) -> dict[str, object]:
    """Return the CDK feature flags of `cdk.json`, so that templates are the same whoever starts the app."""
    context: dict[str, object] = json.loads((root / "cdk.json").read_text(encoding="utf-8"))["context"]
    return context


def validate(app: App) -> None:
    """Add the house rules and cdk-nag to the synthesis; any finding fails it."""
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415 - takes its time, and only this needs it

    from infra.checks import HouseRules  # noqa: PLC0415

    Validations.of(app).add_plugins(AwsSolutionsChecks(app), HouseRules())


def main() -> int:
    """Synthesise the stage that the context names; return 1 and print one sentence if it cannot be synthesised."""
    app = App(context=flags())
    try:
        build(app, stage_named(app.node.try_get_context("stage")))
    except (BundleError, ContractError, SpecError, StageError) as error:
        sys.stderr.write(f"penstock: {error}\n")
        return 1
    if not validating():
        app.synth()
        return 0
    validate(app)
    try:
        app.synth()
    except RuntimeError as error:  # what jsii makes of any JavaScript error
        if "Validation failed" not in str(error):
            raise
        sys.stderr.write("".join(f"penstock: {sentence}\n" for sentence in _findings(Path(app.outdir))))
        return 1
    return 0


def _findings(folder: Path) -> list[str]:
    """Return the findings in the CDK's validation report, one sentence each."""
    report = json.loads((folder / "validation-report.json").read_text(encoding="utf-8"))
    return [
        f"{', '.join(place['constructPath'] for place in violation['violatingConstructs'])}: "
        f"{violation['ruleName']}: {violation['description']}"
        for plugin in report["pluginReports"]
        for violation in plugin.get("violations", [])
    ]


if __name__ == "__main__":
    sys.exit(main())
