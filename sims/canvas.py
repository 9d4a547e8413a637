"""A fine grid to draw on, and a few shapes."""

from __future__ import annotations

import numpy as np

_FINE = 8  # grid points per pixel and axis


class Canvas:
    """Coordinates on a grid finer than the pixels, so that a pixel cut by an edge becomes grey.

    Parameters
    ----------
    shape : pair of int
        Rows and columns of the picture.

    Attributes
    ----------
    y, x : array, shape (8 H, 8 W)
        Coordinates; -1 to 1 along the shorter side, y downwards.
    """

    def __init__(self, shape: tuple[int, int]):
        height, width = shape
        if height < 1 or width < 1:
            raise ValueError(f"a picture needs at least one pixel, not {shape}")
        self._shape = (height, width)
        scale = 2.0 / (_FINE * min(height, width))
        rows = (np.arange(_FINE * height) + 0.5 - _FINE * height / 2) * scale
        columns = (np.arange(_FINE * width) + 0.5 - _FINE * width / 2) * scale
        self.y, self.x = np.meshgrid(rows, columns, indexing="ij")

    def pixels(self, drawing: np.ndarray) -> np.ndarray:
        """Return the mean over each pixel, shape (H, W), float32."""
        height, width = self._shape
        return drawing.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3)).astype(np.float32)

    def stroke(self, start: tuple[float, float], end: tuple[float, float], width: float) -> np.ndarray:
        """Return the points (bool) within a straight bar from one (y, x) to another, with flat ends."""
        direction = np.subtract(end, start)
        length = np.hypot(*direction)
        unit_y, unit_x = direction / length
        dy, dx = self.y - start[0], self.x - start[1]
        along, across = dy * unit_y + dx * unit_x, dy * unit_x - dx * unit_y
        return (along >= 0) & (along <= length) & (np.abs(across) <= width / 2)

    def arc(self, centre: tuple[float, float], radii: tuple[float, float], turn: tuple[float, float], width: float) -> np.ndarray:
        """Return the points (bool) within a bar bent along an ellipse.

        Parameters
        ----------
        centre : pair of float
            (y, x).
        radii : pair of float
            (y, x), to the middle of the bar.
        turn : pair of float
            Where the bar starts and ends, in degrees counter-clockwise from the right.
        width : float
        """
        (radius_y, radius_x), (start, end) = radii, turn
        dy, dx = self.y - centre[0], self.x - centre[1]
        degrees = (np.degrees(np.arctan2(-dy / radius_y, dx / radius_x)) - start) % 360
        outer = np.hypot(dy / (radius_y + width / 2), dx / (radius_x + width / 2)) <= 1
        inner = np.hypot(dy / (radius_y - width / 2), dx / (radius_x - width / 2)) < 1
        return outer & ~inner & (degrees <= end - start)

    @staticmethod
    def chord(distance: np.ndarray, radius: float) -> np.ndarray:
        """Return the path length of a ray through a round rod, at a given distance from the axis."""
        return 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0.0))
