"""A small scan of a smooth random object by a curved beam, for tests of reconstructions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from analysis.ptychography.canvas import Canvas, path_of_exposure
from analysis.ptychography.epie import Frames
from analysis.ptychography.geometry import Geometry
from analysis.ptychography.streaming import BLOCK

SIDE = 32


class MadeScan:
    """Frames in lines, of a sample that moves so many pixels along x during each.

    Parameters
    ----------
    photons : float
        In a frame.
    blur : float
        Pixels of motion during a frame.
    lines, points, step : int
        Of the scan, and pixels between points.
    wrong : float
        Standard deviation of the error of the positions that are told, pixels.
    """

    def __init__(
        self, *, photons: float = 1e5, blur: float = 0.0, lines: int = 14, points: int = 14, step: int = 4, wrong: float = 0.0
    ) -> None:
        rng = np.random.default_rng(1)
        self.geometry = Geometry((SIDE, SIDE), 0.05)
        y, x = np.divmod(np.arange(lines * points), points)
        jitter = rng.integers(-1, 2, (len(y), 2))
        self.places = np.stack([y, x], axis=1) * step + jitter + 8.0
        self.told = self.places + wrong * rng.standard_normal(self.places.shape)
        self.canvas = Canvas((0.0, 0.0), 0.05, (lines * step + SIDE + 16, points * step + SIDE + 16), (SIDE, SIDE))
        smooth = gaussian_filter(rng.standard_normal((2, *self.canvas.shape)), (0, 1.5, 1.5))
        smooth /= np.abs(smooth).max()
        self.object = ((1 - 0.2 * np.abs(smooth[0])) * np.exp(1.5j * smooth[1])).astype(np.complex64)
        self.motion = np.array([0.0, blur])
        pupil = np.hypot(*np.meshgrid(*[np.fft.fftfreq(SIDE)] * 2)) < 0.22
        self.probe = self.geometry.first_probe(pupil.astype(float) * photons / pupil.sum())
        fine = [np.linspace(-0.5, 0.5, max(1, int(4 * blur)) + 2)[1:-1, None] * self.motion for _ in self.places]
        self.frames = np.stack(
            [rng.poisson(self.intensity(place + path)) for place, path in zip(self.places, fine, strict=True)]
        ).astype(np.uint16)

    def intensity(self, path: np.ndarray) -> np.ndarray:
        """The mean of the intensities at the places of a path."""
        waves = []
        for row, column in np.rint(path).astype(int):
            waves.append(np.fft.fft2(self.probe * self.object[row : row + SIDE, column : column + SIDE], norm="ortho"))
        return np.mean(np.abs(waves) ** 2, axis=0)

    def ready(self, first: int = 0, last: int | None = None, *, known_path: bool = True) -> Frames:
        """Some of the frames, made ready."""
        chosen = slice(first, last)
        motion = self.motion if known_path else np.zeros(2)
        paths = [path_of_exposure(place - motion / 2, place + motion / 2) for place in self.told[chosen]]
        frames = self.frames[chosen]
        counts = frames.sum(axis=(1, 2), dtype=float)
        return Frames(np.sqrt(frames, dtype=np.float32), np.ones(len(frames), dtype=bool), counts, paths)

    def reader(self, *, known_path: bool = True) -> Callable[[int], Frames]:
        """Gives blocks of frames by their number."""
        return lambda block: self.ready(block * BLOCK, (block + 1) * BLOCK, known_path=known_path)

    @property
    def blocks(self) -> int:
        """Blocks of the scan."""
        return -(-len(self.frames) // BLOCK)

    def error(self, found: np.ndarray) -> float:
        """Relative error of an object where the beam was, after the best complex factor and linear phase."""
        inner = tuple(slice(SIDE // 2 + 6, -(SIDE // 2 + 6)) for _ in range(2))
        truth, image = self.object[inner], found[inner].astype(np.complex128)
        axes = [np.arange(size) - size / 2 for size in truth.shape]
        for _ in range(3):
            ratio = image * truth.conj()
            slopes = [np.angle(_steps(ratio, axis).sum()) for axis in (0, 1)]
            image = image * np.exp(-1j * (slopes[0] * axes[0][:, None] + slopes[1] * axes[1][None, :]))
        factor = np.vdot(image, truth) / np.vdot(image, image)
        return float(np.linalg.norm(factor * image - truth) / np.linalg.norm(truth - truth.mean()))


def _steps(ratio: np.ndarray, axis: int) -> np.ndarray:
    ahead, behind = np.delete(ratio, 0, axis), np.delete(ratio, -1, axis)
    return ahead * behind.conj()
