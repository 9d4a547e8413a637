"""The detector's HDF5 file: what a reader finds in it while it grows, after it, and after its writer was killed."""

import os
import signal
import subprocess
import sys

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from sims.frame_writer import FRAMES, NUMBERS, TIMES, FrameWriter

SHAPE = (6, 8)


def made(first, count):
    numbers = np.arange(first, first + count)
    frames = (numbers[:, None, None] * 7 + np.arange(48).reshape(SHAPE)).astype(np.uint16)
    return frames, numbers, numbers / 2000.0


def read(path, count=None):
    with h5py.File(path, swmr=True) as file:
        return tuple(file[name][:count] for name in (FRAMES, NUMBERS, TIMES))


def assert_holds(path, count):
    for found, wanted in zip(read(path, count), made(1, count), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("sizes", [[1], [64], [63, 1, 1], [10, 200, 3, 64], [65] * 4, [0, 128]])
def test_every_frame_comes_back_whatever_the_sizes_of_the_batches(tmp_path, sizes):
    for flush_s in (0.0, 60.0):
        path = tmp_path / f"{flush_s}.h5"
        writer = FrameWriter(path, SHAPE, flush_s)
        done = 0
        for size in sizes:
            writer.append(*made(done + 1, size))
            done += size
            assert writer.count == (done if flush_s == 0 else 0)
        writer.close()
        assert_holds(path, done)
        assert len(read(path)[0]) == len(read(path)[1]) == done


def test_the_layout_is_that_of_areadetector(tmp_path):
    writer = FrameWriter(tmp_path / "a.h5", SHAPE)
    writer.append(*made(1, 3))
    writer.close()
    with h5py.File(tmp_path / "a.h5") as file:
        frames = file[FRAMES]
        assert frames.chunks == (64, *SHAPE) and frames.dtype == "<u2" and "32008" in frames._filters
        assert file[NUMBERS].dtype == "<i8" and file[TIMES].dtype == "<f8"
        assert file["/entry/instrument/detector/data"] == frames


def test_a_reader_follows_the_file_and_sees_all_that_is_counted(tmp_path):
    path = tmp_path / "a.h5"
    writer = FrameWriter(path, SHAPE, flush_s=0.0)
    writer.append(*made(1, 5))
    with h5py.File(path, "r", swmr=True) as file:
        for first, count in ((6, 60), (66, 3), (69, 130)):
            writer.append(*made(first, count))
            for name in (FRAMES, NUMBERS):
                file[name].refresh()
            total = first + count - 1
            assert writer.count == total == len(file[FRAMES])
            np.testing.assert_array_equal(file[FRAMES][:total], made(1, total)[0])
            np.testing.assert_array_equal(file[NUMBERS][:total], made(1, total)[1])
    writer.close()


def test_what_waits_is_flushed_when_it_is_due(tmp_path):
    writer = FrameWriter(tmp_path / "a.h5", SHAPE, flush_s=0.0)
    writer._flush_s = 60.0
    writer.append(*made(1, 1))
    writer.flush_when_due()
    assert writer.count == 0
    writer._flush_at = 0.0
    writer.flush_when_due()
    assert writer.count == 1
    writer.close()


def test_all_that_was_flushed_survives_a_kill(tmp_path):
    path = tmp_path / "a.h5"
    program = (
        "import numpy as np, sys, time; from pathlib import Path; from sims.frame_writer import FrameWriter\n"
        "numbers = np.arange(1, 151)\n"
        "frames = (numbers[:, None, None] * 7 + np.arange(48).reshape(6, 8)).astype(np.uint16)\n"
        f"writer = FrameWriter(Path({str(path)!r}), (6, 8), 60.0)\n"
        "writer.append(frames[:100], numbers[:100], numbers[:100] / 2000)\n"
        "writer.flush()\n"
        "writer.append(frames[100:], numbers[100:], numbers[100:] / 2000)\n"
        "print(writer.count, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "100\n"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert_holds(path, 100)


def test_impossible_frames_and_files_are_refused(tmp_path):
    writer = FrameWriter(tmp_path / "a.h5", SHAPE)
    frames, numbers, times = made(1, 3)
    with pytest.raises(ValueError, match="3 frames came with 2 numbers"):
        writer.append(frames, numbers[:2], times)
    with pytest.raises(ValueError, match="float64"):
        writer.append(frames.astype(float), numbers, times)
    writer.close()
    with pytest.raises(OSError, match="exists"):
        FrameWriter(tmp_path / "a.h5", SHAPE)
    with pytest.raises(OSError, match="No such file"):
        FrameWriter(tmp_path / "nowhere" / "a.h5", SHAPE)
