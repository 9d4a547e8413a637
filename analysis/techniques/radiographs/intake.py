"""Radiographs of a series in, counts above dark out, with the angle of each where the sample turns.

Frames, and angles, are known by the number of the trigger: one that was lost shifts no other. Pixels are read from the detector's
file in windows, so that memory does not grow with the series.

Dark, flat and static frames may come before, after or in between. Nothing is handed out before those that are announced have
come, or the run has ended; what comes later is used for the final estimate, which is then made again from all documents. The
first half of a series in which nothing moves are its static frames.
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
from analysis.documents.refusal import RunRefused
from analysis.documents.stream_frames import FRAME, StreamFrames
from analysis.documents.streams import MAX_NUMBER, Numbered, Streams, column, gaps, whole_numbers
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout

REASONS: dict[str, str] = {
    "no_radiograph": "the trigger's angle was captured and its radiograph never came",
    "no_angle": "the trigger's radiograph came and its angle was not captured",
    "angle_missing": "the angle is NaN or no number",
    "radiograph_unreadable": "the radiograph was announced and cannot be read from the detector's file",
    "no_transmission": "the radiograph holds no more light than the dark field",
    "overexposed": "a tenth of the radiograph's pixels or more are saturated",
}
"""Why a radiograph is not used."""

_BYTES = 2**25  # of frames in memory at a time
_SATURATED_PART = 0.1
_DEGREES = {"deg": 1.0, "degree": 1.0, "degrees": 1.0, "rad": 180 / np.pi, "radian": 180 / np.pi, "radians": 180 / np.pi}
_STALLED = 5  # radiographs in a row at one angle

ANGLE = np.dtype([("number", "<i8"), ("time", "<f8"), ("angle", "<f8")])


class RadiographIntake:
    """Turns the documents of one series into batches of radiographs.

    The columns of a batch:

    counts : float32 (B, H, W), above dark; NaN at dead pixels.
    angle : float64 (B,), degrees; NaN where the sample does not turn.

    Parameters
    ----------
    start : mapping
        The run's start document.
    folders : sequence of Path
        Where the detector's files may lie.
    wait_for_end : bool
        Release nothing before `end()`: then nothing at all depends on the order of the documents.

    Raises
    ------
    RunRefused
        If the start document doesn't describe such a series.
    """

    def __init__(self, start: Mapping[str, Any], folders: Sequence[Path], *, wait_for_end: bool = False) -> None:
        self.layout = layout = Layout.of(start)
        self._wait_for_end = wait_for_end
        self._ended = False
        streams = [layout.frames, *layout.further.values(), *([layout.angles.stream] if layout.angles else [])]
        self._streams = Streams(str(start["uid"]), streams)
        self._of_stream = {
            name: StreamFrames(name, layout.image, layout.number, folders, layout.shape)
            for name in (layout.frames, *layout.further.values())
        }
        self._frames, self._angles = Numbered(FRAME), Numbered(ANGLE)
        self.corrections = Corrections(layout.shape)
        self._late_correction = False
        self._waiting: list[tuple[int, int, float, int]] = []  # number, row, angle, received
        self._counts = Ledger(expected=layout.expected)
        self._received = 0
        self._last_number = 0
        self._turn = _Turn()
        self._awaited = [*layout.further, *(["static"] if layout.static_throughout else [])]
        self._window = max(1, _BYTES // (4 * int(np.prod(layout.shape))))

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has come."""
        return self._streams.stopped

    @property
    def revised(self) -> bool:
        """Whether a document came that would have changed what had already been taken."""
        return self._frames.revised or self._angles.revised or self._late_correction

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        self._streams(name, doc)

    def end(self) -> None:
        """No further document will come."""
        self._ended = True

    def take(self) -> Batch | None:
        """Some of the radiographs that are ready, in order of their number; None if there are none."""
        self._take_rows()
        if self._ended or not self._wait_for_end:
            self._take_corrections()
            if self._ended or all(self.corrections.has(purpose) for purpose in self._awaited):
                self._join()
        while self._waiting:
            batch = self._batch()
            if batch is not None:
                return batch
        if self._ended:
            for frames in self._of_stream.values():
                frames.close()
        return None

    def ledger(self) -> Ledger:
        """What became of every radiograph so far; complete when everything has been taken after `end()`."""
        ledger = copy.deepcopy(self._counts)
        frames = self._of_stream[self.layout.frames]
        if frames.unreadable:
            ledger.rejected["radiograph_unreadable"] += frames.unreadable
        ledger.received = self._received + frames.unreadable
        ledger.duplicates = self._frames.duplicates + self._frames.conflicts + self._angles.duplicates
        ledger.conflicts = self._angles.conflicts
        ledger.foreign = self._streams.foreign
        ledger.normalisation = self.corrections.told
        if self._ended:
            seen = np.union1d(self._frames.seen["number"], self._angles.seen["number"])
            ledger.missing = self._last_number - len(seen)
            if self.layout.expected is not None:
                ledger.not_acquired = max(0, self.layout.expected - self._last_number)
            for number in itertools.islice(gaps(seen, self._last_number), MAX_DETAILS):
                ledger.note(number, "missing")
            ledger.remarks += [
                f"{purpose} were announced and never came" for purpose in self._awaited if not self.corrections.has(purpose)
            ]
            ledger.remarks += self._turn.remarks()
            ledger.remarks += [problem for of_stream in self._of_stream.values() for problem in of_stream.problems]
        return ledger

    def _take_rows(self) -> None:
        """Take note of frames that were announced, and of angles."""
        self._frames.add(self._of_stream[self.layout.frames].announced(self._streams))
        angles = self.layout.angles
        if angles is None:
            return
        for page in self._streams.pages(angles.stream):
            count, data = len(page["seq_num"]), page["data"]
            rows = np.empty(count, dtype=ANGLE)
            rows["number"], good = whole_numbers(data.get(angles.number), count)
            rows["time"] = column(page.get("time"), count)
            rows["angle"] = column(data.get(angles.angle), count) * self._degrees(angles.stream, angles.angle)
            self._angles.add(rows[good])

    def _degrees(self, stream: str, key: str) -> float:
        units = self._streams.data_key(stream, key).get("units") or "deg"
        if units not in _DEGREES:
            raise RunRefused(f"angles {key} are in {units!r}, which is not a known unit of angles: use deg or rad")
        return _DEGREES[units]

    def _take_corrections(self) -> None:
        for purpose, name in self.layout.further.items():
            frames = self._of_stream[name]
            found = frames.announced(self._streams)
            if len(found) and self.corrections.closed:
                self._late_correction = True
                continue
            if len(found):
                self._of_stream[self.layout.frames].close()
            for window in frames.windows(found["row"], self._window):
                self.corrections.add(purpose, window)
        if self.layout.static_throughout and not self.corrections.has("static"):
            self._take_first_half()

    def _take_first_half(self) -> None:
        """Take the first half of the series as static frames once it has come, or half of what came if it ended early."""
        frames, last = self._frames.waiting, _last(self._frames)
        half = (self.layout.expected or MAX_NUMBER) // 2
        if self._ended and last < half:
            half = last // 2
        if last >= half:
            first = np.sort(frames["row"][frames["number"] <= half])
            for window in self._of_stream[self.layout.frames].windows(first, self._window):
                self.corrections.add("static", window)

    def _join(self) -> None:
        """Decide all numbers that both streams have got to."""
        last = [_last(self._frames)] if self.layout.angles is None else [_last(self._frames), _last(self._angles)]
        up_to = max(last) if self._ended else min(last)
        if up_to <= self._frames.passed:
            return
        frames, angles = self._frames.release(up_to), self._angles.release(up_to)
        angle_of = dict(zip(angles["number"].tolist(), angles["angle"].tolist(), strict=True))
        row_of = dict(zip(frames["number"].tolist(), frames["row"].tolist(), strict=True))
        for number in sorted({*angle_of, *row_of}):
            self._received += 1
            self._last_number = number
            angle = angle_of.get(number, np.nan)
            if number not in row_of:
                self._counts.reject(number, "no_radiograph")
            elif self.layout.angles is not None and number not in angle_of:
                self._counts.reject(number, "no_angle")
            elif self.layout.angles is not None and not np.isfinite(angle):
                self._counts.reject(number, "angle_missing")
            else:
                self._turn.take(number, angle)
                self._waiting.append((number, row_of[number], angle, self._received))

    def _batch(self) -> Batch | None:
        """The next radiographs with their pixels, those left out that are no good."""
        chosen, self._waiting = self._waiting[: self._window], self._waiting[self._window :]
        frames, readable = self._of_stream[self.layout.frames].pixels(np.sort([row for _, row, _, _ in chosen]))
        place = {row: index for index, row in enumerate(readable.tolist())}
        good = []
        for index, (number, row, _, _) in enumerate(chosen):
            if row not in place:
                self._counts.reject(number, "radiograph_unreadable")
                continue
            frame = frames[place[row]]
            if self.layout.saturation is not None and np.mean(frame >= self.layout.saturation) >= _SATURATED_PART:
                self._counts.reject(number, "overexposed")
                continue
            good.append(index)
        if not good:
            return None
        counts = self.corrections.above_dark(frames[[place[chosen[index][1]] for index in good]])
        light = np.asarray(np.nansum(counts, axis=(1, 2), dtype=np.float64) > 0)
        for index in np.flatnonzero(~light).tolist():
            self._counts.reject(chosen[good[index]][0], "no_transmission")
        if not light.any():
            return None
        good = [index for index, lit in zip(good, light, strict=True) if lit]
        self._counts.used += len(good)
        numbers, _, angles, received = zip(*(chosen[index] for index in good), strict=True)
        columns = {"counts": counts[light] if not light.all() else counts, "angle": np.array(angles, dtype=np.float64)}
        return Batch(np.array(numbers, dtype=np.int64), columns, np.array(received, dtype=np.int64))


class _Turn:
    """How the sample turned."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._angles: list[float] = []

    def take(self, number: int, angle: float) -> None:
        self._numbers.append(number)
        self._angles.append(angle)

    def remarks(self) -> list[str]:
        """Whether the angles can be in the unit that they are said to be in, and whether the sample kept turning."""
        angles = np.array(self._angles)
        if len(angles) < _STALLED or not np.isfinite(angles).all():
            return []
        remarks = []
        span = float(np.ptp(angles))
        if any(abs(span - turn) < 0.05 * turn for turn in np.pi * np.arange(1, 5)):
            remarks.append(f"the angles span {span:.3g} degrees: are they radians? Then the run should say so (units rad)")
        elif span < 90:
            remarks.append(f"the angles span {span:.3g} degrees: of a wedge that was not seen, slices show streaks")
        steps = np.abs(np.diff(angles))
        still = steps <= 1e-3 * max(float(np.median(steps)), 1e-9)
        first = longest = run = 0
        for index, stands in enumerate(still.tolist()):
            run = run + 1 if stands else 0
            if run > longest:
                first, longest = index - run + 1, run
        if longest >= _STALLED - 1:
            remarks.append(
                f"the angle stayed at {angles[first]:.4g} degrees from radiograph {self._numbers[first]} to "
                f"{self._numbers[first + longest]}: did the rotation stall? They count as one view"
            )
        repeated = len(angles) - len(np.unique(np.round(angles, 6)))
        if repeated and longest < _STALLED - 1:
            remarks.append(f"{repeated} radiographs repeat an angle: those at one angle share its weight")
        return remarks


def _last(rows: Numbered) -> int:
    waiting = rows.waiting
    return int(waiting["number"][-1]) if len(waiting) else rows.passed
