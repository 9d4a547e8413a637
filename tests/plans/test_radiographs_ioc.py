"""Radiographs and tomographic scans on the simulated records, with real files."""

import threading

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from radiograph_session import IMAGE, IMAGES, NUMBER, NUMBERS, RadiographSession
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import dark_flat_series, static_series
from plans.fly_stubs import StageFailed

pytestmark = pytest.mark.ioc
SENSOR = (16, 48)
OUT = (0, 1000)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beamline")
    make_plate("small", hadamard(8), 10.0).save(folder / "plate.npz")
    with soft_ioc("--xray-sensor", "16", "48", plate=folder / "plate.npz", speed=10.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=folder,
            xray_camera={"sensor": SENSOR, "frame_timeout_s": 1.0, "saturation_counts": 65535},
            shutter={"timeout_s": 2},
        )
        devices = make_devices(config)
        connect(devices, 20)
        yield ioc, devices


@pytest.fixture
def session(running):
    running[0].clear_faults()
    session = RadiographSession(running[1])
    yield session
    running[0].clear_faults()
    session.check_at_rest()


def test_a_series_with_darks_flats_and_static_frames(session):
    session.engine(session.series(num=12, darks=3, flats=4, static=5, out_um=OUT, md={"sample": "foam"}))
    (start,) = session.of("start")
    assert (start["plan_name"], start["technique"], start["num_points"]) == ("radiograph_series", "radiographs", 12)
    assert start["radiographs"] == {
        "frames": {"stream": "frames", "image": IMAGE, "number": NUMBER},
        "shape": [16, 48],
        "darks": "darks",
        "flats": "flats",
        "static": "static",
        "angles": None,
        "kernel": None,
        "rate_hz": 10.0,
        "exposure_s": 0.1,
        "pixel_um": 10.0,
        "saturation_counts": 65535,
    }
    for stream, num in (("darks", 3), ("flats", 4), ("static", 5), ("frames", 12)):
        np.testing.assert_array_equal(session.read(stream, NUMBERS), np.arange(1, num + 1))
    darks, flats, frames = (session.read(stream, IMAGES).mean() for stream in ("darks", "flats", "frames"))
    assert darks < 105 < frames < 0.8 * flats


def test_static_series_measures_with_one_half_and_checks_with_the_other(session):
    session.engine(session.series(static_series, num=8))
    (start,) = session.of("start")
    assert start["radiographs"]["kind"] == "static" and start["radiographs"]["static"] == "static"
    assert len(session.read("static", NUMBERS)) == len(session.read("frames", NUMBERS)) == 4
    with pytest.raises(ValueError, match="take an even number"):
        session.series(static_series, num=7)


def test_darks_and_flats_alone(session):
    session.engine(session.series(dark_flat_series, darks=2, flats=3, out_um=OUT))
    (start,) = session.of("start")
    assert start["radiographs"]["kind"] == "dark_flat" and start["num_points"] == 5
    assert len(session.read("darks", NUMBERS)) == 2 and len(session.read("flats", NUMBERS)) == 3


def test_a_scan_that_flies_in_interlaced_rounds_with_flats_between_them(session):
    asked = {"num": 12, "rounds": 2, "order": "interlaced", "rate_hz": 10.0, "darks": 1, "flats": 2, "when": "between"}
    session.engine(session.tomo(**asked, out_um=OUT, recipes=["fbp"]))
    assert session.stop["exit_status"] == "success"
    forth, back = np.arange(6) * 30.0, np.arange(6)[::-1] * 30.0 + 15
    np.testing.assert_allclose(session.angles(), np.concatenate([forth, back]), atol=0.1)
    np.testing.assert_array_equal(session.read("frames", NUMBERS), np.arange(1, 13))
    np.testing.assert_array_equal(session.read("darks", NUMBERS), np.arange(1, 4))
    np.testing.assert_array_equal(session.read("flats", NUMBERS), np.arange(1, 7))
    (start,) = session.of("start")
    entry = start["radiographs"]
    assert entry["angles"] == {"stream": "angles", "number": "angle_box_number", "angle": "angle_box_angle"}
    assert entry["rotation"] == {"mode": "fly", "order": "interlaced", "rounds": 2, "first_deg": 0.0, "span_deg": 180.0}
    assert (start["plan_name"], start["num_points"], start["motors"]) == ("tomo_scan", 12, ["rotation_stage_angle"])
    # The sample turned while it was seen: no two frames are the same but for noise.
    frames = session.read("frames", IMAGES).astype(float)
    assert np.abs(frames[0] - frames[3]).mean() > 3 * np.abs(frames[6] - frames[7]).mean() / 3


def test_a_scan_that_steps_in_golden_order(session):
    session.engine(session.tomo(num=5, mode="step", exposure_s=0.1, order="golden", darks=0, flats=2, when="after", out_um=OUT))
    golden = (np.arange(5) * (np.sqrt(5) - 1) / 2 % 1) * 180
    np.testing.assert_allclose(session.angles(), golden, atol=1e-3)
    np.testing.assert_array_equal(session.read("frames", NUMBERS), np.arange(1, 6))
    assert len(session.read("flats", NUMBERS)) == 2


@pytest.mark.parametrize("mode", [{"mode": "step", "exposure_s": 0.5}, {"mode": "fly", "rate_hz": 2.0}])
def test_a_pause_with_two_ctrl_c_loses_no_angle_and_an_abort_leaves_a_valid_scan(session, mode):
    session.at_angle(2, lambda: session.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.tomo(num=8, darks=0, flats=0, **mode))
    assert session.comes_true(lambda: not session.devices.shutter.is_open), "open while paused"
    session.engine.resume()
    for angle in np.arange(8) * 22.5:
        assert np.abs(session.angles() - angle).min() < 0.1
    assert len(session.read("frames", NUMBERS)) == len(session.angles()) < 17
    session.check_at_rest()

    again = RadiographSession(session.devices)
    again.at_angle(2, lambda: again.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        again.engine(again.tomo(num=8, darks=0, flats=0, **mode))
    again.engine.abort()
    assert again.stop["exit_status"] == "abort"
    assert 2 <= len(again.read("frames", NUMBERS)) == len(again.angles()) < 8


def test_a_rotation_that_stalls_ends_the_scan_with_a_sentence(session, running, monkeypatch):
    monkeypatch.setattr(session.devices.rotation_stage, "move_timeout_s", 1.0)
    session.at_angle(2, lambda: threading.Thread(target=running[0].put, args=("FAULT:StalledAxis", 5)).start())
    with pytest.raises(StageFailed, match=r"the angle .* degrees was not reached.*is an axis stalled"):
        session.engine(session.tomo(num=8, mode="step", exposure_s=0.5, darks=0, flats=0))
    running[0].put("FAULT:StalledAxis", 0)
    assert session.stop["exit_status"] == "fail" and len(session.read("frames", NUMBERS)) >= 2


ASKED = [
    ({"num": 1, "rate_hz": 10}, "num must be 2 to"),
    ({"num": 4}, "rate_hz: mode='fly' needs"),
    ({"num": 4, "rate_hz": 500}, r"\[xray_camera\] max_rate_hz"),
    ({"num": 4, "mode": "step"}, "exposure_s: mode='step' needs"),
    ({"num": 4, "mode": "step", "rate_hz": 2}, "rate_hz is for mode='fly'"),
    ({"num": 4, "rate_hz": 10, "span_deg": 3.14159}, r"looks like radians.*such as 180"),
    ({"num": 4, "rate_hz": 10, "span_deg": 0}, "angles must not repeat"),
    ({"num": 4, "rate_hz": 10, "span_deg": 720}, "angles must not repeat"),
    ({"num": 4, "rate_hz": 10, "first_deg": float("nan")}, "first_deg must be an angle in degrees"),
    ({"num": 5, "rate_hz": 10, "order": "interlaced", "rounds": 2}, "take num=6 and rounds=2"),
    ({"num": 4, "rate_hz": 10, "order": "golden"}, "take mode='step'"),
    ({"num": 4, "rate_hz": 10, "order": "random"}, "order must be one of"),
    ({"num": 4, "rate_hz": 10, "rounds": 3}, "leave 1"),
    ({"num": 4, "rate_hz": 10, "flats": 1}, "out_um must say where"),
    ({"num": 4, "rate_hz": 10, "angle_box": "box"}, "is a name, not a device"),
    ({"num": 4, "rate_hz": 10, "md": {"radiographs": {}}}, "taken by the plan"),
]


@pytest.mark.parametrize(("asked", "says"), ASKED)
def test_what_cannot_be_done_is_refused_where_the_plan_is_called(session, asked, says):
    with pytest.raises(ValueError, match=says):
        session.tomo(**({"flats": 0} | asked))
    assert session.documents == []
