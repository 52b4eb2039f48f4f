"""One row at a time through a graph that takes nothing but a matrix of numbers, with nothing allocated on the way.

What onnxruntime makes of each call (names, tensors in and out) costs as much as a hundred trees; bound buffers are made
once. The graph and its kernels are the same, and so is the score, to the last bit.
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


class OneRow:
    """Buffers bound to a session. Threads take turns."""

    def __init__(self, session: Any, output: str, row: Row, given: npt.NDArray[np.float32], scores: int) -> None:
        self._session, self._row, self._given = session, row, given
        self._found, self._last = np.zeros((len(given), scores), dtype=np.float32), scores - 1
        self._kept = [ort.OrtValue.ortvalue_from_numpy(buffer) for buffer in (given, self._found)]
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(NUMBERS, self._kept[0])
        self._binding.bind_ortvalue_output(output, self._kept[1])
        self._turn = threading.Lock()

    @classmethod
    def of(cls, session: Any, output: str, columns: int, row: Row, rows: int) -> Self | None:
        """For a graph with the input `NUMBERS` alone; None where it answers in another form than (rows, scores).

        The row is given `rows` times (`penstock.scoring.signature.ALONE`), and the first answer counts.
        """
        given = np.zeros((rows, columns), dtype=np.float32)
        found = np.asarray(session.run([output], {NUMBERS: given})[0])
        if found.dtype != np.float32 or found.ndim != 2 or len(found) != rows:
            return None
        return cls(session, output, row, given, found.shape[1])

    def last(self, instance: Any) -> Score:
        """The row's last score: of (negative, positive), or the only one."""
        with self._turn:
            self._given[:] = self._row(instance)
            self._session.run_with_iobinding(self._binding)
            score: float = self._found.item(self._last)
            return score

    def every(self, instance: Any) -> Score:
        """The row's scores."""
        with self._turn:
            self._given[:] = self._row(instance)
            self._session.run_with_iobinding(self._binding)
            scores: list[float] = self._found[0].tolist()
            return scores
