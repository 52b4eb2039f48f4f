"""Permissions of register on a SageMaker-managed MLflow server; other servers do not use IAM."""

from aws_cdk import aws_iam as iam

from penstock.spec.model import Experiments

_SERVER = ("CreateExperiment", "CreateRun", "GetExperimentByName", "GetRun", "LogBatch", "SearchRuns", "UpdateRun")
"""What logging a run calls (`functions/register/mlflow_client.py`); nothing that deletes."""


def grant_log(experiments: Experiments, grantee: iam.IRole) -> None:
    """Allow logging runs to the managed server or app named in the specification."""
    if not experiments.managed:
        return
    # An app has one action for its whole API; a server has one for each call.
    app = ":mlflow-app/" in experiments.mlflow
    actions = ["sagemaker:CallMlflowAppApi"] if app else [f"sagemaker-mlflow:{name}" for name in _SERVER]
    grantee.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[experiments.mlflow]))
