"""The view of running and last reconstructions."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from logged import derived_runs, log_run
from made_runs import MadeRun, mask_set

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.views.live import SHOWN, Live
from analysis.worker.job import Job, run_job

MASKS = mask_set()


def test_before_anything_happened(tmp_path: Path) -> None:
    live = Live(tmp_path)
    assert repr(live) == "no reconstruction yet" and len(live) == 0
    with pytest.raises(LookupError, match="no reconstruction yet"):
        _ = live.image


def test_the_table_the_newest_image_and_the_picture(tmp_path: Path) -> None:
    run, other = MadeRun(MASKS, seed=1), MadeRun(MASKS, num=3, seed=2, values={i: {"diode": None} for i in (1, 2, 3)})
    log_run(tmp_path, run)
    log_run(tmp_path, other)
    live = Live(tmp_path)
    for method in ("differential", "tv"):
        run_job(Job(tmp_path, run.uid, Recipe(method)))
    stored = {one.start["method"]: one for one in derived_runs(tmp_path)}
    assert live.latest.method == "tv" and (live.image == stored["tv"].final).all()
    assert (live["differential"].image == stored["differential"].final).all()
    assert live[run.uid[:8]].method == "tv" and live[-1].realizations == 96
    run_job(Job(tmp_path, other.uid, Recipe("differential")))
    table = repr(live)
    assert "letters" in table and "96/96" in table and "done" in table
    assert f"differential of {other.uid[:8]} failed: no usable realization" in table
    with pytest.raises(KeyError, match="magic"):
        live["magic"]
    figure = live.plot(run.uid[:8])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["differential, 96/96", "tv, 96/96"]
    alone = live.plot("tv").axes  # the image and its spread, each with a colour bar
    assert len(alone) == 4 and alone[0].get_xlabel() == "x (um)"
    with pytest.raises(LookupError, match="no estimate yet"):
        live.plot()
    plt.close("all")


def test_a_correction_that_was_not_made_is_said(tmp_path: Path) -> None:
    run = MadeRun(MASKS, num=70, dark=0, ghost={"dark_stream": "dark"})
    log_run(tmp_path, run)
    run_job(Job(tmp_path, run.uid, Recipe("differential")))
    said = repr(Live(tmp_path))
    assert f"{run.uid[:8]}: dark counts are not subtracted" in said


def test_only_the_last_ones_are_kept_and_those_that_run(tmp_path: Path) -> None:
    writer = LogWriter(log_paths(tmp_path).processed)
    uids = [str(uuid.uuid4()) for _ in range(10)]
    for number in range(10):
        uid = uids[number]
        writer("start", {"uid": uid, "time": 1.0, "derived_from": f"raw-{number}", "method": "tv"})
        if number:
            writer("stop", {"uid": f"stop-{number}", "run_start": uid, "time": 2.0, "exit_status": "success", "reason": ""})
    live = Live(tmp_path)
    assert [run.raw_uid for run in live.runs()] == ["raw-0", *(f"raw-{number}" for number in range(10 - SHOWN, 10))]
    assert live["raw-0"].state == "running"
    writer("stop", {"uid": "stop-0", "run_start": uids[0], "time": 2.0, "exit_status": "success", "reason": ""})
    writer.close()
    assert len(live.runs()) == SHOWN


def test_it_loads_neither_torch_nor_tiled_nor_matplotlib() -> None:
    code = "import sys, analysis.views.live; print(*({'torch', 'tiled', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == ""
