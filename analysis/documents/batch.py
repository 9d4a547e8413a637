"""Rows of a run that are ready for reconstruction: realizations, frames, pairs or other rows, depending on the technique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Batch:
    """B rows in order of their number.

    Attributes
    ----------
    number : ndarray, int64, (B,)
        Sequence number, or number of the trigger, of each row.
    columns : mapping of str to ndarray, (B, ...)
        The measured values; the columns depend on the technique.
    received : ndarray, int64, (B,)
        Number of rows received up to and including this one, used or not.
    """

    number: np.ndarray
    columns: Mapping[str, np.ndarray]
    received: np.ndarray

    def __len__(self) -> int:
        return len(self.number)

    def part(self, first: int, last: int) -> Batch:
        """Rows first to last - 1."""
        columns = {name: column[first:last] for name, column in self.columns.items()}
        return Batch(self.number[first:last], columns, self.received[first:last])

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch | None:
        """One batch made of several; None if there are none."""
        if not batches:
            return None
        if len(batches) == 1:
            return batches[0]
        return cls(
            np.concatenate([batch.number for batch in batches]),
            {name: np.concatenate([batch.columns[name] for batch in batches]) for name in batches[0].columns},
            np.concatenate([batch.received for batch in batches]),
        )
