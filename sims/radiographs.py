"""Radiographs behind a scintillator: bodies in the beam, and a flat panel. Pure and seeded.

I = h * Poisson(I0 exp(-mu)) + Gaussian, with a variance of the Gaussian for each pixel: A. Graas and F. Lucka, "Scintillator
Decorrelation for Self-supervised X-ray Radiograph Denoising" (2025).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.fft

_REACH = 12  # decay lengths that a kernel extends over


@dataclass(frozen=True, eq=False)
class FlatPanel:
    """A scintillator before a panel of pixels.

    Parameters
    ----------
    decay_px : float
        The light of a photon falls off as exp(-(|x| + |y|) / decay), pixels; 0.645 makes a summed correlation of some 360 %.
    read_noise : float or ndarray, (H, W)
        Standard deviation of the Gaussian, counts.
    dead : ndarray, bool, (H, W), optional
        Pixels that always count nothing.
    lag : float
        Part of a frame's light that is read with the next one.
    drift : float
        Relative amplitude of a beam that swings, with a period of 10 frames.
    """

    decay_px: float = 0.645
    read_noise: float | np.ndarray = 0.0
    dead: np.ndarray | None = field(default=None)
    lag: float = 0.0
    drift: float = 0.0

    def kernel(self) -> np.ndarray:
        """H by pixel, with a sum of 1; (2 r + 1, 2 r + 1)."""
        reach = max(1, int(np.ceil(_REACH * self.decay_px)))
        falloff = np.exp(-np.abs(np.arange(-reach, reach + 1)) / self.decay_px)
        kernel = np.outer(falloff, falloff)
        return np.asarray(kernel / kernel.sum())

    def frames(self, transmission: np.ndarray, photons: float, seed: int, *, first: int = 0) -> np.ndarray:
        """Frames (N, H, W) of transmissions (N, H, W), counts, float32.

        Parameters
        ----------
        transmission : ndarray
            exp(-mu) of each frame.
        photons : float
            I0, incident photons a pixel.
        seed : int
        first : int
            Number of the first frame, by which the beam's swing goes on.
        """
        number = first + np.arange(len(transmission))
        beam = photons * (1 + self.drift * np.sin(2 * np.pi * number / 10))
        frames, left = np.empty(transmission.shape, dtype=np.float32), np.zeros(transmission.shape[1:])
        for index, body in enumerate(transmission):
            rng = np.random.default_rng((seed, int(number[index])))
            light = _blurred(rng.poisson(beam[index] * body).astype(np.float64), self.kernel())
            read = (1 - self.lag) * light + self.lag * left
            left = light
            frame = read + self.read_noise * rng.standard_normal(light.shape)
            frames[index] = frame if self.dead is None else np.where(self.dead, 0.0, frame)
        return frames


@dataclass(frozen=True, eq=False)
class Discs:
    """Discs in a slice, of which those with a negative attenuation are holes in others.

    Attributes
    ----------
    y, x, radius : ndarray, (M,)
        Pixels, from the middle of the slice.
    attenuation : ndarray, (M,)
        1/pixel.
    """

    y: np.ndarray
    x: np.ndarray
    radius: np.ndarray
    attenuation: np.ndarray

    def line_integrals(self, angles_deg: np.ndarray, bins: int, centre: float | None = None) -> np.ndarray:
        """Sinogram (views, bins), exactly."""
        place = np.arange(bins) - ((bins - 1) / 2 if centre is None else centre)
        sinogram = np.zeros((len(angles_deg), bins))
        for view, angle in enumerate(np.deg2rad(angles_deg)):
            middle = self.x * np.cos(angle) + self.y * np.sin(angle)
            half = np.sqrt(np.maximum(self.radius[:, None] ** 2 - (place[None] - middle[:, None]) ** 2, 0))
            sinogram[view] = (2 * self.attenuation[:, None] * half).sum(axis=0)
        return sinogram

    def slice(self, size: int, finer: int = 4) -> np.ndarray:
        """The slice, (size, size), each pixel the mean of finer ones."""
        axis = (np.arange(size * finer) + 0.5) / finer - size / 2
        image = np.zeros((size * finer, size * finer))
        for y, x, radius, attenuation in zip(self.y, self.x, self.radius, self.attenuation, strict=True):
            image += attenuation * ((axis[:, None] - y) ** 2 + (axis[None] - x) ** 2 < radius**2)
        return np.asarray(image.reshape(size, finer, size, finer).mean(axis=(1, 3)))


def foam(size: int, bubbles: int, seed: int, attenuation: float = 0.01) -> Discs:
    """A disc with bubbles that do not touch, as in foam."""
    rng = np.random.default_rng(seed)
    whole = 0.45 * size
    y, x, radius = [0.0], [0.0], [whole]
    for _ in range(100 * bubbles):
        if len(radius) == bubbles + 1:
            break
        new_y, new_x = rng.uniform(-whole, whole, 2)
        room = whole - np.hypot(new_y, new_x)
        if len(radius) > 1:
            distances = np.hypot(new_y - np.array(y[1:]), new_x - np.array(x[1:])) - np.array(radius[1:])
            room = min(room, float(distances.min()))
        largest = min(room - 1, 0.08 * size)
        if largest > 1.5:
            y.append(new_y)
            x.append(new_x)
            radius.append(rng.uniform(1.5, largest))
    sign = np.where(np.arange(len(radius)) == 0, attenuation, -attenuation)
    return Discs(np.array(y), np.array(x), np.array(radius), sign)


class Bed:
    """Spheres that fall and come in again above, each at its own speed.

    Parameters
    ----------
    shape : (H, W)
    particles : int
    seed : int
    speed_px : float
        Mean fall from frame to frame.
    """

    def __init__(self, shape: tuple[int, int], particles: int, seed: int, speed_px: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self._shape = shape
        self._y, self._x = rng.uniform(0, shape[0], particles), rng.uniform(0, shape[1], particles)
        self._radius, self._speed = rng.uniform(2, 6, particles), speed_px * rng.uniform(0.5, 1.5, particles)

    def transmission(self, index: int) -> np.ndarray:
        """exp(-mu) of a frame, (H, W)."""
        height, width = self._shape
        mu = np.zeros(self._shape)
        rows, columns = np.arange(height)[:, None], np.arange(width)
        for y, x, radius, speed in zip(self._y, self._x, self._radius, self._speed, strict=True):
            near = slice(*np.searchsorted(columns, (x - radius, x + radius)))
            away = (rows - (y + speed * index) % height) ** 2 + (columns[None, near] - x) ** 2
            mu[:, near] += 0.04 * 2 * np.sqrt(np.maximum(radius**2 - away, 0))
        return np.asarray(np.exp(-mu))


def moving_bed(shape: tuple[int, int], number: int, particles: int, seed: int, speed_px: float = 1.0) -> np.ndarray:
    """Transmissions (number, H, W) of a bed of spheres that falls."""
    bed = Bed(shape, particles, seed, speed_px)
    return np.stack([bed.transmission(index) for index in range(number)])


def _blurred(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolved with a kernel; beyond its edges the image is mirrored."""
    reach = min(len(kernel) // 2, *(side - 1 for side in image.shape))
    cut = len(kernel) // 2 - reach
    kernel = kernel[cut : len(kernel) - cut, cut : len(kernel) - cut]
    padded = np.pad(image, reach, mode="symmetric")
    shape = [side + 2 * reach for side in padded.shape]
    product = scipy.fft.rfft2(padded, shape) * scipy.fft.rfft2(kernel, shape)
    whole = scipy.fft.irfft2(product, shape)
    return np.asarray(whole[2 * reach : 2 * reach + image.shape[0], 2 * reach : 2 * reach + image.shape[1]])
