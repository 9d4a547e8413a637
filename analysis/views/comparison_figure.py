"""A picture of the images of the same realizations by several methods."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.offline.comparison import Comparison

_LEAST_RANGE = 1e-3
"""Relative to the level: images that vary less are drawn as flat."""

MADE_BY = "ghostbeam reconstruct"
"""In the picture's metadata, so that a later picture may replace this one but no other file."""


def draw_comparison(
    path: Path | str,
    comparison: Comparison,
    *,
    title: str,
    pixel_size_um: float | None = None,
    reference: np.ndarray | None = None,
    doubts: Sequence[str] = (),
) -> None:
    """Draw the images, the spread of each, and the difference of each compared method from the first.

    Images with similar ranges share a grey scale, others have their own. No scale is narrower than the spread of its image,
    so that uncertain structure is not shown in full contrast.

    Parameters
    ----------
    path : Path
        The PNG to write.
    comparison : Comparison
        The images of at least one method.
    title : str
        Name of the measurement.
    pixel_size_um : float, optional
        Size of a mask pixel; without it the axes count pixels.
    reference : array, (H', W'), optional
        A picture of the same field, drawn beside them in a scale of its own.
    doubts : sequence of str
        Suspected problems of the data, shown below the images.
    """
    results = [one.result for one in comparison.done]
    first, others = results[0], results[1:]
    look = _Look(first.image.shape, pixel_size_um)
    if not others:
        figure, grid = _figure(title, rows=1, columns=2 + (reference is not None))
        images, spreads, beside = grid[0][:1], grid[0][1:2], grid[0][2:]
    else:
        figure, grid = _figure(title, rows=3, columns=len(results))
        images, spreads, beside = grid[0], grid[1], grid[2][:1]

    limits = [_limits(one.image, one.spread) for one in results]
    shared = [_alike(limit, limits[0]) for limit in limits]
    low, high = (
        ends(limit[end] for limit, alike in zip(limits, shared, strict=True) if alike) for end, ends in ((0, min), (1, max))
    )
    for number, (axes, one) in enumerate(zip(images, results, strict=True)):
        own = limits[number] if not shared[number] else (low, high)
        shown = look.panel(axes, one.image, one.method + ("" if shared[number] else ", in its own scale"), "gray", *own)
        if not shared[number] or not any(shared[number + 1 :]):
            figure.colorbar(shown, ax=axes, extend="both", shrink=0.8)
    for axes, one in zip(spreads, results, strict=True):
        if not np.isfinite(one.spread).any():
            _words(axes, f"{one.method} knows no spread")
            continue
        most = float(np.nanpercentile(one.spread, 99.5)) or 1.0
        drawn = look.panel(axes, one.spread, f"spread (standard error) of {one.method}", "magma", 0.0, most)
        figure.colorbar(drawn, ax=axes, extend="max", shrink=0.8)
    for axes, one in zip(grid[-1][1:] if others else (), others, strict=True):
        difference = one.image.astype(np.float64) - first.image
        most = float(np.percentile(np.abs(difference), 99.5)) or 1.0
        drawn = look.panel(axes, difference, f"{one.method} - {first.method}", "RdBu_r", -most, most)
        figure.colorbar(drawn, ax=axes, extend="both", shrink=0.8)
    for axes in beside:
        if reference is None:
            axes.set_axis_off()
        else:
            look.panel(axes, reference, "reference, in its own scale", "gray", *_limits(reference))
    if doubts:
        text = "\n".join(textwrap.fill(doubt, 24 * len(grid[0]) + 40) for doubt in doubts)
        figure.supxlabel(text, color="crimson", fontsize="small").set_parse_math(False)
    figure.savefig(path, dpi=110, metadata={"Software": MADE_BY})


def is_own(path: Path | str) -> bool:
    """Whether a file is a picture made by `draw_comparison`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            return opened.info.get("Software") == MADE_BY
    except (UnidentifiedImageError, OSError):
        return False


class _Look:
    """How images are drawn: all at the same place, with the same axes."""

    def __init__(self, shape: tuple[int, ...], pixel_size_um: float | None) -> None:
        pixel = pixel_size_um or 1.0
        self._extent = (0.0, shape[1] * pixel, shape[0] * pixel, 0.0)
        self._unit = "um" if pixel_size_um else "pixels"

    def panel(self, axes: Any, image: np.ndarray, title: str, colours: str, low: float, high: float) -> Any:
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel(f"x ({self._unit})")
        axes.set_ylabel(f"y ({self._unit})")
        return axes.imshow(image, cmap=colours, vmin=low, vmax=high, extent=self._extent, interpolation="nearest")


def _figure(title: str, *, rows: int, columns: int) -> tuple[Any, np.ndarray]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.2 * columns, 8.0), 3.6 * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize="large").set_parse_math(False)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _words(axes: Any, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes)


def _alike(limits: tuple[float, float], first: tuple[float, float]) -> bool:
    """Whether two ranges are so similar that one scale shows both."""
    width, wanted = limits[1] - limits[0], first[1] - first[0]
    return wanted / 2 <= width <= 2 * wanted and abs(sum(limits) - sum(first)) / 2 <= wanted / 2


def _limits(image: np.ndarray, spread: np.ndarray | None = None) -> tuple[float, float]:
    """Grey values of black and white: nearly the range of the image, but never less than its uncertainty."""
    low, high = (float(end) for end in np.percentile(image, [0.5, 99.5]))
    middle = (low + high) / 2
    known = np.nan if spread is None or not np.isfinite(spread).any() else float(np.nanmedian(spread))
    least = max(np.nan_to_num(known), _LEAST_RANGE * abs(middle), 1e-30)
    half = max(high - low, 2 * least) / 2
    return middle - half, middle + half
