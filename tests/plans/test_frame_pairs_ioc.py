"""Series of frame pairs on the simulated records, with real files."""

import numpy as np
import pytest
from pair_session import IMAGE, NUMBER, PairSession
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import dark_flat_series, static_series

pytestmark = pytest.mark.ioc
SENSOR = (32, 64)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beamline")
    make_plate("small", hadamard(8), 10.0).save(folder / "plate.npz")
    with soft_ioc("--dual-sensor", "32", "64", plate=folder / "plate.npz", speed=10.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=folder,
            dual_camera={"sensor": SENSOR, "frame_timeout_s": 1.0, "saturation_counts": 65535},
            shutter={"timeout_s": 2},
        )
        devices = make_devices(config)
        connect(devices, 20)
        yield ioc, devices


@pytest.fixture
def session(running):
    return PairSession(running[1])


def test_a_series_comes_while_it_is_taken_into_a_file_of_its_own(session):
    session.engine(session.plan(num=48))
    session.check_valid()
    assert session.announced() == 48
    np.testing.assert_array_equal(session.numbers(), np.arange(1, 49))
    frames = session.frames()
    assert frames.shape == (48, *SENSOR) and frames.dtype == np.uint16
    assert len(session.of("stream_datum")) > 2, "all at once"
    (start,) = session.of("start")
    assert start["pairs"] == {
        "frames": {"stream": "frames", "image": IMAGE, "number": NUMBER},
        "pairing": "halves",
        "halves": [[0, 32, 0, 32], [0, 32, 32, 64]],
        "shape": [32, 64],
        "darks": None,
        "flats": None,
        "static": False,
        "rate_hz": 24.0,
        "exposure_s": 1 / 24,
        "pixel_um": 6.5,
        "saturation_counts": 65535,
    }
    assert {doc["data_key"]: doc["parameters"]["chunk_shape"] for doc in session.of("stream_resource")} == {
        IMAGE: [1],
        NUMBER: [64],
    }


def test_darks_and_flats_are_streams_of_the_same_run(session):
    session.engine(session.plan(num=6, darks=4, flats=5, out_um=(0, 1000)))
    session.check_valid()
    assert [session.announced(stream) for stream in ("darks", "flats", "frames")] == [4, 5, 6]
    for stream, num in (("darks", 4), ("flats", 5), ("frames", 6)):
        np.testing.assert_array_equal(session.numbers(stream), np.arange(1, num + 1))
    darks, flats, frames = (session.frames(stream).astype(float) for stream in ("darks", "flats", "frames"))
    assert darks.mean() < 105 and flats.mean() > 150
    # Without the sample the light has no structure but its own.
    assert (flats.mean(axis=0)[:, :32] - darks.mean()).std() < 0.5 * (frames.mean(axis=0)[:, :32] - darks.mean()).std()
    assert session.devices.sample_stage.x.user_readback.get() == pytest.approx(0, abs=1e-6), "the sample is back"


def test_a_run_may_hold_darks_and_flats_alone(session):
    session.engine(session.plan(dark_flat_series, darks=3, flats=2, out_um=(0, 0)))
    session.check_valid()
    (start,) = session.of("start")
    assert start["plan_name"] == "dark_flat_series" and start["pairs"]["kind"] == "dark_flat"
    assert [session.announced(stream) for stream in ("darks", "flats")] == [3, 2]


def test_a_static_series_says_so(session):
    session.engine(session.plan(static_series, num=4))
    (start,) = session.of("start")
    assert start["plan_name"] == "static_series" and start["pairs"]["kind"] == "static" and start["pairs"]["static"]
    assert session.announced() == 4
