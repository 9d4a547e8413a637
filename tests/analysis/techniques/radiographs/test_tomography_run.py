"""Tomographic scans through the intake: slices come out right, and what is wrong with the data is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from radiograph_runs import SIZE, Documents, RadiographRun, tomography_streams

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.estimate import Estimate
from analysis.techniques import technique_of
from analysis.worker.drive import Drive
from analysis.worker.pace import Points

ANGLES = np.arange(0.0, 180.0, 3.0)


def final(state_dir: Path, documents: Documents, recipe: Recipe) -> tuple[Estimate, Drive]:
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(state_dir))
    drive = Drive(run, recipe, lambda: documents[1:], Points())
    return [*drive.estimates()][-1].estimate, drive


def scan(folder: Path, angles: np.ndarray = ANGLES, **change: Any) -> Documents:
    streams = tomography_streams(angles) | change.pop("streams", {})
    streams = {name: frames for name, frames in streams.items() if frames is not None}
    told = change.pop("told", angles)
    return RadiographRun(folder / "frames" / "camera.h5", streams, angles=told, **change).documents()


@pytest.mark.parametrize("method", ["fbp", "sirt", "tv"])
def test_a_disc_lies_where_it_is_and_attenuates_as_it_does(tmp_path: Path, method: str) -> None:
    estimate, drive = final(tmp_path, scan(tmp_path), Recipe(method))
    image = estimate.arrays["slice"]
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside, far = (x - 4) ** 2 + y**2 < 9, (x - 4) ** 2 + y**2 > 60
    assert image[inside].mean() == pytest.approx(0.05, rel=0.05) and abs(image[far].mean()) < 0.003
    assert estimate.figures["centre"] == pytest.approx((SIZE - 1) / 2, abs=0.3)
    assert drive.options_used["centre"] == estimate.figures["centre"]
    assert drive.ledger.normalisation == {"darks": 3, "flats": 5, "static": 0, "dead_pixels": 0}


def test_a_lost_radiograph_shifts_no_angle(tmp_path: Path) -> None:
    estimate, drive = final(tmp_path, scan(tmp_path, lost=(4, 5, 30)), Recipe("fbp", {"centre": (SIZE - 1) / 2}))
    assert drive.ledger.rejected == {"no_radiograph": 3} and estimate.figures["views"] == len(ANGLES) - 3
    assert estimate.arrays["slice"][11:13, 15:17].mean() == pytest.approx(0.05, rel=0.1)


def test_the_order_of_angles_and_their_unit_do_not_matter(tmp_path: Path) -> None:
    recipe = Recipe("fbp", {"centre": (SIZE - 1) / 2})
    expected, _ = final(tmp_path, scan(tmp_path), recipe)
    order = np.random.default_rng(1).permutation(len(ANGLES))
    streams = tomography_streams(ANGLES)
    shuffled, drive = final(
        tmp_path,
        scan(tmp_path, streams={"frames": streams["frames"][order]}, told=np.deg2rad(ANGLES[order]), units="rad"),
        recipe,
    )
    np.testing.assert_allclose(shuffled.arrays["slice"], expected.arrays["slice"], atol=1e-5)
    assert drive.ledger.remarks == []


STATEMENTS: dict[str, Any] = {
    "the angles span 3.09 degrees: are they radians?": np.deg2rad(ANGLES),
    "the angles span 59 degrees: of a wedge that was not seen": np.linspace(0, 59, 60),
    "the angle stayed at 90 degrees from radiograph 31 to 60: did the rotation stall?": np.minimum(ANGLES, 90),
    "1 radiographs repeat an angle": np.where(np.arange(60) == 7, 18.0, ANGLES),
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_is_odd_about_the_angles_is_said(tmp_path: Path, statement: str) -> None:
    documents = scan(tmp_path, told=STATEMENTS[statement])
    _, drive = final(tmp_path, documents, Recipe("fbp", {"centre": 11.5}))
    assert any(statement in remark for remark in drive.ledger.remarks), drive.ledger.remarks


def test_an_angle_that_is_no_number_costs_its_radiograph(tmp_path: Path) -> None:
    _, drive = final(tmp_path, scan(tmp_path, told=np.where(np.arange(60) == 7, np.nan, ANGLES)), Recipe("fbp"))
    assert drive.ledger.rejected == {"angle_missing": 1} and drive.ledger.used == 59


def test_pixels_that_measure_nothing_are_left_out(tmp_path: Path) -> None:
    streams = tomography_streams(ANGLES)
    for frames in streams.values():
        frames[:, :, 9] = 100
    streams["frames"][20, :, 14] = 90  # below dark
    estimate, drive = final(tmp_path, scan(tmp_path, streams=streams), Recipe("sirt", {"centre": 11.5}))
    assert drive.ledger.normalisation["dead_pixels"] == 2
    assert np.isfinite(estimate.arrays["slice"]).all()
    assert estimate.arrays["slice"][11:13, 15:17].mean() == pytest.approx(0.05, rel=0.1)


def test_pixels_that_are_no_number_in_some_flat_frames_are_known_from_the_others(tmp_path: Path) -> None:
    streams = {name: frames.astype("<f4") for name, frames in tomography_streams(ANGLES).items()}
    streams["flats"][2] = np.nan
    streams["flats"][:, :, 5] = np.nan
    streams["frames"][8] = np.nan
    streams["frames"][:, 1] = np.nan  # the row of the middle slice
    estimate, drive = final(tmp_path, scan(tmp_path, streams=streams), Recipe("sirt", {"slices": 2}))
    assert drive.ledger.normalisation["dead_pixels"] == 2 and drive.ledger.rejected == {"no_transmission": 1}
    assert estimate.arrays["volume"][0, 11:13, 15:17].mean() == pytest.approx(0.05, rel=0.1)
    with pytest.raises(RunRefused, match="nothing was measured in the rows of the detector that become slices"):
        final(tmp_path, scan(tmp_path, streams=streams), Recipe("sirt"))


def test_a_wrong_centre_shows_in_the_residual(tmp_path: Path) -> None:
    documents = scan(tmp_path)
    right, wrong = (final(tmp_path, documents, Recipe("sirt", {"centre": c}))[0].figures["residual"] for c in (11.5, 14.5))
    assert wrong > 2 * right


REFUSED: dict[str, Any] = {
    "needs the angle of each radiograph": {"told": None},
    "needs flat fields": {"streams": {"flats": None}},
    "the flat field is not brighter than the dark field": {"streams": {"flats": np.full((2, 2, SIZE), 90, "<u2")}},
    "which is not a known unit of angles": {"units": "grad"},
    "dark and flat frames hold no numbers": {"streams": {"flats": np.full((2, 2, SIZE), np.nan, "<f4")}},
    "not found without a sample in 3 views or more": {
        "streams": {"frames": tomography_streams(ANGLES)["frames"][:2]},
        "told": ANGLES[:2],
    },
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_reconstructed_is_refused_in_words(tmp_path: Path, reason: str) -> None:
    with pytest.raises(RunRefused, match=reason):
        final(tmp_path, scan(tmp_path, **REFUSED[reason]), Recipe("fbp"))


IMPOSSIBLE: list[dict[str, Any]] = [
    {"centre": "left"},
    {"centre": 24.0},
    {"slices": 0},
    {"lower": 1.0, "upper": 0.5},
    {"denoise": "magic"},
    {"sharp": True},
]


@pytest.mark.parametrize("options", IMPOSSIBLE)
def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(RunRefused, match="option"):
        final(tmp_path, scan(tmp_path), Recipe("sirt", options))
