"""Documents of a series in, pairs out: what is used, what is not, and why."""

from __future__ import annotations

import numpy as np
import pytest
from pair_runs import DARK, SIDE, PairSeries, frame, halves, pair_series, scene

from analysis.documents.batch import Batch
from analysis.documents.refusal import RunRefused
from analysis.techniques.pairs.intake import PairIntake


def taken(documents, folder) -> tuple[PairIntake, Batch | None]:
    intake = PairIntake(documents[0][1], [folder])
    batches = []
    for name, doc in documents[1:]:
        intake(name, doc)
        while (batch := intake.take()) is not None:
            batches.append(batch)
    intake.end()
    while (batch := intake.take()) is not None:
        batches.append(batch)
    return intake, Batch.join(batches)


def one_series(tmp_path, frames, numbers, num=None, streams=("frames",), dtype="<u2", **entry):
    """A series of given frames."""
    series = PairSeries(tmp_path / "f" / "pairs.h5", num or len(numbers), streams=streams, shape=list(frames.shape[1:]), **entry)
    series.write(frames, numbers)
    return series, [*series.start(dtype), *series.frames(0, len(numbers)), *series.stop(frames=len(numbers))]


def test_halves_are_cut_out_and_dark_is_taken_off(tmp_path):
    _, documents, truth = pair_series(tmp_path / "f" / "pairs.h5", 6, lost=(3,))
    intake, pairs = taken(documents, tmp_path / "f")
    assert pairs.number.tolist() == [1, 2, 4, 5, 6]
    assert pairs.columns["a"].shape == (5, SIDE, SIDE) and pairs.columns["b"].dtype == np.float32
    assert pairs.columns["a"].mean() == pytest.approx(200, rel=0.02)
    a, _ = halves(truth, 200, 4)
    np.testing.assert_allclose(pairs.columns["a"][2], a, atol=4)  # noise of the dark frames' mean, and rounding
    ledger = intake.ledger()
    assert (ledger.expected, ledger.received, ledger.used, ledger.missing) == (6, 5, 5, 1)
    assert ledger.details == [(3, "missing")] and ledger.normalisation == {"darks": 8, "flats": 0}


def test_flat_frames_make_pixels_alike_and_find_dead_ones(tmp_path):
    truth, response = scene(), np.random.default_rng(0).uniform(0.7, 1.3, (SIDE, 2 * SIDE))
    response[5, 6] = 0.0
    series = PairSeries(tmp_path / "f" / "pairs.h5", 1, streams=("flats", "frames"))
    rng = np.random.default_rng(1)
    series.write(rng.poisson(5000 * response, (20, SIDE, 2 * SIDE)).astype("<u2"), list(range(1, 21)), "flats")
    series.write(rng.poisson(5000 * response * np.tile(truth, 2))[None].astype("<u2"), [1])
    documents = [*series.start(), *series.frames(0, 20, "flats"), *series.frames(0, 1), *series.stop(frames=1)]
    intake, pairs = taken(documents, tmp_path / "f")
    a = pairs.columns["a"][0]
    assert np.isnan(a[5, 6]) and np.isnan(a).sum() == 1
    known = np.isfinite(a)
    assert np.std((a - 5000 * truth)[known] / np.sqrt(5000 * truth[known])) < 1.2
    assert intake.ledger().normalisation["flats"] == 20


def test_frames_one_after_the_other_are_pairs_by_their_numbers(tmp_path):
    truth = scene()
    numbers = [1, 2, 3, 5, 6, 7, 8]  # 4 is lost
    frames = np.stack([halves(truth, 200, number)[0] for number in numbers]).astype("<f4")
    _, documents = one_series(tmp_path, frames, numbers, num=8, dtype="<f4", pairing="consecutive", halves=None)
    intake, pairs = taken(documents, tmp_path / "f")
    assert pairs.number.tolist() == [1, 3, 4]
    np.testing.assert_array_equal(pairs.columns["a"][1], frames[3])
    np.testing.assert_array_equal(pairs.columns["b"][1], frames[4])
    ledger = intake.ledger()
    assert ledger.rejected == {"one_frame": 1} and ledger.details == [(2, "one_frame")]
    assert (ledger.expected, ledger.received, ledger.used, ledger.missing) == (4, 4, 3, 0)


def test_what_is_wrong_with_a_frame_is_named(tmp_path):
    truth = scene()
    good = frame(*halves(truth, 200, 1))
    saturated, empty = good.copy(), good.copy()
    saturated[:5, :SIDE] = 65535
    empty[:, SIDE:] = 0
    frames = np.stack([good, saturated, empty, good]).astype("<f4")
    frames[3, :, : SIDE // 4] = np.nan
    _, documents = one_series(tmp_path, frames, [1, 2, 3, 4], dtype="<f4")
    intake, pairs = taken(documents, tmp_path / "f")
    assert pairs.number.tolist() == [1]
    assert intake.ledger().details == [(2, "saturated"), (3, "no_light"), (4, "damaged")]


def test_frames_that_are_not_there_are_unreadable(tmp_path):
    series, documents, _ = pair_series(tmp_path / "f" / "pairs.h5", 6)
    good = series.path.read_bytes()
    series.path.write_bytes(good[: len(good) // 2])
    intake, pairs = taken(documents, tmp_path / "f")
    ledger = intake.ledger()
    assert ledger.used == (0 if pairs is None else len(pairs)) and ledger.received == 6 and ledger.rejected["unreadable"] > 0
    assert any("pairs.h5" in remark for remark in ledger.remarks)


def test_dark_frames_that_never_came_are_said(tmp_path):
    _, documents, _ = pair_series(tmp_path / "f" / "pairs.h5", 4)
    without = [item for item in documents if "darks" not in str(item[1].get("stream_resource", ""))]
    intake, pairs = taken(without, tmp_path / "f")
    assert pairs.columns["a"].mean() == pytest.approx(200 + DARK, rel=0.02)
    assert intake.ledger().remarks == ["dark frames were announced and never came before the series: it is not corrected by them"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"pairing": "thirds"}, '"halves" or "consecutive"'),
        ({"halves": None}, "two windows"),
        ({"halves": [[0, 48, 0, 48], [0, 48, 48, 97]]}, "not inside a frame of 48x96"),
        ({"halves": [[0, 48, 0, 48], [0, 48, 50, 96]]}, "make their windows alike"),
        ({"saturation_counts": -1}, "None or a positive number"),
        ({"shape": [48]}, r"\[height, width\]"),
        ({"frames": "frames"}, "must be a table"),
    ],
)
def test_a_malformed_start_document_is_refused_in_words(tmp_path, entry, message):
    (_, start), *_ = PairSeries(tmp_path / "pairs.h5", 3, **entry).start()
    with pytest.raises(RunRefused, match=message):
        PairIntake(start, [tmp_path])
