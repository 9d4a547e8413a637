"""How far to trust a denoised pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .floor import loss_floor, pearson_loss
from .prepared import Pair


class Denoiser(Protocol):
    """Makes images of less noise."""

    @property
    def learned_above_floor(self) -> float:
        """Loss of what was learned above that of the scene without noise; NaN if nothing was."""

    def one(self, image: np.ndarray) -> np.ndarray:
        """One image (H, W) of a pair denoised by itself, float32."""

    def pair(self, pair: Pair) -> np.ndarray:
        """A pair denoised, float32 (H, W)."""


@dataclass(frozen=True, eq=False)
class Trust:
    """How far to trust a denoised pair.

    Attributes
    ----------
    spread : ndarray, float32, (H, W)
        Half the difference of what was made of either image alone.
    heldout_loss : float
        1 - correlation of what was made of either image with the other one, where that was not learned.
    above_floor : float
        The same above the loss of the scene without noise: 0 is perfect, below 0 the network has memorised noise.
    residual_correlation : float
        By how much what was removed is correlated with its neighbours beyond the noise itself: 0 if it is noise alone.
    residual_mean : float
        Mean of what was removed, in deviations of the noise.
    null_structure : float
        What was made of noise alone: its deviation over that of the noise; 0 is flat.
    spread_ratio : float
        The spread over the error of one image's denoising, as the other image tells it; below 1: errors are larger.
    """

    spread: np.ndarray
    heldout_loss: float
    above_floor: float
    residual_correlation: float
    residual_mean: float
    null_structure: float
    spread_ratio: float


def trust(denoiser: Denoiser, pair: Pair, denoised: np.ndarray, tested: np.ndarray) -> Trust:
    """Judge a denoised pair.

    Parameters
    ----------
    denoiser : Denoiser
    pair : Pair
    denoised : ndarray, (H, W)
        What `denoiser.pair` made of it.
    tested : ndarray, bool, (H, W)
        Pixels that were not learned.
    """
    of_a, of_b = denoiser.one(pair.a), denoiser.one(pair.b)
    loss = (pearson_loss(of_a, pair.b, tested) + pearson_loss(of_b, pair.a, tested)) / 2
    noise = (pair.a - pair.b) / 2
    deviation = max(float(noise[pair.measured].std()), 1e-30)
    residual = pair.mean - denoised
    spread = np.abs(of_a - of_b) / np.float32(2)
    error = _error(of_a, pair.b, 2 * deviation**2, tested), _error(of_b, pair.a, 2 * deviation**2, tested)
    typical = float(np.sqrt((spread[tested].astype(np.float64) ** 2).mean()))
    return Trust(
        spread=spread,
        heldout_loss=loss,
        above_floor=loss - loss_floor(pair.a, pair.b, tested),
        residual_correlation=max(
            abs(_neighbours(residual, pair.measured, axis) - _neighbours(noise, pair.measured, axis)) for axis in (0, 1)
        ),
        residual_mean=float(residual[pair.measured].mean()) / deviation,
        null_structure=_null_structure(denoiser, pair, noise),
        spread_ratio=typical / max(float(np.mean(error)) ** 0.5, 1e-30) if np.mean(error) > 0 else float("nan"),
    )


def _error(made: np.ndarray, other: np.ndarray, noise_variance: float, where: np.ndarray) -> float:
    """Mean squared error of an image, by another one of known noise that it doesn't know of."""
    return float(((made - other)[where].astype(np.float64) ** 2).mean()) - noise_variance


def _neighbours(image: np.ndarray, measured: np.ndarray, axis: int) -> float:
    """Correlation of an image (H, W) with itself one pixel further along an axis."""
    one, other = (np.take(image, range(*ends), axis) for ends in ((1, image.shape[axis]), (0, image.shape[axis] - 1)))
    both = np.take(measured, range(1, image.shape[axis]), axis) & np.take(measured, range(image.shape[axis] - 1), axis)
    return 1 - pearson_loss(one, other, both)


def _null_structure(denoiser: Denoiser, pair: Pair, noise: np.ndarray) -> float:
    """The noise of the pair itself, turned and at the scene's mean, in place of both images."""
    level = pair.mean[pair.measured].mean()
    whole = np.where(pair.measured, noise, 0.0).astype(np.float32) * np.float32(2**0.5)
    flat = Pair(level + whole, level + whole[::-1, ::-1], pair.measured)
    made = denoiser.pair(flat)
    return float(made[pair.measured].std() / max(float(flat.mean[pair.measured].std()), 1e-30))
