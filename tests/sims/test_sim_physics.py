from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.physics import BUCKET, MONITOR, Beam, Counter, expose, open_beam_ratio

STEADY = Beam.steady(photons=1e4)


def many(num, **options):
    """Bucket and monitor counts of many exposures, shape (num, 2)."""
    arguments = {"beam": STEADY, "bucket": BUCKET, "monitor": MONITOR, "overlap": 100.0, "num_pixels": 1024, "seconds": 0.1}
    exposures = [expose(**(arguments | options), index=index) for index in range(num)]
    return np.array([(counts.bucket, counts.monitor) for counts in exposures])


def test_the_open_beam_ratio_is_one():
    assert open_beam_ratio() == 1.0
    counts = many(400, overlap=1024.0).mean(axis=0) - [20, 5]
    assert counts[0] / counts[1] == pytest.approx(1.0, abs=3e-4)


def test_without_mask_and_sample_noise_is_that_of_the_quanta():
    counts = many(4000)
    expected = np.array([0.9 * 1e3 * 100 + 20, 0.9 * 1e3 * 1024 + 5])
    np.testing.assert_allclose(counts.mean(axis=0), expected, rtol=1e-3)
    np.testing.assert_allclose(counts.var(axis=0), expected, rtol=0.1)
    assert abs(np.corrcoef(counts.T)[0, 1]) < 0.06


def test_gain_multiplies_counts_and_adds_no_information():
    plain, loud = many(2000), many(2000, bucket=Counter(efficiency=0.9, gain=10.0, dark_hz=0.0))
    assert loud[:, 0].std() / loud[:, 0].mean() == pytest.approx(plain[:, 0].std() / plain[:, 0].mean(), rel=0.1)
    assert loud[:, 0].var() == pytest.approx(10 * loud[:, 0].mean(), rel=0.1)


def test_in_the_dark_only_dark_counts_are_left():
    counts = many(1000, lit=0.0)
    np.testing.assert_allclose(counts.mean(axis=0), [20, 5], rtol=0.05)


def test_half_the_light_gives_half_the_counts():
    half, full = (many(50, lit=lit).mean(axis=0) - [20, 5] for lit in (0.5, 1.0))
    np.testing.assert_allclose(half / full, 0.5, rtol=5e-3)


def test_counts_are_cut_at_the_converters_highest_frequency():
    assert (many(10, bucket=Counter(efficiency=0.9, ceiling_hz=5e5))[:, 0] == 5e4).all()
    assert (many(10, saturated=True)[:, 0] == 1e7).all()
    # A diode far too sensitive still sees that it is dark.
    assert (many(10, saturated=True, lit=0.0)[:, 0] < 100).all()


@given(st.integers(0, 10_000), st.integers(0, 100), st.floats(1e-3, 10), st.floats(0, 4096), st.floats(0, 1))
def test_the_same_exposure_gives_the_same_whole_numbers(index, seed, seconds, overlap, lit):
    def once():
        return expose(
            Beam(), BUCKET, MONITOR, overlap, 4096, seconds=seconds, lit=lit, time_s=index * seconds, index=index, seed=seed
        )

    counts = once()
    assert counts == once()
    assert counts.bucket == int(counts.bucket) >= 0 and counts.monitor == int(counts.monitor) >= 0


def test_seed_and_index_choose_other_random_numbers():
    assert len({tuple(counts) for counts in many(50)}) == 50
    assert not np.array_equal(many(5, seed=1), many(5, seed=2))


def test_the_ring_decays_and_is_topped_up():
    beam = Beam()
    currents = [beam.ring_current(t) for t in (0, 60, 179.9, 180)]
    assert currents[0] == currents[3] == 400.0
    assert currents[0] > currents[1] > currents[2] > 395


def test_the_beam_wanders_slowly_and_flickers_fast_and_the_monitor_sees_both():
    beam = Beam(photons=1e8)
    flux = np.array([beam.intensity(t, seed=0) for t in np.arange(0, 400, 0.5)])
    assert 0.01 < np.ptp(flux) < 0.03
    assert np.sort(np.abs(np.diff(flux)))[-3] < 0.001  # apart from two top-ups
    counts = many(500, beam=beam, bucket=replace(BUCKET, ceiling_hz=1e12))
    assert counts[:, 1].std() / counts[:, 1].mean() == pytest.approx(beam.flicker, rel=0.2)
    ratio = counts[:, 0] / counts[:, 1]
    assert ratio.std() / ratio.mean() < beam.flicker / 5


@pytest.mark.parametrize("photons", [0, -1, float("nan"), float("inf"), 1e20])
def test_impossible_photons_are_refused(photons):
    with pytest.raises(ValueError, match="photons per second must be above 0"):
        Beam(photons=photons)


@pytest.mark.parametrize(
    "options",
    [
        {"efficiency": 0},
        {"efficiency": 1.5},
        {"gain": 0},
        {"gain": float("nan")},
        {"dark_hz": -1},
        {"ceiling_hz": 0},
        {"field": 0},
    ],
)
def test_impossible_counters_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Counter(**({"efficiency": 0.5} | options))
