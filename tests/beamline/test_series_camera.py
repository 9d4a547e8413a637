"""A camera that takes series, on fake records: how it is set up."""

import pytest
from ophyd.sim import make_fake_device

from beamline.frames.dual_camera import DualCamera
from beamline.frames.frame_camera import DetectorError
from beamline.frames.values import FrameSeries

SERIES = FrameSeries(num=10, taken=4, exposure_s=0.01, period_s=0.02, shape=(4, 6))


@pytest.fixture
def camera():
    fake = make_fake_device(DualCamera)(
        "DUAL:",
        name="dual_camera",
        frames_dir="/data/frames",
        halves=None,
        sensor=(4, 6),
        pixel_um=1.0,
        max_rate_hz=50,
        frame_timeout_s=0.3,
    )
    fake.cam.acquire.pvname = "DUAL:cam1:Acquire_RBV"  # which fake signals lack
    fake.cam.acquire.sim_put(1)
    fake.cam.acquire.sim_set_putter(lambda *_, **__: None)  # busy, whatever it is told
    fake.hdf1.height.sim_put(4)
    fake.hdf1.width.sim_put(6)
    return fake


def test_a_camera_that_stays_busy_fails_the_preparation_in_words_and_holds_nobody_up(camera):
    status = camera.prepare(SERIES)
    assert not status.done
    with pytest.raises(DetectorError, match="dual_camera does not come to rest: DUAL:cam1:Acquire_RBV stays 1"):
        status.wait(5)


def test_it_is_set_up_as_soon_as_it_is_at_rest(camera):
    status = camera.prepare(SERIES)
    camera.cam.acquire.sim_put(0)
    status.wait(5)
    assert (camera.cam.num_images.get(), camera.taken.get(), camera.expected.get()) == (6, 4, 10)
