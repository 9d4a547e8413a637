"""One simulated experiment: plate, sample, beam and counters, and the number of exposures so far."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sims.emission import Emission, iron_foil
from sims.etched_plate import EtchedPlate
from sims.fluorescence import Spectrometer, Spectrum, detector_elements
from sims.physics import BUCKET, MONITOR, Beam, Counter, Counts, expose, relative_flux
from sims.shift import shifted


class Experiment:
    """Counts photons. Its only state is the number of exposures and their total time.

    Parameters
    ----------
    plate : EtchedPlate
    sample : array, shape (H, W)
        Transmission of the sample, 0 to 1, in the plate's pixels.
    beam : Beam
    bucket, monitor : Counter
    seed : int
    energy_kev : float
        Energy of the beam, which determines what fluoresces.
    num_elements : int
        Elements of the fluorescence detector.
    emission : Emission, optional
        Fluorescence of the sample. Default: iron with the transmission of the sample.

    Notes
    -----
    The clock of the beam's drift is the total exposure time. So the same sequence of exposures gives the same counts, however
    long the pauses between them and however fast the simulation runs.
    """

    def __init__(
        self,
        plate: EtchedPlate,
        sample: np.ndarray,
        *,
        beam: Beam | None = None,
        bucket: Counter = BUCKET,
        monitor: Counter = MONITOR,
        seed: int = 0,
        energy_kev: float = 11.1,
        num_elements: int = 4,
        emission: Emission | None = None,
    ):
        if sample.shape != plate.plate.shape:
            raise ValueError(
                f"the sample has {sample.shape} pixels, the masks of plate {plate.plate.name!r} have "
                f"{plate.plate.shape}: they must agree"
            )
        self.plate = plate
        self.sample = sample
        self.beam = beam or Beam()
        self.bucket = bucket
        self.monitor = monitor
        self.seed = seed
        self.energy_kev = energy_kev
        self.exposures = 0
        self.beam_time_s = 0.0
        self.spectra = 0
        self._spectra_time_s = 0.0
        self._num_elements, self._emission = num_elements, emission

    @cached_property
    def spectrometer(self) -> Spectrometer:
        """The sample as seen by the fluorescence detector; computed on first use."""
        emission = self._emission or iron_foil(self.sample, self.energy_kev)
        return Spectrometer(emission, self.energy_kev, detector_elements(self._num_elements, self.seed))

    @property
    def ring_current(self) -> float:
        """Ring current in mA, as long as there is beam."""
        return self.beam.ring_current(self.beam_time_s)

    def overlap(self, mask_mm: tuple[float, float], sample_mm: tuple[float, float] = (0.0, 0.0)) -> float:
        """Return the sum over the pixels of mask transmission times sample transmission.

        Parameters
        ----------
        mask_mm, sample_mm : pair of float
            True positions of the mask stage and of the sample stage, (y, x). The sample is centred at (0, 0).
        """
        transmission = self.plate.transmission(*mask_mm)
        sample = self.sample
        if sample_mm != (0.0, 0.0):
            pixel_mm = self.plate.plate.pixel_size_um / 1000.0
            sample = shifted(sample, (sample_mm[0] / pixel_mm, sample_mm[1] / pixel_mm))
        return float(np.sum(transmission * sample, dtype=float))

    def pencil(self, sample_mm: tuple[float, float]) -> np.ndarray:
        """Return the fraction of each pixel of the sample in a pencil beam of one mask pixel's width, shape (H, W).

        Parameters
        ----------
        sample_mm : pair of float
            Position of the sample stage, (y, x): that point of the sample is in the beam.
        """
        pixel_mm = self.plate.plate.pixel_size_um / 1000.0
        along_y, along_x = (
            np.maximum(0.0, 1 - np.abs(np.arange(size) - (size - 1) / 2 - place / pixel_mm))
            for size, place in zip(self.sample.shape, sample_mm, strict=True)
        )
        return np.outer(along_y, along_x)

    def expose(
        self,
        seconds: float,
        mask_mm: tuple[float, float],
        sample_mm: tuple[float, float] = (0.0, 0.0),
        *,
        pencil: bool = False,
        lit: float = 1.0,
        saturated: bool = False,
    ) -> Counts:
        """Make the next exposure.

        Parameters
        ----------
        seconds : float
            Time to count.
        mask_mm, sample_mm : pair of float
            See `overlap`.
        pencil : bool
            Whether a pencil beam replaces the mask.
        lit : float
            Fraction of the time with light.
        saturated : bool
            Whether the diode's amplifier is set to a range that is far too sensitive.
        """
        passed = float(np.sum(self.pencil(sample_mm) * self.sample)) if pencil else self.overlap(mask_mm, sample_mm)
        counts = expose(
            self.beam,
            self.bucket,
            self.monitor,
            passed,
            self.sample.size,
            seconds=seconds,
            lit=lit,
            time_s=self.beam_time_s,
            index=self.exposures,
            seed=self.seed,
            saturated=saturated,
        )
        self.exposures += 1
        self.beam_time_s += seconds
        return counts

    def expose_spectra(
        self,
        seconds: float,
        mask_mm: tuple[float, float],
        pencil_mm: tuple[float, float] | None = None,
        *,
        lit: float = 1.0,
        dead: frozenset[int] = frozenset(),
    ) -> list[Spectrum]:
        """Make the next exposure of the fluorescence detector. The sample is centred unless there is a pencil beam.

        The detector has a clock of its own: triggered together with the counters, it sees the same flux in every exposure.

        Parameters
        ----------
        seconds : float
            Time to count.
        mask_mm : pair of float
            See `overlap`.
        pencil_mm : pair of float, optional
            The point of the sample in a pencil beam, which then replaces the mask.
        lit : float
            Fraction of the time with light.
        dead : frozenset of int
            Detector elements, counted from 0, that count nothing.
        """
        flux = relative_flux(self.beam, seconds, self._spectra_time_s, self.spectra, self.seed)
        photons = self.beam.photons * flux * seconds * lit
        mask = self.plate.transmission(*mask_mm) if pencil_mm is None else self.pencil(pencil_mm)
        spectra = self.spectrometer.expose(mask, photons, seconds, index=self.spectra, seed=self.seed, dead=dead)
        self.spectra += 1
        self._spectra_time_s += seconds
        return spectra
