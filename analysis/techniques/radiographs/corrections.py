"""The corrections of radiographs: dark fields, flat fields and static frames of the same run."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.documents.refusal import RunRefused

_KEPT = 8  # flat frames, to test the noise with
_DEAD = 0.1  # of the median of the flat field: pixels below it, or above its inverse, do not measure light


class Corrections:
    """Means of the dark and flat frames of a run, and the pixels that are good.

    Parameters
    ----------
    shape : (H, W)
        Pixels of a frame.

    Attributes
    ----------
    closed : bool
        Whether a radiograph has been corrected: later corrections are ignored.
    dark : ndarray, float32, (H, W)
        Mean of the dark frames; 0 without any.
    flat : ndarray, float32, (H, W), or None
        Mean of the flat frames above dark; None without any.
    dead : ndarray, bool, (H, W)
        Pixels that measure no light, or always the same.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sums = {purpose: np.zeros(shape) for purpose in ("darks", "flats")}
        self._known = {purpose: np.zeros(shape) for purpose in self._sums}  # frames in which a pixel is not NaN
        self._numbers = {"darks": 0, "flats": 0, "static": 0}
        self.static: list[np.ndarray] = []
        self._flats: list[np.ndarray] = []
        self.closed = False
        self.dark = np.zeros(shape, dtype=np.float32)
        self.flat: np.ndarray | None = None
        self.dead = np.zeros(shape, dtype=bool)

    def add(self, purpose: str, frames: np.ndarray) -> None:
        """Take frames (B, H, W) that are "darks", "flats" or "static"; static ones are kept."""
        self._numbers[purpose] += len(frames)
        if purpose == "static":
            self.static.append(frames)
            return
        if purpose == "flats":
            self._flats += list(frames[: max(0, _KEPT - len(self._flats))])
        self._sums[purpose] += np.nansum(frames, axis=0, dtype=np.float64)
        self._known[purpose] += np.count_nonzero(~np.isnan(frames), axis=0)

    def has(self, purpose: str) -> bool:
        """Whether such a frame has come."""
        return self._numbers[purpose] > 0

    def close(self) -> None:
        """Make the corrections of the frames so far.

        Raises
        ------
        RunRefused
            If there is no light in the flat field.
        """
        if self.closed:
            return
        self.closed = True
        if self.has("darks"):
            self.dark = self._mean("darks")
        if not self.has("flats"):
            return
        flat = self._mean("flats") - self.dark
        if np.isnan(flat).all():
            raise RunRefused(
                "dark and flat frames hold no numbers: every pixel is NaN in all of one or the other. Take both again"
            )
        typical = float(np.nanmedian(flat))
        if not typical > 0:
            raise RunRefused(
                f"the flat field is not brighter than the dark field (by {typical:.3g} counts): was the shutter open for the "
                "flats and closed for the darks? Take both again"
            )
        self.dead = ~(flat > _DEAD * typical) | ~(flat < typical / _DEAD)
        self.flat = flat

    def _mean(self, purpose: str) -> np.ndarray:
        known = self._known[purpose]
        return np.where(known > 0, self._sums[purpose] / np.maximum(known, 1), np.nan).astype(np.float32)

    def above_dark(self, frames: np.ndarray) -> np.ndarray:
        """Counts above dark of frames (B, H, W), float32; NaN at dead pixels."""
        self.close()
        counts = frames.astype(np.float32) - self.dark
        counts[:, self.dead] = np.nan
        return counts

    @property
    def still(self) -> np.ndarray:
        """Counts above dark of frames that differ by noise alone, (N, H, W): static ones, or else flat fields."""
        frames = [frame for some in self.static for frame in some] or self._flats
        return self.above_dark(np.stack(frames[:_KEPT])) if frames else np.empty((0, *self.dark.shape), dtype=np.float32)

    @property
    def told(self) -> dict[str, Any]:
        """Numbers of the frames, and of the pixels that are left out."""
        return {**self._numbers, "dead_pixels": int(np.count_nonzero(self.dead))}
