"""Whether the first realizations of a ghost scan show light and the sample: known long before an image is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.documents.streams import PRIMARY, Streams
from analysis.techniques.ghost.rows import ROW, rows_of
from analysis.techniques.ghost.run_spec import RunSpec

LIT_AFTER = 16
"""Number of realizations after which buckets are compared with the dark ones."""

VARIED_AFTER = 64
"""Number of realizations after which their variation is compared with counting noise: as many as the first image needs."""

_CERTAIN = 3.0  # standard errors
_NEARLY_ALL = 0.8
_NOISE = 1.15  # standard deviations from so few values scatter by this factor


class BucketSignal:
    """Takes the documents of a run as they arrive.

    Parameters
    ----------
    start : mapping
        The run's start document.

    Raises
    ------
    RunRefused
        If it does not describe a ghost-imaging run.
    """

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._spec = RunSpec.of(start)
        dark = self._spec.dark_stream
        self._streams = Streams(str(start["uid"]), [PRIMARY] if dark is None else [PRIMARY, dark])
        self._rows = {name: np.empty(0, dtype=ROW) for name in (PRIMARY, dark) if name is not None}

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        self._streams(name, doc)
        for stream in self._rows:
            for page in self._streams.pages(stream):
                rows = rows_of(page, self._spec)[0]
                self._rows[stream] = np.concatenate([self._rows[stream], rows[np.isfinite(rows["bucket"])]])

    @property
    def settled(self) -> bool:
        """Whether further documents would change nothing."""
        return self._spec.spectra is not None or self._streams.stopped or len(self._rows[PRIMARY]) >= VARIED_AFTER

    @property
    def doubt(self) -> str | None:
        """A suspected problem, in a sentence; None if there is none, or if it is too early to tell."""
        rows = self._rows[PRIMARY]
        if len(rows) < LIT_AFTER or self._spec.spectra is not None:  # spectra are checked when they become buckets
            return None
        first = f"The buckets of the first {len(rows)} realizations"
        if self._is_negative():
            return f"{first} are lower than without light ({np.mean(rows['bucket']):.4g}): is the signal negative-going?"
        if self._is_dark("bucket"):
            level = f"{first} are no higher than without light ({np.mean(rows['bucket']):.4g})."
            if self._spec.monitor is not None and not self._is_dark("monitor"):
                return (
                    f"{level} The incident-beam monitor sees light: is the sample or the plate's frame in the way, and are "
                    "bucket detector and amplifier on?"
                )
            return f"{level} Is there beam, and are all shutters open?"
        if len(rows) >= VARIED_AFTER and (noise := self._only_noise()) is not None:
            return (
                f"{first} vary by {100 * noise:.2g} %, which counting noise alone explains: nothing of the sample shows yet. Is "
                "the sample in the beam, do the masks move, and is the exposure long enough?"
            )
        return None

    def _is_negative(self) -> bool:
        """Whether buckets that may be negative are clearly below the dark exposures or, if there are none, below zero."""
        if not self._spec.may_be_negative:
            return False
        dark = self._rows.get(self._spec.dark_stream or "")
        if dark is None or len(dark) < 2:
            return bool(np.mean(self._rows[PRIMARY]["bucket"] < 0) > _NEARLY_ALL)
        above, error = self._above_dark("bucket", dark)
        return above < -_CERTAIN * error

    def _is_dark(self, counter: str) -> bool:
        """Whether a counter gave no more than in the dark exposures; if there are none, whether it gave nothing."""
        values = self._rows[PRIMARY][counter]
        dark = self._rows.get(self._spec.dark_stream or "")
        if dark is None or len(dark) < 2:
            return not np.any(values > 0)
        above, error = self._above_dark(counter, dark)
        return above <= _CERTAIN * error

    def _above_dark(self, counter: str, dark: np.ndarray) -> tuple[float, float]:
        """Excess of a counter's rate over its dark rate, and the standard error of the excess."""
        means = [float(np.mean(one[counter] / self._exposures(one))) for one in (self._rows[PRIMARY], dark)]
        errors = [self._variance(one, counter) / len(one) for one in (self._rows[PRIMARY], dark)]
        return means[0] - means[1], float(np.sqrt(sum(errors)))

    def _variance(self, rows: np.ndarray, counter: str) -> float:
        """Variance of a counter's rate; at least that of counting, because a few dark exposures may agree by chance."""
        exposures = self._exposures(rows)
        counts = float(np.mean(rows[counter] / exposures**2)) if self._counts else 0.0
        return max(float(np.var(rows[counter] / exposures, ddof=1)), counts)

    def _only_noise(self) -> float | None:
        """Relative variation of the buckets, if it is that of counting noise; None if it is more, or they are not counts."""
        rows = self._rows[PRIMARY]
        if not self._counts:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = 1 / rows["bucket"]
            values = rows["bucket"] / self._exposures(rows)
            if self._spec.monitor is not None:
                values, relative = rows["bucket"] / rows["monitor"], relative + 1 / rows["monitor"]
        middle = np.median(values)
        # The median is used because the first mask of many plates is fully open, and differs from the others without any
        # sample.
        varied = float(1.4826 * np.median(np.abs(values - middle)) / middle)
        noise = float(np.sqrt(np.median(relative)))
        return varied if varied <= _NOISE * noise else None

    @property
    def _counts(self) -> bool:
        return self._streams.data_key(PRIMARY, self._spec.bucket).get("units") == "counts"

    def _exposures(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows)) if self._spec.time is None else rows["exposure"]
