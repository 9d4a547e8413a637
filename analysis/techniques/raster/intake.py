"""Documents of a raster scan in, counts of each chemical element and their cell in the map out."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.ledger import MAX_DETAILS, Ledger
from analysis.documents.streams import Numbered, Streams, column, gaps, whole_numbers
from analysis.techniques.ghost.spectral_rows import SpectralRows, spectral
from analysis.techniques.raster.layout import Layout

REASONS: dict[str, str] = {
    "bad_seq_num": "the sequence number is not a whole number from 1",
    "place_missing": "the position of the sample was not read",
    "outside": "the sample was more than half a step outside the map",
    "no_monitor": "the incident-beam monitor is missing, zero or negative",
    "bucket_missing": "a bucket is missing, NaN or infinite",
    "no_spectrum": "no detector element gave a spectrum that can be used",
}
"""Reasons why an exposure is not used."""


class RasterIntake:
    """Turns the documents of one run into batches of exposures, in order of their numbers.

    The columns of a batch:

    cell : int64 (B,), number of the cell in the map, row by row.
    counts : float64 (B, C), of each chemical element or bucket; counts of spectra are corrected for live time.
    monitor : float64 (B,); 1 without a monitor.

    Parameters
    ----------
    start : mapping
        The run's start document.
    wait_for_end : bool
        Release nothing before `end()`: then nothing depends on the order of the documents.

    Raises
    ------
    RunRefused
        If the start document does not describe a raster scan.
    """

    def __init__(self, start: Mapping[str, Any], *, wait_for_end: bool = False) -> None:
        self.layout = layout = Layout.of(start)
        self._wait_for_end, self._ended = wait_for_end, False
        self._streams = Streams(str(start["uid"]), [layout.stream])
        self._spectra = None if layout.spectra is None else SpectralRows(layout.spectra)
        fields = [("number", "<i8"), ("time", "<f8"), ("y", "<f8"), ("x", "<f8"), ("monitor", "<f8")]
        self._row = np.dtype([*fields, *((f"bucket {key}", "<f8") for key in layout.buckets)])
        self._rows = Numbered(self._row if self._spectra is None else spectral(self._row))
        self._counts = Ledger(expected=layout.expected)
        self._count = 0

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has arrived."""
        return self._streams.stopped

    @property
    def revised(self) -> bool:
        """Whether a document arrived that would have changed what had already been taken."""
        return self._rows.revised

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        self._streams(name, doc)

    def end(self) -> None:
        """Note that no further document will arrive."""
        self._ended = True

    def take(self) -> Batch | None:
        """Return the exposures that have become ready since the last call; None if there are none."""
        for page in self._streams.pages(self.layout.stream):
            rows, good = self._rows_of(page)
            for _ in range(np.count_nonzero(~good)):
                self._counts.reject(0, "bad_seq_num")
            self._rows.add(rows if self._spectra is None else self._spectra.keep(page, rows, good))
        if self._wait_for_end and not self._ended:
            return None
        waiting = self._rows.waiting
        last = int(waiting["number"][-1]) if self._ended and len(waiting) else self._rows.without_gap()
        rows = self._rows.release(last)
        if self._spectra is not None:
            rows = self._spectra.ready(rows, ended=self._ended)
        return self._batch(rows) if len(rows) else None

    def ledger(self) -> Ledger:
        """Return what happened to every exposure so far; complete when everything has been taken after `end()`."""
        ledger = copy.deepcopy(self._counts)
        ledger.received = self._count + ledger.rejected["bad_seq_num"]
        ledger.duplicates, ledger.conflicts = self._rows.duplicates, self._rows.conflicts
        ledger.foreign = self._streams.foreign
        ledger.normalisation = {"monitor": self.layout.monitor}
        if self._spectra is not None:
            ledger.normalisation["calibration"] = self._spectra.calibration
            ledger.remarks += self._spectra.remarks()
        if self._ended:
            seen = self._rows.seen["number"]
            emitted = max(int(seen[-1]) if len(seen) else 0, self._streams.emitted(self.layout.stream))
            ledger.missing = emitted - len(seen)
            if self.layout.expected is not None:
                ledger.not_acquired = max(0, self.layout.expected - emitted)
            for number in itertools.islice(gaps(seen, emitted), MAX_DETAILS):
                ledger.note(number, "missing")
        return ledger

    def _rows_of(self, page: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of an event page, and which of its events have a sequence number."""
        count, data, layout = len(page["seq_num"]), page["data"], self.layout
        rows = np.empty(count, dtype=self._row)
        rows["number"], good = whole_numbers(page["seq_num"], count)
        rows["time"] = column(page.get("time"), count)
        rows["y"], rows["x"] = column(data.get(layout.y), count), column(data.get(layout.x), count)
        rows["monitor"] = 1.0 if layout.monitor is None else column(data.get(layout.monitor), count)
        for key in layout.buckets:
            rows[f"bucket {key}"] = column(data.get(key), count)
        return rows[good], good

    def _batch(self, rows: np.ndarray) -> Batch | None:
        """Return the usable rows."""
        received = self._count + 1 + np.arange(len(rows))
        self._count += len(rows)
        cells = self.layout.cells(rows["y"], rows["x"])
        if self._spectra is None:
            counts = np.stack([rows[f"bucket {key}"] for key in self.layout.buckets], axis=1)
            there, missing = np.isfinite(counts).all(axis=1), "bucket_missing"
        else:
            counts, _, there = self._spectra.buckets(rows)
            missing = "no_spectrum"
        good = np.ones(len(rows), dtype=bool)
        with np.errstate(invalid="ignore"):
            dark = ~(rows["monitor"] > 0) | ~np.isfinite(rows["monitor"])
        unknown = ~(np.isfinite(rows["y"]) & np.isfinite(rows["x"]))
        for reason, bad in (("place_missing", unknown), ("outside", cells < 0), ("no_monitor", dark), (missing, ~there)):
            for place in np.flatnonzero(bad & good).tolist():
                self._counts.reject(int(rows["number"][place]), reason)
            good &= ~bad
        self._counts.used += int(np.count_nonzero(good))
        if not good.any():
            return None
        columns = {"cell": cells[good], "counts": counts[good], "monitor": rows["monitor"][good]}
        return Batch(rows["number"][good], columns, received[good])
