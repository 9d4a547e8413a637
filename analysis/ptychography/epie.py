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
from analysis.ptychography.geometry import Geometry

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
        self.probe = backend.asarray(probe)
        self._workspaces: dict[int, _Workspace] = {}

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
        errors = np.empty(len(order))
        object_step = step / float((abs(self.probe) ** 2).sum(0).max())
        probe_step = (step if probe_step is None else probe_step) / float((abs(self.object) ** 2).max())
        for number, index in enumerate(order.tolist()):
            places = frames.places[index]
            work = self._workspaces.get(len(places))
            if work is None:
                work = self._workspaces[len(places)] = _Workspace(self.backend, self._geometry, self.probe.shape, len(places))
            missed = work.step(
                self.object,
                self.probe,
                frames.amplitude[index],
                places.tolist(),
                complete=bool(frames.complete[index]),
                object_step=object_step,
                probe_step=probe_step,
            )
            errors[number] = missed / max(frames.counts[index], 1.0)
        power = float((abs(self.probe) ** 2).sum())
        if not power < _EXPLODED * max(float(frames.counts.max(initial=0.0)), 1.0):
            raise ValueError(
                f"the probe's power has grown to {power:.3g} where a frame has {frames.counts.max():.3g} counts: positions, "
                "distances or the orientation don't fit the frames"
            )
        return errors

    def orthogonalise(self) -> None:
        """Replace the modes of the probe by orthogonal ones with the same sum of intensities, the strongest first."""
        modes = len(self.probe)
        if modes == 1:
            return
        probe = self.backend.numpy(self.probe)
        flat = probe.reshape(modes, -1).astype(np.complex128)
        _, mixing = np.linalg.eigh(flat.conj() @ flat.T)
        self.probe[...] = self.backend.asarray((mixing[:, ::-1].T @ flat).reshape(probe.shape).astype(np.complex64))


class _Workspace:
    """Arrays that are used anew for each frame with so many places on its path."""

    def __init__(self, backend: Backend, geometry: Geometry, probe: tuple[int, ...], places: int) -> None:
        self._xp = backend.xp
        self._propagator = geometry.propagator(backend, (places, *probe))
        self._waves = backend.empty((places, *probe), np.complex64)
        self._windows = backend.empty((places, *geometry.shape), np.complex64)
        self._product = backend.empty(probe, np.complex64)
        self._conjugate = backend.empty(probe, np.complex64)
        self._modulus = backend.empty((places, *probe), np.float32)
        self._factor = backend.empty(geometry.shape, np.float32)
        self._share = places**-0.5  # of the amplitude

    def step(
        self,
        object_: Any,
        probe: Any,
        amplitude: Any,
        places: list[list[int]],
        *,
        complete: bool,
        object_step: float,
        probe_step: float,
    ) -> float:
        xp, waves, windows, product = self._xp, self._waves, self._windows, self._product
        height, width = windows.shape[-2:]
        for number, (row, column) in enumerate(places):
            windows[number] = object_[row : row + height, column : column + width]
            xp.multiply(probe, windows[number], out=waves[number])
        if len(places) > 1:
            waves *= self._share
        far = self._propagator.forward(waves)
        factor = self._relative_change(far, amplitude)
        if not complete:
            factor[amplitude < 0] = 0.0
        far *= factor
        missed = float(xp.vdot(far.reshape(-1), far.reshape(-1)).real)
        change = self._propagator.backward(far)

        conjugate = self._conjugated(probe)
        for number, (row, column) in enumerate(places):
            xp.multiply(conjugate, change[number], out=product)
            product *= object_step * self._share
            window = object_[row : row + height, column : column + width]
            for mode in product:
                window += mode
        if probe_step:
            change *= probe_step * self._share
            for number in range(len(places)):
                xp.multiply(change[number], self._conjugated(windows[number]), out=product)
                probe += product
        return missed

    def _relative_change(self, far: Any, amplitude: Any) -> Any:
        """What to multiply the wave on the detector by for its change: measured over computed amplitude, less 1."""
        xp, factor = self._xp, self._factor
        if far.shape[0] == far.shape[1] == 1:
            xp.abs(far[0, 0], out=factor)
        else:
            xp.abs(far, out=self._modulus)
            self._modulus *= self._modulus
            factor[...] = self._modulus.sum((0, 1))
            xp.sqrt(factor, out=factor)
        factor += _DARK
        xp.divide(amplitude, factor, out=factor)
        factor -= 1.0
        return factor

    def _conjugated(self, values: Any) -> Any:
        if self._xp is not np:
            return values.conj()
        return np.conjugate(values, out=self._conjugate if values.ndim == 3 else self._conjugate[0])
