"""`make bench-journey`: the demo's legs, and upload → registered beside its floor, the same fit in a bare script.

Needs a project whose laptop cloud is the demo's own or not there yet, and ends that cloud.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import processes
from bench.report import ROOT, close, python, seconds, table
from demo import flights
from penstock.cli.target import DEMO, laptop_cloud

BARE = """
import sys, importlib.util, yaml, polars as pl
from sklearn.metrics import roc_auc_score
folder = sys.argv[2]
rows = pl.read_csv(sys.argv[1]).with_columns(pl.col(pl.String).fill_null(""))
spec = importlib.util.spec_from_file_location("model", folder + "/train.py")
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
cut = rows.height * 4 // 5
params = yaml.safe_load(open(folder + "/model.yaml"))["training"]["params"]
fitted = model.fit(rows[:cut], rows[cut:], params)
print(roc_auc_score(rows[cut:]["late"].to_numpy(), fitted.predict_proba(rows[cut:])[:, 1]))
"""


@contextmanager
def demo_cloud() -> Iterator[None]:
    """Stop the laptop cloud that the demo starts; refuse where one holds work of the user's."""
    cloud = laptop_cloud(ROOT)
    if cloud.home.exists() and not (cloud.home / DEMO).exists():
        sys.exit(f"{cloud.home} holds work of yours, and this bench starts from nothing: run it in another clone")
    try:
        yield
    finally:
        cloud.down()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, demo_cloud():
        file, figures = Path(scratch) / "q1.csv", Path(scratch) / "figures.json"
        flights.flights([1, 2, 3]).write_csv(file)
        bare = [str(file), str(ROOT / "training" / "models" / "flight-delay")]
        floor = min(seconds(lambda: python("-W", "ignore", "-c", BARE, *bare)) for _ in range(3))
        demo = [sys.executable, "-m", "demo", "--figures", figures]
        total = seconds(lambda: processes.output(demo, cwd=ROOT))
        measured = json.loads(figures.read_text())
    rows = [(leg, f"{value:.1f}") for leg, value in measured["legs"].items()]
    rows += [("the whole demo", f"{total:.1f}"), ("upload → registered", f"{measured['registered']:.1f}")]
    table("make demo", ["leg", "seconds"], [*rows, ("floor: the same fit in a bare script", f"{floor:.1f}")])
    close("journey", {"demo": total, "registered": measured["registered"], "ratio": measured["registered"] / floor})


if __name__ == "__main__":
    processes.run(main)
