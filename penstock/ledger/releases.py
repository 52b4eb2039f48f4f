"""Records of versions, decisions and rollouts in the ledger, and of the monitor's checks of the live version."""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import Key

from penstock.ledger.table import Record, Table, from_dynamodb, to_dynamodb


class ReleaseRecords(Table):
    """`version#`, `approval#`, `rollout#`, `live`, `drift#`."""

    # Versions, approvals, rollouts

    def put_version(self, version: int, **about: Any) -> bool:
        """Record a registered version; False where it is recorded already."""
        return self._transact(self._put(f"version#{version:06d}", {"version": version} | about, new=True))

    def version(self, version: int) -> Record:
        """Read a registered version.

        Raises:
            NoRecordError: not registered by a run of ours.
        """
        return self._get(f"version#{version:06d}", f"version {version} of {self.model}")

    def versions(self) -> list[Record]:
        """List all registered versions, newest first."""
        return self._all("version#")[::-1]

    def decide(self, version: int, at: str, *, approved: bool, **about: Any) -> None:
        """Record a decision and its effect on the version; the same again changes nothing."""
        effect = self._set(
            f"version#{version:06d}", {"approved": at if approved else None, "decision": about["decision"]}
        )
        # A record is never overwritten. Where it exists, a crash may have prevented the write of its effect.
        if not self._transact(self._approval(version, at, about), effect):
            self._transact(effect)

    def put_approval(self, version: int, at: str, **about: Any) -> bool:
        """Record a person's decision or its refusal; False where this change is recorded already."""
        return self._transact(self._approval(version, at, about))

    def _approval(self, version: int, at: str, about: Record) -> Record:
        """Name a decision's record; one change may be approved, wait and then be refused, each a record of its own."""
        name = f"approval#{version:06d}#{at}#{about['decision']}"
        return self._put(name, {"version": version, "at": at} | about, new=True)

    def approvals(self, version: int) -> list[Record]:
        """List the decisions on a version, oldest first."""
        return self._all(f"approval#{version:06d}#")

    def open_rollout(self, rollout: str, version: int, at: str, *, approved: str | None = None, **about: Any) -> bool:
        """Open a rollout; False if another is in progress, this one exists, or its approval has changed.

        Args:
            rollout: its name.
            version: of the model package.
            at: now.
            approved: when the version was approved; None for a rollout that follows from no approval.
            about: further fields.
        """
        record = {"id": rollout, "version": version, "opened": at, "state": "open"} | about
        writes = [
            self._put("lock#rollout", {"holder": rollout, "since": at}, new=True),
            self._put(f"rollout#{rollout}", record, new=True),
        ]
        if approved is not None:
            mark = {"rolled_out": approved}
            writes.append(self._set(f"version#{version:06d}", mark, condition=("approved", approved)))
        return self._transact(*writes)

    def open_rollback(
        self, rollout: str, to: Record, version: int, at: str, *, opened: str, by: str, reason: str
    ) -> bool:
        """Revoke the live version's approval and open the rollout of an earlier version, all or nothing.

        Args:
            rollout: its name.
            to: the earlier version's record.
            version: the live one.
            at: when it was requested, as the registry has it.
            opened: now.
            by: who requested it, stored with both versions and with the rollout.
            reason: why; the rollout has it as `because`, as its own reason is that of its ending.

        Returns:
            False where the version is not live, a rollout is under way, or the earlier one's approval has changed.
        """
        back = int(to["version"])
        author = {"by": by, "reason": reason}
        record = {"id": rollout, "version": back, "opened": opened, "state": "open"}
        record |= {"arn": to["arn"], "sha256": to["sha256"], "model_version_id": to.get("model_version_id", "")}
        record |= {"rolls_back": version, "by": by, "because": reason}
        granted = {"decision": "approved", "rollback": version} | author
        withdrawal = {"decision": "rolled back", "rollback_to": back} | author
        marks = {"approved": at, "rolled_out": at}
        return self._transact(
            self._check("live", "version", version),
            self._put("lock#rollout", {"holder": rollout, "since": opened}, new=True),
            self._put(f"rollout#{rollout}", record, new=True),
            self._approval(back, at, granted),
            self._set(f"version#{back:06d}", marks, condition=("approved", to["approved"])),
            self._approval(version, at, withdrawal),
            self._set(f"version#{version:06d}", {"approved": None, "decision": withdrawal["decision"]}),
        )

    def name_endpoint(self, rollout: str, endpoint: str) -> bool:
        """Record the endpoint that a rollout creates; False where it has ended."""
        return self._transact(self._set(f"rollout#{rollout}", {"endpoint": endpoint}, condition=("state", "open")))

    def note_rollout(self, rollout: str, *, weight: int, bakes_until: str, saw: str, **about: Any) -> bool:
        """Record a rollout's progress: percent of requests, until when, last finding; False where it has ended."""
        progress = {"weight": weight, "bakes_until": bakes_until, "saw": saw} | about
        return self._transact(self._set(f"rollout#{rollout}", progress, condition=("state", "open")))

    def supersede_rollout(self, rollout: str, version: int) -> bool:
        """Mark a rollout to end for another version's; False where it has ended."""
        mark = {"superseded_by": version}
        return self._transact(self._set(f"rollout#{rollout}", mark, condition=("state", "open")))

    def rollout(self, rollout: str) -> Record:
        """Read a rollout.

        Raises:
            NoRecordError: there is none of that name.
        """
        return self._get(f"rollout#{rollout}", f"rollout {rollout!r} of {self.model}")

    def rollouts(self) -> list[Record]:
        """List all rollouts, newest first."""
        return sorted(self._all("rollout#"), key=lambda item: str(item["opened"]), reverse=True)

    def end_rollout(
        self,
        rollout: str,
        outcome: str,
        reason: str,
        at: str,
        live: Mapping[str, Any] | None,
        *,
        code: str | None = None,
    ) -> bool:
        """End a rollout, once; False where it had ended.

        Args:
            rollout: its name.
            outcome: `live`, `rolled back` or `failed`.
            reason: why, in a sentence.
            at: now.
            live: what serves from now on; None if nothing changed.
            code: digest of the published code (`penstock.release.live_service.code_of`); None if unknown.
        """
        ending = {"state": "ended", "outcome": outcome, "reason": reason, "ended": at}
        ending |= {"code": code} if code is not None else {}
        writes = [
            self._set(f"rollout#{rollout}", ending, condition=("state", "open")),
            self._delete("lock#rollout", holder=rollout),
        ]
        if live is not None:
            writes.append(self._put("live", {"rollout": rollout, "since": at, **live}))
        return self._transact(*writes)

    def live(self) -> Record | None:
        """Read the live version: version, lambda_version, sha256, rollout, since; and endpoint, if one scores."""
        return self._find("live")

    # Drift

    def put_drift(self, at: str, **about: Any) -> None:
        """Record a check of the monitor."""
        self._table.put_item(Item=self._key(f"drift#{at}") | to_dynamodb({"at": at} | about))

    def drifts(self, limit: int) -> list[Record]:
        """List the monitor's last checks, newest first."""
        condition = Key("pk").eq(self.model) & Key("sk").begins_with("drift#")
        response = self._table.query(KeyConditionExpression=condition, ScanIndexForward=False, Limit=limit)
        return [from_dynamodb(item) for item in response["Items"]]
