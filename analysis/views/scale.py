"""Images with their scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PixelSize = float | Sequence[float | None] | None
"""Edge of a pixel (um), or its height and width; None if unknown."""


def show_image(axes: Any, image: np.ndarray, pixel_size_um: PixelSize, *, cmap: str = "gray", **limits: float) -> Any:
    """Draw an image (H, W) on matplotlib's axes, in um from its centre if the size of a pixel is known.

    Pixels without a value, such as cells of a map without a frame, have a colour of their own.

    Parameters
    ----------
    axes : Axes
    image : ndarray, (H, W)
    pixel_size_um : float, pair of float or None
        As in a derived run's start document.
    cmap : str
        Name of the colour map.
    **limits
        `vmin` and `vmax` of `imshow`.

    Returns
    -------
    AxesImage
    """
    from matplotlib import colormaps

    extent = _extent(image.shape, pixel_size_um)
    drawn = axes.imshow(image, extent=extent, cmap=colormaps[cmap].with_extremes(bad="lightsteelblue"), **limits)
    if extent is None:
        axes.set_axis_off()
    else:
        axes.set_xlabel("x (um)")
        axes.set_ylabel("y (um)")
    return drawn


def _extent(shape: tuple[int, ...], pixel_size_um: PixelSize) -> tuple[float, float, float, float] | None:
    if pixel_size_um is None:
        return None
    sizes = list(pixel_size_um) if isinstance(pixel_size_um, Sequence) else [pixel_size_um] * 2
    known = [size for size in sizes if size]
    if not known:
        return None
    height, width = (count * (size or known[0]) for count, size in zip(shape, sizes, strict=True))  # a single line is as thin
    return -width / 2, width / 2, height / 2, -height / 2
