"""What the process that writes frames reports, without the process."""

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from sims.diffraction import FrameOptions, FrameSource
from sims.frame_messages import Close, Disk, Flush, Open, Take
from sims.frame_process import FrameWorker
from sims.frame_writer import CHUNK, EPOCH_1990_S, FRAMES, NUMBERS, TIMES
from sims.triggers import Triggers
from sims.zone_plate import Optics


@pytest.fixture(scope="module")
def source():
    return FrameSource(FrameOptions(mode="pattern", optics=Optics(pixels=64)))


@pytest.fixture
def worker(source):
    reports = []
    made = FrameWorker(source, CHUNK, lambda **what: reports.append(what))
    made.reports = reports
    return made


def take(*numbers):
    made = np.array(numbers)
    return Take(1, Triggers(made, EPOCH_1990_S + made / 2000, made * 0.0, made * 0.0, 5e-4), True)


def test_frames_are_counted_once_they_can_be_read(worker, tmp_path):
    path = tmp_path / "a.h5"
    worker.handle(Open(str(path)))
    worker.handle(take(1, 2, 4))
    worker.handle(Flush())
    worker.handle(take(5))
    worker.handle(Close())
    assert worker.reports == [
        {"count": 0, "number": 0},
        {"count": 3, "number": 4},
        {"count": 4, "number": 5},
        {"closed": True},
    ]
    with h5py.File(path) as file:
        assert file[NUMBERS][:].tolist() == [1, 2, 4, 5]
        assert file[TIMES][:] == pytest.approx(np.array([1, 2, 4, 5]) / 2000, abs=1e-6)
        np.testing.assert_array_equal(file[FRAMES][:], worker._source.frames(1, take(1, 2, 4, 5).triggers))


def test_a_full_disk_ends_the_file_with_what_was_flushed_and_the_next_one_works(worker, tmp_path):
    worker.handle(Open(str(tmp_path / "a.h5")))
    worker.handle(take(1, 2))
    worker.handle(Flush())
    worker.handle(Disk(True))
    worker.handle(take(3))
    worker.handle(take(4))
    assert worker.reports[1:] == [{"count": 2, "number": 2}, {"error": "No space left on device"}]
    assert not worker.writing
    worker.handle(Disk(False))
    worker.handle(Open(str(tmp_path / "b.h5")))
    worker.handle(take(5))
    worker.handle(Close())
    assert worker.reports[-2:] == [{"count": 1, "number": 5}, {"closed": True}]


def test_a_file_that_cannot_be_made_is_an_error(worker, tmp_path):
    worker.handle(Open(str(tmp_path / "nowhere" / "a.h5")))
    assert "No such file or directory" in worker.reports[0]["error"] and not worker.writing
