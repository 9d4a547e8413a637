"""Propagation of the wave from the sample to the detector, and the pixel size of the object.

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
    """The path from object to detector.

    Attributes
    ----------
    shape : (H, W)
        Pixels of a frame, and of the probe.
    pixel_um : float
        Pixel size of the object.
    fresnel : float or None
        Near field: wavelength times distance over the square of the pixel. None: far field.
    """

    shape: tuple[int, int]
    pixel_um: float
    fresnel: float | None = None

    @classmethod
    def far_field(cls, shape: tuple[int, int], energy_kev: float, distance_um: float, detector_pixel_um: float) -> Geometry:
        """Detector far behind the sample: its width determines the pixel size of the object. Non-square frames are padded."""
        side = max(shape)
        return cls((side, side), KEV_UM / energy_kev * distance_um / (side * detector_pixel_um))

    @classmethod
    def near_field(
        cls, shape: tuple[int, int], energy_kev: float, distance_um: float, detector_pixel_um: float, focus_um: float | None
    ) -> Geometry:
        """Detector near the sample, or the sample so far behind a focus that the beam is a cone.

        A cone beam with magnification M = (focus + distance) / focus is equivalent to a parallel beam on an object M times as
        large, at the distance divided by M (Paganin, Coherent X-ray Optics, section 1.7).
        """
        magnification = 1.0 if focus_um is None else (focus_um + distance_um) / focus_um
        pixel_um = detector_pixel_um / magnification
        return cls(shape, pixel_um, KEV_UM / energy_kev * distance_um / magnification / pixel_um**2)

    def first_probe(self, intensity: np.ndarray, spread: float = 1.0) -> np.ndarray:
        """The initial probe, complex64 (H, W), from the mean of some frames (H, W) with zero frequency at [0, 0].

        Near field: the square root of the mean, propagated back. Far field: the same, with the curvature of a beam that is as
        far behind its focus as makes its width on the sample, in pixels, `spread` times that on the detector; if `spread` is
        negative, the sample is before the focus. The reconstruction finds the rest.
        """
        height, width = self.shape
        amplitude = np.sqrt(intensity)
        if self.fresnel is not None:
            return np.asarray(np.fft.ifft2(np.fft.fft2(amplitude) * self._kernel().conj()), dtype=np.complex64)
        squared = np.fft.fftfreq(height)[:, None] ** 2 * height + np.fft.fftfreq(width)[None, :] ** 2 * width
        wave = np.fft.ifft2(amplitude * np.exp(-1j * np.pi * spread * squared), norm="ortho")
        return np.fft.fftshift(wave).astype(np.complex64)

    def spread(self, wavelength_um: float, defocus_um: float) -> float:
        """Width of the aperture's shadow on the sample, in pixels over that on the detector."""
        return wavelength_um * defocus_um / (self.shape[0] * self.pixel_um**2)

    def propagator(self, backend: Backend) -> Propagator:
        """Return the propagator of waves (..., H, W)."""
        return Propagator(backend, self.shape, None if self.fresnel is None else self._kernel())

    def _kernel(self) -> np.ndarray:
        assert self.fresnel is not None
        height, width = self.shape
        squared = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.fftfreq(width)[None, :] ** 2
        return np.exp(-1j * np.pi * self.fresnel * squared).astype(np.complex64)


class Propagator:
    """Propagates waves from object to detector and back.

    Far field: one Fourier transform. Near field: a product with exp(-i pi wavelength distance nu^2) between two transforms.
    Both directions are `gain` times a unitary map, each the adjoint of the other; they are not divided by the gain, which
    would take as long as half a transform.

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
        """Return a function that propagates `wave` from the object to the detector, into `result`, whenever it is called."""
        if self._kernel is None:
            return self._backend.transform(wave, result)
        return self._through(wave, self._kernel, result)

    def backward(self, wave: Any, result: Any) -> Callable[[], None]:
        """Return a function that propagates it from the detector to the object."""
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
