"""Radiographs from elsewhere, their slices and their denoised series, on their way into a real Tiled."""

from __future__ import annotations

import numpy as np
import pytest
from archived_runs import archive
from logged import derived_runs
from radiograph_runs import tomography_streams

from analysis.archive.catalog import connect
from analysis.archive.repeats import few_repeats
from analysis.documents.recipe import Recipe
from analysis.offline.ingest import ingest
from analysis.worker.job import Job, Outcome, run_job

pytestmark = pytest.mark.e2e


def test_ingested_radiographs_their_slices_and_every_denoised_one(tiled_server, tmp_path):
    angles = np.arange(0.0, 180.0, 4.5)
    streams = tomography_streams(angles, height=32, width=32)
    frames = streams.pop("frames")
    np.savez(tmp_path / "disc.npz", projections=frames, theta_deg=angles, **streams)
    state_dir = tiled_server.state_dir
    uid = ingest(tmp_path / "disc.npz", state_dir)
    for recipe in (Recipe("fbp", {"centre": 15.5}), Recipe("noise2self", {"radiographs": 3, "steps": 5})):
        assert run_job(Job(state_dir, uid, recipe))[0] is Outcome.FINISHED
    slices, denoised = (one for one in derived_runs(state_dir) if one.start["derived_from"] == uid)
    with few_repeats(), connect(tiled_server.uri, tiled_server.key) as catalog:
        archive(state_dir, catalog.raw)
        archive(state_dir, catalog.processed, processed=True)
        np.testing.assert_array_equal(catalog.raw[uid]["frames"]["camera_image"].read()[:, 0], frames)
        np.testing.assert_array_equal(catalog.raw[uid]["flats"]["camera_image"].read()[:, 0], streams["flats"])
        image = catalog.processed[slices.start["uid"]]["primary"]["slice"].read()[-1]
        assert image[15:17, 19:21].mean() == pytest.approx(0.05, rel=0.1)
        series = catalog.processed[denoised.start["uid"]]["series"]
        assert series["row_number"].read().tolist() == list(range(1, len(angles) + 1))
        made = series["denoised"].read()
        assert made.shape == frames.shape and np.isfinite(made).all()
        np.testing.assert_array_equal(made[-1], denoised.events[-1]["data"]["denoised"])
