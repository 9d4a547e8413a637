"""Programmed objects to train on. None of them is a sample of `sims.samples`, on which figures are reported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

_FINE = 4  # drawing points per pixel and axis

Draw = Callable[[ImageDraw.ImageDraw, int, np.random.Generator, int], None]


def make_object(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a transmission (size, size), float32, 0 to 1, of a kind, number of parts and contrast drawn at random."""
    kind = rng.random()
    if kind < 0.6:
        image = _shapes(size, rng)
    elif kind < 0.75:
        image = _rods(size, rng)
    elif kind < 0.98:
        image = _texture(size, rng)
    else:
        image = np.full((size, size), rng.random())
    if rng.random() < 0.5:
        image = 1.0 - image
    if rng.random() < 0.4:
        low = rng.uniform(0.0, 0.5)
        image = low + (rng.uniform(low + 0.2, 1.0) - low) * image
    return image.astype(np.float32)


def _shapes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw bars, bent bars, polygons, discs, rings and stars of one or of several grey levels."""
    fine = size * _FINE
    picture = Image.new("L", (fine, fine), 0)
    pen = ImageDraw.Draw(picture)
    one_level = rng.random() < 0.65
    draws: list[Draw] = list(rng.choice(np.array(_DRAWS, dtype=object), size=rng.integers(1, 4)))
    for _ in range(rng.integers(1, 12) if len(draws) > 1 else rng.integers(1, 7)):
        # what is drawn over something else may also cut it out
        level = 0 if rng.random() < 0.15 else 255 if one_level else int(rng.integers(60, 256))
        draws[rng.integers(len(draws))](pen, fine, rng, level)
    return np.asarray(picture, dtype=np.float64).reshape(size, _FINE, size, _FINE).mean(axis=(1, 3)) / 255.0


def _bar(pen: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, level: int) -> None:
    """Draw a polyline of one to four strokes."""
    points = rng.uniform(0.05, 0.95, 2) * fine + np.concatenate(
        [np.zeros((1, 2)), np.cumsum(rng.normal(0, 0.25 * fine, (rng.integers(1, 5), 2)), axis=0)]
    )
    pen.line([tuple(point) for point in points], fill=level, width=_width(fine, rng), joint="curve")


def _bent_bar(pen: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, level: int) -> None:
    start = rng.uniform(0, 360)
    pen.arc(_box(fine, rng), start, start + rng.uniform(90, 330), fill=level, width=_width(fine, rng))


def _polygon(pen: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, level: int) -> None:
    corners = rng.integers(3, 7)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    _outline(pen, fine, rng, level, angles, rng.uniform(0.5, 1.0, corners))


def _star(pen: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, level: int) -> None:
    """Draw a rosette or a star, with a bore now and then."""
    angles = np.linspace(0, 2 * np.pi, 240)
    wave = np.cos(rng.integers(3, 13) * angles + rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.5:
        wave = np.sign(wave)
    centre, radius = _outline(pen, fine, rng, level, angles, 1 - rng.uniform(0.05, 0.4) * (1 - wave) / 2)
    if rng.random() < 0.5:
        bore = rng.uniform(0.15, 0.6) * radius
        pen.ellipse((*(centre - bore), *(centre + bore)), fill=0)


def _outline(
    pen: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, level: int, angles: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, float]:
    centre, radius = rng.uniform(0.1, 0.9, 2) * fine, rng.uniform(0.08, 0.45) * fine
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pen.polygon([tuple(point) for point in centre + radius * radii[:, None] * along], fill=level)
    return centre, radius


def _ellipse(pen: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, level: int) -> None:
    if rng.random() < 0.4:
        pen.ellipse(_box(fine, rng), outline=level, width=_width(fine, rng))
    else:
        pen.ellipse(_box(fine, rng), fill=level)


def _box(fine: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    centre, half = rng.uniform(0.05, 0.95, 2) * fine, rng.uniform(0.05, 0.4) * fine * rng.uniform(0.5, 1.0, 2)
    return (centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1])


def _width(fine: int, rng: np.random.Generator) -> int:
    """Return the width of a stroke: from a pixel and a half at 64 pixels to a seventh of the field."""
    return max(1, round(fine * np.exp(rng.uniform(np.log(0.025), np.log(0.15)))))


_DRAWS: tuple[Draw, ...] = (_bar, _bent_bar, _polygon, _star, _ellipse)


def _rods(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return rods and grains with soft edges that absorb, on top of each other."""
    y, x = np.mgrid[:size, :size] / size
    absorbance = np.zeros((size, size))
    for _ in range(rng.integers(2, 15)):
        (row, column), angle = rng.uniform(0.05, 0.95, 2), rng.uniform(0, np.pi)
        length, width = rng.uniform(0.0, 0.35), np.exp(rng.uniform(np.log(0.02), np.log(0.12)))
        along = np.maximum(np.abs((y - row) * np.sin(angle) + (x - column) * np.cos(angle)) - length, 0)
        across = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
        distance = (along**2 + across**2) / width**2
        absorbance += np.exp(rng.uniform(-1.5, 1.5)) * np.exp(-(distance ** rng.choice([1, 2, 4])))
    return np.exp(-absorbance)


def _texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise with a power law or one length, as it is or cut at a threshold."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    if rng.random() < 0.5:
        gain = np.maximum(frequency, 1 / size) ** -rng.uniform(1.2, 2.5)
    else:
        gain = np.exp(-0.5 * (frequency * np.exp(rng.uniform(np.log(1.5), np.log(6.0))) * np.pi) ** 2)
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * gain).real
    field = (field - field.mean()) / field.std()
    if rng.random() < 0.4:
        return ndimage.gaussian_filter((field > rng.uniform(-1, 1)).astype(float), rng.uniform(0.2, 0.7))
    return np.clip(0.5 + field * rng.uniform(0.15, 0.4), 0, 1)
