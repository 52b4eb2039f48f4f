"""The errors that SageMaker answers with."""


class SageMakerError(Exception):
    """An error of the SageMaker API, with AWS's code for it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def validation(message: str) -> SageMakerError:
    """Return the error for a request that is wrong in itself, or that names what does not exist."""
    return SageMakerError("ValidationException", message)


def not_found(message: str) -> SageMakerError:
    """Return the error that newer operations give for what does not exist."""
    return SageMakerError("ResourceNotFound", message)


def conflict(message: str) -> SageMakerError:
    """Return the error for a request that the present state forbids."""
    return SageMakerError("ConflictException", message)


def in_use(message: str) -> SageMakerError:
    """Return the error for a name that is taken."""
    return SageMakerError("ResourceInUse", message)
