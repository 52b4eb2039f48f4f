"""`python -m training.steps <step>`: what SageMaker runs in the image.

A step that fails writes its reason to `/opt/ml/output/failure`, from where SageMaker takes the job's FailureReason.
"""

import sys
import traceback
from collections.abc import Callable

from training.steps import train
from training.steps.container import Container, StepError

STEPS: dict[str, Callable[[Container], None]] = {"train": train.run}


def main(arguments: list[str]) -> int:
    """Run the step that SageMaker names. Exit code 0, or 1 with the reason in `output/failure`."""
    container = Container.here()
    if len(arguments) != 1 or arguments[0] not in STEPS:
        return _fail(container, f"expected one step of {', '.join(STEPS)}, got {' '.join(arguments) or 'none'}")
    try:
        STEPS[arguments[0]](container)
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
