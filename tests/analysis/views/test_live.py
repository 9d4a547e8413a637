"""The view of running and last reconstructions."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from logged import derived_runs, log_run
from made_runs import MadeRun, mask_set

from analysis.documents.derived import DerivedRun, Standing, derived_start
from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.status import StatusFile
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.views.live import SHOWN, Live, NoWindow
from analysis.views.runs import runs_table
from analysis.views.window import Window
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
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["differential: final\n96/96 realizations", "tv: final\n96/96 realizations"]
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


def test_a_scan_in_the_dark_is_named_before_there_is_any_estimate(tmp_path: Path) -> None:
    run = MadeRun(MASKS, values={number: {"diode": 20.0, "diode_monitor": 10.0} for number in range(1, 97)})
    live = Live(tmp_path)
    writer = LogWriter(log_paths(tmp_path).raw)
    documents = run.documents()
    for name, doc in documents[:10]:
        writer(name, doc)
    assert live.doubts(run.uid) == [] and repr(live) == "no reconstruction yet"
    for name, doc in documents[10:30]:
        writer(name, doc)
    (doubt,) = live.doubts(run.uid)
    assert "no higher than without light" in doubt and f"{run.uid[:8]}: {doubt}" in repr(live)
    writer.close()


def test_what_the_worker_says_of_the_data_meanwhile_is_shown_before_the_end(tmp_path: Path) -> None:
    made = Reconstructed(tmp_path)
    made.estimate(64, 0.5)
    doubt = "the buckets fall as the masks open (--mend invert-masks)"
    StatusFile(tmp_path, "worker").write({"jobs": [{"derived": made.run.uid, "doubts": [doubt]}]})
    live = Live(tmp_path)
    assert live.doubts(made.uid) == [doubt] and doubt in repr(live)


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


class Reconstructed:
    """A reconstruction of a run of 200 realizations, written step by step."""

    def __init__(self, folder: Path) -> None:
        self.raw = LogWriter(log_paths(folder).raw)
        self.uid = str(uuid.uuid4())
        self.raw("start", {"uid": self.uid, "time": 1.0, "scan_id": 3})
        start = {"uid": self.uid, "scan_id": 3, "sample": "CAS"}
        quantities = {
            "image": image_quantity("the object", (8, 8), "1"),
            "heldout_loss": Quantity("held-out loss", lower_is_better=True),
        }
        metadata = {"image": {"pixel_size_um": 10.0}}
        document = derived_start(
            start, Recipe("tv"), uid=str(uuid.uuid4()), purpose="live", rows="realizations", metadata=metadata
        )
        self.log = LogWriter(log_paths(folder).processed)
        self.run = DerivedRun(self._emit, document, quantities, expected=200)

    def _emit(self, name: str, doc: dict) -> None:
        if name == "descriptor":
            doc["data_keys"]["heldout_loss"]["useless_from"] = 1.0
        self.log(name, doc)

    def estimate(self, used: int, loss: float, *, final: bool = False) -> None:
        image = np.full((8, 8), used, np.float32)
        image[0] = 0
        image *= not np.isnan(loss)
        self.run.estimate(
            Estimate({"image": image}, {"heldout_loss": loss}), Standing(used, used, used), final=final, elapsed_s=0.0
        )

    def abort(self) -> None:
        stop = {"uid": str(uuid.uuid4()), "time": 2.0, "run_start": self.uid, "exit_status": "abort", "reason": "by hand"}
        self.raw("stop", stop)


def test_live_flat_and_aborted_estimates_are_told_from_final_ones(tmp_path: Path) -> None:
    made = Reconstructed(tmp_path)
    live = Live(tmp_path)
    made.estimate(64, 1.02)
    assert live["tv"].verdict == "live, no better than flat"
    assert not live.doubts(made.uid)  # the first ones may be
    made.estimate(80, 1.01)
    made.estimate(96, 1.0)
    assert "tv is no better than a flat image after 96 realizations (held-out loss 1)" in repr(live)
    assert live.doubts(made.uid) and not live.doubts("another run")
    made.estimate(128, 0.4)
    assert live["tv"].verdict == "live" and not live.doubts(made.uid)
    made.abort()
    made.estimate(128, 0.4, final=True)
    made.run.close()
    assert live["tv"].verdict == "final, scan aborted"
    assert "done, scan aborted" in repr(live) and "128/200" in repr(live)
    assert "reconstructions" in runs_table(tmp_path) and "abort: by hand" in runs_table(tmp_path)
    dark = Reconstructed(tmp_path)
    dark.estimate(64, np.nan)
    assert "(it is the same everywhere)" in live.doubts(dark.uid)[0]
    assert live._ipython_key_completions_() == ["tv", dark.uid[:8], made.uid[:8]]


def test_a_window_grows_with_the_scan(tmp_path: Path) -> None:
    figure = plt.figure()
    window = Window(figure, tmp_path)
    assert "no reconstruction yet" in figure.texts[0].get_text()
    made = Reconstructed(tmp_path)
    made.estimate(64, 0.9)
    assert window.refresh() and not window.refresh()
    assert figure.axes[0].get_title() == "tv: live\n64/200 realizations" and figure.axes[0].get_xlabel() == "x (um)"
    made.estimate(128, 0.5)
    assert window.refresh()
    assert figure.axes[0].get_title() == "tv: live\n128/200 realizations"
    assert figure.axes[0].images[0].get_array().max() == 128
    assert figure.get_suptitle().startswith("scan 3 CAS")
    made.estimate(200, 0.4, final=True)
    made.run.close()
    assert window.refresh()
    assert figure.axes[0].get_title() == "tv: final\n200/200 realizations"
    plt.close("all")


def test_without_a_display_there_is_no_window_and_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYLAND_DISPLAY", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NoWindow, match=r"no display here.*ghostbeam page"):
        Live(tmp_path).watch()
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(NoWindow, match=":4711 does not open"):
        Live(tmp_path).watch()
