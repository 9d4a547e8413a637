"""Denoisers, and what tells that one has made something up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from analysis.imaging.deep_image_prior import deep_image_prior
from analysis.imaging.denoise import noise_of, non_local_means, total_variation
from analysis.imaging.hallucination import AMPLIFIED, check_denoised

RNG = np.random.default_rng(0)
TRUTH = (gaussian_filter(RNG.standard_normal((64, 64)), 4) > 0).astype(np.float32)
NOISY = (TRUTH + 0.3 * RNG.standard_normal(TRUTH.shape)).astype(np.float32)


@pytest.mark.parametrize("denoise", [total_variation, non_local_means])
def test_what_has_learned_nothing_brings_the_image_nearer_to_the_truth(denoise) -> None:
    assert np.std(denoise(NOISY) - TRUTH) < 0.7 * 0.3
    assert check_denoised(NOISY, denoise(NOISY)).passed


def test_the_noise_is_found_whatever_the_image() -> None:
    assert noise_of(NOISY) == pytest.approx(0.3, rel=0.1)


def test_the_prior_stops_at_the_noise_and_gives_the_same_bits_again() -> None:
    made = [deep_image_prior(NOISY, learning_rate=3e-3, max_steps=400, seed=1) for _ in range(2)]
    assert made[0].steps < 400 and made[0].loss <= 0.3**2 * 1.2
    assert made[0].image.tobytes() == made[1].image.tobytes()


def test_an_architecture_or_image_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of arch1, arch2"):
        deep_image_prior(NOISY, architecture="arch3")
    with pytest.raises(ValueError, match="hold finite numbers"):
        deep_image_prior(np.full((8, 8), np.nan))


def test_a_lattice_is_found_and_that_of_the_scan_named() -> None:
    column = np.arange(64)
    lattice = 0.2 * (np.cos(2 * np.pi * column / 8)[None, :] + np.cos(2 * np.pi * column / 8)[:, None])
    found = check_denoised(NOISY, NOISY + lattice, pitch_px=(8.0, 8.0))
    assert not found.passed and found.pitch_peaks
    assert "lattice" in found.remarks[0] and "8" in found.remarks[0]
    assert check_denoised(NOISY + lattice, NOISY + lattice).passed  # it was there before


def test_a_texture_without_sharp_peaks_is_found() -> None:
    rows, columns = np.indices(TRUTH.shape)
    patches = gaussian_filter(RNG.standard_normal(TRUTH.shape), 4)
    drawn = gaussian_filter(NOISY, 1) + 2 * patches * (-1.0) ** (rows + columns)
    found = check_denoised(NOISY, drawn)
    assert found.amplified > AMPLIFIED and not found.passed
    assert any("times the power of its input at periods of 1.4" in remark for remark in found.remarks)


def test_structure_that_went_with_the_noise_is_told() -> None:
    assert "structure may have gone" in check_denoised(NOISY, gaussian_filter(NOISY, 5)).remarks[-1]
