"""Fly scans with faults and pauses, on the simulated records: what was measured stays, and everything comes to rest."""

import contextlib
import threading
import time

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from broken_plan import Broken, breaking
from fly_session import POINTS, FlySession, fly_beamline, rested_session
from ophyd.utils import DisconnectedError
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans.suspenders import beam_suspenders

pytestmark = pytest.mark.ioc


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with fly_beamline(tmp_path_factory.mktemp("fly")) as running:
        yield running


@pytest.fixture
def session(running):
    with rested_session(running) as session:
        yield session


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


def test_a_pause_that_cannot_wait_cuts_the_line_short_which_is_then_scanned_again(session):
    for rate_hz in (20, 5, 1):  # a busy machine may learn of the pause only after the line: then the next one is slower
        session.documents.clear()
        session.at_line(1, lambda: session.pause(defer=False))
        with pytest.raises(RunEngineInterrupted):
            session.scan(rate_hz=rate_hz)
        session.engine.resume()
        session.check_valid()
        x, y = session.position("x"), session.position("y")
        if POINTS < len(x) < POINTS + 10:
            break
    else:
        raise AssertionError(f"the line that was paused was not cut short: {len(x)} points")
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


@pytest.mark.parametrize("part", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
def test_a_plan_that_fails_anywhere_leaves_a_valid_run_and_everything_at_rest(session, part):
    messages = []
    session.engine.msg_hook = messages.append
    session.scan()
    session.engine.msg_hook = None
    session.documents.clear()
    at = int(part * len(messages))
    with contextlib.suppress(Broken):
        session.engine(breaking(session.plan(), at))
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
