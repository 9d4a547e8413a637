"""Frames are read from their HDF5 file, in place and while it is written, and from nowhere else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from fly_runs import DATASETS, IMAGE, NUMBER, SHAPE, DetectorProcess, fly_run, frame

from analysis.documents.frames import FrameFile, FramesRefused, FramesUnreadable


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "frames" / "scan.h5"


def opened(path: Path, key: str = IMAGE, **options) -> FrameFile:
    return FrameFile(path, DATASETS[key], [path.parent], **{"patience_s": 0.0, **options})


def expected(first: int, last: int) -> np.ndarray:
    return np.array([frame(number) for number in range(first + 1, last + 1)])


def test_frames_are_read_while_they_are_written(path):
    with DetectorProcess(path) as writer:
        writer.append(range(1, 31))
        with opened(path) as images, opened(path, NUMBER) as numbers:
            assert (images.shape, images.dtype, numbers.shape) == (SHAPE, np.dtype("<u2"), ())
            np.testing.assert_array_equal(images.read(0, 30), expected(0, 30))
            writer.append(range(31, 131))  # the first chunk, which was read half empty, is filled up
            np.testing.assert_array_equal(images.read(25, 130), expected(25, 130))
            assert numbers.read(0, 130).tolist() == list(range(1, 131))


def test_frames_that_were_announced_are_waited_for(path):
    with DetectorProcess(path) as writer, opened(path, patience_s=30.0) as images:
        later = threading.Timer(0.2, writer.append, [range(1, 4)])
        later.start()
        np.testing.assert_array_equal(images.read(0, 3), expected(0, 3))
        later.join()


def test_a_file_that_appears_late_is_waited_for(path):
    path.parent.mkdir()
    later = threading.Timer(0.2, fly_run, [path])
    later.start()
    with opened(path, patience_s=30.0) as images:
        np.testing.assert_array_equal(images.read(0, 3), expected(0, 3))
    later.join()


def test_what_a_killed_writer_flushed_is_read(path):
    writer = DetectorProcess(path)
    writer.append(range(1, 101))
    writer.kill()
    with opened(path) as images, opened(path, NUMBER) as numbers:
        np.testing.assert_array_equal(images.read(0, 100), expected(0, 100))
        assert numbers.read(0, 100).tolist() == list(range(1, 101))
        with pytest.raises(FramesUnreadable, match=r"scan\.h5 cannot be read: it holds \d+ frames, 1000000 were announced"):
            images.read(0, 1_000_000)


def test_a_truncated_file_is_named_and_gives_no_zeros(path):
    fly_run(path)
    unreadable = 0
    for size in range(path.stat().st_size * 99 // 100, 0, -2000):
        os.truncate(path, size)
        try:
            with opened(path) as images:
                np.testing.assert_array_equal(images.read(0, 200), expected(0, 200))
        except FramesUnreadable as error:
            assert "scan.h5 cannot be read" in str(error)
            unreadable += 1
    assert unreadable > 5


def test_the_end_of_an_uncompressed_file_is_missed(path):
    path.parent.mkdir()
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset(DATASETS[IMAGE], data=expected(0, 128), chunks=(64, *SHAPE))
    os.truncate(path, path.stat().st_size - 10_000)
    with opened(path) as images:
        np.testing.assert_array_equal(images.read(0, 10), expected(0, 10))
        with pytest.raises(FramesUnreadable, match="its end is missing"):
            images.read(0, 128)


def test_a_file_of_an_unfinished_scan_that_lost_its_end_hangs_nobody(path):
    writer = DetectorProcess(path)
    writer.append(range(1, 2001))
    writer.kill()
    size = path.stat().st_size
    for left in (size // 2, size // 10, 400):
        os.truncate(path, left)
        with pytest.raises(FramesUnreadable, match=r"scan\.h5 cannot be read"), opened(path) as images:
            images.read(0, 2000)


def test_frames_that_were_announced_but_not_written_are_no_zeros(path):
    path.parent.mkdir()
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(DATASETS[IMAGE], (256, *SHAPE), "<u2", chunks=(64, *SHAPE))
        data[:64] = expected(0, 64)
    with opened(path) as images:
        np.testing.assert_array_equal(images.read(0, 64), expected(0, 64))
        with pytest.raises(FramesUnreadable, match="never written"):
            images.read(0, 65)


def test_missing_and_foreign_files_are_named(path):
    with pytest.raises(FramesUnreadable, match=r"scan\.h5 cannot be read: there is no such file"):
        opened(path)
    path.parent.mkdir()
    path.write_bytes(b"II*\0 a picture" * 1000)
    with pytest.raises(FramesUnreadable, match=r"scan\.h5 cannot be read: .*no HDF5 file"):
        opened(path)
    with h5py.File(path, "w") as file:
        file["entry/other"] = np.zeros((3, *SHAPE))
    with pytest.raises(FramesUnreadable, match="the file has no /entry/data"):
        opened(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (12, 11)}, r"a row of it is \(12, 10\), the run announced \(12, 11\)"),
        ({"dtype": "<f4"}, "it is of type uint16, the run announced float32"),
    ],
)
def test_frames_unlike_those_announced_are_refused(path, options, message):
    fly_run(path)
    with pytest.raises(FramesRefused, match=message):
        opened(path, **options)


def test_a_file_outside_the_allowed_folders_is_refused(path, tmp_path):
    fly_run(path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.h5").symlink_to(path)
    for named in (path, elsewhere / "link.h5", elsewhere / ".." / "frames" / "scan.h5"):
        with pytest.raises(FramesRefused, match=r"it lies outside .*elsewhere\. Set frames_dir"):
            FrameFile(named, DATASETS[IMAGE], [elsewhere], patience_s=30.0)
    with opened(path) as images:
        images.read(0, 1)


def test_a_link_within_the_file_is_followed_and_one_out_of_it_refused(path):
    fly_run(path.parent / "other.h5")
    with h5py.File(path, "w", libver="latest") as file:
        file["instrument/pixels"] = expected(0, 3)
        file["entry"] = h5py.SoftLink("/aliases")
        file["aliases/data"] = h5py.SoftLink("/instrument/pixels")
        file["aliases/out"] = h5py.ExternalLink("other.h5", DATASETS[IMAGE])
        file["aliases/loop"] = h5py.SoftLink("/aliases/loop")
    with FrameFile(path, "entry/data", [path.parent], patience_s=0.0) as images:
        np.testing.assert_array_equal(images.read(0, 3), expected(0, 3))
    for name in ("out", "loop"):
        with pytest.raises(FramesRefused, match=f"/aliases/{name} leads into another file"):
            FrameFile(path, f"/entry/{name}", [path.parent], patience_s=0.0)


def test_data_that_lie_in_other_files_are_refused(path):
    secret = path.parent / "secret.bin"
    path.parent.mkdir()
    secret.write_bytes(bytes(2 * 3 * SHAPE[0] * SHAPE[1]))
    layout = h5py.VirtualLayout((3, *SHAPE), "<u2")
    layout[:] = h5py.VirtualSource(str(path.parent / "other.h5"), "x", (3, *SHAPE))
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", (3, *SHAPE), "<u2", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    for dataset in ("virtual", "external"):
        with pytest.raises(FramesRefused, match="takes its data from other files"):
            FrameFile(path, dataset, [path.parent], patience_s=0.0)


def test_data_sets_that_are_no_frames_are_refused(path):
    path.parent.mkdir()
    with h5py.File(path, "w", libver="latest") as file:
        file["text"] = ["a", "b"]
        file["number"] = 3.0
        file.create_group("group")
        file.create_dataset("huge", (2**10, 2**20), "u1", chunks=(2**10, 2**20))
    for dataset, message in [
        ("text", "not a row of numbers"),
        ("number", "not a row"),
        ("group", "not a data set"),
        ("huge", "chunk"),
    ]:
        with pytest.raises(FramesRefused, match=message):
            FrameFile(path, dataset, [path.parent], patience_s=0.0)


@pytest.mark.parametrize("uri", ["http://localhost/frames/scan.h5", "file://server/frames/scan.h5"])
def test_a_file_of_another_machine_is_refused(uri, tmp_path):
    resource = {"uri": uri, "parameters": {"dataset": "x"}}
    with pytest.raises(FramesRefused, match="give a file as file://localhost"):
        FrameFile.of(resource, {"shape": [2, 3]}, [tmp_path])


def test_a_stream_resource_names_the_data_set(path):
    _, documents = fly_run(path.parent / "a scan.h5")
    keys = next(doc["data_keys"] for name, doc in documents if name == "descriptor")
    resources = {doc["data_key"]: doc for name, doc in documents if name == "stream_resource"}
    resources[IMAGE]["uri"] = f"file://localhost{path.parent}/a%20scan.h5"
    with FrameFile.of(resources[IMAGE], keys[IMAGE] | {"shape": [1, *SHAPE]}, [path.parent]) as images:
        np.testing.assert_array_equal(images.read(3, 5), expected(3, 5))
    with FrameFile.of(resources[NUMBER], keys[NUMBER] | {"shape": [1]}, [path.parent]) as numbers:
        assert numbers.read(0, 3).tolist() == [1, 2, 3]
