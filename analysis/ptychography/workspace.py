"""The update of object and probe by one frame, in arrays that are reused for each frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.ptychography.backend import Backend
from analysis.ptychography.geometry import Propagator
from analysis.ptychography.positions import Shift

_DARK = np.float32(1e-3)  # square root of photons: a weaker wave has no phase worth keeping


class Workspace:
    """Arrays for frames with a given number of places on their path.

    Parameters
    ----------
    backend : Backend
    propagator : Propagator
    frame : (H, W)
    modes : int
        Number of modes of the probe.
    places : int
        Number of places on the path of the sample during the frame.
    """

    def __init__(self, backend: Backend, propagator: Propagator, frame: tuple[int, int], modes: int, places: int) -> None:
        # A single mode has no axis of its own: numpy is faster without axes of length 1.
        probe = frame if modes == 1 else (modes, *frame)
        self._one = modes == places == 1
        self._modes = modes
        self._xp = backend.xp
        self._conj = np.conjugate if backend.xp is np else _conjugate_of_torch
        self._waves = backend.empty((places, *probe), np.complex64)
        self._far = backend.empty((places, *probe), np.complex64)
        self._far_flat = self._far.reshape(-1)
        self._each = list(self._waves)
        self._forward = propagator.forward(self._waves, self._far)
        self._backward = propagator.backward(self._far, self._waves)
        self._each_far = list(self._far)
        self._conjugate_probe = backend.empty(probe, np.complex64)
        self._conjugate = self._conjugate_probe.reshape(-1, *frame)[0]
        self._modulus = backend.empty((places, *probe), np.float32)
        self._total = backend.empty(frame, np.float32)
        # numpy multiplies complex by complex numbers several times faster than by real ones
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
        shift: Shift | None = None,
    ) -> Any:
        """Improve object and probe by one frame.

        Parameters
        ----------
        object_ : array, complex64, (rows, columns)
        probe : array, complex64, (M, H, W)
        amplitude : array, float32, (H, W)
            Square root of counts, below 0 where nothing was measured.
        complete : bool
            Whether all pixels were measured.
        places : list of [row, column]
            Places of the frame on the object.
        object_step, probe_step : float
        shift : Shift, optional
            Receives the position error that follows from the frame.

        Returns
        -------
        float or array of one number
            Squared error of the amplitudes before the update.
        """
        xp, conj, waves = self._xp, self._conj, self._waves
        height, width = self._factor.shape
        if self._modes == 1:
            probe = probe[0]
        windows = [object_[row : row + height, column : column + width] for row, column in places]
        for window, wave in zip(windows, self._each, strict=True):
            xp.multiply(probe, window, out=wave)
        if len(windows) > 1:
            waves *= self._share
        self._forward()
        far = self._far
        far *= self._relative_change(amplitude, complete)
        missed = xp.vdot(self._far_flat, self._far_flat).real
        self._backward()
        if shift is not None:
            for window, own in zip(windows, self._each, strict=True):
                shift.take(window, probe, own)
        # Arrays that are no longer needed take the products: the fewer arrays there are, the more stay in the processor's
        # cache.
        if probe_step:  # with the object before its update
            for window, own, product in zip(windows, self._each, self._each_far, strict=True):
                xp.multiply(conj(window, out=self._conjugate), own, out=product)
        conjugate = conj(probe, out=self._conjugate_probe)
        waves *= object_step * self._share
        for window, own in zip(windows, self._each, strict=True):
            xp.multiply(conjugate, own, out=own)
            for mode in own if self._modes > 1 else (own,):
                xp.add(window, mode, out=window)
        if probe_step:
            far *= probe_step * self._share
            for product in self._each_far:
                xp.add(probe, product, out=probe)
        return missed

    def _relative_change(self, amplitude: Any, complete: bool) -> Any:
        """Factor for the change of the wave on the detector: measured over computed amplitude, minus 1."""
        xp, total, factor, far = self._xp, self._total, self._real_factor, self._far
        if self._one:
            xp.abs(far[0], out=total)
        else:
            xp.abs(far, out=self._modulus)
            self._modulus *= self._modulus
            total[...] = self._modulus.reshape(-1, *total.shape).sum(0)
            xp.sqrt(total, out=total)
        total += _DARK
        xp.divide(amplitude, total, out=total)
        xp.subtract(total, 1.0, out=factor)
        if not complete:
            factor[amplitude < 0] = 0.0
        return self._factor


def _conjugate_of_torch(values: Any, *, out: Any) -> Any:
    return values.conj()  # a view, which costs nothing
