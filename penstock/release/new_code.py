"""Rollouts of new code: decide whether the live model is due to be rolled out with the deployed code.

A deployment changes `$LATEST` and nothing that serves. Code that was rolled out and did not go live is not tried again
by itself, or a bad deployment would be rolled out and taken back for ever.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.live_service import Service, newest_fingerprint
from penstock.spec.model import ModelSpec

DEPLOYMENT = "deployment"
"""The requester where no person asked."""


@dataclass(frozen=True, kw_only=True)
class NewCode:
    """The deployed code of one model's predict function."""

    spec: ModelSpec
    ledger: Ledger
    service: Service
    settings: Mapping[str, str]
    """The deployed settings that a rollout would bind; `$LATEST` has those of the last rollout or deployment."""
    plan: EndpointPlan | None = None
    """Of the model's endpoints; None where the predict function scores."""

    def open(self, now: datetime, *, by: str, because: str) -> tuple[str, str | None]:
        """Open the rollout that is due.

        Args:
            now: the time.
            by: the identity that asks, or `DEPLOYMENT`, which starts a rollout once for each code and only where the
                specification says so.
            because: why.

        Returns:
            A sentence, and the rollout's name where one was opened.
        """
        live, serving = self.ledger.live(), self.service.live()
        if live is None or serving.version != live["version"]:
            return "no model is live that new code could go live with", None
        version = int(live["version"])
        about = self.ledger.version(version)
        code = newest_fingerprint(self.service, self.plan, version, about["sha256"], self.settings)
        if serving.fingerprint == code:
            return f"version {version} serves with the newest code", None
        attempts = [item for item in self.ledger.rollouts() if self._is_attempt(item, code, live)]
        if by == DEPLOYMENT and (obstacle := self._find_obstacle(attempts)):
            return f"{obstacle}: penstock rollout {self.spec.name} --new-code --reason …", None
        record = {"arn": about["arn"], "sha256": about["sha256"], "model_version_id": about.get("model_version_id", "")}
        record |= {"new_code": code, "before": serving.lambda_version, "by": by, "because": because}
        name = self._name(code, live, len(attempts))
        if not self.ledger.open_rollout(name, version, timestamp(now), **record):
            return f"rollout {name} is known, or another is under way", None
        return f"rollout {name} of version {version} with new code started", name

    def _is_attempt(self, rollout: Record, code: str, live: Record) -> bool:
        """Return whether a rollout published that code, with the live model or with any since that model went live.

        With another model, the model may have been the cause; only a person can tell. That model had an endpoint of its
        own, so the two are compared by the endpoint plan.
        """
        endpoint = self.plan.name(int(rollout["version"]), rollout["sha256"]) if self.plan else ""
        same = rollout.get("code") == code.partition(" ")[0] and rollout.get("endpoint", "") == endpoint
        if not same and rollout.get("new_code") != code:
            return False
        return bool(rollout["version"] == live["version"] or rollout["opened"] >= live["since"])

    def _find_obstacle(self, attempts: list[Record]) -> str | None:
        """Return why a deployment alone starts no rollout; None if it does."""
        if self.spec.rollout.on_new_code == "wait":
            return "new code waits for an operator"
        failed = next((item for item in attempts if item.get("outcome") != "live"), None)
        if failed is None:
            return None
        model = "" if "new_code" in failed else f" with version {failed['version']}"
        return f"this code was rolled out before{model}, and did not go live: {failed.get('reason')}"

    def _name(self, code: str, live: Record, attempts: int) -> str:
        content = f"{self.spec.name} {live['version']} {code} {live['rollout']} {attempts}"
        return hashlib.sha256(content.encode()).hexdigest()[:12]
