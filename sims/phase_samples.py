"""Samples for coherent X-rays: the change of the wave's amplitude and phase at each point.

Numbers are for about 11 keV: gold shifts the phase by 1.3 rad and reduces the amplitude by 11 % per um; a polymer shifts it
by 0.14 rad and absorbs almost nothing (Henke tables, https://henke.lbl.gov/optical_constants/).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_GOLD, _POLYMER = 1.32 + 0.11j, 0.14 + 0.0002j  # phase shift and loss of amplitude per um
_STAR_UM, _FIBRES_UM = 0.6, 20.0  # height of the star; width of the bundle


def siemens_star(y_um: np.ndarray, x_um: np.ndarray, pixel_um: float, rng: np.random.Generator) -> np.ndarray:
    """Return the optical path through a star of 36 gold spokes, 10 um in radius and 0.6 um high; the seed turns it."""
    radius, angle = np.hypot(y_um, x_um), np.arctan2(y_um, x_um) + rng.uniform(0, 2 * np.pi)
    period = np.maximum(2 * np.pi * radius / 36, 1e-9)
    distance = (np.abs((angle * 36 / (2 * np.pi)) % 1 - 0.5) - 0.25) * period  # distance in um from a spoke's edge
    spokes = np.clip(distance / pixel_um + 0.5, 0, 1)
    ring = np.clip((10 - radius) / pixel_um + 0.5, 0, 1) * np.clip((radius - 0.3) / pixel_um + 0.5, 0, 1)
    return spokes * ring * _STAR_UM * _GOLD


def fibres(y_um: np.ndarray, x_um: np.ndarray, pixel_um: float, rng: np.random.Generator) -> np.ndarray:
    """Return the optical path through a bundle of 60 polymer fibres, 0.4 to 1.6 um thick, that cross at small angles."""
    path = np.zeros(np.broadcast_shapes(y_um.shape, x_um.shape))
    for _ in range(60):
        tilt, place = rng.normal(0.0, 0.15), rng.uniform(-_FIBRES_UM / 2, _FIBRES_UM / 2)
        radius, bend = rng.uniform(0.2, 0.8), rng.uniform(-0.01, 0.01)
        across = (x_um - place) * np.cos(tilt) + y_um * np.sin(tilt) + bend * y_um**2
        path += 2 * np.sqrt(np.maximum(radius**2 - across**2, 0.0))
    return path * _POLYMER


PHASE_SAMPLES: dict[str, Callable[[np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "star": siemens_star,
    "fibres": fibres,
}
"""The samples that a program draws, by name."""


def make_phase_sample(name: str, pixels: int, pixel_um: float, seed: int = 0) -> np.ndarray:
    """Return the complex factor by which each point of a sample multiplies the wave.

    Parameters
    ----------
    name : str
        A name in `PHASE_SAMPLES`.
    pixels : int
        Number of rows and of columns.
    pixel_um : float
        Size of a pixel.
    seed : int
        Seed of the random parts of the drawing.

    Returns
    -------
    array, shape (pixels, pixels), complex64
        1 where there is nothing. The sample's centre is at index pixels // 2.
    """
    places = (np.arange(pixels) - pixels // 2) * pixel_um
    path = PHASE_SAMPLES[name](places[:, None], places[None, :], pixel_um, np.random.default_rng(seed))
    return np.exp(1j * path.real - path.imag).astype(np.complex64)
