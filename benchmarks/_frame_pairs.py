"""The common parts of the benchmarks of frame pairs: noisy scenes, figures of quality, and BM3D."""

from __future__ import annotations

import importlib.util

import numpy as np

from analysis.imaging.camera_noise import CameraNoise, camera_noise
from analysis.pairs.prepared import Pair
from sims.pair_scenes import make_scene

READ_NOISE = 2.0
WITHOUT_BM3D = "BM3D is not installed: pip install --no-deps bm3d bm4d, if its licence (no commercial use) suits you"


def truth_of(scene: str, side: int, photons: float) -> np.ndarray:
    """A scene (side, side) with the given mean number of photons per pixel, float64."""
    places = np.arange(side) - (side - 1) / 2
    light = make_scene(scene, (side, side), seed=0).draw(places, places, 0.0)
    return np.asarray(photons * light / light.mean())


def noisy_pair(truth: np.ndarray, seed: int) -> Pair:
    """Two images of it, with Poisson and read noise (eq. 1 of Yang and others, 2023, without its first term)."""
    rng = np.random.default_rng((seed, 18))
    a, b = (rng.poisson(truth) + READ_NOISE * rng.standard_normal(truth.shape) for _ in range(2))
    return Pair(a.astype(np.float32), b.astype(np.float32), np.ones(truth.shape, dtype=bool))


def error_db(image: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error, dB; neither scale nor offset is fitted."""
    return float(10 * np.log10(np.mean((image - truth) ** 2)))


def has_bm3d() -> bool:
    """Whether BM3D is installed."""
    return importlib.util.find_spec("bm3d") is not None


def bm3d_of_sum(pair: Pair) -> np.ndarray:
    """BM3D of the sum of a pair after an Anscombe transform, in counts of one image."""
    import bm3d

    noise = camera_noise(pair.a, pair.b)
    of_sum = CameraNoise(noise.gain, 2 * noise.read_variance)
    smooth = bm3d.bm3d(of_sum.stabilised(pair.a + pair.b), 1.0)
    return np.asarray(of_sum.counts(smooth) / 2)
