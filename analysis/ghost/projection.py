"""What the solver of total variation asks of a projection, and the penalties that the two have in common."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from analysis.imaging.gradient import ScreenedPoisson

DATA_PENALTY = 3.0
PLAIN_PENALTY = 1.0
"""Of the copies of W x and of x, in units of that of the copy of D x. Of nine pairs tried these converge fastest over a range of
100 in weight."""


class Projection(Protocol):
    """The x nearest to given copies of x, D x and C x / scale, with C = W - 1 w0'.

    Attributes
    ----------
    drops_columns : bool
        Whether columns that have converged are left out of what remains, for each costs time.
    shape : (H, W)
    screen : ScreenedPoisson
        B = D'D + c with c the penalty of the copy of x.
    gain : float32
        Norm of the shared mask w0, over the scale: it enters as one more row of the size of the others, times the gain.
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
        """Return the x nearest to all copies, or nearer than the one before, and C x / scale with the shared row last.

        Parameters
        ----------
        t : (S, H, W)
            The x nearest to the copies of D x and x alone.
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
