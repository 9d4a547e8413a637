"""The devices on the simulated records, over Channel Access."""

import time

import numpy as np
import pytest
from ophyd.utils import DisconnectedError, UnknownStatusFailure
from soft_ioc import soft_ioc

from beamline.config import GhostbeamConfig
from beamline.config.stages import MaskStageSection
from beamline.factory import DevicesNotConnected, DevicesUnusable, connect, make_devices, make_mask_stage
from beamline.mask_designs import hadamard, make_plate
from beamline.mask_stage import MaskLimitError
from beamline.motion.stage_axis import AxisBlocked
from beamline.shutter import ShutterError

pytestmark = pytest.mark.ioc
PLATE = make_plate("small", hadamard(8), 10.0)


def config_for(prefix):
    return GhostbeamConfig(
        epics={"prefix": prefix}, mask_stage={"move_timeout_s": 0.5}, shutter={"timeout_s": 2}, diode={"count_margin_s": 0.5}
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    path = tmp_path_factory.mktemp("plate") / "plate.npz"
    PLATE.save(path)
    with soft_ioc(plate=path) as ioc:
        devices = make_devices(config_for(ioc.prefix))
        connect(devices, 20)
        devices.mask_stage.mount(PLATE)
        yield ioc, devices


@pytest.fixture
def ioc(running):
    running[0].clear_faults()
    yield running[0]
    running[0].clear_faults()


@pytest.fixture
def devices(running, ioc):
    devices = running[1]
    devices.diode.exposure.set(0.1).wait(5)
    yield devices
    devices.shutter.set("Closed").wait(5)


@pytest.mark.parametrize("index", [0, 63, 17])
def test_a_mask_comes_into_the_beam(devices, index):
    devices.mask_stage.set(index).wait(5)
    reading = {key: value["value"] for key, value in devices.mask_stage.read().items()}
    assert reading["mask_stage_index"] == index
    y = PLATE.positions_mm[index, 0]
    # play of the drive and jitter of the encoder, in um
    assert abs(reading["mask_stage_offset_y_um"]) < 1
    assert abs(reading["mask_stage_offset_x_um"]) < 1
    assert (reading["mask_stage_y"] - y) * 1000 == pytest.approx(reading["mask_stage_offset_y_um"], abs=1e-6)


def test_many_moves_and_counts_are_never_stale(devices):
    stage, diode = devices.mask_stage, devices.diode
    devices.shutter.set("Open").wait(5)
    ratios, fresh = [], set()
    for index in np.random.default_rng(0).permutation(64):
        stage.set(index).wait(5)
        assert stage.index.get() == index
        diode.trigger().wait(5)
        reading = diode.read()
        fresh.add(reading["diode_time"]["timestamp"] if reading["diode"]["value"] else index)
        ratios.append(reading["diode"]["value"] / reading["diode_monitor"]["value"])
    assert np.ptp(ratios) > 0.05, "the masks make no difference"


def test_limits_of_the_record_are_respected(devices):
    y = devices.mask_stage.y
    high = y.limits[1]
    try:
        y.high_limit_travel.set(0.0).wait(5)
        deadline = time.monotonic() + 5
        while y.limits[1] != 0.0 and time.monotonic() < deadline:
            time.sleep(0.01)
        before = devices.mask_stage.index.get()
        with pytest.raises(MaskLimitError, match="soft limits of mask_stage_y"):
            devices.mask_stage.set(63)
        assert devices.mask_stage.index.get() == before
    finally:
        y.high_limit_travel.set(high).wait(5)


def test_light_reaches_the_diode_only_through_the_open_shutter(devices):
    devices.mask_stage.set(0).wait(5)
    devices.diode.trigger().wait(5)
    dark = devices.diode.read()["diode"]["value"]
    devices.shutter.set("Open").wait(5)
    devices.diode.trigger().wait(5)
    light = devices.diode.read()
    assert light["diode"]["value"] > 100 * (dark + 1)
    assert light["diode_time"]["value"] == pytest.approx(0.1)
    assert devices.diode.monitor_rate.get() == pytest.approx(10 * light["diode_monitor"]["value"])
    assert devices.ring_current.get() > 300


def test_a_stuck_shutter_is_reported_and_recovers(ioc, devices):
    ioc.put("FAULT:ShutterStuck", 1)
    with pytest.raises(ShutterError, match="did not go to Open"):
        devices.shutter.set("Open").wait(5)
    ioc.put("FAULT:ShutterStuck", 0)
    devices.shutter.set("Open").wait(5)
    assert devices.shutter.is_open


def test_a_lost_trigger_reads_nan_and_the_next_one_counts(ioc, devices):
    ioc.put("FAULT:LostTrigger", 1)
    devices.diode.trigger().wait(5)
    assert devices.diode.lost.get() == 1
    assert np.isnan(devices.diode.read()["diode"]["value"])
    devices.diode.trigger().wait(5)
    assert devices.diode.read()["diode_time"]["value"] == pytest.approx(0.1)


def test_a_late_trigger_is_waited_for(ioc, devices):
    ioc.put("FAULT:LateTrigger", 0.3)
    began = time.monotonic()
    devices.diode.trigger().wait(5)
    assert time.monotonic() - began > 0.25
    assert devices.diode.lost.get() == 0


def test_saturated_counts_reach_the_limit(ioc, devices):
    devices.mask_stage.set(0).wait(5)
    devices.shutter.set("Open").wait(5)
    ioc.put("FAULT:DiodeSaturation", 1)
    devices.diode.trigger().wait(5)
    assert devices.diode.read()["diode"]["value"] >= devices.diode.saturation_counts(0.1)


def test_a_stalled_axis_fails_the_move_and_recovers(ioc, devices):
    devices.mask_stage.set(0).wait(5)
    ioc.put("FAULT:StalledAxis", 1)
    with pytest.raises(UnknownStatusFailure):
        devices.mask_stage.set(60).wait(5)
    devices.mask_stage.stop()
    ioc.put("FAULT:StalledAxis", 0)
    time.sleep(0.1)
    devices.mask_stage.set(60).wait(5)
    assert devices.mask_stage.index.get() == 60


def test_a_move_fails_at_once_when_the_ioc_dies(tmp_path):
    PLATE.save(tmp_path / "plate.npz")
    with soft_ioc(plate=tmp_path / "plate.npz") as ioc:
        config = config_for(ioc.prefix)
        stage = make_mask_stage(config.model_copy(update={"mask_stage": MaskStageSection(move_timeout_s=8)}))
        connect([stage], 20)
        stage.mount(PLATE)
        ioc.put("FAULT:StalledAxis", 1)
        status = stage.set(60)
        time.sleep(0.1)
        assert not status.done
        ioc.process.kill()
        with pytest.raises(DisconnectedError, match="was lost while it moved"):
            status.wait(4)


def test_devices_that_do_not_answer_are_all_named(running):
    config = config_for(running[0].prefix)
    wrong = config.model_copy(
        update={
            "shutter": config.shutter.model_copy(update={"pv": "NOSHUTTER:"}),
            "beam": config.beam.model_copy(update={"ring_current": "NORING"}),
        }
    )
    devices = make_devices(wrong)
    began = time.monotonic()
    with pytest.raises(DevicesNotConnected, match=r"(?s)2 of the devices.*shutter: .*NOSHUTTER:.*ring_current: .*NORING.*prefix"):
        connect(devices, 1.5)
    assert time.monotonic() - began < 3, "the waiting must be for all together"


@pytest.mark.parametrize(("record", "section"), [("MASK:X", "mask_stage"), ("SAMPLE:Y", "sample_stage")])
def test_a_stage_that_counts_in_another_unit_is_refused_when_it_connects(ioc, running, record, section):
    ioc.put(f"{record}.EGU", "um")
    try:
        with pytest.raises(DevicesUnusable, match=rf"{record}\.EGU says 'um', but \[{section}\] units is 'mm'"):
            connect(running[1], 5)
    finally:
        ioc.put(f"{record}.EGU", "mm")


def test_a_mask_stage_in_um_goes_to_the_same_places(ioc, running):
    # The simulated stage counts in mm whatever EGU says: 1000 times less than it is told here.
    config = config_for(ioc.prefix)
    section = MaskStageSection(units="um", move_timeout_s=0.5)
    stage = make_mask_stage(config.model_copy(update={"mask_stage": section}))
    stage.wait_for_connection(timeout=20)
    small = make_plate("small", hadamard(2), 10.0)
    stage.mount(small)
    limits = {axis: axis.limits for axis in (stage.y, stage.x)}
    try:
        for axis in limits:
            axis.high_limit_travel.set(0.0).wait(5)
            axis.low_limit_travel.set(0.0).wait(5)
            axis.velocity.set(1000.0).wait(5)
            deadline = time.monotonic() + 10
            while axis.limits != (0.0, 0.0):
                assert time.monotonic() < deadline, "the limits do not arrive"
                time.sleep(0.01)
        stage.set(3).wait(5)
        assert stage.y.user_readback.get() == pytest.approx(1000 * small.positions_mm[3, 0], abs=0.01)
        assert stage.position == 3
    finally:
        for axis, (low, high) in limits.items():
            axis.user_setpoint.set(0.0).wait(5)
            axis.low_limit_travel.set(low).wait(5)
            axis.high_limit_travel.set(high).wait(5)
            axis.velocity.set(5.0).wait(5)


@pytest.mark.parametrize("state", ["Stop", "Pause"])
def test_a_record_that_is_stopped_or_paused_is_named_when_it_is_told_to_move(ioc, devices, state):
    ioc.put("MASK:X.SPMG", state)
    try:
        deadline = time.monotonic() + 5
        while devices.mask_stage.why_not_ready() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(AxisBlocked, match=rf"mask_stage_x cannot move: .*MASK:X\.SPMG is {state}: set it to Go"):
            devices.mask_stage.set(60)
    finally:
        ioc.put("MASK:X.SPMG", "Go")
    deadline = time.monotonic() + 5
    while devices.mask_stage.why_not_ready() and time.monotonic() < deadline:
        time.sleep(0.01)
    devices.mask_stage.set(60).wait(5)


def test_a_minor_alarm_fails_no_move_and_a_major_one_does(ioc, devices):
    ioc.put("FAULT:AxisAlarm", 21)
    devices.mask_stage.set(17).wait(5)
    assert devices.mask_stage.position == 17
    assert "MASK:X.RBV is in MINOR alarm" in devices.mask_stage.trouble()
    ioc.put("FAULT:AxisAlarm", 22)
    with pytest.raises(UnknownStatusFailure):
        devices.mask_stage.set(20).wait(5)
    assert "MASK:X.RBV is in MAJOR alarm" in devices.mask_stage.trouble()


def test_a_problem_of_the_controller_is_told(ioc, devices):
    assert devices.mask_stage.trouble() is None
    ioc.put("FAULT:AxisProblem", 1)
    assert "MASK:Y.MSTA is 512: its controller reports a problem" in devices.mask_stage.trouble()


def test_a_beamline_without_shutter_and_ring_current_connects(running):
    config = config_for(running[0].prefix)
    without = {
        "shutter": config.shutter.model_copy(update={"pv": ""}),
        "beam": config.beam.model_copy(update={"ring_current": ""}),
    }
    devices = make_devices(config.model_copy(update=without))
    connect(devices, 20)
    assert devices.shutter is None and devices.ring_current is None
    named = {
        "mask_stage",
        "sample_stage",
        "diode",
        "pixel_detector",
        "trigger_box",
        "dual_camera",
        "xray_camera",
        "rotation_stage",
        "angle_box",
        "pinhole",
        "xrf_spectrometer",
    }
    assert {device.name for device in devices} == named
