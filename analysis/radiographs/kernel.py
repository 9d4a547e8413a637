"""The kernel by which noise is correlated, and its inverse."""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.ndimage import binary_dilation, uniform_filter

from analysis.radiographs.correlation import LAGS, Correlation

_RADIUS = 5  # lags of the correlation that are used: what lies beyond is noise
_GRID = 64  # pixels on which the square root is taken
_SIZE = 8  # pixels of the kernel on each side
_LOWEST = 0.05
_ENOUGH_PERCENT = 5.0
_MARGIN = 16  # pixels over which an image is continued beyond its edges


def kernel_of(correlation: Correlation) -> np.ndarray:
    """The kernel h, (17, 17) with a sum of 1, of which the autocorrelation h * h is the one that was measured.

    It is the Fourier square root, which has no edges where it ends. It holds scintillator and read noise together, so that it
    decorrelates what was measured; the optical kernel alone does not.

    Raises
    ------
    ValueError
        If the correlation is not known to 5 percent, or the transform of h falls below 0.05: its inverse would be noise alone.
    """
    if correlation.error_percent > _ENOUGH_PERCENT:
        needed = correlation.samples * (correlation.error_percent / _ENOUGH_PERCENT) ** 2
        raise ValueError(
            f"too few static frames: their {correlation.samples} pixels tell the summed correlation to "
            f"{correlation.error_percent:.0f} %. Take {np.ceil(needed / correlation.samples):.0f} times as many"
        )
    near = slice(LAGS - _RADIUS, LAGS + _RADIUS + 1)
    lags = np.arange(-_RADIUS, _RADIUS + 1)
    grid = np.zeros((_GRID, _GRID))
    grid[np.ix_(lags, lags)] = correlation.values[near, near]
    power = scipy.fft.fft2(grid).real
    if power.min() < _LOWEST**2 * power[0, 0]:
        raise ValueError(
            f"the kernel's transform falls below {_LOWEST}: its inverse would make noise alone. Are the frames blurred by more "
            "than the scintillator, or binned or interpolated?"
        )
    whole = scipy.fft.ifft2(np.sqrt(power)).real
    places = np.arange(-_SIZE, _SIZE + 1)
    kernel = whole[np.ix_(places, places)]
    return np.asarray(kernel / kernel.sum())


def decorrelated(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Images (..., H, W) without the kernel's blur, float32: multiplied by conj(F h) / |F h|^2.

    Nothing is regularised, since white noise is what is wanted, however strong. Beyond its edges an image is continued as if
    mirrored. Pixels that are NaN are filled from around them for the transform; they and their neighbours are NaN afterwards.
    """
    known = np.isfinite(images)
    filled = images if known.all() else np.where(known, images, _around(images, known))
    margins = [(0, 0)] * (images.ndim - 2) + [(min(_MARGIN, side - 1),) * 2 for side in images.shape[-2:]]
    padded = np.pad(filled, margins, mode="reflect")
    shape = padded.shape[-2:]
    places = np.arange(-(len(kernel) // 2), len(kernel) // 2 + 1)
    grid = np.zeros(shape)
    np.add.at(grid, np.ix_(places % shape[0], places % shape[1]), kernel)
    transform = scipy.fft.rfft2(grid)
    inverse = (np.conj(transform) / np.abs(transform) ** 2).astype(np.complex64)
    sharp = scipy.fft.irfft2(scipy.fft.rfft2(padded.astype(np.float32)) * inverse, shape)
    (top, _), (left, _) = margins[-2:]
    out = np.asarray(sharp[..., top : top + images.shape[-2], left : left + images.shape[-1]], dtype=np.float32)
    if not known.all():
        cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool).reshape((1,) * (images.ndim - 2) + (3, 3))
        out[binary_dilation(~known, cross)] = np.nan
    return out


def _around(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mean of known pixels within a distance that suffices."""
    filled = np.full(images.shape, np.nan)
    for size in (3, 7, 15, 31):
        window = (1,) * (images.ndim - 2) + (size, size)
        part = uniform_filter(known.astype(np.float64), window)
        mean = uniform_filter(np.where(known, images, 0.0).astype(np.float64), window)
        filled = np.where(np.isfinite(filled), filled, np.where(part > 1e-6, mean / np.maximum(part, 1e-6), np.nan))
    return np.where(np.isfinite(filled), filled, np.nanmean(images))
