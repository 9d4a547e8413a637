"""What the first rows of a scan show, for users of a session and of the live page. Reads only the document log."""

from __future__ import annotations

from analysis.documents.log import LogReader
from analysis.documents.refusal import RunRefused
from analysis.techniques import technique_of
from analysis.techniques.protocol import Signal


class FirstRows:
    """Follows runs until enough of their rows are known.

    Parameters
    ----------
    reader : LogReader
        The log of measured runs.
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._signals: dict[str, Signal | None] = {}
        self._positions: dict[str, int] = {}

    def doubt(self, uid: str) -> str | None:
        """A suspected problem of a run, in a sentence; None if there is none, or if it is too early to tell."""
        signal = self._signals.get(uid)
        if uid in self._signals and (signal is None or signal.settled):
            return None if signal is None else signal.doubt
        for record in self._reader.documents(uid, after=self._positions.get(uid, 0), arrays=False):
            self._positions[uid] = record.position
            if record.damage is not None:
                continue
            if record.name == "start":
                signal = self._signals[uid] = _signal_of(record.doc)
            if signal is None:
                return None
            signal(record.name, record.doc)
            if signal.settled:
                break
        return None if signal is None else signal.doubt


def _signal_of(start: dict) -> Signal | None:
    try:
        make = technique_of(start).signal
        return None if make is None else make(start)
    except RunRefused:
        return None
