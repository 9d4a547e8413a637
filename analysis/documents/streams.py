"""The part of intake that all techniques share: documents sorted into a run's streams, and rows in order of their number.

The result depends on the documents, not on the order of their arrival. If a document arrives after the rows that it would
have changed were released, this is reported as `revised`: the final estimate is then made again from all documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

PRIMARY = "primary"
MAX_NUMBER = 2**31
_EVENTS_AT_ONCE = 1000  # single events kept as documents; rows are a hundred times smaller


@dataclass(frozen=True)
class Datum:
    """Rows first to last - 1 of one data key that are in a file: a stream datum with its stream resource."""

    key: str
    resource: Mapping[str, Any]
    first: int
    last: int


class Streams:
    """Takes the documents of one run, in any order after its start, and sorts them by stream.

    Parameters
    ----------
    uid : str
        The run; documents of other runs are ignored.
    names : iterable of str
        The requested streams.

    Attributes
    ----------
    stopped : bool
        Whether the run's stop document has arrived.
    """

    def __init__(self, uid: str, names: Iterable[str]) -> None:
        self.uid = uid
        self.stopped = False
        self._names = frozenset(names)
        self._of_descriptor: dict[str, str] = {}
        self._homeless: dict[str, list[tuple[str, dict[str, Any]]]] = {}  # events whose descriptor has not arrived
        self._events: dict[str, list[dict[str, Any]]] = {name: [] for name in self._names}  # events that are not yet in a page
        self._pages: dict[str, list[Mapping[str, Any]]] = {name: [] for name in self._names}
        self._resources: dict[str, dict[str, Any]] = {}
        self._datums: dict[str, list[dict[str, Any]]] = {name: [] for name in self._names}
        self._data_keys: dict[str, dict[str, Any]] = {}
        self._emitted: Mapping[str, Any] = {}

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; documents of kinds that hold no data are ignored."""
        match name:
            case "descriptor":
                self._descriptor(doc)
            case "event" | "event_page" | "stream_datum":
                self._data(name, doc)
            case "stream_resource":
                if doc.get("run_start") == self.uid:
                    self._resources[doc["uid"]] = doc
            case "stop":
                if doc.get("run_start") == self.uid:
                    self.stopped = True
                    self._emitted = doc.get("num_events") or {}

    def pages(self, stream: str) -> list[Mapping[str, Any]]:
        """Event pages since the last call; single events are put into pages too, without uids and timestamps."""
        self._close_page(stream)
        pages, self._pages[stream] = self._pages[stream], []
        return pages

    def datums(self, stream: str) -> list[Datum]:
        """Rows in files announced since the last call, except those whose stream resource has not arrived yet."""
        ready, waiting = [], []
        for doc in self._datums[stream]:
            resource = self._resources.get(doc["stream_resource"])
            if resource is None:
                waiting.append(doc)
            else:
                indices = doc["indices"]
                ready.append(Datum(str(resource["data_key"]), resource, int(indices["start"]), int(indices["stop"])))
        self._datums[stream] = waiting
        return ready

    def data_key(self, stream: str, key: str) -> Mapping[str, Any]:
        """The entry for a key in the newest descriptor of a stream; empty if there is none."""
        data_key: Mapping[str, Any] = self._data_keys.get(stream, {}).get(key, {})
        return data_key

    def emitted(self, stream: str) -> int:
        """Number of events of the stream according to the stop document; 0 before its arrival."""
        count = self._emitted.get(stream)
        return count if isinstance(count, int) else 0

    @property
    def foreign(self) -> int:
        """Number of events whose descriptor belongs to no stream of this run."""
        documents = [item for items in self._homeless.values() for item in items]
        return sum(len(doc["seq_num"]) if name == "event_page" else name == "event" for name, doc in documents)

    def _descriptor(self, doc: dict[str, Any]) -> None:
        # A stream gets a further descriptor when its configuration changes; its sequence numbers continue.
        if doc.get("run_start") != self.uid:
            return
        stream = doc.get("name", PRIMARY)
        self._of_descriptor[doc["uid"]] = stream
        self._data_keys[stream] = doc.get("data_keys") or {}
        for name, waiting in self._homeless.pop(doc["uid"], ()):
            self._data(name, waiting)

    def _data(self, name: str, doc: dict[str, Any]) -> None:
        stream = self._of_descriptor.get(doc["descriptor"])
        if stream is None:
            self._homeless.setdefault(doc["descriptor"], []).append((name, doc))
        elif stream not in self._names:
            return
        elif name == "stream_datum":
            self._datums[stream].append(doc)
        elif name == "event_page":
            self._close_page(stream)
            self._pages[stream].append(doc)
        else:
            self._events[stream].append(doc)
            if len(self._events[stream]) >= _EVENTS_AT_ONCE:
                self._close_page(stream)

    def _close_page(self, stream: str) -> None:
        if self._events[stream]:
            self._pages[stream].append(page_of(self._events[stream]))
            self._events[stream] = []


class Numbered:
    """Rows of one kind by their number: each number once, the earlier row if two have the same number, released in order.

    Parameters
    ----------
    dtype : numpy.dtype
        Structured, with a field "number" and a field "time" that says which of two rows came first.

    Attributes
    ----------
    duplicates, conflicts : int
        Rows that repeat a number with the same content, and with different content.
    revised : bool
        A row arrived that should have replaced, or preceded, a row already released.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._dtype = dtype
        self._waiting: list[np.ndarray] = []
        self._released: list[np.ndarray] = []
        self._passed = 0  # every number up to it has been released or given up
        self.duplicates = self.conflicts = 0
        self.revised = False

    def add(self, rows: np.ndarray) -> None:
        """Take rows, in any order."""
        late = rows["number"] <= self._passed
        if late.any():
            self._compare_with_released(rows[late])
            rows = rows[~late]
        if len(rows):
            self._waiting.append(rows)

    @property
    def seen(self) -> np.ndarray:
        """The rows released so far, in order."""
        return self._joined(self._released)

    @property
    def waiting(self) -> np.ndarray:
        """The rows not yet released, in order and without repetitions."""
        if len(self._waiting) > 1 or (self._waiting and not _rises(self._waiting[0]["number"])):
            self._waiting = [self._without_repetitions(self._joined(self._waiting))]
        return self._joined(self._waiting)

    @property
    def passed(self) -> int:
        """The number up to which no row is awaited any more."""
        return self._passed

    def without_gap(self) -> int:
        """The largest number up to which all rows have arrived."""
        numbers = self.waiting["number"]
        expected = self._passed + 1 + np.arange(len(numbers))
        return self._passed + int(np.argmin(np.append(numbers == expected, False)))

    def release(self, up_to: int) -> np.ndarray:
        """Release the waiting rows with numbers up to `up_to`; missing ones among those are given up."""
        rows = self.waiting
        count = int(np.searchsorted(rows["number"], up_to, side="right"))
        self._waiting = [rows[count:]] if count < len(rows) else []
        self._passed = max(self._passed, up_to)
        if count:
            self._released.append(rows[:count])
        return rows[:count]

    def _compare_with_released(self, rows: np.ndarray) -> None:
        table = self.seen
        for row in rows:
            place = np.searchsorted(table["number"], row["number"])
            if place == len(table) or table["number"][place] != row["number"]:
                self.revised = True  # its number had been given up
                continue
            if table[place].tobytes() == row.tobytes():
                self.duplicates += 1
            else:
                self.conflicts += 1
                self.revised |= bool(row["time"] < table["time"][place])

    def _without_repetitions(self, rows: np.ndarray) -> np.ndarray:
        """Sorted by number; of several rows with the same number, the earliest."""
        rows = rows[np.lexsort((rows["time"], rows["number"]))]
        again = np.flatnonzero(rows["number"][1:] == rows["number"][:-1]) + 1
        for position in again:
            first = rows[np.searchsorted(rows["number"], rows["number"][position])]
            same = rows[position].tobytes() == first.tobytes()
            self.duplicates += same
            self.conflicts += not same
        return np.delete(rows, again)

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        """The parts joined, in place: afterwards the list holds one part."""
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0] if parts else np.empty(0, dtype=self._dtype)


def gaps(seen: np.ndarray, last: int) -> Iterator[int]:
    """The numbers from 1 to `last` that are not in the sorted array `seen`."""
    for before, after in pairwise([0, *seen.tolist(), last + 1]):
        yield from range(before + 1, after)


def page_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Single events of one stream as an event page (without timestamps and uids, which are not used here)."""
    keys: dict[str, None] = {}
    for event in events:
        keys.update(dict.fromkeys(event["data"]))
    return {
        "seq_num": [event["seq_num"] for event in events],
        "time": [event.get("time") for event in events],
        "data": {key: [event["data"].get(key) for event in events] for key in keys},
    }


def whole_numbers(values: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of rows, int64 (count,), 0 where a value is not a positive integer; and which are valid, bool (count,)."""
    given = column(values, count)
    with np.errstate(invalid="ignore"):  # invalid numbers are cast like any other and then left out
        good = (given >= 1) & (given <= MAX_NUMBER) & (given == np.floor(given))
        return np.where(good, given, 0).astype(np.int64), good


def column(values: Any, count: int) -> np.ndarray:
    """Values as float64 (count,); None and anything that is not a number become NaN."""
    if values is None:
        return np.full(count, np.nan)
    try:
        array = np.asarray(values, dtype=np.float64)
        if array.shape == (count,):
            return array
    except (TypeError, ValueError, OverflowError):
        pass
    return np.array([_number(value) for value in values][:count] + [np.nan] * (count - len(values)))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _rises(numbers: np.ndarray) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())
