"""The documents of derived runs, and going on with one that was left open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from logged import check_documents
from made_runs import Documents, MadeRun, mask_set

from analysis.documents.derived import DerivedRun, Progress, Standing, derived_start
from analysis.documents.ledger import Ledger
from analysis.documents.quantity_keys import array_keys, quality_figures
from analysis.documents.recipe import Recipe, derived_uid
from analysis.estimate import Estimate, Quantity, image_quantity

TV = Recipe("tv", {"weight": 0.5}, seed=2)
UID = derived_uid("run", TV)


QUANTITIES = {
    "image": image_quantity("the object", (2, 3), "1"),
    "spread": image_quantity("standard error", (2, 3), "1"),
    "heldout_loss": Quantity("held-out loss", lower_is_better=True),
    "weight": Quantity("weight"),
    "curve": Quantity("correlation of rings", shape=(4,), dims=("ring",)),
}


def estimate(value: float, **figures: float) -> Estimate:
    arrays = {"image": np.full((2, 3), value), "spread": np.full((2, 3), np.nan)}
    return Estimate(arrays, {"heldout_loss": 0.5, **figures})


def begin(documents: Documents, progress: Progress | None = None) -> DerivedRun:
    raw_start = MadeRun(mask_set(), num=5).start
    start = derived_start(
        raw_start, TV, uid=UID, purpose="live", rows="realizations", recipes=[Recipe("n2g"), TV], threads=2, remarks=["said"]
    )
    return DerivedRun(lambda name, doc: documents.append((name, doc)), start, QUANTITIES, expected=5, progress=progress)


def test_a_derived_run_from_beginning_to_end() -> None:
    documents: Documents = []
    run = begin(documents)
    run.estimate(estimate(1.0, weight=0.1), Standing(3, 4, 4), final=False, elapsed_s=0.1)
    run.estimate(estimate(2.0), Standing(4, 5, 5), final=True, elapsed_s=0.2)
    run.close(Ledger(expected=5, received=5, used=4), options={"weight": 0.5})
    check_documents(documents)
    start = documents[0][1]
    assert (start["method"], start["options"], start["seed"], start["threads"]) == ("tv", {"weight": 0.5}, 2, 2)
    assert start["recipe_index"] == 1 and start["rows"] == "realizations" and start["remarks"] == ["said"]
    assert {"ghostbeam", "numpy", "scipy", "torch", "code", "commit", "processor", "blas"} == set(start["software"])
    data_keys = documents[1][1]["data_keys"]
    assert array_keys(data_keys) == ["image", "spread", "curve"] and quality_figures(data_keys) == ["heldout_loss"]
    first, second = [doc["data"] for name, doc in documents if name == "event"]
    assert first["weight"] == 0.1 and np.isnan(second["weight"])
    assert (first["final"], second["final"]) == (0, 1) and (first["rejected"], second["rejected"]) == (1, 1)
    stop = documents[-1][1]
    assert stop["update_points"] == [3] and stop["options_used"] == {"weight": 0.5} and stop["ledger"]["used"] == 4


def test_what_was_not_declared_is_no_part_of_an_estimate() -> None:
    run = begin([])
    with pytest.raises(ValueError, match="colour, which the technique has not declared"):
        run.estimate(estimate(1.0, colour=1.0), Standing(3, 4, 4), final=False, elapsed_s=0.1)
    with pytest.raises(ValueError, match="image of the estimate has the shape"):
        run.estimate(Estimate({"image": np.zeros((3, 2))}), Standing(3, 4, 4), final=False, elapsed_s=0.1)


def test_what_was_left_open_is_continued_as_if_nothing_had_happened() -> None:
    whole: Documents = []
    run = begin(whole)
    for number in (1, 2, 3):
        run.estimate(estimate(number), Standing(number, number, number), final=number == 3, elapsed_s=0.1)
    run.close()
    for cut in range(1, len(whole)):
        documents = whole[:cut]
        progress = Progress.of(documents)
        again = begin(documents, progress)
        for number in range(progress.events + 1, 4):
            again.estimate(estimate(number), Standing(number, number, number), final=number == 3, elapsed_s=0.1)
        again.estimate(estimate(3), Standing(3, 3, 3), final=True, elapsed_s=0.1)  # made again; it is there already
        again.close()
        check_documents(documents)
        assert [_steady(doc) for _, doc in documents] == [_steady(doc) for _, doc in whole]
        last = [doc["data"]["restart"] for name, doc in documents if name == "event"][-1]
        assert last == (0 if cut == len(whole) - 1 else 1)


def test_the_progress_of_nothing() -> None:
    progress = Progress.of([])
    assert not progress.started and progress.restart == -1


def test_a_ledger_keeps_a_hundred_details() -> None:
    ledger = Ledger()
    for number in range(150):
        ledger.reject(number, "saturated")
    assert ledger.rejected["saturated"] == 150 and len(ledger.to_doc()["details"]) == 100


def _steady(doc: dict[str, Any]) -> dict[str, Any]:
    steady = ("uid", "seq_num", "descriptor", "run_start", "num_events", "update_points")
    return {**{key: doc[key] for key in steady if key in doc}, "realizations": doc.get("data", {}).get("realizations")}
