"""ePIE of real scans measured elsewhere, from their files to object and probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.offline.ingest import ingest
from analysis.techniques import technique_of
from analysis.techniques.ptychography.epie import checked_options
from analysis.worker.drive import Drive, Timed
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
        ({"known_path": 1}, "known_path of epie must be true or false"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        checked_options(options)
