"""Stored runs reconstructed again, and held against what is stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import check_documents, derived_runs, log_run, raw_documents
from made_runs import Documents, MadeRun, mask_set

from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceMissing
from analysis.documents.refusal import RunRefused
from analysis.offline.replay import recipe_of, replay, verify
from analysis.techniques.ghost.mask_sets import MaskStore

MASKS = mask_set()
RUN = MadeRun(MASKS, values={7: {"diode": float("nan")}})


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    log_run(folder, RUN)
    # The worker's processes run with one thread, as their derived runs say; this one may have more.
    command = [sys.executable, "-m", "analysis.worker.worker", "--state-dir", str(folder), "--until-idle"]
    subprocess.run([*command, "--recipes", '["differential", "tv"]'], check=True, timeout=30)
    return folder


def through_tiled(documents: Documents) -> Documents:
    """Documents as they come back from Tiled: through JSON, NaN as null, events with other uids, two of them out of place."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, np.ndarray | list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and np.isnan(value) else value

    back = [(name, json.loads(json.dumps(plain(doc)))) for name, doc in documents]
    for number, (name, doc) in enumerate(back):
        if name == "event":
            doc["uid"] = f"event-{number}"
    events = [item for item in back if item[0] == "event"]
    if len(events) > 20:
        first, second = back.index(events[10]), back.index(events[20])
        back[first], back[second] = back[second], back[first]
    return back


def test_a_replay_from_tiled_gives_the_bits_of_the_live_reconstruction(state_dir: Path) -> None:
    live = derived_runs(state_dir)[0]
    made = replay(
        through_tiled(raw_documents(state_dir, RUN.uid)), state_dir, recipe_of(live.start), update_points=[70, 20, 5000]
    )
    stored = next(stored for stored in derived_runs(state_dir) if stored.start["uid"] == made.uid)
    check_documents(stored.documents)
    assert stored.start["purpose"] == "replay" and stored.start["derived_from"] == RUN.uid
    assert stored.final.tobytes() == live.final.tobytes() == made.estimate.arrays["image"].tobytes()
    assert [event["data"]["realizations"] for event in stored.events] == [20, 70, 95]
    assert stored.stop is not None and stored.stop["ledger"]["rejected"] == {"bucket_missing": 1}


def test_a_replay_takes_other_options(state_dir: Path) -> None:
    documents = raw_documents(state_dir, RUN.uid)
    strong = replay(documents, state_dir, Recipe("tv", {"weight": 100.0}))
    live = [stored for stored in derived_runs(state_dir) if stored.start["purpose"] == "live"]
    (usual,) = [stored for stored in live if stored.start["method"] == "tv"]
    assert np.ptp(strong.estimate.arrays["image"]) < np.ptp(usual.final)


def test_what_is_stored_is_verified(state_dir: Path) -> None:
    for live in derived_runs(state_dir)[:2]:
        assert live.start["threads"] == 1
        result = verify(through_tiled(live.documents), through_tiled(raw_documents(state_dir, RUN.uid)), state_dir)
        assert result.identical, str(result)
        assert len(result.arrays) == 2 * len(live.events) and not result.notes
        assert "stored arrays are bit-identical" in str(result)


def test_one_bit_that_differs_is_found(state_dir: Path) -> None:
    documents = through_tiled(derived_runs(state_dir)[0].documents)
    last = next(doc for name, doc in reversed(documents) if name == "event")
    value = np.float32(last["data"]["image"][2][3])
    last["data"]["image"][2][3] = float(np.nextafter(value, np.float32(np.inf)))
    documents[0][1]["software"]["numpy"] = "0.1"
    result = verify(documents, raw_documents(state_dir, RUN.uid), state_dir)
    assert not result.identical
    assert [(check.seq_num, check.key) for check in result.checks if not check.identical] == [(last["seq_num"], "image")]
    assert any("numpy was 0.1" in note for note in result.notes)


def test_estimates_after_a_restart_are_verified_without_what_came_before(tmp_path: Path) -> None:
    run = MadeRun(MASKS, num=128)
    log_run(tmp_path, run)
    made = replay(run.documents(), tmp_path, Recipe("tv"), update_points=[64, 90])
    documents = next(stored for stored in derived_runs(tmp_path) if stored.start["uid"] == made.uid).documents
    again = replay(run.documents(), tmp_path, Recipe("tv"), update_points=[90])
    other = next(stored for stored in derived_runs(tmp_path) if stored.start["uid"] == again.uid).events[0]
    second = [doc for name, doc in documents if name == "event"][1]
    second["data"] = {**other["data"], "restart": 1}
    assert verify(documents, run.documents(), tmp_path).identical


@pytest.mark.parametrize(
    ("derived", "raw", "words"),
    [
        ([], RUN.documents(), "begin with a start document"),
        (RUN.documents(), RUN.documents(), "is not a reconstruction"),
        (None, MadeRun(MASKS, seed=9).documents(), "was made from run"),
        (None, RUN.documents()[:5], "no usable realization"),
    ],
)
def test_what_does_not_fit_together_is_refused(state_dir: Path, derived: Any, raw: Documents, words: str) -> None:
    with pytest.raises(RunRefused, match=words):
        verify(derived_runs(state_dir)[0].documents if derived is None else derived, raw, state_dir)


def test_a_wrong_recipe_leaves_nothing_behind(state_dir: Path) -> None:
    before = len(derived_runs(state_dir))
    with pytest.raises(RunRefused, match="unknown method 'magic'"):
        replay(RUN.documents(), state_dir, Recipe("magic"))
    assert len(derived_runs(state_dir)) == before


def test_a_mask_set_can_come_along(tmp_path: Path) -> None:
    with pytest.raises(ReferenceMissing):
        replay(RUN.documents(), tmp_path, Recipe("differential"))
    assert replay(RUN.documents(), tmp_path, Recipe("differential"), references=[MASKS.reference()]).ledger.used == 95
    assert MaskStore(tmp_path).identities() == [MASKS.identity]


def test_replaying_loads_no_torch_into_the_session() -> None:
    code = "import sys, analysis.offline.replay, analysis.views.live; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
