"""A cylinder of foam: its projections, exactly, and its slices. Pure and seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Foam:
    """A cylinder with bubbles that do not touch: Pelt, Hendriksen and Batenburg, J. Synchrotron Rad. 29, 254 (2022).

    Attributes
    ----------
    shape : (H, W)
        Pixels of a radiograph; slices have W x W pixels.
    z, y, x, radius : ndarray, (M,)
        Of the bubbles, pixels from the middle of the detector and from the axis.
    attenuation : float
        Of the cylinder, 1/pixel.
    """

    shape: tuple[int, int]
    z: np.ndarray
    y: np.ndarray
    x: np.ndarray
    radius: np.ndarray
    attenuation: float

    @property
    def cylinder(self) -> float:
        """Its radius, pixels."""
        return 0.45 * self.shape[1]

    def line_integrals(self, angles_deg: np.ndarray) -> np.ndarray:
        """Projections (views, H, W) about an axis in the middle of the detector."""
        rows, columns = (np.arange(side) - (side - 1) / 2 for side in self.shape)
        whole = 2 * np.sqrt(np.maximum(self.cylinder**2 - columns**2, 0))
        lengths = np.repeat(np.repeat(whole[None, None], self.shape[0], axis=1), len(angles_deg), axis=0)
        for view, angle in enumerate(np.deg2rad(angles_deg)):
            middle = self.x * np.cos(angle) + self.y * np.sin(angle)
            for z, place, radius in zip(self.z, middle, self.radius, strict=True):
                near_z, near = np.abs(rows - z) < radius, np.abs(columns - place) < radius
                away = (rows[near_z, None] - z) ** 2 + (columns[None, near] - place) ** 2
                lengths[view][np.ix_(near_z, near)] -= 2 * np.sqrt(np.maximum(radius**2 - away, 0))
        return np.asarray(self.attenuation * lengths)

    def slices(self, rows: np.ndarray) -> np.ndarray:
        """Slices (rows, W, W) at some rows of the detector; pixels on an edge are partly filled."""
        axis = np.arange(self.shape[1]) - (self.shape[1] - 1) / 2
        filled = np.clip(0.5 + self.cylinder - np.hypot(axis[:, None], axis[None]), 0, 1)
        volume = np.repeat(filled[None], len(rows), axis=0)
        for index, row in enumerate(rows - (self.shape[0] - 1) / 2):
            for z, y, x, radius in zip(self.z, self.y, self.x, self.radius, strict=True):
                if abs(row - z) < radius + 1:
                    near_y, near_x = np.abs(axis - y) < radius + 1, np.abs(axis - x) < radius + 1
                    away = np.sqrt((row - z) ** 2 + (axis[near_y, None] - y) ** 2 + (axis[None, near_x] - x) ** 2)
                    volume[index][np.ix_(near_y, near_x)] -= np.clip(0.5 + radius - away, 0, 1)
        return np.asarray(self.attenuation * volume)


def foam_cylinder(shape: tuple[int, int], bubbles: int, seed: int, attenuation: float = 0.01) -> Foam:
    """Foam of so many bubbles, or as many as fit."""
    rng = np.random.default_rng(seed)
    height, width = shape
    whole = 0.45 * width
    places: list[tuple[float, float, float, float]] = []
    for _ in range(100 * bubbles):
        if len(places) == bubbles:
            break
        z, (y, x) = rng.uniform(-height / 2, height / 2), rng.uniform(-whole, whole, 2)
        room = whole - np.hypot(y, x)
        if places:
            others = np.array(places)
            room = min(room, float((np.linalg.norm(others[:, :3] - (z, y, x), axis=1) - others[:, 3]).min()))
        largest = min(room - 1, 0.1 * width)
        if largest > 1.5:
            places.append((z, y, x, float(rng.uniform(1.5, largest))))
    z_all, y_all, x_all, radius = np.array(places).T
    return Foam(shape, z_all, y_all, x_all, radius, attenuation)
