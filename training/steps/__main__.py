"""`python -m training.steps <step>`: the image's entry point.

A step that fails writes its reason below `/opt/ml/output`, from where SageMaker takes it into the job's description.
"""

import sys
import traceback
from importlib import import_module

from training.steps.data.container import Container, StepError

STEPS = {
    "train": "training.steps.job.train",
    "inspect": "training.steps.job.inspect_files",
    "serve": "training.steps.serve.server",
}
"""Step → module with its `run`. Imported when it runs: a check needs nothing of what a training loads for seconds."""


def main(arguments: list[str]) -> int:
    """Run the step that SageMaker names. Exit code 0, or 1 with the reason written to the failure file."""
    container = Container.here()
    if len(arguments) != 1 or arguments[0] not in STEPS:
        return _fail(container, f"expected one step of {', '.join(STEPS)}, got {' '.join(arguments) or 'none'}")
    try:
        import_module(STEPS[arguments[0]]).run(container)
    except StepError as error:
        return _fail(container, str(error))
    except Exception as error:
        traceback.print_exc()
        return _fail(container, f"{type(error).__name__}: {error}")
    return 0


def _fail(container: Container, reason: str) -> int:
    container.say(f"failed: {reason}")
    container.fail(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
