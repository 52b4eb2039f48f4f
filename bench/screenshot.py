"""`make bench-screenshot`: the report of flight-delay's second version, and a picture of its top for the README.

Trains on real flights with the training job's own entry point, the second time on more months and with the first model
as champion, and draws the report as `register` does. Needs Chromium on the PATH, or named in CHROME. The page itself
can be kept:

    python -m bench.screenshot docs/images/report.png report.html
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.report import ROOT
from demo.flights import flights
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import check
from penstock.evaluation.gates import decide
from penstock.readers.open_table import read_table
from penstock.report.page import Report, render
from penstock.spec.model import MODELS, read_model
from training.steps import __main__ as training

MODEL = "flight-delay"
WIDTH, HEIGHT = 1100, 1590
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> None:
    picture, *page = map(Path, sys.argv[1:] or [f"{ROOT}/docs/images/report.png"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        first = train(folder / "first", [1, 2])
        train(folder / "second", [1, 2, 3], first)
        file = page[0].resolve() if page else folder / "report.html"
        file.write_text(report(folder / "second" / "model"), encoding="utf-8")
        photograph(file, picture.resolve(), folder / "profile")
    print(f"{picture}: {picture.stat().st_size / 1024:.0f} kB")


def train(root: Path, months: Sequence[int], champion: Path | None = None) -> Path:
    """Run the training job on some months' flights; return the model file."""
    dataset, run = root / "input/data/dataset", root / "input/data/run"
    for path in (dataset, run):
        path.mkdir(parents=True)
    rows = flights(months).write_csv().encode()
    check(read_contract(ROOT / MODELS / MODEL), read_table(rows, "flights.csv")).good.write_parquet(
        dataset / "part.parquet"
    )
    request: dict[str, Any] = {"model": MODEL, "run": "7c1e5a02", "dataset": "3f9a4d10", "parts": ["part"]}
    request["champion"] = None
    if champion:
        data = champion.read_bytes()
        (run / "champion.onnx").write_bytes(data)
        shutil.copy(champion.with_name("baseline.json"), run / "champion-baseline.json")
        request["champion"] = {"version": 1, "sha256": sha256(data).hexdigest()}
    (run / "request.json").write_text(json.dumps(request), encoding="utf-8")
    os.environ["PENSTOCK_ML_ROOT"] = str(root)
    with redirect_stdout(sys.stderr):
        if training.main(["train"]) != 0:
            sys.exit((root / "output/failure").read_text())
    return root / "model/model.onnx"


def report(folder: Path) -> str:
    """Draw the report of a training job's output."""
    spec, contract = read_model(ROOT / MODELS / MODEL), read_contract(ROOT / MODELS / MODEL)
    evaluation, data, about = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("evaluation", "report-data", "report")
    )
    decision = decide(
        spec.gates,
        evaluation["challenger"],
        baseline=evaluation["baseline"],
        champion=evaluation["champion"],
        evaluation=evaluation,
    )
    rows = sum(about["rows"].values())
    upload = {"key": f"raw/{MODEL}/march.csv", "version_id": "Vq2m1", "rows": 27_902, "bad": 14, "refusal": None}
    upload["reasons"] = {"distance: below 1": 9, "carrier: missing": 5}
    return render(
        Report(
            model=MODEL,
            description=spec.description,
            target=contract.target.name,
            outcome="registered" if decision.passed else "rejected",
            reason=f"version 2: {decision.reason}" if decision.passed else decision.reason,
            version=2 if decision.passed else None,
            verdicts=[asdict(verdict) for verdict in decision.verdicts],
            evaluation=evaluation,
            data=data,
            training=about,
            run={
                "id": "7c1e5a02",
                "cause": "march.csv came",
                "opened": "2026-03-04T05:04:41",
                "steps": {"validate": {"uploads": [upload]}},
            },
            dataset={"rows": rows, "parts": []},
            digests={"model SHA-256": sha256((folder / "model.onnx").read_bytes()).hexdigest()},
            at="2026-03-04T05:06:07",
        )
    )


def photograph(page: Path, picture: Path, profile: Path) -> None:
    browser = os.environ.get("CHROME") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium here: install it, or name one in CHROME")
    command = [browser, *FLAGS, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"]
    subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main()
