"""Ghost-imaging runs whose buckets are spectra: an image of each chemical element, and what is said of bad spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import derived_runs, log_run
from made_runs import mask_set
from spectral_runs import SpectralRun, maps, spectral_run

from analysis.documents.recipe import Recipe
from analysis.documents.refusal import RunRefused
from analysis.techniques import technique_of
from analysis.techniques.ghost.intake import Realizations
from analysis.techniques.ghost.run import GhostRun
from analysis.views.live import Live
from analysis.worker.job import Job, Outcome, run_job

TV = Recipe("tv")


def taken(run: SpectralRun) -> tuple[Any, Any]:
    intake = Realizations(run.start, len(run.masks.patterns))
    for name, doc in run.documents():
        intake(name, doc)
    intake.end()
    return intake.take(), intake.ledger()


def test_every_element_gets_its_own_image_with_a_trust_map(tmp_path: Path) -> None:
    run = spectral_run(num=128, elements=["Fe", "Cu", "Zn"])
    log_run(tmp_path, run)
    assert run_job(Job(tmp_path, run.uid, TV))[0] is Outcome.FINISHED
    (stored,) = derived_runs(tmp_path)
    final = stored.events[-1]["data"]
    assert final["image"].shape == final["spread"].shape == (3, 8, 8)
    for channel, (name, true) in enumerate(maps().items()):
        assert stored.start["channels"][channel] == name
        assert np.corrcoef(final["image"][channel].ravel(), true.ravel())[0, 1] > 0.98
    data_key = stored.documents[1][1]["data_keys"]["image"]
    assert data_key["dims"] == ["channel", "y", "x"] and data_key["dtype_numpy"] == "<f4"
    # Zinc is not there: its image is weak, and no better than a flat one.
    assert final["image"][2].max() < 0.05 * final["image"][1].max()
    assert final["heldout_loss_Fe"] < 0.2 and final["heldout_loss_Zn"] > 0.9
    assert final["heldout_loss"] == min(final["heldout_loss_Fe"], final["heldout_loss_Cu"])
    live = Live(tmp_path)
    assert any("sees no Zn" in remark for remark in live.latest.remarks) == (final["heldout_loss_Zn"] >= 1)
    assert not any("without light" in line for line in repr(live).splitlines())
    titles = [axes.get_title() for axes in live.plot().axes]
    assert any("Fe" in title for title in titles) and any(title.startswith("Zn") for title in titles)


def test_buckets_are_counts_over_live_time_and_incident_light_with_true_errors() -> None:
    run = spectral_run(num=128)
    batch, ledger = taken(run)
    exact = np.stack(
        [np.tensordot(run.masks.patterns[batch.columns["mask_index"]], image, 2) for image in maps().values()], axis=1
    )
    scale = (batch.columns["bucket"] * exact).sum(axis=0) / (exact**2).sum(axis=0)
    normalised = (batch.columns["bucket"] - scale * exact) / batch.columns["error"]
    assert ledger.used == 128 and batch.columns["bucket"].shape == (128, 2)
    assert 0.8 < normalised.std() < 1.25
    calibration = ledger.normalisation["calibration"]
    assert len(calibration) == 2 and all(abs(one["slope_kev"] / 0.005 - 1) < 0.006 for one in calibration)


def test_a_dead_detector_element_is_named_and_left_out() -> None:
    batch, ledger = taken(spectral_run(dead=frozenset({1})))
    assert ledger.used == len(batch) == 96
    assert "detector element 2 counted nothing and is left out" in ledger.remarks


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"live_time": np.zeros(2)}, "the live time is missing or zero"),
        ({"live_time": np.array([np.nan, np.nan])}, "the live time is missing or zero"),
        ({"live_time": np.array([0.02, 0.02])}, "saturated"),
        ({"live_time": np.array([0.2, 0.2])}, "the live time is longer than the real time"),
        ({"spectra": np.full((2, 4096), -1)}, "negative counts"),
        ({"spectra": np.ones((2, 2048), dtype=int)}, "another shape"),
        ({"spectra": None}, "another shape"),
        ({"spectra": [["a"]]}, "another shape"),
    ],
)
def test_spectra_that_cannot_be_used_are_left_out_and_said(values: dict[str, Any], said: str) -> None:
    batch, ledger = taken(spectral_run(num=80, spectra={70: values}))
    assert ledger.rejected == {"no_spectrum": 1} and 70 not in batch.number
    assert any(said in remark for remark in ledger.remarks)


def test_one_detector_element_stands_in_for_another() -> None:
    undisturbed, _ = taken(spectral_run(num=80))
    half, ledger = taken(spectral_run(num=80, spectra={70: {"live_time": np.array([0.1, 0.0])}}))
    place = list(half.number).index(70)
    deviation = half.columns["bucket"][place] - undisturbed.columns["bucket"][place]
    assert (np.abs(deviation) < 4 * half.columns["error"][place]).all()
    assert not ledger.rejected and any("detector element 2 are left out" in remark for remark in ledger.remarks)


def test_spectra_that_belong_to_other_masks_are_said() -> None:
    run = SpectralRun(mask_set(256, (16, 16)), num=256, photons=2e6)
    for row, earlier in zip(run.rows[1:], range(255), strict=True):
        row["mask_stage_index"] = earlier
    intake = GhostRun(run.start, run.masks).intake()
    for name, doc in run.documents():
        intake(name, doc)
    intake.end()
    intake.take()
    assert any("shifted by 1" in doubt for doubt in intake.ledger().doubts)


def test_much_dead_time_is_said() -> None:
    _, ledger = taken(spectral_run(num=70, photons=4e7))
    assert any("dead for more than 10% of the time" in remark for remark in ledger.remarks)


def test_a_wrong_axis_is_refused_with_the_slope_that_would_be_right(tmp_path: Path) -> None:
    run = spectral_run(num=70, slope_kev=0.01)
    log_run(tmp_path, run)
    outcome, reason = run_job(Job(tmp_path, run.uid, TV))
    assert outcome is Outcome.FAILED
    assert "the energy axis is wrong" in reason and "the slope is 0.00" in reason and "[xrf_spectrometer]" in reason


def test_without_light_nothing_is_calibrated_and_the_images_are_flat() -> None:
    batch, ledger = taken(spectral_run(num=70, photons=1.0))
    assert ledger.used == 70 and (batch.columns["error"] > 0).all()
    assert any("too few for a calibration" in remark for remark in ledger.remarks)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"elements": []}, "elements must list"),
        ({"elements": ["Xx"]}, "no chemical element 'Xx'"),
        ({"elements": ["Zr_K"]}, "a beam of 11.1 keV excites"),
        ({"bins": 0}, "bins must be a whole number"),
        ({"slope_kev": "x"}, "slope_kev must be a number"),
        ({"counts": None}, "counts must name a data key"),
    ],
)
def test_a_start_document_that_cannot_be_right_is_refused(entry: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = spectral_run(num=2)
    run.ghost["spectra"] |= entry
    with pytest.raises(RunRefused, match=said):
        technique_of(run.start).references(run.start)


def test_conflicting_and_repeated_spectra_are_told_apart() -> None:
    run = spectral_run(num=70)
    documents = run.documents()
    events = [(name, doc) for name, doc in documents if name == "event" and "primary" in doc["uid"]]
    name, doc = events[3]
    other = {**doc, "data": {**doc["data"], "xrf_spectra": doc["data"]["xrf_spectra"] + 1}, "time": doc["time"] + 1}
    intake = Realizations(run.start, len(run.masks.patterns))
    for item in [*documents[:-1], (name, doc), (name, other), documents[-1]]:
        intake(*item)
    intake.end()
    assert len(intake.take() or ()) == 70
    assert intake.ledger().duplicates == 1 and intake.ledger().conflicts == 1
