"""What can be chosen for a calibration of masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHOD = "mask_calibration"
DEFAULTS: Mapping[str, Any] = {"shift_px": 0.5, "departure": 0.15}
"""Masks that lie farther beside their place (mask pixels, along y or x), or whose transmission departs more from the design (root
mean square), are out of tolerance."""


def checked_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with their defaults.

    Raises
    ------
    ValueError
        If the method, an option or its value is none.
    """
    if method != METHOD:
        raise ValueError(f"unknown method {method!r}; the method for calibrations of masks is {METHOD}")
    found = {"mask_set", "out_of_tolerance", "sharpened"}  # what an earlier one found is no option
    given = {name: value for name, value in options.items() if name not in found}
    for name, value in given.items():
        if name not in DEFAULTS:
            raise ValueError(f"{METHOD} has no option {name}; it has {', '.join(DEFAULTS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{METHOD}: {name} must be a positive number, not {value!r}")
    return {**DEFAULTS, **given}
