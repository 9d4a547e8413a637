"""Frames of an empty beam: anything that a reconstruction finds in them is an artefact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.ptychography.backend import Backend
from analysis.ptychography.epie import Frames
from analysis.ptychography.geometry import Geometry


class EmptyScan:
    """The frames that a beam without a sample would have given, at the same places and with the same counts.

    Parameters
    ----------
    geometry : Geometry
    probe : ndarray, complex64, (M, H, W)
    read : callable
        Called with the number of a block; returns its frames.
    seed : int
        Seed of the Poisson numbers.
    backend : Backend
    """

    def __init__(self, geometry: Geometry, probe: np.ndarray, read: Callable[[int], Frames], seed: int, backend: Backend) -> None:
        self._read, self._seed, self._backend = read, seed, backend
        wave, far = backend.asarray(probe), backend.empty(probe.shape, np.complex64)
        geometry.propagator(backend).forward(wave, far)()
        intensity = (np.abs(backend.numpy(far)).astype(np.float64) ** 2).sum(axis=0)
        self._shares = intensity / intensity.sum()

    def read(self, block: int) -> Frames:
        """The frames of a block, the same each time; pixels that were not measured are also marked here."""
        frames = self._read(block)
        rng = np.random.default_rng((self._seed, block))
        known = self._backend.numpy(frames.amplitude) >= 0
        seen = (known * self._shares).sum(axis=(1, 2))
        mean = self._shares * (frames.counts / np.maximum(seen, 1e-12))[:, None, None]
        drawn = rng.poisson(mean)
        amplitude = np.where(known, np.sqrt(drawn, dtype=np.float32), np.float32(-1))
        counts = (drawn * known).sum(axis=(1, 2), dtype=np.float64)
        return Frames(self._backend.asarray(amplitude), frames.complete, counts, frames.paths)
