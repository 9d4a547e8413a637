"""Samples to image: drawn by program, or read from an image file.

A sample is represented by its transmission, 0 (opaque) to 1 (empty), one float32 for each mask pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sims.canvas import Canvas


def letters(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Draw the letters CAS, cut out of steel with a stencil's bridges; the seed has no effect."""
    width = 0.15
    c = canvas.arc((0.0, -0.62), (0.42, 0.27), (50, 310), width)
    a = (
        canvas.stroke((0.42, -0.26), (-0.42, 0.0), width)
        | canvas.stroke((-0.42, 0.0), (0.42, 0.26), width)
        | canvas.stroke((0.14, -0.16), (0.14, 0.16), width * 0.8)
    )
    s = canvas.arc((-0.21, 0.62), (0.21, 0.22), (20, 270), width) | canvas.arc((0.21, 0.62), (0.21, 0.22), (200, 450), width)
    bridges = (
        canvas.stroke((-0.6, 0.0), (0.6, 0.0), 0.05)
        | canvas.stroke((0.0, -1.0), (0.0, -0.75), 0.05)
        | canvas.stroke((-0.6, 0.62), (-0.36, 0.62), 0.05)
        | canvas.stroke((0.36, 0.62), (0.6, 0.62), 0.05)
    )
    return ((c | a | s) & ~bridges).astype(float)


def gear(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Draw a metal gear with 14 teeth, a bore and five holes; the seed determines its angle."""
    turn = rng.uniform(0, 2 * np.pi)
    radius, angle = np.hypot(canvas.y, canvas.x), np.arctan2(canvas.y, canvas.x) + turn
    # A tooth narrows towards its tip, as involute teeth do.
    tooth = np.clip((np.cos(14 * angle) + 0.35) * 1.6, 0, 1)
    metal = radius < 0.66 + 0.17 * tooth
    metal &= radius > 0.16
    for hole in range(5):
        place = 2 * np.pi * hole / 5 - turn
        metal &= np.hypot(canvas.y - 0.42 * np.sin(place), canvas.x - 0.42 * np.cos(place)) > 0.11
    return 1.0 - metal


def chromosomes(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Draw chromosome-like blobs: pairs of bent rods that touch in the middle, of different sizes and densities."""
    absorbance = np.zeros_like(canvas.y)
    placed: list[tuple[float, float, float]] = []
    for _ in range(400):
        length = rng.uniform(0.16, 0.34)
        place = rng.uniform(-0.95 + length, 0.95 - length, 2)
        if any(np.hypot(place[0] - y, place[1] - x) < 0.85 * (length + other) for y, x, other in placed):
            continue
        placed.append((place[0], place[1], length))
        angle = rng.uniform(0, np.pi)
        along = (canvas.y - place[0]) * np.sin(angle) + (canvas.x - place[1]) * np.cos(angle)
        across = (canvas.y - place[0]) * np.cos(angle) - (canvas.x - place[1]) * np.sin(angle)
        centromere = rng.uniform(-0.3, 0.3) * length
        bend = rng.uniform(0.6, 1.3) / length
        thick = 0.24 * length
        profile = np.zeros_like(absorbance)
        for side in (-1, 1):
            axis = side * (0.75 * thick + 0.35 * bend * (along - centromere) ** 2)
            end = np.maximum(np.abs(along) - 0.7 * length, 0)
            profile = np.maximum(profile, np.exp(-((((across - axis) ** 2 + end**2) / thick**2) ** 2)))
        absorbance += rng.uniform(0.5, 1.2) * profile
        if len(placed) == 9:
            break
    return np.exp(-absorbance)


def wires(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Draw a glass capillary that contains four wires of different metals."""
    tilt = rng.uniform(-0.12, 0.12)
    across = canvas.x * np.cos(tilt) + canvas.y * np.sin(tilt)
    along = canvas.y * np.cos(tilt) - canvas.x * np.sin(tilt)
    absorbance = 0.8 * (canvas.chord(across, 0.78) - canvas.chord(across, 0.62))
    for place in rng.permutation(np.linspace(-0.42, 0.42, 4)):
        axis = place + rng.uniform(-0.05, 0.05) + rng.uniform(-0.08, 0.08) * along
        radius = rng.uniform(0.05, 0.1)
        absorbance += rng.uniform(4, 25) * canvas.chord(across - axis, radius)
    return np.exp(-absorbance)


def half_cylinder(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Draw half a cylinder of gold, seen along its axis, glued to a column; the gap of 1/64 of the field is glue."""
    gap = 2 / 64
    half = (np.hypot(canvas.y, canvas.x) < 0.62) & (canvas.x < 0)
    column = (canvas.x > gap) & (canvas.x < gap + 0.5) & (np.abs(canvas.y) < 0.8)
    return np.where(half | column, 0.04, np.where((canvas.x >= 0) & (canvas.x <= gap) & (np.abs(canvas.y) < 0.62), 0.85, 1.0))


SAMPLES: dict[str, Callable[[Canvas, np.random.Generator], np.ndarray]] = {
    "CAS": letters,
    "gear": gear,
    "chromosomes": chromosomes,
    "wires": wires,
    "half-cylinder": half_cylinder,
}
"""The samples that a program draws, by name."""


def make_sample(name: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return the transmission of a sample.

    Parameters
    ----------
    name : str
        A name in `SAMPLES`, in upper or lower case, or the path of an image file: any format that Pillow reads, or an NPY
        file. An image is converted to grey, stretched over the whole field and scaled to 0..1.
    shape : pair of int
        Rows and columns.
    seed : int
        Seed of the random parts of the drawing.

    Returns
    -------
    array, shape (H, W), float32
        0 to 1.

    Raises
    ------
    ValueError
        If there is neither such a sample nor such a file, or the file is not an image.
    """
    for known, draw in SAMPLES.items():
        if name.lower() == known.lower():
            canvas = Canvas(shape)
            drawing = draw(canvas, np.random.default_rng(seed))
            return canvas.pixels(drawing)
    return from_file(name, shape)


def from_file(path: str | Path, shape: tuple[int, int]) -> np.ndarray:
    """Return the transmission in an image file; see `make_sample`."""
    if not Path(path).is_file():
        raise ValueError(
            f"there is no sample {str(path)!r}: choose one of {', '.join(SAMPLES)}, or give the path of an image file"
        )
    image = _load(Path(path))
    if image.ndim != 2 or 0 in image.shape or not np.isfinite(image).all():
        raise ValueError(f"{path} does not hold a two-dimensional image of finite numbers")
    low, high = image.min(), image.max()
    if low < 0 or high > 1:
        image = (image - low) / (high - low) if high > low else np.ones_like(image)
    return (_resampling(shape[0], image.shape[0]) @ image @ _resampling(shape[1], image.shape[1]).T).astype(np.float32)


def _load(path: Path) -> np.ndarray:
    """Read a file as a grey image, shape (h, w), float64; integers are divided by the maximum of their type."""
    try:
        if path.suffix == ".npy":
            pixels = np.load(path, allow_pickle=False)
        else:
            from PIL import Image

            with Image.open(path) as image:
                deep = image.mode in ("I", "F") or image.mode.startswith("I;")
                pixels = np.asarray(image if deep else image.convert("L"))
                if image.mode == "I":  # Pillow uses 32-bit integers for 16-bit files
                    pixels = pixels.astype(np.uint16)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"cannot read an image from {path}: {error}") from error
    if np.issubdtype(pixels.dtype, np.unsignedinteger):
        return pixels / float(np.iinfo(pixels.dtype).max)
    if not (np.issubdtype(pixels.dtype, np.number) or pixels.dtype == bool) or np.iscomplexobj(pixels):
        raise ValueError(f"{path} holds {pixels.dtype} values, not grey levels")
    return pixels.astype(float)


def _resampling(new: int, old: int) -> np.ndarray:
    """Return the weights, shape (new, old), that resample old pixels to new ones in proportion to the area that they share."""
    edges = np.arange(new + 1) * (old / new)
    left = np.maximum(edges[:-1, None], np.arange(old)[None, :])
    right = np.minimum(edges[1:, None], np.arange(1, old + 1)[None, :])
    return np.maximum(right - left, 0.0) * (new / old)
