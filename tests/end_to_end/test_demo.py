"""`ghostbeam demo` as a user runs it, and what it leaves for the next commands."""

import re
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - the filter that frames are compressed with
import numpy as np
import psutil
import pytest
from servers import TiledServer

from analysis.archive.catalog import connect
from analysis.archive.server_settings import api_key
from analysis.documents.frames import path_of
from analysis.documents.log import LogReader, log_paths
from beamline.config import load_config
from ghostbeam.services import tiled_uri

pytestmark = pytest.mark.e2e


def ghostbeam(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "ghostbeam", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    return done.stdout


def test_a_series_of_frame_pairs_from_the_photons_to_the_picture(tmp_path):
    told = ghostbeam(tmp_path, "demo", "--technique", "pairs", "--num", "72", "--output", "shown")
    assert (tmp_path / "shown" / "ghostbeam_demo.png").stat().st_size > 10_000
    (uid,) = re.findall(r"Run (\S{36})", told)
    assert f'cat["{uid[:8]}"]["frames"]["dual_camera_image"][71]' in told
    server = TiledServer(tmp_path / "shown" / "state", load_config(tmp_path / "shown" / "beamline.toml").tiled.port)
    server.start()
    try:
        with connect(server.uri, server.key) as catalog:
            run = catalog.raw[uid]
            assert run.metadata["verified_against_log"]
            assert np.shape(run["frames"]["dual_camera_image"][71]) == (1, 256, 512)
            denoised = [one for one in catalog.processed.values() if one.metadata["start"]["method"] == "pair_network"]
            assert len(denoised) == 1 and denoised[0]["series"].base["row_number"].shape[0] == 72
    finally:
        server.kill()


def test_a_fly_scan_from_the_photons_to_the_picture_and_all_that_is_proposed_then(tmp_path):
    told = ghostbeam(tmp_path, "demo", "--technique", "fly", "--num", "200", "--output", "shown")
    assert (tmp_path / "shown" / "ghostbeam_demo.png").stat().st_size > 10_000
    (uid,) = re.findall(r"Run (\S{36})", told)
    assert f'cat["{uid[:8]}"]["frames"]["pixel_detector_image"][199]' in told
    state_dir = tmp_path / "shown" / "state"
    assert not [p for p in psutil.process_iter(["cmdline"]) if any(str(state_dir) in part for part in p.info["cmdline"] or [])]

    config = load_config(tmp_path / "shown" / "beamline.toml")
    command = ("--config", "shown/beamline.toml")
    ghostbeam(tmp_path, *command, "up")
    try:
        resources = [
            record.doc for record in LogReader(log_paths(state_dir).raw).documents(uid) if record.name == "stream_resource"
        ]
        with connect(tiled_uri(config), api_key(state_dir)) as catalog, h5py.File(path_of(resources[0]), swmr=True) as file:
            run = catalog.raw[uid]
            assert run.metadata["verified_against_log"]
            shown = run["frames"]["pixel_detector_image"][199]
            np.testing.assert_array_equal(np.squeeze(shown), file["/entry/data/data"][199])
        assert "are bit-identical" in ghostbeam(tmp_path, *command, "replay", uid[:8], "--verify")
        assert "from 200 of 200 frames" in ghostbeam(tmp_path, *command, "replay", uid[:8])
        assert "worker" in ghostbeam(tmp_path, *command, "status")
        assert "Nothing was missing" in ghostbeam(tmp_path, *command, "recover")
    finally:
        ghostbeam(tmp_path, *command, "down")
