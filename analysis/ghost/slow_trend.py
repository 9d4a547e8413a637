"""Slow changes of the light in the course of a scan."""

from __future__ import annotations

import numpy as np

_DEGREE = 5
"""Degree of the polynomial that follows them."""

_CERTAIN = 6.0
"""Limit in standard errors."""


def slow_trend(values: np.ndarray) -> np.ndarray:
    """The slow course of values (M,) about 1: a polynomial through the medians of 16 parts, weighted by their errors."""
    times, middles, errors = _parts(values)
    course = np.polynomial.Polynomial.fit(times, middles, _DEGREE, w=1 / errors)
    return np.clip(course(np.arange(len(values)) / len(values)), 0.05, 20.0)


def is_beyond_chance(values: np.ndarray) -> bool:
    """Whether a slow course explains far more of the medians than a constant does."""
    times, middles, errors = _parts(values)
    constant, course = (np.polynomial.Polynomial.fit(times, middles, degree, w=1 / errors)(times) for degree in (0, _DEGREE))
    explained = float(np.sum(((middles - constant) / errors) ** 2) - np.sum(((middles - course) / errors) ** 2))
    return explained > _CERTAIN**2


def _parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, medians and standard errors of the medians, of 16 parts of a scan, relative to the median of all values."""
    parts = [values[part] for part in np.array_split(np.arange(len(values)), 16)]
    times = (np.arange(16) + 0.5) / 16
    middles = np.array([np.median(part) for part in parts])
    scatter = np.array([1.4826 * np.median(np.abs(part - middle)) for part, middle in zip(parts, middles, strict=True)])
    whole = np.median(values)
    errors = 1.2533 * scatter / np.sqrt(len(values) / 16) / abs(whole)
    return times, middles / whole, np.maximum(errors, 1e-3)
