"""A third technique, as small as one can be: the mean of the frames so far, each frame an event of the stream "primary"."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.ledger import Ledger
from analysis.documents.streams import PRIMARY, Numbered, Streams, whole_numbers
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.techniques import TECHNIQUES, Technique

SHAPE = (4, 5)
ROW = np.dtype([("number", "<i8"), ("time", "<f8"), ("frame", "<f8", SHAPE)])


class MeanRun:
    rows = "exposures"
    remarks = ()

    def __init__(self, start: Any, store: Any) -> None:
        self.uid, self.expected = str(start["uid"]), start.get("num_points")

    def quantities(self, recipe: Any) -> dict[str, Quantity]:
        return {"mean": image_quantity("mean of the frames", SHAPE, "counts"), "brightest": Quantity("brightest pixel")}

    def metadata(self, recipe: Any) -> dict[str, Any]:
        return {"caption": "4x5 pixels"}

    def intake(self, *, wait_for_end: bool = False) -> Intake:
        return Intake(self, wait_for_end)

    def reconstruction(self, recipe: Any) -> Mean:
        if recipe.options:
            raise ValueError("the mean has no options")
        return Mean()


class Intake:
    def __init__(self, run: MeanRun, wait_for_end: bool) -> None:
        self._streams, self._rows, self._run = Streams(run.uid, [PRIMARY]), Numbered(ROW), run
        self._ended, self._wait_for_end = False, wait_for_end
        self.stopped, self.revised = False, False

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        self._streams(name, doc)
        self.stopped = self._streams.stopped

    def end(self) -> None:
        self._ended = True

    def take(self) -> Batch | None:
        for page in self._streams.pages(PRIMARY):
            numbers, good = whole_numbers(page["seq_num"], len(page["seq_num"]))
            rows = np.zeros(len(numbers), ROW)
            rows["number"], rows["time"], rows["frame"] = numbers, page["time"], np.array(page["data"]["camera"])
            self._rows.add(rows[good])
        self.revised = self._rows.revised
        waiting = self._rows.waiting
        if not len(waiting) or (self._wait_for_end and not self._ended):
            return None
        before = len(self._rows.seen)
        rows = self._rows.release(int(waiting["number"][-1]) if self._ended else self._rows.without_gap())
        return Batch(rows["number"], {"frame": rows["frame"]}, before + 1 + np.arange(len(rows))) if len(rows) else None

    def ledger(self) -> Ledger:
        seen = self._rows.seen["number"]
        missing = max(seen, default=0) - len(seen)
        return Ledger(self._run.expected, len(seen), len(seen), missing=missing, duplicates=self._rows.duplicates)


class Mean:
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self._sum, self._count = np.zeros(SHAPE), 0

    def update(self, batch: Batch) -> None:
        for frame in batch.columns["frame"]:  # one after the other, so that no cut changes the rounding
            self._sum, self._count = self._sum + frame, self._count + 1

    def result(self) -> Estimate:
        mean = (self._sum / self._count).astype("<f4")
        return Estimate({"mean": mean}, {"brightest": float(mean.max())})

    finish = result


class _Method:
    name, fast, summary, defaults = "mean", True, "The mean of the frames so far.", {}


def register() -> None:
    """Make it known in this process."""
    TECHNIQUES["mean"] = Technique("mean", MeanRun.rows, {"mean": _Method()}, ("mean",), {}, lambda start: [], MeanRun)
