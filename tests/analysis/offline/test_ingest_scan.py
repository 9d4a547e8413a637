"""Ptychographic scans of other people: ingested with their frames, or refused by name before anything is written."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from logged import check_documents, derived_runs, raw_documents

from analysis.documents.frame_folders import frame_folders
from analysis.documents.frames import FrameFile
from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.ingest import ingest
from analysis.offline.ingest_error import IngestError
from analysis.techniques.ptychography.experiment import Experiment
from analysis.techniques.ptychography.layout import Layout
from analysis.worker.job import Job, run_job

LINES, POINTS = 10, 15
NUM = LINES * POINTS
Y, X = (axis.ravel() for axis in np.mgrid[:LINES, :POINTS] * 0.5)
FRAMES = np.random.default_rng(0).poisson(5.0, (NUM, 12, 10)).astype(np.uint16)
XYZ_M = np.stack([X, Y, 0 * X], axis=1) * 1e-6
NPZ: dict[str, Any] = {"frames": FRAMES, "positions_um": np.stack([Y, X], axis=1)}


def npz(path: Path, **change: Any) -> Path:
    np.savez(path, **{key: value for key, value in (NPZ | change).items() if value is not None})
    return path


def hdf5(path: Path, datasets: dict[str, Any], **units: str) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            file[name] = value
        for name, unit in units.items():
            file[name].attrs["units"] = unit if name.endswith("y") else np.array([unit.encode()])  # both are common
    return path


def written_nothing(state_dir: Path) -> bool:
    frames = state_dir / "frames"
    return not (frames.exists() and list(frames.iterdir())) and LogReader(log_paths(state_dir).raw).runs() == []


def stored(state_dir: Path, uid: str) -> dict[str, Any]:
    """Start document, frames and positions of a run."""
    documents = raw_documents(state_dir, uid)
    descriptors = {doc["uid"]: doc for name, doc in documents if name == "descriptor"}
    (frames,) = (doc for doc in descriptors.values() if doc["name"] == "frames")
    found: dict[str, Any] = {"start": documents[0][1], "stop": documents[-1][1]}
    for name, doc in documents:
        if name == "stream_resource":
            data_key = frames["data_keys"][doc["data_key"]]
            with FrameFile.of(doc, data_key, frame_folders(state_dir), patience_s=0) as file:
                found[doc["data_key"]] = file.read(0, documents[-1][1]["num_events"]["frames"])
                assert file.chunk == 64
    pages = [doc["data"] for name, doc in documents if name == "event_page"]
    for key in ("position_number", "position_y", "position_x"):
        found[key] = np.concatenate([page[key] for page in pages])
    return found


def maps_of(state_dir: Path, uid: str) -> tuple[np.ndarray, dict[str, Any]]:
    run_job(Job(state_dir, uid, Recipe("sums")))
    (run,) = derived_runs(state_dir)
    assert run.stop is not None and run.stop["exit_status"] == "success"
    return run.events[-1]["data"]["counts"], run.stop["ledger"]


CXI = {"entry_1/instrument_1/detector_1/data": FRAMES, "entry_1/sample_1/geometry_1/translation": XYZ_M}
LAYOUTS: dict[str, Any] = {
    "named arrays": lambda folder: npz(folder / "data.npz"),
    "tike": lambda folder: npz(folder / "data.npz", frames=None, positions_um=None, diffraction=FRAMES, scan=np.stack([Y, X], 1)),
    "metres": lambda folder: npz(
        folder / "data.npz", frames=None, positions_um=None, diffraction=FRAMES, translation_xyz_m=XYZ_M
    ),
    "CXI": lambda folder: hdf5(folder / "data.cxi", CXI),
    "CXI with links": lambda folder: hdf5(
        folder / "data.cxi", CXI | {"entry_1/data_1/data": h5py.SoftLink("/entry_1/instrument_1/detector_1/data")}
    ),
    "NeXus transformations": lambda folder: hdf5(
        folder / "data.nxs",
        {"entry/data/data": FRAMES, "entry/sample/transformations/y": Y / 1e3, "entry/sample/transformations/x": X / 1e3},
        **{"entry/sample/transformations/y": "mm", "entry/sample/transformations/x": "mm"},
    ),
    "NeXus motors": lambda folder: hdf5(
        folder / "data.nxs",
        {
            "entry/instrument/detector/data": FRAMES,
            "entry/instrument/samy/value": Y * 1e3,
            "entry/instrument/samx/value": X,
            "entry/instrument/energy": np.full(NUM, 11.1),
        },
        **{"entry/instrument/samy/value": "nm", "entry/instrument/samx/value": "um", "entry/instrument/energy": "keV"},
    ),
}


for _name, _axes in {"axes": (Y[::POINTS], X[:POINTS]), "all positions": (Y.reshape(LINES, -1), X.reshape(LINES, -1))}.items():
    LAYOUTS[f"NeXus in lines, {_name}"] = lambda folder, axes=_axes: hdf5(
        folder / "data.nxs",
        {
            "entry/data/data": FRAMES.reshape(LINES, POINTS, 12, 10),
            "entry/data/stage_y": axes[0] / 1e3,
            "entry/data/stage_x": axes[1] / 1e3,
        },
        **{"entry/data/stage_y": "mm", "entry/data/stage_x": "mm"},
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_becomes_a_run_with_frames_and_positions_that_reconstructs(tmp_path: Path, layout: str) -> None:
    uid = ingest(LAYOUTS[layout](tmp_path), tmp_path, sample="letters")
    found = stored(tmp_path, uid)
    start = found["start"]
    assert start["plan_name"] == "ingest" and start["technique"] == "ptychography" and start["sample"] == "letters"
    assert start["num_points"] == NUM and start["ptychography"]["shape"] == [12, 10]
    assert np.array_equal(found["pixel_detector_image"], FRAMES) and found["pixel_detector_image"].dtype == np.uint16
    assert np.array_equal(found["pixel_detector_number"], np.arange(1, NUM + 1))
    np.testing.assert_allclose(found["position_y"], Y, atol=1e-9)
    np.testing.assert_allclose(found["position_x"], X, atol=1e-9)
    assert found["stop"]["num_events"] == {"frames": NUM, "positions": NUM}
    check_documents([item for item in raw_documents(tmp_path, uid) if item[0] != "event_page"])
    counts, ledger = maps_of(tmp_path, uid)
    np.testing.assert_array_equal(counts, FRAMES.sum(axis=(1, 2)).reshape(LINES, POINTS).astype(np.float32))
    assert ledger["used"] == NUM


def test_what_the_file_says_of_the_experiment_is_told(tmp_path: Path) -> None:
    mask = np.zeros((12, 10), np.uint8)
    mask[3, 4] = 1
    known = {"wavelength_m": 1e-10, "distance_m": 1.5, "pixel_m": 55e-6, "focus_to_sample_m": 0.002, "mask": mask}
    uid = ingest(npz(tmp_path / "data.npz", **known), tmp_path)
    entry = stored(tmp_path, uid)["start"]["ptychography"]
    assert entry["energy_kev"] == pytest.approx(12.398, abs=1e-3) and entry["distance_mm"] == pytest.approx(1500)
    assert entry["detector_pixel_um"] == pytest.approx(55) and entry["geometry"] == "near_field"
    assert entry["focus_to_sample_mm"] == pytest.approx(2) and entry["remarks"][0].startswith("1 pixels are marked as bad")
    with h5py.File(next((tmp_path / "frames").iterdir())) as file:
        assert np.array_equal(file[entry["bad_pixels"]], mask)


KEV_J = 1.602176634e-16
DETECTOR = "entry_1/instrument_1/detector_1"
WHOLE_CXI: dict[str, Any] = {
    "cxi_version": 160,
    "entry_1/instrument_1/source_1/energy": 11.1 * KEV_J,
    f"{DETECTOR}/data": FRAMES,
    f"{DETECTOR}/distance": 10.0,
    f"{DETECTOR}/x_pixel_size": 100e-6,
    f"{DETECTOR}/y_pixel_size": 100e-6,
    f"{DETECTOR}/mask": np.zeros((12, 10), np.uint32),
    "entry_1/sample_1/geometry_1/translation": XYZ_M,
    "entry_1/data_1/data": h5py.SoftLink(f"/{DETECTOR}/data"),
    "entry_1/data_1/translation": h5py.SoftLink("/entry_1/sample_1/geometry_1/translation"),
}
"""As the CXI specification has it."""

NXSAS: dict[str, Any] = {
    "entry/definition": "NXsas",
    "entry/instrument/monochromator/wavelength": 1.117,  # angstrom
    "entry/instrument/detector/data": FRAMES,
    "entry/instrument/detector/distance": 10_000.0,
    "entry/instrument/detector/x_pixel_size": 100.0,
    "entry/instrument/detector/saturation_value": 60_000,
    "entry/sample/transformations/y": Y / 1e3,
    "entry/sample/transformations/x": X / 1e3,
    "entry/data/data": h5py.SoftLink("/entry/instrument/detector/data"),
}
NXSAS_UNITS = {
    "entry/instrument/detector/distance": "mm",
    "entry/instrument/detector/x_pixel_size": "um",
    "entry/instrument/monochromator/wavelength": "angstrom",
    "entry/sample/transformations/y": "mm",
    "entry/sample/transformations/x": "mm",
}


@pytest.mark.parametrize("layout", ["CXI", "CXI by basis vectors", "NXsas", "energy of each frame"])
def test_the_experiment_is_understood_in_each_layout(tmp_path: Path, layout: str) -> None:
    datasets, units = WHOLE_CXI, {}
    if layout == "CXI by basis vectors":  # as cdtools writes them
        basis = np.array([[0, -100e-6], [-100e-6, 0], [0, 0]])
        datasets = {name: value for name, value in WHOLE_CXI.items() if "pixel_size" not in name} | {
            f"{DETECTOR}/basis_vectors": basis
        }
    elif layout != "CXI":
        datasets, units = NXSAS, NXSAS_UNITS
    if layout == "energy of each frame":
        datasets = {name: value for name, value in NXSAS.items() if "wavelength" not in name}
        datasets["entry/instrument/beam/incident_energy"] = np.full(NUM, 11_100.0)
        units = {name: unit for name, unit in NXSAS_UNITS.items() if "wavelength" not in name}
    uid = ingest(hdf5(tmp_path / "data.h5", datasets, **units), tmp_path)
    found = stored(tmp_path, uid)
    start, entry = found["start"], found["start"]["ptychography"]
    assert entry["energy_kev"] == pytest.approx(11.1, rel=1e-3) and entry["distance_mm"] == pytest.approx(10_000)
    assert entry["detector_pixel_um"] == pytest.approx(100) and entry["geometry"] == "far_field"
    assert any("taken as far field" in remark for remark in entry["remarks"])
    np.testing.assert_allclose(found["position_x"], X, atol=1e-9)
    experiment = Experiment.of(start, Layout.of(start))
    assert experiment.geometry.fresnel is None
    assert experiment.geometry.pixel_um == pytest.approx(1.117e-4 * 1e7 / (12 * 100), rel=1e-3)
    assert entry["saturation_counts"] == (None if "CXI" in layout else 60_000)


def test_a_cone_in_the_near_field_magnifies(tmp_path: Path) -> None:
    known = {"energy_kev": 12.4, "distance_m": 0.99, "pixel_m": 50e-6, "focus_to_sample_m": 0.01}
    uid = ingest(npz(tmp_path / "data.npz", **known), tmp_path)
    start = stored(tmp_path, uid)["start"]
    geometry = Experiment.of(start, Layout.of(start)).geometry
    assert geometry.pixel_um == pytest.approx(50 / 100)  # (focus + distance) / focus
    assert geometry.fresnel == pytest.approx(1e-4 * (0.99e6 / 100) / 0.5**2, rel=1e-3)


def test_places_that_the_far_field_could_not_see_together_are_of_the_near_field(tmp_path: Path) -> None:
    known = {"energy_kev": 12.4, "distance_m": 0.1, "pixel_m": 55e-6}  # a frame of the far field would see 0.18 um
    entry = stored(tmp_path, ingest(npz(tmp_path / "data.npz", **known), tmp_path))["start"]["ptychography"]
    assert entry["geometry"] == "near_field" and any("taken as near field" in remark for remark in entry["remarks"])


def test_the_largest_number_in_every_frame_marks_a_bad_pixel_and_elsewhere_saturation(tmp_path: Path) -> None:
    frames = FRAMES.copy()
    frames[:, 3, 4] = 65535
    frames[7, 1, 1] = frames[8, 1, 1] = 65535
    uid = ingest(npz(tmp_path / "data.npz", frames=frames), tmp_path)
    entry = stored(tmp_path, uid)["start"]["ptychography"]
    assert entry["remarks"] == [
        "1 pixels hold 65535, the largest value of their type, in every frame: they are taken as bad",
        "2 frames hold 65535, the largest value of their type, in other pixels: these are taken as saturated",
    ]
    with h5py.File(next((tmp_path / "frames").iterdir())) as file:
        assert np.argwhere(file[entry["bad_pixels"]][:]).tolist() == [[3, 4]]
    counts, _ = maps_of(tmp_path, uid)
    measured = FRAMES.astype(int)
    measured[:, 3, 4] = measured[7:9, 1, 1] = 0
    np.testing.assert_array_equal(counts.ravel(), measured.sum(axis=(1, 2)).astype(np.float32))


def test_positions_that_are_repeated_are_named(tmp_path: Path) -> None:
    positions = changed(NPZ["positions_um"], slice(1, 4), NPZ["positions_um"][0])
    uid = ingest(npz(tmp_path / "data.npz", positions_um=positions), tmp_path)
    (remark,) = stored(tmp_path, uid)["start"]["ptychography"]["remarks"]
    assert remark == "3 positions stand in the file more than once: a map shows the mean of their frames"
    _, ledger = maps_of(tmp_path, uid)
    assert ledger["used"] == NUM


def test_pixels_of_the_object_become_micrometres_where_the_experiment_is_known(tmp_path: Path) -> None:
    change = {"frames": None, "positions_um": None, "diffraction": FRAMES, "scan": np.stack([Y, X], 1)}
    known = {"energy_kev": 12.398419843, "distance_mm": 1000.0, "detector_pixel_um": 50.0}
    found = stored(tmp_path, ingest(npz(tmp_path / "data.npz", **change, **known), tmp_path))
    np.testing.assert_allclose(found["position_y"], Y * 1e-10 * 1.0 / (12 * 50e-6) * 1e6, rtol=1e-6)
    other = tmp_path / "other"
    remarks = stored(other, ingest(npz(tmp_path / "data.npz", **change), other))["start"]["ptychography"]["remarks"]
    assert remarks == ["positions are in pixels of the object, whose size is not known: one pixel counts as 1 um"]


def test_named_data_sets_and_a_named_unit(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "data.h5", {"raw/images": FRAMES, "raw/stage_v": Y / 1e3, "raw/stage_h": X / 1e3})
    found = stored(tmp_path, ingest(path, tmp_path, frames="/raw/images", positions=["raw/stage_v", "raw/stage_h"], unit="mm"))
    np.testing.assert_allclose(found["position_y"], Y, atol=1e-9)
    with pytest.raises(IngestError, match="raw/images: uint16"):
        ingest(path, tmp_path / "state")


def test_the_first_part_of_a_scan(tmp_path: Path) -> None:
    found = stored(tmp_path, ingest(npz(tmp_path / "data.npz"), tmp_path, fraction=0.5))
    assert np.array_equal(found["pixel_detector_image"], FRAMES[: NUM // 2]) and len(found["position_y"]) == NUM // 2
    assert found["start"]["ptychography"]["remarks"] == []


@pytest.mark.parametrize("longer", ["zeros in the file", "never written"])
def test_a_data_set_that_is_longer_than_frames_were_taken(tmp_path: Path, longer: str) -> None:
    with h5py.File(path := tmp_path / "data.h5", "w") as file:
        frames = file.create_dataset("frames", (NUM + 58, 12, 10), "<u2", chunks=(1, 12, 10))
        frames[:NUM] = FRAMES
        if longer == "zeros in the file":
            frames[NUM:] = 0
        file["positions_um"] = NPZ["positions_um"]
    uid = ingest(path, tmp_path)
    found = stored(tmp_path, uid)
    assert len(found["pixel_detector_image"]) == NUM
    assert found["start"]["ptychography"]["remarks"] == [
        f"the file has room for {NUM + 58} frames; those after the {NUM} positions are left out"
    ]


def test_positions_without_frames_end_in_the_ledger(tmp_path: Path) -> None:
    uid = ingest(npz(tmp_path / "data.npz", frames=FRAMES[:140]), tmp_path)
    assert "150 positions and 140 frames" in stored(tmp_path, uid)["start"]["ptychography"]["remarks"][0]
    _, ledger = maps_of(tmp_path, uid)
    assert ledger["used"] == 140 and ledger["rejected"] == {"no_frame": 10}


def test_frames_without_light_or_position_end_in_the_ledger_and_do_not_stretch_the_map(tmp_path: Path) -> None:
    frames, positions = FRAMES.copy(), NPZ["positions_um"].copy()
    frames[-5:] = 0
    positions[-4:] = 1e5  # never written by the stage
    positions[20] = np.nan
    uid = ingest(npz(tmp_path / "data.npz", frames=frames, positions_um=positions), tmp_path)
    start = stored(tmp_path, uid)["start"]
    assert start["ptychography"]["grid"]["y_um"] == pytest.approx([0, 4.5, LINES])
    _, ledger = maps_of(tmp_path, uid)
    assert ledger["rejected"] == {"position_missing": 1, "all_zero": 1, "off_grid": 4}
    assert ledger["used"] == NUM - 6


def test_one_frame_is_a_scan(tmp_path: Path) -> None:
    uid = ingest(npz(tmp_path / "data.npz", frames=FRAMES[:1], positions_um=np.array([[3.0, 4.0]])), tmp_path)
    counts, ledger = maps_of(tmp_path, uid)
    assert counts.shape == (1, 1) and counts[0, 0] == FRAMES[0].sum() and ledger["used"] == 1


@pytest.mark.parametrize("dtype", ["<u1", ">u2", "<i4", "<u8", "<f4", "?"])
def test_counts_of_any_type_are_kept(tmp_path: Path, dtype: str) -> None:
    frames = FRAMES.astype(dtype)
    uid = ingest(npz(tmp_path / "data.npz", frames=np.asfortranarray(frames) if dtype == "<f4" else frames), tmp_path)
    assert np.array_equal(stored(tmp_path, uid)["pixel_detector_image"], frames)
    counts, _ = maps_of(tmp_path, uid)
    np.testing.assert_array_equal(counts.ravel(), frames.reshape(NUM, -1).sum(axis=1).astype(np.float32))


def changed(array: np.ndarray, at: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positions_um": None}, "no positions were found"),
        ({"positions_um": NPZ["positions_um"] * np.nan}, "no finite value"),
        ({"positions_um": NPZ["positions_um"] * 0}, "all the same"),
        ({"positions_um": NPZ["positions_um"] * 1e-6}, "another unit"),
        ({"positions_um": NPZ["positions_um"] * 1e6}, "another unit"),
        ({"positions_um": NPZ["positions_um"][:140]}, "150 frames, and there are 140 positions"),
        ({"positions_um": NPZ["positions_um"].astype(complex)}, "must be numbers"),
        ({"positions_um": NPZ["positions_um"][:, :1]}, "positions must be"),
        ({"frames": FRAMES[0]}, r"frames must be \(N, H, W\)"),
        ({"frames": FRAMES[:0]}, "holds no frame"),
        ({"frames": FRAMES * 0}, "zero everywhere"),
        ({"frames": FRAMES.astype(complex)}, "must be counts"),
        ({"frames": FRAMES + 0.25}, "frames must be counts"),
        ({"frames": changed(FRAMES.astype(float), (70, 3, 2), np.nan)}, r"nan in frame 71, pixel \[3, 2\]"),
        ({"frames": changed(FRAMES * 0, 3, 1), "positions_um": changed(NPZ["positions_um"], 3, np.nan)}, "no frame that holds"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    state_dir = tmp_path / "state"
    with pytest.raises(IngestError, match=words):
        ingest(npz(tmp_path / "data.npz", **change), state_dir)
    assert written_nothing(state_dir)


def test_a_file_that_is_damaged_foreign_or_leads_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    whole = hdf5(tmp_path / "whole.h5", NPZ)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:20_000])
    with h5py.File(linked := tmp_path / "linked.h5", "w") as file:
        file["frames"] = h5py.ExternalLink(str(whole), "/frames")
        file["positions_um"] = NPZ["positions_um"]
    damaged = npz(tmp_path / "damaged.npz")
    damaged.write_bytes(damaged.read_bytes().replace(FRAMES[40].tobytes(), b"\0" * FRAMES[40].nbytes))
    with h5py.File(rotten := tmp_path / "rotten.h5", "w") as file:
        file.create_dataset("frames", data=FRAMES, chunks=(10, 12, 10), compression="gzip")
        file["positions_um"] = NPZ["positions_um"]
        chunk = file["frames"].id.get_chunk_info(3)
    with rotten.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    foreign = hdf5(tmp_path / "foreign.h5", {"spectra": np.ones((4, 5))})
    for path, words in (
        (cut, "damaged"),
        (linked, "another file"),
        (damaged, "damaged"),
        (rotten, "rotten.h5 cannot be read .*damaged"),
        (foreign, r"holds neither .* spectra: float64 \(4, 5\)"),
        (tmp_path / "absent.h5", "there is no file"),
    ):
        with pytest.raises(IngestError, match=words):
            ingest(path, state_dir)
    assert written_nothing(state_dir)


@pytest.mark.parametrize("name", ["data.npz", "data.h5"])
def test_memory_holds_a_window_of_frames_only(tmp_path: Path, name: str) -> None:
    frames = np.random.default_rng(0).poisson(1.0, (1280, 100, 100)).astype(np.uint16)  # 25.6 MB, a window of which is 1.3 MB
    turn = np.sqrt(np.arange(1280.0))
    content = {"frames": frames, "positions_um": np.stack([turn * np.sin(turn), turn * np.cos(turn)], axis=1)}
    path = npz(tmp_path / name, **content) if name.endswith("npz") else hdf5(tmp_path / name, content)
    tracemalloc.start()
    ingest(path, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < frames.nbytes / 2


def test_saturated_frames_end_in_the_ledger(tmp_path: Path) -> None:
    uid = ingest(npz(tmp_path / "data.npz", frames=changed(FRAMES, 7, 900), saturation_counts=900), tmp_path)
    _, ledger = maps_of(tmp_path, uid)
    assert ledger["rejected"] == {"saturated": 1}


def test_several_pairs_of_motors_are_asked_for(tmp_path: Path) -> None:
    motors = {f"entry/{name}{axis}": value for name in ("coarse_", "fine_") for axis, value in (("y", Y), ("x", X))}
    path = hdf5(tmp_path / "data.nxs", {"entry/data/data": FRAMES} | motors)
    with pytest.raises(IngestError, match="--positions entry/fine_y --positions entry/fine_x"):
        ingest(path, tmp_path / "state")


def test_a_method_of_another_technique_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="reconstructed by sums, epie, not by tv"):
        ingest(npz(tmp_path / "data.npz"), tmp_path / "state", recipes=[Recipe("tv")])
    assert written_nothing(tmp_path / "state")


DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize(("name", "num"), [("siemens_star.npz", 516), ("ptycho_p25_nearfield.npz", 200)])
def test_a_real_scan_is_ingested_whole(tmp_path: Path, name: str, num: int) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the real scan {path} is not here")
    uid = ingest(path, tmp_path)
    with np.load(path) as file:
        assert np.array_equal(stored(tmp_path, uid)["pixel_detector_image"], file["diffraction"])
    counts, ledger = maps_of(tmp_path, uid)
    assert ledger["used"] == num and np.isfinite(counts).mean() > 0.6
