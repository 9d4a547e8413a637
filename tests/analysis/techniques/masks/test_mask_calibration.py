"""Calibrations of masks as documents: the mask set that comes of them, and what is said of bad ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mask_frames import calibration, designs, plate_of

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.documents.refusal import NothingUsable, RunRefused
from analysis.techniques import technique_of
from analysis.techniques.ghost.mask_sets import MaskSet
from analysis.worker.drive import Drive
from analysis.worker.pace import Points

PLATE = designs(18, 12)


def measured(tmp_path: Path, masks: np.ndarray = PLATE, **options: Any) -> Drive:
    documents = calibration(tmp_path / "frames" / "masks.h5", tmp_path, masks, **options)
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(tmp_path))
    drive = Drive(run, Recipe("mask_calibration"), lambda: iter(documents[1:]), Points())
    drive.final = list(drive.estimates())[-1].estimate  # type: ignore[attr-defined]
    return drive


def stored(tmp_path: Path, drive: Drive) -> MaskSet:
    return MaskSet.of(ReferenceStore(tmp_path).load(ReferenceName("mask_set", drive.options_used["mask_set"])))


def test_a_calibration_makes_a_mask_set_linked_to_its_run_and_its_design(tmp_path: Path) -> None:
    uneven = np.clip(PLATE * np.random.default_rng(1).normal(0.95, 0.05, PLATE.shape), 0, 1)
    uneven[3] = 0.95 * PLATE[4]  # etched with the wrong pattern
    drive = measured(tmp_path, uneven, design=PLATE, lost=(9, 10, 11, 12))
    masks = stored(tmp_path, drive)
    assert masks.design == plate_of(PLATE).identity and len(masks.runs) == 1
    assert masks.identity == drive.options_used["mask_set"] != masks.design
    assert np.std(masks.patterns[5] - uneven[5]) < 0.4 * np.std(PLATE[5] - uneven[5])
    assert drive.options_used["out_of_tolerance"] == [3]
    assert drive.final.figures["out_of_tolerance"] == 1 and drive.final.figures["measured"] == 17
    assert np.isnan(masks.uncertainty[2]).all()
    assert "the calibration is incomplete: mask 2 of 18 were not measured" in " ".join(drive.ledger.remarks)


@pytest.mark.parametrize("monitored", [True, False])
def test_frames_are_divided_by_the_incident_light_if_it_was_measured(tmp_path: Path, monitored: bool) -> None:
    beam = np.random.default_rng(2).normal(1.0, 0.05, len(PLATE))
    options = {} if monitored else {"positions": {"stream": "positions", "monitor": None}}
    drive = measured(tmp_path, beam=beam, **options)
    levels = stored(tmp_path, drive).patterns.mean(axis=(1, 2)) / PLATE.mean(axis=(1, 2))
    assert (np.std(levels) / np.mean(levels) < 0.005) == monitored


def test_a_missing_monitor_is_said_and_holds_up_nothing(tmp_path: Path) -> None:
    beam = np.ones(len(PLATE))
    documents = calibration(tmp_path / "frames" / "masks.h5", tmp_path, PLATE, beam=beam)
    absent = [doc for name, doc in documents if name == "event" and doc["seq_num"] == 3]
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(tmp_path))
    kept = [(name, doc) for name, doc in documents[1:] if doc not in absent]
    drive = Drive(run, Recipe("mask_calibration"), lambda: iter(kept), Points())
    assert list(drive.estimates())[-1].estimate.figures["measured"] == len(PLATE)
    assert "the incident-beam monitor is missing or zero for mask 2" in " ".join(drive.ledger.remarks)


def test_an_overexposed_calibration_is_said(tmp_path: Path) -> None:
    with pytest.raises(NothingUsable, match="overexposed"):
        measured(tmp_path, light=64_000.0)


def test_another_plate_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match="is another plate on the stage"):
        measured(tmp_path, design=designs(18, 12, seed=7))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"order": [0, 1, 1]}, "names a mask twice"),
        ({"order": [0, 99]}, "there is no mask 99"),
        ({"exposures": 0}, "number of frames of each mask"),
        ({"flats": None}, "frames without a mask"),
        ({"pixel_um": "4"}, "size of a camera pixel"),
        ({"mask_set": None}, "identity of the mask set"),
        ({"positions": {"stream": 1, "monitor": "monitor"}}, "must name a stream"),
    ],
)
def test_a_malformed_entry_is_refused(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    with pytest.raises(RunRefused, match=words):
        measured(tmp_path, PLATE[:2], portions=1, **{"exposures": 1, **entry})
