"""What a reconstruction hands out: an estimate of the object and how far to trust it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Progress = Callable[[float], None]
"""Called now and then during long work with the fraction done, from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """An image of the object with its figures of trust.

    Attributes
    ----------
    image : float32 array, (H, W)
        The object, in bucket units per unit of mask transmission and pixel.
    spread : float32 array, (H, W)
        Standard error of `image` in the same unit; NaN where it isn't known, as from one network fitted to all data.
    heldout_loss : float
        Mean squared error with which an image predicts buckets that had no part in it nor in the choice of any
        option, with the constant level left out, over the variance of those buckets: 0 is a perfect prediction, 1 that
        of a flat image, above 1 an image whose noise outweighs its signal. NaN where there are too few. Which image:
        correlations, the one of the realizations before (the last quarter of the scan counts); least squares, those
        without one group in eight, in turn; TV, one at the same weight without the eighth that chooses no
        weight; CH-MWCNN, one without that eighth; methods that train a network on the scan, `image` itself, which never
        sees the sixteenth that is kept for this.
    figures : dict of float
        Further figures by name; always "frc_resolution_px", the resolution at which two images from separate
        halves of the realizations stop agreeing (pixels; NaN if there is no crossing).
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
        As in `Estimate`; image and spread are (C, H, W) and the loss a list for buckets of C channels.
    method : str
        The method's name.
    options : dict
        The options as really used, values chosen from the data included: given back to `reconstruct` with
        the same data, seed and number of threads they give the same bits. A list, one a channel, for C channels.
    seed : int
    update_points : list of int
        Realizations counted at each estimate; offline that is the last one alone.
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
    """Tell `progress` of every twentieth step."""
    if progress is not None and step % 20 == 0:
        progress(step / steps)
