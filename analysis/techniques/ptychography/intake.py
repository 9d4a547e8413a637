"""Frames and positions of a scan in, batches of frames with their positions out.

Both are joined by the number of the trigger, which the detector writes beside the pixels and the trigger box beside the
positions: a lost frame or position shifts nothing. The two streams are independent, so a number is decided when both have
reached it: it is used if both have it; otherwise the ledger says which one was missing. Pixels are read from the detector's
file in windows.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.announced import WINDOW, AnnouncedRows
from analysis.documents.batch import Batch
from analysis.documents.ledger import MAX_DETAILS, Ledger
from analysis.documents.refusal import RunRefused
from analysis.documents.stream_frames import FRAME
from analysis.documents.streams import Numbered, Streams, column, gaps, whole_numbers
from analysis.techniques.ptychography.layout import ENTRY, Layout

REASONS: dict[str, str] = {
    "bad_number": "the number of the trigger is not a whole number from 1",
    "no_frame": "the trigger's position was captured and its frame never came",
    "no_position": "the trigger's frame came and its position was not captured",
    "position_missing": "the position is NaN or no number",
    "off_grid": "the position is more than one step outside the planned grid",
    "empty_row": "the row was announced, and no frame was written into it: its number is 0",
    "unreadable": "the frame was announced and cannot be read from the detector's file",
    "all_zero": "the frame holds no count at all",
    "saturated": "a hundredth of the frame's pixels or more are saturated",
}
"""Reasons why a trigger is not used."""

_SATURATED_PART = 0.01
_MICROMETRES = {"um": 1.0, "µm": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3, "m": 1e6}
_NARROW = 0.05  # if positions span less than this fraction of the grid, their unit is not the stated one

POSITION = np.dtype([("number", "<i8"), ("time", "<f8"), ("y", "<f8"), ("x", "<f8")])
_JOINED = np.dtype([("number", "<i8"), ("row", "<i8"), ("cell", "<i8"), ("y", "<f8"), ("x", "<f8"), ("received", "<i8")])


class Triggers:
    """Converts the documents of one scan to batches of frames.

    The columns of a batch:

    frames : (B, H, W), counts; 0 in pixels that are bad or have overflowed, which hold the largest number of their type.
    row : int64, the frame's row in the detector's file.
    cell : int64, the cell of the scan's grid.
    y, x : float64, position, um.
    dose : float64, counts in all frames up to and including this one.

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
        If the start document does not describe such a scan.
    """

    def __init__(self, start: Mapping[str, Any], folders: Sequence[Path], *, wait_for_end: bool = False) -> None:
        self.layout = Layout.of(start)
        self._bad_pixels: str | None = start[ENTRY].get("bad_pixels")
        self._wait_for_end = wait_for_end
        self._ended = False
        self._streams = Streams(str(start["uid"]), [self.layout.frames, self.layout.positions])
        self._positions, self._frames = Numbered(POSITION), Numbered(FRAME)
        self._files = {
            key: AnnouncedRows(folders, shape)
            for key, shape in ((self.layout.image, self.layout.shape), (self.layout.frame_number, ()))
        }
        self._numbered = 0  # rows of the file whose numbers were read
        self._joined: list[np.ndarray] = []
        self._counts = Ledger(expected=self.layout.expected)
        self._received = 0
        self._last_number = 0
        self._dose = 0.0
        self._bad: np.ndarray | None = None  # bad pixels, known from the first frame on
        self._marked = self._overflown = 0
        self._largest: int | None = None
        self._span = _Span()

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has arrived."""
        return self._streams.stopped

    @property
    def revised(self) -> bool:
        """Whether a document arrived that would have changed what had already been taken."""
        return self._positions.revised or self._frames.revised

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        self._streams(name, doc)

    def end(self) -> None:
        """Note that no further document will arrive."""
        self._ended = True

    def take(self) -> Batch | None:
        """Up to 256 frames that have become ready, in order of their number; None if there are none."""
        self._take_positions()
        self._take_numbers()
        if self._ended or not self._wait_for_end:
            self._join()
        while self._joined:
            batch = self._window()
            if batch is not None:
                return batch
        if self._ended:
            self.close()
        return None

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """Frames that were released before, (B, H, W), by their rows in the file.

        Raises
        ------
        ValueError
            If one cannot be read any more.
        """
        order = np.argsort(rows, kind="stable")
        frames, readable = self._files[self.layout.image].read(rows[order])
        if len(readable) != len(rows):
            lost = np.setdiff1d(rows, readable)
            raise ValueError(f"frame {lost[0] + 1} of the detector's file was read before, and cannot be read any more")
        if (np.diff(order) == 1).all():
            return frames
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return frames[back]

    def pixels_marked_in(self, dataset: str) -> np.ndarray:
        """Where a data set (H, W) of the detector's file is not zero, bool.

        Raises
        ------
        ValueError
            If it cannot be read.
        """
        return self._files[self.layout.image].beside(dataset) != 0

    def close(self) -> None:
        """Close the detector's file; it is opened again at the next read."""
        for file in self._files.values():
            file.close()

    def ledger(self) -> Ledger:
        """What happened to every trigger so far; complete when everything has been taken after `end()`."""
        ledger = copy.deepcopy(self._counts)
        ledger.received = self._received + ledger.rejected["bad_number"]
        ledger.duplicates = self._positions.duplicates + self._frames.duplicates + self._frames.conflicts
        ledger.conflicts = self._positions.conflicts
        ledger.foreign = self._streams.foreign
        ledger.normalisation = {"counts": self._dose}
        if self._ended:
            seen = np.union1d(self._positions.seen["number"], self._frames.seen["number"])
            ledger.missing = self._last_number - len(seen)
            if self.layout.expected is not None:
                ledger.not_acquired = max(0, self.layout.expected - self._last_number)
            for number in itertools.islice(gaps(seen, self._last_number), MAX_DETAILS):
                ledger.note(number, "missing")
            ledger.remarks += self._span.remarks(self.layout)
            ledger.remarks += self._full_scale_remarks()
            ledger.remarks += [file.problem for file in self._files.values() if file.problem]
        return ledger

    def _take_positions(self) -> None:
        layout = self.layout
        for page in self._streams.pages(layout.positions):
            count, data = len(page["seq_num"]), page["data"]
            rows = np.empty(count, dtype=POSITION)
            rows["number"], good = whole_numbers(data.get(layout.position_number), count)
            rows["time"] = column(page.get("time"), count)
            for axis, key in (("y", layout.y), ("x", layout.x)):
                rows[axis] = column(data.get(key), count) * self._micrometres(key)
            for _ in range(int(count - np.count_nonzero(good))):
                self._counts.reject(0, "bad_number")
            self._positions.add(rows[good])

    def _micrometres(self, key: str) -> float:
        units = self._streams.data_key(self.layout.positions, key).get("units") or "um"
        if units not in _MICROMETRES:
            raise RunRefused(
                f"positions {key} are in {units!r}, which is not a known unit of length: use {', '.join(_MICROMETRES)}"
            )
        return _MICROMETRES[units]

    def _take_numbers(self) -> None:
        """Read the numbers of frames whose pixels have also been announced."""
        for datum in self._streams.datums(self.layout.frames):
            if datum.key in self._files:
                data_key = self._streams.data_key(self.layout.frames, datum.key)
                self._files[datum.key].announce(datum, data_key)
        numbers = self._files[self.layout.frame_number]
        announced = min(file.rows for file in self._files.values())
        if announced <= self._numbered:
            return
        rows, readable = numbers.read(np.arange(self._numbered, announced))
        for _ in range(announced - self._numbered - len(readable)):
            self._counts.reject(0, "unreadable")
            self._received += 1
        found = np.empty(len(readable), dtype=FRAME)
        found["number"], found["time"], found["row"] = rows, readable, readable
        self._numbered = announced
        # A data set may be longer than the number of frames: its rest is filled with zeros.
        taken = found["number"] > 0
        for _ in range(int(np.count_nonzero(~taken))):
            self._counts.reject(0, "empty_row")
            self._received += 1
        self._frames.add(found[taken])

    def _join(self) -> None:
        """Decide all numbers that both streams have reached."""
        last = [_last(self._positions), _last(self._frames)]
        up_to = max(last) if self._ended else min(last)
        if up_to <= min(self._positions.passed, self._frames.passed):
            return
        positions, frames = self._positions.release(up_to), self._frames.release(up_to)
        numbers = np.union1d(positions["number"], frames["number"])
        if not len(numbers):
            return
        self._last_number = max(self._last_number, int(numbers[-1]))
        both, of_position, of_frame = np.intersect1d(
            positions["number"], frames["number"], assume_unique=True, return_indices=True
        )
        alone = np.setdiff1d(numbers, both, assume_unique=True)
        without_frame = np.isin(alone, positions["number"], assume_unique=True)
        for number, no_frame in zip(alone.tolist(), without_frame.tolist(), strict=True):
            self._counts.reject(number, "no_frame" if no_frame else "no_position")
        joined = np.empty(len(both), dtype=_JOINED)
        joined["number"], joined["row"] = both, frames["row"][of_frame]
        joined["y"], joined["x"] = positions["y"][of_position], positions["x"][of_position]
        joined["received"] = self._received + 1 + np.searchsorted(numbers, both)
        self._received += len(numbers)
        self._span.take(joined["y"], joined["x"])
        joined["cell"], inside = self.layout.grid.cells(joined["y"], joined["x"])
        known = np.isfinite(joined["y"]) & np.isfinite(joined["x"])
        for number in joined["number"][~known]:
            self._counts.reject(int(number), "position_missing")
        for number in joined["number"][known & ~inside]:
            self._counts.reject(int(number), "off_grid")
        if (known & inside).any():
            self._joined.append(joined[known & inside])

    def _window(self) -> Batch | None:
        """The next frames with their pixels, without unusable ones."""
        rows = self._joined.pop(0)
        if len(rows) > WINDOW:
            self._joined.insert(0, rows[WINDOW:])
            rows = rows[:WINDOW]
        frames, readable = self._files[self.layout.image].read(np.sort(rows["row"]))
        there = np.isin(rows["row"], readable)
        for number in rows["number"][~there]:
            self._counts.reject(int(number), "unreadable")
        rows = rows[there]
        if not len(rows):
            return None
        if (readable != rows["row"]).any():  # frames arrived out of order
            frames = frames[np.searchsorted(readable, rows["row"])]
        frames, overflown = self._measured(frames)
        pixels = frames.reshape(len(frames), -1)
        counts = pixels.sum(axis=1, dtype=np.float64 if frames.dtype.kind == "f" else np.int64)
        zero = counts == 0
        saturated = np.zeros(len(rows), dtype=bool)
        if self.layout.saturation is not None:
            bright = (pixels.max(axis=1) >= self.layout.saturation) | (overflown > 0)
            number = np.count_nonzero(pixels[bright] >= self.layout.saturation, axis=1) + overflown[bright]
            saturated[bright] = number / pixels.shape[1] >= _SATURATED_PART
        for reason, which in (("all_zero", zero), ("saturated", saturated)):
            for number in rows["number"][which]:
                self._counts.reject(int(number), reason)
        good = ~(zero | saturated)
        dose = np.cumsum(np.append(self._dose, counts))[1:]
        self._dose = float(dose[-1])
        if not good.any():
            return None
        rows, frames = rows[good], frames if good.all() else frames[good]
        self._counts.used += len(rows)
        columns = {"frames": frames, "row": rows["row"], "cell": rows["cell"], "y": rows["y"], "x": rows["x"], "dose": dose[good]}
        return Batch(rows["number"], columns, rows["received"])

    def _measured(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames with 0 in pixels without a measurement, and the number of overflows in each, (B,).

        Detectors write the largest number of their type for bad pixels, and for pixels with more counts. Pixels with this
        value in the first frame of the scan are bad; in any other frame it is an overflow.
        """
        whole = frames.dtype.kind in "iu"
        self._largest = int(np.iinfo(frames.dtype).max) if whole else None
        if self._bad is None:
            self._bad = frames[0] == self._largest if whole else np.zeros(self.layout.shape, dtype=bool)
            self._marked = int(np.count_nonzero(self._bad))
            if self._bad_pixels is not None:
                self._bad |= self.pixels_marked_in(self._bad_pixels)
        full = frames == self._largest if whole else np.zeros(frames.shape, dtype=bool)
        full &= ~self._bad
        overflown = np.count_nonzero(full, axis=(1, 2))
        self._overflown += int(np.count_nonzero(overflown))
        if self._bad.any() or overflown.any():
            frames = np.where(full | self._bad, 0, frames).astype(frames.dtype)
        return frames, overflown

    def _full_scale_remarks(self) -> list[str]:
        remarks = []
        if self._marked:
            remarks.append(
                f"{self._marked} pixels hold {self._largest}, the largest value of their type, in the first frame: they are "
                "taken as bad, not as saturated"
            )
        if self._overflown:
            remarks.append(
                f"{self._overflown} frames hold {self._largest} in other pixels, which have overflowed: they count as "
                "not measured"
            )
        return remarks


class _Span:
    """The range of the positions."""

    def __init__(self) -> None:
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)

    def take(self, y: np.ndarray, x: np.ndarray) -> None:
        known = np.stack([y, x])[:, np.isfinite(y) & np.isfinite(x)]
        if known.shape[1]:
            self._low = np.minimum(self._low, known.min(axis=1))
            self._high = np.maximum(self._high, known.max(axis=1))

    def remarks(self, layout: Layout) -> list[str]:
        """A remark if the positions cannot be in the stated unit."""
        planned = [abs(last - first) for first, last, _ in (layout.grid.y_um, layout.grid.x_um)]
        remarks = []
        for axis, low, high, plan in zip("yx", self._low, self._high, planned, strict=True):
            if plan > 0 and high >= low and high - low < _NARROW * plan:
                remarks.append(
                    f"the positions in {axis} span {high - low:.3g} um where {plan:.3g} um were planned: are they in another "
                    "unit than they say, or did the axis stand still?"
                )
        return remarks


def _last(rows: Numbered) -> int:
    waiting = rows.waiting
    return int(waiting["number"][-1]) if len(waiting) else rows.passed
