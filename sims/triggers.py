"""A group of triggers of the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Triggers:
    """Data about triggers for the detector and the physics.

    Parameters
    ----------
    numbers : array, shape (n,), int64
        Number of each over the whole scan, from 1.
    times : array, shape (n,), float64
        Start of each, s since 1970-01-01 UTC.
    y_um, x_um : array, shape (n,), float64
        Position of the stage, mean over the exposure.
    exposure_s : float
        Length of the exposures.
    moved_um : array, shape (2, n), float64, optional
        Distance that the stage moved during each, y and x. Default: it stood still.
    angles_deg, turned_deg : array, shape (n,), float64, optional
        The angle of the rotation, mean over the exposure, and the angle that it turned during each. Default: 0.
    """

    numbers: np.ndarray
    times: np.ndarray
    y_um: np.ndarray
    x_um: np.ndarray
    exposure_s: float
    moved_um: np.ndarray | None = None
    angles_deg: np.ndarray | None = None
    turned_deg: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def some(self, which: np.ndarray | slice) -> Triggers:
        """Return some of them, by index."""
        moved_um = None if self.moved_um is None else self.moved_um[:, which]
        angles_deg, turned_deg = (None if one is None else one[which] for one in (self.angles_deg, self.turned_deg))
        places = (self.numbers[which], self.times[which], self.y_um[which], self.x_um[which])
        return Triggers(*places, self.exposure_s, moved_um, angles_deg, turned_deg)
