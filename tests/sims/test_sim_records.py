"""The stock ophyd classes on a simulated IOC in another process."""

import time

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from ophyd import EpicsMotor, EpicsScaler, EpicsSignal
from ophyd.scaler import ScalerCH
from soft_ioc import soft_ioc

from beamline.mask_plate import MaskPlate
from sims.etched_plate import GOLD, EtchedPlate
from sims.experiment import Experiment
from sims.samples import make_sample

pytestmark = pytest.mark.ioc


@pytest.fixture(scope="module")
def ioc(plate_file):
    with soft_ioc(plate=plate_file) as running:
        yield running


def connected(device):
    device.wait_for_connection(timeout=20)
    return device


def until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def motor(ioc):
    device = connected(EpicsMotor(f"{ioc.prefix}MASK:Y", name="y"))
    yield device
    device.destroy()


@pytest.fixture(scope="module")
def scaler(ioc):
    device = connected(EpicsScaler(f"{ioc.prefix}SCALER", name="scaler"))
    device.channels.configuration_attrs = device.names.configuration_attrs = []
    yield device
    device.destroy()


@pytest.fixture
def signal(ioc):
    made = []

    def make(name, cls=EpicsSignal, **options):
        made.append(cls(ioc.prefix + name, name=name.replace(":", "_").lower(), **options))
        return connected(made[-1])

    yield make
    for one in made:
        one.destroy()


def test_everything_is_served(signal):
    assert signal("SIM:Ready").get() == 1
    assert signal("RING:Current").get() == pytest.approx(400.0, abs=0.5)
    assert signal("SHUTTER:Pos-Sts", string=True).get() == "Not Open"


def test_a_motor_goes_where_it_is_sent(motor):
    for goal in (0.2, -0.1, 0.0):
        motor.set(goal).wait(10)
        assert motor.position == pytest.approx(goal, abs=0.001)
        assert motor.user_setpoint.get() == goal and not motor.moving
    assert motor.egu == "mm" and motor.precision == 5


def test_a_move_to_where_it_is_ends_at_once(motor):
    motor.set(0.1).wait(10)
    began = time.monotonic()
    for _ in range(20):
        motor.set(0.1).wait(10)
    assert time.monotonic() - began < 2


def test_limits_follow_the_plate_and_can_be_changed(motor, plate_file):
    plate = MaskPlate.load(plate_file)
    low, high = motor.limits
    assert low == pytest.approx(plate.positions_mm[:, 0].min() - 0.16)
    assert high == pytest.approx(plate.positions_mm[:, 0].max() + 0.16)
    with pytest.raises(ValueError, match="outside of range"):
        motor.set(high + 0.01)
    motor.high_limit_travel.put(high + 1, wait=True)
    until(lambda: motor.limits[1] == high + 1)
    motor.set(high + 0.5).wait(10)
    motor.set(0.0).wait(10)
    motor.high_limit_travel.put(high, wait=True)


def test_a_put_beyond_the_limits_moves_nothing_and_says_so(motor, signal):
    violation = signal("MASK:Y.LVIO")
    motor.set(0.0).wait(10)
    assert violation.get() == 0
    motor.user_setpoint.put(1e3, force=True, use_complete=True, wait=True)
    assert violation.get() == 1 and motor.user_setpoint.get() == 0.0 and motor.motor_done_move.get() == 1
    motor.set(0.1).wait(10)
    assert violation.get() == 0


def test_a_place_can_be_given_another_name(motor):
    motor.set(0.1).wait(10)
    low, high = motor.low_limit_travel.get(), motor.high_limit_travel.get()
    motor.set_current_position(5.0)
    until(lambda: motor.position == pytest.approx(5.0, abs=0.001) and motor.user_offset.get() == 4.9)
    assert (motor.low_limit_travel.get(), motor.high_limit_travel.get()) == pytest.approx((low + 4.9, high + 4.9))
    until(lambda: motor.limits == pytest.approx((low + 4.9, high + 4.9)))
    motor.set(5.05).wait(10)
    assert motor.position == pytest.approx(5.05, abs=0.001)
    motor.user_offset.put(0.0, wait=True)
    until(lambda: motor.position == pytest.approx(0.15, abs=0.001) and motor.limits == pytest.approx((low, high)))


def test_homing_goes_to_the_dials_zero(motor):
    motor.set(0.2).wait(10)
    motor.home("forward", wait=True, timeout=10)
    assert motor.position == pytest.approx(0.0, abs=0.001)


def test_a_slow_move_reports_its_way_and_can_be_stopped_and_redirected(motor, signal):
    velocity = motor.velocity.get()
    motor.set(-0.15).wait(10)
    motor.velocity.put(0.0003, wait=True)  # 0.3 mm/s at speed 1000
    seen = []
    identifier = motor.user_readback.subscribe(lambda value, **_: seen.append(value), run=False)
    try:
        status = motor.set(0.15)
        time.sleep(0.35)
        motor.stop(success=True)
        status.wait(10)
        completed = signal("MASK:Y.DMOV")
        until(lambda: completed.get() == 1)
        assert len(seen) >= 3 and seen == sorted(seen)
        assert -0.14 < motor.position < 0.0
        assert motor.user_setpoint.get() == pytest.approx(motor.user_readback.get(), abs=0.002)
        # A new goal while it moves: one move, which ends there.
        motor.set(0.15)
        time.sleep(0.1)
        motor.velocity.put(velocity, wait=True)
        motor.user_setpoint.put(-0.1, use_complete=True, wait=True)
        until(lambda: motor.position == pytest.approx(-0.1, abs=0.002))
    finally:
        motor.user_readback.unsubscribe(identifier)
        motor.velocity.put(velocity, wait=True)


def test_play_shows_after_a_move_downwards_unless_the_record_takes_it_up(plate_file):
    with soft_ioc("--play-um", "5", "--jitter-um", "0", plate=plate_file) as ioc:
        motor = connected(EpicsMotor(f"{ioc.prefix}MASK:X", name="x"))
        motor.set(0.1).wait(10)
        assert motor.position == pytest.approx(0.1)
        motor.set(0.0).wait(10)
        assert motor.position == pytest.approx(0.005)
        backlash = connected(EpicsSignal(f"{ioc.prefix}MASK:X.BDST", name="backlash"))
        backlash.put(0.01, wait=True)
        motor.set(-0.1).wait(10)
        assert motor.position == pytest.approx(-0.1)
        backlash.destroy()
        motor.destroy()


def test_the_encoder_errs_by_as_much_as_it_should(plate_file):
    with soft_ioc("--play-um", "0", "--jitter-um", "2", plate=plate_file) as ioc:
        motor = connected(EpicsMotor(f"{ioc.prefix}MASK:X", name="x"))
        errors = []
        for _ in range(60):
            motor.set(0.1).wait(10)
            errors.append((motor.position - 0.1) * 1000)
        assert 1.4 < np.std(errors) < 2.6
        motor.destroy()


def test_a_scaler_counts_and_both_stock_classes_read_it(scaler, ioc, signal):
    signal("SHUTTER:Cmd:Opn-Cmd").put(1, use_complete=True, wait=True)
    assert signal("SHUTTER:Pos-Sts", string=True).get() == "Open"
    scaler.preset_time.put(0.25, wait=True)
    scaler.trigger().wait(10)
    assert scaler.count.get() == 0 and scaler.time.get() == 0.25
    assert scaler.channels.chan1.get() == 2_500_000 == scaler.presets.preset1.get()
    other = connected(ScalerCH(f"{ioc.prefix}SCALER", name="other"))
    other.match_names()
    other.select_channels()
    assert {name for name in other.channels.read_attrs if "." not in name} == {"chan01", "chan02", "chan03"}
    reading = other.read()
    assert reading["monitor"]["value"] == scaler.channels.chan2.get() > 0
    assert reading["diode"]["value"] == scaler.channels.chan3.get() > 0
    other.destroy()


def test_a_scaler_stopped_early_has_counted_in_part(scaler, signal):
    signal("SHUTTER:Cmd:Opn-Cmd").put(1, use_complete=True, wait=True)
    scaler.preset_time.put(0.1, wait=True)
    scaler.trigger().wait(10)
    rate = scaler.channels.chan2.get() / 0.1
    scaler.preset_time.put(300.0, wait=True)  # 0.3 s at speed 1000
    status = scaler.trigger()
    time.sleep(0.1)
    scaler.count.put(0)
    status.wait(10)
    seconds = scaler.time.get()
    assert 50 < seconds < 280
    assert scaler.channels.chan2.get() == pytest.approx(rate * seconds, rel=0.05)


def test_a_trigger_right_after_a_stop_is_a_new_one(signal):
    count, preset, elapsed = signal("SCALER.CNT"), signal("SCALER.TP"), signal("SCALER.T")
    ended = []
    preset.put(400.0, use_complete=True, wait=True)  # 0.4 s at speed 1000
    count.put(1, callback=lambda **_: ended.append("first"))
    time.sleep(0.05)
    preset.put(50.0, use_complete=True, wait=True)
    count.put(0)
    count.put(1, callback=lambda **_: ended.append("second"))
    until(lambda: len(ended) == 2)
    assert ended == ["first", "second"] and elapsed.get() == 50.0


@pytest.mark.parametrize(("field", "value"), [("TP", 0.0), ("TP", -1.0), ("TP", float("inf")), ("CONT", 1)])
def test_a_scaler_refuses_what_it_cannot_do(signal, field, value):
    target = signal(f"SCALER.{field}")
    before = target.get()
    target.put(value, wait=False)
    time.sleep(0.1)
    assert target.get() == before


def test_a_realization_costs_little_time(motor, scaler, ioc):
    other = connected(EpicsMotor(f"{ioc.prefix}MASK:X", name="x"))
    scaler.preset_time.put(0.1, wait=True)
    events = []
    engine = RunEngine({})

    def scan(num):
        yield from bps.open_run()
        for index in range(num):
            yield from bps.mv(motor, 0.12 * (index % 3), other, 0.12 * (index // 3 % 3))
            yield from bps.trigger(scaler, wait=True)
            yield from bps.create()
            for device in (motor, other, scaler.channels.chan2, scaler.channels.chan3):
                yield from bps.read(device)
            yield from bps.save()
        yield from bps.close_run()

    began = time.monotonic()
    engine(scan(60), lambda name, doc: events.append(doc) if name == "event" else None)
    elapsed = time.monotonic() - began
    assert len(events) == 60
    # Some 80 a second on an idle machine; ticks of 10 Hz would take 12 s, Nagle's algorithm 3 s.
    assert elapsed < 2.5
    other.destroy()


def scanned(plate, plate_file, *arguments, speed):
    """Counts (bucket, monitor) of some masks in a simulation of their own, and its ring current afterwards."""
    counts = []
    with soft_ioc("--seed", "5", "--jitter-um", "0", "--play-um", "0", *arguments, plate=plate_file, speed=speed) as ioc:
        y, x = (connected(EpicsMotor(f"{ioc.prefix}MASK:{axis}", name=axis.lower())) for axis in "YX")
        signals = [
            connected(EpicsSignal(ioc.prefix + name, name=name.lower().replace(":", "_")))
            for name in ("SHUTTER:Cmd:Opn-Cmd", "SCALER.TP", "SCALER.CNT", "SCALER.S3", "SCALER.S2", "RING:Current")
        ]
        opening, preset, count, bucket, monitor, current = signals
        opening.put(1, use_complete=True, wait=True)
        preset.put(0.05, use_complete=True, wait=True)
        for index in range(4):
            moves = [axis.set(place) for axis, place in zip((y, x), plate.positions_mm[index], strict=True)]
            for move in moves:
                move.wait(10)
            count.put(1, use_complete=True, wait=True)
            counts.append((bucket.get(), monitor.get()))
        current_ma = current.get()
        for device in (y, x, *signals):
            device.destroy()
    return counts, current_ma


def test_counts_are_those_of_the_physics_whatever_the_speed(plate_file):
    plate = MaskPlate.load(plate_file)
    experiment = Experiment(EtchedPlate(plate, GOLD, 5), make_sample("gear", (8, 8), 5), seed=5)
    exposures = [experiment.expose(0.05, tuple(plate.positions_mm[index])) for index in range(4)]
    expected = [(counts.bucket, counts.monitor) for counts in exposures]
    for speed in (2.0, 1000.0):
        counts, current = scanned(plate, plate_file, "--sample", "gear", speed=speed)
        assert counts == expected
        assert current == round(experiment.ring_current, 2)
