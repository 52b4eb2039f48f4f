"""Permission to run a model's tuning jobs and to describe their trials."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.base.rendered import rendered
from infra.constructs.pipeline.sagemaker_job import SageMakerJob

_RULE = "StepFunctionsGetEventsForSageMakerTuningJobsRule"


def grant_tune(job: SageMakerJob, grantee: iam.Role, prefix: str) -> None:
    """Allow running tuning jobs whose trials are jobs of this kind, waiting for them, and describing a trial.

    Args:
        job: what a trial is.
        grantee: the state machine's role.
        prefix: of the tuning jobs' names; a trial's name begins with its tuning job's.
    """
    stack = Stack.of(job)
    jobs = stack.format_arn(service="sagemaker", resource="hyper-parameter-tuning-job", resource_name=f"{prefix}-*")
    trials = stack.format_arn(service="sagemaker", resource="training-job", resource_name=f"{prefix}-*")
    grantee.add_to_policy(
        iam.PolicyStatement(
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateHyperParameterTuningJob",
                "sagemaker:DescribeHyperParameterTuningJob",
                "sagemaker:ListTags",
                "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
                "sagemaker:StopHyperParameterTuningJob",
            ],
            resources=[jobs],
        )
    )
    grantee.add_to_policy(iam.PolicyStatement(actions=["sagemaker:DescribeTrainingJob"], resources=[trials]))
    rule = stack.format_arn(service="events", resource="rule", resource_name=_RULE)
    job.grant_pass(grantee, rule)
    acknowledge_wildcards(grantee, "Tuning jobs are named by runs, as they come.", rendered(grantee, jobs))
    acknowledge_wildcards(grantee, "SageMaker names the trials.", rendered(grantee, trials))
