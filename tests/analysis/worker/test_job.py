"""A job: one reconstruction of one run, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import check_documents, derived_runs, log_run, write_raw
from made_runs import MadeRun, mask_set

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.ghost import make_reconstructor
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker import pace
from analysis.worker.job import Job, Outcome, give_up, run_job
from analysis.worker.pace import Clock

MASKS = mask_set()
DIFFERENTIAL = Recipe("differential")


def job_for(state_dir: Path, run: MadeRun, recipe: Recipe = DIFFERENTIAL, **more: Any) -> Job:
    return Job(state_dir, run.uid, recipe, (recipe,), **more)


def test_a_finished_run_gives_a_valid_derived_run(tmp_path: Path) -> None:
    run = MadeRun(MASKS, values={4: {"diode": -1.0}})
    log_run(tmp_path, run)
    assert run_job(job_for(tmp_path, run)) == (Outcome.FINISHED, "")
    (stored,) = derived_runs(tmp_path)
    check_documents(stored.documents)
    start = stored.start
    assert start["derived_from"] == run.uid and start["purpose"] == "live" and start["plan_name"] == "reconstruction"
    assert (start["method"], start["seed"], start["scan_id"], start["sample"]) == ("differential", 0, 7, "letters")
    assert start["uid"] == job_for(tmp_path, run).uid
    last = stored.events[-1]["data"]
    assert (last["final"], last["realizations"], last["number_last"], last["received"], last["rejected"]) == (1, 95, 96, 96, 1)
    assert last["dose"] == sum(row["diode_monitor"] for row in run.rows)
    assert stored.stop is not None and stored.stop["exit_status"] == "success"
    assert stored.stop["ledger"]["rejected"] == {"bucket_negative": 1}
    assert stored.stop["update_points"] == [event["data"]["realizations"] for event in stored.events[:-1]]


def test_the_final_image_is_that_of_all_buckets_at_once(tmp_path: Path) -> None:
    run = MadeRun(MASKS)
    log_run(tmp_path, run)
    run_job(job_for(tmp_path, run))
    reconstructor = make_reconstructor("differential", shape=(8, 8))
    beam = np.array([row["diode_monitor"] - 10 for row in run.rows])
    buckets = np.array([row["diode"] - 20 for row in run.rows]) * (64 / beam)
    reconstructor.update(MASKS.patterns[:96], buckets)
    np.testing.assert_allclose(derived_runs(tmp_path)[0].final, reconstructor.finish().image, rtol=1e-4, atol=1e-5)


def test_a_job_done_twice_writes_nothing_more(tmp_path: Path) -> None:
    run = MadeRun(MASKS)
    log_run(tmp_path, run)
    run_job(job_for(tmp_path, run))
    before = derived_runs(tmp_path)[0].documents
    assert run_job(job_for(tmp_path, run))[0] is Outcome.FINISHED
    assert len(derived_runs(tmp_path)[0].documents) == len(before)


def test_a_run_that_goes_on_gives_estimates_meanwhile(tmp_path: Path) -> None:
    run = MadeRun(MASKS, num=128)
    MaskStore(tmp_path).save(MASKS)
    documents = run.documents()
    write_raw(tmp_path, documents[:1])
    worker = threading.Thread(target=run_job, args=(job_for(tmp_path, run),))
    worker.start()
    writer = LogWriter(log_paths(tmp_path).raw)
    writer.adopt(run.uid)
    for name, doc in documents[1:]:
        if name == "event":
            time.sleep(0.008)
        writer(name, doc)
    writer.close()
    worker.join(20)
    assert not worker.is_alive()
    (stored,) = derived_runs(tmp_path)
    check_documents(stored.documents)
    live = [event["data"]["realizations"] for event in stored.events[:-1]]
    assert live and live[0] >= 16 and live == sorted(set(live))


def test_a_slow_method_shows_all_realizations_before_it_finishes(tmp_path: Path) -> None:
    run = MadeRun(MASKS, num=128)
    MaskStore(tmp_path).save(MASKS)
    documents = run.documents()
    write_raw(tmp_path, documents[:80])
    recipe = Recipe("n2g", {"steps": 2, "live_steps": 1})
    worker = threading.Thread(target=run_job, args=(job_for(tmp_path, run, recipe),))
    worker.start()
    while not (derived_runs(tmp_path) and derived_runs(tmp_path)[0].events):
        time.sleep(0.01)
    writer = LogWriter(log_paths(tmp_path).raw)
    writer.adopt(run.uid)
    for item in documents[80:]:
        writer(*item)
    writer.close()
    worker.join(20)
    assert not worker.is_alive()
    (stored,) = derived_runs(tmp_path)
    check_documents(stored.documents)
    last_live, finished = (event["data"] for event in stored.events[-2:])
    assert (last_live["final"], last_live["realizations"]) == (0, 128) and finished["final"] == 1
    assert stored.stop is not None and stored.stop["update_points"][-1] == 128


@pytest.mark.parametrize("kind", ["missing", "another"])
def test_without_its_mask_set_a_run_is_refused_once_and_made_later(tmp_path: Path, kind: str) -> None:
    run = MadeRun(MASKS)
    log_run(tmp_path, run)
    path = MaskStore(tmp_path).path(MASKS.identity)
    if kind == "missing":
        path.unlink()
    else:
        other = MaskStore(tmp_path).save(mask_set(seed=5))
        path.write_bytes(MaskStore(tmp_path).path(other).read_bytes())
    assert run_job(job_for(tmp_path, run))[0] is Outcome.NO_REFERENCE
    assert run_job(job_for(tmp_path, run, attempt=1))[0] is Outcome.NO_REFERENCE
    (refused,) = derived_runs(tmp_path)
    check_documents(refused.documents)
    assert refused.start["refused"] == "mask_set"
    assert refused.stop is not None and refused.stop["exit_status"] == "fail" and "mask set" in refused.stop["reason"]
    path.unlink(missing_ok=True)
    MaskStore(tmp_path).save(MASKS)
    assert run_job(job_for(tmp_path, run, attempt=1))[0] is Outcome.FINISHED
    _, made = derived_runs(tmp_path)
    assert made.final.shape == (8, 8)


@pytest.mark.parametrize(
    ("run", "recipe", "words"),
    [
        (MadeRun(MASKS), Recipe("no such method"), "no such method"),
        (MadeRun(MASKS), Recipe("differential", {"colour": 1}), "colour"),
        (MadeRun(MASKS, ghost={"shape": [4, 16]}), DIFFERENTIAL, "8x8"),
        (MadeRun(MASKS, ghost={"mask_index": None}), DIFFERENTIAL, "mask_index"),
        (MadeRun(MASKS, num=0), DIFFERENTIAL, "no usable realization"),
        (MadeRun(MASKS, num=3, values={i: {"diode": None} for i in (1, 2, 3)}), DIFFERENTIAL, "3 bucket missing"),
        (MadeRun(mask_set(128, seed=3), identity="0" * 63), DIFFERENTIAL, "identity"),
    ],
)
def test_what_cannot_be_done_is_a_failed_derived_run_with_its_reason(
    tmp_path: Path, run: MadeRun, recipe: Recipe, words: str
) -> None:
    log_run(tmp_path, run)
    run_job(job_for(tmp_path, run, recipe))
    (stored,) = derived_runs(tmp_path)
    check_documents(stored.documents)
    assert stored.stop is not None and stored.stop["exit_status"] == "fail"
    assert words in stored.stop["reason"]


def test_a_method_that_cannot_use_the_masks_fails_with_its_reason(tmp_path: Path) -> None:
    signed = mask_set()
    signed.patterns[0, 0, 0] = -1.0
    run = MadeRun(signed)
    log_run(tmp_path, run)
    outcome, reason = run_job(job_for(tmp_path, run, Recipe("normalised")))
    assert outcome is Outcome.FAILED and "nowhere negative" in reason
    assert derived_runs(tmp_path)[0].stop is not None


def test_a_document_that_comes_too_late_counts_in_the_final_image(tmp_path: Path) -> None:
    run = MadeRun(MASKS)
    log_run(tmp_path / "plain", run)
    run_job(job_for(tmp_path / "plain", run))
    documents, late_dir = run.documents(), tmp_path / "late"
    late = documents.pop(3)  # a dark reading
    MaskStore(late_dir).save(MASKS)
    writer = LogWriter(log_paths(late_dir).raw)
    for item in documents[:-1]:
        writer(*item)
    worker = threading.Thread(target=run_job, args=(job_for(late_dir, run),))
    worker.start()
    while not (derived_runs(late_dir) and derived_runs(late_dir)[0].events):
        time.sleep(0.01)
    writer(*late)
    writer(*documents[-1])
    writer.close()
    worker.join(20)
    (revised,), (plain,) = derived_runs(late_dir), derived_runs(tmp_path / "plain")
    assert revised.final.tobytes() == plain.final.tobytes()
    assert revised.stop is not None and revised.stop["ledger"]["revised"]
    assert plain.stop is not None and not plain.stop["ledger"]["revised"]


def test_that_further_buckets_are_not_reconstructed_is_said(tmp_path: Path) -> None:
    run = MadeRun(MASKS, ghost={"buckets": ["diode", "diode_monitor"]})
    log_run(tmp_path, run)
    run_job(job_for(tmp_path, run))
    (stored,) = derived_runs(tmp_path)
    (remark,) = stored.start["remarks"]
    assert "from the bucket diode alone, not from diode_monitor" in remark
    assert stored.start["image"]["bucket"] == "diode"


def test_giving_up_ends_the_derived_run_whatever_its_state(tmp_path: Path) -> None:
    run = MadeRun(MASKS)
    log_run(tmp_path, run)
    for _ in range(2):
        give_up(job_for(tmp_path, run), "it crashed")
    (stored,) = derived_runs(tmp_path)
    check_documents(stored.documents)
    assert stored.stop is not None and stored.stop["reason"] == "it crashed"


KILLED = """
import sys
from pathlib import Path
from analysis.worker.job import Job, run_job
from analysis.documents.recipe import Recipe
recipe = Recipe(sys.argv[3])
run_job(Job(Path(sys.argv[1]), sys.argv[2], recipe, (recipe,)))
"""


@pytest.mark.parametrize("method", ["differential", "tv"])
def test_killed_and_started_again_a_job_ends_with_the_same_bits(tmp_path: Path, method: str) -> None:
    run = MadeRun(MASKS, num=128)
    log_run(tmp_path / "undisturbed", run)
    run_job(job_for(tmp_path / "undisturbed", run, Recipe(method)))
    state_dir = tmp_path / "killed"
    MaskStore(state_dir).save(MASKS)
    documents = run.documents()
    writer = LogWriter(log_paths(state_dir).raw)
    command = [sys.executable, "-c", KILLED, str(state_dir), run.uid, method]

    def estimates() -> int:
        return sum(len(stored.events) for stored in derived_runs(state_dir))

    def until(condition: Any) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    for name, doc in documents[:80]:
        writer(name, doc)
    for number, more in enumerate((documents[80:100], documents[100:])):
        process = subprocess.Popen(command)
        seen = estimates()
        until(lambda seen=seen: estimates() > seen)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert derived_runs(state_dir)[0].stop is None or number == 1
        for name, doc in more:
            writer(name, doc)
    writer.close()
    assert run_job(job_for(state_dir, run, Recipe(method)))[0] is Outcome.FINISHED
    (stored,) = derived_runs(state_dir)
    check_documents(stored.documents)
    assert stored.events[-1]["data"]["restart"] == 2
    assert stored.final.tobytes() == derived_runs(tmp_path / "undisturbed")[0].final.tobytes()


def test_updates_come_as_often_as_their_cost_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])

    def due(clock: Clock, used: int, at: float, *, ended: bool = False) -> bool:
        now[0] = at
        return clock.due(0, used, ended=ended)

    def made(clock: Clock, used: int, began: float, elapsed_s: float) -> None:
        now[0] = began + elapsed_s
        clock.made(0, used, elapsed_s)

    clock = Clock(1024)
    assert not due(clock, 63, 0.0)
    assert due(clock, 64, 0.0)
    made(clock, 64, 0.0, 0.01)
    assert not due(clock, 64, 10.0)  # nothing new
    assert not due(clock, 80, 0.2) and due(clock, 80, 0.31)
    made(clock, 80, 0.31, 6.0)
    assert not due(clock, 90, 10.0) and due(clock, 90, 10.32)
    made(clock, 1000, 20.0, 0.01)
    assert not due(clock, 1009, 30.0) and due(clock, 1011, 30.0)
    assert not due(clock, 1001, 30.0, ended=True)  # a fast method's final estimate comes at once
    assert not due(Clock(32), 3, 0.0) and due(Clock(32), 4, 0.0)  # a short run has live estimates, too
    assert not due(Clock(None), 63, 0.0) and due(Clock(None), 64, 0.0)
    slow = Clock(1024, slow=True)
    assert not due(slow, 10, 1.0, ended=True)  # nothing to be outdated
    made(slow, 80, 0.31, 6.0)
    assert not due(slow, 90, 6.6) and due(slow, 90, 6.63)
    assert not due(slow, 80, 7.0, ended=True) and due(slow, 81, 7.0, ended=True)
