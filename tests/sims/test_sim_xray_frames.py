"""Frames of the simulated X-ray camera, without an IOC."""

import numpy as np
import pytest

from beamline.mask_designs import hadamard, make_plate
from sims.etched_plate import EtchedPlate, Etching
from sims.frame_messages import Take
from sims.triggers import Triggers
from sims.xray_frames import AXIS_PX, OFFSET, XrayOptions

SENSOR = (24, 64)


def taken(source, numbers=(1,), *, place_um=(0.0, 0.0), angle=0.0, exposure_s=1.0, lit=True, **spoiled):
    count = len(numbers)
    y_um, x_um = (np.full(count, place) for place in place_um)
    triggers = Triggers(np.array(numbers), np.zeros(count), y_um, x_um, exposure_s, angles_deg=np.full(count, angle))
    return source.draw(Take(1, triggers, lit, spoiled)).astype(float)


def test_counts_are_those_of_the_light_that_the_foam_leaves():
    source = XrayOptions(sensor=SENSOR, photons=4000.0, seed=1).source()
    flat = taken(source, range(1, 41), place_um=(0.0, 700.0)).mean(axis=0) - OFFSET
    seen = taken(source, range(41, 81), angle=30.0).mean(axis=0) - OFFSET
    good = flat > 1000
    assert 1 < np.count_nonzero(~good) < 3 * SENSOR[0], "a line is dead, and few pixels beside it"
    attenuation = -np.log(np.where(good, seen / np.where(good, flat, 1), 1))
    expected = -np.log(source.transmission(1, 30.0, (0.0, 0.0)))
    inner = good & (np.abs(np.arange(64) - 31.5 - AXIS_PX) < 20)  # edges of the body are blurred
    assert np.corrcoef(attenuation[inner], expected[inner])[0, 1] > 0.98
    assert taken(source, lit=False).mean() == pytest.approx(OFFSET, abs=1)


def test_a_frame_depends_on_its_number_alone_and_lag_and_drift_show():
    source = XrayOptions("bed", sensor=SENSOR, seed=2).source()
    np.testing.assert_array_equal(taken(source, [5]), taken(source, [4, 5])[1:])
    assert np.abs(taken(source, [5]) - taken(source, [6])).mean() > 1
    totals = taken(source, range(1, 11), place_um=(0.0, 700.0), drift=0.05).mean(axis=(1, 2))
    assert np.ptp(totals) / totals.mean() > 0.08
    steady, lagging = (taken(source, range(1, 21), place_um=(0.0, 700.0), lag=lag) for lag in (0.0, 0.4))
    assert _neighbours(lagging) > _neighbours(steady) + 0.2


def _neighbours(frames: np.ndarray) -> float:
    """Correlation of the noise of one frame and the next."""
    noise = (frames - frames.mean(axis=0))[:, :, 5:20]
    return float(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1])


def test_masks_are_seen_magnified_and_there_is_no_plate_far_out():
    plate = make_plate("small", hadamard(8), 10.0)
    options = XrayOptions("masks", sensor=(48, 48), pixel_um=2.0, plate=EtchedPlate(plate, Etching(0.0, 0.0)))
    source = options.source()
    for index in (3, 9):
        y_mm, x_mm = plate.positions_mm[index]
        seen = source.transmission(1, 0.0, (1000 * y_mm, 1000 * x_mm))
        middle = seen[4:44, 4:44].reshape(8, 5, 8, 5).mean(axis=(1, 3))
        assert np.corrcoef(middle.ravel(), plate.patterns[index].ravel())[0, 1] > 0.7
    beyond_um = 1000 * plate.positions_mm[:, 0].min() - 90
    assert (source.transmission(1, 0.0, (beyond_um, 0.0)) == 1).all()
