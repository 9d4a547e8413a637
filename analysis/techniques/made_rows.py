"""Images that a reconstruction has made of single rows, until they are stored."""

from __future__ import annotations

import numpy as np

from analysis.documents.batch import Batch


class MadeRows:
    """Collects images under the numbers of their rows.

    Parameters
    ----------
    name : str
        Name of the images' column.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._made: list[tuple[int, np.ndarray]] = []

    def add(self, number: int, image: np.ndarray) -> None:
        """Add the image (H, W) of a row."""
        self._made.append((number, image))

    def take(self) -> Batch | None:
        """The images since the last call, (B, H, W); None if there are none."""
        if not self._made:
            return None
        numbers, images = zip(*self._made, strict=True)
        self._made = []
        return Batch(np.array(numbers, dtype=np.int64), {self._name: np.stack(images)}, np.array(numbers, dtype=np.int64))
