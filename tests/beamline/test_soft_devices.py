"""The logic of the devices, on soft signals."""

import math
import time

import pytest
from bluesky.magics import _print_positioners
from ophyd.signal import ReadTimeoutError
from ophyd.utils import LimitError, UnknownStatusFailure
from soft_devices import SoftBeamline, SoftDiode, SoftMaskStage, SoftShutter

from beamline.mask_plate import MaskPlateError
from beamline.shutter import ShutterError


@pytest.fixture
def beamline():
    return SoftBeamline()


def test_the_mask_stage_reads_back_which_mask_is_in_the_beam(beamline):
    stage = beamline.mask_stage
    stage.set(5).wait(1)
    stage.y.offset_mm = 0.0031
    stage.set(9).wait(1)
    reading = {key: value["value"] for key, value in stage.read().items()}
    y, x = stage.plate.positions_mm[9]
    assert reading == {
        "mask_stage_y": pytest.approx(y + 0.0031),
        "mask_stage_x": pytest.approx(x),
        "mask_stage_index": 9,
        "mask_stage_offset_y_um": pytest.approx(3.1),
        "mask_stage_offset_x_um": pytest.approx(0.0),
    }


def test_the_mask_stage_is_not_believed_but_read(beamline):
    stage = beamline.mask_stage
    stage.x.offset_mm = 0.08  # a whole mask
    stage.set(0).wait(1)
    assert stage.index.get() == 1


def test_every_data_key_says_its_numpy_type_and_unit(beamline):
    described = beamline.mask_stage.describe() | beamline.shutter.describe() | beamline.diode.describe()
    types = {key: description["dtype_numpy"] for key, description in described.items()}
    assert types == {
        "mask_stage_y": "<f8",
        "mask_stage_x": "<f8",
        "mask_stage_index": "<i8",
        "mask_stage_offset_y_um": "<f8",
        "mask_stage_offset_x_um": "<f8",
        "shutter_status": "<U40",
        "diode": "<f8",
        "diode_monitor": "<f8",
        "diode_time": "<f8",
    }
    assert described["mask_stage_offset_y_um"]["units"] == "um"
    assert described["diode"]["units"] == "counts"
    assert list(beamline.diode.read()) == ["diode", "diode_monitor", "diode_time"]
    assert all("dtype_numpy" in key for key in beamline.diode.describe_configuration().values())


def test_a_mask_that_cannot_be_reached_moves_nothing(beamline):
    stage = beamline.mask_stage
    stage.set(3).wait(1)
    stage.y.limits = (-0.1, 0.1)
    for index, error, says in [
        (16, MaskPlateError, "0 to 15"),
        (-1, MaskPlateError, "0 to 15"),
        (1.5, MaskPlateError, "whole number"),
        (0, LimitError, "soft limits of mask_stage_y"),
    ]:
        with pytest.raises(error, match=says):
            stage.set(index)
    assert stage.index.get() == 3
    stage.y.limits = (0, 0)  # no limits
    assert stage.check_indices(range(16)) == list(range(16))


def test_wa_lists_the_mask_stage_without_an_error(beamline, capsys):
    _print_positioners([beamline.mask_stage])
    listed = capsys.readouterr().out
    assert "mask_stage" in listed and "Error" not in listed


def test_without_a_plate_the_mask_stage_says_so():
    stage = SoftMaskStage("", name="stage")
    with pytest.raises(MaskPlateError, match=r"stage\.mount"):
        stage.set(0)


def test_a_stalled_motor_fails_the_move(beamline):
    beamline.mask_stage.x.stalled = True
    status = beamline.mask_stage.set(4)
    with pytest.raises(UnknownStatusFailure):
        status.wait(2)


def test_the_shutter_opens_and_closes(beamline):
    shutter = beamline.shutter
    shutter.set("Open").wait(1)
    assert shutter.is_open
    shutter.set("Open").wait(1)
    shutter.set("Closed").wait(1)
    assert not shutter.is_open
    assert shutter.presses == ["Open", "Not Open"]
    with pytest.raises(ValueError, match="'Open' or 'Closed'"):
        shutter.set("Ajar")


def test_a_shutter_takes_its_time():
    shutter = SoftShutter("", name="shutter", travel_s=0.05)
    status = shutter.set("Open")
    assert not status.done
    status.wait(1)
    assert shutter.is_open


def test_a_shutter_that_reports_a_failure_fails_at_once(beamline):
    shutter = beamline.shutter
    shutter.stuck = True
    with pytest.raises(ShutterError, match=r"shutter did not go to Open.*interlocked"):
        shutter.set("Open").wait(1)
    shutter.stuck = False
    shutter.set("Open").wait(1)  # the old failure is not held against it


def test_a_shutter_that_says_nothing_times_out(beamline):
    beamline.shutter.silent = True
    with pytest.raises(ShutterError, match=r"within 0\.3 s"):
        beamline.shutter.set("Open").wait(2)


def test_after_an_open_that_failed_the_close_button_is_pressed_all_the_same(beamline):
    shutter = beamline.shutter
    shutter.silent = True
    with pytest.raises(ShutterError, match=r"within 0\.3 s"):
        shutter.set("Open").wait(2)
    shutter.silent = False
    shutter.set("Closed").wait(1)
    assert shutter.presses[-1] == "Not Open"


@pytest.mark.parametrize("way", ["pause", "unstage"])
def test_a_shutter_is_closed_by_pause_and_unstage_even_while_it_opens(way):
    shutter = SoftShutter("", name="shutter", travel_s=0.05)
    shutter.stage()
    opening = shutter.set("Open")
    getattr(shutter, way)()
    opening.wait(1)  # overtaken, not failed: the RunEngine would throw a failure at the plan
    time.sleep(0.15)
    assert not shutter.is_open
    assert shutter.presses == ["Open", "Not Open"]
    shutter.pause()
    assert shutter.presses == ["Open", "Not Open"]


def test_the_diode_counts(beamline):
    diode = beamline.diode
    diode.exposure.put(0.5)
    diode.trigger().wait(1)
    reading = {key: value["value"] for key, value in diode.read().items()}
    assert reading == {"diode": 3.0, "diode_monitor": 2000.0, "diode_time": 0.5}
    assert diode.monitor_rate.get() == 4000
    assert isinstance(reading["diode"], float)
    assert diode.saturation_counts(0.1) == pytest.approx(0.99e5)


def test_a_lost_trigger_reads_nan_until_the_next_one(beamline):
    diode = beamline.diode
    diode.exposure.put(0.01)
    diode.lose = 1
    diode.trigger().wait(1)
    assert diode.lost.get() == 1
    assert all(math.isnan(value["value"]) for value in diode.read().values())
    diode.trigger().wait(1)
    assert diode.lost.get() == 0
    assert diode.read()["diode"]["value"] == 3.0


def test_a_count_whose_readings_can_no_longer_be_fetched_is_lost_but_ends(beamline, monkeypatch):
    diode = beamline.diode
    diode.exposure.put(0.01)

    def died(**_):
        raise ReadTimeoutError("the IOC has died")

    monkeypatch.setattr(diode.elapsed, "get", died)
    diode.trigger().wait(1)
    assert diode.lost.get() == 1
    monkeypatch.undo()
    diode.trigger().wait(1)
    assert diode.lost.get() == 0


@pytest.mark.parametrize("way", ["pause", "unstage", "stop"])
def test_a_count_can_be_stopped_and_begun_again(way):
    diode = SoftDiode("", name="diode")
    diode.exposure.put(10.0)
    diode.stage()
    diode.lose = 1
    status = diode.trigger()
    getattr(diode, way)()
    status.wait(1)
    diode.trigger().wait(1)
    assert diode.lost.get() == 0
    assert diode.triggers == 2


def test_a_new_trigger_ends_a_count_that_is_under_way():
    diode = SoftDiode("", name="diode")
    diode.lose = 1
    first = diode.trigger()
    diode.trigger().wait(1)
    first.wait(1)
    assert diode.read()["diode"]["value"] == 1000
