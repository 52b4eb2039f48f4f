"""`make bench-synth`: synthesis of each stage, warm, beside its floor: an empty CDK app in the same process setup."""

import json
import tempfile
from collections.abc import Callable
from functools import partial

from bench.report import close, interleaved, python, table

EMPTY = "import infra.app; from aws_cdk import App, Stack; app = App(); Stack(app, 'Empty'); app.synth()"
ROUNDS = 7


def synthesise(stage: str, *, validation: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        python(
            "-m",
            "infra.app",
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
        "local": partial(synthesise, "local", validation=False),
        "local, with every rule": partial(synthesise, "local", validation=True),
        "prod, with every rule": partial(synthesise, "prod", validation=True),
    }
    for subject in subjects.values():
        subject()  # bundles are made once
    found = interleaved(ROUNDS, **subjects)
    floor = found["empty app"]
    rows = [(name, f"{value:.2f}", f"{value / floor:.2f}") for name, value in found.items()]
    table(f"synthesis, median of {ROUNDS}", ["what", "seconds", "× empty app"], rows)
    close(
        "synth",
        {
            "seconds": found["local"],
            "ratio": found["local"] / floor,
            "ratio_checked": found["prod, with every rule"] / floor,
        },
    )


if __name__ == "__main__":
    main()
