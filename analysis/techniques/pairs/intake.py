"""Frames of a series in; pairs of images out, corrected by the dark and flat frames of the same run.

Frames are identified by the number of the trigger that the detector has written beside them: a lost frame does not shift the
pairs. Pixels are read from the detector's file in windows, so that memory does not grow with the series.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.ledger import MAX_DETAILS, Ledger
from analysis.documents.stream_frames import FRAME, StreamFrames
from analysis.documents.streams import Numbered, Streams, gaps
from analysis.pairs.halves import Halves
from analysis.pairs.independence import Independence
from analysis.techniques.pairs.corrections import Corrections
from analysis.techniques.pairs.layout import Layout

REASONS: dict[str, str] = {
    "one_frame": "one of the pair's two frames never came",
    "unreadable": "a frame was announced and cannot be read from the detector's file",
    "no_light": "a half holds no more light than the dark frames",
    "saturated": "a hundredth of the pixels of a half or more are saturated",
    "damaged": "a tenth of the pixels of a half or more are no numbers",
}
"""Reasons why a pair is not used."""

_BYTES = 2**25  # of frames in memory at a time
_SATURATED_PART = 0.01
_DAMAGED_PART = 0.1


class PairIntake:
    """Converts the documents of one series to batches of pairs.

    The columns of a batch:

    a, b : (B, h, w), float32, counts above dark; NaN for pixels that have measured nothing.

    Parameters
    ----------
    start : mapping
        The run's start document.
    folders : sequence of Path
        Folders in which the detector's files may be.
    wait_for_end : bool
        Release nothing before `end()`: then nothing at all depends on the order of the documents.

    Raises
    ------
    RunRefused
        If the start document does not describe such a series.
    """

    def __init__(self, start: Mapping[str, Any], folders: Sequence[Path], *, wait_for_end: bool = False) -> None:
        self.layout = layout = Layout.of(start)
        self._wait_for_end = wait_for_end
        self._ended = False
        self._streams = Streams(str(start["uid"]), layout.streams)
        self._of_stream = {
            name: StreamFrames(name, layout.image, layout.number, folders, layout.shape) for name in layout.streams
        }
        self._frames = self._of_stream[layout.frames]
        self._numbered = Numbered(FRAME)
        self._corrections = Corrections(layout)
        self._late_correction = False
        self._waiting: list[tuple[int, int, int]] = []  # number of a pair, rows of its frames
        self._alone: int | None = None  # the number of a frame whose partner has not arrived
        self._alone_row = 0
        self._counts = Ledger(expected=layout.expected)
        self._received = 0
        self._last_pair = 0
        self._window = max(1, _BYTES // (4 * int(np.prod(layout.shape))))

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has arrived."""
        return self._streams.stopped

    @property
    def revised(self) -> bool:
        """Whether a document arrived that would have changed what had already been taken."""
        return self._numbered.revised or self._late_correction

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        self._streams(name, doc)

    def end(self) -> None:
        """Note that no further document will arrive."""
        self._ended = True

    def take(self) -> Batch | None:
        """Some of the pairs that are ready, in order of their number; None if there are none."""
        self._numbered.add(self._frames.announced(self._streams))
        if self._ended or not self._wait_for_end:
            self._take_corrections()
            self._join()
        while self._waiting:
            batch = self._batch()
            if batch is not None:
                return batch
        if self._ended:
            for frames in self._of_stream.values():
                frames.close()
        return None

    def noise_of_flats(self, halves: Halves) -> Independence | None:
        """The properties of the noise according to the flat frames, which differ only by noise; None if there are not two."""
        return self._corrections.noise_of_flats(halves)

    def remark(self, sentence: str) -> None:
        """Add a remark about the series to the ledger."""
        if sentence not in self._counts.remarks:
            self._counts.remarks.append(sentence)

    def ledger(self) -> Ledger:
        """What happened to every pair so far; complete when everything has been taken after `end()`."""
        ledger = copy.deepcopy(self._counts)
        ledger.rejected["unreadable"] += self._frames.unreadable
        ledger.rejected += type(ledger.rejected)()  # without zeros
        ledger.received = self._received + self._frames.unreadable
        ledger.duplicates = self._numbered.duplicates + self._numbered.conflicts
        ledger.foreign = self._streams.foreign
        ledger.normalisation = self._corrections.told
        if self._ended:
            seen = self._numbered.seen["number"]
            if self.layout.consecutive:
                seen = np.unique((seen + 1) // 2)
            ledger.missing = self._last_pair - len(seen)
            if self.layout.expected is not None:
                ledger.not_acquired = max(0, self.layout.expected - self._last_pair)
            for number in itertools.islice(gaps(seen, self._last_pair), MAX_DETAILS):
                ledger.note(number, "missing")
            ledger.remarks += self._corrections.remarks()
            ledger.remarks += [problem for frames in self._of_stream.values() for problem in frames.problems]
        return ledger

    def _take_corrections(self) -> None:
        """Use the dark and flat frames that arrived before the first frame of the series."""
        layout = self.layout
        for name, add in ((layout.darks, self._corrections.add_darks), (layout.flats, self._corrections.add_flats)):
            if name is None:
                continue
            frames = self._of_stream[name]
            found = frames.announced(self._streams)
            if len(found) and self._corrections.closed:
                self._late_correction = True
                continue
            for window in frames.windows(found["row"], self._window):
                add(window)

    def _join(self) -> None:
        """Make pairs of the frames so far; for consecutive frames, missing ones are given up."""
        waiting = self._numbered.waiting
        if not len(waiting):
            return
        self._corrections.close()
        last = int(waiting["number"][-1])
        if self.layout.consecutive and not self._ended:
            last -= last % 2
        frames = self._numbered.release(last)
        if not self.layout.consecutive:
            self._waiting += [
                (number, row, row) for number, row in zip(frames["number"].tolist(), frames["row"].tolist(), strict=True)
            ]
            self._received += len(frames)
            self._last_pair = max(self._last_pair, last if len(frames) else 0)
            return
        rows = dict(zip(frames["number"].tolist(), frames["row"].tolist(), strict=True))
        for pair in sorted({(number + 1) // 2 for number in rows}):
            self._received += 1
            self._last_pair = pair
            both = [rows.get(2 * pair - 1), rows.get(2 * pair)]
            if None in both:
                self._counts.reject(pair, "one_frame")
            else:
                self._waiting.append((pair, *both))  # type: ignore[arg-type]

    def _batch(self) -> Batch | None:
        """The next pairs with their pixels, without unusable ones."""
        chosen, self._waiting = self._waiting[: self._window], self._waiting[self._window :]
        received = self._received - len(self._waiting) - len(chosen) + 1 + np.arange(len(chosen))
        rows = np.unique([row for _, *both in chosen for row in both])
        frames, readable = self._frames.pixels(rows)
        place = {row: index for index, row in enumerate(readable.tolist())}
        good, images = [], []
        for index, (number, first, second) in enumerate(chosen):
            if first not in place or second not in place:
                self._counts.reject(number, "unreadable")
                continue
            both = (frames[place[first]], frames[place[second]])
            reason, pair = self._judged(both)
            if reason is not None:
                self._counts.reject(number, reason)
                continue
            good.append(index)
            images.append(pair)
        if not good:
            return None
        self._counts.used += len(good)
        numbers = np.array([chosen[index][0] for index in good], dtype=np.int64)
        columns = {name: np.stack([pair[half] for pair in images]) for half, name in enumerate(("a", "b"))}
        return Batch(numbers, columns, received[good])

    def _judged(self, frames: tuple[np.ndarray, np.ndarray]) -> tuple[str | None, tuple[np.ndarray, np.ndarray]]:
        """Why a pair is not used, or None; and the pair, corrected."""
        halves = [frame[window.place] for frame, window in zip(frames, self.layout.windows, strict=True)]
        if self.layout.saturation is not None and any(
            np.count_nonzero(half >= self.layout.saturation) >= _SATURATED_PART * half.size for half in halves
        ):
            return "saturated", (halves[0], halves[1])
        a, b = (self._corrections.corrected(half, index) for index, half in enumerate(halves))
        for half in (a, b):
            measured = np.isfinite(half)
            if np.count_nonzero(measured) <= (1 - _DAMAGED_PART) * half.size:
                return "damaged", (a, b)
            if not half[measured].mean() > self._corrections.chance:
                return "no_light", (a, b)
        return None, (a, b)
