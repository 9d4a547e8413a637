"""Files of other people's data: ingested, or refused by name before anything is written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from logged import check_documents, derived_runs, raw_documents
from made_runs import mask_set, picture

from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.haar import haar_masks
from analysis.offline.ingest import ingest
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import read_measurement
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.job import Job, run_job

MASKS = mask_set(100).patterns
BUCKETS = np.tensordot(MASKS, picture(), 2)
WHOLE: dict[str, Any] = {
    "masks": MASKS,
    "buckets": BUCKETS,
    "errors": np.full(100, 0.5),
    "reference": picture((20, 30)),
    "pixel_size_um": 12.5,
}


def written(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                file[key] = value
    return path


@pytest.mark.parametrize("name", ["data.npz", "data.h5"])
def test_a_file_becomes_a_mask_set_and_a_run_that_reconstructs(tmp_path: Path, name: str) -> None:
    recipe = Recipe("least_squares")
    uid = ingest(written(tmp_path / name, WHOLE), tmp_path, recipes=[recipe])
    documents = raw_documents(tmp_path, uid)
    start = documents[0][1]
    masks = MaskStore(tmp_path).load(start["mask_set"])
    assert np.array_equal(masks.patterns, MASKS) and masks.pixel_size_um == 12.5
    assert start["plan_name"] == "ingest" and start["sample"] == "data" and start["num_points"] == 100
    assert start["recipes"] == [recipe.to_doc()] and start["ghost"]["errors"] == "bucket_error"
    events = [(n, doc) for n, doc in documents if n == "event_page"]
    assert np.array_equal(events[0][1]["data"]["reference"][0], WHOLE["reference"].astype(np.float32))
    assert events[1][1]["data"]["bucket"] == BUCKETS.tolist()
    for n, doc in documents:
        if n != "event_page":
            check_documents([("start", start), (n, doc)] if n == "descriptor" else [("start", start)])
    run_job(Job(tmp_path, uid, recipe))
    (stored,) = derived_runs(tmp_path)
    np.testing.assert_allclose(stored.final, picture(), atol=0.05)
    assert stored.start["image"]["units"] == "arbitrary"


def test_a_fraction_is_a_compressed_acquisition(tmp_path: Path) -> None:
    uid = ingest(written(tmp_path / "data.npz", WHOLE), tmp_path, fraction=0.5, sample="letters")
    start = raw_documents(tmp_path, uid)[0][1]
    assert start["num_points"] == 50 and start["sample"] == "letters" and "recipes" not in start
    assert len(MaskStore(tmp_path).load(start["mask_set"]).patterns) == 100


def test_buckets_that_are_nan_end_in_the_ledger(tmp_path: Path) -> None:
    buckets = BUCKETS.copy()
    buckets[3] = np.nan
    uid = ingest(written(tmp_path / "data.npz", {"masks": MASKS, "buckets": buckets}), tmp_path)
    run_job(Job(tmp_path, uid, Recipe("differential")))
    stop = derived_runs(tmp_path)[0].stop
    assert stop is not None and stop["ledger"]["rejected"] == {"bucket_missing": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masks": None}, "no `masks`"),
        ({"buckets": None}, "no `buckets`"),
        ({"masks": MASKS[0]}, "`masks` has the shape"),
        ({"pairs": True, "buckets": BUCKETS[:99], "masks": MASKS[:99], "errors": None}, "cannot be pairs"),
        ({"masks": MASKS[:50]}, "`buckets` has 100 values for 50"),
        ({"masks": MASKS[:, :0]}, "`masks` is empty"),
        ({"masks": MASKS * np.nan}, "`masks` holds NaN"),
        ({"masks": MASKS.astype(complex)}, "`masks` is of type"),
        ({"buckets": BUCKETS.reshape(25, 4)}, "`buckets` has the shape"),
        ({"buckets": BUCKETS * np.nan}, "`buckets` holds no finite"),
        ({"errors": np.ones(99)}, "`errors` has 99"),
        ({"errors": np.zeros(100)}, "`errors` must be positive"),
        ({"reference": np.ones(5)}, "`reference` has the shape"),
        ({"pixel_size_um": -1.0}, "`pixel_size_um`"),
        ({"pixel_size_um": [1.0, 2.0]}, "`pixel_size_um`"),
        ({"masks": None, "buckets": None, "coefficients": np.ones((8, 16))}, "`coefficients`"),
        ({"masks": None, "buckets": None, "coefficients": np.ones((12, 12))}, "`coefficients`"),
    ],
)
@pytest.mark.parametrize("name", ["data.npz", "data.h5"])
def test_a_malformed_file_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, change: dict[str, Any], words: str
) -> None:
    path = written(tmp_path / name, {key: value for key, value in {**WHOLE, **change}.items() if value is not None})
    with pytest.raises(IngestError, match=words):
        ingest(path, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="no file"):
        ingest(tmp_path / "absent.npz", tmp_path)
    text = tmp_path / "text.npz"
    text.write_text("masks")
    with pytest.raises(IngestError, match="neither an NPZ nor an HDF5"):
        ingest(text, tmp_path)
    cut = written(tmp_path / "cut.npz", WHOLE)
    cut.write_bytes(cut.read_bytes()[:5000] + cut.read_bytes()[9000:])
    with pytest.raises(IngestError, match="damaged"):
        ingest(cut, tmp_path)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, masks=np.array([{}, None], dtype=object), buckets=BUCKETS)
    with pytest.raises(IngestError, match="contains objects"):
        ingest(pickled, tmp_path)
    with pytest.raises(IngestError, match="fraction"):
        ingest(written(tmp_path / "data.npz", WHOLE), tmp_path, fraction=0.0)
    assert LogReader(log_paths(tmp_path).raw).runs() == []


@pytest.mark.parametrize("trick", ["external link", "soft link to one", "external storage", "virtual data set"])
def test_an_hdf5_file_that_reads_other_files_is_refused_by_name(tmp_path: Path, trick: str) -> None:
    secret = written(tmp_path / "secret.h5", WHOLE)
    path = tmp_path / "trick.h5"
    with h5py.File(path, "w") as file:
        file["buckets"] = BUCKETS
        if trick == "external link":
            file["masks"] = h5py.ExternalLink(str(secret), "/masks")
        elif trick == "soft link to one":
            file["group"] = h5py.ExternalLink(str(secret), "/")
            file["masks"] = h5py.SoftLink("/group/masks")
        elif trick == "external storage":
            file.create_dataset("masks", MASKS.shape, "<f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout(MASKS.shape, "<f4")
            layout[:] = h5py.VirtualSource(str(secret), "masks", MASKS.shape)
            file.create_virtual_dataset("masks", layout)
    with pytest.raises(IngestError, match=r"trick\.h5 is not read: /(masks|group) .*other file"):
        ingest(path, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_link_within_the_file_is_followed(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "linked.h5", "w") as file:
        file["entry/data"] = MASKS
        file["masks"] = h5py.SoftLink("/entry/data")
        file["buckets"] = BUCKETS
    assert np.array_equal(read_measurement(path).masks, MASKS)


def test_only_what_is_needed_is_unpacked_and_nothing_that_cannot_fit(tmp_path: Path) -> None:
    path = written(tmp_path / "data.npz", WHOLE)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("unused.npy", b"no array: whoever reads it fails")
    assert np.array_equal(read_measurement(path).masks, MASKS)
    with h5py.File(huge := tmp_path / "huge.h5", "w") as file:
        file.create_dataset("masks", (10**7, 1000, 1000), "u1", chunks=(1, 1000, 1000))  # never written: zeros
        file["buckets"] = BUCKETS
    with pytest.raises(IngestError, match="does not fit into memory"):
        read_measurement(huge)


def test_haar_masks_are_orthonormal() -> None:
    for size in (8, 16, 32):
        flat = haar_masks(size).reshape(size * size, -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(size * size), atol=1e-6)


def test_haar_coefficients_give_their_picture_back(tmp_path: Path) -> None:
    image = picture((16, 16)) * 1000
    coefficients = np.tensordot(haar_masks(16), image, 2).reshape(16, 16)
    uid = ingest(written(tmp_path / "haar.npz", {"coefficients": coefficients, "ccd": picture((32, 32))}), tmp_path)
    run_job(Job(tmp_path, uid, Recipe("least_squares")))
    np.testing.assert_allclose(derived_runs(tmp_path)[0].final, image, atol=1.0)


JASZCZAK = Path(__file__).parents[4] / "shared" / "data" / "jaszczak_haar.npz"


@pytest.mark.skipif(not JASZCZAK.exists(), reason=f"the real acquisition {JASZCZAK} is not here")
@pytest.mark.parametrize(
    ("fraction", "recipe", "most"),
    [(1.0, Recipe("differential"), 0.001), (0.25, Recipe("tv", {"weight": 3300.0, "tolerance": 0.01}), 0.05)],
)
def test_a_real_acquisition_reconstructs(tmp_path: Path, fraction: float, recipe: Recipe, most: float) -> None:
    uid = ingest(JASZCZAK, tmp_path, fraction=fraction)
    run_job(Job(tmp_path, uid, recipe))
    coefficients = np.load(JASZCZAK)["coefficients"]
    exact = np.tensordot(coefficients.ravel().astype(float), haar_masks(64), 1)
    error = np.sqrt(np.mean((derived_runs(tmp_path)[0].final - exact) ** 2))
    assert error < most * exact.max()
