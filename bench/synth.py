"""`make bench-synth`: warm synthesis of each stage, beside its floor: an empty CDK app started in the same way."""

import json
import tempfile
from collections.abc import Callable
from functools import partial

from bench import processes
from bench.report import close, interleaved, python, table

EMPTY = "import infra.app; from aws_cdk import App, Stack; app = App(); Stack(app, 'Empty'); app.synth()"
ROUNDS = 7


def synthesise(stage: str, *, validation: bool, app: str = "infra.app") -> None:
    with tempfile.TemporaryDirectory() as folder:
        python(
            "-m",
            app,
            CDK_OUTDIR=folder,
            CDK_CONTEXT_JSON=json.dumps({"stage": stage}),
            CDK_VALIDATION="true" if validation else "false",
        )


def empty() -> None:
    with tempfile.TemporaryDirectory() as folder:
        python("-c", EMPTY, CDK_OUTDIR=folder, CDK_VALIDATION="false")


def main() -> None:
    subjects: dict[str, Callable[[], object]] = {
        "empty app": empty,
        "local, nothing changed": partial(synthesise, "local", validation=False, app="infra"),
        "local, anew": partial(synthesise, "local", validation=False),
        "local, anew, with every rule": partial(synthesise, "local", validation=True),
        "prod, with every rule": partial(synthesise, "prod", validation=True),
    }
    for subject in subjects.values():
        subject()  # builds the bundles, which later rounds reuse
    seconds = interleaved(ROUNDS, **subjects)
    floor = seconds["empty app"]
    unchanged, anew = seconds["local, nothing changed"], seconds["local, anew"]
    rows = [(name, f"{value:.2f}", f"{value / floor:.2f}") for name, value in seconds.items()]
    table(f"synthesis, median of {ROUNDS}", ["what", "seconds", "× empty app"], rows)
    figures = {"unchanged": unchanged, "anew": anew, "ratio_unchanged": unchanged / floor, "ratio_anew": anew / floor}
    close("synth", figures | {"ratio_prod_checked": seconds["prod, with every rule"] / floor})


if __name__ == "__main__":
    processes.run(main)
