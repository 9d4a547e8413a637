"""A scan with spectra, and its images of chemical elements, on their way into a real Tiled."""

from __future__ import annotations

import numpy as np
import pytest
from archived_runs import archive, log
from logged import derived_runs
from spectral_runs import spectral_run

from analysis.archive.catalog import connect
from analysis.archive.repeats import few_repeats
from analysis.documents.recipe import Recipe
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.job import Job, Outcome, run_job

pytestmark = pytest.mark.e2e


def test_every_spectrum_comes_back_as_it_was_with_its_declared_type(tiled_server):
    run = spectral_run(num=40)
    documents = run.documents()
    log(tiled_server.state_dir, documents)
    with few_repeats(), connect(tiled_server.uri, tiled_server.key) as catalog:
        archive(tiled_server.state_dir, catalog.raw)
        stored = catalog.raw[run.uid]
        assert stored.metadata["verified_against_log"]
        spectra = stored["primary"]["xrf_spectra"].read()
        assert spectra.dtype == np.dtype("<i4") and spectra.shape == (40, 2, 4096)
        np.testing.assert_array_equal(spectra, np.stack([row["xrf_spectra"] for row in run.rows]))
        np.testing.assert_array_equal(stored["primary"]["xrf_live_time"].read(), [row["xrf_live_time"] for row in run.rows])


def test_images_of_elements_are_one_array_with_named_channels(tiled_server):
    run = spectral_run(num=60, seed=1)
    log(tiled_server.state_dir, run.documents())
    MaskStore(tiled_server.state_dir).save(run.masks)
    assert run_job(Job(tiled_server.state_dir, run.uid, Recipe("differential")))[0] is Outcome.FINISHED
    (made,) = [one for one in derived_runs(tiled_server.state_dir) if one.start["derived_from"] == run.uid]
    with few_repeats(), connect(tiled_server.uri, tiled_server.key) as catalog:
        archive(tiled_server.state_dir, catalog.processed, processed=True)
        stored = catalog.processed[made.start["uid"]]
        assert stored.metadata["verified_against_log"]
        assert stored.metadata["start"]["channels"] == ["Fe", "Cu"]
        np.testing.assert_array_equal(stored["primary"]["image"].read()[-1], made.final)
