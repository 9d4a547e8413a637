"""Radiographs of other people: ingested with dark and flat fields and angles, or refused by name before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from logged import check_documents, derived_runs, raw_documents
from radiograph_runs import SIZE, tomography_streams

from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.ingest import ingest
from analysis.offline.ingest_error import IngestError
from analysis.offline.replay import verify
from analysis.worker.job import Job, Outcome, run_job

ANGLES = np.arange(0.0, 180.0, 6.0)
STREAMS = tomography_streams(ANGLES)
EXCHANGE = {
    "exchange/data": STREAMS["frames"],
    "exchange/data_dark": STREAMS["darks"],
    "exchange/data_white": STREAMS["flats"],
    "exchange/theta": ANGLES,
}
TOOTH = Path(__file__).parents[4] / "shared/data/tomo_tooth.npz"


def hdf5(path: Path, datasets: dict[str, Any], **units: str) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            if value is not None:
                file[name] = value
        for name, unit in units.items():
            file[name].attrs["units"] = unit
    return path


def nxtomo(folder: Path) -> Path:
    """Flats first, then the sample with a flat in between, then darks."""
    frames, flats, darks = STREAMS["frames"], STREAMS["flats"], STREAMS["darks"]
    images = np.concatenate([flats[:3], frames[:10], flats[3:], frames[10:], darks])
    key = np.repeat([1, 0, 1, 0, 2], [3, 10, 2, 20, 3])
    angles = np.concatenate([np.zeros(3), ANGLES[:10], np.full(2, 60.0), ANGLES[10:], np.zeros(3)])
    detector = {"data": images, "image_key": key}
    return hdf5(
        folder / "scan.nxs",
        {
            **{f"entry/instrument/detector/{name}": value for name, value in detector.items()},
            "entry/data/data": h5py.SoftLink("/entry/instrument/detector/data"),
            "entry/sample/rotation_angle": np.deg2rad(angles),
        },
        **{"entry/sample/rotation_angle": "rad"},
    )


def tiffs(folder: Path) -> Path:
    folder = folder / "tiffs"
    folder.mkdir()
    for number, frame in enumerate(STREAMS["frames"]):
        tifffile.imwrite(folder / f"scan_{number}.tif", frame)
    tifffile.imwrite(folder / "darks.tif", STREAMS["darks"], photometric="minisblack")
    tifffile.imwrite(folder / "flat_before.tif", STREAMS["flats"], photometric="minisblack")
    (folder / "angles.txt").write_text("\n".join(map(str, ANGLES)))
    return folder


def npz(folder: Path, **change: Any) -> Path:
    arrays = {"projections": STREAMS["frames"].astype(np.float32), "theta_deg": ANGLES} | change
    np.savez(folder / "scan.npz", darks=STREAMS["darks"], flats=STREAMS["flats"], **arrays)
    return folder / "scan.npz"


LAYOUTS: dict[str, Any] = {
    "Data Exchange": lambda folder: hdf5(folder / "scan.h5", EXCHANGE),
    "NXtomo": nxtomo,
    "TIFF": tiffs,
    "named arrays": npz,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_becomes_a_run_that_reconstructs_and_replays_to_the_same_bits(tmp_path: Path, layout: str) -> None:
    uid = ingest(LAYOUTS[layout](tmp_path), tmp_path, sample="disc")
    documents = raw_documents(tmp_path, uid)
    check_documents([item for item in documents if item[0] != "event_page"])
    start = documents[0][1]
    assert start["technique"] == "radiographs" and start["num_points"] == len(ANGLES) and start["sample"] == "disc"
    assert start["radiographs"]["remarks"] == []
    job = Job(tmp_path, uid, Recipe("fbp", {"centre": (SIZE - 1) / 2}))
    assert run_job(job)[0] is Outcome.FINISHED
    (run,) = derived_runs(tmp_path)
    assert run.stop is not None and run.stop["ledger"]["used"] == len(ANGLES)
    assert run.stop["ledger"]["normalisation"] == {"darks": 3, "flats": 5, "static": 0, "dead_pixels": 0}
    assert run.events[-1]["data"]["slice"][11:13, 15:17].mean() == pytest.approx(0.05, rel=0.1)
    assert verify(run.documents, documents, tmp_path).identical


def test_series_without_angles_are_ingested_too(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "series.tif", STREAMS["frames"], photometric="minisblack")
    uid = ingest(tmp_path / "series.tif", tmp_path)
    run_job(Job(tmp_path, uid, Recipe("mean")))
    (run,) = derived_runs(tmp_path)
    np.testing.assert_allclose(run.events[-1]["data"]["mean"], STREAMS["frames"].mean(axis=0), rtol=1e-5)
    assert raw_documents(tmp_path, uid)[0][1]["radiographs"]["remarks"] == ["the file holds no darks", "the file holds no flats"]


def test_a_part_of_the_series_is_its_first_radiographs(tmp_path: Path) -> None:
    uid = ingest(LAYOUTS["NXtomo"](tmp_path), tmp_path, fraction=0.5)
    assert raw_documents(tmp_path, uid)[-1][1]["num_events"] == {"flats": 5, "darks": 3, "frames": 15, "angles": 15}


REFUSED: dict[str, Any] = {
    "flats are of 2x20 pixels and the radiographs of 2x24": {"exchange/data_white": STREAMS["flats"][:, :, :20]},
    "there are 30 radiographs and 29 angles": {"exchange/theta": ANGLES[1:]},
    "as half or whole turns in radians do": {"exchange/theta": np.deg2rad(ANGLES)},
    "all angles in exchange/theta are 3: did the sample turn": {"exchange/theta": np.full(30, 3.0)},
    "holds no finite value": {"exchange/theta": np.full(30, np.nan)},
    r"exchange/data is \(2, 24\): images must be \(N, H, W\)": {"exchange/data": STREAMS["frames"][0]},
    r"exchange/data_white is \(2, 24\): .* one alone \(1, H, W\)": {"exchange/data_white": STREAMS["flats"][0]},
    "spans 12.1, as half or whole turns in radians do": {"exchange/theta": np.arange(30) * 4 * np.pi / 30},
    r"image_key is int64 \(29,\) and no images are as many": {"image_key": np.zeros(29, dtype=int)},
    r"there must be one angle a radiograph": {"exchange/theta": ANGLES[:, None]},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(tmp_path: Path, reason: str) -> None:
    path = hdf5(tmp_path / "scan.h5", EXCHANGE | REFUSED[reason])
    with pytest.raises(IngestError, match=reason):
        ingest(path, tmp_path)
    frames = tmp_path / "frames"
    assert not (frames.exists() and list(frames.iterdir())) and LogReader(log_paths(tmp_path).raw).runs() == []


ASSUMED: dict[str, Any] = {
    "1 images are neither radiographs nor flat or dark fields (image_key): they are left out": {
        "exchange/theta": None,
        "entry/images": np.concatenate([STREAMS["flats"], STREAMS["frames"]]),
        "entry/image_key": np.repeat([1, 3, 0], [5, 1, 29]),
        "entry/rotation_angle": np.concatenate([np.zeros(5), ANGLES]),
    },
    "the file holds no angles: there are no slices of it": {"exchange/theta": None},
    "2 angles are no finite numbers: their radiographs are not used": {
        "exchange/theta": np.where(np.arange(30) == 4, np.nan, np.where(np.arange(30) == 5, np.inf, ANGLES))
    },
}


@pytest.mark.parametrize("remark", ASSUMED)
def test_what_is_left_out_is_said(tmp_path: Path, remark: str) -> None:
    uid = ingest(hdf5(tmp_path / "scan.h5", EXCHANGE | ASSUMED[remark]), tmp_path)
    assert remark in raw_documents(tmp_path, uid)[0][1]["radiographs"]["remarks"]


TURNS: dict[str, Any] = {
    "backwards": ANGLES[::-1],
    "whole turn": 2 * ANGLES,
    "two turns, from one degree on": 4 * ANGLES + 1,
    "below zero": ANGLES - 400,
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_sample_may_turn_as_it_likes(tmp_path: Path, turn: str) -> None:
    change = {"exchange/data": tomography_streams(TURNS[turn])["frames"], "exchange/theta": TURNS[turn]}
    uid = ingest(hdf5(tmp_path / "scan.h5", EXCHANGE | change), tmp_path)
    run_job(Job(tmp_path, uid, Recipe("fbp")))
    (run,) = derived_runs(tmp_path)
    data = run.events[-1]["data"]
    assert data["slice"][11:13, 15:17].mean() == pytest.approx(0.05, rel=0.1)
    assert data["centre"] == pytest.approx(11.5, abs=0.2)


@pytest.mark.skipif(not TOOTH.exists(), reason="the tooth of TomoPy's example data is not here")
def test_a_real_tooth_is_reconstructed(tmp_path: Path) -> None:
    uid = ingest(TOOTH, tmp_path)
    assert run_job(Job(tmp_path, uid, Recipe("fbp")))[0] is Outcome.FINISHED
    (run,) = derived_runs(tmp_path)
    final = run.events[-1]["data"]
    assert final["centre"] == pytest.approx(295.6, abs=0.3) and final["slice"].shape == (640, 640)
    y, x = np.mgrid[:640, :640] - 319.5
    assert final["slice"][np.hypot(y, x) < 80].mean() > 0.003
