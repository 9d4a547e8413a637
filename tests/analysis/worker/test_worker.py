"""The worker as a process: several runs and methods at once, killed, restarted, given something that crashes it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from logged import Stored, as_formerly_logged, check_documents, derived_runs, log_run, write_raw
from made_runs import MadeRun, mask_set

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.status import read_status
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.job import Job, run_job

MASKS = mask_set()


class Worker:
    """A worker's process, and all that it started."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.process: subprocess.Popen[bytes] | None = None
        self.family: list[psutil.Process] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "analysis.worker.worker", "--state-dir", str(self.state_dir), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        return self.process

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)

    def kill(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.family += self.children()
                self.process.kill()
            self.process.communicate()
            self.process = None

    def status(self) -> dict[str, Any]:
        return read_status(self.state_dir, "worker") or {}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    one = Worker(tmp_path)
    yield one
    one.kill()
    until(lambda: not living(one.family), 5)


def until(condition: Callable[[], Any], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still do something; a zombie only waits for somebody to look at it."""
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def ended(state_dir: Path) -> list[Stored]:
    return [stored for stored in derived_runs(state_dir) if stored.stop is not None]


def test_two_interleaved_runs_by_several_methods(worker: Worker) -> None:
    first = MadeRun(MASKS, num=80, seed=1)
    second = MadeRun(MASKS, num=70, seed=2, md={"recipes": ["correlation"]})
    log_run(worker.state_dir / "alone", first)
    alone = Worker(worker.state_dir / "alone").start("--recipes", '["differential", "tv"]', "--until-idle")
    alone.communicate(timeout=20)
    MaskStore(worker.state_dir).save(MASKS)
    worker.start("--recipes", '["differential", "tv"]')
    writer = LogWriter(log_paths(worker.state_dir).raw)
    others = iter(second.documents())
    for item in first.documents():
        writer(*item)
        for other in itertools.islice(others, 1):
            writer(*other)
    writer.close()
    until(lambda: len(ended(worker.state_dir)) == 3)
    found = {(stored.start["derived_from"], stored.start["method"]): stored for stored in ended(worker.state_dir)}
    assert set(found) == {(first.uid, "differential"), (first.uid, "tv"), (second.uid, "correlation")}
    for stored in found.values():
        check_documents(stored.documents)
        assert stored.stop is not None and stored.stop["exit_status"] == "success"
    for stored in derived_runs(worker.state_dir / "alone"):
        assert stored.final.tobytes() == found[first.uid, stored.start["method"]].final.tobytes()


def test_killed_the_worker_takes_its_children_along_and_the_next_one_goes_on(worker: Worker) -> None:
    run = MadeRun(MASKS, num=128)
    log_run(worker.state_dir / "alone", run)
    run_job(Job(worker.state_dir / "alone", run.uid, Recipe("differential")))
    MaskStore(worker.state_dir).save(MASKS)
    documents = run.documents()
    writer = LogWriter(log_paths(worker.state_dir).raw)
    for item in documents[:90]:
        writer(*item)
    worker.start("--recipes", '["differential"]')
    until(lambda: derived_runs(worker.state_dir) and derived_runs(worker.state_dir)[0].events)
    family = worker.children()
    worker.kill()
    until(lambda: not living(family), 3)
    for item in documents[90:]:
        writer(*item)
    writer.close()
    # Another method would be reconstructed for a run that is new, not for one that had been begun.
    worker.start("--recipes", '["correlation"]')
    until(lambda: ended(worker.state_dir))
    (stored,) = derived_runs(worker.state_dir)
    check_documents(stored.documents)
    assert stored.final.tobytes() == derived_runs(worker.state_dir / "alone")[0].final.tobytes()
    assert stored.events[-1]["data"]["restart"] == 1
    worker.kill()
    worker.start("--until-idle")
    assert worker.process is not None and worker.process.wait(20) == 0
    assert len(derived_runs(worker.state_dir)) == 1


def test_a_run_that_crashes_every_time_is_given_up_and_others_go_on(worker: Worker) -> None:
    bad, good = MadeRun(MASKS, num=5, seed=1), MadeRun(MASKS, num=70, seed=2)
    MaskStore(worker.state_dir).save(MASKS)
    write_raw(worker.state_dir, bad.documents())
    write_raw(worker.state_dir, good.documents())
    last = {key: value for key, value in bad.documents()[-2][1].items() if key != "seq_num"}
    as_formerly_logged(log_paths(worker.state_dir).raw, len(bad.documents()) - 1, last)
    worker.start("--recipes", '["differential"]', "--until-idle")
    assert worker.process is not None and worker.process.wait(30) == 0
    found = {stored.start["derived_from"]: stored for stored in derived_runs(worker.state_dir)}
    failed = found[bad.uid].stop
    assert failed is not None and failed["exit_status"] == "fail"
    assert "crashed 3 times" in failed["reason"] and "seq_num" in failed["reason"]
    assert found[good.uid].final.shape == (8, 8)
    counters = worker.status()["counters"]
    assert counters.pop("estimates") >= 1
    assert counters == {"runs": 2, "finished": 1, "failed": 1, "refused": 0, "crashes": 3}


def test_odd_start_documents_fail_by_name_and_others_go_on(worker: Worker) -> None:
    odd: dict[str, dict[str, Any]] = {
        "ghost-imaging run": {"ghost": 3},
        "mask_set": {"mask_set": ["a", 3]},
        "malformed recipe 7": {"recipes": 7},
        "malformed recipe {'method': 'tv', 'options': {'a': [1, 'b']}, 'more': None}": {
            "recipes": [{"method": "tv", "options": {"a": [1, "b"]}, "more": None}]
        },
        "steps must be a whole number from 1 to 1000000": {"recipes": [{"method": "n2g", "options": {"steps": 10**9}}]},
        "not a regular file": {"recipes": [{"method": "ch_mwcnn", "options": {"weights": "/dev/zero"}}]},
        "seed must be": {"recipes": [{"method": "tv", "seed": -1}]},
        "correct": {"ghost": {"buckets": ["diode"], "mask_index": "mask_stage_index", "shape": [10**6, 10**6]}},
    }
    MaskStore(worker.state_dir).save(MASKS)
    uids = {}
    for seed, (reason, md) in enumerate(odd.items(), start=1):
        run = MadeRun(MASKS, num=5, seed=seed)
        start, *documents = run.documents()
        write_raw(worker.state_dir, [("start", {**start[1], **md}), *documents])
        uids[run.uid] = reason
    nameless = MadeRun(MASKS, num=5, seed=98, identity="a\0b/../c")
    good = MadeRun(MASKS, num=70, seed=99)
    write_raw(worker.state_dir, nameless.documents())
    write_raw(worker.state_dir, good.documents())
    worker.start("--recipes", '["differential"]', "--until-idle")
    assert worker.process is not None and worker.process.wait(60) == 0
    found = {stored.start["derived_from"]: stored for stored in derived_runs(worker.state_dir)}
    for uid, reason in uids.items():
        stop = found[uid].stop
        assert stop is not None and reason in stop["reason"], (reason, stop)
    assert found[good.uid].final.shape == (8, 8)
    assert worker.status()["healthy"] and worker.status()["counters"]["crashes"] == 0


def test_a_mask_set_that_appears_later_is_used(worker: Worker) -> None:
    run = MadeRun(MASKS, num=70)
    write_raw(worker.state_dir, run.documents())
    worker.start("--recipes", '["differential"]')
    until(lambda: ended(worker.state_dir))
    until(lambda: worker.status().get("waiting_for_references") == 1)
    worker.kill()
    worker.start("--recipes", '["differential"]')  # the next worker waits on, and doesn't refuse again
    until(lambda: worker.status().get("pid") == worker.pid and worker.status()["waiting_for_references"] == 1)
    assert len(derived_runs(worker.state_dir)) == 1
    MaskStore(worker.state_dir).save(MASKS)
    until(lambda: len(ended(worker.state_dir)) == 2)
    refused, made = derived_runs(worker.state_dir)
    assert refused.stop is not None and MASKS.identity[:12] in refused.stop["reason"]
    assert made.final.shape == (8, 8)


def test_status_tells_of_the_jobs_and_sigterm_ends_it_quickly(worker: Worker) -> None:
    run = MadeRun(MASKS, num=90)
    MaskStore(worker.state_dir).save(MASKS)
    write_raw(worker.state_dir, [*run.documents()[:-1], *MadeRun(MASKS, num=3, seed=1).documents()[:1]])
    process = worker.start("--recipes", '["differential"]')
    until(lambda: any(job["used"] == 90 for job in worker.status().get("jobs", [])))
    until(lambda: worker.status()["lag_documents"] == 0)
    status = worker.status()
    assert status["pid"] == process.pid and status["healthy"] and abs(status["time"] - time.time()) < 5
    (job,) = [job for job in status["jobs"] if job["run"] == run.uid]
    assert job["method"] == "differential" and job["estimates"] >= 1
    family = worker.children()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - began < 1.0
    until(lambda: not living(family), 3)
    assert worker.status()["state"] == "stopped"
    assert all(stored.stop is None for stored in derived_runs(worker.state_dir))


def test_a_killed_worker_leaves_no_temporary_files_for_long(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # a short path, for the sockets in it
        monkeypatch.setenv("TMPDIR", temporary)
        worker.start("--recipes", '["differential"]')
        until(lambda: worker.status().get("pid") == worker.pid)
        assert os.listdir(temporary)
        worker.kill()
        process = worker.start("--recipes", '["differential"]')
        until(lambda: worker.status().get("pid") == worker.pid)
        assert len(os.listdir(temporary)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert os.listdir(temporary) == []


def test_a_second_worker_on_the_same_state_is_refused(worker: Worker) -> None:
    worker.start()
    until(worker.status)
    second = Worker(worker.state_dir)
    process = second.start()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"process {worker.pid}" in said.decode()


def test_an_unknown_method_is_named(worker: Worker) -> None:
    process = worker.start("--recipes", '["tv", "magic"]')
    _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "unknown method 'magic'; the methods are" in said.decode()


def test_a_job_whose_process_is_killed_is_started_again(worker: Worker) -> None:
    run = MadeRun(MASKS, num=90)
    MaskStore(worker.state_dir).save(MASKS)
    documents = run.documents()
    writer = LogWriter(log_paths(worker.state_dir).raw)
    for item in documents[:-1]:
        writer(*item)
    worker.start("--recipes", '["differential"]')
    until(lambda: worker.status().get("jobs"))
    os.kill(worker.status()["jobs"][0]["pid"], signal.SIGKILL)
    until(lambda: worker.status()["counters"]["crashes"] == 1)
    assert "SIGKILL" in worker.status()["last_error"]
    writer(*documents[-1])
    writer.close()
    until(lambda: ended(worker.state_dir))
    (stored,) = ended(worker.state_dir)
    check_documents(stored.documents)
    assert stored.stop is not None and stored.stop["exit_status"] == "success"
