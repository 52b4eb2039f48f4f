"""The offline store: writes new records to Parquet files in S3 within seconds, with the permissions of its role."""

import logging
import secrets
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from penstock.local.sagemaker.container.roles import assume, end_session
from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core.caller import account_scope, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.features.records import FeatureRecords

_INTERVAL = 1.0
_log = logging.getLogger(__name__)


class OfflineStore:
    """A background thread that writes the queued rows."""

    def __init__(self, store: Store, records: FeatureRecords, settings: JobSettings) -> None:
        self._store = store
        self._records = records
        self._settings = settings
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread; the cloud must answer requests by then."""
        threading.Thread(target=self._run, name="offline-store", daemon=True).start()

    def stop(self) -> None:
        """Stop the thread; queued rows are in the records' file, and written after the next start."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            if not self._store.feature_groups:
                continue
            try:
                self._write()
            except Exception:
                _log.exception("The offline store could not be written; its rows stay queued")

    def _write(self) -> None:
        for name, rows in self._records.queued_rows().items():
            group = self._store.feature_groups.get(name)
            if group is not None:
                try:
                    self._append(group, [row for _, row in rows])
                except TransferError as error:
                    _log.warning("The offline store of %s cannot be written: %s", name, error)
                    group["OfflineStoreStatus"] = {"Status": "Blocked", "BlockedReason": str(error)[:1024]}
                    continue
                group["OfflineStoreStatus"] = {"Status": "Active"}
            self._records.remove_queued(name, rows[-1][0])

    def _append(self, group: Record, rows: list[Record]) -> None:
        storage = group["OfflineStoreConfig"]["S3StorageConfig"]
        with account_scope():
            credentials = assume(group["RoleArn"], "feature-store")
        try:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "rows.parquet"
                _frame(group, rows).write_parquet(file)
                uri = f"{storage['ResolvedOutputS3Uri']}/{_object_name()}"
                Transfer(self._settings, credentials).upload(file, uri, storage.get("KmsKeyId"))
        finally:
            end_session(credentials)


def _frame(group: Record, rows: list[Record]) -> Any:
    """Return rows as a table in the group's types, with the three columns that SageMaker adds."""
    import polars as pl  # noqa: PLC0415 - imported for clouds with a feature group only

    kinds = {"Integral": pl.Int64, "Fractional": pl.Float64, "String": pl.String}
    columns = {
        item["FeatureName"]: pl.Series(
            item["FeatureName"], [row["values"].get(item["FeatureName"]) for row in rows], pl.String
        ).cast(kinds[item["FeatureType"]])
        for item in group["FeatureDefinitions"]
    }
    moment = pl.Datetime("ms", "UTC")
    invoked = [int(row["api_invocation_time"] * 1000) for row in rows]
    return pl.DataFrame(columns).with_columns(
        pl.Series("write_time", [int(now() * 1000)] * len(rows)).cast(moment),
        pl.Series("api_invocation_time", invoked).cast(moment),
        pl.Series("is_deleted", [row["is_deleted"] for row in rows], pl.Boolean),
    )


def _object_name() -> str:
    at = datetime.fromtimestamp(time.time(), UTC)
    return at.strftime("year=%Y/month=%m/day=%d/hour=%H/%Y%m%dT%H%M%SZ_") + f"{secrets.token_hex(8)}.parquet"
