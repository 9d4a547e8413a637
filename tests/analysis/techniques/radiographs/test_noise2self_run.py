"""Radiographs denoised by a network that learns each pixel from those around it: where that may be done, and how it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from radiograph_runs import Documents, RadiographRun, static_streams, tomography_streams
from test_tomography_run import final

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from sims.radiographs import FlatPanel, moving_bed

FEW = {"radiographs": 3, "steps": 40}


def series(folder: Path, *without: str, decay_px: float = 0.645, num: int = 4, **change: Any) -> Documents:
    streams = static_streams(num, decay_px=decay_px)
    for name, frames in streams.items():
        frames[:, 20, 30:] = 100  # a dead line
        streams[name] = change.get(name, frames)
    kept = {name: frames for name, frames in streams.items() if name not in without}
    return RadiographRun(folder / "frames" / "camera.h5", kept).documents()


def test_the_noise_of_a_scintillator_is_made_white_learned_around_and_taken_away(tmp_path: Path) -> None:
    estimate, drive = final(tmp_path, series(tmp_path), Recipe("noise2self", FEW))
    assert ReferenceStore(tmp_path).load(ReferenceName("kernel", drive.options_used["kernel"])).arrays["kernel"].shape == (17, 17)
    before, after, figures = estimate.arrays["radiograph"], estimate.arrays["denoised"], estimate.figures
    assert np.isnan(after[20, 30:]).all() and np.isfinite(after[30:]).all()
    assert np.nanmean(after) == pytest.approx(np.nanmean(before), abs=0.002)
    noise = [np.nanstd(np.diff(np.diff(image, axis=0), axis=1)) for image in (before, after)]
    assert noise[1] < noise[0] / 2
    assert figures["heldout_loss"] < 1 and figures["number"] == 4
    assert abs(figures["residual_correlation"]) < 0.2 and abs(figures["residual_mean"]) < 0.1
    assert figures["null_structure"] < 0.5 and figures["lattice_peaks"] == 0 and figures["added_texture"] < 1.5


@pytest.mark.parametrize("without", [("static",), ("static", "flats")])
def test_correlated_noise_is_refused_where_nothing_makes_it_white(tmp_path: Path, without: tuple[str, ...]) -> None:
    with pytest.raises(RunRefused, match=r"is correlated \(0.[34].*decorrelate the radiographs first, by static frames"):
        final(tmp_path, series(tmp_path, *without), Recipe("noise2self", FEW))


def test_a_kernel_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    _, drive = final(tmp_path, series(tmp_path), Recipe("decorrelate"))
    other = series(tmp_path, "static", decay_px=1.0)
    with pytest.raises(RunRefused, match="the kernel does not fit these radiographs; measure it again"):
        final(tmp_path, other, Recipe("noise2self", {**FEW, "kernel": drive.options_used["kernel"]}))


REFUSED: dict[str, dict[str, Any]] = {
    "needs radiographs of 32x32 pixels or more, not 2x24": {},
    "the option steps of noise2self must be a whole number": {"steps": 0},
    "the option kernel of noise2self must be null or the identity of a kernel": {"kernel": 3},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_learned_is_refused_in_words(tmp_path: Path, reason: str) -> None:
    documents = RadiographRun(tmp_path / "frames" / "camera.h5", tomography_streams(np.arange(9.0))).documents()
    with pytest.raises(RunRefused, match=reason):
        final(tmp_path, documents, Recipe("noise2self", REFUSED[reason]))


def test_one_radiograph_alone_does_not_tell_what_its_noise_is_like(tmp_path: Path) -> None:
    documents = series(tmp_path, "static", "flats", decay_px=0.05, num=1)
    with pytest.raises(RunRefused, match="one radiograph alone does not tell"):
        final(tmp_path, documents, Recipe("noise2self", FEW))


def test_a_scene_that_moves_everywhere_is_tested_with_flat_fields(tmp_path: Path) -> None:
    scene, panel = moving_bed((96, 96), 4, 200, seed=1), FlatPanel(0.05, read_noise=3.0)
    frames, flats = (np.rint(100 + panel.frames(body, 4000.0, 3)).astype("<u2") for body in (scene, np.ones_like(scene)))
    path = tmp_path / "frames" / "camera.h5"
    with pytest.raises(RunRefused, match=r"a scene that moves everywhere looks like correlated noise\. Take flat fields"):
        final(tmp_path, RadiographRun(path, {"frames": frames}).documents(), Recipe("noise2self", FEW))
    estimate, _ = final(tmp_path, RadiographRun(path, {"flats": flats, "frames": frames}).documents(), Recipe("noise2self", FEW))
    assert estimate.figures["heldout_loss"] < 1


def test_slices_of_denoised_radiographs_are_smoother_and_as_large(tmp_path: Path) -> None:
    angles = np.arange(0.0, 180.0, 15.0)
    streams = tomography_streams(angles, height=40, width=32)
    documents = RadiographRun(tmp_path / "frames" / "camera.h5", streams, angles=angles).documents()
    plain, _ = final(tmp_path, documents, Recipe("sirt", {"centre": 15.5}))
    recipe = Recipe("sirt", {"centre": 15.5, "denoise": "noise2self", "denoise_steps": 100})
    denoised, drive = final(tmp_path, documents, recipe)
    assert drive.options_used["denoise"] == "noise2self"
    assert denoised.figures["residual"] < plain.figures["residual"]
    assert denoised.figures["heldout_loss"] < 1 and denoised.figures["lattice_peaks"] == 0
    assert abs(denoised.figures["residual_correlation"]) < 0.3 and denoised.figures["null_structure"] < 1
    assert "heldout_loss" not in plain.figures
    y, x = np.mgrid[:32, :32] - 15.5
    inside = (x - 4) ** 2 + y**2 < 9
    assert denoised.arrays["slice"][inside].mean() == pytest.approx(plain.arrays["slice"][inside].mean(), rel=0.1)
