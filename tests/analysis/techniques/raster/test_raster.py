"""Maps of raster scans."""

import numpy as np
import pytest
from raster_runs import raster_run
from spectral_runs import maps

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.techniques import technique_of
from analysis.worker.drive import Drive
from analysis.worker.pace import Points


def mapped(documents, tmp_path):
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(tmp_path))
    drive = Drive(run, Recipe("map"), lambda: iter(documents[1:]), Points())
    (final,) = drive.estimates()
    return final.estimate, drive.ledger


def test_the_maps_show_where_the_elements_are(tmp_path):
    estimate, ledger = mapped(raster_run(), tmp_path)
    truth = maps()
    for channel, element in enumerate(("Fe", "Cu")):
        found = estimate.arrays["map"][channel]
        assert np.corrcoef(found.ravel(), truth[element].ravel())[0, 1] > 0.99
        inside = truth[element] > 0
        assert found[inside].std() / found[inside].mean() < 0.05, "the beam's drift is taken out"
    assert estimate.figures["coverage"] == 1.0 and ledger.used == 64


def test_one_line_alone_and_a_short_last_line_are_what_they_are(tmp_path):
    estimate, ledger = mapped(raster_run(21, spectra=False), tmp_path)
    measured = np.isfinite(estimate.arrays["map"][0])
    assert measured[:2].all() and measured[2, :5].all() and not measured[2, 5:].any() and not measured[3:].any()
    assert ledger.not_acquired == 64 - 21
    line = {"y_um": [-35.0, -35.0, 1], "x_um": [-35.0, 35.0, 8], "snake": False}
    estimate, ledger = mapped(raster_run(8, spectra=False, grid=line), tmp_path)
    assert estimate.arrays["map"].shape == (1, 1, 8) and np.isfinite(estimate.arrays["map"]).all() and ledger.used == 8


def test_exposures_that_tell_nothing_are_named_and_a_cell_that_was_measured_twice_is_a_mean(tmp_path):
    values = {
        2: {"place_x_um": float("nan")},
        3: {"place_x_um": 500.0},
        4: {"diode_monitor": 0.0},
        5: {"diode": None},
        6: {"place_x_um": -35.0},
    }
    estimate, ledger = mapped(raster_run(16, spectra=False, values=values), tmp_path)
    assert dict(ledger.rejected) == {"place_missing": 1, "outside": 1, "no_monitor": 1, "bucket_missing": 1}
    assert estimate.arrays["exposures"][0, 0] == 2 and estimate.arrays["exposures"][0, 5] == 0


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"grid": {"y_um": [0, 1], "x_um": [0, 1, 2]}}, r"must be \[first, last, number\]"),
        ({"grid": {"y_um": [0, 0, 3], "x_um": [0, 1, 2]}}, r"must be \[first, last, number\]"),
        ({"buckets": [], "spectra": None}, "needed for a map"),
        ({"spectra": {"counts": 3}}, 'the entry "spectra"'),
        ({"y": None}, '"y" must be a name'),
    ],
)
def test_a_start_document_that_makes_no_sense_is_refused(tmp_path, entry, says):
    documents = raster_run(2, spectra=False)
    documents[0][1]["raster"] |= entry
    with pytest.raises(RunRefused, match=says):
        technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(tmp_path))
