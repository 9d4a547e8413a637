"""What the X-ray camera looks at: bodies that the beam passes, as functions of the angle and the number of the frame.

A scene is drawn at rows `y` and columns `x` of the detector, positions in pixels from where the axis of rotation lies. It is 1
where all light passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sims.etched_plate import EtchedPlate
from sims.radiographs import Bed

_DARKEST = 2.3  # attenuation along the longest path through the body: a tenth of the light passes
_FILLED = 0.45  # of the detector's width: the body's radius
_ATTEMPTS = 400  # to place a sphere
_LARGER = 1.004  # the image of a mask than pixel sizes say
_TURNED_DEG, _BESIDE_PX = 0.4, (1.3, -2.2)  # of the image of a mask
_FINER = 3  # parts of a pixel along each side


class Scene(Protocol):
    """Something in the beam."""

    def transmission(self, y: np.ndarray, x: np.ndarray, angle_deg: float, number: int) -> np.ndarray:
        """exp(-mu), shape (H, W), at rows y and columns x."""


@dataclass(frozen=True, eq=False)
class Turning:
    """A cylinder along the axis, with spheres in it; they turn with the stage.

    Attributes
    ----------
    radius, attenuation : float
        Of the cylinder, pixels and 1/pixel.
    places : ndarray, (M, 3)
        Of the spheres: z (along the axis), y, x; pixels.
    radii, attenuations : ndarray, (M,)
        Of the spheres; added to the cylinder's attenuation.
    """

    radius: float
    attenuation: float
    places: np.ndarray
    radii: np.ndarray
    attenuations: np.ndarray

    def transmission(self, y: np.ndarray, x: np.ndarray, angle_deg: float, number: int) -> np.ndarray:
        """exp(-mu) at an angle; a sphere at (y, x) is seen at x cos + y sin."""
        chord = 2 * self.attenuation * np.sqrt(np.maximum(self.radius**2 - x**2, 0))
        mu = np.repeat(chord[None], len(y), axis=0)
        cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
        seen = self.places[:, 2] * cosine + self.places[:, 1] * sine
        for height, across, radius, extra in zip(self.places[:, 0], seen, self.radii, self.attenuations, strict=True):
            rows = slice(*np.searchsorted(y, (height - radius, height + radius)))
            columns = slice(*np.searchsorted(x, (across - radius, across + radius)))
            away = (y[rows, None] - height) ** 2 + (x[None, columns] - across) ** 2
            mu[rows, columns] += 2 * extra * np.sqrt(np.maximum(radius**2 - away, 0))
        return np.asarray(np.exp(-mu))

    def slice(self, size: int, height: float = 0.0, finer: int = 4) -> np.ndarray:
        """Attenuation (1/pixel) at a height in a square of so many pixels around the axis, each the mean of finer ones."""
        axis = (np.arange(size * finer) + 0.5) / finer - size / 2
        image = self.attenuation * (axis[:, None] ** 2 + axis[None] ** 2 < self.radius**2)
        for (z, y, x), radius, extra in zip(self.places, self.radii, self.attenuations, strict=True):
            cut = radius**2 - (z - height) ** 2
            if cut > 0:
                image = image + extra * ((axis[:, None] - y) ** 2 + (axis[None] - x) ** 2 < cut)
        return np.asarray(image.reshape(size, finer, size, finer).mean(axis=(1, 3)))


class Moving:
    """A bed of spheres that falls from frame to frame, whatever the angle.

    Parameters
    ----------
    shape : pair of int
        Rows and columns of the detector.
    seed : int
    """

    def __init__(self, shape: tuple[int, int], seed: int) -> None:
        self._bed = Bed(shape, max(4, shape[0] * shape[1] // 600), seed)

    def transmission(self, y: np.ndarray, x: np.ndarray, angle_deg: float, number: int) -> np.ndarray:
        """exp(-mu) of a frame."""
        return self._bed.transmission(number)


def foam(shape: tuple[int, int], seed: int) -> Turning:
    """A cylinder with bubbles that do not touch."""
    radius = _FILLED * shape[1]
    attenuation = _DARKEST / (2 * radius)
    places, radii = _apart(shape, radius, 0.025 * shape[1], 0.1 * shape[1], seed)
    return Turning(radius, attenuation, places, radii, np.full(len(radii), -attenuation))


def particles(shape: tuple[int, int], seed: int) -> Turning:
    """Dense particles in a light tube."""
    radius = _FILLED * shape[1]
    places, radii = _apart(shape, radius, 0.015 * shape[1], 0.06 * shape[1], seed)
    dense = _DARKEST / (0.2 * shape[1])
    return Turning(radius, 0.1 * _DARKEST / (2 * radius), places, radii, np.full(len(radii), dense))


def _apart(shape: tuple[int, int], radius: float, least: float, most: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spheres that touch neither each other nor the cylinder's wall: places (M, 3) and radii (M,)."""
    rng = np.random.default_rng((seed, 9))
    half = shape[0] / 2 + most
    places, radii = np.empty((0, 3)), np.empty(0)
    for _ in range(_ATTEMPTS):
        place = rng.uniform((-half, -radius, -radius), (half, radius, radius))
        room = radius - np.hypot(place[1], place[2])
        if len(radii):
            room = min(room, float((np.linalg.norm(places - place, axis=1) - radii).min()))
        largest = min(room - 1, most)
        if largest > least:
            places = np.vstack([places, place])
            radii = np.append(radii, rng.uniform(least, largest))
    return places, radii


class Masks:
    """The mask that is in the beam, magnified, a little turned and beside the middle, as cameras are mounted.

    Parameters
    ----------
    plate : EtchedPlate
    pixel_um : float
        Edge of a pixel of the detector where the masks are.
    """

    def __init__(self, plate: EtchedPlate, pixel_um: float) -> None:
        self._plate = plate
        self.magnification = _LARGER * plate.plate.pixel_size_um / pixel_um
        """Pixels of the detector for each of a mask."""
        mm = plate.plate.positions_mm
        size = np.array(plate.plate.shape) * plate.plate.pixel_size_um / 1000
        self._low, self._high = mm.min(axis=0) - size, mm.max(axis=0) + size
        self._seen: tuple[tuple[float, float], np.ndarray] | None = None  # of the place where it was looked at last

    def transmission(self, y: np.ndarray, x: np.ndarray, place_mm: tuple[float, float]) -> np.ndarray:
        """What passes, shape (H, W), at rows y and columns x from the detector's middle, with the mask stage at a place.

        Farther than a mask from all of them there is no plate.
        """
        if (np.array(place_mm) < self._low).any() or (np.array(place_mm) > self._high).any():
            return np.ones((len(y), len(x)))
        if self._seen is None or self._seen[0] != place_mm:
            self._seen = place_mm, self._magnified(self._plate.transmission(*place_mm), y, x)
        return self._seen[1]

    def _magnified(self, mask: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The mask on the detector; each pixel is the mean of finer ones."""
        fine = (np.arange(_FINER) + 0.5) / _FINER - 0.5
        rows, columns = ((axis[:, None] + fine).ravel() for axis in (y - _BESIDE_PX[0], x - _BESIDE_PX[1]))
        cosine, sine = np.cos(np.deg2rad(_TURNED_DEG)), np.sin(np.deg2rad(_TURNED_DEG))
        down = (cosine * rows[:, None] + sine * columns) / self.magnification + mask.shape[0] / 2
        right = (-sine * rows[:, None] + cosine * columns) / self.magnification + mask.shape[1] / 2
        inside = (down >= 0) & (down < mask.shape[0]) & (right >= 0) & (right < mask.shape[1])
        image = np.full(inside.shape, self._plate.foil)
        image[inside] = mask[down[inside].astype(int), right[inside].astype(int)]
        return np.asarray(image.reshape(len(y), _FINER, len(x), _FINER).mean(axis=(1, 3)))


SCENES = ("foam", "particles", "bed", "masks")


def make_scene(name: str, shape: tuple[int, int], seed: int) -> Scene:
    """Make a scene for a detector of a shape (rows, columns)."""
    if name == "bed":
        return Moving(shape, seed)
    return foam(shape, seed) if name == "foam" else particles(shape, seed)
