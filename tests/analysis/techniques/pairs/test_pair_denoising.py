"""A series through the driver: what is refused, what is said, and how good the images are."""

from __future__ import annotations

import io
from contextlib import closing

import h5py
import numpy as np
import pytest
from logged import derived_runs, write_raw
from pair_runs import SIDE, driven, frame, halves, pair_series, scene, series_of
from scipy.ndimage import shift

from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.refusal import NothingUsable, RunRefused
from analysis.offline.replay import verify
from analysis.views.page.estimate_file import estimate_file
from analysis.worker.job import Job, Outcome, run_job

QUICK = {"steps": 20}


@pytest.mark.parametrize("method", ["gaussian", "total_variation", "non_local_means", "pair_network"])
def test_each_method_is_nearer_to_the_scene_than_the_mean_of_the_pair(tmp_path, method):
    _, documents, truth = pair_series(tmp_path / "frames" / "pairs.h5", 3, photons=100, side=96, static=True)
    estimate, _ = driven(documents, tmp_path, method, **({"steps": 150} if method == "pair_network" else {}))

    def error(image: np.ndarray) -> float:
        return float(np.std(image[4:-4, 4:-4] - 100 * truth[4:-4, 4:-4]))

    assert error(estimate.arrays["denoised"]) < 0.6 * error(estimate.arrays["mean"])
    figures = estimate.figures
    assert abs(figures["residual_mean"]) < 0.05 and figures["null_structure"] < 0.7
    assert figures["number"] == 3 and abs(figures["noise_across"]) < 0.2


def test_the_same_frame_twice_is_refused(tmp_path):
    a, _ = halves(scene(), 200, 1)
    documents = series_of(tmp_path, np.stack([a, a]).astype("<u2"), pairing="consecutive", halves=None)
    with pytest.raises(RunRefused, match="are the same frame"):
        driven(documents, tmp_path, "pair_network", **QUICK)
    _, drive = driven(documents, tmp_path, "gaussian")
    assert "are the same frame" in drive.ledger.remarks[0]


def test_halves_of_other_scenes_are_refused(tmp_path):
    frames = np.stack([frame(halves(scene(seed=1), 500, 1)[0], halves(scene(seed=2), 500, 2)[1])])
    with pytest.raises(RunRefused, match="cannot be laid on each other"):
        driven(series_of(tmp_path, frames), tmp_path, "gaussian")


def test_a_series_of_empty_frames_is_refused(tmp_path):
    with pytest.raises(NothingUsable, match=r"no usable pair: 3 received \(3 no light\)"):
        driven(series_of(tmp_path, np.zeros((3, SIDE, 2 * SIDE), "<u2")), tmp_path, "gaussian")


def test_tiny_halves_are_refused(tmp_path):
    frames = np.random.default_rng(0).poisson(100, (2, 16, 32)).astype("<u2")
    documents = series_of(tmp_path, frames, halves=[[0, 16, 0, 16], [0, 16, 16, 32]])
    with pytest.raises(RunRefused, match="16x16 pixels are too small: they need 32"):
        driven(documents, tmp_path, "gaussian")


def test_flat_frames_tell_of_common_noise(tmp_path):
    rng = np.random.default_rng(0)

    def behind_a_scintillator(light: np.ndarray) -> np.ndarray:
        stopped = rng.poisson(light)
        return np.concatenate([rng.poisson(4 * stopped), rng.poisson(4 * stopped)], axis=1).astype("<u2")

    flats = np.stack([behind_a_scintillator(np.full((SIDE, SIDE), 300.0)) for _ in range(4)])
    frames = np.stack([behind_a_scintillator(300 * scene()) for _ in range(2)])
    documents = series_of(tmp_path, frames, streams=("flats", "frames"), flats=flats)
    with pytest.raises(RunRefused, match=r"8\d % of the noise is common to both halves"):
        driven(documents, tmp_path, "pair_network", **QUICK)
    estimate, drive = driven(documents, tmp_path, "gaussian")
    assert estimate.figures["noise_across"] == pytest.approx(0.8, abs=0.05)
    assert "scintillator" in drive.ledger.remarks[0]


def test_blind_spots_are_refused_where_neighbours_correlate(tmp_path):
    rng = np.random.default_rng(0)
    truth = 500 * scene()

    def correlated() -> np.ndarray:
        noise = 30 * rng.standard_normal(truth.shape)
        return truth + noise + 0.5 * np.roll(noise, 1, axis=1)

    frames = np.stack([frame(correlated(), correlated())])
    with pytest.raises(RunRefused, match="the noise of neighbouring pixels is correlated"):
        driven(series_of(tmp_path, frames), tmp_path, "blind_spot", **QUICK)
    estimate, drive = driven(series_of(tmp_path, frames), tmp_path, "pair_network", **QUICK)
    assert estimate.figures["noise_along_x"] == pytest.approx(0.4, abs=0.06)
    assert drive.ledger.remarks[0].endswith("use a pair method")


def test_a_scene_that_moves_though_it_was_said_to_stand_still_is_told(tmp_path):
    truth = scene()
    places = [0, 0, 0, 1, 2, 3]
    frames = np.stack([frame(*halves(shift(truth, (0, x), mode="nearest"), 500, seed)) for seed, x in enumerate(places)])
    _, drive = driven(series_of(tmp_path, frames, static=True), tmp_path, "gaussian")
    assert drive.ledger.remarks == ["the scene was said to be static, and has moved by pair 4: do not average it"]
    with pytest.raises(RunRefused, match="does a scene move that was said to be static"):  # from the beginning
        driven(series_of(tmp_path, frames[2:], static=True), tmp_path, "pair_network", **QUICK)
    still = np.stack([frame(*halves(truth, 500, number)) for number in range(6)])
    _, drive = driven(series_of(tmp_path, still, static=True), tmp_path, "gaussian")
    assert drive.ledger.remarks == []
    pair = series_of(tmp_path, still[:1])  # alone it cannot tell details of the scene from common noise
    _, drive = driven(pair, tmp_path, "gaussian")
    assert "those of the scene, or noise" in drive.ledger.remarks[0]


def test_drift_between_frames_one_after_the_other_is_taken_back_and_told(tmp_path):
    truth = scene(96)
    frames = [halves(shift(truth, (0.7 * step, -0.4 * step), mode="nearest"), 1000, step)[0] for step in range(4)]
    documents = series_of(tmp_path, np.stack(frames).astype("<u2"), pairing="consecutive", halves=None)
    estimate, drive = driven(documents, tmp_path, "gaussian")
    assert (estimate.figures["shift_y"], estimate.figures["shift_x"]) == pytest.approx((-0.7, 0.4), abs=0.08)
    assert "the scene drifts" in drive.ledger.remarks[0]


def test_an_odd_image_with_dead_lines_and_a_half_of_another_gain(tmp_path):
    truth = scene(97)[:, :83]
    a, b = halves(truth, 500, 1, offset=(1.4, -0.8), gain=0.6)
    frames = np.concatenate([a, b], axis=1)[None].astype("<f4")
    frames[0, 40], frames[0, :, 100], frames[0, 3, 4] = np.nan, 0.0, np.nan
    documents = series_of(tmp_path, frames, dtype="<f4", halves=[[0, 97, 0, 83], [0, 97, 83, 166]])
    estimate, _ = driven(documents, tmp_path, "pair_network", steps=100)
    assert np.isfinite(estimate.arrays["denoised"]).all() and estimate.arrays["denoised"].shape == (97, 83)
    assert estimate.figures["gain_ratio"] == pytest.approx(0.6, rel=0.03)
    assert np.corrcoef(estimate.arrays["denoised"][5:-5, 5:-5].ravel(), truth[5:-5, 5:-5].ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("magic", {}, "the methods of frame pairs are gaussian, total_variation"),
        ("gaussian", {"width": 3}, "gaussian has no option width; it has pairs"),
        ("pair_network", {"steps": 0}, "must be a whole number from 1"),
    ],
)
def test_recipes_that_make_no_sense_are_refused_in_words(tmp_path, method, options, message):
    _, documents, _ = pair_series(tmp_path / "frames" / "pairs.h5", 1)
    with pytest.raises(RunRefused, match=message):
        driven(documents, tmp_path, method, **options)


def test_a_series_shorter_than_was_to_be_learned_is_denoised_whole_and_shown(tmp_path):
    series, documents, _ = pair_series(tmp_path / "frames" / "pairs.h5", 4)
    write_raw(tmp_path, documents)
    recipe = Recipe("gaussian", {"pairs": 9})
    assert run_job(Job(tmp_path, series.uid, recipe, (recipe,)))[0] is Outcome.FINISHED
    (stored,) = derived_runs(tmp_path)
    assert stored.stop["num_events"]["series"] == 4
    assert np.isfinite(stored.events[-1]["data"]["denoised"]).all()
    result = verify(stored.documents, documents, tmp_path)
    assert result.identical and [check.key for check in result.checks][-2:] == ["series/row_number", "series/denoised"]
    with h5py.File(tmp_path / "frames" / "derived" / f"{stored.start['uid']}.h5", "r+") as file:
        file["entry/data/denoised"][2, 5, 6] += 1
    (changed,) = [check for check in verify(stored.documents, documents, tmp_path).checks if not check.identical]
    assert changed.key == "series/denoised" and changed.difference == pytest.approx(1)
    with closing(LogReader(log_paths(tmp_path).processed)) as reader:
        told = estimate_file(reader, stored.start["uid"])
    with h5py.File(io.BytesIO(told)) as file:
        assert file["denoised"].attrs["meaning"] == "newest pair, denoised"
