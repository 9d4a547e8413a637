"""Realizations 2k - 1 and 2k as a mask and its complement: everything that both share cancels in their normalised difference."""

from __future__ import annotations

import numpy as np

from analysis.documents.batch import Batch

COMPLEMENT = "complement_index"
"""Column of a batch with the mask that is subtracted."""

INCIDENT, COMPLEMENT_INCIDENT = "incident", "complement_incident"
"""Columns with the photons of each realization; of a pair, those of the mask and those of its complement."""


def normalised_difference(plus: np.ndarray, minus: np.ndarray, unit: float) -> np.ndarray:
    """(plus - minus) / (plus + minus) of buckets of masks and their complements (M,), times a typical sum of both."""
    return (plus - minus) * unit / (plus + minus)


def difference_error(
    plus: np.ndarray, minus: np.ndarray, plus_error: np.ndarray, minus_error: np.ndarray, unit: float
) -> np.ndarray:
    """Standard errors of the same, (M,)."""
    return np.asarray(2 * unit * np.hypot(minus * plus_error, plus * minus_error) / (plus + minus) ** 2)


class MaskPairs:
    """Joins the realizations of one run as they arrive.

    The difference of the buckets a and b of a pair is (a - b) t / (a + b), with t the sum of the first pair: the unit remains
    that of buckets, and a gain that applies to the whole pair cancels.
    """

    def __init__(self) -> None:
        self._waiting: Batch | None = None  # a mask whose complement may still arrive
        self._total: float | None = None

    def join(self, rows: Batch) -> tuple[Batch | None, np.ndarray]:
        """Pairs, numbered by their second realization, and the numbers of realizations without a partner."""
        joined = Batch.join([batch for batch in (self._waiting, rows) if batch is not None])
        assert joined is not None
        number = joined.number
        firsts = np.flatnonzero((number[:-1] % 2 == 1) & (number[1:] == number[:-1] + 1))
        buckets = joined.columns["bucket"]
        total = buckets[firsts] + buckets[firsts + 1]
        firsts, total = firsts[total > 0], total[total > 0]
        paired = np.zeros(len(number), dtype=bool)
        paired[firsts] = paired[firsts + 1] = True
        waits = not paired[-1] and number[-1] % 2 == 1
        self._waiting = joined.part(len(number) - 1, len(number)) if waits else None
        alone = number[: len(number) - waits][~paired[: len(number) - waits]]
        if not len(firsts):
            return None, alone
        if self._total is None:
            self._total = float(total[0])
        plus, minus = buckets[firsts], buckets[firsts + 1]
        columns = {name: column[firsts + 1] for name, column in joined.columns.items()}
        columns[COMPLEMENT] = columns["mask_index"]
        columns["mask_index"] = joined.columns["mask_index"][firsts]
        if INCIDENT in columns:
            columns[COMPLEMENT_INCIDENT] = columns[INCIDENT]
            columns[INCIDENT] = joined.columns[INCIDENT][firsts]
        columns["bucket"] = normalised_difference(plus, minus, self._total)
        if "error" in columns:
            errors = joined.columns["error"]
            columns["error"] = difference_error(plus, minus, errors[firsts], errors[firsts + 1], self._total)
        return Batch(number[firsts + 1], columns, joined.received[firsts + 1]), alone

    def rest(self) -> np.ndarray:
        """The number of the realization that still waits for its complement when no more arrive."""
        waiting, self._waiting = self._waiting, None
        return np.empty(0, np.int64) if waiting is None else waiting.number
