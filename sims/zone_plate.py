"""The beam of a zone plate: its intensity on the detector, and its wave on the sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_KEV_NM = 1.239841984  # energy times wavelength


@dataclass(frozen=True)
class Optics:
    """A zone plate with a central stop, a sample behind its focus, and a pixel detector in the far field.

    Parameters
    ----------
    energy_kev : float
    diameter_um, outermost_zone_nm, central_stop_um : float
        Dimensions of the zone plate, and of the stop upstream of it.
    defocus_mm : float
        Distance of the sample behind the focus.
    distance_mm : float
        Distance from sample to detector.
    detector_pixel_um : float
    pixels : int
        Number of rows and of columns of the detector; an even number.
    """

    energy_kev: float = 11.1
    diameter_um: float = 400.0
    outermost_zone_nm: float = 200.0
    central_stop_um: float = 160.0
    defocus_mm: float = 8.0
    distance_mm: float = 10_000.0
    detector_pixel_um: float = 100.0
    pixels: int = 192

    @property
    def wavelength_um(self) -> float:
        """Wavelength in um."""
        return _KEV_NM / self.energy_kev / 1000

    @property
    def pixel_um(self) -> float:
        """Pixel size on the sample in um, given by the width of the detector."""
        return self.wavelength_um * self.distance_mm * 1000 / (self.pixels * self.detector_pixel_um)

    def probe(self) -> np.ndarray:
        """Return the wave on the sample, shape (H, W), complex64, centred, of power 1.

        The lens's aperture, as a function of angle, is propagated behind the focus by the paraxial propagator exp(-i pi
        wavelength z nu^2) and transformed to space (Goodman, Introduction to Fourier Optics, section 3.10).
        """
        size = self.pixels
        index = np.arange(size) - size // 2
        angle = np.hypot(index[:, None], index[None, :]) * self.detector_pixel_um / (self.distance_mm * 1000)
        step = self.detector_pixel_um / (self.distance_mm * 1000)
        aperture = self.wavelength_um / (2 * self.outermost_zone_nm / 1000)
        outer = np.clip((aperture - angle) / step + 0.5, 0, 1)
        inner = np.clip((aperture * self.central_stop_um / self.diameter_um - angle) / step + 0.5, 0, 1)
        phase = -np.pi * self.defocus_mm * 1000 * angle**2 / self.wavelength_um
        pupil = (outer - inner) * np.exp(1j * phase)
        wave = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(pupil), norm="ortho"))
        return (wave / np.linalg.norm(wave)).astype(np.complex64)
