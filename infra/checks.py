"""House rules, run on every synthesised template beside cdk-nag. A finding ends the synthesis with a sentence.

They look at templates rather than at constructs, so that it does not matter how a resource came about, and so that the
rules are plain functions of a document. Each finding names the resource, by its construct's path where the template has
it, and says the mend.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
)

Json = Mapping[str, Any]

WITHOUT_RESOURCE: Mapping[str, str] = {
    "cloudwatch:PutMetricData": "metrics have no ARN; a condition on the namespace is the limit",
    "ecr:GetAuthorizationToken": "the login token is the registry's, not a repository's",
    "logs:CreateLogDelivery": "log deliveries have no ARN",
    "logs:DeleteLogDelivery": "log deliveries have no ARN",
    "logs:DescribeLogGroups": "a listing",
    "logs:DescribeResourcePolicies": "a listing",
    "logs:GetLogDelivery": "log deliveries have no ARN",
    "logs:ListLogDeliveries": "a listing",
    "logs:PutResourcePolicy": "log resource policies have no ARN",
    "logs:UpdateLogDelivery": "log deliveries have no ARN",
    "sagemaker:ListEndpoints": "a listing",
    "xray:GetSamplingRules": "sampling rules are asked for as a whole",
    "xray:GetSamplingTargets": "sampling rules are asked for as a whole",
    "xray:PutTelemetryRecords": "trace segments have no ARN",
    "xray:PutTraceSegments": "trace segments have no ARN",
}
"""Actions that IAM accepts only with the resource `*`, each with the reason."""
ENCRYPTED: Mapping[str, tuple[str, ...]] = {
    "AWS::DynamoDB::Table": ("SSESpecification",),
    "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamEncryptionConfigurationInput",),
    "AWS::S3::Bucket": ("BucketEncryption",),
    "AWS::SNS::Topic": ("KmsMasterKeyId",),
    "AWS::SecretsManager::Secret": ("KmsKeyId",),
    "AWS::SQS::Queue": ("SqsManagedSseEnabled", "KmsMasterKeyId"),
}
"""Resource types that must be encrypted, with the properties that set encryption (any one is enough)."""


@dataclass(frozen=True)
class Finding:
    """A resource that breaks a rule."""

    rule: str
    resource: str
    """Logical id."""
    sentence: str


@dataclass(frozen=True)
class Resource:
    """A resource of a template."""

    name: str
    """Logical id."""
    document: Json

    @property
    def path(self) -> str:
        """Path in the construct tree; the logical id where the template has no path."""
        return str(self.document.get("Metadata", {}).get("aws:cdk:path", self.name))

    @property
    def properties(self) -> Json:
        properties: Json = self.document.get("Properties", {})
        return properties


class Template:
    """A template's resources by type."""

    def __init__(self, document: Json) -> None:
        self._resources = [Resource(name, resource) for name, resource in document.get("Resources", {}).items()]

    def of(self, kind: str) -> list[Resource]:
        """The resources of a type."""
        return [resource for resource in self._resources if resource.document["Type"] == kind]


def findings(document: Json) -> list[Finding]:
    """Check a template against every rule and return the findings."""
    template = Template(document)
    return [
        Finding(rule.__name__.strip("_"), resource.name, f"{resource.path} {sentence}")
        for rule in _RULES
        for resource, sentence in rule(template)
    ]


Found = Iterator[tuple[Resource, str]]


def _log_retention(template: Template) -> Found:
    groups = {group.name: group for group in template.of("AWS::Logs::LogGroup")}
    for function in template.of("AWS::Lambda::Function"):
        if _ref(function.properties.get("LoggingConfig", {}).get("LogGroup")) not in groups:
            yield function, "logs to a group that Lambda makes for ever: give it a log group of its own (log_group=…)"
    for group in groups.values():
        if "RetentionInDays" not in group.properties:
            yield group, "keeps its lines for ever: set retention="


def _failure_destination(template: Template) -> Found:
    configured = {
        _ref(item.properties["FunctionName"])
        for item in template.of("AWS::Lambda::EventInvokeConfig")
        if "OnFailure" in item.properties.get("DestinationConfig", {})
    }
    functions = {function.name: function for function in template.of("AWS::Lambda::Function")}
    for rule in template.of("AWS::Events::Rule"):
        for target in rule.properties.get("Targets", []):
            if "DeadLetterConfig" not in target:
                yield rule, "loses what it cannot deliver: give its target a dead_letter_queue="
            invoked = functions.get(_ref(target["Arn"]))
            if invoked and "DeadLetterConfig" not in invoked.properties and invoked.name not in configured:
                yield invoked, f"loses the events of {rule.path} that it fails on: give it a dead_letter_queue="


def _timeout(template: Template) -> Found:
    for function in template.of("AWS::Lambda::Function"):
        if "Timeout" not in function.properties:
            yield function, "ends after Lambda's three seconds: say how long it may take (timeout=)"


def _no_bare_wildcard(template: Template) -> Found:
    for resource, statement in _statements(template):
        actions, resources = _list(statement.get("Action")), _list(statement.get("Resource"))
        for action in actions:
            if action == "*" or action.endswith(":*"):
                yield resource, f"may do {action}: name the actions"
        if statement.get("Effect") == "Allow" and "*" in resources:
            for action in sorted(set(actions) - WITHOUT_RESOURCE.keys()):
                yield resource, f"may do {action} on every resource: name the resources"


def _encryption(template: Template) -> Found:
    for kind, properties in ENCRYPTED.items():
        for resource in template.of(kind):
            if not any(resource.properties.get(name) for name in properties):
                yield resource, f"is not encrypted by its own setting: set {' or '.join(properties)}"


_RULES: tuple[Callable[[Template], Found], ...] = (
    _log_retention,
    _failure_destination,
    _timeout,
    _no_bare_wildcard,
    _encryption,
)


def _statements(template: Template) -> Iterator[tuple[Resource, Json]]:
    """Yield every statement of an identity policy; resource policies are left to cdk-nag."""
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in template.of(kind):
            yield from ((policy, item) for item in _list(policy.properties["PolicyDocument"]["Statement"]))
    for role in template.of("AWS::IAM::Role"):
        for inline in role.properties.get("Policies", []):
            yield from ((role, item) for item in _list(inline["PolicyDocument"]["Statement"]))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _ref(value: Any) -> str:
    """Return the logical id that a `Ref` or `Fn::GetAtt` refers to; empty for anything else."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return name
        case _:
            return ""


@jsii.implements(IPolicyValidationPlugin)
class HouseRules:
    """The house rules as a CDK policy validation plug-in."""

    @property
    def name(self) -> str:
        return "Penstock"

    @property
    def version(self) -> str:
        return "1"

    @property
    def rule_ids(self) -> list[str]:
        return [rule.__name__.strip("_") for rule in _RULES]

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Check every template."""
        violations = [
            _violation(finding, path)
            for path in context.template_paths
            for finding in findings(json.loads(Path(path).read_text(encoding="utf-8")))
        ]
        return PolicyValidationPluginReport(success=not violations, violations=violations)


def _violation(finding: Finding, template: str) -> PolicyViolation:
    where = PolicyViolatingResource(resource_logical_id=finding.resource, template_path=template, locations=[])
    return PolicyViolation(
        rule_name=finding.rule, description=finding.sentence, severity="error", violating_resources=[where]
    )
