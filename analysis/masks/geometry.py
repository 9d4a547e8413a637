"""Where a mask lies in the frames of a camera: shift, magnification and rotation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Geometry:
    """How a mask appears in a frame.

    Attributes
    ----------
    y, x : float
        Place of the mask's centre, in pixels of the frame; whole numbers are centres of pixels.
    scale : float
        Pixels of the frame on a pixel of the mask.
    rotation : float
        Angle by which the mask is turned, rad; its x axis towards its y axis.
    """

    y: float
    x: float
    scale: float
    rotation: float = 0.0

    def places(self, points: np.ndarray) -> np.ndarray:
        """Places in the frame, (2, P), of points of the mask (2, P), both (y, x); points count mask pixels from its centre."""
        cos, sin = self.scale * math.cos(self.rotation), self.scale * math.sin(self.rotation)
        return np.stack([self.y + cos * points[0] + sin * points[1], self.x - sin * points[0] + cos * points[1]])

    def points(self, places: np.ndarray) -> np.ndarray:
        """Points of the mask at places in the frame: the inverse of `places`."""
        dy, dx = places[0] - self.y, places[1] - self.x
        cos, sin = math.cos(self.rotation) / self.scale, math.sin(self.rotation) / self.scale
        return np.stack([cos * dy - sin * dx, sin * dy + cos * dx])

    def moved(self, step: np.ndarray, reach: float) -> Geometry:
        """Geometry after a step (4,): of the centre along y and x, of magnification, of rotation.

        The last two are given as what they move a point at a distance of `reach` mask pixels by, in pixels of the frame.
        """
        lever = reach * self.scale
        return Geometry(
            self.y + float(step[0]),
            self.x + float(step[1]),
            self.scale * (1 + float(step[2]) / lever),
            self.rotation + float(step[3]) / lever,
        )

    def against(self, other: Geometry) -> tuple[float, float, float, float]:
        """What it departs from another one by: shift along the mask's y and x (mask pixels), magnification, rotation (rad)."""
        dy, dx = other.points(np.array([[self.y], [self.x]]))[:, 0]
        return float(dy), float(dx), self.scale / other.scale, self.rotation - other.rotation
