"""The contract that holds every method of every technique: what the driver, the log, replay and Tiled may rely on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import check_documents, derived_runs, write_raw
from made_runs import Documents
from runs_of_techniques import CASES, THIRD, Case

from analysis.documents.log import LogWriter, log_paths
from analysis.documents.references import ReferenceStore
from analysis.offline.replay import verify
from analysis.techniques import TECHNIQUES, technique_of
from analysis.worker.drive import Drive, Timed
from analysis.worker.job import Job, Outcome, run_job
from analysis.worker.job_process import run_in_process, start_fork_server
from analysis.worker.pace import Never, Pace, Points


@pytest.fixture(scope="module", autouse=True)
def third_technique() -> Iterator[None]:
    from mean_of_frames import register

    register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(THIRD))
        yield
    del TECHNIQUES["mean"]


@pytest.fixture(scope="module")
def fork_server(third_technique: None) -> Any:
    """What the worker starts its jobs with: each is forked from a process that has the modules."""
    return start_fork_server(threads=1)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param
    return made


@dataclass(frozen=True)
class Made:
    """A case's run, and what is made of it when nothing disturbs."""

    state_dir: Path
    documents: Documents
    whole: dict[str, bytes]
    drive: Drive


@pytest.fixture(scope="module")
def made(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Made:
    state_dir = tmp_path_factory.mktemp("case")
    documents = case.make(state_dir)
    (estimate,), drive = driven(case, state_dir, documents, Points())
    return Made(state_dir, documents, bits(estimate), drive)


class Eager(Never):
    """Estimates after every batch."""

    def due(self, segment: int, used: int, *, ended: bool) -> bool:
        return used > 0 and not ended


def driven(case: Case, state_dir: Path, documents: Documents, pace: Pace, *, pauses: int = 0) -> tuple[list[Timed], Drive]:
    """Every estimate; with `pauses` the documents come with a pause after so many."""
    run = technique_of(documents[0][1]).open(documents[0][1], ReferenceStore(state_dir))

    def told() -> Iterator[tuple[str, dict] | None]:
        for number, document in enumerate(documents[1:], start=1):
            yield document
            if pauses and number % pauses == 0:
                yield None

    drive = Drive(run, case.recipe, told, pace)
    return list(drive.estimates()), drive


def bits(timed: Timed) -> dict[str, bytes]:
    values = {**timed.estimate.arrays, **timed.estimate.figures}
    return {name: np.asarray(value).tobytes() for name, value in values.items()}


def test_estimates_are_as_they_were_declared(case: Case, made: Made) -> None:
    run = technique_of(made.documents[0][1]).open(made.documents[0][1], ReferenceStore(made.state_dir))
    assert next(iter(run.quantities(case.recipe).values())).is_array  # the one to look at
    estimates, drive = driven(case, made.state_dir, made.documents, Points([[70]]))
    assert [one.final for one in estimates] == [False, True]
    for one in estimates:
        assert next(iter(one.estimate.arrays)) == next(iter(run.quantities(case.recipe)))
        for name, value in {**one.estimate.arrays, **one.estimate.figures}.items():
            quantity = run.quantities(case.recipe)[name]
            assert np.shape(value) == quantity.shape and quantity.meaning
            assert np.ndim(value) == 0 or np.asarray(value).dtype == np.dtype(quantity.dtype)
    assert drive.ledger.received == drive.ledger.used + drive.ledger.rejected.total()
    assert estimates[-1].standing.used == drive.ledger.used


def test_neither_pauses_nor_looks_nor_order_change_the_final_bits(case: Case, made: Made) -> None:
    documents = made.documents
    in_pieces, eager = driven(case, made.state_dir, documents, Eager(), pauses=len(documents) // 4)
    assert len(in_pieces) > 2
    assert bits(in_pieces[-1]) == made.whole and eager.ledger == made.drive.ledger
    body = documents[1:]
    random.Random(5).shuffle(body)
    shuffled, other = driven(case, made.state_dir, [documents[0], *body], Eager(), pauses=len(documents) // 3)
    assert bits(shuffled[-1]) == made.whole
    assert other.ledger.used == made.drive.ledger.used


def test_a_late_document_counts_in_the_final_estimate(case: Case, made: Made) -> None:
    documents = made.documents
    rows = [item for item in documents if case.is_row(*item)]
    late = [item for item in documents if item is not rows[1]]
    late.insert(-1, rows[1])
    estimates, _ = driven(case, made.state_dir, late, Eager(), pauses=len(documents) // 3)
    assert bits(estimates[-1]) == made.whole


def test_through_the_log_killed_resumed_and_verified(case: Case, fork_server: Any, tmp_path: Path) -> None:
    documents = case.make(tmp_path)
    uid = documents[0][1]["uid"]
    job = Job(tmp_path, uid, case.recipe, (case.recipe,))
    cut = len(documents) * 4 // 5
    write_raw(tmp_path, documents[:cut])
    lifeline, held = fork_server.Pipe(duplex=False)
    heard, speaks = fork_server.Pipe(duplex=False)
    process = fork_server.Process(target=run_in_process, args=(job, speaks, lifeline, 0))
    process.start()
    speaks.close()
    deadline = time.monotonic() + 60
    while not (derived_runs(tmp_path) and derived_runs(tmp_path)[0].events):
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.02)
    process.kill()
    process.join()
    for end in (heard, lifeline, held):
        end.close()
    process.close()
    writer = LogWriter(log_paths(tmp_path).raw)
    writer.adopt(uid)
    for name, doc in documents[cut:]:
        writer(name, doc)
    writer.close()
    assert run_job(job)[0] is Outcome.FINISHED
    (stored,) = derived_runs(tmp_path)
    check_documents(stored.documents)
    assert stored.stop is not None and stored.stop["exit_status"] == "success"
    undisturbed, _ = driven(case, tmp_path, documents, Points())
    final = stored.events[-1]["data"]
    for name, array in undisturbed[-1].estimate.arrays.items():
        assert final[name].tobytes() == array.tobytes()
    result = verify(stored.documents, documents, tmp_path)
    assert result.identical, str(result)
    assert len(result.arrays) == len(undisturbed[-1].estimate.arrays) * len(stored.events)


def test_a_run_without_rows_is_refused_in_words(case: Case, tmp_path: Path) -> None:
    documents = [item for item in case.make(tmp_path) if item[0] in ("start", "descriptor", "stop")]
    write_raw(tmp_path, documents)
    outcome, reason = run_job(Job(tmp_path, documents[0][1]["uid"], case.recipe, (case.recipe,)))
    assert outcome is Outcome.FAILED and reason.startswith("no usable ")


def test_a_run_of_two_techniques_or_of_none_is_refused(tmp_path: Path) -> None:
    from analysis.documents.refusal import RunRefused

    start = CASES[0].make(tmp_path)[0][1]
    with pytest.raises(RunRefused, match="entries of 2 techniques, ghost and ptychography: leave one"):
        technique_of({**start, "ptychography": {}})
    with pytest.raises(RunRefused, match="no entry that a reconstruction could go by"):
        technique_of({"uid": "x", "plan_name": "count"})
