"""Documents of a ghost-imaging run in, batches of realizations out.

What comes out depends on which documents came, not on their order: realizations leave sorted by sequence number, each once, and a
realization waits until all before it have come or the run is over. Everything that isn't used is in the ledger with its reason.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from analysis.documents.ledger import MAX_DETAILS, Ledger
from analysis.documents.rows import (
    BEAM_LOST_FRACTION,
    GOOD,
    REASON_NAMES,
    ROW,
    Dark,
    corrected,
    dark_level,
    judged,
    net_monitor,
    page_of,
    rows_of,
)
from analysis.documents.run_spec import RunSpec

PRIMARY = "primary"
_ROWS_AT_ONCE = 1000  # single events kept as documents; rows are a hundred times smaller


@dataclass(frozen=True, eq=False)
class Batch:
    """Realizations ready to be reconstructed, B of them in order of their sequence number.

    Attributes
    ----------
    seq_num : ndarray, int64, (B,)
        Sequence number of the event.
    mask_index : ndarray, int64, (B,)
        The mask that was in the beam.
    bucket : ndarray, float64, (B,)
        Corrected for dark counts and incident beam.
    error : ndarray, float64, (B,), or None
        Standard error of the bucket.
    received : ndarray, int64, (B,)
        Realizations received up to and including this one, used or not.
    dose : ndarray, float64, (B,)
        Monitor counts up to and including this realization, used or not; NaN without a monitor.
    """

    seq_num: np.ndarray
    mask_index: np.ndarray
    bucket: np.ndarray
    error: np.ndarray | None
    received: np.ndarray
    dose: np.ndarray

    def __len__(self) -> int:
        return len(self.seq_num)

    def part(self, first: int, last: int) -> Batch:
        """Realizations first to last - 1."""
        parts: list[Any] = [None if column is None else column[first:last] for column in self.columns()]
        return Batch(*parts)

    def columns(self) -> tuple[Any, ...]:
        """The arrays, in the order of the attributes."""
        return tuple(getattr(self, f.name) for f in fields(self))

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch | None:
        """One batch of several; None of none."""
        if not batches:
            return None
        columns = zip(*(batch.columns() for batch in batches), strict=True)
        joined: list[Any] = [None if parts[0] is None else np.concatenate(parts) for parts in columns]
        return cls(*joined)


class Realizations:
    """Turns the documents of one run into batches of realizations.

    Call it with each document, `(name, doc)`, then `take()` what is ready; when no more can come, call `end()` and `take()` the
    rest. Documents of other runs are passed over.

    Parameters
    ----------
    start : mapping
        The run's start document.
    num_masks : int
        Masks in the run's mask set.
    signed : bool
        Whether a mask holds negative values, so that a bucket may be negative.
    wait_for_end : bool
        Release nothing before `end()`: then nothing at all depends on the order of the documents.

    Attributes
    ----------
    stopped : bool
        The run's stop document has come.
    revised : bool
        A document came that would have changed what had already been taken. What depends on the documents alone comes from
        feeding them all to a new object with `wait_for_end`.

    Raises
    ------
    RunRefused
        If the start document doesn't describe a ghost-imaging run.
    """

    def __init__(self, start: Mapping[str, Any], num_masks: int, *, signed: bool = False, wait_for_end: bool = False) -> None:
        self.spec = RunSpec.of(start)
        self.uid = str(start["uid"])
        self.num_masks = num_masks
        self.signed = signed
        self.stopped = False
        self.revised = False
        self._ended = False
        self._wait_for_end = wait_for_end
        self._counts = Ledger(expected=self.spec.expected)
        self._streams: dict[str, str] = {}  # by descriptor
        self._homeless: dict[str, list[dict[str, Any]]] = {}  # pages whose descriptor hasn't come, by descriptor
        self._events: dict[str, list[dict[str, Any]]] = {PRIMARY: []}  # single events that are no rows yet, by stream
        self._waiting: list[np.ndarray] = []
        self._released: list[np.ndarray] = []  # in order; without a gap until the end
        self._next = 1
        self._next_came = False
        self._ready: list[Batch] = []
        self._dark_rows: dict[int, np.void] = {}
        self._dark: Dark | None = None  # fixed when the first realization is released
        self._beam: float | None = None  # monitor of the first used realization, per second or reading
        self._count = 0
        self._dose = 0.0
        self._emitted = 0
        if self.spec.dark_stream is not None:
            self._events[self.spec.dark_stream] = []

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; those of a kind that says nothing of realizations are passed over."""
        match name:
            case "descriptor":
                self._descriptor(doc)
            case "event":
                self._event(doc)
            case "event_page":
                self._event_page(doc)
            case "stop":
                self._stop(doc)

    def end(self) -> None:
        """No further document will come: realizations behind a gap needn't wait any more."""
        self._ended = True

    def take(self) -> Batch | None:
        """The used realizations that have become ready since the last call; None if there are none."""
        for stream in self._events:
            self._make_rows(stream)
        if self._ended or (self._next_came and not self._wait_for_end):
            self._release()
        batch = Batch.join(self._ready)
        self._ready.clear()
        return batch

    def ledger(self) -> Ledger:
        """What became of every realization so far; complete when everything has been taken after `end()`."""
        ledger = copy.deepcopy(self._counts)
        ledger.received = self._count + ledger.rejected["bad_seq_num"]
        ledger.foreign = sum(len(page["seq_num"]) for pages in self._homeless.values() for page in pages)
        dark = self._dark or Dark()
        ledger.normalisation = {
            "monitor": self.spec.monitor,
            "open_beam_ratio": self.spec.open_beam_ratio,
            "dark_events": dark.events,
            "dark_bucket": dark.bucket,
            "dark_monitor": dark.monitor,
            "dark_unit": "counts" if self.spec.time is None else "counts/s",
            "first_monitor": self._beam,
        }
        if self._ended:
            self._note_gaps(ledger)
            if self.spec.dark_stream is not None and not dark.events:
                ledger.remarks.append(
                    "dark counts are not subtracted: the start document announces dark readings (stream "
                    f'"{self.spec.dark_stream}") and no usable one came'
                )
        return ledger

    def _descriptor(self, doc: dict[str, Any]) -> None:
        # A stream gets a further descriptor when its configuration changes; its sequence numbers go on.
        if doc.get("run_start") != self.uid:
            return
        self._streams[doc["uid"]] = doc.get("name", PRIMARY)
        for page in self._homeless.pop(doc["uid"], ()):
            self._event_page(page)

    def _event(self, doc: dict[str, Any]) -> None:
        stream = self._streams.get(doc["descriptor"])
        if stream is None:
            self._homeless.setdefault(doc["descriptor"], []).append({"descriptor": doc["descriptor"], **page_of([doc])})
        elif stream in self._events:
            self._events[stream].append(doc)
            if len(self._events[stream]) >= _ROWS_AT_ONCE:
                self._make_rows(stream)

    def _event_page(self, doc: dict[str, Any]) -> None:
        stream = self._streams.get(doc["descriptor"])
        if stream is None:
            self._homeless.setdefault(doc["descriptor"], []).append(doc)
        elif stream in self._events:
            self._page(stream, doc)

    def _stop(self, doc: dict[str, Any]) -> None:
        if doc.get("run_start") == self.uid:
            self.stopped = True
            emitted = (doc.get("num_events") or {}).get(PRIMARY)
            self._emitted = emitted if isinstance(emitted, int) else 0

    def _make_rows(self, stream: str) -> None:
        if self._events[stream]:
            self._page(stream, page_of(self._events[stream]))
            self._events[stream].clear()

    def _page(self, stream: str, page: Mapping[str, Any]) -> None:
        rows, bad = rows_of(page, self.spec)
        if stream == PRIMARY:
            for _ in range(bad):
                self._counts.reject(0, "bad_seq_num")
            known = rows["seq_num"] < self._next
            if known.any():
                self._compare_with_released(rows[known])
                rows = rows[~known]
            if len(rows):
                self._waiting.append(rows)
                self._next_came |= bool((rows["seq_num"] == self._next).any())
            return
        for row in rows:
            other = self._dark_rows.get(int(row["seq_num"]))
            if other is None or row["time"] < other["time"]:
                self._dark_rows[int(row["seq_num"])] = row
                self.revised |= self._dark is not None

    def _compare_with_released(self, rows: np.ndarray) -> None:
        table = _table(self._released)
        for row in rows:
            other = table[np.searchsorted(table["seq_num"], row["seq_num"])]
            if other.tobytes() == row.tobytes():
                self._counts.duplicates += 1
            else:
                self._counts.conflicts += 1
                self.revised |= bool(row["time"] < other["time"])

    def _release(self) -> None:
        if not self._waiting:
            return
        rows = self._without_repetitions(_table(self._waiting))
        count = len(rows)
        if not self._ended:
            count = int(np.argmin(np.append(rows["seq_num"] == self._next + np.arange(len(rows)), False)))
            if self._dark is None and self.spec.dark_stream is not None and not self._dark_rows:
                count = 0  # the dark stream comes first: without it a correction would be left out
        rows, rest = rows[:count], rows[count:]
        self._waiting = [rest] if len(rest) else []
        if not count:
            return
        self._next_came = False
        self._next = int(rows["seq_num"][-1]) + 1
        self._released.append(rows)
        if self._dark is None:
            # Every dark reading of the run counts, whatever its time: a clock that is set back must not make them "later".
            dark_rows = [row for _, row in sorted(self._dark_rows.items())]
            self._dark = dark_level(np.array(dark_rows, dtype=ROW), self.spec)
        self._use(rows)

    def _without_repetitions(self, rows: np.ndarray) -> np.ndarray:
        """Sorted by sequence number, of several with the same number the earliest."""
        rows = rows[np.lexsort((rows["time"], rows["seq_num"]))]
        again = np.flatnonzero(rows["seq_num"][1:] == rows["seq_num"][:-1]) + 1
        for position in again:
            first = rows[np.searchsorted(rows["seq_num"], rows["seq_num"][position])]
            same = rows[position].tobytes() == first.tobytes()
            self._counts.duplicates += same
            self._counts.conflicts += not same
        return np.delete(rows, again)

    def _use(self, rows: np.ndarray) -> None:
        dark = self._dark or Dark()
        verdict = judged(rows, self.spec, self.num_masks, signed=self.signed, dark=dark)
        if self.spec.monitor is not None:
            self._reject_lost_beam(rows, verdict, dark)
        for position in np.flatnonzero(verdict != GOOD):
            self._counts.reject(int(rows["seq_num"][position]), REASON_NAMES[verdict[position]])
        received = self._count + 1 + np.arange(len(rows))
        self._count += len(rows)
        dose = np.full(len(rows), np.nan)
        if self.spec.monitor is not None:
            counts = np.nan_to_num(rows["monitor"], nan=0.0, posinf=0.0, neginf=0.0)
            dose = np.cumsum(np.append(self._dose, counts))[1:]  # one running sum, so that batches don't change its rounding
            self._dose = float(dose[-1])
        good = verdict == GOOD
        if not good.any():
            return
        used = rows[good]
        self._counts.used += len(used)
        bucket, error = corrected(used, self.spec, dark)
        self._ready.append(Batch(used["seq_num"], used["mask_index"].astype(np.int64), bucket, error, received[good], dose[good]))

    def _reject_lost_beam(self, rows: np.ndarray, verdict: np.ndarray, dark: Dark) -> None:
        with np.errstate(divide="ignore", invalid="ignore"):
            beam = net_monitor(rows, self.spec, dark) / (1.0 if self.spec.time is None else rows["exposure"])
        good = verdict == GOOD
        if self._beam is None and good.any():
            self._beam = float(beam[good][0])
        if self._beam is not None:
            with np.errstate(invalid="ignore"):
                verdict[good & (beam < BEAM_LOST_FRACTION * self._beam)] = REASON_NAMES.index("beam_lost")

    def _note_gaps(self, ledger: Ledger) -> None:
        seen = _table(self._released)["seq_num"]
        emitted = max(int(seen[-1]) if len(seen) else 0, self._emitted)
        ledger.missing = emitted - len(seen)
        if self.spec.expected is not None:
            ledger.not_acquired = max(0, self.spec.expected - emitted)
        for seq_num in itertools.islice(_gaps(seen, emitted), MAX_DETAILS):
            ledger.note(seq_num, "missing")


def _gaps(seen: np.ndarray, last: int) -> Iterator[int]:
    """The numbers from 1 to `last` that aren't in the sorted array `seen`."""
    for before, after in itertools.pairwise([0, *seen.tolist(), last + 1]):
        yield from range(before + 1, after)


def _table(parts: list[np.ndarray]) -> np.ndarray:
    """Parts joined, in place: the list holds one part afterwards."""
    if len(parts) > 1:
        parts[:] = [np.concatenate(parts)]
    return parts[0] if parts else np.empty(0, dtype=ROW)
