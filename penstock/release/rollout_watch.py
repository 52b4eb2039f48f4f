"""Watch a rollout: compare the new version with the live one, and stop it where it is superseded or withdrawn.

The state machine asks the alarms on errors and latency itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from penstock.aws.lambda_version import Reply
from penstock.aws.s3_store import Store
from penstock.captures import reader as captures
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, Record
from penstock.release import canary_comparison, shadow_comparison
from penstock.release.canary_comparison import Finding, Versions, group_answers
from penstock.release.shadow_replay import ShadowReplay
from penstock.spec.model import ModelSpec
from penstock.spec.rollout import SHADOW

JUST_BEFORE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Look:
    """One check of the new version, as the state machine requests it."""

    rollout: str
    lambda_version: str
    """Number of the published version."""
    weight: int
    """Percent of the requests that it takes; `SHADOW` for none."""
    since: str
    """When it took this weight; ISO 8601."""
    ends: str
    """When the weight is over; ISO 8601."""


@dataclass(frozen=True, kw_only=True)
class RolloutWatch:
    """Checks the rollouts of one model."""

    spec: ModelSpec
    lake: Lake
    store: Store
    ledger: Ledger
    invoke: Callable[[str, dict[str, Any]], Reply | None]
    """Invokes a published version, by its number, with an event; None where Lambda does not take it."""

    def judge(self, look: Look, now: datetime) -> Finding:
        """Judge the new version and note the finding in the rollout's record."""
        rollout = self.ledger.rollout(look.rollout)
        finding = self._find_obstacle(rollout) or self._compare(rollout, look, now)
        about: dict[str, Any] = {"lambda_version": look.lambda_version}  # whose alarms have to be removed
        about |= {"shadow": {"said": finding.reason, **finding.numbers}} if finding.numbers is not None else {}
        self.ledger.note_rollout(rollout["id"], weight=look.weight, bakes_until=look.ends, saw=finding.reason, **about)
        return finding

    def _find_obstacle(self, rollout: Record) -> Finding | None:
        """Find why the rollout must end whatever the version answers; None where it need not."""
        if rollout.get("superseded_by"):
            return Finding("bad", f"superseded by version {rollout['superseded_by']}")
        version = self.ledger.version(rollout["version"])
        if not version.get("approved"):
            decision = version.get("decision") or "not approved"
            return Finding("bad", f"the ledger has version {rollout['version']} as {decision} by now")
        return None

    def _compare(self, rollout: Record, look: Look, now: datetime) -> Finding:
        live = self.ledger.live()
        versions = Versions(new=int(rollout["version"]), old=int(live["version"]) if live else None)
        if look.weight == SHADOW:
            return self._compare_shadow(look, versions, now)
        return self._compare_canary(look, versions)

    def _compare_shadow(self, look: Look, versions: Versions, now: datetime) -> Finding:
        """Compare a shadow's answers to captured requests, including requests of the hour before the rollout."""
        if versions.old is None:
            return Finding("not judged", versions.alone)
        replay = ShadowReplay(
            store=self.store,
            lake=self.lake,
            rollout=look.rollout,
            invoke=partial(self.invoke, look.lambda_version),
            live=versions.old,
            max_rows=self.spec.rollout.shadow_rows,
        )
        pairs = replay.look(datetime.fromisoformat(look.since) - JUST_BEFORE, now)
        return shadow_comparison.compare(pairs, versions, self.spec.rollout, self.spec.task)

    def _compare_canary(self, look: Look, versions: Versions) -> Finding:
        by_label = self.spec.task == "multiclass"
        answers = {} if versions.alone else self._read_answers(versions.old, look.since, by_label=by_label)
        return canary_comparison.compare(answers, versions, self.spec.rollout, by_label=by_label)

    def _read_answers(self, old: int | None, since: str, *, by_label: bool) -> dict[int, list[Any]]:
        """Read each version's answers since then; of an old one with little traffic, those of the hour before."""
        answers = group_answers(self._read_captures(since), since, by_label=by_label)
        if old is not None and len(answers.get(old, ())) < self.spec.rollout.min_rows:
            before = (datetime.fromisoformat(since) - JUST_BEFORE).isoformat(timespec="milliseconds")
            answers[old] = group_answers(self._read_captures(before), before, by_label=by_label).get(old, [])
        return answers

    def _read_captures(self, since: str) -> Iterator[dict[str, Any]]:
        """Read rows of the files that may hold answers since then; a file is named by its first row's arrival."""
        first = captures.hour_prefix(self.lake, datetime.fromisoformat(since) - captures.LONGEST_BUFFER)
        for _, rows in captures.read(self.store, self.lake, after=first):
            yield from rows
