"""ePIE of real scans measured elsewhere, from their files to object and probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_scans import MadeScan

from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.offline.ingest import ingest
from analysis.ptychography.first_guess import SPREADS
from analysis.ptychography.geometry import KEV_UM
from analysis.techniques import technique_of
from analysis.techniques.ptychography.counts import Counts
from analysis.techniques.ptychography.experiment import Experiment
from analysis.techniques.ptychography.layout import Layout
from analysis.techniques.ptychography.options import checked_options
from analysis.worker.drive import Drive, Timed
from analysis.worker.job import Job, Outcome, run_job
from analysis.worker.pace import Points

DATA = Path(__file__).parents[5] / "shared" / "data"


def final(file: Path, state_dir: Path, options: dict) -> tuple[Timed, Drive]:
    uid = ingest(file, state_dir, recipes=[Recipe("epie", options)])
    documents = [(record.name, record.doc) for record in LogReader(log_paths(state_dir).raw).documents(uid)]
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(state_dir))
    drive = Drive(run, Recipe("epie", options), lambda: iter(documents[1:]), Points())
    return list(drive.estimates())[-1], drive


@pytest.mark.parametrize(("name", "most"), [("ptycho_p25_nearfield", 0.0094), ("siemens_star", 0.02)])
def test_a_real_star_is_found_and_its_orientation_named(name: str, most: float, tmp_path: Path) -> None:
    file = DATA / f"{name}.npz"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    timed, drive = final(file, tmp_path, {"sweeps": 8, "averaged": 3})
    assert drive.options_used["orientation"] == "+y+x"
    assert timed.estimate.figures["residual"] < most
    assert np.isfinite(timed.estimate.arrays["object_phase"]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sweep": 3}, "no option sweep; it has sweeps"),
        ({"sweeps": -1}, "sweeps of epie must be a whole number from 0 to 10000"),
        ({"modes": True}, "modes of epie must be a whole number from 1 to 32"),
        ({"orientation": "+x+x"}, "orientation of epie must be null or one of"),
        ({"defocus_mm": float("nan")}, "defocus_mm of epie must be null or a distance"),
        ({"binning": 0}, 'binning of epie must be "auto" or a whole number'),
        ({"denoise": "bm3d"}, "denoise of epie must be null or one of tv, nlm, prior_arch1, prior_arch2"),
        ({"denoise_every": 3}, "denoise_every of epie needs denoise"),
        ({"prior_rate": 0}, "prior_rate of epie must be above 0"),
        ({"padding": 1e3}, "padding of epie must be null or up to 4096 pixels"),
        ({"probe": 5}, "probe of epie must be null, a probe's hash"),
        ({"known_path": 1}, "known_path of epie must be true or false"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        checked_options(options)


class SimulatedScan:
    """A step scan of a made object, ingested from a file, and reconstructed as a run is."""

    def __init__(self, state_dir: Path, photons: float = 1e5, told: dict | None = None, optics: bool = True) -> None:
        scan = MadeScan(photons=photons, lines=10, points=10)
        self.scan, self.state_dir = scan, state_dir
        file = state_dir / "scan.npz"
        lengths = (
            {"energy_kev": 11.1, "distance_mm": 1e4, "detector_pixel_um": KEV_UM / 11.1 * 1e7 / (32 * 0.05)} if optics else {}
        )
        np.savez(file, diffraction=np.fft.fftshift(scan.frames, (1, 2)), scan=scan.places, **lengths)
        uid = ingest(file, state_dir, recipes=[])
        self.documents = [(record.name, record.doc) for record in LogReader(log_paths(state_dir).raw).documents(uid)]
        self.start = self.documents[0][1]
        self.start["ptychography"] |= told or {}

    def final(self, options: dict, points: Points | None = None) -> tuple[Timed, Drive]:
        run = technique_of(self.start).open(self.start, ReferenceStore(self.state_dir))
        recipe = Recipe("epie", {"orientation": "+y+x", "sweeps": 6, "averaged": 2, **options})
        drive = Drive(run, recipe, lambda: iter(self.documents[1:]), points or Points())
        return list(drive.estimates())[-1], drive


def test_a_defocus_that_the_start_document_names_is_used_and_else_one_is_found(tmp_path: Path) -> None:
    named = SimulatedScan(tmp_path, told={"probe": {"defocus_mm": 0.7}})
    _, drive = named.final({})
    assert drive.options["defocus_mm"] == 0.7 and drive.options["spread"] == pytest.approx(0.977, rel=0.01)
    del named.start["ptychography"]["probe"]
    timed, drive = named.final({"sweeps": 12})
    assert drive.options["spread"] is None and drive.options_used["spread"] in SPREADS
    assert timed.estimate.figures["residual"] < 0.01


def test_bins_are_chosen_by_the_first_counts(tmp_path: Path) -> None:
    scan = SimulatedScan(tmp_path, photons=2500)
    assert scan.final({"binning": "auto", "spread": 1.0})[1].options_used["binning"] == 5  # the object takes some of 10 000


def test_sums_of_frames_do_not_overflow(tmp_path: Path) -> None:
    scan = SimulatedScan(tmp_path)
    experiment = Experiment.of(scan.start, Layout.of(scan.start))
    bright = np.full((3, 32, 32), 2**32 - 2, dtype=np.uint32)

    class Stored:
        def pixels(self, rows: np.ndarray) -> np.ndarray:
            return bright[rows]

    totals = Counts(experiment, None, Stored).totals([np.arange(3)])  # type: ignore[arg-type]
    assert (totals == 3 * (2.0**32 - 2)).all()


def test_a_learned_image_never_stands_alone_and_its_checks_are_stored(tmp_path: Path) -> None:
    scan = SimulatedScan(tmp_path, photons=3000)
    timed, _ = scan.final({"spread": 1.0, "denoise": "prior_arch1", "denoise_every": 4, "prior_steps": 30})
    arrays, figures = timed.estimate.arrays, timed.estimate.figures
    assert next(iter(arrays)) == "object_phase"
    assert {"denoised_phase", "denoised_amplitude", "tv_phase", "nlm_phase"} <= arrays.keys()
    assert {
        "lattice_peaks",
        "lattice_at_pitch",
        "added_texture",
        "removed_correlation",
        "null_lattice_peaks",
        "null_contrast",
    } <= figures.keys()
    assert all(np.isfinite(figures[name]) for name in figures)
    plain, _ = scan.final({"spread": 1.0, "denoise": "tv"})
    assert "tv_phase" not in plain.estimate.arrays and np.isfinite(plain.estimate.arrays["denoised_phase"]).all()


def test_padding_makes_the_pixel_smaller(tmp_path: Path) -> None:
    scan = SimulatedScan(tmp_path)
    run = technique_of(scan.start).open(scan.start, ReferenceStore(tmp_path))
    plain, padded = (run.metadata(Recipe("epie", options))["image"]["pixel_size_um"] for options in ({}, {"padding": 64}))
    assert padded == pytest.approx(plain / 2)
    timed, _ = scan.final({"spread": 1.0, "padding": 40})
    assert timed.estimate.arrays["probe_phase"].shape == (40, 40) and timed.estimate.figures["residual"] < 0.05
    with pytest.raises(RunRefused, match="padding of epie is for scans in the far field, from their 32 pixels on"):
        scan.final({"padding": 16})


def test_positions_in_pixels_have_no_length_in_words(tmp_path: Path) -> None:
    scan = SimulatedScan(tmp_path, optics=False)
    run = technique_of(scan.start).open(scan.start, ReferenceStore(tmp_path))
    said = run.metadata(Recipe("epie"))
    assert said["image"]["pixel_size_um"] is None and " nm" not in said["caption"]


def test_a_probe_that_was_found_begins_another_reconstruction(tmp_path: Path) -> None:
    scan = SimulatedScan(tmp_path)
    recipe = Recipe("epie", {"orientation": "+y+x", "sweeps": 6, "averaged": 2, "spread": 1.0})
    job = Job(tmp_path, scan.start["uid"], recipe, (recipe,))
    assert run_job(job)[0] is Outcome.FINISHED
    first, drive = scan.final({"probe": job.uid, "sweeps": 0})
    identity = drive.options["probe"]
    assert ReferenceStore(tmp_path).load(ReferenceName("probe", identity)).runs == (scan.start["uid"],)
    again, _ = scan.final({"probe": identity, "sweeps": 0})
    assert bits(again) == bits(first)
    blind, _ = scan.final({"spread": 0.35, "sweeps": 0})
    assert first.estimate.figures["residual"] < blind.estimate.figures["residual"]
    with pytest.raises(RunRefused, match="has 32x32 pixels, the frames of this scan have 40x40"):
        scan.final({"probe": identity, "padding": 40})
    with pytest.raises(RunRefused, match="there is no reconstruction nobody here"):
        scan.final({"probe": "nobody"})
    with pytest.raises(RunRefused, match="is not in"):
        scan.final({"probe": 64 * "0"})


def bits(timed: Timed) -> list[bytes]:
    return [array.tobytes() for array in timed.estimate.arrays.values()]
