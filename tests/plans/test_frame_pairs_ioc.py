"""Series of frame pairs on the simulated records, with real files."""

import contextlib
import threading
import time

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from broken_plan import Broken, breaking
from ophyd.utils import DisconnectedError
from pair_session import IMAGE, NUMBER, PairSession
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices, make_dual_camera
from beamline.frames.frame_camera import DetectorError
from beamline.frames.frame_file import FrameFileError
from beamline.mask_designs import hadamard, make_plate
from beamline.statuses import CountedStatus
from plans import dark_flat_series, static_series
from plans.suspenders import beam_suspenders

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
        yield ioc, devices, config


@pytest.fixture
def session(running):
    running[0].clear_faults()
    yield PairSession(running[1])
    running[0].clear_faults()


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


def test_progress_counts_the_frames(session):
    reports = []

    def watch(statuses):
        for status in statuses or ():
            if isinstance(status, CountedStatus):
                status.watch(lambda **report: reports.append(report))

    session.engine.waiting_hook = watch
    session.engine(session.plan(num=24))
    counts = [report["current"] for report in reports]
    assert counts == sorted(counts) and counts[-1] == 24
    assert {(report["name"], report["target"], report["unit"]) for report in reports} == {("dual_camera", 24, "frames")}


def test_a_dropped_frame_leaves_a_gap_in_the_numbers(session, running, caplog):
    session.at_frame(4, lambda: threading.Thread(target=running[0].put, args=("FAULT:DualDroppedFrame", 2)).start())
    began = time.monotonic()
    session.engine(session.plan(num=120))
    session.check_valid()
    numbers = session.numbers()
    missing = sorted(set(range(1, 121)) - set(numbers.tolist()))
    assert len(numbers) == session.announced() == 118 and len(missing) == 2 and missing[1] == missing[0] + 1
    assert "dual_camera: 2 of 120 frames are missing" in caplog.text
    assert session.stop["exit_status"] == "success" and time.monotonic() - began < 30


@pytest.mark.parametrize("defer", [True, False])
def test_a_pause_stops_the_camera_and_the_rest_comes_after_it(session, defer):
    session.at_frame(4, lambda: session.pause(defer=defer))
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.plan(num=240))
    assert session.comes_true(lambda: not session.devices.shutter.is_open), "open while paused"
    assert session.comes_true(lambda: not session.devices.dual_camera.cam.acquire.get())
    assert 4 <= session.announced() < 240
    session.engine.resume()
    session.check_valid()
    np.testing.assert_array_equal(session.numbers(), np.arange(1, 241))
    assert session.announced() == 240


@pytest.mark.parametrize("ending", ["abort", "stop", "halt"])
def test_a_series_that_is_ended_in_a_pause_is_a_valid_series_of_fewer_frames(session, ending):
    session.at_frame(4, lambda: session.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.plan(num=240))
    getattr(session.engine, ending)()
    session.check_valid()
    numbers = session.numbers()
    assert 4 <= len(numbers) < 240
    np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
    assert session.stop["exit_status"] == ("success" if ending == "stop" else "abort")


def test_the_sample_comes_back_from_flats_that_are_aborted(session):
    session.at_frame(4, lambda: session.pause(defer=False))
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.plan(dark_flat_series, darks=0, flats=240, out_um=(500, 1000)))
    session.engine.abort()
    session.check_valid()
    stage = session.devices.sample_stage
    for axis in (stage.y, stage.x):
        assert axis.user_readback.get() == pytest.approx(0, abs=1e-6)


def test_no_frame_is_taken_without_beam(session, running):
    ioc, devices, config = running
    beam = config.beam.model_copy(update={"settle_s": 0.1})
    for suspender in beam_suspenders(devices.ring_current, devices.buckets, devices.shutter, beam):
        session.engine.install_suspender(suspender)

    def dump():
        ioc.put("FAULT:BeamDump", 1)
        time.sleep(0.5)
        ioc.put("FAULT:BeamDump", 0)

    session.at_frame(4, lambda: threading.Thread(target=dump).start())
    session.engine(session.plan(num=240))
    session.engine.clear_suspenders()
    session.check_valid()
    np.testing.assert_array_equal(session.numbers(), np.arange(1, 241))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("DualFileClosesEarly", r"closed the file in mid-scan .*DUAL:HDF1:Capture"),
        ("DualFullDisk", r"DUAL:HDF1:WriteStatus\): .*No space left"),
        ("DualWriterKilled", r"the process that writes it has died"),
    ],
)
def test_a_file_that_cannot_be_written_ends_the_series_and_keeps_what_it_holds(session, running, fault, says):
    session.at_frame(4, lambda: threading.Thread(target=running[0].put, args=(f"FAULT:{fault}", 1)).start())
    with pytest.raises(FrameFileError, match=says):
        session.engine(session.plan(num=480))
    session.check_valid()
    numbers = session.numbers()
    assert len(numbers) == session.announced() >= 4
    np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
    assert session.stop["exit_status"] == "fail"
    running[0].clear_faults()
    again = PairSession(running[1])
    again.engine(again.plan(num=4))
    assert again.announced() == 4, "the next series must go on"


def test_a_camera_that_somebody_stops_is_named(session):
    session.at_frame(4, lambda: threading.Thread(target=session.devices.dual_camera.cam.acquire.put, args=(0,)).start())
    with pytest.raises(DetectorError, match=r"DUAL:cam1:Acquire_RBV is 0"):
        session.engine(session.plan(num=480))
    session.check_valid()


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_plan_that_fails_anywhere_leaves_a_valid_run_and_everything_at_rest(session, part):
    messages = []
    session.engine.msg_hook = messages.append
    arguments = {"num": 8, "darks": 3, "flats": 3, "out_um": (0, 1000)}
    session.engine(session.plan(**arguments))
    session.engine.msg_hook = None
    session.documents.clear()
    at = int(part * len(messages))
    with contextlib.suppress(Broken):
        session.engine(breaking(session.plan(**arguments), at))
    session.check_at_rest()
    assert session.devices.sample_stage.x.user_readback.get() == pytest.approx(0, abs=1e-6)
    if session.of("start"):
        session.check_valid()


def test_an_ioc_that_dies_ends_the_series(tmp_path):
    make_plate("small", hadamard(8), 10.0).save(tmp_path / "plate.npz")
    with soft_ioc("--dual-sensor", "32", "64", plate=tmp_path / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            frames_dir=tmp_path,
            dual_camera={"sensor": SENSOR, "frame_timeout_s": 0.5},
            shutter={"timeout_s": 0.5},
        )
        devices = make_devices(config)
        connect(devices, 20)
        session = PairSession(devices)
        session.at_frame(4, ioc.process.kill)
        with pytest.raises((RuntimeError, TimeoutError, DisconnectedError)):
            session.engine(session.plan(num=480))
        assert session.stop["exit_status"] == "fail"
        assert session.announced() >= 4


ASKED = [
    ({"num": 0}, "num must be 1 to"),
    ({"num": 1.5}, "num must be a whole number"),
    ({"num": 2, "rate_hz": 500}, r"dual_camera takes 120 frames a second at most \(\[dual_camera\] max_rate_hz\)"),
    ({"num": 2, "rate_hz": 24, "exposure_s": 0.1}, r"exposure_s is 0.1 s, but at 24 Hz there are 0.0416667 s"),
    ({"num": 2, "darks": -1}, "darks must be 0 to"),
    ({"num": 2, "static": 1}, "static must be True or False"),
    ({"num": 2, "flats": 2}, r"out_um must say where sample_stage takes the sample out of the light.*Where it stands now"),
    ({"num": 2, "flats": 2, "out_um": (0, 1e6)}, r"1e\+06 um is beyond the limits of .*SAMPLE:X"),
    ({"num": 2, "flats": 2, "out_um": (0, "far")}, r"out_um must say where.*'far'"),
    ({"num": 2, "recipes": [3]}, "names no method"),
    ({"num": 2, "md": {"pairs": {}}}, "'pairs' is taken by the plan"),
]


@pytest.mark.parametrize(("asked", "says"), ASKED)
def test_what_cannot_be_done_is_refused_where_the_plan_is_called(session, asked, says):
    with pytest.raises(ValueError, match=says):
        session.plan(**asked)


def test_darks_without_a_shutter_are_refused(session):
    with pytest.raises(ValueError, match=r"darks above 0 needs a shutter"):
        dark_flat_series(session.devices.dual_camera, darks=2, flats=0)
    with pytest.raises(ValueError, match="both 0"):
        dark_flat_series(session.devices.dual_camera, darks=0, flats=0)


def test_a_sensor_of_another_size_than_configured_is_refused_with_the_cure(running):
    _, devices, config = running
    other = make_dual_camera(
        config.model_copy(update={"dual_camera": config.dual_camera.model_copy(update={"sensor": (64, 64)})})
    )
    connect([other], 20)
    session = PairSession(devices)
    with pytest.raises(ValueError, match=r"\(32, 64\) pixels.*configuration says \(64, 64\).*\[dual_camera\] sensor"):
        session.plan_with(other, num=2)


def test_consecutive_frames_are_pairs_where_there_is_no_splitter(running):
    _, devices, config = running
    section = config.dual_camera.model_copy(update={"pairing": "consecutive"})
    camera = make_dual_camera(config.model_copy(update={"dual_camera": section}))
    connect([camera], 20)
    session = PairSession(devices)
    with pytest.raises(ValueError, match="num is 3, but two consecutive frames are a pair"):
        session.plan_with(camera, num=3)
    session.engine(session.plan_with(camera, num=4))
    (start,) = session.of("start")
    assert start["pairs"]["pairing"] == "consecutive" and start["pairs"]["halves"] is None
    assert session.announced() == 4
