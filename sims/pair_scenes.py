"""Scenes for the dual camera, as functions of position, so that the two halves can sample them at places between pixels.

A scene is drawn at rows `y` and columns `x`, each an array of positions in pixels from the scene's centre. Its value is the
transmission: 1 is transparent, 0 is opaque.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Draw = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""From y, shape (H,), x, shape (W,), and a time in s to an image, shape (H, W), float64."""

_CELL_AREA = 1500.0  # pixels of the scene per cell
_BACKGROUND = 0.1  # transmission between cells, and in lines of the bars
_DRIFT_PX_S = 24.0  # of the flow: a pixel from frame to frame at 24 frames/s
_WAVES = 80


@dataclass(frozen=True)
class Scene:
    """A scene to image.

    Parameters
    ----------
    draw : callable
    moves : bool
        Whether it depends on the time.
    """

    draw: Draw
    moves: bool = False


def make_scene(name: str, shape: tuple[int, int], seed: int) -> Scene:
    """Make a scene of the size of half a frame, shape (rows, columns)."""
    return SCENES[name](shape, np.random.default_rng((seed, 7)))


def _nuclei(shape: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Nuclei-like cells: ellipses of different brightness with soft edges, which may overlap."""
    return Scene(_Cells(shape, rng).draw)


def _flow(shape: tuple[int, int], rng: np.random.Generator) -> Scene:
    """The same cells in a flow along x, which is faster in the middle rows than at the edges."""
    return Scene(_Cells(shape, rng, _DRIFT_PX_S).draw, moves=True)


class _Cells:
    def __init__(self, shape: tuple[int, int], rng: np.random.Generator, drift_px_s: float = 0.0):
        rows, columns = shape
        count = max(4, round(rows * columns / _CELL_AREA))
        self._drift = drift_px_s
        # A cell that has left on one side enters again on the other, after it is out of sight.
        self._semiaxes = rng.uniform(7.0, 14.0, (count, 2))
        margin = 2 * self._semiaxes.max() + 4
        self._height, self._width = rows + margin, columns + margin
        self._y = rng.uniform(-0.5, 0.5, count) * self._height
        self._x = rng.uniform(-0.5, 0.5, count) * self._width
        self._angle = rng.uniform(0, np.pi, count)
        self._brightness = rng.uniform(0.3, 0.9, count)

    def draw(self, y: np.ndarray, x: np.ndarray, time_s: float) -> np.ndarray:
        image = np.full((len(y), len(x)), _BACKGROUND)
        speed = self._drift * np.cos(np.pi * self._y / self._height)
        across = (self._x + speed * time_s + self._width / 2) % self._width - self._width / 2
        for row, column, axes, angle, brightness in zip(
            self._y, across, self._semiaxes, self._angle, self._brightness, strict=True
        ):
            reach = axes.max() + 2
            rows = slice(*np.searchsorted(y, (row - reach, row + reach)))
            columns = slice(*np.searchsorted(x, (column - reach, column + reach)))
            down, right = y[rows, None] - row, x[None, columns] - column
            along = (np.cos(angle) * right + np.sin(angle) * down) / axes[0]
            beside = (np.cos(angle) * down - np.sin(angle) * right) / axes[1]
            radius = np.hypot(along, beside)
            # The edge is about two pixels wide.
            image[rows, columns] += brightness * np.clip((1 - radius) * axes.mean() / 2 + 0.5, 0, 1)
        return np.minimum(image, 1.0)


def _bars(shape: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Groups of three bars as on a USAF target, 12 to 1.5 pixels wide, vertical and horizontal; exact means over pixels."""
    rows, columns = shape
    boxes: list[tuple[float, float, float, float]] = []
    widths = 12.0 * 2 ** (-np.arange(19) / 6)
    cell = 64.0
    places = [
        (row, column)
        for row in np.arange(-rows / 2 + cell / 2, rows / 2, cell)
        for column in np.arange(-columns / 2 + cell / 2, columns / 2, cell)
    ]
    for number, (row, column) in enumerate(places):
        width = widths[number % len(widths)]
        for bar in (-2, 0, 2):
            across, along = (bar * width - width / 2, bar * width + width / 2), (-2.5 * width, 2.5 * width)
            down, right = (across, along) if number // len(widths) % 2 else (along, across)
            boxes.append((row + down[0], row + down[1], column + right[0], column + right[1]))

    def draw(y: np.ndarray, x: np.ndarray, time_s: float) -> np.ndarray:
        image = np.ones((len(y), len(x)))
        for top, bottom, left, right in boxes:
            image -= (1 - _BACKGROUND) * np.outer(_covered(y, top, bottom), _covered(x, left, right))
        return image

    return Scene(draw)


def _covered(centres: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Return the part of each pixel between two positions."""
    return np.clip(np.minimum(centres + 0.5, end) - np.maximum(centres - 0.5, begin), 0, 1)


def _texture(shape: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Waves of all directions, 5 to 60 pixels long, the long ones stronger: structure at every scale, without edges."""
    length, direction = 5.0 * 12.0 ** rng.random(_WAVES), rng.uniform(0, np.pi, _WAVES)
    down, right = 2 * np.pi * np.sin(direction) / length, 2 * np.pi * np.cos(direction) / length
    amplitude = np.sqrt(length) * np.exp(2j * np.pi * rng.random(_WAVES))
    amplitude *= 0.2 / np.sqrt(np.sum(np.abs(amplitude) ** 2) / 2)

    def draw(y: np.ndarray, x: np.ndarray, time_s: float) -> np.ndarray:
        waves = (amplitude * np.exp(1j * np.outer(y, down))) @ np.exp(1j * np.outer(right, x))
        return np.clip(0.5 + waves.real, 0.0, 1.0)

    return Scene(draw)


SCENES = {"flow": _flow, "nuclei": _nuclei, "bars": _bars, "texture": _texture}
