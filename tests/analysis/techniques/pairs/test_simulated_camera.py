"""Frames of the simulated dual camera: what their noise allows, with and without a scintillator."""

from __future__ import annotations

import numpy as np
import pytest
from pair_runs import driven, series_of

from analysis.documents.refusal import RunRefused
from sims.frame_messages import Take
from sims.frame_pairs import GAINS, OFFSET_PX, PairOptions
from sims.triggers import Triggers

SENSOR = (128, 256)
HALVES = [[0, 128, 0, 128], [0, 128, 128, 256]]
OUT_UM = 1e6


def frames(scene: str, num: int, *, scintillator: bool = False, out: bool = False, acquisition: int = 1) -> np.ndarray:
    """Frames of 500 photons a pixel; `out`: without a sample."""
    source = PairOptions(scene, photons=12500.0, sensor=SENSOR, scintillator=scintillator).source()
    numbers = np.arange(1, num + 1)
    place = np.full(num, OUT_UM if out else 0.0)
    return source.draw(Take(acquisition, Triggers(numbers, numbers / 24, place, place, 0.04), True, {}))


@pytest.mark.parametrize("scene", ["nuclei", "bars", "texture", "flow"])
def test_independent_halves_are_laid_on_each_other_and_learned(tmp_path, scene):
    flats = frames(scene, 8, out=True, acquisition=2)
    documents = series_of(
        tmp_path, frames(scene, 3), streams=("flats", "frames"), flats=flats, halves=HALVES, static=scene != "flow"
    )
    estimate, drive = driven(documents, tmp_path, "pair_network", steps=10)
    figures = estimate.figures
    assert (figures["shift_y"], figures["shift_x"]) == pytest.approx([-step for step in OFFSET_PX], abs=0.06)
    assert figures["gain_ratio"] == pytest.approx(GAINS[1] / GAINS[0], rel=0.06)  # with the dark counts, which weren't taken off
    assert abs(figures["noise_across"]) < 0.05
    assert not [remark for remark in drive.ledger.remarks if "common" in remark]


@pytest.mark.parametrize("evidence", ["flats", "static"])
def test_behind_a_scintillator_nothing_is_learned_from_a_pair(tmp_path, evidence):
    series = frames("nuclei", 3, scintillator=True)
    flats = frames("nuclei", 8, scintillator=True, out=True, acquisition=2) if evidence == "flats" else None
    streams = ("frames",) if flats is None else ("flats", "frames")
    documents = series_of(tmp_path, series, streams=streams, flats=flats, halves=HALVES, static=evidence == "static")
    with pytest.raises(RunRefused, match="% of the noise is common to both halves"):
        driven(documents, tmp_path, "pair_network", steps=10)
    estimate, _ = driven(documents, tmp_path, "gaussian")
    assert estimate.figures["noise_across"] > 0.3
