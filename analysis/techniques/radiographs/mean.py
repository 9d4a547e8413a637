"""The mean of all radiographs so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout


def mean_quantities(layout: Layout) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    what, units = layout.corrected
    return {
        "mean": image_quantity(f"mean {what}", layout.shape, units),
        "dose": Quantity("counts of a pixel in all radiographs so far", "counts"),
    }


class Mean:
    """The mean of all radiographs, divided by the flat field where there is one.

    Parameters
    ----------
    corrections : callable
        Returns the corrections of the run; called when radiographs have come.
    layout : Layout
    """

    options: Mapping[str, Any] = {}

    def __init__(self, layout: Layout, corrections: Callable[[], Corrections]) -> None:
        self._corrections = corrections
        self._sum = np.zeros(layout.shape)
        self._count = 0

    def update(self, batch: Batch) -> None:
        """Take further radiographs."""
        for counts in batch.columns["counts"]:  # one after the other, so that no cut changes the rounding
            self._sum += counts
        self._count += len(batch)

    def result(self) -> Estimate:
        """The mean now."""
        mean, flat = self._sum / self._count, self._corrections().flat
        image = mean if flat is None else mean / flat
        return Estimate({"mean": image.astype(np.float32)}, {"dose": float(np.nanmean(self._sum))})

    finish = result
