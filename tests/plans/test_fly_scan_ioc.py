"""A fly scan on the simulated records, over Channel Access, with a file that is really written."""

import contextlib
import threading
import time
import warnings
from functools import partial

import h5py
import numpy as np
import pytest
from bluesky.plans import count
from bluesky.utils import ProgressBarManager, RunEngineInterrupted
from fly_session import POINTS, FlySession
from ophyd.utils import DisconnectedError
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from beamline.statuses import CountedStatus
from plans.refusal import PlanRequestError
from plans.suspenders import beam_suspenders

pytestmark = pytest.mark.ioc


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fly")
    make_plate("small", hadamard(8), 10.0).save(folder / "plate.npz")
    with soft_ioc("--frames", "pattern", plate=folder / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=folder / "frames",
            pixel_detector={"frame_timeout_s": 0.5, "saturation_counts": 4095},
            beam={"settle_s": 0.05},
        )
        devices = make_devices(config)
        connect(devices, 20)
        yield ioc, devices, config


@pytest.fixture
def session(running):
    running[0].clear_faults()
    session = FlySession(running[1])
    yield session
    running[0].clear_faults()
    session.check_at_rest()


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
        ({"x_um": (-1, NAN, 10)}, "nan is no finite number"),
        ({"x_um": (-1, INF, 10)}, "inf is no finite number"),
        ({"x_um": ("-1", 1, 10)}, "'-1' is no finite number"),
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


def test_a_folder_that_the_ioc_cannot_see_is_named_and_makes_no_run(session, monkeypatch, tmp_path):
    detector = session.devices.pixel_detector
    monkeypatch.setattr(detector, "frames_dir", detector.frames_dir.__class__("/proc/nowhere/at/all"))
    with pytest.raises(RuntimeError, match=r"/proc/nowhere/at/all.*FilePathExists_RBV.*frames_dir"):
        session.scan()
    assert session.documents == []


def test_a_full_disk_at_the_start_is_named(session, running):
    running[0].put("FAULT:FullDisk", 1)
    with pytest.raises(RuntimeError, match=r"WriteStatus.*[Nn]o space.*disk full"):
        session.scan()
    session.check_valid()


@pytest.mark.parametrize("fault", ["MissedTrigger", "DroppedFrame"])
def test_frames_that_are_missing_leave_gaps_and_the_scan_goes_on(session, running, fault):
    session.at_line(1, lambda: threading.Thread(target=running[0].put, args=(f"FAULT:{fault}", 3)).start())
    session.scan()
    session.check_valid()
    assert session.stop["exit_status"] == "success"
    numbers = session.numbers_in_file()
    assert len(session.position("number")) == POINTS
    assert len(numbers) == POINTS - 3
    assert set(numbers) <= set(range(1, POINTS + 1))


def test_the_very_first_frames_may_be_missing(session, running):
    running[0].put("FAULT:DroppedFrame", 5)
    session.scan()
    session.check_valid()
    assert session.stop["exit_status"] == "success"
    np.testing.assert_array_equal(session.numbers_in_file(), np.arange(6, POINTS + 1))


@pytest.mark.parametrize(
    ("fault", "value", "says"),
    [
        ("FullDisk", 1, r"WriteStatus.*No space left"),
        ("WriterKilled", 1, r"WriteStatus.*has died"),
        ("FileClosesEarly", 4, r"closed the file in mid-scan.*HDF1:Capture"),
    ],
)
def test_a_file_that_cannot_go_on_ends_the_scan_and_keeps_what_is_in_it(session, running, fault, value, says):
    session.at_line(1, lambda: threading.Thread(target=running[0].put, args=(f"FAULT:{fault}", value)).start())
    with pytest.raises(RuntimeError, match=says):
        session.scan(y_um=(-1, 1, 8))
    session.check_valid()
    assert session.stop["exit_status"] == "fail"
    assert session.stop["reason"]
    numbers = session.numbers_in_file()
    assert 10 <= len(numbers) == session.announced()
    np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))


def test_a_detector_that_is_stopped_ends_the_scan(session, running):
    session.at_line(1, lambda: threading.Thread(target=running[0].put, args=("PIX:cam1:Acquire", 0)).start())
    with pytest.raises(RuntimeError, match=r"stopped taking frames.*cam1:Acquire"):
        session.scan(y_um=(-1, 1, 8))
    session.check_valid()
    assert session.announced() >= 10


def test_a_stalled_axis_ends_the_scan(session, running, monkeypatch):
    monkeypatch.setattr("plans.fly_stubs.LINE_MARGIN_S", 0.5)
    monkeypatch.setattr(session.devices.sample_stage, "move_timeout_s", 1.0)
    session.at_line(1, lambda: threading.Thread(target=running[0].put, args=("FAULT:StalledAxis", 4)).start())
    with pytest.raises(RuntimeError, match=r"line \d.*stalled"):
        session.scan()
    running[0].put("FAULT:StalledAxis", 0)
    session.check_valid()
    assert session.announced() >= 10


def test_a_box_that_never_triggers_is_named(session, monkeypatch):
    monkeypatch.setattr("plans.fly_stubs.ANSWER_S", 0.2)
    # As if the encoder counted in another unit.
    monkeypatch.setattr("beamline.motion.lines.Axis.dial_um", lambda axis, position: 1000 * position + 500)
    with pytest.raises(RuntimeError, match=r"trigger_box gave no trigger in line 0.*encoder"):
        session.scan()
    session.check_valid()
    assert len(session.position("number")) == 0


def test_a_shutter_that_is_stuck_ends_the_scan(session, running):
    running[0].put("FAULT:ShutterStuck", 1)
    with pytest.raises(RuntimeError, match="shutter could not be set"):
        session.scan()
    session.check_valid()


def test_a_pause_comes_at_the_end_of_a_line_and_the_scan_goes_on_from_there(session):
    session.at_line(0, lambda: session.pause(defer=True))
    with pytest.raises(RunEngineInterrupted):
        session.scan()
    assert len(session.position("number")) == 10
    assert session.announced() == 10
    assert session.comes_true(lambda: not session.devices.shutter.is_open), "open while paused"
    session.engine.resume()
    session.check_valid()
    assert len(session.position("number")) == session.announced() == POINTS


@pytest.mark.parametrize("ending", ["abort", "stop", "halt"])
def test_a_scan_that_is_ended_in_a_pause_is_a_valid_scan_of_fewer_lines(session, ending):
    session.at_line(0, lambda: session.pause(defer=True))
    with pytest.raises(RunEngineInterrupted):
        session.scan()
    getattr(session.engine, ending)()
    session.check_valid()
    assert len(session.position("number")) == session.announced() == 10
    assert session.stop["exit_status"] == ("success" if ending == "stop" else "abort")


def test_a_pause_that_cannot_wait_cuts_the_line_short_which_is_then_scanned_anew(session):
    session.at_line(1, lambda: session.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        session.scan(rate_hz=20)
    session.engine.resume()
    session.check_valid()
    x, y = session.position("x"), session.position("y")
    assert POINTS < len(x) < POINTS + 10
    assert session.announced() == len(x)
    # Whole lines before and after the one that was cut short.
    np.testing.assert_allclose(x[-20:], np.concatenate([np.linspace(1, -1, 10), np.linspace(-1, 1, 10)]), atol=1e-6)
    np.testing.assert_allclose(y[-20:], np.repeat([0, 1], 10), atol=1e-6)


def test_no_line_is_measured_without_beam(session, running):
    ioc, devices, config = running
    for suspender in beam_suspenders(devices.ring_current, devices.buckets, devices.shutter, config.beam):
        session.engine.install_suspender(suspender)

    def dump():
        ioc.put("FAULT:BeamDump", 1)
        time.sleep(0.5)
        ioc.put("FAULT:BeamDump", 0)

    session.at_line(1, lambda: threading.Thread(target=dump).start())
    session.scan(rate_hz=20)
    session.engine.clear_suspenders()
    session.check_valid()
    assert session.stop["exit_status"] == "success"
    x = session.position("x")
    np.testing.assert_allclose(x[-10:], np.linspace(-1, 1, 10), atol=1e-6)
    assert session.announced() == len(x)


def test_a_scan_that_is_halted_in_mid_line_leaves_everything_at_rest(session):
    session.at_line(1, lambda: session.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        session.scan(rate_hz=20)
    session.engine.halt()
    session.check_valid()
    assert session.announced() >= 10


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


class Broken(Exception):
    pass


@pytest.mark.parametrize("part", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
def test_a_plan_that_fails_anywhere_leaves_a_valid_run_and_everything_at_rest(session, part):
    messages = []
    session.engine.msg_hook = messages.append
    session.scan()
    session.engine.msg_hook = None
    session.documents.clear()
    at = int(part * len(messages))

    def breaking(plan):
        message, number = next(plan), 0
        while True:
            number += 1
            try:
                if number == at:
                    raise Broken
                response = yield message
            except Exception as error:
                step = partial(plan.throw, error)
            else:
                step = partial(plan.send, response)
            try:
                message = step()
            except StopIteration as end:
                return end.value

    with contextlib.suppress(Broken):
        session.engine(breaking(session.plan()))
    session.check_at_rest()
    if session.of("start"):
        session.check_valid()
        assert session.announced() == len(session.position("number"))


def test_an_ioc_that_dies_ends_the_scan(tmp_path):
    make_plate("small", hadamard(8), 10.0).save(tmp_path / "plate.npz")
    with soft_ioc("--frames", "pattern", plate=tmp_path / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=tmp_path,
            pixel_detector={"frame_timeout_s": 0.5},
            shutter={"timeout_s": 0.5},
            sample_stage={"move_timeout_s": 2.0},
        )
        devices = make_devices(config)
        connect(devices, 20)
        session = FlySession(devices)
        session.at_line(1, ioc.process.kill)
        with pytest.raises((RuntimeError, TimeoutError, DisconnectedError)):
            session.scan(y_um=(-1, 1, 8))
        assert session.stop["exit_status"] == "fail"
        assert session.announced() >= 10
