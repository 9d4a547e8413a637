"""By how much two noisy images of one scene are shifted, to a fraction of a pixel, and an image shifted by so much."""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter

_STEPS = 50  # parts of a pixel that are told apart
_LOOKS = 5
_WRAP = 16  # pixels beyond the edge over which a shifted image is continued
_SIGMA = 2.0  # pixels of the Gaussian that makes likeness visible in noise


def shift_between(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """By how much (y, x) to shift image b (H, W) so that it lies on image a, in pixels.

    Guizar-Sicairos, Thurman and Fienup, Opt. Lett. 33, 156 (2008), after a Hann window and without normalisation: where noise is
    white, the strongest frequencies are the best known. The window stays where it is when b is shifted, which pulls the result
    towards zero: so what is left after a shift is looked for again. Some 0.03 pixels at 1000 photons a pixel.
    """
    from skimage.registration import phase_cross_correlation

    window = np.hanning(a.shape[0])[:, None] * np.hanning(a.shape[1])[None, :]
    total = np.zeros(2)
    for _ in range(_LOOKS):
        moved = shifted(b, (float(total[0]), float(total[1])))
        windowed = [(image - (image * window).sum() / window.sum()) * window for image in (a, moved)]
        step, _, _ = phase_cross_correlation(*windowed, normalization=None, upsample_factor=_STEPS)
        total += step
        if np.abs(step).max() < 1 / _STEPS or (np.abs(total) >= a.shape).any():
            break
    return float(total[0]), float(total[1])


def shifted(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Return an image (H, W) shifted by (y, x) pixels, float32: in Fourier space, so that white noise stays white.

    Beyond its edges the image is taken to go on as if mirrored there.
    """
    if shift == (0.0, 0.0):
        return image.astype(np.float32)
    margins = [min(side - 1, int(np.ceil(abs(step))) + _WRAP) for side, step in zip(image.shape, shift, strict=True)]
    padded = np.pad(image.astype(np.float32), [(margin, margin) for margin in margins], mode="reflect")
    height, width = padded.shape
    turn = np.exp(-2j * np.pi * shift[0] * np.fft.fftfreq(height))[:, None]
    turn = turn * np.exp(-2j * np.pi * shift[1] * np.fft.rfftfreq(width))[None, :]
    moved = scipy.fft.irfft2(scipy.fft.rfft2(padded) * turn.astype(np.complex64), s=padded.shape)
    return np.asarray(moved[margins[0] : height - margins[0], margins[1] : width - margins[1]], dtype=np.float32)


def likeness(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Correlation of two images (H, W) that lie on each other, without their finest details, and how large it is by chance."""
    smooth = [gaussian_filter(image.astype(np.float64), _SIGMA) for image in (a, b)]
    patches = a.size / (4 * np.pi * _SIGMA**2)
    spread = smooth[0].std() * smooth[1].std()
    if spread == 0:
        return 0.0, 1.0
    return float(((smooth[0] - smooth[0].mean()) * (smooth[1] - smooth[1].mean())).mean() / spread), float(patches**-0.5)
