"""Whether a denoised image holds what its input does not: lattices, textures; and whether structure went with the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter, median_filter, uniform_filter

_STANDS_OUT = 25.0  # times the median power around: noise, distributed as chi squared, does so once in 10^7 pixels
AMPLIFIED = 1.5
"""Power of a band of frequencies over that in the input from which on a denoiser has added some: taking away leaves 1."""

_BAND = 9  # Fourier pixels wide
_CORRELATED = 5.0  # standard errors of a correlation
_COARSE = 4  # cycles across the image: slower ones are its own shape


@dataclass(frozen=True)
class Checks:
    """What was found in a denoised image.

    Attributes
    ----------
    lattice : tuple of (float, float)
        Frequencies (y, x), cycles a pixel, of peaks that stand out of the spectrum, and did not in the input's.
    pitch_peaks : int
        How many of them are those of the scan, or multiples of it.
    amplified : float
        Largest power of the denoised image over that of its input, of bands of frequencies beyond the coarsest: a denoiser takes
        power away, and where it adds some it has drawn a texture, which needs no sharp peaks. Where the input has less power
        than was removed of a band on the average, over that: sharper edges are no texture.
    texture : (float, float)
        The frequency (y, x) of that band, cycles a pixel.
    residual_correlation : float
        Largest correlation of what was removed with itself one pixel further, in standard errors; 0 for white noise.
    """

    lattice: tuple[tuple[float, float], ...]
    pitch_peaks: int
    amplified: float
    texture: tuple[float, float]
    residual_correlation: float

    @property
    def passed(self) -> bool:
        """Whether nothing was found. What is removed from correlated noise is correlated; this is taken into account."""
        return not self.lattice and self.amplified < AMPLIFIED

    @property
    def remarks(self) -> list[str]:
        """What people should know, in sentences."""
        remarks = []
        if self.lattice:
            periods = ", ".join(f"{1 / np.hypot(*peak):.3g}" for peak in self.lattice[:4])
            remarks.append(f"the denoised image holds a lattice that its input doesn't, with periods of {periods} pixels")
        if self.amplified >= AMPLIFIED:
            period = 1 / np.hypot(*self.texture)
            remarks.append(
                f"the denoised image has {self.amplified:.3g} times the power of its input at periods of {period:.3g} pixels"
            )
        if self.pitch_peaks:
            remarks.append("a lattice has the pitch of the scan")
        if self.residual_correlation > _CORRELATED:
            remarks.append("what was removed is no white noise: structure may have gone with it")
        return remarks


def check_denoised(image: np.ndarray, denoised: np.ndarray, *, pitch_px: tuple[float, float] | None = None) -> Checks:
    """Look for what a denoiser has made up, or taken away.

    Parameters
    ----------
    image, denoised : ndarray, (H, W)
        Before and after.
    pitch_px : (float, float), optional
        Distance of lines and points of the scan, pixels.
    """
    before, after = _standing_out(image), _standing_out(denoised)
    new = after & ~maximum_filter(before, 3)
    height, width = image.shape
    rows, columns = np.nonzero(new)
    frequencies = [
        (float(y), float(x)) for y, x in zip(np.fft.fftfreq(height)[rows], np.fft.fftfreq(width)[columns], strict=True) if y >= 0
    ]
    pitch = 0 if pitch_px is None else sum(_is_multiple(peak, pitch_px, (height, width)) for peak in frequencies)
    amplified, texture = _amplified(image, denoised)
    removed = image.astype(np.float64) - denoised
    removed -= removed.mean()
    variance = float((removed**2).mean()) or 1.0
    neighbours = [(removed[1:] * removed[:-1]).mean() / variance, (removed[:, 1:] * removed[:, :-1]).mean() / variance]
    return Checks(tuple(frequencies), pitch, amplified, texture, float(max(map(abs, neighbours)) * np.sqrt(image.size)))


def _amplified(image: np.ndarray, denoised: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The largest ratio of powers after and before, and at which frequency."""
    before, after = (uniform_filter(_power(one), _BAND, mode="wrap") for one in (image, denoised))
    least = max(float(_power(image.astype(np.float64) - denoised).mean()), 1e-30)
    ratio = np.where(_index(image.shape) > _COARSE + _BAND, after / np.maximum(before, least), 0.0)
    row, column = np.unravel_index(ratio.argmax(), ratio.shape)
    frequency = float(np.fft.fftfreq(image.shape[0])[row]), float(np.fft.fftfreq(image.shape[1])[column])
    return float(ratio[row, column]), frequency


def _power(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None, :]
    return np.asarray(np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2)


def _index(shape: tuple[int, ...]) -> np.ndarray:
    """Cycles across the image of each Fourier pixel."""
    height, width = shape
    return np.asarray(np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None, :] * width))


def _standing_out(image: np.ndarray) -> np.ndarray:
    """Fourier pixels, bool (H, W), that are local maxima far above what is around them."""
    power = _power(image)
    around = median_filter(power, size=9, mode="wrap")
    peak = (power > _STANDS_OUT * around) & (power == maximum_filter(power, 5, mode="wrap")) & (_index(image.shape) > _COARSE)
    return np.asarray(peak)


def _is_multiple(peak: tuple[float, float], pitch: tuple[float, float], shape: tuple[int, int]) -> bool:
    off = [abs(frequency * step - round(frequency * step)) / step for frequency, step in zip(peak, pitch, strict=True)]
    return all(distance * size < 1 for distance, size in zip(off, shape, strict=True))
