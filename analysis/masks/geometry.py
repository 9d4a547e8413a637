"""Position of a mask in the frames of a camera: shift, magnification and rotation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Geometry:
    """Position, magnification and rotation of a mask in a frame.

    Attributes
    ----------
    y, x : float
        Position of the mask's centre, in frame pixels; integers are pixel centres.
    scale : float
        Frame pixels per mask pixel, along one axis.
    rotation : float
        Rotation of the mask, rad, from its x axis towards its y axis.
    """

    y: float
    x: float
    scale: float
    rotation: float = 0.0

    def places(self, points: np.ndarray) -> np.ndarray:
        """Return the positions in the frame, (2, P), of points of the mask (2, P), both (y, x).

        Points are in mask pixels from the mask's centre.
        """
        cos, sin = self.scale * math.cos(self.rotation), self.scale * math.sin(self.rotation)
        return np.stack([self.y + cos * points[0] + sin * points[1], self.x - sin * points[0] + cos * points[1]])

    def points(self, places: np.ndarray) -> np.ndarray:
        """Return the points of the mask at positions in the frame: the inverse of `places`."""
        dy, dx = places[0] - self.y, places[1] - self.x
        cos, sin = math.cos(self.rotation) / self.scale, math.sin(self.rotation) / self.scale
        return np.stack([cos * dy - sin * dx, sin * dy + cos * dx])

    def moved(self, step: np.ndarray, reach: float) -> Geometry:
        """Return the geometry after a step (4,) in the centre's y and x, in magnification and in rotation.

        The last two are expressed as the resulting displacement, in frame pixels, of a point `reach` mask pixels from the centre.
        """
        lever = reach * self.scale
        return Geometry(
            self.y + float(step[0]),
            self.x + float(step[1]),
            self.scale * (1 + float(step[2]) / lever),
            self.rotation + float(step[3]) / lever,
        )

    def against(self, other: Geometry) -> tuple[float, float, float, float]:
        """Return shift along the mask's y and x (mask pixels), magnification and rotation (rad) relative to another geometry."""
        dy, dx = other.points(np.array([[self.y], [self.x]]))[:, 0]
        return float(dy), float(dx), self.scale / other.scale, self.rotation - other.rotation
