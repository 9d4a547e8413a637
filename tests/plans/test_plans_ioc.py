"""The plans on the simulated records, over Channel Access."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from bluesky.utils import RunEngineInterrupted
from soft_devices import buckets
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import dark_scan, ghost_scan
from plans.preprocessors import use_devices
from plans.refusal import PlanRequestError
from plans.stubs import MaskNotReached, ShutterFailed, TriggersLost
from plans.suspenders import beam_suspenders

pytestmark = pytest.mark.ioc
ROOT = Path(__file__).parents[2]
PLATE = make_plate("small", hadamard(8), 10.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    path = tmp_path_factory.mktemp("plate") / "plate.npz"
    PLATE.save(path)
    with soft_ioc(plate=path) as ioc:
        config = GhostbeamConfig(
            epics={"prefix": ioc.prefix},
            mask_stage={"move_timeout_s": 0.5},
            shutter={"timeout_s": 2},
            diode={"count_margin_s": 0.3},
            beam={"settle_s": 0.05},
        )
        devices = make_devices(config)
        connect(devices, 20)
        devices.mask_stage.mount(PLATE)
        yield ioc, devices, config


class Session:
    def __init__(self, running):
        self.ioc, self.devices, self.config = running
        self.documents = []
        self.engine = RunEngine({})
        self.engine.subscribe(lambda name, doc: self.documents.append((name, dict(doc))))
        here = self.devices
        self.baseline = SupplementalData(baseline=[here.sample_stage, here.ring_current, here.shutter])
        self.engine.preprocessors.append(self.baseline)

    def scan(self, **kwargs):
        here = self.devices
        plan = use_devices(ghost_scan, shutter=here.shutter)
        arguments = {"exposure": 0.1, "dark_num": 2, "md": {"sample": "CAS"}} | kwargs
        return self.engine(plan([here.diode], here.mask_stage, PLATE, **arguments))

    def at_event(self, number, act):
        seen = []

        def watch(name, doc):
            if name == "event" and "mask_stage_index" in doc["data"]:
                seen.append(doc)
                if len(seen) == number:
                    act()

        self.engine.subscribe(watch)

    def pause(self):
        """Ask for a pause from any thread."""
        loop = self.engine.loop
        loop.call_soon_threadsafe(lambda: loop.create_task(self.engine._request_pause_coro(False)))

    @property
    def stop(self):
        return next(doc for name, doc in self.documents if name == "stop")


@pytest.fixture
def session(running):
    running[0].clear_faults()
    session = Session(running)
    yield session
    running[0].clear_faults()
    assert not session.devices.shutter.is_open


def test_a_whole_scan_measures_what_the_masks_let_through(session):
    session.scan(num=64)
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(64))
    dark = buckets(session.documents, stream="dark").mean()
    monitor_dark = buckets(session.documents, "diode_monitor", "dark").mean()
    transmitted = (buckets(session.documents) - dark) / (buckets(session.documents, "diode_monitor") - monitor_dark)
    # Without knowing the sample: all of them lie below the whole, which the first mask, all open, lets through.
    assert (transmitted <= transmitted[0] * 1.02).all() and transmitted.min() > 0
    assert session.stop["exit_status"] == "success"
    assert session.stop["num_events"] == {"baseline": 2, "dark": 2, "primary": 64}


def test_every_data_key_has_its_numpy_type(session):
    session.scan(num=2)
    keys = {key: value for name, doc in session.documents if name == "descriptor" for key, value in doc["data_keys"].items()}
    assert {key for key, value in keys.items() if "dtype_numpy" not in value} == set()
    assert keys["ring_current"]["units"] == "mA"


def test_the_shutter_is_closed_between_exposures_when_asked(session):
    session.scan(num=6, close_between=True)
    assert (buckets(session.documents) > 1000).all()
    assert (buckets(session.documents, stream="dark") < 1000).all()


def test_a_lost_trigger_is_repeated_and_a_second_loss_is_nan(session):
    session.at_event(2, lambda: threading.Thread(target=session.ioc.put, args=("FAULT:LostTrigger", 1)).start())
    session.scan(num=8)
    assert np.isfinite(buckets(session.documents)).all()
    session.documents.clear()
    session.ioc.put("FAULT:LostTrigger", 2)
    session.scan(num=4, dark_num=0)
    assert np.isnan(buckets(session.documents)).tolist() == [True, False, False, False]
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(4))


def test_a_dead_scaler_ends_the_scan(session):
    session.ioc.put("FAULT:LostTrigger", 100)
    with pytest.raises(TriggersLost):
        session.scan(dark_num=0)
    assert session.stop["exit_status"] == "fail"


def test_a_stalled_axis_ends_the_scan_and_keeps_what_was_measured(session):
    session.at_event(3, lambda: session.ioc.put("FAULT:StalledAxis", 2))
    with pytest.raises(MaskNotReached, match="mask 3"):
        session.scan()
    assert len(buckets(session.documents)) == 3
    assert "stalled" in session.stop["reason"]


def test_a_stuck_shutter_ends_the_scan(session):
    session.ioc.put("FAULT:ShutterStuck", 1)
    with pytest.raises(ShutterFailed):
        session.scan()
    assert len(buckets(session.documents)) == 0


def test_a_beam_dump_suspends_the_scan_and_no_bucket_is_without_beam(session):
    here = session.devices
    suspenders = beam_suspenders(here.ring_current, here.buckets, here.shutter, session.config.beam)
    for suspender in suspenders:
        session.engine.install_suspender(suspender)
    waited = []

    def dump_and_restore():
        session.ioc.put("FAULT:BeamDump", 1)
        time.sleep(0.4)
        waited.append((here.shutter.is_open, len(buckets(session.documents))))
        session.ioc.put("FAULT:BeamDump", 0)

    session.at_event(5, lambda: threading.Thread(target=dump_and_restore).start())
    session.scan(num=30)
    session.engine.clear_suspenders()
    ((was_open, count),) = waited
    assert not was_open and count < 30
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(30))
    monitor = buckets(session.documents, "diode_monitor")
    # An exposure may have ended, but not been seen to, before the current was: it stays, and its monitor tells.
    assert (monitor < 0.5 * np.median(monitor)).sum() <= 1


@pytest.mark.parametrize("first", ["dump", "pause"])
def test_a_scan_that_is_resumed_without_beam_waits_for_it_with_the_shutter_closed(session, first):
    here = session.devices
    for suspender in beam_suspenders(here.ring_current, here.buckets, here.shutter, session.config.beam):
        session.engine.install_suspender(suspender)

    def dump():
        session.ioc.put("FAULT:BeamDump", 1)
        deadline = time.monotonic() + 5
        while here.ring_current.get() > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)

    def dump_and_pause():
        dump()
        session.pause()

    session.at_event(5, session.pause if first == "pause" else lambda: threading.Thread(target=dump_and_pause).start())
    with pytest.raises(RunEngineInterrupted):
        session.scan(num=60)
    if first == "pause":
        dump()
    waited = []

    def restore():
        waited.append((here.shutter.is_open, len(buckets(session.documents))))
        session.ioc.put("FAULT:BeamDump", 0)

    before = len(buckets(session.documents))
    threading.Timer(0.7, restore).start()
    session.engine.resume()
    session.engine.clear_suspenders()
    assert waited == [(False, before)] and before < 60
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(60))
    monitor = buckets(session.documents, "diode_monitor")
    assert (monitor[before:] > 0.5 * np.median(monitor)).all()
    assert session.engine.preprocessors == [session.baseline]


@pytest.mark.parametrize("ending", ["resume", "abort", "stop", "halt"])
def test_a_scan_can_be_paused(session, ending):
    session.at_event(4, session.pause)
    with pytest.raises(RunEngineInterrupted):
        session.scan(num=10)
    deadline = time.monotonic() + 2
    while session.devices.shutter.is_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not session.devices.shutter.is_open
    getattr(session.engine, ending)()
    indices = buckets(session.documents, "mask_stage_index").tolist()
    assert indices == list(range(10 if ending == "resume" else len(indices)))
    assert (buckets(session.documents) > 1000).all()
    assert session.stop["exit_status"] == {"resume": "success", "stop": "success", "abort": "abort", "halt": "abort"}[ending]


def test_dark_scan(session):
    session.engine(dark_scan([session.devices.diode], num=3, exposure=0.1, shutter=session.devices.shutter))
    assert (buckets(session.documents, stream="dark") < 1000).all()


@pytest.mark.parametrize(
    ("name", "value", "rest", "says"),
    [
        ("MASK:X.SPMG", "Pause", "Go", r"mask_stage is not ready: .*MASK:X\.SPMG is Pause"),
        ("MASK:Y.DISP", 1, 0, r"MASK:Y\.DISP is 1: the record takes no commands"),
        ("FAULT:AxisAlarm", 13, 0, r"MASK:Y\.RBV is in INVALID alarm.*not to be believed"),
        ("MASK:X.MDEL", 0.004, 0.0, r"MASK:X\.MDEL lets the stage be 4 um away.*2\.5 um off its place at most"),
        ("MASK:Y.RDBD", 0.01, 0.0, r"MASK:Y\.RDBD lets the stage be 10 um away"),
    ],
)
def test_a_stage_that_is_not_ready_is_refused_before_anything_moves(session, name, value, rest, says):
    session.ioc.put(name, value)
    try:
        deadline = time.monotonic() + 5
        while session.devices.mask_stage.why_not_ready() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(PlanRequestError, match=says):
            session.scan()
    finally:
        session.ioc.put(name, rest)
        while session.devices.mask_stage.why_not_ready() is not None:
            time.sleep(0.01)
    assert session.documents == []


def test_counters_that_would_begin_at_0_again_are_refused_before_anything_moves(session):
    with pytest.raises(PlanRequestError, match=r"exposure is 60 s, but a counter of diode begins at 0 again after 42\.95 s"):
        session.scan(exposure=60.0)
    session.devices.diode.saturation_rate, before = None, session.devices.diode.saturation_rate
    try:
        with pytest.raises(PlanRequestError, match=r"429\.5 s, since its clock runs at 1e\+07 Hz .*SCALER\.FREQ"):
            session.scan(exposure=430.0)
    finally:
        session.devices.diode.saturation_rate = before
    assert session.documents == []


@pytest.mark.parametrize(
    ("name", "value", "rest", "says"),
    [
        ("FAULT:AxisAlarm", 22, 0, r"did not bring mask 3 into the beam.*MASK:X\.RBV is in MAJOR alarm"),
        ("MASK:Y.DISP", 1, 0, r"mask_stage_y cannot move: .*MASK:Y\.DISP is 1: the record takes no commands"),
        ("MASK:X.SPMG", "Stop", "Go", r"mask_stage_x cannot move: .*MASK:X\.SPMG is Stop: set it to Go"),
    ],
)
def test_what_keeps_the_stage_from_moving_in_mid_scan_is_named(session, name, value, rest, says):
    session.at_event(3, lambda: (session.ioc.put(name, value), time.sleep(0.2)))
    try:
        with pytest.raises(RuntimeError, match=says):
            session.scan()
    finally:
        session.ioc.put(name, rest)
    assert len(buckets(session.documents)) == 3
    assert session.stop["exit_status"] == "fail"


def test_a_minor_alarm_with_the_stage_in_place_ends_no_scan(session):
    session.at_event(3, lambda: session.ioc.put("FAULT:AxisAlarm", 21))
    session.scan(num=8)
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(8))


def test_blueskys_own_scans_move_the_mask_stage(session):
    here = session.devices
    here.diode.exposure.set(0.1).wait(5)
    session.engine(bp.scan([here.diode], here.mask_stage, 0, 5, 6))
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(6))
    session.documents.clear()
    session.engine(bps.mv(here.mask_stage, 7.0))
    assert here.mask_stage.position == 7
    session.engine(bp.rel_scan([here.diode], here.mask_stage, -2, 2, 5))
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(5, 10))
    assert here.mask_stage.position == 7
    session.documents.clear()
    session.engine(bp.grid_scan([here.diode], here.mask_stage, 1, 2, 2, here.sample_stage.x, 0, 0.1, 2))
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), [1, 1, 2, 2])
    with pytest.raises(Exception, match="whole number"):
        session.engine(bps.mv(here.mask_stage, 7.5))


def test_a_step_of_the_users_own_takes_the_place_of_the_plans(session):
    session.scan(num=4, per_step=bps.one_1d_step)
    np.testing.assert_array_equal(buckets(session.documents, "mask_stage_index"), np.arange(4))
    assert (buckets(session.documents) > 1000).all()
    start = next(doc for name, doc in session.documents if name == "start")
    assert start["plan_args"]["per_step"] == "one_1d_step"


DYING = """
import os, signal, sys
from beamline.config import GhostbeamConfig
prefix, pid = sys.argv[1], int(sys.argv[2])
config = GhostbeamConfig(epics={"prefix": prefix, "connection_timeout_s": 0.3}, mask_stage={"move_timeout_s": 0.3})
from bluesky import RunEngine
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import ghost_scan
devices = make_devices(config)
connect(devices, 20)
plate = make_plate("small", hadamard(8), 10.0)
devices.mask_stage.mount(plate)
engine, stops, events = RunEngine({}), [], []

def watch(name, doc):
    if name == "event":
        events.append(doc)
        if len(events) == 3:
            os.kill(pid, signal.SIGKILL)
    if name == "stop":
        stops.append(doc["exit_status"])

engine.subscribe(watch)
for _ in range(2):
    try:
        engine(ghost_scan([devices.diode], devices.mask_stage, plate, shutter=devices.shutter, dark_num=0))
    except Exception as error:
        print(type(error).__name__, error)
print("events", len(events), "runs", stops)
os._exit(0)
"""


def test_an_ioc_that_dies_ends_the_scan_with_an_error(running, tmp_path):
    PLATE.save(tmp_path / "plate.npz")
    with soft_ioc(plate=tmp_path / "plate.npz") as ioc:
        command = [sys.executable, "-c", DYING, ioc.prefix, str(ioc.process.pid)]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = process.stdout.splitlines()
    assert lines[-1] == "events 3 runs ['fail']", process.stdout + process.stderr
    assert "mask_stage does not answer" in lines[-2] or "diode does not answer" in lines[-2]
    assert "PlanRequestError" in lines[-2]
