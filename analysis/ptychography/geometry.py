"""How a wave behind the sample becomes the one on the detector: pixel of the object, and propagation.

Lengths are in um, energies in keV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.ptychography.backend import Backend

KEV_UM = 1.2398419843320026e-3
"""Energy times wavelength."""


@dataclass(frozen=True)
class Geometry:
    """From object to detector.

    Attributes
    ----------
    shape : (H, W)
        Pixels of a frame, and of the probe.
    pixel_um : float
        Pixel of the object.
    fresnel : float or None
        Near field: wavelength times distance over the square of the pixel. None: far field.
    """

    shape: tuple[int, int]
    pixel_um: float
    fresnel: float | None = None

    @classmethod
    def far_field(cls, shape: tuple[int, int], energy_kev: float, distance_um: float, detector_pixel_um: float) -> Geometry:
        """Detector far behind the sample: its width resolves a pixel of the object. Frames that aren't square are padded."""
        side = max(shape)
        return cls((side, side), KEV_UM / energy_kev * distance_um / (side * detector_pixel_um))

    @classmethod
    def near_field(
        cls, shape: tuple[int, int], energy_kev: float, distance_um: float, detector_pixel_um: float, focus_um: float | None
    ) -> Geometry:
        """Detector near the sample, or the sample so far behind a focus that the beam is a cone.

        A cone that magnifies M = (focus + distance) / focus is as parallel light on an object M times as large, seen at the
        distance over M (Paganin, Coherent X-ray Optics, section 1.7).
        """
        magnification = 1.0 if focus_um is None else (focus_um + distance_um) / focus_um
        pixel_um = detector_pixel_um / magnification
        return cls(shape, pixel_um, KEV_UM / energy_kev * distance_um / magnification / pixel_um**2)

    def first_probe(self, intensity: np.ndarray, spread: float = 1.0) -> np.ndarray:
        """A probe to begin with, complex64 (H, W), from the mean of some frames (H, W) with zero frequency at [0, 0].

        Near field: the square root of it, propagated back. Far field: the same, with the curvature of a beam that is behind
        its focus by as much as makes its shadow on the sample `spread` times as many pixels wide as on the detector; below 0 it
        is before its focus. The rest is found by the reconstruction.
        """
        height, width = self.shape
        amplitude = np.sqrt(intensity)
        if self.fresnel is not None:
            return np.asarray(np.fft.ifft2(np.fft.fft2(amplitude) * self._kernel().conj()), dtype=np.complex64)
        squared = np.fft.fftfreq(height)[:, None] ** 2 * height + np.fft.fftfreq(width)[None, :] ** 2 * width
        wave = np.fft.ifft2(amplitude * np.exp(-1j * np.pi * spread * squared), norm="ortho")
        return np.fft.fftshift(wave).astype(np.complex64)

    def spread(self, wavelength_um: float, defocus_um: float) -> float:
        """How wide the shadow of the aperture is on the sample, in pixels over those on the detector."""
        return wavelength_um * defocus_um / (self.shape[0] * self.pixel_um**2)

    def propagator(self, backend: Backend) -> Propagator:
        """What propagates waves (..., H, W)."""
        return Propagator(backend, self.shape, None if self.fresnel is None else self._kernel())

    def _kernel(self) -> np.ndarray:
        assert self.fresnel is not None
        height, width = self.shape
        squared = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.fftfreq(width)[None, :] ** 2
        return np.exp(-1j * np.pi * self.fresnel * squared).astype(np.complex64)


class Propagator:
    """Propagates waves from object to detector and back.

    Far field: one Fourier transform. Near field: a product with exp(-i pi wavelength distance nu^2) between two of them. Both
    directions are `gain` times a unitary map, one the adjoint of the other: to divide by it takes as long as half a transform.

    Attributes
    ----------
    gain : float
        Square root of the number of pixels in the far field, 1 in the near field.
    """

    def __init__(self, backend: Backend, shape: tuple[int, int], kernel: np.ndarray | None) -> None:
        self._backend = backend
        pixels = shape[0] * shape[1]
        self.gain = float(np.sqrt(pixels)) if kernel is None else 1.0
        self._kernel = None if kernel is None else backend.asarray((kernel / pixels).astype(np.complex64))
        self._back = None if kernel is None else backend.asarray((kernel.conj() / pixels).astype(np.complex64))

    def forward(self, wave: Any, result: Any) -> Callable[[], None]:
        """What carries the array `wave` from the object to the detector, into the array `result`, whenever it is called."""
        if self._kernel is None:
            return self._backend.transform(wave, result)
        return self._through(wave, self._kernel, result)

    def backward(self, wave: Any, result: Any) -> Callable[[], None]:
        """What carries it from the detector to the object."""
        if self._back is None:
            return self._backend.adjoint_transform(wave, result)
        return self._through(wave, self._back, result)

    def _through(self, wave: Any, kernel: Any, result: Any) -> Callable[[], None]:
        spectrum = self._backend.empty(tuple(wave.shape), np.complex64)
        multiply = self._backend.xp.multiply
        there, back = self._backend.transform(wave, spectrum), self._backend.adjoint_transform(spectrum, result)

        def propagate() -> None:
            there()
            multiply(spectrum, kernel, out=spectrum)
            back()

        return propagate
