"""The pixel detector and its file plugin on fake records."""

import threading

import pytest
from bluesky.protocols import Flyable, Triggerable, WritesStreamAssets
from ophyd.sim import make_fake_device

from beamline.frames.frame_camera import DetectorError
from beamline.frames.frame_file import FrameFileError
from beamline.frames.pixel_detector import PixelDetector
from beamline.frames.values import Optics, TriggeredFrames

FRAMES = TriggeredFrames(exposure_s=0.001, period_s=0.001, shape=(4, 6))


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr("beamline.frames.frame_file._EXISTS_S", 0.05)
    fake = make_fake_device(PixelDetector)(
        "PIX:",
        name="det",
        frames_dir="/data/frames",
        optics=Optics(11.1, 1e4, 100.0, "far_field"),
        frame_timeout_s=0.2,
    )
    cam, plugin = fake.cam, fake.hdf1
    plugin._timeout_s = 0.2
    cam.array_size.array_size_y.sim_put(4)
    cam.array_size.array_size_x.sim_put(6)
    cam.data_type.sim_put("UInt16")
    cam.detector_state.sim_put("Idle")
    cam.status_message.sim_put("all well")
    for signal, value in [(cam.acquire, 0), (cam.acquire_time, 0.1), (cam.image_mode, 0), (cam.array_callbacks, 0)]:
        signal.sim_put(value)
    cam.trigger_mode.sim_put("Internal")
    plugin.enable.sim_put("Disable")
    for signal, value in [(plugin.height, 4), (plugin.width, 6), (plugin.num_captured, 0), (plugin.capture, 0)]:
        signal.sim_put(value)
    plugin.write_status.sim_put(0)
    plugin.write_message.sim_put("")
    named = {plugin.height: "HDF1:ArraySize1_RBV", plugin.width: "HDF1:ArraySize0_RBV", plugin.capture: "HDF1:Capture_RBV"}
    named |= {plugin.write_status: "HDF1:WriteStatus", plugin.file_path_exists: "HDF1:FilePathExists_RBV"}
    named |= {plugin.num_captured: "HDF1:NumCaptured_RBV", cam.acquire: "cam1:Acquire_RBV"}
    for signal, suffix in named.items():
        signal.pvname = f"PIX:{suffix}"  # which fake signals lack
    plugin.full_file_name.sim_put("/data/frames/2026-11-27/a b.h5")
    return fake


def test_it_is_what_bluesky_asks_of_a_detector_that_writes_files(detector):
    assert isinstance(detector, WritesStreamAssets)
    assert isinstance(detector, Flyable)
    assert isinstance(detector, Triggerable)
    assert detector.read() == {}


def test_only_what_is_flushed_is_told_of_and_the_number_is_read_before_the_flush(detector):
    plugin = detector.hdf1
    plugin.capture.sim_put(1)
    plugin.open(("det_image", "det_number"))
    plugin.num_captured.sim_put(5)
    # Frames that come while the flush runs are for the next time.
    plugin.flush_now.sim_set_putter(lambda *_, **__: plugin.num_captured.sim_put(9))
    documents = list(detector.collect_asset_docs())
    assert [name for name, _ in documents] == ["stream_resource"] * 2 + ["stream_datum"] * 2
    assert documents[0][1]["uri"] == "file://localhost/data/frames/2026-11-27/a%20b.h5"
    assert {doc["data_key"]: doc["parameters"]["dataset"] for name, doc in documents if name == "stream_resource"} == {
        "det_image": "/entry/data/data",
        "det_number": "/entry/instrument/NDAttributes/NDArrayUniqueId",
    }
    assert [doc["indices"] for name, doc in documents if name == "stream_datum"] == [{"start": 0, "stop": 5}] * 2
    again = list(detector.collect_asset_docs(7))
    assert [doc["indices"] for _, doc in again] == [{"start": 5, "stop": 7}] * 2


def test_nothing_new_is_no_document(detector):
    detector.hdf1.capture.sim_put(1)
    detector.hdf1.open(("det_image", "det_number"))
    assert list(detector.collect_asset_docs()) == []


def test_frames_of_another_size_than_the_run_says_are_refused(detector):
    detector.hdf1.height.sim_put(8)
    with pytest.raises(DetectorError, match=r"PIX:HDF1:ArraySize1_RBV.*\(8, 6\).*\(4, 6\).*take one frame"):
        detector.prepare(FRAMES)


def test_a_plugin_that_saw_no_frame_is_primed(detector):
    plugin, cam = detector.hdf1, detector.cam
    plugin.height.sim_put(0)
    plugin.width.sim_put(0)

    def acquire(value, *_, **__):
        cam.acquire.sim_put(value)
        if value and plugin.enable.get() == "Enable" and cam.array_callbacks.get():
            plugin.height.sim_put(4)
            plugin.width.sim_put(6)

    cam.acquire.sim_set_putter(acquire)
    detector._prime()
    assert plugin.shape == (4, 6)
    assert (plugin.enable.get(), cam.acquire_time.get(), cam.array_callbacks.get()) == ("Disable", 0.1, 0)


def test_a_plugin_that_no_frame_reaches_is_named(detector):
    detector.hdf1.height.sim_put(0)
    with pytest.raises(DetectorError, match=r"PIX:HDF1:ArraySize1_RBV.*seen no frame.*EnableCallbacks"):
        detector._prime()
    assert detector.cam.acquire_time.get() == 0.1


def test_a_folder_that_is_not_there_is_named_with_the_cure(detector):
    detector.hdf1.file_path_exists.sim_put(0)
    with pytest.raises(FrameFileError, match=r"/data/frames/x.*PIX:HDF1:FilePathExists_RBV.*frames_dir"):
        detector.hdf1.choose("/data/frames/x", "a")


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [(1, "No space left on device", r"PIX:HDF1:WriteStatus\): No space left"), (0, "", r"PIX:HDF1:Capture_RBV did not become 1")],
)
def test_a_file_that_cannot_be_opened_is_an_error_with_the_iocs_words(detector, status, message, says):
    plugin = detector.hdf1
    plugin.write_status.sim_put(status)
    plugin.write_message.sim_put(message)
    plugin.capture.sim_set_putter(lambda *_, **__: None)
    with pytest.raises(FrameFileError, match=says):
        plugin.open(("det_image", "det_number"))


def test_what_is_in_the_file_is_told_of_before_an_error_and_the_error_once(detector):
    plugin = detector.hdf1
    plugin.capture.sim_put(1)
    plugin.open(("det_image", "det_number"))
    detector.kickoff().wait(1)
    plugin.num_captured.sim_put(3)
    plugin.write_status.sim_put(1)
    plugin.write_message.sim_put("disk gone")
    assert len(list(detector.collect_asset_docs())) == 4
    with pytest.raises(FrameFileError, match="disk gone"):
        list(detector.collect_asset_docs())
    assert list(detector.collect_asset_docs()) == []


def test_a_detector_that_stops_is_named_with_its_state(detector):
    detector.hdf1.capture.sim_put(1)
    detector.hdf1.open(("det_image", "det_number"))
    detector.kickoff().wait(1)
    detector.cam.acquire.sim_put(0)
    detector.cam.detector_state.sim_put("Error")
    detector.cam.status_message.sim_put("overheated")
    with pytest.raises(DetectorError, match=r"PIX:cam1:Acquire_RBV is 0.*'Error'.*'overheated'"):
        list(detector.collect_asset_docs())


def test_completing_waits_as_long_as_frames_come_and_then_does_without_the_missing_ones(detector):
    plugin = detector.hdf1
    plugin.capture.sim_put(1)
    detector.kickoff().wait(1)
    detector.expected.put(3)
    done = detector.complete()
    plugin.num_captured.sim_put(1)
    threading.Timer(0.1, plugin.num_captured.sim_put, args=(2,)).start()
    done.wait(5)
    assert plugin.captured() == 2


def test_a_single_frame_that_does_not_come_fails_the_trigger(detector):
    detector.cam.acquire_time.sim_put(0.01)
    with pytest.raises(DetectorError, match=r"made no frame within 0.21 s: PIX:HDF1:NumCaptured_RBV stayed 0"):
        detector.trigger().wait(5)
