"""What the noise of a pair is like, and which denoisers it allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pair_runs import halves, scene
from scipy.ndimage import gaussian_filter

from analysis.pairs.independence import independence, independence_in_time

NEUTRONS = Path(__file__).parents[4] / "shared" / "data" / "frames_neutron_mcp.npz"


def behind_a_scintillator(truth: np.ndarray, x_rays: float, optical: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two halves that count `optical` photons of each X-ray photon."""
    rng = np.random.default_rng(seed)
    stopped = rng.poisson(x_rays * truth)
    return tuple(rng.poisson(optical * stopped) / optical for _ in range(2))


@pytest.mark.parametrize("photons", [100, 500, 5000])
def test_independent_noise_is_told_from_the_scene(photons):
    noise = independence(*halves(scene(192, seed=1), photons, 0))
    assert noise.refusal_of_pairs() is None and noise.refusal_of_blind_spots() is None
    assert abs(noise.along_y) < 0.05 and abs(noise.along_x) < 0.05


def test_common_noise_is_found_in_one_pair_and_in_a_series():
    truth = scene(192, seed=1)
    pairs = [behind_a_scintillator(truth, 200, 1.0, seed) for seed in range(4)]
    alone = independence(*pairs[0])
    assert alone.across == pytest.approx(0.5, abs=0.1)
    assert alone.refusal_of_pairs() is None and "a series of a static scene, would tell" in alone.doubt()
    series = independence_in_time(*map(np.stack, zip(*pairs, strict=True)))
    assert series.across == pytest.approx(0.5, abs=0.05)
    assert "% of the noise is common to both halves, so that one cannot be learned" in series.refusal_of_pairs()


def test_the_same_frame_twice_is_refused():
    a, _ = halves(scene(96), 500, 0)
    assert "are the same frame" in independence(a, a).refusal_of_pairs()


def test_correlated_neighbours_forbid_blind_spots_alone():
    rng = np.random.default_rng(0)
    truth = 500 * scene(192)
    a, b = (truth + 20 * gaussian_filter(rng.standard_normal(truth.shape), 0.6) for _ in range(2))
    noise = independence(a, b)
    assert noise.along_y > 0.3 and noise.refusal_of_pairs() is None
    assert "the noise of neighbouring pixels is correlated" in noise.refusal_of_blind_spots()


@pytest.mark.skipif(not NEUTRONS.exists(), reason="the measured neutron frames are not here")
def test_neutron_frames_are_pairs_and_no_blind_spots():
    frames = np.load(NEUTRONS)["frames"][4:6, 262:502, 8:248]
    noise = independence(*frames)
    assert noise.along_x == pytest.approx(0.39, abs=0.03) and noise.along_y == pytest.approx(0.28, abs=0.03)
    assert noise.refusal_of_pairs() is None
    assert noise.refusal_of_blind_spots().endswith("use a pair method")
