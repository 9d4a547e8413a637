"""What can be chosen of a reconstruction of slices, and what its estimates hold; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.estimate import Quantity, image_quantity
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.noise2self import NOISE2SELF_DEFAULTS, NOISE2SELF_LIMITS, TRUST
from analysis.techniques.radiographs.options import checked

FBP_DEFAULTS: Mapping[str, Any] = {"centre": None, "slices": 1}
_ITERATED: Mapping[str, Any] = {**FBP_DEFAULTS, "lower": 0.0, "upper": None}
SIRT_DEFAULTS: Mapping[str, Any] = {
    **_ITERATED,
    "iterations": 200,
    "denoise": None,
    "denoise_steps": NOISE2SELF_DEFAULTS["steps"],
    "kernel": None,
}
TV_DEFAULTS: Mapping[str, Any] = {**_ITERATED, "iterations": 400, "weight": None}
_DEFAULTS = {"fbp": FBP_DEFAULTS, "sirt": SIRT_DEFAULTS, "tv": TV_DEFAULTS}
_LIMITS = {
    "centre": (0.0, 1e5),
    "slices": (1, 10_000),
    "iterations": (1, 100_000),
    "lower": (-1e9, 1e9),
    "upper": (-1e9, 1e9),
    "weight": (0.0, 1e9),
    "denoise_steps": NOISE2SELF_LIMITS["steps"],
}
_OPTIONAL = {"centre", "lower", "upper", "weight"}
_AROUND = 16  # rows of the detector on each side of a slice that a network looks at


def tomography_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their defaults; raises ValueError for one that makes no sense."""
    chosen = checked(method, _DEFAULTS[method], options, _LIMITS, _OPTIONAL)
    lower, upper = chosen.get("lower"), chosen.get("upper")
    if lower is not None and upper is not None and not lower < upper:
        raise ValueError(f"the option lower of {method} must be below upper, not {lower!r} and {upper!r}")
    if chosen.get("denoise") not in (None, "noise2self"):
        raise ValueError(f'the option denoise of {method} must be null or "noise2self", not {chosen["denoise"]!r}')
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
        **trust_figures(options),
    }


def trust_figures(options: Mapping[str, Any]) -> Mapping[str, Quantity]:
    """Figures of the denoised radiograph in the middle of the scan; none where radiographs are not denoised."""
    return {} if options.get("denoise") is None else TRUST


def rows_of_slices(layout: Layout, options: Mapping[str, Any]) -> np.ndarray:
    """Rows of the detector that become slices, evenly spread."""
    height, number = layout.shape[0], min(options["slices"], layout.shape[0])
    return ((2 * np.arange(number) + 1) * height // (2 * number)).astype(np.int64)


def rows_to_keep(layout: Layout, options: Mapping[str, Any]) -> np.ndarray:
    """Rows of the detector that a reconstruction needs: those of its slices, and all around them where a network denoises."""
    rows = rows_of_slices(layout, options)
    if options.get("denoise") is None:
        return rows
    first, last = max(0, rows[0] - _AROUND), min(layout.shape[0], rows[-1] + _AROUND)
    return np.arange(max(0, min(first, last - 2 * _AROUND)), min(layout.shape[0], max(last, first + 2 * _AROUND)))
