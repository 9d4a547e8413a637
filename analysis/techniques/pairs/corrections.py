"""The corrections of the halves: frames without light, and frames without a sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.pairs.halves import Halves
from analysis.pairs.independence import Independence, independence_in_time
from analysis.pairs.prepared import prepared
from analysis.techniques.pairs.layout import Layout

_TESTED = 8  # flat frames
_DEAD = 0.1  # of the mean of the flat frames: pixels below this are dead


class Corrections:
    """Means of the dark and flat frames of a run.

    Parameters
    ----------
    layout : Layout
        Places of the halves.

    Attributes
    ----------
    closed : bool
        Whether a frame of the series has been corrected: later corrections are ignored.
    chance : float
        Counts that the mean of a half without light may reach by chance.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sums = [np.zeros(layout.shape), np.zeros(layout.shape)]
        self._numbers = [0, 0]
        self._dark: list[np.ndarray] = []
        self._response: list[np.ndarray] = []
        self._flats: list[np.ndarray] = []  # the first ones, used to test the noise
        self.closed = False
        self.chance = 0.0

    def add_darks(self, frames: np.ndarray) -> None:
        """Take frames (B, H, W) without light."""
        self._add(0, frames)

    def add_flats(self, frames: np.ndarray) -> None:
        """Take frames (B, H, W) without a sample."""
        self._flats += list(frames[: max(0, _TESTED - len(self._flats))])
        self._add(1, frames)

    def close(self) -> None:
        """Compute the corrections from the frames so far."""
        if self.closed:
            return
        self.closed = True
        dark, flat = (total / max(number, 1) for total, number in zip(self._sums, self._numbers, strict=True))
        for window in self._layout.windows:
            darkness = dark[window.place]
            self._dark.append(darkness.astype(np.float32))
            response = np.ones(window.shape)
            if self._numbers[1]:
                light = flat[window.place] - darkness
                mean = light.mean()
                response = light / mean if mean > 0 else np.zeros(window.shape)
                response[response < _DEAD] = np.nan
            self._response.append(response.astype(np.float32))

    def corrected(self, half: np.ndarray, index: int) -> np.ndarray:
        """A half (h, w) in counts above dark, corrected for different pixels, float32; NaN where nothing was measured."""
        self.close()
        return (half.astype(np.float32) - self._dark[index]) / self._response[index]

    def noise_of_flats(self, halves: Halves) -> Independence | None:
        """The properties of the noise according to the flat frames; None if there are not two of them."""
        if len(self._flats) < 2:
            return None
        pairs = []
        for frame in self._flats:
            a, b = (self.corrected(frame[window.place], index) for index, window in enumerate(self._layout.windows))
            pairs.append(prepared(a, b, halves))
        return independence_in_time(np.stack([pair.a for pair in pairs]), np.stack([pair.b for pair in pairs]))

    @property
    def told(self) -> dict[str, Any]:
        """Numbers of dark and flat frames used."""
        return {"darks": self._numbers[0], "flats": self._numbers[1]}

    def remarks(self) -> list[str]:
        """Dark and flat frames that were announced but did not arrive, in sentences."""
        announced = (("dark", self._layout.darks), ("flat", self._layout.flats))
        return [
            f"{name} frames were announced and never came before the series: it is not corrected by them"
            for (name, stream), number in zip(announced, self._numbers, strict=True)
            if stream is not None and not number
        ]

    def _add(self, which: int, frames: np.ndarray) -> None:
        self._sums[which] += frames.sum(axis=0, dtype=np.float64)
        self._numbers[which] += len(frames)
