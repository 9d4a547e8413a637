"""The interface between the total-variation solver and its projections, and the penalties that they share."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from analysis.imaging.gradient import ScreenedPoisson

DATA_PENALTY = 3.0
PLAIN_PENALTY = 1.0
"""Penalty of the copies of W x and of x, relative to that of the copy of D x. Of nine pairs tried these converge fastest over
a range of 100 in weight.
"""


class Projection(Protocol):
    """The x nearest to given copies of x, D x and C x / scale, with C = W - 1 w0'.

    Attributes
    ----------
    drops_columns : bool
        Whether converged columns are left out of further iterations, because each costs time.
    shape : (H, W)
    screen : ScreenedPoisson
        B = D'D + c, where c is the penalty of the copy of x.
    gain : float32
        Norm of the shared mask w0, over the scale: w0 enters as one more row, normalised like the others, times the gain.
    """

    drops_columns: ClassVar[bool]
    shape: tuple[int, int]
    screen: ScreenedPoisson
    gain: np.float32

    def __len__(self) -> int:
        """Return the number of realizations M."""
        ...

    def begin(self, images: np.ndarray) -> None:
        """Prepare for projections of columns whose last images were `images` (S, H, W)."""
        ...

    def onto(self, t: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the x nearest to all copies, or nearer than the previous one, and C x / scale with the shared row last.

        Parameters
        ----------
        t : (S, H, W)
            The x nearest to the copies of D x and x only.
        wanted : (S, M + 1)
            The copies of C x / scale, and of the shared row.

        Returns
        -------
        (S, H, W), (S, M + 1)
        """
        ...

    def rows(self, images: np.ndarray) -> np.ndarray:
        """Return C x / scale with the shared row last, (S, M + 1), for images (S, H, W)."""
        ...
