"""Counts of exposures from the detector's file, and the amplitudes for the reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from analysis.ptychography.orientation import turned
from analysis.techniques.ptychography.experiment import Experiment

_READ_AT_ONCE = 256  # frames


class StoredFrames(Protocol):
    """The detector's file, as far as its frames have been released."""

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """Frames (B, H, W) by their rows."""

    def pixels_marked_in(self, dataset: str) -> np.ndarray:
        """Where a data set (H, W) is not zero."""

    def close(self) -> None:
        """Close the file; it is opened again at the next read."""


class Counts:
    """Reads frames, and adds up those of an exposure.

    Parameters
    ----------
    experiment : Experiment
    saturation : int or None
        Counts at which a pixel is saturated.
    stored : callable
        Returns the frames; called when they are needed, because they are not known before the first documents.
    """

    def __init__(self, experiment: Experiment, saturation: int | None, stored: Callable[[], StoredFrames]) -> None:
        self._experiment = experiment
        self._saturation = saturation
        self._stored = stored
        self._bad: np.ndarray | None = None

    def totals(self, exposures: list[np.ndarray]) -> np.ndarray:
        """Counts of exposures, float64 (E, H, W), each given by its rows in the file.

        Integers are added as such in 64 bits: no sum overflows. NaN if a pixel is bad or was saturated in one of the frames.
        """
        if self._bad is None and self._experiment.bad_pixels is not None:
            self._bad = self._stored().pixels_marked_in(self._experiment.bad_pixels)
        totals: list[np.ndarray] = []
        first = 0
        while first < len(exposures):
            last, rows = first, 0
            while last < len(exposures) and rows < _READ_AT_ONCE:
                rows += len(exposures[last])
                last += 1
            totals.append(self._read(exposures[first:last]))
            first = last
        return np.concatenate(totals)

    def amplitudes(self, totals: np.ndarray, orientation: str) -> np.ndarray:
        """Square roots of counts, float32 (E, H, W), in the order of the propagator; -1 where nothing was measured.

        Raises
        ------
        ValueError
            If rotated frames are larger than the geometry allows.
        """
        axes = (-2, -1)
        root = np.sqrt(totals).astype(np.float32)
        if not self._experiment.centred:
            root = np.fft.fftshift(root, axes)
        root = turned(root, orientation)
        shape = self._experiment.geometry.shape
        if root.shape[1:] != shape:
            more = [side - own for side, own in zip(shape, root.shape[1:], strict=True)]
            if min(more) < 0:
                raise ValueError(f"frames turned to {orientation} are {root.shape[1:]}, which is not {shape}: they aren't square")
            root = np.pad(root, [(0, 0), *((extra // 2, extra - extra // 2) for extra in more)], constant_values=np.nan)
        if self._experiment.geometry.fresnel is None:
            root = np.fft.ifftshift(root, axes)
        return np.nan_to_num(root, nan=-1.0)

    def close(self) -> None:
        """Close the file."""
        self._stored().close()

    def _read(self, exposures: list[np.ndarray]) -> np.ndarray:
        frames = self._stored().pixels(np.concatenate(exposures))
        missing = np.zeros(frames.shape, dtype=bool)
        whole = frames.dtype.kind in "iu"
        if whole:  # a detector writes the largest number for a pixel that is bad or has overflowed
            limit = np.iinfo(frames.dtype).max
            missing = frames >= (limit if self._saturation is None else min(limit, self._saturation))
        if self._bad is not None:
            missing |= self._bad
        if len(exposures) < len(frames):
            edges = np.cumsum([len(rows) for rows in exposures])[:-1]
            wide = np.int64 if whole else np.float64
            frames = np.stack([part.sum(axis=0, dtype=wide) for part in np.split(frames, edges)])
            missing = np.stack([part.any(axis=0) for part in np.split(missing, edges)])
        counts = frames.astype(np.float64)
        counts[missing] = np.nan
        return counts
