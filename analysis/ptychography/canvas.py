"""The place of frames on the object, fixed before the first one arrives, and the path of the sample during each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_APART = 2.0  # pixels between neighbouring places of a path: an error of half of it blurs by less than a pixel


@dataclass(frozen=True)
class Canvas:
    """The object's pixels, its axes along those of the sample stage.

    Attributes
    ----------
    origin_um : (float, float)
        Position (y, x) of the stage for which a frame begins in row 0 and column 0.
    pixel_um : float
    shape : (rows, columns)
    frame : (H, W)
    """

    origin_um: tuple[float, float]
    pixel_um: float
    shape: tuple[int, int]
    frame: tuple[int, int]

    @classmethod
    def of(
        cls, low_um: tuple[float, float], high_um: tuple[float, float], margin_um: tuple[float, float], pixel_um: float,
        frame: tuple[int, int],
    ) -> Canvas:  # fmt: skip
        """A canvas for all positions between two corners, and for positions up to a margin outside."""
        side = max(frame)  # allows frames to be rotated
        origin = (low_um[0] - margin_um[0], low_um[1] - margin_um[1])
        extent = (high_um[axis] + margin_um[axis] - origin[axis] for axis in (0, 1))
        rows, columns = (int(np.ceil(length / pixel_um)) + 1 + side for length in extent)
        return cls(origin, pixel_um, (rows, columns), frame)

    def pixels(self, positions_um: np.ndarray) -> np.ndarray:
        """Positions (N, 2) in pixels of the object, float64."""
        return (positions_um - np.array(self.origin_um)) / self.pixel_um


def path_of_exposure(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Places (S, 2) along a straight path between two positions (2,), each the middle of an equal part of it.

    There are as many as needed for distances of at most 2 pixels; positions are in pixels.
    """
    length = float(np.hypot(*(last - first)))
    number = max(1, int(np.ceil(length / _APART)))
    return first + (last - first) * ((np.arange(number) + 0.5) / number)[:, None]


def motion_during_frames(number: np.ndarray, positions: np.ndarray, live: float) -> np.ndarray:
    """Return how far the sample moved during each frame, (N, 2), in the unit of the positions.

    The velocity is given by the distance to the previous frame or, at the beginning of a line, to the next one: that is,
    where the motion from the previous frame is reversed or differs from the motion to the next frame. `live` is the fraction
    of a frame's time during which it is exposed.
    """
    moved = np.zeros_like(positions)
    if live == 0 or len(positions) < 2:
        return moved
    step = np.diff(positions, axis=0)
    next_to = np.diff(number) == 1
    step[~next_to] = np.nan
    before, behind = np.vstack([step[:1] * np.nan, step]), np.vstack([step, step[:1] * np.nan])
    shorter = np.nansum(behind**2, axis=1, initial=0.0) < np.nansum(before**2, axis=1, initial=0.0)
    no_before, no_behind = np.isnan(before).any(axis=1), np.isnan(behind).any(axis=1)
    forward = no_before | (shorter & ~no_behind)
    moved = np.where(forward[:, None], behind, before)
    return np.nan_to_num(moved) * live
