"""Score one row at a time with a graph whose only input is a matrix of numbers, without allocations.

onnxruntime's work for each call (names, tensors in and out) costs as much as a hundred trees; here the buffers are
bound once. The graph and its kernels are the same, and so is the score, to the last bit.
"""

import threading
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from penstock.scoring.signature import NUMBERS, Score, Value

Row = Callable[[Any], tuple[Value, ...]]
"""An instance's numbers, in the matrix' order."""


class SingleRow:
    """Buffers bound to a session; one thread at a time uses them."""

    def __init__(self, session: Any, output: str, row: Row, matrix: npt.NDArray[np.float32], scores: int) -> None:
        self._session, self._row, self._input = session, row, matrix
        self._output, self._last = np.zeros((len(matrix), scores), dtype=np.float32), scores - 1
        # Referenced here so that the bound buffers live as long as the binding.
        self._values = [ort.OrtValue.ortvalue_from_numpy(buffer) for buffer in (matrix, self._output)]
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(NUMBERS, self._values[0])
        self._binding.bind_ortvalue_output(output, self._values[1])
        self._lock = threading.Lock()

    @classmethod
    def of(cls, session: Any, output: str, columns: int, row: Row, rows: int) -> Self | None:
        """Bind a graph whose only input is `NUMBERS`; None where its output has another form than (rows, scores).

        The row is passed `rows` times (`penstock.scoring.signature.ALONE`), and the first result counts.
        """
        matrix = np.zeros((rows, columns), dtype=np.float32)
        result = np.asarray(session.run([output], {NUMBERS: matrix})[0])
        if result.dtype != np.float32 or result.ndim != 2 or len(result) != rows:
            return None
        return cls(session, output, row, matrix, result.shape[1])

    def last_score(self, instance: Any) -> Score:
        """Return the row's last score: of (negative, positive), or the only one."""
        with self._lock:
            self._input[:] = self._row(instance)
            self._session.run_with_iobinding(self._binding)
            score: float = self._output.item(self._last)
            return score

    def all_scores(self, instance: Any) -> Score:
        """Return the row's scores."""
        with self._lock:
            self._input[:] = self._row(instance)
            self._session.run_with_iobinding(self._binding)
            scores: list[float] = self._output[0].tolist()
            return scores
