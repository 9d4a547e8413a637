"""Frame pairs of other people: ingested with their frames, or refused by name before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from logged import check_documents, derived_runs, raw_documents

from analysis.documents.frame_folders import frame_folders
from analysis.documents.frames import FrameFile
from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.ingest import ingest
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_pairs import Pairing
from analysis.worker.job import Job, run_job

RNG = np.random.default_rng(0)
SCENE = 40 + 30 * np.sin(np.arange(32) / 4)[:, None] * np.cos(np.arange(32) / 5)[None, :]
FRAMES = RNG.poisson(np.concatenate([SCENE, SCENE], axis=1), (6, 32, 64)).astype(np.uint16)
DARKS = RNG.poisson(2.0, (3, 32, 64)).astype(np.uint16)
NEUTRONS = Path(__file__).parents[3] / "../shared/data/frames_neutron_mcp.npz"


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **({"frames": FRAMES} | arrays))
    return path


def hdf5(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value
    return path


def tiff(path: Path) -> Path:
    tifffile.imwrite(path, FRAMES)
    return path


def written_nothing(state_dir: Path) -> bool:
    frames = state_dir / "frames"
    return not (frames.exists() and list(frames.iterdir())) and LogReader(log_paths(state_dir).raw).runs() == []


def stored(state_dir: Path, uid: str) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Start document, and the frames and numbers of each stream."""
    documents = raw_documents(state_dir, uid)
    check_documents(documents)
    descriptors = {doc["uid"]: doc for name, doc in documents if name == "descriptor"}
    resources = {doc["uid"]: doc for name, doc in documents if name == "stream_resource"}
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, doc in documents:
        if name == "stream_datum":
            descriptor, resource = descriptors[doc["descriptor"]], resources[doc["stream_resource"]]
            key = resource["data_key"]
            with FrameFile.of(resource, descriptor["data_keys"][key], frame_folders(state_dir), patience_s=0) as file:
                found.setdefault(descriptor["name"], {})[key] = file.read(0, doc["indices"]["stop"])
    return documents[0][1], found


@pytest.mark.parametrize(
    "made",
    [
        lambda folder: (npz(folder / "a.npz"), None),
        lambda folder: (hdf5(folder / "a.h5", **{"entry/data/data": FRAMES}), None),
        lambda folder: (hdf5(folder / "a.h5", **{"raw/camera": FRAMES}), "/raw/camera"),
        lambda folder: (tiff(folder / "a.tif"), None),
    ],
    ids=["NPZ", "NeXus", "named", "TIFF"],
)
def test_a_stack_of_frames_becomes_a_run_whose_halves_are_denoised(tmp_path: Path, made: Any) -> None:
    path, name = made(tmp_path)
    uid = ingest(path, tmp_path, sample="waves", frames=name, pairing=Pairing("halves"))
    start, found = stored(tmp_path, uid)
    assert start["plan_name"] == "ingest" and start["technique"] == "pairs" and start["sample"] == "waves"
    assert start["pairs"]["pairing"] == "halves" and start["pairs"]["halves"] == [[0, 32, 0, 32], [0, 32, 32, 64]]
    assert start["num_points"] == 6 and start["pairs"]["darks"] is None
    np.testing.assert_array_equal(found["frames"]["dual_camera_image"], FRAMES)
    np.testing.assert_array_equal(found["frames"]["dual_camera_number"], np.arange(1, 7))
    run_job(Job(tmp_path, uid, Recipe("gaussian")))
    (run,) = derived_runs(tmp_path)
    assert run.stop is not None and run.stop["exit_status"] == "success" and run.stop["ledger"]["used"] == 6


def test_darks_and_flats_become_streams_of_the_run(tmp_path: Path) -> None:
    uid = ingest(
        npz(tmp_path / "a.npz", darks=DARKS, flats=FRAMES[:2], saturation_counts=4095), tmp_path, pairing=Pairing("halves")
    )
    start, found = stored(tmp_path, uid)
    entry = start["pairs"]
    assert (entry["darks"], entry["flats"], entry["saturation_counts"]) == ("darks", "flats", 4095)
    np.testing.assert_array_equal(found["darks"]["dual_camera_image"], DARKS)
    assert list(found) == ["darks", "flats", "frames"]


def test_consecutive_frames_are_pairs_and_floats_stay_as_they_are(tmp_path: Path) -> None:
    frames = FRAMES[:5].astype(np.float64) / 3
    frames[0, 0, 0] = np.nan
    uid = ingest(npz(tmp_path / "a.npz", frames=frames), tmp_path, pairing=Pairing("consecutive"))
    start, found = stored(tmp_path, uid)
    assert start["pairs"]["halves"] is None and start["pairs"]["shape"] == [32, 64]
    assert "no partner" in start["pairs"]["remarks"][0] and "floating-point" in start["pairs"]["remarks"][1]
    np.testing.assert_array_equal(found["frames"]["dual_camera_image"], frames.astype(np.float32))


def test_the_first_part_of_a_series_and_windows_of_the_halves(tmp_path: Path) -> None:
    pairing = Pairing("halves", [[0, 20, 2, 30], [4, 24, 34, 62]])
    start, found = stored(tmp_path, ingest(npz(tmp_path / "a.npz"), tmp_path, fraction=0.5, pairing=pairing))
    assert start["pairs"]["halves"] == [[0, 20, 2, 30], [4, 24, 34, 62]]
    assert len(found["frames"]["dual_camera_image"]) == start["num_points"] == 3


@pytest.mark.parametrize(
    ("arrays", "pairing", "says"),
    [
        ({}, ("halves", [[0, 40, 0, 32], [0, 40, 32, 64]]), "is not inside a frame of 32x64"),
        ({}, ("halves", [[0, 32, 0, 32], [0, 30, 32, 64]]), "make their windows alike"),
        ({}, ("halves", [[0, 32, 0, 32], [0, 32, 30, 62]]), "overlap"),
        ({"frames": FRAMES[:, :, :1]}, ("halves", []), "is not inside a frame of 32x1"),
        ({"frames": FRAMES[0]}, ("halves", []), r"frames is \(32, 64\): frames must be \(N, H, W\)"),
        ({"frames": FRAMES[:0]}, ("halves", []), "frames must be"),
        ({"frames": FRAMES * 1j}, ("halves", []), "complex128: frames must be numbers"),
        ({"frames": FRAMES[:1]}, ("consecutive", []), "1 frame makes no pair"),
        ({"frames": FRAMES * 0}, ("halves", []), "zero everywhere"),
        ({"darks": DARKS[:, :, :60]}, ("halves", []), r"darks have \(32, 60\) pixels, the frames \(32, 64\)"),
        ({"saturation_counts": -1}, ("halves", []), "saturation_counts must be one number from 1"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path, arrays: dict[str, Any], pairing: Any, says: str
) -> None:
    with pytest.raises(IngestError, match=says):
        ingest(npz(tmp_path / "a.npz", **arrays), tmp_path, pairing=Pairing(*pairing))
    assert written_nothing(tmp_path)


@pytest.mark.parametrize(
    ("pairing", "says"),
    [
        (("thirds", []), "there is no pairing 'thirds': say halves or consecutive"),
        (("consecutive", [[0, 1, 0, 1]] * 2), "leave either out"),
        (("halves", [[0, 1, 0, 1]]), "two windows of four whole numbers"),
    ],
)
def test_a_pairing_that_makes_no_sense_is_refused(pairing: Any, says: str) -> None:
    with pytest.raises(IngestError, match=says):
        Pairing(*pairing)


def test_frames_without_a_known_name_are_listed(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=r"no frames were found.*--frames.*images: uint16"):
        ingest(hdf5(tmp_path / "a.h5", images=FRAMES), tmp_path, pairing=Pairing("halves"))
    with pytest.raises(IngestError, match="have no positions"):
        ingest(npz(tmp_path / "a.npz"), tmp_path, positions=["y", "x"], pairing=Pairing("halves"))
    with pytest.raises(IngestError, match=r"reconstructed by gaussian.*not by tv"):
        ingest(npz(tmp_path / "a.npz"), tmp_path, recipes=[Recipe("tv")], pairing=Pairing("halves"))


def test_a_damaged_stack_of_images_is_named(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(IngestError, match="cannot be read"):
        ingest(path, tmp_path, pairing=Pairing("halves"))
    assert written_nothing(tmp_path)


@pytest.mark.skipif(not NEUTRONS.is_file(), reason="the neutron frames are not here")
def test_real_neutron_frames(tmp_path: Path) -> None:
    uid = ingest(NEUTRONS, tmp_path, pairing=Pairing("consecutive"))
    start, found = stored(tmp_path, uid)
    assert start["num_points"] == 10 and found["frames"]["dual_camera_image"].shape == (10, 512, 512)
    run_job(Job(tmp_path, uid, Recipe("gaussian")))
    (run,) = derived_runs(tmp_path)
    assert run.stop is not None and run.stop["exit_status"] == "success" and run.stop["ledger"]["used"] == 5
