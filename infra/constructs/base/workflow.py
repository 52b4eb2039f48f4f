"""State machines: definition, own role, log of the full execution history, traces."""

from collections.abc import Sequence

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.acknowledge import acknowledge, acknowledge_wildcards
from infra.constructs.base.rendered import rendered
from infra.constructs.base.state_language import Definition
from infra.stages import Stage


class Workflow(Construct):
    """A standard state machine."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, role: iam.Role, definition: Definition
    ) -> None:
        """Make the state machine.

        Args:
            scope: where it belongs.
            construct_id: its id there.
            stage: the stage.
            role: what it may do; made before it, because a definition names what the role is granted.
            definition: in Amazon States Language.
        """
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        # Below this prefix, log groups need no entry each in the account's resource policy, which has a size limit.
        name = f"/aws/vendedlogs/states/{stack.stack_name}-{scope.node.id.lower()}"
        log = logs.LogGroup(
            self,
            "Log",
            log_group_name=name,
            retention=logs.RetentionDays[stage.log_retention],
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.machine = sfn.StateMachine(
            self,
            "Resource",
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(stack.to_json_string(definition)),
            role=role,
            logs=sfn.LogOptions(destination=log, level=sfn.LogLevel.ALL, include_execution_data=True),
            tracing_enabled=True,
        )
        acknowledge(
            role,
            {"IAM5[Resource::*]": "X-Ray's and log delivery's actions take no resource; nothing else has it."},
        )


def workflow_role(scope: Construct) -> iam.Role:
    """Make a role for a state machine, with nothing granted yet."""
    return iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))


def grant_call(role: iam.Role, functions: Sequence[str]) -> None:
    """Allow invoking functions by their unqualified ARNs; CDK's `grant_invoke` allows every version too."""
    role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[*functions]))


def executions_of(machine: sfn.StateMachine, suffix: str) -> str:
    """Return the ARN pattern of a state machine's executions; `suffix` follows the machine's name."""
    stack = Stack.of(machine)
    name = stack.split_arn(machine.state_machine_arn, ArnFormat.COLON_RESOURCE_NAME).resource_name
    return stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{name}{suffix}",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def grant_run(machine: sfn.StateMachine, grantee: iam.IRole) -> None:
    """Start executions and see how they ended."""
    machine.grant_start_execution(grantee)
    executions = executions_of(machine, ":*")
    grantee.add_to_principal_policy(
        # CDK's own grant for executions takes one execution's name; here they are named as they come.
        iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[executions])
    )
    acknowledge_wildcards(grantee, "Executions are named by content, as they come.", rendered(grantee, executions))
