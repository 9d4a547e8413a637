"""The extended ptychographical iterative engine: object and probe from one frame after the other.

Maiden and Rodenburg, Ultramicroscopy 109, 1256 (2009), equations 3 to 5; several modes of the probe after Thibault and
Menzel, Nature 494, 68 (2013). A frame of a moving sample is the incoherent sum over places along its path, each with
the same share of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.ptychography.backend import Backend
from analysis.ptychography.geometry import Geometry, Propagator

_DARK = np.float32(1e-3)  # square root of photons: less of a wave than this has no phase to keep
_EXPLODED = 1e3  # times the power in the frames


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames made ready: square roots of counts, and where the sample was.

    Attributes
    ----------
    amplitude : array, float32, (B, H, W)
        On the device, zero frequency at [0, 0] of the far field; below 0 where nothing was measured.
    complete : ndarray, bool, (B,)
        Whether a frame has no such pixel.
    counts : ndarray, float64, (B,)
        Measured counts of each.
    places : list of ndarray, int64, (S, 2)
        Of each frame, the first row and column of the object at the places along its path.
    """

    amplitude: Any
    complete: np.ndarray
    counts: np.ndarray
    places: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.places)


class Epie:
    """Object and probe, and what improves them.

    Parameters
    ----------
    geometry : Geometry
    canvas : (rows, columns)
        Pixels of the object.
    probe : ndarray, complex64, (M, H, W)
        Modes to begin with.
    backend : Backend
    """

    def __init__(self, geometry: Geometry, canvas: tuple[int, int], probe: np.ndarray, backend: Backend) -> None:
        self.backend = backend
        self._geometry = geometry
        self.object = backend.asarray(np.ones(canvas, dtype=np.complex64))
        self._propagator = geometry.propagator(backend)
        # In such units the propagated wave is the square root of counts, and needs no factor.
        self._probe = backend.asarray((probe / self._propagator.gain).astype(np.complex64))
        self._workspaces: dict[int, _Workspace] = {}

    @property
    def probe(self) -> np.ndarray:
        """The modes, complex64 (M, H, W); the square of their modulus is in counts."""
        return self.backend.numpy(self._probe) * np.float32(self._propagator.gain)

    def update(self, frames: Frames, order: np.ndarray, step: float, *, probe_step: float | None = None) -> np.ndarray:
        """Improve object and probe by some frames, in this order.

        Parameters
        ----------
        frames : Frames
        order : ndarray, int64, (n,)
            Which of them, one after the other.
        step : float
            How far towards what a frame asks for, 0 to 1.
        probe_step : float, optional
            The same of the probe; by default as for the object. 0 leaves it as it is.

        Returns
        -------
        ndarray, float64, (n,)
            Squared error of the amplitudes of each, over its counts, before its update.

        Raises
        ------
        ValueError
            If the power of the probe explodes.
        """
        gain = self._propagator.gain
        object_step = step / float((abs(self._probe) ** 2).sum(0).max()) / gain**2
        probe_step = (step if probe_step is None else probe_step) / float((abs(self.object) ** 2).max()) / gain**2
        missed = []
        for index in order.tolist():
            places = frames.places[index]
            work = self._workspaces.get(len(places))
            if work is None:
                work = _Workspace(self.backend, self._propagator, self._geometry.shape, len(self._probe), len(places))
                self._workspaces[len(places)] = work
            amplitude, complete = frames.amplitude[index], bool(frames.complete[index])
            missed.append(work.step(self.object, self._probe, amplitude, complete, places.tolist(), object_step, probe_step))
        power = float((abs(self._probe) ** 2).sum()) * gain**2
        if not power < _EXPLODED * max(float(frames.counts.max(initial=0.0)), 1.0):
            raise ValueError(
                f"the probe's power has grown to {power:.3g} where a frame has {frames.counts.max():.3g} counts: positions, "
                "distances or the orientation don't fit the frames"
            )
        return np.array(missed) / np.maximum(frames.counts[order], 1.0)

    def orthogonalise(self) -> None:
        """Replace the modes of the probe by orthogonal ones with the same sum of intensities, the strongest first."""
        modes = len(self._probe)
        if modes == 1:
            return
        probe = self.backend.numpy(self._probe)
        flat = probe.reshape(modes, -1).astype(np.complex128)
        _, mixing = np.linalg.eigh(flat.conj() @ flat.T)
        self._probe[...] = self.backend.asarray((mixing[:, ::-1].T @ flat).reshape(probe.shape).astype(np.complex64))


class _Workspace:
    """Arrays that are used anew for each frame with so many places on its path."""

    def __init__(self, backend: Backend, propagator: Propagator, frame: tuple[int, int], modes: int, places: int) -> None:
        probe = (modes, *frame)
        self._xp = backend.xp
        self._conj = np.conjugate if backend.xp is np else _conjugate_of_torch
        self._propagator = propagator
        self._waves = backend.empty((places, *probe), np.complex64)
        self._for_probe = backend.empty((places, *probe), np.complex64)
        self._for_object = backend.empty(probe, np.complex64)
        self._conjugate = backend.empty(frame, np.complex64)
        self._conjugate_probe = backend.empty(probe, np.complex64)
        self._modulus = backend.empty((places, *probe), np.float32)
        self._total = backend.empty(frame, np.float32)
        # numpy multiplies complex by complex numbers several times as fast as by real ones
        self._factor = backend.asarray(np.zeros(frame, dtype=np.complex64))
        self._real_factor = self._factor.real
        self._share = places**-0.5  # of the amplitude

    def step(
        self,
        object_: Any,
        probe: Any,
        amplitude: Any,
        complete: bool,
        places: list[list[int]],
        object_step: float,
        probe_step: float,
    ) -> float:
        xp, conj, waves = self._xp, self._conj, self._waves
        height, width = self._factor.shape
        windows = [object_[row : row + height, column : column + width] for row, column in places]
        for window, wave in zip(windows, waves, strict=True):
            xp.multiply(probe, window, out=wave)
        if len(windows) > 1:
            waves *= self._share
        far = self._propagator.forward(waves)
        far *= self._relative_change(far, amplitude, complete)
        flat = far.reshape(-1)
        missed = float(xp.vdot(flat, flat).real)
        change = self._propagator.backward(far)

        if probe_step:  # by the object before its update
            for window, own, product in zip(windows, change, self._for_probe, strict=True):
                xp.multiply(own, conj(window, out=self._conjugate), out=product)
        change *= object_step * self._share
        conjugate = conj(probe, out=self._conjugate_probe)
        for window, own in zip(windows, change, strict=True):
            for mode in xp.multiply(conjugate, own, out=self._for_object):
                xp.add(window, mode, out=window)
        if probe_step:
            self._for_probe *= probe_step * self._share
            for product in self._for_probe:
                probe += product
        return missed

    def _relative_change(self, far: Any, amplitude: Any, complete: bool) -> Any:
        """What to multiply the wave on the detector by for its change: measured over computed amplitude, less 1."""
        xp, total, factor = self._xp, self._total, self._real_factor
        if far.shape[0] == far.shape[1] == 1:
            xp.abs(far[0, 0], out=total)
        else:
            xp.abs(far, out=self._modulus)
            self._modulus *= self._modulus
            total[...] = self._modulus.sum((0, 1))
            xp.sqrt(total, out=total)
        total += _DARK
        xp.divide(amplitude, total, out=total)
        xp.subtract(total, 1.0, out=factor)
        if not complete:
            factor[amplitude < 0] = 0.0
        return self._factor


def _conjugate_of_torch(values: Any, *, out: Any) -> Any:
    return values.conj()  # a view, which costs nothing
