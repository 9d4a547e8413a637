"""A recipe applied to the documents of a run: in this process and in another one."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import log_run
from made_runs import MadeRun, mask_set

from analysis.documents.recipe import Recipe
from analysis.documents.refusal import RunRefused
from analysis.estimate import Estimate
from analysis.ghost.training import Training
from analysis.techniques.ghost.mask_sets import MaskSet
from analysis.techniques.ghost.run import GhostReconstruction, GhostRun
from analysis.worker.compute import ComputeError, computed
from analysis.worker.drive import Drive
from analysis.worker.pace import Clock, Points

MASKS = mask_set()
RUN = MadeRun(MASKS, num=100, values={5: {"diode": None}})
INTAKE = GhostRun(RUN.start, MASKS).intake(wait_for_end=True)
for name, doc in RUN.documents():
    INTAKE(name, doc)
INTAKE.end()
BATCH = INTAKE.take()
assert BATCH is not None


def reconstruction(method: str, *, expected: int = 100, **options: int) -> GhostReconstruction:
    run = GhostRun({**RUN.start, "num_points": expected}, MASKS)
    return run.reconstruction(Recipe(method, options))


@pytest.mark.parametrize("method", ["differential", "least_squares", "tv"])
@settings(max_examples=10, deadline=None)
@given(cuts=st.sets(st.integers(1, 98)), looks=st.sets(st.integers(64, 98), max_size=1))
def test_neither_batches_nor_estimates_on_the_way_change_the_final_bits(method: str, cuts: set[int], looks: set[int]) -> None:
    whole, parts = reconstruction(method), reconstruction(method)
    whole.update(BATCH)
    edges = sorted({0, 99} | cuts | looks)
    for first, last in itertools.pairwise(edges):
        parts.update(BATCH.part(first, last))
        if last in looks:
            parts.result()
    assert parts.finish().arrays["image"].tobytes() == whole.finish().arrays["image"].tobytes()


def test_the_last_live_image_makes_up_for_steps_though_a_realization_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    step = Training.step
    monkeypatch.setattr(Training, "step", lambda training: (steps.append(1), step(training)))
    live, done = reconstruction("n2g", live_steps=3), []
    for first, last in itertools.pairwise((0, 70, 98, 99)):
        live.update(BATCH.part(first, last))
        live.result()
        done.append(len(steps))
    assert done[0] == 3 and done[1] == 6
    assert done[2] > 9


def test_a_scan_of_more_realizations_than_it_announced_has_live_images() -> None:
    live = reconstruction("n2g", expected=10, live_steps=1)
    for first, last in itertools.pairwise((0, 64, 99)):
        live.update(BATCH.part(first, last))
        assert live.result().arrays["image"].shape == (8, 8)


def test_a_mistake_in_the_data_is_told_once_a_quarter_of_the_scan_is_there() -> None:
    plate = mask_set(400)
    run = MadeRun(plate, num=400)
    swapped = MaskSet("made", 1 - plate.patterns, plate.positions_mm, 10.0)
    known = []

    def documents() -> Iterator[tuple[str, dict[str, Any]]]:
        for document in run.documents():
            known.append(list(drive.ledger.doubts))
            yield document

    drive = Drive(GhostRun(run.start, swapped), Recipe("differential"), documents, Clock(400))
    assert len(list(drive.estimates())) > 1
    assert not known[90] and len(known[200]) == 1 and "open and closed swapped" in known[200][0]
    assert drive.ledger.doubts == known[200]


class _Saying:
    """A reconstruction that refuses with an error of the algorithms' kind."""

    def __init__(self, error: Exception, where: str) -> None:
        self._error, self._where = error, where
        self.options: dict[str, Any] = {}

    def _say(self, where: str) -> None:
        if where == self._where:
            raise self._error

    def update(self, batch: Any) -> None:
        self._say("update")

    def result(self) -> Estimate:
        self._say("result")
        return Estimate({"image": np.zeros((8, 8), "<f4")})

    def finish(self) -> Estimate:
        self._say("finish")
        return Estimate({"image": np.zeros((8, 8), "<f4")})


@pytest.mark.parametrize("where", ["update", "result", "finish"])
@pytest.mark.parametrize("error", [ValueError("no image in single precision"), MemoryError("40 GB of masks"), MemoryError()])
def test_what_an_algorithm_says_against_the_data_is_a_refusal(
    where: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = GhostRun(RUN.start, MASKS)
    monkeypatch.setattr(run, "reconstruction", lambda recipe: _Saying(error, where))
    drive = Drive(run, Recipe("tv"), RUN.documents, Points([[70]]))
    with pytest.raises(RunRefused, match=str(error) or "memory does not suffice"):
        list(drive.estimates())


def test_another_process_gives_each_estimate_asked_for(tmp_path: Path) -> None:
    log_run(tmp_path, RUN)
    documents = RUN.documents()[1:]
    made = [one.timed for one in computed(tmp_path, RUN.start, Recipe("differential"), documents, segments=[[10, 64], [80]])]
    assert sorted((one.segment, one.standing.used, one.final) for one in made) == [
        (0, 10, False),
        (0, 64, False),
        (1, 80, False),
        (1, 99, True),
    ]
    here = reconstruction("differential")
    here.update(BATCH)
    assert made[-1].estimate.arrays["image"].tobytes() == here.finish().arrays["image"].tobytes()
    assert (made[-1].standing.number_last, made[-1].standing.received) == (100, 100)


def test_a_process_that_dies_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ComputeError, match="ended with code 1"):
        list(computed(tmp_path, RUN.start, Recipe("differential"), RUN.documents()[1:]))  # no mask set there
    assert "ReferenceMissing" in capfd.readouterr().err
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ComputeError):
        list(computed(tmp_path, RUN.start, Recipe("differential"), RUN.documents()[1:]))
