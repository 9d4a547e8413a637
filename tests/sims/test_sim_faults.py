"""Every fault, switched on in a simulation in another process."""

import time

import pytest
from ophyd import EpicsMotor, EpicsSignal
from soft_ioc import soft_ioc

pytestmark = pytest.mark.ioc

NAMES = {
    "count": "SCALER.CNT",
    "preset": "SCALER.TP",
    "elapsed": "SCALER.T",
    "bucket": "SCALER.S3",
    "monitor": "SCALER.S2",
    "current": "RING:Current",
    "opening": "SHUTTER:Cmd:Opn-Cmd",
    "closing": "SHUTTER:Cmd:Cls-Cmd",
    "status": "SHUTTER:Pos-Sts",
    "failed_to_open": "SHUTTER:Sts:FailOpn-Sts",
    "failed_to_close": "SHUTTER:Sts:FailCls-Sts",
    "lost": "FAULT:LostTrigger",
    "late": "FAULT:LateTrigger",
    "stalled": "FAULT:StalledAxis",
    "stuck": "FAULT:ShutterStuck",
    "dump": "FAULT:BeamDump",
    "saturation": "FAULT:DiodeSaturation",
}


class Beamline:
    """Signals of one simulation."""

    def __init__(self, prefix):
        self.signals = {key: EpicsSignal(prefix + name, name=key) for key, name in NAMES.items()}
        self.motors = {axis: EpicsMotor(f"{prefix}MASK:{axis}", name=axis) for axis in "YX"}
        for device in (*self.signals.values(), *self.motors.values()):
            device.wait_for_connection(timeout=20)

    def get(self, key):
        return self.signals[key].get()

    def put(self, key, value):
        self.signals[key].put(value, use_complete=True, wait=True)

    def count(self):
        self.put("count", 1)
        return self.get("bucket"), self.get("monitor")


@pytest.fixture(scope="module")
def beamline(plate_file):
    with soft_ioc("--play-um", "0", "--jitter-um", "0", plate=plate_file) as ioc:
        made = Beamline(ioc.prefix)
        yield made
        for device in (*made.signals.values(), *made.motors.values()):
            device.destroy()


@pytest.fixture
def ready(beamline):
    """A beamline without faults, at rest, shutter open."""
    for fault in ("lost", "late", "stalled", "stuck", "dump", "saturation"):
        beamline.put(fault, 0)
    beamline.put("count", 0)
    beamline.put("opening", 1)
    beamline.put("preset", 0.1)
    for motor in beamline.motors.values():
        motor.set(0.0).wait(10)
    return beamline


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_lost_triggers_never_count_until_they_are_stopped(ready):
    for left in (1, 0):
        if left:
            ready.put("lost", 2)
        ready.signals["count"].put(1, wait=False)
        until(lambda left=left: ready.get("lost") == left and ready.get("count") == 1)
        time.sleep(0.1)
        assert ready.get("count") == 1
        ready.put("count", 0)
        assert ready.get("count") == 0
        assert ready.get("elapsed") == ready.get("bucket") == ready.get("monitor") == 0
    assert ready.count()[1] > 1000 and ready.get("elapsed") == 0.1


def test_a_lost_trigger_takes_no_random_numbers(plate_file):
    counts = []
    for lost in (0, 1):
        with soft_ioc(plate=plate_file) as ioc:
            beamline = Beamline(ioc.prefix)
            beamline.put("opening", 1)
            beamline.put("preset", 0.1)
            beamline.put("lost", lost)
            if lost:
                beamline.signals["count"].put(1, wait=False)
                until(lambda b=beamline: b.get("count") == 1)
                beamline.put("count", 0)
            counts.append([beamline.count() for _ in range(3)])
            for device in (*beamline.signals.values(), *beamline.motors.values()):
                device.destroy()
    assert counts[0] == counts[1]


def test_a_late_trigger_is_late_once(ready):
    ready.put("late", 0.4)
    began = time.monotonic()
    ready.count()
    assert 0.4 <= time.monotonic() - began < 2 and ready.get("late") == 0
    assert ready.get("elapsed") == 0.1
    began = time.monotonic()
    ready.count()
    assert time.monotonic() - began < 0.3


@pytest.mark.parametrize(("number", "axis", "other"), [(1, "Y", "X"), (2, "X", "Y")])
def test_a_stalled_axis_stands_still_until_it_is_stopped_or_freed(ready, number, axis, other):
    motor = ready.motors[axis]
    ready.put("stalled", number)
    status = motor.set(0.2)
    ready.motors[other].set(0.2).wait(10)
    time.sleep(0.2)
    assert not status.done and motor.moving and motor.position == 0.0
    ready.put("stalled", 0)
    status.wait(10)
    assert motor.position == pytest.approx(0.2)
    ready.put("stalled", number)
    status = motor.set(0.0)
    time.sleep(0.05)
    motor.stop(success=True)
    status.wait(10)
    until(lambda: not motor.moving)
    assert motor.position == pytest.approx(0.2) == motor.user_setpoint.get()


def test_a_stuck_shutter_says_that_it_failed_each_time(ready):
    ready.put("stuck", 1)
    flag = []
    ready.signals["failed_to_close"].subscribe(lambda value, **_: flag.append(value), run=False)
    for _ in range(2):
        ready.put("closing", 1)
        assert ready.get("status") == 0 and ready.get("failed_to_close") == 1 and ready.get("closing") == 0
    until(lambda: flag[-3:] == [1, 0, 1])
    ready.put("stuck", 0)
    ready.put("closing", 1)
    assert ready.get("status") == 1 and ready.get("failed_to_close") == 0
    ready.put("stuck", 1)
    ready.put("opening", 1)
    assert ready.get("status") == 1 and ready.get("failed_to_open") == 1
    assert ready.count()[1] < 100
    ready.put("stuck", 0)
    ready.put("opening", 1)
    assert ready.get("status") == 0 and ready.get("failed_to_open") == 0


def test_a_beam_dump_leaves_only_dark_counts_until_beam_is_back(ready):
    lit = ready.count()[1]
    assert lit > 1000 and ready.get("current") > 390
    ready.put("dump", 1)
    until(lambda: ready.get("current") == 0.0, seconds=1.0)
    bucket, monitor = ready.count()
    assert bucket < 100 and monitor < 100
    assert ready.get("current") == 0.0
    ready.put("dump", 0)
    assert ready.get("current") > 390 and ready.count()[1] > 1000


def test_a_dump_in_the_middle_of_an_exposure_cuts_its_light(ready):
    ready.put("preset", 400.0)  # 0.4 s at speed 1000
    full = ready.count()[1]
    ready.signals["count"].put(1, wait=False)
    time.sleep(0.2)
    ready.put("dump", 1)
    until(lambda: ready.get("count") == 0)
    assert ready.get("elapsed") == 400.0
    assert 0.2 < ready.get("monitor") / full < 0.8


def test_a_saturated_diode_stands_at_its_ceiling(ready):
    ready.put("saturation", 1)
    bucket, monitor = ready.count()
    assert bucket == 1e8 * 0.1 and 1000 < monitor < bucket
    ready.put("saturation", 0)
    assert ready.count()[0] < 1e6


@pytest.mark.parametrize(("key", "value"), [("lost", -1), ("late", -0.5), ("stalled", 6)])
def test_impossible_faults_are_refused(ready, key, value):
    ready.signals[key].put(value, wait=False)
    time.sleep(0.1)
    assert ready.get(key) == 0


def test_the_shutter_takes_its_time_and_the_last_command_wins(plate_file):
    with soft_ioc(plate=plate_file, speed=1.0) as ioc:
        beamline = Beamline(ioc.prefix)
        began = time.monotonic()
        beamline.put("opening", 1)
        assert 0.2 <= time.monotonic() - began < 1 and beamline.get("status") == 0
        beamline.signals["closing"].put(1, wait=False)
        time.sleep(0.05)
        beamline.put("opening", 1)
        time.sleep(0.25)
        assert beamline.get("status") == 0 and beamline.get("closing") == beamline.get("opening") == 0
        for device in (*beamline.signals.values(), *beamline.motors.values()):
            device.destroy()
