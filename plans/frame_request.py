"""Checks what a detector that writes frames is asked for."""

from __future__ import annotations

from typing import Any

from plans.protocols import FrameCamera
from plans.refusal import PlanRequestError
from plans.request import is_number


def check_rate(detector: FrameCamera, rate_hz: Any, exposure_s: Any) -> tuple[float, float]:
    """Return frames a second and the exposure in s, by default as long as the rate allows.

    Raises
    ------
    PlanRequestError
        If the detector cannot take frames so fast, or cannot expose for so long between them.
    """
    rate = positive(rate_hz, "rate_hz", "exposures a second")
    if rate > detector.max_rate_hz:
        raise PlanRequestError(
            f"rate_hz is {rate:g}, but {detector.name} takes {detector.max_rate_hz:g} frames a second at most "
            f"([{detector.name}] max_rate_hz): lower the rate"
        )
    longest_s = 1.0 / rate - detector.dead_time_s
    if not longest_s > 0:
        raise PlanRequestError(
            f"rate_hz is {rate:g}: between two exposures {detector.name} needs {detector.dead_time_s:g} s "
            f"([{detector.name}] dead_time_s), which leaves no time for an exposure: lower the rate"
        )
    exposure = longest_s if exposure_s is None else positive(exposure_s, "exposure_s", "seconds")
    if exposure > longest_s * (1 + 1e-9):
        raise PlanRequestError(
            f"exposure_s is {exposure:g} s, but at {rate:g} Hz there are {longest_s:g} s for each exposure "
            f"(dead time {detector.dead_time_s:g} s taken off): shorten the exposure, or lower rate_hz below "
            f"{1 / (exposure + detector.dead_time_s):.4g}"
        )
    return rate, min(exposure, longest_s)


def check_shape(detector: FrameCamera) -> tuple[int, int]:
    """Return how many rows and columns the detector's frames have."""
    shape = detector.frame_shape()
    if 0 in shape:
        raise PlanRequestError(f"{detector.name} says that its frames have {shape} pixels: is it switched on?")
    return shape


def positive(value: Any, parameter: str, unit: str) -> float:
    """Return a number above 0."""
    if not is_number(value) or not value > 0:
        raise PlanRequestError(f"{parameter} must be a number of {unit} above 0, not {value!r}")
    return float(value)
