"""Realizations as pairs of a mask and its complement."""

from __future__ import annotations

import numpy as np
from made_runs import MadeRun, mask_set, picture

from analysis.documents.batch import Batch
from analysis.techniques.ghost.intake import Realizations
from analysis.techniques.ghost.mask_sets import MaskSet


def test_a_gain_of_each_pair_cancels_and_one_without_its_complement_is_named() -> None:
    half = mask_set(20).patterns
    patterns = np.stack([half, 1 - half], axis=1).reshape(-1, *half.shape[1:])
    masks = MaskSet("pairs", patterns, np.arange(80.0).reshape(40, 2), 10.0)
    gains = np.repeat(1 + np.random.default_rng(0).gamma(0.4, 0.5, 20), 2)
    counts = np.tensordot(patterns, picture(), 2) * gains * 1e5 + 20
    values = {number: {"diode": float(count)} for number, count in enumerate(counts, start=1)} | {6: {"diode": float("nan")}}
    run = MadeRun(masks, num=40, values=values, ghost={"pairs": True, "monitor": None})
    intake = Realizations(run.start, 40)
    batches = []
    for name, doc in run.documents():
        intake(name, doc)
        batches.append(intake.take())
    intake.end()
    batches.append(intake.take())
    batch = Batch.join([one for one in batches if one is not None])
    assert batch is not None and batch.number.tolist() == [number for number in range(2, 41, 2) if number != 6]
    assert np.array_equal(batch.columns["complement_index"], batch.columns["mask_index"] + 1)
    exact = np.tensordot(patterns[batch.columns["mask_index"]] - patterns[batch.columns["complement_index"]], picture(), 2)
    np.testing.assert_allclose(batch.columns["bucket"] / batch.columns["bucket"][0], exact / exact[0], rtol=0.01)
    ledger = intake.ledger()
    assert dict(ledger.rejected) == {"bucket_missing": 1, "no_complement": 1}
    assert ledger.used + sum(ledger.rejected.values()) == ledger.received == 40
