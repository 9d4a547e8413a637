"""Data as people have them: what is assumed is told, what is wrong is named, and nothing is mended by itself."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import pywt
from logged import derived_runs
from made_runs import mask_set, picture
from scipy.io import savemat

from analysis.documents.recipe import Recipe
from analysis.ghost import reconstruct
from analysis.ghost.mistakes import mistakes
from analysis.offline.acquisition import Acquisition, from_file, from_log
from analysis.offline.export import export_run
from analysis.offline.ingest import ingest
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints, read_measurement
from analysis.offline.ingest_pairs import Pairing
from analysis.worker.job import Job, run_job

CASES = Path(__file__).parents[4] / "shared" / "field_cases"
cases = pytest.mark.skipif(not CASES.exists(), reason=f"the cases {CASES} are not here")


def loss(acquisition: Acquisition) -> float:
    told = reconstruct(acquisition.masks, acquisition.buckets, "tv").heldout_loss
    assert isinstance(told, float)
    return told


@cases
@pytest.mark.parametrize("name", ["pairs_with_gain", "pairs_as_two_columns", "pairs_subtracted"])
def test_pairs_with_a_gain_of_their_own_are_understood(name: str) -> None:
    assert loss(from_file(CASES / f"{name}.npz")) < 0.15


@cases
@pytest.mark.parametrize("name", ["matrix_2d.npz", "column_vector.npz", "matlab_v73.h5", "nested_groups.h5", "d[bold] x.npz"])
def test_other_shapes_and_layouts_are_the_same_data(name: str) -> None:
    if not (CASES / name).exists():
        pytest.skip(f"there is no {name}")
    read = read_measurement(CASES / name)
    with np.load(CASES / "column_vector.npz") as plain:
        assert np.array_equal(read.masks, plain["masks"])
        assert read.remarks or name.startswith("d[")
    assert read.buckets.shape == (600,)


@cases
@pytest.mark.parametrize(
    ("name", "words", "mend"),
    [
        ("masks_inverted", "open and closed swapped", "invert-masks"),
        ("off_by_one", "shifted by 1", "shift=-1"),
        ("sign_inverted", "negative-going", "negate"),
    ],
)
def test_a_mistake_is_named_and_mended_when_it_is_said(name: str, words: str, mend: str) -> None:
    path = CASES / f"{name}.npz"
    (doubt,) = from_file(path).doubts
    assert words in doubt and f"--mend {mend}" in doubt
    mended = from_file(path, mend=[mend])
    assert mended.doubts == [] and loss(mended) < 0.6


@cases
def test_coefficients_of_another_transform_are_asked_about() -> None:
    path = CASES / "hadamard_under_coefficients.npz"
    with pytest.raises(IngestError, match="--transform hadamard-sequency"):
        from_file(path)
    assert loss(from_file(path, hints=Hints(transform="hadamard-sequency"))) < 0.5


def test_a_file_uses_the_same_realizations_ingested_or_reconstructed(tmp_path: Path) -> None:
    masks = mask_set(200).patterns
    buckets = np.tensordot(masks, picture(), 2)
    buckets -= buckets.mean()  # as behind a capacitor
    buckets[7] = np.nan
    np.savez(path := tmp_path / "data.npz", masks=masks, buckets=buckets)
    from_the_file = from_file(path)
    stored = from_log(tmp_path, ingest(path, tmp_path))
    assert len(from_the_file.buckets) == len(stored.buckets) == 199
    assert from_the_file.remarks == stored.remarks == ["1 realization left out: bucket missing"]
    assert from_the_file.doubts == stored.doubts and "AC-coupled" in stored.doubts[0]


def test_a_run_comes_back_from_its_export_as_the_same_image_and_says_what_is_wrong(tmp_path: Path) -> None:
    masks = mask_set(100).patterns > 0
    reference = np.kron(picture().T, np.ones((2, 2)))
    content = {"masks": masks, "buckets": np.tensordot(masks, picture(), 2), "reference": reference, "pixel_size_um": 5.0}
    np.savez(path := tmp_path / "a $[b]%.npz", **content)
    uids = [ingest(path, tmp_path / "first", recipes=[Recipe("tv")])]
    run_job(Job(tmp_path / "first", uids[0], Recipe("tv")))
    export_run(tmp_path / "first", uids[0], tmp_path / "out.h5")
    uids.append(ingest(tmp_path / "out.h5", tmp_path / "second"))
    run_job(Job(tmp_path / "second", uids[1], Recipe("tv")))
    (one,), (other,) = derived_runs(tmp_path / "first"), derived_runs(tmp_path / "second")
    assert np.array_equal(one.final, other.final)
    assert one.stop is not None and "turn=transpose" in one.stop["ledger"]["doubts"][0]
    with h5py.File(tmp_path / "out.h5") as file:
        entry = file[file.attrs["default"]]
        image = entry["data"]
        assert image.attrs["signal"] == "image" and list(image.attrs["axes"]) == ["y", "x"]
        assert np.array_equal(image["image"], one.final) and image["x"].attrs["units"] == "um" and np.ptp(image["x"]) == 35.0


def test_clean_data_raise_no_doubt_and_buckets_that_fall_do() -> None:
    masks = mask_set(256).patterns
    buckets = np.tensordot(masks, picture(), 2) + np.random.default_rng(0).normal(0, 0.1, 256)
    assert mistakes(masks, buckets) == []
    assert [one.mend for one in mistakes(1 - masks, buckets)] == ["invert-masks"]
    assert [one.mend for one in mistakes(masks[:-2], buckets[2:])] == ["shift=-2"]


def test_a_missing_name_lists_what_the_file_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", buckets=np.ones(5), dmd=np.ones((5, 2, 2)))
    with pytest.raises(IngestError, match=r"no `masks`.*--masks.*dmd: float64 \(5, 2, 2\)"):
        read_measurement(tmp_path / "data.npz")
    assert read_measurement(tmp_path / "data.npz", Hints(masks="dmd")).masks.shape == (5, 2, 2)


def test_frames_and_positions_come_back_from_an_export(tmp_path: Path) -> None:
    y, x = (axis.ravel() for axis in np.mgrid[:5, :6] * 0.5)
    frames = np.random.default_rng(0).poisson(5 + y[:, None, None] + x[:, None, None], (30, 8, 8)).astype(np.uint16)
    np.savez(tmp_path / "scan.npz", frames=frames, positions_um=np.stack([y, x], axis=1), energy_kev=11.1, distance_mm=4e3)
    finals = []
    for folder, file in (("first", "scan.npz"), ("second", "out.h5")):
        uid = ingest(tmp_path / file, tmp_path / folder)
        run_job(Job(tmp_path / folder, uid, Recipe("sums")))
        (sums,) = derived_runs(tmp_path / folder)
        data = sums.events[-1]["data"]
        finals.append([np.asarray(value) for key, value in sorted(data.items()) if np.ndim(value) == 2])
        export_run(tmp_path / folder, uid, tmp_path / ("out.h5" if folder == "first" else "again.h5"))
    assert finals[0] and all(np.array_equal(one, other, equal_nan=True) for one, other in zip(*finals, strict=True))
    with h5py.File(tmp_path / "again.h5") as file:
        assert file["entry/instrument/beam/incident_energy"][()] == pytest.approx(11.1)
        assert file["entry/data/data"].shape == (30, 8, 8)


@pytest.mark.parametrize(("technique", "method"), [("radiographs", "fbp"), ("pairs", "gaussian")])
def test_a_series_comes_back_from_an_export_as_the_same_image(tmp_path: Path, technique: str, method: str) -> None:
    rng = np.random.default_rng(0)
    if technique == "pairs":
        content = {"frames": rng.poisson(50, (6, 40, 48)).astype(np.uint16)}
    else:
        fields = {"darks": np.full((3, 10, 20), 10, np.uint16), "flats": np.full((3, 10, 20), 1000, np.uint16)}
        angles = np.linspace(0, 180, 16, endpoint=False)
        content = {"projections": rng.poisson(800, (16, 10, 20)).astype(np.uint16), "theta_deg": angles, **fields}
    np.savez(tmp_path / "first.npz", **content)
    pairing = Pairing("consecutive", []) if technique == "pairs" else None
    finals = []
    for name in ("first.npz", "second.h5"):
        folder = tmp_path / name[:-4]
        uid = ingest(tmp_path / name, folder, pairing=pairing)
        run_job(Job(folder, uid, Recipe(method)))
        (made,) = derived_runs(folder)
        finals.append(made.events[-1]["data"])
        export_run(folder, uid, tmp_path / "second.h5" if name == "first.npz" else tmp_path / "third.h5")
    arrays = [key for key, value in finals[0].items() if np.ndim(value) >= 2]
    assert arrays and all(np.array_equal(finals[0][key], finals[1][key], equal_nan=True) for key in arrays)


@pytest.mark.parametrize(
    "text",
    [
        "Oscilloscope\nChannel,1\n\nnumber,Signal (V)\n{rows:,}",
        "number;buckets;\r\n{rows:;d}",
        "buckets\n{rows:d}",
        "{rows:d}",
        "{rows:,}",
        '"number","buckets"\n{rows:"}',
    ],
)
def test_tables_of_text_are_read_as_programs_and_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    masks = mask_set(60).patterns
    buckets = np.round(np.tensordot(masks, picture(), 2) + np.random.default_rng(0).random(60), 6)
    decimal = [f"{value:.6f}".replace(".", ",") for value in buckets]
    rows = {
        "{rows:,}": [f"{number},{value:.6f}" for number, value in enumerate(buckets)],
        "{rows:;d}": [f"{number};{value};" for number, value in enumerate(decimal)],
        "{rows:d}": decimal,
        '{rows:"}': [f'"{number}","{value:.6f}"' for number, value in enumerate(buckets)],
    }
    for form, lines in rows.items():
        text = text.replace(form, "\n".join(lines))
    (tmp_path / "buckets.csv").write_bytes(text.encode("utf-8-sig"))
    np.save(tmp_path / "masks.npy", masks)
    assert np.array_equal(read_measurement(tmp_path).buckets, buckets)


@pytest.mark.parametrize("said", [None, "apd[2]"])
def test_a_number_or_time_beside_the_signal_is_no_complement(tmp_path: Path, said: str | None) -> None:
    masks, signal = mask_set(60).patterns, np.random.default_rng(0).random(60)
    columns = [np.arange(60.0), signal] if said is None else [np.arange(60.0), 1 - signal, signal]
    np.savez(tmp_path / "data.npz", masks=masks, apd=np.stack(columns, axis=1))
    read = read_measurement(tmp_path / "data.npz", Hints(buckets=said or "apd"))
    assert np.array_equal(read.buckets, signal)


def test_arrays_in_a_structure_of_matlab_and_bits_of_all_masks_in_a_row_are_read(tmp_path: Path) -> None:
    masks, buckets = mask_set(60, (8, 12)).patterns > 0, np.random.default_rng(0).random(60)
    content = {"masks": np.moveaxis(masks, 0, -1), "buckets": buckets[:, None]}
    savemat(tmp_path / "data.mat", {"run": content})
    np.savez(tmp_path / "data.npz", masks=np.packbits(masks), buckets=buckets, shape=(8, 12))
    for name in ("data.mat", "data.npz"):
        read = read_measurement(tmp_path / name)
        assert np.array_equal(read.masks, masks) and np.array_equal(read.buckets, buckets) and read.remarks


@pytest.mark.parametrize(("transform", "sign"), [("haar:4", -1), ("db1:4", 1), ("db2:2", 1)])
def test_coefficients_of_wavelets_may_have_any_number_of_levels(tmp_path: Path, transform: str, sign: int) -> None:
    wavelet, _, levels = transform.replace("haar", "db1").partition(":")
    image = np.kron(picture(), np.ones((4, 4)))
    mean, *details = pywt.wavedec2(image, wavelet, mode="periodization", level=int(levels))
    coefficients, _ = pywt.coeffs_to_array([mean, *((sign * y, sign * x, both) for y, x, both in details)])
    np.savez(path := tmp_path / "data.npz", coefficients=coefficients)
    if wavelet == "db1":
        with pytest.raises(IngestError, match=f"--transform {transform}"):
            read_measurement(path)
    read = read_measurement(path, Hints(transform=transform))
    assert np.allclose(np.tensordot(read.masks, image, 2), read.buckets, atol=1e-4)


def test_a_shift_is_named_in_large_masks_whose_pixels_are_noisy() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((1500, 96, 128)) < 0.5
    buckets = np.tensordot(masks, np.kron(picture(), np.ones((12, 16))), 2)
    buckets += rng.normal(0, 0.1 * buckets.std(), 1500)
    assert mistakes(masks, buckets) == []
    assert [one.mend for one in mistakes(masks[:-1], buckets[1:])] == ["shift=-1"]
