"""Counts in a region of interest around the strongest line of each element: the simple choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.spectra.lines import lines_of
from analysis.spectra.response import Calibration

_HALF_WIDTH = 2.0
"""Of a region, in standard deviations of the peak."""


class RegionCounts:
    """Adds up the counts around the strongest line of each element. Background and overlapping lines stay in them.

    Parameters
    ----------
    elements : sequence of str
    beam_kev : float
        Energy of the beam.
    calibration : Calibration
    bins : int
        Bins of a spectrum.
    """

    def __init__(self, elements: Sequence[str], beam_kev: float, calibration: Calibration, bins: int) -> None:
        self.regions: list[tuple[int, int]] = []
        for element in elements:
            energy = max(lines_of(element, beam_kev), key=lambda line: line.strength).energy_kev
            half = _HALF_WIDTH * calibration.sigma_kev(energy)
            first, last = (round(calibration.bin_of(edge)) for edge in (energy - half, energy + half))
            self.regions.append((min(max(first, 0), bins - 1), min(max(last, 0), bins - 1)))

    def __call__(self, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts of each element and their standard errors, both (C,), in a spectrum (bins,)."""
        counts = np.array([float(spectrum[first : last + 1].sum()) for first, last in self.regions])
        return counts, np.sqrt(np.maximum(counts, 1.0))
