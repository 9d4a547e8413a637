"""One picture of several methods' images of the same realizations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analysis.offline.comparison import Comparison

MADE_BY = "ghostbeam reconstruct"
"""In the picture's metadata, so that a later picture may replace this one and no other."""


def draw_comparison(
    path: Path | str,
    comparison: Comparison,
    *,
    title: str,
    pixel_size_um: float | None = None,
    reference: np.ndarray | None = None,
) -> None:
    """Draw the images in one grey scale, the spread of each, and what each compared method differs by from the first.

    Parameters
    ----------
    path : Path
        The PNG to write.
    comparison : Comparison
        One method at least.
    title : str
        What was measured.
    pixel_size_um : float, optional
        Size of a mask pixel; without it the axes count pixels.
    reference : array, (H', W'), optional
        A picture of the same field, drawn beside in a scale of its own.
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

    low, high = _common_limits([one.image for one in results])
    shown = [look.panel(axes, one.image, one.method, "gray", low, high) for axes, one in zip(images, results, strict=True)]
    figure.colorbar(shown[-1], ax=images[-1], extend="both", shrink=0.8)
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
    figure.savefig(path, dpi=110, metadata={"Software": MADE_BY})


def is_own(path: Path | str) -> bool:
    """Whether a file is a picture that `draw_comparison` made."""
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
    figure.suptitle(title, fontsize="large")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _words(axes: Any, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes)


def _common_limits(images: list[np.ndarray]) -> tuple[float, float]:
    """Return limits for all images, but for those whose noise is far above the first one's whole range."""
    limits = np.array([_limits(image) for image in images])
    ranges = np.diff(limits, axis=1)[:, 0]
    fitting = limits[(ranges <= 2 * ranges[0]) | (np.arange(len(images)) == 0)]
    return float(fitting[:, 0].min()), float(fitting[:, 1].max())


def _limits(image: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(image, [0.5, 99.5])
    return float(low), float(max(high, low + 1e-6 * abs(low), low + 1e-30))
