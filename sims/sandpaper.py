"""Sandpaper in the beam: random speckles of one grain size, at another place of the sheet for every exposure."""

from __future__ import annotations

import numpy as np

from beamline.mask_designs import make_plate
from beamline.mask_plate import MaskPlate

_THICKNESS = 3.0  # mean absorbance in its own standard deviations; the thinnest 0.1 % is taken as empty


def sandpaper(num: int, size: int, seed: int, *, grain_px: float = 1.0, contrast: float = 0.3) -> np.ndarray:
    """Return the transmissions of several places of a sheet of sandpaper.

    Parameters
    ----------
    num : int
        Number of places; each is drawn independently of the others.
    size : int
        Rows and columns of a place, in pixels.
    seed : int
    grain_px : float
        Full width at half maximum of the speckles' autocorrelation, in pixels.
    contrast : float
        Standard deviation of the transmission divided by its mean.

    Returns
    -------
    array, shape (num, size, size), float32
        0 to 1. The absorbance is a Gaussian field: the sum of the absorbances of many overlapping grains.
    """
    if not (grain_px > 0 and contrast > 0):
        raise ValueError(f"grain_px and contrast must be above 0, not {grain_px!r} and {contrast!r}")
    lag = np.fft.fftfreq(size, 1 / size)
    along = np.exp(-4 * np.log(2) * (lag / grain_px) ** 2)
    # the square root of the power spectrum that belongs to this autocorrelation
    gain = np.sqrt(np.maximum(np.fft.fft(along).real, 0.0)).astype(np.float32)
    white = np.random.default_rng(seed).standard_normal((num, size, size), dtype=np.float32)
    field = np.fft.ifft2(np.fft.fft2(white) * gain[:, None] * gain).real
    spread = np.sqrt(np.log1p(contrast**2))
    return np.exp(-spread * np.maximum(field + _THICKNESS, 0.0)).astype(np.float32)


def sandpaper_plate(num: int, size: int, seed: int, pixel_size_um: float = 150.0) -> MaskPlate:
    """Return places of a sheet as a plate, so that it can be scanned like a mask plate."""
    return make_plate("sandpaper", sandpaper(num, size, seed), pixel_size_um, modulation_depth=1.0)
