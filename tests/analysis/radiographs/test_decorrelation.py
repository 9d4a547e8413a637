"""Noise behind a simulated scintillator: its correlation is measured, and undone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.radiographs.correlation import LAGS, Correlation, correlation_by_differences, correlation_by_mean
from analysis.radiographs.kernel import decorrelated, kernel_of
from sims.radiographs import FlatPanel, moving_bed

SHAPE = (128, 128)
SCENE = moving_bed(SHAPE, 1, 20, seed=1)
NEUTRONS = Path(__file__).parents[4] / "shared/data/frames_neutron_mcp.npz"


def static(panel: FlatPanel, number: int = 50, seed: int = 0, photons: float = 1000.0) -> np.ndarray:
    return panel.frames(np.repeat(SCENE, number, axis=0), photons, seed)


def residual(panel: FlatPanel, kernel: np.ndarray) -> float:
    """What is left of the summed correlation in other frames than those that the kernel was measured with."""
    return correlation_by_differences(decorrelated(static(panel, seed=9), kernel)).summed_percent


@pytest.mark.parametrize("decay", [0.5, 0.645, 0.8])
@pytest.mark.parametrize("read_noise", [0.0, 6.0])
def test_correlated_noise_becomes_white(decay: float, read_noise: float) -> None:
    panel = FlatPanel(decay, read_noise)
    found = correlation_by_differences(static(panel))
    assert found.summed_percent > 100
    assert abs(residual(panel, kernel_of(found))) < 5


def test_a_scintillator_correlates_by_some_350_percent() -> None:
    assert correlation_by_differences(static(FlatPanel())).summed_percent == pytest.approx(361, abs=15)


def test_a_beam_that_swings_counts_in_the_mean_alone() -> None:
    panel = FlatPanel(drift=0.03)
    frames = static(panel)
    assert correlation_by_mean(frames).summed_percent > 500
    found = correlation_by_differences(frames)
    assert found.summed_percent == pytest.approx(361, abs=15)
    assert abs(residual(panel, kernel_of(found))) < 5
    stable = static(FlatPanel())
    assert correlation_by_mean(stable).summed_percent == pytest.approx(361, abs=15)


def test_dividing_by_the_power_of_the_kernel_deconvolves_twice() -> None:
    panel = FlatPanel()
    frames = static(panel)
    kernel = kernel_of(correlation_by_differences(frames))
    once = decorrelated(frames, kernel)
    twice = decorrelated(once, kernel)  # F(I) / |F(h)|^2, the kernel being symmetric
    assert abs(correlation_by_differences(once).summed_percent) < 5
    assert correlation_by_differences(twice).summed_percent < -70
    assert np.diff(twice, axis=0).std() > 2 * np.diff(once, axis=0).std()


def test_the_optical_kernel_leaves_noise_correlated_where_there_is_read_noise() -> None:
    panel = FlatPanel(read_noise=12.0)
    measured = kernel_of(correlation_by_differences(static(panel)))
    assert abs(residual(panel, measured)) < 5
    assert residual(panel, panel.kernel()) < -20


def test_the_mean_of_an_image_stays() -> None:
    frames = static(FlatPanel())
    sharp = decorrelated(frames, kernel_of(correlation_by_differences(frames)))
    assert sharp.mean() == pytest.approx(frames.mean(), rel=1e-3)


def test_dead_pixels_and_lines_stay_out_of_it() -> None:
    dead = np.zeros(SHAPE, bool)
    dead[40], dead[:, 70], dead[20, 20] = True, True, True
    frames = static(FlatPanel(dead=dead))
    frames[:, dead] = np.nan
    found = correlation_by_differences(frames)
    assert found.summed_percent == pytest.approx(361, abs=15)
    sharp = decorrelated(frames, kernel_of(found))
    assert np.isnan(sharp[0, [19, 20, 21, 20, 20], [20, 19, 20, 21, 20]]).all() and np.isfinite(sharp[0, 24, 24])
    assert abs(correlation_by_differences(sharp).summed_percent) < 5


def test_what_does_not_tell_the_correlation_is_refused() -> None:
    with pytest.raises(ValueError, match="1 static frames are too few"):
        correlation_by_differences(static(FlatPanel(), 1))
    small = FlatPanel().frames(np.ones((2, 24, 24)), 1000.0, 0)
    with pytest.raises(ValueError, match="too few static frames"):
        kernel_of(correlation_by_differences(small))
    with pytest.raises(ValueError, match="the static frames move"):
        correlation_by_differences(FlatPanel().frames(moving_bed(SHAPE, 20, 20, seed=1, speed_px=2.0), 1000.0, 0))
    with pytest.raises(ValueError, match="all the same"):
        correlation_by_differences(np.repeat(static(FlatPanel(), 1), 3, axis=0))


def test_a_kernel_whose_inverse_is_noise_alone_is_refused() -> None:
    lag = np.exp(-0.5 * np.arange(-LAGS, LAGS + 1) ** 2 / 2.0)
    with pytest.raises(ValueError, match=r"transform falls below 0\.05"):
        kernel_of(Correlation(np.outer(lag, lag), 10**8))


@pytest.mark.skipif(not NEUTRONS.exists(), reason="the neutron frames of iBeatles are not here")
def test_real_neutron_frames_are_decorrelated() -> None:
    with np.load(NEUTRONS) as file:
        frames = file["frames"][4:6, 262:502, 8:248]
    found = correlation_by_differences(frames)
    assert found.summed_percent == pytest.approx(253, abs=60)
    assert abs(correlation_by_differences(decorrelated(frames, kernel_of(found))).summed_percent) < 15
