"""A series of pairs, denoised by the worker's job while it is taken, replayed, and read from Tiled."""

from __future__ import annotations

import numpy as np
import pytest
from logged import check_documents, derived_runs, write_raw
from pair_runs import SIDE, pair_series

from analysis.archive.catalog import connect
from analysis.archive.run_archive import RunArchive
from analysis.documents.recipe import Recipe
from analysis.documents.row_file import NUMBER, SERIES
from analysis.offline.replay import replay, verify
from analysis.worker.job import Job, Outcome, run_job

pytestmark = pytest.mark.e2e


def test_the_denoised_pairs_are_frames_of_the_derived_run(tiled_server):
    state_dir = tiled_server.state_dir
    series, documents, truth = pair_series(state_dir / "frames" / "pairs.h5", num=12, lost=(5,))
    write_raw(state_dir, documents)
    recipe = Recipe("pair_network", {"steps": 30})
    assert run_job(Job(state_dir, series.uid, recipe, (recipe,)))[0] is Outcome.FINISHED
    (live,) = derived_runs(state_dir)
    check_documents(live.documents)
    assert live.stop["num_events"] == {"primary": len(live.events), SERIES: 11}
    again = replay(documents, state_dir, recipe)
    (replayed,) = [run for run in derived_runs(state_dir) if run.start["uid"] == again.uid]
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        images = []
        for run in (live, replayed):
            archive = RunArchive(catalog.processed, run.start["uid"], folders=[state_dir / "frames"])
            for name, doc in run.documents:
                archive.write(name, doc)
            stream = catalog.processed[run.start["uid"]][SERIES]
            assert stream[NUMBER].read().tolist() == [number for number in range(1, 13) if number != 5]
            images.append(stream["denoised"].read())
    assert images[0].shape == (11, SIDE, SIDE) and images[0].dtype == np.float32
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0][-1], live.events[-1]["data"]["denoised"])
    assert np.corrcoef(images[0][3].ravel(), truth.ravel())[0, 1] > 0.9
    assert verify(live.documents, documents, state_dir).identical
