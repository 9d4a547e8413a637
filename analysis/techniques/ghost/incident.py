"""How many photons have fallen onto the sample: from the monitor, and from what the masks let through."""

from __future__ import annotations

import numpy as np

from analysis.documents.batch import Batch
from analysis.estimate import Quantity
from analysis.techniques.ghost.mask_pairs import COMPLEMENT, COMPLEMENT_INCIDENT, INCIDENT

DOSE_FIGURES = {
    "photons_per_pixel": Quantity("incident photons on a pixel of the sample so far, mean", "photons"),
    "peak_photons": Quantity("incident photons on the brightest pixel in one exposure, mean", "photons"),
}
"""Figures of the dose; NaN where the photons of a monitor count are not known."""


class IncidentPhotons:
    """Adds up the dose, realization by realization, so that no bit depends on batches.

    Parameters
    ----------
    patterns : ndarray, (M, H, W)
        Transmission of the masks.
    photons_per_count : float
        Photons on the whole area of a mask for each monitor count, without a mask.
    """

    def __init__(self, patterns: np.ndarray, photons_per_count: float) -> None:
        self._pixels = patterns.shape[1] * patterns.shape[2]
        self._per_count = photons_per_count
        self._mean, self._highest = patterns.mean(axis=(1, 2), dtype=np.float64), patterns.max(axis=(1, 2))
        self._light = self._through = self._peaks = 0.0
        self._count, self._dose = 0, 0.0

    def add(self, batch: Batch) -> None:
        """Take the columns incident, mask_index and dose of further realizations, and of pairs also those of the complements."""
        columns = batch.columns
        light, index = columns[INCIDENT], columns["mask_index"]
        if COMPLEMENT in columns:  # in the order of the realizations
            light = np.column_stack([light, columns[COMPLEMENT_INCIDENT]]).ravel()
            index = np.column_stack([index, columns[COMPLEMENT]]).ravel()
        self._light = _continued(self._light, light)
        self._through = _continued(self._through, light * self._mean[index])
        self._peaks = _continued(self._peaks, light * self._highest[index])
        self._count += len(light)
        self._dose = float(columns["dose"][-1])

    @property
    def figures(self) -> dict[str, float]:
        """Total and peak.

        Realizations that were not used have lit the sample as well: they count by their monitor, with the mean transmission.
        """
        if not self._light > 0:
            return dict.fromkeys(DOSE_FIGURES, float("nan"))
        total = self._per_count * self._dose * self._through / self._light / self._pixels
        return {"photons_per_pixel": total, "peak_photons": self._peaks / self._count / self._pixels}


def _continued(total: float, values: np.ndarray) -> float:
    return float(np.cumsum(np.append(total, values))[-1])
