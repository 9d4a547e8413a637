"""A fly scan that asks for object and probe: simulated records, the real plan, the document log and the real worker."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from fly_session import FlySession
from logged import derived_runs
from soft_ioc import soft_ioc

from analysis.documents.frame_folders import allow_frames
from analysis.documents.log import LogWriter, log_paths
from analysis.techniques.ptychography import OPTIONS
from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import fly_scan, ptycho_scan
from plans.preprocessors import use_methods
from plans.refusal import PlanRequestError

pytestmark = [pytest.mark.ioc, pytest.mark.e2e]

EPIE = {"method": "epie", "options": {"sweeps": 2, "averaged": 1, "orientation": "+y+x", "defocus_mm": 8.0}}


@contextmanager
def logged_session(folder):
    """A session on the simulated beamline whose documents are logged."""
    make_plate("small", hadamard(8), 10.0).save(folder / "plate.npz")
    with soft_ioc(plate=folder / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(epics={"prefix": ioc.prefix}, state_dir=folder / "state", frames_dir=folder / "frames")
        devices = make_devices(config)
        connect(devices, 20)
        session = FlySession(devices)
        log = LogWriter(log_paths(config.state_dir).raw)
        allow_frames(config.state_dir, config.frames_folder)
        session.engine.subscribe(log)
        yield session
        session.check_valid()
        log.close()


def reconstructed(state_dir):
    """What a worker makes of the run, by method."""
    worker = ["analysis.worker.worker", "--state-dir", str(state_dir), "--recipes", '["sums"]', "--until-idle"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", *worker], env=environment, check=True, timeout=200)
    return {run.start["method"]: run for run in derived_runs(state_dir)}


def check_object(run, used):
    """The middle of the star turns the wave: what was found is no flat object."""
    assert run.stop["exit_status"] == "success" and run.stop["ledger"]["used"] == used
    final = run.events[-1]["data"]
    assert final["final"] and final["residual"] < 0.5
    middle = tuple(slice(side // 2 - 20, side // 2 + 20) for side in final["object_phase"].shape)
    assert np.std(final["object_phase"][middle]) > 0.1


def test_object_and_probe_are_reconstructed_as_the_plan_asks(tmp_path):
    with logged_session(tmp_path) as session:
        session.scan(y_um=(-1.2, 1.2, 7), x_um=(-1.2, 1.2, 13), recipes=["sums", EPIE])
    derived = reconstructed(tmp_path / "state")
    assert set(derived) == {"sums", "epie"}
    check_object(derived["epie"], 7 * 13)


def test_a_step_scan_is_reconstructed_with_the_optics_that_the_start_document_names(tmp_path):
    with logged_session(tmp_path) as session:
        here = session.devices
        devices = {"trigger_box": here.trigger_box, "shutter": here.shutter}
        scan = {"y_um": (-1.2, 1.2), "x_um": (-1.2, 1.2), "overlap": 0.9, "exposure_s": 0.005}
        recipe = {"method": "epie", "options": {"sweeps": 2, "averaged": 1, "orientation": "+y+x"}}
        session.engine(ptycho_scan(here.pixel_detector, here.sample_stage, **scan, **devices, recipes=[recipe]))
        used = session.announced()
    (run,) = reconstructed(tmp_path / "state").values()
    check_object(run, used)


def test_a_session_refuses_options_that_epie_does_not_have():
    scan = use_methods(fly_scan, OPTIONS)
    recipe = {"method": "epie", "options": {"sweep": 1}}
    with pytest.raises(PlanRequestError, match=r"epie has no option sweep; .* did you mean sweeps"):
        scan(None, None, y_um=None, x_um=None, rate_hz=1, recipes=[recipe])
