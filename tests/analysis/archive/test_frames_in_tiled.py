"""Tiled serves the frames of a run from the detector's own file, also while it is written."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from archived_runs import archive, log
from fly_runs import DATASETS, IMAGE, NUMBER, SHAPE, DetectorFile, DetectorProcess, FlyRun, fly_run, frame
from tiled.client.utils import ClientError

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
    archive = RunArchive(raw, run.uid, folders=[run.path.parent])
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


def brought_in(tiled_server, raw, run: FlyRun, documents):
    """The run in Tiled, after the archiver has read it back."""
    log(tiled_server.state_dir, documents)
    archive(tiled_server.state_dir, raw)
    return raw[run.uid]


def test_an_ended_run_is_verified_with_its_frames(tiled_server, raw, path):
    run, documents = fly_run(path, lost=(5,))
    stored = brought_in(tiled_server, raw, run, documents)
    assert stored.metadata["verified_against_log"] is True
    assert stored.metadata["compared"]["file"] == 2


def test_a_run_that_was_cut_short_counts_its_frames(tiled_server, raw, path):
    run = FlyRun(path)
    with DetectorFile(path) as file:
        file.append(list(range(1, 101)))
    stored = brought_in(tiled_server, raw, run, [*run.start(), *run.frames(0, 64), *run.stop(64)])
    assert stored.metadata["verified_against_log"] is True
    assert stored["frames"][NUMBER].read().tolist() == list(range(1, 65))


def test_a_stream_may_lie_in_several_files(tiled_server, raw, path):
    run, second = FlyRun(path), FlyRun(path.with_name("second.h5"))
    documents = [*run.start(), *run.frames(0, 64)]
    for one, numbers in ((run, range(1, 65)), (second, range(65, 101))):
        with DetectorFile(one.path) as file:
            file.append(list(numbers))
    for name, doc in [*second.start(), *second.frames(0, 36)]:
        if name not in ("stream_resource", "stream_datum"):
            continue
        here = json.loads(json.dumps(doc).replace(second.uid, run.uid))
        here |= {key: f"second {here[key]}" for key in ("uid", "stream_resource") if key in here}
        if name == "stream_datum":
            here["seq_nums"] = {end: value + 64 for end, value in here["seq_nums"].items()}
        documents.append((name, here))
    stored = brought_in(tiled_server, raw, run, [*documents, *run.stop(100)])
    assert stored.metadata["verified_against_log"] is True
    images = stored["frames"][IMAGE]
    np.testing.assert_array_equal(images[60:70], [frame(number) for number in range(61, 71)])
    assert stored["frames"][NUMBER].read().tolist() == list(range(1, 101))


@pytest.mark.parametrize(("cut", "reason"), [(0.5, "its end is missing"), (0.0, "there is no such file")])
def test_a_run_whose_frames_cannot_be_read_is_not_called_verified(tiled_server, raw, path, cut, reason):
    run, documents = fly_run(path)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    if not cut:
        path.unlink()
    stored = brought_in(tiled_server, raw, run, documents)
    assert stored.metadata["verified_against_log"] is False
    assert reason in stored.metadata["not_as_logged"][f"frames/{IMAGE}"]
    assert len(stored["positions"].read()["time"]) == 200


def test_a_file_outside_the_folders_is_left_out_with_a_sentence(tiled_server, raw, tmp_path):
    run, documents = fly_run(tmp_path / "scan.h5")
    stored = brought_in(tiled_server, raw, run, documents)
    reason = stored.metadata["not_as_logged"][f"frames/{IMAGE}"]
    assert "scan.h5 are not read: it lies outside" in reason and "Set frames_dir" in reason
    assert IMAGE not in stored["frames"].base
    assert len(stored["positions"].read()["time"]) == 200


def test_a_second_detector_that_names_the_same_file_is_left_out(tiled_server, raw, path):
    run, documents = fly_run(path)
    (key,) = [doc["data_keys"] for name, doc in documents if name == "descriptor" and doc["name"] == "frames"]
    key["camera"] = {**key[IMAGE], "object_name": "camera"}
    (resource,) = [doc for name, doc in documents if name == "stream_resource" and doc["data_key"] == IMAGE]
    datum = next(doc for name, doc in documents if name == "stream_datum")
    at = next(number for number, (name, _) in enumerate(documents) if name == "stream_datum")
    second = {**resource, "uid": "second", "data_key": "camera"}
    extra = [("stream_resource", second), ("stream_datum", {**datum, "uid": "second/1", "stream_resource": "second"})]
    stored = brought_in(tiled_server, raw, run, [*documents[:at], *extra, *documents[at:]])
    assert "camera and pixel_detector both name the file" in stored.metadata["not_as_logged"]["frames/camera"]
    np.testing.assert_array_equal(stored["frames"][IMAGE][10], frame(11))
