"""From transmission to line integrals of the attenuation, by the law of Lambert and Beer."""

from __future__ import annotations

import numpy as np


def attenuation(transmission: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return -log of transmissions (..., S), float32, and where they are known, bool.

    Where nothing was measured (NaN), or no light came through (0 or less), there is no logarithm: the value is interpolated along
    the detector row, so that a filter over the row meets no step, and is marked as unknown. A row without any known value is 0.
    """
    known = np.isfinite(transmission) & (transmission > 0)
    values = -np.log(np.where(known, transmission, 1.0)).astype(np.float32)
    if known.all():
        return values, known
    rows, marks = values.reshape(-1, values.shape[-1]), known.reshape(-1, values.shape[-1])
    places = np.arange(values.shape[-1])
    for index in np.flatnonzero(~marks.all(axis=1)):
        good = marks[index]
        rows[index] = np.interp(places, places[good], rows[index, good]) if good.any() else 0.0
    return values, known
