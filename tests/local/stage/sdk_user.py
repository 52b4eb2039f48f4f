"""A user of the SageMaker Python SDK v3: `train DATASET RUN OUTPUT`, or `approve GROUP`."""

import json
import sys
from collections.abc import Mapping

import boto3
from sagemaker.core.resources import ModelPackage
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, StoppingCondition

ROLE = "sdk-user"


def train(dataset: str, run: str, output: str) -> dict[str, object]:
    trainer = ModelTrainer(
        training_image="penstock-training:local",
        role=_role(),
        base_job_name="sdk",
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10),
        output_data_config=OutputDataConfig(s3_output_path=output),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
    )
    channels = [InputData(channel_name="dataset", data_source=dataset), InputData(channel_name="run", data_source=run)]
    trainer.train(input_data_config=channels, wait=True, logs=False)
    job = trainer._latest_training_job
    return {"status": job.training_job_status, "artifact": job.model_artifacts.s3_model_artifacts}


def approve(group: str) -> dict[str, object]:
    packages = list(ModelPackage.get_all(model_package_group_name=group))
    listed = [package.model_approval_status for package in packages]
    package = ModelPackage.get(packages[0].model_package_arn)
    package.update(model_approval_status="Approved", approval_description="looks right to the SDK's user")
    described = ModelPackage.get(packages[0].model_package_arn)
    return {"listed": listed, "approved_by": described.last_modified_by.iam_identity.arn}


def _role() -> str:
    """Create a role as the SDK needs it: it simulates the role's policies before it trains."""
    iam = boto3.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    actions = ["s3:*", "kms:*", "logs:*", "ecr:*", "ec2:*", "cloudwatch:PutMetricData"]
    allowed = _policy({"Effect": "Allow", "Action": actions, "Resource": "*"})
    iam.put_role_policy(RoleName=ROLE, PolicyName="train", PolicyDocument=allowed)
    return arn


def _policy(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    result = train(*arguments) if command == "train" else approve(*arguments)
    sys.stdout.write(json.dumps(result) + "\n")
