"""What can be chosen of a reconstruction of slices, and what its estimates hold; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.estimate import Quantity, image_quantity
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.options import checked

FBP_DEFAULTS: Mapping[str, Any] = {"centre": None, "slices": 1}
SIRT_DEFAULTS: Mapping[str, Any] = {**FBP_DEFAULTS, "iterations": 200, "lower": 0.0, "upper": None}
_LIMITS = {"centre": (0.0, 1e5), "slices": (1, 10_000), "iterations": (1, 100_000), "lower": (-1e9, 1e9), "upper": (-1e9, 1e9)}
_OPTIONAL = {"centre", "lower", "upper"}


def tomography_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their defaults; raises ValueError for one that makes no sense."""
    defaults = FBP_DEFAULTS if method == "fbp" else SIRT_DEFAULTS
    chosen = checked(method, defaults, options, _LIMITS, _OPTIONAL)
    lower, upper = chosen.get("lower"), chosen.get("upper")
    if lower is not None and upper is not None and not lower < upper:
        raise ValueError(f"the option lower of {method} must be below upper, not {lower!r} and {upper!r}")
    return chosen


def tomography_quantities(layout: Layout, options: Mapping[str, Any]) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    width, number = layout.shape[1], len(rows_of_slices(layout, options))
    quantities: dict[str, Quantity] = {"slice": image_quantity("attenuation in the middle slice", (width, width), "1/pixel")}
    if number > 1:
        dims = ("slice", "y", "x")
        quantities["volume"] = Quantity("attenuation in all slices", "1/pixel", "<f4", (number, width, width), dims)
    return {
        **quantities,
        "centre": Quantity("where the axis of rotation lies on the detector", "pixel"),
        "views": Quantity("radiographs in the slices"),
        "residual": Quantity("part of the attenuation that slices do not explain", lower_is_better=True, useless_from=1.0),
    }


def rows_of_slices(layout: Layout, options: Mapping[str, Any]) -> np.ndarray:
    """Rows of the detector that become slices, evenly spread."""
    height, number = layout.shape[0], min(options["slices"], layout.shape[0])
    return ((2 * np.arange(number) + 1) * height // (2 * number)).astype(np.int64)
