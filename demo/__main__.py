"""From nothing to the end of the story: data in, a model live, drift, retraining, and why it is live.

Exits 0 only if every leg really happened.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.progress import track

from demo import flights
from demo.story import DidNotHappenError, Story, console, expect, until
from penstock.aws.s3_store import Store
from penstock.captures import reader as captures
from penstock.cli.api_client import ApiClient
from penstock.cli.commands import approve, predict, why
from penstock.cli.commands.cloud import IMAGE
from penstock.cli.output import seconds_between, took
from penstock.cli.rollout_progress import wait_for_rollout
from penstock.cli.run_progress import follow_run, wait_for_run_of_upload
from penstock.cli.target import DEMO, Target, UnreachableError, UsageError, laptop_cloud, project_root
from penstock.cli.upload import upload_files
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.ledger.ledger import Record, timestamp
from penstock.local.host.cloud import CloudError
from penstock.local.host.deploy import deploy
from penstock.spec.model import MODELS

MODEL = "flight-delay"
SENT = 3000
ROWS = 250
"""Flights in one request."""


def main(arguments: Sequence[str] = ()) -> int:
    """Tell the story; exit code 0, or 1 with what did not happen.

    Args:
        arguments: `--figures FILE` leaves the times as JSON.
    """
    story = Story()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _tell(story, Path(folder))
    except (DidNotHappenError, CloudError, UsageError, UnreachableError) as error:
        console.print(f"\n[red]the demo ends here:[/] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("\nstopped; the laptop cloud goes on: `penstock status`, `penstock down`")
        return 130
    story.close()
    if arguments[:1] == ["--figures"]:
        story.leave(Path(arguments[1]))
    console.print("\nThe laptop cloud is still up: `penstock models show`, `penstock runs`, `penstock down`.")
    return 0


def _tell(story: Story, folder: Path) -> None:
    root = project_root()
    with console.status("reading the flights of 2013"):
        table = flights.flights([1, 2, 3, 4, 7])
    month = pl.col("departs_at").str.slice(5, 2).cast(pl.Int64)
    first, april, july = table.filter(month <= 3), table.filter(month == 4), table.filter(month == 7)
    target = _cloud(story, root)
    contract = read_contract(root / MODELS / MODEL)
    _train(story, target, first, folder)
    client = ApiClient(target)
    _approve(story, target, client)
    _april(story, target, client, contract, april.sample(SENT, seed=1))
    _quarantine(story, target, april, folder)
    _skip(story, target, folder)
    _drift(story, target, client, contract, july.sample(SENT, seed=1), folder)
    with story.leg("why is this model live?", "penstock why flight-delay") as result:
        why.why(MODEL)
        result.append("version ← approval ← run ← dataset ← uploads")


def _cloud(story: Story, root: Path) -> Target:
    with story.leg("a cloud on this laptop", "penstock up") as result:
        cloud = laptop_cloud(root)
        _fresh(root)
        with console.status("starting"):
            state = cloud.up(images={IMAGE: root})
        (cloud.home / DEMO).touch()
        with console.status("deploying") as spinner:
            stacks = deploy(cloud, root, progress=lambda line: spinner.update(f"deploying: {line[:100]}"))
        result.append(f"{len(stacks)} stacks deployed by the CDK at {state.url}")
        console.print(result[0])
    return Target.of("local", MODEL)


def _fresh(root: Path) -> None:
    """Start from nothing: what an earlier demo left goes; what somebody else did stays, and the demo does not run."""
    cloud = laptop_cloud(root)
    if (cloud.home / DEMO).exists():
        cloud.down()
        shutil.rmtree(cloud.home)
    elif cloud.home.exists():
        raise DidNotHappenError(
            f"{cloud.home} holds work of yours and the demo starts from nothing: move it away, "
            "or clone Penstock into another folder (PENSTOCK_PORT chooses another port)"
        )


def _push(target: Target, table: pl.DataFrame, file: Path) -> Record:
    """Upload a table as CSV and follow the run that takes it."""
    table.write_csv(file)
    upload = upload_files(target, [file], labels=False, quiet=False)[0]
    run = wait_for_run_of_upload(target, upload["key"], upload["version_id"])
    return follow_run(target, run)


def _train(story: Story, target: Target, table: pl.DataFrame, folder: Path) -> None:
    command = "penstock push flights-2013-q1.csv --wait"
    with story.leg("January to March in, a model out", command) as result:
        status, answer = ApiClient(target).post(b'{"instances": []}')
        expect(f"503 while nothing is live (got {status}: {answer})", happened=status == 503)
        record = _push(target, table, folder / "flights-2013-q1.csv")
        expect(
            f"the run ends registered, not {record['outcome']}: {record['reason']}",
            happened=record["outcome"] == "registered",
        )
        story.figures["registered"] = seconds_between(record["opened"], record["ended"])
        result.append(
            f"{table.height:,} flights, run {record['id']} registered in {took(record['opened'], record['ended'])}"
        )


def _approve(story: Story, target: Target, client: ApiClient) -> None:
    with story.leg("a person approves", "penstock approve --reason 'looks right'") as result:
        approved = timestamp(datetime.now(UTC))
        approve.approve(MODEL, reason="the gates passed and the numbers look right", wait=False)
        outcome, sentence = wait_for_rollout(target, 1, approved)
        expect(f"the rollout ends live: {sentence}", happened=outcome == "live")
        live = target.ledger.live() or {}
        status, answer = client.post(b'{"instances": [{"carrier": "UA"}]}')
        expect(f"422 naming the missing field (got {status}: {answer})", happened=status == 422 and "field" in answer)
        result.append(
            f"version {live['version']} serves after golden examples, as Lambda version {live['lambda_version']}"
        )
        console.print(result[0])


def _april(story: Story, target: Target, client: ApiClient, contract: Contract, table: pl.DataFrame) -> None:
    with story.leg(f"{SENT:,} April flights over HTTPS", "penstock predict april.csv") as result:
        answers = _send(client, contract, table)
        right = sum(a["label"] == late for a, late in zip(answers, table["late"], strict=True)) / SENT
        usual = 1 - sum(table["late"]) / SENT
        expect(f"better than always the same answer ({right:.3f} against {usual:.3f})", happened=right > usual)
        result.append(f"{right:.1%} right against what really happened ({usual:.1%} by always saying on time)")
        console.print(result[0])
        _captured(target, SENT)
        monitor = predict.run_monitor(target)
        expect(f"no drift in April: {monitor['sentence']}", happened=monitor["outcome"] == "no drift")
        console.print(f"monitor: {monitor['sentence']}")


def _quarantine(story: Story, target: Target, april: pl.DataFrame, folder: Path) -> None:
    with story.leg("a file with bad rows", "penstock push bad.csv --wait") as result:
        third = pl.int_range(pl.len()) % 3 == 0
        bad = april.head(600).with_columns(
            dep_delay=pl.when(third).then(pl.lit("soon")).otherwise(pl.col("dep_delay").cast(pl.String)),
            origin=pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("XXX")).otherwise("origin"),
        )
        record = _push(target, bad, folder / "bad.csv")
        expect(f"the run ends quarantined, not {record['outcome']}", happened=record["outcome"] == "quarantined")
        result.append(record["reason"])


def _skip(story: Story, target: Target, folder: Path) -> None:
    with story.leg("the same file again", "penstock push flights-2013-q1.csv --wait") as result:
        record = _push(
            target, pl.read_csv(folder / "flights-2013-q1.csv", infer_schema=False), folder / "flights-2013-q1.csv"
        )
        expect(f"the run ends skipped, not {record['outcome']}", happened=record["outcome"] == "skipped")
        result.append(record["reason"])


def _drift(
    story: Story, target: Target, client: ApiClient, contract: Contract, table: pl.DataFrame, folder: Path
) -> None:
    with story.leg(f"{SENT:,} July flights, and what became of them", "penstock push --labels july.csv") as result:
        _send(client, contract, table)
        _captured(target, 2 * SENT)
        labels = folder / "july.csv"
        table.select("flight_id", "late").write_csv(labels)
        upload_files(target, [labels], labels=True, quiet=False)
        until("the joined rows wait for a run", lambda: target.ledger.waiting() or None)
        result.append(f"{SENT:,} outcomes joined with what was answered")
        console.print(result[0])
    with story.leg("the drift that is in July", "penstock drift --check") as result:
        monitor = predict.run_monitor(target)
        predict.print_drift(monitor)
        expect(f"drift in July: {monitor['sentence']}", happened=monitor["outcome"] == "drift")
        drifted = [item for item in monitor["columns"] if item["drifted"]]
        result.append(", ".join(f"{item['column']} PSI {item['psi']:.2f}" for item in drifted))
    with story.leg("the retraining that follows from the alarm", "penstock run …") as result:
        run = until("the alarm opens a run", lambda: _alarmed(target))
        record = follow_run(target, run)
        happened = record["outcome"] in {"registered", "rejected"}
        expect(f"the retraining ends with a decision, not {record['outcome']}: {record['reason']}", happened=happened)
        result.append(f"run {run} {record['outcome']}: {record['reason']}")


def _alarmed(target: Target) -> str | None:
    return next((record["id"] for record in target.ledger.runs() if record["trigger"] == "alarm"), None)


def _send(client: ApiClient, contract: Contract, table: pl.DataFrame) -> list[dict[str, Any]]:
    """Every flight over HTTPS, its row key with it; the predictions in order."""
    names = [column.name for column in contract.columns if column.role in {"feature", "key", "event_time"}]
    rows = [{k: v for k, v in row.items() if v is not None} for row in table.select(names).to_dicts()]
    batches: Sequence[int] = range(0, len(rows), ROWS)
    answers: list[dict[str, Any]] = []
    for start in track(batches, "sending", console=console, transient=True):
        answers += client.predict(rows[start : start + ROWS])["predictions"]
    return answers


def _captured(target: Target, rows: int) -> None:
    """Wait until Firehose has delivered what was answered."""
    store = Store(target.lake.bucket)

    def delivered() -> bool | None:
        rows_delivered = sum(len(part) for _, part in captures.read(store, target.lake, after=""))
        return True if rows_delivered >= rows else None

    until(f"{rows:,} captured rows in the lake", delivered, every=0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
