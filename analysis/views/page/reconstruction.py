"""A reconstruction as the page shows it, based on the quantities that its technique declares: no technique is known here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np

from analysis.documents.log import LogReader, Record
from analysis.documents.log_reader import RunInfo
from analysis.documents.quantity_keys import array_keys, failed_checks, is_useless, quality_figures
from analysis.documents.streams import PRIMARY

_POINTS = 250  # of a curve: as many as can be distinguished
_STANDARD = ("used", "number_last", "final", "restart", "elapsed_s", "expected", "received", "rejected")
_OF_START = ("method", "purpose", "caption", "rows", "scan_id")


class Reconstruction:
    """One derived run.

    Parameters
    ----------
    info : RunInfo
        Its entry in the log.

    Attributes
    ----------
    raw_uid : str
        The run that is reconstructed.
    state : str
        "running", "done" or "failed".
    """

    def __init__(self, info: RunInfo) -> None:
        self.uid, self.start = info.uid, info.start
        self.raw_uid, self.method = str(info.start["derived_from"]), str(info.start["method"])
        self._position = info.first
        self._ended_at = info.stop
        self._stop: dict[str, Any] | None = None
        self._data_keys: dict[str, Any] = {}
        self._newest: dict[str, Any] = {}
        self._newest_at = 0
        self._estimates = 0
        self._time: float | None = None
        self._course: list[dict[str, float]] = []

    @property
    def state(self) -> str:
        """Its state."""
        if self._stop is None:
            return "running"
        return "done" if self._stop["exit_status"] == "success" else "failed"

    def follow(self, reader: LogReader, *, whole: bool) -> None:
        """Read new documents; if the run had ended before, only its end, unless the `whole` run is requested."""
        if self._ended_at is not None and not whole:
            if self._stop is None:
                for record in reader.read(self._ended_at - 1, run=self.uid, limit=1, arrays=False):
                    self._take(record)
            return
        if self._position == self._ended_at:
            return
        for record in reader.documents(self.uid, after=self._position, arrays=False):
            self._position = record.position
            self._take(record)
            if record.name == "stop":
                self._ended_at = record.position

    def told(self, doubts_so_far: Sequence[str] = ()) -> dict[str, Any]:
        """All that the page shows of it; before the end, with what seems wrong with the data so far."""
        stop = self._stop or {"ledger": {"doubts": doubts_so_far}}
        arrays = array_keys(self._data_keys)
        return {
            "uid": self.uid,
            "state": self.state,
            "reason": stop.get("reason") or "",
            "remarks": [
                *self.start.get("remarks", ()),
                *(stop.get("ledger") or {}).get("remarks", ()),
                *(stop.get("ledger") or {}).get("doubts", ()),
                *failed_checks(self._data_keys, self._newest),
            ],
            "pixel_size_um": (self.start.get("image") or {}).get("pixel_size_um"),
            "arrays": [{"name": key, **self._words(key), "shape": self._data_keys[key]["shape"]} for key in arrays],
            "figures": [{"name": key, **self._words(key), "value": self._newest.get(key)} for key in self._figures],
            "course": {key: [point[key] for point in self._thinned()] for key in ("used", *quality_figures(self._data_keys))},
            "estimates": self._estimates,
            "newest": self._time,
            "useless": self._useless,
            **{key: self._newest.get(key) for key in _STANDARD},
            **{key: self.start.get(key) for key in _OF_START},
        }

    def newest_arrays(self, reader: LogReader) -> bytes:
        """The arrays of the newest estimate and its number, as MessagePack.

        Raises
        ------
        LookupError
            If there is no estimate yet.
        """
        self.follow(reader, whole=True)
        if not self._estimates:
            raise LookupError(f"there is no estimate of {self.uid}")
        (record,) = reader.read(self._newest_at - 1, run=self.uid, limit=1)
        arrays = {}
        for key in array_keys(self._data_keys):
            one = np.ascontiguousarray(record.doc["data"][key])
            arrays[key] = {"type": one.dtype.str, "shape": one.shape, "data": one.tobytes()}
        packed: bytes = msgpack.packb({"count": self._estimates, "arrays": arrays})
        return packed

    @property
    def _figures(self) -> list[str]:
        """Numbers that the technique declared: figures of quality, and others such as the dose."""
        return [key for key, said in self._data_keys.items() if "meaning" in said and not said["shape"]]

    @property
    def _useless(self) -> bool:
        """Whether a figure shows that the newest image is no better than a flat one."""
        return any(is_useless(self._data_keys[key], self._newest.get(key)) for key in self._figures)

    def _words(self, key: str) -> dict[str, Any]:
        said = self._data_keys[key]
        words = {name: said.get(name) for name in ("meaning", "units", "dims", "lower_is_better")}
        return {**words, "channels": self.start.get("channels")}

    def _thinned(self) -> list[dict[str, float]]:
        step = max(1, len(self._course) // _POINTS)
        return [*self._course[:-1:step], *self._course[-1:]]

    def _take(self, record: Record) -> None:
        if record.damage is not None:
            return
        if record.name == "descriptor" and record.doc["name"] == PRIMARY:
            self._data_keys = record.doc["data_keys"]
        elif record.name == "event":
            arrays = set(array_keys(self._data_keys))
            self._newest = {key: value for key, value in record.doc["data"].items() if key not in arrays}
            self._newest_at = record.position
            self._estimates += 1
            self._time = record.logged_at
            self._course.append({key: self._newest[key] for key in ("used", *quality_figures(self._data_keys))})
        elif record.name == "stop":
            self._stop = record.doc
