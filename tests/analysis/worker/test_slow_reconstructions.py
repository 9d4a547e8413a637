"""How many slow reconstructions run at a time, and which: the scheduler with real processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from logged import derived_runs, write_raw
from made_runs import MadeRun, mask_set

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.recipe import Recipe
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker import scheduler as scheduler_module
from analysis.worker.scheduler import Scheduler

MASKS = mask_set()
SLOW = Recipe("n2g", {"steps": 10, "permutations": 1})
ENDLESS = Recipe("n2g", {"steps": 100_000, "permutations": 1})


class Watched:
    """A scheduler, and the most processes that it ever had at a time."""

    def __init__(self, state_dir: Path, recipe: Recipe, **options: Any) -> None:
        self.state_dir = state_dir
        self.scheduler = Scheduler(state_dir, [recipe], **options)
        self.most = 0

    @property
    def working_on(self) -> list[str]:
        return [job["run"] for job in self.scheduler.status()["jobs"]]

    def until(self, condition: Callable[[], Any], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it takes too long"
            self.scheduler.step(0.02)
            self.most = max(self.most, len(self.working_on))


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    made = []
    MaskStore(tmp_path).save(MASKS)

    def start(recipe: Recipe, **options: Any) -> Watched:
        made.append(Watched(tmp_path, recipe, **options))
        return made[-1]

    yield start
    for one in made:
        one.scheduler.close()


def finished(state_dir: Path) -> list[str]:
    return [stored.start["derived_from"] for stored in derived_runs(state_dir) if stored.stop is not None]


def test_scans_that_end_one_after_the_other_never_run_more_than_the_limit(watch: Callable[..., Watched]) -> None:
    watched = watch(SLOW, slow_at_once=2)
    runs = [MadeRun(MASKS, num=64, seed=seed) for seed in range(5)]
    writer = LogWriter(log_paths(watched.state_dir).raw)
    for run in runs:
        *documents, stop = run.documents()
        for item in documents:
            writer(*item)
        watched.scheduler.step(0.2)
        writer(*stop)
    writer.close()
    watched.until(lambda: len(finished(watched.state_dir)) == len(runs))
    assert watched.most == 2


def test_a_run_that_goes_on_comes_before_those_that_have_ended(watch: Callable[..., Watched]) -> None:
    ended = [MadeRun(MASKS, num=64, seed=seed) for seed in range(3)]
    going_on = MadeRun(MASKS, num=70, seed=9)
    watched = watch(SLOW)
    for run in ended:
        write_raw(watched.state_dir, run.documents())
    watched.until(lambda: watched.working_on)
    *documents, stop = going_on.documents()
    writer = LogWriter(log_paths(watched.state_dir).raw)
    for item in documents:
        writer(*item)
    watched.until(lambda: going_on.uid in watched.working_on)
    assert len(finished(watched.state_dir)) <= 1
    writer(*stop)
    writer.close()
    watched.until(lambda: len(finished(watched.state_dir)) == 4)
    assert watched.most == 1


def test_a_paused_scan_makes_room_and_goes_on_where_it_was(
    watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "IDLE_S", 1.0)
    paused, ended = MadeRun(MASKS, num=90, seed=1), MadeRun(MASKS, num=64, seed=2)
    watched = watch(SLOW)
    documents = paused.documents()
    writer = LogWriter(log_paths(watched.state_dir).raw)
    for item in documents[:80]:
        writer(*item)
    watched.until(lambda: derived_runs(watched.state_dir) and derived_runs(watched.state_dir)[0].events)
    write_raw(watched.state_dir, ended.documents())
    watched.until(lambda: finished(watched.state_dir) == [ended.uid])
    watched.until(lambda: not watched.working_on)
    watched.scheduler.step(0.1)
    assert not watched.working_on  # until the scan goes on
    assert watched.scheduler.status()["counters"]["crashes"] == 0
    for item in documents[80:]:
        writer(*item)
    writer.close()
    watched.until(lambda: len(finished(watched.state_dir)) == 2)
    assert watched.most == 1
    stored = derived_runs(watched.state_dir)[0]
    assert stored.stop is not None and stored.stop["exit_status"] == "success"
    assert stored.events[-1]["data"]["restart"] == 1


def test_one_that_computes_is_not_taken_for_paused(watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "IDLE_S", 1.0)
    first, second = MadeRun(MASKS, num=64, seed=1), MadeRun(MASKS, num=64, seed=2)
    watched = watch(ENDLESS)
    write_raw(watched.state_dir, first.documents())
    watched.until(lambda: watched.working_on)
    write_raw(watched.state_dir, second.documents())
    watched.until(lambda: watched.scheduler.status()["queued"])
    began = time.monotonic()
    watched.until(lambda: time.monotonic() > began + 4)
    assert watched.working_on == [first.uid]


def test_what_takes_longer_than_allowed_is_ended_and_its_run_says_so(watch: Callable[..., Watched]) -> None:
    run = MadeRun(MASKS, num=64, seed=1)
    watched = watch(ENDLESS, longest_s=2.0)
    write_raw(watched.state_dir, run.documents())
    watched.until(lambda: finished(watched.state_dir))
    (stored,) = derived_runs(watched.state_dir)
    assert stored.stop is not None and stored.stop["exit_status"] == "fail"
    assert "longer than 2 s" in stored.stop["reason"] and "longest_s" in stored.stop["reason"]
    watched.scheduler.step(0.1)
    assert not watched.working_on and watched.scheduler.status()["counters"]["failed"] == 1
