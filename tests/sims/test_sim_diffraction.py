"""The beam of the zone plate, the sample in it, and the photons that come of it."""

import numpy as np
import pytest

from sims.diffraction import FrameOptions, FrameSource
from sims.triggers import Triggers
from sims.zone_plate import Optics


@pytest.fixture(scope="module")
def source():
    return FrameSource(FrameOptions())


def triggers(count, x_um=0.0, exposure_s=5e-4, first=1):
    numbers = np.arange(first, first + count)
    return Triggers(numbers, numbers * 5e-4, np.zeros(count), np.full(count, x_um), exposure_s)


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
