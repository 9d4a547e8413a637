"""Frames of the dual camera: what the noise is, what both halves share, and what faults do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sims.frame_messages import Take
from sims.frame_pairs import GAINS, OFFSET_PX, OFFSETS, READ_NOISE, PairOptions
from sims.pair_scenes import SCENES
from sims.triggers import Triggers

SENSOR = (96, 192)
WIDTH = 96
EXPOSURE_S = 0.04


def take(*numbers, acquisition=1, lit=True, place_um=(0.0, 0.0), **spoiled):
    made = np.array(numbers)
    y, x = (np.full(len(made), place) for place in place_um)
    return Take(acquisition, Triggers(made, made / 24, y, x, EXPOSURE_S), lit, spoiled)


def halves(frames):
    """Photons in both halves, as far as gain and offset are known."""
    counts = frames.astype(float)
    return [(counts[:, :, half * WIDTH :][:, :, :WIDTH] - OFFSETS[half]) / GAINS[half] for half in (0, 1)]


def correlation(first, second):
    return np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]


@pytest.mark.parametrize("scene", SCENES)
def test_a_half_shows_the_scene_with_the_noise_of_its_photons(scene):
    source = PairOptions(scene, photons=2500.0, sensor=SENSOR).source()
    first, second = halves(source.draw(take(5)))
    expected = source.truth(5) * 100 * source._light
    assert first[0].mean() == pytest.approx(expected.mean(), rel=0.02)
    assert correlation(first[0], expected) > 0.85
    assert correlation(second[0], source.truth(5, 1)) > 0.8
    residual = (first[0] - expected) / np.sqrt(expected + READ_NOISE**2 + 1 + (0.01 * expected) ** 2)
    assert residual.std() == pytest.approx(1.0, abs=0.05)


def test_the_scene_has_mean_1_and_no_negative_light():
    for scene in SCENES:
        truth = PairOptions(scene, sensor=SENSOR).source().truth(1)
        assert truth.min() >= 0 and truth.mean() == pytest.approx(1, abs=0.1)


def test_the_noise_of_the_halves_is_independent_and_white():
    source = PairOptions("nuclei", sensor=SENSOR).source()
    frames = np.stack([source.draw(take(1, acquisition=number))[0] for number in range(40)])
    first, second = (half - half.mean(axis=0) for half in halves(frames))
    assert abs(correlation(first, second)) < 0.01
    assert abs(correlation(first[:, 1:], first[:, :-1])) < 0.01
    assert abs(correlation(first[1:], first[:-1])) < 0.04  # -1/40: the mean was taken from the same frames


def test_behind_a_scintillator_the_noise_of_the_x_rays_is_common_to_both_halves():
    source = PairOptions("bars", photons=2500.0, sensor=SENSOR, scintillator=True).source()
    frames = np.stack([source.draw(take(1, acquisition=number))[0] for number in range(20)])
    first, second = (half - half.mean(axis=0) for half in halves(frames))
    assert correlation(first, second) > 0.2
    assert correlation(first[:, 1:], first[:, :-1]) > 0.2


def test_the_second_half_is_moved_by_a_part_of_a_pixel():
    source = PairOptions("texture", sensor=SENSOR).source()
    first, second = np.fft.fft2(source.truth(1, 0)), np.fft.fft2(source.truth(1, 1))
    down, right = np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)[None, :]
    low = (np.hypot(down, right) < 0.1) & (np.hypot(down, right) > 0.02)
    phase, weight = np.angle(second * first.conj())[low], np.abs(first)[low]
    slopes = np.stack([np.broadcast_to(down, low.shape)[low], np.broadcast_to(right, low.shape)[low]], axis=1)
    fitted, *_ = np.linalg.lstsq(slopes * weight[:, None], phase * weight, rcond=None)
    np.testing.assert_allclose(-fitted / (2 * np.pi), OFFSET_PX, atol=0.1)


def test_frames_are_repeated_to_the_last_count_and_no_two_are_alike():
    options = PairOptions("flow", sensor=SENSOR)
    frames = options.source().draw(take(1, 2, 3))
    np.testing.assert_array_equal(options.source().draw(take(3))[0], frames[2])
    assert not np.array_equal(options.source().draw(take(3, acquisition=2))[0], frames[2])
    assert not np.array_equal(frames[0], frames[1])


def test_the_flow_moves_and_the_others_do_not():
    for scene in SCENES:
        source = PairOptions(scene, sensor=SENSOR).source()
        assert np.array_equal(source.truth(1), source.truth(9)) == (scene != "flow")


def test_without_light_there_are_offsets_and_read_noise_alone():
    source = PairOptions("nuclei", sensor=SENSOR).source()
    dark = source.draw(take(1, lit=False))[0].astype(float)
    assert dark[:, :WIDTH].mean() == pytest.approx(OFFSETS[0], abs=0.2)
    assert dark[:, WIDTH:].mean() == pytest.approx(OFFSETS[1], abs=0.2)
    assert 2.0 < dark[:, :WIDTH].std() < 2.6


def test_a_sample_that_is_far_out_leaves_the_light_alone():
    source = PairOptions("bars", sensor=SENSOR).source()
    assert np.all(source.truth(1, place_um=(0, 6.5 * 200)) == 1)
    moved = source.truth(1, place_um=(0, 6.5 * 3))
    np.testing.assert_allclose(moved[:, 3:], source.truth(1)[:, :-3])


def test_a_half_that_is_out_of_focus_is_blurred_and_the_other_is_not():
    source = PairOptions("bars", photons=1e6, sensor=SENSOR).source()
    sharp, blurred = source.draw(take(1))[0], source.draw(take(1, blur_px=3.0))[0]
    assert correlation(sharp[:, :WIDTH], blurred[:, :WIDTH]) > 0.99
    truth = source.truth(1, 1)
    assert correlation(blurred[:, WIDTH:], gaussian_filter(truth, 3.0)) > correlation(blurred[:, WIDTH:], truth) + 0.02


def test_lag_leaves_a_part_of_a_frame_in_the_next_one():
    options = PairOptions("nuclei", sensor=SENSOR)
    plain, lagged = options.source().draw(take(1, 2)), options.source().draw(take(1, 2, lag=0.2))
    np.testing.assert_array_equal(plain[0], lagged[0])
    left = lagged[1].astype(float) - plain[1]
    assert left.mean() == pytest.approx(0.2 * (plain[0] - 100.0).mean(), rel=0.1)
    assert correlation(left, plain[0]) > 0.9


def test_counts_end_where_the_converter_does():
    source = PairOptions("nuclei", photons=1e8, sensor=SENSOR).source()
    assert source.draw(take(1)).max() == 65535
