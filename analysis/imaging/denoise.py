"""Denoisers that have learned nothing, to stand beside every network: total variation and non-local means."""

from __future__ import annotations

import numpy as np


def total_variation(image: np.ndarray, noise: float | None = None) -> np.ndarray:
    """An image (H, W) with the least total variation for its distance to the given one, float32.

    Chambolle, J. Math. Imaging Vis. 20, 89 (2004); the weight is the noise's deviation, by default what the finest
    details show.
    """
    from skimage.restoration import denoise_tv_chambolle

    sigma = noise_of(image) if noise is None else noise
    return np.asarray(denoise_tv_chambolle(image, weight=sigma, eps=1e-5, max_num_iter=500), dtype=np.float32)


def non_local_means(image: np.ndarray, noise: float | None = None) -> np.ndarray:
    """An image (H, W) of which each pixel is the mean of those with like surroundings, float32.

    Buades, Coll and Morel, CVPR (2005), with 5x5 pixels compared in 13x13; the noise's deviation is by default what the
    finest details show.
    """
    from skimage.restoration import denoise_nl_means

    sigma = noise_of(image) if noise is None else noise
    smooth = denoise_nl_means(image, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True)
    return np.asarray(smooth, dtype=np.float32)


def noise_of(image: np.ndarray) -> float:
    """Standard deviation of the white noise of an image: 1.48 times the median of the finest diagonal details."""
    details = (image[1:, 1:] - image[1:, :-1] - image[:-1, 1:] + image[:-1, :-1]) / 2
    return float(np.median(np.abs(details)) / 0.6745)
