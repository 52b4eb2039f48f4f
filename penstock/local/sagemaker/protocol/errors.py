"""The error responses of SageMaker."""


class SageMakerError(Exception):
    """An error of the SageMaker API, with AWS's code for it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def validation(message: str) -> SageMakerError:
    """Return the error for an invalid request, or one that names something that does not exist."""
    return SageMakerError("ValidationException", message)


def not_found(message: str) -> SageMakerError:
    """Return the error of newer operations for something that does not exist."""
    return SageMakerError("ResourceNotFound", message)


def conflict(message: str) -> SageMakerError:
    """Return the error for a request that conflicts with the present state."""
    return SageMakerError("ConflictException", message)


def in_use(message: str) -> SageMakerError:
    """Return the error for a name that is in use."""
    return SageMakerError("ResourceInUse", message)
