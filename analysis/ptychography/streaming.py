"""ePIE for frames that come one after the other: the same bits however they are cut into blocks.

Frames are taken in blocks of fixed size, counted from the first. Behind each new block an earlier one, drawn by the seed, is
looked at again. When there are no more come sweeps over all of them, with a step that decreases, and the mean of the last
ones is the result: with a large step object and probe follow the noise of the last frames that they have seen. Frames are
not kept: what is looked at again is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.ptychography.backend import Backend
from analysis.ptychography.epie import Epie, Frames
from analysis.ptychography.geometry import Geometry

BLOCK = 64
"""Frames that are taken together."""

_WINDOW = 8  # blocks whose frames are shuffled together in a sweep, and in memory
_LAST_STEP = 0.1  # of the step in the first sweep; less gained nothing at 1000 to 10 000 photons a frame
_NEW_MODE = 0.1  # amplitude of further modes to begin with, in that of the first


@dataclass(frozen=True)
class Sweeps:
    """What is done when all frames have come.

    Attributes
    ----------
    number : int
        Sweeps over all frames.
    averaged : int
        So many of the last ones give the result.
    """

    number: int = 30
    averaged: int = 10


@dataclass(frozen=True, eq=False)
class Picture:
    """Object (rows, columns) and probe (M, H, W), complex64, and how far they are from the frames.

    `residual` is the squared error of the amplitudes over the counts, of the frames that were looked at last.
    """

    object: np.ndarray
    probe: np.ndarray
    residual: float


class StreamingEpie:
    """Takes blocks of frames as they come.

    Parameters
    ----------
    geometry : Geometry
    canvas : (rows, columns)
        Pixels of the object.
    first_probe : ndarray, complex64, (H, W)
    read : callable
        Gets the number of a block and returns its frames, the same each time.
    modes : int
        Of the probe.
    seed : int
    backend : Backend
    """

    def __init__(
        self,
        geometry: Geometry,
        canvas: tuple[int, int],
        first_probe: np.ndarray,
        read: Callable[[int], Frames],
        *,
        modes: int = 1,
        seed: int = 0,
        backend: Backend | None = None,
    ) -> None:
        self._read = read
        self._seed = seed
        self._blocks = 0
        self._residual = float("nan")
        probe = np.empty((modes, *first_probe.shape), dtype=np.complex64)
        probe[0] = first_probe
        rng = np.random.default_rng((seed, 0))
        for mode in probe[1:]:
            noise = rng.standard_normal(first_probe.shape) + 1j * rng.standard_normal(first_probe.shape)
            mode[...] = _NEW_MODE * noise * np.abs(first_probe)
        self._epie = Epie(geometry, canvas, probe, backend or Backend())

    @property
    def blocks(self) -> int:
        """Blocks taken so far."""
        return self._blocks

    def take_block(self) -> None:
        """Take the next block, then look at an earlier one again."""
        rng = np.random.default_rng((self._seed, 1, self._blocks))
        new = self._read(self._blocks)
        errors = self._epie.update(new, rng.permutation(len(new)), 1.0)
        if self._blocks:
            earlier = self._read(int(rng.integers(self._blocks)))
            self._epie.update(earlier, rng.permutation(len(earlier)), 1.0)
        self._blocks += 1
        self._residual = float(errors.mean())

    def picture(self) -> Picture:
        """Object and probe now."""
        backend = self._epie.backend
        return Picture(backend.numpy(self._epie.object), self._epie.probe, self._residual)

    def finish(self, sweeps: Sweeps) -> Picture:
        """Sweep over all blocks, and return the mean of the last sweeps."""
        if not sweeps.number:
            return self.picture()
        total = np.zeros(self._epie.object.shape, dtype=np.complex128)
        averaged = min(sweeps.averaged, sweeps.number)
        for sweep in range(sweeps.number):
            step = _LAST_STEP ** (sweep / max(1, sweeps.number - 1))
            self._residual = self._sweep(sweep, step)
            if sweep >= sweeps.number - averaged:
                now = self.picture()
                # Object and probe may turn by opposite phases without any frame noticing.
                turn = np.vdot(now.object, total)
                turn = turn / abs(turn) if turn else 1.0
                total += now.object * turn
        return Picture((total / averaged).astype(np.complex64), (now.probe / turn).astype(np.complex64), self._residual)

    def _sweep(self, sweep: int, step: float) -> float:
        rng = np.random.default_rng((self._seed, 2, sweep))
        order = rng.permutation(self._blocks)
        missed = []
        for first in range(0, len(order), _WINDOW):
            frames = joined([self._read(int(block)) for block in order[first : first + _WINDOW]])
            missed.append(self._epie.update(frames, rng.permutation(len(frames)), step))
        self._epie.orthogonalise()
        return float(np.concatenate(missed).mean())


def joined(parts: list[Frames]) -> Frames:
    """Frames of several blocks as one."""
    if len(parts) == 1:
        return parts[0]
    amplitudes: list[Any] = [part.amplitude for part in parts]
    if isinstance(amplitudes[0], np.ndarray):
        amplitude: Any = np.concatenate(amplitudes)
    else:
        import torch

        amplitude = torch.cat(amplitudes)
    return Frames(
        amplitude,
        np.concatenate([part.complete for part in parts]),
        np.concatenate([part.counts for part in parts]),
        [places for part in parts for places in part.places],
    )
