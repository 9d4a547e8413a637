"""Options of a mask calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHOD = "mask_calibration"
DEFAULTS: Mapping[str, Any] = {"shift_px": 0.5, "departure": 0.15}
"""Masks are out of tolerance if their shift along y or x (mask pixels), or the root mean square departure of their transmission
from the design, exceeds these limits."""


def checked_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, with defaults for those not given.

    Raises
    ------
    ValueError
        If the method, an option or its value does not exist.
    """
    if method != METHOD:
        raise ValueError(f"unknown method {method!r}; the method for mask calibrations is {METHOD}")
    found = {"mask_set", "out_of_tolerance", "sharpened"}  # results of an earlier reconstruction are not options
    given = {name: value for name, value in options.items() if name not in found}
    for name, value in given.items():
        if name not in DEFAULTS:
            raise ValueError(f"{METHOD} has no option {name}; it has {', '.join(DEFAULTS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{METHOD}: {name} must be a positive number, not {value!r}")
    return {**DEFAULTS, **given}
