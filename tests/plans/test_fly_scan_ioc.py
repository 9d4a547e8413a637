"""A fly scan on the simulated records, over Channel Access, with a file that is really written."""

import time
import warnings

import h5py
import numpy as np
import pytest
from bluesky.plans import count
from bluesky.utils import ProgressBarManager
from fly_session import POINTS, fly_beamline, rested_session

from beamline.statuses import CountedStatus
from plans.refusal import PlanRequestError

pytestmark = pytest.mark.ioc


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with fly_beamline(tmp_path_factory.mktemp("fly")) as running:
        yield running


@pytest.fixture
def session(running):
    with rested_session(running) as session:
        yield session


def test_every_frame_of_a_scan_is_announced_and_every_trigger_has_its_frame_and_its_place(session):
    session.scan()
    session.check_valid()
    assert session.stop["exit_status"] == "success"
    assert session.stop["num_events"] == {"frames": POINTS, "positions": POINTS}
    assert session.announced() == POINTS
    np.testing.assert_array_equal(session.numbers_in_file(), np.arange(1, POINTS + 1))
    forward = np.linspace(-1, 1, 10)
    np.testing.assert_allclose(session.position("x"), np.concatenate([forward, forward[::-1], forward]), atol=1e-6)
    np.testing.assert_allclose(session.position("y"), np.repeat([-1, 0, 1], 10), atol=1e-6)
    assert np.ptp(np.diff(session.position("time")[:10])) < 1e-6
    assert abs(session.position("time")[0] - time.time()) < 60


def test_the_log_holds_no_pixels_and_says_how_to_read_them(session):
    session.scan()
    frames, positions = session.of("descriptor")
    assert (frames["name"], positions["name"]) == ("frames", "positions")
    image, number = frames["data_keys"]["pixel_detector_image"], frames["data_keys"]["pixel_detector_number"]
    assert (image["shape"], image["dtype_numpy"], image["external"]) == ([1, 192, 192], "<u2", "STREAM:")
    assert (number["shape"], number["dtype_numpy"], number["external"]) == ([1], "<i8", "STREAM:")
    assert {key: value["dtype_numpy"] for key, value in positions["data_keys"].items()} == {
        "trigger_box_number": "<i8",
        "trigger_box_y": "<f8",
        "trigger_box_x": "<f8",
        "trigger_box_time": "<f8",
    }
    assert positions["data_keys"]["trigger_box_x"]["units"] == "um"
    assert {tuple(doc["parameters"]["chunk_shape"]) for doc in session.of("stream_resource")} == {(64,)}
    assert session.of("event") == []


def test_documents_come_while_the_scan_runs(session):
    seen = []
    session.engine.subscribe(lambda name, doc: seen.append((name, doc["indices"]["stop"])) if name == "stream_datum" else None)
    session.scan(rate_hz=20)
    assert len(set(seen)) > 3


def test_positions_are_those_of_the_middle_of_the_live_window_in_both_directions(session):
    session.scan(exposure_s=0.002)  # of 0.01 s
    forward = np.linspace(-1, 1, 10)
    np.testing.assert_allclose(session.position("x"), np.concatenate([forward, forward[::-1], forward]), atol=1e-6)


def test_an_overlap_decides_how_many_lines_and_points_there_are(session):
    session.scan(y_um=(-1, 1), x_um=(-2, 2), overlap=0.75)  # of a beam of 4.7 um
    (start,) = session.of("start")
    assert start["ptychography"]["grid"] == {"y_um": [-1.0, 1.0, 3], "x_um": [-2.0, 2.0, 5], "snake": True}
    session.check_valid()


def test_a_dose_decides_rate_and_exposure(session):
    session.scan(rate_hz=None, dose_um2=1e6, flux=1e7)
    (start,) = session.of("start")
    exposure_s = 1e6 * 1.0 * (2 / 9) / 1e7
    assert start["ptychography"]["exposure_s"] == pytest.approx(exposure_s)
    assert start["ptychography"]["rate_hz"] == pytest.approx(1 / exposure_s)
    session.check_valid()


def test_lines_that_all_run_forwards(session):
    session.scan(snake=False, y_um=(0, 0.5, 2))
    np.testing.assert_allclose(session.position("x"), np.tile(np.linspace(-1, 1, 10), 2), atol=1e-6)


def test_positions_are_in_the_coordinates_of_the_user_whatever_the_dial_says(session):
    offset = session.devices.sample_stage.x.user_offset
    offset.set(0.5).wait(5)
    try:
        session.scan(x_um=(499, 501, 10))
        np.testing.assert_allclose(session.position("x")[:10], np.linspace(499, 501, 10), atol=1e-6)
    finally:
        offset.set(0.0).wait(5)


def test_the_start_document(session):
    session.scan(md={"sample": "star", "technique": "mine"})
    (start,) = session.of("start")
    assert start.pop("uid") and start.pop("time") and start.pop("versions")
    assert start == {
        "scan_id": 1,
        "plan_type": "generator",
        "plan_name": "fly_scan",
        "plan_args": {
            "pixel_detector": "pixel_detector",
            "sample_stage": "sample_stage",
            "y_um": [-1.0, 1.0, 3],
            "x_um": [-1.0, 1.0, 10],
            "rate_hz": 100.0,
            "exposure_s": None,
            "overlap": None,
            "dose_um2": None,
            "flux": None,
            "snake": True,
            "trigger_box": "trigger_box",
            "shutter": "shutter",
            "recipes": None,
        },
        "technique": "mine",
        "detectors": ["pixel_detector"],
        "motors": ["sample_stage_y", "sample_stage_x"],
        "num_points": 30,
        "num_intervals": 29,
        "hints": {"dimensions": [(["time"], "positions")]},
        "ptychography": {
            "frames": {"stream": "frames", "image": "pixel_detector_image", "number": "pixel_detector_number"},
            "positions": {
                "stream": "positions",
                "number": "trigger_box_number",
                "y": "trigger_box_y",
                "x": "trigger_box_x",
                "monitor": None,
                "time": "trigger_box_time",
            },
            "shape": [192, 192],
            "grid": {"y_um": [-1.0, 1.0, 3], "x_um": [-1.0, 1.0, 10], "snake": True},
            "rate_hz": 100.0,
            "exposure_s": 0.01,
            "energy_kev": 11.1,
            "distance_mm": 10000.0,
            "detector_pixel_um": 100.0,
            "geometry": "far_field",
            "saturation_counts": 4095,
            "probe": {
                "zone_plate_diameter_um": 400.0,
                "outermost_zone_nm": 200.0,
                "central_stop_um": 160.0,
                "defocus_mm": 8.0,
            },
        },
        "sample": "star",
    }


def test_the_reconstructions_that_are_asked_for_stand_in_the_start_document(session):
    session.scan(recipes=["sums", {"method": "epie", "options": {"sweeps": 3}}])
    (start,) = session.of("start")
    assert start["recipes"] == [{"method": "sums", "options": {}}, {"method": "epie", "options": {"sweeps": 3}}]
    assert start["plan_args"]["recipes"] == start["recipes"]


def test_a_detector_in_a_step_scan_gives_stream_documents_too(session):
    session.engine(count([session.devices.pixel_detector], num=3))
    assert session.announced() == 3
    assert session.stop["num_events"] == {"primary": 3}
    with h5py.File(session.path) as file:
        assert len(file["/entry/data/data"]) == 3


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x_um": (-1, 1, 1)}, "the number in x_um must be 2"),
        ({"x_um": (-1, 1, 0)}, "the number in x_um must be 2"),
        ({"y_um": (-1, 1, 0)}, "the number in y_um must be 1"),
        ({"y_um": (-1, 1, 1)}, "y_um: 1 position from -1 to 1 um"),
        ({"x_um": (1, 1, 5)}, "x_um: 5 positions from 1 to 1 um"),
        ({"x_um": (-1, 1)}, r"x_um must be \(first, last, number\)"),
        ({"x_um": (-1, 1, 2.5)}, "whole number"),
        ({"x_um": (-1, NAN, 10)}, "nan is not a finite number"),
        ({"x_um": (-1, INF, 10)}, "inf is not a finite number"),
        ({"x_um": ("-1", 1, 10)}, "'-1' is not a finite number"),
        ({"x_um": (-1e9, 1, 10)}, "positions are in um"),
        ({"x_um": (-1, 1, 200_000)}, "must be 2 to 100000"),
        ({"rate_hz": 0}, "rate_hz must be"),
        ({"rate_hz": NAN}, "rate_hz must be"),
        ({"rate_hz": "fast"}, "rate_hz must be"),
        ({"rate_hz": 5000}, "max_rate_hz"),
        ({"exposure_s": 0.02}, "lower rate_hz below 50"),
        ({"exposure_s": -1}, "exposure_s must be"),
        ({"snake": "yes"}, "snake must be"),
        ({"x_um": (24_990, 25_000, 10)}, "soft limits.*run-up included|run-up included.*soft limits"),
        ({"y_um": (0, 30_000, 10)}, r"SAMPLE:Y would have to move .* \.HLM"),
        ({"md": {"ptychography": {}}}, "taken by the plan"),
        ({"shutter": "shutter"}, "is a name, not a device"),
        ({"trigger_box": "box"}, "is a name, not a device"),
        ({"recipes": "epie"}, "recipes must be a list"),
        ({"overlap": 1.0}, "overlap must be a part of the beam"),
        ({"overlap": 0.5}, "an overlap decides how many positions there are: leave out the number 3"),
        ({"overlap": 0.5, "y_um": (0,), "x_um": (0, 1)}, r"y_um must be \(first, last\)"),
        ({"rate_hz": None}, "fly_scan needs the exposures a second, or a dose"),
        ({"dose_um2": 1e6, "flux": 1e7}, "dose_um2 decides rate_hz and exposure_s"),
        ({"rate_hz": None, "dose_um2": 1e6}, "a dose needs the photons per second"),
        ({"rate_hz": None, "dose_um2": 100, "flux": 1e9}, "attenuate the beam, or take points further apart"),
        ({"rate_hz": None, "dose_um2": 1e6, "flux": 1e7, "y_um": (0, 0, 1)}, "a single line has no area"),
        ({"recipes": [{"options": {}}]}, "names no method"),
    ],
)
def test_what_is_impossible_is_said_before_anything_moves(session, changes, says):
    stage = session.devices.sample_stage
    before = stage.x.position, stage.y.position
    with pytest.raises(PlanRequestError, match=says):
        session.scan(**changes)
    assert session.documents == []
    assert (stage.x.position, stage.y.position) == before


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [(".VMAX", 0.01, "VMAX.*rate_hz below 45"), (".VBAS", 1.0, "VBAS"), (".EGU", "um", "EGU says 'um'")],
)
def test_what_the_stage_cannot_do_is_said_before_anything_moves(session, running, field, value, says):
    ioc, _, _ = running
    before = {".VMAX": 0.0, ".VBAS": 0.0, ".EGU": "mm"}[field]
    ioc.put(f"SAMPLE:X{field}", value)
    try:
        with pytest.raises(PlanRequestError, match=says):
            session.scan()
    finally:
        ioc.put(f"SAMPLE:X{field}", before)
    assert session.documents == []


def test_progress_counts_the_triggers_of_the_whole_scan(session):
    reports = []

    def watch(statuses):
        for status in statuses or ():
            if isinstance(status, CountedStatus):
                status.watch(lambda **report: reports.append(report))

    session.engine.waiting_hook = watch
    session.scan(rate_hz=20)
    counts = [report["current"] for report in reports]
    assert counts == sorted(counts) and counts[-1] == POINTS
    assert {(report["name"], report["target"], report["unit"]) for report in reports} == {("trigger_box", POINTS, "triggers")}


def test_bluesky_shows_the_progress_without_complaint(session):
    session.engine.waiting_hook = ProgressBarManager()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.scan()
