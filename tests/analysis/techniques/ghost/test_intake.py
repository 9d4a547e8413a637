"""Documents in, realizations out: the same whatever the order, and what isn't used is in the ledger."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import Documents, MadeRun, mask_set, picture

from analysis.documents.batch import Batch
from analysis.documents.refusal import RunRefused
from analysis.techniques.ghost.intake import Realizations

MASKS = mask_set()


def taken(
    documents: Documents, start: dict[str, Any], *, cuts: set[int] | None = None, **options: Any
) -> tuple[Batch, Realizations]:
    """All batches joined; `cuts` are the documents after which one is taken."""
    realizations = Realizations(start, len(MASKS.patterns), **options)
    batches = []
    for number, (name, doc) in enumerate(documents):
        realizations(name, doc)
        if cuts is None or number in cuts:
            batches.append(realizations.take())
    realizations.end()
    batches.append(realizations.take())
    joined = Batch.join([batch for batch in batches if batch is not None])
    return joined if joined is not None else Batch(np.empty(0), {}, np.empty(0)), realizations


def same(a: Batch, b: Batch) -> bool:
    assert a.columns.keys() == b.columns.keys()
    pairs = [(a.number, b.number), (a.received, b.received), *((a.columns[key], b.columns[key]) for key in a.columns)]
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)  # exactly: not one rounding may differ


def test_buckets_are_sums_of_mask_times_image() -> None:
    run = MadeRun(MASKS)
    batch, realizations = taken(run.documents(), run.start)
    assert batch.number.tolist() == list(range(1, 97))
    exact = np.tensordot(MASKS.patterns[batch.columns["mask_index"]], picture(), 2)
    assert np.abs(batch.columns["bucket"] - exact).max() < 0.02  # noise of 30 counts in 1e6, times 64 pixels
    ledger = realizations.ledger()
    assert (ledger.expected, ledger.received, ledger.used, ledger.missing) == (96, 96, 96, 0)
    assert ledger.normalisation["dark_bucket"] == pytest.approx(200.0)  # 20 counts in 0.1 s
    assert batch.received.tolist() == list(range(1, 97))
    assert batch.columns["dose"][-1] == sum(row["diode_monitor"] for row in run.rows)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("diode", float("nan"), "bucket_missing"),
        ("diode", None, "bucket_missing"),
        ("diode", "text", "bucket_missing"),
        ("diode", [1.0, 2.0], "bucket_missing"),
        ("diode", -5.0, "bucket_negative"),
        ("diode", 1e8, "saturated"),
        ("diode_monitor", 0.0, "no_monitor"),
        ("diode_monitor", 10.0, "no_monitor"),  # as in the dark
        ("diode_monitor", float("nan"), "no_monitor"),
        ("diode_monitor", 1000.0, "beam_lost"),
        ("diode_time", 0.0, "bad_exposure"),
        ("diode_time", None, "bad_exposure"),
        ("mask_stage_index", 128, "off_plate"),
        ("mask_stage_index", -1, "off_plate"),
        ("mask_stage_index", None, "mask_unknown"),
        ("mask_stage_index", 1.5, "mask_unknown"),
        ("mask_stage_offset_y_um", -2.5, "misplaced"),
        ("mask_stage_offset_x_um", float("nan"), "position_unknown"),
    ],
)
def test_a_bad_reading_is_left_out_with_its_reason(key: str, value: Any, reason: str) -> None:
    run = MadeRun(MASKS, num=10, values={4: {key: value}})
    batch, realizations = taken(run.documents(), run.start)
    assert batch.number.tolist() == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    ledger = realizations.ledger()
    assert dict(ledger.rejected) == {reason: 1}
    assert ledger.to_doc()["details"] == [[4, reason]]
    assert (ledger.received, ledger.used) == (10, 9)


def test_signed_masks_allow_negative_buckets() -> None:
    run = MadeRun(MASKS, num=10, values={4: {"diode": -5.0}})
    assert len(taken(run.documents(), run.start, signed=True)[0]) == 10


def test_without_monitor_dark_and_offsets_buckets_are_taken_as_they_are() -> None:
    nothing = {"monitor": None, "time": None, "dark_stream": None, "offset": [], "saturation_counts": None}
    run = MadeRun(MASKS, num=10, dark=0, ghost=nothing)
    batch, _ = taken(run.documents(), run.start)
    assert batch.columns["bucket"].tolist() == [row["diode"] for row in run.rows]
    assert np.isnan(batch.columns["dose"]).all()


def test_errors_are_scaled_like_their_buckets() -> None:
    values = {number: {"sigma": 30.0} for number in range(1, 11)} | {3: {"sigma": 0.0}}
    run = MadeRun(MASKS, num=10, values=values, ghost={"errors": "sigma"})
    batch, realizations = taken(run.documents(), run.start)
    raw = np.array([run.rows[i - 1]["diode"] - 20 for i in batch.number])
    np.testing.assert_allclose(batch.columns["error"] / 30.0, batch.columns["bucket"] / raw)
    assert dict(realizations.ledger().rejected) == {"bad_error": 1}


def test_gaps_and_what_was_not_acquired_are_told_apart() -> None:
    run = MadeRun(MASKS, num=20, md={"num_points": 50})
    documents = [(n, d) for n, d in run.documents() if not (n == "event" and d["seq_num"] in (7, 20) and "primary" in d["uid"])]
    _, realizations = taken(documents, run.start)
    ledger = realizations.ledger()
    assert (ledger.expected, ledger.received, ledger.used, ledger.missing, ledger.not_acquired) == (50, 18, 18, 2, 30)
    assert ledger.details == [(7, "missing"), (20, "missing")]


def test_nothing_leaves_before_the_gap_is_closed() -> None:
    run = MadeRun(MASKS, num=10)
    documents = run.documents()
    late = next(item for item in documents if item[1].get("seq_num") == 3 and "primary" in item[1]["uid"])
    documents.remove(late)
    realizations = Realizations(run.start, len(MASKS.patterns))
    for name, doc in documents[:-1]:
        realizations(name, doc)
    first = realizations.take()
    assert first is not None and first.number.tolist() == [1, 2]
    realizations(*late)
    second = realizations.take()
    assert second is not None and second.number.tolist() == list(range(3, 11))


def test_pages_are_as_good_as_events() -> None:
    run = MadeRun(MASKS)
    events = [doc for name, doc in run.documents() if name == "event" and "primary" in doc["uid"]]
    page = {
        "descriptor": events[0]["descriptor"],
        "seq_num": [event["seq_num"] for event in events],
        "time": [event["time"] for event in events],
        "data": {key: [event["data"][key] for event in events] for key in events[0]["data"]},
    }
    documents = [item for item in run.documents() if item[1] not in events]
    documents.insert(-1, ("event_page", page))
    assert same(taken(documents, run.start)[0], taken(run.documents(), run.start)[0])


def test_a_second_descriptor_of_the_stream_goes_on_with_it() -> None:
    run = MadeRun(MASKS)
    documents: Documents = []
    for name, doc in run.documents():
        later = name == "event" and doc["seq_num"] >= 50
        documents.append((name, {**doc, "descriptor": "second"} if later else doc))
    first = next(doc for name, doc in documents if name == "descriptor" and doc["name"] == "primary")
    documents.insert(60, ("descriptor", {**first, "uid": "second"}))
    assert same(taken(documents, run.start)[0], taken(run.documents(), run.start)[0])


def test_another_run_among_the_documents_changes_nothing() -> None:
    run, other = MadeRun(MASKS), MadeRun(MASKS, num=40, seed=1)
    mixed: Documents = []
    others = iter(other.documents())
    for item in run.documents():
        mixed += [item, *itertools.islice(others, 1)]
    batch, realizations = taken(mixed, run.start)
    assert same(batch, taken(run.documents(), run.start)[0])
    assert realizations.ledger().foreign == 43


def test_bad_sequence_numbers_are_counted() -> None:
    run = MadeRun(MASKS, num=5)
    extra = [(n, {**d, "seq_num": bad}) for (n, d), bad in zip([run.documents()[-2]] * 4, [0, -3, 1.5, 10**18], strict=True)]
    batch, realizations = taken([*run.documents()[:-1], *extra], run.start)
    assert len(batch) == 5
    assert realizations.ledger().rejected["bad_seq_num"] == 4


def test_of_two_readings_with_one_number_the_earlier_counts() -> None:
    run = MadeRun(MASKS, num=10)
    documents = run.documents()
    position = next(i for i, (n, d) in enumerate(documents) if d.get("seq_num") == 5 and "primary" in d["uid"])
    name, doc = documents[position]
    earlier = (name, {**doc, "time": doc["time"] - 1, "data": {**doc["data"], "diode": 123456.0}})
    documents.insert(position + 1, earlier)
    batch, realizations = taken(documents, run.start)
    assert realizations.revised  # the other had been taken already
    assert realizations.ledger().conflicts == 1
    again, realizations = taken(documents, run.start, wait_for_end=True)
    assert again.columns["bucket"][4] != batch.columns["bucket"][4]
    assert not realizations.revised


def test_a_dark_reading_that_comes_late_asks_for_a_revision() -> None:
    run = MadeRun(MASKS, num=10)
    documents = run.documents()
    late = documents.pop(3)
    documents.insert(-1, late)
    _, realizations = taken(documents, run.start)
    assert realizations.revised
    again, _ = taken(documents, run.start, wait_for_end=True)
    assert same(again, taken(run.documents(), run.start)[0])


def test_a_clock_set_back_between_darks_and_scan_changes_nothing() -> None:
    run = MadeRun(MASKS, num=10)
    ahead = [
        (name, {**doc, "time": doc["time"] + 3600} if name == "event" and "dark" in doc["uid"] else doc)
        for name, doc in run.documents()
    ]
    for options in ({}, {"wait_for_end": True}):
        batch, realizations = taken(ahead, run.start, **options)
        assert same(batch, taken(run.documents(), run.start)[0])
        ledger = realizations.ledger()
        assert ledger.normalisation["dark_events"] == 3 and ledger.remarks == []


def test_realizations_wait_for_the_dark_stream() -> None:
    run = MadeRun(MASKS, num=10)
    documents = [item for item in run.documents() if "dark" not in item[1].get("uid", "")]
    realizations = Realizations(run.start, len(MASKS.patterns))
    for name, doc in documents:
        realizations(name, doc)
    assert realizations.take() is None
    realizations.end()
    batch = realizations.take()
    assert batch is not None and len(batch) == 10
    ledger = realizations.ledger().to_doc()
    assert ledger["normalisation"]["dark_events"] == 0
    assert any("dark counts are not subtracted" in remark for remark in ledger["remarks"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ghost": None}, "ghost"),
        ({"mask_set": None}, "mask_set"),
        ({"ghost": {"buckets": []}}, "buckets"),
        ({"ghost": {"buckets": ["diode"], "shape": [8]}}, "shape"),
        ({"ghost": {"buckets": ["diode"], "shape": [8, 8]}}, "mask_index"),
        ({"ghost": {"buckets": ["diode"], "shape": [8, 8], "mask_index": "m", "open_beam_ratio": -1}}, "open_beam_ratio"),
        ({"ghost": {"buckets": ["diode"], "shape": [8, 8], "mask_index": "m", "monitor": 3}}, "monitor"),
        ({"ghost": {"buckets": ["diode"], "shape": [8, 8], "mask_index": "m", "offset": [["y"]]}}, "offset"),
        ({"ghost": {"buckets": ["diode"], "shape": [8, 8], "mask_index": "m", "offset": "y"}}, "offset"),
    ],
)
def test_a_malformed_start_document_is_refused_by_name(change: dict[str, Any], word: str) -> None:
    with pytest.raises(RunRefused, match=word):
        Realizations({**MadeRun(MASKS, num=1).start, **change}, 128)


RUN = MadeRun(
    MASKS,
    num=30,
    values={3: {"diode": -1.0}, 8: {"diode_monitor": None}, 9: {"mask_stage_index": 999}, 20: {"diode_monitor": 99.0}},
)
WHOLE, _WHOLE = taken(RUN.documents(), RUN.start)
LEDGER = _WHOLE.ledger()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_and_any_repetition_give_the_same(data: st.DataObject) -> None:
    documents = RUN.documents()[1:]
    repeated = data.draw(st.lists(st.sampled_from(documents), max_size=20))
    shuffled = data.draw(st.permutations(documents + repeated))
    cuts = data.draw(st.sets(st.integers(0, len(shuffled))))
    batch, realizations = taken(shuffled, RUN.start, cuts=cuts, wait_for_end=True)
    assert same(batch, WHOLE)
    live, realizations = taken(shuffled, RUN.start, cuts=cuts)
    ledger = realizations.ledger()
    # Live the dark readings may come too late; then that is known, and the realizations are the same but for their correction.
    assert realizations.revised or same(live, WHOLE)
    assert live.number.tolist() == WHOLE.number.tolist() or realizations.revised
    assert ledger.used == len(live)
    repetitions = [doc for name, doc in repeated if name == "event" and "primary" in doc["uid"]]
    assert ledger.duplicates == len(repetitions)
    assert ledger.received == 30


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_lost_is_in_the_ledger(data: st.DataObject) -> None:
    documents = RUN.documents()[1:]
    kept = [item for item in documents if item[0] != "event" or data.draw(st.booleans())]
    kept = kept[: data.draw(st.integers(0, len(kept)))]
    batch, realizations = taken(kept, RUN.start, wait_for_end=True)
    ledger = realizations.ledger()
    arrived = {doc["seq_num"] for name, doc in kept if name == "event" and "primary" in doc["uid"]}
    assert ledger.received == len(arrived) == ledger.used + ledger.rejected.total()
    assert ledger.missing + ledger.not_acquired + ledger.received == 30
    assert set(batch.number.tolist()) <= arrived
    explained = {seq_num for seq_num, _ in ledger.details}
    last = max(arrived, default=0)
    assert set(batch.number.tolist()) | explained >= set(range(1, last + 1))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 40)))
def test_where_batches_are_cut_changes_no_bit(cuts: set[int]) -> None:
    assert same(taken(RUN.documents(), RUN.start, cuts=cuts)[0], WHOLE)
