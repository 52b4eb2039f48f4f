"""Compares deployed code with the live version, which `cdk deploy` never changes."""

from botocore.exceptions import ClientError

from penstock.cli.target import Target
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.live_service import Service, newest_fingerprint


def pending_code(target: Target) -> str | None:
    """Say that deployed code or settings are not live; None where they are, or where no version is live."""
    service = Service(target.outputs.PredictName)
    try:
        serving = service.live()
        plan = EndpointPlan.read(target.outputs.EndpointPlan)
        deployed = newest_fingerprint(service, plan, serving.version or 0, serving.sha256)
    except ClientError as error:
        return f"cannot find out whether deployed code is live: {error}"
    if serving.version is None or serving.fingerprint == deployed:
        return None
    if target.ledger.holder("rollout") is not None:
        return "code or settings were deployed that are not live yet; a rollout is in progress"
    command = f"penstock rollout {target.model} --new-code --reason '…'"
    return f"code or settings were deployed that are not live yet: {command}"
