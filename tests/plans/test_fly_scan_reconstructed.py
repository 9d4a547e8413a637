"""A fly scan that asks for object and probe: simulated records, the real plan, the document log and the real worker."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from fly_session import FlySession
from logged import derived_runs
from soft_ioc import soft_ioc

from analysis.documents.frames import allow_frames
from analysis.documents.log import LogWriter, log_paths
from analysis.techniques.ptychography import OPTIONS
from beamline.config import GhostbeamConfig
from beamline.factory import connect, make_devices
from beamline.mask_designs import hadamard, make_plate
from plans import fly_scan
from plans.preprocessors import use_methods
from plans.refusal import PlanRequestError

pytestmark = [pytest.mark.ioc, pytest.mark.e2e]

EPIE = {"method": "epie", "options": {"sweeps": 2, "averaged": 1, "orientation": "+y+x", "defocus_mm": 8.0}}


def test_object_and_probe_are_reconstructed_as_the_plan_asks(tmp_path):
    make_plate("small", hadamard(8), 10.0).save(tmp_path / "plate.npz")
    with soft_ioc(plate=tmp_path / "plate.npz", speed=1.0) as ioc:
        config = GhostbeamConfig(epics={"prefix": ioc.prefix}, state_dir=tmp_path / "state", frames_dir=tmp_path / "frames")
        devices = make_devices(config)
        connect(devices, 20)
        session = FlySession(devices)
        log = LogWriter(log_paths(config.state_dir).raw)
        allow_frames(config.state_dir, config.frames_folder)
        session.engine.subscribe(log)
        session.scan(y_um=(-1.2, 1.2, 7), x_um=(-1.2, 1.2, 13), recipes=["sums", EPIE])
        session.check_valid()
        log.close()
    worker = ["analysis.worker.worker", "--state-dir", str(config.state_dir), "--recipes", '["sums"]', "--until-idle"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", *worker], env=environment, check=True, timeout=200)
    derived = {run.start["method"]: run for run in derived_runs(config.state_dir)}
    assert set(derived) == {"sums", "epie"}
    stop = derived["epie"].stop
    assert stop["exit_status"] == "success" and stop["ledger"]["used"] == 7 * 13
    final = derived["epie"].events[-1]["data"]
    assert final["final"] and final["residual"] < 0.5
    # The middle of the star turns the wave: what was found is no flat object.
    middle = tuple(slice(side // 2 - 20, side // 2 + 20) for side in final["object_phase"].shape)
    assert np.std(final["object_phase"][middle]) > 0.1


def test_a_session_refuses_options_that_epie_does_not_have():
    scan = use_methods(fly_scan, OPTIONS)
    recipe = {"method": "epie", "options": {"sweep": 1}}
    with pytest.raises(PlanRequestError, match=r"epie has no option sweep; .* did you mean sweeps"):
        scan(None, None, y_um=None, x_um=None, rate_hz=1, recipes=[recipe])
