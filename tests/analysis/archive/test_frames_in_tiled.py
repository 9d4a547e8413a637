"""Tiled serves the frames of a run from the detector's own file, also while it is written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from fly_runs import DATASETS, IMAGE, NUMBER, SHAPE, DetectorFile, DetectorProcess, FlyRun, fly_run, frame
from tiled.client.utils import ClientError

from analysis.archive import stored_frames
from analysis.archive.catalog import connect
from analysis.archive.run_archive import RunArchive

pytestmark = pytest.mark.e2e


@pytest.fixture
def raw(tiled_server):
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        yield catalog.raw


@pytest.fixture
def path(tiled_server, request) -> Path:
    return tiled_server.state_dir / "frames" / f"{request.node.name}.h5"


def archived(raw, run: FlyRun, documents) -> RunArchive:
    archive = RunArchive(raw, run.uid)
    for name, doc in documents:
        archive.write(name, doc)
    if documents[-1][0] != "stop":  # which flushes
        archive.flush()
    return archive


def test_a_frame_and_its_number_are_read_in_place(raw, path):
    run, documents = fly_run(path, lost=(7,))
    archived(raw, run, documents)
    stream = raw[run.uid]["frames"]
    images, numbers = stream[IMAGE], stream[NUMBER]
    assert images.shape == (199, *SHAPE) and images.chunks[0] == (64, 64, 64, 7)
    np.testing.assert_array_equal(images[100], frame(102))
    np.testing.assert_array_equal(images[60:70, 2:4, ::3], [frame(number)[2:4, ::3] for number in range(62, 72)])
    np.testing.assert_array_equal(images[::-50], [frame(number) for number in (200, 150, 100, 50)])
    assert numbers.read().tolist() == [number for number in range(1, 201) if number != 7]
    assert numbers.dtype == np.int64 and numbers.ndim == 1


def test_frames_are_read_while_the_run_goes_on(raw, path):
    path.parent.mkdir(exist_ok=True)
    run = FlyRun(path)
    with DetectorProcess(path) as detector:
        archive = archived(raw, run, run.start())
        for first, last in [(0, 30), (30, 100)]:  # the first chunk is read half empty
            detector.append(range(first + 1, last + 1))
            for name, doc in run.frames(first, last):
                archive.write(name, doc)
            archive.flush()
            images = raw[run.uid]["frames"][IMAGE]
            assert images.shape == (last, *SHAPE)
            np.testing.assert_array_equal(images.read(), [frame(number) for number in range(1, last + 1)])
        detector.append(range(101, 151))
        assert raw[run.uid]["frames"][NUMBER].read().tolist() == list(range(1, 101))  # those that were announced


def test_what_is_wrong_with_a_file_is_said(raw, path):
    run, documents = fly_run(path)
    archived(raw, run, documents)
    images = raw[run.uid]["frames"][IMAGE]
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ClientError, match="its end is missing"):
        images[150]
    path.write_bytes(b"no file of this kind")
    with pytest.raises(ClientError, match="no HDF5 file"):
        images[150]
    path.unlink()
    with pytest.raises(ClientError, match="there is no such file"):
        images[150]
    with h5py.File(path, "w") as file:
        file[DATASETS[IMAGE]] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ClientError, match="leads into another file"):
        images[150]


def test_a_link_out_of_the_folder_is_not_followed(raw, path, tmp_path):
    elsewhere = tmp_path / "elsewhere.h5"
    run, documents = fly_run(elsewhere)
    path.symlink_to(elsewhere)
    for name, doc in documents:
        if name == "stream_resource":
            doc["uri"] = f"file://localhost{path}"
    archived(raw, run, documents)
    with pytest.raises(ClientError, match="lies outside"):
        raw[run.uid]["frames"][IMAGE][0]


def compared(raw, run: FlyRun, documents, key: str, num: int) -> str | None:
    data_keys = next(doc["data_keys"] for name, doc in documents if name == "descriptor")
    (resource,) = [doc for name, doc in documents if name == "stream_resource" and doc["data_key"] == key]
    return stored_frames.difference(raw[run.uid]["frames"][key], resource, data_keys[key], num, [run.path.parent])


def test_what_tiled_serves_is_held_against_the_file(raw, path):
    run, documents = fly_run(path)
    archived(raw, run, documents)
    assert compared(raw, run, documents, IMAGE, 200) is None
    assert compared(raw, run, documents, NUMBER, 200) is None
    assert compared(raw, run, documents, NUMBER, 199) == "has 200 entries in Tiled, 199 were announced"


def test_a_run_whose_file_is_damaged_or_gone_is_told(raw, path):
    run, documents = fly_run(path)
    archived(raw, run, documents)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "its end is missing" in str(compared(raw, run, documents, IMAGE, 200))
    path.unlink()
    assert "there is no such file" in str(compared(raw, run, documents, NUMBER, 200))


def test_frames_that_only_tiled_cannot_read_are_told(raw, path, tmp_path):
    run, documents = fly_run(path)
    archived(raw, run, documents)
    path.rename(tmp_path / "moved.h5")
    for name, doc in documents:
        if name == "stream_resource":
            doc["uri"] = f"file://localhost{tmp_path}/moved.h5"
    run.path = tmp_path / "moved.h5"
    assert "cannot be read by Tiled: " in str(compared(raw, run, documents, IMAGE, 200))


def test_a_run_that_was_cut_short_counts_its_frames(raw, path):
    run = FlyRun(path)
    path.parent.mkdir(exist_ok=True)
    with DetectorFile(path) as file:
        file.append(list(range(1, 101)))
    documents = [*run.start(), *run.frames(0, 64), *run.stop(64)]
    archived(raw, run, documents)
    assert compared(raw, run, documents, IMAGE, 64) is None
    assert compared(raw, run, documents, NUMBER, 64) is None
