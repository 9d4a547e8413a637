"""Gain and read noise of a camera, from two images of one scene."""

from __future__ import annotations

import numpy as np
import pytest
from pair_runs import scene

from analysis.imaging.camera_noise import CameraNoise, camera_noise


@pytest.mark.parametrize(("gain", "read"), [(1.0, 2.0), (2.5, 5.0), (0.5, 0.0)])
def test_gain_and_read_noise_are_found(gain, read):
    rng = np.random.default_rng(2)
    truth = 200 * scene(256, seed=2)
    a, b = (gain * rng.poisson(truth) + read * rng.standard_normal(truth.shape) for _ in range(2))
    found = camera_noise(a, b)
    assert found.gain == pytest.approx(gain, rel=0.05)
    assert found.read_variance == pytest.approx(read**2, abs=max(2.0, 0.3 * read**2) * max(gain, 1))


def test_the_transform_makes_noise_the_same_everywhere_and_comes_back_without_bias():
    rng = np.random.default_rng(3)
    noise = CameraNoise(2.0, 9.0)
    for mean in (20.0, 100.0, 1000.0):
        counts = 2.0 * rng.poisson(mean / 2, 200_000) + 3.0 * rng.standard_normal(200_000)
        stabilised = noise.stabilised(counts)
        assert stabilised.std() == pytest.approx(1.0, abs=0.05)
        assert noise.counts(np.array([stabilised.mean()]))[0] == pytest.approx(mean, abs=0.5)


def test_noise_that_does_not_grow_with_light_has_no_gain():
    rng = np.random.default_rng(4)
    light = np.linspace(100, 1000, 64)[None, :].repeat(64, axis=0)
    a, b = (light + (2000 - light) / 50 * rng.standard_normal(light.shape) for _ in range(2))
    with pytest.raises(ValueError, match="the camera's gain cannot be told"):
        camera_noise(a, b)
