"""Objects, masks and buckets made for these tests alone."""

from dataclasses import dataclass

import numpy as np

from analysis.ghost import reconstruct
from analysis.ghost.reconstructor import TimeBudgetTooShort


@dataclass(frozen=True)
class Scan:
    image: np.ndarray
    masks: np.ndarray
    clean: np.ndarray
    buckets: np.ndarray
    errors: np.ndarray


def blobs(shape, seed=0):
    """Bright rods and discs on a dark field, 0 to 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    size = max(shape)
    for _ in range(5):
        cy, cx = rng.uniform(0.2, 0.8, 2) * shape
        angle, length, width = rng.uniform(0, np.pi), rng.uniform(0.08, 0.2) * size, rng.uniform(0.05, 0.08) * size
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        distance = np.hypot(np.maximum(np.abs(along) - length, 0), across)
        image = np.maximum(image, rng.uniform(0.5, 1.0) * np.clip(width - distance + 0.5, 0, 1))
    return (image / max(image.max(), 1e-9)).astype(np.float32)


def scan_of(image, number, photons=None, seed=0, kind="gaussian"):
    """Buckets of an image behind random masks, with the noise of `photons` per open pixel (none: clean)."""
    rng = np.random.default_rng(seed)
    if kind == "gaussian":
        masks = np.abs(rng.normal(size=(number, *image.shape))).astype(np.float32)
    else:
        masks = (0.17 + 0.83 * (rng.random((number, *image.shape)) < 0.5)).astype(np.float32)
    clean = masks.reshape(number, -1).astype(np.float64) @ image.reshape(-1).astype(np.float64)
    if photons is None:
        return Scan(image, masks, clean, clean.copy(), np.ones(number))
    counts = rng.poisson(photons * clean)
    return Scan(image, masks, clean, counts / photons, np.sqrt(counts + 1) / photons)


def hadamard_masks(size):
    """All size^2 two-dimensional Hadamard patterns of zeros and ones, (size^2, size, size)."""
    one = np.array([[1.0]])
    while len(one) < size:
        one = np.block([[one, one], [one, -one]])
    return ((np.einsum("ai,bj->abij", one, one).reshape(-1, size, size) + 1) / 2).astype(np.float32)


def in_short_time(data, method, **options):
    """Reconstruct within 0.8 s, or as much longer as a busy machine needs."""
    for seconds in (0.8, 3.0, 12.0):
        try:
            return reconstruct(data.masks, data.buckets, method, time_budget_s=seconds, **options)
        except TimeBudgetTooShort:
            continue
    raise AssertionError("50 steps of a small network take longer than 12 s")
