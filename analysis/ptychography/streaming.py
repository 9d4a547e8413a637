"""ePIE for frames that arrive one after the other: the result has the same bits however they are divided into batches.

Frames are taken in blocks of fixed size, counted from the first. After each new block, earlier ones, drawn by the seed, are
revisited with a smaller step; more often at first, when the probe is poorly known. When there are no more frames, sweeps over
all of them follow, with a decreasing step, and the result is the mean of the last sweeps: with a large step, object and probe
follow the noise of the last frames. Frames are not kept: those that are revisited are read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.ptychography.backend import Backend
from analysis.ptychography.epie import Epie, Frames, joined
from analysis.ptychography.geometry import Geometry
from analysis.ptychography.positions import Corrections

BLOCK = 64
"""Frames that are taken together."""

_WINDOW = 8  # blocks whose frames are shuffled together in a sweep, and in memory
_LAST_STEP = 0.1  # of the step in the first sweep; a smaller one gained nothing at 1000 to 10 000 photons per frame
_NEW_MODE = 0.1  # initial amplitude of further modes, relative to the first
_EARLY = 4  # blocks during which the probe is poorly known
_EARLY_STEPS, _STEPS = (0.5, 0.2), (0.2, 0.1)  # for a new and for a revisited block: larger steps follow the noise more
_AGAIN, _AGAIN_AT_FIRST = 2, 16  # blocks that are revisited after each new one, and after the very first


@dataclass(frozen=True)
class Sweeps:
    """The final sweeps, after all frames have arrived.

    Attributes
    ----------
    number : int
        Number of sweeps over all frames.
    averaged : int
        Number of last sweeps whose mean is the result.
    denoised_every : int
        Number of sweeps after which the object is denoised, each time; 0: never.
    """

    number: int = 30
    averaged: int = 10
    denoised_every: int = 0


@dataclass(frozen=True, eq=False)
class Picture:
    """Object (rows, columns) and probe (M, H, W), complex64, and their distance from the frames.

    `residual` is the squared error of the amplitudes over the counts, for the frames used last. `moved` is the root mean
    square of the corrections of positions, pixels.
    """

    object: np.ndarray
    probe: np.ndarray
    residual: float
    moved: float = 0.0


class StreamingEpie:
    """Takes blocks of frames as they arrive.

    Parameters
    ----------
    geometry : Geometry
    canvas : (rows, columns)
        Pixels of the object.
    first_probe : ndarray, complex64, (M, H, W)
        All modes, or the first one or ones.
    read : callable
        Called with the number of a block; returns its frames, the same each time.
    modes : int
        Number of modes of the probe.
    seed : int
    backend : Backend
    correct_positions : bool
        Whether sweeps correct the positions of the frames.
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
        correct_positions: bool = False,
    ) -> None:
        self._read_stored = read
        self._seed = seed
        self._blocks = 0
        self._residual = float("nan")
        self._corrections = Corrections()
        self._correct_positions = correct_positions
        probe = np.empty((modes, *first_probe.shape[1:]), dtype=np.complex64)
        known = min(modes, len(first_probe))
        probe[:known] = first_probe[:known]
        rng = np.random.default_rng((seed, 0))
        for mode in probe[known:]:
            noise = rng.standard_normal(mode.shape) + 1j * rng.standard_normal(mode.shape)
            mode[...] = _NEW_MODE * noise * np.abs(first_probe[0])
        self._epie = Epie(geometry, canvas, probe, backend or Backend())

    @property
    def blocks(self) -> int:
        """Number of blocks taken so far."""
        return self._blocks

    def take_block(self) -> None:
        """Take the next block, then revisit earlier ones."""
        rng = np.random.default_rng((self._seed, 1, self._blocks))
        new_step, again_step = _EARLY_STEPS if self._blocks < _EARLY else _STEPS
        new = self._read(self._blocks)
        errors = self._epie.update(new, rng.permutation(len(new)), new_step)
        self._blocks += 1
        for _ in range(max(_AGAIN, _AGAIN_AT_FIRST // self._blocks)):
            earlier = self._read(int(rng.integers(self._blocks)))
            self._epie.update(earlier, rng.permutation(len(earlier)), again_step)
        self._residual = float(errors.mean())

    def picture(self) -> Picture:
        """Object and probe now."""
        return Picture(self._epie.backend.numpy(self._epie.object), self._epie.probe, self._residual, self._moved)

    def finish(self, sweeps: Sweeps, denoise: Callable[[np.ndarray], np.ndarray] | None = None) -> Picture:
        """Sweep over all blocks, and return the mean of the last sweeps.

        Parameters
        ----------
        sweeps : Sweeps
        denoise : callable, optional
            Called with an object (rows, columns), complex64; returns the denoised one. Required if `denoised_every` is not 0.
        """
        if not sweeps.number:
            return self.picture()
        total = np.zeros(self._epie.object.shape, dtype=np.complex128)
        averaged = min(sweeps.averaged, sweeps.number)
        for sweep in range(sweeps.number):
            step = _LAST_STEP ** (sweep / max(1, sweeps.number - 1))
            self._residual = self._sweep(sweep, step)
            if sweep >= sweeps.number - averaged:
                now = self.picture()
                # Object and probe may change by opposite phases without any effect on the frames.
                turn = np.vdot(now.object, total)
                turn = turn / abs(turn) if turn else 1.0
                total += now.object * turn
            if denoise is not None and sweeps.denoised_every and (sweep + 1) % sweeps.denoised_every == 0:
                backend = self._epie.backend
                self._epie.object[...] = backend.asarray(denoise(backend.numpy(self._epie.object)))
        return Picture(
            (total / averaged).astype(np.complex64), (now.probe / turn).astype(np.complex64), self._residual, self._moved
        )

    @property
    def _moved(self) -> float:
        return self._corrections.root_mean_square

    def _read(self, block: int) -> Frames:
        frames = self._read_stored(block)
        return frames.moved(self._corrections.of(block, len(frames))) if self._correct_positions else frames

    def _sweep(self, sweep: int, step: float) -> float:
        rng = np.random.default_rng((self._seed, 2, sweep))
        order = rng.permutation(self._blocks)
        missed = []
        shifts: dict[int, np.ndarray] = {}
        for first in range(0, len(order), _WINDOW):
            blocks = [int(block) for block in order[first : first + _WINDOW]]
            parts = [self._read(block) for block in blocks]
            frames = joined(parts)
            shuffled = rng.permutation(len(frames))
            if self._correct_positions:
                errors, asked = self._epie.update_and_locate(frames, shuffled, step)
                ends = np.cumsum([len(part) for part in parts])[:-1]
                shifts |= dict(zip(blocks, np.split(asked, ends), strict=True))
            else:
                errors = self._epie.update(frames, shuffled, step)
            missed.append(errors)
        if shifts:
            self._corrections.add(shifts)
        self._epie.orthogonalise()
        return float(np.concatenate(missed).mean())
