"""The pixel detector and its trigger box over Channel Access, as stock ophyd classes drive them, and their faults."""

import contextlib
import os
import signal
import time

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import psutil
import pytest
from ophyd import Component as Cpt
from ophyd import EpicsMotor, EpicsSignal
from ophyd.areadetector import CamBase, DetectorBase
from ophyd.areadetector.filestore_mixins import FileStoreHDF5
from ophyd.areadetector.plugins import HDF5Plugin_V34
from soft_ioc import soft_ioc

from sims.frame_writer import EPOCH_1990_S, FRAMES, NUMBERS, TIMES

pytestmark = pytest.mark.ioc

POINTS = 100
COUNTS = ("MissedTrigger", "DroppedFrame", "FileClosesEarly")


class Plugin(HDF5Plugin_V34, FileStoreHDF5):
    """The stock plugin with a stock mixin that names files."""


class Detector(DetectorBase):
    """The stock camera with the plugin."""

    cam = Cpt(CamBase, "cam1:")
    hdf = Cpt(Plugin, "HDF1:", write_path_template="/", root="/")


class Beamline:
    """A fly scan by hand: the detector, the box and the sample stage of one simulation."""

    def __init__(self, ioc):
        self.ioc = ioc
        self.detector = Detector(f"{ioc.prefix}PIX:", name="detector")
        self.motors = {axis: EpicsMotor(f"{ioc.prefix}SAMPLE:{axis}", name=axis) for axis in "YX"}
        self.signals = {}
        for device in (self.detector, *self.motors.values()):
            device.wait_for_connection(timeout=20)

    def signal(self, name):
        if name not in self.signals:
            self.signals[name] = EpicsSignal(self.ioc.prefix + name, name="signal")
            self.signals[name].wait_for_connection(timeout=20)
        return self.signals[name]

    def get(self, name):
        return self.signal(name).get()

    def put(self, name, value):
        self.signal(name).put(value, use_complete=True, wait=True)

    def begin(self, folder):
        """Open a file in a folder, count from 1, and let the detector wait for triggers."""
        self.detector.hdf.write_path_template = str(folder)
        self.detector.stage()
        self.detector.cam.trigger_mode.set("External").wait(5)
        self.detector.cam.image_mode.set("Continuous").wait(5)
        self.detector.cam.acquire.set(1).wait(5)
        for name, value in (("COUNT_RESET", 1), ("GATE_WID", 4.5), ("PULSE_MAX", POINTS), ("PULSE_STEP", 5e-4)):
            self.put(f"TRIG:PC_{name}", value)
        return self.detector.hdf.full_file_name.get()

    def line(self, number=0, wait=True):
        """Move along one line of a snake while the box triggers; return its numbers, times, y and x."""
        side = -1 if number % 2 else 1
        self.motors["Y"].set(number * 1e-4).wait(10)
        self.motors["X"].set(-0.003 * side).wait(10)
        self.put("TRIG:PC_GATE_START", -1.0 * side)
        self.put("TRIG:PC_ARM", 1)
        self.motors["X"].set(0.003 * side).wait(10)
        until(lambda: self.get("TRIG:PC_ARM_OUT") == 0)
        captured = ("COUNTS", "TIME", "ENC1", "ENC2")
        with contextlib.suppress(AssertionError):  # the arrays are announced one after the other; some tests lose triggers
            until(lambda: {np.size(self.get(f"TRIG:PC_{name}")) for name in captured} == {POINTS}, seconds=0.5)
        return [self.get(f"TRIG:PC_{name}") for name in captured]

    def captured(self):
        return self.detector.hdf.num_captured.get()

    def end(self):
        self.detector.cam.acquire.set(0).wait(5)
        self.detector.unstage()


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def read(path):
    with h5py.File(path, swmr=True) as file:
        return tuple(file[name][:] for name in (FRAMES, NUMBERS, TIMES))


@pytest.fixture(scope="module")
def shared(plate_file):
    with soft_ioc(plate=plate_file, speed=100.0) as ioc:
        made = Beamline(ioc)
        made.put("SHUTTER:Cmd:Opn-Cmd", 1)
        for motor in made.motors.values():
            motor.velocity.put(0.04, wait=True)
        yield made
        for device in (made.detector, *made.motors.values(), *made.signals.values()):
            device.destroy()


@pytest.fixture
def beamline(shared):
    yield shared
    for name in ("StalledAxis", "FullDisk", "PositionJitter", *COUNTS):
        shared.put(f"FAULT:{name}", 0)
    shared.put("TRIG:PC_DISARM", 1)
    for motor in shared.motors.values():
        motor.stop()
    shared.end()


def test_stock_classes_find_all_their_records_and_prime_the_plugin(beamline):
    for part in (beamline.detector.cam, beamline.detector.hdf):
        for walk in part.walk_signals(include_lazy=True):
            if getattr(walk.item, "pvname", None):
                walk.item.wait_for_connection(timeout=20)
    hdf = beamline.detector.hdf
    assert tuple(hdf.array_size.get()) == (0, 192, 192)
    for name in ("PIX:cam1:ArrayCounter", "PIX:HDF1:ArrayCounter"):
        beamline.put(name, 0)
    hdf.warmup()
    assert hdf.capture.get() == 0 and beamline.detector.cam.acquire.get() == 0
    assert beamline.detector.cam.array_counter.get() == 1 and hdf.array_counter.get() == 1
    assert set(hdf.read_configuration()) == set(hdf.describe_configuration())


def test_a_snake_of_lines_pairs_frames_and_positions_by_number(beamline, tmp_path):
    began = time.time()
    path = beamline.begin(tmp_path)
    lines = [beamline.line(number) for number in range(3)]
    until(lambda: beamline.captured() == 3 * POINTS)
    frames, numbers, times = read(path)
    assert numbers.tolist() == list(range(1, 3 * POINTS + 1)) == np.concatenate([line[0] for line in lines]).tolist()
    assert beamline.get("TRIG:PC_COUNT") == 3 * POINTS and beamline.get("TRIG:PC_NUM_DOWN") == POINTS
    assert beamline.get("PIX:HDF1:QueueUse") == 0 and beamline.detector.cam.array_counter.get() >= 3 * POINTS
    for number, (_, seconds, y, x) in enumerate(lines):
        side = -1 if number % 2 else 1
        np.testing.assert_allclose(y, 0.1 * number, atol=1e-6)
        np.testing.assert_allclose(x, side * (-0.99 + 0.02 * np.arange(POINTS)), atol=1e-4)
        np.testing.assert_allclose(np.diff(seconds), 5e-4, rtol=1e-4)
    assert frames.shape == (3 * POINTS, 192, 192)
    totals = frames.sum(axis=(1, 2), dtype=int)
    assert totals.min() > 17_000 and totals.max() < 21_000

    # where the lines meet the frames are alike, far from there they are not
    def unlike(first, second):
        return np.abs(frames[first].astype(int) - frames[second]).sum()

    assert unlike(POINTS - 1, POINTS) < unlike(0, POINTS)
    assert began < times[0] + EPOCH_1990_S < times[-1] + EPOCH_1990_S < time.time()
    beamline.end()
    with h5py.File(path) as file:
        assert len(file[FRAMES]) == 3 * POINTS
    assert beamline.detector.hdf.capture.get() == 0


def test_without_light_frames_are_empty(beamline, tmp_path):
    path = beamline.begin(tmp_path)
    beamline.put("SHUTTER:Cmd:Cls-Cmd", 1)
    beamline.line()
    beamline.put("SHUTTER:Cmd:Opn-Cmd", 1)
    until(lambda: beamline.captured() == POINTS)
    assert read(path)[0].sum() == 0


def test_the_file_closes_by_itself_when_it_has_what_was_asked_for(beamline, tmp_path):
    beamline.detector.hdf.stage_sigs["num_capture"] = 30
    path = beamline.begin(tmp_path)
    beamline.detector.hdf.stage_sigs["num_capture"] = 0
    beamline.line()
    until(lambda: beamline.detector.hdf.capture.get() == 0)
    assert beamline.captured() == 30
    with h5py.File(path) as file:
        assert file[NUMBERS][:].tolist() == list(range(1, 31))


def test_internal_triggers_take_as_many_frames_as_were_asked_for(beamline, tmp_path):
    beamline.detector.hdf.write_path_template = str(tmp_path)
    beamline.detector.stage()
    cam = beamline.detector.cam
    for signal_, value in ((cam.trigger_mode, "Internal"), (cam.image_mode, "Multiple"), (cam.num_images, 5)):
        signal_.set(value).wait(5)
    beamline.put("PIX:cam1:ArrayCounter", 0)
    beamline.put("PIX:cam1:Acquire", 1)
    assert cam.acquire.get() == 0 and cam.array_counter.get() == 5
    until(lambda: beamline.captured() == 5)
    assert read(beamline.detector.hdf.full_file_name.get())[1].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("fault", "dropped"), [("MissedTrigger", 0), ("DroppedFrame", 3)])
def test_a_frame_that_is_not_there_leaves_a_gap_in_the_numbers(beamline, tmp_path, fault, dropped):
    path = beamline.begin(tmp_path)
    beamline.put("PIX:HDF1:DroppedArrays", 0)
    beamline.line(0)
    beamline.put(f"FAULT:{fault}", 3)
    numbers = beamline.line(1)[0]
    assert numbers.tolist() == list(range(POINTS + 1, 2 * POINTS + 1))
    until(lambda: beamline.captured() == 2 * POINTS - 3)
    assert read(path)[1].tolist() == [*range(1, POINTS + 1), *range(POINTS + 4, 2 * POINTS + 1)]
    assert beamline.get("PIX:HDF1:DroppedArrays_RBV") == dropped and beamline.get(f"FAULT:{fault}") == 0


def test_jitter_is_in_the_captured_positions_alone(beamline, tmp_path):
    beamline.begin(tmp_path)
    beamline.put("FAULT:PositionJitter", 0.05)
    _, _, y, x = beamline.line()
    for readings, true in ((y, 0.0), (x, -0.99 + 0.02 * np.arange(POINTS))):
        assert np.std(readings - true) == pytest.approx(0.05, rel=0.3)


def test_a_file_that_closes_early_is_short_and_whole(beamline, tmp_path):
    path = beamline.begin(tmp_path)
    beamline.put("FAULT:FileClosesEarly", POINTS + 20)
    for number in range(3):
        beamline.line(number)
    until(lambda: beamline.detector.hdf.capture.get() == 0)
    assert beamline.captured() == POINTS + 20 and beamline.get("FAULT:FileClosesEarly") == 0
    with h5py.File(path) as file:
        assert file[NUMBERS][:].tolist() == list(range(1, POINTS + 21))


def test_a_full_disk_is_said_and_the_next_file_is_written(beamline, tmp_path):
    path = beamline.begin(tmp_path)
    beamline.line(0)
    until(lambda: beamline.captured() == POINTS)
    beamline.put("FAULT:FullDisk", 1)
    beamline.line(1)
    until(lambda: beamline.get("PIX:HDF1:WriteStatus") == 1)
    message = beamline.detector.hdf.write_message.get()
    assert message == f"Error writing file {path}: No space left on device"
    until(lambda: beamline.detector.hdf.capture.get() == 0)
    assert read(path)[1].tolist()[:POINTS] == list(range(1, POINTS + 1))
    beamline.put("FAULT:FullDisk", 0)
    beamline.end()
    beamline.begin(tmp_path)
    beamline.line(0)
    until(lambda: beamline.captured() == POINTS)
    assert beamline.get("PIX:HDF1:WriteStatus") == 0 and beamline.detector.hdf.write_message.get() == ""


@pytest.mark.parametrize("how", ["fault", "kill -9"])
def test_a_killed_writer_leaves_what_was_flushed_and_the_next_file_has_another(beamline, tmp_path, how):
    path = beamline.begin(tmp_path)
    beamline.line(0)
    until(lambda: beamline.captured() == POINTS)
    if how == "fault":
        beamline.put("FAULT:WriterKilled", 1)
    else:
        (writer,) = psutil.Process(beamline.ioc.process.pid).children()
        os.kill(writer.pid, signal.SIGKILL)
    until(lambda: beamline.detector.hdf.capture.get() == 0)
    assert beamline.get("PIX:HDF1:WriteStatus") == 1 and "has died" in beamline.detector.hdf.write_message.get()
    assert len(beamline.line(1)[0]) == POINTS  # the box and the stage go on
    assert read(path)[1].tolist() == list(range(1, POINTS + 1))
    beamline.end()
    path = beamline.begin(tmp_path)
    beamline.line(0)
    until(lambda: beamline.captured() == POINTS)
    assert len(read(path)[0]) == POINTS


def test_a_stalled_axis_never_opens_the_gate_until_it_is_disarmed(beamline, tmp_path):
    beamline.begin(tmp_path)
    beamline.motors["X"].set(-0.003).wait(10)
    beamline.put("FAULT:StalledAxis", 4)
    beamline.put("TRIG:PC_GATE_START", -1.0)
    beamline.put("TRIG:PC_ARM", 1)
    status = beamline.motors["X"].set(0.003)
    time.sleep(0.3)
    assert not status.done and beamline.get("TRIG:PC_ARM_OUT") == 1 and beamline.get("TRIG:PC_COUNT") == 0
    beamline.put("TRIG:PC_DISARM", 1)
    assert beamline.get("TRIG:PC_ARM_OUT") == 0 and beamline.get("TRIG:PC_NUM_CAP") == 0
    beamline.put("FAULT:StalledAxis", 0)
    status.wait(10)


def test_what_cannot_be_is_refused_or_said(beamline, tmp_path):
    hdf = beamline.detector.hdf
    for name, value in (("PIX:cam1:AcquireTime", 0.0), ("PIX:HDF1:NumFramesChunks", 1), ("FAULT:DroppedFrame", -1)):
        before = beamline.get(name)
        beamline.signal(name).put(value, wait=False)
        time.sleep(0.1)
        assert beamline.get(name) == before
    hdf.file_path.set(str(tmp_path / "nowhere")).wait(5)
    assert hdf.file_path_exists.get() == 0
    beamline.put("PIX:HDF1:Capture", 1)
    assert beamline.get("PIX:HDF1:WriteStatus") == 1 and "No such file" in hdf.write_message.get()
    hdf.create_directory.set(-2).wait(5)
    hdf.file_path.set(str(tmp_path / "a" / "b")).wait(5)
    assert (tmp_path / "a" / "b").is_dir() and hdf.file_path_exists.get() == 1


def test_a_simulation_that_ends_takes_its_writer_with_it(plate_file, tmp_path):
    with soft_ioc(plate=plate_file) as ioc:
        beamline = Beamline(ioc)
        beamline.begin(tmp_path)
        (writer,) = psutil.Process(ioc.process.pid).children()
        ioc.process.send_signal(signal.SIGTERM)
        assert ioc.process.wait(10) == 0
        until(lambda: not writer.is_running())
        for device in (beamline.detector, *beamline.motors.values(), *beamline.signals.values()):
            device.destroy()
