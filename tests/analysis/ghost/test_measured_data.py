"""A real single-pixel acquisition, where its file is at hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from analysis.ghost import reconstruct

FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "jaszczak_haar.npz"


def inverse_haar(coefficients):
    """Images (..., 64, 64) of two-dimensional orthonormal Haar coefficients in the nested layout."""
    image = coefficients[..., :8, :8]
    for size in (8, 16, 32):
        across = -coefficients[..., :size, size : 2 * size]
        down = -coefficients[..., size : 2 * size, :size]
        both = coefficients[..., size : 2 * size, size : 2 * size]
        finer = np.empty((*image.shape[:-2], 2 * size, 2 * size))
        finer[..., 0::2, 0::2] = image + down + across + both
        finer[..., 0::2, 1::2] = image + down - across - both
        finer[..., 1::2, 0::2] = image - down + across - both
        finer[..., 1::2, 1::2] = image - down - across + both
        image = finer / 2
    return image


@pytest.fixture(scope="module")
def acquisition():
    if not FILE.exists():
        pytest.skip(f"the measured data are not here: {FILE}")
    with np.load(FILE) as file:
        coefficients, camera = file["coefficients"].astype(float), file["ccd"].astype(float)
    masks = inverse_haar(np.eye(4096).reshape(4096, 64, 64)).astype(np.float32)
    return masks, coefficients.ravel(), camera.reshape(64, 2, 64, 2).mean(axis=(1, 3))


def likeness(image, camera):
    """Best correlation with the camera's picture over the ways that it may be turned and a few pixels of shift."""
    turned = [np.rot90(flip, turn) for flip in (camera, camera[::-1]) for turn in range(4)]
    spectrum = np.fft.fft2(image - image.mean())
    best = 0.0
    for picture in turned:
        smooth = ndimage.gaussian_filter(picture - picture.mean(), 0.5)
        match = np.fft.ifft2(spectrum * np.fft.fft2(smooth).conj()).real
        best = max(best, float(match.max() / np.sqrt(np.sum((image - image.mean()) ** 2) * np.sum(smooth**2))))
    return best


def test_the_coarse_masks_give_the_inverse_transform_but_for_the_finest_scale(acquisition):
    masks, buckets, _ = acquisition
    expected = inverse_haar(buckets.reshape(64, 64))
    coarse = np.flatnonzero((np.arange(4096) // 64 < 32) & (np.arange(4096) % 64 < 32))
    image = reconstruct(masks[coarse], buckets[coarse], "least_squares").image
    blocks = expected.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(image.reshape(32, 2, 32, 2).mean(axis=(1, 3)), blocks, rtol=1e-3, atol=1e-3 * expected.max())


def test_an_eighth_of_the_masks_gives_the_target(acquisition):
    masks, buckets, camera = acquisition
    chosen = np.sort(np.argsort(-np.abs(buckets), kind="stable")[:512])
    image = reconstruct(masks[chosen], buckets[chosen], "tv", max_iterations=200).image
    assert likeness(image, camera) > 0.8
