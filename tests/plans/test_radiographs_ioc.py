"""Radiographs and tomographic scans on the simulated records, with real files."""

import threading

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from fly_session import IMAGES, NUMBERS
from radiograph_session import IMAGE, NUMBER, RadiographSession
from soft_ioc import soft_ioc

from analysis.documents.frame_folders import allow_frames
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.techniques import technique_of
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.drive import Drive
from analysis.worker.pace import Points
from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import dark_flat_series, mask_calibration, raster_scan, static_series
from plans.fly_stubs import StageFailed
from sims.radiograph_scenes import foam
from sims.xray_frames import AXIS_PX

pytestmark = pytest.mark.ioc
SENSOR = (16, 48)
OUT = (0, 1000)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beamline")
    plate = make_plate("small", hadamard(8), 10.0)
    plate.save(folder / "plate.npz")
    with soft_ioc("--xray-sensor", "16", "48", plate=folder / "plate.npz", speed=10.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=folder,
            xray_camera={"sensor": SENSOR, "frame_timeout_s": 1.0, "saturation_counts": 65535},
            shutter={"timeout_s": 2},
        )
        devices = make_devices(config)
        connect(devices, 20)
        devices.mask_stage.mount(plate)
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


def test_all_frames_of_a_static_series_are_of_one_stream(session):
    session.engine(session.series(static_series, num=7))
    (start,) = session.of("start")
    assert start["radiographs"]["kind"] == "static" and start["radiographs"]["static"] == "frames"
    assert len(session.read("frames", NUMBERS)) == start["num_points"] == start["plan_args"]["num"] == 7
    assert {doc["name"] for doc in session.of("descriptor")} == {"frames"}


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


def test_slices_come_of_a_scan_whose_frames_lie_in_several_files(session, tmp_path):
    asked = {"num": 48, "rounds": 3, "order": "interlaced", "rate_hz": 10.0, "darks": 4, "flats": 8, "when": "around"}
    session.engine(session.tomo(**asked, out_um=OUT))
    (folder,) = {path.parent for path in session.files()}
    allow_frames(tmp_path, folder)
    (start,) = session.of("start")
    run = technique_of(start).open(start, ReferenceStore(tmp_path))
    drive = Drive(run, Recipe("fbp"), lambda: iter(session.documents[1:]), Points())
    (final,) = drive.estimates()
    assert drive.ledger.used == 48 and drive.ledger.normalisation["flats"] == 16
    assert final.estimate.figures["centre"] == pytest.approx((SENSOR[1] - 1) / 2 + AXIS_PX, abs=0.7)
    truth = foam(SENSOR, seed=1).slice(SENSOR[1], height=0.5)
    found = final.estimate.arrays["slice"]
    assert np.corrcoef(found[4:-4, 4:-4].ravel(), truth[4:-4, 4:-4].ravel())[0, 1] > 0.8


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


def test_masks_are_recorded_in_order_with_their_places_and_a_foam_is_none(session, tmp_path):
    stage = session.devices.mask_stage
    asked = {"indices": [5, 2, 9], "exposures": 3, "darks": 2, "flats": 2, "out_um": (-500, 0), "monitor": session.devices.diode}
    session.engine(mask_calibration(session.devices.xray_camera, stage, "small", shutter=session.devices.shutter, **asked))
    (start,) = session.of("start")
    entry = start["masks"]
    assert (start["technique"], start["num_points"], start["mask_set"]) == ("mask_calibration", 9, stage.plate.identity)
    assert (entry["mask_set"], entry["order"], entry["exposures"]) == (stage.plate.identity, [5, 2, 9], 3)
    np.testing.assert_array_equal(session.read("frames", NUMBERS), np.arange(1, 10))
    assert len(session.read("flats", NUMBERS)) == 2
    (positions,) = [doc["uid"] for doc in session.of("descriptor") if doc["name"] == "positions"]
    seen = [doc["data"]["mask_stage_index"] for doc in session.of("event") if doc["descriptor"] == positions]
    assert seen == [5, 2, 9]
    monitored = [doc["data"][entry["positions"]["monitor"]] for doc in session.of("event") if doc["descriptor"] == positions]
    assert min(monitored) > 1000

    (folder,) = {path.parent for path in session.files()}
    allow_frames(tmp_path, folder)
    MaskStore(tmp_path).save(stage.plate)
    run = technique_of(start).open(start, ReferenceStore(tmp_path))
    drive = Drive(run, Recipe("mask_calibration"), lambda: iter(session.documents[1:]), Points())
    with pytest.raises(RunRefused, match="do not look like the masks"):  # the scene is a foam
        list(drive.estimates())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"masks": "large"}, "plate 'large' is asked for"),
        ({"exposures": 0}, "exposures must be 1 to"),
        ({"indices": [1, 1]}, "mask 1 comes more than once"),
        ({"indices": [64]}, "64"),
        ({"indices": []}, "indices"),
        ({"indices": [1.5]}, "whole number"),
        ({"indices": 3}, "indices"),
        ({"flats": 0}, "flats"),
        ({"flats": 1.5}, "flats"),
        ({"darks": -1}, "darks"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"rate_hz": 1e5}, "rate_hz"),
        ({"exposure_s": 5}, "exposure_s"),
        ({"out_um": (0, 0)}, "mask 27 is in the light"),
        ({"out_um": (1e9, 0)}, "beyond the limits"),
        ({"out_um": 5}, "out_um"),
        ({"camera": "diode"}, "camera"),
        ({"masks": None}, "masks"),
        ({"monitor": "diode"}, "monitor: 'diode' is a name"),
        ({"monitor": True}, "monitor: xrf_spectrometer has no incident-beam monitor"),
        ({"out_um": None}, "out_um must say where mask_stage takes the plate out of the light"),
        ({"camera": "dual_camera"}, 'pairing = "consecutive"'),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_where_it_is_called(session, changes, says):
    here = session.devices
    asked = {"camera": "xray_camera", "masks": "small", "out_um": (-500, 0)} | changes
    camera = getattr(here, asked.pop("camera"))
    if asked.get("monitor") is True:
        asked["monitor"] = here.xrf_spectrometer
    with pytest.raises(ValueError, match=says):
        mask_calibration(camera, here.mask_stage, asked.pop("masks"), shutter=here.shutter, **asked)


@pytest.mark.parametrize(("mode", "lines"), [("step", 2), ("step", 1), ("fly", 2)])
def test_a_raster_scan_measures_each_point_with_the_pencil_beam(session, mode, lines):
    here = session.devices
    y_um = (-5, 5, 2) if lines == 2 else (0, 0, 1)
    detectors = [here.xrf_spectrometer, here.diode]
    asked = {"y_um": y_um, "x_um": (-15, 15, 4), "exposure": 1.0, "pinhole": here.pinhole, "shutter": here.shutter}
    session.engine(raster_scan(detectors, here.sample_stage, mode=mode, **asked))
    (start,) = session.of("start")
    entry, events = start["raster"], [doc["data"] for doc in session.of("event")]
    places = np.array([[data[entry["y"]], data[entry["x"]]] for data in events])
    if mode == "step":
        x = np.array([-15.0, -5, 5, 15])
        expected = [(0.0, x)] if lines == 1 else [(-5.0, x), (5.0, x[::-1])]
        np.testing.assert_allclose(places, [(y, one) for y, row in expected for one in row], atol=0.01)
    for y in np.linspace(*y_um):
        assert len(places[np.abs(places[:, 0] - y) < 0.1]) >= 1  # in flight, fewer where readings take long
    assert all(data["xrf_spectrometer_spectra"].sum() > 0 for data in events)
    assert here.pinhole.get() == 0, "the pinhole is out again"
    assert here.sample_stage.x.velocity.get() == 2.0


@pytest.mark.parametrize("ending", ["abort", "halt"])
def test_the_pinhole_leaves_the_beam_and_the_shutter_closes_however_a_raster_scan_ends(session, ending):
    here = session.devices
    session.once("event", lambda doc: doc["seq_num"] == 2, lambda: session.pause(defer=False))
    points = {"y_um": (0, 0, 1), "x_um": (-15, 15, 4), "exposure": 0.5}
    with pytest.raises(RunEngineInterrupted):
        session.engine(raster_scan([here.diode], here.sample_stage, **points, pinhole=here.pinhole, shutter=here.shutter))
    assert here.pinhole.get() == 1
    getattr(session.engine, ending)()
    assert session.comes_true(lambda: here.pinhole.get() == 0 and not here.shutter.is_open)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y_um": (0, 10, 1)}, "one position begins and ends"),
        ({"x_um": (0, 1)}, r"x_um must be \(first, last, number\)"),
        ({"mode": "fly", "x_um": (0, 0, 1)}, "the number in x_um must be 2 to"),
        ({"mode": "walk"}, "mode must be one of step, fly"),
        ({"x_um": (0, 30_000, 4)}, r"SAMPLE:X would have to move .*\.HLM"),
        ({"pinhole": "pinhole"}, "is a name, not a device"),
        ({"exposure": 0}, "exposure must be"),
        ({"x_um": (0, float("nan"), 3)}, "x_um"),
        ({"x_um": (0, 10, 2.5)}, "x_um"),
        ({"x_um": (0, 10, 10**6)}, "x_um"),
        ({"x_um": (0, 0, 3)}, "x_um"),
        ({"snake": "yes"}, "snake"),
    ],
)
def test_a_raster_scan_that_cannot_be_is_refused_where_it_is_called(session, changes, says):
    here = session.devices
    asked = {"y_um": (0, 0, 1), "x_um": (-15, 15, 4), "exposure": 0.1} | changes
    with pytest.raises(ValueError, match=says):
        raster_scan([here.diode], here.sample_stage, **asked)


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
