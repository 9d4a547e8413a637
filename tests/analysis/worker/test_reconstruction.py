"""A recipe applied to batches, in this process and in another one."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import log_run
from made_runs import MadeRun, mask_set

from analysis.documents.realizations import Realizations
from analysis.documents.recipe import Recipe
from analysis.ghost.training import Training
from analysis.worker.compute import ComputeError, computed
from analysis.worker.reconstruction import Reconstruction

MASKS = mask_set()
RUN = MadeRun(MASKS, num=100, values={5: {"diode": None}})
REALIZATIONS = Realizations(RUN.start, len(MASKS.patterns))
for name, doc in RUN.documents():
    REALIZATIONS(name, doc)
REALIZATIONS.end()
BATCH = REALIZATIONS.take()
assert BATCH is not None


def reconstruction(method: str, **options: int) -> Reconstruction:
    return Reconstruction(MASKS, REALIZATIONS.spec, Recipe(method, options))


@pytest.mark.parametrize("method", ["differential", "least_squares", "tv"])
@settings(max_examples=10, deadline=None)
@given(cuts=st.sets(st.integers(1, 98)), looks=st.sets(st.integers(64, 98), max_size=1))
def test_neither_batches_nor_estimates_on_the_way_change_the_final_bits(method: str, cuts: set[int], looks: set[int]) -> None:
    whole, parts = reconstruction(method), reconstruction(method)
    whole.feed(BATCH)
    edges = sorted({0, 99} | cuts | looks)
    for first, last in itertools.pairwise(edges):
        parts.feed(BATCH.part(first, last))
        if last in looks:
            parts.result()
    assert parts.standing == whole.standing
    assert parts.finish().estimate.image.tobytes() == whole.finish().estimate.image.tobytes()


def test_the_last_live_image_makes_up_for_steps_though_a_realization_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    step = Training.step
    monkeypatch.setattr(Training, "step", lambda training: (steps.append(1), step(training)))
    live, done = reconstruction("n2g", live_steps=3), []
    for last in (70, 98, 99):
        live.feed(BATCH.part(live.standing.realizations, last))
        live.result()
        done.append(len(steps))
    assert done[0] == 3 and done[1] == 6
    assert done[2] > 9


def test_a_scan_of_more_realizations_than_it_announced_has_live_images() -> None:
    spec = replace(REALIZATIONS.spec, expected=10)
    live = Reconstruction(MASKS, spec, Recipe("n2g", {"live_steps": 1}))
    for last in (64, 99):
        live.feed(BATCH.part(live.standing.realizations, last))
        assert live.result().standing.realizations == last


def test_another_process_gives_each_estimate_asked_for(tmp_path: Path) -> None:
    log_run(tmp_path, RUN)
    made = list(computed(tmp_path, RUN.start, Recipe("differential"), BATCH, segments=[[10, 64], [80]]))
    assert [(one.segment, one.timed.standing.realizations, one.final) for one in made] == [
        (0, 10, False),
        (0, 64, False),
        (1, 80, False),
        (1, 99, True),
    ]
    here = reconstruction("differential")
    here.feed(BATCH)
    assert made[-1].timed.estimate.image.tobytes() == here.finish().estimate.image.tobytes()
    assert made[-1].timed.standing == here.standing


def test_a_process_that_dies_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ComputeError, match="ended with code 1"):
        list(computed(tmp_path, RUN.start, Recipe("differential"), BATCH))  # no mask set there
    assert "MaskSetMissing" in capfd.readouterr().err
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ComputeError):
        list(computed(tmp_path, RUN.start, Recipe("differential"), BATCH))
