"""`ghostbeam export` as a user runs it; no service runs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from logged import derived_runs, log_run
from made_runs import MadeRun, mask_set
from PIL import Image
from typer.testing import CliRunner

from analysis.documents.recipe import Recipe
from analysis.worker.job import Job, run_job
from ghostbeam.cli import app


def test_a_scan_and_its_image_are_written_for_other_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GHOSTBEAM_STATE_DIR", str(tmp_path / "state"))
    run = MadeRun(mask_set())
    log_run(tmp_path / "state", run)
    run_job(Job(tmp_path / "state", run.uid, Recipe("tv")))
    (tv,) = derived_runs(tmp_path / "state")
    for file in ("all.h5", "tv.tif", "tv.csv", "tv.png"):
        done = CliRunner().invoke(app, ["export", run.uid[:8], "-o", file])
        assert done.exit_code == 0, (done.output, done.exception)
    with h5py.File("all.h5") as written:
        assert written["entry/sample/name"].asstr()[()] == "letters"
        assert (
            len(written["entry/streams/primary/diode"]) == 96
            and written["entry/streams/primary/diode"].attrs["units"] == "counts"
        )
        assert np.array_equal(written[f"tv_{tv.start['uid'][:8]}/data/image"], tv.final)
    assert np.array_equal(tifffile.imread("tv.tif"), tv.final)
    with tifffile.TiffFile("tv.tif") as tiff:
        assert tiff.pages.first.tags["XResolution"].value == (1000, 1)  # pixels of 10 um, per cm
    np.testing.assert_allclose(np.loadtxt("tv.csv", delimiter=","), tv.final, rtol=1e-6)
    with Image.open("tv.png") as drawn:
        assert min(drawn.size) > 300
    for arguments, words in (
        (["-o", "tv.png"], "exists"),
        (["--method", "n2g"], "no reconstruction by n2g"),
        (["-o", "a.mat"], "none of"),
    ):
        done = CliRunner().invoke(app, ["export", run.uid[:8], *arguments])
        assert done.exit_code == 1 and words in str(done.exception)
