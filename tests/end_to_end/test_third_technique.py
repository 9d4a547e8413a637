"""A technique of some thirty lines through the real services: worker, archiver, Tiled, replay and verification."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from servers import TiledServer

pytestmark = pytest.mark.e2e

THIRD = Path(__file__).parents[1] / "third_technique"
sys.path += [str(THIRD), str(Path(__file__).parents[1] / "analysis" / "techniques")]


def run(*command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(THIRD), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", *command], env=environment, check=True, timeout=200)


def test_it_is_reconstructed_stored_replayed_and_verified(tiled_server: TiledServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from logged import derived_runs, write_raw
    from mean_of_frames import register
    from runs_of_techniques import CASES

    from analysis.archive.catalog import connect
    from analysis.archive.stored_documents import stored_documents
    from analysis.offline.replay import replay, verify
    from analysis.techniques import TECHNIQUES

    register()
    monkeypatch.setenv("PYTHONPATH", str(THIRD))
    state_dir = tiled_server.state_dir
    (case,) = [case for case in CASES if case.name == "mean-mean"]
    documents = [item for item in case.make(state_dir) if item[1].get("seq_num") != 40]  # one is lost
    uid = documents[0][1]["uid"]
    write_raw(state_dir, documents)
    run("analysis.worker.worker", "--state-dir", str(state_dir), "--recipes", '["tv"]', "--until-idle")
    run("analysis.archive.archiver", "--state-dir", str(state_dir), "--uri", tiled_server.uri, "--until-settled")
    (stored,) = derived_runs(state_dir)
    frames = [doc["data"]["camera"] for name, doc in documents if name == "event"]
    assert (
        stored.start["method"] == "mean" and stored.start["rows"] == "exposures"
    )  # its own default, since tv is not a method of it
    assert stored.stop is not None and (stored.stop["ledger"]["used"], stored.stop["ledger"]["missing"]) == (149, 1)
    np.testing.assert_allclose(stored.events[-1]["data"]["mean"], np.mean(frames, axis=0), rtol=1e-6)
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        derived, raw = catalog.processed[stored.start["uid"]], catalog.raw[uid]
        assert derived.metadata["verified_against_log"] and raw.metadata["verified_against_log"]
        images = derived["primary"]["mean"].read()
        assert images[-1].tobytes() == stored.events[-1]["data"]["mean"].tobytes()
        assert verify(stored_documents(derived), stored_documents(raw), state_dir).identical
        again = replay(stored_documents(raw), state_dir)
    assert again.estimate.arrays["mean"].tobytes() == images[-1].tobytes() and again.ledger.missing == 1
    del TECHNIQUES["mean"]
