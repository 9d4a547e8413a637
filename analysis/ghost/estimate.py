"""The output of a reconstruction: an estimate of the object and figures of its reliability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Progress = Callable[[float], None]
"""Called from time to time during long work with the completed fraction, from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """An image of the object with figures of its reliability.

    Attributes
    ----------
    image : float32 array, (H, W)
        The object, in bucket units per unit of mask transmission and pixel.
    spread : float32 array, (H, W)
        Standard error of `image` in the same unit; NaN where it is not known, for example for a single network fitted to all
        data.
    heldout_loss : float
        Mean squared error with which an image predicts buckets that contributed neither to it nor to the choice of any
        option, with the constant level left out, over the variance of those buckets: 0 is a perfect prediction, 1 that of a
        flat image; above 1 the noise of the image outweighs its signal. NaN if there are too few buckets. The image used
        depends on the method. Correlations: the image from the preceding realizations (the last quarter of the scan counts).
        Least squares: the images without one group in eight, for each group in turn. TV: an image at the same weight without
        the eighth that is not used to choose the weight. CH-MWCNN: an image without that eighth. Methods that train a network
        on the scan: `image` itself, which never sees the sixteenth that is kept for this.
    figures : dict of float
        Further figures by name; always "frc_resolution_px", the resolution at which two images from separate halves of the
        realizations stop agreeing (pixels; NaN if there is no crossing).
    """

    image: np.ndarray
    spread: np.ndarray
    heldout_loss: float
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Result:
    """A finished offline reconstruction.

    Attributes
    ----------
    image, spread, heldout_loss, figures
        As in `Estimate`; for buckets of C channels, image and spread are (C, H, W) and the loss is a list.
    method : str
        The method's name.
    options : dict
        The options as actually used, including values chosen from the data: passed to `reconstruct` with the same data, seed
        and number of threads, they give the same bits. For C channels, a list with one entry per channel.
    seed : int
    update_points : list of int
        Number of realizations at each estimate; offline there is only the last one.
    elapsed_s : float
        Wall time, seconds.
    """

    image: np.ndarray
    spread: np.ndarray
    heldout_loss: float | list[float]
    figures: dict[str, float] | list[dict[str, float]]
    method: str
    options: dict[str, Any] | list[dict[str, Any]]
    seed: int
    update_points: list[int]
    elapsed_s: float


def tell(progress: Progress | None, step: int, steps: int) -> None:
    """Report every twentieth step to `progress`."""
    if progress is not None and step % 20 == 0:
        progress(step / steps)
