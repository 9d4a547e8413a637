"""The beam of the zone plate, the sample in it, and the photons that come of it."""

import numpy as np
import pytest

from sims.counting import CountedFrames, Counting, limited_counts
from sims.diffraction import FrameOptions, FrameSource
from sims.triggers import Triggers
from sims.zone_plate import Optics


@pytest.fixture(scope="module")
def source():
    return FrameSource(FrameOptions())


def triggers(count, x_um=0.0, exposure_s=5e-4, first=1, moved_um=(0.0, 0.0)):
    numbers = np.arange(first, first + count)
    moved = np.repeat(np.array(moved_um)[:, None], count, axis=1)
    return Triggers(numbers, numbers * 5e-4, np.zeros(count), np.full(count, x_um), exposure_s, moved)


def test_the_beam_is_a_cone_with_a_hole_and_as_wide_as_geometry_says():
    optics = Optics()
    assert optics.pixel_um == pytest.approx(0.0582, abs=1e-4)
    probe = optics.probe()
    assert np.sum(np.abs(probe) ** 2) == pytest.approx(1.0, abs=1e-5)
    far = np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe), norm="ortho"))) ** 2
    radius = np.hypot(*(np.indices(probe.shape) - 96))
    # half the cone's angle, wavelength / (2 x outermost zone), reaches 28 pixels of the detector; the stop hides 40 % of that
    assert far[(radius < 10) | (radius > 29)].sum() < 1e-6
    on_sample = np.abs(probe) ** 2
    width_um = 8000 * optics.wavelength_um / 0.2  # defocus times the cone's full angle
    assert on_sample[radius * optics.pixel_um < width_um / 2 + 0.3].sum() > 0.9
    assert np.abs(np.sum(on_sample * (np.arange(192) - 96))) < 0.5  # centred


def test_empty_places_send_the_whole_beam_straight_on_and_gold_scatters(source):
    radius = np.hypot(*(np.indices(source.shape) - 96))
    empty, star = source.intensity(15.0, 15.0), source.intensity(0.0, 0.0)
    assert empty.sum() == pytest.approx(1.0, abs=1e-4) and empty[radius > 29].sum() < 1e-6
    assert 0.9 < star.sum() < 1.0 and 0.02 < star[radius > 29].sum() < 0.3


def test_moving_the_stage_moves_the_sample_by_as_much(source):
    pixel = Optics().pixel_um
    near, far = source.intensity(0.0, 0.5 * pixel - 0.001), source.intensity(0.0, 2 * pixel)
    np.testing.assert_array_equal(near, source.intensity(0.0, 0.0))
    assert np.abs(far - near).sum() > 0.01


def test_counts_are_poisson_numbers_of_the_intensity_and_the_exposure(source):
    frames = source.frames(0, triggers(400)).astype(float)
    expected = source.intensity(0.0, 0.0) * 20_000
    bright = expected > 2
    assert frames.sum(axis=(1, 2)).mean() == pytest.approx(expected.sum(), rel=0.005)
    for part in (bright, ~bright):
        assert frames.mean(axis=0)[part].sum() == pytest.approx(expected[part].sum(), rel=0.01)
        # the variance is the mean, pixel by pixel
        assert frames.var(axis=0, ddof=1)[part].sum() == pytest.approx(expected[part].sum(), rel=0.02)
    pulls = (frames.mean(axis=0) - expected)[bright] / np.sqrt(expected[bright] / 400)
    assert pulls.std() == pytest.approx(1.0, abs=0.1)
    assert source.frames(0, triggers(50, exposure_s=1e-3)).sum() == pytest.approx(2 * expected.sum() * 50, rel=0.01)


def test_a_frame_depends_on_its_number_and_acquisition_and_not_on_the_batch(source):
    together = source.frames(3, triggers(4))
    alone = np.concatenate([source.frames(3, triggers(1, first=number)) for number in (1, 2, 3, 4)])
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(together[0], together[1])
    assert not np.array_equal(source.frames(4, triggers(1))[0], together[0])


def test_without_light_frames_are_empty(source):
    assert source.frames(0, triggers(2), lit=False).sum() == 0


def test_patterns_recycle_64_frames_by_number():
    source = FrameSource(FrameOptions(mode="pattern", sample="fibres"))
    frames = source.frames(0, triggers(128))
    np.testing.assert_array_equal(frames[:64], frames[64:])
    assert len({frame.tobytes() for frame in frames[:64]}) == 64
    assert int(frames[0].sum()) == pytest.approx(20_000, rel=0.05)
    np.testing.assert_array_equal(source.frames(7, triggers(1, first=65))[0], frames[0])


PIXEL = Optics().pixel_um


def test_motion_during_an_exposure_is_the_incoherent_sum_along_its_path_in_either_direction(source):
    places = [source.intensity(0.0, column * PIXEL) for column in (-1, 0, 1)]
    blurred = source.intensity(0.0, 0.0, (0.0, 3 * PIXEL))
    np.testing.assert_allclose(blurred, np.mean(places, axis=0), rtol=1e-5)
    np.testing.assert_allclose(source.intensity(0.0, 0.0, (0.0, -3 * PIXEL)), blurred, rtol=1e-5)
    assert source.intensity(15.0, 15.0, (1.0, 2.0)).sum() == pytest.approx(1.0, abs=1e-4)  # no photon is lost
    frames = source.frames(0, triggers(300, moved_um=(0.0, 3 * PIXEL))).mean(axis=0)
    expected = blurred * 20_000
    bright = expected > 2
    pulls = (frames - expected)[bright] / np.sqrt(expected[bright] / 300)
    assert pulls.std() == pytest.approx(1.0, abs=0.1)
    assert frames.sum() == pytest.approx(expected.sum(), rel=0.005)


def test_an_extended_source_washes_fringes_out_and_keeps_all_photons():
    coherent, partial = (FrameSource(FrameOptions(source_um=size)) for size in (0.0, 2 * PIXEL))
    sharp, washed = coherent.intensity(0.0, 0.0), partial.intensity(0.0, 0.0)
    assert washed.sum() == pytest.approx(sharp.sum(), rel=0.02)
    radius = np.hypot(*(np.indices(sharp.shape) - 96))
    scattered = (radius > 31) & (radius < 60)
    contrast = [np.std(pattern[scattered]) / np.mean(pattern[scattered]) for pattern in (sharp, washed)]
    assert contrast[1] < 0.8 * contrast[0]
    weighted = sum(
        y_share * x_share * coherent.intensity(y * PIXEL, x * PIXEL)
        for y, y_share in ((-3, 1 / 6), (0, 2 / 3), (3, 1 / 6))
        for x, x_share in ((-3, 1 / 6), (0, 2 / 3), (3, 1 / 6))
    )  # the square root of three times two pixels is rounded to three
    np.testing.assert_allclose(washed, weighted, rtol=1e-4, atol=1e-9)


def test_a_pixel_counts_no_more_than_once_a_dead_time():
    photons = np.array([0, 10, 100, 10_000, 1_000_000])
    counted = limited_counts(photons, 1e-3, 1e-6)
    np.testing.assert_array_equal(counted, [0, 10, 91, 909, 999])
    assert (np.diff(limited_counts(np.arange(2000), 1e-3, 1e-6)) >= 0).all()


def test_a_beam_that_is_too_bright_saturates_and_a_dim_one_does_not(source):
    limited = Counting(dead_time_s=1e-5)
    expected = source.intensity(0.0, 0.0)
    for flux in (4e7, 4e9):
        frames = FrameSource(FrameOptions(flux=flux, counting=limited)).frames(0, triggers(20))
        rate = flux * expected
        assert frames.max() <= 50  # an exposure of 500 us
        np.testing.assert_allclose(frames.mean(axis=0), rate * 5e-4 / (1 + rate * 1e-5), rtol=0.1, atol=2.5)
        bright = rate * 1e-5 > 1  # where more is lost than counted
        assert bright.any() == (flux == 4e9)


def test_sixteen_bits_overflow_to_the_largest_number():
    frames = CountedFrames(Counting(dead_time_s=0.0), (2, 2), 0)
    counts = frames.frame(np.array([3, 65534, 65535, 10**7]), 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(counts, [3, 65534, 65535, 65535])


def test_dead_pixels_count_nothing_and_hot_ones_count_in_the_dark():
    counting = Counting(dead_pixels=5, hot_pixels=3)
    source = FrameSource(FrameOptions(counting=counting, seed=4))
    dead, hot = counting.odd_pixels(source.shape, 4)
    lit, dark = (source.frames(0, triggers(20), lit=lit).reshape(20, -1) for lit in (True, False))
    assert (lit[:, dead] == 0).all() and (lit[:, hot].mean(axis=0) > 30).all()
    assert set(np.flatnonzero(dark.any(axis=0))) == set(hot)
    assert dark[:, hot].mean() == pytest.approx(50, rel=0.2)
    others = np.setdiff1d(np.arange(lit.shape[1]), np.concatenate([dead, hot]))
    plain = FrameSource(FrameOptions(seed=4)).frames(0, triggers(20)).reshape(20, -1)
    np.testing.assert_array_equal(lit[:, others], plain[:, others])


@pytest.mark.parametrize("bad", [{"dead_pixels": -1}, {"hot_pixels": -1}, {"dead_time_s": -1e-9}])
def test_what_no_detector_is_like_is_refused(bad):
    with pytest.raises(ValueError, match="must be 0"):
        Counting(**bad)
